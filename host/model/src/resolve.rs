//! From a profile to the configuration of one start: placeholders filled in, pools put where the
//! driver takes them, and for each value where it comes from.

mod place;

use std::collections::{BTreeMap, BTreeSet};

use adit_plugin_api::Config;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    name::{PoolName, WalletName},
    path::{FieldPath, leaves},
    pool::{BadField, Pool, Wallet},
    profile::PoolChoice,
    template::{self, Part, Place, Placeholder, PoolPart},
};

/// Where a value comes from.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(tag = "from", content = "name", rename_all = "camelCase")]
pub enum Origin {
    /// The driver's defaults.
    Default,
    /// The profile's own text.
    Profile,
    /// A wallet.
    Wallet(WalletName),
    /// A pool.
    Pool(PoolName),
    /// A placeholder that the host fills in.
    Placeholder(String),
    /// The host.
    Host,
    /// The driver.
    Driver,
}

/// What a field of the driver's configuration takes of a pool.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum PoolField {
    /// `host:port`.
    Url,
    /// The same with `stratum+tcp://` or `stratum+ssl://` before it.
    Uri,
    /// The same with the scheme that was saved: none, `ssl://`, or one that demands a protocol.
    RawUri,
    /// The user name.
    User,
    /// The password.
    Password,
    /// Whether the connection is encrypted.
    Tls,
    /// SHA-256 of the certificate in hex.
    TlsFingerprint,
}

/// Where a driver's configuration takes pools.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PoolSlots {
    /// The field with a list of pools; `None`: the fields stand at the top, for one pool.
    pub list: Option<String>,
    /// The field for each part of a pool. Empty: the driver takes no pools from the host.
    pub fields: BTreeMap<PoolField, String>,
}

/// What a start happens among.
#[derive(Clone, Copy, Debug)]
pub struct Around<'a> {
    /// Name of this rig.
    pub worker: &'a str,
    /// Name of the miner.
    pub miner: &'a str,
    /// Port of the program's own API.
    pub api_port: u16,
    /// All wallets.
    pub wallets: &'a BTreeMap<WalletName, Wallet>,
    /// All pools.
    pub pools: &'a BTreeMap<PoolName, Pool>,
}

/// A pool with everything filled in.
#[derive(Clone, PartialEq, Eq)]
pub struct FilledPool {
    /// The pool.
    pub name: PoolName,
    /// `host:port`.
    pub url: String,
    /// The protocol that the scheme demands.
    pub protocol: Option<String>,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// SHA-256 of the certificate in hex.
    pub tls_fingerprint: Option<String>,
    /// The user name.
    pub user: Filled,
    /// The password. A secret.
    pub password: Option<Filled>,
    /// The wallet that was chosen.
    pub wallet: Option<WalletName>,
}

impl FilledPool {
    /// The address with the scheme that was saved.
    fn raw_uri(&self) -> String {
        let url = &self.url;
        match (self.protocol.as_deref(), self.tls) {
            (None, false) => url.clone(),
            (None, true) => format!("ssl://{url}"),
            (Some(protocol), false) => format!("{protocol}://{url}"),
            (Some(protocol), true) => format!("{protocol}+ssl://{url}"),
        }
    }
}

/// A text with everything filled in. No `Debug`: it may be a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Filled {
    /// The text.
    pub text: String,
    /// Where its parts come from, in their order, each once.
    pub origins: Vec<Origin>,
    /// Whether a secret is in it.
    is_secret: bool,
}

/// The configuration of one start.
pub struct Resolved {
    /// The configuration, without the driver's defaults.
    pub config: Config,
    /// Where each value comes from.
    pub origins: BTreeMap<FieldPath, Vec<Origin>>,
    /// Values that are secrets because of where they come from.
    pub secrets: BTreeSet<FieldPath>,
    /// The pools in order of priority.
    pub pools: Vec<FilledPool>,
}

impl Resolved {
    /// The saved wallets whose addresses are in it.
    pub fn wallets(&self) -> impl Iterator<Item = &WalletName> {
        let of_pools = self.pools.iter().flat_map(|pool| &pool.user.origins);
        self.origins.values().flatten().chain(of_pools).filter_map(|origin| match origin {
            Origin::Wallet(name) => Some(name),
            _ => None,
        })
    }
}

