//! Makes new miners.

use adit_plugin_api::Config;

use crate::{
    miners::{Error, Miners, launch, supervisor::Order},
    model::{
        miner::{Desired, MinerView},
        name::{DriverId, MinerName},
        restart::RestartPolicy,
    },
    store::MinerRow,
};

/// A miner to be made.
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
}

impl Miners {
    /// Makes a miner and starts it.
    ///
    /// # Errors
    /// Nothing is made when the name is taken, the driver is missing, or the driver refuses the
    /// configuration. A start that fails afterwards leaves the miner, which is tried again.
    pub async fn create(&self, new: NewMiner) -> Result<MinerView, Error> {
        self.0.parts.driver(&new.driver)?;
        let row = MinerRow {
            name: self.free_name(&new)?,
            driver: new.driver,
            config: new.config,
            restart: new.restart,
            profile: None,
            desired: Desired::Running,
            created_at_ms: jiff::Timestamp::now().as_millisecond(),
        };
        self.make(row).await
    }

    /// Makes the miner `row` and starts it.
    pub(crate) async fn make(&self, mut row: MinerRow) -> Result<MinerView, Error> {
        let parts = &self.0.parts;
        let driver = parts.driver(&row.driver)?;
        if self.members().contains_key(&row.name) {
            return Err(Error::Taken(row.name));
        }
        match launch::plan(parts, &row).await {
            Ok(planned) => row.config = planned.draft.applied.config,
            Err(error) => {
                // The object that the driver made for it would stay for nobody.
                driver.forget(&row.name);
                return Err(error);
            }
        }
        // Off until it is written down; whoever asks for the same name meanwhile is refused.
        let row_off = MinerRow { desired: Desired::Stopped, ..row.clone() };
        let name = row.name.clone();
        if !self.supervise_new(row_off.clone()) {
            return Err(Error::Taken(name));
        }
        if let Err(error) = parts.store.put_miner(row_off).await {
            self.members().remove(&name);
            return Err(error.into());
        }
        self.order(&name, Order::Start).await?;
        self.get(name.as_str())
    }

    fn free_name(&self, new: &NewMiner) -> Result<MinerName, Error> {
        let members = self.members();
        if let Some(name) = &new.name {
            let free = !members.contains_key(name);
            return free.then(|| name.clone()).ok_or_else(|| Error::Taken(name.clone()));
        }
        let base: String = new.driver.as_str().chars().take(50).collect();
        (1..=u32::MAX)
            .filter_map(|n| MinerName::new(format!("{base}-{n}")).ok())
            .find(|name| !members.contains_key(name))
            .ok_or_else(|| Error::Invalid("all names are taken; give one".to_owned()))
    }
}
