//! What can be read of a damaged database goes into a new one; the damaged one is kept.
//!
//! The new file is built next to the damaged one, table by table, before that one is touched. Only
//! then the damaged file and its journal are renamed, and the new file takes their place. An end at
//! any moment leaves the damaged file in its place, or a finished new file that the next start puts
//! there. A report about the losses is kept with the damaged file.

mod rows;
pub(super) mod schema_copy;

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use rusqlite::{Connection, ErrorCode, config::DbConfig};
use serde::{Deserialize, Serialize};

use crate::{
    Error, schema,
    tables::{self, TABLES, Table},
};
use adit_core::files;

/// What was done about a damaged database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Salvage {
    /// Where the damaged file is kept.
    pub kept: PathBuf,
    /// What was wrong with it.
    pub reason: String,
    /// When, in Unix milliseconds.
    pub at_ms: i64,
    /// Tables of which something is lost. None: every row was read.
    pub losses: Vec<Loss>,
}

/// A table of which something is lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Loss {
    /// The table.
    pub table: String,
    /// How many of its rows were read.
    pub rows_kept: u64,
    /// What lost rows were called, as far as an index still has it.
    pub names: Vec<String>,
}

/// Names of lost rows that are listed at most.
const NAMES: usize = 20;
/// Bytes of a page, as SQLite chooses by itself.
const PAGE: u64 = 4096;

impl Salvage {
    /// What was lost and what to do about it, in one line.
    pub fn summary(&self) -> String {
        if self.losses.is_empty() {
            return "everything in it could be read".to_owned();
        }
        let lost: Vec<String> = self.losses.iter().map(Loss::summary).collect();
        format!("lost: {}", lost.join("; "))
    }

    /// The report about the damaged file.
    pub fn report(&self) -> PathBuf {
        report_of(&self.kept)
    }
}

impl Loss {
    fn summary(&self) -> String {
        let table = TABLES.iter().find(|it| it.name == self.table);
        let (what, advice) = table.map_or((self.table.as_str(), ""), |it| (it.what, it.advice));
        let some = match (self.names.is_empty(), self.rows_kept) {
            (false, _) => format!("{what} ({})", self.names.join(", ")),
            (true, 0) => format!("all {what}"),
            (true, kept) => format!("some {what} ({kept} kept)"),
        };
        if advice.is_empty() { some } else { format!("{some}: {advice}") }
    }
}

/// Puts what can be read of the database at `path` into a new one in its place. No connection may be
/// open.
///
/// # Errors
/// [`Error::Salvage`] and [`Error::SetAside`]; the damaged file is then still in its place.
pub(super) fn salvage(path: &Path, reason: String) -> Result<Salvage, Error> {
    let aside = |source| Error::SetAside { path: path.to_owned(), source };
    let number = free_number(path).map_err(aside)?;
    let building = with_suffix(path, ".salvaging");
    remove(&building);
    let losses = build(path, &building).map_err(|source| {
        remove(&building);
        Error::Salvage { path: path.to_owned(), reason: reason.clone(), source }
    })?;
    let at_ms = jiff::Timestamp::now().as_millisecond();
    let salvage = Salvage { kept: damaged(path, number), reason, at_ms, losses };
    let finished = (|| {
        File::open(&building)?.sync_all()?;
        write_report(&salvage)?;
        fs::rename(&building, salvaged(path, number))?;
        put_in_place(path, number)
    })();
    finished.map_err(aside)?;
    Ok(salvage)
}

/// Puts a new database in its place that an earlier host had finished and not yet put there.
///
/// # Errors
/// [`Error::SetAside`].
pub(super) fn finish(path: &Path) -> Result<Option<Salvage>, Error> {
    let aside = |source| Error::SetAside { path: path.to_owned(), source };
    let Some(number) = numbers(path, ".salvaged-").map_err(aside)?.pop() else { return Ok(None) };
    put_in_place(path, number).map_err(aside)?;
    Ok(read_report(&damaged(path, number)))
}

/// The reports of all damaged databases that are still kept, oldest first.
pub(super) fn reports(path: &Path) -> Vec<Salvage> {
    let mut numbers = numbers(path, ".damaged-").unwrap_or_default();
    numbers.sort_unstable();
    numbers.into_iter().filter_map(|number| read_report(&damaged(path, number))).collect()
}

