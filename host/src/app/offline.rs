//! Looking after miners while no host runs: they do not need one.

use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, sleep};

use crate::{
    app::{Error, home::Home},
    keepers::{Keepers, error::Error as KeeperError, look::Observed},
    miners::{self, Record},
    model::{miner::Desired, name::MinerName},
    store::{SetAside, Store},
};

/// How long a keeper that is alive may leave a stop unanswered.
const PATIENCE: Duration = Duration::from_secs(30);
/// Time between two attempts.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// A miner as its folder and its keeper tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OfflineMiner {
    /// Its name.
    pub name: MinerName,
    /// Id of its driver, when its folder tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub miner_type: Option<String>,
    /// Whether anything of it runs, a keeper that does not answer at the moment included.
    pub running: bool,
    /// Process id of its program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// When its program was launched, in Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at_ms: Option<i64>,
}

/// The miners of a state folder.
///
/// # Errors
/// When the folder cannot be read.
pub async fn list(home: &Home) -> Result<Vec<OfflineMiner>, Error> {
    let keepers = Keepers::new(home.miners(), Keepers::THIS_BINARY);
    let mut found = Vec::new();
    for name in keepers.scan().map_err(miners::Error::from)? {
        let record = Record::read(&keepers.folder(&name)).ok().flatten();
        let (running, status) = match keepers.look(&name).await.map_err(miners::Error::from)? {
            Observed::Running(run) => (true, Some(run.first_status().clone())),
            Observed::Starting | Observed::Orphaned { .. } => (true, None),
            Observed::Absent | Observed::Ended(_) | Observed::Lost { .. } => (false, None),
        };
        found.push(OfflineMiner {
            miner_type: record.map(|record| record.driver.to_string()),
            running,
            pid: status.as_ref().map(|status| status.program.pid),
            started_at_ms: status.as_ref().map(|status| status.started_at_ms),
            name,
        });
    }
    Ok(found)
}

/// What [`stop_all`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// How many miners were running.
    pub miners: usize,
    /// Where a damaged database went, if there was one.
    pub set_aside: Option<SetAside>,
}

/// Stops every miner of a state folder that no host uses, and notes that they shall not run.
///
/// # Errors
/// When a host uses the folder, or the wish cannot be written down; nothing was stopped then.
pub async fn stop_all(home: &Home) -> Result<Stopped, Error> {
    if !home.path().exists() {
        return Ok(Stopped { miners: 0, set_aside: None });
    }
    let _lock = home.lock()?;
    let keepers = Keepers::new(home.miners(), Keepers::THIS_BINARY);
    let (store, set_aside) = Store::open(home.database())?;
    for row in store.miners().await? {
        store.set_desired(&row.name, Desired::Stopped).await?;
    }
    let mut stopping = tokio::task::JoinSet::new();
    for name in keepers.scan().map_err(miners::Error::from)? {
        let keepers = keepers.clone();
        stopping.spawn(async move { stop(&keepers, &name).await });
    }
    let mut miners_stopped = 0;
    for result in stopping.join_all().await {
        miners_stopped += usize::from(result.map_err(miners::Error::from)?);
    }
    Ok(Stopped { miners: miners_stopped, set_aside })
}

/// Stops one miner and returns whether it was running.
async fn stop(keepers: &Keepers, name: &MinerName) -> Result<bool, KeeperError> {
    let until = Instant::now() + PATIENCE;
    loop {
        let stopped = match keepers.look(name).await? {
            Observed::Running(run) => match run.stop(None).await {
                Ok(()) => {
                    run.wait().await;
                    Ok(true)
                }
                Err(error) => Err(error),
            },
            Observed::Orphaned { .. } => keepers.kill_orphans(name).await.map(|()| true),
            // Alive, and too busy to answer.
            Observed::Starting => Err(KeeperError::Silent { miner: name.clone(), what: "stop" }),
            Observed::Absent | Observed::Ended(_) | Observed::Lost { .. } => Ok(false),
        };
        if stopped.is_ok() || Instant::now() > until {
            return stopped;
        }
        sleep(LOOK_AGAIN).await;
    }
}
