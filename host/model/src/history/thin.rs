//! Charts: at most so many points, each with the least, the mean and the largest of its time.

use std::collections::BTreeMap;

use adit_plugin_api::Phase;
use serde::{Deserialize, Serialize};

use crate::{history::phases, sample::Grid};

/// A stretch of time, from inclusive, until exclusive; Unix milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The beginning.
    pub since_ms: i64,
    /// The end.
    pub until_ms: i64,
}

/// Equal parts of a range.
#[derive(Clone, Copy, Debug)]
struct Parts {
    origin_ms: i64,
    width_ms: i64,
    until_ms: i64,
    count: usize,
}

impl Parts {
    /// At most `most` parts, each a whole number of ticks of `grid`.
    fn new(range: Range, most: u32, grid: Grid) -> Self {
        let step = i64::from(grid.step_ms());
        let first = grid.at_ms(grid.tick_at(range.since_ms));
        let origin_ms = if first < range.since_ms { first.saturating_add(step) } else { first };
        let span = range.until_ms.saturating_sub(origin_ms).max(0);
        let least = ceil(span, i64::from(most.max(1)));
        let width_ms = ceil(least, step).max(1).saturating_mul(step);
        let count = usize::try_from(ceil(span, width_ms)).unwrap_or(0);
        Self { origin_ms, width_ms, until_ms: range.until_ms, count }
    }

    fn of(&self, at_ms: i64) -> Option<usize> {
        let is_inside = at_ms >= self.origin_ms && at_ms < self.until_ms;
        let part = at_ms.wrapping_sub(self.origin_ms) / self.width_ms;
        if is_inside { usize::try_from(part).ok() } else { None }
    }

    fn begin(&self, part: usize) -> jiff::Timestamp {
        let offset = i64::try_from(part).unwrap_or(i64::MAX).saturating_mul(self.width_ms);
        let at_ms = self.origin_ms.saturating_add(offset);
        jiff::Timestamp::from_millisecond(at_ms).unwrap_or_default()
    }
}

fn ceil(value: i64, by: i64) -> i64 {
    value / by + i64::from(value % by > 0)
}

/// A point of a chart. Parts of the time without samples have none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Point {
    /// The beginning of its time.
    pub timestamp: jiff::Timestamp,
    /// The mean in whole H/s, for clients that expect one; absent in charts of anything else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hashrate: Option<u64>,
    /// The least value.
    pub min: f64,
    /// The mean.
    pub mean: f64,
    /// The largest value.
    pub max: f64,
    /// How many samples it is made of.
    pub count: u32,
    /// Whether nothing is known of the time right before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub after_gap: bool,
}

impl Point {
    /// A single sample of a hashrate.
    pub fn of_one(at_ms: i64, hashrate: f64) -> Self {
        Self {
            timestamp: jiff::Timestamp::from_millisecond(at_ms).unwrap_or_default(),
            hashrate: Some(whole(hashrate)),
            min: hashrate,
            mean: hashrate,
            max: hashrate,
            count: 1,
            after_gap: false,
        }
    }
}

/// Makes the points of a chart of numbers.
#[derive(Debug)]
pub struct Chart {
    parts: Parts,
    buckets: Vec<Bucket>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    count: u32,
    sum: f64,
    min: f64,
    max: f64,
}

const EMPTY: Bucket = Bucket { count: 0, sum: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY };

impl Chart {
    /// A chart of `range` with at most `points` points of samples on `grid`.
    pub fn new(range: Range, points: u32, grid: Grid) -> Self {
        let parts = Parts::new(range, points, grid);
        Self { parts, buckets: vec![EMPTY; parts.count] }
    }

    /// Takes a sample in; samples outside the range and what is no number are left out.
    #[inline]
    pub fn add(&mut self, at_ms: i64, value: f64) {
        let bucket = self.parts.of(at_ms).and_then(|part| self.buckets.get_mut(part));
        if let Some(bucket) = bucket.filter(|_| value.is_finite()) {
            bucket.count += 1;
            bucket.sum += value;
            bucket.min = bucket.min.min(value);
            bucket.max = bucket.max.max(value);
        }
    }

    /// The points, in order of time. With `rounded` each also has its mean in whole numbers.
    pub fn points(&self, rounded: bool) -> Vec<Point> {
        let mut before = None;
        let filled = self.buckets.iter().enumerate().filter(|(_, bucket)| bucket.count > 0);
        let point = |(part, bucket): (usize, &Bucket)| {
            let after_gap = before.is_some_and(|before| before + 1 != part);
            before = Some(part);
            // Rounding of sums must not carry a mean beyond its limits.
            let mean = (bucket.sum / f64::from(bucket.count)).clamp(bucket.min, bucket.max);
            Point {
                timestamp: self.parts.begin(part),
                hashrate: rounded.then(|| whole(mean)),
                min: bucket.min,
                mean,
                max: bucket.max,
                count: bucket.count,
                after_gap,
            }
        };
        filled.map(point).collect()
    }
}

/// To the next whole number; what hashes at all is no 0.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float beyond the range becomes the nearest whole number"
)]
pub fn whole(value: f64) -> u64 {
    if value > 0.0 { value.round().max(1.0) as u64 } else { 0 }
}

/// A point of a chart of phases.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PhasePoint {
    /// The beginning of its time.
    pub timestamp: jiff::Timestamp,
    /// The phase that was seen most in that time.
    pub phase: Phase,
    /// How many samples it is made of.
    pub count: u32,
    /// Whether nothing is known of the time right before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub after_gap: bool,
}

/// Makes the points of a chart of phases.
#[derive(Debug)]
pub struct PhaseChart {
    parts: Parts,
    buckets: BTreeMap<usize, BTreeMap<i64, u32>>,
}

impl PhaseChart {
    /// A chart of `range` with at most `points` points of samples on `grid`.
    pub fn new(range: Range, points: u32, grid: Grid) -> Self {
        Self { parts: Parts::new(range, points, grid), buckets: BTreeMap::new() }
    }

    /// Takes a sample in; samples outside the range are left out.
    pub fn add(&mut self, at_ms: i64, code: i64) {
        if let Some(part) = self.parts.of(at_ms) {
            *self.buckets.entry(part).or_default().entry(code).or_default() += 1;
        }
    }

    /// The points, in order of time.
    pub fn points(&self) -> Vec<PhasePoint> {
        let mut before = None;
        let point = |(part, counts): (&usize, &BTreeMap<i64, u32>)| {
            let after_gap = before.is_some_and(|before| before + 1 != *part);
            before = Some(*part);
            let most = counts.iter().max_by_key(|(_, count)| **count);
            let phase = most.map_or(Phase::Unknown, |(code, _)| phases::phase(*code));
            let count = counts.values().sum();
            PhasePoint { timestamp: self.parts.begin(*part), phase, count, after_gap }
        };
        self.buckets.iter().map(point).collect()
    }
}

#[cfg(test)]
mod tests;
