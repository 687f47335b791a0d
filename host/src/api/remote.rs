//! `/remote`: what other nodes do, and having them do it.

use axum::{
    Extension, Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    api::{
        Api,
        access::Caller,
        body::{Body, Parameters, Segment},
        error::ApiError,
        history::asked_of,
    },
    node::{
        command::{Outcome, Targets, Waves},
        fleet::{Past, Teller},
        message,
        payload::{Deploy, Install, StartMiner, StopMiner},
        view::{FleetStats, RemoteStats},
    },
};
use adit_model::{
    access::Role,
    name::{DriverId, MinerName},
};

/// Time that a chart shows when nobody says which, in milliseconds.
const RECENT_MS: i64 = 5 * 60_000;

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FleetQuery {
    /// Also the figures of every node.
    #[serde(default = "yes")]
    peers: bool,
}

fn yes() -> bool {
    true
}

pub(crate) async fn fleet(
    State(api): State<Api>,
    Parameters(query): Parameters<FleetQuery>,
) -> Result<Json<FleetStats>, ApiError> {
    let node = api.0.node.clone();
    // Thousands of reports are read for it.
    let fleet = tokio::task::spawn_blocking(move || node.fleet(query.peers)).await;
    Ok(Json(fleet.unwrap_or(Err(crate::node::Error::ShuttingDown))?))
}

pub(crate) async fn stats(
    State(api): State<Api>,
    Segment(peer): Segment,
) -> Result<Json<RemoteStats>, ApiError> {
    Ok(Json(api.0.node.remote_stats(&peer).await?))
}

/// What to start: one of them.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct StartBody {
    miner_name: Option<MinerName>,
    profile_id: Option<String>,
    miner_type: Option<DriverId>,
    config: Option<Map<String, Value>>,
    /// The same for every repetition of one wish: it has one effect.
    request_id: Option<Uuid>,
}

impl StartBody {
    /// What is configured there may be started by whoever operates; a new configuration may
    /// redirect an income.
    fn message(self, caller: &Caller) -> Result<(message::Body, Option<Uuid>), ApiError> {
        let Self { miner_name, profile_id, miner_type, config, request_id } = self;
        // Older clients name the type together with the profile, which has one of its own.
        let miner_type = miner_type.filter(|_| profile_id.is_none());
        if caller.role < Role::Admin && (config.is_some() || miner_type.is_some()) {
            return Err(ApiError::new(
                StatusCode::FORBIDDEN,
                "ROLE_TOO_LOW",
                "minerType, config: a new miner needs a token with the role admin",
            ));
        }
        if miner_name.is_none() && profile_id.is_none() && miner_type.is_none() {
            return Err(ApiError::bad_request("write minerName, profileId or minerType"));
        }
        let start = StartMiner { miner_name, profile_id, miner_type, config };
        Ok((message::Body::StartMiner(start), request_id))
    }
}

pub(crate) async fn start(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Segment(peer): Segment,
    Body(body): Body<StartBody>,
) -> Result<Json<Value>, ApiError> {
    let (message, request) = body.message(&caller)?;
    Ok(Json(api.0.node.command(&peer, message, request).await?))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct StopBody {
    miner_name: MinerName,
    request_id: Option<Uuid>,
}

pub(crate) async fn stop(
    State(api): State<Api>,
    Segment(peer): Segment,
    Body(body): Body<StopBody>,
) -> Result<Json<Value>, ApiError> {
    let StopBody { miner_name, request_id } = body;
    let message = message::Body::StopMiner(StopMiner { miner_name });
    Ok(Json(api.0.node.command(&peer, message, request_id).await?))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct InstallBody {
    miner_type: DriverId,
    version: Option<String>,
    request_id: Option<Uuid>,
}

pub(crate) async fn install(
    State(api): State<Api>,
    Segment(peer): Segment,
    Body(body): Body<InstallBody>,
) -> Result<Json<Value>, ApiError> {
    let InstallBody { miner_type, version, request_id } = body;
    let message = message::Body::Install(Install { miner_type, version });
    Ok(Json(api.0.node.command(&peer, message, request_id).await?))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogQuery {
    /// Last lines to return; 100 when absent.
    lines: Option<usize>,
    /// A cursor: return what came after it.
    after: Option<String>,
    /// With the cursor, instead of the lines alone.
    #[serde(default)]
    page: bool,
}

/// The lines of a log, or with a place to go on from.
#[derive(Serialize, schemars::JsonSchema)]
#[serde(untagged)]
pub(crate) enum RemoteLogs {
    Lines(Vec<String>),
    Page(crate::node::payload::Logs),
}

pub(crate) async fn logs(
    State(api): State<Api>,
    Path((peer, miner)): Path<(String, String)>,
    Parameters(query): Parameters<LogQuery>,
) -> Result<Json<RemoteLogs>, ApiError> {
    let miner = MinerName::new(miner).map_err(|error| ApiError::bad_request(error.to_string()))?;
    let LogQuery { lines, after, page } = query;
    if after.is_some() && lines.is_some() {
        return Err(ApiError::bad_request("lines and after: write one of them"));
    }
    let page = page || after.is_some();
    let logs = api.0.node.remote_logs(&peer, miner, lines, after).await?;
    Ok(Json(if page { RemoteLogs::Page(logs) } else { RemoteLogs::Lines(logs.lines) }))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PastQuery {
    since: Option<String>,
    until: Option<String>,
    points: Option<u64>,
    metric: Option<String>,
    /// Who tells; the node when it is connected, else this one.
    source: Option<Teller>,
}

/// The last five minutes, or any other time.
pub(crate) async fn past(
    State(api): State<Api>,
    Path((peer, miner)): Path<(String, String)>,
    Parameters(query): Parameters<PastQuery>,
) -> Result<Json<Value>, ApiError> {
    let miner = MinerName::new(miner).map_err(|error| ApiError::bad_request(error.to_string()))?;
    let PastQuery { since, until, points, metric, source } = query;
    let time = (since, until, RECENT_MS);
    let (range, points, metric) = asked_of(time, points, metric.as_deref())?;
    let what = Past { range, points, metric };
    Ok(Json(api.0.node.remote_chart(&peer, miner, what, source).await?))
}

/// A command to many nodes: which, in what waves, and what.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Many<T> {
    targets: Targets,
    #[serde(default)]
    waves: Waves,
    command: T,
}

pub(crate) async fn start_many(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Body(body): Body<Many<StartBody>>,
) -> Result<Json<Vec<Outcome>>, ApiError> {
    let (message, _) = body.command.message(&caller)?;
    Ok(Json(api.0.node.command_many(&body.targets, message, body.waves).await?))
}

pub(crate) async fn stop_many(
    State(api): State<Api>,
    Body(body): Body<Many<StopMiner>>,
) -> Result<Json<Vec<Outcome>>, ApiError> {
    let message = message::Body::StopMiner(body.command);
    Ok(Json(api.0.node.command_many(&body.targets, message, body.waves).await?))
}

pub(crate) async fn install_many(
    State(api): State<Api>,
    Body(body): Body<Many<Install>>,
) -> Result<Json<Vec<Outcome>>, ApiError> {
    let message = message::Body::Install(body.command);
    Ok(Json(api.0.node.command_many(&body.targets, message, body.waves).await?))
}

pub(crate) async fn deploy_many(
    State(api): State<Api>,
    Body(body): Body<Many<Deploy>>,
) -> Result<Json<Vec<Outcome>>, ApiError> {
    let message = message::Body::Deploy(body.command);
    Ok(Json(api.0.node.command_many(&body.targets, message, body.waves).await?))
}
