//! What it pretends to do, line by line.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

use crate::{
    VERSION,
    options::{GPUS, Options},
    say,
};

/// Hashes per second of one GPU.
const RATE: u64 = 11_250_000;
/// Time between two shares, and between two looks.
const BEAT: Duration = Duration::from_millis(250);
/// How long a pool whose host begins with `lost-` stays.
const STAYS: Duration = Duration::from_secs(1);

/// The running miner.
#[derive(Debug)]
pub(crate) struct Rig {
    options: Options,
    begun: Instant,
    shares: AtomicU64,
    // Locked for a copy only.
    pool: Mutex<String>,
}

impl Rig {
    pub(crate) fn new(options: Options) -> Self {
        Self { options, begun: Instant::now(), shares: AtomicU64::new(0), pool: Mutex::default() }
    }

    /// The first lines.
    pub(crate) fn greet(&self) {
        say_timed(&format!("********* TT-Miner - Version: {VERSION} (Jun  3 2024 10:00:00)"));
        say(&format!("CUDA devices:       {}", GPUS.len()));
        for (number, address) in GPUS.iter().enumerate() {
            let mark = if self.options.devices.contains(&number) { '*' } else { ' ' };
            say_timed(&format!(
                "{mark} #{number:02} PCI {address}.0 Zotac   NVIDIA GeForce RTX 3060  12.00 GB / \
                 2.485 GB  SM/Cores: 28/3584   {{845E10CD-...}}"
            ));
        }
        say(&format!(
            "API-Interface:                    listening on 127.0.0.1:{}, WebStatus refresh \
             disabled.",
            self.options.api_port
        ));
        say_timed("********* Start mining");
        say_timed("********* Mining fee for 'KawPoW': 1.00%");
        say_timed("********* Start worker loop...");
    }

    /// Mines until the end of the process.
    pub(crate) fn mine(&self) -> ! {
        let selector = &self.options.selector;
        say_timed(&format!("Dag[00-{selector}]:   Create cache for DAG(D345-48) - 59.12 MB"));
        say_timed(&format!(
            "Krnl[00-{selector}]:  Create Kernel (A048#2A26F-75) for NVIDIA GeForce RTX 3060"
        ));
        thread::sleep(BEAT);
        let mut at = 0;
        loop {
            let Some(url) = self.options.pools.get(at) else {
                // A benchmark.
                self.hash(None);
                continue;
            };
            let address = url.split_once("://").map_or(url.as_str(), |(_, address)| address);
            let next = (at + 1) % self.options.pools.len();
            if !self.connect(at, url, address) {
                thread::sleep(8 * BEAT);
                at = next;
                continue;
            }
            let until = address.starts_with("lost-").then(|| Instant::now() + STAYS);
            self.hash(until);
            say_timed(&format!(
                "Pool[{selector}-{at}]:   End of file [asio.misc:2 at read] - func:3"
            ));
            say("               stream truncated [asio.ssl.stream:1] - func:3");
            say(&format!("Retry to connect in 15 seconds.      Disconnected from: {address}"));
            // Long enough to be seen on a busy machine.
            thread::sleep(8 * BEAT);
            at = next;
        }
    }

    /// Prints what 2024.3.2 prints of a connection, and whether there is one.
    fn connect(&self, at: usize, url: &str, address: &str) -> bool {
        let key = format!("Pool[{}-{at}]:", self.options.selector);
        thread::sleep(BEAT);
        if address.starts_with("refused-") {
            say_timed(&format!(
                "{key}   -No connection could be made because the target machine actively refused it"
            ));
            return false;
        }
        let scheme = url.split_once("://").map_or("stratum+tcp", |(scheme, _)| scheme);
        address.clone_into(&mut self.pool());
        say_timed(&format!("{key}   -Connected to {scheme}://{address}"));
        say_timed(&format!("{key}   Difficulty changed from 0 H to 104.9 MH"));
        true
    }

    /// Finds shares until the time, for ever without one.
    fn hash(&self, until: Option<Instant>) {
        while until.is_none_or(|until| Instant::now() < until) {
            thread::sleep(BEAT);
            let shares = self.shares.fetch_add(1, Ordering::Relaxed) + 1;
            let selector = &self.options.selector;
            let count = self.options.devices.len() as u64;
            for (order, number) in self.options.devices.iter().enumerate() {
                let own = shares / count + u64::from(shares % count > order as u64);
                say_timed(&format!(
                    "GPU[{number:02}-{selector}]:   11.25 MH/s [A{own}:R0:S0 0.0%]  CClk:1777.0 \
                     MHz-90%  MClk:7300.0 MHz-97%  61°C  55%  110 W  102.3 kH/s/W  5.777 GB left"
                ));
            }
            let total = count * 1125;
            say_timed(&format!(
                "All[{selector}]:      {}.{:02} MH/s [A{shares}:R0:S0 0.0%]  {} W  102.3 kH/s/W",
                total / 100,
                total % 100,
                110 * count
            ));
        }
    }

    /// The result of `miner_getstat1`.
    pub(crate) fn stat1(&self) -> Vec<String> {
        let shares = self.shares.load(Ordering::Relaxed);
        // TT-Miner reports nothing before its first share.
        let rate = if shares == 0 { 0 } else { RATE };
        let devices = &self.options.devices;
        let list = |text: &str| vec![text; devices.len()].join(";");
        vec![
            format!("TT-Miner/{VERSION}"),
            (self.begun.elapsed().as_secs() / 60).to_string(),
            format!("{};{shares};0", rate * devices.len() as u64),
            list(&rate.to_string()),
            "0;0;0".to_owned(),
            list("off"),
            list("61;55"),
            self.pool().clone(),
            "0;0;0;0".to_owned(),
        ]
    }

    fn pool(&self) -> MutexGuard<'_, String> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Prints a line with the time of day.
pub(crate) fn say_timed(text: &str) {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let second = since.as_secs();
    let (hour, minute) = (second / 3600 % 24, second / 60 % 60);
    say(&format!("{hour:02}:{minute:02}:{:02}.{:03} {text}", second % 60, since.subsec_millis()));
}
