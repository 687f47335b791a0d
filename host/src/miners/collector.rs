//! The figures of one run: reads its output, asks its API, and has the driver make sense of both.

use std::sync::{Arc, Mutex, PoisonError};

use adit_plugin_api::{ErrorKind, Launch, PerformanceMetrics, Probe};
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::{
    drivers::{call::CallError, handle::Instance},
    keepers::log::{Cursor, Log},
    miners::Parts,
    model::{
        name::{DriverId, MinerName},
        sightings::Sightings,
    },
};

/// Output read at once, in bytes. A miner that prints more than this each time is read in part.
const READ_BYTES: usize = 256 << 10;

/// What is known of a run. Written by its collector, read by whoever shows the miner.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    /// The last figures; absent until there are any.
    pub(crate) metrics: Option<PerformanceMetrics>,
    /// Why the driver could not be asked, if so.
    pub(crate) driver_error: Option<String>,
    /// The last error in the output.
    pub(crate) output_error: Option<String>,
}

/// Figures shared between a collector and its readers. The lock is held for a copy only.
#[derive(Clone, Default)]
pub(crate) struct SharedFigures(Arc<Mutex<Figures>>);

impl SharedFigures {
    pub(crate) fn get(&self) -> Figures {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, figures: Figures) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = figures;
    }
}

pub(crate) struct Collector {
    parts: Arc<Parts>,
    miner: MinerName,
    driver: DriverId,
    launch: Arc<Launch>,
    log: Log,
    cursor: Cursor,
    probes: Option<Vec<Probe>>,
    sightings: Sightings,
    api: Option<PerformanceMetrics>,
    /// Why the driver made nothing of the last output, if so.
    output_failure: Option<String>,
    /// Why the driver made nothing of the last replies, if so.
    api_failure: Option<String>,
    /// The pool that the miner is connected to.
    pool: Option<String>,
    figures: SharedFigures,
}

impl Collector {
    /// A collector for a run whose output begins at `cursor`.
    pub(crate) fn new(
        parts: Arc<Parts>,
        miner: MinerName,
        driver: DriverId,
        launch: Arc<Launch>,
        cursor: Cursor,
        figures: SharedFigures,
    ) -> Self {
        let log = parts.keepers.log(&miner);
        Self {
            parts,
            miner,
            driver,
            launch,
            log,
            cursor,
            probes: None,
            sightings: Sightings::default(),
            api: None,
            output_failure: None,
            api_failure: None,
            pool: None,
            figures,
        }
    }

    /// Collects until it is aborted.
    pub(crate) async fn run(mut self) {
        let options = &self.parts.options;
        let mut output =
            interval_at(Instant::now() + options.output_interval, options.output_interval);
        // The first look comes soon: a newcomer waits for it.
        let first = Instant::now() + options.stats_interval.min(options.output_interval);
        let mut stats = interval_at(first, options.stats_interval);
        output.set_missed_tick_behavior(MissedTickBehavior::Delay);
        stats.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                _ = output.tick() => {
                    let before = self.sightings.phase();
                    self.read_output().await;
                    if self.sightings.phase() != before {
                        stats.reset_immediately();
                    }
                }
                _ = stats.tick() => self.ask_api().await,
            }
            let metrics = self.sightings.complete(self.api.clone());
            self.note_pool(&metrics);
            self.figures.set(Figures {
                metrics: Some(metrics),
                driver_error: self.api_failure.clone().or_else(|| self.output_failure.clone()),
                output_error: self.sightings.error().map(str::to_owned),
            });
        }
    }

    /// Tells when the miner is connected to a pool that it was not connected to before.
    fn note_pool(&mut self, metrics: &PerformanceMetrics) {
        let Some(pool) = &metrics.pool else { return };
        let connected = match pool.connected {
            Some(true) => Some(pool.url.clone()),
            Some(false) => None,
            None => return,
        };
        if connected == self.pool {
            return;
        }
        self.pool = connected;
        if let Some(pool) = &self.pool {
            let data = json!({ "name": self.miner, "minerType": self.driver, "pool": pool });
            self.parts.events.publish("miner.connected", data);
        }
    }

    async fn read_output(&mut self) {
        let (log, cursor) = (self.log.clone(), self.cursor);
        let read = tokio::task::spawn_blocking(move || log.read_from(cursor, READ_BYTES)).await;
        let Ok(Ok(read)) = read else { return };
        self.cursor = read.next;
        if read.lines.is_empty() {
            return;
        }
        let Ok(instance) = self.instance().await else { return };
        match instance.output(read.lines).await {
            Ok(observations) => {
                self.output_failure = None;
                let now = jiff::Timestamp::now().as_second();
                for observation in observations {
                    self.sightings.see(observation, now);
                }
            }
            Err(error) => self.output_failure = Some(error.to_string()),
        }
    }

    async fn ask_api(&mut self) {
        let (metrics, failure) = match self.figures_from_api().await {
            Ok(metrics) => (metrics, None),
            Err(CallError::Refused { kind, message, .. }) if kind != ErrorKind::Failed => {
                // The program does not answer yet, or not any more: what it said before is no news.
                tracing::debug!(miner = %self.miner, message, "no figures from the API");
                (None, None)
            }
            Err(error) => (None, Some(error.to_string())),
        };
        (self.api, self.api_failure) = (metrics, failure);
    }

    async fn figures_from_api(&mut self) -> Result<Option<PerformanceMetrics>, CallError> {
        let instance = self.instance().await?;
        let probes = match &self.probes {
            Some(probes) => probes.clone(),
            None => instance.probes(self.launch()).await?,
        };
        self.probes = Some(probes.clone());
        if probes.is_empty() {
            return Ok(None);
        }
        let replies = self.parts.prober.ask_all(&probes).await;
        instance.stats(self.launch(), replies).await.map(Some)
    }

    fn launch(&self) -> Launch {
        Launch::clone(&self.launch)
    }

    async fn instance(&self) -> Result<Instance, CallError> {
        match self.parts.drivers.get(&self.driver) {
            Some(driver) => driver.instance(Some(&self.miner)).await,
            None => Err(CallError::Refused {
                op: "create",
                kind: ErrorKind::Unavailable,
                message: format!("the driver {} is not loaded", self.driver),
            }),
        }
    }
}
