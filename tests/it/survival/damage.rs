//! Pages of the database are damaged, while no host runs and while one does.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{FileExt, chown},
    path::Path,
    process::{Command, Stdio},
};

use rusqlite::Connection;
use rustix::process::geteuid;
use serde_json::{Value, json};

use crate::{
    host::{Host, is_alive, processes, wait_for},
    survival::{NONE, mining, pid, programs},
};

/// The root page of every table and every index, and the size of a page.
fn roots(database: &Path) -> (BTreeMap<String, u64>, u64) {
    let connection = Connection::open(database).unwrap();
    // Everything from the journal is in the file then.
    connection.execute("VACUUM", []).unwrap();
    let size = connection.query_row("PRAGMA page_size", [], |row| row.get::<_, u32>(0)).unwrap();
    let mut select = connection.prepare("SELECT name, rootpage FROM sqlite_schema").unwrap();
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get::<_, u32>(1)?))).unwrap();
    let roots = rows.map(Result::unwrap).map(|(name, page)| (name, u64::from(page))).collect();
    (roots, u64::from(size))
}

fn overwrite(database: &Path, page: u64, size: u64, fill: u8) {
    let file = fs::File::options().write(true).open(database).unwrap();
    let bytes = vec![fill; usize::try_from(size).unwrap()];
    file.write_all_at(&bytes, (page - 1) * size).unwrap();
}

/// What the doctor says of the database.
fn findings(host: &Host) -> Vec<Value> {
    let all = host.ok("POST", "/doctor", NONE)["findings"].clone();
    let of_database = |it: &&Value| it["id"] == "database";
    all.as_array().unwrap().iter().filter(of_database).cloned().collect()
}

/// Removes what earlier damage left, as the doctor advises.
fn forget(state: &Path) {
    for entry in fs::read_dir(state).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("adit.db.damaged-") || name.starts_with("adit.db.report-") {
            fs::remove_file(path).unwrap();
        }
    }
}

