//! Unpacks an archive into the staging folder and finds the program in it.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use crate::{Limits, error::Error, shelf, unpack};

/// The blocking part of an installation: from an archive to a program that can be tried.
pub(super) struct Unpacking {
    pub(super) archive: PathBuf,
    pub(super) asset: String,
    pub(super) files: PathBuf,
    /// Where the program may be inside them.
    pub(super) places: Vec<PathBuf>,
    pub(super) remove: Vec<PathBuf>,
    pub(super) limits: Limits,
}

impl Unpacking {
    /// Returns where the program is inside the archive, and what was removed of it.
    pub(super) fn carry_out(&self) -> Result<(PathBuf, Vec<PathBuf>), Error> {
        let staged = self.files.parent().unwrap_or(&self.files);
        fs::create_dir(staged).map_err(Error::io("make", staged))?;
        unpack::unpack(&self.archive, &self.asset, &self.files, &self.limits)?;
        let mut removed = Vec::new();
        for unwanted in &self.remove {
            let path = self.files.join(unwanted);
            if fs::symlink_metadata(&path).is_ok() {
                shelf::remove(&path).map_err(Error::io("remove", &path))?;
                removed.push(unwanted.clone());
            }
        }
        let is_file = |place: &&PathBuf| {
            fs::symlink_metadata(self.files.join(place)).is_ok_and(|it| it.is_file())
        };
        let Some(place) = self.places.iter().find(is_file) else {
            let places: Vec<_> = self.places.iter().map(|it| it.display().to_string()).collect();
            let reason = format!("it has no program {}", places.join(" or "));
            return Err(Error::Archive { asset: self.asset.clone(), reason });
        };
        let program = self.files.join(place);
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755))
            .map_err(Error::io("make executable", &program))?;
        Ok((place.clone(), removed))
    }
}
