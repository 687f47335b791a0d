//! The configuration, and where else one is looked for when it cannot be used.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// The first file that can be used: `file`, or one of those that XMRig falls back to.
pub(crate) fn load(
    file: Option<PathBuf>,
    folder: Option<&Path>,
    exe: &Path,
) -> Option<(PathBuf, Value)> {
    let beside = folder.or(exe.parent())?.join("config.json");
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let homes =
        home.iter().flat_map(|home| [".xmrig.json", ".config/xmrig.json"].map(|it| home.join(it)));
    let files = file.into_iter().chain([beside]).chain(homes);
    files.into_iter().find_map(|file| Some((file.clone(), read(&file)?)))
}

fn read(file: &Path) -> Option<Value> {
    let config: Value = serde_json::from_str(&std::fs::read_to_string(file).ok()?).ok()?;
    is_usable(&config).then_some(config)
}

/// Whether a pool is left to mine at.
pub(crate) fn is_usable(config: &Value) -> bool {
    !pools(config).is_empty()
}

/// A pool to mine at.
#[derive(Clone)]
pub(crate) struct PoolEntry {
    /// As it is written, with its scheme.
    pub(crate) url: String,
    /// `host:port`.
    pub(crate) address: String,
    pub(crate) user: String,
    pub(crate) pass: String,
    pub(crate) rig_id: Option<String>,
    pub(crate) algo: Option<String>,
    pub(crate) tls: bool,
    pub(crate) fingerprint: Option<String>,
}

/// The pools that are switched on and have a usable address.
pub(crate) fn pools(config: &Value) -> Vec<PoolEntry> {
    let pools = config["pools"].as_array().map_or(&[][..], Vec::as_slice);
    pools.iter().filter(|pool| pool["enabled"] != false).filter_map(entry).collect()
}

fn entry(pool: &Value) -> Option<PoolEntry> {
    let text = |key: &str| pool[key].as_str().map(str::to_owned);
    let url = text("url")?;
    let (is_ssl, address) = match url.split_once("://") {
        None => (false, url.as_str()),
        Some(("stratum+tcp", address)) => (false, address),
        Some(("stratum+ssl", address)) => (true, address),
        Some(_) => return None,
    };
    Some(PoolEntry {
        address: address.to_owned(),
        user: text("user").unwrap_or_else(|| "x".to_owned()),
        pass: text("pass").unwrap_or_else(|| "x".to_owned()),
        rig_id: text("rig-id"),
        algo: text("algo"),
        tls: is_ssl || pool["tls"] == true,
        fingerprint: text("tls-fingerprint"),
        url,
    })
}
