//! Pools by name.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::miners::{
    Error, Miners,
    profiles::{
        fault::{Fault, Kind},
        objects::{Expected, Objects, moment},
    },
};
use adit_model::{
    plan::MASK,
    pool::{BadField, Pool},
    references::References,
};
use adit_store::{Catalogue, PoolRow};

/// A pool in lists and details, without its password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PoolView {
    /// The pool; its password is absent.
    #[serde(flatten)]
    pub pool: Pool,
    /// Whether it has a password.
    pub password_set: bool,
    /// When it was made, in Unix milliseconds.
    pub created_at_ms: i64,
    /// When it was changed last, in Unix milliseconds. Its `ETag` is made of it.
    pub updated_at_ms: i64,
}

impl From<PoolRow> for PoolView {
    fn from(row: PoolRow) -> Self {
        let PoolRow { mut pool, created_at_ms, updated_at_ms } = row;
        let password_set = pool.password.take().is_some();
        Self { pool, password_set, created_at_ms, updated_at_ms }
    }
}

/// What a pool shall be.
#[derive(Clone, Debug)]
pub struct PoolChange {
    /// The pool. Without a password, or with `***`, it keeps the one it has.
    pub pool: Pool,
    /// Whether the password is to be forgotten.
    pub no_password: bool,
}

impl Miners {
    /// All pools, by name.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn pools(&self) -> Result<Vec<PoolView>, Error> {
        let rows = self.0.parts.store.pools().await?;
        Ok(rows.into_iter().map(PoolView::from).collect())
    }

    /// One pool.
    ///
    /// # Errors
    /// [`Fault::Missing`].
    pub async fn pool(&self, name: &str) -> Result<PoolView, Error> {
        let objects = Objects::load(&self.0.parts.store).await?;
        Ok(objects.pool(name)?.clone().into())
    }

    /// Saves a new pool.
    ///
    /// # Errors
    /// [`Error::Profile`]; nothing is saved then.
    pub async fn create_pool(&self, change: PoolChange) -> Result<PoolView, Error> {
        let _changing = self.0.parts.changing.lock().await;
        let objects = Objects::load(&self.0.parts.store).await?;
        let name = &change.pool.name;
        if objects.pools.contains_key(name) {
            return Err(Fault::Taken { kind: Kind::Pool, name: name.to_string() }.into());
        }
        let now_ms = moment(None);
        let pool = change.over(None)?;
        let row = PoolRow { pool, created_at_ms: now_ms, updated_at_ms: now_ms };
        self.save_pool(&objects, row, "pool.created").await
    }

    /// Changes a pool. Miners notice at their next start.
    ///
    /// # Errors
    /// [`Error::Profile`]; nothing is changed then.
    pub async fn put_pool(
        &self,
        change: PoolChange,
        expected: &Expected,
    ) -> Result<PoolView, Error> {
        let _changing = self.0.parts.changing.lock().await;
        let objects = Objects::load(&self.0.parts.store).await?;
        let old = objects.pool(change.pool.name.as_str())?;
        expected.check(Kind::Pool, old.pool.name.as_str(), old.updated_at_ms)?;
        let updated_at_ms = moment(Some(old.updated_at_ms));
        let pool = change.over(Some(&old.pool))?;
        let row = PoolRow { pool, created_at_ms: old.created_at_ms, updated_at_ms };
        self.save_pool(&objects, row, "pool.changed").await
    }

    async fn save_pool(
        &self,
        objects: &Objects,
        row: PoolRow,
        event: &str,
    ) -> Result<PoolView, Error> {
        check_wallets(objects, &row.pool)?;
        let name = row.pool.name.clone();
        let change = Catalogue { pools: vec![row.clone()], ..Catalogue::default() };
        objects.check_change(&self.0.parts, (Kind::Pool, name.as_str()), &change).await?;
        self.0.parts.store.put_catalogue(change).await?;
        self.0.parts.events.publish(event, json!({ "name": name }));
        Ok(row.into())
    }

    /// Forgets a pool to which nothing refers.
    ///
    /// # Errors
    /// [`Error::Profile`].
    pub async fn delete_pool(&self, name: &str, expected: &Expected) -> Result<(), Error> {
        let parts = &self.0.parts;
        let _changing = parts.changing.lock().await;
        let objects = Objects::load(&parts.store).await?;
        let old = objects.pool(name)?;
        expected.check(Kind::Pool, name, old.updated_at_ms)?;
        let name = &old.pool.name;
        let refers = |it: &References| it.pools.contains(name);
        objects.check_unused((Kind::Pool, name.as_str()), refers)?;
        parts.store.remove_pool(name).await?;
        parts.events.publish("pool.deleted", json!({ "name": name }));
        Ok(())
    }
}

impl PoolChange {
    /// The pool with the password that it keeps, in its one form.
    pub(crate) fn over(self, old: Option<&Pool>) -> Result<Pool, Fault> {
        let Self { mut pool, no_password } = self;
        let kept = old.and_then(|old| old.password.clone());
        match pool.password.as_deref() {
            _ if no_password => pool.password = None,
            Some(MASK) if kept.is_none() => {
                let what =
                    "*** stands for a secret that is not known here: write the secret itself";
                return Err(BadField::new("password", what).into());
            }
            Some(MASK) | None => pool.password = kept,
            Some(_) => {}
        }
        Ok(pool.tidy()?)
    }
}

/// Refuses a pool that names a wallet that does not exist or is of another coin.
pub(crate) fn check_wallets(objects: &Objects, pool: &Pool) -> Result<(), Fault> {
    for (field, name) in pool.wallets() {
        let Some(row) = objects.wallets.get(&name) else {
            let what = format!("there is no wallet {name}: make it first, or choose another");
            return Err(BadField::new(field, what).into());
        };
        if let (Some(of_pool), Some(of_wallet)) = (&pool.coin, &row.wallet.coin)
            && !of_pool.eq_ignore_ascii_case(of_wallet)
        {
            let what = format!("the wallet {name} is of {of_wallet} and the pool of {of_pool}");
            return Err(BadField::new(field, what).into());
        }
    }
    Ok(())
}
