//! `/tokens`: who may use the API.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::api::{
    Api, TokenView, access,
    body::{Body, Segment},
    error::ApiError,
};
use adit_model::access::Role;

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct NewToken {
    name: String,
    role: Role,
    expires_in_s: Option<u32>,
}

/// A new token, with its secret.
#[derive(Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Made {
    #[serde(flatten)]
    view: TokenView,
    /// The secret.
    token: String,
}

pub(crate) async fn list(State(api): State<Api>) -> Json<Vec<TokenView>> {
    Json(api.0.access.list())
}

/// The only answer that ever holds a token's secret.
pub(crate) async fn create(
    State(api): State<Api>,
    Body(new): Body<NewToken>,
) -> Result<Response, ApiError> {
    let name = new.name.trim().to_owned();
    if name.is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
        return Err(ApiError::bad_request("name: write 1 to 100 printable characters"));
    }
    if [access::FILE_TOKEN, access::NOBODY].contains(&name.as_str()) {
        return Err(ApiError::bad_request(format!(
            "name: {name} means somebody else in the audit log; choose another one"
        )));
    }
    if new.expires_in_s == Some(0) {
        return Err(ApiError::bad_request("expiresInS: write 1 or more, or leave it out"));
    }
    let now_ms = jiff::Timestamp::now().as_millisecond();
    let expires = new.expires_in_s.map(|seconds| now_ms + i64::from(seconds) * 1000);
    let made = api.0.access.create(name, new.role, expires).await?;
    let (view, secret) = made.ok_or_else(|| {
        ApiError::new(
            StatusCode::CONFLICT,
            "TOKEN_EXISTS",
            "there is a token of this name already; remove it first",
        )
    })?;
    let body = Made { view, token: secret };
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

pub(crate) async fn remove(
    State(api): State<Api>,
    Segment(id): Segment,
) -> Result<Json<serde_json::Value>, ApiError> {
    if api.0.access.remove(&id).await? {
        return Ok(Json(json!({ "status": "removed" })));
    }
    Err(ApiError::not_found("TOKEN_NOT_FOUND", "there is no such token"))
}
