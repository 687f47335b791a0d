//! A folder of its own for each test, and waiting for conditions.

use std::{collections::BTreeMap, fs, path::PathBuf, thread, time::Duration};

use adit_keeper_client::{Keepers, error::End, look::Observed, members::Known, run::Run};
use adit_model::{
    name::MinerName,
    run::{ExitRecord, LogLimits, RunId, RunSpec},
};
use adit_plugin_api::{Console, StopAction, StopPlan, StopStep};
use tokio::time::{Instant, sleep};

/// Longest wait for a condition, far beyond what it takes.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// The binary that becomes a keeper: `adit` of this build.
///
/// # Panics
/// When it was not built: `cargo build --workspace` builds what the tests run.
pub(crate) fn binary() -> PathBuf {
    // target/<profile>/deps/keepers-…
    let test = std::env::current_exe().unwrap();
    let adit = test.ancestors().nth(2).unwrap().join("adit");
    assert!(adit.exists(), "{} is missing: run cargo build --workspace", adit.display());
    adit
}

/// A miner and its folder; what is left of its run is killed at the end.
pub(crate) struct Mine {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) root: PathBuf,
    pub(crate) keepers: Keepers,
    pub(crate) miner: MinerName,
}

impl Mine {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("runs");
        Self::at(dir, root)
    }

    pub(crate) fn at(dir: tempfile::TempDir, root: PathBuf) -> Self {
        let keepers = Keepers::new(&root, binary());
        Self { dir, root, keepers, miner: MinerName::new("rig-1").unwrap() }
    }

    /// A run of `script` by the shell, in the test's own folder.
    pub(crate) fn spec(&self, script: &str) -> RunSpec {
        let path = std::env::var("PATH").unwrap();
        RunSpec {
            run: RunId::random(),
            miner: self.miner.clone(),
            program: "/bin/sh".into(),
            args: vec!["-c".to_owned(), script.to_owned()],
            env: BTreeMap::from([("PATH".to_owned(), path)]),
            cwd: self.dir.path().to_owned(),
            writable: Vec::new(),
            console: Console::Pty,
            stdin: None,
            stop: plan(&[("TERM", 20_000)]),
            log: LogLimits::default(),
        }
    }

    pub(crate) async fn launch(&self, script: &str) -> Run {
        self.keepers.launch(&self.spec(script)).await.unwrap()
    }

    pub(crate) async fn look(&self) -> Observed {
        self.keepers.look(&self.miner, &Known::default()).await.unwrap()
    }

    /// The run that goes on. Its keeper may be too slow for one look.
    pub(crate) async fn running(&self) -> Run {
        let mut found = self.look().await;
        let end = Instant::now() + LIMIT;
        while matches!(found, Observed::Silent { .. }) && Instant::now() < end {
            sleep(Duration::from_millis(5)).await;
            found = self.look().await;
        }
        let Observed::Running(run) = found else { panic!("not running: {found:?}") };
        run
    }

    /// Waits until a keeper that is leaving is gone: until then nothing else can start.
    pub(crate) async fn is_free(&self) {
        until("a free lock", async || {
            let found = self.look().await;
            matches!(found, Observed::Absent | Observed::Ended(_) | Observed::Lost { .. })
        })
        .await;
    }

    pub(crate) fn tail(&self, count: usize) -> Vec<String> {
        self.keepers.log(&self.miner).tail(count).unwrap()
    }

    /// Waits until the log has this line.
    pub(crate) async fn logged(&self, line: &str) {
        until(line, async || self.tail(1000).iter().any(|found| found == line)).await;
    }

    /// Waits for a pid in a file of the test's folder.
    pub(crate) async fn pid_in(&self, name: &str) -> i32 {
        let path = self.dir.path().join(name);
        let read = || fs::read_to_string(&path).ok()?.trim().parse().ok();
        until(name, async || read().is_some()).await;
        read().unwrap()
    }
}

impl Drop for Mine {
    fn drop(&mut self) {
        let (keepers, miner) = (self.keepers.clone(), self.miner.clone());
        let clean = async move {
            let known = Known::default();
            if let Ok(Observed::Running(run)) = keepers.look(&miner, &known).await {
                run.stop(Some(plan(&[]))).await.ok();
                run.wait().await;
            }
            keepers.end(&miner, &known, Duration::ZERO).await.ok();
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        // A thread of its own, because the test's runtime is still entered.
        thread::spawn(move || runtime.block_on(clean)).join().ok();
    }
}

pub(crate) fn plan(steps: &[(&str, u64)]) -> StopPlan {
    let step = |(signal, grace_ms): &(&str, u64)| StopStep {
        action: StopAction::Signal { signal: (*signal).to_owned() },
        grace: Duration::from_millis(*grace_ms),
    };
    StopPlan { steps: steps.iter().map(step).collect() }
}

/// Waits until `condition` holds.
pub(crate) async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + LIMIT;
    while !condition().await {
        assert!(Instant::now() < end, "waited in vain for: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) async fn exited(run: &Run) -> ExitRecord {
    let end = tokio::time::timeout(LIMIT, run.wait()).await.expect("the run did not end");
    let End::Exited(record) = end else { panic!("{end:?}") };
    record
}

/// Whether there is such a process and it is no zombie.
pub(crate) fn lives(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

pub(crate) fn kill(pid: i32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}
