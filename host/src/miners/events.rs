//! The bus: whoever does something publishes it, whoever wants to know subscribes.
//!
//! One bounded ring for all. A subscriber is a place in the ring, so it costs next to nothing and
//! can neither hold a publisher up nor another subscriber; one that is too slow falls off the end
//! and is told how much it missed.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::watch;

use adit_model::event::{Event, Filter, first_id};

/// Events kept for those who are late or come back.
const RING: usize = 2_048;
/// Encoded bytes of all events kept.
const RING_BYTES: usize = 1 << 20;
/// Largest encoded event, in bytes.
const EVENT_BYTES: usize = 128 << 10;

/// The bus. Cheap to clone.
#[derive(Clone)]
pub struct Events(Arc<Inner>);

struct Inner {
    /// Held for a look or a push, never across an await.
    ring: Mutex<Ring>,
    /// The id of the newest event; wakes who waits.
    newest: watch::Sender<u64>,
}

struct Ring {
    /// The id before the first event of this host.
    base: u64,
    /// The id of the newest event, or `base`.
    newest: u64,
    bytes: usize,
    kept: VecDeque<Arc<Published>>,
    ended: bool,
}

/// An event with its encoded form, which all subscribers share.
#[derive(Debug)]
pub struct Published {
    /// The event.
    pub event: Event,
    frame: Bytes,
    /// Where in `frame` the JSON begins.
    start: usize,
}

impl Published {
    /// The event as JSON on one line: `{"id", "timestamp", "type", "data"}`.
    pub fn json(&self) -> Bytes {
        self.frame.slice(self.start..self.frame.len() - END.len())
    }

    /// The event as one frame of a stream of server-sent events, with its id.
    pub fn sse(&self) -> Bytes {
        self.frame.clone()
    }
}

/// The end of a frame.
const END: &[u8] = b"\n\n";

/// What a subscriber gets.
#[derive(Clone, Debug)]
pub enum Heard {
    /// An event.
    Event(Arc<Published>),
    /// Some events are lost to this subscriber; what follows comes after them.
    Missed {
        /// How many, of all kinds; `None`: nobody knows, because an earlier host had them.
        count: Option<u64>,
    },
}

/// One subscriber's place in the ring.
pub struct Subscription {
    events: Events,
    /// The id of the last event it got.
    last: u64,
    /// It comes from an earlier host.
    lost: bool,
    wake: watch::Receiver<u64>,
}

impl Events {
    /// A bus for a host that starts at `started_ms` (Unix milliseconds).
    pub fn new(started_ms: i64) -> Self {
        let base = first_id(started_ms);
        let kept = VecDeque::new();
        let ring = Ring { base, newest: base, bytes: 0, kept, ended: false };
        Self(Arc::new(Inner { ring: Mutex::new(ring), newest: watch::Sender::new(base) }))
    }

    /// Tells everybody that something of `kind` (`area.verb`) happened; `data` is an object without
    /// secrets. Never waits.
    pub fn publish(&self, kind: &str, data: Value) {
        debug_assert!(kind.contains('.') && data.is_object(), "{kind} {data}");
        let now_ms = jiff::Timestamp::now().as_millisecond();
        let at = jiff::Timestamp::from_millisecond(now_ms).unwrap_or_default();
        let mut event = Event { id: 0, at, kind: kind.to_owned(), data };
        let newest = {
            let mut ring = self.ring();
            if ring.ended {
                return;
            }
            event.id = ring.newest + 1;
            ring.newest = event.id;
            ring.push(encode(event));
            ring.newest
        };
        self.0.newest.send_replace(newest);
    }

    /// A place in the stream of events: after the event `after` as far as it is still there, or
    /// after the newest one. An id that is not this host's begins with [`Heard::Missed`] and then
    /// all that is still there.
    pub fn subscribe(&self, after: Option<u64>) -> Subscription {
        let wake = self.0.newest.subscribe();
        let ring = self.ring();
        let own = after.is_none_or(|after| (ring.base..=ring.newest).contains(&after));
        let last = after.filter(|_| own).unwrap_or(if own { ring.newest } else { ring.base });
        drop(ring);
        Subscription { events: self.clone(), last, lost: !own, wake }
    }

    /// The newest `limit` events that pass `filter` and are still there, oldest first, and the id
    /// of the newest event of all.
    pub fn recent(&self, filter: &Filter, limit: usize) -> (u64, Vec<Arc<Published>>) {
        let ring = self.ring();
        let fitting = ring.kept.iter().rev().filter(|it| filter.matches(&it.event));
        let mut events: Vec<_> = fitting.take(limit).map(Arc::clone).collect();
        events.reverse();
        (ring.newest, events)
    }

    /// The id of the newest event.
    pub fn newest(&self) -> u64 {
        self.ring().newest
    }

    /// Ends the bus: subscribers get what is still there and then [`None`]; what is published from
    /// now on is for nobody.
    pub fn end(&self) {
        self.ring().ended = true;
        self.0.newest.send_modify(|_| {});
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.0.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn push(&mut self, published: Published) {
        self.bytes += published.frame.len();
        self.kept.push_back(Arc::new(published));
        while self.kept.len() > RING || self.bytes > RING_BYTES {
            let Some(oldest) = self.kept.pop_front() else { return };
            self.bytes -= oldest.frame.len();
        }
    }

    /// The event after `last`, or how many are lost before the oldest that is there.
    fn after(&self, last: u64) -> Option<Result<Arc<Published>, u64>> {
        let oldest = self.kept.front().map_or(self.newest + 1, |oldest| oldest.event.id);
        if last + 1 < oldest {
            return Some(Err(oldest - last - 1));
        }
        let at = usize::try_from(last + 1 - oldest).ok()?;
        self.kept.get(at).map(|it| Ok(Arc::clone(it)))
    }
}

impl Subscription {
    /// The next event; `None` when the host ends. Safe to drop: nothing is lost.
    pub async fn next(&mut self) -> Option<Heard> {
        loop {
            if let Some(heard) = self.try_next() {
                return Some(heard);
            }
            if self.events.ring().ended || self.wake.changed().await.is_err() {
                return self.try_next();
            }
        }
    }

    /// The next event, if it is there already.
    pub fn try_next(&mut self) -> Option<Heard> {
        if std::mem::take(&mut self.lost) {
            return Some(Heard::Missed { count: None });
        }
        let next = self.events.ring().after(self.last)?;
        Some(match next {
            Ok(published) => {
                self.last = published.event.id;
                Heard::Event(published)
            }
            Err(count) => {
                self.last += count;
                Heard::Missed { count: Some(count) }
            }
        })
    }
}

/// Encodes once what all subscribers share.
fn encode(mut event: Event) -> Published {
    let mut frame = format!("id: {}\ndata: ", event.id).into_bytes();
    let start = frame.len();
    let written = serde_json::to_writer(&mut frame, &event);
    debug_assert!(written.is_ok(), "a tree of JSON values can be written");
    if frame.len() > EVENT_BYTES {
        let (kind, bytes) = (&event.kind, frame.len());
        tracing::warn!(kind, bytes, "an event is too large; its data are left out");
        event.data = json!({ "name": event.data.get("name"), "leftOutBytes": bytes });
        return encode(event);
    }
    frame.extend_from_slice(END);
    Published { event, frame: frame.into(), start }
}

#[cfg(test)]
mod tests;
