//! What the host knows about each table of the database: how it is checked, and what its loss means.

use rusqlite::{Connection, ErrorCode, types::ValueRef};
use serde::de::IgnoredAny;

/// A table, as far as checking and salvaging it go.
pub(super) struct Table {
    pub(super) name: &'static str,
    /// A column with an index, which still has the names of rows that are lost.
    pub(super) key: Option<&'static str>,
    /// Columns with JSON in them.
    pub(super) json: &'static [&'static str],
    pub(super) has_rowid: bool,
    /// Few rows: the table is checked before the host starts, and the host does not start without
    /// room for what can be read of it.
    pub(super) is_small: bool,
    /// One unreadable row costs the whole table: it decides who may do what, and a row of a damaged
    /// table could be one that was revoked or was to expire.
    pub(super) all_or_nothing: bool,
    /// What is in it, for operators.
    pub(super) what: &'static str,
    /// What to do when some of it is lost.
    pub(super) advice: &'static str,
}

const SMALL: Table = Table {
    name: "",
    key: None,
    json: &[],
    has_rowid: true,
    is_small: true,
    all_or_nothing: false,
    what: "",
    advice: "",
};
const LARGE: Table = Table { is_small: false, ..SMALL };

/// All tables, the most important ones first: salvaging follows this order.
pub(super) const TABLES: &[Table] = &[
    Table {
        name: "miner",
        key: Some("name"),
        json: &["config", "restart"],
        what: "miners",
        advice: "miners with a state folder are back as they were last started; create others again",
        ..SMALL
    },
    Table {
        name: "wallet",
        key: Some("name"),
        what: "wallets",
        advice: "create them again under the same names",
        ..SMALL
    },
    Table {
        name: "pool",
        key: Some("name"),
        what: "pools",
        advice: "create them again under the same names",
        ..SMALL
    },
    Table {
        name: "profile",
        key: Some("name"),
        json: &["config", "pools", "tags", "restart", "secrets", "watchdog"],
        what: "profiles",
        advice: "create them again; their miners keep the configuration of their last start",
        ..SMALL
    },
    Table {
        name: "token",
        key: Some("name"),
        all_or_nothing: true,
        what: "API tokens",
        advice: "create them again with adit token create; the token of the token file is valid",
        ..SMALL
    },
    Table {
        name: "peer",
        json: &["rights", "tags"],
        has_rowid: false,
        what: "peers",
        advice: "pair with the missing ones again; until then they may do nothing here",
        ..SMALL
    },
    Table {
        name: "invite",
        json: &["tags"],
        has_rowid: false,
        all_or_nothing: true,
        what: "invites",
        advice: "create them again",
        ..SMALL
    },
    Table {
        name: "watchdog",
        key: Some("miner"),
        json: &["options"],
        what: "watchdog options and maintenance of single miners",
        advice: "set them again with adit watchdog set; until then the defaults apply",
        ..SMALL
    },
    Table {
        name: "baseline",
        has_rowid: false,
        what: "usual hashrates of miners",
        advice: "they are learned again",
        ..SMALL
    },
    Table {
        name: "series",
        what: "names of the history's series",
        advice: "their charts are lost",
        ..SMALL
    },
    Table {
        name: "driver_storage",
        has_rowid: false,
        what: "data that drivers stored",
        advice: "drivers store it again",
        ..LARGE
    },
    Table { name: "run", what: "past runs", advice: "nothing to do", ..LARGE },
    Table {
        name: "incident",
        json: &["evidence"],
        what: "incidents",
        advice: "nothing to do",
        ..LARGE
    },
    Table {
        name: "answer",
        what: "answers to commands of peers",
        advice: "nothing to do",
        ..LARGE
    },
    Table { name: "audit", what: "the audit log", advice: "nothing to do", ..LARGE },
    Table { name: "event", json: &["data"], what: "past events", advice: "nothing to do", ..LARGE },
    Table { name: "tail", what: "the newest history", advice: "nothing to do", ..LARGE },
    Table { name: "chunk", what: "the history", advice: "nothing to do", ..LARGE },
];

/// Whether an error means that the file itself is damaged. A full disk, a lock or a missing
/// permission does not.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// What is wrong with `tables`: nothing when the list is empty. `complete`: all of them must exist.
///
/// # Errors
/// When the check itself is not possible, for reasons other than damage.
pub(super) fn check<'t>(
    connection: &Connection,
    tables: impl Iterator<Item = &'t Table>,
    complete: bool,
) -> rusqlite::Result<Vec<String>> {
    let names = match names(connection) {
        Err(error) if is_damage(&error) => return Ok(vec![format!("schema: {error}")]),
        names => names?,
    };
    let mut found = Vec::new();
    for table in tables {
        if !names.iter().any(|name| name == table.name) {
            found.extend(complete.then(|| format!("{}: the table is missing", table.name)));
            continue;
        }
        match check_one(connection, table) {
            Ok(None) => {}
            Ok(Some(problem)) => found.push(format!("{}: {problem}", table.name)),
            Err(error) if is_damage(&error) => found.push(format!("{}: {error}", table.name)),
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// The names of all tables.
pub(super) fn names(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut select = connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")?;
    select.query_map([], |row| row.get(0))?.collect()
}

fn check_one(connection: &Connection, table: &Table) -> rusqlite::Result<Option<String>> {
    // The quick check leaves out whether indexes fit their table, which takes a search for each row.
    let pragma = if table.is_small { "integrity_check" } else { "quick_check" };
    let mut statement = connection.prepare(&format!("PRAGMA {pragma}({})", table.name))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let line: String = row.get(0)?;
        if line != "ok" {
            // The first fault is enough: one damaged page has many.
            let fault = line.lines().find(|it| !it.starts_with("***")).unwrap_or(&line);
            return Ok(Some(fault.to_owned()));
        }
    }
    if !table.is_small {
        return Ok(None);
    }
    // A page that is overwritten inside a long value breaks no structure.
    let mut statement = connection.prepare(&format!("SELECT * FROM {}", table.name))?;
    let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let columns = json_columns(table, &names);
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        for (index, is_json) in columns.iter().enumerate() {
            if !is_sound(row.get_ref(index)?, *is_json) {
                return Ok(Some("a row has unreadable text".to_owned()));
            }
        }
    }
    Ok(None)
}

/// Which of `columns` have JSON in them.
pub(super) fn json_columns(table: &Table, columns: &[String]) -> Vec<bool> {
    columns.iter().map(|column| table.json.contains(&column.as_str())).collect()
}

/// Whether a value can be read as what it is.
pub(super) fn is_sound(value: ValueRef<'_>, is_json: bool) -> bool {
    match value {
        ValueRef::Text(text) if is_json => serde_json::from_slice::<IgnoredAny>(text).is_ok(),
        ValueRef::Text(text) => std::str::from_utf8(text).is_ok(),
        ValueRef::Null => true,
        _ => !is_json,
    }
}
