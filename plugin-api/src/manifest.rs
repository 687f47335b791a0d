//! The manifest that [`export_driver!`](crate::export_driver) puts into a driver's library, read
//! without running any of the driver's code.
//!
//! It is the section `.adit_driver` (`__DATA,__adit_driver` on macOS): UTF-8 entries `key=value`,
//! each with a NUL after it. Unknown keys are kept in [`Manifest::other`].

use std::{collections::BTreeMap, str::FromStr};

/// The ELF section that holds the manifest.
pub const SECTION: &str = ".adit_driver";

/// The largest manifest that is read, in bytes.
pub const MAX_BYTES: usize = 256 << 10;

/// What a library says of itself as a driver.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Version of this crate that the driver was built with.
    pub api: ApiVersion,
    /// Id of the driver: `[a-z0-9][a-z0-9-]{0,62}`.
    pub id: String,
    /// Version of the driver.
    pub version: String,
    /// Name of the driver's package or another that the author chose; empty when not given.
    pub name: String,
    /// What it does, in a sentence; empty when not given.
    pub description: String,
    /// Who wrote it.
    pub authors: Vec<String>,
    /// SPDX expression; empty when not given.
    pub license: String,
    /// URL; empty when not given.
    pub homepage: String,
    /// URL; empty when not given.
    pub repository: String,
    /// The compiler it was built by, such as `rustc 1.95.0 (59807616e 2026-04-14)`.
    pub rustc: String,
    /// The target it was built for, such as `x86_64-unknown-linux-gnu`.
    pub target: String,
    /// The targets the author offers it for.
    pub platforms: Vec<String>,
    /// Entries with keys that this version has no name for.
    pub other: BTreeMap<String, String>,
}

/// A version of this crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApiVersion {
    /// Both sides must have the same.
    pub major: u32,
    /// The sides may differ: newer methods are answered by defaults.
    pub minor: u32,
    /// Says nothing about loading.
    pub patch: u32,
}

/// Why bytes are no manifest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// It has more than [`MAX_BYTES`].
    #[error("the manifest has {0} bytes, more than the {MAX_BYTES} allowed")]
    TooLarge(usize),
    /// It is not text.
    #[error("the manifest is not UTF-8")]
    NotText,
    /// An entry is not `key=value`.
    #[error("the manifest has an entry without a key: {0:?}")]
    NoKey(String),
    /// A key occurs twice, as when two drivers were linked into one library.
    #[error("the manifest has two entries for {0}")]
    Twice(String),
    /// A key that every driver has is missing.
    #[error("the manifest has no {0}")]
    Missing(&'static str),
    /// The id cannot be a file name and part of a URL.
    #[error("the driver's id {0:?} is not usable: it needs 1 to 63 of a-z, 0-9 and -")]
    BadId(String),
    /// The API version is not `1.2.3`.
    #[error("the manifest's API version {0:?} is no version")]
    BadApi(String),
}

impl Manifest {
    /// Reads the bytes of the section.
    ///
    /// # Errors
    /// When they are not a driver's manifest; the driver must not be loaded.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        let mut entries = entries(bytes)?;
        let mut take = |key| entries.remove(key).filter(|value| !value.is_empty());
        let api = take("api").ok_or(ManifestError::Missing("api"))?;
        let id = take("id").ok_or(ManifestError::Missing("id"))?;
        if !is_id(&id) {
            return Err(ManifestError::BadId(beginning(&id)));
        }
        Ok(Self {
            api: api.parse().map_err(|()| ManifestError::BadApi(beginning(&api)))?,
            id,
            version: take("version").ok_or(ManifestError::Missing("version"))?,
            name: take("name").unwrap_or_default(),
            description: take("description").unwrap_or_default(),
            authors: list(take("authors"), ':'),
            license: take("license").unwrap_or_default(),
            homepage: take("homepage").unwrap_or_default(),
            repository: take("repository").unwrap_or_default(),
            rustc: take("rustc").unwrap_or_default(),
            target: take("target").unwrap_or_default(),
            platforms: list(take("platforms"), ','),
            other: entries,
        })
    }
}

fn entries(bytes: &[u8]) -> Result<BTreeMap<String, String>, ManifestError> {
    if bytes.len() > MAX_BYTES {
        return Err(ManifestError::TooLarge(bytes.len()));
    }
    let text = str::from_utf8(bytes).map_err(|_| ManifestError::NotText)?;
    let mut entries = BTreeMap::new();
    // A linker may pad a section with NULs.
    for entry in text.split('\0').filter(|entry| !entry.is_empty()) {
        let (key, value) = entry
            .split_once('=')
            .filter(|(key, _)| !key.is_empty())
            .ok_or_else(|| ManifestError::NoKey(beginning(entry)))?;
        // A manifest is shown on terminals, where control characters would act.
        let value = value.replace(|c: char| c.is_control(), " ");
        if entries.insert(key.to_owned(), value).is_some() {
            return Err(ManifestError::Twice(beginning(key)));
        }
    }
    Ok(entries)
}

