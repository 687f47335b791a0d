//! What the lines about pools say.

use std::collections::BTreeMap;

use adit_plugin_api::{Observation, Phase, PoolMetrics};

use crate::output::line::{cut, hashes};

/// Pools of one run.
const POOLS_MAX: usize = 256;

/// How lines begin that say why there is no connection: TT-Miner's own words, and those of the
/// operating systems that its network library passes on.
const REASONS: [&str; 14] = [
    "End of file",
    "stream truncated",
    "Connection ",
    "Host not found",
    "No such host is known",
    "No connection could be made",
    "No route to host",
    "Network is unreachable",
    "Network is down",
    "Host is unreachable",
    "Operation timed out",
    "A connection attempt failed",
    "An existing connection was forcibly closed",
    "certificate verify failed",
];

/// The pools of a run, as their lines told of them. The key `DEF-1` is the second pool of the
/// selector `DEF`.
#[derive(Default)]
pub(crate) struct Pools {
    addresses: BTreeMap<String, String>,
    current: PoolMetrics,
}

impl Pools {
    /// What `Pool[KEY]:   text` says.
    pub(crate) fn line(&mut self, key: &str, text: &str) -> Vec<Observation> {
        // Since 2024.3 a dash stands before what a connection reports, and no colon behind "to".
        let text = text.strip_prefix('-').map_or(text, str::trim_start);
        if let Some(url) = behind(text, "Connecting to") {
            self.remember(key, url);
            return vec![Observation::Phase { phase: Phase::Connecting }];
        }
        if let Some(rest) = behind(text, "Connected to") {
            self.remember(key, rest);
            self.current = PoolMetrics {
                url: self.address(key),
                connected: Some(true),
                ..PoolMetrics::default()
            };
            return vec![self.told(), Observation::Phase { phase: Phase::Waiting }];
        }
        if let Some(change) = text.strip_prefix("Difficulty changed from ") {
            let difficulty = change.split_once(" to ").and_then(|(_, new)| hashes(new));
            self.current.difficulty = difficulty.and_then(whole);
            return vec![self.told()];
        }
        if REASONS.iter().any(|reason| text.starts_with(reason)) {
            return self.lost(Some(key), text);
        }
        if let Some(Some(observations)) = text.find("Retry to connect").map(|_| self.bare(text)) {
            return observations;
        }
        vec![Observation::Progress]
    }

    /// What a line without a tag says of a pool; absent when nothing.
    pub(crate) fn bare(&mut self, text: &str) -> Option<Vec<Observation>> {
        let reasons = ["stream truncated", "Retry to connect", "Disconnected from"];
        reasons.iter().any(|reason| text.starts_with(reason)).then(|| self.lost(None, text))
    }

    fn lost(&mut self, key: Option<&str>, why: &str) -> Vec<Observation> {
        if let Some(key) = key.filter(|key| self.addresses.contains_key(*key)) {
            self.current.url = self.address(key);
        }
        // The place in the program's source that follows helps nobody.
        let why = why.split(" - func:").next().unwrap_or(why).trim_end();
        // The first reason tells most: what follows only says that it is tried again.
        if self.current.error.is_none() {
            self.current.error = Some(cut(why));
        }
        self.current.connected = Some(false);
        self.current.difficulty = None;
        let shown = self.current.error.as_deref().unwrap_or_default();
        // 2024.3 does not print which pool it tries.
        let pool = match (self.current.url.as_str(), key) {
            ("", Some(key)) => key,
            (url, _) => url,
        };
        let message = cut(&format!("pool {pool}: {shown}"));
        vec![
            self.told(),
            Observation::Phase { phase: Phase::Degraded },
            Observation::Error { message },
        ]
    }

    fn told(&self) -> Observation {
        Observation::Pool(self.current.clone())
    }

    fn remember(&mut self, key: &str, text: &str) {
        let word = text.split_whitespace().next().unwrap_or_default();
        let address = word.split_once("://").map_or(word, |(_, address)| address);
        // What stands before an @ may be a wallet.
        let address = address.rsplit_once('@').map_or(address, |(_, address)| address);
        if self.addresses.len() < POOLS_MAX || self.addresses.contains_key(key) {
            self.addresses.insert(key.to_owned(), cut(address));
        }
    }

    fn address(&self, key: &str) -> String {
        self.addresses.get(key).cloned().unwrap_or_default()
    }
}

/// What stands behind `words`, which a colon or a blank ends.
fn behind<'a>(text: &'a str, words: &str) -> Option<&'a str> {
    text.strip_prefix(words)?.strip_prefix([':', ' '])
}

/// The nearest whole number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be in range before"
)]
fn whole(number: f64) -> Option<u64> {
    (number.is_finite() && (1.0..1e19).contains(&number)).then(|| number.round() as u64)
}
