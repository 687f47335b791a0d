//! Archives, honest and hostile.

use std::io::{Cursor, Write};

use flate2::{Compression, write::GzEncoder};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

/// SHA-256 in hex.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The program of `version`: a script that prints it, padded so that downloads take several reads.
pub fn program(version: &str) -> Vec<u8> {
    let mut state = 1_u64;
    let padding: String = (0..300_000)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            char::from(b'a' + state.to_be_bytes()[1] % 26)
        })
        .collect();
    format!("#!/bin/sh\necho 'digger {version}'\nexit 0\n# {padding}\n").into_bytes()
}

/// A `.tar.gz` in the making.
pub struct TarGz(Builder<GzEncoder<Vec<u8>>>);

impl Default for TarGz {
    fn default() -> Self {
        Self::new()
    }
}

impl TarGz {
    /// An empty archive.
    pub fn new() -> Self {
        Self(Builder::new(GzEncoder::new(Vec::new(), Compression::default())))
    }

    /// With this file.
    #[must_use]
    pub fn file(mut self, path: &str, mode: u32, content: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        header.set_mode(mode);
        header.set_size(content.len() as u64);
        self.0.append_data(&mut header, path, content).unwrap();
        self
    }

    /// An entry whose path and kind the library would not write.
    #[must_use]
    pub fn raw(mut self, path: &[u8], kind: EntryType, link: &str, content: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path);
        header.set_entry_type(kind);
        header.set_mode(0o755);
        header.set_size(content.len() as u64);
        if !link.is_empty() {
            header.as_gnu_mut().unwrap().linkname[..link.len()].copy_from_slice(link.as_bytes());
        }
        header.set_cksum();
        self.0.append(&header, content).unwrap();
        self
    }

    /// With a file of zeros, which packs small.
    #[must_use]
    pub fn zeros(mut self, path: &str, size: u64) -> Self {
        let mut header = Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(size);
        let zeros = std::io::Read::take(std::io::repeat(0), size);
        self.0.append_data(&mut header, path, zeros).unwrap();
        self
    }

    /// The archive.
    pub fn bytes(self) -> Vec<u8> {
        self.0.into_inner().unwrap().finish().unwrap()
    }

    /// What every honest release holds.
    pub fn honest(version: &str) -> Self {
        let top = format!("digger-{version}");
        Self::new()
            .file(&format!("{top}/digger"), 0o644, &program(version))
            .file(&format!("{top}/config.json"), 0o4777, b"{\"pools\": \"the author's\"}")
            .file(&format!("{top}/docs/README"), 0o666, b"read me")
    }
}

/// An honest `.zip`.
pub fn zip(version: &str) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    let top = format!("digger-{version}");
    zip.add_directory(format!("{top}/"), options).unwrap();
    zip.start_file(format!("{top}/digger"), options.unix_permissions(0o755)).unwrap();
    zip.write_all(&program(version)).unwrap();
    zip.start_file(format!("{top}/config.json"), options).unwrap();
    zip.write_all(b"{}").unwrap();
    zip.finish().unwrap().into_inner()
}

/// A `.zip` with one more entry: a symbolic link, or a file at a path that leads out.
pub fn bad_zip(version: &str, link: bool) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    zip.start_file(format!("digger-{version}/digger"), options.unix_permissions(0o755)).unwrap();
    zip.write_all(&program(version)).unwrap();
    if link {
        zip.add_symlink("link", "/etc/passwd", options).unwrap();
    } else {
        zip.start_file("../outside", options).unwrap();
        zip.write_all(b"x").unwrap();
    }
    zip.finish().unwrap().into_inner()
}
