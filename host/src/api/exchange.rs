//! `/profiles/export` and `/profiles/import`: everything that is saved, as one document.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;

use crate::{
    api::{
        Api,
        body::{Body, Parameters},
        error::ApiError,
        json,
    },
    miners::{Conflicts, Document, Imported},
};
use adit_model::{
    pool::{Pool, Wallet},
    profile::ProfileFields,
};

#[derive(Clone, Copy, Default, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Format {
    #[default]
    Json,
    Toml,
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExportQuery {
    #[serde(default)]
    format: Format,
}

pub(crate) async fn export(
    State(api): State<Api>,
    Parameters(query): Parameters<ExportQuery>,
) -> Result<Response, ApiError> {
    let document = api.0.miners.export().await?;
    match query.format {
        Format::Json => Ok(Json(document).into_response()),
        Format::Toml => {
            let text = document
                .to_toml()
                .map_err(|told| ApiError::new(StatusCode::BAD_REQUEST, "UNSUPPORTED", told))?;
            Ok(([(header::CONTENT_TYPE, "application/toml")], text).into_response())
        }
    }
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct ImportQuery {
    #[serde(default)]
    conflicts: Conflicts,
    #[serde(default)]
    dry_run: bool,
}

/// The document itself, or its TOML text in a field.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImportBody {
    toml: Option<String>,
    adit: Option<u32>,
    wallets: Option<Vec<Wallet>>,
    pools: Option<Vec<Pool>>,
    profiles: Option<Vec<ProfileFields>>,
}

pub(crate) async fn import(
    State(api): State<Api>,
    Parameters(query): Parameters<ImportQuery>,
    Body(body): Body<ImportBody>,
) -> Result<Json<Imported>, ApiError> {
    let document = document(body).map_err(ApiError::bad_request)?;
    Ok(Json(api.0.miners.import(document, query.conflicts, query.dry_run).await?))
}

/// Read as JSON is, so that errors have no value of the text: it may hold secrets.
fn from_toml(text: &str) -> Result<Document, String> {
    let value: serde_json::Value = toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        format!("line {}: {}", before.matches('\n').count() + 1, error.message())
    })?;
    json::read(value.to_string().as_bytes())
}

fn document(body: ImportBody) -> Result<Document, String> {
    let ImportBody { toml, adit, wallets, pools, profiles } = body;
    match (toml, adit) {
        (Some(_), Some(_)) => Err("toml: send it alone, or the fields of a document".to_owned()),
        (Some(text), None) if wallets.is_none() && pools.is_none() && profiles.is_none() => {
            from_toml(&text).map_err(|told| format!("toml: {told}"))
        }
        (Some(_), None) => Err("toml: send it alone, or the fields of a document".to_owned()),
        (None, Some(adit)) => Ok(Document {
            adit,
            wallets: wallets.unwrap_or_default(),
            pools: pools.unwrap_or_default(),
            profiles: profiles.unwrap_or_default(),
        }),
        (None, None) => Err("adit: missing: write 1, the number of the document's form".to_owned()),
    }
}
