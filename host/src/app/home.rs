//! The state folder: what lies where, who may use it, and how others find the host.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    net::SocketAddr,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::{app::Error, miners, settings::ApiSettings};
use adit_core::files;

/// The state folder of a host.
#[derive(Clone, Debug)]
pub struct Home(PathBuf);

/// Held by the one host that uses a state folder. The system lets go of it however the host ends.
///
/// Both are locked: older hosts know the file only, and the folder's own lock cannot be deleted.
pub struct HostLock {
    _file: Option<File>,
    _folder: File,
}

/// How long a taken lock is tried again: a process that a killed host was just starting may hold it
/// for a moment, and so does a command that checks whether there is a host.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);
/// Time between two attempts.
const LOCK_PAUSE: Duration = Duration::from_millis(20);
/// Space that is set aside, so that a host can start on a full disk and write down that miners shall
/// stop: for the journal of the database, its index and small files.
const RESERVE: usize = 1 << 20;

/// How a running host is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notice {
    /// Its process id.
    pub pid: i32,
    /// Where its API listens.
    pub address: SocketAddr,
    /// The certificate of its API, when connections are encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// What every route begins with.
    pub base_path: String,
    /// Whether it runs as a demonstration.
    pub demo: bool,
    /// Its version.
    pub version: String,
}

