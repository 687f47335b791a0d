//! Who this node is: its secret key, made once and never shown, its name and its role.

use std::{
    fmt, fs,
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use x25519_dalek::StaticSecret;
use zeroize::Zeroizing;

use crate::node::Error;
use adit_core::files;
use adit_model::peer::{NodeId, NodeRole, PublicKey};

/// The key, 32 raw bytes.
const KEY: &str = "key";
/// The key that takes over when a rotation is finished.
const NEXT_KEY: &str = "key.next";
/// Name and role.
const CARD: &str = "node.json";
/// Longest name, in characters.
const NAME_CHARS: usize = 64;

/// A node's secret key. Wiped from memory when dropped.
#[derive(Clone)]
pub struct SecretKey(StaticSecret);

impl SecretKey {
    /// A new key from the system's random numbers.
    ///
    /// # Errors
    /// When the system gives none.
    pub fn random() -> Result<Self, Error> {
        Ok(Self::from_bytes(&random()?))
    }

    pub(crate) fn from_bytes(bytes: &Zeroizing<[u8; 32]>) -> Self {
        Self(StaticSecret::from(**bytes))
    }

    /// Its public key.
    pub fn public(&self) -> PublicKey {
        PublicKey::new(x25519_dalek::PublicKey::from(&self.0).to_bytes())
    }

    /// The bytes, for the handshake and the key file. Wiped when dropped.
    pub(crate) fn expose(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("[redacted]")
    }
}

fn damaged(error: &io::Error) -> String {
    format!(
        "{error}: restore it from a backup, or write it as {{\"name\":\"rig-1\",\"role\":\"worker\",\
         \"createdAtMs\":0}} with this node's name and role (controller, worker or dual)"
    )
}

/// Random bytes from the system.
pub(crate) fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, Error> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(&mut *bytes).map_err(|error| Error::Random(error.to_string()))?;
    Ok(bytes)
}

/// Who this node is.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The secret key.
    pub key: SecretKey,
    /// Its public key.
    pub public: PublicKey,
    /// The id of that.
    pub id: NodeId,
    /// What people call the node.
    pub name: String,
    /// What it is for.
    pub role: NodeRole,
    /// When it was made, in Unix milliseconds.
    pub created_at_ms: i64,
}

/// What lies beside the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Card {
    name: String,
    role: NodeRole,
    created_at_ms: i64,
}

/// The folder of the key.
#[derive(Clone, Debug)]
pub struct KeyFolder(PathBuf);

impl KeyFolder {
    /// The folder at `path`; nothing is touched yet.
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// The identity, or `None` when the node was never initialised.
    ///
    /// # Errors
    /// When there is a key that cannot be trusted or read: it is never replaced.
    pub fn load(&self) -> Result<Option<Identity>, Error> {
        let Some(key) = self.read_key(KEY)? else { return Ok(None) };
        let path = self.0.join(CARD);
        let card: Card = files::read_json(&path)
            .map_err(|error| wrong("understand", &path)(io::Error::other(damaged(&error))))?;
        Ok(Some(identity(key, card)))
    }

    /// Makes the key, once.
    ///
    /// # Errors
    /// [`Error::Initialised`] when there is one, or when it cannot be written.
    pub fn create(&self, name: &str, role: NodeRole) -> Result<Identity, Error> {
        check_name(name)?;
        if self.read_key(KEY)?.is_some() {
            return Err(Error::Initialised);
        }
        self.make_folder()?;
        let card = Card {
            name: name.to_owned(),
            role,
            created_at_ms: jiff::Timestamp::now().as_millisecond(),
        };
        let path = self.0.join(CARD);
        let text = serde_json::to_vec(&card).unwrap_or_default();
        crate::miners::write_private(&path, &text).map_err(wrong("write", &path))?;
        let key = SecretKey::random()?;
        self.write_key(KEY, &key)?;
        Ok(identity(key, card))
    }

