//! Which output waits for the disk, and when it may go there. Pure: time comes in.

use std::{collections::VecDeque, time::Duration};

/// Most lines that wait. The promise "nothing of the last 1,000 lines is missing" rests on it; the
/// rest is for the keeper's own remarks, which must not push any of those out.
pub(crate) const MOST_LINES: usize = 1000 + 24;

/// Most bytes that wait: as many lines as wide as the pseudo-terminal.
pub(crate) const MOST_BYTES: usize = 256 << 10;

/// Lines on their way to the log; when there are too many, the oldest are dropped and counted.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    bytes: VecDeque<u8>,
    // Length of each line with its newline.
    lengths: VecDeque<u16>,
    dropped: u64,
}

impl Pending {
    /// Adds a line, given without its newline. Returns how many older ones were dropped for it.
    pub(crate) fn push(&mut self, line: &[u8]) -> u64 {
        let length = u16::try_from(line.len() + 1).unwrap_or(u16::MAX);
        self.bytes.extend(&line[..usize::from(length) - 1]);
        self.bytes.push_back(b'\n');
        self.lengths.push_back(length);
        let mut dropped = 0;
        while self.lengths.len() > MOST_LINES || self.bytes.len() > MOST_BYTES {
            self.discard(1);
            dropped += 1;
        }
        self.dropped += dropped;
        dropped
    }

    /// How many lines wait.
    pub(crate) fn count(&self) -> usize {
        self.lengths.len()
    }

    /// How many bytes wait.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// How many of the oldest lines fit into `room` bytes together, and their size in bytes.
    pub(crate) fn fitting(&self, room: u64) -> (usize, usize) {
        let (mut lines, mut size) = (0, 0);
        for length in &self.lengths {
            let next = size + usize::from(*length);
            if next as u64 > room {
                break;
            }
            (lines, size) = (lines + 1, next);
        }
        (lines, size)
    }

    /// Like [`Pending::fitting`], but one line where none fits and one waits.
    pub(crate) fn fitting_at_least_one(&self, room: u64) -> (usize, usize) {
        match (self.fitting(room), self.lengths.front()) {
            ((0, _), Some(first)) => (1, usize::from(*first)),
            (found, _) => found,
        }
    }

    /// The oldest `size` bytes.
    pub(crate) fn oldest(&mut self, size: usize) -> &[u8] {
        let all = self.bytes.make_contiguous();
        &all[..size.min(all.len())]
    }

    /// Forgets the oldest `lines` lines; the memory is given back when none is left.
    pub(crate) fn discard(&mut self, lines: usize) {
        let lines = lines.min(self.lengths.len());
        let size: usize = self.lengths.drain(..lines).map(usize::from).sum();
        self.bytes.drain(..size);
        if self.lengths.is_empty() && self.bytes.capacity() > MOST_BYTES / 8 {
            self.bytes = VecDeque::new();
        }
    }

    /// How many lines were dropped since the log was last told.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Notes that the log has been told of the dropped lines.
    pub(crate) fn forget_dropped(&mut self) {
        self.dropped = 0;
    }
}

/// A token bucket: what may reach the disk, at once and over time.
#[derive(Debug)]
pub(crate) struct Budget {
    bytes_per_second: u64,
    burst: u64,
    // Below zero after writes that could not wait.
    tokens: i64,
    filled_at: Duration,
}

impl Budget {
    /// A full bucket at time zero.
    pub(crate) fn new(bytes_per_second: u64, burst_bytes: u64) -> Self {
        // Bounded so that the sums below stay far from the limits of their types.
        let bytes_per_second = bytes_per_second.clamp(1, 1 << 40);
        let burst = burst_bytes.clamp(1, 1 << 40);
        Self { bytes_per_second, burst, tokens: signed(burst), filled_at: Duration::ZERO }
    }

    /// How long to wait from `now` on until `size` bytes may be written; zero for at once.
    pub(crate) fn wait(&mut self, size: usize, now: Duration) -> Duration {
        self.fill(now);
        // More than the bucket holds would never be allowed.
        let wanted = signed((size as u64).min(self.burst));
        let missing = u64::try_from(wanted - self.tokens).unwrap_or(0);
        Duration::from_micros(missing.saturating_mul(1_000_000).div_ceil(self.bytes_per_second))
    }

