//! Copies the rows of one table that can be read.
//!
//! Rows are read in order. Where a page is damaged, the search continues behind it, first in small
//! steps and then in larger ones, and from there back to the damaged page.

use std::collections::BTreeSet;

use rusqlite::{Connection, ErrorCode, Row, Transaction, params_from_iter, types::Value};

use crate::{
    salvage::{Loss, NAMES},
    tables::{Table, is_damage, is_sound, json_columns},
};

/// Copies what can be read of `table`. `None`: nothing is lost.
///
/// # Errors
/// When the target cannot be written, or the source cannot be read for reasons other than damage.
pub(super) fn copy(
    source: &Connection,
    target: &Connection,
    table: &Table,
) -> rusqlite::Result<Option<Loss>> {
    let transaction = target.unchecked_transaction()?;
    let columns = columns(source, &transaction, table)?;
    let mut copy = Copy {
        source,
        target: &transaction,
        table,
        is_json: json_columns(table, &columns),
        columns: columns.join(", "),
        marks: vec!["?"; columns.len()].join(", "),
        kept: 0,
        lost: columns.is_empty(),
    };
    match (columns.is_empty(), table.has_rowid) {
        (true, _) => {}
        (false, true) => copy.by_rowid()?,
        (false, false) => copy.by_key()?,
    }
    let Copy { mut kept, lost, .. } = copy;
    if lost && table.all_or_nothing {
        transaction.execute(&format!("DELETE FROM {}", table.name), [])?;
        kept = 0;
    }
    let names = if lost { lost_names(source, &transaction, table)? } else { Vec::new() };
    transaction.commit()?;
    Ok(lost.then(|| Loss { table: table.name.to_owned(), rows_kept: kept, names }))
}

struct Copy<'c> {
    source: &'c Connection,
    target: &'c Transaction<'c>,
    table: &'c Table,
    columns: String,
    marks: String,
    is_json: Vec<bool>,
    kept: u64,
    lost: bool,
}

/// How reading rows in order ended.
struct Pass {
    /// The last row that was read.
    last: Option<i64>,
    /// Whether all rows were read.
    ended: bool,
}

