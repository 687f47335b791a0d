//! Table `audit`: what was changed or refused over the API, by whom and from where.

use rusqlite::params;

use crate::store::{Error, Store};

/// Entries kept; the oldest go first.
const KEPT: i64 = 100_000;

/// One call.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    /// Unix milliseconds.
    pub at_ms: i64,
    /// Name of the token, or `nobody`.
    pub who: String,
    /// Address of the client.
    pub address: String,
    /// Method and path.
    pub action: String,
    /// Status, and the error code if any.
    pub outcome: String,
}

impl Store {
    /// Adds an entry.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn add_audit(&self, entry: AuditEntry) -> Result<(), Error> {
        self.call(move |connection| {
            connection.execute(
                "INSERT INTO audit (at_ms, who, address, action, outcome)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
                params![entry.at_ms, entry.who, entry.address, entry.action, entry.outcome],
            )?;
            let newest = connection.last_insert_rowid();
            connection.execute("DELETE FROM audit WHERE id <= ?1", [newest - KEPT])?;
            Ok(())
        })
        .await
    }

    /// The last `limit` entries, newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn audit(&self, limit: u32) -> Result<Vec<AuditEntry>, Error> {
        self.call(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT at_ms, who, address, action, outcome
                 FROM audit ORDER BY id DESC LIMIT ?1",
            )?;
            let rows = statement.query_map([limit], |row| {
                Ok(AuditEntry {
                    at_ms: row.get(0)?,
                    who: row.get(1)?,
                    address: row.get(2)?,
                    action: row.get(3)?,
                    outcome: row.get(4)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }
}
