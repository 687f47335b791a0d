//! What host and keeper say to each other: one JSON object a line, a reply for each request.

use adit_plugin_api::StopPlan;
use serde::{Deserialize, Serialize};

use adit_model::run::{ExitRecord, RunId, RunStatus};

/// Version of the protocol. A host speaks this one and the one before it.
pub const PROTOCOL: u32 = 1;

/// Longest request, in bytes with its newline.
pub const LONGEST_REQUEST: usize = 64 << 10;

/// One request.
#[derive(Serialize, Deserialize)]
pub struct Request {
    /// The version that the host speaks.
    #[serde(default)]
    pub protocol: u32,
    /// The run it means; a keeper of another run refuses. Absent: whichever run there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// What is asked.
    #[serde(flatten)]
    pub ask: Ask,
}

/// What can be asked of a keeper.
#[derive(Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "camelCase")]
pub enum Ask {
    /// How the run is doing.
    Status,
    /// Write this to the program's stdin.
    Stdin {
        /// The text as it is; no newline is added.
        input: String,
    },
    /// Send a signal to the program's process group.
    Signal {
        /// Its name without `SIG`.
        signal: String,
    },
    /// End the run.
    Stop {
        /// How; the run's own plan when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        plan: Option<StopPlan>,
    },
    /// Write to the log what still waits for the disk.
    Flush,
    /// Answer when the run has ended.
    Wait,
}

/// The answer to one request.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Reply {
    /// The version that the keeper speaks.
    pub protocol: u32,
    /// Why nothing was done; absent when it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
    /// For `status`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<RunStatus>,
    /// For `wait`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit: Option<ExitRecord>,
}

/// Why a request was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", content = "message", rename_all = "camelCase")]
pub enum Refusal {
    /// This keeper has another run.
    OtherRun,
    /// Anything else, in words.
    Failed(String),
}

impl Reply {
    /// A plain yes.
    pub fn done() -> Self {
        Self { protocol: PROTOCOL, ..Self::default() }
    }

    /// A no with its reason.
    pub fn failed(message: impl Into<String>) -> Self {
        Self { refusal: Some(Refusal::Failed(message.into())), ..Self::done() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_read_as_documented() {
        let parse = |text: &str| serde_json::from_str::<Request>(text);
        let stop = parse(r#"{"protocol":1,"do":"stop","plan":{"steps":[]}}"#).unwrap();
        assert!(matches!(stop.ask, Ask::Stop { plan: Some(plan) } if plan.steps.is_empty()));
        assert!(matches!(parse(r#"{"do":"stop"}"#).unwrap().ask, Ask::Stop { plan: None }));
        assert!(matches!(parse(r#"{"do":"wait","later":1}"#).unwrap().ask, Ask::Wait));
        for bad in ["", "{}", "[]", r#"{"do":"dance"}"#, r#"{"do":"stdin"}"#, "\u{0}"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn replies_survive_the_wire() {
        let other = Reply { refusal: Some(Refusal::OtherRun), ..Reply::done() };
        for reply in [Reply::done(), Reply::failed("no"), other] {
            let text = serde_json::to_string(&reply).unwrap();
            let back: Reply = serde_json::from_str(&text).unwrap();
            assert_eq!((back.protocol, back.refusal), (PROTOCOL, reply.refusal), "{text}");
        }
    }
}
