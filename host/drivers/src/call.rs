//! One call of a driver: off the async threads, with a deadline, bounded in number.
//!
//! Code that does not return cannot be stopped inside a process. So a call that misses its deadline
//! is left behind: its thread goes on and keeps its permit until it returns, if ever. When every
//! permit of a driver is held by such a call the driver is *wedged* and calls fail at once; the
//! other drivers and the rest of the host notice nothing.
//!
//! A runtime waits for such threads when it is dropped: shut it down with
//! [`tokio::runtime::Runtime::shutdown_timeout`].

use std::{
    sync::{
        Arc,
        atomic::{
            AtomicU8,
            Ordering::{AcqRel, Acquire},
        },
    },
    time::{Duration, Instant},
};

use adit_plugin_api::{Error, ErrorKind};
use serde_json::json;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinError,
    time::timeout,
};

use crate::{
    health::{Health, Quarantine, Record, Tolerance},
    known_secrets::KnownSecrets,
    news::News,
    text::panic_message,
};

/// Why a driver did not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The driver itself said no. Its message is shown as it is.
    #[error("{message}")]
    Refused {
        /// The entry point.
        op: &'static str,
        /// What kind of refusal.
        kind: ErrorKind,
        /// The driver's sentence.
        message: String,
    },
    /// The driver's code panicked. It may work again next time.
    #[error("{message}")]
    Panicked {
        /// The entry point.
        op: &'static str,
        /// What the panic said.
        message: String,
    },
    /// The driver took too long; the call was left behind.
    #[error("the driver did not answer {op} within {after:?}")]
    Deadline {
        /// The entry point.
        op: &'static str,
        /// The limit.
        after: Duration,
    },
    /// All permits were in use for too long, by calls within their deadlines.
    #[error("the driver was busy for {after:?} and {op} was not called")]
    Busy {
        /// The entry point.
        op: &'static str,
        /// How long was waited.
        after: Duration,
    },
    /// As many calls as the driver may have at once never returned. Restarting the host helps.
    #[error("the driver is wedged: {stuck} calls never returned; {op} was not called")]
    Wedged {
        /// The entry point.
        op: &'static str,
        /// How many calls.
        stuck: usize,
    },
    /// The driver's process ended before it answered, or cannot be started.
    #[error("{cause}")]
    Ended {
        /// The entry point.
        op: &'static str,
        /// How it ended.
        cause: String,
    },
    /// The driver's process ended a moment ago and is started again after a pause; the driver was
    /// not asked.
    #[error("{cause}; it is started again in {wait_s} s")]
    Resting {
        /// The entry point.
        op: &'static str,
        /// How it ended.
        cause: String,
        /// How long until it is started again, in seconds.
        wait_s: u64,
    },
    /// The driver failed too often and is not asked until it is cleared.
    #[error(
        "the driver is in quarantine since {} after {} failures, the last: {}; see to it and then \
         run: adit driver clear {id}", .quarantine.since.strftime("%F %T UTC"),
        .quarantine.count, .quarantine.reason
    )]
    Quarantined {
        /// The entry point.
        op: &'static str,
        /// The driver.
        id: String,
        /// Since when and why.
        quarantine: Box<Quarantine>,
    },
}

