//! Releases: programs from a release page or a file, verified before they run.
//!
//! Owns the folder of installed programs. Knows nothing of drivers or processes: the driver's plan
//! comes in, and so does a function that tries a program. Every step works in a staging folder; one
//! rename puts a version in its place and another makes it the one that runs, so an end at any
//! moment leaves what was there runnable. Versions lie side by side.
//!
//! What proves a download, strongest first, before any of it is unpacked: a sum that the driver
//! knows; a list of sums signed by the key with the fingerprint that the driver names; else its sum
//! is recorded at first use and another file of the same version is refused. A local file is proven
//! by a sum that the operator gives, one that the driver knows, or the signed list, its signature
//! and the key lying beside it; never by first use.

#![deny(unsafe_code)]

mod download;
mod error;
pub mod hiveos;
mod install;
mod progress;
mod proof;
mod service;
mod shelf;
mod signature;
mod unpack;
mod web;

use std::{io, path::PathBuf, pin::Pin, sync::Arc, time::Duration};

use adit_plugin_api::{Installed, ReleasePlan};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use error::Error;
pub use install::LocalFile;
pub use progress::{Progress, Reporter, Step};
pub use proof::Proven;
pub use service::Sources;

use crate::{
    shelf::{Record, Shelf},
    web::Web,
};
use adit_model::{name::DriverId, version::newest};

/// What the operator set about releases.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder with one folder per miner type.
    pub root: PathBuf,
    /// Where releases come from.
    pub sources: Sources,
    /// What is too much.
    pub limits: Limits,
}

/// What no honest release needs.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Largest download, in bytes.
    pub download_bytes: u64,
    /// Longest download.
    pub download_time: Duration,
    /// Longest silence of a server. A list, a signature or an answer of the release page may take
    /// four times as long as a whole.
    pub stall: Duration,
    /// Least bytes a second of a download, measured over the longest silence.
    pub least_rate: u64,
    /// Pause before the first retry; it doubles with each fruitless one.
    pub retry_pause: Duration,
    /// Largest size of an unpacked archive, in bytes.
    pub unpacked_bytes: u64,
    /// Most entries of an archive.
    pub entries: usize,
    /// Most bytes that one byte of an archive may unpack to.
    pub ratio: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            download_bytes: 512 << 20,
            download_time: Duration::from_hours(2),
            stall: Duration::from_secs(30),
            // A modem is faster. A server that sends less only holds the installation up.
            least_rate: 1 << 10,
            retry_pause: Duration::from_secs(1),
            unpacked_bytes: 1 << 30,
            entries: 2_000,
            ratio: 200,
        }
    }
}

/// Runs a program with arguments and tells the version that it prints, or why it does not run.
pub type Trial = Box<
    dyn Fn(PathBuf, Vec<String>) -> Pin<Box<dyn Future<Output = Result<String, String>> + Send>>
        + Send
        + Sync,
>;

/// How an installation ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// The version is new here.
    Installed,
    /// It was there and is now the one that runs.
    Activated,
    /// It was there and ran already; nothing was done.
    Unchanged,
}

/// An installed version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    /// The release's version.
    pub version: String,
    /// What the program itself says, when it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reported: Option<String>,
    /// Whether it is the one that runs.
    pub active: bool,
    /// Whether a rollback would make it the one that runs.
    pub previous: bool,
    /// The program.
    pub path: PathBuf,
    /// The archive it came from.
    pub asset: String,
    /// SHA-256 of that, in hex.
    pub sha256: String,
    /// What proved it.
    pub proven: Proven,
    /// When it was installed.
    pub installed_at: Timestamp,
    /// Files that came with it and were removed, such as a configuration that mines for others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<PathBuf>,
}

/// The installed programs. Cheap to clone.
#[derive(Clone)]
pub struct Releases(Arc<Inner>);

impl std::fmt::Debug for Releases {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Releases").field("options", &self.0.options).finish_non_exhaustive()
    }
}

struct Inner {
    options: Options,
    web: Web,
}

impl Releases {
    /// The programs below the root. Touches neither disk nor network.
    ///
    /// # Errors
    /// [`Error::BadSetting`].
    pub fn new(options: Options) -> Result<Self, Error> {
        let (hosts, plain_loopback) = options.sources.hosts()?;
        let web = Web::new(hosts, plain_loopback, &options.limits);
        Ok(Self(Arc::new(Inner { options, web })))
    }

