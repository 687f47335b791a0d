//! `/profiles`: saved configurations.

use adit_plugin_api::Config;
use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Value, json};

use crate::{
    api::{
        Api,
        body::{Body, OptionalBody, Parameters, Segment},
        error::ApiError,
        etag::{IfMatch, Tagged},
    },
    miners::{Explained, ProfileChange},
};
use adit_model::{
    miner::MinerView,
    name::{DriverId, MinerName},
    profile::{PoolChoice, ProfileView},
    restart::RestartPolicy,
    watchdog::limits::Options,
};

/// A profile as clients send it. What only the host decides may be in it, so that a client can
/// send back what it read.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct ProfileBody {
    id: Option<String>,
    name: String,
    miner_type: DriverId,
    #[serde(default)]
    config: Config,
    pools: Option<Vec<PoolChoice>>,
    tags: Option<Vec<String>>,
    autostart: Option<bool>,
    restart: Option<RestartPolicy>,
    watchdog: Option<Options>,
    #[serde(rename = "createdAtMs")]
    _created_at_ms: Option<i64>,
    updated_at_ms: Option<i64>,
    #[serde(default, rename = "miners")]
    #[schemars(with = "Option<Value>")]
    _miners: IgnoredAny,
    #[serde(default, rename = "problem")]
    #[schemars(with = "Option<Value>")]
    _problem: IgnoredAny,
}

impl From<ProfileBody> for ProfileChange {
    fn from(body: ProfileBody) -> Self {
        let ProfileBody { name, miner_type, config, pools, tags, autostart, restart, .. } = body;
        let watchdog = body.watchdog;
        Self { name, miner_type, config, pools, tags, autostart, restart, watchdog }
    }
}

fn tagged(status: StatusCode, view: ProfileView) -> Tagged<ProfileView> {
    Tagged { status, updated_at_ms: view.updated_at_ms, body: view }
}

pub(crate) async fn list(State(api): State<Api>) -> Result<Json<Vec<ProfileView>>, ApiError> {
    Ok(Json(api.0.miners.profiles().await?))
}

/// The host chooses the id, whatever the body says.
pub(crate) async fn create(
    State(api): State<Api>,
    Body(body): Body<ProfileBody>,
) -> Result<Tagged<ProfileView>, ApiError> {
    Ok(tagged(StatusCode::CREATED, api.0.miners.create_profile(body.into()).await?))
}

pub(crate) async fn one(
    State(api): State<Api>,
    Segment(id): Segment,
) -> Result<Tagged<ProfileView>, ApiError> {
    Ok(tagged(StatusCode::OK, api.0.miners.profile(&id).await?))
}

pub(crate) async fn put(
    State(api): State<Api>,
    Segment(id): Segment,
    if_match: IfMatch,
    Body(body): Body<ProfileBody>,
) -> Result<Tagged<ProfileView>, ApiError> {
    let current = api.0.miners.profile(&id).await?.id.to_string();
    if body.id.as_ref().is_some_and(|it| !it.is_empty() && *it != current) {
        return Err(ApiError::bad_request("id: is not the id of this profile: leave it out"));
    }
    let expected = if_match.and(body.updated_at_ms);
    Ok(tagged(StatusCode::OK, api.0.miners.put_profile(&id, body.into(), &expected).await?))
}

pub(crate) async fn remove(
    State(api): State<Api>,
    Segment(id): Segment,
    IfMatch(expected): IfMatch,
) -> Result<Json<Value>, ApiError> {
    api.0.miners.delete_profile(&id, &expected).await?;
    Ok(Json(json!({ "status": "profile deleted" })))
}

#[derive(Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StartBody {
    name: Option<MinerName>,
}

pub(crate) async fn start(
    State(api): State<Api>,
    Segment(id): Segment,
    OptionalBody(body): OptionalBody<StartBody>,
) -> Result<Json<MinerView>, ApiError> {
    Ok(Json(api.0.miners.start_profile(&id, body.name).await?))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlanQuery {
    /// The miner that would be started; the one that a start would take when absent.
    miner: Option<MinerName>,
}

pub(crate) async fn plan(
    State(api): State<Api>,
    Segment(id): Segment,
    Parameters(query): Parameters<PlanQuery>,
) -> Result<Json<Explained>, ApiError> {
    Ok(Json(api.0.miners.explain(&id, query.miner).await?))
}
