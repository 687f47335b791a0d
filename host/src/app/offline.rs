//! Looking after miners while no host runs: they do not need one.

use std::{collections::BTreeSet, time::Duration};

use serde::Serialize;
use tokio::time::{Instant, sleep, timeout};

use crate::{
    app::{Error, home::Home},
    miners::{self, Record},
};
use adit_keeper_client::{Keepers, error::Error as KeeperError, look::Observed, members::Known};
use adit_model::{miner::Desired, name::MinerName};
use adit_store::{Salvage, Store};

/// How long a keeper that is alive may leave a question unanswered before it is ended by its pid.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a miner is looked at again after something was done about it.
const TRIES: u32 = 5;
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

/// The miners of a state folder: those that have a folder, and those of which a process lives.
///
/// # Errors
/// When the folder cannot be read.
pub async fn list(home: &Home) -> Result<Vec<OfflineMiner>, Error> {
    let keepers = Keepers::new(home.miners(), Keepers::THIS_BINARY);
    let mut found = Vec::new();
    for name in keepers.scan().map_err(miners::Error::from)? {
        let record = Record::read(&keepers.folder(&name)).ok().flatten();
        let observed = keepers.look(&name, &Known::default()).await.map_err(miners::Error::from)?;
        let (running, status) = match observed {
            Observed::Running(run) => (true, Some(run.first_status().clone())),
            Observed::Silent { .. } | Observed::Orphaned { .. } => (true, None),
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stopped {
    /// How many miners were running and are not any more.
    pub miners: usize,
    /// Those of which something still runs, and why.
    pub left: Vec<(MinerName, String)>,
    /// Why the next host does not know that they shall not run, if so.
    pub unsaved: Option<String>,
    /// What was done about a damaged database, if there was one.
    pub salvage: Option<Salvage>,
}

/// Stops every miner of a state folder that no host uses, and notes that they shall not run. A
/// database that cannot be written keeps nothing from being stopped.
///
/// # Errors
/// When a host uses the folder, or it cannot be read; nothing was stopped then.
pub async fn stop_all(home: &Home) -> Result<Stopped, Error> {
    let mut stopped = Stopped::default();
    if !home.path().exists() {
        return Ok(stopped);
    }
    let _lock = home.lock()?;
    let keepers = Keepers::new(home.miners(), Keepers::THIS_BINARY);
    let mut names: BTreeSet<MinerName> =
        keepers.scan().map_err(miners::Error::from)?.into_iter().collect();
    let store = match Store::open(home.database()) {
        Ok((store, salvage)) => {
            stopped.salvage = salvage;
            stopped.unsaved = save(&store, &mut names).await.err().map(|error| error.to_string());
            Some(store)
        }
        Err(error) => {
            stopped.unsaved = Some(error.to_string());
            None
        }
    };
    let mut stopping = tokio::task::JoinSet::new();
    for name in names {
        let (keepers, store) = (keepers.clone(), store.clone());
        stopping.spawn(async move {
            let known = match &store {
                // What cannot be read is found by the miner's folder and its processes.
                Some(store) => miners::known(store, &name).await.unwrap_or_default(),
                None => Known::default(),
            };
            let result = stop(&keepers, &name, known).await;
            (name, result)
        });
    }
    for (name, result) in stopping.join_all().await {
        match result {
            Ok(was_running) => stopped.miners += usize::from(was_running),
            Err(error) => stopped.left.push((name, error.to_string())),
        }
    }
    stopped.left.sort();
    Ok(stopped)
}

/// Notes that no miner shall run, and adds the miners of the database to `names`.
async fn save(store: &Store, names: &mut BTreeSet<MinerName>) -> Result<(), adit_store::Error> {
    let mut saved = Ok(());
    for row in store.miners().await? {
        if let Err(error) = store.set_desired(&row.name, Desired::Stopped).await {
            saved = Err(error);
        }
        names.insert(row.name);
    }
    saved
}

/// Stops one miner and returns whether it was running.
async fn stop(keepers: &Keepers, name: &MinerName, mut known: Known) -> Result<bool, KeeperError> {
    let mut was_running = false;
    let mut left = Ok(());
    for _ in 0..TRIES {
        left = match look(keepers, name, &known).await? {
            Observed::Absent | Observed::Ended(_) | Observed::Lost { .. } => {
                return Ok(was_running);
            }
            Observed::Running(run) => {
                known = Known::of(run.first_status());
                let limit = keepers.stop_limit(name).await;
                match run.stop(None).await {
                    Ok(()) if timeout(limit, run.wait()).await.is_ok() => Ok(()),
                    Ok(()) => keepers.end(name, &known, Duration::ZERO).await,
                    Err(KeeperError::Over(_)) => Ok(()),
                    Err(_) => keepers.end(name, &known, limit).await,
                }
            }
            Observed::Silent { .. } => {
                let limit = keepers.stop_limit(name).await;
                keepers.end(name, &known, limit).await
            }
            Observed::Orphaned { .. } => keepers.kill_orphans(name, &known).await,
        };
        was_running = true;
    }
    left?;
    Err(KeeperError::Busy(name.clone()))
}

/// Looks until a keeper answers, or has had the time to.
async fn look(keepers: &Keepers, name: &MinerName, known: &Known) -> Result<Observed, KeeperError> {
    let until = Instant::now() + PATIENCE;
    loop {
        let observed = keepers.look(name, known).await?;
        if !matches!(observed, Observed::Silent { .. }) || Instant::now() > until {
            return Ok(observed);
        }
        sleep(LOOK_AGAIN).await;
    }
}
