//! The one shape of every error, and which status each fault gets. Logged once, here.

use adit_plugin_api::ErrorKind;
use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    miners::{self, Fault, Kind},
    node,
};
use adit_drivers::call::CallError;

/// Longest sentence of an error, in characters.
const LONGEST: usize = 1000;

/// What a client gets with every status of 400 and above.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ErrorBody {
    /// One sentence: what was wrong and what to do.
    pub error: String,
    /// The kind of fault, for programs: upper case, stable.
    pub code: String,
    /// More, where there is more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
}

/// An error on its way to a client.
#[derive(Clone, Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    body: ErrorBody,
    retry_after_s: Option<u32>,
}

/// The error code of a response, for the audit log.
#[derive(Clone)]
pub(crate) struct Code(pub(crate) String);

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: &str, error: impl Into<String>) -> Self {
        let body =
            ErrorBody { error: sentence(&error.into()), code: code.to_owned(), details: None };
        Self { status, body, retry_after_s: None }
    }

    pub(crate) fn bad_request(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "INVALID_INPUT", error)
    }

    pub(crate) fn not_found(code: &str, error: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, error)
    }

    pub(crate) fn details(mut self, details: Value) -> Self {
        self.body.details = Some(details);
        self
    }

    pub(crate) fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let code = Code(self.body.code.clone());
        let mut response = (self.status, Json(self.body)).into_response();
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(code);
        response
    }
}

/// What clients and drivers sent may be part of an error: it neither floods nor steers whoever
/// reads it.
fn sentence(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c });
    let mut sentence: String = plain.take(LONGEST + 1).collect();
    if let Some((end, _)) = sentence.char_indices().nth(LONGEST) {
        sentence.replace_range(end.., "…");
    }
    sentence
}

impl From<miners::Error> for ApiError {
    fn from(error: miners::Error) -> Self {
        use miners::Error as E;
        let (status, code) = match &error {
            E::NoMiner(_) => (StatusCode::NOT_FOUND, "MINER_NOT_FOUND"),
            E::NoIncident(_) => (StatusCode::NOT_FOUND, "NO_INCIDENT"),
            E::NoWebhook { .. } => (StatusCode::NOT_FOUND, "WEBHOOK_NOT_FOUND"),
            E::Webhook(_) => (StatusCode::BAD_GATEWAY, "WEBHOOK_FAILED"),
            E::Taken(_) => (StatusCode::CONFLICT, "MINER_EXISTS"),
            E::NoDriver { .. } => (StatusCode::BAD_REQUEST, "UNSUPPORTED_MINER"),
            E::NotRunning(_) | E::UnknownLaunch(_) => (StatusCode::CONFLICT, "NOT_RUNNING"),
            E::Overtaken(_) => (StatusCode::CONFLICT, "OVERTAKEN"),
            E::InUse { .. } => (StatusCode::CONFLICT, "IN_USE"),
            E::Release(error) => of_release(error),
            E::NoProgram(_) => (StatusCode::BAD_REQUEST, "NOT_INSTALLED"),
            E::Driver(error) => of_call(error),
            E::Config(_) => (StatusCode::BAD_REQUEST, "INVALID_CONFIG"),
            E::Profile(fault) => of_fault(fault),
            E::Plan(_) => (StatusCode::INTERNAL_SERVER_ERROR, "PLAN_REFUSED"),
            E::Unsupported(_) => (StatusCode::BAD_REQUEST, "UNSUPPORTED"),
            E::Forbidden(_) => (StatusCode::FORBIDDEN, "FORBIDDEN"),
            E::Invalid(_) => (StatusCode::BAD_REQUEST, "INVALID_INPUT"),
            E::Command(_) => (StatusCode::BAD_GATEWAY, "COMMAND_FAILED"),
            E::Keeper(adit_keeper_client::error::Error::Exec { .. }) | E::Start { .. } => {
                (StatusCode::INTERNAL_SERVER_ERROR, "START_FAILED")
            }
            E::Keeper(_) => (StatusCode::INTERNAL_SERVER_ERROR, "KEEPER_FAILED"),
            E::Store(_) => (StatusCode::INTERNAL_SERVER_ERROR, "DATABASE_ERROR"),
            E::Io { .. } => (StatusCode::INTERNAL_SERVER_ERROR, "IO_ERROR"),
            E::ShuttingDown => (StatusCode::SERVICE_UNAVAILABLE, "SHUTTING_DOWN"),
        };
        if status.is_server_error() {
            tracing::error!(code, %error, "a request failed");
        }
        Self::new(status, code, error.to_string())
    }
}

