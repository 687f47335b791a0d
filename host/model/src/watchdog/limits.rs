//! How patient the watchdog is: the operator's word, else the driver's, else the host's own.

use std::{collections::BTreeMap, time::Duration};

use adit_plugin_api::Phase;
use serde::{Deserialize, Serialize};

/// What can be set, for all miners or for one. What is absent is taken from the next source.
/// Times are whole seconds of watched time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Options {
    /// Whether it judges at all; yes when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Whether it only warns and never acts; no when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warn_only: Option<bool>,
    /// Until the first sign of life.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starting_s: Option<u32>,
    /// For a dataset, a DAG or kernels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preparing_s: Option<u32>,
    /// Without a hashrate before the first share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_s: Option<u32>,
    /// Without a pool, before another one is tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool_s: Option<u32>,
    /// Without output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silence_s: Option<u32>,
    /// Without an answer of the API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_s: Option<u32>,
    /// At a hashrate of 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zero_s: Option<u32>,
    /// Without a share, at least; a miner whose shares are rarer has more time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share_s: Option<u32>,
    /// With a device that makes no hashes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_s: Option<u32>,
    /// At less than half of the usual hashrate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slow_s: Option<u32>,
    /// Actions within an hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actions_per_hour: Option<u32>,
    /// Without trouble, until the ladder of actions begins at its foot again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthy_s: Option<u32>,
    /// Until a miner that was stopped gets another try; 0: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_s: Option<u32>,
    /// How long the first pool must be reachable before a miner returns to it that the watchdog sent
    /// to another one; 0: until the operator starts it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub return_s: Option<u32>,
    /// Whether it mines solo and may never find a share: missing shares are then no reason to warn;
    /// no when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub solo: Option<bool>,
}

impl Options {
    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// These options, and for what they leave out those of `others`.
    #[must_use]
    pub fn or(&self, others: &Self) -> Self {
        Self {
            enabled: self.enabled.or(others.enabled),
            warn_only: self.warn_only.or(others.warn_only),
            starting_s: self.starting_s.or(others.starting_s),
            preparing_s: self.preparing_s.or(others.preparing_s),
            waiting_s: self.waiting_s.or(others.waiting_s),
            pool_s: self.pool_s.or(others.pool_s),
            silence_s: self.silence_s.or(others.silence_s),
            api_s: self.api_s.or(others.api_s),
            zero_s: self.zero_s.or(others.zero_s),
            share_s: self.share_s.or(others.share_s),
            device_s: self.device_s.or(others.device_s),
            slow_s: self.slow_s.or(others.slow_s),
            actions_per_hour: self.actions_per_hour.or(others.actions_per_hour),
            healthy_s: self.healthy_s.or(others.healthy_s),
            retry_s: self.retry_s.or(others.retry_s),
            return_s: self.return_s.or(others.return_s),
            solo: self.solo.or(others.solo),
        }
    }

    /// Refuses values that make no sense.
    ///
    /// # Errors
    /// Which field, and what to write.
    pub fn check(&self) -> Result<(), BadOption> {
        const WEEK_S: u32 = 7 * 86_400;
        let times = [
            ("starting_s", self.starting_s),
            ("preparing_s", self.preparing_s),
            ("waiting_s", self.waiting_s),
            ("pool_s", self.pool_s),
            ("silence_s", self.silence_s),
            ("api_s", self.api_s),
            ("zero_s", self.zero_s),
            ("share_s", self.share_s),
            ("device_s", self.device_s),
            ("slow_s", self.slow_s),
            ("healthy_s", self.healthy_s),
        ];
        let wrong = |field, what: String| Err(BadOption { field, what });
        for (field, value) in times {
            if value.is_some_and(|value| !(1..=WEEK_S).contains(&value)) {
                return wrong(field, format!("write 1 to {WEEK_S} seconds"));
            }
        }
        for (field, value) in [("retry_s", self.retry_s), ("return_s", self.return_s)] {
            if value.is_some_and(|value| value > WEEK_S) {
                return wrong(field, format!("write at most {WEEK_S} seconds, or 0 for never"));
            }
        }
        if self.actions_per_hour.is_some_and(|value| value > 60) {
            return wrong("actions_per_hour", "write at most 60".to_owned());
        }
        Ok(())
    }
}

