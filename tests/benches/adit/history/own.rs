//! Our history, fed as the host feeds it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use adit_model::{
    history::{
        Kind, Metric, reading,
        recorder::{Recorder, Write},
        retention::Retention,
        thin::Range,
    },
    sample::{Grid, Sample},
};
use adit_store::{HistoryReader, Source, Store};
use tokio::runtime::Runtime;

/// Ticks that are filled in with one commit: fewer than the old rows of the tail that go with it.
const AT_ONCE: usize = 60;

pub(super) struct Own {
    path: PathBuf,
    store: Store,
    reader: HistoryReader,
    recorder: Recorder,
    retention: Retention,
    runtime: Runtime,
    waiting: Write,
}

impl Own {
    /// Opens the database and takes up where it ends.
    pub(super) fn open(path: &Path, grid: Grid) -> Self {
        let runtime = Runtime::new().unwrap();
        let (store, _) = Store::open(path.to_owned()).unwrap();
        let (recorder, damaged) = runtime.block_on(store.history_load(grid)).unwrap();
        assert_eq!(damaged, 0);
        let mut retention = Retention::new(30);
        retention.begin(recorder.last_ms());
        let (reader, path) = (store.history_reader(), path.to_owned());
        Self { path, store, reader, recorder, retention, runtime, waiting: Write::default() }
    }

    /// Adds a tick as the host does: one durable transaction.
    pub(super) fn tick(&mut self, tick: i64, at_ms: i64, samples: &[Sample]) {
        let write = self.write(tick, at_ms, samples);
        self.runtime.block_on(self.store.history_write(Arc::new(write))).unwrap();
    }

    /// Adds a tick, written together with others, only to have it.
    pub(super) fn fill(&mut self, tick: i64, at_ms: i64, samples: &[Sample]) {
        let write = self.write(tick, at_ms, samples);
        self.waiting.add(write, usize::MAX, usize::MAX);
        if self.waiting.tail.len() >= AT_ONCE {
            self.flush();
        }
    }

    pub(super) fn flush(&mut self) {
        let write = Arc::new(std::mem::take(&mut self.waiting));
        self.runtime.block_on(self.store.history_write(write)).unwrap();
    }

    fn write(&mut self, tick: i64, at_ms: i64, samples: &[Sample]) -> Write {
        let (mut write, refused) = self.recorder.tick(tick, &reading::readings(samples));
        assert!(refused.is_none(), "{refused:?}");
        if let Some(cut_ms) = self.retention.cut(at_ms) {
            self.recorder.sweep(cut_ms, &mut write);
        }
        write
    }

    /// Least, mean and largest of at most `points` stretches. Returns how many have any.
    pub(super) fn chart(&self, miner: &str, since_ms: i64, until_ms: i64, points: u32) -> usize {
        let series = self.recorder.named(Kind::Miner, miner);
        let source = |series: adit_model::history::recorder::Series| {
            let fresh = self.recorder.growing(series.id, Metric::Hashrate).into_iter().collect();
            Source { series, fresh }
        };
        let sources = series.into_iter().map(source).collect();
        let range = Range { since_ms, until_ms };
        let read = self.reader.chart(sources, Metric::Hashrate, range, points);
        self.runtime.block_on(read).unwrap().answer.len()
    }

    /// Size of the file once everything is in it.
    pub(super) fn bytes(&self) -> u64 {
        let connection = rusqlite::Connection::open(&self.path).unwrap();
        connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        std::fs::metadata(&self.path).unwrap().len()
    }
}
