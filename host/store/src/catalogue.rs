//! Wallets, pools and profiles written together: all or nothing.

use crate::{Error, PoolRow, Store, WalletRow, pool, profile, wallet};
use adit_model::profile::Profile;

/// What is to be written, new or changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalogue {
    /// Wallets, written first: pools refer to them.
    pub wallets: Vec<WalletRow>,
    /// Pools.
    pub pools: Vec<PoolRow>,
    /// Profiles.
    pub profiles: Vec<Profile>,
}

impl Store {
    /// Writes all of `catalogue` in one transaction.
    ///
    /// # Errors
    /// When the database cannot be written; nothing is then changed.
    pub async fn put_catalogue(&self, catalogue: Catalogue) -> Result<(), Error> {
        self.call(move |connection| {
            let transaction = connection.transaction()?;
            for row in &catalogue.wallets {
                wallet::put(&transaction, row)?;
            }
            for row in &catalogue.pools {
                pool::put(&transaction, row)?;
            }
            for row in &catalogue.profiles {
                profile::put(&transaction, row)?;
            }
            transaction.commit()?;
            Ok(())
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;
    use adit_model::{path::FieldPath, profile::ProfileId};

    fn catalogue() -> Catalogue {
        let wallet = serde_json::from_value(json!({ "name": "xmr", "address": "4W" })).unwrap();
        let pool = json!({
            "name": "main", "url": "a.b:1", "tls": true, "tlsFingerprint": "ab".repeat(32),
            "user": "${wallet}", "wallet": "xmr", "password": "hunter2", "coin": "XMR",
        });
        let profile = json!({
            "name": "Home / CPU", "minerType": "sim", "config": { "a": ["${worker}"] },
            "pools": ["main", { "pool": "main", "wallet": "xmr" }], "tags": ["t"],
            "autostart": true, "restart": { "crashLoopExits": 9 },
        });
        Catalogue {
            wallets: vec![WalletRow { wallet, created_at_ms: 1, updated_at_ms: 2 }],
            pools: vec![PoolRow {
                pool: serde_json::from_value(pool).unwrap(),
                created_at_ms: 3,
                updated_at_ms: 4,
            }],
            profiles: vec![Profile {
                id: ProfileId::random(),
                fields: serde_json::from_value(profile).unwrap(),
                secrets: BTreeSet::from([FieldPath::of("a").index(0)]),
                created_at_ms: 5,
                updated_at_ms: 6,
            }],
        }
    }

    async fn read(store: &Store) -> Catalogue {
        Catalogue {
            wallets: store.wallets().await.unwrap(),
            pools: store.pools().await.unwrap(),
            profiles: store.profiles().await.unwrap(),
        }
    }

    #[tokio::test]
    async fn what_is_written_is_read_and_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(folder.path().join("adit.db")).unwrap();
        let mut catalogue = catalogue();
        store.put_catalogue(catalogue.clone()).await.unwrap();
        assert_eq!(read(&store).await, catalogue);
        catalogue.wallets[0].wallet.address = "4X".to_owned();
        catalogue.pools[0].pool.password = None;
        catalogue.profiles[0].fields.autostart = false;
        catalogue.profiles[0].updated_at_ms = 7;
        store.put_catalogue(catalogue.clone()).await.unwrap();
        assert_eq!(read(&store).await, catalogue);
        assert!(store.remove_wallet(&catalogue.wallets[0].wallet.name).await.is_err(), "in use");
        store.remove_profile(catalogue.profiles[0].id).await.unwrap();
        store.remove_pool(&catalogue.pools[0].pool.name).await.unwrap();
        store.remove_wallet(&catalogue.wallets[0].wallet.name).await.unwrap();
        assert_eq!(read(&store).await, Catalogue::default());
    }

    #[tokio::test]
    async fn all_is_written_or_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(folder.path().join("adit.db")).unwrap();
        let mut catalogue = catalogue();
        let again = Profile { id: ProfileId::random(), ..catalogue.profiles[0].clone() };
        catalogue.profiles.push(again);
        assert!(store.put_catalogue(catalogue).await.is_err(), "two profiles of one name");
        assert_eq!(read(&store).await, Catalogue::default());
    }
}
