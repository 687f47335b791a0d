//! What is installed of one miner type, on disk.
//!
//! ```text
//! <root>/<type>/  lock                      held while something changes
//!                 active.json               the version that runs, and the one before
//!                 trust.json                sums of what was installed, by version; never removed
//!                 versions/<v>/release.json what it is
//!                 versions/<v>/files/       the unpacked archive
//!                 .staging/                 work under way; *.part are interrupted downloads
//! ```
//!
//! Every change is one rename, so at every moment the old or the new state is on disk.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use adit_core::files;
use adit_plugin_api::Installed;
use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{error::Error, proof::Proven, service};
use adit_model::name::DriverId;

/// How long an interrupted download is kept.
const PART_LIFE: Duration = Duration::from_hours(24);

/// What is known of an installed version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Record {
    pub(crate) version: String,
    /// What the program itself said.
    pub(crate) reported: Option<String>,
    /// Below `files`.
    pub(crate) program: PathBuf,
    pub(crate) asset: String,
    pub(crate) sha256: String,
    pub(crate) proven: Proven,
    pub(crate) installed_at: Timestamp,
    /// Files of the archive that were not installed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) removed: Vec<PathBuf>,
}

/// Which version runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Active {
    pub(crate) version: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) previous: Option<String>,
}

/// SHA-256 by version and file name.
pub(crate) type Trust = BTreeMap<String, BTreeMap<String, String>>;

/// The folder of one miner type.
#[derive(Clone, Debug)]
pub(crate) struct Shelf {
    pub(crate) driver: DriverId,
    folder: PathBuf,
}

/// The right to change a shelf, until dropped.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing alone would not do: a process that is being started meanwhile has the descriptor
        // too, until it becomes its program.
        flock(&self.0, FlockOperation::Unlock).ok();
    }
}

impl Shelf {
    pub(crate) fn new(root: &Path, driver: &DriverId) -> Self {
        Self { driver: driver.clone(), folder: root.join(driver.as_str()) }
    }

    pub(crate) fn staging(&self) -> PathBuf {
        self.folder.join(".staging")
    }

    pub(crate) fn trust_file(&self) -> PathBuf {
        self.folder.join("trust.json")
    }

    fn versions_folder(&self) -> PathBuf {
        self.folder.join("versions")
    }

    fn version_folder(&self, version: &str) -> PathBuf {
        self.versions_folder().join(version)
    }

