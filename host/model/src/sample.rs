//! What one look at all miners found, and the grid of times at which they are looked at.

use std::time::Duration;

use adit_plugin_api::{PerformanceMetrics, Phase};

use crate::name::{DriverId, MinerName};

/// Tick 0 of every grid: 2025-01-01T00:00:00Z in Unix milliseconds.
const EPOCH_MS: i64 = 1_735_689_600_000;

/// One miner at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Its name.
    pub name: MinerName,
    /// Id of its driver.
    pub driver: DriverId,
    /// What it does; also told while nothing runs.
    pub phase: Phase,
    /// Its figures; absent while nothing runs or nothing is known.
    pub metrics: Option<PerformanceMetrics>,
    /// When, in Unix milliseconds.
    pub at_ms: i64,
}

/// All miners of the node at one tick.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The tick that the samples belong to.
    pub tick: i64,
    /// The grid that the tick is of.
    pub grid: Grid,
    /// One sample a miner, by name.
    pub samples: Vec<Sample>,
}

impl Batch {
    /// When its tick is, in Unix milliseconds.
    pub fn at_ms(&self) -> i64 {
        self.grid.at_ms(self.tick)
    }
}

/// Evenly spaced moments, numbered since 2025-01-01. Numbers do not drift and survive restarts; what
/// comes late belongs to the moment before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Grid {
    step_ms: u32,
}

impl Grid {
    /// A grid with a tick every `step`, rounded to whole milliseconds; at least 1 ms.
    pub fn new(step: Duration) -> Self {
        Self::of_ms(u32::try_from(step.as_millis()).unwrap_or(u32::MAX))
    }

    /// The same from milliseconds.
    pub const fn of_ms(step_ms: u32) -> Self {
        Self { step_ms: if step_ms == 0 { 1 } else { step_ms } }
    }

    /// Milliseconds between two ticks.
    pub fn step_ms(self) -> u32 {
        self.step_ms
    }

    /// The last tick at or before `at_ms` (Unix milliseconds); negative before 2025.
    pub fn tick_at(self, at_ms: i64) -> i64 {
        at_ms.saturating_sub(EPOCH_MS).div_euclid(i64::from(self.step_ms))
    }

    /// When `tick` is, in Unix milliseconds.
    pub fn at_ms(self, tick: i64) -> i64 {
        tick.saturating_mul(i64::from(self.step_ms)).saturating_add(EPOCH_MS)
    }

    /// The next tick after `now_ms`, and how long it is until then.
    pub fn next(self, now_ms: i64) -> (i64, Duration) {
        let tick = self.tick_at(now_ms).saturating_add(1);
        let wait = self.at_ms(tick).saturating_sub(now_ms);
        (tick, Duration::from_millis(u64::try_from(wait).unwrap_or(0)))
    }

    /// The tick at `now_ms` for somebody who waited for the tick `expected`: that one when the clock
    /// says a little less, because clocks are slewed and timers are not exact.
    pub fn reached(self, expected: i64, now_ms: i64) -> i64 {
        let slack = i64::from(self.step_ms / 4);
        let now = self.tick_at(now_ms);
        let nearly = now_ms.saturating_add(slack) >= self.at_ms(expected);
        if now < expected && nearly { expected } else { now }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRID: Grid = Grid { step_ms: 10_000 };

    #[test]
    fn ticks_are_even_and_numbered_since_2025() {
        assert_eq!(GRID.tick_at(EPOCH_MS), 0);
        assert_eq!(GRID.tick_at(EPOCH_MS + 9_999), 0);
        assert_eq!(GRID.tick_at(EPOCH_MS - 1), -1);
        assert_eq!(GRID.at_ms(3), EPOCH_MS + 30_000);
        assert_eq!(GRID.next(EPOCH_MS + 29_000), (3, Duration::from_secs(1)));
        assert_eq!(GRID.next(EPOCH_MS + 30_000), (4, Duration::from_secs(10)));
        assert_eq!(Grid::new(Duration::ZERO).step_ms(), 1);
        assert_eq!(Grid::new(Duration::from_millis(200)).step_ms(), 200);
        // A clock that is far off is no reason to fail.
        for far in [i64::MIN, i64::MAX] {
            let _tick = (GRID.tick_at(far), GRID.at_ms(far), GRID.next(far));
        }
    }

    #[test]
    fn an_early_timer_is_forgiven_and_a_jump_is_not() {
        for (now, expected) in [
            (30_000, 3),
            (29_990, 3),
            (27_500, 3),
            // Half a tick early: the clock was set back.
            (25_000, 2),
            (0, 0),
            (39_999, 3),
            // The machine slept.
            (90_000, 9),
        ] {
            assert_eq!(GRID.reached(3, EPOCH_MS + now), expected, "{now}");
        }
    }
}
