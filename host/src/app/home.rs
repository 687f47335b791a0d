//! The state folder: what lies where, who may use it, and how others find the host.

use std::{
    fs::{self, File},
    io::{self, Read},
    net::SocketAddr,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::{app::Error, miners, settings::ApiSettings};

/// The state folder of a host.
#[derive(Clone, Debug)]
pub struct Home(PathBuf);

/// Held by the one host that uses a state folder. The system lets go of it however the host ends.
pub struct HostLock {
    _file: File,
}

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
            certificate: api.tls_certificate.as_deref().map(whole_path),
            base_path: api.base_path.clone(),
            demo,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

/// `path` for readers in other folders.
fn whole_path(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

impl Home {
    /// The folder at `path`; nothing is touched yet.
    pub fn new(path: PathBuf) -> Self {
        Self(path)
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

    /// Makes the folder if need be and takes it for this process alone.
    ///
    /// # Errors
    /// [`Error::SecondHost`], or when the folder cannot be made, is not ours or cannot be written.
    pub fn lock(&self) -> Result<HostLock, Error> {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0);
        made.map_err(self.wrong("make the state folder"))?;
        self.make_private()?;
        let file = fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(self.lock_file())
            .map_err(self.wrong("write to the state folder"))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(HostLock { _file: file }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(Error::SecondHost {
                path: self.0.clone(),
                pid: self.notice().map(|notice| notice.pid),
            }),
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
        File::open(self.lock_file()).is_ok_and(|file| {
            flock(&file, FlockOperation::NonBlockingLockShared)
                == Err(rustix::io::Errno::WOULDBLOCK)
        })
    }

    /// How to reach the host that uses the folder now, if there is one.
    pub fn notice(&self) -> Option<Notice> {
        let text = fs::read(self.notice_file()).ok().filter(|_| self.is_locked())?;
        serde_json::from_slice(&text).ok()
    }

    pub(crate) fn announce(&self, notice: &Notice) -> Result<(), Error> {
        let new = self.0.join("host.json.new");
        let text = serde_json::to_vec(notice).unwrap_or_default();
        miners::write_private(&new, &text)
            .and_then(|()| fs::rename(new, self.notice_file()))
            .map_err(self.wrong("write to the state folder"))
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
        let mut token = String::new();
        file.read_to_string(&mut token).map_err(wrong("read the token"))?;
        let token = token.trim().to_owned();
        if token.len() < 32 {
            let short = io::Error::other("it is shorter than 32 characters: remove the file");
            return Err(wrong("use the token")(short));
        }
        Ok(token)
    }
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