impl Notice {
    /// Where the API is.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.certificate.is_some() { "https" } else { "http" };
        format!("{scheme}://{}{}", self.address, self.base_path)
    }

    pub(crate) fn new(address: SocketAddr, api: &ApiSettings, demo: bool) -> Self {
        Self {
            pid: rustix::process::getpid().as_raw_nonzero().get(),
            address,
            certificate: api.tls_certificate.clone().map(whole_path),
            base_path: api.base_path.clone(),
            demo,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

/// `path` for readers in other directories.
fn whole_path(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

impl Home {
    /// The folder at `path`; nothing is touched yet. Keepers are found by whole paths.
    pub fn new(path: PathBuf) -> Self {
        Self(whole_path(path))
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The database.
    pub fn database(&self) -> PathBuf {
        self.0.join("adit.db")
    }

    /// The folder with one folder per miner.
    pub fn miners(&self) -> PathBuf {
        self.0.join("miners")
    }

    /// The folder with one folder per miner type whose program was installed.
    pub fn programs(&self) -> PathBuf {
        self.0.join("programs")
    }

    /// The file with the admin's token.
    pub fn token_file(&self) -> PathBuf {
        self.0.join("token")
    }

    /// The folder for drivers that the operator adds.
    pub(crate) fn drivers(&self) -> PathBuf {
        self.0.join("drivers")
    }

    /// The list of files that may run as drivers.
    pub(crate) fn driver_lock(&self) -> PathBuf {
        self.0.join("drivers.lock")
    }

    /// The folder for private copies of drivers.
    pub(crate) fn copies(&self) -> PathBuf {
        self.0.join("driver-copies")
    }

    /// The folder with one folder per driver.
    pub(crate) fn driver_data(&self) -> PathBuf {
        self.0.join("driver-data")
    }

    /// The folder of the node's key.
    pub(crate) fn node(&self) -> PathBuf {
        self.0.join("node")
    }

    fn notice_file(&self) -> PathBuf {
        self.0.join("host.json")
    }

    fn lock_file(&self) -> PathBuf {
        self.0.join("host.lock")
    }

    pub(crate) fn wrong(&self, what: &'static str) -> impl FnOnce(io::Error) -> Error {
        let path = self.0.clone();
        move |source| Error::Home { what, path, source }
    }

    /// Makes the folder if need be and takes it for this process alone. Waits up to a second for a
    /// lock to come free.
    ///
    /// # Errors
    /// [`Error::SecondHost`], or when the folder cannot be made, is not ours or cannot be written.
    pub fn lock(&self) -> Result<HostLock, Error> {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0);
        made.map_err(self.wrong("make the state folder"))?;
        self.make_private()?;
        let until = Instant::now() + LOCK_PATIENCE;
        loop {
            if let Some(lock) = self.try_lock()? {
                return Ok(lock);
            }
            if Instant::now() > until {
                return Err(Error::SecondHost {
                    path: self.0.clone(),
                    pid: self.notice().map(|notice| notice.pid),
                });
            }
            std::thread::sleep(LOCK_PAUSE);
        }
    }

    /// `None`: somebody else has it.
    fn try_lock(&self) -> Result<Option<HostLock>, Error> {
        let folder = File::open(&self.0).map_err(self.wrong("read the state folder"))?;
        if !self.take(&folder, true)? {
            return Ok(None);
        }
        let mut options = fs::OpenOptions::new();
        let file = options.create(true).truncate(false).write(true).mode(0o600);
        let opened =
            files::check_place(&self.lock_file()).and_then(|()| file.open(self.lock_file()));
        let file = match opened {
            Ok(file) if !self.take(&file, false)? => return Ok(None),
            // Somebody deleted or replaced it in between.
            Ok(file) if !is_at(&file, &self.lock_file()) => return Ok(None),
            Ok(file) => Some(file),
            // A full disk has no room for a new file. Other hosts of this version see the folder.
            Err(error) if error.kind() == io::ErrorKind::StorageFull => None,
            Err(error) => {
                let path = self.lock_file();
                return Err(Error::Home { what: "open the lock", path, source: error });
            }
        };
        Ok(is_at(&folder, &self.0).then_some(HostLock { _file: file, _folder: folder }))
    }

    /// Locks a file or the folder; `false` when somebody else has it. Some network file systems
    /// cannot lock a folder, and there the file must do.
    fn take(&self, file: &File, is_folder: bool) -> Result<bool, Error> {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
            Err(_) if is_folder => Ok(true),
            Err(error) => Err(self.wrong("lock the state folder")(error.into())),
        }
    }

    /// It holds wallets and tokens: nobody else may look into it.
    fn make_private(&self) -> Result<(), Error> {
        let metadata = fs::metadata(&self.0).map_err(self.wrong("read the state folder"))?;
        if metadata.uid() != rustix::process::geteuid().as_raw() {
            let other = io::Error::other("it belongs to another user");
            return Err(self.wrong("use the state folder")(other));
        }
        if metadata.mode() & 0o077 != 0 {
            let private = fs::Permissions::from_mode(0o700);
            fs::set_permissions(&self.0, private)
                .map_err(self.wrong("make private the state folder"))?;
        }
        Ok(())
    }

    /// Whether a host uses the folder now.
    pub fn is_locked(&self) -> bool {
        [File::open(&self.0), files::open(&self.lock_file())].into_iter().flatten().any(|file| {
            flock(&file, FlockOperation::NonBlockingLockShared)
                == Err(rustix::io::Errno::WOULDBLOCK)
        })
    }

    /// How to reach the host that uses the folder now, if there is one.
    pub fn notice(&self) -> Option<Notice> {
        files::read_json(&self.notice_file()).ok().filter(|_| self.is_locked())
    }

    /// Whether a host uses the folder now and cannot be found, because its notice is damaged.
    pub(crate) fn is_notice_damaged(&self) -> bool {
        self.notice_file().exists() && self.is_locked() && self.notice().is_none()
    }

    /// Tells others how to reach this host. On a full disk it runs without that rather than not at
    /// all: clients that know address and token still reach it.
    pub(crate) fn announce(&self, notice: &Notice) -> Result<(), Error> {
        let new = self.0.join("host.json.new");
        let text = serde_json::to_vec(notice).unwrap_or_default();
        let written =
            miners::write_private(&new, &text).and_then(|()| fs::rename(&new, self.notice_file()));
        match written {
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                drop(fs::remove_file(&new));
                // What the last host left has its place on the disk already.
                if let Err(error) = overwrite(&self.notice_file(), &text) {
                    tracing::error!(%error, "cannot write host.json: commands do not find this host");
                }
                Ok(())
            }
            written => written.map_err(self.wrong("write to the state folder")),
        }
    }

    fn reserve_file(&self) -> PathBuf {
        self.0.join("reserve")
    }

    /// Gives the space away that was set aside, if the disk is full.
    pub(crate) fn use_reserve(&self) {
        if self.free_space().is_some_and(|free| free < RESERVE as u64)
            && fs::remove_file(self.reserve_file()).is_ok()
        {
            tracing::warn!("the disk is full: using the space that was set aside for the start");
        }
    }

    /// Sets space aside for a start on a full disk, unless that would fill it.
    pub(crate) fn set_reserve_aside(&self) {
        let is_there = fs::metadata(self.reserve_file()).is_ok_and(|it| it.len() == RESERVE as u64);
        let is_roomy = self.free_space().is_some_and(|free| free > 16 * RESERVE as u64);
        if !is_there && is_roomy && fs::write(self.reserve_file(), vec![0; RESERVE]).is_err() {
            drop(fs::remove_file(self.reserve_file()));
        }
    }

    /// Bytes that this user can still write to the disk of the folder.
    fn free_space(&self) -> Option<u64> {
        let disk = rustix::fs::statvfs(&self.0).ok()?;
        Some(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    /// Removes private copies of drivers that a host left when it was killed while loading.
    pub(crate) fn sweep(&self) {
        drop(fs::remove_dir_all(self.copies()));
    }

    pub(crate) fn withdraw(&self) {
        drop(fs::remove_file(self.notice_file()));
    }

    /// The admin's token, made at the first start.
    ///
    /// # Errors
    /// When the file cannot be made, or others can read it or it is no token.
    pub fn token(&self) -> Result<String, Error> {
        let path = self.token_file();
        let wrong = |what| {
            let path = path.clone();
            move |source| Error::Home { what, path, source }
        };
        if !path.try_exists().map_err(wrong("look for the token"))? {
            let new = self.0.join("token.new");
            miners::write_private(&new, miners::random_token().as_bytes())
                .map_err(wrong("write the token"))?;
            // A link never replaces a token that another process made meanwhile.
            match fs::hard_link(&new, &path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(wrong("write the token")(error));
                }
                _ => {}
            }
            drop(fs::remove_file(new));
        }
        self.read_token()
    }

    /// The admin's token, as the file has it.
    ///
    /// # Errors
    /// When there is none, or others can read it or it is no token.
    pub fn read_token(&self) -> Result<String, Error> {
        let path = self.token_file();
        let wrong = |what| {
            let path = path.clone();
            move |source| Error::Home { what, path, source }
        };
        files::check_place(&path).map_err(wrong("read the token"))?;
        let mut file = fs::OpenOptions::new()
            .read(true)
            .custom_flags(i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0))
            .open(&path)
            .map_err(wrong("read the token"))?;
        let mode = file.metadata().map_err(wrong("read the token"))?.mode();
        if mode & 0o077 != 0 {
            let open = io::Error::other("others can read it: run chmod 600 on it");
            return Err(wrong("trust the token")(open));
        }
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(wrong("read the token"))?;
        let token = String::from_utf8(text).unwrap_or_default().trim().to_owned();
        if token.len() < 32 || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            let damaged = "it is not at least 32 printable characters: restore the file, or remove \
                           it and restart the host, which then makes a new token";
            return Err(wrong("use the token")(io::Error::other(damaged)));
        }
        Ok(token)
    }
}

