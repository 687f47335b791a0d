//! `/drivers`: what can be mined with.

use axum::{Json, extract};
use serde_json::{Value, json};

use crate::{
    api::{Api, body::Segment, error::ApiError},
    drivers::registry::{Listed, State},
    model::name::DriverId,
};

pub(crate) async fn list(extract::State(api): extract::State<Api>) -> Json<Vec<Listed>> {
    Json(api.0.drivers.list())
}

pub(crate) async fn one(
    extract::State(api): extract::State<Api>,
    Segment(id): Segment,
) -> Result<Json<Value>, ApiError> {
    let found = DriverId::new(id).ok().and_then(|id| api.0.drivers.get(&id));
    let driver = found.ok_or_else(|| {
        ApiError::not_found("DRIVER_NOT_FOUND", "there is no such driver; GET /drivers lists them")
    })?;
    let healthy = match driver.instance(None).await {
        Ok(instance) => instance.is_healthy().await,
        Err(error) => Err(error),
    };
    let (condition, reason) = driver.condition();
    Ok(Json(json!({
        "id": driver.id(),
        "state": State::of(condition),
        "reason": reason,
        "isolation": driver.isolation(),
        "process": driver.runner(),
        "quarantine": driver.quarantine(),
        "path": driver.path(),
        "sha256": driver.sha256(),
        "loadedAt": driver.loaded_at(),
        "manifest": driver.manifest(),
        "description": driver.description(),
        "healthy": matches!(healthy, Ok(true)),
        "problem": healthy.err().map(|error| error.to_string()),
        "health": driver.health(),
    })))
}
