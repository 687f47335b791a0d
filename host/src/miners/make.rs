//! Creates miners: one plan of the driver, one write to the database, one start.

use std::sync::Arc;

use adit_plugin_api::Config;
use tokio::sync::oneshot;

use crate::miners::{Error, Miners, launch, supervisor::First};
use adit_model::{
    miner::{Desired, MinerView},
    name::{DriverId, MinerName},
    restart::RestartPolicy,
    watchdog::limits::Options,
};
use adit_store::MinerRow;

/// A miner to be created.
#[derive(Clone, Debug)]
pub struct NewMiner {
    /// Its name; one is made from the driver's id when absent.
    pub name: Option<MinerName>,
    /// Its driver.
    pub driver: DriverId,
    /// Its configuration; defaults are filled in at each start.
    pub config: Config,
    /// What to do when its program ends by itself.
    pub restart: RestartPolicy,
    /// How it is watched.
    pub watchdog: Options,
}

/// A name that nobody else can take, until it is dropped.
pub(super) struct Reserved {
    miners: Miners,
    name: MinerName,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.miners.reserved().remove(&self.name);
    }
}

impl Miners {
    /// Creates a miner and starts it.
    ///
    /// # Errors
    /// Nothing is created when the name is taken, the driver is missing, or the driver refuses the
    /// configuration. A start that fails afterwards leaves the miner, which is tried again.
    pub async fn create(&self, new: NewMiner) -> Result<MinerView, Error> {
        self.0.parts.driver(&new.driver)?;
        let reserved = match new.name {
            Some(name) => self.reserve(name)?,
            None => self.reserve_numbered(&new.driver)?,
        };
        let row = MinerRow {
            name: reserved.name.clone(),
            driver: new.driver,
            config: new.config,
            restart: new.restart,
            profile: None,
            desired: Desired::Running,
            created_at_ms: jiff::Timestamp::now().as_millisecond(),
        };
        self.make(row, new.watchdog, reserved).await
    }

    /// Creates the miner `row`, whose name is `reserved`, and starts it. The driver is asked once for
    /// a plan, and that plan runs: a second one could be another.
    pub(super) async fn make(
        &self,
        mut row: MinerRow,
        watchdog: Options,
        reserved: Reserved,
    ) -> Result<MinerView, Error> {
        let parts = Arc::clone(&self.0.parts);
        let driver = parts.driver(&row.driver)?;
        let name = row.name.clone();
        let planned = match launch::plan(&parts, &row).await {
            Ok(planned) => planned,
            Err(error) => {
                // The object that the driver made for it would stay for nobody.
                driver.forget(&name);
                return Err(error);
            }
        };
        row.config = planned.draft.applied.config.clone();
        let (reply, started) = oneshot::channel();
        let miners = self.clone();
        // In a task of its own: a caller that gives up must not leave a miner in the database that
        // nobody supervises.
        let creating = tokio::spawn(async move {
            if let Err(error) = parts.store.add_miner(row.clone(), watchdog.clone()).await {
                driver.forget(&row.name);
                return Err(Error::from(error));
            }
            parts.watchdog.set_options(&row.name, watchdog);
            miners.supervise(row, Some(First { planned: Box::new(planned), reply }));
            drop(reserved);
            Ok(())
        });
        creating.await.unwrap_or(Err(Error::ShuttingDown))?;
        started.await.map_err(|_| Error::ShuttingDown)??;
        self.get(name.as_str())
    }

    /// Takes a name for a miner that is about to be created.
    ///
    /// # Errors
    /// [`Error::Taken`].
    pub(super) fn reserve(&self, name: MinerName) -> Result<Reserved, Error> {
        let mut reserved = self.reserved();
        if self.members().contains_key(&name) || !reserved.insert(name.clone()) {
            return Err(Error::Taken(name));
        }
        Ok(Reserved { miners: self.clone(), name })
    }

    fn reserve_numbered(&self, driver: &DriverId) -> Result<Reserved, Error> {
        let base: String = driver.as_str().chars().take(50).collect();
        (1..=u32::MAX)
            .filter_map(|n| MinerName::new(format!("{base}-{n}")).ok())
            .find_map(|name| self.reserve(name).ok())
            .ok_or_else(|| Error::Invalid("all names are taken; give one".to_owned()))
    }
}
