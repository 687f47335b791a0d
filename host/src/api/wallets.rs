//! `/wallets`: where the income goes, by name.

use axum::{Json, extract::State, http::StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    api::{
        Api,
        body::{Body, Segment},
        error::ApiError,
        etag::{IfMatch, Tagged},
    },
    miners::WalletView,
};
use adit_model::{name::WalletName, pool::Wallet};

/// A wallet as clients send it; what only the host decides may be in it.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct WalletBody {
    name: Option<WalletName>,
    coin: Option<String>,
    address: String,
    #[serde(rename = "createdAtMs")]
    _created_at_ms: Option<i64>,
    updated_at_ms: Option<i64>,
}

fn tagged(status: StatusCode, view: WalletView) -> Tagged<WalletView> {
    Tagged { status, updated_at_ms: view.updated_at_ms, body: view }
}

pub(crate) async fn list(State(api): State<Api>) -> Result<Json<Vec<WalletView>>, ApiError> {
    Ok(Json(api.0.miners.wallets().await?))
}

pub(crate) async fn create(
    State(api): State<Api>,
    Body(body): Body<WalletBody>,
) -> Result<Tagged<WalletView>, ApiError> {
    let name = body.name.ok_or_else(|| ApiError::bad_request("name: missing"))?;
    let wallet = Wallet { name, coin: body.coin, address: body.address };
    Ok(tagged(StatusCode::CREATED, api.0.miners.create_wallet(wallet).await?))
}

pub(crate) async fn one(
    State(api): State<Api>,
    Segment(name): Segment,
) -> Result<Tagged<WalletView>, ApiError> {
    Ok(tagged(StatusCode::OK, api.0.miners.wallet(&name).await?))
}

pub(crate) async fn put(
    State(api): State<Api>,
    Segment(name): Segment,
    if_match: IfMatch,
    Body(body): Body<WalletBody>,
) -> Result<Tagged<WalletView>, ApiError> {
    let name = api.0.miners.wallet(&name).await?.wallet.name;
    if body.name.is_some_and(|given| given != name) {
        return Err(ApiError::bad_request(
            "name: others refer to a wallet by its name, so it stays: make a new one",
        ));
    }
    let wallet = Wallet { name, coin: body.coin, address: body.address };
    let expected = if_match.and(body.updated_at_ms);
    Ok(tagged(StatusCode::OK, api.0.miners.put_wallet(wallet, &expected).await?))
}

pub(crate) async fn remove(
    State(api): State<Api>,
    Segment(name): Segment,
    IfMatch(expected): IfMatch,
) -> Result<Json<Value>, ApiError> {
    api.0.miners.delete_wallet(&name, &expected).await?;
    Ok(Json(json!({ "status": "wallet deleted" })))
}
