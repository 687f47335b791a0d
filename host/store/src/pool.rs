//! Table `pool`.

use rusqlite::{Connection, Row, params};

use crate::{Error, Store, miner::parsed};
use adit_model::{
    name::{PoolName, WalletName},
    pool::Pool,
};

/// A pool as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolRow {
    /// The pool, with its password.
    pub pool: Pool,
    /// When it was made, in Unix milliseconds.
    pub created_at_ms: i64,
    /// When it was changed last, in Unix milliseconds.
    pub updated_at_ms: i64,
}

impl Store {
    /// All pools, by name.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn pools(&self) -> Result<Vec<PoolRow>, Error> {
        self.call(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT name, coin, url, tls, tls_fingerprint, user, wallet, password,
                        created_at_ms, updated_at_ms, protocol
                 FROM pool ORDER BY name",
            )?;
            let rows = statement.query_map([], read)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Forgets a pool.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn remove_pool(&self, name: &PoolName) -> Result<(), Error> {
        let name = name.clone();
        self.call(move |connection| {
            connection.execute("DELETE FROM pool WHERE name = ?1", [name.as_str()])?;
            Ok(())
        })
        .await
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<PoolRow> {
    let wallet: Option<String> = row.get(6)?;
    let pool = Pool {
        name: parsed(row, 0, |text| PoolName::new(text))?,
        coin: row.get(1)?,
        url: row.get(2)?,
        protocol: row.get(10)?,
        tls: row.get(3)?,
        tls_fingerprint: row.get(4)?,
        user: row.get(5)?,
        wallet: wallet.map(|_| parsed(row, 6, |text| WalletName::new(text))).transpose()?,
        password: row.get(7)?,
    };
    Ok(PoolRow { pool, created_at_ms: row.get(8)?, updated_at_ms: row.get(9)? })
}

pub(super) fn put(connection: &Connection, row: &PoolRow) -> rusqlite::Result<()> {
    let pool = &row.pool;
    connection.execute(
        "INSERT INTO pool (name, coin, url, tls, tls_fingerprint, user, wallet, password,
                           created_at_ms, updated_at_ms, protocol)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
         ON CONFLICT (name) DO UPDATE SET
            coin = excluded.coin, url = excluded.url, tls = excluded.tls,
            tls_fingerprint = excluded.tls_fingerprint, user = excluded.user,
            wallet = excluded.wallet, password = excluded.password,
            updated_at_ms = excluded.updated_at_ms, protocol = excluded.protocol",
        params![
            pool.name.as_str(),
            pool.coin,
            pool.url,
            pool.tls,
            pool.tls_fingerprint,
            pool.user,
            pool.wallet.as_ref().map(WalletName::as_str),
            pool.password,
            row.created_at_ms,
            row.updated_at_ms,
            pool.protocol
        ],
    )?;
    Ok(())
}