    /// Makes the folders and takes the lock.
    ///
    /// # Errors
    /// [`Error::Busy`] when somebody else has it.
    pub(crate) fn lock(&self) -> Result<Lock, Error> {
        for folder in [self.versions_folder(), self.staging()] {
            fs::create_dir_all(&folder).map_err(Error::io("make", &folder))?;
        }
        let path = self.folder.join("lock");
        let mut options = File::options();
        let options = options.create(true).truncate(false).write(true);
        let file = files::check_place(&path).and_then(|()| options.open(&path));
        let file = file.map_err(Error::io("open", &path))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Lock(file)),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(Error::Busy(self.driver.clone())),
            Err(error) => Err(Error::io("lock", &path)(error.into())),
        }
    }

    /// Removes what an end at a bad moment left. `keep` is a download to go on with; others are
    /// kept for a day.
    pub(crate) fn sweep(&self, _: &Lock, keep: Option<&Path>) -> Result<(), Error> {
        let staging = self.staging();
        let entries = fs::read_dir(&staging).map_err(Error::io("read", &staging))?;
        for entry in entries.flatten() {
            let path = entry.path();
            let part = path.extension().is_some_and(|it| it == "part");
            let modified = entry.metadata().and_then(|it| it.modified());
            let young = modified.is_ok_and(|at| {
                SystemTime::now().duration_since(at).is_ok_and(|age| age < PART_LIFE)
            });
            let kept = part && keep.map_or(young, |keep| keep == path);
            if !kept {
                remove(&path).map_err(Error::io("remove", &path))?;
            }
        }
        fs::remove_file(self.folder.join("active.json.new")).ok();
        fs::remove_file(self.folder.join("trust.json.new")).ok();
        Ok(())
    }

    /// Which version runs, if any.
    pub(crate) fn active(&self) -> Option<Active> {
        let path = self.folder.join("active.json");
        // The file may be damaged, or changed by hand.
        let safe = |version: &str| service::check_version(version).is_ok_and(|it| it == version);
        match read::<Active>(&path).filter(|active| safe(&active.version)) {
            Some(Active { version, previous }) => {
                Some(Active { version, previous: previous.filter(|it| safe(it)) })
            }
            // Without the file nothing is active. With a damaged one, the last installation is.
            None if path.exists() => {
                let version = self.records().into_iter().next()?.version;
                tracing::warn!(path = %path.display(), version, "the last installed version runs");
                Some(Active { version, previous: None })
            }
            None => None,
        }
    }

    /// An installed version whose program is there.
    pub(crate) fn record(&self, version: &str) -> Option<Record> {
        let record: Record = read(&self.version_folder(version).join("release.json"))?;
        let usable = record.version == version && is_program(&self.installed(&record).program);
        usable.then_some(record)
    }

    pub(crate) fn installed(&self, record: &Record) -> Installed {
        let dir = self.version_folder(&record.version).join("files");
        let program = dir.join(&record.program);
        let version = record.reported.as_ref().unwrap_or(&record.version);
        Installed { version: Some(version.clone()), dir, program }
    }

    /// All installed versions, newest installation first.
    pub(crate) fn records(&self) -> Vec<Record> {
        let entries = fs::read_dir(self.versions_folder()).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut records: Vec<Record> = names.filter_map(|name| self.record(&name)).collect();
        records.sort_by_key(|record| std::cmp::Reverse(record.installed_at));
        records
    }

    pub(crate) fn trust(&self) -> Result<Trust, Error> {
        let path = self.trust_file();
        files::read_json(&path).or_else(|error| {
            if error.kind() == io::ErrorKind::NotFound {
                return Ok(Trust::default());
            }
            let advice = "restore it from a backup; if you remove it, the next release is compared \
                          with nothing that was installed before";
            let damaged = io::Error::other(format!("{error}: {advice}"));
            Err(Error::io("understand", &path)(damaged))
        })
    }

    /// Puts the unpacked folder `from` in its place and makes it the version that runs.
    pub(crate) fn place(&self, _: &Lock, record: &Record, from: &Path) -> Result<(), Error> {
        fn wrong(path: &Path) -> impl FnOnce(io::Error) -> Error {
            Error::io("write", path)
        }
        write(&from.join("release.json"), record).map_err(wrong(from))?;
        sync(from).map_err(wrong(from))?;
        let mut trust = self.trust()?;
        let sums = trust.entry(record.version.clone()).or_default();
        sums.insert(record.asset.clone(), record.sha256.clone());
        write(&self.trust_file(), &trust).map_err(wrong(&self.trust_file()))?;
        let place = self.version_folder(&record.version);
        if place.symlink_metadata().is_ok() {
            // A version whose program is gone or damaged: nothing can run it.
            let old = self.staging().join("replaced");
            fs::rename(&place, &old).map_err(wrong(&place))?;
        }
        fs::rename(from, &place).map_err(wrong(&place))?;
        sync(&self.versions_folder()).map_err(wrong(&place))
    }

    /// Makes an installed version the one that runs.
    pub(crate) fn activate(&self, _: &Lock, version: &str) -> Result<(), Error> {
        let before = self.active();
        let previous = match before {
            Some(active) if active.version == version => active.previous,
            Some(active) => Some(active.version),
            None => None,
        };
        self.set_active(&Active { version: version.to_owned(), previous })
    }

    fn set_active(&self, active: &Active) -> Result<(), Error> {
        let path = self.folder.join("active.json");
        write(&path, active).map_err(Error::io("write", &path))
    }

    /// Removes a version. When it was the one that runs, the one before takes its place.
    pub(crate) fn remove(&self, _: &Lock, version: &str) -> Result<(), Error> {
        let path = self.folder.join("active.json");
        if let Some(active) = self.active() {
            let previous = active.previous.filter(|it| it != version && self.record(it).is_some());
            if active.version != version {
                self.set_active(&Active { version: active.version, previous })?;
            } else if let Some(previous) = previous {
                self.set_active(&Active { version: previous, previous: None })?;
            } else {
                fs::remove_file(&path).map_err(Error::io("remove", &path))?;
                sync(&self.folder).map_err(Error::io("write", &self.folder))?;
            }
        }
        let place = self.version_folder(version);
        let away = self.staging().join(format!("removed-{version}"));
        // Out of sight in one step: half a version must never be found.
        fs::rename(&place, &away).map_err(Error::io("remove", &place))?;
        remove(&away).map_err(Error::io("remove", &away))
    }
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    let metadata = fs::symlink_metadata(path);
    metadata.is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
}

fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    match files::read_json(path) {
        Ok(value) => Some(value),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "ignored a damaged file");
            None
        }
    }
}

/// Replaces a file in one step; it is on disk when this returns.
fn write(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let text = serde_json::to_vec_pretty(value)?;
    let mut file = File::create(&new)?;
    io::Write::write_all(&mut file, &text)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    sync(path.parent().unwrap_or(Path::new("/")))
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Removes a file or a whole folder; it need not be there.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(it) if it.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
