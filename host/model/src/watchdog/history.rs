//! What was seen of one run, look by look.
//!
//! Time is *watched time*: the sum of the gaps between looks, each cut to a few intervals. A clock
//! that jumps, a machine that slept or a host that was starved adds one short gap, not hours of
//! silence. While nothing can be judged, such as in a pause, watched time stands still.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use adit_plugin_api::{DeviceMetrics, PerformanceMetrics, Phase};

use crate::watchdog::{
    baseline::Baselines,
    look::{Look, Signs},
};

/// Gaps of shares and of output that are remembered.
const GAPS: usize = 32;
/// Accepted shares after which a run has a habit: the mean of fewer says little.
const HABIT: usize = 8;
/// Devices that are followed; no rig has more.
const DEVICES: usize = 256;

/// Moments in watched time at which something was seen last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks {
    /// Hashes were being made.
    pub(super) hashes: Option<Duration>,
    /// The first of the looks in a row that told of no hashes.
    pub(super) zero: Option<Duration>,
    /// The first of the looks in a row at a hashrate far below the usual one.
    pub(super) slow: Option<Duration>,
    /// A share, whatever its fate.
    pub(super) share: Option<Duration>,
    /// A line of output.
    pub(super) line: Option<Duration>,
    /// A line that showed the program at work.
    pub(super) progress: Option<Duration>,
    /// An answer of the API.
    pub(super) api: Option<Duration>,
    /// The program used the processor.
    pub(super) cpu: Option<Duration>,
    /// The first of the looks in a row without a pool.
    pub(super) no_pool: Option<Duration>,
    /// The phase began.
    pub(super) phase: Duration,
    /// Hashing is expected since then.
    pub(super) expected: Duration,
}

/// A device of this run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Device {
    /// When it hashed last.
    pub(super) hashed: Option<Duration>,
    /// Whether the last figures have it.
    pub(super) listed: bool,
    /// Its accepted shares when it was last seen hashing.
    pub(super) accepted_then: Option<u64>,
    /// Accepted shares of the whole run at that moment.
    pub(super) all_then: Option<u64>,
    /// The last look at it.
    pub(super) accepted: Option<u64>,
    pub(super) power: Option<f64>,
}

/// What was seen of one run.
#[derive(Clone, Debug)]
pub struct History {
    interval: Duration,
    looks: VecDeque<Look>,
    kept: usize,
    pub(super) watched: Duration,
    pub(super) marks: Marks,
    pub(super) share_gaps: VecDeque<Duration>,
    pub(super) line_gaps: VecDeque<Duration>,
    pub(super) rejected_in_row: u64,
    /// Time of hashing since the last accepted share. It stands still while hashes are not expected,
    /// so that a pool that comes and goes does not hide that it pays for nothing.
    pub(super) unpaid: Duration,
    /// Whether this run had an accepted share.
    pub(super) is_paid: bool,
    /// Hashing for one accepted share in seconds, and the difficulty then.
    paid_gaps: VecDeque<(f64, Option<f64>)>,
    pub(super) devices: BTreeMap<String, Device>,
    pub(super) baselines: Baselines,
}

/// How long an accepted share takes by a miner's own habit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Habit {
    pub(super) gap: Duration,
    /// Whether earlier runs have it, and not this one.
    pub(super) is_earlier: bool,
}

impl History {
    /// Nothing seen yet. `interval` is the usual time between two looks; `kept` looks are kept as
    /// evidence; `baselines` is what earlier runs taught.
    pub fn new(interval: Duration, kept: usize, baselines: Baselines) -> Self {
        Self {
            interval,
            looks: VecDeque::new(),
            kept: kept.max(1),
            watched: Duration::ZERO,
            marks: Marks::default(),
            share_gaps: VecDeque::new(),
            line_gaps: VecDeque::new(),
            rejected_in_row: 0,
            unpaid: Duration::ZERO,
            is_paid: false,
            paid_gaps: VecDeque::new(),
            devices: BTreeMap::new(),
            baselines,
        }
    }

