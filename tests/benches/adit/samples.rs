//! Measured times.

use std::time::{Duration, Instant};

/// Times, shortest first; never empty.
pub(crate) struct Samples(Vec<Duration>);

impl Samples {
    pub(crate) fn new(mut times: Vec<Duration>) -> Self {
        assert!(!times.is_empty(), "nothing was measured");
        times.sort_unstable();
        Self(times)
    }

    /// Times `work` so many times.
    pub(crate) fn of(count: usize, mut work: impl FnMut()) -> Self {
        let time = |_| {
            let begin = Instant::now();
            work();
            begin.elapsed()
        };
        Self::new((0..count).map(time).collect())
    }

    /// The time that so many percent of all do not exceed.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        self.0[(self.0.len() - 1) * percent / 100]
    }

    pub(crate) fn median(&self) -> Duration {
        self.percentile(50)
    }

    pub(crate) fn p99(&self) -> Duration {
        self.percentile(99)
    }

    pub(crate) fn best(&self) -> Duration {
        self.percentile(0)
    }

    pub(crate) fn worst(&self) -> Duration {
        self.percentile(100)
    }
}

/// Nanoseconds that one call of `work` takes, in the best of several rounds of many calls.
pub(crate) fn ns_per_call(calls: u32, mut work: impl FnMut()) -> f64 {
    const ROUNDS: usize = 9;
    let rounds = Samples::of(ROUNDS, || (0..calls).for_each(|_| work()));
    rounds.best().as_secs_f64() * 1e9 / f64::from(calls)
}
