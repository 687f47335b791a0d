//! Tables `series`, `tail` and `chunk`: the history of figures, written in one transaction a tick.

use std::sync::Arc;

use rusqlite::{Connection, Row, Transaction, TransactionBehavior, params};

use crate::{Error, Store};
use adit_model::{
    history::{
        Metric, chunk,
        chunk::Key,
        column::Points,
        recorder::{Closed, Recorder, Series, Write},
    },
    sample::Grid,
};

/// Rows of the tail that go with one tick at most, so that none takes long.
const TAIL_ROWS: u32 = 64;
/// Chunks and events that go with one tick at most.
const OLD_ROWS: usize = 256;

impl Store {
    /// Reads the series and the tail, and takes up where they end. Also returns how many rows of
    /// the tail are damaged.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn history_load(&self, grid: Grid) -> Result<(Recorder, usize), Error> {
        self.call(move |connection| Ok(load(connection, grid)?)).await
    }

    /// Does all of `write` or nothing. Returns the series that have nothing left.
    ///
    /// # Errors
    /// When the database cannot be written; it is as before then.
    pub async fn history_write(&self, write: Arc<Write>) -> Result<Vec<u32>, Error> {
        self.call(move |connection| Ok(carry_out(connection, &write)?)).await
    }

    /// Makes every write fail from now on, or no longer.
    ///
    /// # Panics
    /// When the database is closed.
    #[cfg(any(test, feature = "testing"))]
    pub async fn refuse_writes(&self, refuse: bool) {
        let set = self.call(move |it| Ok(it.pragma_update(None, "query_only", refuse)?)).await;
        set.expect("a test keeps the database open");
    }
}

fn load(connection: &Connection, grid: Grid) -> rusqlite::Result<(Recorder, usize)> {
    let mut statement = connection.prepare("SELECT id, kind, name, step_ms FROM series")?;
    let series = statement.query_map([], read_series)?.filter_map(Result::transpose);
    let series = series.collect::<Result<Vec<_>, _>>()?;
    let last: Option<i64> =
        connection.query_row("SELECT max(key) FROM chunk", [], |row| row.get(0))?;
    let mut statement = connection.prepare("SELECT at_ms, data FROM tail ORDER BY at_ms")?;
    let mut rows = statement.query([])?;
    let mut broken = None;
    let tail = std::iter::from_fn(|| {
        let row =
            rows.next().and_then(|row| row.map(|row| Ok((row.get(0)?, row.get(1)?))).transpose());
        row.unwrap_or_else(|error| {
            broken = Some(error);
            None
        })
    });
    let (mut recorder, damaged) = Recorder::new(grid, series, tail);
    if let Some(error) = broken {
        return Err(error);
    }
    // Where rows of series are lost, their numbers must not become those of somebody else.
    recorder.reserve(last.map_or(0, |key| u32::try_from(key >> 32).unwrap_or(0)));
    Ok((recorder, damaged))
}

/// `None`: a kind that this version does not know.
fn read_series(row: &Row<'_>) -> rusqlite::Result<Option<Series>> {
    let kind: String = row.get(1)?;
    let (id, name, step_ms) = (row.get(0)?, row.get(2)?, row.get(3)?);
    Ok(kind.parse().ok().map(|kind| Series { id, kind, name, grid: Grid::of_ms(step_ms) }))
}

fn carry_out(connection: &mut Connection, write: &Write) -> rusqlite::Result<Vec<u32>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for Series { id, kind, name, grid } in &write.series {
        let mut insert = transaction.prepare_cached(
            "INSERT OR IGNORE INTO series (id, kind, name, step_ms) VALUES (?1, ?2, ?3, ?4)",
        )?;
        insert.execute(params![id, kind.as_str(), name, grid.step_ms()])?;
    }
    for closed in &write.closed {
        put_chunk(&transaction, closed)?;
    }
    if write.restarts_tail {
        transaction.execute("DELETE FROM tail", [])?;
    }
    let mut insert =
        transaction.prepare_cached("INSERT OR REPLACE INTO tail (at_ms, data) VALUES (?1, ?2)")?;
    for (at_ms, data) in &write.tail {
        insert.execute(params![at_ms, data])?;
    }
    drop(insert);
    let mut delete = transaction.prepare_cached(
        "DELETE FROM tail WHERE at_ms IN
         (SELECT at_ms FROM tail WHERE at_ms < ?1 ORDER BY at_ms LIMIT ?2)",
    )?;
    delete.execute(params![write.tail_from_ms, TAIL_ROWS])?;
    drop(delete);
    let emptied = sweep(&transaction, write)?;
    transaction.commit()?;
    Ok(emptied)
}

fn put_chunk(transaction: &Transaction<'_>, closed: &Closed) -> rusqlite::Result<()> {
    let key = closed.key.packed();
    let mut points = closed.column.points();
    let mut select = transaction.prepare_cached("SELECT data FROM chunk WHERE key = ?1")?;
    let mut rows = select.query([key])?;
    // Only after the clock was set back there is something; if it is damaged, it is lost anyway.
    if let Some(row) = rows.next()? {
        let mut older = Points::default();
        if chunk::decode(row.get_ref(0)?.as_blob()?, &mut older).is_ok() {
            points = older.overlaid(&points);
        }
    }
    let mut insert =
        transaction.prepare_cached("INSERT OR REPLACE INTO chunk (key, data) VALUES (?1, ?2)")?;
    insert.execute(params![key, chunk::encode(closed.key.metric, &points)])?;
    Ok(())
}

/// Deletes what is too old of some series and events, in small steps.
fn sweep(transaction: &Transaction<'_>, write: &Write) -> rusqlite::Result<Vec<u32>> {
    let mut left = OLD_ROWS;
    let mut emptied = Vec::new();
    for (series, before) in &write.sweep {
        for metric in Metric::ALL {
            let key = |number| Key { series: *series, metric, number }.packed();
            let mut delete = transaction.prepare_cached(
                "DELETE FROM chunk WHERE key IN
                 (SELECT key FROM chunk WHERE key >= ?1 AND key < ?2 ORDER BY key LIMIT ?3)",
            )?;
            let limit = i64::try_from(left).unwrap_or(i64::MAX);
            left -= delete.execute(params![key(0), key(*before), limit])?.min(left);
        }
        let mut any = transaction
            .prepare_cached("SELECT 1 FROM chunk WHERE key >= ?1 AND key < ?2 LIMIT 1")?;
        let (begin, end) = (i64::from(*series) << 32, (i64::from(*series) + 1) << 32);
        let grows = write.growing.contains(series);
        if !grows && !any.exists(params![begin, end])? {
            transaction.execute("DELETE FROM series WHERE id = ?1", [series])?;
            emptied.push(*series);
        }
    }
    let mut delete = transaction.prepare_cached(
        "DELETE FROM event WHERE id IN (SELECT id FROM event WHERE at_ms < ?1 LIMIT ?2)",
    )?;
    delete.execute(params![write.events_from_ms, i64::try_from(OLD_ROWS).unwrap_or(i64::MAX)])?;
    Ok(emptied)
}

#[cfg(test)]
mod tests;
