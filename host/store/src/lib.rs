//! The database: one SQLite file, one thread that owns it, migrations, and one file per table.
//!
//! Knows nothing of miners, drivers or HTTP beyond the plain data it keeps.
//!
//! Small tables are checked before the host starts, all tables in the background and whenever the
//! doctor asks. A damaged file is replaced by what can be read of it (`salvage`), at the start or while
//! the host runs (`owner`). `tests/it/survival/damage.rs` damages every table and every index.

#![deny(unsafe_code)]

mod answer;
mod audit;
mod catalogue;
mod driver_storage;
mod event;
mod history;
mod history_read;
mod history_samples;
mod incident;
mod invite;
mod miner;
mod open;
mod owner;
mod peer;
mod pool;
mod profile;
mod run;
mod salvage;
mod schema;
mod tables;
mod token;
mod wallet;
mod watchdog;

use std::{path::PathBuf, sync::Arc};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot, watch};

pub use answer::Begun;
pub use audit::AuditEntry;
pub use catalogue::Catalogue;
pub use driver_storage::StorageLimit;
pub use event::EventQuery;
pub use history_read::{HistoryReader, Read, Source};
pub use incident::IncidentLimits;
pub use invite::{InviteRow, Joined};
pub use miner::MinerRow;
pub use peer::{InviteId, PeerRow, PeerUpdate};
pub use pool::PoolRow;
pub use run::{OpenRun, RunProcesses, RunRow};
pub use salvage::{Loss, Salvage};
pub use token::TokenRow;
pub use wallet::WalletRow;
pub use watchdog::WatchdogRow;

use crate::owner::Shared;

/// Jobs that may wait for the database before callers have to wait for a place.
const QUEUE: usize = 256;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// The database. Cheap to clone; the thread behind it ends when the last clone is dropped.
#[derive(Clone)]
pub struct Store {
    jobs: mpsc::Sender<Job>,
    shared: Arc<Shared>,
}

/// Why the database did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file was written by a newer version of this program.
    #[error(
        "the database {path} was written by a newer version of adit (schema {found}, this version \
         knows {known}): install that version again, or move the file away to start with an empty one"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema this program knows.
        known: i64,
    },
    /// The file cannot be opened or prepared.
    #[error("cannot open the database {path}: {source}{}", advice(.source))]
    Open {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// A damaged file cannot be moved out of the way.
    #[error("the database {path} is damaged and cannot be set aside: {source}")]
    SetAside {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// What can be read of a damaged file cannot be written to a new one.
    #[error(
        "the database {path} is damaged ({reason}), and what can be read of it cannot be written to \
         a new one: {source}{}", advice(.source)
    )]
    Salvage {
        /// The file.
        path: PathBuf,
        /// What is damaged.
        reason: String,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// A file that was just made is damaged: the disk or the memory is at fault.
    #[error(
        "the new database {path} is damaged as soon as it is written ({reason}): check the disk and \
         the memory of this machine"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is damaged.
        reason: String,
    },
    /// The thread that owns the database cannot be started.
    #[error("cannot start a thread for the database: {0}: raise the limits on threads and memory")]
    Thread(std::io::Error),
    /// A statement failed.
    #[error("cannot read or write the database {path}: {source}")]
    Sql {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// A driver wants to store more than it may.
    #[error(transparent)]
    Limit(#[from] StorageLimit),
    /// The owner thread is gone.
    #[error("the database is closed")]
    Closed,
}

/// What to do about an error that is not about the file's content.
fn advice(error: &rusqlite::Error) -> &'static str {
    use rusqlite::ErrorCode::{CannotOpen, DatabaseBusy, DatabaseLocked, DiskFull, ReadOnly};
    match error.sqlite_error_code() {
        Some(DiskFull) => "; free space on its disk and start again",
        Some(DatabaseBusy | DatabaseLocked) => "; close the other program that uses it",
        Some(CannotOpen | ReadOnly) => "; see that its folder and its files can be written to",
        _ => "",
    }
}

