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
    time::Duration,
};

use adit_plugin_api::{Error, ErrorKind};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinError,
    time::timeout,
};

use crate::drivers::{
    health::{Health, Record},
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
}

impl CallError {
    /// The entry point that was or would have been called.
    pub fn op(&self) -> &'static str {
        match self {
            Self::Refused { op, .. }
            | Self::Panicked { op, .. }
            | Self::Deadline { op, .. }
            | Self::Busy { op, .. }
            | Self::Wedged { op, .. } => op,
        }
    }

    fn from_driver(op: &'static str, error: Error) -> Self {
        match error.kind {
            ErrorKind::Panicked => Self::Panicked { op, message: error.message },
            kind => Self::Refused { op, kind, message: error.message },
        }
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
    most: usize,
    permits: Arc<Semaphore>,
    /// How many calls missed their deadline and have not returned.
    stuck: watch::Sender<usize>,
    record: Record,
}

impl Caller {
    /// At most `most` calls at a time; 0 counts as 1.
    pub(crate) fn new(most: usize) -> Self {
        let most = most.clamp(1, Semaphore::MAX_PERMITS);
        Self(Arc::new(Shared {
            most,
            permits: Arc::new(Semaphore::new(most)),
            stuck: watch::Sender::new(0),
            record: Record::default(),
        }))
    }

    pub(crate) fn health(&self) -> Health {
        self.0.record.read(*self.0.stuck.borrow())
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
        let permit = self.permit(op, limit).await?;
        let caller = self.clone();
        // A task of its own, so that a caller that goes away does not leave a call that nobody
        // would notice to be stuck.
        let watching = tokio::spawn(async move {
            let result = caller.watch(op, limit, permit, work).await;
            caller.0.record.note(&result);
            result
        });
        watching.await.unwrap_or_else(|error| Err(CallError::from_join(op, error)))
    }

    async fn permit(
        &self,
        op: &'static str,
        limit: Duration,
    ) -> Result<OwnedSemaphorePermit, CallError> {
        let mut stuck = self.0.stuck.subscribe();
        let acquire = timeout(limit, Arc::clone(&self.0.permits).acquire_owned());
        tokio::select! {
            biased;
            all = stuck.wait_for(|stuck| *stuck >= self.0.most) => {
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
                self.0.stuck.send_modify(|stuck| *stuck += 1);
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
            self.caller.0.stuck.send_modify(|stuck| *stuck -= 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const SHORT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(60);

    async fn stick(caller: &Caller, gate: mpsc::Receiver<()>) {
        let result = caller.call("stats", SHORT, move || Ok(gate.recv().is_ok())).await;
        assert_eq!(result, Err(CallError::Deadline { op: "stats", after: SHORT }));
    }

    #[tokio::test]
    async fn calls_that_never_return_wedge_the_driver_until_they_do() {
        let caller = Caller::new(2);
        let ((open_one, one), (open_two, two)) = (mpsc::channel(), mpsc::channel());
        stick(&caller, one).await;
        assert_eq!(caller.call("stats", LONG, || Ok(1)).await, Ok(1), "one permit is left");
        stick(&caller, two).await;
        // LONG: the refusal does not wait for a permit.
        let refused = caller.call("start", LONG, || Ok(())).await;
        assert_eq!(refused, Err(CallError::Wedged { op: "start", stuck: 2 }));
        let health = caller.health();
        assert_eq!((health.calls, health.failures, health.timeouts, health.stuck), (3, 2, 2, 2));

        drop(open_one);
        let mut stuck = caller.0.stuck.subscribe();
        timeout(LONG, stuck.wait_for(|stuck| *stuck == 1)).await.unwrap().unwrap();
        assert_eq!(caller.call("stats", LONG, || Ok(2)).await, Ok(2));
        drop(open_two);
        timeout(LONG, stuck.wait_for(|stuck| *stuck == 0)).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_caller_that_waits_for_a_permit_learns_of_the_wedge() {
        let caller = Caller::new(1);
        let (open, gate) = mpsc::channel();
        let waiting = caller.clone();
        let (first, second) =
            tokio::join!(stick(&caller, gate), waiting.call("stop", LONG, || Ok(())));
        assert_eq!(((), second), (first, Err(CallError::Wedged { op: "stop", stuck: 1 })));
        drop(open);
    }

    #[tokio::test]
    async fn more_callers_than_permits_take_turns() {
        let caller = Caller::new(3);
        let calls = (0..100).map(|number| {
            let caller = caller.clone();
            tokio::spawn(async move { caller.call("stats", LONG, move || Ok(number)).await })
        });
        for (number, call) in calls.collect::<Vec<_>>().into_iter().enumerate() {
            assert_eq!(call.await.unwrap(), Ok(number));
        }
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_leaves_a_call_that_is_counted() {
        let caller = Caller::new(1);
        let (open, gate) = mpsc::channel::<()>();
        let (began, begun) = tokio::sync::oneshot::channel();
        let call = caller.call("stats", SHORT, move || {
            began.send(()).unwrap();
            Ok(gate.recv().is_ok())
        });
        tokio::select! {
            _ = call => panic!("the gate is shut"),
            begun = begun => begun.unwrap(),
        }
        let mut stuck = caller.0.stuck.subscribe();
        timeout(LONG, stuck.wait_for(|stuck| *stuck == 1)).await.unwrap().unwrap();
        drop(open);
    }

    #[tokio::test]
    async fn refusals_are_no_failures_and_panics_are() {
        let caller = Caller::new(1);
        let refused = caller.call("start", LONG, || Err::<(), _>(Error::invalid("field x"))).await;
        assert_eq!(refused.unwrap_err().to_string(), "field x");
        assert_eq!(caller.health().failures, 0);
        let error = Error { kind: ErrorKind::Panicked, message: "the driver panicked".to_owned() };
        caller.call("start", LONG, move || Err::<(), _>(error)).await.unwrap_err();
        let own = caller.call("stop", LONG, || -> Result<(), Error> { panic!("of\nthe host") });
        let own = own.await.unwrap_err().to_string();
        assert_eq!(own, "the host panicked in stop: of the host");
        let health = caller.health();
        assert_eq!((health.calls, health.failures, health.panics), (3, 2, 2));
        assert_eq!(health.last_failure.unwrap().op, "stop");
    }

    #[test]
    fn a_stuck_call_does_not_keep_the_runtime_from_ending() {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let (open, gate) = mpsc::channel();
        runtime.block_on(stick(&Caller::new(1), gate));
        // This test never ends when the runtime waits for the call.
        runtime.shutdown_timeout(SHORT);
        drop(open);
    }
}
