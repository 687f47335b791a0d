//! The history as many systems keep it, the Go system among them: a row a sample, with the time as
//! text, two indexes, and a commit a row. It keeps the hashrate alone.
//!
//! The Go system runs with `synchronous=NORMAL`: a commit waits for no disk, and a power cut can take
//! every commit since the last checkpoint. With `FULL` each commit waits, as ours does, and none is
//! lost. Both are measured, because only the second keeps the same promise.

use std::path::{Path, PathBuf};

use adit_model::sample::Sample;
use rusqlite::{Connection, Statement, params};

const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    CREATE TABLE IF NOT EXISTS hashrate_history (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        miner_name TEXT NOT NULL,
        miner_type TEXT NOT NULL,
        timestamp DATETIME NOT NULL,
        hashrate INTEGER NOT NULL,
        resolution TEXT NOT NULL DEFAULT 'high',
        created_at DATETIME DEFAULT CURRENT_TIMESTAMP
    );
    CREATE INDEX IF NOT EXISTS by_miner ON hashrate_history (miner_name, timestamp DESC);
    CREATE INDEX IF NOT EXISTS by_time ON hashrate_history (resolution, timestamp);
";
const INSERT: &str = "INSERT INTO hashrate_history
    (miner_name, miner_type, timestamp, hashrate, resolution) VALUES (?1, ?2, ?3, ?4, 'low')";

/// What a commit waits for.
#[derive(Clone, Copy)]
pub(super) enum Synchronous {
    /// The disk.
    Full,
    /// Nothing, until a checkpoint.
    Normal,
}

pub(super) struct Peer {
    path: PathBuf,
    connection: Connection,
}

impl Peer {
    pub(super) fn open(path: &Path) -> Self {
        let connection = Connection::open(path).unwrap();
        connection.execute_batch(SCHEMA).unwrap();
        let peer = Self { path: path.to_owned(), connection };
        peer.wait_for(Synchronous::Normal);
        peer
    }

    /// Sets what the next commits wait for.
    pub(super) fn wait_for(&self, synchronous: Synchronous) {
        let word = match synchronous {
            Synchronous::Full => "FULL",
            Synchronous::Normal => "NORMAL",
        };
        self.connection.pragma_update(None, "synchronous", word).unwrap();
    }

    /// Adds a tick as it is done in use: each row is committed by itself.
    pub(super) fn tick(&self, at_ms: i64, samples: &[Sample]) {
        let mut insert = self.connection.prepare_cached(INSERT).unwrap();
        let at = text(at_ms);
        samples.iter().for_each(|sample| put(&mut insert, &at, sample));
    }

    /// Adds many ticks with one commit, only to have them.
    pub(super) fn fill(&self, ticks: &[(i64, Vec<Sample>)]) {
        self.connection.execute_batch("BEGIN").unwrap();
        ticks.iter().for_each(|(at_ms, samples)| self.tick(*at_ms, samples));
        self.connection.execute_batch("COMMIT").unwrap();
    }

    /// Least, mean and largest of at most `points` stretches. Returns how many have any.
    pub(super) fn chart(&self, miner: &str, since_ms: i64, until_ms: i64, points: usize) -> usize {
        let mut select = self.connection.prepare_cached(
            "SELECT timestamp, hashrate FROM hashrate_history
             WHERE miner_name = ?1 AND timestamp >= ?2 AND timestamp <= ?3 ORDER BY timestamp",
        );
        let select = select.as_mut().unwrap();
        let mut rows = select.query(params![miner, text(since_ms), text(until_ms)]).unwrap();
        let mut buckets = vec![(f64::MAX, 0.0, f64::MIN, 0_u32); points];
        let width = (until_ms - since_ms) / i64::try_from(points).unwrap() + 1;
        while let Some(row) = rows.next().unwrap() {
            let at_ms = time(row.get_ref(0).unwrap().as_str().unwrap());
            let rate: i64 = row.get(1).unwrap();
            let rate = f64::from(i32::try_from(rate).unwrap());
            let bucket = &mut buckets[usize::try_from((at_ms - since_ms) / width).unwrap()];
            *bucket = (bucket.0.min(rate), bucket.1 + rate, bucket.2.max(rate), bucket.3 + 1);
        }
        buckets.iter().filter(|bucket| bucket.3 > 0).count()
    }

    /// Size of the file once everything is in it.
    pub(super) fn bytes(&self) -> u64 {
        self.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        std::fs::metadata(&self.path).unwrap().len()
    }
}

fn put(insert: &mut Statement<'_>, at: &str, sample: &Sample) {
    let Some(rate) = sample.metrics.as_ref().and_then(|it| it.hashrate) else { return };
    let row =
        params![sample.name.as_str(), "xmrig", at, format!("{rate:.0}").parse::<i64>().unwrap()];
    insert.execute(row).unwrap();
}

/// A time in the 35 characters of the Go driver.
fn text(at_ms: i64) -> String {
    let (days, ms) = (at_ms.div_euclid(86_400_000), at_ms.rem_euclid(86_400_000));
    let (year, month, day) = date(days);
    let (hour, minute) = (ms / 3_600_000, ms / 60_000 % 60);
    let (second, nano) = (ms / 1_000 % 60, ms % 1_000 * 1_000_000);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{nano:09}+00:00")
}

/// The other way round.
fn time(text: &str) -> i64 {
    let number = |from: usize, to: usize| text[from..to].parse::<i64>().unwrap();
    let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
    let seconds = number(11, 13) * 3_600 + number(14, 16) * 60 + number(17, 19);
    days(year, month, day) * 86_400_000 + seconds * 1_000 + number(20, 29) / 1_000_000
}

/// Year, month and day of a day since 1970, counted from March on so that a leap day is the last.
fn date(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    (year, month, of_year - (153 * from_march + 2) / 5 + 1)
}

fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let from_march = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * from_march + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}
