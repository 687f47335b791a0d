//! What is done about a sick run: restart, next pool, stop; and how often.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::watchdog::{Cause, limits::Limits};

const HOUR_MS: i64 = 3_600_000;

/// Something the watchdog does.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Remedy {
    /// Ends the run and begins a new one.
    Restart,
    /// Goes to the next pool.
    NextPool,
    /// Returns to the first pool, which can be reached again.
    FirstPool,
    /// Stops the miner.
    Stop,
}

impl Remedy {
    /// Every remedy.
    pub const ALL: [Self; 4] = [Self::Restart, Self::NextPool, Self::FirstPool, Self::Stop];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::NextPool => "next-pool",
            Self::FirstPool => "first-pool",
            Self::Stop => "stop",
        }
    }
}

/// What to do about a sick run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// This.
    Do(Remedy),
    /// Nothing but an alert, for this reason.
    Alert(&'static str),
}

/// What was done for one miner so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ladder {
    /// Rung that comes next for a sick run.
    rung: u8,
    /// A dead device had its restart.
    device_restarted: bool,
    /// Times of actions within the last hour, in Unix milliseconds.
    actions_ms: Vec<i64>,
    /// Watched time since the last action without trouble.
    well: Duration,
}

impl Ladder {
    /// Notes a look at a run in which nothing was wrong, `gap` after the one before.
    pub fn well(&mut self, gap: Duration, limits: &Limits) {
        self.well += gap;
        if self.well >= limits.healthy {
            (self.rung, self.device_restarted) = (0, false);
        }
    }

    /// Notes a look at a run in which something was wrong.
    pub fn unwell(&mut self) {
        self.well = Duration::ZERO;
    }

    /// What to do about `cause` at `now_ms`. Changes nothing: [`Ladder::done`] does.
    pub fn next(&self, cause: Cause, has_next_pool: bool, now_ms: i64, limits: &Limits) -> Step {
        if limits.warn_only {
            return Step::Alert("the watchdog is set to warn only");
        }
        if self.recent(now_ms) >= limits.actions_per_hour {
            return Step::Alert("it has acted as often as it may within an hour");
        }
        match cause {
            Cause::NoPool if has_next_pool => Step::Do(Remedy::NextPool),
            Cause::NoPool => Step::Alert("there is no other pool, and the miner is not at fault"),
            // The other devices earn on: the run is never stopped for one.
            Cause::DeadDevice if self.device_restarted => {
                Step::Alert("a restart did not bring the device back")
            }
            Cause::DeadDevice => Step::Do(Remedy::Restart),
            Cause::Slow | Cause::Rejected | Cause::NoShares | Cause::NoApi => {
                Step::Alert("this is only warned of")
            }
            Cause::NoStart | Cause::Frozen | Cause::StuckPreparing | Cause::NotHashing => {
                Step::Do(match self.rung {
                    0 => Remedy::Restart,
                    1 if has_next_pool => Remedy::NextPool,
                    1 => Remedy::Restart,
                    _ => Remedy::Stop,
                })
            }
        }
    }

    /// Whether the miner may return to its first pool at `now_ms`. One action of the hour is left for
    /// the case that the pool goes away again.
    pub fn may_return(&self, now_ms: i64, limits: &Limits) -> bool {
        let most = limits.actions_per_hour.saturating_sub(1).max(1);
        !limits.warn_only && self.recent(now_ms) < most
    }

    /// Actions within the last hour. A clock that was set back must not keep old ones forever.
    fn recent(&self, now_ms: i64) -> usize {
        let hour = now_ms - HOUR_MS..=now_ms;
        self.actions_ms.iter().filter(|at| hour.contains(at)).count()
    }

