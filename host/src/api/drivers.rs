//! `/drivers`: what can be mined with.

use axum::{Json, extract, http::StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::{
    Api,
    body::{Body, Segment},
    error::ApiError,
};
use adit_drivers::registry::{Listed, ManageError, State};
use adit_model::name::DriverId;

pub(crate) async fn list(extract::State(api): extract::State<Api>) -> Json<Vec<Listed>> {
    Json(api.0.drivers.list())
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Approval {
    /// Of the file, in hex, as `GET /drivers` lists it.
    sha256: String,
}

/// Forgets a driver's failures by loading it anew.
pub(crate) async fn clear(
    extract::State(api): extract::State<Api>,
    Segment(id): Segment,
) -> Result<Json<Value>, ApiError> {
    let id = DriverId::new(id.clone()).map_err(|_| ManageError::NoDriver(short(&id)))?;
    let driver = api.0.drivers.clear(&id).await?;
    Ok(Json(json!({ "id": id, "status": "cleared", "loadedAt": driver.loaded_at() })))
}

/// Approves a file; it is loaded at once if it is the best of its id.
pub(crate) async fn trust(
    extract::State(api): extract::State<Api>,
    Segment(id): Segment,
    Body(approval): Body<Approval>,
) -> Result<Json<Value>, ApiError> {
    let id = DriverId::new(id.clone()).map_err(|_| ManageError::NoDriver(short(&id)))?;
    api.0.drivers.trust(&id, &approval.sha256).await?;
    Ok(Json(json!({ "id": id, "status": "trusted" })))
}

fn short(text: &str) -> String {
    text.chars().take(80).collect()
}

impl From<ManageError> for ApiError {
    fn from(error: ManageError) -> Self {
        let (status, code) = match &error {
            ManageError::NoDriver(_) => (StatusCode::NOT_FOUND, "DRIVER_NOT_FOUND"),
            ManageError::NotLoaded { .. } => (StatusCode::BAD_GATEWAY, "DRIVER_NOT_LOADED"),
            ManageError::Lock(_) => (StatusCode::INTERNAL_SERVER_ERROR, "IO_ERROR"),
        };
        Self::new(status, code, error.to_string())
    }
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
        "interpreter": driver.interpreter(),
        "loadedAt": driver.loaded_at(),
        "manifest": driver.manifest(),
        "description": driver.description(),
        "healthy": matches!(healthy, Ok(true)),
        "problem": healthy.err().map(|error| error.to_string()),
        "health": driver.health(),
    })))
}
