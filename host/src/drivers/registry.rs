//! All drivers of the host: the loaded ones, and the files that could not be loaded and why.

use std::{
    cmp::Ordering,
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use adit_plugin_api::{Error, abi::DriverModule_Ref, manifest::Manifest};
use jiff::Timestamp;
use semver::Version;
use serde::Serialize;
use tokio::task::JoinSet;

use crate::{
    drivers::{
        call::{Caller, CallerOptions},
        handle::{Birth, Condition, Driver, Hosted, Isolation, Limits, ServicesFactory},
        health::Tolerance,
        hosting::Hosting,
        inspect::{Examined, examine},
        load::{self, LoadError, PrivateCopy, private_dir},
        news::News,
        preflight::Image,
        runner::Runner,
        search::{Search, cause},
        text::one_line,
        trust::Owner,
    },
    model::name::DriverId,
};

/// How drivers are found and hosted.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where they may lie.
    pub search: Search,
    /// A folder for private copies while they are loaded. Used by this host only, on a file system
    /// that is not mounted `noexec`. Made when missing.
    pub private_dir: PathBuf,
    /// The folder below which each driver has one of its own, by id. Made when missing.
    pub data_dir: PathBuf,
    /// How long they may take.
    pub limits: Limits,
    /// Who may own their files, besides root.
    pub owner: Owner,
    /// Where their code runs.
    pub hosting: Hosting,
    /// How many failures they are forgiven.
    pub tolerance: Tolerance,
    /// Who hears what happens to them.
    pub news: News,
}

impl Options {
    /// The usual limits, and the files of this process's user.
    pub fn new(search: Search, private_dir: PathBuf, data_dir: PathBuf) -> Self {
        Self {
            search,
            private_dir,
            data_dir,
            limits: Limits::default(),
            owner: Owner::current(),
            hosting: Hosting::default(),
            tolerance: Tolerance::default(),
            news: News::default(),
        }
    }
}

/// The drivers of the host. Cheap to clone; clones are the same drivers.
#[derive(Clone, Debug, Default)]
pub struct Drivers(Arc<Loaded>);

#[derive(Debug, Default)]
struct Loaded {
    drivers: BTreeMap<DriverId, Driver>,
    listed: Vec<Listed>,
}

/// A file that was found, and what became of it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    /// The file; or a folder of the search path that could not be read.
    pub path: PathBuf,
    /// The driver's id, when its manifest could be read. Only checked for a loaded driver.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The driver's version, when its manifest could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Version of the driver API that it was built with, when its manifest could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
    /// What became of it.
    pub state: State,
    /// Where its code runs, when it is loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub isolation: Option<Isolation>,
    /// Why it was refused or does not work, on one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// SHA-256 of the file in hex, when it could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// When it was loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loaded_at: Option<Timestamp>,
}

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// It serves as a driver.
    Loaded,
    /// It was not loaded, or loaded and found unusable.
    Refused,
    /// It is loaded, and as many calls as it may have never returned.
    Wedged,
    /// It is loaded, and its process ended; it is started again when it is needed.
    Failed,
    /// It is loaded, failed too often and is not asked until it is cleared.
    Quarantined,
}

impl State {
    /// What became of a file that is loaded.
    pub(crate) fn of(condition: Condition) -> Self {
        match condition {
            Condition::Well => Self::Loaded,
            Condition::Wedged => Self::Wedged,
            Condition::Failed => Self::Failed,
            Condition::Quarantined => Self::Quarantined,
        }
    }
}

impl Drivers {
    /// Finds and loads all drivers. Never fails as a whole: what cannot be loaded is listed with
    /// its reason, and a driver that takes too long delays only itself.
    pub async fn load(options: Options, services: ServicesFactory) -> Self {
        let searching = options.clone();
        let found = tokio::task::spawn_blocking(move || find(&searching)).await;
        let (mut listed, groups) = found.unwrap_or_default();
        let mut loading = JoinSet::new();
        let options = Arc::new(options);
        for rivals in groups {
            for Rival { place, entry, .. } in &rivals {
                // What stays if the host itself panics below.
                let reason = Some("the host failed while loading it".to_owned());
                listed.insert(*place, Listed { reason, ..entry.clone() });
            }
            loading.spawn(load_first(rivals, Arc::clone(&options), Arc::clone(&services)));
        }
        let mut drivers = BTreeMap::new();
        while let Some(ended) = loading.join_next().await {
            let Ok((driver, entries)) = ended else { continue };
            drivers.extend(driver.map(|driver| (driver.id().clone(), driver)));
            for (place, entry) in entries {
                listed.insert(place, entry);
            }
        }
        let listed: Vec<_> = listed.into_values().collect();
        for entry in &listed {
            report(entry);
        }
        Self(Arc::new(Loaded { drivers, listed }))
    }

