//! Answers the system calls that a runner's filter hands over to the host.
//!
//! A call is refused and its name noted, so that operator and author learn of it; the driver cannot
//! hide it. Two kinds are granted, and judged by numbers alone, because what a pointer leads to may
//! change after the decision: a new thread while there are not too many, and a question about a
//! thread of the driver's own. A driver that makes one refused call after another waits for each
//! answer, and after some the answers come slowly: it costs the driver its time and not the host.

use std::{
    fs, io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
    time::Duration,
};

use linux_raw_sys::general as nr;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use crate::runner::{
    confine::{
        calls::makes_thread,
        names::name_of,
        sys::{self, Held, Verdict},
    },
    refused::Refusals,
    usage,
};

/// So many calls are answered at once; after them comes one pause for each.
const AT_ONCE: u32 = 256;
/// The pause before an answer. A second without a call ends the pauses.
const PAUSE: Duration = Duration::from_millis(1);
const QUIET: Duration = Duration::from_secs(1);

/// Who answers for one process.
pub(super) struct Supervisor {
    pub(super) driver: String,
    pub(super) pid: u32,
    /// How many threads the process may have, those of the runner included.
    pub(super) threads: u64,
    pub(super) refusals: Refusals,
}

impl Supervisor {
    /// Answers calls until the process is gone or the returned future is dropped.
    pub(super) async fn run(self, listener: OwnedFd) -> io::Result<()> {
        let listener = sys::register(listener)?;
        let mut answered = 0_u32;
        loop {
            let mut ready = if answered == 0 {
                listener.readable().await?
            } else if let Ok(ready) = tokio::time::timeout(QUIET, listener.readable()).await {
                ready?
            } else {
                answered = 0;
                continue;
            };
            let flags = state(listener.get_ref())?;
            if flags.contains(PollFlags::IN) {
                self.answer(listener.get_ref())?;
                answered = answered.saturating_add(1);
            } else if flags.contains(PollFlags::HUP) {
                return Ok(());
            } else {
                ready.clear_ready();
            }
            if answered > AT_ONCE {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    fn answer(&self, listener: &OwnedFd) -> io::Result<()> {
        let held = match sys::receive(listener.as_fd()) {
            Ok(held) => held,
            // The caller was killed meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(error),
        };
        let verdict = self.judge(&held);
        // It fails when the caller is gone, or makes the call again after a signal.
        sys::answer(listener.as_fd(), &held, verdict).ok();
        Ok(())
    }

    fn judge(&self, held: &Held) -> Verdict {
        let number = u32::try_from(held.number).unwrap_or(u32::MAX);
        match number {
            nr::__NR_clone if makes_thread(held.args[0]) => {
                let threads = usage::Stat::read(self.pid).map_or(u64::MAX, |stat| stat.threads);
                if threads < self.threads {
                    return Verdict::Continue;
                }
                self.note("clone");
                Verdict::Refuse(Errno::AGAIN)
            }
            nr::__NR_sched_getaffinity if self.has_thread(held.args[0]) => Verdict::Continue,
            _ => match name_of(held.number) {
                Some(name) => {
                    self.note(name);
                    Verdict::Refuse(Errno::PERM)
                }
                // A library that tries a call of a later kernel goes back to an older one.
                None => {
                    self.note("unknown");
                    Verdict::Refuse(Errno::NOSYS)
                }
            },
        }
    }

    fn note(&self, call: &'static str) {
        if self.refusals.note(call) {
            let driver = &self.driver;
            tracing::warn!(driver, call, "refused a system call that drivers may not make");
        }
    }

    fn has_thread(&self, id: u64) -> bool {
        let tasks = Path::new("/proc").join(self.pid.to_string()).join("task");
        // The kernel looks at 32 bits of it.
        let id = id & u64::from(u32::MAX);
        fs::symlink_metadata(tasks.join(id.to_string())).is_ok()
    }
}

/// Whether a call waits at the listener, or nothing is left that could make one.
fn state(listener: &OwnedFd) -> io::Result<PollFlags> {
    let mut descriptors = [PollFd::new(listener, PollFlags::IN)];
    poll(&mut descriptors, Some(&Timespec::default()))?;
    Ok(descriptors[0].revents())
}