fn put_in_place(path: &Path, number: u64) -> io::Result<()> {
    let kept = damaged(path, number);
    // The journal first: it must never be next to the new file, which it does not belong to.
    for journal in ["-wal", "-shm", "-journal", ""] {
        match fs::rename(with_suffix(path, journal), with_suffix(&kept, journal)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::rename(salvaged(path, number), path)?;
    File::open(path.parent().unwrap_or(path))?.sync_all()
}

/// Fills the new database `to`. What is large is given up when there is no room for it.
fn build(from: &Path, to: &Path) -> rusqlite::Result<Vec<Loss>> {
    let Source { connection: source, names, copy } = Source::of(from);
    let has = |names: &[String], table: &Table| names.iter().any(|name| name == table.name);
    // Rows are copied as they were written, and then migrated with all others.
    let claimed = source.as_ref().and_then(|it| schema::version(it).ok());
    let newest = schema::known_version();
    let mut version = claimed.filter(|it| (1..newest).contains(it)).unwrap_or(newest);
    let mut target = schema::create(to, version)?;
    let mut known = tables::names(&target)?;
    if TABLES.iter().any(|table| has(&names, table) && !has(&known, table)) {
        // It has tables that came later: the number is wrong.
        target.close().map_err(|(_, error)| error)?;
        remove(to);
        version = newest;
        target = schema::create(to, version)?;
        known = tables::names(&target)?;
    }
    let mut losses = Vec::new();
    for table in TABLES.iter().filter(|table| has(&known, table)) {
        let source = source.as_ref().filter(|_| has(&names, table));
        let loss = match source {
            Some(source) => match rows::copy(source, &target, table) {
                Err(error) if is_full(&error) && !table.is_small => Some(all_of(table)),
                copied => copied?,
            },
            None => Some(all_of(table)),
        };
        losses.extend(loss);
    }
    drop(source);
    if let Some(copy) = copy {
        remove(&copy);
    }
    schema::migrate(&mut target, version)?;
    target.close().map_err(|(_, error)| error)?;
    Ok(losses)
}

fn all_of(table: &Table) -> Loss {
    Loss { table: table.name.to_owned(), rows_kept: 0, names: Vec::new() }
}

fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
}

/// What is read from.
struct Source {
    /// `None`: it is no database at all.
    connection: Option<Connection>,
    /// The tables that it has.
    names: Vec<String>,
    /// The copy that is read, if it is one. Removed afterwards.
    copy: Option<PathBuf>,
}

impl Source {
    /// The database at `path`, which stays as it is. Where its schema cannot be read, a copy of it
    /// with the schema that was kept.
    fn of(path: &Path) -> Self {
        // SQLite deletes the journal of an empty file.
        let has_page = fs::metadata(path).is_ok_and(|it| it.len() >= PAGE);
        let own = if has_page { Self::open(path, None) } else { Self::none() };
        if TABLES.iter().all(|table| own.names.iter().any(|name| name == table.name)) {
            return own;
        }
        let copy = with_suffix(path, ".reading");
        let made = schema_copy::restore(path, &copy) || (!has_page && pad(path, &copy));
        let restored = made.then(|| Self::open(&copy, Some(copy.clone())));
        match restored {
            Some(restored) if restored.names.len() > own.names.len() => restored,
            Some(_) => {
                remove(&copy);
                own
            }
            None => own,
        }
    }

    fn none() -> Self {
        Self { connection: None, names: Vec::new(), copy: None }
    }

    fn open(path: &Path, copy: Option<PathBuf>) -> Self {
        let Ok(connection) = open_unchanged(path) else { return Self::none() };
        let names = tables::names(&connection).unwrap_or_default();
        Self { connection: Some(connection), names, copy }
    }
}

fn open_unchanged(path: &Path) -> rusqlite::Result<Connection> {
    let source = Connection::open(path)?;
    // Its journal is read and not written back.
    source.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    // The part of a schema that can be read is used, and so is a file that was cut off.
    let pragmas = "PRAGMA writable_schema = ON; PRAGMA query_only = ON; \
                   PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0;";
    source.execute_batch(pragmas)?;
    // Reading a damaged schema fails once; from then on the readable part of it is in use.
    drop(tables::names(&source));
    Ok(source)
}

/// Makes a copy of a database without a single page whose journal may have them all.
fn pad(path: &Path, copy: &Path) -> bool {
    remove(copy);
    let padded = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(copy);
    let padded = padded.and_then(|file| file.set_len(PAGE));
    let (from, to) = (with_suffix(path, "-wal"), with_suffix(copy, "-wal"));
    padded.and_then(|()| fs::copy(from, to)).is_ok()
}

fn write_report(salvage: &Salvage) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    let path = salvage.report();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(&serde_json::to_vec_pretty(salvage)?)?;
    file.sync_all()
}

fn read_report(kept: &Path) -> Option<Salvage> {
    files::read_json(&report_of(kept)).ok().filter(|_| kept.exists())
}

/// The numbers behind `suffix` in the names next to `path`.
fn numbers(path: &Path, suffix: &str) -> io::Result<Vec<u64>> {
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let prefix = with_suffix(path, suffix);
    let prefix = prefix.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    Ok(names.filter_map(|name| name.strip_prefix(&prefix)?.parse().ok()).collect())
}

fn free_number(path: &Path) -> io::Result<u64> {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |it| it.as_secs());
    (seconds..seconds + 1_000)
        .find(|number| !damaged(path, *number).exists())
        .ok_or_else(|| io::Error::other("there are too many damaged databases already"))
}

fn damaged(path: &Path, number: u64) -> PathBuf {
    with_suffix(path, &format!(".damaged-{number}"))
}

fn report_of(kept: &Path) -> PathBuf {
    let name = kept.file_name().unwrap_or_default().to_string_lossy();
    kept.with_file_name(format!("{}.json", name.replace(".damaged-", ".report-")))
}

fn salvaged(path: &Path, number: u64) -> PathBuf {
    with_suffix(path, &format!(".salvaged-{number}"))
}

fn remove(database: &Path) {
    for journal in ["", "-wal", "-shm", "-journal"] {
        drop(fs::remove_file(with_suffix(database, journal)));
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests;