/// Fills in `config` and puts the chosen pools where `slots` says.
///
/// # Errors
/// The field of the profile that must change: `config.…` or `pools[…]`.
pub fn resolve(
    config: &Config,
    chosen: &[PoolChoice],
    slots: &PoolSlots,
    around: &Around<'_>,
) -> Result<Resolved, BadField> {
    let pools = { chosen.iter().enumerate() }
        .map(|(index, choice)| fill_pool(index, choice, around))
        .collect::<Result<Vec<_>, _>>()?;
    let mut work = Work {
        resolved: Resolved {
            config: Config::default(),
            origins: BTreeMap::new(),
            secrets: BTreeSet::new(),
            pools,
        },
        around,
        uses_first_pool: false,
    };
    let mut value = Value::Object(config.0.clone());
    for (path, leaf) in leaves(&Value::Object(config.0.clone())) {
        let filled = work.fill_leaf(&path, leaf)?;
        if let (Some(place), Some(filled)) = (path.get_mut(&mut value), filled) {
            *place = filled;
        }
    }
    let mut fields = match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    work.put_pools(&mut fields, chosen, slots)?;
    work.resolved.config = Config(fields);
    Ok(work.resolved)
}

fn fill_pool(
    index: usize,
    choice: &PoolChoice,
    around: &Around<'_>,
) -> Result<FilledPool, BadField> {
    let at = format!("pools[{index}]");
    let name = &choice.pool;
    let pool = around.pools.get(name).ok_or_else(|| {
        BadField::new(&at, format!("there is no pool {name}: make it first, or choose another"))
    })?;
    let wallet = choice.wallet.as_ref().or(pool.wallet.as_ref());
    let at_wallet = || format!("{at}.wallet");
    if choice.wallet.is_some() && !pool.takes_wallet() {
        let what = format!("the pool {name} has no ${{wallet}} in its user name: leave this out");
        return Err(BadField::new(at_wallet(), what));
    }
    if wallet.is_none() && pool.takes_wallet() {
        let what = format!("the pool {name} needs a wallet: name one here or in the pool");
        return Err(BadField::new(at_wallet(), what));
    }
    if let Some(wallet) = wallet {
        let found = around.wallets.get(wallet).ok_or_else(|| no_wallet(at_wallet(), wallet))?;
        if let (Some(of_pool), Some(of_wallet)) = (&pool.coin, &found.coin)
            && !of_pool.eq_ignore_ascii_case(of_wallet)
        {
            let what = format!(
                "the wallet {wallet} is of {of_wallet} and the pool {name} of {of_pool}: what is \
                 mined there would be lost"
            );
            return Err(BadField::new(at_wallet(), what));
        }
    }
    let fill = |text: &str| fill_pool_text(text, pool, wallet, around, &at);
    Ok(FilledPool {
        name: name.clone(),
        url: pool.url.clone(),
        protocol: pool.protocol.clone(),
        tls: pool.tls,
        tls_fingerprint: pool.tls_fingerprint.clone(),
        user: fill(pool.user_template())?,
        password: pool.password.as_deref().map(fill).transpose()?,
        wallet: wallet.cloned(),
    })
}

fn fill_pool_text(
    text: &str,
    pool: &Pool,
    wallet: Option<&WalletName>,
    around: &Around<'_>,
    at: &str,
) -> Result<Filled, BadField> {
    let mut filled = Filled::empty();
    let parts = template::parse(text, Place::Pool);
    for part in parts.map_err(|what| BadField::new(at, what))? {
        match part {
            Part::Text(text) => filled.push(&text, Origin::Pool(pool.name.clone())),
            Part::Placeholder(Placeholder::ChosenWallet) => {
                if let Some(wallet) = wallet {
                    filled.push_wallet(wallet, around, at)?;
                }
            }
            Part::Placeholder(Placeholder::Wallet(wallet)) => {
                filled.push_wallet(&wallet, around, at)?;
            }
            Part::Placeholder(Placeholder::Worker) => filled.push_named(around.worker, "worker"),
            Part::Placeholder(Placeholder::Miner) => filled.push_named(around.miner, "miner"),
            Part::Placeholder(_) => {}
        }
    }
    Ok(filled)
}

fn no_wallet(path: impl Into<String>, wallet: &WalletName) -> BadField {
    BadField::new(path, format!("there is no wallet {wallet}: make it first, or choose another"))
}

impl Filled {
    fn empty() -> Self {
        Self { text: String::new(), origins: Vec::new(), is_secret: false }
    }

