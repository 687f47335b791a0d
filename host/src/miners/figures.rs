//! The figures of a run as everybody sees them: what was collected, completed by what the driver
//! published by itself.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use adit_plugin_api::{PerformanceMetrics, Phase};

use adit_model::{
    figures,
    name::{DriverId, MinerName},
    published,
    sightings::Sightings,
    watchdog::look::Signs,
};

/// How long published figures count. A driver that has more to tell publishes again before.
const FRESH: Duration = Duration::from_secs(60);

/// What is known of a run at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    /// The stats that still count; absent until there were any.
    pub(crate) metrics: Option<PerformanceMetrics>,
    /// Whether the run gave no sign of life lately: none of the stats is of this moment.
    pub(crate) is_unheard: bool,
    /// Why the driver could not be asked, if so.
    pub(crate) driver_error: Option<String>,
    /// The last error in the output, or why the run cannot be asked.
    pub(crate) output_error: Option<String>,
    /// Signs of life so far.
    pub(crate) signs: Signs,
}

/// What the collector of a run knows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Collected {
    pub(crate) sightings: Sightings,
    /// Whether the run has an API that is asked.
    pub(crate) has_api: bool,
    /// Why the driver made nothing of the last output, if so.
    pub(crate) output_failure: Option<String>,
    /// Why the driver made nothing of the last replies, if so.
    pub(crate) api_failure: Option<String>,
    /// Why the device did not answer, if so.
    pub(crate) silence: Option<String>,
    /// Why the program's API has not answered for some time, if so.
    pub(crate) api_silence: Option<String>,
}

impl Collected {
    /// What counts at `now`, with replies that are at most `lifetime` old.
    fn figures(&self, now: Duration, lifetime: Duration) -> Figures {
        let mut metrics = self.sightings.metrics(now, lifetime);
        if self.silence.is_some() {
            // A device prints nothing: that it does not answer is all there is to know.
            metrics.phase = Some(Phase::Degraded);
        }
        if self.api_failure.is_some() && metrics.phase.is_none() {
            // It runs, and its phase is unknown; it does not start.
            metrics.phase = Some(Phase::Unknown);
        }
        let output_error = { self.silence.clone() }
            .or_else(|| self.sightings.error().map(str::to_owned))
            .or_else(|| self.api_silence.clone());
        Figures {
            metrics: Some(metrics),
            is_unheard: self.sightings.is_unheard(now, lifetime),
            driver_error: self.api_failure.clone().or_else(|| self.output_failure.clone()),
            output_error,
            signs: Signs { has_api: self.has_api, ..self.sightings.signs() },
        }
    }
}

struct Parts {
    began: Instant,
    /// How long a reply of the API counts.
    lifetime: Duration,
    /// Absent until the run was looked at.
    collected: Option<Collected>,
    published: Option<(PerformanceMetrics, Instant)>,
}

impl Parts {
    fn figures(&self, lifetime: Duration) -> Figures {
        let now = self.began.elapsed();
        let collected = self.collected.as_ref();
        let mut figures = collected.map(|it| it.figures(now, lifetime)).unwrap_or_default();
        if let Some((more, at)) = &self.published
            && at.elapsed() < FRESH
        {
            figures.metrics = Some(published::complete(figures.metrics, more));
        }
        figures.metrics.iter_mut().for_each(figures::settle);
        figures
    }
}

/// Stats shared between the collector and their readers. Which values count is decided when they are
/// read, because a value expires without any write. The lock is held for that only.
#[derive(Clone)]
pub(crate) struct SharedFigures(Arc<Mutex<Parts>>);

impl SharedFigures {
    fn new(lifetime: Duration) -> Self {
        let (began, collected, published) = (Instant::now(), None, None);
        Self(Arc::new(Mutex::new(Parts { began, lifetime, collected, published })))
    }

    /// The time since the run was taken in hand, by which ages are measured.
    pub(crate) fn now(&self) -> Duration {
        lock(&self.0).began.elapsed()
    }

    /// What is known now.
    pub(crate) fn get(&self) -> Figures {
        let parts = lock(&self.0);
        parts.figures(parts.lifetime)
    }

    /// The same, of replies that are at most `limit` old.
    pub(crate) fn get_within(&self, limit: Duration) -> Figures {
        let parts = lock(&self.0);
        parts.figures(limit.min(parts.lifetime))
    }

    /// Replaces the collected state. Returns what is known now, and whether the phase is another one.
    pub(crate) fn set(&self, collected: Collected) -> (Figures, bool) {
        let phase = |figures: &Figures| figures.metrics.as_ref().and_then(|it| it.phase);
        let mut parts = lock(&self.0);
        let before = parts.figures(parts.lifetime);
        parts.collected = Some(collected);
        let after = parts.figures(parts.lifetime);
        let is_another_phase = phase(&before) != phase(&after);
        (after, is_another_phase)
    }

