//! What is told of miners on the bus: their figures at every tick, and their pools.

use adit_plugin_api::PerformanceMetrics;
use serde_json::{Value, json};

use crate::miners::events::Events;
use adit_model::sample::Sample;

/// The pool that a run is connected to, as was told last.
pub(crate) struct ToldPool {
    told: Option<String>,
    /// Whether the first pool is news. Another host has published that of an adopted run.
    is_first_news: bool,
}

impl ToldPool {
    pub(crate) fn new(is_first_news: bool) -> Self {
        Self { told: None, is_first_news }
    }

    /// The pool in `metrics` when it is a new one. A miner that loses its pool and finds it again
    /// is told of again; one that does not say whether it is connected is not told of.
    pub(crate) fn news(&mut self, metrics: &PerformanceMetrics) -> Option<String> {
        let pool = metrics.pool.as_ref()?;
        let connected = pool.connected?.then(|| pool.url.clone());
        let is_news = std::mem::replace(&mut self.is_first_news, true);
        if connected == self.told {
            return None;
        }
        self.told = connected;
        self.told.clone().filter(|_| is_news)
    }
}

/// Publishes the figures of those miners that have some.
pub(crate) fn stats(events: &Events, samples: &[Sample]) {
    for sample in samples {
        if let Some(metrics) = &sample.metrics {
            events.publish("miner.stats", figures(sample, metrics));
        }
    }
}

/// What nobody reported is left out.
fn figures(sample: &Sample, metrics: &PerformanceMetrics) -> Value {
    let pool = metrics.pool.as_ref();
    let mut figures = json!({
        "name": sample.name,
        "minerType": sample.driver,
        "phase": sample.phase,
        "hashrate": metrics.hashrate,
        "shares": metrics.shares,
        "rejected": metrics.rejected,
        "uptime": metrics.uptime,
        "algorithm": metrics.algorithm,
        "diffCurrent": metrics.diff_current,
        "pool": pool.map(|pool| &pool.url),
        "latencyMs": pool.and_then(|pool| pool.latency_ms),
    });
    if let Some(fields) = figures.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    figures
}

#[cfg(test)]
mod tests {
    use adit_plugin_api::{Phase, PoolMetrics};

    use super::*;
    use crate::miners::events::Heard;
    use adit_model::name::{DriverId, MinerName};

    fn pool(url: &str, connected: Option<bool>) -> PerformanceMetrics {
        let pool = PoolMetrics { url: url.to_owned(), connected, ..PoolMetrics::default() };
        PerformanceMetrics { pool: Some(pool), ..PerformanceMetrics::default() }
    }

    #[test]
    fn a_pool_is_told_once_each_time_it_is_reached() {
        let mut told = ToldPool::new(true);
        for (metrics, news) in [
            (PerformanceMetrics::default(), None),
            (pool("a:1", None), None),
            (pool("a:1", Some(false)), None),
            (pool("a:1", Some(true)), Some("a:1")),
            (pool("a:1", Some(true)), None),
            (pool("b:1", Some(true)), Some("b:1")),
            (pool("b:1", Some(false)), None),
            (PerformanceMetrics::default(), None),
            (pool("b:1", Some(true)), Some("b:1")),
        ] {
            assert_eq!(told.news(&metrics).as_deref(), news, "{metrics:?}");
        }
    }

    #[test]
    fn the_pool_that_a_run_had_before_is_no_news() {
        let mut told = ToldPool::new(false);
        assert_eq!(told.news(&PerformanceMetrics::default()), None);
        assert_eq!(told.news(&pool("a:1", Some(true))), None);
        assert_eq!(told.news(&pool("b:1", Some(true))).as_deref(), Some("b:1"));
        let mut told = ToldPool::new(false);
        assert_eq!(told.news(&pool("a:1", Some(false))), None);
        assert_eq!(told.news(&pool("a:1", Some(true))).as_deref(), Some("a:1"));
    }

    #[test]
    fn figures_are_told_of_those_that_have_some() {
        let sample = |name: &str, metrics| Sample {
            name: MinerName::new(name).unwrap(),
            driver: DriverId::new("sim").unwrap(),
            phase: Phase::Mining,
            metrics,
            at_ms: 0,
        };
        let metrics = PerformanceMetrics {
            hashrate: Some(1.5),
            shares: Some(3),
            ..PerformanceMetrics::default()
        };
        let events = Events::new(0);
        let mut subscription = events.subscribe(None);
        stats(&events, &[sample("idle", None), sample("rig-1", Some(metrics))]);
        let Some(Heard::Event(it)) = subscription.try_next() else { panic!("an event") };
        let expected = json!({
            "name": "rig-1", "minerType": "sim", "phase": "mining", "hashrate": 1.5, "shares": 3
        });
        assert_eq!((it.event.kind.as_str(), &it.event.data), ("miner.stats", &expected));
        assert!(subscription.try_next().is_none());
    }
}
