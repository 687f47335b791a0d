//! Nodes that dial this one.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use serde_json::json;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::OwnedSemaphorePermit,
    time::{Duration, timeout},
};
use zeroize::Zeroizing;

use crate::node::{
    Error,
    limits::Share,
    link::{Confirmed, Link},
    net::Net,
    noise::{Channel, Header, Listening, Mode},
    payload::Handshake,
    session::Reason,
    transport::{PROOF, Socket},
};
use adit_model::peer::PublicKey;
use adit_store::{AuditEntry, InviteRow, PeerRow};

/// Pause after a failed accept, such as for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Held while nobody knows who it is.
type Place = (OwnedSemaphorePermit, Share);

/// Accepts connections until the node ends.
pub(crate) async fn serve(net: Arc<Net>, listener: TcpListener) {
    loop {
        let accepted = tokio::select! {
            () = net.ending.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection of a node");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        if !net.failures().allows(address.ip(), Instant::now()) {
            tracing::debug!(%address, "refused: too many failed handshakes from there");
            continue;
        }
        // No place, no connection: whoever means it comes again.
        let Ok(place) = Arc::clone(&net.handshakes).try_acquire_owned() else {
            tracing::debug!(%address, "refused: too many handshakes at once");
            continue;
        };
        let tasks = net.tasks.clone();
        // And some places are left for everybody else.
        let Some(share) = net.shares.take(address.ip()) else {
            tracing::debug!(%address, "refused: too many handshakes of one address at once");
            continue;
        };
        tasks.spawn(welcome(Arc::clone(&net), stream, address, (place, share)));
    }
}

async fn welcome(net: Arc<Net>, stream: TcpStream, address: SocketAddr, place: Place) {
    let proven = tokio::select! {
        () = net.ending.cancelled() => return,
        proven = timeout(PROOF, prove(&net, stream, address)) => proven,
    };
    let proven = proven.unwrap_or_else(|_| Err("it did not prove itself in time".to_owned()));
    let Proven { socket, channel, key, invite } = match proven {
        Ok(proven) => proven,
        Err(reason) => return refused(&net, address, &reason),
    };
    let net_of_link = Arc::clone(&net);
    let link = Link { net: net_of_link, socket, channel, key, dialled_here: false, begun: None };
    let confirmed = confirmation(Arc::clone(&net), key, invite, place);
    let reason = link.serve(confirmed).await;
    if reason.is_offence() {
        refused(&net, address, &format!("{}: {reason}", key.id().short()));
    } else {
        tracing::info!(peer = key.id().short(), %address, %reason, "a session ended");
    }
}

/// Whoever failed is told to the log, and counts against its address. Strangers can do this as often
/// as they like, so not every one of them gets a line on the disk.
fn refused(net: &Net, address: SocketAddr, reason: &str) {
    let now = Instant::now();
    net.failures().note(address.ip(), now);
    match net.refusals().tell(now) {
        Some(untold) => {
            tracing::warn!(%address, reason, untold, "refused a node");
            let mut data = json!({ "address": address.to_string(), "reason": reason });
            if untold > 0 {
                data["untold"] = untold.into();
            }
            net.miners.events().publish("peer.refused", data);
        }
        None => tracing::debug!(%address, reason, "refused a node"),
    }
}

struct Proven {
    socket: Socket,
    channel: Channel,
    key: PublicKey,
    invite: Option<InviteRow>,
}

async fn prove(net: &Net, stream: TcpStream, address: SocketAddr) -> Result<Proven, String> {
    let mut socket = Socket::accept(stream, address).await?;
    let frame = socket.receive().await?;
    match judge(net, &frame).await {
        Ok((channel, key, invite, answer)) => {
            socket.send(answer).await?;
            Ok(Proven { socket, channel, key, invite })
        }
        Err(reason) => {
            socket.refuse(&reason).await;
            Err(reason)
        }
    }
}

/// Whether the sender of a first frame is let in, as far as that can be known from it.
async fn judge(
    net: &Net,
    frame: &[u8],
) -> Result<(Channel, PublicKey, Option<InviteRow>, Vec<u8>), String> {
    let (header, _) = Header::decode(frame).map_err(|error| error.to_string())?;
    let now_ms = jiff::Timestamp::now().as_millisecond();
    let invite = match header.mode {
        Mode::Session => None,
        Mode::Pairing(id) => {
            let found = net.store.invite(id, now_ms).await.map_err(|error| error.to_string())?;
            let unknown = "the invite is not known here, was used, or has expired: make a new one";
            Some(found.ok_or(unknown)?)
        }
    };
    let psk = invite.as_ref().map(|invite| Zeroizing::new(invite.psk));
    let (listening, key) = Listening::begin(&net.identity.key, frame, psk.as_deref())
        .map_err(|error| error.to_string())?;
    if key == net.identity.public {
        return Err("a node cannot talk to itself".to_owned());
    }
    if invite.is_none() {
        let book = net.book();
        if book.get(&key).or_else(|| book.announced(&key)).is_none() {
            return Err(format!("the node {} is not paired with this one", key.id()));
        }
    }
    let card = json!({ "name": net.identity.name, "role": net.identity.role });
    let card = card.to_string();
    let (channel, answer) = listening.finish(card.as_bytes()).map_err(|error| error.to_string())?;
    Ok((channel, key, invite, answer))
}

/// What happens when the dialler has confirmed: only now an invite is used up.
fn confirmation(
    net: Arc<Net>,
    key: PublicKey,
    invite: Option<InviteRow>,
    place: Place,
) -> Confirmed {
    Box::new(move |handshake| {
        Box::pin(async move {
            drop(place);
            match invite {
                Some(invite) => pair(&net, key, invite, handshake).await,
                None => crate::node::rotate::meet(&net, key, handshake).await,
            }
        })
    })
}

async fn pair(
    net: &Net,
    key: PublicKey,
    invite: InviteRow,
    handshake: Handshake,
) -> Result<(), Reason> {
    let now_ms = jiff::Timestamp::now().as_millisecond();
    let row = PeerRow {
        key,
        name: line(&handshake.name),
        role: handshake.role,
        rights: net.first_rights(handshake.role),
        tags: invite.tags,
        address: None,
        dial: false,
        added_at_ms: now_ms,
        last_seen_at_ms: Some(now_ms),
        next_key: handshake.next_key.filter(|next| *next != net.identity.public),
        version: Some(line(&handshake.version)),
        invite: Some(invite.id),
    };
    match net.peers.pair(invite.id, now_ms, row).await {
        Ok(Some(row)) => {
            tracing::info!(peer = %key.id(), name = row.name, role = %row.role, "paired with a node");
            net.publish("peer.paired", &key, json!({ "name": row.name, "role": row.role }));
            net.audit(AuditEntry {
                who: format!("peer {}", key.id()),
                action: "join by invite".to_owned(),
                outcome: format!("paired, may: {}", row.rights),
                ..AuditEntry::default()
            })
            .await;
            Ok(())
        }
        Ok(None) => Err(Reason::Told("the invite was used or has expired".to_owned())),
        Err(Error::NoPeer(_)) => Err(Reason::Revoked),
        Err(error) => {
            tracing::error!(%error, "cannot write down a new peer");
            Err(Reason::ShuttingDown)
        }
    }
}

/// A peer's text on one line of bounded length.
pub(crate) fn line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(64).collect()
}
