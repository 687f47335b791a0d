//! How long the history is kept, and when the clock is not believed.

/// A clock that moves further than this between two ticks is not believed at once.
const JUMP_MS: i64 = 24 * 3_600_000;
/// After which a clock is believed again.
const STEADY_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * 3_600_000;

/// Decides what is too old. A clock that is wrong for a moment must not cost a month of history: a
/// rig may wake up in another year until it is told the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    days: u32,
    last_ms: Option<i64>,
    /// Since when the clock has not jumped; `None`: it never did.
    steady_since_ms: Option<i64>,
}

impl Retention {
    /// Keeps `days`.
    pub fn new(days: u32) -> Self {
        Self { days, last_ms: None, steady_since_ms: None }
    }

    /// The history ends at `last_ms`, if it has anything.
    pub fn begin(&mut self, last_ms: Option<i64>) {
        self.last_ms = last_ms;
    }

    /// The moment before which everything may go, at the tick at `now_ms`; `None` while the clock
    /// is not believed. All in Unix milliseconds.
    pub fn cut(&mut self, now_ms: i64) -> Option<i64> {
        if self.last_ms.is_some_and(|last| now_ms.abs_diff(last) > JUMP_MS.cast_unsigned()) {
            self.steady_since_ms = Some(now_ms);
        }
        self.last_ms = Some(now_ms);
        let is_steady = self.steady_since_ms.is_none_or(|since| now_ms - since >= STEADY_MS);
        if !is_steady {
            return None;
        }
        self.steady_since_ms = None;
        Some(now_ms.saturating_sub(i64::from(self.days).saturating_mul(DAY_MS)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_000_000_000;

    fn after(days: u32, last_ms: i64) -> Retention {
        let mut retention = Retention::new(days);
        retention.begin(Some(last_ms));
        retention
    }

    #[test]
    fn old_times_are_cut_off_by_days() {
        let mut retention = after(30, NOW - 10_000);
        assert_eq!(retention.cut(NOW), Some(NOW - 30 * DAY_MS));
        assert_eq!(Retention::new(1).cut(NOW), Some(NOW - DAY_MS));
    }

    #[test]
    fn a_clock_that_jumps_is_believed_after_an_hour() {
        let later = NOW + 400 * DAY_MS;
        let mut retention = after(30, NOW);
        assert_eq!(retention.cut(later), None);
        assert_eq!(retention.cut(later + STEADY_MS / 2), None);
        // It was wrong, and is right again.
        assert_eq!(retention.cut(NOW + STEADY_MS), None);
        assert_eq!(retention.cut(NOW + 2 * STEADY_MS), Some(NOW + 2 * STEADY_MS - 30 * DAY_MS));
        // A machine that was off for long.
        let mut retention = after(30, NOW);
        assert_eq!(retention.cut(later), None);
        assert!(retention.cut(later + STEADY_MS).is_some());
    }
}
