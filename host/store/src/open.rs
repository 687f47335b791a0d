//! Opening the file: checks, migrations, newer and damaged files.

use std::{fs, path::Path};

use rusqlite::{Connection, ErrorCode, config::DbConfig};

use crate::{
    Error,
    salvage::{self, Salvage, schema_copy},
    schema::{cannot_open, connect, known_version, make_private, migrate, version},
    tables::{self, TABLES},
};

/// Schema numbers above this were not written by any version of this program.
const NEWEST: i64 = 1_000;

/// Why a database cannot be used as it is.
enum Trouble {
    /// The file is damaged: what can be read of it can be salvaged.
    Damage(String),
    /// Anything else, such as a lock or a full disk. The file is left alone.
    Other(Error),
}

/// Opens the database. A damaged one is replaced by what can be read of it.
pub(super) fn open(path: &Path) -> Result<(Connection, Option<Salvage>), Error> {
    let finished = salvage::finish(path)?;
    match prepare(path) {
        Ok(connection) => Ok((connection, finished)),
        Err(Trouble::Damage(reason)) => {
            let salvage = salvage::salvage(path, reason)?;
            Ok((reopen(path)?, Some(salvage)))
        }
        Err(Trouble::Other(error)) => Err(error),
    }
}

/// Opens a database that was just made out of a damaged one.
pub(super) fn reopen(path: &Path) -> Result<Connection, Error> {
    prepare(path).map_err(|trouble| match trouble {
        Trouble::Damage(reason) => Error::Damaged { path: path.to_owned(), reason },
        Trouble::Other(error) => error,
    })
}

fn prepare(path: &Path) -> Result<Connection, Trouble> {
    let trouble = |source: rusqlite::Error| {
        if tables::is_damage(&source) {
            return Trouble::Damage(source.to_string());
        }
        Trouble::Other(Error::Open { path: path.to_owned(), source })
    };
    // SQLite would take it for a new database, and delete its journal.
    if fs::metadata(path).is_ok_and(|file| file.is_file() && file.len() == 0) {
        return Err(Trouble::Damage("the file is empty".to_owned()));
    }
    make_private(path).map_err(|error| trouble(cannot_open(&error)))?;
    let mut connection = connect(path).map_err(trouble)?;
    let found = version(&connection).map_err(trouble)?;
    let known = known_version();
    if (known + 1..=NEWEST).contains(&found) {
        return Err(Trouble::Other(Error::Newer { path: path.to_owned(), found, known }));
    }
    let is_new = found == 0 && tables::names(&connection).map_err(trouble)?.is_empty();
    if !is_new && !(1..=known).contains(&found) {
        let reason = format!("its schema number is {found}, which no version of adit wrote");
        return Err(Trouble::Damage(reason));
    }
    if !is_new {
        let small = TABLES.iter().filter(|table| table.is_small);
        let problems = tables::check(&connection, small, found == known).map_err(trouble)?;
        if !problems.is_empty() {
            return Err(Trouble::Damage(problems.join("; ")));
        }
    }
    migrate(&mut connection, found).map_err(|error| match error.sqlite_error_code() {
        // The machine's fault, not the file's.
        Some(
            ErrorCode::DiskFull
            | ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::ReadOnly
            | ErrorCode::OutOfMemory,
        ) => trouble(error),
        _ => {
            let error = error.to_string();
            let first = error.lines().next().unwrap_or_default();
            Trouble::Damage(format!("its tables are not those of schema {found}: {first}"))
        }
    })?;
    let keep = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
    connection.set_db_config(keep, false).map_err(trouble)?;
    schema_copy::keep(path, &connection);
    Ok(connection)
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
        assert_eq!(version, known_version());
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
            assert_eq!(fs::read(&aside.kept).unwrap(), garbage);
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
