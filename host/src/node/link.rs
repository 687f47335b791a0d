//! One connection: its begin, its two loops, its end.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use crate::node::{
    book::Session,
    limits::{chance, jittered},
    message::{Body, Message},
    net::Net,
    noise::{Channel, Sealer},
    obey,
    payload::{Fault, Handshake, Ping, Pong, Rotate},
    report,
    session::{Inbound, Reason, Received},
    tell,
    transport::{Incoming, Outgoing, PROOF, Socket},
};
use adit_model::{peer::PublicKey, rights::Right};

/// Messages that wait for a peer; the next one finds it busy.
const QUEUE: usize = 64;
/// Time between two signs of life of the dialling node.
const PING: Duration = Duration::from_secs(25);
/// Longest silence.
const SILENCE: Duration = Duration::from_secs(60);
/// Largest event of a peer, in bytes.
const EVENT_BYTES: usize = 8 << 10;
/// Longest time for the peer to take what is sent.
const STUCK: Duration = Duration::from_secs(10);
/// How long a session lasts: a new one has fresh keys.
const AGE: Duration = Duration::from_secs(24 * 3_600);

/// A connection whose ends have proven who they are, but for the dialler's confirmation.
pub(crate) struct Link {
    pub(crate) net: Arc<Net>,
    pub(crate) socket: Socket,
    pub(crate) channel: Channel,
    /// Who is at the other end.
    pub(crate) key: PublicKey,
    pub(crate) dialled_here: bool,
    /// Told when the session has begun.
    pub(crate) begun: Option<oneshot::Sender<()>>,
}

/// What one knows of the other end when it has confirmed.
pub(crate) type Confirmed = Box<dyn FnOnce(Handshake) -> Confirming + Send>;
/// Whether to go on.
pub(crate) type Confirming = std::pin::Pin<Box<dyn Future<Output = Result<(), Reason>> + Send>>;

impl Link {
    /// Serves the connection to its end. `confirmed` is called when the other end has sent its
    /// first authentic message, before anything else happens because of it.
    pub(crate) async fn serve(self, confirmed: Confirmed) -> Reason {
        let Self { net, socket, channel, key, dialled_here, begun } = self;
        let Channel { mut sealer, opener } = channel;
        let (peer, address) = (key.id().to_string(), socket.address);
        let mut inbound = Inbound::new(opener, &net.id, &peer, Instant::now());
        let (mut outgoing, mut incoming) = socket.split().await;
        let greeting = async {
            let mut told = None;
            if dialled_here {
                told = greet(&net, &key, &mut sealer, &mut outgoing).await?;
            }
            let handshake = first(&mut inbound, &mut incoming).await?;
            let (queue, waiting) = mpsc::channel(QUEUE);
            let granted = handshake.rights.iter().copied().collect();
            let session =
                Arc::new(Session::new(queue, dialled_here, handshake.instance, granted, address));
            confirmed(handshake).await?;
            net.book().register(&net.identity.public, &key, &session)?;
            Ok((session, waiting, told))
        };
        let greeted = tokio::select! {
            greeted = greeting => greeted,
            () = net.ending.cancelled() => Err(Reason::ShuttingDown),
        };
        let (session, waiting, told) = match greeted {
            Ok(begun) => begun,
            Err(reason) => {
                outgoing.close(&reason).await;
                return reason;
            }
        };
        let answered = if dialled_here {
            Ok(told)
        } else {
            greet(&net, &key, &mut sealer, &mut outgoing).await
        };
        let reason = match answered {
            Err(reason) => reason,
            Ok(told) => {
                // Announced after the greeting, and maybe before this session was there to be told.
                if let Some(next_key) = net.announced_key().filter(|next| told != Some(*next)) {
                    let body = Body::Rotate(Rotate { next_key });
                    reply(&session, Message::new(&net.id, &peer, body));
                }
                net.registrations.send_modify(|count| *count += 1);
                let _nobody_waits = begun.map(|begun| begun.send(()));
                net.publish("peer.connected", &key, json!({}));
                let life = jittered(AGE, chance());
                tokio::select! {
                    reason = write(&net, &key, &session, sealer, &mut outgoing, waiting) => reason,
                    reason = read(&net, &key, &session, inbound, incoming) => reason,
                    reason = session.ended() => reason,
                    () = tokio::time::sleep(life), if dialled_here => Reason::Old,
                }
            }
        };
        session.abandon(reason.clone());
        let was_current = net.book().unregister(&key, &session, &reason);
        outgoing.close(&reason).await;
        if was_current {
            net.publish("peer.disconnected", &key, json!({ "reason": reason.to_string() }));
        }
        reason
    }
}

