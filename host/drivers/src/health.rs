//! How a driver has done so far.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use adit_plugin_api::ErrorKind;
use jiff::Timestamp;
use serde::Serialize;

use crate::{call::CallError, text::one_line};

/// Counts of a driver's calls since it was loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// Calls that ended, whatever their end.
    pub calls: u64,
    /// Calls that ended badly: panics, timeouts, and the driver's own internal errors. That a
    /// driver refuses a request or has nothing to say is no failure.
    pub failures: u64,
    /// Failures by a panic in the driver.
    pub panics: u64,
    /// Failures by a missed deadline.
    pub timeouts: u64,
    /// How often its process ended without being told to.
    pub crashes: u64,
    /// Calls that missed their deadline and have not returned yet.
    pub stuck: usize,
    /// How the calls of each entry point ended.
    #[serde(skip)]
    pub by_op: BTreeMap<&'static str, Outcomes>,
    /// How long the calls took.
    #[serde(skip)]
    pub took: Took,
    /// The most recent failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<Failure>,
}

/// Calls of one entry point by how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcomes {
    /// With an answer, be it a refusal.
    pub ok: u64,
    /// With an error of the driver's own, or the end of its process.
    pub failed: u64,
    /// With a panic.
    pub panicked: u64,
    /// Not before the deadline.
    pub timed_out: u64,
}

/// Upper ends of the classes of [`Took`], in seconds; the last class has no end.
pub const TOOK_S: [f64; 6] = [0.0001, 0.001, 0.01, 0.1, 1.0, 10.0];

/// How long calls took, in classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Took {
    /// Calls in each class of [`TOOK_S`], and those that took longer.
    pub counts: [u64; TOOK_S.len() + 1],
    /// All of them together.
    pub sum: Duration,
}

impl Took {
    fn add(&mut self, took: Duration) {
        let class = TOOK_S.iter().position(|end| took.as_secs_f64() <= *end);
        self.counts[class.unwrap_or(TOOK_S.len())] += 1;
        self.sum = self.sum.saturating_add(took);
    }
}

/// A call that ended badly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// Which entry point was called.
    pub op: String,
    /// What went wrong, on one line.
    pub message: String,
    /// When.
    pub at: Timestamp,
}

/// How many failures a driver is forgiven. Failures here are panics, missed deadlines and ends of its
/// process, not what a driver reports itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tolerance {
    /// So many failures are too many; 0: none ever are.
    pub failures: usize,
    /// Within this time.
    pub within: Duration,
}

impl Default for Tolerance {
    /// 20 in 10 minutes.
    fn default() -> Self {
        Self { failures: 20, within: Duration::from_secs(600) }
    }
}

/// Why a driver is not asked any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Quarantine {
    /// The last failure, on one line.
    pub reason: String,
    /// How many failures there were.
    pub count: usize,
    /// In how many seconds.
    pub within_s: u64,
    /// When it began.
    pub since: Timestamp,
}

/// Where a driver's calls are counted.
#[derive(Debug, Default)]
pub(crate) struct Record {
    tolerance: Tolerance,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    health: Health,
    /// When the last failures were.
    recent: VecDeque<Instant>,
    quarantine: Option<Quarantine>,
}

impl Record {
    pub(crate) fn new(tolerance: Tolerance) -> Self {
        Self { tolerance, state: Mutex::default() }
    }

