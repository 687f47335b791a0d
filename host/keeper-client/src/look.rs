//! What is true about a miner's run, found out from the socket, the processes, the lock and the
//! records, in this order: that a run is over is an answer about processes, not about files.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::process::Signal;

use crate::{
    members::{self, Known, Search},
    run::{Run, exit_record},
};
use adit_keeper::{
    files::{self, State},
    leash,
};
use adit_model::run::{ExitRecord, RunId, RunSpec};

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
    /// A keeper is alive but does not answer: it is starting or ending, which takes a moment, or it
    /// is stopped, hangs or has lost its socket. Then [`crate::Keepers::end`] ends it.
    Silent {
        /// Its pid; `None` while a process is about to become a keeper.
        keeper: Option<i32>,
    },
    /// The keeper is gone but processes of the run live on. End them with
    /// [`crate::Keepers::kill_orphans`].
    Orphaned {
        /// The run; `None` when even its records are gone.
        run: Option<RunId>,
        /// What lives on.
        pids: Vec<i32>,
    },
}

/// How long the killed may take to be gone.
pub(crate) const KILL_DEADLINE: Duration = Duration::from_secs(10);

/// Decides without the socket, which did not answer. Files that cannot be read count as missing.
pub(crate) fn examine(folder: &Path, known: &Known) -> Observed {
    let Records { newest, runs, exit } = Records::read(folder, known);
    let is_locked = leash::is_taken(folder).unwrap_or(false);
    let members = Search::new(folder, is_locked, &runs, known).find();
    if let Some(keeper) = members.keepers.first() {
        return Observed::Silent { keeper: Some(*keeper) };
    }
    match (exit, newest) {
        _ if members.is_starting => Observed::Silent { keeper: None },
        (_, run) if !members.others.is_empty() => Observed::Orphaned { run, pids: members.others },
        // Held by a process that cannot be seen from here.
        _ if is_locked => Observed::Silent { keeper: None },
        (Some(record), _) => Observed::Ended(record),
        (None, Some(run)) => Observed::Lost { run },
        (None, None) => Observed::Absent,
    }
}

/// Kills what the miner's runs left behind, once. Returns the pids that were there, `None` when
/// nothing is alive.
pub(crate) fn kill_members(folder: &Path, known: &Known) -> Option<Vec<i32>> {
    let records = Records::read(folder, known);
    let is_locked = leash::is_taken(folder).unwrap_or(false);
    let search = Search::new(folder, is_locked, &records.runs, known);
    let members = search.find();
    if !members.keepers.is_empty() || members.is_starting {
        // Somebody has started the next run.
        return None;
    }
    for pid in &members.others {
        members::signal(*pid, Signal::KILL, || search.part(*pid).is_some());
    }
    let is_over = members.others.is_empty() && !leash::is_taken(folder).unwrap_or(false);
    (!is_over).then_some(members.others)
}

/// Whether something of a run is alive although the lock is free: a process that closed what it
/// inherited, or one whose lock file was replaced. Call it with the lock held.
pub(crate) fn has_stray(folder: &Path) -> bool {
    let known = Known::default();
    let records = Records::read(folder, &known);
    let members = Search::new(folder, false, &records.runs, &known).find();
    !members.keepers.is_empty() || !members.others.is_empty()
}

/// What the files and the host's memory say, which proves nothing about who is alive.
pub(crate) struct Records {
    newest: Option<RunId>,
    pub(crate) runs: Vec<RunId>,
    exit: Option<ExitRecord>,
}

impl Records {
    pub(crate) fn read(folder: &Path, known: &Known) -> Self {
        let path = |name: &str| -> PathBuf { folder.join(name) };
        let state: Option<State> = files::read_json(&path(files::STATE));
        let spec: Option<RunSpec> = files::read_json(&path(files::SPEC));
        let (state, spec) = (state.map(|state| state.run), spec.map(|spec| spec.run));
        // The keeper takes away the records of the run before when it begins, so a state that is
        // there belongs to the newest run that began, whatever was planned since.
        let newest = state.iter().chain(&spec).chain(known.runs.last()).next().cloned();
        let exit = newest.as_ref().and_then(|run| exit_record(folder, run));
        let mut runs = known.runs.clone();
        for run in state.into_iter().chain(spec) {
            if !runs.contains(&run) {
                runs.push(run);
            }
        }
        Self { newest, runs, exit }
    }
}
