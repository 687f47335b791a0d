//! Finds a host and talks to its REST API.

use std::time::Duration;

use reqwest::{Method, Response, StatusCode};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    api::ErrorBody,
    app::home::Home,
    cli::{Common, Error},
    settings,
};

/// A host's API.
pub(super) struct Client {
    http: reqwest::Client,
    base: String,
    token: String,
}

/// The state folder of the command: the named one, the standard one, or the demonstration's when
/// only that one has a host, or only that one has miners.
pub(super) fn home(common: &Common) -> Home {
    if let Some(path) = &common.state_dir {
        return Home::new(path.clone());
    }
    let standard = Home::new(settings::default_state_dir());
    let demo = Home::new(settings::demo_state_dir());
    let has_miners = |home: &Home| home.miners().is_dir();
    match (standard.is_locked(), demo.is_locked()) {
        (false, true) => demo,
        (false, false) if !has_miners(&standard) && has_miners(&demo) => demo,
        _ => standard,
    }
}

impl Client {
    /// The host that the options name or the state folder tells of.
    pub(super) fn find(common: &Common) -> Result<Self, Error> {
        let token = std::env::var("ADIT_TOKEN").ok().filter(|token| !token.is_empty());
        if let Some(url) = &common.url {
            let token =
                token.ok_or_else(|| Error::message("set ADIT_TOKEN to a token of that host"))?;
            return Self::new(url.trim_end_matches('/').to_owned(), token);
        }
        let home = home(common);
        let notice = home.notice().ok_or_else(|| Error::NoHost(home.path().to_owned()))?;
        let token = match token {
            Some(token) => token,
            None => home.read_token()?,
        };
        Self::new(format!("http://{}{}", notice.address, notice.base_path), token)
    }

    fn new(base: String, token: String) -> Result<Self, Error> {
        let http =
            reqwest::Client::builder()
                .no_proxy()
                .timeout(Duration::from_secs(60))
                .build()
                .map_err(|error| Error::message(format!("cannot make an HTTP client: {error}")))?;
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
    pub(super) async fn stream(&self, path: &str) -> Result<Option<Response>, Error> {
        let url = format!("{}{path}", self.base);
        // Longer than any stream lasts; whoever reads it notices when it breaks.
        let request =
            self.http.get(&url).bearer_auth(&self.token).timeout(Duration::from_secs(365 * 86_400));
        let Ok(response) = request.send().await else { return Ok(None) };
        let status = response.status();
        if status.is_success() {
            return Ok(Some(response));
        }
        Err(refusal(status, &response.bytes().await.unwrap_or_default()))
    }

    /// Whether the host answers.
    pub(super) async fn is_there(&self) -> bool {
        self.get::<Value>("/health").await.is_ok()
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, Error> {
        let url = format!("{}{path}", self.base);
        let mut request = self.http.request(method, &url).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let failed = |error: reqwest::Error| {
            let mut cause: &dyn std::error::Error = &error;
            while let Some(inner) = cause.source() {
                cause = inner;
            }
            Error::message(format!("the host at {} does not answer: {cause}", self.base))
        };
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        let body = response.bytes().await.map_err(failed)?;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|error| {
                Error::message(format!("the host's answer cannot be understood: {error}"))
            });
        }
        Err(refusal(status, &body))
    }
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
