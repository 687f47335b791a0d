//! Table `event`: what happened and is worth keeping.

use rusqlite::{Row, params};

use crate::{Error, Store, history_read::HistoryReader};
use adit_model::event::Event;

/// Which events are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventQuery {
    /// Not before this, in Unix milliseconds.
    pub since_ms: i64,
    /// Before this, in Unix milliseconds.
    pub until_ms: i64,
    /// Of this miner only.
    pub miner: Option<String>,
    /// At most so many, the newest.
    pub limit: u32,
}

impl Store {
    /// Keeps events. What is there already stays.
    ///
    /// # Errors
    /// When the database cannot be written; none is kept then.
    pub async fn put_events(&self, events: Vec<Event>) -> Result<(), Error> {
        self.call(move |connection| {
            let transaction = connection.transaction()?;
            for event in &events {
                let mut insert = transaction.prepare_cached(
                    "INSERT OR IGNORE INTO event (id, at_ms, kind, miner, data)
                     VALUES (?1, ?2, ?3, ?4, ?5)",
                )?;
                let id = i64::try_from(event.id).unwrap_or(i64::MAX);
                let (at_ms, data) = (event.at.as_millisecond(), event.data.to_string());
                insert.execute(params![id, at_ms, event.kind, event.miner(), data])?;
            }
            transaction.commit()?;
            Ok(())
        })
        .await
    }
}

impl HistoryReader {
    /// The events that `query` asks for, newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn events(&self, query: EventQuery) -> Result<Vec<Event>, Error> {
        self.read(move |connection| {
            let EventQuery { since_ms, until_ms, miner, limit } = query;
            let of_all = "SELECT id, at_ms, kind, data FROM event
                 WHERE at_ms >= ?1 AND at_ms < ?2 AND ?3 IS NULL
                 ORDER BY at_ms DESC, id DESC LIMIT ?4";
            let of_one = "SELECT id, at_ms, kind, data FROM event
                 WHERE at_ms >= ?1 AND at_ms < ?2 AND miner = ?3
                 ORDER BY at_ms DESC, id DESC LIMIT ?4";
            let mut statement =
                connection.prepare_cached(if miner.is_none() { of_all } else { of_one })?;
            let rows = statement.query_map(params![since_ms, until_ms, miner, limit], read)?;
            rows.collect()
        })
        .await
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Event> {
    let (id, at_ms, data): (i64, i64, String) = (row.get(0)?, row.get(1)?, row.get(3)?);
    Ok(Event {
        id: u64::try_from(id).unwrap_or_default(),
        at: jiff::Timestamp::from_millisecond(at_ms).unwrap_or_default(),
        kind: row.get(2)?,
        data: serde_json::from_str(&data).unwrap_or_default(),
    })
}
