//! The figures of one run: reads its output, asks its API, and has the driver make sense of both.
//!
//! It has no timer of its own: [`crate::miners::tick`] says when.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use adit_plugin_api::{ErrorKind, Launch, Observation, PerformanceMetrics, Phase, Probe};
use serde_json::json;

use crate::{
    drivers::{call::CallError, handle::Instance},
    keepers::log::{Cursor, Log, is_remark},
    miners::{
        Parts,
        figures::{Figures, SharedFigures},
        probe::Reach,
        secrets::Secrets,
        tell::ToldPool,
    },
    model::{
        figures,
        name::{DriverId, MinerName},
        sightings::Sightings,
        watchdog::look::Signs,
    },
};

/// Output read at once, in bytes. A miner that prints more than this each time is read in part.
const READ_BYTES: usize = 256 << 10;

/// Collects for one run.
pub(crate) struct Collector {
    parts: Arc<Parts>,
    miner: MinerName,
    driver: DriverId,
    launch: Arc<Launch>,
    log: Log,
    reach: Reach,
    figures: SharedFigures,
    secrets: Secrets,
    /// Held for moments, never across an await.
    seen: Mutex<Seen>,
    is_reading: AtomicBool,
    is_asking: AtomicBool,
}

/// What was collected so far.
struct Seen {
    cursor: Cursor,
    /// How to ask the program; asked of the driver once.
    probes: Option<Vec<Probe>>,
    sightings: Sightings,
    api: Option<PerformanceMetrics>,
    /// Times that the API answered with figures.
    api_replies: u64,
    /// Why the driver made nothing of the last output, if so.
    output_failure: Option<String>,
    /// Why the driver made nothing of the last replies, if so.
    api_failure: Option<String>,
    /// Why the device did not answer, if so.
    silence: Option<String>,
    /// Whether the API was never asked.
    is_new: bool,
    pool: ToldPool,
}

/// The right to read a run's output, or to ask its API: at most one holds it.
pub(crate) struct Turn {
    collector: Arc<Collector>,
    which: fn(&Collector) -> &AtomicBool,
}

impl Turn {
    fn take(collector: &Arc<Collector>, which: fn(&Collector) -> &AtomicBool) -> Option<Self> {
        let is_free = !which(collector).swap(true, Ordering::AcqRel);
        is_free.then(|| Self { collector: Arc::clone(collector), which })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        (self.which)(&self.collector).store(false, Ordering::Release);
    }
}

impl Collector {
    /// A collector for a run whose output begins at `cursor`.
    pub(crate) fn new(
        parts: Arc<Parts>,
        (miner, driver): (MinerName, DriverId),
        launch: Arc<Launch>,
        reach: Reach,
        cursor: Cursor,
        figures: SharedFigures,
        secrets: Secrets,
    ) -> Self {
        let log = parts.keepers.log(&miner);
        Self {
            parts,
            miner,
            driver,
            launch,
            log,
            reach,
            figures,
            secrets,
            seen: Mutex::new(Seen {
                cursor,
                probes: None,
                sightings: Sightings::default(),
                api: None,
                api_replies: 0,
                output_failure: None,
                api_failure: None,
                silence: None,
                is_new: true,
                pool: ToldPool::default(),
            }),
            is_reading: AtomicBool::new(false),
            is_asking: AtomicBool::new(false),
        }
    }

    /// The right to read the output; `None` while what was read last is being understood.
    pub(crate) fn turn_to_read(self: &Arc<Self>) -> Option<Turn> {
        Turn::take(self, |collector| &collector.is_reading)
    }

    /// The right to ask the API; `None` while it is being asked.
    pub(crate) fn turn_to_ask(self: &Arc<Self>) -> Option<Turn> {
        Turn::take(self, |collector| &collector.is_asking)
    }

    /// Whether the API was never asked: a newcomer waits for its first figures.
    pub(crate) fn is_new(&self) -> bool {
        self.seen().is_new
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, seen: &mut Seen) {
        let mut metrics = seen.sightings.complete(seen.api.clone());
        if seen.silence.is_some() {
            // A device prints nothing: that it does not answer is all there is to know.
            metrics.phase = Some(Phase::Degraded);
        }
        if seen.api_failure.is_some() && metrics.phase.is_none() {
            // It runs, and nobody can say what it does; least of all that it starts.
            metrics.phase = Some(Phase::Unknown);
        }
        let pool = seen.pool.news(&metrics);
        let is_another_phase = self.figures.set(Figures {
            metrics: Some(metrics),
            driver_error: seen.api_failure.clone().or_else(|| seen.output_failure.clone()),
            output_error: { seen.silence.clone() }
                .or_else(|| seen.sightings.error().map(str::to_owned)),
            signs: Signs {
                has_api: seen.probes.as_ref().is_some_and(|probes| !probes.is_empty()),
                api_replies: seen.api_replies,
                ..seen.sightings.signs()
            },
        });
        if is_another_phase {
            self.parts.changed();
        }
        // Who hears of it finds it in the figures.
        if let Some(pool) = pool {
            let data = json!({ "name": self.miner, "minerType": self.driver, "pool": pool });
            self.parts.events.publish("miner.connected", data);
        }
    }

