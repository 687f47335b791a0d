//! What can go wrong between host and keepers.

use std::{
    io,
    path::{Path, PathBuf},
};

use adit_keeper::shortage::with_cause;
use adit_model::{
    name::MinerName,
    run::{ExitRecord, RunId},
};

/// Why the host could not do something with a keeper.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something of an earlier run is alive: adopt it, stop it, or kill what is left of it.
    #[error("a run of miner {0} is alive already")]
    Busy(MinerName),
    /// The program could not be executed. Trying again is of no use before somebody changes
    /// something.
    #[error("cannot execute {program}: {reason}")]
    Exec {
        /// The program.
        program: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// A file or a process could not be handled.
    #[error("cannot {what} {path}: {}", with_cause(.source))]
    Io {
        /// What was attempted, a verb.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The run is over, or another one has taken its place.
    #[error("run {0} is over")]
    Over(RunId),
    /// The keeper did not answer in time, or hung up without an answer.
    #[error("the keeper of miner {miner} does not answer to {what}")]
    Silent {
        /// The miner.
        miner: MinerName,
        /// What it was asked.
        what: &'static str,
    },
    /// The keeper could not start, and why.
    #[error("the keeper could not start: {0}")]
    Start(String),
    /// The keeper refused, in its words.
    #[error("the keeper refused: {0}")]
    Refused(String),
    /// Processes of a dead keeper could not be killed.
    #[error("processes {pids:?} of miner {miner} cannot be killed")]
    Survivors {
        /// The miner.
        miner: MinerName,
        /// Their pids.
        pids: Vec<i32>,
    },
}

impl Error {
    /// Wraps an I/O error with what was attempted on which path.
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }
}

/// How a run ended, as far as can be known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It ended and its keeper wrote down how.
    Exited(ExitRecord),
    /// Its keeper died first: nobody knows how the program ended, or whether it did. Look again
    /// with [`crate::Keepers::look`].
    Lost,
}
