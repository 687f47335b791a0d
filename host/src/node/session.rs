//! What may happen in a session: pure rules over frames, messages and moments.

use std::time::Instant;

use crate::node::{
    limits::Bucket,
    message::{Body, Message},
    noise::{ChannelError, Opener},
    payload::Handshake,
};
use adit_model::peer::NodeRole;

/// Frames a peer may send at once, and on average, before anything of them is read.
const FRAMES: (u32, u32) = (400, 200);
/// Bytes a peer may send at once, and a second: reading them costs more than sending them.
const BYTES: (u32, u32) = (8 << 20, 2 << 20);
/// The allowance of messages: at once, and a second.
const MESSAGES: (u32, u32) = (100, 50);

/// Why a session ended. The text goes to both logs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Reason {
    /// The other end closed, or the connection is gone.
    #[error("the connection ended")]
    Gone,
    /// What the other end said when it closed.
    #[error("the peer closed: {0}")]
    Told(String),
    /// Nothing was heard for too long.
    #[error("nothing was heard for 60 s")]
    Silent,
    /// It does not take what is sent.
    #[error("the peer took nothing for 10 s")]
    Stuck,
    /// Frames came faster than anybody may send.
    #[error("too many frames or bytes a second")]
    Flood,
    /// A frame is not authentic or has a forbidden size.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// What was inside is no message.
    #[error("a message cannot be read: {0}")]
    NoMessage(String),
    /// The sender poses as another node.
    #[error("a message names another sender or receiver than the session has")]
    Forged,
    /// The first message was another, or came twice.
    #[error("a session begins with one handshake")]
    Order,
    /// A worker commanded.
    #[error("a worker sent the command {0}, and workers command nobody")]
    WorkerCommands(String),
    /// A newer session of the same node took over.
    #[error("a newer connection of the same node took over")]
    Replaced,
    /// The other of two connections is kept.
    #[error("there is a connection in the other direction already")]
    Duplicate,
    /// Two machines use one key.
    #[error(
        "two machines use the same key: their disk was copied; make a new key on one of them, \
         then allow the other again with POST /peers/{{id}}/connect"
    )]
    Cloned,
    /// The operator ended it.
    #[error("the operator ended the connection")]
    Disconnected,
    /// The peer was removed.
    #[error("the peer was removed")]
    Revoked,
    /// A key takes over.
    #[error("a new key takes over")]
    Rotated,
    /// It is old; a new one has fresh keys.
    #[error("the session is a day old and begins anew")]
    Old,
    /// Figures that no honest node has.
    #[error("the reported figures are too large")]
    TooMuch,
    /// The host ends.
    #[error("the host is shutting down")]
    ShuttingDown,
}

impl Reason {
    /// Whether it is worth the operator's attention: somebody misbehaves.
    pub(crate) fn is_offence(&self) -> bool {
        matches!(
            self,
            Self::Flood
                | Self::Channel(_)
                | Self::NoMessage(_)
                | Self::Forged
                | Self::Order
                | Self::WorkerCommands(_)
                | Self::Cloned
                | Self::TooMuch
        )
    }
}

/// What came in.
#[derive(Debug, PartialEq)]
pub(crate) enum Received {
    /// A part of a message.
    Nothing,
    /// The first message.
    Handshake(Handshake),
    /// A message to act on.
    Message(Box<Message>),
    /// A request that is over the peer's allowance: to be refused, not carried out.
    OverAllowance(Box<Message>),
}

/// The receiving side of a session.
pub(crate) struct Inbound {
    opener: Opener,
    own: String,
    peer: String,
    /// Known from the first message on.
    role: Option<NodeRole>,
    frames: Bucket,
    bytes: Bucket,
    messages: Bucket,
}

impl Inbound {
    /// For a session of the node `own` with the node `peer`, both as node ids.
    pub(crate) fn new(opener: Opener, own: &str, peer: &str, now: Instant) -> Self {
        Self {
            opener,
            own: own.to_owned(),
            peer: peer.to_owned(),
            role: None,
            frames: Bucket::new(FRAMES.0, FRAMES.1, now),
            bytes: Bucket::new(BYTES.0, BYTES.1, now),
            messages: Bucket::new(MESSAGES.0, MESSAGES.1, now),
        }
    }

    /// Takes a frame. After an error the session must be closed.
    pub(crate) fn receive(&mut self, frame: &[u8], now: Instant) -> Result<Received, Reason> {
        let size = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        if !self.frames.take(1, now) || !self.bytes.take(size, now) {
            return Err(Reason::Flood);
        }
        let Some(bytes) = self.opener.open(frame)? else { return Ok(Received::Nothing) };
        let message = Message::decode(&bytes).map_err(Reason::NoMessage)?;
        if message.from != self.peer || message.to != self.own {
            return Err(Reason::Forged);
        }
        match (self.role, message.body) {
            (None, Body::Handshake(handshake)) => {
                self.role = Some(handshake.role);
                Ok(Received::Handshake(handshake))
            }
            (None, _) | (Some(_), Body::Handshake(_)) => Err(Reason::Order),
            (Some(NodeRole::Worker), body) if body.is_command() => {
                Err(Reason::WorkerCommands(body.kind().to_owned()))
            }
            (Some(_), body) => {
                let within = self.messages.take(body.cost(), now);
                let asks = body.is_request();
                let message = Box::new(Message { body, ..message });
                // An answer that was asked for is not over any allowance.
                if within || !asks {
                    Ok(Received::Message(message))
                } else {
                    Ok(Received::OverAllowance(message))
                }
            }
        }
    }
}

/// What is to be done with a second connection of the same node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The new one takes over.
    Replace,
    /// The old one stays.
    Keep,
}

/// One end of a connection, as the rule for duplicates sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ends<'a> {
    /// Who dialled: this node?
    pub(crate) dialled_here: bool,
    /// The start of the peer's program.
    pub(crate) instance: &'a uuid::Uuid,
}

/// The newest confirmed connection wins. Only when two nodes dial each other, the connection whose
/// dialler has the smaller key stays, so that both ends agree.
pub(crate) fn duplicate(old: Ends<'_>, new: Ends<'_>, own_key_is_smaller: bool) -> Verdict {
    let crossing = old.dialled_here != new.dialled_here && old.instance == new.instance;
    if crossing && old.dialled_here == own_key_is_smaller {
        Verdict::Keep
    } else {
        Verdict::Replace
    }
}

/// The last starts of a peer's program. Seeing one, another and the first again proves that two
/// machines live; one machine that comes and goes never shows an old one again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Instances(Vec<uuid::Uuid>);

impl Instances {
    const KEPT: usize = 16;

    /// Notes a start. `true`: two machines use the key.
    pub(crate) fn see(&mut self, instance: uuid::Uuid) -> bool {
        if self.0.last() == Some(&instance) {
            return false;
        }
        let seen_before = self.0.contains(&instance);
        self.0.push(instance);
        if self.0.len() > Self::KEPT {
            self.0.remove(0);
        }
        seen_before
    }

    /// Forgets all but the last: the operator says that it is settled.
    pub(crate) fn forgive(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests;
