//! Miners whose keeper does not answer and whose files are gone: stopped means that nothing lives.

use std::{
    fs::{self, File},
    os::unix::fs::{PermissionsExt, chown},
    process::Command,
    thread,
    time::Duration,
};

use rustix::{
    fs::{CWD, mkfifoat},
    process::{Signal, geteuid},
};
use serde_json::{Value, json};

use crate::{
    host::{Host, is_alive, processes, signal, wait_for},
    survival::{
        NONE, everything_of, keeper, mining, mining_afresh, pid, programs, wait_for_silence,
    },
};

/// What may become of a run before it is to end.
#[derive(Clone, Copy, Debug)]
enum Harm {
    StoppedKeeper,
    NoSocket,
    ForeignSocket,
    FreshLock,
    NoDirectory,
    OtherDirectory,
    NoRecords,
    Pipes,
    EndlessRecords,
}

const HARMS: [Harm; 9] = [
    Harm::StoppedKeeper,
    Harm::NoSocket,
    Harm::ForeignSocket,
    Harm::FreshLock,
    Harm::NoDirectory,
    Harm::OtherDirectory,
    Harm::NoRecords,
    Harm::Pipes,
    Harm::EndlessRecords,
];

/// What host and keeper write about a run.
const RECORDS: [&str; 4] = ["state.json", "spec.json", "miner.json", "secrets.json"];

impl Harm {
    fn befalls(self, host: &Host, miner: &Value) {
        let folder = host.state().join("miners/rig-1");
        let remove = |name: &str| drop(fs::remove_file(folder.join(name)));
        match self {
            Self::StoppedKeeper => signal(keeper(miner), Signal::STOP),
            Self::NoSocket => remove("socket"),
            Self::ForeignSocket => {
                remove("socket");
                // Closed at once: what connects to it is refused.
                drop(std::os::unix::net::UnixListener::bind(folder.join("socket")).unwrap());
            }
            Self::FreshLock => {
                remove("lock");
                File::create(folder.join("lock")).unwrap();
                remove("socket");
            }
            Self::NoDirectory => fs::remove_dir_all(&folder).unwrap(),
            Self::OtherDirectory => {
                fs::rename(&folder, host.state().join("away")).unwrap();
                fs::create_dir(&folder).unwrap();
                fs::write(folder.join("state.json"), "{\"run\":").unwrap();
            }
            Self::NoRecords => {
                ["state.json", "spec.json", "miner.json", "socket"].into_iter().for_each(remove);
            }
            // Opening one waits until another process opens it too.
            Self::Pipes => {
                for name in
                    RECORDS.into_iter().chain(["lock", "socket", "exit.json", ".exit.json.new"])
                {
                    remove(name);
                    mkfifoat(CWD, folder.join(name), 0o600.into()).unwrap();
                }
            }
            Self::EndlessRecords => {
                for name in RECORDS {
                    remove(name);
                    std::os::unix::fs::symlink("/dev/zero", folder.join(name)).unwrap();
                }
                remove("socket");
            }
        }
    }
}

/// Waits until `rig-1` is stopped, which must be true of its processes at that moment.
fn stopped(host: &Host, family: &[u32]) {
    host.wait_for_phase("rig-1", "stopped");
    assert_eq!(programs(&host.state()), [0; 0]);
    // A keeper that has reported the end takes a moment to leave.
    wait_for("the keeper to leave", || (!family.iter().any(|pid| is_alive(*pid))).then_some(()));
}

#[test]
fn a_miner_is_stopped_whatever_became_of_its_files_and_its_keeper() {
    for harm in HARMS {
        let host = Host::start();
        let miner = mining(&host, &json!({}));
        let family = [keeper(&miner), pid(&miner)];
        harm.befalls(&host, &miner);
        let answer = host.ok("DELETE", "/miners/rig-1", NONE);
        // Only the truth: either nothing lives, or it is still stopping.
        assert!(!is_alive(pid(&miner)) || answer["status"] == "stopping", "{harm:?}: {answer}");
        stopped(&host, &family);
        // And a start is a start of one.
        host.ok("POST", "/miners/rig-1/start", NONE);
        let next = mining_afresh(&host, pid(&miner));
        assert_eq!(programs(&host.state()), [next], "{harm:?}");
        host.ok("DELETE", "/miners/rig-1?remove=true", NONE);
        assert_eq!(host.call("GET", "/miners/rig-1", NONE).0, 404);
        assert!(!host.state().join("miners/rig-1").exists(), "{harm:?}");
    }
}

#[test]
fn a_restart_replaces_the_one_program_whatever_became_of_its_files_and_its_keeper() {
    for harm in HARMS {
        let host = Host::start();
        let miner = mining(&host, &json!({}));
        harm.befalls(&host, &miner);
        host.ok("POST", "/miners/rig-1/restart", NONE);
        let next = mining_afresh(&host, pid(&miner));
        assert!(!is_alive(pid(&miner)), "{harm:?}");
        assert_eq!(programs(&host.state()), [next], "{harm:?}");
        // And it is not restarted again.
        let runs = host.get("/miners/rig-1/runs");
        assert_eq!(runs.as_array().unwrap().len(), 2, "{harm:?}: {runs}");
    }
}

