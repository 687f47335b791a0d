//! One process of a runner, from its start to its end.

use std::{
    os::{fd::OwnedFd, unix::process::ExitStatusExt},
    process::ExitStatus,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, Interest},
    net::{UnixStream, unix::OwnedReadHalf},
    process::{Child, ChildStderr},
    sync::oneshot,
    task::JoinSet,
    time::timeout,
};

use crate::{
    call::Caller,
    runner::{LoadOrder, Spawner, confine::handover, conn::Conn, refused::Refusals, usage},
    text::one_line,
};

#[cfg(target_os = "linux")]
use crate::runner::supervise::Supervisor;

/// How long a runner may take to end by itself, and what it said last to arrive.
const GRACE: Duration = Duration::from_secs(1);
/// How much of what a runner prints last is kept, in bytes.
const LAST_WORDS: usize = 2 << 10;

/// Why a process should end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Nobody needs it any more.
    Retire,
    /// It is gone already, or has nobody to talk to.
    Gone,
    /// It did wrong; what.
    Kill(String),
}

/// Threads of a runner, besides those that answer calls: the first one, and some that drop objects.
const OWN_THREADS: usize = 8;
/// The stack of the thread that starts a runner, in bytes.
const PARENT_STACK: usize = 256 << 10;
/// The least time between two pieces of what a runner prints.
const PRINTING: Duration = Duration::from_millis(2);

/// What it takes to start a runner.
pub(super) struct Starting<'a> {
    pub(super) spawn: &'a Spawner,
    pub(super) caller: Caller,
    pub(super) driver: &'a str,
    pub(super) order: &'a LoadOrder,
    pub(super) log_lines_per_second: u32,
    pub(super) refusals: Refusals,
}

/// Starts a runner. `told` learns how it ended, `None` if that was wanted.
pub(super) async fn start(
    starting: Starting<'_>,
    told: impl FnOnce(Option<String>) + Send + 'static,
) -> Result<(Arc<Conn>, Option<u32>), String> {
    let Starting { spawn, caller, driver, order, log_lines_per_second, refusals } = starting;
    let cannot = |error: std::io::Error| format!("cannot start the driver's process: {error}");
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(cannot)?;
    ours.set_nonblocking(true).map_err(cannot)?;
    let socket = UnixStream::from_std(ours).map_err(cannot)?;
    let spawn = Arc::clone(spawn);
    let (child, parent) = spawn_from_thread(spawn, OwnedFd::from(theirs)).await.map_err(cannot)?;
    let pid = child.id();
    let (conn, read) = Conn::new(socket, caller, log_lines_per_second);
    let watched = Watched {
        driver: driver.to_owned(),
        pid: pid.unwrap_or_default(),
        // A call that was given up may still be under way in a thread of the runner.
        threads: order.bounds.threads + (order.threads + OWN_THREADS) as u64,
        order: order.clone(),
        refusals,
    };
    let reader = read_and_watch(Arc::clone(&conn), read, watched);
    let attending = attend(child, Arc::clone(&conn), reader, driver.to_owned(), told);
    tokio::spawn(async move {
        attending.await;
        drop(parent);
    });
    Ok((conn, pid))
}

/// Starts the process from a thread that lives until what is returned with it is dropped. The kernel
/// kills a runner when the thread that started it ends, which is meant for the end of the host; the
/// threads of the runtime come and go.
async fn spawn_from_thread(
    spawn: Spawner,
    socket: OwnedFd,
) -> std::io::Result<(Child, mpsc::Sender<()>)> {
    let runtime = tokio::runtime::Handle::current();
    let (started, starting) = oneshot::channel();
    let (parent, end) = mpsc::channel::<()>();
    let living = move || {
        let child = {
            let _guard = runtime.enter();
            spawn(socket)
        };
        // It ends when the sender is dropped.
        if started.send(child).is_ok() {
            end.recv().ok();
        }
    };
    thread::Builder::new()
        .name("runner-parent".to_owned())
        .stack_size(PARENT_STACK)
        .spawn(living)?;
    let child = starting.await.map_err(std::io::Error::other)??;
    Ok((child, parent))
}

/// A process that is looked after.
struct Watched {
    driver: String,
    pid: u32,
    threads: u64,
    order: LoadOrder,
    refusals: Refusals,
}

