//! A driver in a process of its own, which it may crash, hang or fill without harm to the host.
//!
//! The process is this binary again, started as `driver-runner` with one end of a socket pair as
//! its stdin. Both sides ask and answer: the host the driver, the driver the host's services. A
//! runner that breaks the protocol, or whose calls do not return, is killed. It is started again
//! when it is next needed, at once the first time and after a growing pause when it keeps ending,
//! and objects are made anew in it.

pub mod child;
pub mod confine;
mod conn;
mod frame;
mod object;
mod process;
mod refused;
mod serve;
#[cfg(target_os = "linux")]
mod supervise;
mod usage;

pub use confine::can_confine;
pub use refused::RefusedCall;

use std::{
    collections::BTreeSet,
    io,
    os::fd::OwnedFd,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use adit_plugin_api::{Context, Host, Services};
use jiff::Timestamp;
pub(crate) use object::Object;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::{
    call::{CallError, Caller},
    handle::Limits,
    load::PrivateCopy,
    runner::{
        confine::Confinement,
        conn::{Conn, Lost, Put},
        process::{End, Starting},
        refused::Refusals,
        usage::Bounds,
    },
    text::one_line,
};
use adit_model::name::{DriverId, MinerName};

/// Starts a process of this binary as a runner, with the socket as its stdin, its stderr piped, and
/// killed when the handle is dropped. Called on a blocking thread of the runtime.
pub type Spawner = Arc<dyn Fn(OwnedFd) -> io::Result<tokio::process::Child> + Send + Sync>;

/// After living so long an end counts as the first.
const HEALTHY: Duration = Duration::from_secs(60);
/// The longest pause before a start.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Pause between two looks whether an end is noted.
const NOTING: Duration = Duration::from_millis(5);

/// What a runner gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rations {
    /// Memory that it may fill, in bytes.
    pub memory_bytes: u64,
    /// Its share of one processor core, in percent.
    pub cpu_percent: u32,
    /// Threads that it may start.
    pub threads: u64,
    /// What it may store in its folder, in bytes.
    pub disk_bytes: u64,
    /// Lines that it may write to the host's log.
    pub log_lines_per_second: u32,
    /// Drivers that may use the network.
    pub network: BTreeSet<DriverId>,
    /// Whether a driver is refused when this system cannot hold it to all of the above.
    pub require_enforcement: bool,
}

impl Default for Rations {
    /// 512 MiB, half a core, 64 threads, 256 MiB on disk, 50 lines a second, no network, and as much
    /// of it as the system can enforce.
    fn default() -> Self {
        Self {
            memory_bytes: 512 << 20,
            cpu_percent: 50,
            threads: 64,
            disk_bytes: 256 << 20,
            log_lines_per_second: 50,
            network: BTreeSet::new(),
            require_enforcement: false,
        }
    }
}

/// The first question to a runner.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LoadOrder {
    /// The private copy of the driver's library.
    pub(crate) library: PathBuf,
    /// Whether it is in the host's memory, and opened before the process is confined.
    pub(crate) in_memory: bool,
    /// The driver's own folder.
    pub(crate) data_dir: PathBuf,
    /// How many calls there may be at once.
    pub(crate) threads: usize,
    pub(crate) memory_bytes: u64,
    /// What the host sees to.
    pub(crate) bounds: Bounds,
    pub(crate) network: bool,
    pub(crate) require_enforcement: bool,
}

/// How a driver's process is doing.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunnerView {
    /// Its process id while it lives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// How many processes there have been.
    pub starts: u64,
    /// How the last one that ended did so, unless that was wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_end: Option<LastEnd>,
    /// What it is held to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confinement: Option<Confinement>,
    /// System calls that it made and may not make.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<RefusedCall>,
}

/// An end that nobody wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LastEnd {
    /// When.
    pub at: Timestamp,
    /// How, in a few words.
    pub cause: String,
}

