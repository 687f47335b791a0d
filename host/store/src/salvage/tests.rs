use std::collections::BTreeMap;

use super::*;
use crate::{Store, open};

const ROWS: i64 = 300;

/// Rows of every table, so many that each has several pages.
const FILL: &[(&str, &str)] = &[
    ("miner", "printf('m-%03d', i), 'sim', json_object('pad', pad), '{}', 'stopped', i, NULL"),
    ("wallet", "printf('w-%03d', i), 'XMR', pad, i, i"),
    (
        "pool",
        "printf('p-%03d', i), NULL, 'a.b:1', 0, NULL, pad, printf('w-%03d', i), 'x', i, i, NULL",
    ),
    (
        "profile",
        "printf('%032d', i), printf('f-%03d', i), 'sim', json_object('pad', pad), '[]', '[]', 0, \
         '{}', '[]', i, i, '{}'",
    ),
    ("token", "printf('%032d', i), printf('t-%03d', i), 'view', zeroblob(32), i, NULL"),
    (
        "peer",
        "CAST(printf('%032d', i) AS BLOB), 'rig', 'worker', '[]', '[]', pad, 0, i, NULL, NULL, NULL",
    ),
    ("invite", "CAST(printf('%08d', i) AS BLOB), zeroblob(32), 1, i, json_array(pad)"),
    ("watchdog", "printf('m-%03d', i), json_object('pad', pad), NULL"),
    ("baseline", "printf('m-%03d', i), pad, '', 1.5, NULL, 7"),
    ("series", "i, 'miner', pad || i, 10000"),
    ("driver_storage", "'sim', printf('k-%03d', i), zeroblob(200)"),
    ("run", "printf('%032d', i), printf('m-%03d', i), 'sim', pad, i, i, 0, NULL, 1, pad"),
    ("incident", "i, printf('m-%03d', i), i, 'r', 'frozen', NULL, 's', json_object('pad', pad)"),
    ("answer", "i, zeroblob(32), printf('%032d', i), pad"),
    ("audit", "i, i, 'admin', '127.0.0.1', pad, '200'"),
    ("event", "i, i, 'miner.started', printf('m-%03d', i), json_object('pad', pad)"),
    ("tail", "i, zeroblob(200)"),
    ("chunk", "i << 32, zeroblob(200)"),
];

fn filled(path: &Path) -> Vec<u8> {
    let connection = schema::create(path, schema::known_version()).unwrap();
    for (table, values) in FILL {
        // Later migrations add columns at the end.
        let probe = format!("SELECT {values} FROM (SELECT 1 AS i, '' AS pad)");
        let count = connection.prepare(&probe).unwrap().column_count();
        let select = connection.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let columns: Vec<&str> = select.column_names().take(count).collect();
        let sql = format!(
            "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS}), \
             r AS (SELECT i, hex(zeroblob(100)) AS pad FROM n) \
             INSERT INTO {table} ({}) SELECT {values} FROM r",
            columns.join(", ")
        );
        connection.execute(&sql, []).unwrap_or_else(|error| panic!("{table}: {error}"));
    }
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(())).unwrap();
    drop(connection);
    fs::read(path).unwrap()
}

/// Pages of every table and every index: the first, one in the middle, the last.
fn pages(path: &Path) -> Vec<(String, usize)> {
    let connection = Connection::open(path).unwrap();
    let mut select = connection.prepare("SELECT name, pageno FROM dbstat ORDER BY path").unwrap();
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let mut all: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (name, page) in rows.map(Result::<(String, i64), _>::unwrap) {
        all.entry(name).or_default().push(usize::try_from(page).unwrap());
    }
    all.remove("sqlite_schema");
    let some = |(name, pages): (String, Vec<usize>)| {
        let mut some = vec![pages[0], pages[pages.len() / 2], pages[pages.len() - 1]];
        some.dedup();
        some.into_iter().map(move |page| (name.clone(), page)).collect::<Vec<_>>()
    };
    all.into_iter().flat_map(some).collect()
}

fn counts(path: &Path) -> BTreeMap<&'static str, i64> {
    let connection = Connection::open(path).unwrap();
    let count = |table: &str| {
        let sql = format!("SELECT count(*) FROM {table} NOT INDEXED");
        connection.query_row(&sql, [], |row| row.get(0)).unwrap()
    };
    FILL.iter().map(|(table, _)| (*table, count(table))).collect()
}

fn number(bytes: &[u8], at: usize) -> usize {
    usize::from(bytes[at]) << 8 | usize::from(bytes[at + 1])
}

