//! Saved pools for a miner that runs already.

use adit_plugin_api::Config;
use serde_json::{Map, Value};

use crate::miners::{Error, Miners, profiles::objects::Objects};
use adit_model::{
    pool::BadField,
    profile::{PoolChoice, ProfileFields},
    restart::RestartPolicy,
    watchdog::limits::Options,
};

impl Miners {
    /// The saved pools of these names, filled in as at a start of the miner `name`, in the words of
    /// its type. There are secrets in them.
    ///
    /// # Errors
    /// [`Error::NoMiner`], [`Error::NotRunning`], or [`Error::Profile`] when a pool is not there or
    /// cannot be filled in.
    pub async fn saved_pools(
        &self,
        name: &str,
        names: &[String],
    ) -> Result<Vec<Map<String, Value>>, Error> {
        let parts = &self.0.parts;
        let (live, driver) = self.live(name)?;
        let miner = self.member(name)?.row.name;
        let driver = parts.driver(&driver)?;
        let Some(list) = driver.pool_slots().list.clone() else {
            let what = "this miner type does not say where saved pools go: write out their fields";
            return Err(super::Fault::from(BadField::new("pools", what)).into());
        };
        let objects = Objects::load(&parts.store).await?;
        let choice = |name: &String| {
            let pool = objects.pool(name)?.pool.name.clone();
            Ok(PoolChoice { pool, wallet: None, options: Map::new() })
        };
        let fields = ProfileFields {
            name: miner.to_string(),
            miner_type: driver.id().clone(),
            config: Config::default(),
            pools: names.iter().map(choice).collect::<Result<_, super::Fault>>()?,
            tags: Vec::new(),
            autostart: false,
            restart: RestartPolicy::default(),
            watchdog: Options::default(),
        };
        let api_port = live.launch.as_ref().map_or(0, |launch| launch.api_port);
        let resolved = objects.resolve(parts, &fields, &driver, miner.as_str(), api_port)?;
        let pools = resolved.config.0.get(&list).and_then(Value::as_array);
        let pools = pools.into_iter().flatten().filter_map(Value::as_object);
        Ok(pools.cloned().collect())
    }
}
