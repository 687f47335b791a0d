//! Installing, changing and removing the programs of drivers.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use adit_plugin_api::{InstallPlan, ReleasePlan, Target};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::miners::{
    Error, Miners,
    events::Events,
    live::{Live, Status},
};
use adit_drivers::handle::Driver;
use adit_keeper_client::{Answer, Keepers};
use adit_model::{name::DriverId, version::is_newer};
use adit_releases::{LocalFile, Outcome, Progress, Trial, Version};

/// Time between two events about the bytes of a download.
const TELL_BYTES: Duration = Duration::from_millis(500);

/// What to install.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Install {
    /// The version; the newest when absent.
    pub version: Option<String>,
    /// An archive on the host's machine, instead of a download.
    pub file: Option<PathBuf>,
    /// SHA-256 of that, in hex.
    pub sha256: Option<String>,
}

/// How an installation ended well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    /// The version that runs now.
    pub version: Version,
    /// Whether it was new.
    pub outcome: Outcome,
    /// The newest version that was ever installed, when it is newer than this one.
    pub downgrade_from: Option<String>,
}

impl Installation {
    /// What is reported of it.
    pub fn report(&self) -> Value {
        let version = &self.version;
        // A version that was there already is neither downloaded nor stripped of files again.
        let is_new = self.outcome == Outcome::Installed;
        let removed = if is_new { version.removed.as_slice() } else { &[] };
        let mut report = json!({
            "version": version.version,
            "path": version.path,
            "proven": version.proven,
            "sha256": version.sha256,
            "changed": self.outcome != Outcome::Unchanged,
            "downloaded": is_new,
            "removed": removed,
        });
        if let Some(newer) = &self.downgrade_from {
            report["downgradeFrom"] = json!(newer);
        }
        report
    }
}

/// What there is of a miner type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstalledPrograms {
    /// The installed versions, newest installation first.
    pub versions: Vec<Version>,
    /// How far the installation under way is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installing: Option<Progress>,
    /// Why the last installation since the start of the host failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

/// The installations of this host, by miner type.
#[derive(Default)]
pub(crate) struct Installations(Mutex<BTreeMap<DriverId, Current>>);

/// The installation under way, or the last one.
enum Current {
    UnderWay(watch::Receiver<Progress>),
    Failed(String),
}

impl Installations {
    /// Locked for moments only.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<DriverId, Current>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Miners {
    /// Installs the program of a miner type and makes it the version that runs at the next start.
    /// Safe to drop: the installation goes on.
    ///
    /// # Errors
    /// [`Error::Release`] and whatever keeps the driver from planning.
    pub async fn install(&self, id: &DriverId, install: Install) -> Result<Installation, Error> {
        let driver = self.0.parts.driver(id)?;
        let (miners, ending) = (self.clone(), self.0.ending.clone());
        let work = async move {
            tokio::select! {
                done = miners.install_now(&driver, install) => {
                    miners.tell_installed(driver.id(), &done);
                    done
                }
                () = ending.cancelled() => Err(Error::ShuttingDown),
            }
        };
        self.0.tasks.spawn(work).await.unwrap_or(Err(Error::ShuttingDown))
    }

