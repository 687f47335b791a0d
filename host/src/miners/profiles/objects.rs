//! All wallets, pools and profiles at one moment, and what is common to changing them.

use std::collections::{BTreeMap, BTreeSet};

use crate::miners::{
    Error, Parts, launch,
    profiles::{
        apply,
        fault::{Fault, Kind},
    },
};
use adit_drivers::{handle::Driver, schema::ConfigError};
use adit_model::{
    name::{MinerName, PoolName, WalletName},
    path::FieldPath,
    plan::mask,
    pool::{Pool, Wallet},
    profile::{Profile, ProfileFields, ProfileId, miner_names},
    references::{self, References},
    resolve::{Around, Resolved, resolve},
};
use adit_store::{Catalogue, PoolRow, Store, WalletRow};

/// A port that stands for the one that a start will find.
const SOME_PORT: u16 = 65_535;

/// Which states of something a change may begin from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected(
    /// When it was changed last, in Unix milliseconds; `None`: any state will do.
    pub Option<Vec<i64>>,
);

impl Expected {
    pub(crate) fn check(&self, kind: Kind, name: &str, updated_at_ms: i64) -> Result<(), Fault> {
        match &self.0 {
            Some(states) if !states.contains(&updated_at_ms) => {
                Err(Fault::Changed { kind, name: name.to_owned() })
            }
            _ => Ok(()),
        }
    }
}

/// All of them, as they are in the database or as they would be after a change.
#[derive(Clone, Default)]
pub(crate) struct Objects {
    pub(crate) wallets: BTreeMap<WalletName, WalletRow>,
    pub(crate) pools: BTreeMap<PoolName, PoolRow>,
    pub(crate) profiles: Vec<Profile>,
}

impl Objects {
    pub(crate) async fn load(store: &Store) -> Result<Self, Error> {
        let wallets = store.wallets().await?;
        let pools = store.pools().await?;
        Ok(Self {
            wallets: wallets.into_iter().map(|row| (row.wallet.name.clone(), row)).collect(),
            pools: pools.into_iter().map(|row| (row.pool.name.clone(), row)).collect(),
            profiles: store.profiles().await?,
        })
    }

    /// These with `change` on top.
    pub(crate) fn with(&self, change: &Catalogue) -> Self {
        let mut all = self.clone();
        for row in &change.wallets {
            all.wallets.insert(row.wallet.name.clone(), row.clone());
        }
        for row in &change.pools {
            all.pools.insert(row.pool.name.clone(), row.clone());
        }
        for profile in &change.profiles {
            all.profiles.retain(|it| it.id != profile.id);
            all.profiles.push(profile.clone());
        }
        all
    }

    pub(crate) fn wallet(&self, name: &str) -> Result<&WalletRow, Fault> {
        let found = WalletName::new(name).ok().and_then(|name| self.wallets.get(&name));
        found.ok_or_else(|| Fault::missing(Kind::Wallet, name))
    }

    pub(crate) fn pool(&self, name: &str) -> Result<&PoolRow, Fault> {
        let found = PoolName::new(name).ok().and_then(|name| self.pools.get(&name));
        found.ok_or_else(|| Fault::missing(Kind::Pool, name))
    }

    /// The profile with this id, or else of this name.
    pub(crate) fn profile(&self, id_or_name: &str) -> Result<&Profile, Fault> {
        let id = ProfileId::parse(id_or_name);
        let found = match id {
            Some(id) => self.profiles.iter().find(|it| it.id == id),
            None => self.profiles.iter().find(|it| it.fields.name == id_or_name),
        };
        found.ok_or_else(|| Fault::missing(Kind::Profile, id_or_name))
    }

    /// Fills a profile in for a start of `miner`.
    pub(crate) fn resolve(
        &self,
        parts: &Parts,
        fields: &ProfileFields,
        driver: &Driver,
        miner: &str,
        api_port: u16,
    ) -> Result<Resolved, Fault> {
        let wallets: BTreeMap<_, Wallet> =
            self.wallets.iter().map(|(name, row)| (name.clone(), row.wallet.clone())).collect();
        let pools: BTreeMap<_, Pool> =
            self.pools.iter().map(|(name, row)| (name.clone(), row.pool.clone())).collect();
        let around = Around {
            worker: &parts.options.worker,
            miner,
            api_port,
            wallets: &wallets,
            pools: &pools,
        };
        Ok(resolve(&fields.config, &fields.pools, driver.pool_slots(), &around)?)
    }

    /// Whether a miner could be started from a profile as it is, as far as its text tells.
    pub(crate) fn check(&self, parts: &Parts, fields: &ProfileFields) -> Result<(), Error> {
        let driver = parts.driver(&fields.miner_type)?;
        let miner = miner_names(fields).next().map(String::from).unwrap_or_default();
        let resolved = self.resolve(parts, fields, &driver, &miner, SOME_PORT)?;
        driver.complete(&resolved.config).map_err(Fault::Config)?;
        Ok(())
    }

