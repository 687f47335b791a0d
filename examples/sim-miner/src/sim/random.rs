//! A small generator of random numbers that gives the same row for the same seed everywhere.

/// SplitMix64: one word of state, good enough for a simulation.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^ (word >> 31)
    }

    /// A number from 0 up to, not including, 1.
    pub(crate) fn unit(&mut self) -> f64 {
        // 53 bits fill a float's mantissa exactly.
        crate::number::float(self.next() >> 11) / crate::number::float(1 << 53)
    }

    /// A number from -1 to 1 that is mostly near 0.
    pub(crate) fn around_zero(&mut self) -> f64 {
        (self.unit() + self.unit() + self.unit()) / 1.5 - 1.0
    }

    /// A waiting time with the given mean: many short ones, few long ones.
    pub(crate) fn wait(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_have_their_mean_and_never_end_the_simulation() {
        let mut random = Random::new(7);
        let waits: Vec<f64> = (0..10_000).map(|_| random.wait(5.0)).collect();
        assert!(waits.iter().all(|wait| wait.is_finite() && *wait >= 0.0));
        let mean = waits.iter().sum::<f64>() / 10_000.0;
        assert!((4.8..5.2).contains(&mean), "{mean}");
    }
}
