//! The figures of one run: reads its output, asks its API, and has the driver make sense of both.
//!
//! It has no timer of its own: [`crate::miners::tick`] says when.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use adit_plugin_api::{ErrorKind, Launch, Observation, PerformanceMetrics, Phase, Probe, Reply};
use jiff::Timestamp;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::miners::{
    Parts,
    figures::{Collected, SharedFigures},
    probe::Reach,
    secrets::Secrets,
    tell::ToldPool,
};
use adit_drivers::{call::CallError, handle::Instance};
use adit_keeper_client::log::{Cursor, Log, is_remark};
use adit_model::{
    figures,
    name::{DriverId, MinerName},
    plan,
    sightings::Moment,
};

/// Output read at once, in bytes. A miner that prints more than this each time is read in part.
const READ_BYTES: usize = 256 << 10;
/// How long an API may fail to answer before the operator sees it: many open it only when the program
/// is ready.
const SPEECHLESS: Duration = Duration::from_secs(30);
/// Longest wait for a question under way before another one is put.
const OTHERS: Duration = Duration::from_secs(3);

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
    /// Whether what is read next was printed before the host had the run.
    is_replay: bool,
    /// How to ask the program, and which driver said so: another version may ask otherwise.
    probes: Option<(Timestamp, Vec<Probe>)>,
    collected: Collected,
    /// Since when the API gives no answer.
    speechless: Option<Instant>,
    /// Whether the API was never asked.
    is_new: bool,
    pool: ToldPool,
}

/// How a run came into the host's hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// This host started it.
    Started,
    /// It ran before this host: its first lines are old, and another host has published them.
    Adopted,
}

/// Lines of output, and whether they are old.
#[derive(Default)]
pub(crate) struct Lines {
    pub(crate) lines: Vec<String>,
    is_replay: bool,
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
        (cursor, origin): (Cursor, Origin),
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
                is_replay: origin == Origin::Adopted,
                probes: None,
                collected: Collected::default(),
                speechless: None,
                is_new: true,
                pool: ToldPool::new(origin == Origin::Started),
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

    /// Looks at output and API at once, and not when it is time to.
    pub(crate) async fn look_now(self: Arc<Self>) {
        if let Some(turn) = self.turn_to_read() {
            let read = tokio::task::spawn_blocking(move || (turn.read(), turn));
            if let Ok((lines, turn)) = read.await {
                turn.understand(lines).await;
            }
        }
        self.ask_now().await;
    }

    /// Asks the API at once: something has just changed.
    pub(crate) async fn ask_now(self: &Arc<Self>) {
        let patience = Instant::now() + OTHERS;
        while Instant::now() < patience {
            if let Some(turn) = self.turn_to_ask() {
                return turn.ask().await;
            }
            // The answer under way may be of the moment before.
            sleep(Duration::from_millis(20)).await;
        }
    }

    fn show(&self, seen: &mut Seen) {
        let (figures, is_another_phase) = self.figures.set(seen.collected.clone());
        let pool = figures.metrics.as_ref().and_then(|metrics| seen.pool.news(metrics));
        if is_another_phase {
            self.parts.changed();
        }
        // Who hears of it finds it in the figures.
        if let Some(pool) = pool {
            let data = json!({ "name": self.miner, "minerType": self.driver, "pool": pool });
            self.parts.events.publish("miner.connected", data);
        }
    }

    fn now(&self) -> Moment {
        Moment { at: self.figures.now(), unix_s: Some(Timestamp::now().as_second()) }
    }

    async fn figures_from_api(&self) -> Result<Option<PerformanceMetrics>, CallError> {
        let (instance, version) = self.instance().await?;
        let known = self.seen().probes.clone();
        let probes = match known {
            Some((of, probes)) if of == version => probes,
            _ => instance.probes(self.launch()).await?,
        };
        {
            let mut seen = self.seen();
            seen.collected.has_api = !probes.is_empty();
            seen.probes = Some((version, probes.clone()));
        }
        if probes.is_empty() {
            return Ok(None);
        }
        let replies = self.parts.prober.ask_all(&probes, &self.reach).await;
        let failure = self.failure(&replies);
        let metrics = instance.stats(self.launch(), replies).await?;
        match failure {
            // A driver that makes nothing of no reply need not call it an error.
            Some(message) if metrics == PerformanceMetrics::default() => {
                Err(CallError::Refused { op: "stats", kind: ErrorKind::Unavailable, message })
            }
            _ => Ok(Some(metrics)),
        }
    }