impl CallError {
    /// The entry point that was or would have been called.
    pub fn op(&self) -> &'static str {
        match self {
            Self::Refused { op, .. }
            | Self::Panicked { op, .. }
            | Self::Deadline { op, .. }
            | Self::Busy { op, .. }
            | Self::Wedged { op, .. }
            | Self::Ended { op, .. }
            | Self::Resting { op, .. }
            | Self::Quarantined { op, .. } => op,
        }
    }

    pub(crate) fn from_driver(op: &'static str, error: Error) -> Self {
        match error.kind {
            ErrorKind::Panicked => Self::Panicked { op, message: error.message },
            kind => Self::Refused { op, kind, message: error.message },
        }
    }

    /// Without secrets in what the driver said.
    fn masked(mut self, secrets: &KnownSecrets) -> Self {
        match &mut self {
            Self::Refused { message: text, .. }
            | Self::Panicked { message: text, .. }
            | Self::Ended { cause: text, .. }
            | Self::Resting { cause: text, .. } => *text = secrets.mask(text),
            Self::Deadline { .. }
            | Self::Busy { .. }
            | Self::Wedged { .. }
            | Self::Quarantined { .. } => {}
        }
        self
    }

    fn from_join(op: &'static str, error: JoinError) -> Self {
        let message = match error.try_into_panic() {
            // The driver's own guard did not get it, so it is the host's.
            Ok(payload) => {
                let message = format!("the host panicked in {op}: {}", panic_message(&*payload));
                // Its destructor could panic again.
                std::mem::forget(payload);
                message
            }
            Err(_) => {
                return Self::from_driver(op, Error::unavailable("the host is shutting down"));
            }
        };
        Self::Panicked { op, message }
    }
}

/// Makes the calls of one driver. Clones share everything.
#[derive(Clone, Debug)]
pub(crate) struct Caller(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    options: CallerOptions,
    most: usize,
    permits: Arc<Semaphore>,
    /// How many calls missed their deadline and have not returned.
    stuck: watch::Sender<usize>,
    record: Record,
}

/// How a driver is called.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallerOptions {
    /// The driver.
    pub(crate) id: String,
    /// How many failures it is forgiven.
    pub(crate) tolerance: Tolerance,
    /// Whether what never returns is ended from outside, so that waiting for it makes sense.
    pub(crate) is_killable: bool,
    /// Who hears of it when it fails.
    pub(crate) news: News,
    /// What must not be in its messages.
    pub(crate) secrets: KnownSecrets,
}

impl Caller {
    /// At most `most` calls at a time; 0 counts as 1.
    pub(crate) fn new(most: usize, options: CallerOptions) -> Self {
        let most = most.clamp(1, Semaphore::MAX_PERMITS);
        Self(Arc::new(Shared {
            most,
            permits: Arc::new(Semaphore::new(most)),
            stuck: watch::Sender::new(0),
            record: Record::new(options.tolerance),
            options,
        }))
    }

    pub(crate) fn secrets(&self) -> &KnownSecrets {
        &self.0.options.secrets
    }

    pub(crate) fn health(&self) -> Health {
        self.0.record.read(*self.0.stuck.borrow())
    }

    /// Why the driver is not asked any more, if so.
    pub(crate) fn quarantine(&self) -> Option<Quarantine> {
        self.0.record.quarantine()
    }

    /// Whether as many calls never returned as there may be.
    pub(crate) fn is_wedged(&self) -> bool {
        *self.0.stuck.borrow() >= self.0.most
    }

    /// Refuses a call while the driver is in quarantine.
    pub(crate) fn check(&self, op: &'static str) -> Result<(), CallError> {
        self.quarantine().map_or(Ok(()), |quarantine| {
            let (id, quarantine) = (self.0.options.id.clone(), Box::new(quarantine));
            Err(CallError::Quarantined { op, id, quarantine })
        })
    }

    /// Counts a call of `op` that began then and ended like this.
    pub(crate) fn noted<T>(
        &self,
        op: &'static str,
        began: Instant,
        result: Result<T, CallError>,
    ) -> Result<T, CallError> {
        let result = result.map_err(|error| error.masked(&self.0.options.secrets));
        self.begin_quarantine(self.0.record.note(op, &result, began.elapsed()));
        result
    }

    /// Counts an end of the driver's process.
    pub(crate) fn crashed(&self, cause: &str) {
        let Shared { options, record, .. } = &*self.0;
        let cause = &*options.secrets.mask(cause);
        tracing::warn!(driver = options.id, cause, "a driver's process ended");
        options.news.tell("driver.failed", json!({ "id": options.id, "cause": cause }));
        self.begin_quarantine(record.crashed(cause));
    }