#[test]
fn every_table_is_known_with_its_columns() {
    let folder = tempfile::tempdir().unwrap();
    let connection =
        schema::create(&folder.path().join("adit.db"), schema::known_version()).unwrap();
    let mut names = tables::names(&connection).unwrap();
    names.retain(|name| !name.starts_with("sqlite_"));
    names.sort();
    let mut known: Vec<&str> = TABLES.iter().map(|table| table.name).collect();
    known.sort_unstable();
    assert_eq!(names, known);
    for table in TABLES {
        let sql = format!("SELECT sql FROM sqlite_schema WHERE name = '{}'", table.name);
        let sql: String = connection.query_row(&sql, [], |row| row.get(0)).unwrap();
        assert_eq!(table.has_rowid, !sql.contains("WITHOUT ROWID"), "{}", table.name);
        let select = connection.prepare(&format!("SELECT * FROM {}", table.name)).unwrap();
        let columns: Vec<&str> = select.column_names().collect();
        assert!(table.json.iter().chain(table.key.iter()).all(|it| columns.contains(it)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_page_of_any_table_or_index_costs_its_own_rows_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adit.db");
    let sound = filled(&path);
    let size = number(&sound, 16);
    let pages = pages(&path);
    let objects: std::collections::BTreeSet<_> = pages.iter().map(|(name, _)| name).collect();
    assert!(objects.len() > FILL.len() + 10, "{objects:?}");
    for (index, (object, page)) in pages.iter().enumerate() {
        let fill = if index % 2 == 0 { 0x5a } else { 0 };
        let case = format!("page {page} of {object} filled with {fill}");
        let mut damaged = sound.clone();
        damaged[(page - 1) * size..page * size].fill(fill);
        remove(&path);
        fs::write(&path, &damaged).unwrap();
        let (store, at_start) =
            Store::open(path.clone()).unwrap_or_else(|it| panic!("{case}: {it}"));
        let table = FILL.iter().find(|(name, _)| name == object).map(|(name, _)| *name);
        let is_small = TABLES.iter().any(|it| it.is_small && Some(it.name) == table);
        assert!(at_start.is_some() || !is_small, "{case}: not found at the start");
        // The background check and the doctor do this.
        let problems = store.check().await.unwrap();
        assert_eq!(problems.is_empty(), at_start.is_some(), "{case}: {problems:?}");
        // The owner repairs after the job that reported it.
        assert_eq!(store.check().await.unwrap(), [] as [String; 0], "{case}");
        let salvages = store.salvages().borrow().clone();
        assert_eq!(salvages.len(), 1, "{case}: {salvages:?}");
        let salvage = &salvages[0];
        assert!(fs::read(&salvage.kept).unwrap() == damaged, "{case}: the damaged file changed");
        assert_eq!(store.kept_reports(), salvages, "{case}");
        assert_eq!(store.damage(), None, "{case}");
        drop(store);
        for (name, count) in counts(&path) {
            let loss = salvage.losses.iter().find(|loss| loss.table == name);
            if Some(name) != table {
                assert_eq!((count, loss), (ROWS, None), "{case}: {name}");
                continue;
            }
            let loss = loss.unwrap_or_else(|| panic!("{case}: no loss in {salvages:?}"));
            assert_eq!(count, i64::try_from(loss.rows_kept).unwrap(), "{case}");
            let known = TABLES.iter().find(|it| it.name == name).unwrap();
            // The page may be one that leads to half of the others.
            let is_root = pages.iter().position(|it| it.0 == *object) == Some(index);
            let expected = if is_root || known.all_or_nothing { 0 } else { ROWS / 3 };
            assert!(count >= expected, "{case}: {count} rows kept");
            assert!(known.key.is_none() || !loss.names.is_empty(), "{case}: {loss:?}");
        }
        drop(fs::remove_file(salvage.report()));
        remove(&salvage.kept);
    }
}

#[test]
fn one_lost_row_costs_all_that_decides_who_may_do_what() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adit.db");
    let sound = filled(&path);
    let size = number(&sound, 16);
    let pages = pages(&path);
    let tables: Vec<&Table> = TABLES.iter().filter(|table| table.all_or_nothing).collect();
    assert!(tables.iter().any(|table| table.name == "token"));
    for table in tables {
        // The last one is a leaf: most of the rows can be read.
        let (_, page) = pages.iter().rfind(|(name, _)| name == table.name).unwrap();
        let mut damaged = sound.clone();
        damaged[(page - 1) * size..page * size].fill(0x5a);
        remove(&path);
        fs::write(&path, &damaged).unwrap();
        let (connection, salvage) = open::open(&path).unwrap_or_else(|error| panic!("{error}"));
        drop(connection);
        let losses = salvage.unwrap().losses;
        let loss = losses.iter().find(|loss| loss.table == table.name).unwrap();
        assert_eq!((loss.rows_kept, counts(&path)[table.name]), (0, 0), "{}", table.name);
    }
}

#[test]
fn what_the_journal_has_is_salvaged_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adit.db");
    let (live, _) = open::open(&path).unwrap();
    live.execute("INSERT INTO wallet VALUES ('xmr', NULL, '4W', 1, 1)", []).unwrap();
    let other = folder.path().join("copy.db");
    for cut in [0, 40, 5000] {
        let mut bytes = fs::read(&path).unwrap();
        bytes.resize(cut, 0x5a);
        fs::write(&other, bytes).unwrap();
        fs::copy(with_suffix(&path, "-wal"), with_suffix(&other, "-wal")).unwrap();
        let before = fs::read(&other).unwrap();
        let (salvaged, salvage) = open::open(&other).unwrap_or_else(|it| panic!("{cut}: {it}"));
        let wallets: i64 =
            salvaged.query_row("SELECT count(*) FROM wallet", [], |row| row.get(0)).unwrap();
        assert_eq!(wallets, 1, "{cut}: {salvage:?}");
        if let Some(salvage) = salvage {
            assert_eq!(salvage.losses, [], "{cut}");
            assert!(fs::read(&salvage.kept).unwrap() == before, "{cut}");
            remove(&salvage.kept);
        }
        drop(salvaged);
        remove(&other);
    }
}

#[test]
fn a_schema_number_that_no_version_wrote_costs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adit.db");
    filled(&path);
    for number in [0, -7, 0x5a5a_5a5a, 3] {
        Connection::open(&path).unwrap().pragma_update(None, "user_version", number).unwrap();
        let (connection, salvage) = open::open(&path).unwrap_or_else(|it| panic!("{number}: {it}"));
        let salvage = salvage.unwrap_or_else(|| panic!("{number} was taken for a schema"));
        assert!(
            salvage.reason.contains(&format!("number is {number}")) || number == 3,
            "{salvage:?}"
        );
        assert_eq!(salvage.losses, [], "{number}");
        drop(connection);
        assert!(counts(&path).values().all(|count| *count == ROWS), "{number}");
    }
}