/// Whether `path` still leads to `file`.
fn is_at(file: &File, path: &Path) -> bool {
    let inode = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    let found = (file.metadata().map(inode), fs::metadata(path).map(inode));
    matches!(found, (Ok(own), Ok(found)) if own == found)
}

/// Writes to a file that exists, into the space that it has.
fn overwrite(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).open(path)?;
    file.write_all(content)?;
    file.set_len(content.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_folder_has_one_host() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::new(folder.path().join("deep/state"));
        let lock = home.lock().unwrap();
        assert!(home.is_locked());
        let error = Home::new(home.path().to_owned()).lock().err().unwrap().to_string();
        assert!(error.contains("another host uses the state folder"), "{error}");
        drop(lock);
        assert!(!home.is_locked());
        assert!(home.lock().is_ok());
    }

    #[test]
    fn a_lock_whose_file_was_deleted_or_replaced_still_has_one_host() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::new(folder.path().to_owned());
        let lock = home.lock().unwrap();
        fs::remove_file(home.lock_file()).unwrap();
        assert!(home.is_locked());
        assert!(matches!(home.lock(), Err(Error::SecondHost { .. })));
        fs::write(home.lock_file(), "").unwrap();
        assert!(home.is_locked());
        assert!(matches!(home.lock(), Err(Error::SecondHost { .. })));
        drop(lock);
        // A host of an earlier version locks the file alone.
        let older = File::open(home.lock_file()).unwrap();
        flock(&older, FlockOperation::NonBlockingLockExclusive).unwrap();
        assert!(home.is_locked());
        assert!(matches!(home.lock(), Err(Error::SecondHost { .. })));
    }

    #[test]
    fn a_lock_that_comes_free_within_a_moment_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::new(folder.path().to_owned());
        let held = home.lock().unwrap();
        let next = home.clone();
        let waiting = std::thread::spawn(move || next.lock().map(drop));
        std::thread::sleep(Duration::from_millis(100));
        drop(held);
        waiting.join().unwrap().unwrap();
    }

    #[test]
    fn the_token_is_made_once_and_kept_private() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::new(folder.path().to_owned());
        let token = home.token().unwrap();
        assert_eq!(home.token().unwrap(), token);
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(&home.token_file()), 0o600);
        fs::set_permissions(home.token_file(), fs::Permissions::from_mode(0o644)).unwrap();
        let error = home.token().unwrap_err().to_string();
        assert!(error.contains("others can read it"), "{error}");
    }

    #[test]
    fn a_stale_notice_is_no_host() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::new(folder.path().to_owned());
        let lock = home.lock().unwrap();
        let notice = Notice::new("127.0.0.1:1".parse().unwrap(), &ApiSettings::default(), false);
        home.announce(&notice).unwrap();
        assert_eq!(home.notice(), Some(notice));
        drop(lock);
        assert_eq!(home.notice(), None);
    }
}
