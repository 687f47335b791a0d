//! Asking a program something that it answers at once, such as its version.

use std::{io, path::Path, process::ExitStatus, time::Duration};

use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process_group, pidfd_open,
    pidfd_send_signal, waitid,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time::timeout,
};

use crate::{Keepers, process};
use adit_keeper::proc;
use adit_model::run::RunId;

/// Longest time for an answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// Most of the answer that is read, in bytes.
const ANSWER_BYTES: u64 = 64 << 10;
/// How often what it left is looked for, and the pause between.
const ROUNDS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(20);

/// What a program answered.
#[derive(Debug)]
pub struct Answer {
    /// What it printed on stdout and stderr.
    pub text: String,
    /// How it ended.
    pub status: ExitStatus,
}

impl Keepers {
    /// Runs `program` in `folder` and returns what it answered. Nothing of it runs any more when
    /// this returns, whatever it started and wherever that went; when this is dropped, it is killed.
    ///
    /// # Errors
    /// When it cannot be started, fails having printed nothing, or does not end in 20 s.
    pub async fn ask(program: &Path, args: &[String], folder: &Path) -> io::Result<Answer> {
        let run = RunId::random();
        let mut child = process::spawn_question(program, args, folder, &run).await?;
        let leader = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let asked = Asked { leader, run };
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let answer = timeout(PATIENCE, async {
            // What the program started may hold its stdout open.
            let ended = async {
                asked.ended().await?;
                let swept = tokio::task::spawn_blocking(move || asked.sweep()).await;
                swept.map_err(|error| io::Error::other(error.to_string()))
            };
            let (out, err, ended) = tokio::join!(read(out), read(err), ended);
            ended.map(|()| out + &err)
        });
        let late = || io::Error::other(format!("no answer within {} s", PATIENCE.as_secs()));
        let text = answer.await.map_err(|_| late())??;
        let status = child.wait().await?;
        if text.trim().is_empty() && !status.success() {
            return Err(io::Error::other(format!("it printed nothing and ended with {status}")));
        }
        Ok(Answer { text, status })
    }
}

/// A program that was not waited for yet, so that its id is still its own, and all that it started.
/// Killed when dropped.
struct Asked {
    leader: Option<Pid>,
    /// In the environment of all of it.
    run: RunId,
}

impl Asked {
    /// Returns when the program itself ended, without waiting for it.
    async fn ended(&self) -> io::Result<()> {
        let Some(leader) = self.leader else { return Ok(()) };
        let wait = move || {
            let how = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            rustix::io::retry_on_intr(|| waitid(WaitId::Pid(leader), how))
        };
        // The thread ends with the program, which is killed when this is dropped.
        let ended = tokio::task::spawn_blocking(wait).await;
        Ok(ended.map_err(|error| io::Error::other(error.to_string()))?.map(drop)?)
    }

    /// Kills all of it and returns when it is gone. Blocks.
    fn sweep(&self) {
        for _ in 0..ROUNDS {
            if self.kill() {
                return;
            }
            std::thread::sleep(PAUSE);
        }
        tracing::warn!(run = %self.run, "a program that was asked left processes that do not end");
    }

    /// Kills the group of the program, and what left it for another session. Returns whether
    /// nothing was left.
    fn kill(&self) -> bool {
        if let Some(group) = self.leader {
            kill_process_group(group, Signal::KILL).ok();
        }
        let left = proc::members_of(&self.run);
        for pid in left.iter().filter_map(|pid| Pid::from_raw(*pid)) {
            let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
            // The descriptor pins the process; only now is it certain whom the number means.
            if proc::has_run(pid.as_raw_pid(), &self.run) {
                pidfd_send_signal(&process, Signal::KILL).ok();
            }
        }
        left.is_empty()
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.kill();
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
