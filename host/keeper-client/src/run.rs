//! The host's handle on a run that is going on.

use std::{
    fs::File,
    io,
    os::{fd::AsRawFd, unix::fs::OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use adit_plugin_api::StopPlan;
use rustix::fs::OFlags;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::UnixStream,
    time,
};

use crate::error::{End, Error};
use adit_keeper::{
    files::{self, State},
    proc,
    protocol::{Ask, LONGEST_REQUEST, PROTOCOL, Refusal, Reply, Request},
};
use adit_model::{
    name::MinerName,
    run::{ExitRecord, ProcessId, RunId, RunStatus},
};

/// How long a keeper may take to answer.
const DEADLINE: Duration = Duration::from_secs(5);

/// Pause before a busy keeper is asked again.
const PAUSE: Duration = Duration::from_millis(50);

/// Pause before a keeper that lives is asked again although its socket is missing.
const UNREACHABLE_PAUSE: Duration = Duration::from_millis(200);

/// Longest reply read, in bytes.
const LONGEST_REPLY: u64 = 256 << 10;

/// A run, spoken to through its keeper. Cheap to clone; dropping it does nothing to the run.
#[derive(Clone, Debug)]
pub struct Run {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    miner: MinerName,
    folder: PathBuf,
    first: RunStatus,
}

impl Run {
    /// The run that was just launched.
    pub(crate) fn launched(miner: MinerName, folder: PathBuf, state: State) -> Self {
        let first = RunStatus {
            protocol: PROTOCOL,
            run: state.run,
            keeper: state.keeper,
            program: state.program,
            started_at_ms: state.started_at_ms,
            stopping: false,
            lines: 0,
            lines_dropped: 0,
            silent_ms: None,
            log_error: None,
        };
        Self { inner: Arc::new(Inner { miner, folder, first }) }
    }

    /// Finds the run that goes on in `folder`.
    pub(crate) async fn find(
        miner: MinerName,
        folder: PathBuf,
        deadline: Duration,
    ) -> Result<Self, Error> {
        let asked = ask(&folder, &miner, None, Ask::Status, "status");
        let (reply, peer) = match time::timeout(deadline, asked).await {
            Ok(reply) => reply?,
            Err(_) => return Err(Error::Silent { miner, what: "status" }),
        };
        let first = status_of(reply)?;
        // The file can have been replaced by the socket of another miner, or of anybody.
        if !is_of(peer, &first.keeper) || proc::is_elsewhere(first.keeper.pid, &folder) {
            return Err(Error::Silent { miner, what: "status" });
        }
        Ok(Self { inner: Arc::new(Inner { miner, folder, first }) })
    }

    /// The miner.
    pub fn miner(&self) -> &MinerName {
        &self.inner.miner
    }

    /// The run.
    pub fn id(&self) -> &RunId {
        &self.inner.first.run
    }

    /// How the run was when it was launched or adopted: who keeps and who runs it, since when.
    pub fn first_status(&self) -> &RunStatus {
        &self.inner.first
    }

    /// How the run is doing now.
    ///
    /// # Errors
    /// [`Error::Over`] when it has ended, [`Error::Silent`] when the keeper lives and does not
    /// answer within 5 s.
    pub async fn status(&self) -> Result<RunStatus, Error> {
        status_of(self.ask(Ask::Status, "status").await?)
    }

    /// Writes `input` to the program's stdin as it is, at most about 60 KiB at a time. It waits
    /// in the keeper if the program does not read.
    ///
    /// # Errors
    /// As [`Run::status`]; [`Error::Refused`] when too much waits already, the program has closed
    /// its stdin, or `input` is too long.
    pub async fn stdin(&self, input: &str) -> Result<(), Error> {
        self.ask(Ask::Stdin { input: input.to_owned() }, "stdin").await.map(drop)
    }

    /// Sends a signal to the program's process group: `TERM`, `INT`, `HUP`, `QUIT`, `USR1`,
    /// `USR2` or `KILL`.
    ///
    /// # Errors
    /// As [`Run::status`]; [`Error::Refused`] for another name.
    pub async fn signal(&self, name: &str) -> Result<(), Error> {
        self.ask(Ask::Signal { signal: name.to_owned() }, "signal").await.map(drop)
    }

    /// Ends the run by `plan`, or by its own when `None`, and returns when the keeper has begun.
    /// The keeper carries it out even if the host dies. During a stop a plan replaces the one
    /// under way, and `None` changes nothing.
    ///
    /// # Errors
    /// As [`Run::status`].
    pub async fn stop(&self, plan: Option<StopPlan>) -> Result<(), Error> {
        self.ask(Ask::Stop { plan }, "stop").await.map(drop)
    }

    /// Has everything that the program printed so far written to the log files.
    ///
    /// # Errors
    /// As [`Run::status`]; [`Error::Refused`] when the log cannot be written.
    pub async fn flush(&self) -> Result<(), Error> {
        self.ask(Ask::Flush, "flush").await.map(drop)
    }

    /// Waits for the end of the run, however long that takes. Safe to drop.
    pub async fn wait(&self) -> End {
        let first = Some(&self.inner.first);
        loop {
            let reply = ask(&self.inner.folder, self.miner(), first, Ask::Wait, "wait").await;
            if let Ok((Reply { exit: Some(record), .. }, _)) = reply {
                return End::Exited(record);
            }
            // A keeper with too many clients hangs up on some. Only one that is gone is the end: a
            // record can be there while something lives.
            if matches!(reply, Err(Error::Over(_))) {
                let record = exit_record(&self.inner.folder, self.id());
                return record.map_or(End::Lost, End::Exited);
            }
            time::sleep(PAUSE).await;
        }
    }

    async fn ask(&self, what: Ask, name: &'static str) -> Result<Reply, Error> {
        let asked = ask(&self.inner.folder, self.miner(), Some(&self.inner.first), what, name);
        let silent = || Error::Silent { miner: self.miner().clone(), what: name };
        let (reply, _) = time::timeout(DEADLINE, asked).await.map_err(|_| silent())??;
        Ok(reply)
    }
}

/// The exit record of `run`, if it was written.
pub(crate) fn exit_record(folder: &Path, run: &RunId) -> Option<ExitRecord> {
    files::read_json(&folder.join(files::EXIT)).filter(|record: &ExitRecord| record.run == *run)
}

fn status_of(reply: Reply) -> Result<RunStatus, Error> {
    reply.status.ok_or_else(|| Error::Refused("the keeper sent no status".to_owned()))
}

/// Asks on a new connection: the keeper of the run `first`, or any process that answers when `None`.
/// Returns the answer and the pid of the process that gave it.
async fn ask(
    folder: &Path,
    miner: &MinerName,
    first: Option<&RunStatus>,
    ask: Ask,
    what: &'static str,
) -> Result<(Reply, Option<i32>), Error> {
    let run = first.map(|first| first.run.clone());
    let mut line = serde_json::to_vec(&Request { protocol: PROTOCOL, run: run.clone(), ask })
        .map_err(|error| Error::Refused(error.to_string()))?;
    line.push(b'\n');
    if line.len() > LONGEST_REQUEST {
        return Err(Error::Refused("the request is longer than 64 KiB".to_owned()));
    }
    let (stream, peer) = connect_patiently(folder, first).await?;
    let Ok(text) = exchange(stream, &line).await else {
        // It hung up: because it is gone, or because others took all its places.
        connect_patiently(folder, first).await?;
        return Err(Error::Silent { miner: miner.clone(), what });
    };
    let reply: Reply = serde_json::from_slice(&text)
        .map_err(|error| Error::Refused(format!("its answer is not understood: {error}")))?;
    match (reply.refusal, run) {
        (None, _) => Ok((Reply { refusal: None, ..reply }, peer)),
        (Some(Refusal::OtherRun), Some(run)) => Err(Error::Over(run)),
        (Some(Refusal::OtherRun), None) => Err(Error::Refused("it has another run".to_owned())),
        (Some(Refusal::Failed(message)), _) => Err(Error::Refused(message)),
    }
}

/// Sends one line and reads one.
async fn exchange(mut stream: UnixStream, line: &[u8]) -> io::Result<Vec<u8>> {
    stream.write_all(line).await?;
    let mut text = Vec::new();
    let mut reader = BufReader::with_capacity(1 << 10, stream).take(LONGEST_REPLY);
    reader.read_until(b'\n', &mut text).await?;
    if text.ends_with(b"\n") { Ok(text) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// Connects; a keeper that has no place for one more at the moment is asked again. A run is over
/// when its keeper is gone, not when its socket is: a keeper that lives puts a new one there.
async fn connect_patiently(
    folder: &Path,
    first: Option<&RunStatus>,
) -> Result<(UnixStream, Option<i32>), Error> {
    loop {
        let error = match connect(folder).await {
            Ok(stream) => {
                let peer = stream.peer_cred().ok().and_then(|peer| peer.pid());
                if first.is_none_or(|first| is_of(peer, &first.keeper)) {
                    return Ok((stream, peer));
                }
                io::Error::other("another process listens there")
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                time::sleep(PAUSE).await;
                continue;
            }
            Err(error) => error,
        };
        match first {
            None => return Err(Error::io("connect to the keeper in", folder)(error)),
            Some(first) if !proc::is_alive(&first.keeper) => {
                return Err(Error::Over(first.run.clone()));
            }
            Some(_) => time::sleep(UNREACHABLE_PAUSE).await,
        }
    }
}

/// Whether the process at the other end is `keeper`. One outside of this PID namespace has no pid
/// here, and is believed.
fn is_of(peer: Option<i32>, keeper: &ProcessId) -> bool {
    peer.is_none_or(|pid| pid == 0 || pid == keeper.pid)
}

/// Connects through the descriptor of the folder: its path may be longer than the 108 bytes that
/// a socket's path can have.
async fn connect(folder: &Path) -> io::Result<UnixStream> {
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
    let folder: File = File::options().read(true).custom_flags(flags).open(folder)?;
    let path = format!("/proc/self/fd/{}/{}", folder.as_raw_fd(), files::SOCKET);
    let stream = UnixStream::connect(path).await?;
    // Kept open until the connection stands.
    drop(folder);
    Ok(stream)
}
