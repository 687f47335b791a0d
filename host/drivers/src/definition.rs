//! A driver that is written down instead of programmed: a TOML file, which a library that came with
//! the host serves. Here is what the host itself reads of the file; the rest is that library's.

use std::{
    cmp::Ordering,
    ffi::OsStr,
    path::{Path, PathBuf},
    sync::Arc,
};

use adit_plugin_api::{
    export::API,
    manifest::{Manifest, ManifestError},
};
use serde::{Deserialize, Serialize};

use crate::{
    inspect::inspect, preflight::Refusal, registry::by_version, search::Search, trust::Owner,
};
use adit_model::name::DriverId;

/// What such a file is called after its last dot.
pub(crate) const EXTENSION: &str = "toml";

/// The largest one, in bytes.
const MOST_BYTES: usize = 256 << 10;

/// The key in the manifest of a library that serves such files, and its value.
const INTERPRETS: (&str, &str) = ("interprets", "toml");

/// Whether the file at `path` would be such a driver.
pub fn is_definition(path: &Path) -> bool {
    path.extension() == Some(OsStr::new(EXTENSION))
}

/// Whether the library with this manifest serves such files. It is no driver by itself.
pub(crate) fn is_interpreter(manifest: &Manifest) -> bool {
    let (key, value) = INTERPRETS;
    manifest.other.get(key).is_some_and(|it| it == value)
}

/// The library that serves such files: the newest in the folders. Reads all libraries; blocks.
pub fn interpreter(search: &Search, owner: Owner) -> Option<PathBuf> {
    let libraries = search.find().candidates.into_iter().filter(|it| !is_definition(&it.path));
    let serving = libraries.filter_map(|file| {
        let report = inspect(&file.path, owner);
        let manifest = report.manifest.filter(is_interpreter)?;
        report.problems.is_empty().then_some((file.path, manifest.version))
    });
    let newest =
        serving.reduce(
            |best, next| {
                if by_version(&next.1, &best.1) == Ordering::Greater { next } else { best }
            },
        );
    newest.map(|(path, _)| path)
}

/// The library that serves a driver which is written down. Its code is what runs, so it counts like
/// the driver's own file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Interpreter {
    /// Its id in `drivers.lock`.
    pub id: DriverId,
    /// Its version.
    pub version: String,
    /// SHA-256 of its file, in hex.
    pub sha256: String,
}

/// A driver that is written down, and what serves it.
#[derive(Clone, Debug)]
pub(crate) struct Definition {
    pub(crate) text: Arc<str>,
    pub(crate) interpreter: Interpreter,
}

/// The table that every such file has.
#[derive(Deserialize)]
struct Head {
    driver: Driver,
}

#[derive(Deserialize)]
struct Driver {
    id: String,
    version: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    summary: String,
    #[serde(default)]
    homepage: String,
    #[serde(default)]
    license: String,
    #[serde(default)]
    authors: Vec<String>,
}

/// What the file says of itself, as a library does in its manifest.
///
/// # Errors
/// [`Refusal::Definition`] with the line, or [`Refusal::Manifest`] for an unusable id.
pub(crate) fn manifest(bytes: &[u8]) -> Result<Manifest, Refusal> {
    let refused = |reason: String| Refusal::Definition(reason);
    if bytes.len() > MOST_BYTES {
        let told = format!("{} bytes, more than the {MOST_BYTES} allowed", bytes.len());
        return Err(refused(told));
    }
    let text = str::from_utf8(bytes).map_err(|_| refused("it is not UTF-8".to_owned()))?;
    let Head { driver } = toml::from_str(text).map_err(|error| refused(told(text, &error)))?;
    let api = API.parse().map_err(|()| ManifestError::BadApi(API.to_owned()))?;
    // Shown on terminals, where control characters would act.
    let plain = |text: String| text.replace(char::is_control, " ");
    Ok(Manifest {
        api,
        id: driver.id,
        version: plain(driver.version),
        name: plain(driver.name),
        description: plain(driver.summary),
        authors: driver.authors.into_iter().map(plain).collect(),
        license: plain(driver.license),
        homepage: plain(driver.homepage),
        repository: String::new(),
        rustc: String::new(),
        target: String::new(),
        platforms: Vec::new(),
        other: [("written".to_owned(), EXTENSION.to_owned())].into(),
    })
}

fn told(text: &str, error: &toml::de::Error) -> String {
    let message = error.message();
    if message == "missing field `driver`" {
        return "it has no table [driver]; begin with [driver], id and version".to_owned();
    }
    let place = error.span().and_then(|span| text.get(..span.start));
    place.map_or_else(
        || message.to_owned(),
        |before| format!("line {}: {message}", 1 + before.matches('\n').count()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        manifest(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn the_head_is_read_whatever_else_there_is() {
        let text = "[driver]\nid = \"nova\"\nversion = \"1.2.0\"\nname = \"No\\u001bva\"\n[start]\nargs = 3";
        let read = manifest(text.as_bytes()).unwrap();
        assert_eq!((read.id.as_str(), read.version.as_str()), ("nova", "1.2.0"));
        assert_eq!(read.name, "No va");
        assert!(!is_interpreter(&read));
    }

    #[test]
    fn what_is_no_definition_is_refused_with_its_line() {
        assert!(refusal("").contains("no table [driver]"));
        assert!(refusal("[driver]\nid = \"x\"\n").contains("line 1: missing field `version`"));
        let told = refusal("[driver]\nid = \"x\"\nversion = 1\n");
        assert!(told.contains("line 3: invalid type: integer"), "{told}");
        assert!(refusal("[driver\n").contains("line 1: "));
        assert!(manifest(b"\xff").unwrap_err().to_string().contains("UTF-8"));
        assert!(refusal(&" ".repeat(MOST_BYTES + 1)).contains("more than"));
    }
}
