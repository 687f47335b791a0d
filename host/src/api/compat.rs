//! `/compat`: the figures of a miner as other people's tools read them. Nothing can be changed here.

pub(super) mod claymore;
pub(super) mod port;

use axum::{
    Json,
    extract::{RawQuery, State},
    http::StatusCode,
};
use serde_json::Value;

use crate::{
    api::{Api, body::Segment, error::ApiError},
    miners,
};
use adit_model::dialect::{Subject, hive, mmp, xmrig};

impl Api {
    /// What the dialects tell of the miner `name`.
    fn subject(&self, name: &str) -> Result<Subject, ApiError> {
        let miner = self.0.miners.get(name)?;
        let driver = self.0.drivers.get(&miner.miner_type);
        let algorithms = driver.map(|it| it.description().algorithms.clone()).unwrap_or_default();
        let subject = Subject::new(miner, &self.0.options.worker, miners::machine());
        Ok(Subject { algorithms, ..subject })
    }
}

/// XMRig's paths match as a whole: it answers none with a query.
fn no_query(RawQuery(query): RawQuery) -> Result<(), ApiError> {
    let why = "XMRig answers no path with a query: leave out what stands behind the question mark";
    query.map_or(Ok(()), |_| Err(ApiError::not_found("NOT_FOUND", why)))
}

pub(crate) async fn summary_1(
    State(api): State<Api>,
    Segment(name): Segment,
    query: RawQuery,
) -> Result<Json<Value>, ApiError> {
    no_query(query)?;
    Ok(Json(xmrig::summary(&api.subject(&name)?, xmrig::Form::One)))
}

pub(crate) async fn summary_2(
    State(api): State<Api>,
    Segment(name): Segment,
    query: RawQuery,
) -> Result<Json<Value>, ApiError> {
    no_query(query)?;
    Ok(Json(xmrig::summary(&api.subject(&name)?, xmrig::Form::Two)))
}

pub(crate) async fn backends(
    State(api): State<Api>,
    Segment(name): Segment,
    query: RawQuery,
) -> Result<Json<Value>, ApiError> {
    no_query(query)?;
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