#[test]
fn a_long_value_that_is_overwritten_costs_its_row() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adit.db");
    drop(open::open(&path).unwrap());
    let connection = Connection::open(&path).unwrap();
    let long = "x".repeat(20_000);
    for (name, text) in [("a", ""), ("b", long.as_str()), ("c", "")] {
        let sql =
            "INSERT INTO miner VALUES (?1, 'sim', json_object('k', ?2), '{}', 'stopped', 1, NULL)";
        connection.execute(sql, [name, text]).unwrap();
    }
    drop(connection);
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.windows(4000).rposition(|it| it.iter().all(|byte| *byte == b'x')).unwrap();
    bytes[at..at + 100].fill(0);
    fs::write(&path, bytes).unwrap();
    let (connection, salvage) = open::open(&path).unwrap();
    assert_eq!(salvage.unwrap().losses[0].names, ["b"]);
    let names: String =
        connection.query_row("SELECT group_concat(name) FROM miner", [], |row| row.get(0)).unwrap();
    assert_eq!(names, "a,c");
}

#[test]
fn an_end_while_the_new_file_takes_its_place_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adit.db");
    let sound = filled(&path);
    let salvage =
        Salvage { kept: damaged(&path, 7), reason: "r".to_owned(), at_ms: 1, losses: Vec::new() };
    // Before the damaged file was moved, with its journal moved, and after both.
    for step in 0..3 {
        remove(&path);
        remove(&damaged(&path, 7));
        fs::write(salvaged(&path, 7), &sound).unwrap();
        write_report(&salvage).unwrap();
        let journal = if step > 0 { damaged(&path, 7) } else { path.clone() };
        fs::write(with_suffix(&journal, "-wal"), "journal").unwrap();
        let main = if step > 1 { damaged(&path, 7) } else { path.clone() };
        fs::write(main, "damaged").unwrap();
        let (connection, finished) = open::open(&path).unwrap();
        assert_eq!(finished, Some(salvage.clone()), "{step}");
        drop(connection);
        assert_eq!(counts(&path)["miner"], ROWS, "{step}");
        assert_eq!(fs::read(damaged(&path, 7)).unwrap(), b"damaged", "{step}");
        assert_eq!(
            fs::read(with_suffix(&damaged(&path, 7), "-wal")).unwrap(),
            b"journal",
            "{step}"
        );
    }
    // A new file that was not finished counts for nothing.
    fs::write(with_suffix(&path, ".salvaging"), "half").unwrap();
    let (_, finished) = open::open(&path).unwrap();
    assert_eq!(finished, None);
}

