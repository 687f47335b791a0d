//! Table `profile`.

use rusqlite::{Connection, Row, params};

use crate::{Error, Store, miner::parsed};
use adit_model::{
    name::DriverId,
    profile::{Profile, ProfileFields, ProfileId},
};

impl Store {
    /// All profiles, by name. A row that cannot be read is left out and told to the log.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn profiles(&self) -> Result<Vec<Profile>, Error> {
        self.call(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, name, driver, config, pools, tags, autostart, restart, secrets,
                        created_at_ms, updated_at_ms, watchdog
                 FROM profile ORDER BY name",
            )?;
            let mut rows = statement.query([])?;
            let mut profiles = Vec::new();
            while let Some(row) = rows.next()? {
                match read(row) {
                    Ok(profile) => profiles.push(profile),
                    Err(error) => tracing::error!(%error, "cannot read a profile in the database"),
                }
            }
            Ok(profiles)
        })
        .await
    }

    /// Forgets a profile.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn remove_profile(&self, id: ProfileId) -> Result<(), Error> {
        self.call(move |connection| {
            connection.execute("DELETE FROM profile WHERE id = ?1", [id.to_string()])?;
            Ok(())
        })
        .await
    }
}

pub(super) fn put(connection: &Connection, profile: &Profile) -> rusqlite::Result<()> {
    let fields = &profile.fields;
    connection.execute(
        "INSERT INTO profile (id, name, driver, config, pools, tags, autostart, restart, secrets,
                              created_at_ms, updated_at_ms, watchdog)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
         ON CONFLICT (id) DO UPDATE SET
            name = excluded.name, driver = excluded.driver, config = excluded.config,
            pools = excluded.pools, tags = excluded.tags, autostart = excluded.autostart,
            restart = excluded.restart, secrets = excluded.secrets,
            updated_at_ms = excluded.updated_at_ms, watchdog = excluded.watchdog",
        params![
            profile.id.to_string(),
            fields.name,
            fields.miner_type.as_str(),
            json(&fields.config)?,
            json(&fields.pools)?,
            json(&fields.tags)?,
            fields.autostart,
            json(&fields.restart)?,
            json(&profile.secrets)?,
            profile.created_at_ms,
            profile.updated_at_ms,
            json(&fields.watchdog)?
        ],
    )?;
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<Profile> {
    Ok(Profile {
        id: parsed(row, 0, |text| ProfileId::parse(text).ok_or(NoId))?,
        fields: ProfileFields {
            name: row.get(1)?,
            miner_type: parsed(row, 2, |text| DriverId::new(text))?,
            config: parsed(row, 3, |text| serde_json::from_str(text))?,
            pools: parsed(row, 4, |text| serde_json::from_str(text))?,
            tags: parsed(row, 5, |text| serde_json::from_str(text))?,
            autostart: row.get(6)?,
            restart: parsed(row, 7, |text| serde_json::from_str(text))?,
            watchdog: parsed(row, 11, |text| serde_json::from_str(text))?,
        },
        secrets: parsed(row, 8, |text| serde_json::from_str(text))?,
        created_at_ms: row.get(9)?,
        updated_at_ms: row.get(10)?,
    })
}

#[derive(Debug, thiserror::Error)]
#[error("the id of a profile is no UUID")]
struct NoId;

fn json(value: &impl serde::Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}