    fn begin_quarantine(&self, begun: Option<Quarantine>) {
        let Some(quarantine) = begun else { return };
        let CallerOptions { id, news, .. } = &self.0.options;
        let Quarantine { count, reason, .. } = &quarantine;
        tracing::error!(driver = id, count, reason, "a driver is in quarantine");
        news.tell("driver.quarantined", json!({ "id": id, "quarantine": quarantine }));
    }

    /// A call missed its deadline. Returns whether none is left that could return.
    pub(crate) fn is_late(&self) -> bool {
        let mut stuck = 0;
        self.0.stuck.send_modify(|count| {
            *count += 1;
            stuck = *count;
        });
        let CallerOptions { id, news, is_killable, .. } = &self.0.options;
        // What can be killed is, which is told as its end.
        if stuck == self.0.most && !is_killable {
            tracing::error!(driver = id, stuck, "a driver is wedged");
            news.tell("driver.wedged", json!({ "id": id, "stuck": stuck }));
        }
        stuck >= self.0.most
    }

    /// A call that missed its deadline is over.
    pub(crate) fn returned(&self) {
        self.0.stuck.send_modify(|stuck| *stuck -= 1);
    }

    /// Runs `work` on a blocking thread. Waits at most `limit` for a permit and then at most
    /// `limit` for the answer.
    ///
    /// When the returned future is dropped after the call began, the call goes on and is counted.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        op: &'static str,
        limit: Duration,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, CallError> {
        self.check(op)?;
        let permit = self.permit(op, limit).await?;
        let caller = self.clone();
        // A task of its own, so that a caller that goes away does not leave a call that nobody
        // would notice to be stuck.
        let watching = tokio::spawn(async move {
            let began = Instant::now();
            caller.noted(op, began, caller.watch(op, limit, permit, work).await)
        });
        watching.await.unwrap_or_else(|error| Err(CallError::from_join(op, error)))
    }

    /// Waits for the right to make a call.
    pub(crate) async fn permit(
        &self,
        op: &'static str,
        limit: Duration,
    ) -> Result<OwnedSemaphorePermit, CallError> {
        let mut stuck = self.0.stuck.subscribe();
        let acquire = timeout(limit, Arc::clone(&self.0.permits).acquire_owned());
        tokio::select! {
            biased;
            all = stuck.wait_for(|stuck| *stuck >= self.0.most), if !self.0.options.is_killable => {
                Err(CallError::Wedged { op, stuck: all.map_or(self.0.most, |stuck| *stuck) })
            }
            permit = acquire => match permit {
                Ok(Ok(permit)) => Ok(permit),
                // Nobody closes the semaphore, so this is the timeout.
                _ => Err(CallError::Busy { op, after: limit }),
            },
        }
    }

    async fn watch<T: Send + 'static>(
        &self,
        op: &'static str,
        limit: Duration,
        permit: OwnedSemaphorePermit,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, CallError> {
        let flight = Flight { caller: self.clone(), state: Arc::default(), _permit: permit };
        let state = Arc::clone(&flight.state);
        let task = tokio::task::spawn_blocking(move || {
            let _flight = flight;
            work()
        });
        let Ok(ended) = timeout(limit, task).await else {
            if state.compare_exchange(FLYING, LATE, AcqRel, Acquire).is_ok() {
                self.is_late();
            }
            return Err(CallError::Deadline { op, after: limit });
        };
        let result = ended.map_err(|error| CallError::from_join(op, error))?;
        result.map_err(|error| CallError::from_driver(op, error))
    }
}

const FLYING: u8 = 0;
const LATE: u8 = 1;
const LANDED: u8 = 2;

/// A call under way. Dropped when it returns, also by a panic.
struct Flight {
    caller: Caller,
    state: Arc<AtomicU8>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Flight {
    fn drop(&mut self) {
        if self.state.swap(LANDED, AcqRel) == LATE {
            self.caller.returned();
        }
    }
}

#[cfg(test)]
mod tests;
