//! Whether a miner did what it was told, judged by its own figures.

use std::time::Duration;

use adit_plugin_api::{Command, PerformanceMetrics, Phase};

/// What figures show when a command was carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The miner rests, or does not.
    Rests(bool),
    /// It is connected to one of these pools, `host:port`.
    Connected(Vec<String>),
    /// Nothing that figures tell.
    Unseen,
}

/// What figures say about an effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is there.
    Seen,
    /// It is not there, or not yet; what is seen instead follows.
    NotYet(String),
    /// These figures do not tell.
    Unknown,
}

impl Effect {
    /// The effect of a command. `set-pools` has its pools in `params`, each with a `url`.
    pub fn of(command: &Command) -> Self {
        match command.name.as_str() {
            "pause" => Self::Rests(true),
            "resume" => Self::Rests(false),
            "set-pools" => {
                let pools = command.params["pools"].as_array().map_or(&[][..], Vec::as_slice);
                let urls = pools.iter().filter(|pool| pool["enabled"] != false);
                let urls = urls.filter_map(|pool| pool["url"].as_str());
                Self::Connected(urls.map(|url| address(url).to_owned()).collect())
            }
            _ => Self::Unseen,
        }
    }

    /// Judges figures that were taken `since` the command was sent.
    pub fn judge(&self, metrics: &PerformanceMetrics, since: Duration) -> Verdict {
        match self {
            Self::Unseen => Verdict::Unknown,
            Self::Rests(rests) => match metrics.phase {
                None => Verdict::Unknown,
                Some(phase) if (phase == Phase::Paused) == *rests => Verdict::Seen,
                Some(_) if *rests => Verdict::NotYet("it does not rest".to_owned()),
                Some(_) => Verdict::NotYet("it still rests".to_owned()),
            },
            Self::Connected(urls) => connected(urls, metrics, since),
        }
    }
}

fn connected(urls: &[String], metrics: &PerformanceMetrics, since: Duration) -> Verdict {
    let Some(pool) = &metrics.pool else {
        return Verdict::NotYet("it is connected to no pool yet".to_owned());
    };
    let shown: String = pool.url.chars().take(200).collect();
    // While a new pool does not answer, a miner may go on to show its session with the old one.
    let is_new = pool.session_ms.is_none_or(|age| u128::from(age) <= since.as_millis());
    match pool.connected {
        Some(false) => Verdict::NotYet(format!("it is not connected to {shown}")),
        _ if urls.iter().any(|url| url == address(&pool.url)) && is_new => Verdict::Seen,
        _ => Verdict::NotYet(format!("it still shows its session with {shown}")),
    }
}

/// `host:port` of a pool's URL.
fn address(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split_once('/').map_or(rest, |(address, _)| address)
}

#[cfg(test)]
mod tests {
    use adit_plugin_api::PoolMetrics;
    use serde_json::{Value, json};

    use super::*;

    fn effect(name: &str, params: Value) -> Effect {
        Effect::of(&Command { name: name.to_owned(), params })
    }

    fn in_phase(phase: Option<Phase>) -> PerformanceMetrics {
        PerformanceMetrics { phase, ..PerformanceMetrics::default() }
    }

    fn at(url: &str, connected: Option<bool>, session_ms: Option<u64>) -> PerformanceMetrics {
        let url = url.to_owned();
        let pool = PoolMetrics { url, connected, session_ms, ..PoolMetrics::default() };
        PerformanceMetrics { pool: Some(pool), ..PerformanceMetrics::default() }
    }

    #[test]
    fn a_pause_is_seen_in_the_phase() {
        let now = Duration::ZERO;
        for (name, phase, expected) in [
            ("pause", Some(Phase::Paused), Verdict::Seen),
            ("pause", Some(Phase::Mining), Verdict::NotYet("it does not rest".to_owned())),
            ("resume", Some(Phase::Paused), Verdict::NotYet("it still rests".to_owned())),
            ("resume", Some(Phase::Waiting), Verdict::Seen),
            ("pause", None, Verdict::Unknown),
            ("speed", Some(Phase::Mining), Verdict::Unknown),
        ] {
            let effect = effect(name, Value::Null);
            assert_eq!(effect.judge(&in_phase(phase), now), expected, "{name} {phase:?}");
        }
    }

    #[test]
    fn a_change_of_pools_is_seen_in_a_session_that_is_younger() {
        let pools = json!({ "pools": [
            { "url": "stratum+ssl://b.example:2" }, { "url": "c.example:3" },
            { "url": "d.example:4", "enabled": false },
        ] });
        let effect = effect("set-pools", pools);
        let judge = |metrics| effect.judge(&metrics, Duration::from_millis(500));
        for seen in [
            at("b.example:2", Some(true), Some(100)),
            at("stratum+ssl://b.example:2", Some(true), Some(500)),
            at("c.example:3", Some(true), None),
            at("c.example:3", None, None),
        ] {
            assert_eq!(judge(seen.clone()), Verdict::Seen, "{seen:?}");
        }
        for not_yet in [
            PerformanceMetrics::default(),
            at("a.example:1", Some(true), Some(90_000)),
            at("a.example:1", Some(true), Some(100)),
            // The session of before, although the address is the same.
            at("b.example:2", Some(true), Some(501)),
            at("b.example:2", Some(false), None),
            at("d.example:4", Some(true), Some(100)),
        ] {
            assert!(matches!(judge(not_yet.clone()), Verdict::NotYet(_)), "{not_yet:?}");
        }
    }
}
