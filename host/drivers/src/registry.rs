//! All drivers of the host: the loaded ones, and the files that could not be loaded and why.

mod find;
mod listed;
mod load;
mod settle;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard},
};

pub(crate) use find::by_version;
pub use listed::{Listed, State};
use serde_json::json;
use tokio::task::JoinSet;

use crate::{
    definition::Interpreter,
    handle::{Driver, Limits, ServicesFactory},
    health::Tolerance,
    hosting::Hosting,
    known_secrets::KnownSecrets,
    lock::{Lock, Trust},
    news::News,
    registry::{
        find::{Found, find},
        settle::{Case, Failures, Settled, serves_on, settle},
    },
    search::Search,
    trust::Owner,
    watch::Look,
};
use adit_model::name::DriverId;

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
    /// What must not be in their messages.
    pub secrets: KnownSecrets,
    /// Which files are loaded.
    pub trust: Trust,
    /// The file with the SHA-256 of those that may run; without it none is written down.
    pub lock: Option<PathBuf>,
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
            secrets: KnownSecrets::default(),
            trust: Trust::default(),
            lock: None,
        }
    }
}

/// The drivers of the host. Cheap to clone; clones are the same drivers.
#[derive(Clone)]
pub struct Drivers(Arc<Inner>);

struct Inner {
    options: Arc<Options>,
    /// Without it nothing is ever loaded.
    services: Option<ServicesFactory>,
    /// Locked for moments only.
    shown: RwLock<Shown>,
    /// How the folders were when the drivers were last looked for.
    look: Mutex<Look>,
    /// Held while drivers are loaded, replaced and removed, which is done by one at a time.
    failures: tokio::sync::Mutex<Failures>,
}

#[derive(Default)]
struct Shown {
    drivers: BTreeMap<DriverId, Driver>,
    listed: Vec<Listed>,
}

/// Why a driver was not cleared or trusted.
#[derive(Debug, thiserror::Error)]
pub enum ManageError {
    /// There is no file with this id, or none of this SHA-256.
    #[error("there is no driver {0}; GET /drivers lists what was found")]
    NoDriver(String),
    /// It cannot be loaded.
    #[error("the driver {id} cannot be loaded: {reason}")]
    NotLoaded {
        /// The driver.
        id: DriverId,
        /// Why.
        reason: String,
    },
    /// The file of those that may run cannot be used.
    #[error("{0}")]
    Lock(String),
}

impl Drivers {
    /// What must not be in messages of drivers.
    pub fn known_secrets(&self) -> &KnownSecrets {
        &self.0.options.secrets
    }

    /// Finds and loads all drivers. Never fails as a whole: what cannot be loaded is listed with
    /// its reason, and a driver that takes too long delays only itself.
    pub async fn load(options: Options, services: ServicesFactory) -> Self {
        let drivers = Self(Arc::new(Inner::new(options, Some(services))));
        drivers.refresh().await;
        drivers
    }

    /// The loaded driver with this id.
    pub fn get(&self, id: &DriverId) -> Option<Driver> {
        self.shown().drivers.get(id).cloned()
    }

    /// The loaded drivers, by id.
    pub fn loaded(&self) -> impl Iterator<Item = Driver> + use<> {
        let drivers: Vec<Driver> = self.shown().drivers.values().cloned().collect();
        drivers.into_iter()
    }

    /// Every file that was found, in the order of the search.
    pub fn list(&self) -> Vec<Listed> {
        let shown = self.shown();
        let mut listed = shown.listed.clone();
        for entry in listed.iter_mut().filter(|entry| entry.state == State::Loaded) {
            let driver = shown.drivers.values().find(|driver| driver.path() == entry.path);
            let Some(driver) = driver else { continue };
            let (condition, reason) = driver.condition();
            (entry.state, entry.reason) = (State::of(condition), reason);
        }
        listed
    }

    /// How many files could not be loaded for a reason that may pass. They are tried again.
    pub fn retried(&self) -> usize {
        self.shown().listed.iter().filter(|entry| entry.is_retried).count()
    }

