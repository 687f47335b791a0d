//! Reads files that an operator names, by a setting, an argument or a request, and those of the
//! state folder, which anything may have replaced.
//!
//! A path may lead to anything. Opening a named pipe waits for another process, possibly for ever,
//! and opening a device may do something; so what is no regular file is refused before it is opened.

use std::{
    fs::{self, File, FileType, OpenOptions},
    io::{self, Read},
    os::unix::fs::{FileTypeExt, OpenOptionsExt},
    path::Path,
};

use rustix::fs::OFlags;
use serde::de::DeserializeOwned;

/// Largest file that is read whole, in bytes.
const LARGEST: u64 = 64 << 20;

/// Opens the regular file at `path`, links followed.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] with what it is instead, or what the system says.
pub fn open(path: &Path) -> io::Result<File> {
    check(fs::metadata(path)?.file_type())?;
    // Another file may have taken its place since: then at least nothing waits.
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC).bits();
    let flags = i32::try_from(flags).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    check(file.metadata()?.file_type())?;
    Ok(file)
}

/// Reads the regular file at `path` whole.
///
/// # Errors
/// As for [`open`], or when it has more than 64 MiB.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if open(path)?.take(LARGEST + 1).read_to_end(&mut bytes)? as u64 > LARGEST {
        let reason = format!("it has more than {} MiB", LARGEST >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, reason));
    }
    Ok(bytes)
}

/// Reads the JSON in the regular file at `path`. A byte order mark is skipped.
///
/// # Errors
/// As for [`read`], or when it is damaged or of another shape.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> io::Result<T> {
    let bytes = read(path)?;
    let text = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes);
    Ok(serde_json::from_slice(text)?)
}

/// Refuses to write to something at `path` that is no regular file. Nothing needs to be there.
///
/// # Errors
/// As for [`open`].
pub fn check_place(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        metadata => check(metadata?.file_type()),
    }
}

/// Reads the regular file at `path` as UTF-8.
///
/// # Errors
/// As for [`read`], or when it is not UTF-8.
pub fn read_to_string(path: &Path) -> io::Result<String> {
    String::from_utf8(read(path)?)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"))
}

fn check(found: FileType) -> io::Result<()> {
    let kind = match found {
        it if it.is_file() => return Ok(()),
        it if it.is_dir() => "a directory",
        it if it.is_fifo() => "a named pipe",
        it if it.is_socket() => "a socket",
        _ => "a device",
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("it is {kind}, not a regular file")))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn only_regular_files_are_opened() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), "text").unwrap();
        fs::create_dir(at("folder")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, at("fifo"), 0o600.into()).unwrap();
        let _listener = UnixListener::bind(at("socket")).unwrap();
        for (name, to) in [("to-file", "file"), ("to-fifo", "fifo"), ("to-device", "/dev/zero")] {
            std::os::unix::fs::symlink(to, at(name)).unwrap();
        }
        for name in ["file", "to-file"] {
            assert_eq!(read_to_string(&at(name)).unwrap(), "text");
        }
        for (name, kind) in [
            ("folder", "a directory"),
            ("fifo", "a named pipe"),
            ("to-fifo", "a named pipe"),
            ("socket", "a socket"),
            ("to-device", "a device"),
        ] {
            let error = read(&at(name)).unwrap_err();
            assert_eq!(error.to_string(), format!("it is {kind}, not a regular file"));
            assert_eq!(check_place(&at(name)).unwrap_err().to_string(), error.to_string());
        }
        assert!(check_place(&at("file")).is_ok() && check_place(&at("away")).is_ok());
        fs::write(at("json"), "\u{feff}[1]").unwrap();
        assert_eq!(read_json::<Vec<u8>>(&at("json")).unwrap(), [1]);
        fs::write(at("json"), "[1").unwrap();
        assert!(read_json::<Vec<u8>>(&at("json")).is_err());
        assert_eq!(open(&at("away")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