fn of_fault(fault: &Fault) -> (StatusCode, &'static str) {
    let of = |codes: [&'static str; 3], kind: &Kind| match kind {
        Kind::Profile => codes[0],
        Kind::Wallet => codes[1],
        Kind::Pool => codes[2],
    };
    match fault {
        Fault::Missing { kind, .. } => {
            let codes = ["PROFILE_NOT_FOUND", "WALLET_NOT_FOUND", "POOL_NOT_FOUND"];
            (StatusCode::NOT_FOUND, of(codes, kind))
        }
        Fault::Taken { kind, .. } => {
            (StatusCode::CONFLICT, of(["PROFILE_EXISTS", "WALLET_EXISTS", "POOL_EXISTS"], kind))
        }
        Fault::Changed { .. } => (StatusCode::PRECONDITION_FAILED, "CHANGED"),
        Fault::InTheWay { .. } => (StatusCode::CONFLICT, "CONFLICTS"),
        Fault::Used { .. } | Fault::Breaks { .. } => (StatusCode::CONFLICT, "IN_USE"),
        Fault::Field(field) if field.path.starts_with("config") => {
            (StatusCode::BAD_REQUEST, "INVALID_CONFIG")
        }
        Fault::Config(_) => (StatusCode::BAD_REQUEST, "INVALID_CONFIG"),
        Fault::Field(_) => (StatusCode::BAD_REQUEST, "INVALID_INPUT"),
    }
}

fn of_release(error: &adit_releases::Error) -> (StatusCode, &'static str) {
    use adit_releases::Error as E;
    match error {
        E::BadVersion(_) | E::NoVersion(_) => (StatusCode::BAD_REQUEST, "INVALID_INPUT"),
        E::Busy(_) => (StatusCode::CONFLICT, "BUSY"),
        E::NoPrevious(_) => (StatusCode::CONFLICT, "NO_PREVIOUS_VERSION"),
        E::NotInstalled { .. } => (StatusCode::NOT_FOUND, "NOT_INSTALLED"),
        E::Older { .. } => (StatusCode::CONFLICT, "OLDER_RELEASE"),
        E::NoRelease { .. } => (StatusCode::NOT_FOUND, "NO_RELEASE"),
        E::NoAsset { .. } => (StatusCode::BAD_REQUEST, "UNSUPPORTED"),
        E::RateLimited { .. } => (StatusCode::SERVICE_UNAVAILABLE, "RATE_LIMITED"),
        E::Status { .. } | E::Unreachable { .. } | E::Forbidden { .. } | E::Interrupted { .. } => {
            (StatusCode::BAD_GATEWAY, "DOWNLOAD_FAILED")
        }
        E::Mismatch { .. }
        | E::Changed { .. }
        | E::Signature { .. }
        | E::NotListed { .. }
        | E::OtherVersion { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "NOT_VERIFIED"),
        E::Unproven(_) => (StatusCode::BAD_REQUEST, "NOT_VERIFIED"),
        E::TooLarge { .. } | E::Archive { .. } => {
            (StatusCode::UNPROCESSABLE_ENTITY, "ARCHIVE_REFUSED")
        }
        E::Trial { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "DOES_NOT_RUN"),
        E::BadPlan(_) => (StatusCode::INTERNAL_SERVER_ERROR, "PLAN_REFUSED"),
        E::BadSetting { .. } | E::Io { .. } => (StatusCode::INTERNAL_SERVER_ERROR, "IO_ERROR"),
    }
}

