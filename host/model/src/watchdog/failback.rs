//! When a miner returns to its first pool that was sent to another one while no pool answered.
//!
//! The operator put the pools in an order. A program that does failover by itself goes back to its
//! first pool as soon as that answers, and so must one whose list was turned. The pool is tried until
//! it was reached several times in a row: one that comes and goes would cost more than it brings.

use std::time::Duration;

/// Connections in a row that must succeed, evenly spaced over the whole time.
pub const CONNECTS: u32 = 3;

/// The connections to the first pool so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failback {
    reached: u32,
    next: Option<Duration>,
    is_trying: bool,
}

impl Failback {
    /// Whether a connection is to be tried at `now`, a time that only grows. If so, it is under way
    /// until [`Failback::note`].
    pub fn begin(&mut self, now: Duration) -> bool {
        let is_due = !self.is_trying && self.next.is_none_or(|next| now >= next);
        self.is_trying |= is_due;
        is_due
    }

    /// Notes how a connection went. `over` is how long the pool must be reachable. Returns whether
    /// it was for so long.
    pub fn note(&mut self, is_reached: bool, now: Duration, over: Duration) -> bool {
        self.is_trying = false;
        self.next = Some(now.saturating_add(over / (CONNECTS - 1)));
        self.reached = if is_reached { self.reached.saturating_add(1) } else { 0 };
        self.reached >= CONNECTS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OVER: Duration = Duration::from_secs(300);

    /// At which seconds of an hour the pool is tried, and when the miner returns.
    fn course(is_there: impl Fn(u64) -> bool) -> (Vec<u64>, Option<u64>) {
        let (mut failback, mut tried) = (Failback::default(), Vec::new());
        for second in 0..3600 {
            let now = Duration::from_secs(second);
            if failback.begin(now) {
                assert!(!failback.begin(now), "one at a time");
                tried.push(second);
                if failback.note(is_there(second), now, OVER) {
                    return (tried, Some(second));
                }
            }
        }
        (tried, None)
    }

    #[test]
    fn three_connections_over_five_minutes_lead_back() {
        assert_eq!(course(|_| true), (vec![0, 150, 300], Some(300)));
        assert_eq!(course(|second| second >= 600).1, Some(900));
        // It must be three in a row.
        assert_eq!(course(|second| second != 300), (vec![0, 150, 300, 450, 600, 750], Some(750)));
        let (tried, back) = course(|second| second % 300 == 0);
        assert_eq!((tried.len(), back), (24, None));
        assert_eq!(course(|_| false).1, None);
    }
}