    async fn figures_from_api(&self) -> Result<Option<PerformanceMetrics>, CallError> {
        let instance = self.instance().await?;
        let known = self.seen().probes.clone();
        let probes = match known {
            Some(probes) => probes,
            None => instance.probes(self.launch()).await?,
        };
        self.seen().probes = Some(probes.clone());
        if probes.is_empty() {
            return Ok(None);
        }
        let replies = self.parts.prober.ask_all(&probes, &self.reach).await;
        instance.stats(self.launch(), replies).await.map(Some)
    }

    fn launch(&self) -> Launch {
        Launch::clone(&self.launch)
    }

    async fn instance(&self) -> Result<Instance, CallError> {
        match self.parts.drivers.get(&self.driver) {
            Some(driver) => driver.instance(Some(&self.miner)).await,
            // A failure like any other of a driver: who cannot ask must not judge the miner.
            None => Err(CallError::Refused {
                op: "create",
                kind: ErrorKind::Failed,
                message: format!("the driver {} is not loaded", self.driver),
            }),
        }
    }
}

impl Turn {
    /// The next lines of the output; none when there is nothing new or it cannot be read. Blocking.
    pub(crate) fn read(&self) -> Vec<String> {
        let collector = &self.collector;
        let cursor = collector.seen().cursor;
        let Ok(read) = collector.log.read_from(cursor, READ_BYTES) else { return Vec::new() };
        collector.seen().cursor = read.next;
        read.lines
    }

    /// Has the driver make sense of `lines`. Returns whether they told a new phase.
    pub(crate) async fn understand(self, lines: Vec<String>) -> bool {
        let collector = &self.collector;
        let count = lines.iter().filter(|line| !is_remark(line)).count();
        let observations = match collector.instance().await {
            Ok(instance) => instance.output(lines).await,
            Err(error) => Err(error),
        };
        let mut seen = collector.seen();
        let before: Option<Phase> = seen.sightings.phase();
        seen.sightings.see_lines(count);
        let told = seen.sightings.error().map(str::to_owned);
        let mut complaint = None;
        match observations {
            Ok(observations) => {
                seen.output_failure = None;
                let now = jiff::Timestamp::now().as_second();
                for observation in observations {
                    let observation = collector.secrets.mask(observation);
                    if let Observation::Error { message } | Observation::Warning { message } =
                        &observation
                    {
                        complaint = Some(message.clone());
                    }
                    seen.sightings.see(observation, now);
                }
            }
            Err(error) => seen.output_failure = Some(error.to_string()),
        }
        collector.show(&mut seen);
        // A pool that is tried again and again is told once.
        if let Some(error) = complaint.filter(|it| told.as_ref() != Some(it)) {
            let (name, driver) = (&collector.miner, &collector.driver);
            let data = json!({ "name": name, "minerType": driver, "error": error });
            collector.parts.events.publish("miner.error", data);
        }
        seen.sightings.phase() != before
    }

    /// Asks the program's API and has the driver make figures of the replies.
    pub(crate) async fn ask(self) {
        let collector = &self.collector;
        let mut silence = None;
        let (metrics, failure) = match collector.figures_from_api().await {
            Ok(metrics) => {
                let sound = metrics.as_ref().map(figures::sound);
                (sound.map(|it| collector.secrets.mask_figures(it)), None)
            }
            Err(CallError::Refused { kind, message, .. }) if kind != ErrorKind::Failed => {
                // The program does not answer yet, or not any more: what it said before is no news.
                tracing::debug!(miner = %collector.miner, message, "no figures from the API");
                silence = collector.reach.is_device().then_some(message);
                (None, None)
            }
            Err(error) => (None, Some(error.to_string())),
        };
        let mut seen = collector.seen();
        seen.api_replies += u64::from(metrics.is_some());
        (seen.api, seen.api_failure, seen.silence) = (metrics, failure, silence);
        seen.is_new = false;
        collector.show(&mut seen);
    }
}
