//! What can go wrong between nodes.

use std::{io, path::PathBuf};

use crate::node::{invite::BadInvite, noise::ChannelError};
use adit_model::{name::MinerName, peer::NodeId};

/// Why something between nodes did not happen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The key cannot be used.
    #[error("cannot {what} {path}: {source}")]
    Key {
        /// What was attempted, a verb.
        what: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(String),
    /// There is a key already.
    #[error("this node has a key already: GET /node/info or `adit node info` shows it")]
    Initialised,
    /// There is no key yet.
    #[error("this node has no key yet: make one with POST /node/init or `adit node init NAME`")]
    NotInitialised,
    /// What the caller must change.
    #[error("{0}")]
    Invalid(String),
    /// The code is no invite.
    #[error(transparent)]
    Invite(#[from] BadInvite),
    /// Nobody listens here.
    #[error(
        "this node does not listen for others, so it cannot invite: set listen under [node] in the \
         settings, or invite on the other node and join here"
    )]
    NotListening,
    /// No such peer.
    #[error("there is no peer {0}")]
    NoPeer(String),
    /// The role forbids it.
    #[error("{0}")]
    Role(String),
    /// The peer is known and not there.
    #[error("{} is not connected{}", .id, .reason.as_deref().map(|it| format!(": {it}")).unwrap_or_default())]
    Offline {
        /// Which peer.
        id: NodeId,
        /// Why, when known.
        reason: Option<String>,
    },
    /// It is there and did not answer.
    #[error("{id} did not answer within {seconds} s; whether it did what was asked is not known")]
    NoAnswer {
        /// Which peer.
        id: NodeId,
        /// The deadline.
        seconds: u64,
    },
    /// Too many messages wait for it.
    #[error("{0} does not keep up with its messages: try again later")]
    Busy(NodeId),
    /// It refused or failed, and says why.
    #[error("{id} says: {message}")]
    Peer {
        /// Which peer.
        id: NodeId,
        /// The code of its error.
        code: String,
        /// Its sentence. Text from outside: show, never trust.
        message: String,
    },
    /// It cannot be reached.
    #[error("cannot reach {address}: {reason}")]
    Unreachable {
        /// Where.
        address: String,
        /// Why.
        reason: String,
    },
    /// Nothing was recorded of that miner.
    #[error("the history has nothing of a miner {miner} of {id}")]
    NoRecord {
        /// Which peer.
        id: NodeId,
        /// Which miner of it.
        miner: MinerName,
    },
    /// The history cannot be read.
    #[error("cannot read the history: {0}")]
    History(String),
    /// No secure channel came about.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] adit_store::Error),
    /// The host is going down.
    #[error("the host is shutting down")]
    ShuttingDown,
}

impl Error {
    /// The kind of fault, for programs: upper case, stable.
    pub fn code(&self) -> &str {
        match self {
            Self::Key { .. } => "KEY_UNUSABLE",
            Self::Random(_) => "NO_RANDOM_NUMBERS",
            Self::Initialised => "ALREADY_INITIALISED",
            Self::NotInitialised => "NOT_INITIALISED",
            Self::Invalid(_) => "INVALID_INPUT",
            Self::Invite(_) => "INVALID_INVITE",
            Self::NotListening => "NOT_LISTENING",
            Self::NoPeer(_) => "PEER_NOT_FOUND",
            Self::Role(_) => "WRONG_ROLE",
            Self::Offline { .. } => "PEER_OFFLINE",
            Self::NoAnswer { .. } => "PEER_TIMEOUT",
            Self::Busy(_) => "PEER_BUSY",
            Self::Peer { .. } => "PEER_REFUSED",
            Self::Unreachable { .. } => "CONNECTION_FAILED",
            Self::NoRecord { .. } => "MINER_NOT_FOUND",
            Self::History(_) => "DATABASE_ERROR",
            Self::Channel(_) => "CHANNEL_FAILED",
            Self::Store(_) => "DATABASE_ERROR",
            Self::ShuttingDown => "SHUTTING_DOWN",
        }
    }
}
