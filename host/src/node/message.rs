//! What nodes say to each other: JSON inside the secure channel.

use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use uuid::Uuid;

use crate::node::payload::{
    Deploy, Done, DriverAnswer, DriverMessage, Event, Fault, GetHistory, GetLogs, GetSamples,
    GetStats, Handshake, History, Install, Logs, Ping, Pong, Report, Rotate, Samples, StartMiner,
    StopMiner,
};

/// One message.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Its id; a command with an id that was seen before is not carried out again.
    pub id: Uuid,
    /// Node id of the sender, which must be that of the session's key.
    pub from: String,
    /// Node id of the receiver.
    pub to: String,
    /// The sender's clock. For people: nothing is decided by it.
    pub timestamp: Timestamp,
    /// The message that this one answers.
    pub reply_to: Option<Uuid>,
    /// How long the sender waits for the answer, in milliseconds.
    pub ttl_ms: Option<u64>,
    /// Type and payload.
    pub body: Body,
}

/// As it is written.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    id: Uuid,
    #[serde(rename = "type")]
    kind: String,
    from: String,
    to: String,
    timestamp: Timestamp,
    payload: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reply_to: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ttl_ms: Option<u64>,
}

macro_rules! bodies {
    ($($(#[doc = $doc:literal])* $kind:literal $variant:ident($payload:ty),)*) => {
        /// The types of messages, with what they carry.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Body {
            $($(#[doc = $doc])* $variant($payload),)*
            /// A type that this version does not know. It is answered, and nothing else happens.
            Unknown(String),
            /// A known type whose payload cannot be read.
            Malformed {
                /// The type.
                kind: String,
                /// What is wrong.
                reason: String,
            },
        }

        impl Body {
            /// The type, as it is written.
            pub fn kind(&self) -> &str {
                match self {
                    $(Self::$variant(_) => $kind,)*
                    Self::Unknown(kind) | Self::Malformed { kind, .. } => kind,
                }
            }

            fn payload(&self) -> serde_json::Result<Value> {
                match self {
                    $(Self::$variant(payload) => serde_json::to_value(payload),)*
                    Self::Unknown(_) | Self::Malformed { .. } => Ok(Value::Null),
                }
            }

            fn read(kind: String, payload: Value) -> Self {
                match kind.as_str() {
                    $($kind => parse(&kind, payload, Self::$variant),)*
                    _ => Self::Unknown(kind),
                }
            }
        }

        #[cfg(test)]
        pub(crate) fn schemas() -> serde_json::Map<String, Value> {
            let mut all = serde_json::Map::new();
            $(all.insert($kind.to_owned(), schemars::schema_for!($payload).into());)*
            all
        }
    };
}

bodies! {
    /// The first message of a session, both ways: who one is.
    "handshake" Handshake(Handshake),
    /// A sign of life.
    "ping" Ping(Ping),
    /// The answer to a ping.
    "pong" Pong(Pong),
    /// Asks for all figures.
    "get_stats" GetStats(GetStats),
    /// Figures: pushed at each tick with what changed, or whole as an answer.
    "stats" Stats(Report),
    /// Starts a miner that exists, a profile, or a new miner.
    "start_miner" StartMiner(StartMiner),
    /// Stops a miner.
    "stop_miner" StopMiner(StopMiner),
    /// Asks for what a miner printed.
    "get_logs" GetLogs(GetLogs),
    /// What a miner printed.
    "logs" Logs(Logs),
    /// Asks for a chart of a miner's past.
    "get_history" GetHistory(GetHistory),
    /// A chart.
    "history" History(History),
    /// Asks for the samples that were taken of a miner while the node could not be reached.
    "get_samples" GetSamples(GetSamples),
    /// Those samples.
    "samples" Samples(Samples),
    /// Installs the program of a miner type.
    "install" Install(Install),
    /// Writes a profile.
    "deploy" Deploy(Deploy),
    /// Something that happened.
    "event" Event(Event),
    /// A message from a driver to the same driver there.
    "driver" Driver(DriverMessage),
    /// The driver's answer.
    "driver_answer" DriverAnswer(DriverAnswer),
    /// Announces the key that will take over.
    "rotate" Rotate(Rotate),
    /// What was asked is done.
    "done" Done(Done),
    /// What was asked was refused or failed.
    "error" Error(Fault),
}

fn parse<T: DeserializeOwned>(kind: &str, payload: Value, wrap: impl FnOnce(T) -> Body) -> Body {
    // An array would be taken for the fields in order.
    if !payload.is_object() {
        let reason = "the payload is no object".to_owned();
        return Body::Malformed { kind: kind.to_owned(), reason };
    }
    match serde_path_to_error::deserialize(payload) {
        Ok(payload) => wrap(payload),
        Err(error) => Body::Malformed { kind: kind.to_owned(), reason: error.to_string() },
    }
}

impl Body {
    /// Whether it asks for something, so that it gets an answer.
    pub fn is_request(&self) -> bool {
        matches!(
            self,
            Self::Ping(_)
                | Self::GetStats(_)
                | Self::StartMiner(_)
                | Self::StopMiner(_)
                | Self::GetLogs(_)
                | Self::GetHistory(_)
                | Self::GetSamples(_)
                | Self::Install(_)
                | Self::Deploy(_)
                | Self::Driver(_)
                | Self::Rotate(_)
                | Self::Unknown(_)
                | Self::Malformed { .. }
        )
    }

    /// Whether it is a command: something that a worker never sends.
    pub fn is_command(&self) -> bool {
        self.is_request() && !matches!(self, Self::Ping(_) | Self::Rotate(_))
    }

    /// Whether it changes something, so that it must have one effect however often it comes.
    pub fn has_effect(&self) -> bool {
        matches!(
            self,
            Self::StartMiner(_)
                | Self::StopMiner(_)
                | Self::Install(_)
                | Self::Deploy(_)
                | Self::Driver(_)
        )
    }

    /// What it takes of a peer's allowance of messages.
    pub(crate) fn cost(&self) -> u32 {
        match self {
            Self::GetLogs(_) | Self::GetHistory(_) => 10,
            Self::GetSamples(_) => 5,
            body if body.has_effect() => 5,
            _ => 1,
        }
    }

    /// Whether `answer` is of a type that answers this.
    pub(crate) fn is_answered_by(&self, answer: &Self) -> bool {
        matches!(
            (self, answer),
            (_, Self::Error(_))
                | (Self::Ping(_), Self::Pong(_))
                | (Self::GetStats(_), Self::Stats(_))
                | (Self::GetLogs(_), Self::Logs(_))
                | (Self::GetHistory(_), Self::History(_))
                | (Self::GetSamples(_), Self::Samples(_))
                | (Self::Driver(_), Self::DriverAnswer(_))
                | (
                    Self::StartMiner(_)
                        | Self::StopMiner(_)
                        | Self::Install(_)
                        | Self::Deploy(_)
                        | Self::Rotate(_),
                    Self::Done(_),
                )
        )
    }
}

impl Message {
    /// A new message.
    pub fn new(from: &str, to: &str, body: Body) -> Self {
        Self {
            id: Uuid::new_v4(),
            from: from.to_owned(),
            to: to.to_owned(),
            timestamp: Timestamp::now(),
            reply_to: None,
            ttl_ms: None,
            body,
        }
    }

    /// The answer to this message.
    #[must_use]
    pub fn answer(&self, body: Body) -> Self {
        Self { reply_to: Some(self.id), ..Self::new(&self.to, &self.from, body) }
    }

    /// The bytes to send.
    ///
    /// # Errors
    /// When the payload cannot be written as JSON.
    pub fn encode(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(&Envelope {
            id: self.id,
            kind: self.body.kind().to_owned(),
            from: self.from.clone(),
            to: self.to.clone(),
            timestamp: self.timestamp,
            payload: self.body.payload()?,
            reply_to: self.reply_to,
            ttl_ms: self.ttl_ms,
        })
    }

    /// Reads a message. One of an unknown type, or with a payload that cannot be read, is a message
    /// all the same: it can be answered.
    ///
    /// # Errors
    /// When the bytes are no message at all; a sentence.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        let envelope: Envelope =
            serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let Envelope { id, kind, from, to, timestamp, payload, reply_to, ttl_ms } = envelope;
        // It is shown in logs and answers.
        let kind: String = kind.chars().filter(|c| !c.is_control()).take(64).collect();
        let body = Body::read(kind, payload);
        Ok(Self { id, from, to, timestamp, reply_to, ttl_ms, body })
    }
}

#[cfg(test)]
mod tests;
