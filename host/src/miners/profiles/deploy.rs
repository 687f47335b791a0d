//! Profiles that another node saves here: what it may follows from what would change.

use adit_plugin_api::Config;

use crate::miners::{
    Error, Miners,
    profiles::{ProfileChange, objects::Objects},
};
use adit_drivers::handle::Driver;
use adit_model::{
    name::DriverId,
    profile::{Profile, ProfileFields, ProfileView},
    rights::{self, Right, Rights},
};

impl Miners {
    /// Saves a profile over the one of the same name, if there is one, as far as `granted` allows
    /// what that changes. It is asked when nothing else can change the profile any more.
    ///
    /// # Errors
    /// [`Error::Forbidden`], and what [`Miners::put_profile`] has; nothing is saved then.
    pub async fn deploy_profile(
        &self,
        change: ProfileChange,
        granted: &(dyn Fn() -> Rights + Send + Sync),
    ) -> Result<ProfileView, Error> {
        let parts = &self.0.parts;
        let _changing = parts.changing.lock().await;
        let objects = Objects::load(&parts.store).await?;
        let old = objects.profiles.iter().find(|it| it.fields.name == change.name);
        let new = self.changed_profile(&objects, change, old).await?;
        let driver = parts.driver(&new.fields.miner_type)?;
        let needed = needed(&driver, old.map(|it| &it.fields), &new);
        let lacking = granted().lacking(needed);
        if !lacking.is_empty() {
            return Err(Error::Forbidden(lacking));
        }
        self.write_profile(&objects, new, old.is_some()).await
    }

    /// The rights that another node needs in order to create a miner with this configuration.
    ///
    /// # Errors
    /// [`Error::NoDriver`].
    pub fn rights_to_create(&self, driver: &DriverId, config: &Config) -> Result<Rights, Error> {
        let driver = self.0.parts.driver(driver)?;
        let payout = pays(&driver, config).then_some(Right::Payout);
        Ok(rights::to_set(&config.0).iter().chain(payout).collect())
    }
}

/// The rights that saving `new` in the place of `old` needs.
fn needed(driver: &Driver, old: Option<&ProfileFields>, new: &Profile) -> Rights {
    let nothing = serde_json::Map::new();
    let (before, after) = (old.map_or(&nothing, |it| &it.config.0), &new.fields.config.0);
    let touched = before.iter().chain(after).filter(|(key, _)| before.get(*key) != after.get(*key));
    let touched = Config(touched.map(|(key, value)| (key.clone(), value.clone())).collect());
    let pays = pays(driver, &touched)
        || match old {
            Some(old) => old.pools != new.fields.pools || old.miner_type != new.fields.miner_type,
            None => !new.fields.pools.is_empty(),
        };
    let payout = pays.then_some(Right::Payout);
    rights::to_replace(before, after).iter().chain(payout).collect()
}

/// Whether something of `config` is a pool or a secret by what the driver says of its fields,
/// whatever they are called.
fn pays(driver: &Driver, config: &Config) -> bool {
    let slots = driver.pool_slots();
    let is_slot = |key: &String| match &slots.list {
        Some(list) => list == key,
        None => slots.fields.values().any(|field| field == key),
    };
    let value = serde_json::Value::Object(config.0.clone());
    config.0.keys().any(is_slot)
        || driver.secrets(config).iter().any(|path| path.get(&value).is_some())
}
