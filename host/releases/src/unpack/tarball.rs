//! `.tar.gz`.

use std::{
    fs::File,
    io::{self, Read},
};

use flate2::read::MultiGzDecoder;
use tar::{Archive, Entry, EntryType, PaxExtensions};

use crate::unpack::{BOUND, Fault, Target};

/// Longest extended header, in bytes.
const HEADER_BYTES: u64 = 1 << 16;

/// What an extended header says of the entry after it.
#[derive(Default)]
struct Extended {
    path: Option<Vec<u8>>,
}

pub(super) fn unpack(file: File, target: &mut Target) -> Result<(), Fault> {
    // Headers and padding count too: an archive may have nothing else.
    let most = target.bytes.saturating_add(2048 * target.entries as u64);
    let mut archive = Archive::new(Bounded { inner: MultiGzDecoder::new(file), left: most });
    // Raw: the library would read headers of any length into memory.
    let entries = archive.entries().map_err(|error| target.unreadable(&error))?.raw(true);
    let mut extended = Extended::default();
    for entry in entries {
        let entry = entry.map_err(|error| target.unreadable(&error))?;
        one(entry, &mut extended, target)?;
    }
    // The sum of what was packed comes last.
    let rest = io::copy(&mut archive.into_inner(), &mut io::sink());
    rest.map(drop).map_err(|error| target.unreadable(&error))
}

fn one<R: Read>(
    mut entry: Entry<'_, R>,
    extended: &mut Extended,
    target: &mut Target,
) -> Result<(), Fault> {
    target.entry()?;
    let kind = entry.header().entry_type();
    match kind {
        EntryType::XGlobalHeader => {
            header(&mut entry)?;
            return Ok(());
        }
        EntryType::XHeader => {
            extended.read(&header(&mut entry)?)?;
            return Ok(());
        }
        EntryType::GNULongName => {
            let mut name = header(&mut entry)?;
            name.truncate(name.iter().position(|it| *it == 0).unwrap_or(name.len()));
            extended.path = Some(name);
            return Ok(());
        }
        _ => {}
    }
    let path = std::mem::take(extended).path;
    let path = path.unwrap_or_else(|| entry.path_bytes().into_owned());
    match kind {
        EntryType::Directory => target.folder(&path),
        EntryType::Regular if path.ends_with(b"/") => target.folder(&path),
        EntryType::Regular => {
            let mode = entry.header().mode().map_err(|error| Fault::damaged(&error))?;
            target.file(&path, mode & 0o111 != 0, entry.size(), entry)
        }
        _ => {
            let what = match kind {
                EntryType::Symlink => "a symbolic link",
                EntryType::Link => "a hard link",
                EntryType::Char | EntryType::Block | EntryType::Fifo => "a device",
                _ => "something that is neither a file nor a folder",
            };
            let shown = String::from_utf8_lossy(&path).chars().take(100).collect::<String>();
            Err(Fault::Refused(format!("it holds {what}, {shown:?}")))
        }
    }
}

impl Extended {
    fn read(&mut self, header: &[u8]) -> Result<(), Fault> {
        for record in PaxExtensions::new(header) {
            let record = record.map_err(|error| Fault::damaged(&error))?;
            let key = record.key_bytes();
            if key == b"path" {
                self.path = Some(record.value_bytes().to_vec());
            } else if key == b"size" || key.starts_with(b"GNU.sparse") {
                // They change where the next entry begins or what is in it.
                return Err(Fault::Refused("it holds a file of an odd format".to_owned()));
            }
        }
        Ok(())
    }
}

fn header<R: Read>(entry: &mut Entry<'_, R>) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    let read = entry.take(HEADER_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| Fault::damaged(&error))?;
    if bytes.len() as u64 > HEADER_BYTES {
        return Err(Fault::Refused("it has a header that is too long".to_owned()));
    }
    Ok(bytes)
}

/// Fails with [`BOUND`] once more than `left` bytes were read.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let left = self.left.checked_sub(read as u64);
        self.left = left.ok_or_else(|| io::Error::other(BOUND))?;
        Ok(read)
    }
}