    /// Removes what a crash left, of all types that nobody changes right now. Interrupted downloads
    /// are kept for a day.
    pub fn sweep(&self) {
        let entries = std::fs::read_dir(&self.0.options.root).into_iter().flatten().flatten();
        for entry in entries {
            let name = entry.file_name().into_string().ok();
            let Some(driver) = name.and_then(|name| DriverId::new(name).ok()) else { continue };
            let shelf = self.shelf(&driver);
            let swept = shelf.lock().and_then(|lock| shelf.sweep(&lock, None));
            if let Err(error) = swept {
                tracing::warn!(%driver, %error, "cannot sweep the folder of its programs");
            }
        }
    }

    /// The version that runs.
    pub fn installed(&self, driver: &DriverId) -> Option<Installed> {
        let shelf = self.shelf(driver);
        let record = shelf.record(&shelf.active()?.version)?;
        Some(shelf.installed(&record))
    }

    /// The newest release, as its page tells. Nothing is downloaded.
    ///
    /// # Errors
    /// [`Error::NoRelease`], [`Error::Unreachable`] and their like.
    pub async fn newest(&self, plan: &ReleasePlan) -> Result<String, Error> {
        let inner = &self.0;
        let found = service::find(&inner.web, &inner.options.sources, plan, None).await?;
        Ok(found.version)
    }

    /// All installed versions, newest installation first.
    pub fn versions(&self, driver: &DriverId) -> Vec<Version> {
        let shelf = self.shelf(driver);
        shelf.records().iter().map(|record| version(&shelf, record)).collect()
    }

    /// The newest version that was ever installed, whether it still is or not.
    pub fn newest_installed(&self, driver: &DriverId) -> Option<String> {
        let trust = self.shelf(driver).trust().ok()?;
        newest(trust.keys().map(String::as_str)).map(str::to_owned)
    }

    /// Makes the version that ran before the one that runs; again: back.
    ///
    /// # Errors
    /// [`Error::NoPrevious`], [`Error::Busy`].
    pub async fn rollback(&self, driver: &DriverId) -> Result<Version, Error> {
        let shelf = self.shelf(driver);
        blocking(move || {
            let lock = shelf.lock()?;
            let previous = shelf.active().and_then(|active| active.previous);
            let record = previous.and_then(|version| shelf.record(&version));
            let record = record.ok_or_else(|| Error::NoPrevious(shelf.driver.clone()))?;
            shelf.activate(&lock, &record.version)?;
            Ok(version(&shelf, &record))
        })
        .await
    }

    /// Removes a version, or all. Returns what was removed. When the version that runs is removed,
    /// the one before takes its place.
    ///
    /// # Errors
    /// [`Error::NotInstalled`], [`Error::Busy`].
    pub async fn uninstall(
        &self,
        driver: &DriverId,
        version: Option<&str>,
    ) -> Result<Vec<Installed>, Error> {
        let shelf = self.shelf(driver);
        let wanted = version.map(service::check_version).transpose()?;
        blocking(move || {
            let lock = shelf.lock()?;
            let records = shelf.records();
            let matching =
                |record: &&Record| wanted.as_ref().is_none_or(|it| *it == record.version);
            let chosen: Vec<&Record> = records.iter().filter(matching).collect();
            if chosen.is_empty() {
                let installed = records.iter().map(|it| it.version.clone()).collect();
                let driver = shelf.driver.clone();
                return Err(Error::NotInstalled { driver, version: wanted, installed });
            }
            let mut removed = Vec::new();
            for record in chosen {
                removed.push(shelf.installed(record));
                shelf.remove(&lock, &record.version)?;
            }
            Ok(removed)
        })
        .await
    }

    fn shelf(&self, driver: &DriverId) -> Shelf {
        Shelf::new(&self.0.options.root, driver)
    }
}

fn version(shelf: &Shelf, record: &Record) -> Version {
    let active = shelf.active().unwrap_or_default();
    Version {
        version: record.version.clone(),
        reported: record.reported.clone(),
        active: active.version == record.version,
        previous: active.previous.as_ref() == Some(&record.version),
        path: shelf.installed(record).program,
        asset: record.asset.clone(),
        sha256: record.sha256.clone(),
        proven: record.proven.clone(),
        installed_at: record.installed_at,
        removed: record.removed.clone(),
    }
}

/// Does `work` off the async threads.
///
/// # Errors
/// Those of `work`, or that the runtime is shutting down.
pub async fn blocking<T: Send + 'static, E: From<io::Error> + Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(io::Error::other(error.to_string()).into()))
}
