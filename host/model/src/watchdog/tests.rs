//! Whole courses of runs, judged at every look.

use adit_plugin_api::{DeviceMetrics, PoolMetrics};

use super::*;
use crate::watchdog::{
    baseline::{Baseline, Baselines, Key},
    limits::Options,
    look::{Look, Signs},
};

/// Time between two looks, in seconds.
const STEP_S: i64 = 10;
const MINUTE: i64 = 60;
const HOUR: i64 = 3600;

/// A run that is played, one look after the other.
struct Play {
    history: History,
    limits: Limits,
    look: Look,
    verdicts: Vec<Verdict>,
}

/// What the driver of the tests says about phases.
fn driver() -> std::collections::BTreeMap<Phase, Duration> {
    [(Phase::Preparing, 15), (Phase::Waiting, 120), (Phase::Degraded, 5), (Phase::Connecting, 5)]
        .map(|(phase, minutes)| (phase, Duration::from_secs(60 * minutes)))
        .into()
}

impl Play {
    fn new() -> Self {
        Self::with(&Options::default(), Baselines::default())
    }

    fn with(options: &Options, baselines: Baselines) -> Self {
        let interval = Duration::from_secs(u64::try_from(STEP_S).unwrap());
        let signs = Signs { has_api: true, cpu_ms: Some(0), ..Signs::default() };
        Self {
            history: History::new(interval, 60, baselines),
            limits: Limits::new(options, &driver()),
            look: Look { at_ms: 1_800_000_000_000, signs, ..Look::default() },
            verdicts: Vec::new(),
        }
    }

    /// Lets `seconds` pass; `change` makes each look of the one before.
    fn go(mut self, seconds: i64, mut change: impl FnMut(&mut Look, i64)) -> Self {
        for passed in (0..seconds).step_by(usize::try_from(STEP_S).unwrap()) {
            self.look.at_ms += STEP_S * 1000;
            change(&mut self.look, passed);
            self.history.see(self.look.clone());
            let now_ms = self.look.at_ms;
            let verdict = verdict(&self.history, self.look.phase, now_ms, &self.limits);
            self.verdicts.push(verdict);
        }
        self
    }

    /// As a healthy miner does with a share a minute.
    fn mine(self, seconds: i64) -> Self {
        self.go(seconds, |look, passed| {
            mining(look);
            if passed % 60 == 0 {
                share(look);
            }
        })
    }

    fn sick(&self) -> Option<&Finding> {
        self.verdicts.iter().find_map(|it| match it {
            Verdict::Sick(finding) => Some(finding),
            _ => None,
        })
    }

    fn warned(&self) -> Option<&Finding> {
        self.verdicts.iter().find_map(|it| match it {
            Verdict::Warning(finding) => Some(finding),
            _ => None,
        })
    }

    #[track_caller]
    fn is_healthy(&self) {
        let found = self.verdicts.iter().find(|it| it.finding().is_some());
        assert_eq!(found, None);
        assert!(!self.verdicts.is_empty());
    }

    #[track_caller]
    fn is_only_warned(&self, cause: Cause) {
        assert_eq!(self.sick(), None);
        assert_eq!(self.warned().map(|it| it.cause), Some(cause), "{:?}", self.verdicts.last());
    }

    #[track_caller]
    fn is_sick(&self, cause: Cause) -> &Finding {
        let finding = self.sick().unwrap_or_else(|| panic!("{:?}", self.verdicts.last()));
        assert_eq!(finding.cause, cause, "{finding}");
        let witnesses = if cause == Cause::NoPool { 1 } else { 2 };
        assert!(finding.signals.len() >= witnesses, "{finding}");
        finding
    }

    /// The last verdict alone.
    fn now(mut self) -> Self {
        let last = self.verdicts.pop();
        self.verdicts = last.into_iter().collect();
        self
    }

    fn forget_verdicts(mut self) -> Self {
        self.verdicts.clear();
        self
    }
}

fn answers(look: &mut Look) {
    look.signs.api_replies += 1;
    look.signs.cpu_ms = look.signs.cpu_ms.map(|it| it + 5_000);
}

fn prints(look: &mut Look) {
    look.signs.lines += 1;
}

fn rate(look: &mut Look, hashrate: f64) {
    look.metrics.hashrate = Some(hashrate);
    look.metrics.algorithm = Some("rx/0".to_owned());
    let total = look.metrics.hashes_total.unwrap_or(0);
    // Tests have small numbers.
    look.metrics.hashes_total = Some(total + u64::from(hashrate > 0.0) * 100_000);
}

fn share(look: &mut Look) {
    look.metrics.shares = Some(look.metrics.shares.unwrap_or(0) + 1);
    look.signs.shares += 1;
    prints(look);
}

fn pool(look: &mut Look, connected: bool) {
    let url = "pool.example:3333".to_owned();
    look.metrics.pool =
        Some(PoolMetrics { url, connected: Some(connected), ..PoolMetrics::default() });
}

/// What a healthy miner shows at every look.
fn mining(look: &mut Look) {
    look.phase = Phase::Mining;
    answers(look);
    rate(look, 12_500.0);
    pool(look, true);
    prints(look);
    look.signs.progress += 1;
    look.signs.hashing += 1;
}

/// The same without a hash.
fn idle(look: &mut Look) {
    look.phase = Phase::Mining;
    answers(look);
    rate(look, 0.0);
    pool(look, true);
    prints(look);
    look.signs.idle += 1;
}

/// Six devices, of which `dead` makes nothing; the others find shares in turn.
fn six(look: &mut Look, dead: Option<usize>, passed: i64) {
    let before = look.metrics.devices.clone();
    let finder = usize::try_from(passed / STEP_S).unwrap() % 6;
    look.metrics.devices = (0..6)
        .map(|n| {
            let lives = dead != Some(n);
            let accepted = before.get(n).and_then(|it| it.accepted).unwrap_or(0);
            let found = lives && finder == n;
            if found {
                look.metrics.shares = Some(look.metrics.shares.unwrap_or(0) + 1);
            }
            DeviceMetrics {
                id: format!("pci:0000:0{n}:00.0"),
                hashrate: Some(if lives { 30e6 } else { 0.0 }),
                accepted: Some(accepted + u64::from(found)),
                power: Some(if lives { 120.0 } else { 15.0 }),
                ..DeviceMetrics::default()
            }
        })
        .collect();
}

mod healthy;
mod sick;
