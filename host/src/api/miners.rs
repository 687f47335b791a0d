//! `/miners`: what is mined here.

use std::{collections::BTreeMap, time::Duration};

use adit_plugin_api::{Command, Config, PerformanceMetrics};
use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    api::{
        Api,
        body::{Body, Parameters, Segment},
        error::ApiError,
    },
    miners::{LogPage, NewMiner, Outcome},
};
use adit_model::{
    miner::MinerView,
    name::{DriverId, MinerName},
    plan::PlanView,
    restart::RestartPolicy,
    watchdog::limits::Options,
};
use adit_store::RunRow;

/// How long an answer to a stop may wait for the end; a stop ladder may take longer.
const STOP_PATIENCE: Duration = Duration::from_secs(25);
/// Longest time to wait for new output, in seconds.
const FOLLOW_S: u64 = 20;

/// A driver that miners can be made of.
#[derive(Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Available {
    name: DriverId,
    description: String,
    title: String,
    algorithms: Vec<String>,
    devices: Vec<String>,
    commands: Vec<String>,
    installed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    config_schema: Value,
    defaults: Value,
}

pub(crate) async fn available(State(api): State<Api>) -> Json<Vec<Available>> {
    let mut all = BTreeMap::new();
    for driver in api.0.drivers.loaded() {
        let program = api.0.miners.program(&driver).await;
        let description = driver.description().clone();
        let entry = Available {
            name: driver.id().clone(),
            description: description.summary,
            title: description.name,
            algorithms: description.algorithms,
            devices: description.devices,
            commands: description.commands,
            installed: program.is_ok(),
            problem: program.err().map(|error| error.to_string()),
            config_schema: description.config_schema,
            defaults: description.defaults,
        };
        all.insert(driver.id().clone(), entry);
    }
    Json(all.into_values().collect())
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct NewMinerBody {
    /// Its name; one is made of the type or the profile when absent.
    name: Option<MinerName>,
    /// The driver's id, unless there is a profile.
    #[serde(rename = "type")]
    driver: Option<DriverId>,
    /// What the driver's schema describes. Absent or null it is empty, and all has its default; a
    /// field inside must not be null.
    config: Option<Config>,
    /// What happens after its end; the usual when absent or null.
    restart: Option<RestartPolicy>,
    /// Id or name of a profile, instead of type, config and restart.
    profile: Option<String>,
    /// How it is watched; as the settings say when absent or null.
    watchdog: Option<Options>,
}

pub(crate) async fn create(
    State(api): State<Api>,
    Body(body): Body<NewMinerBody>,
) -> Result<Response, ApiError> {
    let NewMinerBody { name, driver, config, restart, profile, watchdog } = body;
    let watchdog = watchdog.unwrap_or_default();
    watchdog.check().map_err(|wrong| ApiError::bad_request(format!("watchdog.{wrong}")))?;
    let view = match (driver, profile) {
        (Some(driver), None) => {
            let (config, restart) = (config.unwrap_or_default(), restart.unwrap_or_default());
            api.0.miners.create(NewMiner { name, driver, config, restart, watchdog }).await?
        }
        (None, Some(profile)) => {
            for (field, is_set) in [("config", config.is_some()), ("restart", restart.is_some())] {
                if is_set {
                    let told = format!("{field}: the profile says this: leave one of them out");
                    return Err(ApiError::bad_request(told));
                }
            }
            api.0.miners.create_from_profile(&profile, name, watchdog).await?
        }
        (Some(_), Some(_)) => {
            return Err(ApiError::bad_request(
                "type: the profile says this: leave one of them out",
            ));
        }
        (None, None) => {
            return Err(ApiError::bad_request(
                "the body cannot be used: missing field `type`, or profile instead of it",
            ));
        }
    };
    Ok((StatusCode::CREATED, Json(view)).into_response())
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StopQuery {
    /// Also forget the miner, its configuration and its log.
    #[serde(default)]
    remove: bool,
}

/// Stops; the miner stays listed as stopped unless it is to be removed.
pub(crate) async fn stop(
    State(api): State<Api>,
    Segment(name): Segment,
    Parameters(query): Parameters<StopQuery>,
) -> Result<Json<Value>, ApiError> {
    // In a task of its own, so that a client that hangs up does not leave half of it undone.
    let (miners, miner) = (api.0.miners.clone(), name.clone());
    let stopping = tokio::spawn(async move {
        if query.remove { miners.remove(&miner).await } else { miners.stop(&miner).await }
    });
    let done = if query.remove { "removed" } else { "stopped" };
    let mut answer = match tokio::time::timeout(STOP_PATIENCE, stopping).await {
        Ok(Ok(result)) => result.map(|()| json!({ "status": done }))?,
        Ok(Err(_)) => return Err(crate::miners::Error::ShuttingDown.into()),
        Err(_) => {
            let reason = api.0.miners.get(&name).ok().and_then(|miner| miner.reason);
            json!({ "status": "stopping", "reason": reason })
        }
    };
    if let Some(warning) = api.0.miners.stop_warning(&name) {
        answer["warning"] = json!(warning);
    }
    Ok(Json(answer))
}

pub(crate) async fn start(
    State(api): State<Api>,
    Segment(name): Segment,
) -> Result<Json<MinerView>, ApiError> {
    Ok(Json(api.0.miners.start(&name).await?))
}

pub(crate) async fn restart(
    State(api): State<Api>,
    Segment(name): Segment,
) -> Result<Json<Value>, ApiError> {
    let view = api.0.miners.get(&name)?;
    let restarting = tokio::spawn(async move { api.0.miners.restart(&name).await });
    match tokio::time::timeout(STOP_PATIENCE, restarting).await {
        Ok(Ok(result)) => {
            { result.map(|view| Json(json!({ "status": "restarted", "miner": view }))) }
                .map_err(Into::into)
        }
        Ok(Err(_)) => Err(crate::miners::Error::ShuttingDown.into()),
        Err(_) => Ok(Json(json!({ "status": "restarting", "miner": view }))),
    }
}

pub(crate) async fn stats(
    State(api): State<Api>,
    Segment(name): Segment,
) -> Result<Json<PerformanceMetrics>, ApiError> {
    let view = api.0.miners.get(&name)?;
    let phase = Some(view.phase);
    Ok(Json(PerformanceMetrics { phase, ..view.stats.unwrap_or_default() }))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogQuery {
    /// Last lines to return.
    lines: Option<usize>,
    /// A cursor: return what came after it.
    after: Option<String>,
    /// Seconds to wait for something after the cursor.
    wait: Option<u64>,
}

/// Lines of a log when nobody says how many: as many as the earlier system kept.
const LINES: usize = 500;

/// A miner's output, in one of two forms.
#[derive(Serialize, schemars::JsonSchema)]
#[serde(untagged)]
pub(crate) enum Logs {
    /// Whoever asks for something particular gets lines and where the next ones begin.
    Page(LogPage),
    /// Whoever asks for nothing in particular gets the last 500 lines, each in Base64, as the
    /// clients of the earlier system expect them.
    Lines(Vec<String>),
}

pub(crate) async fn logs(
    State(api): State<Api>,
    Segment(name): Segment,
    Parameters(query): Parameters<LogQuery>,
) -> Result<Json<Logs>, ApiError> {
    let miners = &api.0.miners;
    let page = match query {
        LogQuery { lines: None, after: None, wait: None } => {
            let page = miners.tail(&name, LINES).await?;
            let lines = page.lines.iter().map(|line| BASE64.encode(line.as_bytes()));
            return Ok(Json(Logs::Lines(lines.collect())));
        }
        LogQuery { lines: Some(_), after: Some(_), .. } => {
            return Err(ApiError::bad_request("lines and after: write one of them"));
        }
        LogQuery { after: None, wait: Some(_), .. } => {
            return Err(ApiError::bad_request("wait: works together with after only"));
        }
        LogQuery { lines, after: None, wait: None } => {
            miners.tail(&name, lines.unwrap_or(LINES)).await?
        }
        LogQuery { after: Some(cursor), wait, .. } => {
            let patience = Duration::from_secs(wait.unwrap_or(0).min(FOLLOW_S));
            miners.follow(&name, &cursor, patience).await?
        }
    };
    Ok(Json(Logs::Page(page)))
}

pub(crate) async fn plan(
    State(api): State<Api>,
    Segment(name): Segment,
) -> Result<Json<PlanView>, ApiError> {
    Ok(Json(api.0.miners.plan(&name).await?))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunsQuery {
    limit: Option<u32>,
}

pub(crate) async fn runs(
    State(api): State<Api>,
    Segment(name): Segment,
    Parameters(query): Parameters<RunsQuery>,
) -> Result<Json<Vec<RunRow>>, ApiError> {
    Ok(Json(api.0.miners.runs(&name, query.limit.unwrap_or(20).min(1_000)).await?))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StdinBody {
    input: String,
}

pub(crate) async fn stdin(
    State(api): State<Api>,
    Segment(name): Segment,
    Body(body): Body<StdinBody>,
) -> Result<Json<Value>, ApiError> {
    api.0.miners.stdin(&name, &body.input).await?;
    Ok(Json(json!({ "status": "sent", "input": body.input })))
}

pub(crate) async fn pause(
    State(api): State<Api>,
    Segment(name): Segment,
) -> Result<Json<Value>, ApiError> {
    command(&api, &name, "pause", "paused").await
}

pub(crate) async fn resume(
    State(api): State<Api>,
    Segment(name): Segment,
) -> Result<Json<Value>, ApiError> {
    command(&api, &name, "resume", "resumed").await
}

async fn command(api: &Api, miner: &str, name: &str, done: &str) -> Result<Json<Value>, ApiError> {
    let command = Command { name: name.to_owned(), params: Value::Null };
    let verified = api.0.miners.command(miner, command).await? == Outcome::Verified;
    Ok(Json(json!({ "status": if verified { done } else { "sent" }, "verified": verified })))
}