    /// Notes how a call ended and how long it took. Returns the quarantine if it begins with this.
    pub(crate) fn note<T>(
        &self,
        op: &'static str,
        result: &Result<T, CallError>,
        took: Duration,
    ) -> Option<Quarantine> {
        let mut state = self.state();
        let health = &mut state.health;
        // The driver was not called at all.
        if let Err(
            CallError::Busy { .. }
            | CallError::Wedged { .. }
            | CallError::Resting { .. }
            | CallError::Quarantined { .. },
        ) = result
        {
            return None;
        }
        health.calls += 1;
        health.took.add(took);
        let outcomes = health.by_op.entry(op).or_default();
        let Err(error) = result else {
            outcomes.ok += 1;
            return None;
        };
        let mut counts = true;
        match error {
            CallError::Panicked { .. } => {
                health.panics += 1;
                outcomes.panicked += 1;
            }
            CallError::Deadline { .. } => {
                health.timeouts += 1;
                outcomes.timed_out += 1;
            }
            // The end itself is noted once, by `crashed`.
            CallError::Ended { .. } | CallError::Refused { kind: ErrorKind::Failed, .. } => {
                counts = false;
                outcomes.failed += 1;
            }
            CallError::Refused { .. } => {
                outcomes.ok += 1;
                return None;
            }
            _ => outcomes.failed += 1,
        }
        health.failures += 1;
        state.fail(error.op(), &error.to_string());
        if counts { state.judge(self.tolerance, &error.to_string()) } else { None }
    }

    /// Notes that the driver's process ended. Returns the quarantine if it begins with this.
    pub(crate) fn crashed(&self, cause: &str) -> Option<Quarantine> {
        let mut state = self.state();
        state.health.crashes += 1;
        state.fail("process", cause);
        state.judge(self.tolerance, cause)
    }

    pub(crate) fn read(&self, stuck: usize) -> Health {
        Health { stuck, ..self.state().health.clone() }
    }

    pub(crate) fn quarantine(&self) -> Option<Quarantine> {
        self.state().quarantine.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn fail(&mut self, op: &str, message: &str) {
        let (op, message) = (op.to_owned(), one_line(message));
        self.health.last_failure = Some(Failure { op, message, at: Timestamp::now() });
    }

    fn judge(&mut self, tolerance: Tolerance, reason: &str) -> Option<Quarantine> {
        let Tolerance { failures, within } = tolerance;
        if failures == 0 || self.quarantine.is_some() {
            return None;
        }
        let now = Instant::now();
        self.recent.push_back(now);
        self.recent.retain(|at| now.duration_since(*at) <= within);
        if self.recent.len() < failures {
            return None;
        }
        self.quarantine = Some(Quarantine {
            reason: one_line(reason),
            count: self.recent.len(),
            within_s: within.as_secs(),
            since: Timestamp::now(),
        });
        self.quarantine.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_failures_lead_to_quarantine_and_refusals_do_not() {
        let tolerance = Tolerance { failures: 3, within: Duration::from_secs(3600) };
        let record = Record::new(tolerance);
        let panicked = || Err::<(), _>(CallError::Panicked { op: "stats", message: "no".into() });
        let kind = ErrorKind::Invalid;
        let refused = Err::<(), _>(CallError::Refused { op: "start", kind, message: "x".into() });
        for _ in 0..10 {
            assert_eq!(record.note("start", &refused, Duration::ZERO), None);
        }
        assert_eq!(record.note("stats", &panicked(), Duration::from_millis(5)), None);
        assert_eq!(record.crashed("signal 11"), None);
        assert_eq!(record.note("stats", &Ok(()), Duration::from_secs(60)), None);
        let begun = record.note("stats", &panicked(), Duration::ZERO).unwrap();
        assert_eq!((begun.count, begun.reason.as_str(), begun.within_s), (3, "no", 3600));
        assert_eq!(record.note("stats", &panicked(), Duration::ZERO), None, "it begins once");
        assert_eq!(record.quarantine(), Some(begun));
        let health = record.read(0);
        assert_eq!((health.panics, health.crashes, health.calls), (3, 1, 14));
        let outcomes = |op: &str| health.by_op[op];
        assert_eq!(outcomes("start"), Outcomes { ok: 10, ..Outcomes::default() });
        assert_eq!(outcomes("stats"), Outcomes { ok: 1, panicked: 3, ..Outcomes::default() });
        assert_eq!(health.took.counts, [12, 0, 1, 0, 0, 0, 1]);
        assert_eq!(health.took.sum, Duration::from_millis(60_005));
    }

    #[test]
    fn a_tolerance_of_none_never_ends() {
        let record = Record::new(Tolerance { failures: 0, ..Tolerance::default() });
        for _ in 0..1000 {
            assert_eq!(record.crashed("signal 6"), None);
        }
    }
}
