//! Where the tables of the database begin, kept next to it: without its schema, SQLite finds no table of
//! a file however sound they are.
//!
//! When pages of the schema are damaged, a copy of the file gets a first page without tables, and then
//! the entries that were kept.

use std::{
    fs, io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
};

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use crate::salvage::{remove, with_suffix};
use adit_core::files;

/// Where the size of the file, in pages, stands in the first page.
const PAGE_COUNT: std::ops::Range<usize> = 28..32;
/// Which kinds of journal read and write the file.
const JOURNAL_KINDS: std::ops::Range<usize> = 18..20;

#[derive(PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kept {
    version: i64,
    page_size: u32,
    entries: Vec<Entry>,
}

/// One row of `sqlite_schema`.
#[derive(PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    kind: String,
    name: String,
    table: String,
    root_page: u32,
    sql: Option<String>,
}

/// Keeps the schema of a sound database. It changes with migrations only.
pub(crate) fn keep(path: &Path, connection: &Connection) {
    let kept = match read_schema(connection) {
        Ok(kept) => kept,
        Err(error) => return tracing::warn!(%error, "cannot read the schema of the database"),
    };
    if read_kept(path).as_ref() == Some(&kept) {
        return;
    }
    let (place, new) = (with_suffix(path, ".schema"), with_suffix(path, ".schema.new"));
    let text = serde_json::to_vec(&kept).unwrap_or_default();
    let mut options = fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(&new);
    let written = file.and_then(|mut file| io::Write::write_all(&mut file, &text));
    if let Err(error) = written.and_then(|()| fs::rename(new, place)) {
        tracing::warn!(%error, "cannot keep a copy of the schema of the database");
    }
}

fn read_kept(path: &Path) -> Option<Kept> {
    files::read_json(&with_suffix(path, ".schema")).ok()
}

fn read_schema(connection: &Connection) -> rusqlite::Result<Kept> {
    let version = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let page_size = connection.query_row("PRAGMA page_size", [], |row| row.get(0))?;
    let mut select = connection
        .prepare("SELECT type, name, tbl_name, rootpage, sql FROM sqlite_schema ORDER BY rowid")?;
    let entries = select.query_map([], |row| {
        Ok(Entry {
            kind: row.get(0)?,
            name: row.get(1)?,
            table: row.get(2)?,
            root_page: row.get(3)?,
            sql: row.get(4)?,
        })
    })?;
    Ok(Kept { version, page_size, entries: entries.collect::<Result<_, _>>()? })
}

/// Makes `copy` of the database at `path`, with the schema that was kept. `false`: none was, or the
/// copy cannot be made.
pub(super) fn restore(path: &Path, copy: &Path) -> bool {
    let Some(kept) = read_kept(path) else { return false };
    remove(copy);
    let restored = restore_from(&kept, path, copy);
    if let Err(error) = &restored {
        tracing::warn!(error = %error, "cannot make use of the copy of the schema");
        remove(copy);
    }
    restored.is_ok()
}

fn restore_from(kept: &Kept, path: &Path, copy: &Path) -> Result<(), Box<dyn std::error::Error>> {
    fs::copy(path, copy)?;
    let journal = with_suffix(path, "-wal");
    if journal.exists() {
        fs::copy(journal, with_suffix(copy, "-wal"))?;
    }
    // With any first page SQLite can bring what the journal has into the file.
    put_first_page(kept, copy, 2)?;
    let connection = Connection::open(copy)?;
    connection.execute_batch("PRAGMA writable_schema = ON")?;
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    connection.close().map_err(|(_, error)| error)?;
    remove_journals(copy);
    // The journal may have had the damaged one.
    put_first_page(kept, copy, 1)?;
    let mut connection = Connection::open(copy)?;
    connection.execute_batch("PRAGMA writable_schema = ON; PRAGMA synchronous = OFF")?;
    let transaction = connection.transaction()?;
    for entry in &kept.entries {
        transaction.execute(
            "INSERT INTO sqlite_schema (type, name, tbl_name, rootpage, sql)
             VALUES (?1, ?2, ?3, ?4, ?5)",
            params![entry.kind, entry.name, entry.table, entry.root_page, entry.sql],
        )?;
    }
    transaction.commit()?;
    connection.close().map_err(|(_, error)| error)?;
    Ok(())
}

/// Overwrites the first page with that of a database without tables.
fn put_first_page(kept: &Kept, copy: &Path, journal: u8) -> Result<(), Box<dyn std::error::Error>> {
    let empty = with_suffix(copy, ".empty");
    remove(&empty);
    let connection = Connection::open(&empty)?;
    let Kept { version, page_size, .. } = kept;
    let pragmas = format!("PRAGMA page_size = {page_size}; PRAGMA user_version = {version};");
    connection.execute_batch(&pragmas)?;
    connection.close().map_err(|(_, error)| error)?;
    let mut page = fs::read(&empty)?;
    remove(&empty);
    let size = u64::from(kept.page_size);
    let file = fs::OpenOptions::new().write(true).open(copy)?;
    let pages = u32::try_from(file.metadata()?.len().div_ceil(size).max(1))?;
    page.truncate(usize::try_from(size)?);
    page[PAGE_COUNT].copy_from_slice(&pages.to_be_bytes());
    page[JOURNAL_KINDS].fill(journal);
    file.write_all_at(&page, 0)?;
    // Whole pages only.
    file.set_len(u64::from(pages) * size)?;
    Ok(())
}

fn remove_journals(database: &Path) {
    for journal in ["-wal", "-shm"] {
        drop(fs::remove_file(with_suffix(database, journal)));
    }
}
