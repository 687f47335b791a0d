//! `/compat`: the figures of a miner as other people's tools read them. Nothing can be changed here.

pub(super) mod claymore;
pub(super) mod port;

use axum::{Json, extract::State, http::StatusCode};
use serde_json::Value;

use crate::{
    api::{Api, body::Segment, error::ApiError},
    miners,
    model::dialect::{Subject, hive, mmp, xmrig},
};

impl Api {
    /// What the dialects tell of the miner `name`.
    fn subject(&self, name: &str) -> Result<Subject, ApiError> {
        let miner = self.0.miners.get(name)?;
        Ok(Subject::new(miner, &self.0.options.worker, miners::machine()))
    }
}

pub(crate) async fn summary_1(
    State(api): State<Api>,
    Segment(name): Segment,
) -> Result<Json<Value>, ApiError> {
    Ok(Json(xmrig::summary(&api.subject(&name)?, xmrig::Form::One)))
}

pub(crate) async fn summary_2(
    State(api): State<Api>,
    Segment(name): Segment,
) -> Result<Json<Value>, ApiError> {
    Ok(Json(xmrig::summary(&api.subject(&name)?, xmrig::Form::Two)))
}

pub(crate) async fn backends(
    State(api): State<Api>,
    Segment(name): Segment,
) -> Result<Json<Value>, ApiError> {
    Ok(Json(xmrig::backends(&api.subject(&name)?)))
}

/// What XMRig answers where its API is restricted.
pub(crate) async fn restricted(State(_): State<Api>, Segment(_): Segment) -> ApiError {
    ApiError::new(
        StatusCode::FORBIDDEN,
        "RESTRICTED",
        "this only tells figures: change the miner with /miners/{name} or its profile",
    )
}

pub(crate) async fn hiveos(
    State(api): State<Api>,
    Segment(name): Segment,
) -> Result<Json<Value>, ApiError> {
    Ok(Json(hive::stats(&api.subject(&name)?)))
}

pub(crate) async fn mmpos(
    State(api): State<Api>,
    Segment(name): Segment,
) -> Result<Json<Value>, ApiError> {
    Ok(Json(mmp::stats(&api.subject(&name)?)))
}
