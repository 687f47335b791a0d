//! The host's end of one runner: its process, its socket, and who waits for what.

use std::{
    collections::HashMap,
    io,
    mem::take,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use adit_plugin_api::{Error, Services, question::Parts};
use tokio::{
    io::{AsyncReadExt, BufReader},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Notify, OnceCell, OwnedSemaphorePermit, Semaphore, oneshot, watch},
    time::{Instant, sleep, sleep_until},
};

use crate::{
    call::Caller,
    runner::{
        frame::{self, Frame, Kind},
        process::End,
        serve::{self, LogBudget},
    },
};

/// Questions of a driver to the host that may be under way at once.
const MOST_SERVICES: usize = 32;
/// What these questions may hold together, in bytes.
const MOST_ASKED: usize = 16 << 20;
/// Answers to a driver that may wait until it reads them, in bytes. Far more than a driver that reads
/// ever leaves; one that asks and does not read would fill the host's memory.
const MOST_UNREAD: usize = 16 << 20;
/// How long reading rests after many log lines in a row were dropped.
const DROP_PAUSE: Duration = Duration::from_millis(2);

/// A runner that lives, or did.
pub(super) struct Conn {
    write: OwnedWriteHalf,
    /// Locked for moments only.
    state: Mutex<State>,
    flush: Notify,
    /// Why the process should end; the first reason counts.
    wish: watch::Sender<Option<End>>,
    caller: Caller,
    /// Which objects were made here.
    made: Mutex<HashMap<u32, Arc<OnceCell<()>>>>,
    /// How many log lines it may still write. Locked for moments only.
    logs: Mutex<LogBudget>,
}

#[derive(Default)]
struct State {
    /// How it ended. Set before those who wait are told.
    ended: Option<String>,
    waiting: HashMap<u64, Waiting>,
    next: u64,
    /// What could not be written yet.
    out: Vec<u8>,
    /// How much of it, at most, is answers to the driver's questions. The driver decides how many of
    /// those there are, unlike the host's own questions, which are few and have deadlines.
    unread: usize,
    services: HashMap<u32, Arc<dyn Services>>,
}

/// A question under way. Its permit is held until the runner is done with it.
struct Waiting {
    answer: oneshot::Sender<Result<Parts, Lost>>,
    op: &'static str,
    is_late: bool,
    _permit: Option<OwnedSemaphorePermit>,
}

/// Why a question has no answer.
#[derive(Debug)]
pub(super) enum Lost {
    /// The driver, or the runner, said no.
    Refused(Error),
    /// The process ended; how.
    Ended(String),
    /// The time is up.
    Late,
}

/// A question to be put.
pub(super) struct Put {
    pub(super) op: &'static str,
    pub(super) code: u8,
    pub(super) object: u32,
    pub(super) parts: Parts,
    pub(super) limit: Duration,
    pub(super) permit: Option<OwnedSemaphorePermit>,
}

impl Conn {
    /// Takes over the host's end of a socket. Ends when the runner does or `end` is called; the
    /// returned receiver tells what it should end for.
    pub(super) fn new(
        socket: UnixStream,
        caller: Caller,
        log_lines_per_second: u32,
    ) -> (Arc<Self>, OwnedReadHalf) {
        let (read, write) = socket.into_split();
        let conn = Arc::new(Self {
            write,
            state: Mutex::default(),
            flush: Notify::new(),
            wish: watch::Sender::new(None),
            caller,
            made: Mutex::default(),
            logs: Mutex::new(LogBudget::new(log_lines_per_second)),
        });
        (conn, read)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn wish(&self) -> watch::Receiver<Option<End>> {
        self.wish.subscribe()
    }

    /// Has the process end. What was wished first stays.
    pub(super) fn end(&self, why: End) {
        self.wish.send_if_modified(|wish| {
            let is_first = wish.is_none();
            if is_first {
                *wish = Some(why);
            }
            is_first
        });
    }

    /// Tells the runner that nothing more will come.
    pub(super) fn shut(&self) {
        let socket: &UnixStream = self.write.as_ref();
        // It fails when the runner is gone.
        rustix::net::shutdown(socket, rustix::net::Shutdown::Write).ok();
    }

    pub(super) fn is_alive(&self) -> bool {
        self.wish.borrow().is_none() && self.state().ended.is_none()
    }

    /// Fails all who wait: the process ended like this.
    pub(super) fn has_ended(&self, how: &str) {
        let waiting = {
            let mut state = self.state();
            state.ended = Some(how.to_owned());
            state.services.clear();
            take(&mut state.waiting)
        };
        for waiting in waiting.into_values() {
            self.let_go(waiting, Err(Lost::Ended(how.to_owned())));
        }
        // Lets the task that writes notice.
        self.flush.notify_one();
    }

    fn let_go(&self, waiting: Waiting, result: Result<Parts, Lost>) {
        if waiting.is_late {
            self.caller.returned();
        }
        // Whoever asked may be gone.
        drop(waiting.answer.send(result));
    }

    /// The cell that is filled when an object is made.
    pub(super) fn made(&self, object: u32) -> Arc<OnceCell<()>> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(made.entry(object).or_default())
    }

