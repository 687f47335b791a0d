//! The runner itself: a process of this binary that has one driver in it.
//!
//! Threads only, no async runtime. One more thread than the host has calls under way, so that there
//! is always one that reads: each takes its turn at the socket, and whoever gets a question answers
//! it while the next one reads. When the host goes away, so does this process.

use std::{
    collections::HashMap,
    io::{self, BufReader, Read, Write},
    os::{fd::AsFd, unix::net::UnixStream},
    process::ExitCode,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

use adit_plugin_api::{
    DriverObject, Error, Host, LogLevel, PeerId, PerformanceMetrics, Result, Services, Value,
    abi::DriverModule_Ref,
    question::{self, Entry, Parts},
};

use crate::{
    load,
    runner::{
        LoadOrder,
        confine::{close_inherited, confine, handover, seal},
        frame::{self, Frame, Kind},
    },
};

/// How long destructors may take when the host is gone.
const GRACE: Duration = Duration::from_millis(500);

/// Runs this process as a runner. Its stdin is the socket to the host.
pub fn main() -> ExitCode {
    match begin() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The host reads it.
            drop(writeln!(io::stderr(), "the driver's process cannot begin: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn begin() -> io::Result<()> {
    // A driver may keep every thread from noticing that the host is gone. Without a host nothing
    // counts what it uses.
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    close_inherited()?;
    let socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    // Drivers that read from stdin must not get the host's frames.
    let nothing = std::fs::File::open("/dev/null")?;
    rustix::stdio::dup2_stdin(&nothing)?;
    let mut reader = BufReader::with_capacity(64 << 10, socket.try_clone()?);
    let link = Arc::new(Link {
        socket: Mutex::new(socket),
        waiting: Mutex::default(),
        next: AtomicU64::new(1),
    });
    let Some(first) = read(&mut reader)? else { return Ok(()) };
    let order = first.parts.first().and_then(|part| serde_json::from_slice(part).ok());
    let order: LoadOrder = order.ok_or_else(|| frame::broken("no order to load"))?;
    // Its path leads to another process, which is out of reach then.
    let memory = order.in_memory.then(|| load::open_memory(&order.library)).transpose()?;
    let library = memory.as_ref().map_or(&order.library, |(_, path)| path);
    let (mut confinement, listener) = confine(&order);
    handover::send(reader.get_ref(), listener)?;
    seal(&order, &mut confinement);
    let loaded = confinement
        .require(&order)
        .map_err(Error::failed)
        .and_then(|()| load::map(library).map_err(|error| Error::failed(error.to_string())));
    let told = serde_json::to_vec(&confinement).map_err(io::Error::other)?;
    link.send(&first.answer(loaded.as_ref().map(|_| vec![told]).map_err(Clone::clone)))?;
    let Ok(module) = loaded else { return Ok(()) };
    let runner =
        Arc::new(Runner { link, module, objects: Mutex::default(), reader: Mutex::new(reader) });
    for number in 0..order.threads {
        let runner = Arc::clone(&runner);
        let thread = thread::Builder::new().name(format!("driver-{number}"));
        thread.spawn(move || runner.serve())?;
    }
    runner.serve();
    Ok(())
}

/// What all threads share.
struct Runner {
    link: Arc<Link>,
    module: DriverModule_Ref,
    objects: Mutex<HashMap<u32, Arc<DriverObject>>>,
    /// Locked by the thread whose turn it is to read.
    reader: Mutex<BufReader<UnixStream>>,
}

impl Runner {
    fn serve(&self) {
        loop {
            let next = read(&mut lock(&self.reader));
            match next {
                Ok(Some(frame)) => self.take(frame),
                Ok(None) => self.end(),
                Err(error) => {
                    drop(writeln!(io::stderr(), "the host's words are not understood: {error}"));
                    end()
                }
            }
        }
    }

    /// Drops what there is, for a moment at most, and ends.
    fn end(&self) -> ! {
        let objects = std::mem::take(&mut *lock(&self.objects));
        let (done, wait) = sync_channel::<()>(1);
        let dropping = move || {
            drop(objects);
            drop(done);
        };
        if thread::Builder::new().spawn(dropping).is_ok() {
            wait.recv_timeout(GRACE).ok();
        }
        end()
    }

    fn take(&self, frame: Frame) {
        match frame.kind {
            Kind::Answer | Kind::Failure => self.link.deliver(frame),
            Kind::Note if frame.code == frame::DROP => self.forget(frame),
            Kind::Note => {}
            Kind::Ask => {
                let result = self.ask(&frame);
                // Without a host there is nobody to tell; the next read ends the process.
                drop(self.link.send(&frame.answer(result)));
            }
        }
    }

    fn ask(&self, frame: &Frame) -> Result<Parts> {
        if frame.code == frame::CREATE {
            return self.create(frame);
        }
        let entry = Entry::from_code(frame.code)
            .ok_or_else(|| Error::unsupported(format!("there is no entry {}", frame.code)))?;
        let object = lock(&self.objects).get(&frame.object).cloned();
        object.ok_or_else(|| Error::unavailable("the object is gone"))?.put(entry, &frame.parts)
    }

    fn create(&self, frame: &Frame) -> Result<Parts> {
        let text = frame.parts.first().map(|part| String::from_utf8_lossy(part));
        let mut context = question::read_context(&text.unwrap_or_default())?;
        let services = HostServices { link: Arc::clone(&self.link), object: frame.object };
        context.host = Host::new(Arc::new(services));
        let object = DriverObject::create(self.module, &context)?;
        lock(&self.objects).insert(frame.object, Arc::new(object));
        Ok(Vec::new())
    }

    /// Drops an object on a thread of its own: its destructor may not return.
    fn forget(&self, frame: Frame) {
        let object = lock(&self.objects).remove(&frame.object);
        let link = Arc::clone(&self.link);
        let dropping = move || {
            drop(object);
            drop(link.send(&frame));
        };
        let thread = thread::Builder::new().name("driver-drop".to_owned());
        if let Err(error) = thread.spawn(dropping) {
            drop(writeln!(io::stderr(), "no thread to drop an object on: {error}"));
        }
    }
}

/// Nothing of the driver runs any more after this, whatever it registered for the end.
fn end() -> ! {
    let own = rustix::process::getpid();
    rustix::process::kill_process(own, rustix::process::Signal::KILL).ok();
    // Until the signal arrives.
    loop {
        thread::park();
    }
}

/// The next frame; `None` when the host is gone.
fn read(reader: &mut BufReader<UnixStream>) -> io::Result<Option<Frame>> {
    let mut length = [0; 4];
    match reader.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let mut body = vec![0; frame::length(length, frame::MOST_FROM_HOST)?];
    reader.read_exact(&mut body)?;
    Frame::decode(&body).map(Some)
}

/// The way to the host.
struct Link {
    socket: Mutex<UnixStream>,
    /// Who waits for which answer.
    waiting: Mutex<HashMap<u64, SyncSender<Frame>>>,
    next: AtomicU64,
}

impl Link {
    fn send(&self, frame: &Frame) -> io::Result<()> {
        lock(&self.socket).write_all(&frame.encode(frame::MOST_FROM_RUNNER))
    }

    fn deliver(&self, frame: Frame) {
        let waiting = lock(&self.waiting).remove(&frame.id);
        if let Some(waiting) = waiting {
            drop(waiting.send(frame));
        }
    }

    fn ask(&self, code: u8, object: u32, parts: Parts) -> Result<Parts> {
        let gone = |_| Error::unavailable("the host is gone");
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (answer, waiting) = sync_channel(1);
        lock(&self.waiting).insert(id, answer);
        let sent = self.send(&Frame { kind: Kind::Ask, code, object, id, parts });
        sent.map_err(|error| Error::unavailable(format!("the host is gone: {error}")))?;
        waiting.recv().map_err(gone)?.outcome()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The host's services, asked over the socket.
struct HostServices {
    link: Arc<Link>,
    object: u32,
}

impl HostServices {
    fn ask(&self, code: u8, parts: Parts) -> Result<Parts> {
        self.link.ask(code, self.object, parts)
    }
}

impl Services for HostServices {
    fn log(&self, level: LogLevel, target: &str, message: &str) {
        let level = match level {
            LogLevel::Error => 1,
            LogLevel::Warn => 2,
            LogLevel::Info => 3,
            LogLevel::Debug => 4,
            LogLevel::Trace => 5,
        };
        let parts = vec![vec![level], target.into(), message.into()];
        let (code, object) = (frame::LOG, self.object);
        // There is nobody else to tell that a message was lost.
        drop(self.link.send(&Frame { kind: Kind::Note, code, object, id: 0, parts }));
    }

    fn storage_get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.ask(frame::STORAGE_GET, vec![key.into()])?.into_iter().next())
    }

    fn storage_put(&self, key: &str, value: Option<&[u8]>) -> Result<()> {
        let parts = [Some(key.as_bytes()), value].into_iter().flatten();
        self.ask(frame::STORAGE_PUT, parts.map(<[u8]>::to_vec).collect()).map(drop)
    }

    fn storage_keys(&self, prefix: &str) -> Result<Vec<String>> {
        let keys = self.ask(frame::STORAGE_KEYS, vec![prefix.into()])?;
        Ok(serde_json::from_slice(keys.first().map_or(b"[]", Vec::as_slice))?)
    }

    fn publish(&self, metrics: &PerformanceMetrics) -> Result<()> {
        self.ask(frame::PUBLISH, vec![serde_json::to_vec(metrics)?]).map(drop)
    }

    fn event(&self, kind: &str, data: &Value) -> Result<()> {
        self.ask(frame::EVENT, vec![kind.into(), serde_json::to_vec(data)?]).map(drop)
    }

    fn send(&self, to: &PeerId, payload: &[u8]) -> Result<Vec<u8>> {
        let answer = self.ask(frame::SEND, vec![to.0.clone().into(), payload.to_vec()])?;
        Ok(answer.into_iter().next().unwrap_or_default())
    }
}
