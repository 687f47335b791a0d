//! The simulation: a pure function of settings, seed and time. It knows no clock and no output.

pub(crate) mod device;
pub(crate) mod random;

use std::time::Duration;

use crate::{
    number::{cents, float, whole},
    settings::Mining,
    sim::{device::Device, random::Random},
};

/// Simulated time moves in steps of this many milliseconds.
const STEP_MS: u64 = 100;
const STARTING_MS: u64 = 100;
const CONNECTING_MS: u64 = 300;
const RETRY_MS: u64 = 5_000;
const JOB_MS: u64 = 30_000;
const SPEED_MS: u64 = 10_000;
const FIRST_HEIGHT: u64 = 3_000_001;

/// What the miner does at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Starting,
    Preparing,
    Connecting,
    Waiting,
    Mining,
    Paused,
    /// The pool is lost.
    Degraded,
}

impl Phase {
    /// The word for it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Preparing => "preparing",
            Self::Connecting => "connecting",
            Self::Waiting => "waiting",
            Self::Mining => "mining",
            Self::Paused => "paused",
            Self::Degraded => "degraded",
        }
    }
}

/// Something worth a line of output.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Event {
    Preparing {
        ms: u64,
    },
    Prepared,
    Connecting,
    Connected {
        latency_ms: u64,
    },
    Job {
        height: u64,
    },
    Share {
        is_accepted: bool,
        device: usize,
        latency_ms: u64,
        accepted: u64,
        rejected: u64,
    },
    PoolLost,
    PoolUnreachable,
    Speed,
    Paused,
    /// Goes on, in this phase.
    Resumed(Phase),
}

/// The simulated miner.
#[derive(Debug)]
pub(crate) struct Sim {
    settings: Mining,
    random: Random,
    now_ms: u64,
    phase: Phase,
    phase_since_ms: u64,
    is_paused: bool,
    height: u64,
    next_share_ms: f64,
    devices: Vec<Device>,
    peak: Option<f64>,
    /// When the last share was accepted, in milliseconds since the start.
    last_accepted_ms: Option<u64>,
    latency_ms: Option<u64>,
}

impl Sim {
    /// A miner at its start.
    pub(crate) fn new(settings: Mining) -> Self {
        let mut random = Random::new(settings.seed);
        let weights: Vec<f64> =
            (0..settings.devices).map(|_| 1.0 + random.around_zero() * 0.15).collect();
        let sum: f64 = weights.iter().sum();
        let nominal = |weight: f64| settings.hashrate * weight / sum;
        Self {
            devices: weights.into_iter().map(|weight| Device::new(nominal(weight))).collect(),
            settings,
            random,
            now_ms: 0,
            phase: Phase::Starting,
            phase_since_ms: 0,
            is_paused: false,
            height: FIRST_HEIGHT,
            next_share_ms: 0.0,
            peak: None,
            last_accepted_ms: None,
            latency_ms: None,
        }
    }

    /// Lets the simulation catch up with `elapsed` since the start.
    pub(crate) fn advance(&mut self, elapsed: Duration) -> Vec<Event> {
        let target_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let mut events = Vec::new();
        while self.now_ms.saturating_add(STEP_MS) <= target_ms {
            self.now_ms += STEP_MS;
            self.step_phase(&mut events);
            self.step_hashing(&mut events);
        }
        events
    }

    /// Pauses; `None` when it was paused before.
    pub(crate) fn pause(&mut self) -> Option<Event> {
        (!std::mem::replace(&mut self.is_paused, true)).then_some(Event::Paused)
    }

    /// Goes on; `None` when it was not paused.
    pub(crate) fn resume(&mut self) -> Option<Event> {
        std::mem::take(&mut self.is_paused).then_some(Event::Resumed(self.phase))
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.phase_since_ms = self.now_ms;
    }

    fn step_phase(&mut self, events: &mut Vec<Event>) {
        let in_phase_ms = self.now_ms - self.phase_since_ms;
        match self.phase {
            Phase::Starting if in_phase_ms >= STARTING_MS => {
                self.enter(Phase::Preparing);
                events.push(Event::Preparing { ms: millis(self.settings.preparing) });
            }
            Phase::Preparing if in_phase_ms >= millis(self.settings.preparing) => {
                self.enter(Phase::Connecting);
                events.extend([Event::Prepared, Event::Connecting]);
            }
            Phase::Connecting if in_phase_ms >= CONNECTING_MS => self.connect(events),
            Phase::Waiting | Phase::Mining => self.step_pool(events),
            Phase::Degraded => {
                let back_after = self.settings.pool_back_after.map(millis);
                if back_after.is_some_and(|back_after_ms| in_phase_ms >= back_after_ms) {
                    self.connect(events);
                } else if in_phase_ms.is_multiple_of(RETRY_MS) {
                    events.push(Event::PoolUnreachable);
                }
            }
            _ => {}
        }
    }

    fn connect(&mut self, events: &mut Vec<Event>) {
        self.enter(Phase::Waiting);
        self.next_share_ms = self.random.wait(float(millis(self.settings.share_interval)));
        let latency_ms = self.draw_latency();
        events.extend([Event::Connected { latency_ms }, Event::Job { height: self.height }]);
    }