impl Copy<'_> {
    fn by_rowid(&mut self) -> rusqlite::Result<()> {
        let mut after = i64::MIN;
        loop {
            let pass = self.pass(after, i64::MAX, "ASC")?;
            if pass.ended {
                return Ok(());
            }
            self.lost = true;
            let last = pass.last.unwrap_or(after);
            let Some(next) = self.next_row(last)? else { return Ok(()) };
            // What the search stepped over, from behind, and the row that it found.
            self.pass(last, next, "DESC")?;
            self.pass(next - 1, next + 1, "ASC")?;
            after = next;
        }
    }

    /// Copies the rows between two others.
    fn pass(&mut self, after: i64, before: i64, order: &str) -> rusqlite::Result<Pass> {
        let sql = format!(
            "SELECT rowid, {} FROM {} NOT INDEXED WHERE rowid > ?1 AND rowid < ?2 \
             ORDER BY rowid {order}",
            self.columns, self.table.name
        );
        let mut last = None;
        let source = self.source;
        let mut statement = match source.prepare(&sql) {
            Err(error) if is_unreadable(&error) => return Ok(Pass { last, ended: false }),
            statement => statement?,
        };
        let mut rows = statement.query([after, before])?;
        loop {
            match rows.next() {
                Ok(None) => return Ok(Pass { last, ended: true }),
                Ok(Some(row)) => {
                    let id: i64 = row.get(0)?;
                    let goes_on = match last {
                        None => after < id && id < before,
                        Some(last) if order == "ASC" => id > last,
                        Some(last) => id < last,
                    };
                    // A damaged page may lead back to one that was read.
                    if !goes_on {
                        return Ok(Pass { last, ended: false });
                    }
                    self.put(row, 1)?;
                    last = Some(id);
                }
                Err(error) if is_unreadable(&error) => return Ok(Pass { last, ended: false }),
                Err(error) => return Err(error),
            }
        }
    }

    /// A row behind `after` that can be found, in steps that double.
    fn next_row(&self, after: i64) -> rusqlite::Result<Option<i64>> {
        let sql = format!(
            "SELECT rowid FROM {} NOT INDEXED WHERE rowid >= ?1 ORDER BY rowid LIMIT 1",
            self.table.name
        );
        // No table has rows below 1.
        let base = after.max(0);
        for step in (0..63).map(|power| 1_i64 << power) {
            let Some(from) = base.checked_add(step) else { return Ok(None) };
            match self.source.query_row(&sql, [from], |row| row.get(0)) {
                Ok(found) if found >= from => return Ok(Some(found)),
                Ok(_) => {}
                Err(rusqlite::Error::QueryReturnedNoRows) => return Ok(None),
                Err(error) if is_unreadable(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// A table whose rows have no numbers: from the beginning, and from the end if need be.
    fn by_key(&mut self) -> rusqlite::Result<()> {
        let mut key = self
            .source
            .prepare("SELECT name FROM pragma_table_info(?1) WHERE pk > 0 ORDER BY pk")?;
        let key: Vec<String> =
            key.query_map([self.table.name], |row| row.get(0))?.collect::<Result<_, _>>()?;
        for order in ["ASC", "DESC"] {
            let by: Vec<String> = key.iter().map(|column| format!("{column} {order}")).collect();
            let sql = format!(
                "SELECT {} FROM {} ORDER BY {}",
                self.columns,
                self.table.name,
                by.join(", ")
            );
            let source = self.source;
            let mut statement = source.prepare(&sql)?;
            let mut rows = statement.query([])?;
            loop {
                match rows.next() {
                    Ok(None) if order == "ASC" => return Ok(()),
                    Ok(None) => break,
                    // From the end: the row that was reached from the beginning.
                    Ok(Some(row)) => {
                        if !self.put(row, 0)? && order == "DESC" {
                            break;
                        }
                    }
                    Err(error) if is_unreadable(&error) => break,
                    Err(error) => return Err(error),
                }
            }
            self.lost = true;
        }
        Ok(())
    }

    /// Copies one row, whose columns begin at `first`. `false`: it is there already, or it is none
    /// that the table allows.
    fn put(&mut self, row: &Row<'_>, first: usize) -> rusqlite::Result<bool> {
        let mut values = Vec::with_capacity(self.is_json.len());
        for (index, is_json) in self.is_json.iter().enumerate() {
            let value = row.get_ref(first + index)?;
            if !is_sound(value, *is_json) {
                self.lost = true;
                return Ok(false);
            }
            values.push(Value::try_from(value).map_err(|_| rusqlite::Error::InvalidQuery)?);
        }
        let mut insert = self.target.prepare_cached(&format!(
            "INSERT OR IGNORE INTO {} ({}) VALUES ({})",
            self.table.name, self.columns, self.marks
        ))?;
        let inserted = match insert.execute(params_from_iter(values)) {
            Ok(count) => count == 1,
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                false
            }
            Err(error) => return Err(error),
        };
        self.kept += u64::from(inserted);
        self.lost |= !inserted;
        Ok(inserted)
    }
}

/// The columns that both databases have.
fn columns(
    source: &Connection,
    target: &Connection,
    table: &Table,
) -> rusqlite::Result<Vec<String>> {
    let of = |connection: &Connection| -> rusqlite::Result<Vec<String>> {
        let mut select = connection.prepare("SELECT name FROM pragma_table_info(?1)")?;
        select.query_map([table.name], |row| row.get(0))?.collect()
    };
    let known = of(target)?;
    Ok(of(source)?.into_iter().filter(|column| known.contains(column)).collect())
}

/// What lost rows were called: the index has a name that the new table has not.
fn lost_names(
    source: &Connection,
    target: &Connection,
    table: &Table,
) -> rusqlite::Result<Vec<String>> {
    let Some(key) = table.key else { return Ok(Vec::new()) };
    let sql = format!("SELECT {key} FROM {} ORDER BY {key}", table.name);
    let mut known = target.prepare(&sql)?;
    let known: BTreeSet<String> =
        known.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let Ok(mut statement) = source.prepare(&sql) else { return Ok(Vec::new()) };
    let Ok(rows) = statement.query_map([], |row| row.get::<_, String>(0)) else {
        return Ok(Vec::new());
    };
    // Whatever of the index can be read, and no endless circle in it.
    let names: BTreeSet<String> = rows.take(100_000).map_while(Result::ok).collect();
    let lost = names.difference(&known).filter(|name| !name.contains(char::is_control));
    Ok(lost.take(NAMES).cloned().collect())
}

/// Whether a row cannot be read because the file or the disk below it is damaged.
fn is_unreadable(error: &rusqlite::Error) -> bool {
    is_damage(error) || error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure)
}