/// Reads what the runner sends. As long as that lasts, its use of the machine is measured and its
/// refused calls are answered.
async fn read_and_watch(
    conn: Arc<Conn>,
    read: OwnedReadHalf,
    watched: Watched,
) -> std::io::Result<()> {
    let Watched { driver, pid, threads, order, refusals } = watched;
    // Aborted when this returns.
    let mut watching = JoinSet::new();
    let folder = order.data_dir.clone();
    watching.spawn(usage::watch((pid, threads), order.bounds, folder, Arc::clone(&conn)));
    let socket: &UnixStream = read.as_ref();
    let listener = socket.async_io(Interest::READABLE, || handover::receive(socket)).await?;
    #[cfg(target_os = "linux")]
    if let Some(listener) = listener {
        let supervisor = Supervisor { driver, pid, threads, refusals };
        watching.spawn(async move {
            if let Err(error) = supervisor.run(listener).await {
                tracing::warn!(pid, %error, "cannot answer a driver's refused calls any more");
            }
        });
    }
    #[cfg(not(target_os = "linux"))]
    drop((driver, refusals, listener));
    conn.read(read).await
}

/// Stays with the process until it is gone.
async fn attend(
    mut child: Child,
    conn: Arc<Conn>,
    reader: impl Future<Output = std::io::Result<()>> + Send + 'static,
    name: String,
    told: impl FnOnce(Option<String>),
) {
    let words = Arc::new(Mutex::new(Vec::new()));
    let listening =
        child.stderr.take().map(|stderr| tokio::spawn(listen(stderr, Arc::clone(&words), name)));
    let flushing = {
        let conn = Arc::clone(&conn);
        tokio::spawn(async move { conn.flush().await })
    };
    let mut reader = tokio::spawn(reader);
    let mut wish = conn.wish();
    let mut has_read = false;
    let why = tokio::select! {
        _ = child.wait() => None,
        read = &mut reader => {
            has_read = true;
            match read {
                Ok(Err(error)) => Some(End::Kill(format!("it broke the protocol: {error}"))),
                _ => None,
            }
        }
        wish = wish.wait_for(Option::is_some) => wish.ok().and_then(|wish| wish.clone()),
    };
    if let Some(End::Kill(_)) = &why {
        kill(&child);
    } else {
        // Tells the runner that there is nothing to come, if it lives.
        conn.end(End::Gone);
        conn.shut();
    }
    if timeout(GRACE, child.wait()).await.is_err() {
        kill(&child);
    }
    let status = child.wait().await;
    if !has_read && timeout(GRACE, &mut reader).await.is_err() {
        reader.abort();
    }
    flushing.abort();
    if let Some(listening) = listening {
        let abort = listening.abort_handle();
        if timeout(GRACE, listening).await.is_err() {
            abort.abort();
        }
    }
    let words = last_line(&words.lock().unwrap_or_else(PoisonError::into_inner));
    let how = match &why {
        Some(End::Kill(reason)) => one_line(reason),
        _ => status.map_or_else(|error| format!("nobody knows how: {error}"), describe),
    };
    let how = if words.is_empty() { how } else { format!("{how}; it said: {words}") };
    conn.has_ended(&how);
    let is_wanted = *wish.borrow() == Some(End::Retire);
    told((!is_wanted).then_some(how));
}

/// Ends the process and those that it started in spite of everything.
fn kill(child: &Child) {
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
    if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
        let signal = rustix::process::Signal::KILL;
        rustix::process::kill_process_group(pid, signal).ok();
        rustix::process::kill_process(pid, signal).ok();
    }
}

/// Reads what the runner prints: the last of it may say why it ended.
async fn listen(mut stderr: ChildStderr, words: Arc<Mutex<Vec<u8>>>, driver: String) {
    let mut buffer = vec![0; LAST_WORDS];
    while let Ok(read @ 1..) = stderr.read(&mut buffer).await {
        let new = buffer.get(..read).unwrap_or_default();
        tracing::debug!(driver, "{}", one_line(&String::from_utf8_lossy(new)));
        {
            let mut words = words.lock().unwrap_or_else(PoisonError::into_inner);
            words.extend(new);
            let excess = words.len().saturating_sub(LAST_WORDS);
            words.drain(..excess);
        }
        // Who prints without end waits for the host, and not the other way round.
        tokio::time::sleep(PRINTING).await;
    }
}

fn last_line(words: &[u8]) -> String {
    let text = String::from_utf8_lossy(words);
    // Rust ends what it says with a note on how to see more.
    let telling = |line: &&str| !line.trim().is_empty() && !line.starts_with("note: ");
    one_line(text.lines().rev().find(telling).unwrap_or_default())
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("signal {signal}{}", name_of(signal)),
        (None, None) => "an end without a status".to_owned(),
    }
}

fn name_of(signal: i32) -> &'static str {
    match signal {
        4 => " (SIGILL)",
        6 => " (SIGABRT)",
        7 => " (SIGBUS)",
        8 => " (SIGFPE)",
        9 => " (SIGKILL)",
        11 => " (SIGSEGV)",
        15 => " (SIGTERM)",
        24 => " (SIGXCPU: it used more than its share of the processor)",
        25 => " (SIGXFSZ: it wrote a file larger than it may)",
        31 => " (SIGSYS)",
        _ => "",
    }
}