    /// From now on the object's questions to the host go to `services`.
    pub(super) fn serve(&self, object: u32, services: Arc<dyn Services>) {
        self.state().services.insert(object, services);
    }

    /// Has an object dropped, if it was made.
    pub(super) fn forget(&self, object: u32) {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if made.remove(&object).is_some() {
            let (kind, code) = (Kind::Note, frame::DROP);
            self.send(&mut self.state(), &Frame { kind, code, object, id: 0, parts: Vec::new() });
        }
    }

    /// Puts a question and waits for its answer. When the returned future is dropped the question
    /// is still watched.
    pub(super) async fn put(self: &Arc<Self>, put: Put) -> Result<Parts, Lost> {
        let Put { op, code, object, parts, limit, permit } = put;
        let (answer, mut receiver) = oneshot::channel();
        let id = {
            let mut state = self.state();
            if let Some(how) = &state.ended {
                return Err(Lost::Ended(how.clone()));
            }
            state.next += 1;
            let id = state.next;
            let waiting = Waiting { answer, op, is_late: false, _permit: permit };
            state.waiting.insert(id, waiting);
            self.send(&mut state, &Frame { kind: Kind::Ask, code, object, id, parts });
            id
        };
        let deadline = Instant::now() + limit;
        let mut flight = Flight { conn: self, id, deadline, limit, has_landed: false };
        tokio::select! {
            biased;
            answer = &mut receiver => {
                flight.has_landed = true;
                answer.unwrap_or_else(|_| Err(Lost::Ended("the host is shutting down".to_owned())))
            }
            () = sleep_until(deadline) => Err(Lost::Late),
        }
    }

    /// Writes as much as can be written now; the rest is written by [`flush`](Self::flush).
    fn send(&self, state: &mut State, frame: &Frame) {
        if self.wish.borrow().is_some() {
            // It is about to end and may never read again.
            return;
        }
        let bytes = frame.encode(frame::MOST_FROM_HOST);
        let mut written = 0;
        if state.out.is_empty() {
            // An error shows at the reading end as well, which ends everything.
            written = self.write.try_write(&bytes).unwrap_or(0);
        }
        if written < bytes.len() {
            state.out.extend(bytes.get(written..).unwrap_or_default());
            self.flush.notify_one();
        }
    }

    /// Writes what could not be written at once, until the process ended.
    pub(super) async fn flush(&self) -> io::Result<()> {
        loop {
            self.flush.notified().await;
            loop {
                {
                    let mut state = self.state();
                    if state.ended.is_some() {
                        return Ok(());
                    }
                    if state.out.is_empty() {
                        break;
                    }
                    match self.write.try_write(&state.out) {
                        Ok(written) => {
                            state.out.drain(..written);
                            state.unread = state.unread.min(state.out.len());
                        }
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                        Err(error) => return Err(error),
                    }
                }
                self.write.writable().await?;
            }
        }
    }

    /// Reads and serves until the socket ends. The error is what the runner did wrong.
    pub(super) async fn read(self: &Arc<Self>, read: OwnedReadHalf) -> io::Result<()> {
        let mut read = BufReader::with_capacity(64 << 10, read);
        let services = Arc::new(Semaphore::new(MOST_SERVICES));
        let asked = Arc::new(Semaphore::new(MOST_ASKED));
        loop {
            let mut length = [0; 4];
            match read.read_exact(&mut length).await {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(()),
                other => other?,
            };
            let mut body = vec![0; frame::length(length, frame::MOST_FROM_RUNNER)?];
            read.read_exact(&mut body).await?;
            if !self.take(Frame::decode(&body)?, (&services, &asked))? {
                // The driver writes more log lines than anybody wants. Reading slows down, so that
                // dropping them costs the driver its time and not the host.
                sleep(DROP_PAUSE).await;
            }
        }
    }

