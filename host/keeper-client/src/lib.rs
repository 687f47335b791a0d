//! The host's side of all keepers: finds, starts, adopts, stops and removes runs.
//!
//! Owns the directory of each miner's runs; `adit-keeper` has its layout and the process at the other
//! end. Knows nothing of drivers, databases or desired states: it reports what is alive and does what
//! its caller orders. What is alive is an answer about processes (`members`): each file of a run can
//! be missing, replaced or unreadable, and the run is found and ended all the same (`end`). Start
//! reading at [`Keepers::look`] and [`Keepers::launch`].

#![deny(unsafe_code)]

mod binary;
mod end;
pub mod error;
mod launch;
pub mod log;
pub mod look;
pub mod members;
pub mod ports;
mod process;
mod question;
pub mod run;

pub use binary::Binary;
pub use process::spawn_runner;
pub use question::Answer;

use std::{fs, io, os::unix::fs::PermissionsExt, path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    task,
    time::{Instant, sleep},
};

use crate::{
    error::Error,
    log::Log,
    look::{KILL_DEADLINE, Observed},
    members::Known,
    run::Run,
};
use adit_keeper::{leash, proc};
use adit_model::{name::MinerName, run::RunSpec};

/// How long a look waits for a keeper's answer.
const LOOK_DEADLINE: Duration = Duration::from_secs(1);

/// Pause between two looks at something that is about to change.
const PAUSE: Duration = Duration::from_millis(10);

/// The host's side of all keepers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Keepers {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    exe: Binary,
}

/// CPU time of a program and its children that ended, in milliseconds; `None` when it is gone.
pub fn cpu_time_ms(program: &adit_model::run::ProcessId) -> Option<u64> {
    proc::cpu_ms(program)
}

impl Keepers {
    /// The running binary as `exe` for [`Keepers::new`]: also after the file was replaced.
    pub const THIS_BINARY: &str = "/proc/self/exe";

    /// Keepers whose runs are kept below `root`, one folder a miner. `exe` is the binary that
    /// becomes a keeper by its argument `keeper`.
    pub fn new(root: impl Into<PathBuf>, exe: impl Into<Binary>) -> Self {
        Self { inner: Arc::new(Inner { root: root.into(), exe: exe.into() }) }
    }

    /// The folder of a miner's runs. The host may keep files of its own in it.
    pub fn folder(&self, miner: &MinerName) -> PathBuf {
        self.inner.root.join(miner.as_str())
    }

    /// The log of a miner.
    pub fn log(&self, miner: &MinerName) -> Log {
        Log::new(self.folder(miner))
    }

    /// The miners that have a folder or a process that lives, in order. Blocks for the time of
    /// listing the directory and the processes.
    ///
    /// # Errors
    /// [`Error::Io`] when the root folder cannot be read; a missing one is no error.
    pub fn scan(&self) -> Result<Vec<MinerName>, Error> {
        let mut miners = members::miners_below(&self.inner.root);
        match fs::read_dir(&self.inner.root) {
            Ok(entries) => {
                let folders = entries.flatten().filter(|entry| entry.path().is_dir());
                let name = |entry: fs::DirEntry| MinerName::new(entry.file_name().to_str()?).ok();
                miners.extend(folders.filter_map(name));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::io("list", &self.inner.root)(error)),
        }
        miners.sort_unstable();
        miners.dedup();
        Ok(miners)
    }

    /// Finds out what is true about the miner's newest run, and adopts it if it goes on. `known`
    /// is what the caller remembers of it, which finds processes whose files are gone.
    ///
    /// # Errors
    /// [`Error::Io`] when the machine has no thread for it.
    pub async fn look(&self, miner: &MinerName, known: &Known) -> Result<Observed, Error> {
        let folder = self.folder(miner);
        let found = Run::find(miner.clone(), folder.clone(), LOOK_DEADLINE).await;
        if let Ok(run) = found {
            return Ok(Observed::Running(run));
        }
        let failed = Error::io("examine", &folder);
        let known = known.clone();
        off_thread(move || Ok(look::examine(&folder, &known))).await.map_err(failed)
    }

