//! `/openapi.json` and `/docs`: the API told to programs and shown to people.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Redirect, Response},
};
use serde_json::Value;

use crate::api::{Api, routes};

/// Where the page is, outside the base path: it is a file like those of the dashboard.
pub(crate) const PAGE: &str = "/docs";

/// Made anew each time: it is asked for seldom, and large.
pub(crate) async fn document(State(api): State<Api>) -> Json<Value> {
    let base = api.0.options.base_path.clone();
    let made = tokio::task::spawn_blocking(move || routes::all().document(&base)).await;
    Json(made.unwrap_or_default())
}

/// Leads there from below the base path.
pub(crate) async fn page(State(_): State<Api>) -> Response {
    Redirect::permanent(PAGE).into_response()
}