    /// The key that a rotation under way has announced.
    ///
    /// # Errors
    /// When it cannot be trusted or read.
    pub(crate) fn next_key(&self) -> Result<Option<SecretKey>, Error> {
        self.read_key(NEXT_KEY)
    }

    /// Makes the key that will take over, or finds the one made before.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn make_next_key(&self) -> Result<SecretKey, Error> {
        if let Some(key) = self.next_key()? {
            return Ok(key);
        }
        let key = SecretKey::random()?;
        self.write_key(NEXT_KEY, &key)?;
        Ok(key)
    }

    /// Lets the announced key take over, at once and for good.
    ///
    /// # Errors
    /// When there is none or the file system refuses.
    pub(crate) fn switch(&self) -> Result<(), Error> {
        let (from, to) = (self.0.join(NEXT_KEY), self.0.join(KEY));
        fs::rename(&from, &to).map_err(wrong("replace", &to))?;
        self.sync_folder()
    }

    fn make_folder(&self) -> Result<(), Error> {
        match fs::DirBuilder::new().mode(0o700).create(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(wrong("make", &self.0)(error))
            }
            _ => self.check_folder(),
        }
    }

    fn check_folder(&self) -> Result<(), Error> {
        let metadata = fs::symlink_metadata(&self.0).map_err(wrong("read", &self.0))?;
        trust(&metadata, metadata.is_dir(), 0o077)
            .map_err(|reason| wrong("trust", &self.0)(io::Error::other(reason)))
    }

    /// `None` when there is no such file; every other fault is an error.
    fn read_key(&self, name: &str) -> Result<Option<SecretKey>, Error> {
        let path = self.0.join(name);
        let nofollow = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        let opened = fs::OpenOptions::new()
            .read(true)
            .custom_flags(i32::try_from(nofollow.bits()).unwrap_or(0))
            .open(&path);
        let mut file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(wrong("open", &path)(error)),
        };
        self.check_folder()?;
        let metadata = file.metadata().map_err(wrong("read", &path))?;
        trust(&metadata, metadata.is_file(), 0o077)
            .map_err(|reason| wrong("trust", &path)(io::Error::other(reason)))?;
        if metadata.len() != 32 {
            let size = format!("it has {} bytes and a key has 32", metadata.len());
            return Err(wrong("use", &path)(io::Error::other(size)));
        }
        let mut bytes = Zeroizing::new([0; 32]);
        file.read_exact(&mut *bytes).map_err(wrong("read", &path))?;
        Ok(Some(SecretKey::from_bytes(&bytes)))
    }

    /// Never replaces a key: the name is taken by linking.
    fn write_key(&self, name: &str, key: &SecretKey) -> Result<(), Error> {
        let path = self.0.join(name);
        let new = self.0.join(format!("{name}.{}", uuid::Uuid::new_v4()));
        let write = || {
            let mut file =
                fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
            file.write_all(&*key.expose())?;
            file.sync_all()?;
            fs::hard_link(&new, &path)
        };
        let written = write();
        drop(fs::remove_file(&new));
        match written {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(Error::Initialised),
            Err(error) => Err(wrong("write", &path)(error)),
            Ok(()) => self.sync_folder(),
        }
    }

    fn sync_folder(&self) -> Result<(), Error> {
        fs::File::open(&self.0)
            .and_then(|folder| folder.sync_all())
            .map_err(wrong("write", &self.0))
    }
}

fn identity(key: SecretKey, card: Card) -> Identity {
    let public = key.public();
    let Card { name, role, created_at_ms } = card;
    Identity { id: public.id(), key, public, name, role, created_at_ms }
}

/// Refuses names that cannot be shown on one line.
///
/// # Errors
/// [`Error::Invalid`] with what to write.
pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    let fits = (1..=NAME_CHARS).contains(&name.chars().count());
    if fits && !name.chars().any(char::is_control) && name.trim() == name {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "name: write 1 to {NAME_CHARS} characters on one line, without blanks around them"
    )))
}

