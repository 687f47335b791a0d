//! Profiles: saved, named configurations from which miners are started.
//!
//! A miner remembers its profile, and each of its starts takes the profile as it is then. When the
//! profile is gone, the miner goes on with what it was started with last.

pub(crate) mod apply;
mod deploy;
mod exchange;
mod explain;
pub(crate) mod fault;
mod objects;
mod pools;
mod running;
mod wallets;

use adit_plugin_api::Config;
use serde_json::json;

pub use exchange::{Conflicts, Document, Fates, Imported};
pub use explain::{Explained, ExplainedPool, ExplainedValue};
pub use fault::{Fault, Kind};
pub use objects::Expected;
pub use pools::{PoolChange, PoolView};
pub use wallets::WalletView;

use crate::miners::{
    Error, Miners,
    profiles::objects::{Objects, miners_of, moment, secrets},
};
use adit_model::{
    miner::{Desired, MinerView},
    name::{DriverId, MinerName},
    profile::{PoolChoice, Profile, ProfileFields, ProfileId, ProfileView, miner_names},
    restart::RestartPolicy,
    secrets::{mask, unmask},
    watchdog::limits::Options,
};
use adit_store::{Catalogue, MinerRow};

/// A profile to be made, or what a profile shall be. What is left out keeps its value, or has its
/// standard one in a new profile.
#[derive(Clone, Debug)]
pub struct ProfileChange {
    /// Its name.
    pub name: String,
    /// Id of its driver.
    pub miner_type: DriverId,
    /// Its configuration; `***` keeps a secret.
    pub config: Config,
    /// Pools in order of priority.
    pub pools: Option<Vec<PoolChoice>>,
    /// Words to find it by.
    pub tags: Option<Vec<String>>,
    /// Whether a miner of it is made at the start of the host.
    pub autostart: Option<bool>,
    /// What its miners do when their program ends by itself.
    pub restart: Option<RestartPolicy>,
    /// How its miners are watched.
    pub watchdog: Option<Options>,
}

impl ProfileChange {
    fn over(self, old: Option<&ProfileFields>) -> ProfileFields {
        ProfileFields {
            name: self.name,
            miner_type: self.miner_type,
            config: self.config,
            pools: self.pools.or_else(|| old.map(|it| it.pools.clone())).unwrap_or_default(),
            tags: self.tags.or_else(|| old.map(|it| it.tags.clone())).unwrap_or_default(),
            autostart: self.autostart.or(old.map(|it| it.autostart)).unwrap_or_default(),
            restart: self.restart.or_else(|| old.map(|it| it.restart.clone())).unwrap_or_default(),
            watchdog: self
                .watchdog
                .or_else(|| old.map(|it| it.watchdog.clone()))
                .unwrap_or_default(),
        }
    }
}

