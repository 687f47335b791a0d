//! Unpacks an archive without trusting anything in it: plain files and folders only, inside one
//! fresh folder, within limits.

mod tarball;
mod zipball;

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Component, Path, PathBuf},
};

use crate::{Limits, error::Error};

/// Bytes that any archive may unpack to, however small it is.
const FREE_BYTES: u64 = 16 << 20;
/// The error of a reader that reached its bound.
const BOUND: &str = "it unpacks to too much";
/// Longest path inside an archive, in bytes.
const PATH_BYTES: usize = 1024;
/// Deepest path inside an archive.
const PATH_DEPTH: usize = 16;
/// Longest name of one file, in bytes.
const NAME_BYTES: usize = 255;

/// Unpacks `archive`, whose name is `asset`, into the new folder `into`. Everything is on disk when
/// this returns.
///
/// # Errors
/// [`Error::Archive`] with what the archive does wrong, or [`Error::TooLarge`]. `into` may hold
/// anything then.
pub(crate) fn unpack(
    archive: &Path,
    asset: &str,
    into: &Path,
    limits: &Limits,
) -> Result<(), Error> {
    let io = |error| Error::io("read", archive)(error);
    let file = File::open(archive).map_err(io)?;
    let packed = file.metadata().map_err(io)?.len();
    let mut target = Target::new(into, packed, limits).map_err(Error::io("make", into))?;
    let result = if asset.ends_with(".tar.gz") || asset.ends_with(".tgz") {
        tarball::unpack(file, &mut target)
    } else if asset.to_ascii_lowercase().ends_with(".zip") {
        zipball::unpack(file, &mut target)
    } else {
        Err(Fault::Refused("it is neither a .tar.gz nor a .zip".to_owned()))
    };
    result.and_then(|()| target.finish()).map_err(|fault| match fault {
        Fault::Refused(reason) => Error::Archive { asset: asset.to_owned(), reason },
        Fault::TooLarge(limit) => Error::TooLarge { what: format!("{asset}, unpacked,"), limit },
        Fault::Disk(source) => Error::io("write below", into)(source),
    })
}

/// Why unpacking ended early.
#[derive(Debug)]
enum Fault {
    /// The archive does something that it must not.
    Refused(String),
    /// It unpacks to more than this many bytes.
    TooLarge(u64),
    /// The disk could not take it.
    Disk(io::Error),
}

impl Fault {
    fn damaged(error: &dyn std::fmt::Display) -> Self {
        Self::Refused(format!("it is damaged ({error})"))
    }
}

/// The folder that an archive is unpacked to, with what is left of the limits.
struct Target {
    folder: PathBuf,
    entries_left: usize,
    entries: usize,
    bytes_left: u64,
    bytes: u64,
    folders: BTreeSet<PathBuf>,
}

impl Target {
    fn new(folder: &Path, packed: u64, limits: &Limits) -> io::Result<Self> {
        fs::DirBuilder::new().mode(0o755).create(folder)?;
        let bytes = packed.saturating_mul(limits.ratio).saturating_add(FREE_BYTES);
        let bytes = bytes.min(limits.unpacked_bytes);
        Ok(Self {
            folder: folder.to_owned(),
            entries_left: limits.entries,
            entries: limits.entries,
            bytes_left: bytes,
            bytes,
            folders: BTreeSet::from([folder.to_owned()]),
        })
    }

    /// Counts an entry.
    fn entry(&mut self) -> Result<(), Fault> {
        let left = self.entries_left.checked_sub(1);
        self.entries_left = left
            .ok_or_else(|| Fault::Refused(format!("it has more than {} entries", self.entries)))?;
        Ok(())
    }

    fn folder(&mut self, path: &[u8]) -> Result<(), Fault> {
        let path = self.folder.join(inside(path)?);
        self.make(&path)
    }

