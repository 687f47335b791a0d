//! A file as a driver, without running any of it.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use adit_plugin_api::manifest::Manifest;
use serde::Serialize;

use crate::{
    definition,
    preflight::{self, Image, Refusal},
    text::{one_line, panic_message},
    trust::{self, Distrust, Owner},
};
use adit_model::name::DriverId;

/// What can be said of a file.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Inspection {
    /// The file.
    pub path: PathBuf,
    /// Its size in bytes, when it could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<usize>,
    /// SHA-256 of its bytes in hex, when it could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Its manifest, when it has a readable one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Manifest>,
    /// Why it would not be loaded, one line each, the most important first. Empty: it would be
    /// tried; whether the system's loader takes it shows then.
    pub problems: Vec<String>,
}

/// What a file is found to be.
#[derive(Default)]
pub(crate) struct Examined {
    pub(crate) report: Inspection,
    /// The bytes and the id, when there is no problem. The bytes of a driver that is written down are
    /// its text.
    pub(crate) loadable: Option<(DriverId, Image)>,
    /// Whether it is something else than a driver, and not a driver with a fault.
    pub(crate) is_no_driver: bool,
}

/// Looks at the file at `path` without running any of its code. Reads it whole; blocks.
pub fn inspect(path: &Path, owner: Owner) -> Inspection {
    examine(path, owner).report
}

/// The same for the registry. A panic becomes a problem of the file.
pub(crate) fn examine(path: &Path, owner: Owner) -> Examined {
    let examined = catch_unwind(AssertUnwindSafe(|| try_examine(path, owner)));
    examined.unwrap_or_else(|payload| {
        let problem = format!("the host panicked reading it: {}", panic_message(&*payload));
        let report = Inspection {
            path: path.to_path_buf(),
            problems: vec![problem],
            ..Inspection::default()
        };
        Examined { report, ..Examined::default() }
    })
}

fn try_examine(path: &Path, owner: Owner) -> Examined {
    let trusted = trust::check(path, owner);
    // What was checked is what is read; an untrusted file is only looked at.
    let resolved = trusted.as_deref().unwrap_or(path);
    let mut report = Inspection { path: path.to_path_buf(), ..Inspection::default() };
    let mut problems = Vec::new();
    let mut is_no_driver = false;
    let accepted = preflight::read(resolved).and_then(|image| {
        report.size = Some(image.bytes.len());
        report.sha256 = Some(image.sha256.clone());
        let manifest = if definition::is_definition(path) {
            definition::manifest(&image.bytes)?
        } else {
            preflight::manifest(&image.bytes)?
        };
        let id = preflight::accept(&manifest);
        report.manifest = Some(manifest);
        Ok((id?, image))
    });
    let accepted = accepted.map_err(|refusal: Refusal| {
        is_no_driver = refusal.is_no_driver();
        problems.push(one_line(&refusal.to_string()));
    });
    if let Err(distrust) = &trusted {
        // That it is not there was said already.
        let said = matches!(distrust, Distrust::Unseen { .. }) && !problems.is_empty();
        if !said {
            problems.push(one_line(&format!("not trusted: {distrust}")));
        }
    }
    let loadable = accepted.ok().filter(|_| problems.is_empty());
    report.problems = problems;
    Examined { report, loadable, is_no_driver }
}
