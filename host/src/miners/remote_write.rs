//! Pushes all series to a Prometheus-compatible store, if the operator wants that.
//!
//! While the store is away requests wait in memory, up to a limit; then the oldest are dropped and
//! counted. What the store refuses is not sent again.

mod queue;
#[cfg(test)]
mod tests;
pub(crate) mod wire;

use std::{
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, StatusCode, body::Bytes, header};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::{Deserialize, Serialize};
use tokio::{sync::Notify, time::MissedTickBehavior};

use crate::miners::{
    Miners,
    remote_write::{queue::Queue, wire::Packed},
};

/// Longest that one request may take.
const LIMIT: Duration = Duration::from_secs(30);
/// Pause after the first failure; doubled with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause, whatever the store says.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Largest answer that is read, in bytes: it may say why something was refused.
const ANSWER_BYTES: usize = 4 << 10;

/// What the operator set about the store.
#[derive(Clone, Debug)]
pub struct RemoteWriteSettings {
    /// Where to push to.
    pub url: String,
    /// Time between two pushes.
    pub interval: Duration,
    /// File with the token to send, if any. Read anew for each request.
    pub bearer_token_file: Option<PathBuf>,
    /// Labels of every series.
    pub labels: Vec<(String, String)>,
    /// Bytes that may wait.
    pub buffer_bytes: usize,
}

/// How it goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RemoteWriteStatus {
    /// Whether anything is pushed.
    pub enabled: bool,
    /// Where to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Samples that the store took.
    pub sent_samples: u64,
    /// Samples that the store refused.
    pub refused_samples: u64,
    /// Samples that were dropped because too many waited.
    pub dropped_samples: u64,
    /// Samples that wait.
    pub pending_samples: u64,
    /// Requests that failed and are tried again.
    pub failures: u64,
    /// When the store last took something, in Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_success_ms: Option<i64>,
    /// What went wrong last, until something goes well again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

/// The pushing part of a host.
#[derive(Default)]
pub(crate) struct RemoteWrite {
    settings: Option<RemoteWriteSettings>,
    /// Held for moments, never across an await.
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Default)]
struct State {
    queue: Queue,
    status: RemoteWriteStatus,
}

/// How an attempt ended.
enum Sent {
    Taken,
    /// Sending it again would not help.
    Refused(String),
    /// It may go better later, at the earliest after this time.
    Failed(String, Option<Duration>),
}

type Web = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

