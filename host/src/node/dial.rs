//! Nodes that this one dials, and keeps dialling.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde::Deserialize;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::node::{
    Error,
    accept::line,
    invite::Invite,
    limits::{chance, pause},
    link::{Confirmed, Link},
    net::Net,
    noise::{ChannelError, Dialling, Mode},
    rotate,
    session::Reason,
    transport::{PROOF, Socket},
};
use adit_model::peer::{NodeRole, PublicKey};
use adit_store::PeerRow;

/// A session that lasted this long was a good one: the next pause is a short one again.
const GOOD: Duration = Duration::from_secs(60);

/// What the listener says of itself when it has proven who it is.
#[derive(Deserialize)]
struct Card {
    name: String,
    role: NodeRole,
}

/// Keeps a connection to the peer with `key` until it is removed or disconnected.
pub(crate) fn keep(net: &Arc<Net>, key: PublicKey) {
    let stop = net.ending.child_token();
    {
        let mut book = net.book();
        let Some(known) = book.get_mut(&key).filter(|it| it.row.dial) else { return };
        if let Some(old) = known.dialler.replace(stop.clone()) {
            old.cancel();
        }
    }
    let tasks = net.tasks.clone();
    tasks.spawn(again_and_again(Arc::clone(net), key, stop));
}

async fn again_and_again(net: Arc<Net>, key: PublicKey, stop: CancellationToken) {
    let mut failures = 0;
    loop {
        let began = Instant::now();
        let address = net.book().get(&key).and_then(|known| known.row.address.clone());
        let Some(address) = address else { return };
        // A session under way ends by its own rules; only the wait before it is cut short.
        let connected = tokio::select! {
            () = stop.cancelled() => return,
            connected = connect(&net, &key, &address) => connected,
        };
        let reason = match connected {
            Ok(link) => {
                let (net, key) = (Arc::clone(&net), key);
                let confirmed: Confirmed =
                    Box::new(move |it| Box::pin(async move { rotate::meet(&net, key, it).await }));
                link.serve(confirmed).await.to_string()
            }
            Err(reason) => reason,
        };
        if let Some(known) = net.book().get_mut(&key).filter(|known| known.session.is_none()) {
            known.problem = Some(reason.clone());
        }
        tracing::info!(peer = key.id().short(), address, reason, "not connected");
        failures = if began.elapsed() >= GOOD { 0 } else { failures + 1 };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause(failures, chance())) => {}
        }
    }
}

/// Dials a peer that is known. It may be about to change its key, so both are tried.
async fn connect(net: &Arc<Net>, key: &PublicKey, address: &str) -> Result<Link, String> {
    let next = net.book().get(key).and_then(|known| known.row.next_key);
    let first = shake(net, key, address, Mode::Session, None).await;
    match (first, next) {
        (Ok((link, _)), _) => Ok(link),
        (Err(_), Some(next)) => {
            shake(net, &next, address, Mode::Session, None).await?;
            // This task ends with the old key, in the middle of it; another begins with the new.
            let (taking, key) = (Arc::clone(net), *key);
            let tasks = net.tasks.clone();
            let taken = tasks.spawn(async move { rotate::take_over(&taking, key, next).await });
            taken.await.unwrap_or(Err(Error::ShuttingDown)).map_err(|error| error.to_string())?;
            Err(Reason::Rotated.to_string())
        }
        (Err(reason), None) => Err(reason),
    }
}

/// Dials and shakes hands; the listener has then proven who it is.
async fn shake(
    net: &Arc<Net>,
    key: &PublicKey,
    address: &str,
    mode: Mode,
    psk: Option<&[u8; 32]>,
) -> Result<(Link, Card), String> {
    let mut socket = Socket::dial(address).await?;
    let (dialling, first) =
        Dialling::begin(&net.identity.key, key, mode, psk).map_err(|error| error.to_string())?;
    let answer = async {
        socket.send(first).await?;
        socket.receive().await
    };
    let answer = timeout(PROOF, answer).await.unwrap_or_else(|_| Err("no answer".to_owned()))?;
    let (channel, card) = dialling.finish(&answer).map_err(|error| match error {
        ChannelError::Handshake => "the node there has another key than expected".to_owned(),
        other => other.to_string(),
    })?;
    let card = serde_json::from_slice(&card).map_err(|error| format!("a bad greeting: {error}"))?;
    let link =
        Link { net: Arc::clone(net), socket, channel, key: *key, dialled_here: true, begun: None };
    Ok((link, card))
}

/// Joins the node that made `invite`. Returns when both know each other.
pub(crate) async fn join(net: &Arc<Net>, invite: &Invite) -> Result<PublicKey, Error> {
    let key = invite.key;
    let unreachable = |reason| Error::Unreachable { address: invite.address.clone(), reason };
    let (mode, psk) = (Mode::Pairing(invite.id), invite.psk());
    let (mut link, card) =
        shake(net, &key, &invite.address, mode, Some(&psk)).await.map_err(unreachable)?;
    // The listener has proven that it made the invite. Written down before it may count the invite
    // as used: a crash in between leaves a peer that is refused, and joining again mends that.
    let now_ms = jiff::Timestamp::now().as_millisecond();
    let row = PeerRow {
        key,
        name: line(&card.name),
        role: card.role,
        rights: net.first_rights(card.role),
        tags: Vec::new(),
        address: Some(invite.address.clone()),
        dial: true,
        added_at_ms: now_ms,
        last_seen_at_ms: Some(now_ms),
        next_key: None,
        version: None,
        invite: None,
    };
    let is_new = net.peers.join(row).await?;
    let (told, begun) = oneshot::channel();
    link.begun = Some(told);
    let meeting = Arc::clone(net);
    let confirmed: Confirmed =
        Box::new(move |it| Box::pin(async move { rotate::meet(&meeting, key, it).await }));
    let (serving, tasks) = (Arc::clone(net), net.tasks.clone());
    let ended = tasks.spawn(async move {
        let reason = link.serve(confirmed).await;
        // From here on like any other peer that is dialled.
        keep(&serving, key);
        reason
    });
    match begun.await {
        Ok(()) => Ok(key),
        Err(_) => {
            let reason = ended.await.unwrap_or(Reason::ShuttingDown);
            if is_new {
                net.peers.discard(key).await?;
            }
            Err(Error::Unreachable { address: invite.address.clone(), reason: reason.to_string() })
        }
    }
}
