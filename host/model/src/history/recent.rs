//! The hashrates of the last five minutes, all of them, in memory.

use std::collections::{BTreeMap, VecDeque};

use crate::{history::thin::Point, sample::Batch};

/// How long they are kept.
pub const KEPT_MS: i64 = 5 * 60_000;

/// The hashrates of the last five minutes of every miner.
#[derive(Debug, Default)]
pub struct Recent(BTreeMap<String, VecDeque<(i64, f64)>>);

impl Recent {
    /// Takes a batch in and forgets what is too old. After the clock was set back, what it said
    /// before is forgotten.
    pub fn add(&mut self, batch: &Batch) {
        let now_ms = batch.at_ms();
        for sample in &batch.samples {
            let hashrate = sample.metrics.as_ref().and_then(|metrics| metrics.hashrate);
            if let Some(hashrate) = hashrate.filter(|it| it.is_finite() && *it >= 0.0) {
                let kept = self.0.entry(sample.name.to_string()).or_default();
                kept.push_back((now_ms, hashrate));
            }
        }
        self.0.retain(|_, kept| {
            let newest = kept.back().map_or(now_ms, |(at_ms, _)| *at_ms);
            let before = now_ms.min(newest);
            kept.retain(|(at_ms, _)| now_ms - at_ms < KEPT_MS && *at_ms <= before);
            !kept.is_empty()
        });
    }

    /// Takes in what an earlier host saw of a miner, oldest first; before anything else of it.
    pub fn fill(&mut self, miner: String, points: &[Point]) {
        if !points.is_empty() {
            let kept = self.0.entry(miner).or_default();
            kept.extend(points.iter().map(|it| (it.timestamp.as_millisecond(), it.mean)));
        }
    }

    /// The hashrates of a miner, oldest first.
    pub fn of(&self, miner: &str) -> Vec<Point> {
        let kept = self.0.get(miner).into_iter().flatten();
        kept.map(|(at_ms, hashrate)| Point::of_one(*at_ms, *hashrate)).collect()
    }
}

#[cfg(test)]
mod tests {
    use adit_plugin_api::{PerformanceMetrics, Phase};

    use super::*;
    use crate::{
        name::{DriverId, MinerName},
        sample::{Grid, Sample},
    };

    fn batch(tick: i64, hashrate: Option<f64>) -> Batch {
        let metrics = PerformanceMetrics { hashrate, ..PerformanceMetrics::default() };
        let sample = Sample {
            name: MinerName::new("a").unwrap(),
            driver: DriverId::new("sim").unwrap(),
            phase: Phase::Mining,
            metrics: Some(metrics),
            at_ms: 0,
        };
        Batch { tick, grid: Grid::of_ms(10_000), samples: vec![sample] }
    }

    #[test]
    fn five_minutes_are_kept_and_a_lack_of_figures_is_none() {
        let mut recent = Recent::default();
        for tick in 0..100 {
            recent.add(&batch(tick, (tick % 10 != 0).then_some(1_000.4)));
        }
        let points = recent.of("a");
        assert_eq!(points.len(), 27);
        assert_eq!((points[0].hashrate, points[0].mean), (Some(1_000), 1_000.4));
        assert!(points.is_sorted_by_key(|point| point.timestamp));
        assert!(recent.of("b").is_empty());
        // Without figures for five minutes nothing is left.
        for tick in 100..131 {
            recent.add(&batch(tick, Some(f64::NAN)));
        }
        assert!(recent.of("a").is_empty());
    }

    #[test]
    fn a_clock_set_back_leaves_no_points_in_the_future() {
        let mut recent = Recent::default();
        for tick in [1_000, 1_001, 500, 501] {
            recent.add(&batch(tick, Some(1.0)));
        }
        assert_eq!(recent.of("a").len(), 2);
    }
}
