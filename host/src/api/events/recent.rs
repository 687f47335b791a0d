//! `GET /events/recent`: what happened a moment ago.

use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;

use crate::api::{Api, body::Parameters, error::ApiError, events::filter};

/// Events in an answer unless the client says otherwise.
const USUAL: usize = 100;

/// Which events a client wants to see.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    types: Option<String>,
    miner: Option<String>,
    limit: Option<usize>,
}

/// The last events, oldest first. Written for the document: the events are encoded already.
#[derive(serde::Serialize, schemars::JsonSchema)]
pub(crate) struct Recent {
    /// Id of the newest event there is; 0: there is none.
    newest: u64,
    events: Vec<adit_model::event::Event>,
}

pub(crate) async fn list(
    State(api): State<Api>,
    Parameters(which): Parameters<Which>,
) -> Result<Response, ApiError> {
    let filter = filter(which.types.as_deref(), which.miner.as_deref())?;
    let limit = which.limit.unwrap_or(USUAL);
    let (newest, events) = api.0.miners.events().recent(&filter, limit);
    // Each is encoded already.
    let mut text = format!("{{\"newest\":{newest},\"events\":[").into_bytes();
    for (number, event) in events.iter().enumerate() {
        if number > 0 {
            text.push(b',');
        }
        text.extend_from_slice(&event.json());
    }
    text.extend_from_slice(b"]}");
    let json = HeaderValue::from_static("application/json");
    Ok(([(header::CONTENT_TYPE, json)], text).into_response())
}
