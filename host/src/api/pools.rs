//! `/pools`: pools that profiles refer to, by name.

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Deserializer, de::IgnoredAny};
use serde_json::{Value, json};

use crate::{
    api::{
        Api,
        body::{Body, Segment},
        error::ApiError,
        etag::{IfMatch, Tagged},
    },
    miners::{PoolChange, PoolView},
};
use adit_model::{
    name::{PoolName, WalletName},
    pool::Pool,
};

/// A pool as clients send it; what only the host decides may be in it.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct PoolBody {
    name: Option<PoolName>,
    coin: Option<String>,
    url: String,
    #[serde(default)]
    tls: bool,
    tls_fingerprint: Option<String>,
    protocol: Option<String>,
    user: Option<String>,
    wallet: Option<WalletName>,
    /// Left out: kept. `null`: forgotten.
    #[serde(default, deserialize_with = "told")]
    password: Option<Option<String>>,
    #[serde(default, rename = "passwordSet")]
    #[schemars(with = "Option<Value>")]
    _password_set: IgnoredAny,
    #[serde(rename = "createdAtMs")]
    _created_at_ms: Option<i64>,
    updated_at_ms: Option<i64>,
}

/// `Some` when the field is there, whatever it holds.
fn told<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(from).map(Some)
}

impl PoolBody {
    fn named(self, name: PoolName) -> PoolChange {
        let no_password = self.password == Some(None);
        let pool = Pool {
            name,
            coin: self.coin,
            url: self.url,
            protocol: self.protocol,
            tls: self.tls,
            tls_fingerprint: self.tls_fingerprint,
            user: self.user,
            wallet: self.wallet,
            password: self.password.flatten(),
        };
        PoolChange { pool, no_password }
    }
}

fn tagged(status: StatusCode, view: PoolView) -> Tagged<PoolView> {
    Tagged { status, updated_at_ms: view.updated_at_ms, body: view }
}

pub(crate) async fn list(State(api): State<Api>) -> Result<Json<Vec<PoolView>>, ApiError> {
    Ok(Json(api.0.miners.pools().await?))
}

pub(crate) async fn create(
    State(api): State<Api>,
    Body(body): Body<PoolBody>,
) -> Result<Tagged<PoolView>, ApiError> {
    let name = body.name.clone().ok_or_else(|| ApiError::bad_request("name: missing"))?;
    Ok(tagged(StatusCode::CREATED, api.0.miners.create_pool(body.named(name)).await?))
}

pub(crate) async fn one(
    State(api): State<Api>,
    Segment(name): Segment,
) -> Result<Tagged<PoolView>, ApiError> {
    Ok(tagged(StatusCode::OK, api.0.miners.pool(&name).await?))
}

pub(crate) async fn put(
    State(api): State<Api>,
    Segment(name): Segment,
    if_match: IfMatch,
    Body(body): Body<PoolBody>,
) -> Result<Tagged<PoolView>, ApiError> {
    let name = api.0.miners.pool(&name).await?.pool.name;
    if body.name.as_ref().is_some_and(|given| *given != name) {
        return Err(ApiError::bad_request(
            "name: others refer to a pool by its name, so it stays: make a new one",
        ));
    }
    let expected = if_match.and(body.updated_at_ms);
    Ok(tagged(StatusCode::OK, api.0.miners.put_pool(body.named(name), &expected).await?))
}

pub(crate) async fn remove(
    State(api): State<Api>,
    Segment(name): Segment,
    IfMatch(expected): IfMatch,
) -> Result<Json<Value>, ApiError> {
    api.0.miners.delete_pool(&name, &expected).await?;
    Ok(Json(json!({ "status": "pool deleted" })))
}
