//! The schema: its migrations, and how connections that write are opened.

use std::{fs, io, os::unix::fs::OpenOptionsExt, path::Path};

use rusqlite::{Connection, config::DbConfig};

use adit_core::files;

/// Each step from one schema to the next; `user_version` counts the steps done.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_foundation.sql"),
    include_str!("migrations/0002_profiles.sql"),
    include_str!("migrations/0003_watchdog.sql"),
    include_str!("migrations/0004_history.sql"),
    include_str!("migrations/0005_node.sql"),
    include_str!("migrations/0006_watched_profiles.sql"),
    include_str!("migrations/0007_pool_totals.sql"),
    include_str!("migrations/0008_remote_history.sql"),
    include_str!("migrations/0009_pool_protocol.sql"),
    include_str!("migrations/0010_peer_invite.sql"),
    include_str!("migrations/0011_audit_budgets.sql"),
    include_str!("migrations/0012_run_processes.sql"),
    include_str!("migrations/0013_pool_turn.sql"),
];

/// A new database of schema `version` that is filled before anybody uses it: without a journal, and
/// with references to rows that may be lost.
pub(super) fn create(path: &Path, version: i64) -> rusqlite::Result<Connection> {
    make_private(path).map_err(|error| cannot_open(&error))?;
    let mut connection = Connection::open(path)?;
    let pragmas = "PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; \
                   PRAGMA foreign_keys = OFF;";
    connection.execute_batch(pragmas)?;
    migrate_to(&mut connection, 0, version)?;
    Ok(connection)
}

/// Opens the file and sets what every connection that writes needs. Checks nothing.
pub(super) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    // Until the file is known to be sound its journal stays as it is.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    // FULL costs one fsync a transaction, about half a millisecond on an SSD. With NORMAL a power
    // cut can take every transaction since the last checkpoint.
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;",
    )?;
    Ok(connection)
}

/// The file holds secrets: no other user may ever read it, not even while it is new.
pub(super) fn make_private(path: &Path) -> io::Result<()> {
    files::check_place(path)?;
    fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path).map(drop)
}

pub(super) fn cannot_open(error: &io::Error) -> rusqlite::Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN);
    rusqlite::Error::SqliteFailure(code, Some(error.to_string()))
}

pub(super) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

pub(super) fn known_version() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// Takes the steps after the schema `found`.
pub(super) fn migrate(connection: &mut Connection, found: i64) -> rusqlite::Result<()> {
    migrate_to(connection, found, known_version())
}

fn migrate_to(connection: &mut Connection, found: i64, wanted: i64) -> rusqlite::Result<()> {
    for (done, step) in (1..=wanted).zip(MIGRATIONS) {
        if done <= found {
            continue;
        }
        let transaction = connection.transaction()?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", done)?;
        transaction.commit()?;
    }
    Ok(())
}