    /// Notes that `remedy` was applied for `cause` at `now_ms`.
    pub fn done(&mut self, cause: Cause, remedy: Remedy, now_ms: i64) {
        self.well = Duration::ZERO;
        self.actions_ms.retain(|at| (now_ms - HOUR_MS..=now_ms).contains(at));
        self.actions_ms.push(now_ms);
        match cause {
            Cause::NoPool => {}
            Cause::DeadDevice => self.device_restarted = true,
            // After a stop and another try, the miner is stopped again at once.
            _ if remedy == Remedy::Stop => {}
            _ => self.rung = self.rung.saturating_add(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watchdog::limits::Options;

    fn limits(actions_per_hour: u32) -> Limits {
        let options = Options { actions_per_hour: Some(actions_per_hour), ..Options::default() };
        Limits::new(&options, &[].into())
    }

    /// What is done for each of `causes`, one a minute.
    fn course(causes: &[Cause], has_next_pool: bool, limits: &Limits) -> Vec<Step> {
        let mut ladder = Ladder::default();
        let mut steps = Vec::new();
        for (minute, cause) in (0..).zip(causes) {
            let now_ms = minute * 60_000;
            let step = ladder.next(*cause, has_next_pool, now_ms, limits);
            if let Step::Do(remedy) = step {
                ladder.done(*cause, remedy, now_ms);
            }
            steps.push(step);
        }
        steps
    }

    #[test]
    fn the_ladder_is_restart_next_pool_stop() {
        use Remedy::{NextPool, Restart, Stop};
        let sick = [Cause::Frozen, Cause::NotHashing, Cause::Frozen, Cause::Frozen];
        let steps = course(&sick, true, &limits(10));
        assert_eq!(steps, [Restart, NextPool, Stop, Stop].map(Step::Do));
        let steps = course(&sick, false, &limits(10));
        assert_eq!(steps, [Restart, Restart, Stop, Stop].map(Step::Do));
    }

    #[test]
    fn actions_are_limited_within_an_hour() {
        let steps = course(&[Cause::NoPool; 5], true, &limits(3));
        assert_eq!(steps[..3], [Step::Do(Remedy::NextPool); 3]);
        assert!(matches!(steps[3..], [Step::Alert(_), Step::Alert(_)]), "{steps:?}");
        let mut ladder = Ladder::default();
        ladder.done(Cause::Frozen, Remedy::Restart, 0);
        let step = |now_ms| ladder.next(Cause::Frozen, true, now_ms, &limits(1));
        assert!(matches!(step(HOUR_MS), Step::Alert(_)));
        assert_eq!(step(HOUR_MS + 1), Step::Do(Remedy::NextPool));
        // The clock was set back by two hours.
        assert_eq!(step(-2 * HOUR_MS), Step::Do(Remedy::NextPool));
        assert!(matches!(course(&[Cause::Frozen], true, &limits(0))[..], [Step::Alert(_)]));
    }

    #[test]
    fn a_lost_pool_never_restarts_or_stops_a_miner() {
        for step in course(&[Cause::NoPool; 20], false, &limits(60)) {
            assert!(matches!(step, Step::Alert(_)), "{step:?}");
        }
    }

    #[test]
    fn one_dead_device_costs_one_restart_and_never_the_others() {
        let steps = course(&[Cause::DeadDevice; 3], true, &limits(60));
        assert_eq!(steps[0], Step::Do(Remedy::Restart));
        assert!(matches!(steps[1..], [Step::Alert(_), Step::Alert(_)]), "{steps:?}");
    }

    #[test]
    fn what_is_in_doubt_is_never_acted_on() {
        for cause in [Cause::Slow, Cause::Rejected, Cause::NoShares, Cause::NoApi] {
            assert!(matches!(course(&[cause], true, &limits(60))[..], [Step::Alert(_)]));
        }
        let options = Options { warn_only: Some(true), ..Options::default() };
        let limits = Limits::new(&options, &[].into());
        assert!(matches!(course(&[Cause::Frozen], true, &limits)[..], [Step::Alert(_)]));
    }

    #[test]
    fn a_return_to_the_first_pool_leaves_an_action_for_the_next_outage() {
        for (actions_per_hour, done, expected) in
            [(3, 0, true), (3, 1, true), (3, 2, false), (1, 0, true), (1, 1, false)]
        {
            let mut ladder = Ladder::default();
            (0..done).for_each(|n| ladder.done(Cause::NoPool, Remedy::NextPool, n));
            let limits = limits(actions_per_hour);
            assert_eq!(ladder.may_return(HOUR_MS, &limits), expected, "{actions_per_hour} {done}");
            assert!(ladder.may_return(2 * HOUR_MS, &limits));
        }
    }

    #[test]
    fn a_healthy_hour_leads_back_to_the_foot() {
        let limits = limits(60);
        let mut ladder = Ladder::default();
        ladder.done(Cause::Frozen, Remedy::Restart, 0);
        ladder.well(limits.healthy / 2, &limits);
        ladder.unwell();
        ladder.well(limits.healthy / 2, &limits);
        assert_eq!(ladder.next(Cause::Frozen, true, 0, &limits), Step::Do(Remedy::NextPool));
        ladder.well(limits.healthy / 2, &limits);
        assert_eq!(ladder.next(Cause::Frozen, true, 0, &limits), Step::Do(Remedy::Restart));
    }
}
