//! What the reconciler does next, decided from what is wanted and what is seen.

use crate::miner::Desired;

/// What is seen of a miner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// No process of it lives and its last end, if any, was dealt with.
    Nothing,
    /// A run that the host is not connected to.
    Stray,
    /// A run that the host is connected to.
    Running,
    /// The same, and a stop is under way.
    Stopping,
    /// A run ended or was lost, and that was not dealt with yet.
    Ended,
    /// A keeper is being started by somebody.
    Starting,
    /// A keeper lives that has not answered for a while.
    Silent,
    /// A run that was to end and has not, long after its stop plan.
    Overdue,
    /// Processes of a run live without their keeper.
    Orphaned,
}

/// Whether a start may happen now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// At once.
    Over,
    /// Not yet: backing off, or failed and waiting for the next try.
    Lasts,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// All is as it should be.
    Rest,
    /// Connect to the run.
    Adopt,
    /// Launch the program.
    Start,
    /// Begin to end the run.
    Stop,
    /// End the run without its keeper's help.
    End,
    /// Write the end down and choose the pause after it.
    Settle,
    /// Kill what is left of a run.
    KillOrphans,
    /// Look again in a moment.
    LookAgain,
}

/// The next action. Called again after each one, so that it need not know how it got here.
pub fn next(desired: Desired, seen: Seen, pause: Pause) -> Action {
    match (seen, desired) {
        (Seen::Stray, _) => Action::Adopt,
        (Seen::Ended, _) => Action::Settle,
        // A run that cannot be seen may be hashing all the same.
        (Seen::Starting, _) | (Seen::Silent, Desired::Running) => Action::LookAgain,
        (Seen::Silent, Desired::Stopped) | (Seen::Overdue, _) => Action::End,
        (Seen::Orphaned, _) => Action::KillOrphans,
        (Seen::Running, Desired::Stopped) => Action::Stop,
        (Seen::Nothing, Desired::Running) if pause == Pause::Over => Action::Start,
        (Seen::Running | Seen::Stopping | Seen::Nothing, _) => Action::Rest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_table() {
        use Desired::{Running, Stopped};
        for (desired, seen, pause, expected) in [
            (Running, Seen::Nothing, Pause::Over, Action::Start),
            (Running, Seen::Nothing, Pause::Lasts, Action::Rest),
            (Running, Seen::Running, Pause::Over, Action::Rest),
            (Running, Seen::Stopping, Pause::Over, Action::Rest),
            (Running, Seen::Stray, Pause::Lasts, Action::Adopt),
            (Running, Seen::Ended, Pause::Lasts, Action::Settle),
            (Running, Seen::Orphaned, Pause::Over, Action::KillOrphans),
            (Running, Seen::Silent, Pause::Over, Action::LookAgain),
            (Running, Seen::Overdue, Pause::Over, Action::End),
            (Running, Seen::Starting, Pause::Over, Action::LookAgain),
            (Stopped, Seen::Nothing, Pause::Over, Action::Rest),
            (Stopped, Seen::Running, Pause::Over, Action::Stop),
            (Stopped, Seen::Stopping, Pause::Over, Action::Rest),
            (Stopped, Seen::Stray, Pause::Over, Action::Adopt),
            (Stopped, Seen::Ended, Pause::Over, Action::Settle),
            (Stopped, Seen::Orphaned, Pause::Over, Action::KillOrphans),
            (Stopped, Seen::Starting, Pause::Over, Action::LookAgain),
            (Stopped, Seen::Silent, Pause::Over, Action::End),
            (Stopped, Seen::Overdue, Pause::Over, Action::End),
        ] {
            assert_eq!(next(desired, seen, pause), expected, "{desired:?} {seen:?} {pause:?}");
        }
    }

    #[test]
    fn nothing_is_started_while_anything_of_the_miner_lives() {
        for seen in [
            Seen::Stray,
            Seen::Running,
            Seen::Stopping,
            Seen::Starting,
            Seen::Silent,
            Seen::Overdue,
            Seen::Orphaned,
        ] {
            assert_ne!(next(Desired::Running, seen, Pause::Over), Action::Start);
        }
    }
}