    /// Refuses a profile of which the driver would start no miner. It is asked for a plan, as at a
    /// start. Only its refusal of the configuration counts: a program or a card that is missing
    /// now may be there later.
    pub(crate) async fn check_start(
        &self,
        parts: &Parts,
        profile: &ProfileFields,
    ) -> Result<(), Error> {
        let driver = parts.driver(&profile.miner_type)?;
        let Some(miner) = miner_names(profile).next() else { return Ok(()) };
        let mut resolved = self.resolve(parts, profile, &driver, miner.as_str(), SOME_PORT)?;
        resolved.secrets.extend(driver.secrets(&resolved.config));
        let config = driver.complete(&resolved.config).map_err(Fault::Config)?;
        let secrets = apply::texts(&resolved.config, &resolved.secrets);
        match launch::refusal(parts, &driver, &miner, config).await {
            Some(why) => {
                Err(Fault::Config(ConfigError { problems: vec![mask(&why, &secrets)] }).into())
            }
            None => Ok(()),
        }
    }

    /// Why a profile that can be used as `before` cannot be used any more.
    pub(crate) async fn breaks(
        &self,
        parts: &Parts,
        before: &Self,
        profile: &ProfileFields,
    ) -> Option<Error> {
        before.check(parts, profile).ok()?;
        if let Err(error) = self.check(parts, profile) {
            return Some(error);
        }
        let error = self.check_start(parts, profile).await.err()?;
        before.check_start(parts, profile).await.ok().map(|()| error)
    }

    /// Whether a profile uses a wallet or a pool of `change`, perhaps by one of its pools.
    pub(crate) fn is_touched(&self, profile: &ProfileFields, change: &Catalogue) -> bool {
        let mut used = references::of_profile(profile);
        let pools = used.pools.iter().filter_map(|name| self.pools.get(name));
        let wallets: Vec<_> =
            pools.flat_map(|row| references::of_pool(&row.pool).wallets).collect();
        used.wallets.extend(wallets);
        change.wallets.iter().any(|row| used.wallets.contains(&row.wallet.name))
            || change.pools.iter().any(|row| used.pools.contains(&row.pool.name))
    }

    /// Refuses a change of a wallet or a pool after which a profile that works now would not.
    pub(crate) async fn check_change(
        &self,
        parts: &Parts,
        (kind, name): (Kind, &str),
        change: &Catalogue,
    ) -> Result<(), Fault> {
        let after = self.with(change);
        for profile in &self.profiles {
            if !after.is_touched(&profile.fields, change) {
                continue;
            }
            if let Some(error) = after.breaks(parts, self, &profile.fields).await {
                let (name, user) = (name.to_owned(), profile.fields.name.clone());
                return Err(Fault::Breaks { kind, name, user, why: error.to_string() });
            }
        }
        Ok(())
    }

    /// Refuses the removal of something that others refer to.
    pub(crate) fn check_unused(
        &self,
        (kind, name): (Kind, &str),
        refers: impl Fn(&References) -> bool,
    ) -> Result<(), Fault> {
        let pools = self.pools.values().filter(|row| refers(&references::of_pool(&row.pool)));
        let profiles =
            self.profiles.iter().filter(|it| refers(&references::of_profile(&it.fields)));
        let pools = pools.map(|row| format!("the pool {:?}", row.pool.name.as_str()));
        let profiles = profiles.map(|it| format!("the profile {:?}", it.fields.name));
        let users: Vec<_> = pools.chain(profiles).collect();
        if users.is_empty() {
            return Ok(());
        }
        Err(Fault::Used { kind, name: name.to_owned(), users: users.join(", ") })
    }
}

/// Where the configuration of a profile has secrets: by the driver, and as far as was known when it
/// was saved.
pub(crate) fn secrets(parts: &Parts, profile: &Profile) -> BTreeSet<FieldPath> {
    let mut secrets = profile.secrets.clone();
    if let Some(driver) = parts.drivers.get(&profile.fields.miner_type) {
        secrets.extend(driver.secrets(&profile.fields.config));
    }
    secrets
}

/// The moment of a change, in Unix milliseconds: later than the last one whatever the clock says,
/// because clients tell states apart by it.
pub(crate) fn moment(last_ms: Option<i64>) -> i64 {
    let now_ms = jiff::Timestamp::now().as_millisecond();
    last_ms.map_or(now_ms, |last| now_ms.max(last.saturating_add(1)))
}

/// Names of the miners that were made from a profile.
pub(crate) fn miners_of<'a>(
    rows: impl Iterator<Item = (&'a MinerName, Option<ProfileId>)>,
    id: ProfileId,
) -> Vec<MinerName> {
    rows.filter(|(_, profile)| *profile == Some(id)).map(|(name, _)| name.clone()).collect()
}
