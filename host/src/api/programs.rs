//! `/miners/{type}/install` and its like: the programs of drivers.

use std::time::Duration;

use axum::{Json, extract::State};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    api::{
        Api,
        body::{OptionalBody, Parameters, Segment},
        error::ApiError,
    },
    miners::{Error, Install, InstalledPrograms},
};
use adit_model::name::DriverId;

/// How long an answer waits for the end of an installation.
const PATIENCE: Duration = Duration::from_secs(20);

/// Answers early when it takes long; `versions` tells how it goes on.
pub(crate) async fn install(
    State(api): State<Api>,
    Segment(miner_type): Segment,
    OptionalBody(install): OptionalBody<Install>,
) -> Result<Json<Value>, ApiError> {
    let driver = id(&miner_type)?;
    let installing = tokio::spawn(async move { api.0.miners.install(&driver, install).await });
    let Ok(done) = tokio::time::timeout(PATIENCE, installing).await else {
        return Ok(Json(json!({ "status": "installing" })));
    };
    let mut report = done.unwrap_or(Err(Error::ShuttingDown))?.report();
    report["status"] = json!("installed");
    Ok(Json(report))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UninstallQuery {
    /// The version; all when absent.
    version: Option<String>,
}

pub(crate) async fn uninstall(
    State(api): State<Api>,
    Segment(miner_type): Segment,
    Parameters(query): Parameters<UninstallQuery>,
) -> Result<Json<Value>, ApiError> {
    let removed = api.0.miners.uninstall(&id(&miner_type)?, query.version.as_deref()).await?;
    Ok(Json(json!({ "status": "uninstalled", "versions": removed })))
}

pub(crate) async fn rollback(
    State(api): State<Api>,
    Segment(miner_type): Segment,
) -> Result<Json<Value>, ApiError> {
    let version = api.0.miners.rollback(&id(&miner_type)?).await?;
    Ok(Json(json!({
        "status": "rolled back",
        "version": version.version,
        "path": version.path,
    })))
}

pub(crate) async fn versions(
    State(api): State<Api>,
    Segment(miner_type): Segment,
) -> Result<Json<InstalledPrograms>, ApiError> {
    Ok(Json(api.0.miners.versions(&id(&miner_type)?)?))
}

fn id(text: &str) -> Result<DriverId, ApiError> {
    DriverId::new(text).map_err(|error| ApiError::bad_request(error.to_string()))
}