impl Store {
    /// Opens the database at `path`, creating it (mode 0600) or bringing it up to date.
    ///
    /// A damaged file is kept under another name, and what can be read of it is in the new one:
    /// [`Salvage`] says what it is called now and what is lost.
    ///
    /// # Errors
    /// [`Error::Newer`], [`Error::Open`], [`Error::Salvage`], [`Error::SetAside`]: the file is then
    /// unchanged.
    pub fn open(path: PathBuf) -> Result<(Self, Option<Salvage>), Error> {
        let (connection, salvage) = open::open(&path)?;
        let (jobs, queue) = mpsc::channel(QUEUE);
        let shared = Arc::new(Shared::new(path, salvage.clone()));
        let own = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || owner::serve(connection, queue, &own))
            .map_err(Error::Thread)?;
        Ok((Self { jobs, shared }, salvage))
    }

    /// What was done about damage since the host began, the start included.
    pub fn salvages(&self) -> watch::Receiver<Vec<Salvage>> {
        self.shared.salvages()
    }

    /// What is damaged and could not be repaired yet.
    pub fn damage(&self) -> Option<String> {
        self.shared.damage()
    }

    /// Reports of all damaged databases that are still kept, oldest first. Blocks for small files.
    pub fn kept_reports(&self) -> Vec<Salvage> {
        salvage::reports(&self.shared.path)
    }

    /// Reads the whole file and returns what is damaged. What can be read is then salvaged.
    ///
    /// # Errors
    /// When the file cannot be read for other reasons.
    pub async fn check(&self) -> Result<Vec<String>, Error> {
        let shared = Arc::clone(&self.shared);
        let checked = tokio::task::spawn_blocking(move || shared.check()).await;
        let problems = checked.map_err(|_| Error::Closed)?.map_err(|source| self.sql(source))?;
        if !problems.is_empty() {
            // The owner looks after each job: the second one is done when the repair is.
            self.call(|_| Ok(())).await?;
            self.call(|_| Ok(())).await?;
        }
        Ok(problems)
    }

    /// Runs `job` on the owner thread and waits for its result. Safe to drop: the job still runs.
    async fn call<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Error> {
        let (job, result) = envelope(&self.shared, job);
        self.jobs.send(job).await.map_err(|_| Error::Closed)?;
        result.await.map_err(|_| Error::Closed)?.map_err(|failure| self.error(failure))
    }

    /// The same for a thread that is not an async one.
    fn call_blocking<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Error> {
        let (job, result) = envelope(&self.shared, job);
        self.jobs.blocking_send(job).map_err(|_| Error::Closed)?;
        result.blocking_recv().map_err(|_| Error::Closed)?.map_err(|failure| self.error(failure))
    }

    /// Keeps the database from doing anything until the returned half is dropped.
    ///
    /// # Panics
    /// When the database is closed.
    #[cfg(any(test, feature = "testing"))]
    pub async fn hold(&self) -> std::sync::mpsc::Sender<()> {
        let (held, until) = std::sync::mpsc::channel();
        let (told, begun) = oneshot::channel();
        let job: Job = Box::new(move |_| {
            let _held = told.send(());
            let _released = until.recv();
        });
        assert!(self.jobs.send(job).await.is_ok() && begun.await.is_ok());
        held
    }

    fn error(&self, failure: Failure) -> Error {
        match failure {
            Failure::Sql(source) => self.sql(source),
            Failure::Limit(limit) => Error::Limit(limit),
        }
    }

    fn sql(&self, source: rusqlite::Error) -> Error {
        Error::Sql { path: self.shared.path.clone(), source }
    }
}

/// What can go wrong inside a job.
enum Failure {
    Sql(rusqlite::Error),
    Limit(StorageLimit),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

fn envelope<T: Send + 'static>(
    shared: &Arc<Shared>,
    job: impl FnOnce(&mut Connection) -> Result<T, Failure> + Send + 'static,
) -> (Job, oneshot::Receiver<Result<T, Failure>>) {
    let (reply, result) = oneshot::channel();
    let shared = Arc::clone(shared);
    let job = Box::new(move |connection: &mut Connection| {
        let done = job(connection);
        if let Err(Failure::Sql(error)) = &done {
            shared.suspect(error);
        }
        // The asker may be gone; the work is done all the same.
        drop(reply.send(done));
    });
    (job, result)
}
