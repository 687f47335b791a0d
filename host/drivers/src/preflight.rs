//! What can be said of a file before any of its code runs.

use std::{
    fmt::Write,
    fs::OpenOptions,
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use adit_plugin_api::manifest::{ApiVersion, Manifest, ManifestError};
use rustix::fs::OFlags;
use sha2::{Digest, Sha256};

use crate::{elf, search::cause};
use adit_model::name::DriverId;

/// The largest file that is read, in bytes.
pub const MAX_FILE: u64 = 256 << 20;

/// The driver API that this host speaks, without its patch number.
const API_MAJOR: u32 = 1;

/// A whole file, read once: what was checked is what is loaded.
pub struct Image {
    /// The file's bytes.
    pub bytes: Vec<u8>,
    /// Their SHA-256, in hex.
    pub sha256: String,
}

/// Why a file cannot be loaded as a driver.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It cannot be read.
    #[error("cannot read it: {}", cause(.0))]
    Unreadable(#[source] io::Error),
    /// It is a link to nothing.
    #[error("no driver: a link to {}, which does not exist", .0.display())]
    Dangling(PathBuf),
    /// It is no regular file.
    #[error("no driver: {0}, not a file")]
    NotAFile(&'static str),
    /// It has no content.
    #[error("no driver: an empty file")]
    Empty,
    /// It is larger than [`MAX_FILE`].
    #[error("no driver: {0} bytes, more than the {MAX_FILE} allowed")]
    TooLarge(u64),
    /// It is something else than a library.
    #[error("no driver: not an ELF library")]
    NotElf,
    /// It is a program or an object file.
    #[error("no driver: a program or object file, not a shared library")]
    NotShared,
    /// It is a library that is no driver.
    #[error("no driver: no .adit_driver section")]
    NoManifest,
    /// Less of it is there than its headers promise.
    #[error("damaged or truncated file: {0}")]
    Damaged(String),
    /// It is for another machine.
    #[error("wrong platform: built for {0}, this host needs 64-bit {arch}", arch = std::env::consts::ARCH)]
    Platform(String),
    /// It has a manifest but not what goes with it.
    #[error("no driver: its entry point {0}; export it with export_driver!")]
    Entry(&'static str),
    /// Its manifest cannot be read.
    #[error("{0}")]
    Manifest(#[from] ManifestError),
    /// It is written down and cannot be read.
    #[error("{0}")]
    Definition(String),
    /// It was built for hosts of another generation.
    #[error("built for driver API {0}, this host has {API_MAJOR}.x")]
    Api(ApiVersion),
}

impl Refusal {
    /// Whether the file is something other than a driver, as opposed to one with a fault.
    pub fn is_no_driver(&self) -> bool {
        matches!(
            self,
            Self::Dangling(_)
                | Self::NotAFile(_)
                | Self::Empty
                | Self::NotElf
                | Self::NotShared
                | Self::NoManifest
        )
    }
}

/// Reads the file at `path` whole.
///
/// # Errors
/// [`Refusal::Unreadable`], [`Refusal::NotAFile`] or [`Refusal::TooLarge`].
pub fn read(path: &Path) -> Result<Image, Refusal> {
    // Opening a FIFO would wait for a writer.
    let flags = OFlags::NONBLOCK | OFlags::CLOEXEC;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let mut file = opened.map_err(|error| match std::fs::read_link(path) {
        Ok(target) if error.kind() == io::ErrorKind::NotFound => Refusal::Dangling(target),
        _ => Refusal::Unreadable(error),
    })?;
    let meta = file.metadata().map_err(Refusal::Unreadable)?;
    if meta.is_dir() {
        return Err(Refusal::NotAFile("a folder"));
    }
    if !meta.is_file() {
        return Err(Refusal::NotAFile("a device or pipe"));
    }
    if meta.len() > MAX_FILE {
        return Err(Refusal::TooLarge(meta.len()));
    }
    // One more byte than it has, so that a file that grows meanwhile is not cut unnoticed.
    let mut bytes = Vec::with_capacity(usize::try_from(meta.len() + 1).unwrap_or_default());
    file.by_ref().take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(Refusal::Unreadable)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(Refusal::TooLarge(bytes.len() as u64));
    }
    let sha256 = Sha256::digest(&bytes).iter().fold(String::new(), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    Ok(Image { bytes, sha256 })
}

/// Checks that `bytes` are a whole library for this machine with a manifest, and reads that.
///
/// # Errors
/// [`Refusal`], the first reason that was found.
pub fn manifest(bytes: &[u8]) -> Result<Manifest, Refusal> {
    Ok(Manifest::parse(elf::manifest(bytes)?)?)
}

/// Whether a driver with this manifest can work with this host. Returns its id.
///
/// # Errors
/// [`Refusal::Api`], or [`Refusal::Manifest`] for an unusable id.
pub fn accept(manifest: &Manifest) -> Result<DriverId, Refusal> {
    if manifest.api.major != API_MAJOR {
        return Err(Refusal::Api(manifest.api));
    }
    // The manifest's own rule for ids is the same today; what the host relies on is its own.
    DriverId::new(manifest.id.clone())
        .map_err(|_| ManifestError::BadId(manifest.id.chars().take(80).collect()).into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn refusal(bytes: &[u8]) -> String {
        manifest(bytes).unwrap_err().to_string()
    }

    #[test]
    fn what_is_no_elf_file_is_no_driver() {
        assert_eq!(refusal(b""), "no driver: an empty file");
        for text in [&b"hello"[..], b"#!/bin/sh\n", b"\x7fEL", b"MZ", &[0; 64]] {
            assert_eq!(refusal(text), "no driver: not an ELF library");
        }
    }

    #[test]
    fn garbage_after_the_magic_is_refused_without_a_panic() {
        let mut state = 7_u64;
        for round in 0..20_000 {
            let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
            for _ in 0..round % 300 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                bytes.push((state >> 56) as u8);
            }
            if bytes.len() > 20 {
                bytes[18..20].copy_from_slice(&[62, 0]);
            }
            assert!(manifest(&bytes).is_err());
        }
    }

    #[test]
    fn a_pipe_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe.so");
        let mode = rustix::fs::Mode::RUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let error = read(&pipe).err().unwrap().to_string();
        assert_eq!(error, "no driver: a device or pipe, not a file");
        let error = read(dir.path()).err().unwrap().to_string();
        assert_eq!(error, "no driver: a folder, not a file");
    }

    #[test]
    fn a_file_without_the_right_to_read_it_is_told_so() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.so");
        std::fs::write(&path, "x").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).unwrap();
        let reading = std::thread::spawn(move || {
            if rustix::process::geteuid().is_root() {
                // Root may read everything, so this thread becomes somebody else.
                let nobody = rustix::process::Uid::from_raw(65_534);
                rustix::thread::set_thread_uid(nobody).unwrap();
            }
            read(&path).err().unwrap().to_string()
        });
        assert_eq!(reading.join().unwrap(), "cannot read it: permission denied");
    }
}
