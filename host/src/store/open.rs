//! Opening the file: permissions, migrations, newer and damaged files.

use std::{
    fs, io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use rusqlite::{Connection, ErrorCode};

use crate::store::Error;

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
];

/// Where a damaged database went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// Its new path.
    pub path: PathBuf,
    /// What SQLite said about it.
    pub reason: String,
}

pub(super) fn open(path: &Path) -> Result<(Connection, Option<SetAside>), Error> {
    match prepare(path) {
        Ok(connection) => Ok((connection, None)),
        Err(Error::Open { source, .. }) if is_damage(&source) => {
            let aside = set_aside(path)
                .map_err(|error| Error::SetAside { path: path.to_owned(), source: error })?;
            let set_aside = SetAside { path: aside, reason: source.to_string() };
            Ok((prepare(path)?, Some(set_aside)))
        }
        Err(error) => Err(error),
    }
}

fn prepare(path: &Path) -> Result<Connection, Error> {
    let wrong = |source| Error::Open { path: path.to_owned(), source };
    // The file holds wallets: nobody else may ever read it, not even while it is new.
    let created = fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path).map(drop);
    if let Err(error) = created {
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN);
        return Err(wrong(rusqlite::Error::SqliteFailure(code, Some(error.to_string()))));
    }
    let mut connection = Connection::open(path).map_err(wrong)?;
    connection.busy_timeout(std::time::Duration::from_secs(5)).map_err(wrong)?;
    // FULL costs one fsync a transaction, about half a millisecond on an SSD. With NORMAL a power
    // cut can take every transaction since the last checkpoint.
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;",
        )
        .map_err(wrong)?;
    migrate(&mut connection, path)?;
    // Reads every page of the small tables that the host cannot do without.
    connection
        .query_row("SELECT count(*), total(length(config)) FROM miner", [], |_| Ok(()))
        .and_then(|()| connection.query_row("SELECT count(*) FROM token", [], |_| Ok(())))
        .map_err(wrong)?;
    Ok(connection)
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<(), Error> {
    let wrong = |source| Error::Open { path: path.to_owned(), source };
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    let found: i64 =
        connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(wrong)?;
    if found > known {
        return Err(Error::Newer { path: path.to_owned(), found, known });
    }
    for (done, step) in (1..).zip(MIGRATIONS) {
        if done <= found {
            continue;
        }
        let transaction = connection.transaction().map_err(wrong)?;
        transaction.execute_batch(step).map_err(wrong)?;
        transaction.pragma_update(None, "user_version", done).map_err(wrong)?;
        transaction.commit().map_err(wrong)?;
    }
    Ok(())
}

fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// Renames the database and its journals. Nothing is ever deleted.
fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |it| it.as_secs());
    let free = (0..1_000)
        .map(|n| with_suffix(path, &format!(".damaged-{}", seconds + n)))
        .find(|candidate| !candidate.exists())
        .ok_or_else(|| io::Error::other("there are too many damaged databases already"))?;
    fs::rename(path, &free)?;
    for journal in ["-wal", "-shm"] {
        let from = with_suffix(path, journal);
        if from.exists() {
            fs::rename(from, with_suffix(&free, journal))?;
        }
    }
    Ok(free)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_new_file_is_private_and_up_to_date() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("adit.db");
        let (connection, aside) = open(&path).unwrap_or_else(|error| panic!("{error}"));
        let version: i64 =
            connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        assert_eq!(version, i64::try_from(MIGRATIONS.len()).unwrap());
        assert_eq!(aside, None);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_newer_database_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("adit.db");
        drop(open(&path).unwrap_or_else(|error| panic!("{error}")));
        Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
        let before = fs::read(&path).unwrap();
        let error = open(&path).err().unwrap().to_string();
        assert!(error.contains("newer version of adit (schema 99"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), before);
    }

    #[test]
    fn a_damaged_database_is_set_aside_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("adit.db");
        for garbage in [b"this is no database at all, it is just text".repeat(100), {
            drop(open(&path).unwrap_or_else(|error| panic!("{error}")));
            let mut bytes = fs::read(&path).unwrap();
            let end = bytes.len();
            bytes[100..end].fill(0x5a);
            bytes
        }] {
            fs::write(&path, &garbage).unwrap();
            let (connection, aside) = open(&path).unwrap_or_else(|error| panic!("{error}"));
            let aside = aside.expect("the damage was noticed");
            assert_eq!(fs::read(&aside.path).unwrap(), garbage);
            drop(connection);
        }
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_an_error_with_its_path() {
        let path = Path::new("/proc/adit.db");
        let error = open(path).err().unwrap().to_string();
        assert!(error.starts_with("cannot open the database /proc/adit.db: "), "{error}");
    }
}
