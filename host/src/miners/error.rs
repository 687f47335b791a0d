//! What can go wrong with a miner, as its operator should hear it.

use crate::miners::profiles::fault::Fault;
use adit_drivers::{call::CallError, schema::ConfigError};
use adit_model::{
    name::{DriverId, MinerName},
    plan::BadPlan,
};

/// Why a miner did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no miner of this name.
    #[error("there is no miner {0}")]
    NoMiner(String),
    /// The name is taken.
    #[error(
        "there is a miner {0} already: start it with POST /miners/{0}/start, or remove it first \
         with DELETE /miners/{0}?remove=true"
    )]
    Taken(MinerName),
    /// There is no driver of this id.
    #[error("there is no driver {id}{}", listed(.known))]
    NoDriver {
        /// The id.
        id: DriverId,
        /// The ids that there are.
        known: Vec<String>,
    },
    /// The miner has to run for this.
    #[error("the miner {0} is not running")]
    NotRunning(MinerName),
    /// The host does not know how the run was launched, so the driver cannot be asked about it.
    #[error("the run of {0} was not launched by this installation; restart the miner first")]
    UnknownLaunch(MinerName),
    /// The program is not there.
    #[error("{0}")]
    NoProgram(String),
    /// The watchdog noted no such incident, or it was removed since.
    #[error("there is no incident with the number {0}")]
    NoIncident(i64),
    /// Nobody of this name is told of events.
    #[error("there is no webhook {name:?} in the settings{}", others(.known))]
    NoWebhook {
        /// The name.
        name: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// An event could not be delivered.
    #[error("the event could not be delivered: {0}")]
    Webhook(String),
    /// A miner runs what should be removed.
    #[error("{driver} {version} is what {miners} runs: stop that first")]
    InUse {
        /// The miner type.
        driver: DriverId,
        /// The version.
        version: String,
        /// The miners.
        miners: String,
    },
    /// A program could not be installed, changed or removed.
    #[error(transparent)]
    Release(#[from] adit_releases::Error),
    /// The driver refused or failed.
    #[error("{0}")]
    Driver(#[from] CallError),
    /// The configuration does not match the driver's schema.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// A profile, a wallet or a pool cannot be as asked.
    #[error(transparent)]
    Profile(#[from] Fault),
    /// The driver's plan does something that it must not.
    #[error(transparent)]
    Plan(#[from] BadPlan),
    /// The driver wants something that this version cannot do.
    #[error("{0}")]
    Unsupported(String),
    /// Another node may not do what that would change.
    #[error("this needs the right to {0}")]
    Forbidden(adit_model::rights::Rights),
    /// What was sent cannot be used.
    #[error("{0}")]
    Invalid(String),
    /// A step of a command failed.
    #[error("the miner did not carry out the command: {0}")]
    Command(String),
    /// The keeper could not do it.
    #[error(transparent)]
    Keeper(#[from] adit_keeper_client::error::Error),
    /// The database could not do it.
    #[error(transparent)]
    Store(#[from] adit_store::Error),
    /// A file could not be written.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was attempted, on which path.
        what: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// A later order was carried out instead.
    #[error("another order for the miner {0} came later and was carried out instead")]
    Overtaken(MinerName),
    /// The program could not be started.
    #[error("the miner {name} could not be started: {reason}")]
    Start {
        /// The miner.
        name: MinerName,
        /// Why.
        reason: String,
    },
    /// The host is going down.
    #[error("the host is shutting down")]
    ShuttingDown,
}

fn others(names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!("; there are: {}", names.join(", ")) }
}

fn listed(ids: &[String]) -> String {
    if ids.is_empty() {
        "; no driver is loaded, see GET /drivers".to_owned()
    } else {
        format!("; there are: {}", ids.join(", "))
    }
}