impl Miners {
    /// All profiles, by name.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn profiles(&self) -> Result<Vec<ProfileView>, Error> {
        let objects = Objects::load(&self.0.parts.store).await?;
        Ok(objects.profiles.iter().map(|it| self.profile_view(&objects, it)).collect())
    }

    /// One profile, by its id or name.
    ///
    /// # Errors
    /// [`Fault::Missing`].
    pub async fn profile(&self, id_or_name: &str) -> Result<ProfileView, Error> {
        let objects = Objects::load(&self.0.parts.store).await?;
        Ok(self.profile_view(&objects, objects.profile(id_or_name)?))
    }

    /// Saves a new profile.
    ///
    /// # Errors
    /// [`Error::Profile`], or [`Error::NoDriver`]; nothing is saved then.
    pub async fn create_profile(&self, change: ProfileChange) -> Result<ProfileView, Error> {
        let _changing = self.0.parts.changing.lock().await;
        let objects = Objects::load(&self.0.parts.store).await?;
        let profile = self.changed_profile(&objects, change, None).await?;
        self.write_profile(&objects, profile, false).await
    }

    /// Changes a profile. Its miners notice at their next start.
    ///
    /// # Errors
    /// [`Error::Profile`], or [`Error::NoDriver`]; nothing is changed then.
    pub async fn put_profile(
        &self,
        id_or_name: &str,
        change: ProfileChange,
        expected: &Expected,
    ) -> Result<ProfileView, Error> {
        let _changing = self.0.parts.changing.lock().await;
        let objects = Objects::load(&self.0.parts.store).await?;
        let old = objects.profile(id_or_name)?;
        expected.check(Kind::Profile, &old.fields.name, old.updated_at_ms)?;
        let new = self.changed_profile(&objects, change, Some(old)).await?;
        self.write_profile(&objects, new, true).await
    }

    /// Refuses another miner type while there are miners: theirs cannot change.
    fn check_miner_type(&self, old: &Profile, new: &ProfileFields) -> Result<(), Fault> {
        let miners = self.miners_of(old.id);
        if new.miner_type == old.fields.miner_type || miners.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = miners.iter().map(MinerName::as_str).collect();
        let name = old.fields.name.clone();
        let users = format!("the miner {} with its miner type", names.join(", "));
        Err(Fault::Used { kind: Kind::Profile, name, users })
    }

    /// The profile that `change` makes, of `old` or a new one, checked and with all its secrets.
    async fn changed_profile(
        &self,
        objects: &Objects,
        change: ProfileChange,
        old: Option<&Profile>,
    ) -> Result<Profile, Error> {
        let parts = &self.0.parts;
        let fields = change.over(old.map(|it| &it.fields)).tidy().map_err(Fault::from)?;
        let updated_at_ms = moment(old.map(|it| it.updated_at_ms));
        let mut profile = match old {
            Some(old) => {
                self.check_miner_type(old, &fields)?;
                Profile { fields, updated_at_ms, ..old.clone() }
            }
            None => Profile {
                id: ProfileId::random(),
                fields,
                secrets: Default::default(),
                created_at_ms: updated_at_ms,
                updated_at_ms,
            },
        };
        let name = &profile.fields.name;
        if objects.profiles.iter().any(|it| it.fields.name == *name && it.id != profile.id) {
            return Err(Fault::Taken { kind: Kind::Profile, name: name.clone() }.into());
        }
        let known = old.map(|old| (&old.fields.config, secrets(parts, old)));
        let known = known.as_ref().map(|(config, secrets)| (*config, secrets));
        profile.fields.config = unmask(profile.fields.config, known)
            .map_err(|error| Fault::Field(error.below("config")))?;
        objects.check(parts, &profile.fields)?;
        objects.check_start(parts, &profile.fields).await?;
        profile.secrets = parts.driver(&profile.fields.miner_type)?.secrets(&profile.fields.config);
        Ok(profile)
    }

    async fn write_profile(
        &self,
        objects: &Objects,
        profile: Profile,
        was_there: bool,
    ) -> Result<ProfileView, Error> {
        let parts = &self.0.parts;
        let event = if was_there { "profile.changed" } else { "profile.created" };
        let change = Catalogue { profiles: vec![profile.clone()], ..Catalogue::default() };
        parts.store.put_catalogue(change).await?;
        let told = json!({ "id": profile.id, "name": profile.fields.name });
        parts.events.publish(event, told);
        Ok(self.profile_view(objects, &profile))
    }

    /// Forgets a profile. Its miners stay as they are.
    ///
    /// # Errors
    /// [`Error::Profile`].
    pub async fn delete_profile(&self, id_or_name: &str, expected: &Expected) -> Result<(), Error> {
        let parts = &self.0.parts;
        let _changing = parts.changing.lock().await;
        let objects = Objects::load(&parts.store).await?;
        let old = objects.profile(id_or_name)?;
        expected.check(Kind::Profile, &old.fields.name, old.updated_at_ms)?;
        parts.store.remove_profile(old.id).await?;
        parts.events.publish("profile.deleted", json!({ "id": old.id, "name": old.fields.name }));
        Ok(())
    }

    /// Starts a miner from a profile: the named one, or else the first one of the profile that is
    /// stopped, or else a new one.
    ///
    /// # Errors
    /// [`Error::Profile`], [`Error::Taken`] when a miner of another origin has the name, and what
    /// [`Miners::create`] has.
    pub async fn start_profile(
        &self,
        id_or_name: &str,
        name: Option<MinerName>,
    ) -> Result<MinerView, Error> {
        let objects = Objects::load(&self.0.parts.store).await?;
        let profile = objects.profile(id_or_name)?;
        match name {
            Some(name) if self.miners_of(profile.id).contains(&name) => {
                self.start(name.as_str()).await
            }
            Some(name) => self.make_from(profile, name, Options::default()).await,
            None => match self.stopped_miner(profile.id) {
                Some(stopped) => self.start(stopped.as_str()).await,
                None => self.start_another(profile, Options::default()).await,
            },
        }
    }

    /// The first miner of a profile that the operator stopped.
    fn stopped_miner(&self, id: ProfileId) -> Option<MinerName> {
        let is_stopped = |name: &MinerName| {
            self.get(name.as_str()).is_ok_and(|miner| miner.desired == Desired::Stopped)
        };
        self.miners_of(id).into_iter().find(is_stopped)
    }

    /// Makes and starts a new miner from a profile.
    ///
    /// # Errors
    /// As for [`start_profile`](Self::start_profile).
    pub async fn create_from_profile(
        &self,
        id_or_name: &str,
        name: Option<MinerName>,
        watchdog: Options,
    ) -> Result<MinerView, Error> {
        let objects = Objects::load(&self.0.parts.store).await?;
        let profile = objects.profile(id_or_name)?;
        match name {
            Some(name) => self.make_from(profile, name, watchdog).await,
            None => self.start_another(profile, watchdog).await,
        }
    }

    async fn make_from(
        &self,
        profile: &Profile,
        name: MinerName,
        watchdog: Options,
    ) -> Result<MinerView, Error> {
        let reserved = self.reserve(name.clone())?;
        self.make(row(profile, name), watchdog, reserved).await
    }

    async fn start_another(
        &self,
        profile: &Profile,
        watchdog: Options,
    ) -> Result<MinerView, Error> {
        for name in miner_names(&profile.fields) {
            if let Ok(reserved) = self.reserve(name.clone()) {
                return self.make(row(profile, name), watchdog, reserved).await;
            }
        }
        Err(Error::Invalid("all names are taken; give one".to_owned()))
    }

    /// Makes a miner of each profile that shall have one at the start of the host and has none.
    pub(crate) async fn autostart(self) {
        let ending = self.0.ending.clone();
        ending.run_until_cancelled(self.autostart_all()).await;
    }

    async fn autostart_all(&self) {
        let objects = match Objects::load(&self.0.parts.store).await {
            Ok(objects) => objects,
            Err(error) => {
                tracing::error!(%error, "cannot read which profiles start with the host");
                return;
            }
        };
        for profile in objects.profiles.iter().filter(|it| it.fields.autostart) {
            if !self.miners_of(profile.id).is_empty() {
                continue;
            }
            let name = &profile.fields.name;
            match self.start_another(profile, Options::default()).await {
                Ok(miner) => tracing::info!(profile = name, miner = %miner.name, "autostarted"),
                Err(error) => tracing::error!(profile = name, %error, "cannot autostart"),
            }
        }
    }

    fn miners_of(&self, id: ProfileId) -> Vec<MinerName> {
        let members = self.members();
        miners_of(members.iter().map(|(name, member)| (name, member.row.profile)), id)
    }

    fn profile_view(&self, objects: &Objects, profile: &Profile) -> ProfileView {
        let parts = &self.0.parts;
        let ProfileFields { name, miner_type, config, pools, tags, autostart, restart, watchdog } =
            profile.fields.clone();
        ProfileView {
            id: profile.id,
            name,
            miner_type,
            config: mask(&config, &secrets(parts, profile)),
            pools,
            tags,
            autostart,
            restart,
            watchdog,
            miners: self.miners_of(profile.id),
            problem: objects.check(parts, &profile.fields).err().map(|error| error.to_string()),
            created_at_ms: profile.created_at_ms,
            updated_at_ms: profile.updated_at_ms,
        }
    }
}

/// A miner of `profile` that does not exist yet; its configuration is made at its start.
fn row(profile: &Profile, name: MinerName) -> MinerRow {
    MinerRow {
        name,
        driver: profile.fields.miner_type.clone(),
        config: Config::default(),
        restart: profile.fields.restart.clone(),
        profile: Some(profile.id),
        desired: Desired::Running,
        created_at_ms: moment(None),
    }
}
