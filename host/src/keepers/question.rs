//! Asking a program something that it answers at once, such as its version.

use std::{io, path::Path, time::Duration};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time::timeout,
};

use crate::keepers::{Keepers, process};

/// Longest time for an answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// Most of the answer that is read, in bytes.
const ANSWER_BYTES: u64 = 64 << 10;

impl Keepers {
    /// Runs `program` in `folder` and returns what it printed on stdout and stderr. Nothing of it
    /// runs any more when this returns or is dropped.
    ///
    /// # Errors
    /// When it cannot be started, fails having printed nothing, or does not end in 20 s.
    pub async fn ask(program: &Path, args: &[String], folder: &Path) -> io::Result<String> {
        let mut child = process::spawn_question(program, args, folder).await?;
        let group = Group(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw));
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let answer = timeout(PATIENCE, async {
            // What the program started may hold its stdout open.
            let ended = async { group.ended().await.map(|()| drop(group)) };
            let (out, err, ended) = tokio::join!(read(out), read(err), ended);
            ended.map(|()| out + &err)
        });
        let late = || io::Error::other(format!("no answer within {} s", PATIENCE.as_secs()));
        let text = answer.await.map_err(|_| late())??;
        let status = child.wait().await?;
        if text.trim().is_empty() && !status.success() {
            return Err(io::Error::other(format!("it printed nothing and ended with {status}")));
        }
        Ok(text)
    }
}

/// The process group of a program that was not waited for yet, so that its id is still its own.
/// Killed when dropped.
struct Group(Option<Pid>);

impl Group {
    /// Returns when the leader ended, without waiting for it.
    async fn ended(&self) -> io::Result<()> {
        let Some(leader) = self.0 else { return Ok(()) };
        let wait = move || {
            let how = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            rustix::io::retry_on_intr(|| waitid(WaitId::Pid(leader), how))
        };
        // The thread ends with the program, which is killed when this is dropped.
        let ended = tokio::task::spawn_blocking(wait).await;
        Ok(ended.map_err(|error| io::Error::other(error.to_string()))?.map(drop)?)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Usually nobody is left.
            kill_process_group(group, Signal::KILL).ok();
        }
    }
}

async fn read(from: Option<impl AsyncRead + Unpin>) -> String {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        // What arrived before an error counts.
        from.take(ANSWER_BYTES).read_to_end(&mut bytes).await.ok();
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
