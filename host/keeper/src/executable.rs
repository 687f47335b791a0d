//! Whether a file can be run, and running one that was written a moment ago.
//!
//! The file is looked at first because `execvp` hands what the kernel does not know to a shell,
//! which would carry out the bytes of a damaged program as commands.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::PermissionsExt,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use adit_core::files;

/// How long to wait for others to let go of a file that they hold open for writing.
pub const BUSY_FOR: Duration = Duration::from_secs(5);
/// Pause between two attempts.
pub const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// Most parts that a program is made of.
const PARTS: u64 = 4_096;
/// A part that is mapped into memory, and one that is the path of the loader.
const PT_LOAD: u64 = 1;
const PT_INTERP: u64 = 3;

/// Checks that `program` is a script with `#!`, or an ELF program for this processor that is all
/// there. What cannot be read is left to the kernel to judge.
///
/// # Errors
/// What is wrong with it, for the operator.
pub fn check(program: &Path) -> io::Result<()> {
    match files::open(program) {
        Ok(file) if file.metadata()?.permissions().mode() & 0o111 == 0 => {
            Err(io::ErrorKind::PermissionDenied.into())
        }
        Ok(file) => check_file(file),
        // Others may be allowed to run it but not to read it.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        Err(error) => Err(error),
    }
}

fn check_file(mut file: File) -> io::Result<()> {
    let length = file.metadata()?.len();
    let mut head = Vec::new();
    (&mut file).take(64).read_to_end(&mut head)?;
    if head.starts_with(b"#!") {
        return Ok(());
    }
    if !head.starts_with(b"\x7fELF") {
        return wrong("it is neither an ELF program nor a script with #!: install it again");
    }
    let header = Header::read(&head).ok_or_else(damaged)?;
    let known: &[u64] = match std::env::consts::ARCH {
        // 64-bit machines run their 32-bit predecessors' programs.
        "x86_64" => &[62, 3],
        "aarch64" => &[183, 40],
        _ => &[],
    };
    if !known.is_empty() && !known.contains(&header.machine) {
        return wrong("it is a program for another kind of processor");
    }
    // 2: a program at a fixed place, 3: one at any place.
    if ![2, 3].contains(&header.kind) {
        return wrong("it is an ELF file but no program");
    }
    if header.parts == 0 || header.parts > PARTS || header.part_size < header.least_part_size() {
        return Err(damaged());
    }
    let size = header.parts * header.part_size;
    file.seek(SeekFrom::Start(header.parts_at))?;
    let mut table = Vec::new();
    file.take(size).read_to_end(&mut table)?;
    let part_size = usize::try_from(header.part_size).map_err(|_| damaged())?;
    let is_whole = table.len() as u64 == size;
    // What the kernel maps nothing of is none.
    let is_some = table.chunks(part_size).any(|part| number(part, 0, 4) == Some(PT_LOAD));
    let is_there = |part: &[u8]| header.end_of(part).is_some_and(|end| end <= length);
    match is_whole && is_some && table.chunks(part_size).all(is_there) {
        true => Ok(()),
        false => Err(damaged()),
    }
}

/// What an ELF header says.
struct Header {
    is_64: bool,
    kind: u64,
    machine: u64,
    parts_at: u64,
    part_size: u64,
    parts: u64,
}

impl Header {
    /// Of little-endian files only: this runs on no other machine.
    fn read(head: &[u8]) -> Option<Self> {
        let is_64 = match (head.get(4)?, head.get(5)?) {
            (1, 1) => false,
            (2, 1) => true,
            _ => return None,
        };
        let wide =
            |at_32, at_64| if is_64 { number(head, at_64, 8) } else { number(head, at_32, 4) };
        let narrow = |at_32, at_64| number(head, if is_64 { at_64 } else { at_32 }, 2);
        Some(Self {
            is_64,
            kind: number(head, 16, 2)?,
            machine: number(head, 18, 2)?,
            parts_at: wide(28, 32)?,
            part_size: narrow(42, 54)?,
            parts: narrow(44, 56)?,
        })
    }

    fn least_part_size(&self) -> u64 {
        if self.is_64 { 56 } else { 32 }
    }

    /// Where in the file a part ends; 0 for one that is not read from it. `None`: nonsense.
    fn end_of(&self, part: &[u8]) -> Option<u64> {
        if ![PT_LOAD, PT_INTERP].contains(&number(part, 0, 4)?) {
            return Some(0);
        }
        let (at, size) = match self.is_64 {
            true => (number(part, 8, 8)?, number(part, 32, 8)?),
            false => (number(part, 4, 4)?, number(part, 16, 4)?),
        };
        at.checked_add(size)
    }
}

/// The little-endian number of `size` bytes at `at`.
fn number(bytes: &[u8], at: usize, size: usize) -> Option<u64> {
    let bytes = bytes.get(at..at + size)?;
    Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

fn damaged() -> io::Error {
    io::Error::other("it is a damaged program, it may have been cut off: install it again")
}

fn wrong(what: &str) -> io::Result<()> {
    Err(io::Error::other(what))
}

/// Whether a start failed because somebody holds the program open for writing. A program that was
/// just unpacked may still be held by a child that another thread was about to start then; it lets
/// go as soon as it becomes a program itself.
pub fn is_busy<T>(started: &io::Result<T>) -> bool {
    matches!(started, Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy)
}

/// Starts a program by `start`, waiting for others to let go of it. Blocking.
pub(crate) fn start<T>(mut start: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let begun = Instant::now();
    loop {
        let started = start();
        if !is_busy(&started) || begun.elapsed() > BUSY_FOR {
            return started;
        }
        thread::sleep(BUSY_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(content: &[u8]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        std::fs::write(&path, content).unwrap();
        let file = File::open(&path).unwrap();
        check_file(file).map_or_else(|error| error.to_string(), |()| "runs".to_owned())
    }

    #[test]
    fn programs_are_told_from_what_a_shell_would_take_for_commands() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(judge(&own), "runs");
        assert_eq!(judge(b"#!/bin/sh\nexit 0\n"), "runs");
        for text in [&b""[..], b"rm -rf /\n", b"\x7fEL", b"#", b"MZ"] {
            assert!(judge(text).contains("neither an ELF program nor a script"), "{text:?}");
        }
        for length in [4, 5, 20, 40, 63, 64, 100, 4_000, 100_000] {
            assert!(judge(&own[..length]).contains("damaged"), "{length}");
        }
        let mut other = own.clone();
        other[18] = 0x08;
        other[19] = 0;
        assert!(judge(&other).contains("another kind of processor"));
        let mut library = own;
        library[16] = 1;
        assert!(judge(&library).contains("no program"));
    }

    #[test]
    fn any_header_is_judged_without_harm() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        for at in 4..64 {
            for byte in [0, 1, 0x7f, 0xff] {
                let mut head = own[..4_096].to_vec();
                head[at] = byte;
                assert_ne!(judge(&head), "runs");
            }
        }
    }

    #[test]
    fn what_is_missing_or_a_folder_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(check(&folder.path().join("missing")).is_err());
        assert!(check(folder.path()).is_err());
        let plain = folder.path().join("plain");
        std::fs::write(&plain, "#!/bin/sh\n").unwrap();
        assert_eq!(check(&plain).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }
}
