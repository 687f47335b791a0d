//! One simulated device: what it hashed, how hot it is.

use std::collections::VecDeque;

use crate::{
    number::{cents, whole},
    sim::random::Random,
};

/// Seconds of history that the longest window needs, and one sample to start from.
const SAMPLES: usize = 15 * 60 + 1;

/// A device and its last quarter of an hour.
#[derive(Clone, Debug)]
pub(crate) struct Device {
    nominal: f64,
    wobble: f64,
    hashes: f64,
    // Hashes since the start, one sample a second.
    samples: VecDeque<f64>,
    load: f64,
    pub(crate) accepted: u64,
    pub(crate) rejected: u64,
}

impl Device {
    /// A device that makes `nominal` hashes a second on average.
    pub(crate) fn new(nominal: f64) -> Self {
        Self {
            nominal,
            wobble: 0.0,
            hashes: 0.0,
            samples: VecDeque::new(),
            load: 0.0,
            accepted: 0,
            rejected: 0,
        }
    }

    /// Lets `seconds` pass.
    pub(crate) fn advance(&mut self, seconds: f64, is_hashing: bool, random: &mut Random) {
        // Drawn in every state, so that a pause does not change what comes after it.
        self.wobble = (self.wobble * 0.98 + random.around_zero() * 0.006).clamp(-0.1, 0.1);
        let load = if is_hashing { 1.0 + self.wobble } else { 0.0 };
        // The hardware warms and cools slowly.
        self.load += (load - self.load) * (seconds / 8.0).min(1.0);
        self.hashes += self.nominal * load * seconds;
    }

    /// Takes the sample of this second.
    pub(crate) fn sample(&mut self) {
        if self.samples.len() == SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back(self.hashes);
    }

    /// Mean hashrate of the last `seconds`; `None` before there were that many.
    pub(crate) fn window(&self, seconds: usize) -> Option<f64> {
        let first = self.samples.len().checked_sub(seconds + 1)?;
        let hashes = self.samples.back()? - self.samples.get(first)?;
        Some(cents(hashes / crate::number::float(seconds as u64)))
    }

    /// The shortest window: at first over as many seconds as there were.
    pub(crate) fn now(&self) -> Option<f64> {
        let seconds = self.samples.len().saturating_sub(1).min(10);
        if seconds == 0 { None } else { self.window(seconds) }
    }

    /// Hashes since the start.
    pub(crate) fn hashes(&self) -> u64 {
        whole(self.hashes)
    }

    /// Degrees Celsius.
    pub(crate) fn temperature(&self) -> f64 {
        (38.0 + 26.0 * self.load).round()
    }

    /// Watts.
    pub(crate) fn power(&self) -> f64 {
        cents(12.0 + 108.0 * self.load)
    }

    /// Percent of the fan's full speed.
    pub(crate) fn fan(&self) -> f64 {
        (25.0 + 40.0 * self.load).round()
    }
}