    fn step_pool(&mut self, events: &mut Vec<Event>) {
        let loss_ms = self.settings.pool_loss_after.map(millis);
        // Once lost and found, the pool stays.
        if loss_ms.is_some_and(|loss_ms| self.now_ms >= loss_ms) {
            self.settings.pool_loss_after = None;
            self.enter(Phase::Degraded);
            events.push(Event::PoolLost);
        } else if self.now_ms.is_multiple_of(JOB_MS) {
            self.height += 1;
            events.push(Event::Job { height: self.height });
        }
    }

    fn is_hashing(&self) -> bool {
        let zero_ms = self.settings.zero_after.map(millis);
        matches!(self.phase, Phase::Waiting | Phase::Mining)
            && !self.is_paused
            && zero_ms.is_none_or(|zero_ms| self.now_ms < zero_ms)
    }

    fn step_hashing(&mut self, events: &mut Vec<Event>) {
        let is_hashing = self.is_hashing();
        for device in &mut self.devices {
            device.advance(float(STEP_MS) / 1000.0, is_hashing, &mut self.random);
        }
        let has_begun = matches!(self.phase, Phase::Waiting | Phase::Mining | Phase::Degraded);
        if has_begun && self.now_ms.is_multiple_of(1000) {
            self.devices.iter_mut().for_each(Device::sample);
            if let Some(now) = self.hashrate() {
                self.peak = Some(self.peak.map_or(now, |peak| peak.max(now)));
            }
        }
        if is_hashing {
            self.next_share_ms -= float(STEP_MS);
            while self.next_share_ms <= 0.0 {
                self.next_share_ms += self.random.wait(float(millis(self.settings.share_interval)));
                let share = self.find_share();
                events.push(share);
            }
        }
        if has_begun && !self.is_paused && self.now_ms.is_multiple_of(SPEED_MS) {
            events.push(Event::Speed);
        }
    }

    fn find_share(&mut self) -> Event {
        let is_accepted = self.random.unit() >= self.settings.reject_rate;
        let count = self.devices.len();
        let pick = whole(self.random.unit() * float(count as u64));
        let device = usize::try_from(pick).unwrap_or(0).min(count - 1);
        let latency_ms = self.draw_latency();
        if is_accepted {
            self.devices[device].accepted += 1;
            self.last_accepted_ms = Some(self.now_ms);
            self.phase = Phase::Mining;
        } else {
            self.devices[device].rejected += 1;
        }
        let (accepted, rejected) = (self.accepted(), self.rejected());
        Event::Share { is_accepted, device, latency_ms, accepted, rejected }
    }

    fn draw_latency(&mut self) -> u64 {
        let latency_ms = whole(35.0 + 20.0 * self.random.unit());
        self.latency_ms = Some(latency_ms);
        latency_ms
    }
}

/// What can be read from it.
impl Sim {
    pub(crate) fn settings(&self) -> &Mining {
        &self.settings
    }

    /// The phase, `paused` before all others.
    pub(crate) fn phase(&self) -> Phase {
        if self.is_paused { Phase::Paused } else { self.phase }
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.is_paused
    }

    pub(crate) fn is_connected(&self) -> bool {
        matches!(self.phase, Phase::Waiting | Phase::Mining)
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.phase == Phase::Degraded
    }

    pub(crate) fn devices(&self) -> &[Device] {
        &self.devices
    }

    /// Sum of the devices' hashrates now.
    pub(crate) fn hashrate(&self) -> Option<f64> {
        self.devices.iter().map(Device::now).sum::<Option<f64>>().map(cents)
    }

    /// Sum of the devices' hashrates over the last `seconds`.
    pub(crate) fn window(&self, seconds: usize) -> Option<f64> {
        self.devices.iter().map(|device| device.window(seconds)).sum::<Option<f64>>().map(cents)
    }

    /// Highest hashrate so far.
    pub(crate) fn peak(&self) -> Option<f64> {
        self.peak
    }

    pub(crate) fn accepted(&self) -> u64 {
        self.devices.iter().map(|device| device.accepted).sum()
    }

    pub(crate) fn rejected(&self) -> u64 {
        self.devices.iter().map(|device| device.rejected).sum()
    }

    pub(crate) fn hashes(&self) -> u64 {
        self.devices.iter().map(Device::hashes).sum()
    }

    /// Difficulty of the job: what one share costs in hashes.
    pub(crate) fn difficulty(&self) -> u64 {
        let fitting = || whole(self.settings.hashrate * self.settings.share_interval.as_secs_f64());
        self.settings.difficulty.unwrap_or_else(fitting).max(1)
    }

    /// Time since the last accepted share.
    pub(crate) fn since_accepted(&self) -> Option<Duration> {
        Some(Duration::from_millis(self.now_ms - self.last_accepted_ms?))
    }

    pub(crate) fn uptime(&self) -> Duration {
        Duration::from_millis(self.now_ms)
    }

    pub(crate) fn latency_ms(&self) -> Option<u64> {
        self.latency_ms
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
