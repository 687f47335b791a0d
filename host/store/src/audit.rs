//! Table `audit`: what was changed or refused over the API and by nodes, by whom and from where.
//!
//! Each caller has a budget of its own for what it changed and one for what it was refused: when the
//! table is full, those who wrote most lose their oldest entries, and nobody pushes out others.

use rusqlite::{Connection, params};

use crate::{Error, Store};

/// Entries kept.
const KEPT: i64 = 100_000;
/// Entries between two looks at how many there are: counting reads an index of all of them.
const TRIM_EVERY: i64 = 128;

/// One call.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
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
    /// Whether the call was refused, so that it changed nothing.
    pub refused: bool,
    /// How many refused calls of this caller the entry stands for; absent: it is one call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suppressed: Option<u32>,
}

impl Store {
    /// Adds an entry. Returns its number.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn add_audit(&self, entry: AuditEntry) -> Result<i64, Error> {
        self.call(move |connection| {
            connection.execute(
                "INSERT INTO audit (at_ms, who, address, action, outcome, refused, suppressed)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    entry.at_ms,
                    entry.who,
                    entry.address,
                    entry.action,
                    entry.outcome,
                    entry.refused,
                    entry.suppressed
                ],
            )?;
            let number = connection.last_insert_rowid();
            if number % TRIM_EVERY == 0 {
                trim(connection, KEPT)?;
            }
            Ok(number)
        })
        .await
    }

    /// Changes how many refusals the entry `number` stands for. `false`: it is not there any more.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn count_audit(&self, number: i64, entry: AuditEntry) -> Result<bool, Error> {
        self.call(move |connection| {
            let changed = connection.execute(
                "UPDATE audit SET at_ms = ?2, address = ?3, outcome = ?4, suppressed = ?5
                 WHERE id = ?1",
                params![number, entry.at_ms, entry.address, entry.outcome, entry.suppressed],
            )?;
            Ok(changed == 1)
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
                "SELECT at_ms, who, address, action, outcome, refused, suppressed
                 FROM audit ORDER BY id DESC LIMIT ?1",
            )?;
            let rows = statement.query_map([limit], |row| {
                Ok(AuditEntry {
                    at_ms: row.get(0)?,
                    who: row.get(1)?,
                    address: row.get(2)?,
                    action: row.get(3)?,
                    outcome: row.get(4)?,
                    refused: row.get(5)?,
                    suppressed: row.get(6)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }
}

/// Deletes the oldest entries of those who wrote most, until `kept` are left.
fn trim(connection: &Connection, kept: i64) -> rusqlite::Result<()> {
    let all: i64 = connection.query_row("SELECT count(*) FROM audit", [], |row| row.get(0))?;
    let mut over = all - kept;
    while over > 0 {
        let (who, refused, first, second): (String, bool, i64, i64) = connection.query_row(
            "WITH budget AS (SELECT who, refused, count(*) AS n FROM audit GROUP BY who, refused)
             SELECT who, refused, n, (SELECT coalesce(max(n), 0) FROM
                (SELECT n FROM budget ORDER BY n DESC LIMIT 1 OFFSET 1))
             FROM budget ORDER BY n DESC LIMIT 1",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
        )?;
        // Down to the next one, then in turns.
        let share = over.min((first - second).max(1));
        connection.execute(
            "DELETE FROM audit WHERE id IN
                (SELECT id FROM audit WHERE who = ?1 AND refused = ?2 ORDER BY id LIMIT ?3)",
            params![who, refused, share],
        )?;
        over -= share;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(who: &str, refused: bool, at_ms: i64) -> AuditEntry {
        AuditEntry { at_ms, who: who.to_owned(), refused, ..AuditEntry::default() }
    }

    #[tokio::test]
    async fn who_writes_most_loses_its_own_oldest_entries() {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(folder.path().join("adit.db")).unwrap();
        store.add_audit(entry("admin", false, 0)).await.unwrap();
        store.add_audit(entry("viewer", false, 1)).await.unwrap();
        for at_ms in 0..40 {
            store.add_audit(entry("viewer", true, 100 + at_ms)).await.unwrap();
            store.add_audit(entry("peer", false, 200 + at_ms)).await.unwrap();
        }
        store.call(|connection| Ok(trim(connection, 22)?)).await.unwrap();
        let left = store.audit(100).await.unwrap();
        let of = |who: &str, refused: bool| -> Vec<i64> {
            let own = left.iter().filter(|it| it.who == who && it.refused == refused);
            own.map(|it| it.at_ms).collect()
        };
        assert_eq!((of("admin", false), of("viewer", false)), (vec![0], vec![1]));
        assert_eq!(of("viewer", true), (130..140).rev().collect::<Vec<_>>());
        assert_eq!(of("peer", false), (230..240).rev().collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn the_table_is_bounded_and_a_count_can_be_raised() {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(folder.path().join("adit.db")).unwrap();
        let number = store.add_audit(entry("a", true, 1)).await.unwrap();
        let raised = AuditEntry { suppressed: Some(7), ..entry("a", true, 2) };
        assert!(store.count_audit(number, raised.clone()).await.unwrap());
        assert_eq!(store.audit(9).await.unwrap(), std::slice::from_ref(&raised));
        assert!(!store.count_audit(number + 1, raised).await.unwrap());
    }
}
