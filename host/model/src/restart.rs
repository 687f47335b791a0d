//! When a program that ended by itself is started again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What to do when a miner's program ends by itself. Times are whole seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RestartPolicy {
    /// Pause before the first restart, in seconds; doubled with each further one.
    pub first_pause_s: u32,
    /// Longest pause, in seconds.
    pub longest_pause_s: u32,
    /// A run that lasted this long, in seconds, counts as healthy and resets the pause.
    pub healthy_after_s: u32,
    /// This many ends by itself …
    pub crash_loop_exits: u32,
    /// … within this many seconds make the miner `failed`.
    pub crash_loop_window_s: u32,
    /// A failed miner is tried again after this many seconds; 0: never.
    pub retry_failed_after_s: u32,
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self {
            first_pause_s: 1,
            longest_pause_s: 60,
            healthy_after_s: 60,
            crash_loop_exits: 5,
            crash_loop_window_s: 120,
            retry_failed_after_s: 300,
        }
    }
}

/// What the host remembers of a miner's ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// Short runs in a row.
    short: u32,
    /// When runs ended by themselves, in Unix milliseconds, oldest first.
    recent_ms: Vec<i64>,
}

/// What comes after a run that ended by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Start it again after this pause.
    Restart(Duration),
    /// It ended too often: the miner has failed. Try it again after this pause, if at all.
    Failed(Option<Duration>),
}

impl RestartPolicy {
    /// Judges a run that ended by itself at `now_ms` (Unix milliseconds) after `lasted`.
    ///
    /// `spread` is a random number from 0 to 1: pauses differ by up to a quarter, so that miners
    /// that fell together do not come back together.
    pub fn after_end(&self, ends: &mut Ends, lasted: Duration, now_ms: i64, spread: f64) -> Next {
        if lasted >= seconds(self.healthy_after_s) {
            *ends = Ends::default();
        }
        let window_ms = i64::from(self.crash_loop_window_s) * 1000;
        // A clock that was set back must not keep old ends forever.
        ends.recent_ms.retain(|at| (now_ms - window_ms..=now_ms).contains(at));
        ends.recent_ms.push(now_ms);
        ends.short = ends.short.saturating_add(1);
        if ends.recent_ms.len() >= self.crash_loop_exits.max(1) as usize {
            return Next::Failed(self.retry_failed());
        }
        let doubled = seconds(self.first_pause_s) * 2_u32.saturating_pow((ends.short - 1).min(16));
        let pause = doubled.min(seconds(self.longest_pause_s.max(self.first_pause_s)));
        Next::Restart(pause.mul_f64(0.75 + spread.clamp(0.0, 1.0) / 2.0))
    }

    /// When a miner that cannot be started is tried again, if at all.
    pub fn retry_failed(&self) -> Option<Duration> {
        (self.retry_failed_after_s > 0).then(|| seconds(self.retry_failed_after_s))
    }
}

fn seconds(count: u32) -> Duration {
    Duration::from_secs(u64::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_secs(2);
    const LONG: Duration = Duration::from_secs(3600);

    fn roomy() -> RestartPolicy {
        RestartPolicy { crash_loop_exits: 1000, ..RestartPolicy::default() }
    }

    #[test]
    fn the_pause_doubles_up_to_its_limit() {
        let mut ends = Ends::default();
        let pauses = (0..9).map(|n| roomy().after_end(&mut ends, SHORT, n * 1000, 0.5));
        let expected = [1, 2, 4, 8, 16, 32, 60, 60, 60].map(|s| Next::Restart(seconds(s)));
        assert_eq!(pauses.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_healthy_run_resets_the_pause() {
        let mut ends = Ends::default();
        for n in 0..5 {
            roomy().after_end(&mut ends, SHORT, n, 0.5);
        }
        let next = roomy().after_end(&mut ends, LONG, 9, 0.5);
        assert_eq!(next, Next::Restart(seconds(1)));
    }

    #[test]
    fn pauses_are_spread_by_a_quarter() {
        let pause = |spread| roomy().after_end(&mut Ends::default(), SHORT, 0, spread);
        assert_eq!(pause(0.0), Next::Restart(Duration::from_millis(750)));
        assert_eq!(pause(1.0), Next::Restart(Duration::from_millis(1250)));
        assert_eq!(pause(f64::INFINITY), Next::Restart(Duration::from_millis(1250)));
    }

    #[test]
    fn too_many_ends_in_the_window_are_a_failure() {
        let policy = RestartPolicy::default();
        let mut ends = Ends::default();
        for n in 0..4 {
            let next = policy.after_end(&mut ends, SHORT, n * 1000, 0.5);
            assert!(matches!(next, Next::Restart(_)), "{next:?}");
        }
        let next = policy.after_end(&mut ends, SHORT, 4000, 0.5);
        assert_eq!(next, Next::Failed(Some(seconds(300))));
        let never = RestartPolicy { retry_failed_after_s: 0, ..policy };
        assert_eq!(never.after_end(&mut ends, SHORT, 5000, 0.5), Next::Failed(None));
    }

    #[test]
    fn ends_outside_the_window_do_not_count_nor_do_those_of_the_future() {
        let policy = RestartPolicy::default();
        let mut ends = Ends::default();
        for at in [0, 60_000, 130_000, 190_000, 260_000, 320_000, 1_000, 2_000] {
            let next = policy.after_end(&mut ends, SHORT, at, 0.5);
            assert!(matches!(next, Next::Restart(_)), "{next:?} at {at}");
        }
    }
}