#[test]
fn a_miner_is_removed_whatever_became_of_its_files_and_its_keeper() {
    for harm in HARMS {
        let host = Host::start();
        let miner = mining(&host, &json!({}));
        harm.befalls(&host, &miner);
        host.ok("DELETE", "/miners/rig-1?remove=true", NONE);
        wait_for("the removal", || {
            (host.call("GET", "/miners/rig-1", NONE).0 == 404).then_some(())
        });
        assert!(!is_alive(pid(&miner)), "{harm:?}");
        assert!(!host.state().join("miners/rig-1").exists(), "{harm:?}");
    }
}

#[test]
fn the_next_host_starts_no_second_copy_and_can_end_the_first() {
    for harm in HARMS {
        let mut host = Host::start();
        let miner = mining(&host, &json!({}));
        host.kill();
        harm.befalls(&host, &miner);
        host.up(&[]);
        // It is adopted, or shown as unreachable with the way out.
        let seen = wait_for("a clear state", || {
            let seen = host.miner("rig-1");
            (seen["running"] == true).then_some(seen)
        });
        assert_eq!(programs(&host.state()), [pid(&miner)], "{harm:?}: {seen}");
        if seen["phase"] == "degraded" {
            let reason = seen["reason"].as_str().unwrap();
            assert!(reason.contains("adit miner restart rig-1"), "{harm:?}: {seen}");
            let (status, answer) = host.call("POST", "/miners/rig-1/start", NONE);
            let is_adopted = host.miner("rig-1")["phase"] == "mining";
            assert!(status >= 400 || is_adopted, "{harm:?}: {status} {answer}");
        }
        assert_eq!(programs(&host.state()), [pid(&miner)], "{harm:?}");
        host.ok("DELETE", "/miners/rig-1", NONE);
        stopped(&host, &[keeper(&miner), pid(&miner)]);
    }
}

#[test]
fn a_keeper_that_a_signal_has_stopped_is_resumed() {
    let mut host = Host::start();
    let miner = mining(&host, &json!({}));
    signal(keeper(&miner), Signal::STOP);
    wait_for("the keeper to go on", || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", keeper(&miner))).unwrap();
        (!stat.contains(") T ")).then_some(())
    });
    host.kill();
    signal(keeper(&miner), Signal::STOP);
    host.up(&[]);
    host.wait_for_phase("rig-1", "mining");
    assert_eq!(host.program("rig-1"), pid(&miner));
}

