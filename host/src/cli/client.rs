//! Finds a host and talks to its REST API.

use std::{path::Path, time::Duration};

use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, StatusCode,
    body::{Bytes, Incoming},
    header,
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client as Http, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::time::timeout;

use crate::{
    api::ErrorBody,
    app::home::Home,
    cli::{Common, Error, tls},
    settings,
};

/// Longest time for one answer.
const LIMIT: Duration = Duration::from_secs(60);

/// A host's API.
pub(super) struct Client {
    http: Http<HttpsConnector<HttpConnector>, Full<Bytes>>,
    base: String,
    token: String,
}

/// The state folder of the command: the named one, or else the first that has a host, or else the
/// first that has miners, of the user's own, the service's and the demonstration's.
pub(super) fn home(common: &Common) -> Home {
    if let Some(path) = &common.state_dir {
        return Home::new(path.clone());
    }
    let own = settings::default_state_dir();
    let places = [own.clone(), settings::SERVICE_STATE_DIR.into(), settings::demo_state_dir()];
    let mut homes = places.map(Home::new).into_iter();
    let has_host = homes.clone().find(Home::is_locked);
    has_host.or_else(|| homes.find(|home| home.miners().is_dir())).unwrap_or(Home::new(own))
}

impl Client {
    /// The host that the options name or the state folder tells of.
    pub(super) fn find(common: &Common) -> Result<Self, Error> {
        let token = std::env::var("ADIT_TOKEN").ok().filter(|token| !token.is_empty());
        if let Some(url) = &common.url {
            let token =
                token.ok_or_else(|| Error::message("set ADIT_TOKEN to a token of that host"))?;
            let url = url.trim_end_matches('/').to_owned();
            return Self::new(url, common.certificate.as_deref(), token);
        }
        let home = home(common);
        let notice = home.notice().ok_or_else(|| {
            if home.is_notice_damaged() {
                return Error::message(format!(
                    "cannot find the host that uses {0}: {0}/host.json is damaged. Restart the host, \
                     or name it with --url",
                    home.path().display()
                ));
            }
            Error::NoHost(home.path().to_owned())
        })?;
        let token = match token {
            Some(token) => token,
            None => home.read_token()?,
        };
        Self::new(notice.url(), notice.certificate.as_deref(), token)
    }

    fn new(base: String, certificate: Option<&Path>, token: String) -> Result<Self, Error> {
        let tls = match certificate {
            Some(certificate) => tls::knowing(certificate)?,
            None => tls::by_authority(base.starts_with("https:"))?,
        };
        let mut plain = HttpConnector::new();
        plain.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(plain);
        let http = Http::builder(TokioExecutor::new()).build(connector);
        Ok(Self { http, base, token })
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.send(Method::GET, path, None::<&Value>).await
    }

    pub(super) async fn post<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.send(Method::POST, path, None::<&Value>).await
    }

    pub(super) async fn post_json<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Error> {
        self.send(Method::POST, path, Some(body)).await
    }

    pub(super) async fn put_json<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Error> {
        self.send(Method::PUT, path, Some(body)).await
    }

    pub(super) async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.send(Method::DELETE, path, None::<&Value>).await
    }

    /// Opens a stream of events; `None` when the host is away.
    pub(super) async fn stream(&self, path: &str) -> Result<Option<Incoming>, Error> {
        let request = self.request(Method::GET, path, None::<&Value>)?;
        let Ok(Ok(response)) = timeout(LIMIT, self.http.request(request)).await else {
            return Ok(None);
        };
        let status = response.status();
        if status.is_success() {
            return Ok(Some(response.into_body()));
        }
        let body = response.into_body().collect().await;
        Err(refusal(status, &body.map(|it| it.to_bytes()).unwrap_or_default()))
    }

    /// Whether the host answers.
    pub(super) async fn is_there(&self) -> bool {
        self.get::<Value>("/health").await.is_ok()
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<Request<Full<Bytes>>, Error> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token));
        let mut bytes = Vec::new();
        if let Some(body) = body {
            request = request.header(header::CONTENT_TYPE, "application/json");
            bytes = serde_json::to_vec(body)
                .map_err(|error| Error::message(format!("cannot be written as JSON: {error}")))?;
        }
        request.body(Full::from(bytes)).map_err(|error| {
            Error::message(format!("the host at {} does not answer: {error}", self.base))
        })
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, Error> {
        let body = self.answer(method, path, body).await?;
        serde_json::from_slice(&body).map_err(|error| not_understood(&error))
    }

    /// The body of an answer that is none of failure, as it is.
    pub(super) async fn answer(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<Bytes, Error> {
        let silent =
            |why: &str| Error::message(format!("the host at {} does not answer: {why}", self.base));
        let request = self.request(method, path, body)?;
        let answer = async {
            let response =
                self.http.request(request).await.map_err(|error| silent(&root(&error)))?;
            let status = response.status();
            let body = response.into_body().collect().await;
            let body = body.map_err(|error| silent(&root(&error)))?;
            Ok::<_, Error>((status, body.to_bytes()))
        };
        let limit = LIMIT.as_secs();
        let (status, body) = timeout(LIMIT, answer)
            .await
            .map_err(|_| silent(&format!("nothing came for {limit} s")))??;
        if status.is_success() {
            return Ok(body);
        }
        Err(refusal(status, &body))
    }
}

/// What an error comes from in the end.
fn root(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// The answer has another form than this version knows.
pub(super) fn not_understood(error: &serde_json::Error) -> Error {
    Error::message(format!("the host's answer cannot be understood: {error}"))
}

fn refusal(status: StatusCode, body: &[u8]) -> Error {
    match serde_json::from_slice::<ErrorBody>(body) {
        Ok(body) => Error::Message(body.error),
        Err(_) => Error::message(format!("the host answered with {status}")),
    }
}

/// `text` as one part of a URL's path.
pub(super) fn segment(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    // No URL can hold these as a part, encoded or not. Encoded twice they arrive as what they are
    // not, and as no name either.
    match encoded.as_str() {
        "." => "%252E".to_owned(),
        ".." => "%252E%252E".to_owned(),
        _ => encoded,
    }
}
