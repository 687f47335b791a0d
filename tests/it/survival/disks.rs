//! State folders on file systems that cannot be written: read-only, and full.
//!
//! Each test runs itself again in a mount namespace of its own, which vanishes with it.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    process::Command,
};

use rustix::process::{Signal, geteuid};
use serde_json::json;

use crate::{
    host::{Host, is_alive, signal, wait_for},
    survival::{
        Follower, NONE, assert_no_gap, counting, figures, mining, pid, programs, wait_for_silence,
    },
};

/// Set in the namespace.
const MARK: &str = "ADIT_TEST_MOUNTS";

/// Runs the ignored test `name` of this file where it may mount.
fn in_own_mounts(name: &str) {
    let mut command = Command::new("unshare");
    if !geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command.args(["--mount", "--propagation", "private", "--"]);
    command.arg(std::env::current_exe().unwrap()).env(MARK, "1");
    command.args([&format!("survival::disks::{name}"), "--exact", "--ignored", "--nocapture"]);
    let output = command.output().expect("this test needs the program unshare of util-linux");
    let said = String::from_utf8_lossy(&output.stdout);
    let passed = output.status.success() && said.contains("1 passed");
    assert!(
        passed,
        "if it could not mount: this test needs root, or user namespaces that may mount\n{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn is_in_own_mounts() -> bool {
    std::env::var_os(MARK).is_some()
}

fn mount(args: &[&str], place: &Path) {
    let status = Command::new("mount").args(args).arg(place).status().unwrap();
    assert!(status.success(), "mount {args:?} is not possible in this environment");
}

fn unmount(place: &Path) {
    assert!(Command::new("umount").arg("-l").arg(place).status().unwrap().success());
}

#[test]
fn a_read_only_state_folder_is_refused_and_its_miners_go_on() {
    in_own_mounts("read_only_inside");
}

#[test]
#[ignore = "the test above runs this where it may mount"]
fn read_only_inside() {
    // Not a test by itself: only in a namespace of its own it may mount.
    if !is_in_own_mounts() {
        return;
    }
    let mut host = Host::start();
    let miner = mining(&host, &json!({}));
    host.kill();
    let state = host.state();
    mount(&["--bind", state.to_str().unwrap()], &state);
    mount(&["-o", "remount,ro,bind"], &state);
    assert!(File::create(state.join("probe")).is_err(), "it can be written after all");
    let output = host.run(&["up"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("Read-only file system"), "{said}");
    assert!(said.contains(state.to_str().unwrap()), "{said}");
    assert!(is_alive(pid(&miner)));
    let listed = host.run_json(&["miner", "list"]);
    assert_eq!((&listed[0]["pid"], &listed[0]["running"]), (&json!(pid(&miner)), &json!(true)));
    unmount(&state);
    host.up(&[]);
    host.wait_for_phase("rig-1", "mining");
    assert_eq!(host.program("rig-1"), pid(&miner));
    figures(&host);
}

#[test]
fn a_full_disk_costs_neither_a_miner_nor_a_line() {
    in_own_mounts("full_disk_inside");
}

/// Takes all space of the disk with `state` and returns the file that does.
fn fill(state: &Path) -> std::path::PathBuf {
    let path = state.join("ballast");
    let mut ballast = File::options().create(true).append(true).open(&path).unwrap();
    for size in [1 << 20, 4096, 1] {
        while ballast.write_all(&vec![b'x'; size]).is_ok() {}
    }
    path
}

/// On a full disk the history says so and waits in memory; with room again it is complete.
fn the_history_waits_for_room(host: &Host, state: &Path, ballast: &Path) {
    let waiting = wait_for("the history to say that it cannot be written", || {
        fill(state);
        let status = host.get("/history/status");
        (status["waitingTicks"].as_u64().unwrap() > 3).then_some(status)
    });
    assert!(waiting["error"].as_str().unwrap().contains("full"), "{waiting}");
    assert_eq!((&waiting["missedTicks"], &waiting["lostChunks"]), (&json!(0), &json!(0)));
    // With room again, what waited is written.
    fs::remove_file(ballast).unwrap();
    let since = waiting["failingSince"].as_str().unwrap();
    wait_for("the history to be written again", || {
        (host.get("/history/status")["waitingTicks"] == 0).then_some(())
    });
    wait_for("the events to be written", || {
        let events = host.get("/history/events");
        let kinds = ["history.failed", "history.resumed"];
        kinds.iter().all(|kind| events.to_string().contains(kind)).then_some(())
    });
    let chart = "/history/miners/rig-1/hashrate?metric=phase&points=10000";
    let points = host.get(&format!("{chart}&since={since}"));
    let points = points.as_array().unwrap();
    assert!(points.len() > 2, "{points:?}");
    let gap = points
        .iter()
        .find(|it| it["afterGap"] == true && it["timestamp"].as_str().unwrap() >= since);
    assert_eq!(gap, None, "ticks are lost");
}

/// On a full disk a new database is not called damaged, and a damaged one stays as it is.
fn no_room_for_a_database(host: &Host, state: &Path) {
    let (database, away) = (state.join("adit.db"), host.folder.path().join("away.db"));
    fs::copy(&database, &away).unwrap();
    let journals = ["-wal", "-shm", ".schema"].map(|it| state.join(format!("adit.db{it}")));
    let kept: Vec<_> = journals.iter().map(|path| fs::read(path).unwrap_or_default()).collect();
    let refused = |expected: &str| {
        drop(fs::remove_file(state.join("reserve")));
        fill(state);
        let output = host.run(&["up"]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(expected) && said.contains("free space on its disk"), "{said}");
        let names = fs::read_dir(state).unwrap().map(|it| it.unwrap().file_name());
        let aside: Vec<_> = names.filter(|it| it.to_string_lossy().contains("damaged-")).collect();
        assert!(aside.is_empty(), "{aside:?}");
        said
    };
    for path in journals.iter().chain([&database]) {
        drop(fs::remove_file(path));
    }
    let said = refused("cannot open the database");
    assert!(!said.contains("damaged"), "{said}");
    fs::remove_file(state.join("ballast")).unwrap();
    let garbage = b"this is no database at all, just text. ".repeat(300);
    fs::write(&database, &garbage).unwrap();
    refused("is damaged");
    assert_eq!(fs::read(&database).unwrap(), garbage);
    fs::remove_file(state.join("ballast")).unwrap();
    fs::copy(&away, &database).unwrap();
    for (path, content) in journals.iter().zip(kept) {
        fs::write(path, content).unwrap();
    }
    fill(state);
}

#[test]
#[ignore = "the test above runs this where it may mount"]
#[expect(clippy::too_many_lines, reason = "one story of a disk")]
fn full_disk_inside() {
    // Not a test by itself: only in a namespace of its own it may mount.
    if !is_in_own_mounts() {
        return;
    }
    let mut host = Host::absent();
    // Ticks far enough apart that none is skipped for another reason than the disk.
    let settings = "[miners]\nstats_interval_ms = 1000\noutput_interval_ms = 50\n";
    fs::write(host.settings(), settings).unwrap();
    let state = host.state();
    fs::create_dir(&state).unwrap();
    mount(&["-t", "tmpfs", "-o", "size=128m,mode=700", "tmpfs"], &state);
    host.up(&[]);
    let mut config = counting();
    config["misbehave"]["countIntervalMs"] = json!(100);
    let miner = mining(&host, &config);
    host.simulate("doomed", &json!({}));
    let doomed = host.wait_for_phase("doomed", "mining");
    host.simulate("unwanted", &json!({}));
    let unwanted = host.wait_for_phase("unwanted", "mining");

    // With the host up: what cannot be written down is refused, and said.
    let ballast = fill(&state);
    let (status, answer) =
        host.call("POST", "/miners", &json!({ "name": "rig-2", "type": "sim", "config": {} }));
    assert!(status >= 500, "{status} {answer}");
    assert!(answer["error"].as_str().unwrap().contains("full"), "{answer}");
    assert_eq!(host.call("GET", "/miners/rig-2", NONE).0, 404);
    host.wait_for_phase("rig-1", "mining");
    assert_eq!(host.program("rig-1"), pid(&miner));

    the_history_waits_for_room(&host, &state, &ballast);
    let ballast = fill(&state);

    // An exit that cannot be written down is counted once, however often it is looked at.
    signal(pid(&doomed), Signal::KILL);
    let failed = wait_for("a start that fails", || {
        fill(&state);
        let doomed = host.miner("doomed");
        // The watchdog looks at the next tick only.
        let is_seen = doomed["watchdog"]["excuse"] == "not-running";
        (doomed["phase"] == "failed" && is_seen).then_some(doomed)
    });
    assert!(failed["reason"].as_str().unwrap().contains("No space left"), "{failed}");
    wait_for("two more looks", || {
        let failures = host.log().matches("cannot write down how the run ended").count();
        (failures >= 3).then_some(())
    });
    assert_eq!(host.miner("doomed"), failed);

    // A miner is stopped whether or not that can be written down.
    fill(&state);
    assert_eq!(host.ok("DELETE", "/miners/unwanted", NONE)["status"], "stopped");
    assert!(!is_alive(pid(&unwanted)));
    assert_eq!(host.miner("unwanted")["phase"], "stopped");

    // The next host starts, after an end in good order and after a kill, and has its drivers:
    // without room for copies they are loaded from memory, also into processes of their own.
    for is_killed in [false, true] {
        if is_killed {
            host.kill();
            let isolation = "[drivers.isolation]\nsim = \"process\"\n";
            fs::write(host.settings(), format!("{settings}{isolation}")).unwrap();
        } else {
            host.interrupt();
        }
        fill(&state);
        host.up(&[]);
        host.wait_for_phase("rig-1", "mining");
        assert_eq!(host.program("rig-1"), pid(&miner));
        assert!(programs(&state).contains(&pid(&miner)));
        assert_eq!(host.run_json(&["miner", "list"]).as_array().unwrap().len(), 3);
        assert_eq!(host.get("/ready")["status"], "ready");
        let driver = host.get("/drivers/sim");
        let isolation = if is_killed { "process" } else { "in-process" };
        assert_eq!(driver["isolation"], isolation, "{driver}");
        if is_killed {
            let confinement = &driver["process"]["confinement"];
            assert_eq!(confinement["files"]["enforced"], true, "{confinement}");
        }
        wait_for("a message about the copies", || {
            host.log().contains("no room for the copy of a driver").then_some(())
        });
    }
    host.kill();
    no_room_for_a_database(&host, &state);
    assert!(is_alive(pid(&miner)));
    fs::remove_file(ballast).unwrap();
    host.up(&[]);
    host.wait_for_phase("rig-1", "mining");
    assert_eq!(host.program("rig-1"), pid(&miner));
    figures(&host);
    host.wait_for_phase("doomed", "mining");
    for name in ["rig-1", "doomed", "unwanted"] {
        host.ok("DELETE", &format!("/miners/{name}"), NONE);
    }
    let mut log = Follower::new();
    log.read(&host);
    let last = assert_no_gap(&log.lines);
    assert_eq!(log.count(&format!("counted {last} lines")), 1);
    assert_eq!(host.get("/miners/rig-1/runs")[0]["byStop"], true);
    host.kill();
    wait_for_silence(&state);
}
