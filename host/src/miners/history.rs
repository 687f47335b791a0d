//! What was: figures of the last five minutes in memory, of a month in the database, and events.
//!
//! Miners know nothing of it. When the database cannot be written, ticks wait in memory and are
//! written when it can.

mod keep;
mod late;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use late::Elsewhere;
use serde::Serialize;

use crate::miners::{Error, Miners, events::Events};
use adit_model::{
    event::Event,
    history::{
        HashrateStats, Kind, Metric,
        recent::Recent,
        recorder::{Recorder, Series, Write},
        retention::Retention,
        thin::{PhasePoint, Point, Range},
    },
    sample::Grid,
};
use adit_store::{EventQuery, HistoryReader, Read, Source, Store};

/// The history. Cheap to clone.
#[derive(Clone)]
pub struct History(Arc<Inner>);

struct Inner {
    store: Store,
    reader: HistoryReader,
    events: Events,
    /// 0: off.
    days: u32,
    grid: Grid,
    /// Held for a look or the arithmetic of a tick, never across an await.
    state: Mutex<State>,
    /// Who knows what other nodes do.
    elsewhere: Mutex<Option<Arc<Elsewhere>>>,
}

struct State {
    /// `None`: the database could not be read yet.
    recorder: Option<Recorder>,
    /// What is not in the database yet.
    waiting: Arc<Write>,
    /// What came late and goes with the next tick.
    late: Write,
    retention: Retention,
    recent: Recent,
    health: Health,
}

#[derive(Default)]
struct Health {
    /// The last tick in the database, in Unix milliseconds.
    written_ms: Option<i64>,
    /// Since when it cannot be written, in Unix milliseconds, and why.
    failure: Option<(i64, String)>,
    /// Why the last tick was not kept, or not all of it.
    refused: Option<String>,
    missed_ticks: u64,
    missed_events: u64,
    lost_stretches: usize,
    damaged_ticks: usize,
    damaged_stretches: usize,
}

/// How the history does.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryStatus {
    /// Whether anything is written.
    pub enabled: bool,
    /// Days until figures and events are deleted; 0: off.
    pub retention_days: u32,
    /// Milliseconds between two samples.
    pub step_ms: u32,
    /// Series in the database: miners, algorithms, and the fleet.
    pub series: usize,
    /// The last tick that is safe on the disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_written: Option<jiff::Timestamp>,
    /// What is wrong, and since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Since when the database cannot be written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<jiff::Timestamp>,
    /// Ticks that wait in memory for the database.
    pub waiting_ticks: usize,
    /// Ticks since the host began that are lost.
    pub missed_ticks: u64,
    /// Events since the host began that are lost.
    pub missed_events: u64,
    /// Stretches of one metric that were given up because the database could not be written for
    /// long.
    pub lost_chunks: usize,
    /// Rows of ticks that could not be read when the host began.
    pub damaged_ticks: usize,
    /// Stretches that could not be read in the last answer that had any.
    pub damaged_chunks: usize,
    /// Memory of what is not in finished stretches yet, in bytes.
    pub memory_bytes: usize,
}

/// A chart: of numbers, or of phases.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
#[serde(untagged)]
pub enum Drawn {
    /// Least, mean and largest.
    Numbers(Vec<Point>),
    /// What lasted longest.
    Phases(Vec<PhasePoint>),
}

