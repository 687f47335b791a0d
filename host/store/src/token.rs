//! Table `token`: who may use the REST API. Only hashes are kept.

use rusqlite::params;

use crate::{Error, Store};
use adit_model::access::Role;

/// A token, as far as the database knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRow {
    /// Its id.
    pub id: String,
    /// Its name, unique.
    pub name: String,
    /// What it allows.
    pub role: Role,
    /// SHA-256 of the token.
    pub hash: [u8; 32],
    /// Unix milliseconds.
    pub created_at_ms: i64,
    /// Unix milliseconds; absent: never.
    pub expires_at_ms: Option<i64>,
}

impl Store {
    /// All tokens, by name.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn tokens(&self) -> Result<Vec<TokenRow>, Error> {
        self.call(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, name, role, hash, created_at_ms, expires_at_ms
                 FROM token ORDER BY name",
            )?;
            let rows = statement.query_map([], |row| {
                let role: String = row.get(2)?;
                Ok(TokenRow {
                    id: row.get(0)?,
                    name: row.get(1)?,
                    // The table's own check allows these three only; view is the weakest.
                    role: role.parse().unwrap_or(Role::View),
                    hash: row.get(3)?,
                    created_at_ms: row.get(4)?,
                    expires_at_ms: row.get(5)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Adds a token. `false`: its name is taken and nothing was written.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn add_token(&self, row: TokenRow) -> Result<bool, Error> {
        self.call(move |connection| {
            let added = connection.execute(
                "INSERT INTO token (id, name, role, hash, created_at_ms, expires_at_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (name) DO NOTHING",
                params![
                    row.id,
                    row.name,
                    row.role.as_str(),
                    row.hash,
                    row.created_at_ms,
                    row.expires_at_ms
                ],
            )?;
            Ok(added == 1)
        })
        .await
    }

    /// Removes the token with this id or name. `false`: there is none.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn remove_token(&self, id_or_name: &str) -> Result<bool, Error> {
        let key = id_or_name.to_owned();
        self.call(move |connection| {
            let removed = connection.execute(
                "DELETE FROM token WHERE id = ?1
                    OR (name = ?1 AND NOT EXISTS (SELECT 1 FROM token WHERE id = ?1))",
                [key],
            )?;
            Ok(removed == 1)
        })
        .await
    }
}
