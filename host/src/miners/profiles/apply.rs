//! A profile at a start of one of its miners.

use std::collections::BTreeSet;

use adit_plugin_api::{Config, Launch};
use serde_json::Value;

use crate::miners::{Error, Parts, profiles::objects::Objects};
use adit_drivers::handle::Driver;
use adit_model::{
    path::{FieldPath, leaves},
    profile::Profile,
    resolve::Resolved,
    restart::RestartPolicy,
    watchdog::limits::Options,
};
use adit_store::MinerRow;

/// What a start is made with.
pub(crate) struct Applied {
    /// The configuration, without the driver's defaults.
    pub(crate) config: Config,
    pub(crate) restart: RestartPolicy,
    /// How the profile wants the miner watched; nothing when there is none.
    pub(crate) watchdog: Options,
    /// Texts that must not be shown.
    pub(crate) secrets: Vec<String>,
    /// What it was made of; `None`: not of a profile.
    pub(crate) made_of: Option<Resolved>,
}

/// What `row` is started with now: its profile's fields, or its own when it has none.
///
/// # Errors
/// When the profile cannot be used as it is.
pub(crate) async fn apply(
    parts: &Parts,
    row: &MinerRow,
    driver: &Driver,
    launch: &Launch,
) -> Result<Applied, Error> {
    let own = || Applied {
        config: row.config.clone(),
        restart: row.restart.clone(),
        watchdog: Options::default(),
        secrets: texts(&row.config, &driver.secrets(&row.config)),
        made_of: None,
    };
    let Some(id) = row.profile else { return Ok(own()) };
    let objects = match Objects::load(&parts.store).await {
        Ok(objects) => objects,
        // What mined before can mine again, whatever became of the database.
        Err(error) if !row.config.0.is_empty() => {
            tracing::error!(miner = %row.name, %error, "cannot read the profile; using its last form");
            return Ok(own());
        }
        Err(error) => return Err(error),
    };
    match objects.profile(&id.to_string()) {
        Ok(profile) => apply_profile(parts, &objects, profile, driver, launch),
        Err(_) => Ok(own()),
    }
}

fn apply_profile(
    parts: &Parts,
    objects: &Objects,
    profile: &Profile,
    driver: &Driver,
    launch: &Launch,
) -> Result<Applied, Error> {
    let fields = &profile.fields;
    let mut resolved = objects.resolve(parts, fields, driver, &launch.miner, launch.api_port)?;
    resolved.secrets.extend(driver.secrets(&resolved.config));
    let mut secrets = texts(&resolved.config, &resolved.secrets);
    // In whatever field the driver takes it.
    secrets.extend(
        resolved.wallets().filter_map(|it| Some(objects.wallets.get(it)?.wallet.address.clone())),
    );
    Ok(Applied {
        config: resolved.config.clone(),
        restart: fields.restart.clone(),
        watchdog: fields.watchdog.clone(),
        secrets,
        made_of: Some(resolved),
    })
}

/// Tells the watchdog how the profiles of miners that run already want them watched.
pub(crate) async fn watch_as_profiles_say(parts: &Parts, rows: &[MinerRow]) {
    if rows.iter().all(|row| row.profile.is_none()) {
        return;
    }
    let profiles = parts.store.profiles().await.unwrap_or_else(|error| {
        tracing::error!(%error, "cannot read how profiles want their miners watched");
        Vec::new()
    });
    for row in rows {
        let profile = profiles.iter().find(|profile| row.profile == Some(profile.id));
        if let Some(profile) = profile {
            parts.watchdog.follow(&row.name, &profile.fields.watchdog);
        }
    }
}

/// The values of `config` at and below `paths`, as they are and as they stand in a JSON text.
pub(super) fn texts(config: &Config, paths: &BTreeSet<FieldPath>) -> Vec<String> {
    let config = Value::Object(config.0.clone());
    let mut texts = Vec::new();
    for (_, leaf) in paths.iter().filter_map(|path| path.get(&config)).flat_map(leaves) {
        match leaf {
            Value::String(text) if !text.is_empty() => {
                texts.push(text.clone());
                let quoted = leaf.to_string();
                texts.extend(quoted.get(1..quoted.len() - 1).map(str::to_owned));
            }
            Value::Number(number) => texts.push(number.to_string()),
            _ => {}
        }
    }
    texts.sort();
    texts.dedup();
    texts
}
