//! What carries a run out: a keeper with a program, or the host alone with a device.

use adit_plugin_api::CommandStep;
use serde_json::{Value, json};

use crate::miners::{
    Error,
    device::DeviceRun,
    probe::{Prober, Reach},
    words::Ending,
};
use adit_keeper_client::{error::End, ports::RunPorts, run::Run};
use adit_model::run::{RunId, RunStatus};

/// A run that goes on. Cheap to clone.
#[derive(Clone)]
pub(crate) enum Hold {
    /// A program under its keeper.
    Program(Run, Box<RunStatus>),
    /// A device.
    Device(DeviceRun),
}

impl Hold {
    pub(crate) fn id(&self) -> &RunId {
        match self {
            Self::Program(run, _) => run.id(),
            Self::Device(device) => device.id(),
        }
    }

    pub(crate) fn started_at_ms(&self) -> i64 {
        match self {
            Self::Program(_, status) => status.started_at_ms,
            Self::Device(device) => device.started_at_ms(),
        }
    }

    /// Process ids of program and keeper; a device has none.
    pub(crate) fn pids(&self) -> Option<(i32, i32)> {
        match self {
            Self::Program(_, status) => Some((status.program.pid, status.keeper.pid)),
            Self::Device(_) => None,
        }
    }

    /// Addresses of the device.
    pub(crate) fn addresses(&self) -> &[String] {
        match self {
            Self::Program(..) => &[],
            Self::Device(device) => device.addresses(),
        }
    }

    /// Where questions to it may go.
    pub(crate) fn reach(&self) -> Reach {
        match self {
            Self::Program(run, status) => Reach::Program(RunPorts::new(
                run.id().clone(),
                (status.program.pid, status.keeper.pid),
            )),
            Self::Device(device) => Reach::of(device.addresses()),
        }
    }

    /// What an event says of it.
    pub(crate) fn told(&self) -> Value {
        match self.pids() {
            Some((pid, _)) => json!({ "run": self.id(), "pid": pid }),
            None => json!({ "run": self.id(), "addresses": self.addresses() }),
        }
    }

    /// Whether a stop was under way when it was found.
    pub(crate) fn is_stopping(&self) -> bool {
        matches!(self, Self::Program(_, status) if status.stopping)
    }

    /// Waits for the end, however long that takes; `None` when it was lost from sight.
    pub(crate) async fn wait(&self) -> Option<Ending> {
        match self {
            Self::Program(run, _) => match run.wait().await {
                End::Exited(exit) => Some(Ending::Exited(exit)),
                // The keeper died. What became of its program shows when looking.
                End::Lost => None,
            },
            Self::Device(device) => device.wait().await.map(Ending::Released),
        }
    }

    /// Begins the end and does not wait for it.
    pub(crate) async fn stop(&self, prober: &Prober) -> Result<(), Error> {
        match self {
            Self::Program(run, _) => Ok(run.stop(None).await?),
            Self::Device(device) => {
                let (device, prober) = (device.clone(), prober.clone());
                tokio::spawn(async move { device.stop(&prober).await });
                Ok(())
            }
        }
    }

    /// Writes to the program's stdin.
    pub(crate) async fn stdin(&self, input: &str) -> Result<(), Error> {
        match self {
            Self::Program(run, _) => Ok(run.stdin(input).await?),
            Self::Device(_) => Err(Error::Unsupported(
                "this miner is a device: it has no program that reads a stdin".to_owned(),
            )),
        }
    }

    /// Carries out one step of a command.
    pub(crate) async fn tell(&self, prober: &Prober, step: &CommandStep) -> Result<(), Error> {
        match step {
            CommandStep::Stdin { input } => self.stdin(input).await,
            step => prober.tell(step, &self.reach()).await,
        }
    }

    /// Has everything that the program printed so far written to its log.
    pub(crate) async fn flush(&self) {
        if let Self::Program(run, _) = self {
            // In a flood the keeper holds the last lines back; without it, what is there is shown.
            drop(run.flush().await);
        }
    }
}
