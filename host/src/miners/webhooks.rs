//! Sends events to addresses that the operator chose: signed, in order, and again until they arrive.
//!
//! Each hook has a task that takes its events from the bus, and one that sends them. So a slow
//! receiver delays neither the bus nor another hook; what waits for it is bounded.

mod queue;
mod send;
mod sign;
#[cfg(test)]
mod tests;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

pub use sign::WebhookSecret;

use crate::miners::{
    Error, Heard, Miners, Subscription,
    webhooks::queue::{Queue, Waiting},
};
use adit_model::event::Filter;

/// What the operator set about one receiver.
#[derive(Clone, Debug)]
pub struct WebhookSettings {
    /// Under which name it is shown.
    pub name: String,
    /// Where to.
    pub url: String,
    /// What deliveries are signed with, if anything.
    pub secret: Option<SecretPlace>,
    /// Which events.
    pub filter: Filter,
    /// The types in `filter`, as they are shown.
    pub types: Vec<String>,
    /// The miners in `filter`, as they are shown.
    pub miners: Vec<String>,
    /// Longest that one attempt may take.
    pub timeout: Duration,
    /// Events that may wait.
    pub queue: usize,
    /// Pause after the first failure; doubled with each further one.
    pub first_pause: Duration,
}

/// Where a secret is.
#[derive(Clone, Debug)]
pub enum SecretPlace {
    /// In the settings.
    Here(WebhookSecret),
    /// In a file of its own, which is read anew for each delivery.
    File(PathBuf),
}

/// How it goes with one receiver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookStatus {
    /// Its name.
    pub name: String,
    /// Where to, without what may be secret: the path and what follows it.
    pub url: String,
    /// Whether deliveries are signed.
    pub signed: bool,
    /// Which types of events.
    pub types: Vec<String>,
    /// Events of which miners; none: of all.
    pub miners: Vec<String>,
    /// Events that wait.
    pub queued: u64,
    /// Events that the receiver has.
    pub delivered: u64,
    /// Events that the receiver refused.
    pub refused: u64,
    /// Events that were dropped because too many waited.
    pub dropped: u64,
    /// Attempts that failed, each of which is repeated.
    pub failures: u64,
    /// When the receiver last took something, in Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_success_ms: Option<i64>,
    /// When something last went wrong, in Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error_ms: Option<i64>,
    /// What that was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

/// All receivers.
#[derive(Default)]
pub(crate) struct Webhooks(Vec<Arc<Hook>>);

/// One receiver.
struct Hook {
    settings: WebhookSettings,
    /// Held for moments, never across an await.
    state: Mutex<State>,
    wake: Notify,
}

struct State {
    queue: Queue,
    status: WebhookStatus,
    /// Dropped events of which the receiver was not told yet.
    untold: u64,
    /// Whether the last attempt failed, so that only the first failure is told to the log.
    is_failing: bool,
}

impl Webhooks {
    pub(crate) fn new(all: Vec<WebhookSettings>) -> Self {
        Self(all.into_iter().map(Hook::new).map(Arc::new).collect())
    }
}

impl Miners {
    /// How it goes with the receivers of events, in the order of the settings.
    pub fn webhooks(&self) -> Vec<WebhookStatus> {
        self.0.parts.webhooks.0.iter().map(|hook| hook.status()).collect()
    }

    /// Sends an event of type `webhook.test` to one receiver, past what waits for it, once. Returns
    /// how long the receiver took.
    ///
    /// # Errors
    /// [`Error::NoWebhook`], or [`Error::Webhook`] with what went wrong.
    pub async fn test_webhook(&self, name: &str) -> Result<Duration, Error> {
        let parts = &self.0.parts;
        let hook = parts.webhooks.0.iter().find(|hook| hook.settings.name == name);
        let known = || parts.webhooks.0.iter().map(|hook| hook.settings.name.clone()).collect();
        let hook = hook.ok_or_else(|| Error::NoWebhook {
            name: name.chars().take(80).collect(),
            known: known(),
        })?;
        hook.test(&parts.outgoing).await.map_err(Error::Webhook)
    }

    /// Sends events to their receivers until the host ends.
    pub(super) fn send_events(&self) {
        let parts = &self.0.parts;
        for hook in &parts.webhooks.0 {
            // From here on nothing is missed, whenever the tasks begin.
            let events = parts.events.subscribe(None);
            let (hook, parts) = (Arc::clone(hook), Arc::clone(parts));
            let ending = self.0.ending.clone();
            self.0.tasks.spawn(async move {
                tokio::select! {
                    () = ending.cancelled() => {}
                    () = hook.listen(events) => {}
                    () = hook.send_all(&parts.outgoing) => {}
                }
            });
        }
    }
}

impl Hook {
    fn new(settings: WebhookSettings) -> Self {
        let status = WebhookStatus {
            name: settings.name.clone(),
            url: shown(&settings.url),
            signed: settings.secret.is_some(),
            types: settings.types.clone(),
            miners: settings.miners.clone(),
            queued: 0,
            delivered: 0,
            refused: 0,
            dropped: 0,
            failures: 0,
            last_success_ms: None,
            last_error_ms: None,
            last_error: None,
        };
        let state = State { queue: Queue::default(), status, untold: 0, is_failing: false };
        Self { settings, state: Mutex::new(state), wake: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn status(&self) -> WebhookStatus {
        let state = self.state();
        WebhookStatus { queued: state.queue.len() as u64, ..state.status.clone() }
    }

    /// Takes the events that the receiver is to have, until the bus ends.
    async fn listen(&self, mut events: Subscription) {
        while let Some(heard) = events.next().await {
            match heard {
                Heard::Event(event) if self.settings.filter.matches(&event.event) => {
                    let dropped = self.state().queue.push(Waiting::new(event), self.settings.queue);
                    self.note_dropped(dropped);
                    self.wake.notify_one();
                }
                Heard::Event(_) => {}
                Heard::Missed { count } => self.note_dropped(count.unwrap_or(1)),
            }
        }
        // What waits can still be sent while the rest of the host ends.
        std::future::pending::<()>().await;
    }

    fn note_dropped(&self, count: u64) {
        if count == 0 {
            return;
        }
        let mut state = self.state();
        if state.untold == 0 {
            let webhook = &self.settings.name;
            tracing::warn!(
                webhook,
                "too many events wait for the receiver; the oldest are dropped"
            );
        }
        state.untold += count;
        state.status.dropped += count;
    }
}

/// An address without what may be secret in it.
fn shown(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return String::new() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let more = if rest.len() > end + 1 { "/…" } else { "" };
    format!("{scheme}://{}{more}", &rest[..end])
}