    /// Takes `size` bytes out, also when they are not there.
    pub(crate) fn spend(&mut self, size: usize) {
        self.tokens = self.tokens.saturating_sub(signed(size as u64)).max(-signed(1 << 41));
    }

    fn fill(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.filled_at).min(Duration::from_hours(1));
        let gained = passed.as_micros() * u128::from(self.bytes_per_second) / 1_000_000;
        // Too short a time to gain a byte is left on the clock.
        if gained > 0 {
            let gained = i64::try_from(gained).unwrap_or(i64::MAX);
            self.tokens = self.tokens.saturating_add(gained).min(signed(self.burst));
            self.filled_at = now;
        }
    }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_thousand_lines_stay_and_the_rest_is_counted() {
        let mut pending = Pending::default();
        let dropped: u64 = (0..2500).map(|n| pending.push(format!("line {n}").as_bytes())).sum();
        // What the keeper remarks at the end, whatever that is.
        let dropped = dropped + (0..20).map(|_| pending.push(b"[adit] remark")).sum::<u64>();
        assert_eq!((dropped, pending.dropped()), (1496, 1496));
        let (lines, size) = pending.fitting(u64::MAX);
        assert_eq!((lines, size), (MOST_LINES, pending.size()));
        let text = String::from_utf8(pending.oldest(size).to_vec()).unwrap();
        let printed: Vec<&str> = text.lines().filter(|line| !line.starts_with('[')).collect();
        assert!(printed.len() >= 1000, "{}", printed.len());
        assert_eq!(printed.first(), Some(&"line 1496"));
        assert_eq!(printed.last(), Some(&"line 2499"));
        pending.discard(lines);
        assert_eq!((pending.size(), pending.fitting(u64::MAX)), (0, (0, 0)));
    }

    #[test]
    fn bytes_are_bounded_too_and_lines_never_come_in_halves() {
        let mut pending = Pending::default();
        for _ in 0..100 {
            pending.push(&[b'x'; 8191]);
        }
        assert_eq!(pending.size(), MOST_BYTES);
        assert_eq!(pending.fitting(8191), (0, 0));
        assert_eq!(pending.fitting(20_000), (2, 16_384));
        // Longer than the splitter ever makes one: cut, not miscounted.
        pending.push(&[b'y'; 70_000]);
        let (lines, size) = pending.fitting(u64::MAX);
        pending.discard(lines);
        assert!(size <= MOST_BYTES && pending.size() == 0);
    }

    #[test]
    fn a_budget_allows_its_burst_and_then_its_rate() {
        let mut budget = Budget::new(1000, 5000);
        let at = Duration::from_secs;
        assert_eq!(budget.wait(5000, at(0)), Duration::ZERO);
        budget.spend(5000);
        assert_eq!(budget.wait(500, at(0)), Duration::from_millis(500));
        assert_eq!(budget.wait(500, at(1)), Duration::ZERO);
        // What the bucket can never hold waits for a full bucket only.
        assert_eq!(budget.wait(1 << 30, at(1)), Duration::from_secs(4));
        budget.spend(11_000);
        assert_eq!(budget.wait(1000, at(1)), Duration::from_secs(11));
        assert_eq!(budget.wait(5000, at(1000)), Duration::ZERO);
    }

    #[test]
    fn odd_limits_neither_panic_nor_stop_the_log_for_ever() {
        for (rate, burst) in [(0, 0), (u64::MAX, u64::MAX), (1, u64::MAX), (u64::MAX, 1)] {
            let mut budget = Budget::new(rate, burst);
            for second in 0..100 {
                budget.spend(usize::MAX);
                let wait = budget.wait(usize::MAX, Duration::from_secs(second));
                assert!(wait < Duration::MAX);
            }
        }
    }

    #[test]
    fn short_steps_of_the_clock_add_up() {
        let mut budget = Budget::new(1000, 1000);
        budget.spend(1000);
        for step in 1..=20_000 {
            budget.wait(1, Duration::from_micros(step * 100));
        }
        assert_eq!(budget.wait(1000, Duration::from_secs(2)), Duration::ZERO);
    }
}
