//! The files of a run: their names, and how they are written so that no crash leaves half a one.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use adit_core::files as regular;
use adit_model::run::{ProcessId, RunId};

/// The leash: locked while anything of the run lives.
pub const LOCK: &str = "lock";
/// The [`adit_model::run::RunSpec`], written by the host.
pub const SPEC: &str = "spec.json";
/// The [`State`], written by the keeper once the program runs.
pub const STATE: &str = "state.json";
/// The [`adit_model::run::ExitRecord`], written by the keeper as the last thing.
pub const EXIT: &str = "exit.json";
/// The keeper's Unix socket.
pub const SOCKET: &str = "socket";

const LOG_PREFIX: &str = "log.";

/// What the keeper notes about a run that has begun.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// The run.
    pub run: RunId,
    /// The keeper.
    pub keeper: ProcessId,
    /// The program.
    pub program: ProcessId,
    /// When it was launched, in Unix milliseconds.
    pub started_at_ms: i64,
}

/// Reads a JSON file; `None` when there is none, it is damaged or of another shape.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Option<T> {
    regular::read_json(path).ok()
}

/// Replaces `name` in `folder` by `content`, mode 0600. After a crash or a power cut at any moment
/// the file is the old one or the new one.
///
/// # Errors
/// What the system says.
pub fn replace_durably(folder: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let temporary = folder.join(format!(".{name}.new"));
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, folder.join(name))?;
    File::open(folder)?.sync_all()
}

/// Name of the log file that begins after `start` bytes of all output ever logged. The number
/// rises from file to file, and a reader knows from it how much it missed.
pub fn log_name(start: u64) -> String {
    format!("{LOG_PREFIX}{start:020}")
}

/// The log files in `folder`, oldest first: number of each and its path.
///
/// # Errors
/// What the system says.
pub fn log_files(folder: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(LOG_PREFIX));
        // Opening a pipe in its place would wait for ever.
        let number = number.filter(|_| entry.file_type().is_ok_and(|it| it.is_file()));
        if let Some(start) = number.and_then(|digits| digits.parse().ok()) {
            found.push((start, entry.path()));
        }
    }
    found.sort_unstable();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_files_sort_by_number_and_foreign_files_are_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        for name in [&log_name(7_000_000), &log_name(90), "log.x", "log", "log.-1", "exit.json"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let (pipe, directory) = (folder.path().join("log.1"), folder.path().join("log.2"));
        rustix::fs::mkfifoat(rustix::fs::CWD, pipe, 0o600.into()).unwrap();
        fs::create_dir(directory).unwrap();
        let found = log_files(folder.path()).unwrap();
        assert_eq!(found.iter().map(|file| file.0).collect::<Vec<_>>(), [90, 7_000_000]);
        assert_eq!(found[0].1, folder.path().join("log.00000000000000000090"));
    }

    #[test]
    fn a_damaged_file_reads_as_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(STATE);
        assert!(read_json::<State>(&path).is_none());
        for bad in ["", "{", "{}", "\u{0}\u{0}", "[1]"] {
            fs::write(&path, bad).unwrap();
            assert!(read_json::<State>(&path).is_none(), "{bad}");
        }
        fs::remove_file(&path).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, 0o600.into()).unwrap();
        assert!(read_json::<State>(&path).is_none(), "a pipe");
        replace_durably(folder.path(), STATE, b"[2]").unwrap();
        assert_eq!(read_json::<Vec<u8>>(&path), Some(vec![2]));
    }
}
