//! Which wallets and pools a profile refers to.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    name::{PoolName, WalletName},
    path::leaves,
    pool::Pool,
    profile::ProfileFields,
    template::{self, Part, Place, Placeholder},
};

/// What something refers to by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct References {
    /// Wallets.
    pub wallets: BTreeSet<WalletName>,
    /// Pools.
    pub pools: BTreeSet<PoolName>,
}

/// What `profile` itself refers to, without what its pools refer to.
pub fn of_profile(profile: &ProfileFields) -> References {
    let mut found = References::default();
    for choice in &profile.pools {
        found.pools.insert(choice.pool.clone());
        found.wallets.extend(choice.wallet.clone());
    }
    let config = Value::Object(profile.config.0.clone());
    for (_, leaf) in leaves(&config) {
        let text = leaf.as_str().unwrap_or_default();
        for part in template::parse(text, Place::Config).unwrap_or_default() {
            match part {
                Part::Placeholder(Placeholder::Wallet(name)) => {
                    found.wallets.insert(name);
                }
                Part::Placeholder(Placeholder::Pool(name)) => {
                    found.pools.insert(name);
                }
                _ => {}
            }
        }
    }
    found
}

/// What `pool` refers to.
pub fn of_pool(pool: &Pool) -> References {
    let wallets = pool.wallets().into_iter().map(|(_, name)| name).collect();
    References { wallets, pools: BTreeSet::new() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_name_is_found() {
        let profile = json!({
            "name": "cpu", "minerType": "sim",
            "config": { "a": ["${wallet.a}-${pool.p}"], "b": "$${wallet.not}", "c": "${pool.url}" },
            "pools": ["q", { "pool": "r", "wallet": "b" }],
        });
        let found = of_profile(&serde_json::from_value(profile).unwrap());
        let wallets: Vec<_> = found.wallets.iter().map(WalletName::as_str).collect();
        let pools: Vec<_> = found.pools.iter().map(PoolName::as_str).collect();
        assert_eq!((wallets.join(" "), pools.join(" ")), ("a b".to_owned(), "p q r".to_owned()));
    }
}