    /// Looks at the folders again: loads what is new, replaces what has a better file, removes what
    /// has none any more.
    pub async fn refresh(&self) {
        self.look_again(None).await;
    }

    /// Forgets the failures of a driver: loads it anew, beside what was loaded before. Its miners
    /// run on and are served by the new one.
    ///
    /// # Errors
    /// [`ManageError::NoDriver`], or [`ManageError::NotLoaded`]; what served before serves on.
    pub async fn clear(&self, id: &DriverId) -> Result<Driver, ManageError> {
        let before = self.get(id).map(|driver| driver.loaded_at());
        self.look_again(Some(id)).await;
        let now = self.get(id).filter(|driver| Some(driver.loaded_at()) != before);
        if let Some(driver) = now {
            self.0.options.news.tell("driver.cleared", json!({ "id": id }));
            return Ok(driver);
        }
        let listed = self.list();
        let entry = listed.into_iter().find(|entry| entry.id.as_deref() == Some(id.as_str()));
        let entry = entry.ok_or_else(|| ManageError::NoDriver(id.to_string()))?;
        let reason = entry.reason.unwrap_or_else(|| "nothing of it changed".to_owned());
        Err(ManageError::NotLoaded { id: id.clone(), reason })
    }

    /// Lets the file with this SHA-256 run as the driver `id`, from now on and whatever is pinned.
    ///
    /// # Errors
    /// [`ManageError::NoDriver`] when there is no such file, [`ManageError::Lock`].
    pub async fn trust(&self, id: &DriverId, sha256: &str) -> Result<(), ManageError> {
        let is_it = |entry: &&Listed| {
            entry.id.as_deref() == Some(id.as_str()) && entry.sha256.as_deref() == Some(sha256)
        };
        let listed = self.list();
        let none = || ManageError::NoDriver(format!("{id} with the SHA-256 {sha256}"));
        let entry = listed.iter().find(is_it).ok_or_else(none)?;
        let version = entry.version.clone().unwrap_or_default();
        {
            let _alone = self.0.failures.lock().await;
            let added = vec![(id.clone(), version, sha256.to_owned())];
            self.note(added).await.map_err(ManageError::Lock)?;
        }
        tracing::info!(driver = %id, sha256, "a driver is trusted");
        self.0.options.news.tell("driver.trusted", json!({ "id": id, "sha256": sha256 }));
        self.refresh().await;
        Ok(())
    }

    pub(crate) fn search(&self) -> &Search {
        &self.0.options.search
    }

