//! Wallets by name.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::miners::{
    Error, Miners,
    profiles::{
        fault::{Fault, Kind},
        objects::{Expected, Objects, moment},
    },
};
use adit_model::pool::Wallet;
use adit_store::{Catalogue, WalletRow};

/// A wallet in lists and details.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WalletView {
    /// The wallet.
    #[serde(flatten)]
    pub wallet: Wallet,
    /// When it was made, in Unix milliseconds.
    pub created_at_ms: i64,
    /// When it was changed last, in Unix milliseconds. Its `ETag` is made of it.
    pub updated_at_ms: i64,
}

impl From<WalletRow> for WalletView {
    fn from(row: WalletRow) -> Self {
        let WalletRow { wallet, created_at_ms, updated_at_ms } = row;
        Self { wallet, created_at_ms, updated_at_ms }
    }
}

impl Miners {
    /// All wallets, by name.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn wallets(&self) -> Result<Vec<WalletView>, Error> {
        let rows = self.0.parts.store.wallets().await?;
        Ok(rows.into_iter().map(WalletView::from).collect())
    }

    /// One wallet.
    ///
    /// # Errors
    /// [`Fault::Missing`].
    pub async fn wallet(&self, name: &str) -> Result<WalletView, Error> {
        let objects = Objects::load(&self.0.parts.store).await?;
        Ok(objects.wallet(name)?.clone().into())
    }

    /// Saves a new wallet.
    ///
    /// # Errors
    /// [`Error::Profile`]; nothing is saved then.
    pub async fn create_wallet(&self, wallet: Wallet) -> Result<WalletView, Error> {
        let _changing = self.0.parts.changing.lock().await;
        let objects = Objects::load(&self.0.parts.store).await?;
        if objects.wallets.contains_key(&wallet.name) {
            let name = wallet.name.to_string();
            return Err(Fault::Taken { kind: Kind::Wallet, name }.into());
        }
        let now_ms = moment(None);
        let row = WalletRow { wallet, created_at_ms: now_ms, updated_at_ms: now_ms };
        self.save_wallet(&objects, row, "wallet.created").await
    }

    /// Changes a wallet. Miners notice at their next start.
    ///
    /// # Errors
    /// [`Error::Profile`]; nothing is changed then.
    pub async fn put_wallet(
        &self,
        wallet: Wallet,
        expected: &Expected,
    ) -> Result<WalletView, Error> {
        let _changing = self.0.parts.changing.lock().await;
        let objects = Objects::load(&self.0.parts.store).await?;
        let old = objects.wallet(wallet.name.as_str())?;
        expected.check(Kind::Wallet, wallet.name.as_str(), old.updated_at_ms)?;
        let updated_at_ms = moment(Some(old.updated_at_ms));
        let row = WalletRow { wallet, created_at_ms: old.created_at_ms, updated_at_ms };
        self.save_wallet(&objects, row, "wallet.changed").await
    }

    async fn save_wallet(
        &self,
        objects: &Objects,
        row: WalletRow,
        event: &str,
    ) -> Result<WalletView, Error> {
        row.wallet.check().map_err(Fault::from)?;
        let name = row.wallet.name.clone();
        let change = Catalogue { wallets: vec![row.clone()], ..Catalogue::default() };
        objects.check_change(&self.0.parts, (Kind::Wallet, name.as_str()), &change).await?;
        self.0.parts.store.put_catalogue(change).await?;
        self.0.parts.events.publish(event, json!({ "name": name }));
        Ok(row.into())
    }

    /// Forgets a wallet to which nothing refers.
    ///
    /// # Errors
    /// [`Error::Profile`].
    pub async fn delete_wallet(&self, name: &str, expected: &Expected) -> Result<(), Error> {
        let parts = &self.0.parts;
        let _changing = parts.changing.lock().await;
        let objects = Objects::load(&parts.store).await?;
        let old = objects.wallet(name)?;
        expected.check(Kind::Wallet, name, old.updated_at_ms)?;
        let name = &old.wallet.name;
        let refers = |it: &adit_model::references::References| it.wallets.contains(name);
        objects.check_unused((Kind::Wallet, name.as_str()), refers)?;
        parts.store.remove_wallet(name).await?;
        parts.events.publish("wallet.deleted", json!({ "name": name }));
        Ok(())
    }
}
