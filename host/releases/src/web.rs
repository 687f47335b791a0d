//! Fetching over HTTP: from allowed hosts only, over TLS, with limits on size and silence.

use std::{
    pin::Pin,
    sync::OnceLock,
    task::{Context, Poll},
    time::Duration,
};

use http_body_util::{BodyExt, Empty};
use hyper::{
    Request, StatusCode,
    body::{Bytes, Incoming},
    header::{self, HeaderMap, HeaderName},
    http::Uri,
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::{
        legacy::{
            Client,
            connect::{HttpConnector, proxy::Tunnel},
        },
        proxy::matcher::Matcher,
    },
    rt::{TokioExecutor, TokioIo},
};
use jiff::Timestamp;
use tokio::{net::TcpStream, time::timeout};
use tower_service::Service;

use crate::{Limits, error::Error};

/// Redirects that are followed for one request.
const REDIRECTS: usize = 5;
/// What is read whole may take this many of the longest silences.
const ANSWER_STALLS: u32 = 4;
/// Limit of the steps to a connection.
const CONNECT: Duration = Duration::from_secs(15);

/// Gets things from the hosts it knows.
pub(crate) struct Web {
    hosts: Vec<String>,
    /// Whether plain HTTP to this machine is fine, because the operator configured it.
    plain_loopback: bool,
    /// Longest silence.
    stall: Duration,
    /// Longest time for something that is read whole.
    answer_time: Duration,
    plain: Client<HttpConnector, Empty<Bytes>>,
    /// Made at first use: reading the machine's certificates takes time and memory.
    secure: OnceLock<Result<Secure, String>>,
}

type Secure = Client<HttpsConnector<Route>, Empty<Bytes>>;

/// An answer whose body did not arrive yet.
pub(crate) struct Answer {
    pub(crate) url: String,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    body: Incoming,
    stall: Duration,
}

impl Web {
    pub(crate) fn new(hosts: Vec<String>, plain_loopback: bool, limits: &Limits) -> Self {
        let plain = Client::builder(TokioExecutor::new()).build(connector());
        let (stall, answer_time) = (limits.stall, limits.stall * ANSWER_STALLS);
        Self { hosts, plain_loopback, stall, answer_time, plain, secure: OnceLock::new() }
    }

    /// Asks for `url` and follows redirects. Any status is an answer.
    pub(crate) async fn get(
        &self,
        url: &str,
        headers: &[(HeaderName, String)],
    ) -> Result<Answer, Error> {
        let mut url = url.to_owned();
        for _ in 0..=REDIRECTS {
            let answer = self.once(&url, headers).await?;
            let moved = matches!(answer.status.as_u16(), 301 | 302 | 303 | 307 | 308);
            if !moved {
                return Ok(answer);
            }
            url = answer.redirect()?;
        }
        Err(Error::Unreachable { url, reason: "it redirects again and again".to_owned() })
    }

    /// The whole body of `url`, at most `limit` bytes; any status but 200 is an error. A server
    /// that keeps on sending a little has no more time than one that is silent.
    pub(crate) async fn whole(
        &self,
        url: &str,
        accept: &str,
        limit: u64,
    ) -> Result<Vec<u8>, Error> {
        match timeout(self.answer_time, self.body(url, accept, limit)).await {
            Ok(body) => body,
            Err(_) => {
                let reason = format!("it takes longer than {} s", self.answer_time.as_secs());
                Err(Error::Unreachable { url: url.to_owned(), reason })
            }
        }
    }

    async fn body(&self, url: &str, accept: &str, limit: u64) -> Result<Vec<u8>, Error> {
        let mut answer = self.get(url, &[(header::ACCEPT, accept.to_owned())]).await?;
        if answer.status != StatusCode::OK {
            return Err(answer.refusal());
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            body.extend_from_slice(&chunk);
            if body.len() as u64 > limit {
                return Err(Error::TooLarge { what: url.to_owned(), limit });
            }
        }
        Ok(body)
    }

    async fn once(&self, url: &str, headers: &[(HeaderName, String)]) -> Result<Answer, Error> {
        let unreachable = |reason: String| Error::Unreachable { url: url.to_owned(), reason };
        let uri = self.allowed(url)?;
        let mut request = Request::get(&uri)
            .header(header::USER_AGENT, concat!("adit/", env!("CARGO_PKG_VERSION")));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(Empty::new()).map_err(|error| unreachable(error.to_string()))?;
        let sent = if uri.scheme_str() == Some("http") {
            self.plain.request(request)
        } else {
            let secure = self.secure.get_or_init(secure).as_ref();
            secure.map_err(|reason| unreachable(reason.clone()))?.request(request)
        };
        let response = match timeout(self.stall, sent).await {
            Ok(response) => response.map_err(|error| unreachable(root_cause(&error)))?,
            Err(_) => return Err(unreachable("it does not answer".to_owned())),
        };
        let (parts, body) = response.into_parts();
        Ok(Answer {
            url: url.to_owned(),
            status: parts.status,
            headers: parts.headers,
            body,
            stall: self.stall,
        })
    }

