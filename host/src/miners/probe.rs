//! Asks running miners: HTTP and TCP, with limits on time, size and where a request may go.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::miners::{Error, reply_end::ReplyEnd};
use adit_keeper_client::ports::RunPorts;
use adit_plugin_api::{Ask, CommandStep, HttpAsk, Probe, Reply, Value};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Largest reply that is read, in bytes.
const REPLY_BYTES: usize = 1 << 20;
/// Longest time limit a driver may give a probe.
pub(crate) const LONGEST: Duration = Duration::from_secs(10);

/// Longest wait for a command: an operator's patience.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where questions and commands may go.
#[derive(Clone, Debug)]
pub(crate) enum Reach {
    /// To the processes of a run on this machine, at addresses where one of them listens.
    Program(RunPorts),
    /// To these addresses of a device, `host:port`, and nowhere else.
    Addresses(Arc<[String]>),
}

impl Reach {
    pub(crate) fn of(addresses: &[String]) -> Self {
        Self::Addresses(addresses.into())
    }

    pub(crate) fn is_device(&self) -> bool {
        matches!(self, Self::Addresses(_))
    }
}

/// Sends probes and commands to miners. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Prober(reqwest::Client);

impl Prober {
    pub(crate) fn new() -> Self {
        let client = reqwest::Client::builder()
            // A proxy from the environment must never see a miner's token.
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("adit/", env!("CARGO_PKG_VERSION")))
            .pool_max_idle_per_host(1)
            .build()
            .expect("a client without TLS and proxies has nothing that can fail");
        Self(client)
    }

    /// Carries out all probes at once; the replies are in the order of the probes.
    pub(crate) async fn ask_all(&self, probes: &[Probe], reach: &Reach) -> Vec<Reply> {
        let mut asking = tokio::task::JoinSet::new();
        for (index, probe) in probes.iter().cloned().enumerate() {
            let (prober, reach) = (self.clone(), reach.clone());
            asking.spawn(async move { (index, prober.ask(probe, &reach).await) });
        }
        let mut replies = vec![Reply::default(); probes.len()];
        while let Some(done) = asking.join_next().await {
            if let Ok((index, reply)) = done {
                replies[index] = reply;
            }
        }
        replies
    }

    async fn ask(&self, probe: Probe, reach: &Reach) -> Reply {
        let began = Instant::now();
        let limit = probe.timeout.min(LONGEST);
        let answer = match probe.ask {
            Ask::Http(http) => tokio::time::timeout(limit, self.http(&http, reach)).await,
            Ask::Tcp { address, send } => {
                tokio::time::timeout(limit, tcp(&address, &send, reach)).await
            }
            _ => Ok(Err("this version cannot ask in that way".to_owned())),
        };
        let answer =
            answer.unwrap_or_else(|_| Err(format!("no reply within {} ms", limit.as_millis())));
        let elapsed = began.elapsed();
        match answer {
            Ok((status, body)) => Reply { id: probe.id, status, error: None, body, elapsed },
            Err(error) => {
                Reply { id: probe.id, status: 0, error: Some(error), body: Vec::new(), elapsed }
            }
        }
    }

    /// Sends one HTTP request and returns status and body.
    pub(crate) async fn http(
        &self,
        ask: &HttpAsk,
        reach: &Reach,
    ) -> Result<(u16, Vec<u8>), String> {
        let url = reqwest::Url::parse(&ask.url).map_err(|error| format!("bad URL: {error}"))?;
        if url.scheme() != "http" {
            return Err("a miner is asked by http on loopback only, a device by http".to_owned());
        }
        let address = format!(
            "{}:{}",
            url.host_str().unwrap_or_default(),
            url.port_or_known_default().unwrap_or(80)
        );
        let socket = match reach {
            Reach::Program(ports) => {
                let socket =
                    loopback(&address).ok_or("a miner is asked by http on loopback only")?;
                listens(ports, socket).await?;
                Some((ports, socket))
            }
            Reach::Addresses(addresses) => {
                allowed(&address, addresses)?;
                None
            }
        };
        let method = if ask.method.is_empty() { "GET" } else { ask.method.as_str() };
        let method = reqwest::Method::from_bytes(method.as_bytes())
            .map_err(|_| format!("bad method {method:?}"))?;
        let mut request = self.0.request(method, url).body(ask.body.clone());
        for (name, value) in &ask.headers {
            request = request.header(name, value);
        }
        let mut response = request.send().await.map_err(|error| {
            if let Some((ports, socket)) = socket {
                ports.forget(socket);
            }
            reason(&error)
        })?;
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| reason(&error))? {
            if body.len() + chunk.len() > REPLY_BYTES {
                return Err(format!("the reply is larger than {REPLY_BYTES} bytes"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok((status, body))
    }
}

impl Prober {
    /// Carries out one step of a command.
    ///
    /// # Errors
    /// [`Error::Command`] when the miner does not do it, [`Error::Unsupported`] for a step that is
    /// none of the network's.
    pub(crate) async fn tell(&self, step: &CommandStep, reach: &Reach) -> Result<(), Error> {
        let late = |_| Err(format!("no reply within {} s", PATIENCE.as_secs()));
        let told = match step {
            CommandStep::Http(ask) => {
                let sent = tokio::time::timeout(PATIENCE, self.http(ask, reach)).await;
                sent.unwrap_or_else(late).and_then(|(status, _)| match status {
                    200..300 => Ok(()),
                    _ => Err(format!("its API answered with {status}")),
                })
            }
            CommandStep::Tcp { address, send, expect } => {
                let sent = tokio::time::timeout(PATIENCE, tcp(address, send, reach)).await;
                sent.unwrap_or_else(late).and_then(|(_, body)| expected(&body, expect))
            }
            _ => {
                return Err(Error::Unsupported(
                    "the driver commands the miner in a way that this version does not know: \
                     update adit"
                        .to_owned(),
                ));
            }
        };
        told.map_err(Error::Command)
    }
}

/// Whether a reply says what it must for success.
fn expected(body: &[u8], expect: &BTreeMap<String, Value>) -> Result<(), String> {
    if expect.is_empty() {
        return Ok(());
    }
    // Some devices end a reply with a NUL.
    let text = String::from_utf8_lossy(body);
    let text = text.trim_end_matches(['\0', '\n']);
    let reply: Value =
        text.parse().map_err(|_| "it answered with something that is no JSON".to_owned())?;
    let is_wrong = |(pointer, value): &(&String, &Value)| reply.pointer(pointer) != Some(*value);
    match expect.iter().find(is_wrong) {
        None => Ok(()),
        Some(_) => {
            let shown: String = text.chars().filter(|it| !it.is_control()).take(200).collect();
            Err(format!("it answered {shown}"))
        }
    }
}

/// An address is compared as it is written: nothing is resolved to find out.
fn allowed(address: &str, addresses: &[String]) -> Result<(), String> {
    match addresses.iter().any(|it| it.eq_ignore_ascii_case(address)) {
        true => Ok(()),
        false => Err(format!("{address} is not among the addresses of the device's plan")),
    }
}

/// The innermost cause: what the system said, without the URL.
fn reason(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// An address of this machine alone. Nothing is resolved to find out.
fn loopback(address: &str) -> Option<SocketAddr> {
    address.parse::<SocketAddr>().ok().filter(|socket| socket.ip().is_loopback())
}

/// Whether a process of the run listens there.
async fn listens(ports: &RunPorts, socket: SocketAddr) -> Result<(), String> {
    if ports.is_known(socket) {
        return Ok(());
    }
    let ports = ports.clone();
    let checking = tokio::task::spawn_blocking(move || ports.check(socket));
    checking.await.unwrap_or_else(|_| Err("the host is shutting down".to_owned()))
}

async fn tcp(address: &str, send: &str, reach: &Reach) -> Result<(u16, Vec<u8>), String> {
    let stream = match reach {
        Reach::Program(ports) => {
            let socket = loopback(address)
                .ok_or("a miner is asked on loopback only, at an address like 127.0.0.1:4068")?;
            listens(ports, socket).await?;
            TcpStream::connect(socket).await.inspect_err(|_| ports.forget(socket))
        }
        Reach::Addresses(addresses) => {
            allowed(address, addresses)?;
            TcpStream::connect(address).await
        }
    };
    let mut stream = stream.map_err(|error| error.to_string())?;
    stream.write_all(send.as_bytes()).await.map_err(|error| error.to_string())?;
    let mut body = Vec::new();
    let mut end = ReplyEnd::default();
    let mut chunk = [0; 4096];
    loop {
        let n = stream.read(&mut chunk).await.map_err(|error| error.to_string())?;
        body.extend_from_slice(&chunk[..n]);
        if body.len() > REPLY_BYTES {
            return Err(format!("the reply is larger than {REPLY_BYTES} bytes"));
        }
        // Some miners end a reply with a newline, some with the JSON itself, some by closing.
        if n == 0 || body.ends_with(b"\n") || end.is_reached(&chunk[..n]) {
            return Ok((0, body));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn server(reply: &'static [u8]) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let _read = stream.read(&mut request).await.unwrap();
            stream.write_all(reply).await.unwrap();
            // Held open: the asker must not wait for the end.
            std::future::pending::<()>().await;
        });
        address
    }

    async fn ask_one(probe: Probe) -> Reply {
        let own = i32::try_from(std::process::id()).unwrap();
        ask_run(own, probe).await
    }

    /// Asks as if `program` were the program of a run.
    async fn ask_run(program: i32, probe: Probe) -> Reply {
        let reach =
            Reach::Program(RunPorts::new(adit_model::run::RunId::random(), (program, i32::MAX)));
        Prober::new().ask_all(&[probe], &reach).await.remove(0)
    }

    #[tokio::test]
    async fn services_that_are_not_the_miners_are_out_of_reach() {
        let address = server(b"{\"secret\":1}\n").await;
        for probe in [
            Probe::http("h", format!("http://{address}/")),
            Probe::tcp("t", address.to_string(), "FLUSHALL\r\n"),
        ] {
            let reply = ask_run(i32::MAX, probe).await;
            let error = reply.error.unwrap();
            assert!(error.contains("is no process of this miner"), "{error}");
            assert!(reply.body.is_empty());
        }
        let probe = Probe::tcp("t", "127.0.0.1:1", "x");
        let error = ask_one(probe).await.error.unwrap();
        assert_eq!(error, "the miner does not listen at 127.0.0.1:1 yet");
    }

    #[tokio::test]
    async fn a_reply_over_tcp_ends_where_its_json_ends() {
        for reply in [b"{\"result\":[1,2]}".as_slice(), b"{\"result\":[1,2]}\n", b"text\n"] {
            let address = server(reply).await;
            let reply_got = ask_one(Probe::tcp("t", address.to_string(), "hello\n")).await;
            assert_eq!((reply_got.error, reply_got.body.as_slice()), (None, reply));
        }
    }

    #[tokio::test]
    async fn a_probe_without_an_answer_ends_in_time() {
        let address = server(b"").await;
        let mut probe = Probe::tcp("t", address.to_string(), "hello\n");
        probe.timeout = Duration::from_millis(50);
        let reply = ask_one(probe).await;
        assert_eq!(reply.error.unwrap(), "no reply within 50 ms");
    }

    #[tokio::test]
    async fn http_is_asked_and_its_status_told() {
        let address = server(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\nno").await;
        let reply = ask_one(Probe::http("h", format!("http://{address}/2/summary"))).await;
        assert_eq!(
            (reply.status, reply.body.as_slice(), reply.is_ok()),
            (401, b"no".as_slice(), false)
        );
    }

    #[tokio::test]
    async fn a_driver_cannot_reach_beyond_loopback() {
        for probe in [
            Probe::http("h", "http://192.0.2.1/"),
            Probe::http("h", "https://127.0.0.1/"),
            Probe::http("h", "http://localhost.example/"),
            Probe::http("h", "nonsense"),
            Probe::tcp("t", "192.0.2.1:80", ""),
            Probe::tcp("t", "localhost:80", ""),
        ] {
            let error = ask_one(probe.clone()).await.error.unwrap();
            assert!(
                error.contains("loopback only") || error.contains("bad URL"),
                "{probe:?}: {error}"
            );
        }
    }

    #[tokio::test]
    async fn a_device_is_reached_at_the_addresses_of_its_plan_only() {
        let (mine, other) = (server(b"{\"a\":1}\0").await, server(b"{}").await);
        let reach = Reach::of(&[mine.to_string()]);
        for probe in [
            Probe::tcp("t", other.to_string(), "x"),
            Probe::tcp("t", format!("localhost:{}", mine.port()), "x"),
            Probe::http("h", format!("http://{other}/")),
            Probe::http("h", "http://127.0.0.1/"),
        ] {
            let error = Prober::new().ask_all(&[probe], &reach).await.remove(0).error.unwrap();
            assert!(error.contains("not among the addresses"), "{error}");
        }
        let step = |pointer: &str, value: Value| CommandStep::Tcp {
            address: mine.to_string(),
            send: "x".to_owned(),
            expect: [(pointer.to_owned(), value)].into(),
        };
        // The NUL at its end is no part of the reply, and it does not end the connection either.
        let probe =
            Probe { timeout: Duration::from_millis(100), ..Probe::tcp("t", mine.to_string(), "x") };
        let late = Prober::new().ask_all(&[probe], &reach).await.remove(0);
        assert_eq!(late.error.as_deref(), Some("no reply within 100 ms"));
        assert_eq!(expected(b"{\"a\":1}\0", &[("/a".to_owned(), 1.into())].into()), Ok(()));
        for wrong in [step("/a", 2.into()), step("/b", 1.into())] {
            let CommandStep::Tcp { expect, .. } = &wrong else { unreachable!() };
            assert_eq!(expected(b"{\"a\":1}\0", expect).unwrap_err(), "it answered {\"a\":1}");
        }
        assert!(expected(b"ok", &[("/a".to_owned(), 1.into())].into()).is_err());
    }
}
