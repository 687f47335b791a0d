//! Start, input, exit: a run whose host lives.

use std::{
    fs,
    io::Write,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
};

use adit_keeper_client::{error::Error, look::Observed, members::Known};
use adit_plugin_api::Console;

use crate::support::{Mine, exited, lives, until};

#[tokio::test]
async fn exit_code_and_signal_are_known_and_stay_known() {
    let mine = Mine::new();
    assert!(matches!(mine.look().await, Observed::Absent));
    for (script, code, signal) in [("exit 37", Some(37), None), ("kill -SEGV $$", None, Some(11))] {
        let run = mine.launch(script).await;
        let record = exited(&run).await;
        assert_eq!((record.code, record.signal, record.by_stop), (code, signal, false));
        assert_eq!(record.run, *run.id());
        assert!(record.ended_at_ms >= record.started_at_ms);
        // The keeper may still be leaving.
        until("the record", async || matches!(mine.look().await, Observed::Ended(_))).await;
        let Observed::Ended(found) = mine.look().await else { panic!() };
        assert_eq!(found, record);
        assert!(matches!(run.status().await, Err(Error::Over(_))));
        assert_eq!(exited(&run).await, record);
    }
    let log = mine.tail(100);
    let ends: Vec<_> =
        log.iter().filter(|line| line.contains("exited") || line.contains("ended")).collect();
    assert_eq!(ends, ["[adit] exited with code 37", "[adit] ended by signal 11"]);
}

#[tokio::test]
async fn a_program_that_cannot_be_executed_is_told_at_once() {
    let mine = Mine::new();
    let plain = mine.dir.path().join("plain");
    fs::write(&plain, "no program").unwrap();
    fs::set_permissions(&plain, fs::Permissions::from_mode(0o600)).unwrap();
    let mut missing = mine.spec("");
    missing.program = "/nowhere/miner".into();
    let mut not_executable = mine.spec("");
    not_executable.program = plain;
    let garbage = mine.dir.path().join("garbage");
    fs::write(&garbage, "\x7fELF\ntouch /tmp/never\n").unwrap();
    fs::set_permissions(&garbage, fs::Permissions::from_mode(0o755)).unwrap();
    let mut cut_off = mine.spec("");
    cut_off.program = garbage;
    let mut no_folder = mine.spec("");
    no_folder.cwd = "/nowhere".into();
    for (spec, expected) in [
        (missing, "No such file"),
        (not_executable, "ermission denied"),
        (cut_off, "it is a damaged program"),
        (no_folder, "no folder /nowhere"),
    ] {
        let error = mine.keepers.launch(&spec).await.unwrap_err();
        let Error::Exec { reason, .. } = &error else { panic!("{error:?}") };
        assert!(reason.contains(expected), "{reason}");
        assert!(!matches!(mine.look().await, Observed::Running(_)));
        mine.is_free().await;
    }
    // And nothing stands in the way of a start that can work.
    assert_eq!(exited(&mine.launch("exit 3").await).await.code, Some(3));
}

/// How often the process has waited for something.
fn pauses(pid: i32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line?.trim().parse().ok()
}

#[tokio::test]
async fn a_program_that_is_still_held_open_for_writing_is_waited_for() {
    let mine = Mine::new();
    let mut spec = mine.spec("");
    spec.program = mine.dir.path().join("fresh");
    spec.args.clear();
    let mut file =
        fs::File::options().write(true).create_new(true).mode(0o755).open(&spec.program).unwrap();
    file.write_all(b"#!/bin/sh\necho fresh and running\nexec sleep 600\n").unwrap();
    let mut first = None;
    let writing = async {
        // The keeper was refused: each attempt ends with a pause.
        until("attempts to start the program", async || {
            let Observed::Silent { keeper: Some(pid) } = mine.look().await else { return false };
            let Some(pauses) = pauses(pid) else { return false };
            pauses >= *first.get_or_insert(pauses) + 3
        })
        .await;
        drop(file);
    };
    let (launched, ()) = tokio::join!(mine.keepers.launch(&spec), writing);
    launched.unwrap();
    mine.logged("fresh and running").await;
}

