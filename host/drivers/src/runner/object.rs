//! An object of a driver in a runner: made in each process anew, asked over the socket.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use adit_plugin_api::{
    Context, Error, Services,
    question::{self, Parts, Question},
};
use tokio::sync::OwnedSemaphorePermit;

use crate::{
    call::CallError,
    runner::{
        Runner,
        conn::{Conn, Lost, Put},
        frame,
    },
};

/// Answers above this size, in bytes, are read on a blocking thread.
const LARGE: usize = 64 << 10;

/// An object of a driver in a runner.
pub(crate) struct Object {
    pub(super) runner: Runner,
    pub(super) number: u32,
    pub(super) context: Context,
    pub(super) services: Arc<dyn Services>,
}

impl Object {
    /// Makes it now rather than with the first question.
    pub(crate) async fn create(&self) -> Result<(), CallError> {
        self.conn("create").await.map(drop)
    }

    /// The process, with this object made in it.
    pub(super) async fn conn(&self, op: &'static str) -> Result<Arc<Conn>, CallError> {
        let conn = self.runner.conn(op).await?;
        let made = conn.made(self.number);
        if made.get().is_none() {
            made.get_or_try_init(|| self.create_in(&conn)).await?;
        }
        Ok(conn)
    }

    async fn create_in(&self, conn: &Arc<Conn>) -> Result<(), CallError> {
        let op = "create";
        let limits = self.runner.0.limits;
        let caller = &self.runner.0.caller;
        let permit = caller.permit(op, limits.create).await?;
        let began = Instant::now();
        let made = async {
            let context =
                question::context(&self.context).map_err(|it| CallError::from_driver(op, it))?;
            conn.serve(self.number, Arc::clone(&self.services));
            let parts = vec![context.into_bytes()];
            self.put(conn, (op, frame::CREATE), parts, limits.create, permit).await
        };
        caller.noted(op, began, made.await).map(drop)
    }

    async fn put(
        &self,
        conn: &Arc<Conn>,
        (op, code): (&'static str, u8),
        parts: Parts,
        limit: Duration,
        permit: OwnedSemaphorePermit,
    ) -> Result<Parts, CallError> {
        let (object, permit) = (self.number, Some(permit));
        let put = conn.put(Put { op, code, object, parts, limit, permit });
        put.await.map_err(|lost| match lost {
            Lost::Refused(error) => CallError::from_driver(op, error),
            Lost::Ended(how) => {
                CallError::Ended { op, cause: format!("the driver's process ended: {how}") }
            }
            Lost::Late => CallError::Deadline { op, after: limit },
        })
    }

    /// Asks it.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        question: Question<T>,
    ) -> Result<T, CallError> {
        let op = question.entry.name();
        let read = question.reader();
        let Runner(runner) = &self.runner;
        runner.caller.check(op)?;
        let conn = self.conn(op).await?;
        let permit = runner.caller.permit(op, runner.limits.call).await?;
        let code = (op, question.entry as u8);
        let began = Instant::now();
        let answer = self.put(&conn, code, question.parts, runner.limits.call, permit).await;
        let result = match answer {
            Ok(parts) if parts.iter().map(Vec::len).sum::<usize>() > LARGE => {
                let reading = tokio::task::spawn_blocking(move || read(parts)).await;
                reading.unwrap_or_else(|_| Err(Error::failed("the host is shutting down")))
            }
            Ok(parts) => read(parts),
            Err(error) => return runner.caller.noted(op, began, Err(error)),
        };
        runner.caller.noted(op, began, result.map_err(|error| CallError::from_driver(op, error)))
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        if let Some(conn) = self.runner.living() {
            conn.forget(self.number);
        }
    }
}