/// Returns the next key of this node, if the peer was told one.
async fn greet(
    net: &Net,
    key: &PublicKey,
    sealer: &mut Sealer,
    outgoing: &mut Outgoing,
) -> Result<Option<PublicKey>, Reason> {
    let next_key = net.announced_key();
    let handshake = Handshake {
        name: net.identity.name.clone(),
        role: net.identity.role,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        instance: net.instance,
        rights: net.rights(key).iter().collect(),
        next_key,
    };
    let message = Message::new(&net.id, key.id().as_str(), Body::Handshake(handshake));
    send(sealer, outgoing, &message).await.map(|()| next_key)
}

async fn first(inbound: &mut Inbound, incoming: &mut Incoming) -> Result<Handshake, Reason> {
    let waiting = async {
        loop {
            let frame = incoming.receive().await?;
            if let Received::Handshake(handshake) = inbound.receive(&frame, Instant::now())? {
                return Ok(handshake);
            }
        }
    };
    timeout(PROOF, waiting).await.unwrap_or(Err(Reason::Silent))
}

async fn send(
    sealer: &mut Sealer,
    outgoing: &mut Outgoing,
    message: &Message,
) -> Result<(), Reason> {
    let bytes = message.encode().map_err(|error| Reason::NoMessage(error.to_string()))?;
    let frames = sealer.seal(&bytes)?;
    timeout(STUCK, outgoing.send(frames)).await.unwrap_or(Err(Reason::Stuck))
}

async fn write(
    net: &Arc<Net>,
    key: &PublicKey,
    session: &Session,
    mut sealer: Sealer,
    outgoing: &mut Outgoing,
    mut waiting: mpsc::Receiver<Box<Message>>,
) -> Reason {
    let peer = key.id();
    let new = |body| Box::new(Message::new(&net.id, peer.as_str(), body));
    let mut moments = net.moments.subscribe();
    moments.mark_changed();
    let mut sent = None;
    let mut next_ping = Instant::now() + Duration::from_millis(500);
    loop {
        let messages = tokio::select! {
            biased;
            next = waiting.recv() => match next {
                Some(message) => vec![message],
                None => return Reason::Gone,
            },
            changed = moments.changed(), if net.identity.role.obeys() => {
                if changed.is_err() {
                    return Reason::ShuttingDown;
                }
                let moment = Arc::clone(&moments.borrow_and_update());
                if !net.rights(key).has(Right::Stats) {
                    sent = None;
                    continue;
                }
                // Computed only now: a slow peer gets the newest figures and never a heap of old.
                let mut report = report::changes(sent.as_deref(), &moment).unwrap_or_default();
                if report.full {
                    let interval = net.options.stats_interval.as_millis();
                    report.interval_ms = u32::try_from(interval).ok();
                }
                sent = Some(moment);
                report::pieces(report).into_iter().map(|piece| new(Body::Stats(piece))).collect()
            }
            () = tokio::time::sleep_until(next_ping.into()), if session.dialled_here => {
                next_ping = Instant::now() + jittered(PING, chance());
                let mut facts = session.facts();
                let ping = new(Body::Ping(Ping { latency_ms: facts.latency_ms }));
                facts.ping = Some((ping.id, Instant::now()));
                vec![ping]
            }
        };
        for message in messages {
            if let Err(reason) = send(&mut sealer, outgoing, &message).await {
                return reason;
            }
        }
    }
}