    /// Handles a frame. `false` when many log lines have been dropped in a row.
    fn take(
        self: &Arc<Self>,
        frame: Frame,
        (most, asked): (&Arc<Semaphore>, &Arc<Semaphore>),
    ) -> io::Result<bool> {
        match (frame.kind, frame.code) {
            (Kind::Answer | Kind::Failure, _) => {
                let waiting = self.state().waiting.remove(&frame.id);
                let waiting =
                    waiting.ok_or_else(|| frame::broken("an answer that nobody waits for"))?;
                self.let_go(waiting, frame.outcome().map_err(Lost::Refused));
            }
            (Kind::Note, frame::LOG) => {
                let services = self.state().services.get(&frame.object).cloned();
                if let Some(services) = services {
                    let mut logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
                    return Ok(logs.log(Instant::now(), &*services, &frame));
                }
            }
            (Kind::Note, frame::DROP) => drop(self.state().services.remove(&frame.object)),
            (Kind::Note, _) => return Err(frame::broken("a note of no known kind")),
            (Kind::Ask, _) => {
                let bytes = frame.parts.iter().map(Vec::len).sum::<usize>();
                let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
                let permit = Arc::clone(most)
                    .try_acquire_owned()
                    .and_then(|one| Ok((one, Arc::clone(asked).try_acquire_many_owned(bytes)?)));
                let services = self.state().services.get(&frame.object).cloned();
                match (services, permit) {
                    (Some(services), Ok(permits)) => self.answer(frame, services, permits),
                    (None, _) => {
                        let none = Error::unavailable("this object has no host any more");
                        self.reply(&frame, Err(none));
                    }
                    (_, Err(_)) => {
                        let busy = Error::unavailable(format!(
                            "the driver has {MOST_SERVICES} questions to the host under way, or {} \
                             MiB of them",
                            MOST_ASKED >> 20
                        ));
                        self.reply(&frame, Err(busy));
                    }
                }
            }
        }
        Ok(true)
    }

    fn answer(
        self: &Arc<Self>,
        mut frame: Frame,
        services: Arc<dyn Services>,
        permits: (OwnedSemaphorePermit, OwnedSemaphorePermit),
    ) {
        let conn = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            let (code, parts) = (frame.code, take(&mut frame.parts));
            let work = std::panic::AssertUnwindSafe(|| serve::answer(&*services, code, parts));
            let result = std::panic::catch_unwind(work);
            conn.reply(&frame, result.unwrap_or_else(|_| Err(Error::failed("the host panicked"))));
            drop(permits);
        });
    }

    fn reply(&self, question: &Frame, result: Result<Parts, Error>) {
        let mut state = self.state();
        let before = state.out.len();
        self.send(&mut state, &question.answer(result));
        state.unread += state.out.len() - before;
        if state.unread > MOST_UNREAD {
            // Nothing of it is of use to anybody any more.
            (state.out, state.unread) = (Vec::new(), 0);
            drop(state);
            self.end(End::Kill(format!(
                "it asked the host and left more than {} MiB of answers unread",
                MOST_UNREAD >> 20
            )));
        }
    }

    /// Watches a question that nobody waits for any more.
    async fn watch(self: Arc<Self>, id: u64, deadline: Instant, limit: Duration) {
        sleep_until(deadline).await;
        let op = {
            let mut state = self.state();
            let Some(waiting) = state.waiting.get_mut(&id) else { return };
            waiting.is_late = true;
            waiting.op
        };
        if !self.caller.is_late() {
            sleep(limit).await;
        }
        if self.state().waiting.contains_key(&id) {
            self.end(End::Kill(format!("{op} did not return, so its process was killed")));
        }
    }
}

/// A question under way, as its asker holds it.
struct Flight<'a> {
    conn: &'a Arc<Conn>,
    id: u64,
    deadline: Instant,
    limit: Duration,
    has_landed: bool,
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        // Without a runtime the host ends, and the runner with it.
        if !self.has_landed
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(Arc::clone(self.conn).watch(self.id, self.deadline, self.limit));
        }
    }
}
