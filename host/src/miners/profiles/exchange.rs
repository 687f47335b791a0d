//! Profiles, wallets and pools as one document: to keep, to send to another rig, to change by hand.
//!
//! The document has no secrets; `***` stands where one is.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::miners::{
    Error, Miners,
    profiles::{
        PoolChange,
        fault::{Fault, Kind},
        objects::{Objects, moment, secrets},
        pools::check_wallets,
    },
};
use adit_model::{
    plan::MASK,
    pool::{BadField, Pool, Wallet},
    profile::{Profile, ProfileFields, ProfileId},
    secrets::{mask, unmask},
};
use adit_store::{Catalogue, PoolRow, WalletRow};

/// The form of the document that this version writes and reads.
const FORM: u32 = 1;

/// Profiles with the wallets and pools that they refer to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// Number of the document's form.
    pub adit: u32,
    /// Wallets.
    #[serde(default)]
    pub wallets: Vec<Wallet>,
    /// Pools; `***` stands for a password.
    #[serde(default)]
    pub pools: Vec<Pool>,
    /// Profiles; `***` stands for a secret.
    #[serde(default)]
    pub profiles: Vec<ProfileFields>,
}

impl Document {
    /// The document as TOML.
    ///
    /// # Errors
    /// A sentence, when it holds what TOML cannot say, such as `null`.
    pub fn to_toml(&self) -> Result<String, String> {
        toml::to_string_pretty(self)
            .map_err(|error| format!("TOML cannot say this document ({error}): take JSON"))
    }
}

/// What happens to something of the document whose name is taken by something that differs.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Conflicts {
    /// Nothing is imported at all.
    #[default]
    Refuse,
    /// What is there stays.
    Skip,
    /// What is there is changed.
    Replace,
}

/// What an import did, or would do: names by what happened to them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Imported {
    /// Whether nothing was changed because it was only a trial.
    pub dry_run: bool,
    /// Wallets.
    pub wallets: Fates,
    /// Pools.
    pub pools: Fates,
    /// Profiles.
    pub profiles: Fates,
}

/// What happened to things of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Fates {
    /// New.
    pub created: Vec<String>,
    /// There before, and changed.
    pub replaced: Vec<String>,
    /// There before, different, and left as they were.
    pub skipped: Vec<String>,
    /// There before, and the same.
    pub unchanged: Vec<String>,
}

enum Fate {
    Create,
    Replace,
    Leave,
}

impl Miners {
    /// All profiles, wallets and pools, without secrets.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn export(&self) -> Result<Document, Error> {
        let parts = &self.0.parts;
        let objects = Objects::load(&parts.store).await?;
        let hidden = |profile: &Profile| ProfileFields {
            config: mask(&profile.fields.config, &secrets(parts, profile)),
            ..profile.fields.clone()
        };
        let profiles = objects.profiles.iter().map(hidden).collect();
        let pools = objects.pools.into_values().map(|row| Pool {
            password: row.pool.password.as_ref().map(|_| MASK.to_owned()),
            ..row.pool
        });
        let wallets = objects.wallets.into_values().map(|row| row.wallet);
        Ok(Document { adit: FORM, wallets: wallets.collect(), pools: pools.collect(), profiles })
    }

    /// Takes a document in: all of it or nothing.
    ///
    /// # Errors
    /// The first thing of it that cannot be taken, by its place in the document.
    pub async fn import(
        &self,
        document: Document,
        conflicts: Conflicts,
        dry_run: bool,
    ) -> Result<Imported, Error> {
        if document.adit != FORM {
            let what = format!("is not a form that this version knows: it reads {FORM}");
            return Err(Fault::from(BadField::new("adit", what)).into());
        }
        let parts = &self.0.parts;
        let _changing = parts.changing.lock().await;
        let objects = Objects::load(&parts.store).await?;
        let mut import = Import {
            miners: self,
            objects: &objects,
            conflicts,
            change: Catalogue::default(),
            done: Imported { dry_run, ..Imported::default() },
            in_the_way: Vec::new(),
        };
        import.wallets(document.wallets)?;
        import.pools(document.pools)?;
        let places = import.profiles(document.profiles)?;
        if !import.in_the_way.is_empty() {
            let names = import.in_the_way.join(", ");
            return Err(Fault::InTheWay { names }.into());
        }
        import.check(&places).await?;
        let Import { change, done, .. } = import;
        if !dry_run {
            parts.store.put_catalogue(change).await?;
            parts.events.publish("profile.imported", json!(done));
        }
        Ok(done)
    }
}

struct Import<'a> {
    miners: &'a Miners,
    objects: &'a Objects,
    conflicts: Conflicts,
    change: Catalogue,
    done: Imported,
    in_the_way: Vec<String>,
}

