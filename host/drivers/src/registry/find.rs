//! Which files there are, and which of them could serve as drivers.

use std::{cmp::Ordering, collections::BTreeMap, sync::Arc};

use adit_plugin_api::manifest::Manifest;
use semver::Version;

use crate::{
    definition::{self, Definition, Interpreter},
    inspect::{Examined, examine},
    lock::{Lock, Trust},
    preflight::Image,
    registry::{Listed, Options, State},
};
use adit_model::name::DriverId;

/// Position in the order of the search.
pub(super) type Place = usize;

/// A file that passed all that can be checked without running it.
pub(super) struct Rival {
    pub(super) place: Place,
    pub(super) entry: Listed,
    /// The library.
    pub(super) image: Arc<Image>,
    pub(super) id: DriverId,
    pub(super) manifest: Manifest,
    /// What the file says and who serves it, when it is not the library itself.
    pub(super) definition: Option<Definition>,
    pub(super) is_bundled: bool,
}

impl Rival {
    /// Has the library of `interpreter` serve what is written in the file.
    fn served_by(mut self, interpreter: &Self) -> Option<Self> {
        let text = String::from_utf8(Arc::into_inner(self.image)?.bytes).ok()?.into();
        let served_by = Interpreter {
            id: interpreter.id.clone(),
            version: interpreter.manifest.version.clone(),
            sha256: interpreter.image.sha256.clone(),
        };
        self.definition = Some(Definition { text, interpreter: served_by });
        self.image = Arc::clone(&interpreter.image);
        Some(self)
    }
}

/// What a search found.
#[derive(Default)]
pub(super) struct Found {
    /// The refused files.
    pub(super) listed: BTreeMap<Place, Listed>,
    /// The others by id, each with the best first.
    pub(super) rivals: BTreeMap<DriverId, Vec<Rival>>,
}

impl Found {
    fn add_definitions(&mut self, definitions: Vec<Rival>, interpreter: Option<&Rival>) {
        for rival in definitions {
            let (place, mut entry, id) = (rival.place, rival.entry.clone(), rival.id.clone());
            if let Some(rival) = interpreter.and_then(|it| rival.served_by(it)) {
                self.rivals.entry(id).or_default().push(rival);
                continue;
            }
            let reason = "nothing serves it: the library that serves drivers written in TOML is \
                          not among the drivers, or not trusted; it comes with the host";
            entry.reason = Some(reason.to_owned());
            self.listed.insert(place, entry);
        }
    }
}

/// Looks at all files. Reads each whole; blocks.
pub(super) fn find(options: &Options) -> Found {
    let search = options.search.find();
    let lock = options.lock.as_deref().map_or_else(|| Ok(Lock::default()), Lock::read);
    let mut found = Found::default();
    let (mut interpreters, mut definitions) = (Vec::new(), Vec::new());
    for (place, candidate) in search.candidates.into_iter().enumerate() {
        let Examined { report, loadable, is_no_driver } = examine(&candidate.path, options.owner);
        if is_no_driver && candidate.in_build {
            continue;
        }
        let mut entry = Listed::new(candidate.path);
        entry.sha256 = report.sha256;
        if let Some(manifest) = &report.manifest {
            entry.id = Some(manifest.id.clone());
            entry.version = Some(manifest.version.clone());
            entry.api = Some(manifest.api.to_string());
        }
        entry.reason = report.problems.into_iter().next();
        if let (Trust::Pinned, Some((id, image))) = (options.trust, &loadable)
            && let Some(reason) = distrust(&lock, id, &image.sha256)
        {
            (entry.state, entry.reason) = (State::Untrusted, Some(reason));
            found.listed.insert(place, entry);
            continue;
        }
        let (Some((id, image)), Some(manifest)) = (loadable, report.manifest) else {
            found.listed.insert(place, entry);
            continue;
        };
        let (image, is_bundled) = (Arc::new(image), candidate.is_bundled);
        let definition = None;
        let rival = Rival { place, entry, image, id, manifest, definition, is_bundled };
        if definition::is_definition(&rival.entry.path) {
            definitions.push(rival);
        } else if definition::is_interpreter(&rival.manifest) {
            interpreters.push(rival);
        } else {
            found.rivals.entry(rival.id.clone()).or_default().push(rival);
        }
    }
    interpreters.sort_by(|a, b| by_version(&b.manifest.version, &a.manifest.version));
    found.add_definitions(definitions, interpreters.first());
    for (dir, reason) in search.unreadable {
        let place = usize::MAX - found.listed.len();
        found.listed.insert(place, Listed { reason: Some(reason), ..Listed::new(dir) });
    }
    for rivals in found.rivals.values_mut() {
        // The sort is stable: files of the same version stay in the order of the search.
        rivals.sort_by(|a, b| by_version(&b.manifest.version, &a.manifest.version));
    }
    found
}

/// Why a file is not trusted although nobody else could have written it.
fn distrust(lock: &Result<Lock, String>, id: &DriverId, sha256: &str) -> Option<String> {
    match lock {
        Ok(lock) if lock.has(id, sha256) => None,
        Ok(_) => Some(format!(
            "its SHA-256 is not approved; if it is what you expect, run: adit driver trust {id} \
             --sha256 {sha256}"
        )),
        Err(error) => Some(error.clone()),
    }
}

/// Numbers compare as numbers; a text that is no version is older than any.
pub(crate) fn by_version(a: &str, b: &str) -> Ordering {
    let parse = |text| Version::parse(text).ok();
    match (parse(a), parse(b)) {
        (Some(a), Some(b)) => a.cmp_precedence(&b),
        (a, b) => a.is_some().cmp(&b.is_some()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_their_numbers() {
        for (older, newer) in
            [("0.9.0", "0.10.0"), ("9.0.0", "10.0.0"), ("1.0.0-rc.1", "1.0.0"), ("latest", "0.0.1")]
        {
            assert_eq!(by_version(older, newer), Ordering::Less, "{older} < {newer}");
            assert_eq!(by_version(newer, older), Ordering::Greater, "{newer} > {older}");
        }
        assert_eq!(by_version("1.0.0+a", "1.0.0+b"), Ordering::Equal);
        assert_eq!(by_version("x", "y"), Ordering::Equal);
    }
}
