//! How a driver and a running miner talk: probes and replies, output, commands, requests.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Phase, PoolMetrics, millis};

/// A question the host puts to a running miner, so that the driver can read figures from the reply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Probe {
    /// The driver's own name for it, returned with the [`Reply`].
    pub id: String,
    /// The question.
    #[serde(flatten)]
    pub ask: Ask,
    /// How long to wait for the whole reply.
    #[serde(rename = "timeoutMs", with = "millis", default = "default_timeout")]
    pub timeout: Duration,
}

fn default_timeout() -> Duration {
    Duration::from_secs(2)
}

impl Probe {
    /// An HTTP GET of `url` with a time limit of two seconds.
    pub fn http(id: impl Into<String>, url: impl Into<String>) -> Self {
        let ask = Ask::Http(HttpAsk { url: url.into(), ..HttpAsk::default() });
        Self { id: id.into(), ask, timeout: default_timeout() }
    }

    /// One line to `address` (`host:port`) and one line back, with a time limit of two seconds.
    pub fn tcp(id: impl Into<String>, address: impl Into<String>, line: impl Into<String>) -> Self {
        let ask = Ask::Tcp { address: address.into(), send: line.into() };
        Self { id: id.into(), ask, timeout: default_timeout() }
    }

    /// The same with one more HTTP header; nothing changes for another kind of probe.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        if let Ask::Http(http) = &mut self.ask {
            http.headers.insert(name.into(), value.into());
        }
        self
    }
}

/// The question of a [`Probe`].
///
/// A process miner is asked on loopback only, a device at the addresses of its plan only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "camelCase")]
#[non_exhaustive]
pub enum Ask {
    /// An HTTP request.
    Http(HttpAsk),
    /// Raw TCP: connect, send, read until the peer closes, a newline ends a complete JSON value, or
    /// the time is up.
    Tcp {
        /// `host:port`.
        address: String,
        /// What to send, as it is.
        send: String,
    },
    /// A question of a kind that this version does not know.
    #[serde(other)]
    Unknown,
}

/// An HTTP request to a miner's own API.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpAsk {
    /// Absolute `http://` URL.
    pub url: String,
    /// `GET` when empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub method: String,
    /// Headers to send.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Body to send.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub body: String,
}

/// What came back for a [`Probe`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reply {
    /// Id of the probe.
    pub id: String,
    /// HTTP status; 0 when there was none.
    pub status: u16,
    /// Why there is no reply: refused, timed out, too large.
    pub error: Option<String>,
    /// The reply's body, at most 1 MiB.
    pub body: Vec<u8>,
    /// How long it took.
    pub elapsed: Duration,
}

impl Reply {
    /// Whether it arrived whole and, for HTTP, with a 2xx status.
    pub fn is_ok(&self) -> bool {
        self.error.is_none() && (self.status == 0 || (200..300).contains(&self.status))
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unavailable`] when the reply did not arrive or is no JSON.
    pub fn json(&self) -> crate::Result<Value> {
        if let Some(error) = &self.error {
            return Err(crate::Error::unavailable(format!("{}: {error}", self.id)));
        }
        if !self.is_ok() {
            return Err(crate::Error::unavailable(format!("{}: status {}", self.id, self.status)));
        }
        serde_json::from_slice(&self.body)
            .map_err(|error| crate::Error::unavailable(format!("{}: {error}", self.id)))
    }
}

/// What a line of output says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "saw", rename_all = "camelCase", rename_all_fields = "camelCase")]
#[non_exhaustive]
pub enum Observation {
    /// The run entered a phase.
    Phase {
        /// The phase.
        phase: Phase,
    },
    /// A hashrate was printed.
    Hashrate {
        /// Hashes per second of the main algorithm.
        hashrate: f64,
    },
    /// The algorithm in use was printed.
    Algorithm {
        /// Its id as miners write it.
        algorithm: String,
    },
    /// A share was judged. Counted only while the miner's API gives no share counts.
    Share {
        /// How.
        result: ShareResult,
    },
    /// Something about the pool.
    Pool(PoolMetrics),
    /// A sign of life that says nothing else.
    Progress,
    /// An error that the operator should see. Text from outside: show, never trust.
    Error {
        /// One sentence.
        message: String,
    },
    /// Something that holds for the whole run: it mines, but worse than it could. Shown until the
    /// run ends, unless there is an error. Text from outside: show, never trust.
    Warning {
        /// One sentence.
        message: String,
    },
    /// An observation of a kind that this version does not know.
    #[serde(other)]
    Unknown,
}

/// How a share was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ShareResult {
    /// The pool took it.
    Accepted,
    /// The pool refused it.
    Rejected,
    /// It came too late.
    Stale,
    /// The miner itself found it wrong.
    Invalid,
}

/// Something an operator wants a running miner to do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Command {
    /// `pause`, `resume`, or another name from [`crate::Description::commands`].
    pub name: String,
    /// The command's own parameters; `null` for none.
    pub params: Value,
}

/// How to carry out a [`Command`]: steps in order, the first that fails ends it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CommandPlan {
    /// The steps.
    pub steps: Vec<CommandStep>,
    /// Texts to mask from now on wherever the run's output or its plan is shown, besides those of
    /// the plan that it was started by: a new pool's wallet and password.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
}

impl From<Vec<CommandStep>> for CommandPlan {
    /// A plan with these steps and no new secrets.
    fn from(steps: Vec<CommandStep>) -> Self {
        Self { steps, ..Self::default() }
    }
}

/// One step of a [`CommandPlan`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "camelCase")]
#[non_exhaustive]
pub enum CommandStep {
    /// Writes to the program's stdin.
    Stdin {
        /// What to write, as it is: no newline is added.
        input: String,
    },
    /// Sends an HTTP request; any 2xx status is success.
    Http(HttpAsk),
    /// Raw TCP, as [`Ask::Tcp`].
    Tcp {
        /// `host:port`.
        address: String,
        /// What to send, as it is.
        send: String,
        /// What a JSON reply must say for success: the value that it must have at each JSON
        /// pointer. Empty: any reply will do.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        expect: BTreeMap<String, Value>,
    },
    /// A step of a kind that this version does not know; the command is refused.
    #[serde(other)]
    Unknown,
}

/// A REST request to the driver's own routes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HttpRequest {
    /// `GET`, `POST`, …
    pub method: String,
    /// The path below `/drivers/{id}/x`, with its leading slash, percent-decoded.
    pub path: String,
    /// Query parameters in order.
    pub query: Vec<(String, String)>,
    /// The body, at most 1 MiB.
    pub body: Vec<u8>,
}

/// A driver's answer to an [`HttpRequest`].
#[derive(Clone, Debug, PartialEq)]
pub struct HttpResponse {
    /// Status, 200 to 599.
    pub status: u16,
    /// `Content-Type` of the body.
    pub content_type: String,
    /// The body, at most 1 MiB.
    pub body: Vec<u8>,
}

impl HttpResponse {
    /// Status 200 with `value` as JSON.
    pub fn json(value: &Value) -> Self {
        Self {
            status: 200,
            content_type: "application/json".to_owned(),
            body: value.to_string().into_bytes(),
        }
    }
}
