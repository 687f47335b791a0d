//! When to do which step of a stop plan. Pure: time comes in, actions come out.

use std::{time::Duration, vec};

use adit_plugin_api::{StopAction, StopPlan, StopStep};
use rustix::process::Signal;

/// Pause between two SIGKILLs to a run that does not end.
const KILL_AGAIN: Duration = Duration::from_secs(1);

/// Longest grace time of a step: a plan cannot postpone the end for ever.
pub const LONGEST_GRACE: Duration = Duration::from_hours(1);

/// A stop under way. Times are since the start of the keeper.
#[derive(Debug)]
pub(crate) struct Ladder {
    steps: vec::IntoIter<StopStep>,
    due: Duration,
}

/// What the keeper has to do now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Send this signal to the process group.
    Signal(Signal),
    /// Write this to the program's stdin.
    Input(String),
    /// Send SIGKILL to everything.
    Kill,
}

impl Ladder {
    /// Begins with the first step of `plan` at `now`.
    pub(crate) fn new(plan: StopPlan, now: Duration) -> Self {
        Self { steps: plan.steps.into_iter(), due: now }
    }

    /// The action due at `now`, if one is.
    pub(crate) fn act(&mut self, now: Duration) -> Option<Act> {
        if now < self.due {
            return None;
        }
        for step in self.steps.by_ref() {
            let act = match step.action {
                StopAction::Signal { signal } => signal_named(&signal).map(Act::Signal),
                StopAction::Stdin { input } => Some(Act::Input(input)),
                // A step of a later version.
                _ => None,
            };
            if act.is_some() {
                self.due = now + step.grace.min(LONGEST_GRACE);
                return act;
            }
        }
        self.due = now + KILL_AGAIN;
        Some(Act::Kill)
    }

    /// When the next action is due.
    pub(crate) fn due(&self) -> Duration {
        self.due
    }
}

/// The signal of this name, with or without `SIG`; only those that a driver or operator may send.
pub(crate) fn signal_named(name: &str) -> Option<Signal> {
    Some(match name.strip_prefix("SIG").unwrap_or(name) {
        "TERM" => Signal::TERM,
        "INT" => Signal::INT,
        "HUP" => Signal::HUP,
        "QUIT" => Signal::QUIT,
        "USR1" => Signal::USR1,
        "USR2" => Signal::USR2,
        "KILL" => Signal::KILL,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signal(name: &str, grace_ms: u64) -> StopStep {
        let action = StopAction::Signal { signal: name.to_owned() };
        StopStep { action, grace: Duration::from_millis(grace_ms) }
    }

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn steps_come_in_order_with_their_graces_and_then_kill_again_and_again() {
        let input = StopAction::Stdin { input: "q".to_owned() };
        let steps = vec![StopStep { action: input, grace: at(50) }, signal("SIGTERM", 100)];
        let mut ladder = Ladder::new(StopPlan { steps }, at(10));
        assert_eq!(ladder.act(at(9)), None);
        assert_eq!(ladder.act(at(10)), Some(Act::Input("q".to_owned())));
        assert_eq!(ladder.act(at(59)), None);
        assert_eq!(ladder.act(at(60)), Some(Act::Signal(Signal::TERM)));
        assert_eq!(ladder.act(at(159)), None);
        assert_eq!(ladder.act(at(160)), Some(Act::Kill));
        assert_eq!(ladder.act(at(161)), None);
        assert_eq!(ladder.act(at(1160)), Some(Act::Kill));
    }

    #[test]
    fn steps_of_unknown_kind_cost_no_time_and_an_endless_grace_is_cut() {
        let unknown = StopStep { action: StopAction::Unknown, grace: at(99_999) };
        let endless = StopStep { grace: Duration::MAX, ..signal("INT", 0) };
        let steps = vec![unknown, signal("WINCH", 99_999), endless];
        let mut ladder = Ladder::new(StopPlan { steps }, at(0));
        assert_eq!(ladder.act(at(0)), Some(Act::Signal(Signal::INT)));
        assert_eq!(ladder.due(), LONGEST_GRACE);
    }
}
