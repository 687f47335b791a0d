//! Tells controllers what happens here.

use std::{sync::Arc, time::Instant};

use crate::{
    miners::Heard,
    node::{
        limits::Bucket,
        message::{Body, Message},
        net::Net,
        payload::Event,
    },
};
use adit_model::{event, rights::Right};

/// Events told at once, and a second. What is more is left out: figures tell the rest.
const EVENTS: (u32, u32) = (50, 10);
/// What a controller wants to know of a rig.
const AREAS: [&str; 4] = ["miner.", "watchdog.", "install.", "driver."];

/// Sends events to all connected controllers until the node ends.
pub(crate) async fn events(net: Arc<Net>) {
    let mut heard = net.miners.events().subscribe(None);
    let mut allowance = Bucket::new(EVENTS.0, EVENTS.1, Instant::now());
    while let Some(Some(heard)) = net.ending.run_until_cancelled(heard.next()).await {
        let Heard::Event(published) = heard else { continue };
        let event = &published.event;
        if is_told(&event.kind) && allowance.take(1, Instant::now()) {
            tell(&net, event);
        }
    }
}

/// Whether a controller is told of events of this kind.
pub(crate) fn is_told(kind: &str) -> bool {
    kind.len() <= 64 && kind != "miner.stats" && AREAS.iter().any(|area| kind.starts_with(area))
}

fn tell(net: &Net, event: &event::Event) {
    let event = Event { kind: event.kind.clone(), at: event.at, data: event.data.clone() };
    let book = net.book();
    for known in book.all().filter(|it| it.row.role.commands() && it.row.rights.has(Right::Stats)) {
        let Some(session) = &known.session else { continue };
        let body = Body::Event(event.clone());
        // Whoever does not keep up misses it.
        drop(session.queue.try_send(Box::new(Message::new(&net.id, known.id.as_str(), body))));
    }
}