    /// The looks that are kept, oldest first.
    pub fn looks(&self) -> impl Iterator<Item = &Look> {
        self.looks.iter()
    }

    /// The last look.
    pub fn last(&self) -> Option<&Look> {
        self.looks.back()
    }

    /// What was learned, with what earlier runs taught.
    pub fn baselines(&self) -> &Baselines {
        &self.baselines
    }

    /// How long the run was watched.
    pub fn watched(&self) -> Duration {
        self.watched
    }

    /// What is being learned.
    pub fn baselines_mut(&mut self) -> &mut Baselines {
        &mut self.baselines
    }

    /// What was learned, when the run is over.
    pub fn into_baselines(self) -> Baselines {
        self.baselines
    }

    /// Something was done for the run: all patience begins anew.
    pub fn forgive(&mut self) {
        let now = Some(self.watched);
        let marks = &mut self.marks;
        (marks.zero, marks.slow, marks.no_pool) = (None, None, None);
        marks.expected = self.watched;
        marks.phase = self.watched;
        for mark in [&mut marks.line, &mut marks.api, &mut marks.progress, &mut marks.cpu] {
            *mark = mark.and(now);
        }
        self.rejected_in_row = 0;
        self.unpaid = Duration::ZERO;
    }

    /// Time since `mark`; since the beginning when it never was.
    pub(super) fn since(&self, mark: Option<Duration>) -> Duration {
        self.watched.saturating_sub(mark.unwrap_or_default())
    }

    /// Takes in one look.
    pub fn see(&mut self, look: Look) {
        let before = self.looks.back().cloned().unwrap_or_else(|| Look {
            // The first look has nothing before it: figures that a run had by then are no news, while
            // signs are counted since the host has the run.
            metrics: PerformanceMetrics::default(),
            signs: Signs { cpu_ms: look.signs.cpu_ms, ..Signs::default() },
            ..look.clone()
        });
        let is_first = self.looks.is_empty();
        let gap = self.gap(before.at_ms, look.at_ms);
        if !look.blind && look.phase != Phase::Paused {
            self.watched += gap;
        }
        if is_first || before.phase != look.phase {
            self.marks.phase = self.watched;
        }
        if is_first {
            self.marks.expected = self.watched;
        }
        if !look.blind {
            self.see_life(&before, &look);
            if self.see_pool(&look) {
                self.unpaid += gap;
            }
            self.see_hashes(&before, &look);
            self.see_shares(&before, &look, is_first);
            self.see_devices(&look);
        }
        if self.looks.len() == self.kept {
            self.looks.pop_front();
        }
        self.looks.push_back(look);
    }

    /// A clock that went back gives nothing, one that leapt gives little.
    fn gap(&self, from_ms: i64, to_ms: i64) -> Duration {
        let ms = u64::try_from(to_ms.saturating_sub(from_ms)).unwrap_or(0);
        Duration::from_millis(ms).min(self.interval * 3)
    }

    fn see_life(&mut self, before: &Look, look: &Look) {
        let now = Some(self.watched);
        if look.signs.lines > before.signs.lines {
            let gap = self.since(self.marks.line);
            if self.marks.line.is_some() && !gap.is_zero() {
                remember(&mut self.line_gaps, gap);
            }
            self.marks.line = now;
        }
        if look.signs.progress > before.signs.progress {
            self.marks.progress = now;
        }
        if look.signs.api_replies > before.signs.api_replies {
            self.marks.api = now;
        }
        let cpu = look.signs.cpu_ms.zip(before.signs.cpu_ms);
        if cpu.is_some_and(|(now, then)| now != then) {
            self.marks.cpu = now;
        }
    }

    /// Returns whether hashes are expected.
    fn see_pool(&mut self, look: &Look) -> bool {
        if has_no_pool(look) {
            self.marks.no_pool.get_or_insert(self.watched);
        } else {
            self.marks.no_pool = None;
        }
        let is_expected = matches!(look.phase, Phase::Waiting | Phase::Mining | Phase::Degraded)
            && self.marks.no_pool.is_none();
        if !is_expected {
            // Who prepares, rests or has no pool owes no hashes; afterwards all clocks begin anew.
            self.marks.expected = self.watched;
            self.marks.zero = None;
            self.marks.slow = None;
            for device in self.devices.values_mut().filter(|it| it.hashed.is_some()) {
                device.hashed = Some(self.watched);
            }
        }
        is_expected
    }