    /// Why no reply arrived, if none did.
    fn failure(&self, replies: &[Reply]) -> Option<String> {
        let mut failures = Vec::new();
        for reply in replies {
            let Some(error) = &reply.error else { continue };
            tracing::debug!(miner = %self.miner, probe = reply.id, error, "a probe failed");
            failures.push(format!("{}: {error}", reply.id));
        }
        (failures.len() == replies.len()).then(|| failures.join("; "))
    }

    fn launch(&self) -> Launch {
        Launch::clone(&self.launch)
    }

    /// The driver's object, and which version of the driver it is of.
    async fn instance(&self) -> Result<(Instance, Timestamp), CallError> {
        match self.parts.drivers.get(&self.driver) {
            Some(driver) => Ok((driver.instance(Some(&self.miner)).await?, driver.loaded_at())),
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
    pub(crate) fn read(&self) -> Lines {
        let collector = &self.collector;
        let cursor = collector.seen().cursor;
        let Ok(read) = collector.log.read_from(cursor, READ_BYTES) else { return Lines::default() };
        let mut seen = collector.seen();
        seen.cursor = read.next;
        let is_replay = std::mem::take(&mut seen.is_replay);
        Lines { lines: read.lines, is_replay }
    }

    /// Has the driver make sense of `lines`. Returns whether they told a new phase.
    pub(crate) async fn understand(self, Lines { lines, is_replay }: Lines) -> bool {
        let collector = &self.collector;
        let count = lines.iter().filter(|line| !is_remark(line)).count();
        let observations = match collector.instance().await {
            Ok((instance, _)) => instance.output(lines).await,
            Err(error) => Err(error),
        };
        let mut now = collector.now();
        now.unix_s.take_if(|_| is_replay);
        let mut seen = collector.seen();
        let sightings = &mut seen.collected.sightings;
        let before: Option<Phase> = sightings.phase();
        sightings.see_lines(count, now);
        let published = sightings.error().map(str::to_owned);
        let mut complaint = None;
        match observations {
            Ok(observations) => {
                for observation in observations {
                    let observation = collector.secrets.mask(observation);
                    if let Observation::Error { message } | Observation::Warning { message } =
                        &observation
                    {
                        complaint = Some(message.clone());
                    }
                    sightings.see(observation, now);
                }
                seen.collected.output_failure = None;
            }
            Err(error) => seen.collected.output_failure = Some(error.to_string()),
        }
        let is_another_phase = seen.collected.sightings.phase() != before;
        collector.show(&mut seen);
        drop(seen);
        // The complaint about a pool that is retried is published once. What an adopted run complained of
        // before is old, and the host of that time published it.
        let news = complaint.filter(|it| !is_replay && published.as_ref() != Some(it));
        if let Some(error) = news {
            let (name, driver) = (&collector.miner, &collector.driver);
            let data = json!({ "name": name, "minerType": driver, "error": error });
            collector.parts.events.publish("miner.error", data);
        }
        is_another_phase
    }

    /// Asks the program's API and has the driver make figures of the replies.
    pub(crate) async fn ask(self) {
        let collector = &self.collector;
        let mut no_answer = None;
        let (metrics, failure) = match collector.figures_from_api().await {
            Ok(metrics) => {
                let now_s = Timestamp::now().as_second();
                let sound = metrics.map(|metrics| figures::sound(&metrics, now_s));
                (sound.map(|it| collector.secrets.mask_figures(it)), None)
            }
            Err(CallError::Refused { kind, message, .. }) if kind != ErrorKind::Failed => {
                // The program does not answer yet, or not any more: what it said before is no news.
                tracing::debug!(miner = %collector.miner, message, "no figures from the API");
                no_answer = Some(plan::mask(&message, &collector.secrets.get()));
                (None, None)
            }
            Err(error) => (None, Some(error.to_string())),
        };
        let now = collector.now();
        let mut seen = collector.seen();
        match metrics {
            Some(metrics) => seen.collected.sightings.see_reply(metrics, now),
            None => seen.collected.sightings.see_no_reply(now.at),
        }
        seen.collected.api_failure = failure;
        let since = no_answer.is_some().then(|| seen.speechless.unwrap_or_else(Instant::now));
        seen.speechless = since;
        let is_long = since.is_some_and(|since| since.elapsed() >= SPEECHLESS);
        let api_silence = no_answer.clone().filter(|_| is_long);
        seen.collected.api_silence =
            api_silence.map(|why| format!("its API does not answer: {why}"));
        seen.collected.silence = no_answer.filter(|_| collector.reach.is_device());
        seen.is_new = false;
        collector.show(&mut seen);
    }
}
