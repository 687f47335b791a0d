//! Notices what changes in the folders of drivers.
//!
//! By looking, because that also works where the kernel tells nothing: on network file systems, and
//! in folders that do not exist yet. A look reads the folders and no file.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::drivers::{registry::Drivers, search::Search};

/// Time between two looks. What changed must look the same twice before it is acted on, so that a
/// file is not read while it is written.
const LOOK: Duration = Duration::from_millis(500);

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
    /// there when the drivers were loaded counts as known.
    pub async fn watch(&self, ending: CancellationToken) {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut acted_on = self.known_look();
        let mut last = acted_on.clone();
        loop {
            tokio::select! {
                () = ending.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let search = self.search().clone();
            let looking = tokio::task::spawn_blocking(move || Look::at(&search));
            let Ok(now) = looking.await else { continue };
            if now != acted_on && now == last {
                tracing::debug!("the folders of drivers changed");
                self.refresh().await;
                acted_on = now.clone();
            }
            last = now;
        }
    }
}
