//! `GET /metrics` for Prometheus, and how the push to a store goes.

use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};

use crate::{api::Api, miners::RemoteWriteStatus};
use adit_model::series;

/// The text format, version 0.0.4.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(crate) async fn metrics(State(api): State<Api>) -> Response {
    let text = series::text(&api.0.miners.series());
    ([(header::CONTENT_TYPE, TEXT)], text).into_response()
}

pub(crate) async fn remote_write(State(api): State<Api>) -> Json<RemoteWriteStatus> {
    Json(api.0.miners.remote_write())
}
