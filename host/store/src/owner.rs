//! The thread that owns the database, and what happens when the file turns out to be damaged.
//!
//! Any statement that fails because the file is damaged, on any connection, leaves a suspicion. After
//! the job at hand the thread checks the file with a connection that has nothing of it in memory. If
//! the suspicion is right, everybody who reads waits, what can be read goes into a new file, and work
//! continues with that.

use std::{
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError, RwLock},
    time::{Duration, Instant},
};

use rusqlite::{Connection, OpenFlags, config::DbConfig};
use tokio::sync::{Semaphore, mpsc, watch};

use crate::{
    Job, open,
    salvage::{self, Salvage},
    schema,
    tables::{self, TABLES},
};

/// Connections for reading at once; others wait.
const READERS: usize = 3;
/// How long a reader waits for a writer that has to change the file's shape.
const PATIENCE: Duration = Duration::from_secs(5);
/// Time until the file is checked again when the last check or repair changed nothing.
const RETRY: Duration = Duration::from_secs(60);

/// What all handles of one database share.
pub(super) struct Shared {
    pub(super) path: PathBuf,
    pub(super) readers: Semaphore,
    idle: Mutex<Vec<Connection>>,
    /// Held for reading by those who read, and for writing while the file is replaced.
    replacing: RwLock<()>,
    state: Mutex<Damage>,
    salvages: watch::Sender<Vec<Salvage>>,
}

#[derive(Default)]
struct Damage {
    /// What failed, until the file was checked.
    suspicion: Option<String>,
    /// What is known to be damaged and could not be repaired yet.
    known: Option<String>,
    /// Not to be checked before.
    next_check: Option<Instant>,
}

impl Shared {
    pub(super) fn new(path: PathBuf, salvage: Option<Salvage>) -> Self {
        Self {
            path,
            readers: Semaphore::new(READERS),
            idle: Mutex::default(),
            replacing: RwLock::default(),
            state: Mutex::default(),
            salvages: watch::Sender::new(salvage.into_iter().collect()),
        }
    }

    /// What was done about damage since the host began, the start included.
    pub(super) fn salvages(&self) -> watch::Receiver<Vec<Salvage>> {
        self.salvages.subscribe()
    }

    /// What is damaged and could not be repaired.
    pub(super) fn damage(&self) -> Option<String> {
        self.state().known.clone()
    }

    /// Notes an error that may mean that the file is damaged. Returns whether it may.
    pub(super) fn suspect(&self, error: &rusqlite::Error) -> bool {
        let is_damage = tables::is_damage(error);
        if is_damage {
            self.state().suspicion = Some(error.to_string());
        }
        is_damage
    }

    /// Runs `job` on a connection for reading. Blocks.
    pub(super) fn read<T>(
        &self,
        job: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let _steady = self.replacing.read().unwrap_or_else(PoisonError::into_inner);
        let idle = lock(&self.idle).pop();
        let connection = idle.map_or_else(|| self.connect(), Ok)?;
        let answer = job(&connection);
        lock(&self.idle).push(connection);
        answer
    }

    /// Checks all tables, with a connection that has nothing in memory. Blocks, for as long as it
    /// takes to read the whole file.
    pub(super) fn check(&self) -> rusqlite::Result<Vec<String>> {
        let _steady = self.replacing.read().unwrap_or_else(PoisonError::into_inner);
        let checked = self.connect().and_then(|it| tables::check(&it, TABLES.iter(), true));
        let problems = match checked {
            Err(error) if tables::is_damage(&error) => vec![error.to_string()],
            checked => checked?,
        };
        if !problems.is_empty() {
            let mut state = self.state();
            state.suspicion = Some(problems.join("; "));
            // It was checked just now.
            state.next_check = None;
        }
        Ok(problems)
    }

    fn connect(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(PATIENCE)?;
        Ok(connection)
    }

    fn state(&self) -> MutexGuard<'_, Damage> {
        lock(&self.state)
    }

    /// Whether the file should be checked now.
    fn is_suspect(&self) -> bool {
        let mut state = self.state();
        let is_due = state.next_check.is_none_or(|at| Instant::now() >= at);
        state.suspicion.take().is_some() && is_due
    }

    /// Replaces a damaged file. `None`: there is no database any more.
    fn repair(&self, connection: Connection) -> Option<Connection> {
        self.state().next_check = Some(Instant::now() + RETRY);
        let problems = match self.check() {
            Ok(problems) if problems.is_empty() => {
                tracing::warn!(
                    "the database reported damage, and a check of all tables found none"
                );
                return Some(connection);
            }
            Ok(problems) => problems.join("; "),
            Err(error) => {
                tracing::error!(%error, "cannot check the database, which reported damage");
                return Some(connection);
            }
        };
        {
            let mut state = self.state();
            state.suspicion = None;
            state.next_check = Some(Instant::now() + RETRY);
            state.known = Some(problems.clone());
        }
        tracing::error!(problems, "the database is damaged; salvaging what can be read of it");
        let _alone = self.replacing.write().unwrap_or_else(PoisonError::into_inner);
        lock(&self.idle).clear();
        // Its journal stays with the damaged file.
        drop(connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true));
        drop(connection);
        let salvaged = salvage::salvage(&self.path, problems);
        let reopened = match &salvaged {
            Ok(_) => open::reopen(&self.path).map_err(|error| error.to_string()),
            // The damaged one is better than none.
            Err(_) => schema::connect(&self.path).map_err(|error| error.to_string()),
        };
        match salvaged {
            Ok(salvage) => {
                log(&salvage);
                self.state().known = None;
                self.salvages.send_modify(|all| all.push(salvage));
            }
            Err(error) => tracing::error!(%error, "cannot repair the database"),
        }
        reopened
            .inspect_err(|error| tracing::error!(error, "the database cannot be opened again"))
            .ok()
    }
}

/// Reports what became of a damaged database.
fn log(salvage: &Salvage) {
    let Salvage { kept, reason, .. } = salvage;
    let (kept, summary) = (kept.display(), salvage.summary());
    tracing::error!(%kept, reason, "the database was damaged and has been replaced; {summary}");
}

pub(super) fn serve(mut connection: Connection, mut queue: mpsc::Receiver<Job>, shared: &Shared) {
    while let Some(job) = queue.blocking_recv() {
        job(&mut connection);
        if shared.is_suspect() {
            match shared.repair(connection) {
                Some(usable) => connection = usable,
                None => return,
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
