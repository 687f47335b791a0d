//! Notices what changes in the folders of drivers.
//!
//! The kernel tells when to look, and a look says what there is: so what the kernel does not tell,
//! such as a change on a network file system, is noticed too, only later. A look reads the folders
//! and no file.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::{registry::Drivers, search::Search};

/// Time between two looks at something that changes. What changed must look the same twice before
/// it is acted on, so that a file is not read while it is written.
const LOOK: Duration = Duration::from_millis(500);
/// Longest time without a look.
const LOOK_ANYWAY: Duration = Duration::from_secs(10);
/// Time between two attempts to load what was refused for a reason that may pass. Each reads all
/// files.
const RETRY: Duration = Duration::from_secs(10);
/// Pause after the kernel told of a change: more of them come together.
#[cfg(target_os = "linux")]
const SETTLE: Duration = Duration::from_millis(100);

/// What tells one state of a file from another, without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Print {
    device: u64,
    inode: u64,
    size: u64,
    mode: u32,
    modified: (i64, i64),
    /// Changes with owner and mode as well.
    changed: (i64, i64),
}

impl Print {
    /// Of what `path` leads to; `None` when it leads nowhere.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let meta = fs::metadata(path).ok()?;
        Some(Self {
            device: meta.dev(),
            inode: meta.ino(),
            size: meta.size(),
            mode: meta.mode(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        })
    }
}

/// The state of all folders and files that count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Look {
    files: BTreeMap<PathBuf, Option<Print>>,
    /// Who may write decides whether the files are trusted.
    folders: Vec<Option<(u32, u32, u32)>>,
}

impl Look {
    pub(crate) fn at(search: &Search) -> Self {
        let files = search.find().candidates.into_iter();
        let files = files.map(|file| (file.path.clone(), Print::of(&file.path))).collect();
        let folder = |dir: &PathBuf| {
            let meta = fs::metadata(dir).ok()?;
            Some((meta.mode(), meta.uid(), meta.gid()))
        };
        Self { files, folders: search.dirs.iter().map(folder).collect() }
    }
}

impl Drivers {
    /// Loads, replaces and removes drivers as their files come and go, until `ending`. What was
    /// there when the drivers were loaded counts as known. Tries again what the machine had no room
    /// for.
    pub async fn watch(&self, ending: CancellationToken) {
        let mut acted_on = self.known_look();
        let mut last = acted_on.clone();
        let mut tried = Instant::now();
        loop {
            // Made before the look, so that nothing happens unnoticed between the two.
            let mut notices = Notices::of(&self.search().dirs);
            let search = self.search().clone();
            let looking = tokio::task::spawn_blocking(move || Look::at(&search));
            let Ok(now) = looking.await else {
                sleep(LOOK).await;
                continue;
            };
            let is_changed = now != acted_on && now == last;
            let must_retry = self.retried() > 0;
            if is_changed || must_retry && tried.elapsed() >= RETRY {
                tracing::debug!(is_changed, "looking for drivers again");
                self.refresh().await;
                tried = Instant::now();
            }
            if is_changed {
                acted_on = now.clone();
            }
            last = now;
            let is_settled = last == acted_on;
            tokio::select! {
                () = ending.cancelled() => return,
                _ = notices.next(), if is_settled => {}
                () = sleep(LOOK), if !is_settled => {}
                () = sleep(RETRY), if must_retry => {}
            }
        }
    }
}

#[cfg(target_os = "linux")]
use linux::Notices;

/// What the kernel tells of folders.
#[cfg(target_os = "linux")]
mod linux {
    use std::{io, path::PathBuf};

    use futures_util::StreamExt as _;
    use inotify::{EventStream, Inotify, WatchMask};
    use tokio::time::{sleep, timeout};

    use super::{LOOK, LOOK_ANYWAY, SETTLE};

    /// Room for one event with the longest name.
    const BUFFER: usize = 4 << 10;

