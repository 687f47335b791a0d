use std::collections::BTreeMap;

use super::*;
use crate::{Source, open};
use adit_model::history::{Kind, reading::Reading, thin::Range};

const GRID: Grid = Grid::of_ms(10_000);
const T0: i64 = 5_900_000;

fn database() -> (tempfile::TempDir, Connection) {
    let folder = tempfile::tempdir().unwrap();
    let (connection, _) =
        open::open(&folder.path().join("adit.db")).unwrap_or_else(|error| panic!("{error}"));
    // Nobody pulls the plug here.
    connection.pragma_update(None, "synchronous", "OFF").unwrap();
    (folder, connection)
}

fn tick(recorder: &mut Recorder, connection: &mut Connection, tick: i64, names: &[String]) {
    let reading = Reading([Some(tick % 977), Some(tick), None, None, None, Some(4)]);
    let readings: Vec<_> = names.iter().map(|name| (Kind::Miner, name.as_str(), reading)).collect();
    let (write, refused) = recorder.tick(tick, &readings);
    assert_eq!(refused, None);
    carry_out(connection, &write).unwrap();
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("m{n}")).collect()
}

/// All hashrates of a miner as a chart would read them.
fn values(connection: &Connection, recorder: &Recorder, name: &str) -> (BTreeMap<i64, i64>, usize) {
    let source = |series: Series| {
        let fresh = recorder.growing(series.id, Metric::Hashrate).into_iter().collect();
        Source { series, fresh }
    };
    let sources: Vec<_> = recorder.named(Kind::Miner, name).into_iter().map(source).collect();
    let mut all = BTreeMap::new();
    let range = Range { since_ms: 0, until_ms: i64::MAX };
    let mut add = |at_ms, value| {
        assert_eq!(all.insert(at_ms, value), None, "a moment twice");
    };
    let read = crate::history_read::each;
    let damaged = read(connection, &sources, Metric::Hashrate, range, &mut add).unwrap();
    (all, damaged)
}

fn expected(ticks: impl Iterator<Item = i64>) -> BTreeMap<i64, i64> {
    ticks.map(|tick| (GRID.at_ms(tick), tick % 977)).collect()
}

#[test]
fn what_is_written_is_read_back_after_a_restart() {
    let (_folder, mut connection) = database();
    let (mut recorder, _) = load(&connection, GRID).unwrap();
    let names = names(3);
    for n in 0..2_000 {
        tick(&mut recorder, &mut connection, T0 + n, &names);
        if n % 333 == 0 {
            (recorder, _) = load(&connection, GRID).unwrap();
        }
    }
    for name in &names {
        assert_eq!(values(&connection, &recorder, name), (expected(T0..T0 + 2_000), 0));
    }
    let rows: i64 =
        connection.query_row("SELECT count(*) FROM tail", [], |row| row.get(0)).unwrap();
    assert!(rows <= 721, "{rows}");
}

#[test]
fn the_clock_may_go_anywhere() {
    let (_folder, mut connection) = database();
    let (mut recorder, _) = load(&connection, GRID).unwrap();
    let names = names(2);
    let parts = [(0, 100), (9_000_000, 30), (60, 1_000), (500, 20)];
    for (from, count) in parts {
        for n in from..from + count {
            tick(&mut recorder, &mut connection, T0 + n, &names);
        }
        (recorder, _) = load(&connection, GRID).unwrap();
    }
    let ticks = (0..1_060).chain(9_000_000..9_000_030).map(|n| T0 + n);
    assert_eq!(values(&connection, &recorder, "m1"), (expected(ticks), 0));
}

