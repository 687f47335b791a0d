//! What is left when a keeper is killed, and what must not be taken for it.

use std::{
    fs,
    process::{Child, Command},
};

use adit_keeper_client::{
    error::{End, Error},
    look::Observed,
    members::Known,
};
use adit_model::run::{ExitRecord, ProcessId, RunId};
use rustix::process::Signal;
use serde_json::json;

use crate::support::{Mine, exited, kill, lives, until};

/// Leaves the session and ignores signals, but holds on to what it inherited.
const HOLDER: &str = "setsid sh -c 'trap \"\" TERM HUP INT; echo $$ > left; exec sleep 600' & ";

/// As above, and closes what it inherited: only its environment tells whose it is.
const CLOSER: &str = "setsid sh -c 'trap \"\" TERM HUP INT; exec 3<&- 4<&- 5<&- 6<&- 0</dev/null \
                      >/dev/null 2>&1; echo $$ > left; exec sleep 600' & ";

#[tokio::test]
async fn the_program_dies_with_its_keeper_and_the_run_is_told_lost() {
    let mine = Mine::new();
    let run = mine.launch("trap '' HUP TERM; echo ready; while :; do sleep 0.1; done").await;
    mine.logged("ready").await;
    let status = run.status().await.unwrap();
    let waiting = tokio::spawn({
        let run = run.clone();
        async move { run.wait().await }
    });
    kill(status.keeper.pid, Signal::KILL);
    assert_eq!(waiting.await.unwrap(), End::Lost);
    until("the program's death", async || !lives(status.program.pid)).await;
    until(
        "a free lock",
        async || matches!(mine.look().await, Observed::Lost { run } if run == status.run),
    )
    .await;
    assert!(matches!(run.stop(None).await, Err(Error::Over(_))));
    assert_eq!(exited(&mine.launch("exit 2").await).await.code, Some(2));
}

#[tokio::test]
async fn orphans_are_found_and_killed_and_until_then_nothing_starts() {
    for script in [HOLDER, CLOSER] {
        let mine = Mine::new();
        let run = mine.launch(&format!("{script}exec sleep 600")).await;
        let left = mine.pid_in("left").await;
        let status = run.first_status();
        kill(status.keeper.pid, Signal::KILL);
        until("the program's death", async || !lives(status.program.pid)).await;
        // Somebody who only looks at the same moment.
        let _looker = Looker::new(&mine);
        let mut seen = None;
        until("orphans", async || {
            let Observed::Orphaned { run, pids } = mine.look().await else { return false };
            seen = Some((run, pids.clone()));
            pids == [left]
        })
        .await;
        assert_eq!(seen.unwrap().0.as_ref(), Some(run.id()));
        let error = mine.keepers.launch(&mine.spec("exit 0")).await.unwrap_err();
        assert!(matches!(error, Error::Busy(_)), "{error:?}");
        mine.keepers.kill_orphans(&mine.miner, &Known::default()).await.unwrap();
        assert!(!lives(left));
        assert!(matches!(mine.look().await, Observed::Lost { .. }));
        assert_eq!(exited(&mine.launch("exit 2").await).await.code, Some(2));
    }
}

#[tokio::test]
async fn a_keeper_that_is_only_slow_is_neither_an_orphan_nor_lost() {
    let mine = Mine::new();
    let run = mine.launch("exec sleep 600").await;
    let keeper = run.first_status().keeper.pid;
    kill(keeper, Signal::STOP);
    assert!(matches!(mine.look().await, Observed::Silent { keeper: Some(pid) } if pid == keeper));
    let error = mine.keepers.launch(&mine.spec("exit 0")).await.unwrap_err();
    assert!(matches!(error, Error::Busy(_)), "{error:?}");
    let error = mine.keepers.kill_orphans(&mine.miner, &Known::default()).await.unwrap_err();
    assert!(matches!(error, Error::Busy(_)), "{error:?}");
    kill(keeper, Signal::CONT);
    assert_eq!(mine.running().await.first_status().keeper.pid, keeper);
}

