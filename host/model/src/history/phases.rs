//! Phases as numbers, which never change: databases hold them.

use adit_plugin_api::Phase;

const PHASES: [(Phase, i64); 11] = [
    (Phase::Starting, 0),
    (Phase::Preparing, 1),
    (Phase::Connecting, 2),
    (Phase::Waiting, 3),
    (Phase::Mining, 4),
    (Phase::Paused, 5),
    (Phase::Degraded, 6),
    (Phase::Stopping, 7),
    (Phase::Backoff, 8),
    (Phase::Stopped, 9),
    (Phase::Failed, 10),
];

/// The number of `phase`; `None` when this version does not know it.
pub fn code(phase: Phase) -> Option<i64> {
    PHASES.into_iter().find(|(it, _)| *it == phase).map(|(_, code)| code)
}

/// The phase of a number.
pub fn phase(code: i64) -> Phase {
    PHASES.into_iter().find(|(_, it)| *it == code).map_or(Phase::Unknown, |(phase, _)| phase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_phase_has_a_number_of_its_own() {
        for number in 0..11 {
            assert_eq!(code(phase(number)), Some(number));
        }
        assert_eq!((phase(99), phase(-1)), (Phase::Unknown, Phase::Unknown));
        assert_eq!(code(Phase::Unknown), None);
    }
}