async fn read(
    net: &Arc<Net>,
    key: &PublicKey,
    session: &Arc<Session>,
    mut inbound: Inbound,
    mut incoming: Incoming,
) -> Reason {
    loop {
        let frame = match timeout(SILENCE, incoming.receive()).await {
            Ok(Ok(frame)) => frame,
            Ok(Err(reason)) => return reason,
            Err(_) => return Reason::Silent,
        };
        session.facts().heard_at_ms = jiff::Timestamp::now().as_millisecond();
        match inbound.receive(&frame, Instant::now()) {
            Ok(Received::Message(message)) => {
                if let Err(reason) = take(net, key, session, *message) {
                    return reason;
                }
            }
            Ok(Received::OverAllowance(message)) => {
                let told = Fault::new("RATE_LIMITED", "too many messages: send fewer");
                reply(session, message.answer(Body::Error(told)));
            }
            Ok(Received::Nothing | Received::Handshake(_)) => {}
            Err(reason) => return reason,
        }
    }
}

/// Acts on a message. What takes longer is done in a task of its own.
fn take(
    net: &Arc<Net>,
    key: &PublicKey,
    session: &Arc<Session>,
    message: Message,
) -> Result<(), Reason> {
    if let Some(question) = message.reply_to {
        note_pong(session, &question, &message);
        session.answer(&question, message.body);
        return Ok(());
    }
    match &message.body {
        Body::Ping(ping) => {
            if !session.dialled_here {
                session.facts().latency_ms = ping.latency_ms.filter(|it| (0.0..1e6).contains(it));
            }
            reply(session, message.answer(Body::Pong(Pong {})));
        }
        Body::Stats(_) => {
            let Body::Stats(report) = message.body else { return Ok(()) };
            let reported = net.book().get(key).map(|known| Arc::clone(&known.reported));
            if let Some(reported) = reported.filter(|_| net.identity.role.commands()) {
                let now_ms = jiff::Timestamp::now().as_millisecond();
                let mut reported =
                    reported.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                reported.take(report, now_ms)?;
            }
        }
        Body::Event(event) if net.identity.role.commands() => {
            // What is kept is bounded, whoever tells it.
            let size = serde_json::to_string(event).map_or(usize::MAX, |text| text.len());
            if tell::is_told(&event.kind) && size <= EVENT_BYTES && net.book().may_tell(key) {
                net.publish("peer.event", key, json!({ "event": event }));
            }
        }
        body if body.is_request() => match session.place() {
            Some(place) => {
                let (net, key, session) = (Arc::clone(net), *key, Arc::clone(session));
                let tasks = net.tasks.clone();
                tasks.spawn(async move {
                    let answer = obey::answer(&net, &key, &session, &message).await;
                    drop(place);
                    reply(&session, message.answer(answer));
                });
            }
            None => {
                let told = Fault::new("BUSY", "too many commands at once: wait for the answers");
                reply(session, message.answer(Body::Error(told)));
            }
        },
        other => tracing::debug!(kind = other.kind(), "a message that nobody asked for"),
    }
    Ok(())
}

/// Learns from the answer to a sign of life how far away the peer is, and its clock.
fn note_pong(session: &Session, question: &uuid::Uuid, pong: &Message) {
    let mut facts = session.facts();
    let Some((id, at)) = facts.ping else { return };
    if id != *question || !matches!(pong.body, Body::Pong(_)) {
        return;
    }
    facts.ping = None;
    let took = at.elapsed();
    facts.latency_ms = Some(took.as_secs_f64() * 1_000.0);
    let half = i64::try_from(took.as_millis() / 2).unwrap_or(0);
    let midpoint = jiff::Timestamp::now().as_millisecond() - half;
    let skew = pong.timestamp.as_millisecond() - midpoint;
    if skew.abs() > 30_000 && facts.skew_ms.is_none() {
        tracing::warn!(peer = %pong.from, skew_ms = skew, "the clocks of two nodes differ");
    }
    facts.skew_ms = Some(skew);
}

/// A peer that does not take its answers does not get them.
fn reply(session: &Session, message: Message) {
    if session.queue.try_send(Box::new(message)).is_err() {
        tracing::debug!("a peer does not take its answers");
    }
}
