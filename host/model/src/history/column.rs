//! The samples of one metric in a stretch of ticks: spread out to work with, and packed to keep
//! the stretch that is still growing in memory.

use crate::history::varint;

/// Ticks of a stretch: two hours at one tick every ten seconds.
pub const TICKS: u16 = 720;

/// Ticks in a row that all have a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The first of them, from the beginning of the stretch.
    pub start: u16,
    /// How many.
    pub length: u16,
}

/// Where a stretch has values, and the values: one for each tick of the runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Points {
    /// In order, never touching.
    pub runs: Vec<Run>,
    /// In order of time.
    pub values: Vec<i64>,
}

impl Points {
    /// Offsets and values in order of time.
    pub fn iter(&self) -> impl Iterator<Item = (u16, i64)> + '_ {
        offsets(&self.runs).zip(self.values.iter().copied())
    }

    /// Appends a value after all others.
    pub fn push(&mut self, offset: u16, value: i64) {
        extend(&mut self.runs, offset);
        self.values.push(value);
    }

    /// Both together; where both have a value, that of `newer`.
    pub fn overlaid(&self, newer: &Self) -> Self {
        let (mut old, mut new) = (self.iter().peekable(), newer.iter().peekable());
        let mut both = Self::default();
        loop {
            let (at_old, at_new) = (old.peek().map(|it| it.0), new.peek().map(|it| it.0));
            let next = match (at_old, at_new) {
                (None, None) => return both,
                (Some(a), Some(b)) if a == b => {
                    old.next();
                    new.next()
                }
                (Some(a), Some(b)) if a < b => old.next(),
                (Some(_), None) => old.next(),
                _ => new.next(),
            };
            if let Some((offset, value)) = next {
                both.push(offset, value);
            }
        }
    }
}

fn offsets(runs: &[Run]) -> impl Iterator<Item = u16> + '_ {
    runs.iter().flat_map(|run| run.start..run.start.saturating_add(run.length))
}

fn extend(runs: &mut Vec<Run>, offset: u16) {
    match runs.last_mut() {
        Some(run) if run.start + run.length == offset => run.length += 1,
        _ => runs.push(Run { start: offset, length: 1 }),
    }
}

/// [`Points`] in as few bytes as differences need: about two a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Column {
    runs: Vec<Run>,
    differences: Vec<u8>,
    last: i64,
}

impl Column {
    /// Whether it has no values.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Sets the value at `offset`; mostly after all others.
    pub fn put(&mut self, offset: u16, value: i64) {
        let end = self.runs.last().map_or(0, |run| run.start + run.length);
        if offset >= end {
            extend(&mut self.runs, offset);
            varint::put_signed(&mut self.differences, value.wrapping_sub(self.last));
            self.last = value;
            return;
        }
        let mut one = Points::default();
        one.push(offset, value);
        let all = self.points().overlaid(&one);
        *self = Self::default();
        for (offset, value) in all.iter() {
            self.put(offset, value);
        }
    }

    /// Spread out.
    pub fn points(&self) -> Points {
        let mut rest = self.differences.as_slice();
        let mut value = 0_i64;
        let mut values = Vec::with_capacity(self.differences.len() / 2);
        while let Some(difference) = varint::take_signed(&mut rest) {
            value = value.wrapping_add(difference);
            values.push(value);
        }
        Points { runs: self.runs.clone(), values }
    }

    /// Bytes of memory that it takes.
    pub fn bytes(&self) -> usize {
        self.runs.capacity() * size_of::<Run>() + self.differences.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_with_their_gaps() {
        let mut column = Column::default();
        let values = [(0, 5), (1, i64::MIN), (2, i64::MAX), (5, 0), (719, -1)];
        for (offset, value) in values {
            column.put(offset, value);
        }
        let points = column.points();
        assert_eq!(points.iter().collect::<Vec<_>>(), values);
        let run = |start, length| Run { start, length };
        assert_eq!(points.runs, [run(0, 3), run(5, 1), run(719, 1)]);
        assert!(Column::default().is_empty() && !column.is_empty());
    }

    #[test]
    fn a_clock_set_back_fills_gaps_and_replaces() {
        let mut column = Column::default();
        for (offset, value) in [(3, 30), (4, 40), (9, 90), (1, 10), (4, 41), (5, 50), (0, 0)] {
            column.put(offset, value);
        }
        let values: Vec<_> = column.points().iter().collect();
        assert_eq!(values, [(0, 0), (1, 10), (3, 30), (4, 41), (5, 50), (9, 90)]);
        column.put(10, 100);
        assert_eq!(column.points().iter().last(), Some((10, 100)));
    }

    #[test]
    fn the_newer_of_two_wins() {
        let points = |list: &[(u16, i64)]| {
            let mut points = Points::default();
            list.iter().for_each(|(offset, value)| points.push(*offset, *value));
            points
        };
        let old = points(&[(0, 1), (1, 1), (7, 1)]);
        let new = points(&[(1, 2), (2, 2), (9, 2)]);
        let expected = points(&[(0, 1), (1, 2), (2, 2), (7, 1), (9, 2)]);
        assert_eq!(old.overlaid(&new), expected);
        assert_eq!(old.overlaid(&Points::default()), old);
        assert_eq!(Points::default().overlaid(&new), new);
    }
}
