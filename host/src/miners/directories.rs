//! How much the miners' programs have on disk: their run directories and what lasts over runs.
//!
//! The output that a keeper logs is bounded there. What a program writes by itself is not, so every
//! half minute the host looks: a log that grew too long is cut in place, and a miner with more than
//! [`LARGE`] is reported, once until it has less again.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io,
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use serde_json::json;

use crate::miners::{Member, Miners};
use adit_model::doctor::{Finding, Verdict};
use adit_releases::blocking;

/// Time between two looks.
const EVERY: Duration = Duration::from_secs(30);
/// What a miner may have on disk before it is reported, in bytes.
const LARGE: u64 = 1 << 30;
/// Size on disk from which a log of a program is cut, in bytes.
const LOG_BYTES: u64 = 64 << 20;
/// What is kept of it: its end, in bytes.
const LOG_KEPT: u64 = 1 << 20;
/// Most files and directories that are looked at for one miner.
const MOST_ENTRIES: usize = 50_000;

/// What a miner has on disk.
#[derive(Debug, Default, PartialEq, Eq)]
struct Usage {
    /// Bytes on disk, of sparse files what they really take.
    bytes: u64,
    /// Logs to cut, relative to the miner's directory.
    long_logs: Vec<PathBuf>,
}

/// Measures the run directory and the lasting one of the miner with the directory `folder`.
fn measure(folder: &Path, log_bytes: u64) -> Usage {
    let (mut usage, mut seen) = (Usage::default(), 0);
    let mut pending = vec![folder.join("work"), folder.join("data")];
    while let Some(path) = pending.pop() {
        // Links are not followed. What is gone by now takes no space.
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        seen += 1;
        if seen > MOST_ENTRIES {
            break;
        }
        let bytes = metadata.blocks().saturating_mul(512);
        usage.bytes = usage.bytes.saturating_add(bytes);
        if metadata.is_dir() {
            pending.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|it| it.path()));
        } else if metadata.is_file()
            && bytes > log_bytes
            && path.extension().is_some_and(|it| it == "log")
            && let Ok(inside) = path.strip_prefix(folder)
        {
            usage.long_logs.push(inside.to_owned());
        }
    }
    usage
}

/// Cuts the file `inside` the directory `folder` to its end, in place: the program has it open.
fn cut(folder: &Path, inside: &Path) -> io::Result<()> {
    // The program may put a link in the way at any time, and must not reach other files by this.
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let file = File::from(openat2(File::open(folder)?, inside, flags, Mode::empty(), beneath)?);
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.nlink() != 1 {
        return Ok(());
    }
    let from = metadata.len().saturating_sub(LOG_KEPT);
    let mut end = vec![0; usize::try_from(metadata.len() - from).map_err(io::Error::other)?];
    file.read_exact_at(&mut end, from)?;
    file.set_len(0)?;
    file.write_all_at(&end, 0)
}

/// What the doctor says of a miner's directories; `None` when they are small.
fn judge(name: &str, folder: &Path, bytes: u64) -> Option<Finding> {
    (bytes > LARGE).then(|| {
        let told = format!(
            "the program of {name} has {} MiB on disk in {}",
            bytes >> 20,
            folder.display()
        );
        let fix = format!(
            "see what it writes there and turn that off in its configuration; work is emptied by: \
             adit miner restart {name}"
        );
        Finding::bad("runDirectory", Verdict::Warning, told, fix)
    })
}