    fn see_hashes(&mut self, before: &Look, look: &Look) {
        let is_fresh = look.signs.api_replies > before.signs.api_replies;
        let total = look.metrics.hashes_total.zip(before.metrics.hashes_total);
        let rose = total.is_some_and(|(now, then)| now > then);
        let by_api = is_fresh && (rose || look.metrics.hashrate.is_some_and(|rate| rate > 0.0));
        let by_output = look.signs.hashing > before.signs.hashing;
        let no_by_api = is_fresh && look.metrics.hashrate == Some(0.0);
        let no_by_output = look.signs.idle > before.signs.idle;
        if by_api || by_output {
            self.marks.hashes = Some(self.watched);
            self.marks.zero = None;
        } else if no_by_api || no_by_output {
            self.marks.zero.get_or_insert(self.watched);
        }
        if !by_api || look.phase != Phase::Mining {
            return;
        }
        let is_settled = self.since(Some(self.marks.expected)) >= self.interval * 12;
        let is_slow = self.baselines.is_slow(&look.metrics);
        if is_slow == Some(true) && is_settled {
            self.marks.slow.get_or_insert(self.watched);
        } else {
            self.marks.slow = None;
        }
        if is_settled {
            self.baselines.learn(&look.metrics);
        }
    }

    fn see_shares(&mut self, before: &Look, look: &Look, is_first: bool) {
        let all = |look: &Look| {
            let it = &look.metrics;
            let counts = [it.shares, it.rejected, it.invalid, it.stale];
            counts.into_iter().flatten().fold(0, u64::saturating_add)
        };
        let rose = |now: Option<u64>, then: Option<u64>| {
            now.unwrap_or(0).saturating_sub(then.unwrap_or(0))
        };
        let accepted = rose(look.metrics.shares, before.metrics.shares);
        let is_share = all(look) > all(before) || look.signs.shares > before.signs.shares;
        // Shares of a run that is adopted came before anybody looked.
        if is_first || !is_share {
            return;
        }
        if self.marks.share.is_some() {
            let gap = self.since(self.marks.share.max(Some(self.marks.expected)));
            remember(&mut self.share_gaps, gap);
        }
        self.marks.share = Some(self.watched);
        if accepted > 0 {
            self.pay(look, accepted);
        } else {
            let (now, then) = (&look.metrics, &before.metrics);
            let counts = [
                (now.rejected, then.rejected),
                (now.stale, then.stale),
                (now.invalid, then.invalid),
            ];
            let refused = counts.into_iter().map(|(now, then)| rose(now, then));
            let refused = refused.fold(0, u64::saturating_add);
            self.rejected_in_row = self.rejected_in_row.saturating_add(refused);
        }
    }

    /// Notes accepted shares.
    fn pay(&mut self, look: &Look, shares: u64) {
        self.rejected_in_row = 0;
        let worked = std::mem::take(&mut self.unpaid);
        // Work before the first one may have gone unseen.
        if std::mem::replace(&mut self.is_paid, true) {
            #[expect(clippy::cast_precision_loss, reason = "shares between two looks are few")]
            let gap_s = worked.as_secs_f64() / shares as f64;
            remember(&mut self.paid_gaps, (gap_s, difficulty(&look.metrics)));
            if self.paid_gaps.len() >= HABIT {
                let algorithm = look.metrics.algorithm.as_deref();
                let (gap_s, difficulty) =
                    (mean(self.paid_gaps.iter().map(|it| it.0)), self.paid_difficulty());
                self.baselines.learn_shares(algorithm, gap_s, difficulty);
            }
        }
    }

