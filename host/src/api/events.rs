//! `/events` and `/ws/events`: what happens, as it happens.
//!
//! Both streams carry the same messages, `{"id", "timestamp", "type", "data"}`, encoded once for
//! all subscribers by the bus, and begin with `state.sync` unless the subscriber resumes.

pub(super) mod recent;
pub(super) mod sse;
pub(super) mod ticket;
pub(super) mod ws;

use std::{sync::Arc, time::Duration};

use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

use crate::{
    api::{Api, access::Caller, error::ApiError, events::ticket::Tickets},
    miners::Subscription,
};
use adit_model::{event::Filter, miner::MinerView};

/// Silence after which a stream shows that it lives, and looks whether its token still does.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Longest that the end of the host waits for streams to say goodbye.
const FAREWELL: Duration = Duration::from_secs(2);

/// All streams of this host.
pub(super) struct Streams {
    places: Arc<Semaphore>,
    most: usize,
    pub(super) tickets: Tickets,
    /// WebSockets, which the server does not know any more.
    sockets: TaskTracker,
}

impl Streams {
    pub(super) fn new(most: usize) -> Self {
        let places = Arc::new(Semaphore::new(most));
        Self { places, most, tickets: Tickets::default(), sockets: TaskTracker::new() }
    }

    /// Waits for the streams to end after the bus did.
    pub(super) async fn ended(&self) {
        self.sockets.close();
        if tokio::time::timeout(FAREWELL, self.sockets.wait()).await.is_err() {
            tracing::debug!("some event streams did not end in time");
        }
    }
}

/// What the address of a stream may say.
#[derive(Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Wishes {
    /// Types, with commas between them.
    types: Option<String>,
    /// Names of miners, with commas between them.
    miner: Option<String>,
    /// Resume after the event with this id.
    after: Option<String>,
    /// Read by the gate.
    ticket: Option<String>,
}

/// A subscriber: its place, what it wants, and who it is.
struct Subscriber {
    api: Api,
    caller: Caller,
    filter: Filter,
    subscription: Subscription,
    /// Whether it has to be told the state of things first.
    is_new: bool,
    _place: OwnedSemaphorePermit,
}

impl Subscriber {
    /// Takes a place for `caller`.
    fn new(
        api: Api,
        caller: Caller,
        wishes: &Wishes,
        headers: &HeaderMap,
    ) -> Result<Self, ApiError> {
        let filter = filter(wishes.types.as_deref(), wishes.miner.as_deref())?;
        let after = resume_point(wishes, headers)?;
        let streams = &api.0.streams;
        let place = Arc::clone(&streams.places).try_acquire_owned().map_err(|_| {
            let told = format!(
                "{} subscribers listen already, which is all that events.max_subscribers allows; \
                 end one, or raise it",
                streams.most
            );
            let status = StatusCode::SERVICE_UNAVAILABLE;
            ApiError::new(status, "TOO_MANY_SUBSCRIBERS", told).retry_after(10)
        })?;
        let subscription = api.0.miners.events().subscribe(after);
        let is_new = after.is_none();
        Ok(Self { api, caller, filter, subscription, is_new, _place: place })
    }

    /// Whether the token that opened the stream still would: a clock that was set changes that
    /// without a word.
    fn may_stay(&self) -> bool {
        self.api.0.access.knows(&self.caller)
    }

    /// The state of things: what a newcomer needs to make sense of what follows.
    fn state(&self) -> Option<Bytes> {
        let miners = self.api.0.miners.list();
        let wanted = |it: &&MinerView| self.filter.wants_miner(it.name.as_str());
        let (running, others): (Vec<_>, Vec<_>) =
            miners.iter().filter(wanted).partition(|it| it.running);
        let running: Vec<_> = running.into_iter().map(figures).collect();
        let others: Vec<_> = others.into_iter().map(figures).collect();
        self.filter
            .wants_type("state.sync")
            .then(|| message("state.sync", &json!({ "miners": running, "others": others })))
    }
}