fn trust(metadata: &fs::Metadata, right_kind: bool, forbidden: u32) -> Result<(), String> {
    if !right_kind {
        return Err("it is no plain file or folder".to_owned());
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err("it belongs to another user".to_owned());
    }
    if metadata.mode() & forbidden != 0 {
        return Err(format!(
            "others may use it (mode {:o}): run chmod go= on it",
            metadata.mode() & 0o777
        ));
    }
    Ok(())
}

fn wrong(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Key { what, path, source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn folder() -> (KeyFolder, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        (KeyFolder::new(dir.path().join("node")), dir)
    }

    #[test]
    fn a_key_is_made_once_and_kept_private() {
        let (keys, _dir) = folder();
        assert!(keys.load().unwrap().is_none());
        let made = keys.create("rig 1", NodeRole::Worker).unwrap();
        let read = keys.load().unwrap().unwrap();
        assert_eq!((read.public, read.name, read.role), (made.public, made.name, made.role));
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!((mode(&keys.0), mode(&keys.0.join(KEY))), (0o700, 0o600));
        assert!(matches!(keys.create("other", NodeRole::Dual), Err(Error::Initialised)));
        assert_eq!(keys.load().unwrap().unwrap().public, read.public);
        // Nothing but the key and the card is left over.
        assert_eq!(fs::read_dir(&keys.0).unwrap().count(), 2);
    }

    #[test]
    fn a_secret_key_is_never_printed() {
        let (keys, _dir) = folder();
        let identity = keys.create("rig", NodeRole::Dual).unwrap();
        assert_eq!(format!("{:?}", identity.key), "[redacted]");
        let shown = format!("{identity:?}{identity:#?}");
        assert!(shown.contains("[redacted]"), "{shown}");
        let secret = identity.key.expose();
        let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        let decimal = format!("{:?}", &secret[..4]);
        assert!(!shown.contains(&hex) && !shown.contains(decimal.trim_matches(['[', ']'])));
    }

    #[test]
    fn a_key_that_others_could_know_stops_the_start() {
        let (keys, _dir) = folder();
        keys.create("rig", NodeRole::Dual).unwrap();
        let path = keys.0.join(KEY);
        let refused = |expected: &str| {
            let error = keys.load().unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            assert!(keys.create("again", NodeRole::Dual).is_err(), "a key was replaced");
        };
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        refused("mode 640");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::set_permissions(&keys.0, fs::Permissions::from_mode(0o750)).unwrap();
        refused("mode 750");
        fs::set_permissions(&keys.0, fs::Permissions::from_mode(0o700)).unwrap();
        assert!(keys.load().is_ok());
        let kept = keys.0.join("kept");
        fs::rename(&path, &kept).unwrap();
        symlink(&kept, &path).unwrap();
        refused("cannot open");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        refused("no plain file");
        fs::remove_dir(&path).unwrap();
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        options.open(&path).unwrap().write_all(&[1; 31]).unwrap();
        refused("31 bytes");
    }

    #[test]
    fn names_fit_on_a_line() {
        for bad in ["", " a", "a ", "a\nb", "\u{1b}[2J", &"n".repeat(65)] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
        assert!(check_name("Rig 1, Keller – links").is_ok());
    }

    #[test]
    fn the_next_key_takes_over_whole() {
        let (keys, _dir) = folder();
        let old = keys.create("rig", NodeRole::Dual).unwrap();
        let next = keys.make_next_key().unwrap();
        assert_eq!(keys.make_next_key().unwrap().public(), next.public());
        assert_eq!(keys.load().unwrap().unwrap().public, old.public);
        keys.switch().unwrap();
        assert_eq!(keys.load().unwrap().unwrap().public, next.public());
        assert!(keys.next_key().unwrap().is_none());
        assert!(keys.switch().is_err());
    }
}