/// A driver's process, which may not be there at the moment. Clones are the same.
#[derive(Clone)]
pub(crate) struct Runner(Arc<Shared>);

struct Shared {
    spawn: Spawner,
    order: LoadOrder,
    log_lines_per_second: u32,
    refusals: Refusals,
    /// Deleted with the last handle.
    _copy: PrivateCopy,
    caller: Caller,
    limits: Limits,
    id: DriverId,
    next_object: AtomicU32,
    starts: AtomicU64,
    /// Locked for moments only.
    state: Arc<Mutex<State>>,
    /// Held while a process is started, so that there is one.
    starting: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    /// To the newest process, until its end is noted.
    conn: Option<Arc<Conn>>,
    pid: Option<u32>,
    /// The newest start whose end is noted.
    ended: u64,
    confinement: Option<Confinement>,
    last_end: Option<LastEnd>,
    /// Ends in a row without a healthy while between.
    ends: u32,
    not_before: Option<Instant>,
}

impl Runner {
    pub(crate) fn new(
        spawn: Spawner,
        id: DriverId,
        (copy, data_dir): (PrivateCopy, PathBuf),
        (rations, limits): (&Rations, Limits),
        caller: Caller,
    ) -> Self {
        let order = LoadOrder {
            library: copy.path().to_path_buf(),
            in_memory: copy.is_in_memory(),
            data_dir,
            threads: limits.calls_at_once,
            memory_bytes: rations.memory_bytes,
            bounds: Bounds {
                threads: rations.threads,
                disk_bytes: rations.disk_bytes,
                cpu_percent: rations.cpu_percent,
            },
            network: rations.network.contains(&id),
            require_enforcement: rations.require_enforcement,
        };
        Self(Arc::new(Shared {
            spawn,
            order,
            log_lines_per_second: rations.log_lines_per_second,
            refusals: Refusals::default(),
            _copy: copy,
            caller,
            limits,
            id,
            next_object: AtomicU32::new(1),
            starts: AtomicU64::new(0),
            state: Arc::default(),
            starting: tokio::sync::Mutex::default(),
        }))
    }

    pub(crate) fn view(&self) -> RunnerView {
        let starts = self.0.starts.load(Ordering::Relaxed);
        let state = lock(&self.0.state);
        RunnerView {
            pid: state.pid.filter(|_| state.conn.is_some()),
            starts,
            last_end: state.last_end.clone(),
            confinement: state.confinement.clone(),
            refused: self.0.refusals.list(),
        }
    }

    /// Whether no process could be started for it, which is not the driver's fault.
    pub(crate) fn never_started(&self) -> bool {
        lock(&self.0.state).pid.is_none()
    }

    /// How its process ended, if there is none for that reason.
    pub(crate) fn failure(&self) -> Option<LastEnd> {
        let state = lock(&self.0.state);
        if state.conn.is_some() { None } else { state.last_end.clone() }
    }

    /// An object in the process. It is made in each process that follows as well.
    pub(crate) fn object(
        &self,
        miner: Option<&MinerName>,
        definition: Option<&str>,
        services: Arc<dyn Services>,
    ) -> Object {
        let context = Context {
            driver: self.0.id.to_string(),
            miner: miner.map(ToString::to_string),
            data_dir: self.0.order.data_dir.clone(),
            definition: definition.map(str::to_owned),
            host: Host::default(),
        };
        let number = self.0.next_object.fetch_add(1, Ordering::Relaxed);
        Object { runner: self.clone(), number, context, services }
    }

    /// The process, started if there is none.
    async fn conn(&self, op: &'static str) -> Result<Arc<Conn>, CallError> {
        if let Some(conn) = self.living() {
            return Ok(conn);
        }
        let _starting = self.0.starting.lock().await;
        if let Some(conn) = self.living() {
            return Ok(conn);
        }
        self.is_noted().await;
        {
            let state = lock(&self.0.state);
            let pause = state.not_before.map(|at| at.saturating_duration_since(Instant::now()));
            if let (Some(pause), Some(end)) = (pause, &state.last_end)
                && !pause.is_zero()
            {
                let (cause, wait_s) = (end.cause.clone(), pause.as_secs() + 1);
                return Err(CallError::Resting { op, cause, wait_s });
            }
        }
        self.start().await.map_err(|cause| CallError::Ended { op, cause })
    }