/// One miner in `state.sync`. Figures that are not known are left out.
fn figures(miner: &MinerView) -> Value {
    let stats = miner.stats.clone().unwrap_or_default();
    let mut shown = json!({
        "name": miner.name,
        "minerType": miner.miner_type,
        "status": if miner.running { "running" } else { "stopped" },
        "phase": miner.phase,
        "reason": miner.reason,
        "hashrate": stats.hashrate,
        "shares": stats.shares,
        "rejected": stats.rejected,
        "uptime": stats.uptime,
        "algorithm": stats.algorithm,
    });
    if let Some(fields) = shown.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    shown
}

/// A message for one subscriber alone. It has no id: nobody resumes after it.
fn message(kind: &str, data: &Value) -> Bytes {
    let now_ms = jiff::Timestamp::now().as_millisecond();
    let at = jiff::Timestamp::from_millisecond(now_ms).unwrap_or_default();
    let mut message = json!({ "type": kind, "timestamp": at });
    if !data.is_null() {
        message["data"] = data.clone();
    }
    message.to_string().into()
}

/// What a subscriber is told that was too slow, or that comes from an earlier host.
fn missed(count: Option<u64>) -> Bytes {
    let data = match count {
        Some(count) => json!({ "count": count }),
        None => json!({ "reason": "the host was started anew in between" }),
    };
    message("events.missed", &data)
}

/// The filter that an address names.
fn filter(types: Option<&str>, miners: Option<&str>) -> Result<Filter, ApiError> {
    Filter::new(words(types), words(miners))
        .map_err(|error| ApiError::bad_request(error.to_string()))
}

fn words(list: Option<&str>) -> Vec<String> {
    list.map(|list| list.split(',').map(|word| word.trim().to_owned()).collect())
        .unwrap_or_default()
}

/// The header comes from a browser that connects again to the same address, so it is the newer one.
fn resume_point(wishes: &Wishes, headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    let header = match headers.get("last-event-id") {
        Some(id) => Some(id.to_str().unwrap_or("?")),
        None => None,
    };
    let Some(id) = header.filter(|id| !id.is_empty()).or(wishes.after.as_deref()) else {
        return Ok(None);
    };
    id.parse().map(Some).map_err(|_| {
        ApiError::bad_request("Last-Event-ID and after: write the id of an event, a number")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(header: Option<&str>, after: Option<&str>) -> Option<Option<u64>> {
        let mut headers = HeaderMap::new();
        if let Some(id) = header {
            headers.insert("last-event-id", id.parse().unwrap());
        }
        let wishes = Wishes { after: after.map(str::to_owned), ..Wishes::default() };
        resume_point(&wishes, &headers).ok()
    }

    #[test]
    fn the_newer_resume_point_counts() {
        for (header, after, expected) in [
            (None, None, Some(None)),
            (Some(""), None, Some(None)),
            (Some(""), Some("7"), Some(Some(7))),
            (Some("9"), Some("7"), Some(Some(9))),
            (Some("x"), Some("7"), None),
            (None, Some("-1"), None),
            (None, Some(""), None),
        ] {
            assert_eq!(point(header, after), expected, "{header:?} {after:?}");
        }
    }

    #[test]
    fn lists_are_split_at_commas() {
        assert_eq!(words(None), Vec::<String>::new());
        assert_eq!(words(Some("a.b, c.*")), ["a.b", "c.*"]);
    }

    #[test]
    fn messages_have_the_envelope_of_events() {
        let read: Value = serde_json::from_slice(&message("pong", &Value::Null)).unwrap();
        assert_eq!((&read["type"], read.get("data")), (&json!("pong"), None));
        assert!(read["timestamp"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
        let read: Value = serde_json::from_slice(&missed(Some(3))).unwrap();
        assert_eq!((&read["type"], &read["data"]["count"]), (&json!("events.missed"), &json!(3)));
    }
}