    /// `url` if it may be fetched.
    fn allowed(&self, url: &str) -> Result<Uri, Error> {
        let forbidden = |reason| Error::Forbidden { url: url.to_owned(), reason };
        let uri: Uri = url.parse().map_err(|_| forbidden("it is no address"))?;
        let host = uri.host().unwrap_or_default();
        if uri.authority().is_some_and(|it| it.as_str().contains('@')) {
            return Err(forbidden("it holds a password"));
        }
        match uri.scheme_str() {
            Some("https") => {}
            Some("http") if self.plain_loopback && is_loopback(host) => {}
            _ => return Err(forbidden("it is not encrypted: only https is")),
        }
        if !self.hosts.iter().any(|it| it.eq_ignore_ascii_case(host)) {
            return Err(forbidden(
                "its host is not among those that releases come from; add it to releases.hosts",
            ));
        }
        Ok(uri)
    }
}

impl Answer {
    /// The next bytes; `None` at the end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        let url = &self.url;
        let broken = |reason: String| Error::Unreachable { url: url.clone(), reason };
        loop {
            match timeout(self.stall, self.body.frame()).await {
                Err(_) => return Err(broken("nothing arrives any more".to_owned())),
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => return Err(broken(root_cause(&error))),
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// The number in a header.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.headers.get(name)?.to_str().ok()?.trim().parse().ok()
    }

    /// Why an answer of another status than the expected one is no success.
    pub(crate) fn refusal(&self) -> Error {
        let used_up = self.number("x-ratelimit-remaining") == Some(0);
        let wait = self.number("retry-after");
        let limited = match self.status.as_u16() {
            429 => true,
            403 => used_up || wait.is_some(),
            _ => false,
        };
        if !limited {
            return Error::Status { url: self.url.clone(), status: self.status.as_u16() };
        }
        let reset = self.number("x-ratelimit-reset").and_then(|it| i64::try_from(it).ok());
        let now = Timestamp::now().as_second();
        let after = wait.and_then(|it| now.checked_add(i64::try_from(it).ok()?));
        let until = after.or(reset).and_then(|it| Timestamp::from_second(it).ok());
        let host = self.url.split('/').nth(2).unwrap_or(&self.url).to_owned();
        Error::RateLimited { host, until }
    }

    fn redirect(&self) -> Result<String, Error> {
        let to = self.headers.get(header::LOCATION).and_then(|it| it.to_str().ok());
        let to = to.unwrap_or_default();
        if to.starts_with("https://") || to.starts_with("http://") {
            return Ok(to.to_owned());
        }
        let origin: String = self.url.split_inclusive('/').take(3).collect();
        if to.starts_with('/') && !to.starts_with("//") {
            return Ok(format!("{}{to}", origin.trim_end_matches('/')));
        }
        let reason = "it redirects to nowhere".to_owned();
        Err(Error::Unreachable { url: self.url.clone(), reason })
    }
}

/// Whether `host` is this machine, as it stands in an address.
pub(crate) fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

/// `text` as one part of a URL's path.
pub(crate) fn segment(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn connector() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_connect_timeout(Some(CONNECT));
    connector
}

fn secure() -> Result<Secure, String> {
    let connector = HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(rustls::crypto::ring::default_provider())
        .map_err(|error| {
            format!("this machine has no certificates ({error}): install ca-certificates")
        })?
        .https_only()
        .enable_http1()
        .wrap_connector(Route::new());
    Ok(Client::builder(TokioExecutor::new()).build(connector))
}

fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// Connects directly, or through the proxy that the environment names for a host.
#[derive(Clone)]
struct Route {
    direct: HttpConnector,
    proxies: std::sync::Arc<Matcher>,
}

impl Route {
    fn new() -> Self {
        Self { direct: connector(), proxies: Matcher::from_env().into() }
    }
}

type Anything = Box<dyn std::error::Error + Send + Sync>;

impl Service<Uri> for Route {
    type Response = TokioIo<TcpStream>;
    type Error = Anything;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Anything>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Anything>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let mut direct = self.direct.clone();
        let proxy = self.proxies.intercept(&uri);
        Box::pin(async move {
            let Some(proxy) = proxy else {
                return direct.call(uri).await.map_err(Into::into);
            };
            let mut tunnel = Tunnel::new(proxy.uri().clone(), direct);
            if let Some(login) = proxy.basic_auth() {
                tunnel = tunnel.with_auth(login.clone());
            }
            tunnel.call(uri).await.map_err(Into::into)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, plain_loopback: bool) -> bool {
        let hosts = ["api.github.com", "127.0.0.1", "[::1]", "mirror.lan"];
        let hosts = hosts.map(str::to_owned).to_vec();
        Web::new(hosts, plain_loopback, &Limits::default()).allowed(url).is_ok()
    }

    #[tokio::test]
    async fn only_known_hosts_are_asked_and_only_over_tls() {
        assert!(check("https://api.github.com/x", false));
        assert!(check("https://API.github.com/x", false));
        assert!(check("http://127.0.0.1:1/x", true));
        assert!(check("http://[::1]:1/x", true));
        for bad in [
            "http://api.github.com/x",
            "http://mirror.lan/x",
            "https://evil.example/x",
            "https://api.github.com.evil.example/x",
            "https://api.github.com@evil.example/x",
            "https://user:pass@api.github.com/x",
            "ftp://api.github.com/x",
            "file:///etc/passwd",
            "/x",
            "",
        ] {
            assert!(!check(bad, true), "{bad}");
        }
        assert!(!check("http://127.0.0.1:1/x", false));
    }
}
