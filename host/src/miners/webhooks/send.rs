//! Sends what waits for one receiver, one event after the other.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, header};
use serde_json::json;
use uuid::Uuid;

use crate::miners::{
    outgoing::{Outgoing, Sent, pause, read_secret},
    webhooks::{Hook, SecretPlace, queue::Waiting, sign::Key},
};

/// An event is given up when the receiver answered so many attempts with an error: the fault may be
/// the event's, and others wait behind it.
const MOST_ERRORS: u32 = 10;

/// What is sent next.
enum Next {
    Event(Waiting),
    /// The receiver has to be told of events that were dropped.
    Dropped(u64),
}

impl Hook {
    /// Sends what waits, oldest first, for ever.
    pub(super) async fn send_all(&self, web: &Outgoing) {
        let mut failed: u32 = 0;
        loop {
            let Some(next) = self.next() else {
                self.wake.notified().await;
                continue;
            };
            let sent = match &next {
                Next::Event(waiting) => self.attempt(web, &waiting.id, waiting.event.json()).await,
                Next::Dropped(count) => {
                    let body = message("events.missed", &json!({ "count": count }));
                    self.attempt(web, &Uuid::new_v4(), body).await
                }
            };
            let pause = self.note(sent, next, failed);
            failed = if pause.is_some() { failed.saturating_add(1) } else { 0 };
            if let Some(pause) = pause {
                tokio::time::sleep(pause).await;
            }
        }
    }

    /// One delivery, past what waits, that is not repeated.
    pub(super) async fn test(&self, web: &Outgoing) -> Result<Duration, String> {
        let began = Instant::now();
        let body = message("webhook.test", &json!({ "webhook": self.settings.name }));
        let sent = self.attempt(web, &Uuid::new_v4(), body).await;
        let mut state = self.state();
        match sent {
            Sent::Taken => {
                state.status.last_success_ms = Some(now_ms());
                Ok(began.elapsed())
            }
            Sent::Refused(why) | Sent::Failed { why, .. } => {
                state.status.last_error_ms = Some(now_ms());
                state.status.last_error = Some(why.clone());
                Err(why)
            }
        }
    }

    fn next(&self) -> Option<Next> {
        let mut state = self.state();
        // They were before everything that still waits.
        if state.untold > 0 {
            return Some(Next::Dropped(state.untold));
        }
        state.queue.pop().map(Next::Event)
    }

    async fn attempt(&self, web: &Outgoing, id: &Uuid, body: Bytes) -> Sent {
        let key = match self.key().await {
            Ok(key) => key,
            Err(why) => return Sent::failed(why),
        };
        let at_s = jiff::Timestamp::now().as_second();
        let mut ask = Request::post(&self.settings.url)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, concat!("adit/", env!("CARGO_PKG_VERSION")))
            .header("webhook-id", id.to_string())
            .header("webhook-timestamp", at_s);
        if let Some(key) = key {
            ask = ask.header("webhook-signature", key.sign(&id.to_string(), at_s, &body));
        }
        match ask.body(Full::new(body)) {
            Ok(ask) => web.send(ask, self.settings.timeout).await,
            Err(_) => Sent::failed("the URL cannot be used"),
        }
    }

    async fn key(&self) -> Result<Option<Key>, String> {
        match &self.settings.secret {
            None => Ok(None),
            Some(SecretPlace::Here(secret)) => secret.key().map(Some),
            Some(SecretPlace::File(path)) => {
                let wrong = |why: String| format!("{}: {why}", path.display());
                let text = read_secret(path).await;
                let text = text.map_err(|error| wrong(error.to_string()))?;
                let secret = crate::miners::WebhookSecret::from(text);
                secret.key().map(Some).map_err(wrong)
            }
        }
    }

    /// What becomes of an event after an attempt. Returns how long to wait before the next one.
    fn note(&self, sent: Sent, next: Next, failed: u32) -> Option<Duration> {
        let webhook = &self.settings.name;
        let mut guard = self.state();
        let state = &mut *guard;
        let (why, wish, answered, final_) = match sent {
            Sent::Taken => {
                match next {
                    Next::Event(_) => state.status.delivered += 1,
                    Next::Dropped(count) => state.untold -= count,
                }
                state.status.last_success_ms = Some(now_ms());
                if std::mem::take(&mut state.is_failing) {
                    tracing::info!(webhook, "the receiver takes events again");
                }
                return None;
            }
            Sent::Refused(why) => (why, None, true, true),
            Sent::Failed { why, wish, answered } => (why, wish, answered, false),
        };
        if !std::mem::replace(&mut state.is_failing, true) {
            tracing::warn!(webhook, error = why, "an event could not be delivered");
        }
        state.status.last_error_ms = Some(now_ms());
        state.status.last_error = Some(why);
        let mut lost = 0;
        match next {
            Next::Dropped(count) if final_ || (answered && failed + 1 >= MOST_ERRORS) => {
                state.untold -= count;
            }
            Next::Dropped(_) => {}
            Next::Event(mut waiting) => {
                waiting.errors += u32::from(answered);
                if final_ || waiting.errors >= MOST_ERRORS {
                    state.status.refused += 1;
                } else {
                    lost = state.queue.put_back(waiting, self.settings.queue);
                }
            }
        }
        if final_ {
            // The next one may be to the receiver's taste.
            return None;
        }
        state.status.failures += 1;
        drop(guard);
        self.note_dropped(lost);
        Some(pause(self.settings.first_pause, failed, wish))
    }
}

/// A message for one receiver alone, in the envelope of events. It has no id.
fn message(kind: &str, data: &serde_json::Value) -> Bytes {
    let at = jiff::Timestamp::from_millisecond(now_ms()).unwrap_or_default();
    json!({ "type": kind, "timestamp": at, "data": data }).to_string().into()
}

fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