/// A process that has the lock open without holding it.
struct Looker(Child);

impl Looker {
    #[expect(clippy::disallowed_methods, reason = "a test starts what it watches")]
    fn new(mine: &Mine) -> Self {
        let lock = fs::File::open(mine.root.join("rig-1/lock")).unwrap();
        Self(Command::new("sleep").arg("600").stdin(lock).spawn().unwrap())
    }
}

impl Drop for Looker {
    fn drop(&mut self) {
        assert!(self.0.try_wait().unwrap().is_none(), "it was killed");
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// A process that has nothing to do with any run.
struct Bystander(Child);

impl Bystander {
    #[expect(clippy::disallowed_methods, reason = "a test starts what it watches")]
    fn new(run: &str) -> Self {
        Self(Command::new("sleep").arg("600").env("ADIT_RUN", run).spawn().unwrap())
    }

    fn id(&self) -> ProcessId {
        let pid = i32::try_from(self.0.id()).unwrap();
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let start_time = stat.rsplit_once(") ").unwrap().1.split(' ').nth(19).unwrap().parse();
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        ProcessId { pid, start_time: start_time.unwrap(), boot_id: boot_id.trim().to_owned() }
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[tokio::test]
async fn a_written_pid_proves_nothing_and_is_never_killed() {
    let mine = Mine::new();
    let run = mine.launch(&format!("{HOLDER}exec sleep 600")).await;
    let left = mine.pid_in("left").await;
    let status = run.first_status();
    kill(status.keeper.pid, Signal::KILL);
    let bystander = Bystander::new("0c2e8e5e-0000-4000-8000-000000000000");
    let real = bystander.id();
    let other_boot = ProcessId { boot_id: "another".to_owned(), ..real.clone() };
    let reused = ProcessId { start_time: real.start_time + 1, ..real.clone() };
    let state = mine.root.join("rig-1/state.json");
    for fake in [&real, &other_boot, &reused] {
        let text = json!({ "run": run.id(), "keeper": fake, "program": fake, "startedAtMs": 1 });
        fs::write(&state, text.to_string()).unwrap();
        until(
            "the orphan alone",
            async || matches!(mine.look().await, Observed::Orphaned { pids, .. } if pids == [left]),
        )
        .await;
    }
    mine.keepers.kill_orphans(&mine.miner, &Known::default()).await.unwrap();
    assert!(lives(real.pid) && !lives(left));
    // With a free lock the same records are a lost run and not one to adopt.
    assert!(matches!(mine.look().await, Observed::Lost { .. }));
    mine.keepers.kill_orphans(&mine.miner, &Known::default()).await.unwrap();
    assert!(lives(real.pid));
    assert_eq!(exited(&mine.launch("exit 2").await).await.code, Some(2));
}

#[tokio::test]
async fn damaged_records_are_survived() {
    let mine = Mine::new();
    exited(&mine.launch("exit 1").await).await;
    let folder = mine.root.join("rig-1");
    until("the end", async || matches!(mine.look().await, Observed::Ended(_))).await;
    let mut other: ExitRecord =
        serde_json::from_slice(&fs::read(folder.join("exit.json")).unwrap()).unwrap();
    other.run = RunId::random();
    fs::write(folder.join("exit.json"), serde_json::to_vec(&other).unwrap()).unwrap();
    assert!(matches!(mine.look().await, Observed::Lost { .. }));
    for name in ["exit.json", "state.json", "spec.json"] {
        for garbage in ["", "{\"run\":", "[]", "\u{0}\u{0}\u{0}"] {
            fs::write(folder.join(name), garbage).unwrap();
            assert!(matches!(mine.look().await, Observed::Lost { .. } | Observed::Absent));
        }
    }
    fs::write(folder.join("socket"), "no socket").unwrap();
    assert!(matches!(mine.look().await, Observed::Absent));
    assert_eq!(exited(&mine.launch("exit 2").await).await.code, Some(2));
}