#[test]
fn all_miners_are_stopped_without_a_host_whatever_became_of_their_files() {
    for harm in HARMS {
        let mut host = Host::start();
        let miner = mining(&host, &json!({}));
        host.kill();
        harm.befalls(&host, &miner);
        let listed = host.run_json(&["miner", "list"]);
        assert_eq!(listed[0]["running"], true, "{harm:?}: {listed}");
        let output = host.run(&["down", "--stop-miners"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{harm:?}: {said}");
        let left = everything_of(&host.state());
        assert!(left.is_empty(), "{harm:?}: {left:?} live, {said}");
        assert!(!is_alive(pid(&miner)), "{harm:?}");
    }
}

#[test]
fn down_stops_the_miners_of_a_host_whatever_became_of_their_files() {
    for harm in [Harm::StoppedKeeper, Harm::NoSocket, Harm::NoDirectory] {
        let mut host = Host::start();
        let miner = mining(&host, &json!({}));
        harm.befalls(&host, &miner);
        let output = host.run(&["down", "--stop-miners"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{harm:?}: {said}");
        host.wait();
        assert!(!is_alive(pid(&miner)), "{harm:?}");
    }
}

#[test]
fn a_miner_whose_directory_may_not_be_read_is_stopped_and_removed() {
    let mut host = Host::absent();
    if geteuid().is_root() {
        // Root may read everything, so this is for an ordinary user.
        host.user = Some(65534);
        for path in [host.folder.path().to_owned(), host.settings()] {
            chown(path, Some(65534), None).unwrap();
        }
    }
    host.up(&[]);
    let miner = mining(&host, &json!({}));
    let folder = host.state().join("miners/rig-1");
    let close = || fs::set_permissions(&folder, fs::Permissions::from_mode(0o000)).unwrap();
    close();
    host.ok("DELETE", "/miners/rig-1", NONE);
    stopped(&host, &[keeper(&miner), pid(&miner)]);
    let (status, answer) = host.call("POST", "/miners/rig-1/start", NONE);
    assert!(status >= 400 && answer["error"].as_str().unwrap().contains("ermission"), "{answer}");

    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    host.ok("POST", "/miners/rig-1/start", NONE);
    let next = mining_afresh(&host, pid(&miner));
    host.kill();
    close();
    host.up(&[]);
    wait_for("the run to be seen", || (host.miner("rig-1")["running"] == true).then_some(()));
    assert_eq!(programs(&host.state()), [next]);
    host.ok("DELETE", "/miners/rig-1?remove=true", NONE);
    wait_for("the removal", || (host.call("GET", "/miners/rig-1", NONE).0 == 404).then_some(()));
    assert!(!is_alive(next) && !folder.exists());
}

#[test]
fn without_the_lock_file_there_is_still_one_host() {
    let mut host = Host::start();
    let miner = mining(&host, &json!({}));
    for is_replaced in [false, true] {
        fs::remove_file(host.state().join("host.lock")).ok();
        if is_replaced {
            File::create(host.state().join("host.lock")).unwrap();
        }
        let output = host.run(&["up"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(&format!("another host (pid {}) uses", host.pid())), "{said}");
        assert_eq!(host.run_json(&["miner", "list"])[0]["phase"], "mining");
    }
    host.kill();
    host.up(&[]);
    host.wait_for_phase("rig-1", "mining");
    assert_eq!(host.program("rig-1"), pid(&miner));
}

#[test]
fn a_host_that_was_just_killed_does_not_block_the_next_command() {
    for starts in [true, false] {
        let mut host = Host::start();
        let miner = mining(&host, &json!({}));
        host.kill();
        // As a process that the killed host was just starting, which holds what it inherited.
        let held = [File::open(host.state()), File::open(host.state().join("host.lock"))];
        let held = held.map(Result::unwrap);
        held.iter().for_each(|file| file.lock().unwrap());
        let letting_go = thread::spawn(move || {
            thread::sleep(Duration::from_millis(300));
            drop(held);
        });
        if starts {
            host.up(&[]);
            host.wait_for_phase("rig-1", "mining");
            assert_eq!(host.program("rig-1"), pid(&miner));
        } else {
            let output = host.run(&["down", "--stop-miners"]);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{said}");
            assert!(!is_alive(pid(&miner)));
        }
        letting_go.join().unwrap();
    }
}

/// Runs a command in new namespaces, in which it is process 1.
fn as_first_process(host: &Host) -> Command {
    let inner = host.command(&["up"]);
    let mut command = Command::new("unshare");
    if !geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command.args(["--pid", "--fork", "--kill-child", "--mount-proc", "--"]);
    command.arg(inner.get_program()).args(inner.get_args()).env_clear();
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command
}

#[test]
fn as_process_1_a_host_leaves_no_zombies_and_ends_on_a_signal() {
    let host = Host::absent();
    let mut unshare = as_first_process(&host).spawn().unwrap();
    let notice = host.state().join("host.json");
    let read = || serde_json::from_slice::<Value>(&fs::read(&notice).ok()?).ok();
    wait_for("the host", read);
    let adit = |args: &[&str]| host.run(args).status.success();
    for round in 0..3 {
        let name = format!("rig-{round}");
        let start = ["miner", "start", &name, "--type", "sim"];
        wait_for("a start", || adit(&start).then_some(()));
        assert!(adit(&["miner", "stop", &name]));
    }
    let stat = |pid: u32| fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let parent = |pid: u32| -> Option<u32> {
        stat(pid).rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
    };
    let init = processes().into_iter().find(|pid| parent(*pid) == Some(unshare.id())).unwrap();
    wait_for("no zombies", || {
        let all = processes();
        let mut children = all.iter().filter(|pid| parent(**pid) == Some(init));
        children.all(|pid| !stat(*pid).contains(") Z ")).then_some(())
    });
    signal(init, Signal::TERM);
    assert!(unshare.wait().unwrap().success());
    wait_for_silence(&host.state());
}

#[test]
fn files_of_the_state_folder_that_became_pipes_keep_no_command_waiting() {
    let mut host = Host::start();
    let miner = mining(&host, &json!({}));
    host.kill();
    for (name, is_needed) in [
        ("host.lock", true),
        ("adit.db", true),
        ("token", true),
        ("host.json", false),
        ("adit.db.schema", false),
        ("drivers.lock", false),
    ] {
        let path = host.state().join(name);
        let away = host.folder.path().join("away");
        drop(fs::rename(&path, &away));
        mkfifoat(CWD, &path, 0o600.into()).unwrap();
        assert_eq!(host.run_json(&["miner", "list"])[0]["running"], true, "{name}");
        if is_needed {
            let output = host.run(&["up"]);
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{name}: {said}");
            let reason = "it is a named pipe, not a regular file";
            assert!(said.contains(reason) && said.contains(name), "{name}: {said}");
        } else {
            host.up(&[]);
            host.wait_for_phase("rig-1", "mining");
            host.kill();
        }
        drop(fs::remove_file(&path));
        drop(fs::rename(&away, &path));
    }
    host.up(&[]);
    host.wait_for_phase("rig-1", "mining");
    assert_eq!(programs(&host.state()), [pid(&miner)]);
}
