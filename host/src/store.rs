//! The database: one SQLite file, one thread that owns it, migrations, and one file per table.
//!
//! Knows nothing of miners, drivers or HTTP beyond the plain data it keeps.

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
mod peer;
mod pool;
mod profile;
mod run;
mod token;
mod wallet;
mod watchdog;

use std::{path::PathBuf, sync::Arc};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

pub use answer::Begun;
pub use audit::AuditEntry;
pub use catalogue::Catalogue;
pub use driver_storage::StorageLimit;
pub use event::EventQuery;
pub use history_read::{HistoryReader, Read, Source};
pub use incident::IncidentLimits;
pub use invite::{InviteRow, Joined};
pub use miner::MinerRow;
pub use open::SetAside;
pub use peer::{InviteId, PeerRow, PeerUpdate};
pub use pool::PoolRow;
pub use run::{OpenRun, RunProcesses, RunRow};
pub use token::TokenRow;
pub use wallet::WalletRow;
pub use watchdog::WatchdogRow;

/// Jobs that may wait for the database before callers have to wait for a place.
const QUEUE: usize = 256;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// The database. Cheap to clone; the thread behind it ends when the last clone is dropped.
#[derive(Clone)]
pub struct Store {
    jobs: mpsc::Sender<Job>,
    path: Arc<PathBuf>,
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
    #[error("cannot open the database {path}: {source}")]
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

impl Store {
    /// Opens the database at `path`, creating it (mode 0600) or bringing it up to date.
    ///
    /// A damaged file is renamed, never deleted; [`SetAside`] says what it is called now.
    ///
    /// # Errors
    /// [`Error::Newer`], [`Error::Open`] and [`Error::SetAside`]; the file is then unchanged.
    pub fn open(path: PathBuf) -> Result<(Self, Option<SetAside>), Error> {
        let (connection, set_aside) = open::open(&path)?;
        let (jobs, queue) = mpsc::channel(QUEUE);
        std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || serve(connection, queue))
            .map_err(|source| Error::SetAside { path: path.clone(), source })?;
        Ok((Self { jobs, path: Arc::new(path) }, set_aside))
    }

    /// Runs `job` on the owner thread and waits for its result. Safe to drop: the job still runs.
    async fn call<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Error> {
        let (job, result) = envelope(job);
        self.jobs.send(job).await.map_err(|_| Error::Closed)?;
        result.await.map_err(|_| Error::Closed)?.map_err(|failure| self.error(failure))
    }

    /// The same for a thread that is not an async one.
    fn call_blocking<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Error> {
        let (job, result) = envelope(job);
        self.jobs.blocking_send(job).map_err(|_| Error::Closed)?;
        result.blocking_recv().map_err(|_| Error::Closed)?.map_err(|failure| self.error(failure))
    }

    /// Keeps the database from doing anything until the returned half is dropped.
    #[cfg(test)]
    pub(crate) async fn hold(&self) -> std::sync::mpsc::Sender<()> {
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
            Failure::Sql(source) => Error::Sql { path: self.path.to_path_buf(), source },
            Failure::Limit(limit) => Error::Limit(limit),
        }
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
    job: impl FnOnce(&mut Connection) -> Result<T, Failure> + Send + 'static,
) -> (Job, oneshot::Receiver<Result<T, Failure>>) {
    let (reply, result) = oneshot::channel();
    let job = Box::new(move |connection: &mut Connection| {
        // The asker may be gone; the work is done all the same.
        drop(reply.send(job(connection)));
    });
    (job, result)
}

fn serve(mut connection: Connection, mut queue: mpsc::Receiver<Job>) {
    while let Some(job) = queue.blocking_recv() {
        job(&mut connection);
    }
}
