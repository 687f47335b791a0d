//! Table `miner`.

use adit_plugin_api::Config;
use rusqlite::{Connection, Row, params};

use crate::{Error, Store, watchdog::put_options};
use adit_model::{
    miner::Desired,
    name::{DriverId, MinerName},
    profile::ProfileId,
    restart::RestartPolicy,
    watchdog::limits::Options,
};

/// A miner under management.
#[derive(Clone, Debug, PartialEq)]
pub struct MinerRow {
    /// Its name.
    pub name: MinerName,
    /// The driver that knows its program.
    pub driver: DriverId,
    /// What the operator configured, without defaults.
    pub config: Config,
    /// What to do when its program ends by itself.
    pub restart: RestartPolicy,
    /// The profile that it was made from, which decides configuration and restarts at each start
    /// as long as there is such a profile.
    pub profile: Option<ProfileId>,
    /// What the operator wants.
    pub desired: Desired,
    /// When it was made, in Unix milliseconds.
    pub created_at_ms: i64,
}

impl Store {
    /// All miners, by name. A row that cannot be read is left out and told to the log.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn miners(&self) -> Result<Vec<MinerRow>, Error> {
        self.call(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT name, driver, config, restart, desired, created_at_ms, profile
                 FROM miner ORDER BY name",
            )?;
            let mut rows = statement.query([])?;
            let mut miners = Vec::new();
            while let Some(row) = rows.next()? {
                match read(row) {
                    Ok(miner) => miners.push(miner),
                    Err(error) => tracing::error!(%error, "cannot read a miner in the database"),
                }
            }
            Ok(miners)
        })
        .await
    }

    /// Writes a new miner with how it is watched: both or nothing.
    ///
    /// # Errors
    /// When the database cannot be written; then nothing was.
    pub async fn add_miner(&self, row: MinerRow, watchdog: Options) -> Result<(), Error> {
        self.call(move |connection| {
            let transaction = connection.transaction()?;
            put(&transaction, &row)?;
            if watchdog != Options::default() {
                put_options(&transaction, row.name.as_str(), &watchdog)?;
            }
            Ok(transaction.commit()?)
        })
        .await
    }

    /// Writes a miner, new or changed.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn put_miner(&self, row: MinerRow) -> Result<(), Error> {
        self.call(move |connection| Ok(put(connection, &row)?)).await
    }

    /// Writes what the operator wants of a miner.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn set_desired(&self, name: &MinerName, desired: Desired) -> Result<(), Error> {
        let name = name.clone();
        self.call(move |connection| {
            connection.execute(
                "UPDATE miner SET desired = ?2 WHERE name = ?1",
                params![name.as_str(), desired.as_str()],
            )?;
            Ok(())
        })
        .await
    }

    /// Forgets a miner. Its runs stay in the history.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn remove_miner(&self, name: &MinerName) -> Result<(), Error> {
        let name = name.clone();
        self.call(move |connection| {
            connection.execute("DELETE FROM miner WHERE name = ?1", [name.as_str()])?;
            Ok(())
        })
        .await
    }
}

fn put(connection: &Connection, row: &MinerRow) -> rusqlite::Result<()> {
    let config = serde_json::to_string(&row.config).unwrap_or_default();
    let restart = serde_json::to_string(&row.restart).unwrap_or_default();
    connection.execute(
        "INSERT INTO miner (name, driver, config, restart, desired, created_at_ms, profile)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (name) DO UPDATE SET
            driver = excluded.driver, config = excluded.config,
            restart = excluded.restart, desired = excluded.desired,
            profile = excluded.profile",
        params![
            row.name.as_str(),
            row.driver.as_str(),
            config,
            restart,
            row.desired.as_str(),
            row.created_at_ms,
            row.profile.map(|id| id.to_string())
        ],
    )?;
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<MinerRow> {
    let profile: Option<String> = row.get(6)?;
    Ok(MinerRow {
        name: parsed(row, 0, |text| MinerName::new(text))?,
        driver: parsed(row, 1, |text| DriverId::new(text))?,
        config: parsed(row, 2, |text| serde_json::from_str(text))?,
        restart: parsed(row, 3, |text| serde_json::from_str(text))?,
        desired: parsed(row, 4, str::parse)?,
        created_at_ms: row.get(5)?,
        profile: profile.as_deref().and_then(ProfileId::parse),
    })
}

/// The text in `column`, read into what it stands for.
pub(super) fn parsed<T, E: std::error::Error + Send + Sync + 'static>(
    row: &Row<'_>,
    column: usize,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    parse(&text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(
            column,
            rusqlite::types::Type::Text,
            Box::new(error),
        )
    })
}
