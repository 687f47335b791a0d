//! Which installed programs have newer releases. Asks release pages and changes nothing.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::miners::{Error, Miners, install::release_plan};
use adit_drivers::handle::Driver;
use adit_model::{name::DriverId, version::is_newer};

/// Longest that a release page may take to answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// An installed program and the newest release of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Update {
    /// The miner type.
    pub miner_type: DriverId,
    /// The version that runs at the next start.
    pub installed: String,
    /// The newest release, when its page answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<String>,
    /// Whether that is a newer one.
    pub available: bool,
    /// Why the release page told nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl Miners {
    /// Looks for newer releases of every program that was installed from a release page.
    pub async fn updates(&self) -> Vec<Update> {
        let mut asking = JoinSet::new();
        for driver in self.0.parts.drivers.loaded() {
            let releases = &self.0.parts.options.programs.releases;
            let active = releases.versions(driver.id()).into_iter().find(|it| it.active);
            let Some(active) = active else { continue };
            let miners = self.clone();
            asking.spawn(async move {
                let newest = tokio::time::timeout(PATIENCE, miners.newest(&driver)).await;
                let newest = match newest {
                    Ok(newest) => newest.map_err(|error| error.to_string()),
                    Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
                };
                let (newest, problem) = match newest {
                    Ok(version) => (Some(version), None),
                    Err(problem) => (None, Some(problem)),
                };
                let available =
                    newest.as_ref().is_some_and(|newest| is_newer(newest, &active.version));
                let miner_type = driver.id().clone();
                Update { miner_type, installed: active.version, newest, available, problem }
            });
        }
        let mut updates = asking.join_all().await;
        updates.sort_by(|a, b| a.miner_type.cmp(&b.miner_type));
        updates
    }

    async fn newest(&self, driver: &Driver) -> Result<String, Error> {
        let programs = &self.0.parts.options.programs;
        let plan = release_plan(driver, None, programs.signers.get(driver.id())).await?;
        Ok(programs.releases.newest(&plan).await?)
    }
}