impl RemoteWrite {
    pub(crate) fn new(settings: Option<RemoteWriteSettings>) -> Self {
        let url = settings.as_ref().map(|settings| settings.url.clone());
        let status = RemoteWriteStatus { enabled: settings.is_some(), url, ..Default::default() };
        let state = Mutex::new(State { status, queue: Queue::default() });
        Self { settings, state, wake: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn status(&self) -> RemoteWriteStatus {
        let state = self.state();
        RemoteWriteStatus { pending_samples: state.queue.samples(), ..state.status.clone() }
    }

    fn push(&self, request: Packed, settings: &RemoteWriteSettings) {
        let mut state = self.state();
        let dropped = state.queue.push(request, settings.buffer_bytes);
        state.status.dropped_samples += dropped;
        drop(state);
        self.wake.notify_one();
    }

    /// Sends what waits, oldest first, for ever.
    async fn send_all(&self, settings: &RemoteWriteSettings) {
        let web = match web() {
            Ok(web) => web,
            Err(error) => {
                tracing::error!(error, "cannot push to the remote store");
                self.state().status.last_error = Some(error);
                return;
            }
        };
        let mut failed: u32 = 0;
        loop {
            let Some(request) = self.next() else {
                self.wake.notified().await;
                continue;
            };
            let sent = send(&web, settings, &request).await;
            let pause = self.note(sent, request, settings, failed);
            failed = if pause.is_some() { failed.saturating_add(1) } else { 0 };
            if let Some(pause) = pause {
                tokio::time::sleep(pause).await;
            }
        }
    }

    fn next(&self) -> Option<Packed> {
        self.state().queue.pop()
    }

    /// What becomes of a request after an attempt. Returns how long to wait before the next one.
    fn note(
        &self,
        sent: Sent,
        request: Packed,
        settings: &RemoteWriteSettings,
        failed: u32,
    ) -> Option<Duration> {
        let mut state = self.state();
        match sent {
            Sent::Taken => {
                state.status.sent_samples += request.samples;
                state.status.last_success_ms = Some(jiff::Timestamp::now().as_millisecond());
                if state.status.last_error.take().is_some() {
                    tracing::info!("the remote store takes samples again");
                }
                None
            }
            Sent::Refused(error) => {
                tracing::warn!(
                    error,
                    samples = request.samples,
                    "the remote store refused samples"
                );
                state.status.refused_samples += request.samples;
                state.status.last_error = Some(error);
                None
            }
            Sent::Failed(error, wish) => {
                if state.status.last_error.is_none() {
                    tracing::warn!(error, "the remote store is away; samples wait");
                }
                state.status.failures += 1;
                state.status.last_error = Some(error);
                let dropped = state.queue.put_back(request, settings.buffer_bytes);
                state.status.dropped_samples += dropped;
                let own = FIRST_PAUSE * 2_u32.saturating_pow(failed.min(6));
                Some(spread(wish.unwrap_or(own).clamp(FIRST_PAUSE, LONGEST_PAUSE)))
            }
        }
    }
}

impl Miners {
    /// How the push to a remote store goes.
    pub fn remote_write(&self) -> RemoteWriteStatus {
        self.0.parts.remote_write.status()
    }

    /// Pushes until the host ends.
    pub(super) async fn push(self) {
        let remote = &self.0.parts.remote_write;
        let Some(settings) = &remote.settings else { return };
        tokio::select! {
            () = self.0.ending.cancelled() => {}
            () = self.gather(settings) => {}
            () = remote.send_all(settings) => {}
        }
    }

    async fn gather(&self, settings: &RemoteWriteSettings) {
        let mut tick = tokio::time::interval(settings.interval);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tick.tick().await;
            let at_ms = jiff::Timestamp::now().as_millisecond();
            if let Some(request) = wire::pack(&self.series(), &settings.labels, at_ms) {
                self.0.parts.remote_write.push(request, settings);
            }
        }
    }
}

/// The same time give or take a quarter, so that hosts that failed together do not come together.
fn spread(pause: Duration) -> Duration {
    let share = f64::from(uuid::Uuid::new_v4().as_bytes()[15]) / f64::from(u8::MAX);
    pause.mul_f64(0.75 + share / 2.0)
}

fn web() -> Result<Web, String> {
    let connector = HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(rustls::crypto::ring::default_provider())
        .map_err(|error| format!("cannot read this machine's certificates: {error}"))?
        .https_or_http()
        .enable_http1()
        .build();
    Ok(Client::builder(TokioExecutor::new()).build(connector))
}

async fn send(web: &Web, settings: &RemoteWriteSettings, request: &Packed) -> Sent {
    let token = match &settings.bearer_token_file {
        None => None,
        Some(path) => match tokio::fs::read_to_string(path).await {
            Ok(token) => Some(token.trim().to_owned()),
            Err(error) => {
                return Sent::Failed(format!("cannot read {}: {error}", path.display()), None);
            }
        },
    };
    let mut ask = Request::post(&settings.url)
        .header(header::CONTENT_TYPE, "application/x-protobuf")
        .header(header::CONTENT_ENCODING, "snappy")
        .header(header::USER_AGENT, concat!("adit/", env!("CARGO_PKG_VERSION")))
        .header("X-Prometheus-Remote-Write-Version", "0.1.0");
    if let Some(token) = token {
        ask = ask.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let ask = match ask.body(Full::new(Bytes::from(request.body.clone()))) {
        Ok(ask) => ask,
        Err(_) => return Sent::Failed("the token or the URL cannot be sent".to_owned(), None),
    };
    match tokio::time::timeout(LIMIT, answer(web, ask)).await {
        Ok(sent) => sent,
        Err(_) => Sent::Failed(format!("no answer within {} s", LIMIT.as_secs()), None),
    }
}

async fn answer(web: &Web, ask: Request<Full<Bytes>>) -> Sent {
    let answer = match web.request(ask).await {
        Ok(answer) => answer,
        Err(error) => return Sent::Failed(cause(&error), None),
    };
    let status = answer.status();
    if status.is_success() {
        return Sent::Taken;
    }
    let wish = answer.headers().get(header::RETRY_AFTER).and_then(|it| it.to_str().ok());
    let wish = wish.and_then(|it| it.parse().ok()).map(Duration::from_secs);
    let body = Limited::new(answer.into_body(), ANSWER_BYTES).collect().await;
    let body = body.map(|it| it.to_bytes()).unwrap_or_default();
    let said: String = String::from_utf8_lossy(&body)
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(300)
        .collect();
    let said = format!("{status}: {}", said.trim());
    let refused = status.is_client_error()
        && status != StatusCode::TOO_MANY_REQUESTS
        && status != StatusCode::REQUEST_TIMEOUT;
    if refused { Sent::Refused(said) } else { Sent::Failed(said, wish) }
}

/// The innermost cause: what the system said.
fn cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