fn of_call(error: &CallError) -> (StatusCode, &'static str) {
    match error {
        CallError::Refused { kind: ErrorKind::Invalid, .. } => {
            (StatusCode::BAD_REQUEST, "INVALID_CONFIG")
        }
        CallError::Refused { kind: ErrorKind::Unsupported, .. } => {
            (StatusCode::BAD_REQUEST, "UNSUPPORTED")
        }
        CallError::Refused { kind: ErrorKind::Unavailable, .. } => {
            (StatusCode::SERVICE_UNAVAILABLE, "DRIVER_UNAVAILABLE")
        }
        CallError::Deadline { .. } => (StatusCode::GATEWAY_TIMEOUT, "DRIVER_TIMEOUT"),
        CallError::Panicked { .. } => (StatusCode::BAD_GATEWAY, "DRIVER_PANICKED"),
        CallError::Ended { .. } | CallError::Resting { .. } => {
            (StatusCode::BAD_GATEWAY, "DRIVER_CRASHED")
        }
        CallError::Quarantined { .. } => (StatusCode::SERVICE_UNAVAILABLE, "DRIVER_QUARANTINED"),
        CallError::Wedged { .. } | CallError::Busy { .. } => {
            (StatusCode::SERVICE_UNAVAILABLE, "DRIVER_WEDGED")
        }
        CallError::Refused { .. } => (StatusCode::BAD_GATEWAY, "DRIVER_FAILED"),
    }
}

impl From<CallError> for ApiError {
    fn from(error: CallError) -> Self {
        miners::Error::from(error).into()
    }
}

impl From<adit_store::Error> for ApiError {
    fn from(error: adit_store::Error) -> Self {
        miners::Error::from(error).into()
    }
}

impl From<node::Error> for ApiError {
    fn from(error: node::Error) -> Self {
        use node::Error as E;
        let status = match &error {
            E::Invalid(_) | E::Invite(_) => StatusCode::BAD_REQUEST,
            E::NoPeer(_) | E::NoRecord { .. } => StatusCode::NOT_FOUND,
            E::Initialised | E::NotInitialised | E::NotListening | E::Role(_) => {
                StatusCode::CONFLICT
            }
            E::Offline { .. } | E::Busy(_) | E::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
            E::NoAnswer { .. } => StatusCode::GATEWAY_TIMEOUT,
            E::Peer { code, .. } => of_peer(code),
            E::Unreachable { .. } | E::Channel(_) => StatusCode::BAD_GATEWAY,
            E::Key { .. } | E::Random(_) | E::Store(_) | E::History(_) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(%error, "a request failed");
        }
        let mut told = Self::new(status, error.code(), error.to_string());
        if let E::Peer { code, .. } = &error {
            told.body.details = Some(serde_json::json!({ "peerCode": code }));
        }
        told
    }
}

/// What a peer refuses is the client's to change, as if this host had refused it.
fn of_peer(code: &str) -> StatusCode {
    match code {
        "FORBIDDEN" => StatusCode::FORBIDDEN,
        "MINER_NOT_FOUND" | "PROFILE_NOT_FOUND" => StatusCode::NOT_FOUND,
        "MINER_EXISTS" | "NOT_RUNNING" | "UNKNOWN_OUTCOME" => StatusCode::CONFLICT,
        "RATE_LIMITED" | "BUSY" => StatusCode::TOO_MANY_REQUESTS,
        "INVALID_INPUT" | "INVALID_CONFIG" | "UNSUPPORTED" | "UNSUPPORTED_MINER"
        | "UNKNOWN_TYPE" | "NOT_INSTALLED" => StatusCode::BAD_REQUEST,
        _ => StatusCode::BAD_GATEWAY,
    }
}