impl History {
    /// The history in `store` on `grid`. What cannot be read yet is tried again at each tick.
    pub(super) async fn begin(store: Store, events: Events, days: u32, grid: Grid) -> Self {
        let history = Self(Arc::new(Inner {
            reader: store.history_reader(),
            store,
            events,
            days,
            grid,
            state: Mutex::new(State {
                recorder: None,
                waiting: Arc::default(),
                late: Write::default(),
                retention: Retention::new(days),
                recent: Recent::default(),
                health: Health::default(),
            }),
            elsewhere: Mutex::default(),
        }));
        if let Err(error) = history.take_up().await {
            tracing::error!(%error, "cannot read the history");
        }
        history
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How it does.
    pub fn status(&self) -> HistoryStatus {
        let state = self.state();
        let Health { failure, refused, written_ms, .. } = &state.health;
        let at = |at_ms: i64| jiff::Timestamp::from_millisecond(at_ms).ok();
        let recorder = state.recorder.as_ref();
        HistoryStatus {
            enabled: self.0.days > 0,
            retention_days: self.0.days,
            step_ms: self.0.grid.step_ms(),
            series: recorder.map_or(0, Recorder::series_count),
            last_written: written_ms.and_then(at),
            error: failure.as_ref().map(|(_, error)| error.clone()).or_else(|| refused.clone()),
            failing_since: failure.as_ref().and_then(|(since_ms, _)| at(*since_ms)),
            waiting_ticks: state.waiting.tail.len(),
            missed_ticks: state.health.missed_ticks,
            missed_events: state.health.missed_events,
            lost_chunks: state.health.lost_stretches,
            damaged_ticks: state.health.damaged_ticks,
            damaged_chunks: state.health.damaged_stretches,
            memory_bytes: recorder.map_or(0, Recorder::bytes),
        }
    }

    /// The hashrates of a miner in the last five minutes, oldest first.
    pub fn recent(&self, miner: &str) -> Vec<Point> {
        self.state().recent.of(miner)
    }

    /// The names that the history has of `kind`, in order.
    pub fn names(&self, kind: Kind) -> Vec<String> {
        let state = self.state();
        let all = state.recorder.iter().flat_map(|recorder| recorder.of_kind(kind));
        let mut names: Vec<String> = all.map(|series| series.name.clone()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The hashrates of all miners that the history has.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn miners(&self) -> Result<Vec<HashrateStats>, Error> {
        self.stats(self.names(Kind::Miner)).await
    }

    /// The hashrate of one miner.
    ///
    /// # Errors
    /// [`Error::NoMiner`] when the history has none of this name; when the database cannot be read.
    pub async fn miner(&self, name: &str) -> Result<HashrateStats, Error> {
        if !self.has(Kind::Miner, name) {
            return Err(Error::NoMiner(name.chars().take(80).collect()));
        }
        let stats = self.stats(vec![name.to_owned()]).await?;
        stats.into_iter().next().ok_or(Error::ShuttingDown)
    }

    async fn stats(&self, names: Vec<String>) -> Result<Vec<HashrateStats>, Error> {
        let sources = |name: String| {
            let sources = self.sources(Kind::Miner, &name, Metric::Hashrate);
            (name, sources)
        };
        let miners = names.into_iter().map(sources).collect();
        Ok(self.checked(self.0.reader.hashrates(miners).await?))
    }

    /// Whether the history has a series of `kind` called `name`.
    pub fn has(&self, kind: Kind, name: &str) -> bool {
        let state = self.state();
        state.recorder.as_ref().is_some_and(|recorder| !recorder.named(kind, name).is_empty())
    }

    /// A chart of at most `points` points; empty when the history has nothing of it.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn chart(
        &self,
        (kind, name): (Kind, &str),
        metric: Metric,
        range: Range,
        points: u32,
    ) -> Result<Drawn, Error> {
        let sources = self.sources(kind, name, metric);
        let reader = &self.0.reader;
        Ok(if metric == Metric::Phase {
            Drawn::Phases(self.checked(reader.phases(sources, range, points).await?))
        } else {
            Drawn::Numbers(self.checked(reader.chart(sources, metric, range, points).await?))
        })
    }

    /// The events that are asked for, newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn events(&self, query: EventQuery) -> Result<Vec<Event>, Error> {
        Ok(self.0.reader.events(query).await?)
    }

    /// What of a series is where.
    fn sources(&self, kind: Kind, name: &str, metric: Metric) -> Vec<Source> {
        let state = self.state();
        let Some(recorder) = &state.recorder else { return Vec::new() };
        let source = |series: Series| {
            let waits = state.waiting.closed.iter().chain(&state.late.closed);
            let waits = waits.filter(|it| it.key.metric == metric);
            let fresh = waits
                .filter(|it| it.key.series == series.id)
                .map(|it| (it.key.number, it.column.points()))
                .chain(recorder.growing(series.id, metric))
                .collect();
            Source { series, fresh }
        };
        recorder.named(kind, name).into_iter().map(source).collect()
    }

    fn checked<T>(&self, read: Read<T>) -> T {
        if read.damaged > 0 {
            tracing::warn!(count = read.damaged, "parts of the history are damaged and left out");
            self.state().health.damaged_stretches = read.damaged;
        }
        read.answer
    }
}

impl Miners {
    /// What was.
    pub fn history(&self) -> &History {
        &self.0.history
    }

    /// Begins to write the history.
    pub(super) fn keep_history(&self) {
        let Inner { events, .. } = &*self.0.history.0;
        let (tasks, ending) = (&self.0.tasks, &self.0.ending);
        let history = self.0.history.clone();
        tasks.spawn(history.clone().keep(self.batches(), ending.clone()));
        tasks.spawn(history.keep_events(events.subscribe(None), ending.clone()));
    }
}

#[cfg(test)]
mod tests;
