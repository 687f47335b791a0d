//! What is true about a miner's run, found out from the socket, the lock and the records.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::{
    keepers::{
        files::{self, State},
        leash, proc,
        run::{Run, exit_record},
    },
    model::run::{ExitRecord, RunId, RunSpec},
};

/// What is known about a miner's newest run.
#[derive(Clone, Debug)]
pub enum Observed {
    /// Nothing ever ran.
    Absent,
    /// It is going on, and this is its handle.
    Running(Run),
    /// It ended like this.
    Ended(ExitRecord),
    /// It is not alive and nobody wrote down how it ended: its keeper was killed too, or the
    /// machine went down.
    Lost {
        /// The run.
        run: RunId,
    },
    /// A keeper is alive but does not answer: it is just starting or ending. Look again soon.
    Starting,
    /// The keeper is gone but processes of the run live on. End them with
    /// [`crate::keepers::Keepers::kill_orphans`].
    Orphaned {
        /// The run; `None` when even its records are gone.
        run: Option<RunId>,
        /// What lives on.
        pids: Vec<i32>,
    },
}

/// How long the killed may take to be gone.
pub(crate) const KILL_DEADLINE: Duration = Duration::from_secs(10);

/// Decides without the socket, which did not answer.
pub(crate) fn examine(folder: &Path) -> io::Result<Observed> {
    let records = Records::read(folder);
    let is_taken = leash::is_taken(folder)?;
    if !is_taken && let Some(record) = records.exit {
        return Ok(Observed::Ended(record));
    }
    let pids = records.members(folder);
    if is_taken && records.has_keeper(&pids) {
        return Ok(Observed::Starting);
    }
    Ok(match records.newest {
        _ if is_taken && pids.is_empty() => Observed::Starting,
        run if !pids.is_empty() => Observed::Orphaned { run, pids },
        Some(run) => Observed::Lost { run },
        None => Observed::Absent,
    })
}

/// Kills what the run in `folder` left behind, once. Returns the pids that were there, `None` when
/// nothing of the run is alive.
pub(crate) fn kill_members(folder: &Path) -> io::Result<Option<Vec<i32>>> {
    let records = Records::read(folder);
    let pids = records.members(folder);
    if records.has_keeper(&pids) {
        // Somebody has started the next run.
        return Ok(None);
    }
    let lock = folder.join(files::LOCK);
    for pid in pids.iter().filter_map(|pid| Pid::from_raw(*pid)) {
        let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
        // The descriptor pins the process; only now is it certain whom the number means.
        if proc::is_member(pid.as_raw_pid(), &lock, &records.runs) {
            pidfd_send_signal(&process, Signal::KILL).ok();
        }
    }
    let is_over = pids.is_empty() && !leash::is_taken(folder)?;
    Ok((!is_over).then_some(pids))
}

/// Whether something of the newest run is alive although the lock is free: a process that closed
/// what it inherited. Call it with the lock held.
pub(crate) fn has_stray(folder: &Path) -> bool {
    let records = Records::read(folder);
    // A keeper that wrote the end down had seen to it that nothing was left.
    let is_known = records.exit.is_some() || records.runs.is_empty();
    !is_known && !records.members(folder).is_empty()
}

/// What the files say, which proves nothing about who is alive.
struct Records {
    state: Option<State>,
    newest: Option<RunId>,
    runs: Vec<RunId>,
    exit: Option<ExitRecord>,
}

impl Records {
    fn read(folder: &Path) -> Self {
        let path = |name: &str| -> PathBuf { folder.join(name) };
        let state: Option<State> = files::read_json(&path(files::STATE));
        let spec: Option<RunSpec> = files::read_json(&path(files::SPEC));
        let spec = spec.map(|spec| spec.run);
        let state_run = state.as_ref().map(|state| state.run.clone());
        // The keeper takes away the records of the run before when it begins, so a state that is
        // there belongs to the newest run that began, whatever was planned since.
        let newest = state_run.clone().or_else(|| spec.clone());
        let exit = newest.as_ref().and_then(|run| exit_record(folder, run));
        let mut runs: Vec<RunId> = state_run.into_iter().chain(spec).collect();
        runs.dedup();
        Self { state, newest, runs, exit }
    }

    fn members(&self, folder: &Path) -> Vec<i32> {
        proc::members(&folder.join(files::LOCK), &self.runs)
    }

    /// Whether a keeper, or a host about to start one, is among those that hold the lock. Before
    /// the keeper wrote its record, what the process executes must do.
    fn has_keeper(&self, members: &[i32]) -> bool {
        match &self.state {
            Some(state) if Some(&state.run) == self.runs.last() => {
                members.contains(&state.keeper.pid) && proc::is_alive(&state.keeper)
            }
            _ => members.iter().any(|pid| proc::is_adit(*pid)),
        }
    }
}