    /// The loaded driver with this id.
    pub fn get(&self, id: &DriverId) -> Option<Driver> {
        self.0.drivers.get(id).cloned()
    }

    /// The loaded drivers, by id.
    pub fn loaded(&self) -> impl Iterator<Item = &Driver> {
        self.0.drivers.values()
    }

    /// Every file that was found, in the order of the search.
    pub fn list(&self) -> Vec<Listed> {
        let mut listed = self.0.listed.clone();
        for entry in listed.iter_mut().filter(|entry| entry.state == State::Loaded) {
            let driver = self.loaded().find(|driver| driver.path() == entry.path);
            let Some(driver) = driver else { continue };
            let (condition, reason) = driver.condition();
            (entry.state, entry.reason) = (State::of(condition), reason);
        }
        listed
    }
}

fn report(entry: &Listed) {
    let path = entry.path.display();
    match (&entry.reason, &entry.id) {
        (Some(reason), _) => tracing::warn!(%path, reason, "a driver is not loaded"),
        (None, id) => tracing::info!(%path, id, version = entry.version, "a driver is loaded"),
    }
}

/// Position in the order of the search.
type Place = usize;

/// A file that passed all that can be checked without running it.
struct Rival {
    place: Place,
    entry: Listed,
    image: Image,
    id: DriverId,
    manifest: Manifest,
    is_bundled: bool,
}

/// The refused files, and the others in groups of the same id, each with the best first.
fn find(options: &Options) -> (BTreeMap<Place, Listed>, Vec<Vec<Rival>>) {
    let found = options.search.find();
    let mut listed = BTreeMap::new();
    let mut groups: BTreeMap<DriverId, Vec<Rival>> = BTreeMap::new();
    for (place, candidate) in found.candidates.into_iter().enumerate() {
        let Examined { report, loadable, is_no_driver } = examine(&candidate.path, options.owner);
        if is_no_driver && candidate.in_build {
            continue;
        }
        let mut entry = Listed::new(candidate.path);
        entry.sha256 = report.sha256;
        if let Some(manifest) = &report.manifest {
            entry.id = Some(manifest.id.clone());
            entry.version = Some(manifest.version.clone());
            entry.api = Some(manifest.api.to_string());
        }
        entry.reason = report.problems.into_iter().next();
        match (loadable, report.manifest) {
            (Some((id, image)), Some(manifest)) => {
                let rivals = groups.entry(id.clone()).or_default();
                let is_bundled = candidate.is_bundled;
                rivals.push(Rival { place, entry, image, id, manifest, is_bundled });
            }
            _ => drop(listed.insert(place, entry)),
        }
    }
    for (dir, reason) in found.unreadable {
        let place = usize::MAX - listed.len();
        listed.insert(place, Listed { reason: Some(reason), ..Listed::new(dir) });
    }
    let groups = groups.into_values().map(|mut rivals| {
        // The sort is stable: files of the same version stay in the order of the search.
        rivals.sort_by(|a, b| by_version(&b.manifest.version, &a.manifest.version));
        rivals
    });
    (listed, groups.collect())
}

/// Numbers compare as numbers; a text that is no version is older than any.
fn by_version(a: &str, b: &str) -> Ordering {
    let parse = |text| Version::parse(text).ok();
    match (parse(a), parse(b)) {
        (Some(a), Some(b)) => a.cmp_precedence(&b),
        (a, b) => a.is_some().cmp(&b.is_some()),
    }
}

