//! Asks running miners: HTTP and TCP, with limits on time, size and where a request may go.

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use adit_plugin_api::{Ask, HttpAsk, Probe, Reply};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Largest reply that is read, in bytes.
const REPLY_BYTES: usize = 1 << 20;
/// Longest time limit a driver may give a probe.
const LONGEST: Duration = Duration::from_secs(10);

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
    pub(crate) async fn ask_all(&self, probes: &[Probe]) -> Vec<Reply> {
        let mut asking = tokio::task::JoinSet::new();
        for (index, probe) in probes.iter().cloned().enumerate() {
            let prober = self.clone();
            asking.spawn(async move { (index, prober.ask(probe).await) });
        }
        let mut replies = vec![Reply::default(); probes.len()];
        while let Some(done) = asking.join_next().await {
            if let Ok((index, reply)) = done {
                replies[index] = reply;
            }
        }
        replies
    }

    async fn ask(&self, probe: Probe) -> Reply {
        let began = Instant::now();
        let limit = probe.timeout.min(LONGEST);
        let answer = match probe.ask {
            Ask::Http(http) => tokio::time::timeout(limit, self.http(&http)).await,
            Ask::Tcp { address, send } => tokio::time::timeout(limit, tcp(&address, &send)).await,
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
    pub(crate) async fn http(&self, ask: &HttpAsk) -> Result<(u16, Vec<u8>), String> {
        let url = reqwest::Url::parse(&ask.url).map_err(|error| format!("bad URL: {error}"))?;
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        if url.scheme() != "http" || !is_loopback(host) {
            return Err("a miner is asked by http on loopback only".to_owned());
        }
        let method = if ask.method.is_empty() { "GET" } else { ask.method.as_str() };
        let method = reqwest::Method::from_bytes(method.as_bytes())
            .map_err(|_| format!("bad method {method:?}"))?;
        let mut request = self.0.request(method, url).body(ask.body.clone());
        for (name, value) in &ask.headers {
            request = request.header(name, value);
        }
        let mut response = request.send().await.map_err(|error| reason(&error))?;
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

/// The innermost cause: what the system said, without the URL.
fn reason(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

fn is_loopback(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

async fn tcp(address: &str, send: &str) -> Result<(u16, Vec<u8>), String> {
    let socket = address
        .parse::<SocketAddr>()
        .ok()
        .filter(|socket| socket.ip().is_loopback())
        .ok_or("a miner is asked on loopback only, at an address like 127.0.0.1:4068")?;
    let mut stream = TcpStream::connect(socket).await.map_err(|error| error.to_string())?;
    stream.write_all(send.as_bytes()).await.map_err(|error| error.to_string())?;
    let mut body = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let n = stream.read(&mut chunk).await.map_err(|error| error.to_string())?;
        body.extend_from_slice(&chunk[..n]);
        if body.len() > REPLY_BYTES {
            return Err(format!("the reply is larger than {REPLY_BYTES} bytes"));
        }
        // Some miners end a reply with a newline, some with the JSON itself, some by closing.
        let complete = || serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_ok();
        if n == 0 || body.ends_with(b"\n") || complete() {
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
        Prober::new().ask_all(&[probe]).await.remove(0)
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
}
