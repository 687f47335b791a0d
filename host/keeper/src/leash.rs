//! The lock that everything of a run holds, because every process of it inherits the descriptor.
//! While one of them lives the lock is taken; when it is free, nothing of the run is alive.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
    thread,
    time::Duration,
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

use crate::files;

/// How often a taken lock is tried again, and the pause between: another process that only looks
/// holds it for microseconds.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(4);

/// Takes the lock of the run in `folder`; `None` when something of a run is alive. The lock is
/// free again when the file and all its inherited copies are closed.
///
/// # Errors
/// What the system says.
pub fn take(folder: &Path) -> io::Result<Option<File>> {
    let file = open(folder)?;
    for attempt in 1.. {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Some(file)),
            Err(Errno::WOULDBLOCK) if attempt < TRIES => thread::sleep(PAUSE),
            Err(Errno::WOULDBLOCK) => break,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}

/// Makes `inherited` the lock of `folder` if it is that file; the lock may be held already.
pub(crate) fn adopt(inherited: File, folder: &Path) -> io::Result<Option<File>> {
    let (own, wanted) = (inherited.metadata()?, open(folder)?.metadata()?);
    let is_same = (own.dev(), own.ino()) == (wanted.dev(), wanted.ino());
    let is_ours = is_same && flock(&inherited, FlockOperation::NonBlockingLockExclusive).is_ok();
    Ok(is_ours.then_some(inherited))
}

/// Whether something of a run in `folder` is alive.
///
/// # Errors
/// What the system says.
pub fn is_taken(folder: &Path) -> io::Result<bool> {
    if !folder.join(files::LOCK).try_exists()? {
        return Ok(false);
    }
    let Some(file) = take(folder)? else { return Ok(true) };
    // Explicitly, because a process that another thread is starting may have a copy.
    flock(&file, FlockOperation::Unlock)?;
    Ok(false)
}

fn open(folder: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options.open(folder.join(files::LOCK))
}