    pub(crate) fn known_look(&self) -> Look {
        self.0.look.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn look_again(&self, forced: Option<&DriverId>) {
        let mut failures = self.0.failures.lock().await;
        let Some(services) = &self.0.services else { return };
        let options = Arc::clone(&self.0.options);
        let looking = tokio::task::spawn_blocking(move || {
            let look = Look::at(&options.search);
            (look, find(&options))
        });
        let Ok((look, Found { mut listed, mut rivals })) = looking.await else { return };
        *self.0.look.lock().unwrap_or_else(PoisonError::into_inner) = look;
        let before = self.shown().drivers.clone();
        let mut settling = JoinSet::new();
        let ids: BTreeSet<DriverId> = rivals.keys().chain(before.keys()).cloned().collect();
        for id in ids {
            let current = before.get(&id).cloned();
            let mut is_blocked = false;
            if let Some(driver) = &current {
                for entry in listed.values_mut().filter(|entry| entry.path == driver.path()) {
                    serves_on(entry, driver);
                    is_blocked = true;
                }
            }
            let rivals = rivals.remove(&id).unwrap_or_default();
            for rival in &rivals {
                // What stays if the host itself panics below.
                let reason = Some("the host failed while loading it".to_owned());
                listed.insert(rival.place, Listed { reason, ..rival.entry.clone() });
            }
            let is_forced = forced == Some(&id);
            let failures = failures.clone();
            let case = Case { id, current, is_blocked, is_forced, rivals, failures };
            settling.spawn(settle(case, Arc::clone(&self.0.options), Arc::clone(services)));
        }
        failures.clear();
        let mut drivers = BTreeMap::new();
        while let Some(ended) = settling.join_next().await {
            let Ok(Settled { id, driver, entries, failures: new }) = ended else { continue };
            drivers.extend(driver.map(|driver| (id, driver)));
            listed.extend(entries);
            failures.extend(new);
        }
        let shown = Shown { drivers, listed: listed.into_values().collect() };
        self.show(shown).await;
    }

    /// From now on this is what there is; tells what changed.
    async fn show(&self, new: Shown) {
        let (drivers, listed) = (new.drivers.clone(), new.listed.clone());
        let old = {
            let mut shown = self.0.shown.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *shown, new)
        };
        let news = &self.0.options.news;
        let mut added = Vec::new();
        for (id, driver) in &drivers {
            let former = old.drivers.get(id);
            if former.is_some_and(|former| former.loaded_at() == driver.loaded_at()) {
                continue;
            }
            let version = &driver.manifest().version;
            added.push((id.clone(), version.clone(), driver.sha256().to_owned()));
            if let Some(Interpreter { id, version, sha256 }) = driver.interpreter() {
                // Its code is what runs: whoever pins later pins it too.
                added.push((id.clone(), version.clone(), sha256.clone()));
            }
            let path = driver.path();
            tracing::info!(path = %path.display(), %id, version, "a driver is loaded");
            let mut data = json!({
                "id": id, "version": version, "path": path, "sha256": driver.sha256(),
                "isolation": driver.isolation(),
            });
            if let Some(interpreter) = driver.interpreter() {
                data["interpreter"] = json!(interpreter);
            }
            match former {
                Some(former) => {
                    data["replaces"] = json!(former.manifest().version);
                    news.tell("driver.replaced", data);
                }
                None => news.tell("driver.loaded", data),
            }
        }
        for (id, former) in old.drivers.iter().filter(|(id, _)| !drivers.contains_key(*id)) {
            tracing::info!(%id, path = %former.path().display(), "a driver is removed");
            let version = &former.manifest().version;
            news.tell("driver.removed", json!({ "id": id, "version": version }));
        }
        for entry in listed.iter().filter(|entry| !old.listed.contains(entry)) {
            let Some(reason) = &entry.reason else { continue };
            tracing::warn!(path = %entry.path.display(), reason, "a driver is not loaded");
            news.tell("driver.refused", json!(entry));
        }
        // Dropped only now: it may hold the last handle on a driver.
        drop(old);
        if let Err(error) = self.note(added).await {
            tracing::error!(error, "the SHA-256 of loaded drivers is not written down");
        }
    }

    /// Writes down that these files may run.
    async fn note(&self, added: Vec<(DriverId, String, String)>) -> Result<(), String> {
        let Some(path) = self.0.options.lock.clone() else { return Ok(()) };
        let noting = tokio::task::spawn_blocking(move || {
            let mut lock = Lock::read(&path)?;
            let before = lock.clone();
            for (id, version, sha256) in &added {
                if !lock.has(id, sha256) {
                    lock.add(id, version, sha256);
                }
            }
            if lock == before { Ok(()) } else { lock.write(&path) }
        });
        noting.await.unwrap_or_else(|_| Err("the host is shutting down".to_owned()))
    }

    fn shown(&self) -> RwLockReadGuard<'_, Shown> {
        self.0.shown.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn new(options: Options, services: Option<ServicesFactory>) -> Self {
        Self {
            options: Arc::new(options),
            services,
            shown: RwLock::default(),
            look: Mutex::default(),
            failures: tokio::sync::Mutex::default(),
        }
    }
}

impl Default for Drivers {
    /// No drivers, for ever.
    fn default() -> Self {
        let options = Options::new(Search::default(), PathBuf::new(), PathBuf::new());
        Self(Arc::new(Inner::new(options, None)))
    }
}

impl std::fmt::Debug for Drivers {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_map().entries(&self.shown().drivers).finish()
    }
}