    fn file(
        &mut self,
        path: &[u8],
        is_program: bool,
        size: u64,
        content: impl Read,
    ) -> Result<(), Fault> {
        let inside = inside(path)?;
        let shown = inside.display().to_string();
        if inside.as_os_str().is_empty() {
            return Err(Fault::Refused("it has a file without a name".to_owned()));
        }
        let path = self.folder.join(&inside);
        self.make(path.parent().unwrap_or(&self.folder.clone()))?;
        let mode = if is_program { 0o755 } else { 0o644 };
        let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path);
        let mut file = file.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Fault::Refused(format!("it has {shown} twice")),
            _ => Fault::Disk(error),
        })?;
        let copied = self.copy(content, &mut file)?;
        if copied != size {
            return Err(Fault::damaged(&format!("{shown} is cut off")));
        }
        // The mode above is masked; the program must be executable for whoever runs the host.
        file.set_permissions(fs::Permissions::from_mode(mode)).map_err(Fault::Disk)?;
        file.sync_all().map_err(Fault::Disk)
    }

    fn copy(&mut self, mut content: impl Read, file: &mut File) -> Result<u64, Fault> {
        let mut buffer = vec![0; 1 << 16];
        let mut copied = 0;
        loop {
            // Whatever the decoder says, the archive is at fault.
            let read = content.read(&mut buffer).map_err(|error| self.unreadable(&error))?;
            if read == 0 {
                return Ok(copied);
            }
            copied += read as u64;
            let left = self.bytes_left.checked_sub(read as u64);
            self.bytes_left = left.ok_or(Fault::TooLarge(self.bytes))?;
            file.write_all(&buffer[..read]).map_err(Fault::Disk)?;
        }
    }

    fn unreadable(&self, error: &io::Error) -> Fault {
        if error.to_string().contains(BOUND) {
            return Fault::TooLarge(self.bytes);
        }
        Fault::damaged(error)
    }

    /// Makes a folder and those above it.
    fn make(&mut self, path: &Path) -> Result<(), Fault> {
        if self.folders.contains(path) {
            return Ok(());
        }
        if let Some(above) = path.parent() {
            self.make(above)?;
        }
        fs::DirBuilder::new().mode(0o755).create(path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => {
                Fault::Refused("it has a file and a folder of one name".to_owned())
            }
            _ => Fault::Disk(error),
        })?;
        self.folders.insert(path.to_owned());
        Ok(())
    }

    fn finish(self) -> Result<(), Fault> {
        for folder in &self.folders {
            File::open(folder).and_then(|it| it.sync_all()).map_err(Fault::Disk)?;
        }
        Ok(())
    }
}

/// A path of an archive or a plan as one that stays inside whatever it is joined to; empty for the
/// archive's own top.
fn inside(path: &[u8]) -> Result<PathBuf, Fault> {
    let shown: String = String::from_utf8_lossy(path).chars().take(100).collect();
    let refused = |why| Fault::Refused(format!("its path {shown:?} {why}"));
    let text = std::str::from_utf8(path).map_err(|_| refused("is no UTF-8"))?;
    if text.len() > PATH_BYTES {
        return Err(refused("is too long"));
    }
    if text.contains(['\\', '\0']) || text.chars().any(char::is_control) {
        return Err(refused("has characters that a path must not have"));
    }
    let mut clean = PathBuf::new();
    for part in Path::new(text).components() {
        match part {
            Component::Normal(name) if name.len() <= NAME_BYTES => clean.push(name),
            Component::Normal(_) => return Err(refused("is too long")),
            Component::CurDir => {}
            _ => return Err(refused("leads out of the archive")),
        }
    }
    if clean.components().count() > PATH_DEPTH {
        return Err(refused("is too deep"));
    }
    Ok(clean)
}

/// `path` of a driver's plan, if it names something inside the archive.
pub(crate) fn plan_path(path: &str) -> Result<PathBuf, Error> {
    let clean = inside(path.as_bytes()).ok().filter(|it| !it.as_os_str().is_empty());
    clean.ok_or_else(|| Error::BadPlan(format!("{path:?} is no path inside an archive")))
}

#[cfg(test)]
mod tests;