    /// Whether nothing of the miner holds its lock. A cheap look at a miner of which a thorough one
    /// found nothing alive; only this host can have started a run since.
    pub async fn is_quiet(&self, miner: &MinerName) -> bool {
        let folder = self.folder(miner);
        off_thread(move || leash::is_taken(&folder)).await.is_ok_and(|is_taken| !is_taken)
    }

    /// Starts a run and returns when its program runs.
    ///
    /// # Errors
    /// [`Error::Busy`] when something of an earlier run is alive; [`Error::Exec`] when the program
    /// cannot be executed; [`Error::Io`] and [`Error::Refused`] when the keeper cannot begin.
    ///
    /// # Cancellation
    /// Safe to drop; the start goes on and [`Keepers::look`] finds its result.
    pub async fn launch(&self, spec: &RunSpec) -> Result<Run, Error> {
        let miner = spec.miner.clone();
        let folder = self.folder(&miner);
        let (inner, spec, place) = (Arc::clone(&self.inner), spec.clone(), folder.clone());
        let failed = Error::io("start a keeper in", &folder);
        let state = off_thread(move || Ok(launch::launch(&inner.exe.path, &place, &spec))).await;
        Ok(Run::launched(miner, folder, state.map_err(failed)??))
    }

    /// Kills what a dead keeper left behind and waits until nothing of the run is alive. Whom to
    /// kill is found by the lock they hold or the run in their environment, never by a written pid.
    ///
    /// # Errors
    /// [`Error::Busy`] when a keeper is alive: then use [`Run::stop`]. [`Error::Survivors`] when
    /// something is still alive after 10 s. [`Error::Io`] when the machine has no thread for it.
    pub async fn kill_orphans(&self, miner: &MinerName, known: &Known) -> Result<(), Error> {
        let folder = self.folder(miner);
        if matches!(self.look(miner, known).await?, Observed::Running(_) | Observed::Silent { .. })
        {
            return Err(Error::Busy(miner.clone()));
        }
        let deadline = Instant::now() + KILL_DEADLINE;
        loop {
            let (place, known) = (folder.clone(), known.clone());
            let failed = Error::io("examine", &folder);
            let kill = move || Ok(look::kill_members(&place, &known));
            let left = off_thread(kill).await.map_err(failed)?;
            match left {
                None => return Ok(()),
                Some(pids) if Instant::now() > deadline => {
                    return Err(Error::Survivors { miner: miner.clone(), pids });
                }
                Some(_) => sleep(PAUSE).await,
            }
        }
    }

    /// Deletes the miner's folder with records and log. A missing one is no error.
    ///
    /// # Errors
    /// [`Error::Busy`] while something of a run is alive, [`Error::Io`] when it cannot be deleted.
    pub async fn remove(&self, miner: &MinerName) -> Result<(), Error> {
        let folder = self.folder(miner);
        let (failed, place) = (Error::io("delete", &folder), folder.clone());
        let removed = off_thread(move || {
            let metadata = match fs::symlink_metadata(&place) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
                metadata => metadata?,
            };
            if metadata.is_dir() {
                // It may have lost the rights that a deletion needs.
                fs::set_permissions(&place, fs::Permissions::from_mode(0o700))?;
            } else if !place.is_dir() {
                return fs::remove_file(&place).map(|()| true);
            }
            // Held while the folder goes, so that no run begins in it.
            let Some(_lock) = leash::take(&place)? else { return Ok(false) };
            // Of a link to a directory elsewhere, the link alone goes.
            fs::remove_dir_all(&place).map(|()| true)
        });
        if removed.await.map_err(failed)? { Ok(()) } else { Err(Error::Busy(miner.clone())) }
    }
}

async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    task::spawn_blocking(work).await.map_err(io::Error::other)?
}