    fn publish(&self, metrics: PerformanceMetrics) {
        lock(&self.0).published = Some((metrics, Instant::now()));
    }
}

/// The newest run of each miner: its driver and its figures.
type Runs = HashMap<MinerName, (DriverId, Weak<Mutex<Parts>>)>;

/// The figures of all runs, for the drivers that publish some. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct AllFigures(Arc<Mutex<Runs>>);

impl AllFigures {
    /// New stats for the run of `miner` that begins; those of the last run end. `lifetime` is how
    /// long a reply of its API counts.
    pub(crate) fn begin(
        &self,
        miner: &MinerName,
        driver: &DriverId,
        lifetime: Duration,
    ) -> SharedFigures {
        let figures = SharedFigures::new(lifetime);
        let mut all = lock(&self.0);
        // Those of miners that are no more.
        all.retain(|_, (_, figures)| figures.strong_count() > 0);
        all.insert(miner.clone(), (driver.clone(), Arc::downgrade(&figures.0)));
        figures
    }

    /// Takes what `driver` published for the run of `miner`. `false`: it runs nothing for it.
    pub(crate) fn publish(
        &self,
        miner: &MinerName,
        driver: &DriverId,
        metrics: &PerformanceMetrics,
    ) -> bool {
        let figures = lock(&self.0)
            .get(miner)
            .filter(|(owner, _)| owner == driver)
            .and_then(|(_, figures)| figures.upgrade());
        match figures {
            Some(figures) => {
                SharedFigures(figures).publish(metrics.clone());
                true
            }
            None => false,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use adit_model::sightings::Moment;

    fn metrics(shares: u64) -> PerformanceMetrics {
        PerformanceMetrics { shares: Some(shares), ..PerformanceMetrics::default() }
    }

    /// A run of `shares` shares in `phase`.
    fn collected(shares: u64, phase: Option<Phase>) -> Collected {
        let mut collected = Collected::default();
        let now = Moment { at: Duration::ZERO, unix_s: Some(1_000) };
        collected.sightings.see_reply(PerformanceMetrics { phase, ..metrics(shares) }, now);
        collected
    }

    #[test]
    fn published_figures_reach_the_run_and_end_with_it() {
        let (all, miner) = (AllFigures::default(), MinerName::new("rig-1").unwrap());
        let (sim, other) = (DriverId::new("sim").unwrap(), DriverId::new("other").unwrap());
        assert!(!all.publish(&miner, &sim, &metrics(1)), "nothing runs");
        let figures = all.begin(&miner, &sim, FRESH);
        assert!(!all.publish(&miner, &other, &metrics(1)), "another driver's miner");
        assert!(all.publish(&miner, &sim, &metrics(7)));
        assert_eq!(figures.get().metrics, Some(metrics(7)));
        figures.set(collected(8, None));
        let shares = figures.get().metrics.unwrap().shares;
        assert_eq!(shares, Some(8), "what is collected stands");
        let next = all.begin(&miner, &sim, FRESH);
        assert_eq!(next.get().metrics, None, "they were of the last run");
        drop(next);
        assert!(!all.publish(&miner, &sim, &metrics(9)), "the run is over");
    }

    #[test]
    fn another_phase_is_told() {
        let figures = SharedFigures::new(FRESH);
        let of = |phase| figures.set(collected(1, phase)).1;
        let phases = [None, Some(Phase::Mining), Some(Phase::Mining), Some(Phase::Paused)];
        assert_eq!(phases.map(of), [false, true, false, true]);
    }

    #[test]
    fn old_figures_are_no_figures() {
        let figures = SharedFigures::new(FRESH);
        lock(&figures.0).published = Some((metrics(7), Instant::now() - FRESH));
        assert_eq!(figures.get().metrics, None);
    }

    #[test]
    fn a_reply_counts_less_long_for_a_sample_than_for_a_view() {
        let figures = SharedFigures::new(FRESH);
        figures.set(collected(1, Some(Phase::Mining)));
        lock(&figures.0).began -= Duration::from_secs(30);
        let phase = |it: Figures| it.metrics.unwrap().phase;
        assert_eq!(phase(figures.get()), Some(Phase::Mining));
        let sampled = figures.get_within(Duration::from_secs(10));
        assert!(sampled.is_unheard);
        assert_eq!(phase(sampled), None);
        assert!(!figures.get().is_unheard);
    }
}
