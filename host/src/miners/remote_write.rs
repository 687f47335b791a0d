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

use http_body_util::Full;
use hyper::{Request, body::Bytes, header};
use serde::{Deserialize, Serialize};
use tokio::{sync::Notify, time::MissedTickBehavior};

use crate::miners::{
    Miners,
    outgoing::{Outgoing, Sent, pause, read_secret},
    remote_write::{queue::Queue, wire::Packed},
};

/// Longest that one request may take.
const LIMIT: Duration = Duration::from_secs(30);
/// Pause after the first failure; doubled with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
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
    async fn send_all(&self, web: &Outgoing, settings: &RemoteWriteSettings) {
        let mut failed: u32 = 0;
        loop {
            let Some(request) = self.next() else {
                self.wake.notified().await;
                continue;
            };
            let sent = send(web, settings, &request).await;
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
            Sent::Failed { why: error, wish, .. } => {
                if state.status.last_error.is_none() {
                    tracing::warn!(error, "the remote store is away; samples wait");
                }
                state.status.failures += 1;
                state.status.last_error = Some(error);
                let dropped = state.queue.put_back(request, settings.buffer_bytes);
                state.status.dropped_samples += dropped;
                Some(pause(FIRST_PAUSE, failed, wish))
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
            () = remote.send_all(&self.0.parts.outgoing, settings) => {}
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

async fn send(web: &Outgoing, settings: &RemoteWriteSettings, request: &Packed) -> Sent {
    let token = match &settings.bearer_token_file {
        None => None,
        Some(path) => match read_secret(path).await {
            Ok(token) => Some(token.trim().to_owned()),
            Err(error) => {
                return Sent::failed(format!("cannot read {}: {error}", path.display()));
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
    match ask.body(Full::new(Bytes::from(request.body.clone()))) {
        Ok(ask) => web.send(ask, LIMIT).await,
        Err(_) => Sent::failed("the token or the URL cannot be sent"),
    }
}
