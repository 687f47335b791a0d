//! Runs that the host cannot reach, and how they are ended all the same.
//!
//! A keeper that does not answer may be starting or ending, so nothing happens for a few seconds.
//! Then the miner is shown as unreachable. While it is wanted it is left alone, except that a keeper
//! stopped by a signal is resumed. When it is not wanted, or must be replaced, a task ends it
//! by its processes; orders are served meanwhile. A run that was asked to end and has not
//! long after its stop plan goes the same way.

use std::time::Duration;

use tokio::task::JoinHandle;

use crate::miners::{
    hold::Hold,
    live::Live,
    recover,
    supervisor::{Connected, State, Supervisor},
};
use adit_keeper_client::{error::Error as KeeperError, members::Known};
use adit_model::run::RunStatus;
use adit_store::RunProcesses;

/// The task that ends a run, and the connection that the host had to it.
pub(super) struct EndTask {
    task: JoinHandle<Result<(), KeeperError>>,
    connected: Option<Box<Connected>>,
}

impl EndTask {
    pub(super) fn live(&self) -> Option<Live> {
        self.connected.as_ref().map(|connected| connected.live.clone())
    }

    /// Waits for the end. Safe to drop, and not to be called again once it has returned.
    pub(super) async fn done(&mut self) -> Result<(), KeeperError> {
        // The task can only be lost with the host.
        (&mut self.task).await.unwrap_or(Ok(()))
    }
}

impl Drop for EndTask {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Supervisor {
    /// What the database knows to be open may be alive although all its files are gone.
    pub(super) async fn load_known(&mut self) {
        if self.known_is_loaded {
            return;
        }
        match recover::known(&self.parts.store, &self.row.name).await {
            Ok(known) => {
                self.known_is_loaded = true;
                self.known = known;
            }
            Err(error) => {
                tracing::error!(miner = %self.row.name, %error, "cannot read the miner's open runs");
            }
        }
    }

    /// Keeps in memory and database who runs it.
    pub(super) async fn remember(&mut self, hold: &Hold) {
        let Hold::Program(_, status) = hold else { return };
        let RunStatus { run, keeper, program, .. } = &**status;
        self.is_verified = false;
        self.known = Known::of(status);
        let processes = RunProcesses { keeper: keeper.clone(), program: program.clone() };
        if let Err(error) = self.parts.store.run_processes(run, processes).await {
            tracing::error!(miner = %self.row.name, %error, "cannot write down who runs the miner");
        }
    }

    /// Nothing of the miner lives.
    pub(super) fn forget_processes(&mut self) {
        self.known = Known::default();
        self.is_verified = true;
        self.trouble = None;
    }

    /// Ends the run by its processes. A keeper that was asked already gets no more time.
    pub(super) async fn end_run(&mut self) {
        let connected = match std::mem::replace(&mut self.state, State::Unknown) {
            State::Live(connected) => Some(connected),
            _ => None,
        };
        let patience = match &connected {
            Some(connected) if connected.is_overdue() => Duration::ZERO,
            _ => self.parts.keepers.stop_limit(&self.row.name).await,
        };
        tracing::warn!(
            miner = %self.row.name, ?patience, "the keeper does not answer; ending the run without it"
        );
        self.killed = self.known.runs.last().cloned();
        let (keepers, name) = (self.parts.keepers.clone(), self.row.name.clone());
        let known = self.known.clone();
        let task = tokio::spawn(async move { keepers.end(&name, &known, patience).await });
        self.state = State::Ending(EndTask { task, connected });
    }

    /// Lets a keeper go on that a signal has stopped.
    pub(super) async fn resume_keeper(&self) {
        match self.parts.keepers.resume(&self.row.name, &self.known).await {
            Ok(true) => {
                tracing::warn!(miner = %self.row.name, "the keeper was stopped by a signal; resumed it");
            }
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(miner = %self.row.name, %error, "cannot look for the keeper")
            }
        }
    }

    /// Writes down a stop that could not be written when it was asked for.
    pub(super) async fn save_stop(&mut self) {
        if self.unsaved.is_none() {
            return;
        }
        match self.parts.store.set_desired(&self.row.name, self.row.desired).await {
            Ok(()) => self.unsaved = None,
            Err(error) => self.unsaved = Some(error.to_string()),
        }
    }

    /// Why a run cannot be seen, and what to do.
    pub(super) fn silence(&self) -> String {
        let name = &self.row.name;
        match &self.state {
            State::Silent(Some(pid)) => format!(
                "its keeper (pid {pid}) is alive and does not answer, so the run can be neither seen \
                 nor controlled; to replace it: adit miner restart {name}"
            ),
            _ => "processes of an earlier run are alive and do not answer".to_owned(),
        }
    }

    pub(super) fn trouble(&self) -> Option<String> {
        if let Some(trouble) = &self.trouble {
            return Some(trouble.clone());
        }
        if self.is_silent() {
            return Some(self.silence());
        }
        if matches!(self.state, State::Ending(_)) {
            return Some("its keeper does not answer; ending the run without it".to_owned());
        }
        None
    }
}