#[test]
fn a_damaged_chunk_is_missing_and_the_rest_is_there() {
    let (_folder, mut connection) = database();
    let (mut recorder, _) = load(&connection, GRID).unwrap();
    for n in 0..3_000 {
        tick(&mut recorder, &mut connection, T0 + n, &names(1));
    }
    let keys: Vec<i64> = connection
        .prepare("SELECT key FROM chunk WHERE key >> 24 & 255 = 0 ORDER BY key")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let mut blob: Vec<u8> = connection
        .query_row("SELECT data FROM chunk WHERE key = ?1", [keys[1]], |row| row.get(0))
        .unwrap();
    let middle = blob.len() / 2;
    blob[middle] ^= 1;
    connection
        .execute("UPDATE chunk SET data = ?1 WHERE key = ?2", params![blob, keys[1]])
        .unwrap();
    // And one is gone altogether.
    connection.execute("DELETE FROM chunk WHERE key = ?1", [keys[2]]).unwrap();
    let (all, damaged) = values(&connection, &recorder, "m0");
    assert_eq!((all.len(), damaged), (3_000 - 2 * 720, 1));
    // A new sample in the damaged one, after the clock was set back, replaces it.
    let series = recorder.named(Kind::Miner, "m0").remove(0);
    let begin = GRID.tick_at(series.begin_ms(Key::number_of(keys[1])));
    tick(&mut recorder, &mut connection, begin + 5, &names(1));
    tick(&mut recorder, &mut connection, T0 + 3_000, &names(1));
    let (all, damaged) = values(&connection, &recorder, "m0");
    assert_eq!((all.len(), damaged), (3_001 - 2 * 720 + 1, 0));
}

#[test]
fn holes_in_tail_and_series_do_not_stop_the_host() {
    let (_folder, mut connection) = database();
    let (mut recorder, _) = load(&connection, GRID).unwrap();
    for n in 0..1_000 {
        tick(&mut recorder, &mut connection, T0 + n, &names(2));
    }
    connection.execute("DELETE FROM tail WHERE at_ms = ?1", [GRID.at_ms(T0 + 990)]).unwrap();
    connection
        .execute("UPDATE tail SET data = x'ff' WHERE at_ms = ?1", [GRID.at_ms(T0 + 995)])
        .unwrap();
    connection.execute("DELETE FROM series WHERE name = 'm1'", []).unwrap();
    let (mut recorder, damaged) = load(&connection, GRID).unwrap();
    assert_eq!(damaged, 1);
    assert_eq!(values(&connection, &recorder, "m0").0.len(), 998);
    // It comes again as a new series that has nothing of the lost one.
    tick(&mut recorder, &mut connection, T0 + 1_000, &names(2));
    assert_eq!(values(&connection, &recorder, "m1").0.len(), 1);
}

#[test]
fn what_is_too_old_goes_in_small_steps_and_so_do_empty_series() {
    let (_folder, mut connection) = database();
    let (mut recorder, _) = load(&connection, GRID).unwrap();
    for n in 0..8_000 {
        let names = if n < 2_000 { names(2) } else { names(1) };
        tick(&mut recorder, &mut connection, T0 + n, &names);
    }
    let count = |connection: &Connection, table: &str| -> i64 {
        let sql = format!("SELECT count(*) FROM {table}");
        connection.query_row(&sql, [], |row| row.get(0)).unwrap()
    };
    let mut before = count(&connection, "chunk");
    let cut_ms = GRID.at_ms(T0 + 7_000);
    for n in 0..6 {
        let (mut write, _) = recorder.tick(T0 + 8_000 + n, &[]);
        recorder.sweep(cut_ms, &mut write);
        let emptied = carry_out(&mut connection, &write).unwrap();
        recorder.forget(&emptied);
        let after = count(&connection, "chunk");
        assert!(before - after <= 256, "{before} {after}");
        before = after;
    }
    assert_eq!(count(&connection, "series"), 1);
    let (all, _) = values(&connection, &recorder, "m0");
    let oldest = *all.first_key_value().unwrap().0;
    assert!(oldest <= cut_ms && oldest > cut_ms - 2 * 7_200_000, "{oldest}");
    assert_eq!(*all.last_key_value().unwrap().0, GRID.at_ms(T0 + 7_999));
}
