//! Figures as real miners show them, made up: 70 % CPUs, 30 % GPUs, noise and drift, shares by
//! chance, and about one gap a day after which the counters begin anew.

use adit_model::sample::Sample;
use adit_plugin_api::{DeviceMetrics, PerformanceMetrics, Phase};

/// Ticks of a day.
const DAY: u64 = 8_640;

/// Numbers that look like chance and are the same in every run: xorshift64*.
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// From 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Around 0, nearly normal, with the deviation 1.
    fn noise(&mut self) -> f64 {
        (0..12).map(|_| self.share()).sum::<f64>() - 6.0
    }
}

/// One made-up miner.
pub(super) struct Made {
    chance: Chance,
    sample: Sample,
    is_gpu: bool,
    usual: f64,
    drift: f64,
    noise: f64,
    temperature: f64,
    shares: u64,
    rejected: u64,
    /// Ticks until it is there again; 0: it is there.
    away: u64,
}

impl Made {
    pub(super) fn new(number: usize) -> Self {
        let mut chance = Chance::new(number as u64 + 1);
        let is_gpu = number % 10 >= 7;
        let sample = Sample {
            name: name(number).parse().unwrap(),
            driver: "sim".parse().unwrap(),
            phase: Phase::Mining,
            metrics: None,
            at_ms: 0,
        };
        Self {
            is_gpu,
            usual: if is_gpu { 3e7 } else { 1.2e4 } * (0.5 + chance.share()),
            drift: 0.0,
            noise: 0.01 + 0.02 * chance.share(),
            temperature: 60.0,
            shares: 0,
            rejected: 0,
            away: 0,
            sample,
            chance,
        }
    }

    /// What it shows at the next tick.
    pub(super) fn next(&mut self) -> Sample {
        let chance = &mut self.chance;
        if self.away == 0 && chance.below(DAY) == 0 {
            self.away = 6 + chance.below(174);
        }
        if self.away > 0 {
            self.away -= 1;
            (self.shares, self.rejected) = (0, 0);
            return Sample { phase: Phase::Stopped, metrics: None, ..self.sample.clone() };
        }
        self.drift = 0.999 * self.drift + 0.0005 * chance.noise();
        let rate = self.usual * (1.0 + self.drift + self.noise * chance.noise());
        let hashrate = if self.is_gpu { rate.round() } else { (rate * 100.0).round() / 100.0 };
        self.shares += u64::from(chance.share() < 0.25);
        self.rejected += u64::from(chance.share() < 0.002);
        if chance.below(12) == 0 {
            self.temperature += if chance.below(2) == 0 { 1.0 } else { -1.0 };
            self.temperature = self.temperature.clamp(40.0, 85.0);
        }
        let power = ((120.0 + 2.0 * chance.noise()) * 10.0).round() / 10.0;
        let device = DeviceMetrics {
            temperature: Some(self.temperature),
            power: Some(power),
            ..DeviceMetrics::default()
        };
        let metrics = PerformanceMetrics {
            hashrate: Some(hashrate),
            shares: Some(self.shares),
            rejected: Some(self.rejected),
            algorithm: Some(if self.is_gpu { "kawpow" } else { "rx/0" }.to_owned()),
            devices: vec![device],
            ..PerformanceMetrics::default()
        };
        Sample { metrics: Some(metrics), ..self.sample.clone() }
    }
}

/// The name of a miner.
pub(super) fn name(number: usize) -> String {
    format!("miner-{number}")
}
