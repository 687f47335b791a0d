//! What keepers are for: the host dies, the run goes on.

use std::{
    fs,
    process::{Child, Command, Stdio},
    time::Duration,
};

use adit_keeper_client::{Keepers, look::Observed, members::Known};
use rustix::process::Signal;

use crate::support::{Mine, binary, exited, kill, lives, until};

const HELPER: &str = "survival::host_that_gets_killed";

/// A host of its own process: this test binary again, with the hidden test below.
#[expect(clippy::disallowed_methods, reason = "a test starts what it kills")]
fn start_host(mine: &Mine, script: &str) -> Child {
    let spec = serde_json::to_string(&mine.spec(script)).unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([HELPER, "--exact", "--ignored", "--nocapture"]);
    command.env("HOST_ROOT", &mine.root).env("HOST_SPEC", spec);
    command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap()
}

#[tokio::test]
#[ignore = "other tests run this in a process of its own and kill it"]
async fn host_that_gets_killed() {
    // Not a test: without its variables there is nothing to be the host of.
    let Ok(root) = std::env::var("HOST_ROOT") else { return };
    let spec = serde_json::from_str(&std::env::var("HOST_SPEC").unwrap()).unwrap();
    let keepers = Keepers::new(root, binary());
    let run = match keepers.launch(&spec).await {
        Ok(run) => run,
        Err(_) => match keepers.look(&spec.miner, &Known::default()).await.unwrap() {
            Observed::Running(run) => run,
            _ => return,
        },
    };
    loop {
        run.status().await.ok();
        run.flush().await.ok();
    }
}

fn kill_host(mut host: Child) {
    host.kill().unwrap();
    host.wait().unwrap();
}

#[tokio::test]
async fn a_run_outlives_many_hosts_with_its_pid_and_every_line() {
    let mine = Mine::new();
    let script = "i=0; while :; do i=$((i+1)); echo \"n $i\"; sleep 0.002; done";
    let mut first = None;
    for round in 0..10 {
        let host = start_host(&mine, script);
        let mut run = None;
        until("the run", async || {
            let Observed::Running(found) = mine.look().await else { return false };
            run = Some(found);
            true
        })
        .await;
        let status = run.unwrap().status().await.unwrap();
        kill_host(host);
        let who = (status.program, status.keeper, status.run);
        assert_eq!(*first.get_or_insert(who.clone()), who, "round {round}");
        // The program must go on printing while there is no host at all.
        let seen = status.lines;
        until("more lines", async || mine.running().await.status().await.unwrap().lines > seen + 5)
            .await;
    }
    let run = mine.running().await;
    run.stdin("x").await.unwrap();
    run.stop(None).await.unwrap();
    let record = exited(&run).await;
    assert_eq!((record.signal, record.by_stop, record.lines_dropped), (Some(15), true, 0));
    let log = mine.tail(1_000_000);
    let numbers: Vec<_> = log.iter().filter(|line| line.starts_with("n ")).collect();
    assert!(numbers.len() > 50);
    for (index, line) in numbers.iter().enumerate() {
        assert_eq!(**line, format!("n {}", index + 1));
    }
}

#[tokio::test]
async fn how_a_run_ended_is_known_though_nobody_was_there() {
    for (end, code, signal) in [("exit 37", Some(37), None), ("kill -SEGV $$", None, Some(11))] {
        let mine = Mine::new();
        let host = start_host(&mine, &format!("until [ -e go ]; do sleep 0.01; done; {end}"));
        until("the run", async || matches!(mine.look().await, Observed::Running(_))).await;
        kill_host(host);
        let keeper = mine.running().await.first_status().keeper.pid;
        fs::write(mine.dir.path().join("go"), "").unwrap();
        until("the end", async || !lives(keeper)).await;
        let Observed::Ended(record) = mine.look().await else { panic!("not ended") };
        assert_eq!((record.code, record.signal, record.by_stop), (code, signal, false));
    }
}

#[tokio::test]
async fn hosts_killed_in_the_middle_of_a_start_leave_one_run_or_none() {
    let mine = Mine::new();
    let script = "echo $$ >> pids; exec sleep 600";
    for round in 0..40 {
        let host = start_host(&mine, script);
        // Not a wait for anything: the moment of the kill moves on from round to round.
        tokio::time::sleep(Duration::from_micros(700 * round)).await;
        kill_host(host);
        let (mut alive, mut found) = (Vec::new(), Observed::Silent { keeper: None });
        // A keeper that the killed host had just begun may come after a first look.
        until("a clear state", async || {
            let pids = fs::read_to_string(mine.dir.path().join("pids")).unwrap_or_default();
            let pids = pids.lines().filter_map(|pid| pid.parse::<i32>().ok());
            alive = pids.filter(|pid| lives(*pid)).collect();
            found = mine.look().await;
            !matches!(found, Observed::Silent { .. } | Observed::Orphaned { .. })
        })
        .await;
        assert!(alive.len() <= 1, "{alive:?}");
        match found {
            Observed::Running(run) => {
                let pid = run.first_status().program.pid;
                assert!(alive.is_empty() || alive == [pid]);
                if round % 2 == 1 {
                    kill(pid, Signal::KILL);
                    exited(&run).await;
                }
            }
            Observed::Absent | Observed::Lost { .. } | Observed::Ended(_) => {
                assert_eq!(alive, [0; 0]);
            }
            other => panic!("{other:?}"),
        }
    }
}
