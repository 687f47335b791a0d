//! `.zip`.

use std::fs::File;

use zip::{CompressionMethod, ZipArchive};

use crate::unpack::{Fault, Target};

pub(super) fn unpack(file: File, target: &mut Target) -> Result<(), Fault> {
    let mut archive = ZipArchive::new(file).map_err(|error| Fault::damaged(&error))?;
    for index in 0..archive.len() {
        target.entry()?;
        let entry = archive.by_index(index).map_err(|error| Fault::damaged(&error))?;
        let path = entry.name_raw().to_vec();
        let shown = String::from_utf8_lossy(&path).chars().take(100).collect::<String>();
        let refused = |what| Err(Fault::Refused(format!("it holds {what}, {shown:?}")));
        if entry.encrypted() {
            return refused("an encrypted file");
        }
        let mode = entry.unix_mode();
        // 0: the archive was made where files have no kind.
        match mode.map_or(0, |mode| mode & 0o170_000) {
            0 | 0o100_000 | 0o040_000 => {}
            0o120_000 => return refused("a symbolic link"),
            _ => return refused("something that is neither a file nor a folder"),
        }
        if !matches!(entry.compression(), CompressionMethod::Stored | CompressionMethod::Deflated) {
            return refused("a file packed in a way that is not supported");
        }
        if entry.is_dir() {
            target.folder(&path)?;
        } else {
            let is_program = mode.is_some_and(|mode| mode & 0o111 != 0);
            target.file(&path, is_program, entry.size(), entry)?;
        }
    }
    Ok(())
}