impl Import<'_> {
    /// Decides about one thing; `same`: there is one of its name, and whether it is equal.
    fn decide(&mut self, kind: Kind, name: &str, same: Option<bool>) -> Fate {
        let fates = match kind {
            Kind::Wallet => &mut self.done.wallets,
            Kind::Pool => &mut self.done.pools,
            Kind::Profile => &mut self.done.profiles,
        };
        let (names, fate) = match (same, self.conflicts) {
            (None, _) => (&mut fates.created, Fate::Create),
            (Some(true), _) => (&mut fates.unchanged, Fate::Leave),
            (Some(false), Conflicts::Replace) => (&mut fates.replaced, Fate::Replace),
            (Some(false), Conflicts::Skip) => (&mut fates.skipped, Fate::Leave),
            (Some(false), Conflicts::Refuse) => {
                self.in_the_way.push(format!("the {kind} {name:?}"));
                (&mut fates.skipped, Fate::Leave)
            }
        };
        names.push(name.to_owned());
        fate
    }

    fn wallets(&mut self, wallets: Vec<Wallet>) -> Result<(), Fault> {
        for (index, wallet) in wallets.into_iter().enumerate() {
            let at = format!("wallets[{index}]");
            wallet.check().map_err(|error| error.below(&at))?;
            if self.change.wallets.iter().any(|it| it.wallet.name == wallet.name) {
                return Err(twice(&at));
            }
            let old = self.objects.wallets.get(&wallet.name);
            let same = old.map(|old| old.wallet == wallet);
            if let Fate::Leave = self.decide(Kind::Wallet, wallet.name.as_str(), same) {
                continue;
            }
            let updated_at_ms = moment(old.map(|it| it.updated_at_ms));
            let created_at_ms = old.map_or(updated_at_ms, |it| it.created_at_ms);
            self.change.wallets.push(WalletRow { wallet, created_at_ms, updated_at_ms });
        }
        Ok(())
    }

    fn pools(&mut self, pools: Vec<Pool>) -> Result<(), Fault> {
        for (index, mut pool) in pools.into_iter().enumerate() {
            let at = format!("pools[{index}]");
            if self.change.pools.iter().any(|it| it.pool.name == pool.name) {
                return Err(twice(&at));
            }
            let old = self.objects.pools.get(&pool.name);
            let known = old.and_then(|old| old.pool.password.as_ref());
            if pool.password.as_deref() == Some(MASK) && known.is_some() {
                pool.password = known.cloned();
            }
            let is_skipped = old.is_some() && self.conflicts == Conflicts::Skip;
            let no_password = pool.password.is_none();
            let change = PoolChange { pool, no_password };
            let pool = match change.over(None) {
                Ok(pool) => pool,
                Err(_) if is_skipped => {
                    let name = old.map_or("", |old| old.pool.name.as_str());
                    self.decide(Kind::Pool, name, Some(false));
                    continue;
                }
                Err(error) => return Err(error.below(&at)),
            };
            let same = old.map(|old| old.pool == pool);
            if let Fate::Leave = self.decide(Kind::Pool, pool.name.as_str(), same) {
                continue;
            }
            let updated_at_ms = moment(old.map(|it| it.updated_at_ms));
            let created_at_ms = old.map_or(updated_at_ms, |it| it.created_at_ms);
            self.change.pools.push(PoolRow { pool, created_at_ms, updated_at_ms });
        }
        Ok(())
    }

    /// Returns the place in the document of each profile that is written.
    fn profiles(&mut self, profiles: Vec<ProfileFields>) -> Result<Vec<String>, Error> {
        let parts = &self.miners.0.parts;
        let mut places = Vec::new();
        for (index, fields) in profiles.into_iter().enumerate() {
            let at = format!("profiles[{index}]");
            let mut fields = fields.tidy().map_err(|error| Fault::from(error.below(&at)))?;
            if self.change.profiles.iter().any(|it| it.fields.name == fields.name) {
                return Err(twice(&at).into());
            }
            let old = self.objects.profile(&fields.name).ok();
            let known = old.map(|old| (&old.fields.config, secrets(parts, old)));
            let known = known.as_ref().map(|(config, secrets)| (*config, secrets));
            match unmask(fields.config.clone(), known) {
                Ok(config) => fields.config = config,
                Err(_) if old.is_some() && self.conflicts == Conflicts::Skip => {
                    self.decide(Kind::Profile, &fields.name, Some(false));
                    continue;
                }
                Err(error) => {
                    return Err(Fault::from(error.below(&format!("{at}.config"))).into());
                }
            }
            let same = old.map(|old| old.fields == fields);
            if let Fate::Leave = self.decide(Kind::Profile, &fields.name, same) {
                continue;
            }
            if let Some(old) = old {
                self.miners.check_miner_type(old, &fields)?;
            }
            let driver = parts.drivers.get(&fields.miner_type);
            let updated_at_ms = moment(old.map(|it| it.updated_at_ms));
            self.change.profiles.push(Profile {
                id: old.map_or_else(ProfileId::random, |it| it.id),
                secrets: driver.map(|it| it.secrets(&fields.config)).unwrap_or_default(),
                fields,
                created_at_ms: old.map_or(updated_at_ms, |it| it.created_at_ms),
                updated_at_ms,
            });
            places.push(at);
        }
        Ok(places)
    }

    /// Whether all that there would be fits together.
    async fn check(&self, places: &[String]) -> Result<(), Error> {
        let parts = &self.miners.0.parts;
        let after = self.objects.with(&self.change);
        for row in after.pools.values() {
            let at = format!("the pool {}", row.pool.name);
            check_wallets(&after, &row.pool).map_err(|error| error.below(&at))?;
        }
        for (profile, at) in self.change.profiles.iter().zip(places) {
            let checked = match after.check(parts, &profile.fields) {
                Ok(()) => after.check_start(parts, &profile.fields).await,
                refused => refused,
            };
            match checked {
                Ok(()) => {}
                Err(Error::Profile(fault)) => return Err(fault.below(at).into()),
                Err(error) => return Err(Fault::from(BadField::new(at, error.to_string())).into()),
            }
        }
        let is_imported = |id| self.change.profiles.iter().any(|it| it.id == id);
        for profile in self.objects.profiles.iter().filter(|it| !is_imported(it.id)) {
            if !after.is_touched(&profile.fields, &self.change) {
                continue;
            }
            if let Some(error) = after.breaks(parts, self.objects, &profile.fields).await {
                let at = format!("the profile {:?} that is here", profile.fields.name);
                let what = format!("could not be used any more ({error})");
                return Err(Fault::from(BadField::new(at, what)).into());
            }
        }
        Ok(())
    }
}

fn twice(at: &str) -> Fault {
    BadField::new(format!("{at}.name"), "is there twice").into()
}
