//! Who changed what, and who was refused.

use std::net::SocketAddr;

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{Method, StatusCode},
    response::{IntoResponse, Response},
};
use serde::Deserialize;

use crate::{
    api::{
        Api,
        access::{Caller, NOBODY},
        body::Parameters,
        error::{ApiError, Code},
        gate,
    },
    store::AuditEntry,
};

/// Longest path that is written down.
const PATH_CHARS: usize = 200;

/// Whether calls with this method are written down: those that change something.
pub(crate) fn is_noted(method: &Method) -> bool {
    ![Method::GET, Method::HEAD, Method::OPTIONS].contains(method)
}

/// Answers a call that changes something, and writes it down with its outcome.
pub(crate) async fn carry_out(
    api: Api,
    client: SocketAddr,
    router: Router,
    request: Request,
) -> Response {
    // In a task of its own: a client that hangs up can neither leave half of it undone nor keep it
    // out of the log.
    let doing = tokio::spawn(reply_and_note(api, client, router, request));
    doing.await.unwrap_or_else(|error| {
        tracing::error!(%error, "a request failed");
        let told = "the host failed at this; its log says why";
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", told).into_response()
    })
}

async fn reply_and_note(
    api: Api,
    client: SocketAddr,
    router: Router,
    request: Request,
) -> Response {
    let method = request.method().clone();
    let caller = request.extensions().get::<Caller>().cloned();
    let path: String = request.uri().path().chars().take(PATH_CHARS).collect();
    let response = gate::reply(router, request).await;
    let status = response.status().as_u16();
    let outcome = match response.extensions().get::<Code>() {
        Some(Code(code)) => format!("{status} {code}"),
        None => status.to_string(),
    };
    let entry = AuditEntry {
        at_ms: jiff::Timestamp::now().as_millisecond(),
        who: caller.map_or_else(|| NOBODY.to_owned(), |caller| caller.name),
        address: client.ip().to_string(),
        action: format!("{method} {path}"),
        outcome,
    };
    if let Err(error) = api.0.store.add_audit(entry).await {
        tracing::error!(%error, "cannot write the audit log");
    }
    response
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    limit: Option<u32>,
}

pub(crate) async fn list(
    State(api): State<Api>,
    Parameters(which): Parameters<Which>,
) -> Result<Json<Vec<AuditEntry>>, ApiError> {
    Ok(Json(api.0.store.audit(which.limit.unwrap_or(100).min(10_000)).await?))
}
