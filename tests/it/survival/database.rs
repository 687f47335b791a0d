//! The database is lost, damaged or too new while a miner runs.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rusqlite::Connection;
use serde_json::json;

use crate::{
    host::{Host, is_alive, wait_for},
    survival::{NONE, figures, mining, mining_afresh, pid, programs},
};

/// Databases that were set aside.
fn damaged(state: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(state).unwrap().map(|entry| entry.unwrap().path());
    let is_damaged = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.starts_with("adit.db.damaged-") && !name.ends_with("-wal") && !name.ends_with("-shm")
    };
    let mut found: Vec<PathBuf> = entries.filter(is_damaged).collect();
    found.sort();
    found
}

/// The miner goes on with its run, its configuration and a history, whatever became of the rest.
fn assert_adopted(host: &Host, old: u32) {
    host.wait_for_phase("rig-1", "mining");
    assert_eq!(host.program("rig-1"), old);
    assert_eq!(programs(&host.state()), [old]);
    let stats = figures(host);
    assert_eq!((&stats["algorithm"], &stats["phase"]), (&json!("kawpow"), &json!("mining")));
    assert_eq!(host.get("/miners").as_array().unwrap().len(), 1);
}

#[test]
fn a_miner_outlives_the_loss_of_the_database() {
    let mut host = Host::start();
    let miner = mining(&host, &json!({ "algorithm": "kawpow", "wallet": "4WALLET" }));
    let plan = host.get("/miners/rig-1/plan");
    for journals in [true, false] {
        host.kill();
        fs::remove_file(host.state().join("adit.db")).unwrap();
        if journals {
            drop(fs::remove_file(host.state().join("adit.db-wal")));
            drop(fs::remove_file(host.state().join("adit.db-shm")));
        }
        host.up(&[]);
        assert_adopted(&host, pid(&miner));
        assert_eq!(host.get("/miners/rig-1/plan"), plan);
    }
    assert_eq!(damaged(&host.state()), [] as [PathBuf; 0]);
    // What was read back from the folder is what the next run is made of.
    host.ok("POST", "/miners/rig-1/restart", NONE);
    let next = mining_afresh(&host, pid(&miner));
    assert_adopted(&host, next);
    host.ok("DELETE", "/miners/rig-1", NONE);
    let runs = host.get("/miners/rig-1/runs");
    let ends: Vec<_> = runs.as_array().unwrap().iter().map(|run| &run["byStop"]).collect();
    assert_eq!(ends, [&json!(true), &json!(true)], "{runs}");
}

#[test]
fn a_damaged_database_is_set_aside_and_its_running_miner_adopted() {
    let mut host = Host::start();
    let miner = mining(&host, &json!({ "algorithm": "kawpow" }));
    let database = host.state().join("adit.db");
    let text = b"this is no database at all, just text. ".repeat(300);
    for round in 0..3 {
        host.kill();
        // Closing it brings everything from the journal into the file.
        Connection::open(&database).unwrap().execute("VACUUM", []).unwrap();
        let mut garbage = fs::read(&database).unwrap();
        match round {
            0 => garbage.clone_from(&text),
            1 => garbage = b"short".to_vec(),
            _ => garbage[100..].fill(0x5a),
        }
        fs::write(&database, &garbage).unwrap();
        let before = damaged(&host.state());
        host.up(&[]);
        let new: Vec<PathBuf> =
            damaged(&host.state()).into_iter().filter(|path| !before.contains(path)).collect();
        assert_eq!(new.len(), 1, "round {round}: {new:?}, {}", host.log());
        assert_eq!(fs::read(&new[0]).unwrap(), garbage);
        assert!(host.log().contains(new[0].to_str().unwrap()), "{}", host.log());
        assert_adopted(&host, pid(&miner));
    }
}