    async fn install_now(&self, driver: &Driver, install: Install) -> Result<Installation, Error> {
        let parts = &self.0.parts;
        if install.file.is_none() && install.sha256.is_some() {
            return Err(Error::Invalid("sha256: it belongs to a file; give file too".to_owned()));
        }
        let signer = parts.options.programs.signers.get(driver.id());
        let plan = release_plan(driver, install.version.clone(), signer).await?;
        let releases = &parts.options.programs.releases;
        let newest = releases.newest_installed(driver.id());
        let progress = watch::Sender::new(Progress::default());
        let trial = trial(driver, &plan.version_exit_codes);
        {
            let mut current = parts.installations.lock();
            if let Some(Current::UnderWay(_)) = current.get(driver.id()) {
                return Err(adit_releases::Error::Busy(driver.id().clone()).into());
            }
            current.insert(driver.id().clone(), Current::UnderWay(progress.subscribe()));
        }
        let mut noted = Noted { miners: self, driver: driver.id(), failed: None };
        let telling = tokio::spawn(tell_progress(
            parts.events.clone(),
            driver.id().clone(),
            progress.subscribe(),
        ));
        let done = match install.file {
            None => {
                let version = install.version.as_deref();
                releases.install(driver.id(), &plan, version, &trial, &progress).await
            }
            Some(path) => {
                let (sha256, version) = (install.sha256, install.version);
                let file = LocalFile { path, sha256, version };
                releases.install_file(driver.id(), &plan, &file, &trial, &progress).await
            }
        };
        noted.failed = done.as_ref().err().map(ToString::to_string);
        // All progress is told before the end is.
        drop(progress);
        telling.await.ok();
        let (version, outcome) = done?;
        let newer = newest.filter(|it| is_newer(it, &version.version));
        let downgrade_from = newer.filter(|_| outcome != Outcome::Unchanged);
        tracing::info!(driver = %driver.id(), version = version.version, ?outcome, downgrade_from,
            proven = %version.proven, "a program was installed");
        Ok(Installation { version, outcome, downgrade_from })
    }

    /// Publishes how an installation ended. What did not begin is for who asked only.
    fn tell_installed(&self, id: &DriverId, done: &Result<Installation, Error>) {
        let events = &self.0.parts.events;
        match done {
            Ok(done) => {
                let mut data = done.report();
                data["minerType"] = json!(id);
                events.publish("install.done", data);
            }
            Err(Error::Invalid(_) | Error::Release(adit_releases::Error::Busy(_))) => {}
            Err(error) => {
                let data = json!({ "minerType": id, "error": error.to_string() });
                events.publish("install.failed", data);
            }
        }
    }

    /// What is installed of a miner type.
    ///
    /// # Errors
    /// [`Error::NoDriver`] when nothing is and there is no such driver.
    pub fn versions(&self, id: &DriverId) -> Result<InstalledPrograms, Error> {
        let parts = &self.0.parts;
        let versions = parts.options.programs.releases.versions(id);
        if versions.is_empty() {
            parts.driver(id)?;
        }
        let (installing, failed) = match parts.installations.lock().get(id) {
            Some(Current::UnderWay(progress)) => (Some(progress.borrow().clone()), None),
            Some(Current::Failed(reason)) => (None, Some(reason.clone())),
            None => (None, None),
        };
        Ok(InstalledPrograms { versions, installing, failed })
    }

    /// Makes the version before the one that runs at the next start.
    ///
    /// # Errors
    /// [`Error::Release`].
    pub async fn rollback(&self, id: &DriverId) -> Result<Version, Error> {
        Ok(self.0.parts.options.programs.releases.rollback(id).await?)
    }

    /// Removes a version of a miner type's program, or all. Returns which.
    ///
    /// # Errors
    /// [`Error::InUse`] while a miner runs it, [`Error::Release`].
    pub async fn uninstall(
        &self,
        id: &DriverId,
        version: Option<&str>,
    ) -> Result<Vec<String>, Error> {
        let parts = &self.0.parts;
        let releases = &parts.options.programs.releases;
        let named = version.map(|it| it.trim_start_matches('v'));
        let going = { releases.versions(id) }
            .into_iter()
            .filter(|it| named.is_none_or(|named| named == it.version));
        let mut names = Vec::new();
        for version in going {
            let miners = self.running(id, &version.path);
            if !miners.is_empty() {
                let miners = miners.join(", ");
                return Err(Error::InUse { driver: id.clone(), version: version.version, miners });
            }
            names.push(version.version);
        }
        let removed = releases.uninstall(id, version).await?;
        for installed in removed {
            // The driver may be gone, and what it keeps elsewhere with it.
            let Ok(driver) = parts.driver(id) else { break };
            let cleaned = match driver.instance(None).await {
                Ok(instance) => instance.uninstall(installed).await,
                Err(error) => Err(error),
            };
            if let Err(error) = cleaned {
                tracing::warn!(driver = %id, %error, "the driver could not clean up");
            }
        }
        Ok(names)
    }