#[tokio::test]
async fn a_second_start_is_refused_and_changes_nothing() {
    let mine = Mine::new();
    let run = mine.launch("echo on; read line; exit 5").await;
    let spec = mine.root.join("rig-1/spec.json");
    let before = fs::read(&spec).unwrap();
    for _ in 0..3 {
        let error = mine.keepers.launch(&mine.spec("exit 1")).await.unwrap_err();
        assert!(matches!(error, Error::Busy(_)), "{error:?}");
    }
    let error = mine.keepers.remove(&mine.miner).await.unwrap_err();
    assert!(matches!(error, Error::Busy(_)), "{error:?}");
    let error = mine.keepers.kill_orphans(&mine.miner, &Known::default()).await.unwrap_err();
    assert!(matches!(error, Error::Busy(_)), "{error:?}");
    assert_eq!(fs::read(&spec).unwrap(), before);
    assert_eq!(mine.running().await.id(), run.id());
    run.stdin("x\n").await.unwrap();
    assert_eq!(exited(&run).await.code, Some(5));
}

#[tokio::test]
async fn of_many_starts_at_once_one_wins() {
    let mine = Mine::new();
    let starts: Vec<_> = (0..12)
        .map(|_| {
            let (keepers, spec) = (mine.keepers.clone(), mine.spec("echo $$ >> pids; sleep 600"));
            tokio::spawn(async move {
                let run = keepers.launch(&spec).await?;
                assert_eq!(*run.id(), spec.run);
                Ok(run)
            })
        })
        .collect();
    let mut won = Vec::new();
    for start in starts {
        match start.await.unwrap() {
            Ok(run) => won.push(run),
            Err(error) => assert!(matches!(error, Error::Busy(_)), "{error:?}"),
        }
    }
    assert_eq!(won.len(), 1);
    assert_eq!(mine.pid_in("pids").await, won[0].first_status().program.pid);
}

#[tokio::test]
async fn the_program_gets_a_clean_process() {
    for console in [Console::Pty, Console::Pipes] {
        let mine = Mine::new();
        let mut spec = mine.spec("env; pwd; stty size; echo ready; exec sleep 600");
        spec.console = console;
        spec.env.insert("WALLET".to_owned(), "w".to_owned());
        let run = mine.keepers.launch(&spec).await.unwrap();
        mine.logged("ready").await;
        let lines = mine.tail(100);
        let has = |line: &str| lines.iter().any(|found| found == line);
        assert!(has("WALLET=w") && has(&format!("ADIT_RUN={}", run.id())), "{lines:?}");
        assert!(has(&mine.dir.path().display().to_string()), "{lines:?}");
        assert!(!lines.iter().any(|line| line.starts_with("CARGO")), "{lines:?}");
        assert_eq!(has("50 250"), console == Console::Pty, "{lines:?}");
        let status = run.first_status();
        let (keeper, program) = (status.keeper.pid, status.program.pid);
        // Each leads a session of its own: a terminal's signals reach neither.
        for pid in [keeper, program] {
            let pid = rustix::process::Pid::from_raw(pid).unwrap();
            assert_eq!(rustix::process::getsid(Some(pid)).unwrap(), pid);
        }
        assert_eq!(fs::read(format!("/proc/{keeper}/environ")).unwrap(), b"");
    }
}

#[tokio::test]
async fn the_program_gets_all_signals_as_they_come() {
    let mine = Mine::new();
    let mut spec = mine.spec("");
    // No shell, which would put its own signals right.
    spec.program = "/bin/cat".into();
    spec.args = vec!["/proc/self/status".to_owned()];
    exited(&mine.keepers.launch(&spec).await.unwrap()).await;
    let log = mine.tail(100);
    for name in ["SigIgn:", "SigBlk:"] {
        let set = log.iter().find_map(|line| line.strip_prefix(name)).unwrap().trim();
        // The C library keeps signals 32 and 33 for itself.
        assert_eq!(u64::from_str_radix(set, 16).unwrap() & !(3 << 31), 0, "{name}");
    }
}

