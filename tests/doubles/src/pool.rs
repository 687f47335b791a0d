//! A mining pool on this machine that speaks stratum as Monero's pools do, well enough for XMRig.
//!
//! It checks everything about a share but the hash itself: session, job, nonce, and that the result
//! is below the target.

mod session;
mod tls;

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use sha2::{Digest, Sha256};

use self::{session::Session, tls::Tls};

/// Time between two looks for a new connection or something to send.
pub(crate) const LOOK: Duration = Duration::from_millis(5);

/// What a pool mines and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// The algorithm of its jobs.
    pub algorithm: String,
    /// Hashes that a share takes on average.
    pub difficulty: u32,
    /// Whether it speaks TLS only, with a certificate made for it.
    pub tls: bool,
}

impl Default for Options {
    /// One thread finds about a share a second, and needs no dataset for it.
    fn default() -> Self {
        Self { algorithm: "argon2/chukwa".to_owned(), difficulty: 1_500, tls: false }
    }
}

/// What a pool does wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Every login is refused with these words.
    pub refuse_login: Option<String>,
    /// Every share is refused with these words, which may have newlines in them.
    pub reject_shares: Option<String>,
    /// Nobody gets an answer.
    pub silent: bool,
    /// No share gets an answer.
    pub ignore_shares: bool,
    /// Jobs are for this algorithm instead.
    pub other_algorithm: Option<String>,
    /// Jobs have the target 0, by which XMRig divides.
    pub zero_target: bool,
}

/// A login as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The wallet or user name.
    pub wallet: String,
    /// The password.
    pub password: String,
    /// The rig's name, if it has one.
    pub rig_id: Option<String>,
    /// The program.
    pub agent: String,
}

/// What a pool has seen.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Connections so far.
    pub connections: u64,
    /// Logins so far, also refused ones.
    pub logins: Vec<Login>,
    /// Shares that it accepted.
    pub accepted: u64,
    /// Shares that it refused.
    pub rejected: u64,
    /// What was wrong with shares that no honest miner sends.
    pub complaints: Vec<String>,
    /// Questions whether it is still there.
    pub keepalives: u64,
    /// Sessions that are open now.
    pub open: u64,
}

/// The pool. Clones are the same one; it serves until it is lost or the test ends.
#[derive(Clone)]
pub struct Pool(Arc<Inner>);

struct Inner {
    address: SocketAddr,
    options: Options,
    tls: Option<Tls>,
    state: Mutex<State>,
    count: AtomicU64,
    listening: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct State {
    faults: Faults,
    seen: Seen,
    /// Sessions of an older generation end.
    generation: u64,
    /// Sent to every session once.
    broadcast: Vec<Broadcast>,
}

/// Something that goes to everybody.
#[derive(Clone)]
enum Broadcast {
    Job,
    Redirect(SocketAddr),
}

impl Pool {
    /// A pool at a free port.
    pub fn start() -> Self {
        Self::with(Options::default())
    }

    /// A pool with these options at a free port.
    pub fn with(options: Options) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let pool = Self(Arc::new(Inner {
            address,
            tls: options.tls.then(Tls::new),
            options,
            state: Mutex::default(),
            count: AtomicU64::new(1),
            listening: Mutex::default(),
        }));
        pool.listen(listener);
        pool
    }

    /// `host:port`.
    pub fn url(&self) -> String {
        self.0.address.to_string()
    }

    /// SHA-256 of its certificate in hex.
    pub fn fingerprint(&self) -> String {
        self.0.tls.as_ref().map(|tls| tls.fingerprint.clone()).unwrap_or_default()
    }

    /// What it has seen so far.
    pub fn seen(&self) -> Seen {
        self.state().seen.clone()
    }

    /// From now on it does this wrong.
    pub fn fault(&self, faults: Faults) {
        self.state().faults = faults;
    }

    /// It is gone: every connection ends and none is taken until [`Pool::back`].
    pub fn lose(&self) {
        self.state().generation += 1;
        let listening = self.0.listening.lock().unwrap().take();
        listening.unwrap().join().unwrap();
    }

    /// It is back at the same port.
    pub fn back(&self) {
        let begun = Instant::now();
        loop {
            match TcpListener::bind(self.0.address) {
                Ok(listener) => return self.listen(listener),
                // Another test may have the port for a moment.
                Err(error) => assert!(begun.elapsed() < Duration::from_secs(20), "{error}"),
            }
            thread::sleep(LOOK);
        }
    }

    /// Sends everybody a new job.
    pub fn new_job(&self) {
        self.state().broadcast.push(Broadcast::Job);
    }

    /// Tells everybody to go to another pool and keeps the connections open.
    pub fn redirect(&self, to: &Self) {
        let to = to.0.address;
        self.state().broadcast.push(Broadcast::Redirect(to));
    }

    fn listen(&self, listener: TcpListener) {
        listener.set_nonblocking(true).unwrap();
        let pool = self.clone();
        let generation = self.state().generation;
        let listening = thread::spawn(move || {
            while pool.state().generation == generation {
                match listener.accept() {
                    Ok((stream, _)) => pool.serve(stream, generation),
                    Err(_) => thread::sleep(LOOK),
                }
            }
        });
        *self.0.listening.lock().unwrap() = Some(listening);
    }

    fn serve(&self, stream: TcpStream, generation: u64) {
        self.state().seen.connections += 1;
        let pool = self.clone();
        thread::spawn(move || {
            stream.set_nonblocking(false).unwrap();
            stream.set_read_timeout(Some(LOOK)).unwrap();
            stream.set_nodelay(true).unwrap();
            pool.state().seen.open += 1;
            // A session that breaks off is nothing special to a pool.
            match &pool.0.tls {
                Some(tls) => drop(Session::new(pool.clone(), generation).run(tls.accept(stream))),
                None => drop(Session::new(pool.clone(), generation).run(stream)),
            }
            pool.state().seen.open -= 1;
        });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }

    /// Hex digits that were not there before, made of the pool's own counter.
    fn unique(&self, digits: usize) -> String {
        let count = self.0.count.fetch_add(1, Ordering::Relaxed);
        let seed = format!("{} {count}", self.0.address);
        let mut hex = String::new();
        for round in 0_u32.. {
            if hex.len() >= digits {
                break;
            }
            hex.extend(
                Sha256::digest(format!("{seed} {round}")).iter().map(|it| format!("{it:02x}")),
            );
        }
        hex.truncate(digits);
        hex
    }
}
