//! Table `wallet`.

use rusqlite::{Connection, params};

use crate::{Error, Store, miner::parsed};
use adit_model::{name::WalletName, pool::Wallet};

/// A wallet as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalletRow {
    /// The wallet.
    pub wallet: Wallet,
    /// When it was made, in Unix milliseconds.
    pub created_at_ms: i64,
    /// When it was changed last, in Unix milliseconds.
    pub updated_at_ms: i64,
}

impl Store {
    /// All wallets, by name.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn wallets(&self) -> Result<Vec<WalletRow>, Error> {
        self.call(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT name, coin, address, created_at_ms, updated_at_ms
                 FROM wallet ORDER BY name",
            )?;
            let rows = statement.query_map([], |row| {
                let name = parsed(row, 0, |text| WalletName::new(text))?;
                let wallet = Wallet { name, coin: row.get(1)?, address: row.get(2)? };
                Ok(WalletRow { wallet, created_at_ms: row.get(3)?, updated_at_ms: row.get(4)? })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Forgets a wallet, to which nothing may refer.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn remove_wallet(&self, name: &WalletName) -> Result<(), Error> {
        let name = name.clone();
        self.call(move |connection| {
            connection.execute("DELETE FROM wallet WHERE name = ?1", [name.as_str()])?;
            Ok(())
        })
        .await
    }
}

pub(super) fn put(connection: &Connection, row: &WalletRow) -> rusqlite::Result<()> {
    connection.execute(
        "INSERT INTO wallet (name, coin, address, created_at_ms, updated_at_ms)
         VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (name) DO UPDATE SET
            coin = excluded.coin, address = excluded.address,
            updated_at_ms = excluded.updated_at_ms",
        params![
            row.wallet.name.as_str(),
            row.wallet.coin,
            row.wallet.address,
            row.created_at_ms,
            row.updated_at_ms
        ],
    )?;
    Ok(())
}
