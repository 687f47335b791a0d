//! `/incidents`, and what a miner's watchdog is told under `/miners/{name}`.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api::{
    Api,
    body::{Body, Parameters, Segment},
    error::ApiError,
};
use adit_model::watchdog::{
    incident::{Evidence, Incident},
    limits::Options,
};

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    /// Incidents to return, newest first; 50 when absent.
    limit: Option<u32>,
}

impl ListQuery {
    fn limit(&self) -> u32 {
        self.limit.unwrap_or(50).min(1_000)
    }
}

pub(crate) async fn all(
    State(api): State<Api>,
    Parameters(query): Parameters<ListQuery>,
) -> Result<Json<Vec<Incident>>, ApiError> {
    Ok(Json(api.0.miners.incidents(None, query.limit()).await?))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfMinerQuery {
    /// Incidents to return, newest first; 50 when absent, at most 20 with their evidence.
    limit: Option<u32>,
    /// Whether each comes with what it was decided from.
    #[serde(default)]
    evidence: bool,
}

/// Most incidents in one answer when each has its evidence, which may be 100 KiB.
const WHOLE: u32 = 20;

pub(crate) async fn of_miner(
    State(api): State<Api>,
    Segment(name): Segment,
    Parameters(OfMinerQuery { limit, evidence }): Parameters<OfMinerQuery>,
) -> Result<Json<Vec<Whole>>, ApiError> {
    let limit = ListQuery { limit }.limit();
    let limit = if evidence { limit.min(WHOLE) } else { limit };
    let mut whole = Vec::new();
    for incident in api.0.miners.incidents(Some(&name), limit).await? {
        let evidence = if evidence { api.0.miners.incident(incident.id).await.ok() } else { None };
        whole.push(Whole { incident, evidence: evidence.map(|it| it.1) });
    }
    Ok(Json(whole))
}

/// An incident with what it was decided from.
#[derive(Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Whole {
    #[serde(flatten)]
    incident: Incident,
    /// Absent in a list that was not asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<Evidence>,
}

pub(crate) async fn one(
    State(api): State<Api>,
    Segment(id): Segment,
) -> Result<Json<Whole>, ApiError> {
    let number = id.parse().map_err(|_| {
        ApiError::bad_request("the id of an incident is a whole number, see GET /incidents")
    })?;
    let (incident, evidence) = api.0.miners.incident(number).await?;
    Ok(Json(Whole { incident, evidence: Some(evidence) }))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MaintenanceBody {
    /// For how long; 0 ends it.
    minutes: u32,
}

pub(crate) async fn maintenance(
    State(api): State<Api>,
    Segment(name): Segment,
    Body(body): Body<MaintenanceBody>,
) -> Result<Json<Value>, ApiError> {
    let until = api.0.miners.maintain(&name, body.minutes).await?;
    let status = if until.is_some() { "maintenance" } else { "watched" };
    Ok(Json(json!({ "status": status, "untilMs": until })))
}

pub(crate) async fn options(
    State(api): State<Api>,
    Segment(name): Segment,
) -> Result<Json<Options>, ApiError> {
    Ok(Json(api.0.miners.watchdog_options(&name)?))
}

pub(crate) async fn set_options(
    State(api): State<Api>,
    Segment(name): Segment,
    Body(options): Body<Options>,
) -> Result<Json<Options>, ApiError> {
    api.0.miners.set_watchdog_options(&name, options).await?;
    Ok(Json(api.0.miners.watchdog_options(&name)?))
}
