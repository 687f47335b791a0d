//! Which of the files with one id serves as the driver.

use std::{cmp::Ordering, collections::BTreeMap, path::PathBuf, sync::Arc};

use crate::{
    handle::{Driver, ServicesFactory},
    registry::{
        Listed, Options,
        find::{Place, Rival, by_version},
        load::{Refusal, load_one},
    },
    text::one_line,
};
use adit_model::name::DriverId;

/// Files that were tried and cannot be loaded, and why. Those whose reason may pass are not among
/// them.
pub(super) type Failures = BTreeMap<Tried, String>;

/// What of a file makes it worth another try when it changes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tried {
    path: PathBuf,
    sha256: String,
    /// SHA-256 of the library that serves it, when it is none itself.
    interpreter: Option<String>,
}

impl Tried {
    fn of(rival: &Rival) -> Self {
        let served = rival.definition.as_ref();
        Self {
            path: rival.entry.path.clone(),
            sha256: rival.entry.sha256.clone().unwrap_or_default(),
            interpreter: served.map(|it| it.interpreter.sha256.clone()),
        }
    }

    /// Whether this is what `driver` was loaded from.
    fn is_of(&self, driver: &Driver) -> bool {
        let interpreter = driver.interpreter().map(|it| &it.sha256);
        (driver.path(), driver.sha256()) == (&self.path, &self.sha256)
            && interpreter == self.interpreter.as_ref()
    }
}

/// All that decides about one id.
pub(super) struct Case {
    pub(super) id: DriverId,
    /// What serves now.
    pub(super) current: Option<Driver>,
    /// Whether the file of the current driver is there and was refused, as while it is copied over.
    pub(super) is_blocked: bool,
    /// Whether to load anew what serves now.
    pub(super) is_forced: bool,
    pub(super) rivals: Vec<Rival>,
    pub(super) failures: Failures,
}

/// What was decided.
pub(super) struct Settled {
    pub(super) id: DriverId,
    pub(super) driver: Option<Driver>,
    pub(super) entries: Vec<(Place, Listed)>,
    pub(super) failures: Failures,
}

/// Takes the best of the rivals that can be loaded; the others are told which one that is. What
/// serves now goes on while its file is there and nothing better can be loaded.
pub(super) async fn settle(
    case: Case,
    options: Arc<Options>,
    services: ServicesFactory,
) -> Settled {
    let Case { id, current, is_blocked, is_forced, rivals, failures } = case;
    let mut settled = Settled { id, driver: None, entries: Vec::new(), failures: Failures::new() };
    settled.driver = current.clone().filter(|_| is_blocked);
    for rival in rivals {
        let place = rival.place;
        let mut entry = rival.entry.clone();
        let tried = Tried::of(&rival);
        if let Some(driver) = &settled.driver {
            entry.reason = Some(taken(driver, &rival.manifest.version));
        } else if let Some(driver) = current.as_ref().filter(|it| tried.is_of(it) && !is_forced) {
            entry.serves(driver);
            settled.driver = Some(driver.clone());
        } else if let Some(reason) = failures.get(&tried).filter(|_| !is_forced) {
            entry.reason = Some(reason.clone());
            settled.failures.insert(tried, reason.clone());
        } else {
            match load_one(rival, &options, Arc::clone(&services)).await {
                Ok(driver) => {
                    entry.serves(&driver);
                    settled.driver = Some(driver);
                }
                Err(Refusal { reason, is_passing }) => {
                    let reason = one_line(&reason);
                    entry.reason = Some(reason.clone());
                    entry.is_retried = is_passing;
                    if !is_passing {
                        settled.failures.insert(tried, reason);
                    }
                }
            }
        }
        settled.entries.push((place, entry));
    }
    if settled.driver.is_none()
        && let Some(driver) = current
        && let Some((_, entry)) = settled.entries.iter_mut().find(|it| it.1.path == driver.path())
    {
        serves_on(entry, &driver);
        settled.driver = Some(driver);
    }
    settled
}

/// Tells that what was loaded from the file before is still what serves.
pub(super) fn serves_on(entry: &mut Listed, driver: &Driver) {
    let reason = entry.reason.take().unwrap_or_default();
    let version = &driver.manifest().version;
    entry.reason = Some(format!("{reason}; version {version}, loaded before, serves on"));
}

fn taken(winner: &Driver, version: &str) -> String {
    let (id, path) = (winner.id(), winner.path().display());
    let best = &winner.manifest().version;
    match by_version(version, best) {
        Ordering::Equal => format!("the id {id} is taken by {path}, which comes first"),
        _ => format!("the id {id} is taken by {path} with the higher version {best}"),
    }
}