/// Loads the best of the rivals that can be loaded; the others are told which one that is.
async fn load_first(
    rivals: Vec<Rival>,
    options: Arc<Options>,
    services: ServicesFactory,
) -> (Option<Driver>, Vec<(Place, Listed)>) {
    let mut entries = Vec::new();
    let mut winner: Option<Driver> = None;
    for rival in rivals {
        let place = rival.place;
        let mut entry = rival.entry.clone();
        if let Some(driver) = &winner {
            entry.reason = Some(taken(driver, &rival.manifest.version));
        } else {
            match load_one(rival, &options, Arc::clone(&services)).await {
                Ok(driver) => {
                    entry.state = State::Loaded;
                    entry.loaded_at = Some(driver.loaded_at());
                    entry.isolation = Some(driver.isolation());
                    winner = Some(driver);
                }
                Err(reason) => entry.reason = Some(one_line(&reason)),
            }
        }
        entries.push((place, entry));
    }
    (winner, entries)
}

fn taken(winner: &Driver, version: &str) -> String {
    let (id, path) = (winner.id(), winner.path().display());
    let best = &winner.manifest().version;
    match by_version(version, best) {
        Ordering::Equal => format!("the id {id} is taken by {path}, which comes first"),
        _ => format!("the id {id} is taken by {path} with the higher version {best}"),
    }
}

async fn load_one(
    rival: Rival,
    options: &Options,
    services: ServicesFactory,
) -> Result<Driver, String> {
    let Rival { entry, image, id, manifest, is_bundled, .. } = rival;
    let limits = options.limits;
    let spawner = options.hosting.spawner(&id, is_bundled).cloned();
    let calling = CallerOptions {
        id: id.to_string(),
        tolerance: options.tolerance,
        is_killable: spawner.is_some(),
        news: options.news.clone(),
    };
    let caller = Caller::new(limits.calls_at_once, calling);
    let copies = options.private_dir.clone();
    let data_dir = options.data_dir.join(id.as_str());
    let (own_dir, name, in_process) = (data_dir.clone(), id.clone(), spawner.is_none());
    let loading = move || {
        make_data_dir(&own_dir).map_err(Error::failed)?;
        tracing::debug!(driver = %name, in_process, "loading");
        let failed = |error: LoadError| Error::failed(error.to_string());
        if in_process {
            return load::load(&image.bytes, &copies).map(Code::Mapped).map_err(failed);
        }
        PrivateCopy::new(&image.bytes, &copies).map(Code::Copied).map_err(failed)
    };
    let code = caller.call("load", limits.create, loading).await;
    let hosted = match (code.map_err(|error| error.to_string())?, spawner) {
        (Code::Mapped(module), _) => Hosted::InProcess(module),
        (Code::Copied(copy), Some(spawner)) => Hosted::Process(Runner::new(
            spawner,
            id.clone(),
            (copy, data_dir.clone()),
            (&options.hosting.rations, limits),
            caller.clone(),
        )),
        (Code::Copied(_), None) => return Err("nothing starts its process".to_owned()),
    };
    let Listed { path, sha256, .. } = entry;
    let sha256 = sha256.unwrap_or_default();
    Driver::new(Birth { id, manifest, path, sha256, data_dir, hosted, caller, limits, services })
        .await
}

/// A driver's library on its way.
enum Code {
    Mapped(DriverModule_Ref),
    Copied(PrivateCopy),
}

fn make_data_dir(dir: &Path) -> Result<(), String> {
    private_dir(dir).map_err(|error| {
        format!("cannot make the driver's folder {}: {}", dir.display(), cause(&error))
    })
}

impl Listed {
    fn new(path: PathBuf) -> Self {
        Self {
            path,
            id: None,
            version: None,
            api: None,
            state: State::Refused,
            isolation: None,
            reason: None,
            sha256: None,
            loaded_at: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_their_numbers() {
        for (older, newer) in
            [("0.9.0", "0.10.0"), ("9.0.0", "10.0.0"), ("1.0.0-rc.1", "1.0.0"), ("latest", "0.0.1")]
        {
            assert_eq!(by_version(older, newer), Ordering::Less, "{older} < {newer}");
            assert_eq!(by_version(newer, older), Ordering::Greater, "{newer} > {older}");
        }
        assert_eq!(by_version("1.0.0+a", "1.0.0+b"), Ordering::Equal);
        assert_eq!(by_version("x", "y"), Ordering::Equal);
    }
}