/// An option that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadOption {
    /// Its name as in the settings file.
    pub field: &'static str,
    /// What to write instead.
    pub what: String,
}

impl BadOption {
    /// Its name as in JSON.
    pub fn name(&self) -> String {
        let mut words = self.field.split('_');
        let mut name = words.next().unwrap_or_default().to_owned();
        for word in words {
            let (first, rest) = word.split_at(1);
            name.push_str(&first.to_ascii_uppercase());
            name.push_str(rest);
        }
        name
    }
}

impl std::fmt::Display for BadOption {
    /// With its name as in JSON.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}: {}", self.name(), self.what)
    }
}

/// How patient the watchdog is with one miner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Whether it judges at all.
    pub enabled: bool,
    /// Whether it never acts.
    pub warn_only: bool,
    /// The operator works on the miner until then, in Unix milliseconds.
    pub maintenance_until_ms: Option<i64>,
    /// How long a phase may last without hashes and without progress.
    pub phases: BTreeMap<Phase, Duration>,
    /// Without a pool; absent: as long as the driver says.
    pub pool: Option<Duration>,
    /// Without output.
    pub silence: Duration,
    /// Without an answer of the API.
    pub api: Duration,
    /// At a hashrate of 0.
    pub zero: Duration,
    /// Without a share, at least.
    pub share: Duration,
    /// With a device that makes no hashes.
    pub device: Duration,
    /// At less than half of the usual hashrate.
    pub slow: Duration,
    /// Actions within an hour.
    pub actions_per_hour: usize,
    /// Without trouble, until the ladder begins at its foot.
    pub healthy: Duration,
    /// Until a stopped miner is tried again.
    pub retry: Option<Duration>,
    /// With the first pool reachable, until a miner returns to it.
    pub back: Option<Duration>,
    /// Whether it mines solo.
    pub solo: bool,
}

impl Limits {
    /// The limits from the operator's options and the driver's limits of phases.
    pub fn new(options: &Options, driver: &BTreeMap<Phase, Duration>) -> Self {
        let or = |set: Option<u32>, own: u32| Duration::from_secs(u64::from(set.unwrap_or(own)));
        let set = |value: Option<u32>| value.map(|s| Duration::from_secs(u64::from(s)));
        let mut phases = BTreeMap::from([
            (Phase::Starting, Duration::from_secs(120)),
            (Phase::Preparing, Duration::from_secs(1800)),
            (Phase::Connecting, Duration::from_secs(300)),
            (Phase::Waiting, Duration::from_secs(3600)),
            (Phase::Degraded, Duration::from_secs(600)),
        ]);
        phases.extend(driver.iter().map(|(phase, limit)| (*phase, *limit)));
        for (phase, value) in [
            (Phase::Starting, options.starting_s),
            (Phase::Preparing, options.preparing_s),
            (Phase::Waiting, options.waiting_s),
        ] {
            phases.extend(set(value).map(|limit| (phase, limit)));
        }
        Self {
            enabled: options.enabled.unwrap_or(true),
            warn_only: options.warn_only.unwrap_or(false),
            maintenance_until_ms: None,
            phases,
            pool: set(options.pool_s),
            silence: or(options.silence_s, 300),
            api: or(options.api_s, 180),
            zero: or(options.zero_s, 300),
            share: or(options.share_s, 900),
            device: or(options.device_s, 600),
            slow: or(options.slow_s, 900),
            actions_per_hour: options.actions_per_hour.unwrap_or(3) as usize,
            healthy: or(options.healthy_s, 3600),
            retry: Some(or(options.retry_s, 3600)).filter(|it| !it.is_zero()),
            back: Some(or(options.return_s, 300)).filter(|it| !it.is_zero()),
            solo: options.solo.unwrap_or(false),
        }
    }

    /// How long `phase` may last; `None`: for ever.
    pub fn phase(&self, phase: Phase) -> Option<Duration> {
        self.phases.get(&phase).copied()
    }

    /// How long a run may be without a pool.
    pub fn pool(&self, phase: Phase) -> Duration {
        let own = || match phase {
            Phase::Connecting => self.phase(phase),
            _ => self.phase(Phase::Degraded),
        };
        self.pool.or_else(own).unwrap_or(Duration::from_secs(600))
    }
}