    /// Tells once that something may have changed since it was made.
    pub(super) struct Notices(Option<EventStream<Vec<u8>>>);

    impl Notices {
        /// Of these folders. One that does not exist is waited for.
        pub(super) fn of(dirs: &[PathBuf]) -> Self {
            let watching = watch(dirs);
            if let Err(error) = &watching {
                tracing::debug!(%error, "the kernel does not tell of changes of drivers");
            }
            Self(watching.ok())
        }

        /// Returns when it is time for a look: whether the kernel told so.
        pub(super) async fn next(&mut self) -> bool {
            let Some(events) = &mut self.0 else {
                sleep(LOOK).await;
                return false;
            };
            let told = timeout(LOOK_ANYWAY, events.next()).await.is_ok();
            if told {
                sleep(SETTLE).await;
            }
            told
        }
    }

    fn watch(dirs: &[PathBuf]) -> io::Result<EventStream<Vec<u8>>> {
        let inotify = Inotify::init()?;
        let changes = WatchMask::ATTRIB
            | WatchMask::CLOSE_WRITE
            | WatchMask::CREATE
            | WatchMask::DELETE
            | WatchMask::DELETE_SELF
            | WatchMask::MODIFY
            | WatchMask::MOVE
            | WatchMask::MOVE_SELF;
        let births = WatchMask::CREATE | WatchMask::MOVED_TO;
        for dir in dirs {
            let mut mask = changes;
            for place in dir.ancestors() {
                let added = { inotify.watches() }
                    .add(place, mask | WatchMask::MASK_ADD | WatchMask::ONLYDIR);
                match added.map_err(|error| (error.kind(), error)) {
                    Err((io::ErrorKind::NotFound | io::ErrorKind::NotADirectory, _)) => {
                        mask = births;
                    }
                    Err((_, error)) => return Err(error),
                    Ok(_) => break,
                }
            }
        }
        inotify.into_event_stream(vec![0; BUFFER])
    }

    #[cfg(test)]
    mod tests {
        use std::{fs, os::unix::fs::PermissionsExt, path::Path};

        use super::*;

        async fn is_told(dir: &Path, change: impl FnOnce()) -> bool {
            let mut notices = Notices::of(&[dir.join("nothing"), dir.to_owned()]);
            change();
            notices.next().await
        }

        #[tokio::test]
        async fn whatever_can_change_a_look_is_told() {
            let place = tempfile::tempdir().unwrap();
            let dir = place.path().join("deep/drivers");
            let (file, other) = (dir.join("a.so"), dir.join("b.so"));
            assert!(is_told(&dir, || fs::create_dir_all(&dir).unwrap()).await);
            assert!(is_told(&dir, || fs::write(&file, "one").unwrap()).await);
            assert!(is_told(&dir, || fs::write(&file, "two").unwrap()).await);
            let open = fs::Permissions::from_mode(0o666);
            assert!(is_told(&dir, || fs::set_permissions(&file, open.clone()).unwrap()).await);
            assert!(is_told(&dir, || fs::set_permissions(&dir, open).unwrap()).await);
            fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
            assert!(is_told(&dir, || fs::rename(&file, &other).unwrap()).await);
            assert!(is_told(&dir, || fs::remove_file(&other).unwrap()).await);
            assert!(is_told(&dir, || fs::remove_dir(&dir).unwrap()).await);
            let reading = is_told(&dir, || drop(fs::read_dir(place.path())));
            assert!(timeout(LOOK, reading).await.is_err(), "reading is no change");
        }
    }
}

/// Elsewhere nobody tells, and looks have to do.
#[cfg(not(target_os = "linux"))]
struct Notices;

#[cfg(not(target_os = "linux"))]
impl Notices {
    fn of(_: &[PathBuf]) -> Self {
        Self
    }

    async fn next(&mut self) -> bool {
        sleep(LOOK).await;
        false
    }
}
