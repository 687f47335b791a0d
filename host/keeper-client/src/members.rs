//! Finds the processes of a miner's runs by what they are. Files can be missing, replaced or
//! unreadable; a process that lives is in `/proc`.
//!
//! A process belongs to a miner when one of these holds, and when the host's own user started it:
//!
//! - it is a keeper whose command line names the miner's directory, or that works in it;
//! - the run in its environment is one of the miner's, or any run while it works in the directory;
//! - it holds the lock of the directory;
//! - its pid, start time and boot id are those of a process that the host remembers.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rustix::process::{Pid, PidfdFlags, Signal, geteuid, pidfd_open, pidfd_send_signal};

use adit_keeper::{files, proc};
use adit_model::{
    name::MinerName,
    run::{ProcessId, RunId, RunStatus},
};

/// What the host remembers of a miner's runs, in memory and in its database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Runs that may have left processes, the newest last.
    pub runs: Vec<RunId>,
    /// Their keepers.
    pub keepers: Vec<ProcessId>,
    /// Their programs.
    pub programs: Vec<ProcessId>,
}

impl Known {
    /// What is known of a live run.
    pub fn of(status: &RunStatus) -> Self {
        Self {
            runs: vec![status.run.clone()],
            keepers: vec![status.keeper.clone()],
            programs: vec![status.program.clone()],
        }
    }
}

/// What a process is to a miner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// It keeps a run.
    Keeper,
    /// It is about to become a keeper: the host's own image, with the lock in its hands.
    Starting,
    /// A program, or something that a program started.
    Other,
}

/// Looks for the processes of one miner.
pub(crate) struct Search<'a> {
    /// The directory, as the host and as the system name it.
    paths: Vec<PathBuf>,
    inode: Option<(u64, u64)>,
    lock: PathBuf,
    is_locked: bool,
    runs: &'a [RunId],
    known: &'a Known,
    own: i32,
    user: u32,
}

/// The processes of one miner.
#[derive(Debug, Default)]
pub(crate) struct Members {
    pub(crate) keepers: Vec<i32>,
    pub(crate) is_starting: bool,
    pub(crate) others: Vec<i32>,
}

impl<'a> Search<'a> {
    /// `runs` are those of the records and of `known`. The descriptors of all processes are read
    /// only if the lock is taken.
    pub(crate) fn new(folder: &Path, is_locked: bool, runs: &'a [RunId], known: &'a Known) -> Self {
        Self {
            paths: paths(folder),
            inode: fs::metadata(folder).ok().map(|it| proc::inode(&it)),
            lock: folder.join(files::LOCK),
            is_locked,
            runs,
            known,
            own: i32::try_from(std::process::id()).unwrap_or_default(),
            user: geteuid().as_raw(),
        }
    }

    /// All that live.
    pub(crate) fn find(&self) -> Members {
        let mut members = Members::default();
        for pid in proc::all() {
            match self.part(pid) {
                Some(Part::Keeper) => members.keepers.push(pid),
                Some(Part::Starting) => {
                    members.is_starting = true;
                    members.others.push(pid);
                }
                Some(Part::Other) => members.others.push(pid),
                None => {}
            }
        }
        members
    }

    /// What the process is to the miner; `None`: nothing.
    pub(crate) fn part(&self, pid: i32) -> Option<Part> {
        if pid == self.own {
            return None;
        }
        let is = |known: &[ProcessId]| known.iter().any(|it| it.pid == pid && proc::is_alive(it));
        if is(&self.known.keepers) || self.is_keeper(pid) {
            return Some(Part::Keeper);
        }
        if self.is_locked && proc::holds(pid, &self.lock) {
            return Some(if proc::is_adit(pid) { Part::Starting } else { Part::Other });
        }
        (is(&self.known.programs) || self.is_of_run(pid)).then_some(Part::Other)
    }

    fn is_keeper(&self, pid: i32) -> bool {
        let Some(directory) = proc::keeper_directory(pid) else { return false };
        let is_here = self.paths.contains(&directory)
            || self.inode.is_some() && self.inode == proc::directory_inode(pid);
        is_here && self.is_ours(pid)
    }

    fn is_of_run(&self, pid: i32) -> bool {
        let Some(run) = proc::run_of(pid) else { return false };
        let is_named = self.runs.iter().any(|it| it.to_string() == run);
        let works_here = || {
            let directory = proc::directory(pid);
            directory.is_some_and(|it| self.paths.iter().any(|path| it.starts_with(path)))
        };
        (is_named || works_here()) && self.is_ours(pid)
    }

    fn is_ours(&self, pid: i32) -> bool {
        proc::user(pid) == Some(self.user)
    }
}

/// `folder`, and its path without symbolic links. The folder itself may be gone.
fn paths(folder: &Path) -> Vec<PathBuf> {
    let mut paths = vec![folder.to_owned()];
    let parent = folder.parent().and_then(|parent| fs::canonicalize(parent).ok());
    if let (Some(parent), Some(name)) = (parent, folder.file_name()) {
        paths.push(parent.join(name));
    }
    paths.extend(fs::canonicalize(folder).ok());
    paths.dedup();
    paths
}

/// The miners of which a process lives, whose directories below `root` may be gone.
pub(crate) fn miners_below(root: &Path) -> Vec<MinerName> {
    let user = geteuid().as_raw();
    let roots = paths(root);
    let name_of = |pid: i32| {
        let directory = proc::keeper_directory(pid)
            .or_else(|| proc::run_of(pid).and_then(|_| proc::directory(pid)))?;
        let below = roots.iter().find_map(|root| directory.strip_prefix(root).ok())?;
        let name = below.iter().next()?.to_str()?;
        // How the system names a directory that was deleted.
        MinerName::new(name.trim_end_matches(" (deleted)")).ok()
    };
    let ours = proc::all().filter(|pid| proc::user(*pid) == Some(user));
    ours.filter_map(name_of).collect()
}

/// Sends `signal` to the process if `is_meant` still holds once its pid cannot pass to another process.
pub(crate) fn signal(pid: i32, signal: Signal, is_meant: impl FnOnce() -> bool) {
    let Some(number) = Pid::from_raw(pid) else { return };
    let Ok(process) = pidfd_open(number, PidfdFlags::empty()) else { return };
    if is_meant() {
        pidfd_send_signal(&process, signal).ok();
    }
}