    fn living(&self) -> Option<Arc<Conn>> {
        lock(&self.0.state).conn.clone().filter(|conn| conn.is_alive())
    }

    /// Returns when the end of a process that is of no use any more is noted: that says when the next
    /// may start, and there is one at a time.
    async fn is_noted(&self) {
        let began = Instant::now();
        while lock(&self.0.state).conn.is_some() && began.elapsed() < self.0.limits.create {
            tokio::time::sleep(NOTING).await;
        }
    }

    async fn start(&self) -> Result<Arc<Conn>, String> {
        let state = Arc::clone(&self.0.state);
        let caller = self.0.caller.clone();
        let start = self.0.starts.fetch_add(1, Ordering::Relaxed) + 1;
        let began = Instant::now();
        let told = move |how: Option<String>| has_ended(&state, (start, began), how, &caller);
        let starting = Starting {
            spawn: &self.0.spawn,
            caller: self.0.caller.clone(),
            driver: self.0.id.as_str(),
            order: &self.0.order,
            log_lines_per_second: self.0.log_lines_per_second,
            refusals: self.0.refusals.clone(),
        };
        let (conn, pid) = process::start(starting, told).await?;
        {
            let mut state = lock(&self.0.state);
            // Some processes end at once.
            state.conn = (state.ended < start).then(|| Arc::clone(&conn));
            state.pid = pid;
        }
        let order = serde_json::to_vec(&self.0.order).map_err(|error| error.to_string())?;
        let loading = conn.put(Put {
            op: "load",
            code: frame::LOAD,
            object: 0,
            parts: vec![order],
            limit: self.0.limits.create,
            permit: None,
        });
        match loading.await {
            Ok(parts) => {
                let told = parts.first().and_then(|part| serde_json::from_slice(part).ok());
                lock(&self.0.state).confinement = told;
                Ok(conn)
            }
            Err(lost) => {
                conn.end(End::Retire);
                Err(match lost {
                    Lost::Refused(error) => error.message,
                    Lost::Ended(how) => how,
                    Lost::Late => {
                        format!("loading took longer than {:?}", self.0.limits.create)
                    }
                })
            }
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(conn) = &lock(&self.state).conn {
            conn.end(End::Retire);
        }
    }
}

/// Notes the end of the process of the start with that number, and when the next may be.
fn has_ended(
    state: &Mutex<State>,
    (start, began): (u64, Instant),
    how: Option<String>,
    caller: &Caller,
) {
    let mut state = lock(state);
    state.conn = None;
    state.ended = start;
    let Some(how) = how else { return };
    state.ends = if began.elapsed() >= HEALTHY { 1 } else { state.ends.saturating_add(1) };
    state.not_before = Some(Instant::now() + pause(state.ends));
    let cause = format!("the driver's process ended: {how}");
    state.last_end = Some(LastEnd { at: Timestamp::now(), cause: one_line(&cause) });
    drop(state);
    caller.crashed(&cause);
}

/// How long to wait after so many ends in a row.
fn pause(ends: u32) -> Duration {
    let seconds = 1_u64.checked_shl(ends.saturating_sub(2)).unwrap_or(u64::MAX);
    if ends < 2 { Duration::ZERO } else { Duration::from_secs(seconds).min(LONGEST_PAUSE) }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_end_is_forgiven_and_then_the_pause_grows() {
        let seconds: Vec<u64> =
            [0, 1, 2, 3, 4, 7, 8, 9, 100].map(|ends| pause(ends).as_secs()).into();
        assert_eq!(seconds, [0, 0, 1, 2, 4, 32, 60, 60, 60]);
    }
}
