//! `drivers.lock`: which files the operator has let run as drivers, by SHA-256.
//!
//! Without pinning every driver that is loaded is written down, and the library that serves it when
//! it is a definition, so that whoever pins later pins what ran before. With pinning only what is
//! written down is loaded.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::search::cause;
use adit_core::files;
use adit_model::name::DriverId;

/// Whose drivers are loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Trust {
    /// All whose file and folders only the host's user and root can write.
    #[default]
    Any,
    /// Of those, only the ones that were approved by their SHA-256.
    Pinned,
}

/// The file, as it was when it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lock {
    #[serde(default, rename = "driver")]
    drivers: Vec<Entry>,
}

/// One file that may run.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: DriverId,
    version: String,
    sha256: String,
    since: Timestamp,
}

const HEAD: &str = "\
# Files that may run as drivers, by SHA-256. Written by adit; `adit driver trust` adds to it, and a
# line that is taken out is not trusted any more when drivers.trust is \"pinned\".

";

impl Lock {
    /// Reads the file at `path`; one that does not exist is empty.
    ///
    /// # Errors
    /// Why it cannot be used, on one line.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let cannot = |why: &str| format!("cannot use {}: {why}", path.display());
        match files::read_to_string(path) {
            Ok(text) => {
                toml::from_str(&text).map_err(|error: toml::de::Error| cannot(error.message()))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(cannot(&cause(&error))),
        }
    }

    /// Whether this file may run as this driver.
    pub(crate) fn has(&self, id: &DriverId, sha256: &str) -> bool {
        self.drivers.iter().any(|entry| entry.id == *id && entry.sha256 == sha256)
    }

    /// Lets a file run.
    pub(crate) fn add(&mut self, id: &DriverId, version: &str, sha256: &str) {
        let (id, version, sha256) = (id.clone(), version.to_owned(), sha256.to_owned());
        self.drivers.push(Entry { id, version, sha256, since: Timestamp::now() });
        self.drivers.sort_by(|a, b| (&a.id, a.since).cmp(&(&b.id, b.since)));
    }

    /// Replaces the file at `path` with this.
    ///
    /// # Errors
    /// Why it cannot be written, on one line.
    pub(crate) fn write(&self, path: &Path) -> Result<(), String> {
        let cannot = |why: &str| format!("cannot write {}: {why}", path.display());
        let text = toml::to_string(self).map_err(|error| cannot(&error.to_string()))?;
        replace(path, format!("{HEAD}{text}").as_bytes()).map_err(|error| cannot(&cause(&error)))
    }
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&part)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&part, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_let_run_is_found_again_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("drivers.lock");
        let (one, two) = (DriverId::new("one").unwrap(), DriverId::new("two").unwrap());
        let mut lock = Lock::read(&path).unwrap();
        assert!(!lock.has(&one, "aa"));
        lock.add(&two, "2.0.0", "bb");
        lock.add(&one, "1.0.0", "aa");
        lock.write(&path).unwrap();
        let read = Lock::read(&path).unwrap();
        assert_eq!(read, lock);
        assert!(read.has(&one, "aa") && read.has(&two, "bb"));
        assert!(!read.has(&one, "bb"), "a file is trusted as one driver only");
        assert!(fs::read_to_string(&path).unwrap().starts_with("# Files that may run"));
    }

    #[test]
    fn a_file_that_is_none_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("drivers.lock");
        for text in ["driver = 3", "[[driver]]\nid = \"../x\"", "colour = 1", "\u{0}"] {
            fs::write(&path, text).unwrap();
            let told = Lock::read(&path).unwrap_err();
            assert!(told.starts_with("cannot use /") && !told.contains('\n'), "{told}");
        }
    }
}