fn list(value: Option<String>, separator: char) -> Vec<String> {
    let parts = value.unwrap_or_default();
    parts
        .split(separator)
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Enough of a text from outside to recognize it.
fn beginning(text: &str) -> String {
    text.chars().take(80).collect()
}

/// Whether `id` is `[a-z0-9][a-z0-9-]{0,62}`.
pub(crate) const fn is_id(id: &str) -> bool {
    let bytes = id.as_bytes();
    if bytes.is_empty() || bytes.len() > 63 || bytes[0] == b'-' {
        return false;
    }
    let mut at = 0;
    while at < bytes.len() {
        if !matches!(bytes[at], b'a'..=b'z' | b'0'..=b'9' | b'-') {
            return false;
        }
        at += 1;
    }
    true
}

impl FromStr for ApiVersion {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split('.');
        let mut number = || parts.next().and_then(|part| part.parse().ok()).ok_or(());
        let version = Self { major: number()?, minor: number()?, patch: number()? };
        if parts.next().is_none() { Ok(version) } else { Err(()) }
    }
}

impl serde::Serialize for ApiVersion {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl std::fmt::Display for ApiVersion {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = "api=1.0.0\0id=sim\0version=0.1.0\0";

    fn check(text: &str, expected: &ManifestError) {
        assert_eq!(&Manifest::parse(text.as_bytes()).unwrap_err(), expected, "{text:?}");
    }

    #[test]
    fn a_whole_manifest_is_read() {
        let text = format!(
            "{LEAST}authors=A <a@example.org>:B\0description=a=b\x1b[2J\0\
             platforms=x86_64-unknown-linux-gnu, aarch64-unknown-linux-gnu\0colour=red\0\0\0"
        );
        let manifest = Manifest::parse(text.as_bytes()).unwrap();
        assert_eq!(manifest.api, ApiVersion { major: 1, minor: 0, patch: 0 });
        assert_eq!(manifest.authors, ["A <a@example.org>", "B"]);
        assert_eq!(manifest.description, "a=b [2J");
        assert_eq!(manifest.platforms[1], "aarch64-unknown-linux-gnu");
        assert_eq!(manifest.other["colour"], "red");
        assert_eq!(manifest.license, "");
    }

    #[test]
    fn what_is_no_manifest_is_refused_with_its_reason() {
        use ManifestError::*;
        check("", &Missing("api"));
        check("api=1.0.0", &Missing("id"));
        check("api=\0id=sim", &Missing("api"));
        check("api=1.0.0\0id=sim", &Missing("version"));
        check("nonsense", &NoKey("nonsense".to_owned()));
        check("=x", &NoKey("=x".to_owned()));
        check(&format!("{LEAST}{LEAST}"), &Twice("api".to_owned()));
        for bad in ["1", "1.0", "1.0.0.0", "one", "-1.0.0", "99999999999.0.0", "1.0.0 "] {
            check(&format!("api={bad}\0id=sim\0version=1"), &BadApi(bad.to_owned()));
        }
        let long = "a".repeat(64);
        for bad in ["../../etc/x", "-a", "A", "a_b", "é", &long] {
            check(&format!("api=1.0.0\0id={bad}\0version=1"), &BadId(bad.to_owned()));
        }
        assert_eq!(Manifest::parse(b"api=\xff").unwrap_err(), NotText);
        assert_eq!(Manifest::parse(&vec![0; MAX_BYTES + 1]).unwrap_err(), TooLarge(MAX_BYTES + 1));
    }

    #[test]
    fn an_error_repeats_only_the_beginning_of_what_it_refuses() {
        let error = Manifest::parse("x".repeat(MAX_BYTES).as_bytes()).unwrap_err();
        assert!(error.to_string().len() < 200);
    }

    #[test]
    fn a_manifest_cut_at_any_byte_is_refused_or_whole() {
        for end in 0..LEAST.len() - 2 {
            match Manifest::parse(&LEAST.as_bytes()[..end]) {
                Ok(manifest) => assert!(LEAST.contains(&manifest.version)),
                Err(error) => assert!(!error.to_string().is_empty()),
            }
        }
    }
}
