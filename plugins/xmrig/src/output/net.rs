//! Lines about pools.

use adit_plugin_api::{Observation, Phase, PoolMetrics};

use crate::output::{
    error,
    line::{cut, difficulty, number},
    no_api,
};

/// What a line with the tag `net` says.
pub(crate) fn observe(text: &str) -> Vec<Observation> {
    match text {
        "no active pools, stop mining" => {
            return vec![Observation::Phase { phase: Phase::Degraded }];
        }
        "HTTP API server failed to start." => return vec![no_api("its port is taken")],
        _ => {}
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    match words[..] {
        // Between address and IP stands the TLS version, if any. Mining goes on here after a loss;
        // at first a dataset is built, which has a line of its own.
        ["use", "pool", url, _] | ["use", "pool", url, _, _] => {
            vec![connected(url, None), Observation::Phase { phase: Phase::Waiting }]
        }
        ["new", "job", "from", url, "diff", diff, "algo", algorithm, ..] => {
            let Some(difficulty) = difficulty(diff) else { return Vec::new() };
            let algorithm = cut(algorithm);
            vec![connected(url, Some(difficulty)), Observation::Algorithm { algorithm }]
        }
        _ => trouble(text).unwrap_or_else(|| vec![Observation::Progress]),
    }
}

/// What a line without a tag says: XMRig's TLS has none.
pub(crate) fn observe_untagged(text: &str) -> Option<Observation> {
    let (url, text) = text.strip_prefix('[')?.split_once("] ")?;
    let message = match text {
        "Failed to verify server certificate fingerprint" => format!(
            "the pool {} shows another certificate than tlsFingerprint says, so XMRig does not \
             talk to it: ask the pool for its fingerprint, somebody may be in between",
            cut(url)
        ),
        "Failed to get server certificate" => {
            format!("the pool {} shows no certificate: check whether its port has TLS", cut(url))
        }
        _ => return None,
    };
    Some(error(&message))
}

/// What a line `POOL what happened` says.
fn trouble(text: &str) -> Option<Vec<Observation>> {
    let (url, what) = text.split_once(' ')?;
    if !url.contains(':') {
        return None;
    }
    let quoted = |before: &str, after: &str| {
        what.split_once(before)
            .and_then(|(_, rest)| rest.strip_prefix('"')?.strip_suffix(after)?.strip_suffix('"'))
            .map(cut)
    };
    let shown = cut(url);
    // The IP address stands before it.
    if let Some(why) = quoted("connect error: ", "") {
        return Some(lost(
            url,
            &why,
            format!("cannot reach the pool {shown}: {why}; check its address and port"),
        ));
    }
    if let Some(why) = what.strip_prefix("DNS error: ").and(quoted("DNS error: ", "")) {
        return Some(lost(
            url,
            &why,
            format!("cannot find the pool {shown}: {why}; check its name and this machine's DNS"),
        ));
    }
    for error in ["read error: ", "write error: "] {
        if let Some(why) = what.strip_prefix(error).and(quoted(error, "")) {
            let message = format!(
                "the pool {shown} ended the connection: {why}; if it does so each time, check \
                 whether its port wants tls"
            );
            let mut all = lost(url, &why, message);
            all.push(Observation::Phase { phase: Phase::Degraded });
            return Some(all);
        }
    }
    if let Some((said, code)) =
        what.strip_prefix("error: \"").and_then(|it| it.rsplit_once("\", code: "))
    {
        number(code.trim_start_matches('-'))?;
        let said = cut(said);
        let message = format!("the pool {shown} says: {said}; check wallet and password");
        return Some(complaint(url, &said, message));
    }
    complain(url, what)
}

/// What XMRig itself does not like about a pool.
fn complain(url: &str, what: &str) -> Option<Vec<Observation>> {
    let shown = cut(url);
    let algorithm = what
        .strip_prefix("unsupported algorithm \"")
        .or_else(|| what.strip_prefix("incompatible/disabled algorithm \""))
        .and_then(|rest| rest.strip_suffix("\" detected, reconnect"));
    if what == "login error code: 6" {
        // It follows a line that names the algorithm, and says less.
        return Some(vec![Observation::Progress]);
    }
    let message = if let Some(name) = algorithm {
        format!(
            "the pool {shown} sends jobs for {}, which this XMRig cannot mine: choose another pool \
             or port, or a newer XMRig",
            cut(name)
        )
    } else if what.starts_with("unknown algorithm, make sure you set") {
        format!("the pool {shown} does not say the algorithm of its jobs: write it into algo")
    } else if let Some(code) = what.strip_prefix("login error code: ").and_then(number) {
        format!(
            "the pool {shown} sends a job that XMRig cannot read (code {code}): check that the \
             algorithm is what the pool mines"
        )
    } else if let Some(to) = what.strip_prefix("client.reconnect to ") {
        format!(
            "the pool {shown} sends the miner to {}: check that this is the pool's own",
            cut(to)
        )
    } else if what.starts_with("duplicate job received") || what.starts_with("JSON decode failed") {
        format!("the pool {shown} breaks its protocol ({}): XMRig connects again", cut(what))
    } else {
        return None;
    };
    Some(complaint(url, what, message))
}

fn connected(url: &str, difficulty: Option<u64>) -> Observation {
    let url = cut(without_scheme(url));
    Observation::Pool(PoolMetrics {
        url,
        connected: Some(true),
        difficulty,
        ..PoolMetrics::default()
    })
}

fn lost(url: &str, why: &str, message: String) -> Vec<Observation> {
    pool_and_error(url, Some(false), why, message)
}

fn complaint(url: &str, why: &str, message: String) -> Vec<Observation> {
    pool_and_error(url, None, why, message)
}

fn pool_and_error(
    url: &str,
    connected: Option<bool>,
    why: &str,
    message: String,
) -> Vec<Observation> {
    let pool = PoolMetrics {
        url: cut(without_scheme(url)),
        connected,
        error: Some(cut(why)),
        ..PoolMetrics::default()
    };
    vec![Observation::Pool(pool), Observation::Error { message }]
}

fn without_scheme(url: &str) -> &str {
    url.split_once("://").map_or(url, |(_, address)| address)
}