    /// The miners whose run was launched with this program. A run of this miner type that the host
    /// cannot reach, or of which it does not know how it was launched, may be one.
    fn running(&self, id: &DriverId, program: &std::path::Path) -> Vec<String> {
        let members = self.members();
        let runs = |status: &Status| match &status.live {
            Some((Live { launch: Some(launch), .. }, _)) => {
                launch.program.as_ref().is_some_and(|it| it.program == program)
            }
            live => live.is_some() || status.unreachable || status.unsettled,
        };
        members
            .values()
            .filter(|it| it.row.driver == *id && runs(&it.status.borrow()))
            .map(|it| it.row.name.to_string())
            .collect()
    }
}

/// Notes how an installation ended, also when it is dropped.
struct Noted<'a> {
    miners: &'a Miners,
    driver: &'a DriverId,
    failed: Option<String>,
}

impl Drop for Noted<'_> {
    fn drop(&mut self) {
        let mut current = self.miners.0.parts.installations.lock();
        match self.failed.take() {
            Some(reason) => current.insert(self.driver.clone(), Current::Failed(reason)),
            None => current.remove(self.driver),
        };
    }
}

/// Publishes how far an installation is: every step, and the download a few times a second.
async fn tell_progress(events: Events, id: DriverId, mut progress: watch::Receiver<Progress>) {
    loop {
        let now = progress.borrow_and_update().clone();
        let mut data = serde_json::to_value(&now).unwrap_or_default();
        data["minerType"] = json!(id);
        events.publish("install.progress", data);
        let next = progress.wait_for(|it| it.step != now.step);
        // A step is told at once, bytes when some time has passed.
        if let Ok(Err(_)) = tokio::time::timeout(TELL_BYTES, next).await {
            return;
        }
        if progress.has_changed().is_ok_and(|changed| !changed) && progress.changed().await.is_err()
        {
            return;
        }
    }
}

/// `signer`: who signs in place of the publisher.
pub(crate) async fn release_plan(
    driver: &Driver,
    version: Option<String>,
    signer: Option<&String>,
) -> Result<ReleasePlan, Error> {
    let target = Target {
        os: std::env::consts::OS.to_owned(),
        arch: std::env::consts::ARCH.to_owned(),
        version,
    };
    let id = driver.id();
    match driver.instance(None).await?.install(target).await? {
        InstallPlan::Release(mut plan) => {
            if let Some(signer) = signer {
                // The sums and the key that the driver knows are the publisher's.
                plan.proof.sha256.clear();
                plan.proof.key = None;
                plan.proof.fingerprint = Some(signer.clone());
            }
            Ok(plan)
        }
        InstallPlan::Bundled { program } => Err(Error::Unsupported(format!(
            "the program {program} of {id} is shipped with adit: there is nothing to install"
        ))),
        _ => Err(Error::Unsupported(format!(
            "the driver {id} installs its program in a way that this version does not know: \
             update adit"
        ))),
    }
}

/// Runs a program and has its driver read the version. `codes`: how it may end, besides with 0.
fn trial(driver: &Driver, codes: &[i32]) -> Trial {
    let driver = Arc::new(driver.clone());
    let codes = codes.to_vec();
    Box::new(move |program, args| {
        let (driver, codes) = (Arc::clone(&driver), codes.clone());
        Box::pin(async move {
            let folder = program.parent().unwrap_or(&program).to_owned();
            let answer = Keepers::ask(&program, &args, &folder).await;
            let Answer { text, status } = answer.map_err(|error| error.to_string())?;
            let instance = driver.instance(None).await.map_err(|error| error.to_string())?;
            // First, as drivers know what is missing where a program does not run.
            let version = instance.version(text).await.map_err(|error| error.to_string())?;
            match status.success() || status.code().is_some_and(|code| codes.contains(&code)) {
                true => Ok(version),
                false => Err(format!(
                    "it printed version {version} and then ended with {status}, where exit code 0 \
                     was expected"
                )),
            }
        })
    })
}
