//! `miner.json` in a miner's state folder: enough to serve a running miner when the database is
//! lost. Holds secrets: mode 0600.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use adit_core::files;
use adit_plugin_api::{Config, Launch};
use serde::{Deserialize, Serialize};

use crate::miners::launch::Planned;
use adit_model::{
    name::{DriverId, MinerName},
    plan::PlanView,
    profile::ProfileId,
    restart::RestartPolicy,
};
use adit_store::MinerRow;

const FILE: &str = "miner.json";

/// What the host wrote down before it launched a run.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Record {
    pub(crate) name: MinerName,
    pub(crate) driver: DriverId,
    pub(crate) config: Config,
    pub(crate) restart: RestartPolicy,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) profile: Option<ProfileId>,
    pub(crate) created_at_ms: i64,
    pub(crate) launch: Launch,
    pub(crate) plan: PlanView,
    /// What must not be shown of the run's output.
    pub(crate) secrets: Vec<String>,
}

impl Record {
    pub(crate) fn new(row: &MinerRow, planned: &Planned) -> Self {
        let mut secrets = planned.work.secrets().to_vec();
        secrets.push(planned.launch().api_token.clone());
        Self {
            name: row.name.clone(),
            driver: row.driver.clone(),
            config: row.config.clone(),
            restart: row.restart.clone(),
            profile: row.profile,
            created_at_ms: row.created_at_ms,
            launch: planned.launch().clone(),
            plan: planned.view(),
            secrets,
        }
    }

    /// Reads the record in a miner's folder; `None` when there is none.
    pub(crate) fn read(folder: &Path) -> io::Result<Option<Self>> {
        match files::read_json(&folder.join(FILE)) {
            Ok(record) => Ok(Some(record)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes the record so that either the old or the new one is there after a power cut.
    pub(crate) fn write(&self, folder: &Path) -> io::Result<()> {
        private_folder(folder)?;
        write_atomically(&folder.join(FILE), &serde_json::to_vec(self)?)
    }
}

/// Makes `folder` and its parents, each for nobody else.
pub(crate) fn private_folder(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Writes a file of mode 0600 that nobody else can read at any moment.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

pub(crate) fn write_atomically(path: &Path, content: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    write_private(&new, content)?;
    fs::rename(&new, path)?;
    let folder = path.parent().unwrap_or(path);
    fs::File::open(folder)?.sync_all()
}
