//! The figures of a run as everybody sees them: what was collected, completed by what the driver
//! published by itself.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use adit_plugin_api::PerformanceMetrics;

use crate::model::{
    name::{DriverId, MinerName},
    published,
    watchdog::look::Signs,
};

/// How long published figures count. A driver that has more to tell publishes again before.
const FRESH: Duration = Duration::from_secs(60);

/// What is known of a run. Written by its collector, read by whoever shows the miner.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    /// The last figures; absent until there are any.
    pub(crate) metrics: Option<PerformanceMetrics>,
    /// Why the driver could not be asked, if so.
    pub(crate) driver_error: Option<String>,
    /// The last error in the output.
    pub(crate) output_error: Option<String>,
    /// Signs of life so far.
    pub(crate) signs: Signs,
}

#[derive(Default)]
struct Parts {
    collected: Figures,
    published: Option<(PerformanceMetrics, Instant)>,
}

/// Figures shared between those who write and those who read them. The lock is held for a copy
/// only.
#[derive(Clone, Default)]
pub(crate) struct SharedFigures(Arc<Mutex<Parts>>);

impl SharedFigures {
    pub(crate) fn get(&self) -> Figures {
        let parts = lock(&self.0);
        let mut figures = parts.collected.clone();
        if let Some((more, at)) = &parts.published
            && at.elapsed() < FRESH
        {
            figures.metrics = Some(published::complete(figures.metrics, more));
        }
        figures
    }

    /// Returns whether the phase is another one now.
    pub(crate) fn set(&self, collected: Figures) -> bool {
        let phase = |figures: &Figures| figures.metrics.as_ref().and_then(|it| it.phase);
        let mut parts = lock(&self.0);
        let before = std::mem::replace(&mut parts.collected, collected);
        phase(&before) != phase(&parts.collected)
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
    /// New figures for the run of `miner` that begins; those of the last run end.
    pub(crate) fn begin(&self, miner: &MinerName, driver: &DriverId) -> SharedFigures {
        let figures = SharedFigures::default();
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
    use adit_plugin_api::Phase;

    use super::*;

    fn metrics(shares: u64) -> PerformanceMetrics {
        PerformanceMetrics { shares: Some(shares), ..PerformanceMetrics::default() }
    }

    #[test]
    fn published_figures_reach_the_run_and_end_with_it() {
        let (all, miner) = (AllFigures::default(), MinerName::new("rig-1").unwrap());
        let (sim, other) = (DriverId::new("sim").unwrap(), DriverId::new("other").unwrap());
        assert!(!all.publish(&miner, &sim, &metrics(1)), "nothing runs");
        let figures = all.begin(&miner, &sim);
        assert!(!all.publish(&miner, &other, &metrics(1)), "another driver's miner");
        assert!(all.publish(&miner, &sim, &metrics(7)));
        assert_eq!(figures.get().metrics, Some(metrics(7)));
        assert!(!figures.set(Figures { metrics: Some(metrics(8)), ..Figures::default() }));
        assert_eq!(figures.get().metrics, Some(metrics(8)), "what is collected stands");
        let next = all.begin(&miner, &sim);
        assert_eq!(next.get().metrics, None, "they were of the last run");
        drop(next);
        assert!(!all.publish(&miner, &sim, &metrics(9)), "the run is over");
    }

    #[test]
    fn another_phase_is_told() {
        let figures = SharedFigures::default();
        let of = |phase| {
            let metrics = Some(PerformanceMetrics { phase, ..metrics(1) });
            figures.set(Figures { metrics, ..Figures::default() })
        };
        let phases = [None, Some(Phase::Mining), Some(Phase::Mining), Some(Phase::Paused)];
        assert_eq!(phases.map(of), [false, true, false, true]);
    }

    #[test]
    fn old_figures_are_no_figures() {
        let figures = SharedFigures::default();
        lock(&figures.0).published = Some((metrics(7), Instant::now() - FRESH));
        assert_eq!(figures.get().metrics, None);
    }
}