impl Miners {
    /// Looks at the directories of all miners until the host ends.
    pub(super) async fn watch_directories(self) {
        let mut reported = BTreeSet::new();
        loop {
            tokio::select! {
                () = self.0.ending.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
            let members: Vec<Member> = self.members().values().cloned().collect();
            for Member { row, .. } in members {
                let folder = self.0.parts.folder(&row.name);
                let at = folder.clone();
                let looked = blocking(move || Ok::<_, io::Error>(look(&at, LOG_BYTES))).await;
                let finding = judge(row.name.as_str(), &folder, looked.unwrap_or_default());
                let Some(finding) = finding else {
                    reported.remove(&row.name);
                    continue;
                };
                if reported.insert(row.name.clone()) {
                    tracing::warn!(miner = %row.name, "{}", finding.told);
                    let error = finding.told;
                    let data = json!({
                        "name": row.name, "minerType": row.driver, "error": error,
                    });
                    self.events().publish("miner.error", data);
                }
            }
        }
    }

    /// The miners whose programs have much on disk.
    pub(super) async fn large_directories(&self) -> Vec<Finding> {
        let names = self.members().keys().cloned().collect::<Vec<_>>();
        let folders: Vec<_> =
            names.into_iter().map(|name| (self.0.parts.folder(&name), name)).collect();
        let measured = blocking(move || {
            let judged = folders.into_iter().filter_map(|(folder, name)| {
                judge(name.as_str(), &folder, measure(&folder, LOG_BYTES).bytes)
            });
            Ok::<Vec<_>, io::Error>(judged.collect())
        });
        measured.await.unwrap_or_default()
    }
}

/// Cuts long logs and returns what is left on disk, in bytes.
fn look(folder: &Path, log_bytes: u64) -> u64 {
    let usage = measure(folder, log_bytes);
    if usage.long_logs.is_empty() {
        return usage.bytes;
    }
    for log in &usage.long_logs {
        match cut(folder, log) {
            Ok(()) => tracing::info!(file = %folder.join(log).display(), "cut a program's log"),
            Err(error) => {
                tracing::warn!(file = %folder.join(log).display(), %error, "cannot cut a log");
            }
        }
    }
    measure(folder, log_bytes).bytes
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_long_log_is_cut_to_its_end_below_the_one_who_writes_it() {
        let folder = tempfile::tempdir().unwrap();
        let work = folder.path().join("work/deep");
        fs::create_dir_all(&work).unwrap();
        let log = work.join("miner.log");
        let mut writer = File::options().append(true).create(true).open(&log).unwrap();
        writer.write_all(&vec![b'a'; 3 << 20]).unwrap();
        writer.write_all(b"last\n").unwrap();
        writer.sync_all().unwrap();
        assert!(look(folder.path(), 8 << 20) >= 3 << 20, "a log of usual length stays");
        assert!(look(folder.path(), 2 << 20) < 2 << 20);
        writer.write_all(b"next\n").unwrap();
        let text = fs::read(&log).unwrap();
        assert!(text.ends_with(b"alast\nnext\n") && text.len() as u64 == LOG_KEPT + 5);
    }

    #[test]
    fn no_file_outside_is_cut() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let victim = other.path().join("x.log");
        fs::write(&victim, vec![b'a'; 3 << 20]).unwrap();
        fs::create_dir_all(folder.path().join("work")).unwrap();
        std::os::unix::fs::symlink(&victim, folder.path().join("work/x.log")).unwrap();
        std::os::unix::fs::symlink(other.path(), folder.path().join("work/link")).unwrap();
        assert_eq!(measure(folder.path(), 1 << 20).long_logs, Vec::<PathBuf>::new());
        for inside in ["work/x.log", "work/link/x.log"] {
            assert!(cut(folder.path(), Path::new(inside)).is_err(), "{inside}");
        }
        assert_eq!(fs::metadata(&victim).unwrap().len(), 3 << 20);
    }

    #[test]
    fn a_large_directory_is_found() {
        let folder = Path::new("/state/miners/rig-1");
        assert_eq!(judge("rig-1", folder, LARGE), None);
        let found = judge("rig-1", folder, LARGE + (512 << 20)).unwrap();
        assert_eq!(found.verdict, Verdict::Warning);
        assert!(found.told.contains("1536 MiB"), "{}", found.told);
    }
}