    fn push(&mut self, text: &str, origin: Origin) {
        self.text.push_str(text);
        if !self.origins.contains(&origin) {
            self.origins.push(origin);
        }
    }

    fn push_named(&mut self, text: &str, placeholder: &str) {
        self.push(text, Origin::Placeholder(placeholder.to_owned()));
    }

    fn push_wallet(
        &mut self,
        name: &WalletName,
        around: &Around<'_>,
        at: &str,
    ) -> Result<(), BadField> {
        let wallet = around.wallets.get(name).ok_or_else(|| no_wallet(at, name))?;
        self.push(&wallet.address, Origin::Wallet(name.clone()));
        Ok(())
    }

    fn push_all(&mut self, other: &Self) {
        self.text.push_str(&other.text);
        for origin in &other.origins {
            if !self.origins.contains(origin) {
                self.origins.push(origin.clone());
            }
        }
    }
}

struct Work<'a> {
    resolved: Resolved,
    around: &'a Around<'a>,
    uses_first_pool: bool,
}

impl Work<'_> {
    /// The new value of a leaf of the configuration, if it changes.
    fn fill_leaf(&mut self, path: &FieldPath, leaf: &Value) -> Result<Option<Value>, BadField> {
        let Some(text) = leaf.as_str().filter(|text| !template::is_plain(text)) else {
            self.resolved.origins.insert(path.clone(), vec![Origin::Profile]);
            return Ok(None);
        };
        let at = format!("config.{path}");
        let parts = template::parse(text, Place::Config);
        let parts = parts.map_err(|what| BadField::new(&at, what))?;
        let mut filled = Filled::empty();
        for part in &parts {
            self.fill_part(part, &mut filled, &at)?;
        }
        self.resolved.origins.insert(path.clone(), filled.origins);
        if filled.is_secret {
            self.resolved.secrets.insert(path.clone());
        }
        let is_number = matches!(
            parts.as_slice(),
            [Part::Placeholder(Placeholder::ApiPort | Placeholder::FirstPool(PoolPart::Port))]
        );
        let number = filled.text.parse::<u16>().ok().filter(|_| is_number);
        Ok(Some(number.map_or_else(|| Value::from(filled.text), Value::from)))
    }

    fn fill_part(&mut self, part: &Part, filled: &mut Filled, at: &str) -> Result<(), BadField> {
        match part {
            Part::Text(text) => filled.push(text, Origin::Profile),
            Part::Placeholder(Placeholder::Worker) => {
                filled.push_named(self.around.worker, "worker");
            }
            Part::Placeholder(Placeholder::Miner) => filled.push_named(self.around.miner, "miner"),
            Part::Placeholder(Placeholder::ApiPort) => {
                filled.push_named(&self.around.api_port.to_string(), "api.port");
            }
            Part::Placeholder(Placeholder::Wallet(name)) => {
                filled.push_wallet(name, self.around, at)?;
            }
            Part::Placeholder(Placeholder::ChosenWallet) => {}
            Part::Placeholder(Placeholder::Pool(name)) => {
                let pool = self.around.pools.get(name).ok_or_else(|| {
                    let what = format!("there is no pool {name}: make it first");
                    BadField::new(at, what)
                })?;
                filled.push(&pool.url, Origin::Pool(name.clone()));
            }
            Part::Placeholder(Placeholder::FirstPool(part)) => {
                self.uses_first_pool = true;
                self.fill_pool_part(*part, filled, at)?;
            }
        }
        Ok(())
    }

    fn fill_pool_part(
        &self,
        part: PoolPart,
        filled: &mut Filled,
        at: &str,
    ) -> Result<(), BadField> {
        let first = self.resolved.pools.first().ok_or_else(|| {
            BadField::new(at, "refers to the profile's first pool, and it has none: fill in pools")
        })?;
        let origin = Origin::Pool(first.name.clone());
        let (host, port) = first.url.rsplit_once(':').unwrap_or((&first.url, ""));
        match part {
            PoolPart::Url => filled.push(&first.url, origin),
            PoolPart::Host => filled.push(host, origin),
            PoolPart::Port => filled.push(port, origin),
            PoolPart::User => filled.push_all(&first.user),
            PoolPart::Password => {
                let password = first.password.as_ref().ok_or_else(|| {
                    let what = format!("the pool {} has no password", first.name);
                    BadField::new(at, what)
                })?;
                filled.push_all(password);
                filled.is_secret = true;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
