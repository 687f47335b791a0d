//! `/webhooks`: who is told of events, and how that goes.

use axum::{Json, extract::State};
use serde_json::{Value, json};

use crate::{
    api::{Api, body::Segment, error::ApiError},
    miners::WebhookStatus,
};

pub(crate) async fn list(State(api): State<Api>) -> Json<Vec<WebhookStatus>> {
    Json(api.0.miners.webhooks())
}

/// Sends an event of type `webhook.test`, once.
pub(crate) async fn test(
    State(api): State<Api>,
    Segment(name): Segment,
) -> Result<Json<Value>, ApiError> {
    let took = api.0.miners.test_webhook(&name).await?;
    let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    Ok(Json(json!({ "status": "delivered", "durationMs": took_ms })))
}
