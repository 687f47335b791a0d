//! An API over no drivers and no miners, and a client that reads server-sent events.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use adit::{
    api::{self, Access, Api},
    miners::{self, Events, HostServices, Miners, PeerLink, Programs},
    node::{self, Listen, Node},
};
use adit_drivers::registry::Drivers;
use adit_keeper_client::Keepers;
use adit_releases::{Releases, Sources};
use adit_store::Store;
use serde_json::{Value, json};
use tokio::{runtime::Runtime, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// Longest wait for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const TOKEN: &str = "the-token-of-the-file";

/// An API that serves until it is dropped.
pub(crate) struct Rig {
    pub(crate) events: Events,
    pub(crate) address: SocketAddr,
    runtime: Runtime,
    ending: CancellationToken,
    served: Option<JoinHandle<std::io::Result<()>>>,
    _folder: tempfile::TempDir,
}

impl Rig {
    pub(crate) fn start(max_subscribers: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.unwrap();
        let ending = CancellationToken::new();
        let (api, events, listener) = runtime.block_on(parts(folder.path(), max_subscribers));
        let address = listener.local_addr().unwrap();
        let end = ending.clone();
        let served = Some(
            runtime
                .spawn(async move { api.serve(listener, None, api::Bound::default(), end).await }),
        );
        Self { events, address, runtime, ending, served, _folder: folder }
    }

    /// Publishes `count` events that carry their number.
    pub(crate) fn publish(&self, count: usize) {
        for n in 0..count {
            self.events.publish("test.happened", json!({ "n": n }));
        }
    }

    /// Ends the API as the host's end would, and waits for it.
    pub(crate) fn end(&mut self) {
        self.ending.cancel();
        let served = self.served.take().unwrap();
        self.runtime.block_on(served).unwrap().unwrap();
    }

    /// Sends a request, with the admin's token unless `headers` name another.
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Sse {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // Version 1.0 has bodies without chunks.
        let mut head = format!("{method} /api{path} HTTP/1.0\r\nHost: {}\r\n", self.address);
        let has = |name: &str| headers.iter().any(|(it, _)| *it == name);
        for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !has("Authorization") {
            head.push_str(&format!("Authorization: Bearer {TOKEN}\r\n"));
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        Sse::new(stream)
    }

    /// Opens a stream that must open, and reads what comes before the first event.
    pub(crate) fn listen(&self, query: &str, headers: &[(&str, &str)]) -> Sse {
        let mut stream = self.ask("GET", &format!("/events{query}"), headers);
        if stream.status != 200 {
            panic!("{}", stream.rest());
        }
        stream
    }

    /// A request that must be refused.
    pub(crate) fn refused(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        status: u16,
        code: &str,
    ) -> Value {
        let mut answer = self.ask("GET", path, headers);
        let body = answer.rest();
        let json: Value = serde_json::from_str(&body).unwrap_or_else(|_| panic!("{path}: {body}"));
        assert_eq!((answer.status, &json["code"]), (status, &json!(code)), "{path}: {json}");
        json
    }
}

async fn parts(
    folder: &std::path::Path,
    max_subscribers: usize,
) -> (Api, Events, tokio::net::TcpListener) {
    let (store, _) = Store::open(folder.join("adit.db")).unwrap();
    let releases = Releases::new(adit_releases::Options {
        root: folder.join("programs"),
        sources: Sources::default(),
        limits: adit_releases::Limits::default(),
    });
    let exe = std::env::current_exe().unwrap();
    let options = miners::Options {
        root: folder.join("miners"),
        programs: Programs::standard(Default::default(), &exe, releases.unwrap()),
        worker: "rig".to_owned(),
        stats_interval: Duration::from_secs(10),
        output_interval: Duration::from_secs(1),
        watchdog: adit::settings::WatchdogSettings::default().for_miners(),
        retention_days: 0,
        remote_write: None,
        webhooks: Vec::new(),
    };
    let keepers = Keepers::new(folder.join("miners"), Keepers::THIS_BINARY);
    let events = Events::new(jiff::Timestamp::now().as_millisecond());
    let services = HostServices::new(store.clone(), events.clone(), PeerLink::default());
    let drivers = Drivers::default();
    let miners = Miners::begin(options, store.clone(), keepers, drivers.clone(), &services);
    let miners = miners.await.unwrap();
    let node = node::Options {
        folder: folder.join("node"),
        listen: Listen::Off,
        advertise: None,
        stats_interval: Duration::from_secs(10),
    };
    let node = Node::begin(node, store.clone(), miners.clone()).await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = api::Options {
        address: listener.local_addr().unwrap(),
        encrypted: false,
        base_path: "/api".to_owned(),
        hosts: Vec::new(),
        origins: Vec::new(),
        metrics_public: false,
        worker: "rig".to_owned(),
        demo: false,
        max_subscribers,
    };
    let access = Access::new(store.clone(), TOKEN).await.unwrap();
    (Api::new(options, access, miners, node, drivers, store), events, listener)
}

/// An answer, and the events in it when it is a stream of them.
pub(crate) struct Sse {
    pub(crate) status: u16,
    pub(crate) head: String,
    reader: BufReader<TcpStream>,
}

impl Sse {
    fn new(stream: TcpStream) -> Self {
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(reader.read_line(&mut head).unwrap(), 0, "no whole head: {head:?}");
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head: head.to_lowercase(), reader }
    }

    /// The next message; `None` at the end of the stream. Its id must be that of its frame.
    pub(crate) fn next(&mut self) -> Option<Value> {
        let (mut id, mut line) = (None, String::new());
        loop {
            line.clear();
            if self.reader.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            if let Some(text) = line.strip_prefix("id: ") {
                id = Some(text.trim().parse::<u64>().unwrap());
            }
            if let Some(data) = line.strip_prefix("data: ") {
                let message: Value = serde_json::from_str(data).unwrap();
                assert_eq!(message["id"].as_u64(), id, "{message}");
                return Some(message);
            }
        }
    }

    /// The next message, which must be of type `kind`.
    pub(crate) fn expect(&mut self, kind: &str) -> Value {
        let message = self.next().unwrap_or_else(|| panic!("no {kind} before the end"));
        assert_eq!(message["type"], kind, "{message}");
        message
    }

    /// Everything up to the end of the connection.
    pub(crate) fn rest(&mut self) -> String {
        let mut text = String::new();
        self.reader.read_to_string(&mut text).unwrap();
        text
    }
}

/// Waits until `look` sees something.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(began.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