fn names(list: &Value) -> Vec<String> {
    let names = list.as_array().unwrap().iter();
    names.map(|it| it["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_host_starts_whatever_table_or_index_is_damaged() {
    let mut host = Host::start();
    let miner = mining(&host, &json!({ "algorithm": "kawpow" }));
    host.simulate("idle", &json!({}));
    host.ok("DELETE", "/miners/idle", NONE);
    let wallet = json!({ "name": "xmr", "coin": "XMR", "address": "4WALLET" });
    host.ok("POST", "/wallets", &wallet);
    host.ok("POST", "/profiles", &json!({ "name": "home", "minerType": "sim", "config": {} }));
    host.ok("POST", "/tokens", &json!({ "name": "dash", "role": "view" }));
    host.ok("PUT", "/miners/idle/watchdog", &json!({ "enabled": false }));
    host.kill();
    let database = host.state().join("adit.db");
    let (pages, size) = roots(&database);
    let sound = fs::read(&database).unwrap();
    for (index, (name, page)) in pages.iter().enumerate() {
        let fill = if index % 2 == 0 { 0x5a } else { 0 };
        let case = format!("{name} filled with {fill}");
        for journal in ["-wal", "-shm"] {
            drop(fs::remove_file(host.state().join(format!("adit.db{journal}"))));
        }
        fs::write(&database, &sound).unwrap();
        overwrite(&database, *page, size, fill);
        host.up(&[]);
        assert_eq!(programs(&host.state()), [pid(&miner)], "{case}");
        host.wait_for_phase("rig-1", "mining");
        assert_eq!(host.program("rig-1"), pid(&miner), "{case}");
        assert_eq!(names(&host.get("/miners?all=true")), ["idle", "rig-1"], "{case}");
        // The doctor reads the tables that a start has no time for.
        drop(findings(&host));
        let found = wait_for(&format!("the losses of {case}"), || {
            let found = findings(&host);
            let is_reported =
                found.iter().any(|it| it["told"].as_str().unwrap().contains("replaced"));
            is_reported.then_some(found)
        });
        assert!(found.iter().any(|it| it["verdict"] == "warning"), "{case}: {found:?}");
        let events = host.get("/events/recent?types=database.salvaged");
        let reason = events["events"][0]["data"]["reason"].as_str();
        let table = name.strip_prefix("sqlite_autoindex_").unwrap_or(name);
        let table = table.split(['_']).next().unwrap();
        assert!(reason.is_some_and(|it| it.contains(table)), "{case}: {events}");
        assert_eq!(host.get("/ready")["components"]["store"], "ready", "{case}");
        for list in ["/profiles", "/wallets", "/pools", "/tokens", "/incidents", "/audit"] {
            host.get(list);
        }
        if name != "wallet" {
            assert_eq!(names(&host.get("/wallets")), ["xmr"], "{case}");
        }
        // A table whose rows may be others than they were grants no right.
        let tokens = names(&host.get("/tokens"));
        assert_eq!(tokens.is_empty(), name == "token", "{case}: {tokens:?}");
        host.kill();
        forget(&host.state());
    }
}

#[test]
fn damage_that_is_found_while_the_host_runs_is_repaired_at_once() {
    let mut host = Host::start();
    let miner = mining(&host, &json!({ "algorithm": "kawpow" }));
    host.ok("POST", "/profiles", &json!({ "name": "home", "minerType": "sim", "config": {} }));
    host.kill();
    let database = host.state().join("adit.db");
    let (pages, size) = roots(&database);
    host.up(&[]);
    host.wait_for_phase("rig-1", "mining");
    assert!(findings(&host).iter().all(|it| it["verdict"] == "ok"));
    let before = fs::read(&database).unwrap();
    overwrite(&database, pages["profile"], size, 0x5a);
    let found = wait_for("the doctor to say so", || {
        let found = findings(&host);
        // The journal may have the page.
        (found[0]["verdict"] != "ok" || found.len() > 1).then_some(found)
    });
    assert!(found[0]["verdict"] == "problem" || found.len() > 1, "{found:?}");
    let found = wait_for("the repair", || {
        let found = findings(&host);
        (found.len() > 1 && found[0]["verdict"] == "ok").then_some(found)
    });
    let message = found[1]["told"].as_str().unwrap();
    assert!(message.contains("profiles (home)"), "{message}");
    assert!(found[1]["command"].is_null() || found[1]["fix"].as_str().unwrap().contains("rm "));
    assert_eq!(host.get("/profiles"), json!([]));
    host.ok("POST", "/profiles", &json!({ "name": "home", "minerType": "sim", "config": {} }));
    assert_eq!(names(&host.get("/profiles")), ["home"]);
    let events = host.get("/events/recent?types=database.salvaged");
    let kept = events["events"][0]["data"]["kept"].as_str().unwrap().to_owned();
    assert_ne!(fs::read(&kept).unwrap(), before);
    assert!(host.log().contains(&kept), "{}", host.log());
    assert_eq!(host.program("rig-1"), pid(&miner));
    assert_eq!(host.get("/ready")["components"]["store"], "ready");
    host.kill();
    host.up(&[]);
    assert_eq!(names(&host.get("/profiles")), ["home"]);
    assert!(is_alive(pid(&miner)));
}

#[test]
fn a_schema_number_of_no_version_is_explained_and_costs_nothing() {
    let mut host = Host::start();
    let miner = mining(&host, &json!({}));
    for number in [0, -1, 0x5a5a_5a5a] {
        host.kill();
        let database = Connection::open(host.state().join("adit.db")).unwrap();
        database.pragma_update(None, "user_version", number).unwrap();
        drop(database);
        host.up(&[]);
        host.wait_for_phase("rig-1", "mining");
        assert_eq!(host.program("rig-1"), pid(&miner));
        let log = host.log();
        assert!(log.contains(&format!("its schema number is {number}, which no version")), "{log}");
        assert!(log.contains("everything in it could be read"), "{log}");
    }
}

#[test]
fn what_is_no_damage_is_not_called_damage() {
    let mut host = Host::start();
    host.simulate("rig-1", &json!({}));
    host.ok("DELETE", "/miners/rig-1", NONE);
    host.interrupt();
    let database = host.state().join("adit.db");
    let refused = |host: &Host, expected: &str| {
        let output = host.run(&["up"]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(expected) && !said.contains("damaged"), "{said}");
    };
    // Another program has it locked.
    let other = Connection::open(&database).unwrap();
    other.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE").unwrap();
    refused(&host, "close the other program that uses it");
    drop(other);
    // A folder in its place.
    let away = host.state().join("away");
    fs::rename(&database, &away).unwrap();
    fs::create_dir(&database).unwrap();
    refused(&host, "cannot open the database");
    fs::remove_dir(&database).unwrap();
    fs::rename(&away, &database).unwrap();
    host.up(&[]);
    assert_eq!(names(&host.get("/miners?all=true")), ["rig-1"]);
}

#[test]
fn a_broken_key_of_the_node_is_found_before_a_miner_is_touched() {
    let mut host = Host::start();
    host.simulate("rig-1", &json!({}));
    let miner = host.wait_for_phase("rig-1", "mining");
    host.ok("POST", "/node/init", &json!({ "name": "rig", "role": "worker" }));
    host.kill();
    // A host would start the miner at once.
    crate::host::signal(crate::survival::keeper(&miner), rustix::process::Signal::KILL);
    wait_for("no program", || programs(&host.state()).is_empty().then_some(()));
    let node = host.state().join("node");
    let (key, card) =
        (fs::read(node.join("key")).unwrap(), fs::read(node.join("node.json")).unwrap());
    for (file, sound, content, said) in [
        ("key", &key, &b""[..], "a key has 32"),
        ("key", &key, b"short", "a key has 32"),
        ("key.next", &Vec::new(), b"garbage", "a key has 32"),
        ("node.json", &card, b"", "restore it from a backup"),
        ("node.json", &card, b"{\"name\":", "restore it from a backup"),
    ] {
        let path = node.join(file);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let output = host.run(&["up"]);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{file}: {text}");
        assert!(text.contains(said) && text.contains(file), "{file}: {text}");
        // Drivers come before miners, and not even those were loaded.
        assert!(!text.contains("a driver is loaded"), "{file}: {text}");
        assert!(programs(&host.state()).is_empty(), "{file}");
        match sound.is_empty() {
            true => fs::remove_file(&path).unwrap(),
            false => fs::write(&path, sound).unwrap(),
        }
    }
    host.up(&[]);
    host.wait_for_phase("rig-1", "mining");
}

#[test]
fn damaged_state_files_cost_no_miner() {
    let mut host = Host::start();
    let miner = mining(&host, &json!({ "algorithm": "kawpow" }));
    let state = host.state();
    let damage: [&[u8]; 5] = [b"", b"{\"half\":", b"\0\0\0\0\0\0\0\0", b"[]", b"\xff\xfe"];
    for file in ["drivers.lock", "miners/rig-1/secrets.json", "host.json", "adit.db.schema"] {
        for content in damage {
            host.kill();
            fs::write(state.join(file), content).unwrap();
            host.up(&[]);
            host.wait_for_phase("rig-1", "mining");
            assert_eq!(host.program("rig-1"), pid(&miner), "{file} {content:?}");
            host.get("/miners/rig-1/logs");
        }
    }
    for content in damage {
        host.kill();
        fs::write(state.join("miners/rig-1/miner.json"), content).unwrap();
        host.up(&[]);
        wait_for("the run to be adopted", || {
            (host.miner("rig-1")["running"] == true).then_some(())
        });
        assert_eq!(host.program("rig-1"), pid(&miner), "{content:?}");
        let found = host.ok("POST", "/doctor", NONE);
        assert!(found.to_string().contains("miner.json in its folder is missing or damaged"));
    }
    // While the host runs, its notice is how the command line finds it.
    fs::write(state.join("host.json"), "{").unwrap();
    let output = host.run(&["miner", "list"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("host.json is damaged"), "{said}");
    host.kill();
    let token = fs::read(state.join("token")).unwrap();
    for content in [&b""[..], b"short", &[0; 64], &[0xff; 64]] {
        fs::write(state.join("token"), content).unwrap();
        let output = host.run(&["up"]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("remove it and restart the host"), "{said}");
        assert!(is_alive(pid(&miner)));
    }
    fs::write(state.join("token"), token).unwrap();
    host.up(&[]);
    host.ok("POST", "/miners/rig-1/restart", NONE);
    let next = crate::survival::mining_afresh(&host, pid(&miner));
    assert_eq!(programs(&host.state()), [next]);
}

/// Threads of all processes of a user.
fn threads_of(user: u32) -> u64 {
    let threads = |pid: u32| -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
        let is_theirs = field("Uid:")?.split_whitespace().next()? == user.to_string();
        if is_theirs { field("Threads:")?.trim().parse().ok() } else { None }
    };
    processes().into_iter().filter_map(threads).sum()
}

#[test]
fn too_few_threads_are_not_called_damage_and_cost_no_miner() {
    let mut host = Host::absent();
    let is_root = geteuid().is_root();
    // A user that nothing else runs as. Root has no such limit.
    let user = if is_root { 65533 } else { geteuid().as_raw() };
    if is_root {
        host.user = Some(user);
        for path in [host.folder.path().to_owned(), host.settings()] {
            chown(path, Some(user), None).unwrap();
        }
    }
    host.up(&[]);
    let miner = mining(&host, &json!({}));
    host.kill();
    wait_for("the notice of the last host to expire", || {
        (host.run(&["down"]).status.code() == Some(3)).then_some(())
    });
    let log = host.folder.path().join("said");
    let mut refusals = 0;
    for more in 1..60 {
        let limit = threads_of(user) + more;
        let inner = host.command(&["up"]);
        let mut command = Command::new("prlimit");
        command.arg(format!("--nproc={limit}")).arg("--").arg(inner.get_program());
        command.args(inner.get_args()).env_clear();
        command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let mut up = command.stderr(fs::File::create(&log).unwrap()).spawn().unwrap();
        let said = || fs::read_to_string(&log).unwrap();
        let ended = wait_for("the host to start or to give up", || match up.try_wait().unwrap() {
            Some(status) => Some(Some(status)),
            None => said().contains("adopted the running miner").then_some(None),
        });
        let said = said();
        assert!(!said.contains("damaged") && !said.contains("panicked"), "{limit}: {said}");
        assert!(is_alive(pid(&miner)), "{limit}: {said}");
        let Some(status) = ended else {
            up.kill().unwrap();
            up.wait().unwrap();
            break;
        };
        assert_eq!(status.code(), Some(1), "{limit}: {said}");
        assert!(said.contains("raise the limits on threads and memory"), "{limit}: {said}");
        refusals += 1;
    }
    // Others of an ordinary user come and go.
    assert!(refusals > 3 || !is_root, "{refusals}");
    let kept = fs::read_dir(host.state()).unwrap().map(|it| it.unwrap().file_name());
    let kept: Vec<_> = kept.filter(|it| it.to_string_lossy().contains("damaged")).collect();
    assert!(kept.is_empty(), "{kept:?}");
    host.up(&[]);
    host.wait_for_phase("rig-1", "mining");
    assert_eq!(host.program("rig-1"), pid(&miner));
}
