//! Which binary becomes a keeper.

use std::{
    os::fd::{AsRawFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::fs::{Mode, OFlags};

use crate::Keepers;
use adit_keeper::keeper;

/// The binary that becomes a keeper by the argument `keeper`.
#[derive(Debug)]
pub struct Binary {
    pub(crate) path: PathBuf,
    /// Holds the file of `path`, which may be replaced on disk meanwhile.
    _pinned: Option<OwnedFd>,
}

impl Binary {
    /// The small `adit-keeper` beside this binary, when it is there and of the same version; this
    /// binary otherwise, which takes more memory per miner. What is chosen stays the same for as
    /// long as this host runs, also when the files are replaced.
    pub async fn standard() -> Self {
        match small().await {
            Ok(binary) => binary,
            Err(reason) => {
                tracing::info!(reason, "keepers take more memory: adit-keeper is not used");
                Self::from(Keepers::THIS_BINARY)
            }
        }
    }
}

impl<P: Into<PathBuf>> From<P> for Binary {
    fn from(path: P) -> Self {
        Self { path: path.into(), _pinned: None }
    }
}

async fn small() -> Result<Binary, String> {
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let folder = this.parent().unwrap_or(Path::new("/"));
    let file = folder.join("adit-keeper");
    let pinned = rustix::fs::open(&file, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| format!("{}: {error}", file.display()))?;
    let path = PathBuf::from(format!("/proc/self/fd/{}", pinned.as_raw_fd()));
    let said = Keepers::ask(&path, &["--version".to_owned()], folder).await;
    let said = said.map_err(|error| format!("{}: {error}", file.display()))?;
    let version = said.text.trim();
    if version != keeper::VERSION || !said.status.success() {
        return Err(format!("{} is of another version: {version}", file.display()));
    }
    Ok(Binary { path, _pinned: Some(pinned) })
}
