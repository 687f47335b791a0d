//! Table `incident`: what the watchdog found and did, with its evidence.

use rusqlite::{OptionalExtension, Row, params};

use crate::{Error, Store, miner::parsed};
use adit_model::{
    name::MinerName,
    watchdog::incident::{Evidence, Incident},
};

/// Incidents kept of all miners together.
const KEPT: i64 = 5_000;

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub struct IncidentLimits {
    /// Incidents of one miner.
    pub per_miner: u32,
    /// Days.
    pub days: u32,
}

impl Store {
    /// Writes an incident down and removes what is too old or too much. Returns its number.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn add_incident(
        &self,
        incident: Incident,
        evidence: Evidence,
        limits: IncidentLimits,
    ) -> Result<i64, Error> {
        self.call(move |connection| {
            let transaction = connection.transaction()?;
            let miner = incident.miner.as_str();
            transaction.execute(
                "INSERT INTO incident (miner, at_ms, run, cause, action, summary, evidence)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    miner,
                    incident.at_ms,
                    incident.run,
                    incident.cause.as_str(),
                    incident.action.map(|it| it.as_str()),
                    incident.summary,
                    serde_json::to_string(&evidence).unwrap_or_default(),
                ],
            )?;
            let id = transaction.last_insert_rowid();
            transaction.execute(
                "DELETE FROM incident WHERE miner = ?1 AND id <=
                    (SELECT id FROM incident WHERE miner = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
                params![miner, limits.per_miner],
            )?;
            let oldest_ms = incident.at_ms - i64::from(limits.days) * 86_400_000;
            transaction.execute(
                "DELETE FROM incident WHERE id <= ?1 OR at_ms < ?2",
                params![id - KEPT, oldest_ms],
            )?;
            transaction.commit()?;
            Ok(id)
        })
        .await
    }

    /// The last `limit` incidents, newest first; of one miner or of all.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn incidents(
        &self,
        miner: Option<&MinerName>,
        limit: u32,
    ) -> Result<Vec<Incident>, Error> {
        let miner = miner.map(ToString::to_string);
        self.call(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, miner, at_ms, run, cause, action, summary
                 FROM incident WHERE ?1 IS NULL OR miner = ?1 ORDER BY id DESC LIMIT ?2",
            )?;
            let rows = statement.query_map(params![miner, limit], read)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// An incident with its evidence; `None` when there is none with this number.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn incident(&self, id: i64) -> Result<Option<(Incident, Evidence)>, Error> {
        self.call(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, miner, at_ms, run, cause, action, summary, evidence
                 FROM incident WHERE id = ?1",
            )?;
            let found = statement.query_row([id], |row| {
                let evidence = parsed(row, 7, |text| serde_json::from_str(text))?;
                Ok((read(row)?, evidence))
            });
            Ok(found.optional()?)
        })
        .await
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Incident> {
    let word = |text: &str| serde_json::from_value(serde_json::Value::from(text));
    let action: Option<String> = row.get(5)?;
    Ok(Incident {
        id: row.get(0)?,
        miner: parsed(row, 1, |text| MinerName::new(text))?,
        at_ms: row.get(2)?,
        run: row.get(3)?,
        cause: parsed(row, 4, word)?,
        action: action.and_then(|it| serde_json::from_value(it.into()).ok()),
        summary: row.get(6)?,
    })
}
