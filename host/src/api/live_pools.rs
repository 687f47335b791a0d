//! `/miners/{name}/pools`: other pools for a miner that runs.

use adit_plugin_api::Command;
use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    api::{
        Api,
        body::{Body, Segment},
        error::ApiError,
    },
    miners::Outcome,
};

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PoolsBody {
    /// All of them saved ones, or all of them written out; the first is tried first.
    pools: Vec<LivePool>,
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
enum LivePool {
    /// The name of a saved pool. Its wallet and password are filled in here.
    Saved(String),
    /// A pool as in the configuration of the miner's type.
    Own(Map<String, Value>),
}

/// Changes the pools until the end of the run. Nothing of the body is repeated in the answer.
pub(crate) async fn set(
    State(api): State<Api>,
    Segment(name): Segment,
    Body(body): Body<PoolsBody>,
) -> Result<Response, ApiError> {
    let params = json!({ "pools": pools(&api, &name, body.pools).await? });
    let command = Command { name: "set-pools".to_owned(), params };
    let (status, answer) = match api.0.miners.command(&name, command).await? {
        Outcome::Verified => (StatusCode::OK, json!({ "status": "connected", "verified": true })),
        Outcome::Sent => (StatusCode::ACCEPTED, json!({ "status": "sent", "verified": false })),
        Outcome::Pending(instead) => {
            let reason = format!(
                "the miner took the new pools, but {instead}: check their addresses and what the \
                 miner prints"
            );
            let answer = json!({ "status": "pending", "verified": false, "reason": reason });
            (StatusCode::ACCEPTED, answer)
        }
    };
    Ok((status, Json(answer)).into_response())
}

/// The pools in the words of the miner's type.
async fn pools(
    api: &Api,
    miner: &str,
    given: Vec<LivePool>,
) -> Result<Vec<Map<String, Value>>, ApiError> {
    let count = given.len();
    let (mut saved, mut own) = (Vec::new(), Vec::new());
    for pool in given {
        match pool {
            LivePool::Saved(name) => saved.push(name),
            LivePool::Own(fields) => own.push(fields),
        }
    }
    if saved.is_empty() {
        return Ok(own);
    }
    if saved.len() < count {
        let told = "pools: write names of saved pools, or pools with their fields, and not both";
        return Err(ApiError::bad_request(told));
    }
    Ok(api.0.miners.saved_pools(miner, &saved).await?)
}