#[test]
fn what_is_no_damage_is_not_repaired() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adit.db");
    drop(open::open(&path).unwrap());
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let error = open::open(&path).err().unwrap().to_string();
    assert!(
        error.starts_with("cannot open the database /") && error.contains("written to"),
        "{error}"
    );
    assert!(reports(&path).is_empty() && path.is_dir());
}

#[test]
fn a_damaged_schema_costs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adit.db");
    let sound = filled(&path);
    drop(open::open(&path).unwrap());
    let size = number(&sound, 16);
    let connection = Connection::open(&path).unwrap();
    let sql = "SELECT pageno FROM dbstat WHERE name = 'sqlite_schema'";
    let mut select = connection.prepare(sql).unwrap();
    let rows = select.query_map([], |row| row.get(0)).unwrap();
    let pages: Vec<i64> = rows.map(Result::unwrap).collect();
    drop(select);
    drop(connection);
    assert!(pages.len() > 1 && pages.contains(&1), "{pages:?}");
    for (page, fill) in pages.iter().flat_map(|page| [(*page, 0x5a), (*page, 0)]) {
        // In the middle of its work, with the journal that a host leaves when it is killed.
        remove(&path);
        fs::write(&path, &sound).unwrap();
        drop(open::open(&path).unwrap());
        let live = schema::connect(&path).unwrap();
        live.execute("INSERT INTO wallet VALUES ('in-journal', NULL, '4W', 1, 1)", []).unwrap();
        let other = folder.path().join("copy.db");
        for suffix in ["", "-wal", ".schema"] {
            fs::copy(with_suffix(&path, suffix), with_suffix(&other, suffix)).unwrap();
        }
        drop(live);
        let at = (usize::try_from(page).unwrap() - 1) * size;
        let mut bytes = fs::read(&other).unwrap();
        bytes[at..at + size].fill(fill);
        fs::write(&other, &bytes).unwrap();
        let case = format!("page {page} filled with {fill}");
        let (connection, salvage) = open::open(&other).unwrap_or_else(|it| panic!("{case}: {it}"));
        drop(connection);
        let mut counts = counts(&other);
        assert_eq!(counts.remove("wallet"), Some(ROWS + 1), "{case}: {salvage:?}");
        assert!(counts.values().all(|count| *count == ROWS), "{case}: {counts:?} {salvage:?}");
        if let Some(salvage) = salvage {
            assert_eq!(salvage.losses, [], "{case}");
            assert!(fs::read(&salvage.kept).unwrap() == bytes, "{case}: the damaged file changed");
            remove(&salvage.kept);
        }
        let left: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|it| it.unwrap().path()).collect();
        let is_left = |path: &PathBuf| path.to_string_lossy().contains(".reading");
        assert!(!left.iter().any(is_left), "{case}: {left:?}");
        remove(&other);
    }
}

#[test]
fn a_damaged_database_of_an_earlier_version_is_migrated_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adit.db");
    // Version 9 gives each pool with TLS a protocol.
    let connection = schema::create(&path, 8).unwrap();
    for (name, tls) in [("plain", 0), ("tls", 1)] {
        let sql = "INSERT INTO pool VALUES (?1, NULL, 'a:1', ?2, NULL, NULL, NULL, NULL, 1, 1)";
        connection.execute(sql, rusqlite::params![name, tls]).unwrap();
    }
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = 'peer'";
    let page: i64 = connection.query_row(sql, [], |row| row.get(0)).unwrap();
    drop(connection);
    let mut bytes = fs::read(&path).unwrap();
    let size = number(&bytes, 16);
    let at = (usize::try_from(page).unwrap() - 1) * size;
    bytes[at..at + size].fill(0x5a);
    fs::write(&path, bytes).unwrap();
    let (connection, salvage) = open::open(&path).unwrap();
    assert_eq!(salvage.unwrap().losses.len(), 1);
    let protocol = |name: &str| -> Option<String> {
        let sql = "SELECT protocol FROM pool WHERE name = ?1";
        connection.query_row(sql, [name], |row| row.get(0)).unwrap()
    };
    assert_eq!((protocol("plain"), protocol("tls")), (None, Some("stratum".to_owned())));
}
