//! A slow and unreliable network between two nodes: a relay in this process.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

/// Time that a byte takes through a relay, each way.
pub(super) const DELAY: Duration = Duration::from_millis(150);
/// Every so many pieces one is lost, and waits until it is sent again.
const LOSS: usize = 20;
/// How late a lost piece is.
const SENT_AGAIN: Duration = Duration::from_millis(400);

/// How good the network is.
#[derive(Clone, Copy)]
pub(super) struct Weather {
    /// Time that a byte takes, each way.
    pub(super) delay: Duration,
    /// Whether pieces are lost on the way, so that all behind them are late too.
    pub(super) loses: bool,
}

/// A relay from an address to another one. It ends with the test's process.
pub(super) struct Relay {
    /// Where it listens.
    pub(super) address: String,
    flags: Flags,
    weather: Weather,
}

#[derive(Clone, Default)]
struct Flags {
    broken: Arc<AtomicBool>,
    cut: Arc<AtomicBool>,
}

impl Relay {
    /// A slow network before `target`, on loopback.
    pub(super) fn to(target: String) -> Self {
        let weather = Weather { delay: DELAY, loses: false };
        Self::between("127.0.0.1:0".to_owned(), target, weather, || {})
    }

    /// A network from `listen` to `target`. Its thread calls `enter` first, to go where both are.
    pub(super) fn between(
        listen: String,
        target: String,
        weather: Weather,
        enter: impl FnOnce() + Send + 'static,
    ) -> Self {
        let flags = Flags::default();
        let (told, address) = mpsc::channel();
        let of_thread = flags.clone();
        thread::spawn(move || {
            enter();
            let listener = TcpListener::bind(listen).unwrap();
            told.send(listener.local_addr().unwrap().to_string()).unwrap();
            for client in listener.incoming() {
                let client = client.unwrap();
                let Ok(server) = TcpStream::connect(&target) else { continue };
                for (from, to) in
                    [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)]
                {
                    let flags = of_thread.clone();
                    thread::spawn(move || carry(from, to, weather, &flags));
                }
            }
        });
        Self { address: address.recv().unwrap(), flags, weather }
    }

    /// Nothing goes through, and nobody is told.
    pub(super) fn break_down(&self) {
        self.flags.broken.store(true, Ordering::SeqCst);
        // Whoever is reading now reads once more.
        thread::sleep(self.weather.delay);
    }

    /// Goes on. What was on the way before is lost with its connections.
    pub(super) fn mend(&self) {
        self.flags.cut.store(true, Ordering::SeqCst);
        thread::sleep(self.weather.delay.max(Duration::from_millis(100)));
        self.flags.broken.store(false, Ordering::SeqCst);
        self.flags.cut.store(false, Ordering::SeqCst);
    }
}

/// Carries bytes one way, each late by the delay.
fn carry(mut from: TcpStream, mut to: TcpStream, weather: Weather, flags: &Flags) {
    static PIECES: AtomicUsize = AtomicUsize::new(1);
    let (send, receive) = mpsc::channel::<(Instant, Vec<u8>)>();
    from.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let mut closing = (from.try_clone().unwrap(), to.try_clone().unwrap());
    let writer = thread::spawn(move || {
        for (due, bytes) in receive {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                return;
            }
        }
        to.shutdown(Shutdown::Write).ok();
    });
    let mut buffer = vec![0; 16 << 10];
    loop {
        if flags.cut.load(Ordering::SeqCst) {
            break;
        }
        if flags.broken.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(5));
            continue;
        }
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => {
                let is_lost =
                    weather.loses && PIECES.fetch_add(1, Ordering::Relaxed).is_multiple_of(LOSS);
                let late = if is_lost { SENT_AGAIN } else { Duration::ZERO };
                let due = Instant::now() + weather.delay + late;
                if send.send((due, buffer[..length].to_vec())).is_err() {
                    break;
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => break,
        }
    }
    drop(send);
    writer.join().unwrap();
    for stream in [&mut closing.0, &mut closing.1] {
        stream.shutdown(Shutdown::Both).ok();
    }
}
