//! What lines of sim-miner's output say.
//!
//! A line counts only when its whole form is right: time, tag, text to the last character. Text
//! from a pool stands in quotes in the middle of a line, so that it cannot become one. A pool that
//! gets a newline into the output could still forge a whole line; hence shares seen here count
//! only while the API gives none.

use adit_plugin_api::{Observation, Phase, PoolMetrics, ShareResult};

use crate::stats;

/// What the host shows of an error.
const MESSAGE_MAX: usize = 300;

/// What `line` says; nothing when it is not one of the program's own.
pub(crate) fn observe(line: &str) -> Vec<Observation> {
    let Some((tag, text)) = split(line) else { return Vec::new() };
    match tag {
        "miner" => miner(text),
        "net" => net(text),
        "share" => share(text).map_or_else(Vec::new, |result| match result {
            ShareResult::Accepted => {
                vec![Observation::Share { result }, Observation::Phase { phase: Phase::Mining }]
            }
            _ => vec![Observation::Share { result }],
        }),
        "error" => vec![Observation::Error { message: cut(text) }],
        _ => Vec::new(),
    }
}

/// Tag and text of a line with a time, such as `[2026-11-22 15:29:34.997]  net      text`.
fn split(line: &str) -> Option<(&str, &str)> {
    let (time, rest) = line.trim_end().strip_prefix('[')?.split_once("]  ")?;
    let is_like = |byte: u8, form: u8| match form {
        b'0' => byte.is_ascii_digit(),
        _ => byte == form,
    };
    let form = b"0000-00-00 00:00:00.000";
    let is_time =
        time.len() == form.len() && time.bytes().zip(form).all(|(byte, form)| is_like(byte, *form));
    // The tag's column is eight wide; a space follows it.
    let (tag, text) = (rest.get(..8)?.trim_end(), rest.get(8..)?.strip_prefix(' ')?);
    is_time.then_some((tag, text))
}

fn miner(text: &str) -> Vec<Observation> {
    let phase = |phase| vec![Observation::Phase { phase }];
    if let Some(rates) = text.strip_prefix("speed 10s/60s/15m ") {
        return hashrate(rates)
            .map_or_else(Vec::new, |hashrate| vec![Observation::Hashrate { hashrate }]);
    }
    if text.starts_with("preparing dataset (") {
        return phase(Phase::Preparing);
    }
    if text == "dataset ready" {
        return vec![Observation::Progress];
    }
    if text == "paused" {
        return phase(Phase::Paused);
    }
    let resumed = text.strip_prefix("resumed (").and_then(|rest| rest.strip_suffix(')'));
    resumed.and_then(stats::phase).map_or_else(Vec::new, phase)
}

/// The first window of `12.5 n/a n/a H/s max 12.5 H/s`.
fn hashrate(rates: &str) -> Option<f64> {
    let words: Vec<&str> = rates.split(' ').collect();
    let [now, _, _, "H/s", "max", _, "H/s"] = words[..] else { return None };
    now.parse().ok().filter(|rate: &f64| rate.is_finite() && *rate >= 0.0)
}

fn net(text: &str) -> Vec<Observation> {
    let pool = |url: &str, connected, error| {
        Observation::Pool(PoolMetrics {
            url: url.to_owned(),
            connected: Some(connected),
            error,
            ..PoolMetrics::default()
        })
    };
    let phase = |phase| Observation::Phase { phase };
    let words: Vec<&str> = text.split(' ').collect();
    match words[..] {
        ["connecting", "to", _] => vec![phase(Phase::Connecting)],
        ["connected", "to", url, time, "ms)"] if number(time.strip_prefix('(')).is_some() => {
            vec![pool(url, true, None), phase(Phase::Waiting)]
        }
        ["new", "job", "from", url, "diff", diff, "algo", algorithm, "height", height]
            if number(Some(height)).is_some() =>
        {
            let Some(difficulty) = number(Some(diff)) else { return Vec::new() };
            let job = PoolMetrics {
                url: url.to_owned(),
                connected: Some(true),
                difficulty: Some(difficulty),
                ..PoolMetrics::default()
            };
            let algorithm = algorithm.to_owned();
            vec![Observation::Pool(job), Observation::Algorithm { algorithm }]
        }
        ["lost", url, ..] | ["cannot", "reach", url, ..] => {
            // Everything between the first and the last quote is the pool's.
            let (Some(url), Some(error)) = (url.strip_suffix(':'), quoted(text)) else {
                return Vec::new();
            };
            vec![pool(url, false, Some(cut(error))), phase(Phase::Degraded)]
        }
        _ => Vec::new(),
    }
}

fn quoted(text: &str) -> Option<&str> {
    text.split_once('"')?.1.rsplit_once('"').map(|(inner, _)| inner)
}

/// The verdict of `accepted (1/0) diff 5 device 0 (38 ms)`, or of the same with a reason.
fn share(text: &str) -> Option<ShareResult> {
    let (result, rest) = if let Some(rest) = text.strip_prefix("accepted (") {
        (ShareResult::Accepted, rest)
    } else {
        (ShareResult::Rejected, text.strip_prefix("rejected (")?)
    };
    let (counts, rest) = rest.split_once(") diff ")?;
    let (accepted, rejected) = counts.split_once('/')?;
    let (diff, rest) = rest.split_once(" device ")?;
    let (device, rest) = rest.split_once(' ')?;
    for word in [accepted, rejected, diff, device] {
        number(Some(word))?;
    }
    let latency = match result {
        ShareResult::Accepted => rest,
        _ => rest.strip_prefix('"')?.rsplit_once("\" ")?.1,
    };
    number(latency.strip_prefix('(')?.strip_suffix(" ms)"))?;
    Some(result)
}

/// A whole number without a sign.
fn number(word: Option<&str>) -> Option<u64> {
    word.filter(|word| word.starts_with(|c: char| c.is_ascii_digit()))?.parse().ok()
}

fn cut(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MESSAGE_MAX).collect()
}

#[cfg(test)]
mod tests;