    fn paid_difficulty(&self) -> Option<f64> {
        let known: Option<Vec<f64>> = self.paid_gaps.iter().map(|it| it.1).collect();
        known.filter(|it| !it.is_empty()).map(|it| mean(it.into_iter()))
    }

    /// How long an accepted share takes at the difficulty of now, as this run shows; else as earlier
    /// ones do, of which it must be known that their shares were as hard to find.
    pub(super) fn habit(&self) -> Option<Habit> {
        let metrics = &self.last()?.metrics;
        let now = difficulty(metrics);
        let harder = |then: Option<f64>| Some((now? / then?).max(1.0)).filter(|it| it.is_finite());
        let habit = |gap_s: f64, is_earlier| {
            Some(Habit { gap: Duration::try_from_secs_f64(gap_s).ok()?, is_earlier })
        };
        if self.paid_gaps.len() >= HABIT {
            let gap_s = mean(self.paid_gaps.iter().map(|it| it.0));
            return habit(gap_s * harder(self.paid_difficulty()).unwrap_or(1.0), false);
        }
        let usual = self.baselines.get(metrics.algorithm.as_deref(), "")?;
        habit(usual.share_gap_s? * harder(usual.share_difficulty)?, true)
    }

    fn see_devices(&mut self, look: &Look) {
        if look.metrics.devices.is_empty() {
            return;
        }
        for device in self.devices.values_mut() {
            device.listed = false;
        }
        for seen in look.metrics.devices.iter().filter(|it| is_main(it, &look.metrics)) {
            if self.devices.len() >= DEVICES && !self.devices.contains_key(&seen.id) {
                continue;
            }
            let (watched, shares) = (self.watched, look.metrics.shares);
            let device = self.devices.entry(seen.id.clone()).or_default();
            device.listed = true;
            (device.accepted, device.power) = (seen.accepted, seen.power);
            if seen.hashrate.is_some_and(|rate| rate > 0.0) {
                device.hashed = Some(watched);
                (device.accepted_then, device.all_then) = (seen.accepted, shares);
            }
        }
    }

    /// The longest that shares may stay away by their own habit; `None` before there is one.
    pub(super) fn usual_share_gap(&self) -> Option<Duration> {
        let count = u32::try_from(self.share_gaps.len()).unwrap_or(u32::MAX);
        let longest = self.share_gaps.iter().max().copied().unwrap_or_default();
        let mean = self.share_gaps.iter().sum::<Duration>().checked_div(count)?;
        // Shares come at random: one gap in 20,000 is ten times the mean.
        (count >= 3).then(|| (mean * 10).max(longest * 2))
    }

    /// The longest that the output was silent so far.
    pub(super) fn usual_silence(&self) -> Duration {
        self.line_gaps.iter().max().copied().unwrap_or_default()
    }
}

/// Whether the run says that it has no pool, or is still on its way to the first one. Many get
/// ready first and connect then.
fn has_no_pool(look: &Look) -> bool {
    let connected = look.metrics.pool.as_ref().and_then(|pool| pool.connected);
    match look.phase {
        Phase::Starting | Phase::Preparing => false,
        Phase::Connecting => connected != Some(true),
        _ => connected == Some(false),
    }
}

/// Whether a device's figures are of the main algorithm.
pub(super) fn is_main(device: &DeviceMetrics, metrics: &PerformanceMetrics) -> bool {
    device.algorithm.is_none() || device.algorithm == metrics.algorithm
}

/// Difficulty of a share.
pub(super) fn difficulty(metrics: &PerformanceMetrics) -> Option<f64> {
    let of_pool = metrics.pool.as_ref().and_then(|pool| pool.difficulty);
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let difficulty = metrics.diff_current.or(of_pool).map(|it| it as f64);
    difficulty.filter(|it| *it > 0.0)
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "few")]
    let count = values.len().max(1) as f64;
    values.sum::<f64>() / count
}

fn remember<T>(gaps: &mut VecDeque<T>, gap: T) {
    if gaps.len() == GAPS {
        gaps.pop_front();
    }
    gaps.push_back(gap);
}