#[tokio::test]
async fn stdin_reaches_the_program_over_terminal_and_pipe() {
    for console in [Console::Pty, Console::Pipes] {
        let mine = Mine::new();
        let mut spec = mine.spec("while read line; do echo \"got $line\"; done; echo never");
        spec.console = console;
        spec.stdin = Some("first\n".to_owned());
        let run = mine.keepers.launch(&spec).await.unwrap();
        mine.logged("got first").await;
        run.stdin("sec").await.unwrap();
        run.stdin("ond\nthird é\n").await.unwrap();
        mine.logged("got second").await;
        mine.logged("got third é").await;
        run.signal("USR1").await.unwrap();
        assert_eq!(exited(&run).await.signal, Some(10));
        assert!(!mine.tail(100).contains(&"never".to_owned()));
    }
}

#[tokio::test]
async fn stdin_that_nobody_reads_is_refused_and_blocks_nothing() {
    for console in [Console::Pty, Console::Pipes] {
        let mine = Mine::new();
        let mut spec = mine.spec("exec sleep 600");
        spec.console = console;
        let run = mine.keepers.launch(&spec).await.unwrap();
        let mut refused = None;
        for _ in 0..100 {
            if let Err(error) = run.stdin(&"x".repeat(16 << 10)).await {
                refused = Some(error);
                break;
            }
        }
        assert!(matches!(refused, Some(Error::Refused(_))), "{refused:?}");
        assert!(run.status().await.is_ok());
    }
}

#[tokio::test]
async fn started_keepers_leave_no_zombies_and_removed_miners_no_folder() {
    let mine = Mine::new();
    for _ in 0..5 {
        exited(&mine.launch("true").await).await;
        mine.is_free().await;
    }
    let own = std::process::id().to_string();
    until("no zombies", async || {
        let entries = fs::read_dir("/proc").unwrap().flatten();
        !entries.into_iter().any(|entry| {
            let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(&format!("Z {own} ")))
        })
    })
    .await;
    until("a free lock", async || mine.keepers.remove(&mine.miner).await.is_ok()).await;
    assert_eq!(mine.keepers.scan().unwrap(), []);
    assert!(!mine.root.join("rig-1").exists());
    mine.keepers.remove(&mine.miner).await.unwrap();
    assert!(matches!(mine.look().await, Observed::Absent));
}

#[tokio::test]
async fn a_long_state_path_works() {
    let dir = tempfile::tempdir().unwrap();
    let root = (0..4).fold(dir.path().to_owned(), |path, _| path.join("long-name-".repeat(8)));
    assert!(root.as_os_str().len() > 300);
    let mine = Mine::at(dir, root);
    let run = mine.launch("read line; exit 9").await;
    assert_eq!(mine.keepers.scan().unwrap(), std::slice::from_ref(&mine.miner));
    mine.running().await.stdin("\n").await.unwrap();
    assert_eq!(exited(&run).await.code, Some(9));
}

#[tokio::test]
async fn a_descriptor_that_leaked_into_the_host_is_not_held_by_the_keeper() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::io::fcntl_setfd(&listener, rustix::io::FdFlags::empty()).unwrap();
    let address = listener.local_addr().unwrap();
    let mine = Mine::new();
    let run = mine.launch("exec sleep 600").await;
    let link = |pid: i32, fd: i32| fs::read_link(format!("/proc/{pid}/fd/{fd}"));
    let own = i32::try_from(std::process::id()).unwrap();
    let leaked = link(own, std::os::fd::AsRawFd::as_raw_fd(&listener)).unwrap();
    for pid in [run.first_status().keeper.pid, run.first_status().program.pid] {
        let held: Vec<_> = (0..100).filter_map(|fd| link(pid, fd).ok()).collect();
        assert!(!held.is_empty() && !held.contains(&leaked), "{held:?}");
        assert!(lives(pid));
    }
    drop(listener);
    until("the port", async || std::net::TcpListener::bind(address).is_ok()).await;
}
