//! How runs are ended, with everything they started.

use adit_keeper_client::error::{End, Error};
use adit_plugin_api::{StopAction, StopPlan, StopStep};
use rustix::process::Signal;

use crate::support::{Mine, exited, kill, lives, plan, until};

/// Starts a grandchild that leaves the group and the session, ignores signals, closes what it
/// inherited and writes its pid to `pid`.
const DAEMON: &str = "setsid sh -c 'trap \"\" TERM HUP INT; exec 3<&- 4<&- 0</dev/null >/dev/null \
                      2>&1; echo $$ > daemon; while :; do sleep 1; done' & ";

/// One that stays in the group, and one with a parent that has ended.
const OTHERS: &str = "(trap '' TERM HUP; sh -c 'echo $$ > other; exec sleep 600') & \
                      (sleep 600 & echo $! > lone) & ";

#[tokio::test]
async fn a_stop_follows_the_plan_of_the_run() {
    let mine = Mine::new();
    let mut spec =
        mine.spec("trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.01; done");
    let input = StopAction::Stdin { input: "q\n".to_owned() };
    let first = StopStep { action: input, grace: std::time::Duration::from_millis(50) };
    spec.stop.steps.insert(0, first);
    let run = mine.keepers.launch(&spec).await.unwrap();
    mine.logged("ready").await;
    run.stop(None).await.unwrap();
    let record = exited(&run).await;
    assert_eq!((record.code, record.signal, record.by_stop), (Some(3), None, true));
    let log = mine.tail(100);
    let place = |line: &str| log.iter().position(|found| found == line).unwrap();
    assert!(place("[adit] stop requested") < place("bye"), "{log:?}");
    assert_eq!(place("[adit] exited with code 3"), log.len() - 1);
}

#[tokio::test]
async fn stdin_can_end_a_run() {
    let mine = Mine::new();
    let run = mine.launch("read line; echo \"$line\"; exit 0").await;
    let action = StopAction::Stdin { input: "quit\n".to_owned() };
    let grace = std::time::Duration::from_secs(20);
    run.stop(Some(StopPlan { steps: vec![StopStep { action, grace }] })).await.unwrap();
    let record = exited(&run).await;
    assert_eq!((record.code, record.by_stop), (Some(0), true));
    assert!(mine.tail(5).contains(&"quit".to_owned()));
}

#[tokio::test]
async fn a_program_that_ignores_everything_is_killed_after_the_plan() {
    let mine = Mine::new();
    let mut spec = mine.spec("trap '' TERM INT HUP; echo ready; while :; do sleep 0.1; done");
    spec.stop = plan(&[("INT", 50), ("TERM", 50)]);
    let run = mine.keepers.launch(&spec).await.unwrap();
    mine.logged("ready").await;
    run.stop(None).await.unwrap();
    let record = exited(&run).await;
    assert_eq!((record.signal, record.by_stop), (Some(9), true));
}

#[tokio::test]
async fn a_second_stop_with_a_plan_is_quicker_and_one_without_changes_nothing() {
    let mine = Mine::new();
    let mut spec = mine.spec("trap '' TERM; echo ready; while :; do sleep 0.1; done");
    spec.stop = plan(&[("TERM", 3_600_000)]);
    let run = mine.keepers.launch(&spec).await.unwrap();
    mine.logged("ready").await;
    run.stop(None).await.unwrap();
    run.stop(None).await.unwrap();
    assert!(run.status().await.unwrap().stopping);
    run.stop(Some(plan(&[]))).await.unwrap();
    assert_eq!(exited(&run).await.signal, Some(9));
    let requests = mine.tail(100).iter().filter(|line| line.contains("stop requested")).count();
    assert_eq!(requests, 2);
}

#[tokio::test]
async fn sigterm_to_the_keeper_stops_the_run_by_its_plan() {
    let mine = Mine::new();
    let run = mine.launch("trap 'exit 4' TERM; echo ready; while :; do sleep 0.01; done").await;
    mine.logged("ready").await;
    kill(run.first_status().keeper.pid, Signal::HUP);
    assert!(!run.status().await.unwrap().stopping);
    kill(run.first_status().keeper.pid, Signal::TERM);
    let record = exited(&run).await;
    assert_eq!((record.code, record.by_stop), (Some(4), true));
}

#[tokio::test]
async fn grandchildren_die_on_stop() {
    let mine = Mine::new();
    let mut spec = mine.spec(&format!("{DAEMON}{OTHERS}exec sleep 600"));
    spec.stop = plan(&[("TERM", 100)]);
    let run = mine.keepers.launch(&spec).await.unwrap();
    let pids = [mine.pid_in("daemon").await, mine.pid_in("other").await, mine.pid_in("lone").await];
    assert!(pids.into_iter().all(lives));
    run.stop(None).await.unwrap();
    let record = exited(&run).await;
    assert!(record.by_stop);
    // Gone before the end was told, not some time after.
    assert!(!pids.into_iter().any(lives), "{pids:?}");
}

#[tokio::test]
async fn grandchildren_die_when_the_program_ends_by_itself() {
    let mine = Mine::new();
    let run = mine.launch(&format!("{DAEMON}{OTHERS}read line; exit 6")).await;
    let pids = [mine.pid_in("daemon").await, mine.pid_in("other").await, mine.pid_in("lone").await];
    run.stdin("\n").await.unwrap();
    let record = exited(&run).await;
    assert_eq!((record.code, record.by_stop), (Some(6), false));
    assert!(!pids.into_iter().any(lives), "{pids:?}");
}

#[tokio::test]
async fn an_old_handle_cannot_touch_the_next_run() {
    let mine = Mine::new();
    let old = mine.launch("exit 0").await;
    exited(&old).await;
    let mut next = None;
    until("the next run", async || {
        next = mine.keepers.launch(&mine.spec("exec sleep 600")).await.ok();
        next.is_some()
    })
    .await;
    assert!(matches!(old.stop(None).await, Err(Error::Over(_))));
    assert!(matches!(old.status().await, Err(Error::Over(_))));
    assert_eq!(old.wait().await, End::Lost);
    assert!(!next.unwrap().status().await.unwrap().stopping);
}
