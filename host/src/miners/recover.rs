//! Which miners there are: those of the database, and those that only their folders know.

use crate::miners::{
    Error, Parts,
    device::{DeviceRun, Found},
    record::Record,
};
use adit_keeper_client::{look::Observed, members::Known};
use adit_model::{miner::Desired, name::MinerName};
use adit_store::{MinerRow, RunProcesses, Store};

/// What the database knows of a miner's processes that may be alive.
///
/// # Errors
/// When the database cannot be read.
pub(crate) async fn known(store: &Store, miner: &MinerName) -> Result<Known, adit_store::Error> {
    let mut known = Known::default();
    for open in store.open_runs(miner).await? {
        known.runs.push(open.run);
        if let Some(RunProcesses { keeper, program }) = open.processes {
            known.keepers.push(keeper);
            known.programs.push(program);
        }
    }
    Ok(known)
}

/// All miners. One that runs although the database does not know it, because the database was lost,
/// is written back with what its folder tells.
pub(crate) async fn all(parts: &Parts) -> Result<Vec<MinerRow>, Error> {
    let mut rows = parts.store.miners().await?;
    for name in parts.keepers.scan()? {
        if rows.iter().any(|row| row.name == name) {
            continue;
        }
        let record = match Record::read(&parts.folder(&name)) {
            Ok(Some(record)) if record.name == name => record,
            Ok(_) => {
                tracing::warn!(miner = %name, "a folder without a description is left alone");
                continue;
            }
            Err(error) => {
                tracing::warn!(miner = %name, %error, "a folder cannot be read and is left alone");
                continue;
            }
        };
        let watched = DeviceRun::find(&name, &parts.folder(&name));
        let running = matches!(watched, Ok(Some(Found::Running(_))))
            || match parts.keepers.look(&name, &Known::default()).await {
                Ok(Observed::Running(_) | Observed::Silent { .. } | Observed::Orphaned { .. }) => {
                    true
                }
                Ok(_) => false,
                // One damaged folder must not keep the host from the other miners. The supervisor
                // looks again before it starts anything.
                Err(error) => {
                    tracing::warn!(miner = %name, %error, "cannot look at the run of a miner");
                    true
                }
            };
        let row = MinerRow {
            name,
            driver: record.driver,
            config: record.config,
            restart: record.restart,
            profile: record.profile,
            desired: if running { Desired::Running } else { Desired::Stopped },
            created_at_ms: record.created_at_ms,
        };
        tracing::warn!(miner = %row.name, running, "took a miner back that the database did not know");
        if let Err(error) = parts.store.put_miner(row.clone()).await {
            // Its folder has it, also at the next start.
            tracing::error!(miner = %row.name, %error, "cannot write a miner down");
        }
        rows.push(row);
    }
    Ok(rows)
}