#[test]
fn miners_are_stopped_without_a_host_and_without_a_database() {
    let mut host = Host::start();
    let miner = mining(&host, &json!({ "algorithm": "kawpow" }));
    host.kill();
    let database = host.state().join("adit.db");
    Connection::open(&database).unwrap().execute("VACUUM", []).unwrap();
    fs::write(&database, "short").unwrap();
    let output = host.run(&["down", "--stop-miners"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(!is_alive(pid(&miner)));
    let aside = damaged(&host.state());
    assert_eq!(fs::read(&aside[0]).unwrap(), b"short");
    assert!(said.contains(aside[0].to_str().unwrap()), "{said}");
    host.up(&[]);
    host.wait_for_phase("rig-1", "stopped");
    host.ok("POST", "/miners/rig-1/start", NONE);
    let next = mining_afresh(&host, pid(&miner));
    assert_adopted(&host, next);
}

#[test]
fn a_table_that_is_damaged_beside_healthy_ones_costs_no_miner() {
    let mut host = Host::start();
    let miner = mining(&host, &json!({ "algorithm": "kawpow" }));
    host.kill();
    let path = host.state().join("adit.db");
    let database = Connection::open(&path).unwrap();
    database.execute("VACUUM", []).unwrap();
    let number = |sql| database.query_row(sql, [], |row| row.get::<_, u32>(0)).unwrap() as usize;
    let size = number("PRAGMA page_size");
    let page = number("SELECT rootpage FROM sqlite_schema WHERE type = 'table' AND name = 'run'");
    drop(database);
    let mut bytes = fs::read(&path).unwrap();
    bytes[(page - 1) * size..page * size].fill(0x5a);
    fs::write(&path, &bytes).unwrap();
    host.up(&[]);
    assert_adopted(&host, pid(&miner));
    host.ok("POST", "/miners/rig-1/restart", NONE);
    let next = mining_afresh(&host, pid(&miner));
    assert_adopted(&host, next);
    host.ok("DELETE", "/miners/rig-1", NONE);
    assert!(programs(&host.state()).is_empty());
}

#[test]
fn a_database_that_is_overwritten_beside_its_journal_costs_no_miner() {
    let mut host = Host::start();
    let miner = mining(&host, &json!({ "algorithm": "kawpow" }));
    for _ in 0..2 {
        host.kill();
        let database = host.state().join("adit.db");
        let size = fs::metadata(&database).unwrap().len();
        let garbage = vec![0x5a; usize::try_from(size.max(9000)).unwrap()];
        fs::write(&database, &garbage).unwrap();
        host.up(&[]);
        assert_adopted(&host, pid(&miner));
        // What the journal does not have is set aside, not gone.
        let kept = damaged(&host.state()).iter().any(|path| fs::read(path).unwrap() == garbage);
        let runs = host.get("/miners/rig-1/runs");
        assert!(kept || runs.as_array().unwrap().len() == 1, "{runs}");
        host.ok("POST", "/miners/rig-1/start", NONE);
    }
}

#[test]
fn a_database_from_the_future_is_left_alone_and_so_are_the_miners() {
    let mut host = Host::start();
    let miner = mining(&host, &json!({ "algorithm": "kawpow" }));
    host.kill();
    let path = host.state().join("adit.db");
    let set_version = |version: i64| {
        let database = Connection::open(&path).unwrap();
        let old = database.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        database.pragma_update(None, "user_version", version).unwrap();
        old
    };
    let version: i64 = set_version(99);
    let before = fs::read(&path).unwrap();
    let output = host.run(&["up"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("newer version of adit (schema 99"), "{said}");
    assert!(said.contains(path.to_str().unwrap()), "{said}");
    assert_eq!(fs::read(&path).unwrap(), before);
    assert!(is_alive(pid(&miner)));
    set_version(version);
    host.up(&[]);
    assert_adopted(&host, pid(&miner));
    wait_for("no second copy", || (programs(&host.state()).len() == 1).then_some(()));
}
