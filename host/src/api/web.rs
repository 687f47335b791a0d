//! `/` and `/web`: the dashboard, which is part of the binary.

use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use sha2::{Digest, Sha256};

use crate::api::{Api, error::ApiError, openapi};

/// What the pages may load and do: nothing but files and answers of this host.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

macro_rules! files {
    ($($path:literal $kind:literal;)*) => {
        /// Path below `/web`, content type, content.
        const FILES: &[(&str, &str, &[u8])] = &[
            $(($path, $kind, include_bytes!(concat!("../../web/", $path)))),*
        ];
    };
}

files! {
    "app.js" "text/javascript";
    "api.js" "text/javascript";
    "chart.js" "text/javascript";
    "form.js" "text/javascript";
    "format.js" "text/javascript";
    "order.js" "text/javascript";
    "state.js" "text/javascript";
    "ui.js" "text/javascript";
    "app.css" "text/css";
    "docs/docs.css" "text/css";
    "docs/docs.js" "text/javascript";
    "icon.svg" "image/svg+xml";
    "pages/bulk.js" "text/javascript";
    "pages/doctor.js" "text/javascript";
    "pages/drivers.js" "text/javascript";
    "pages/events.js" "text/javascript";
    "pages/exchange.js" "text/javascript";
    "pages/fleet.js" "text/javascript";
    "pages/incidents.js" "text/javascript";
    "pages/miner.js" "text/javascript";
    "pages/miners.js" "text/javascript";
    "pages/plan.js" "text/javascript";
    "pages/pools.js" "text/javascript";
    "pages/profiles.js" "text/javascript";
    "pages/settings.js" "text/javascript";
    "vendor/preact-htm.js" "text/javascript";
    "vendor/uplot.js" "text/javascript";
    "vendor/uplot.css" "text/css";
}

/// Begin of the paths of the pages' files.
const FOLDER: &str = "/web/";
/// The document of the API, for the page that shows it.
const DOCUMENT: &str = "/openapi.json";

/// The pages and their files.
pub(crate) fn pages() -> Router<Api> {
    Router::new()
        .route("/", get(index))
        .route(openapi::PAGE, get(docs))
        .route(DOCUMENT, get(openapi::document))
        .route(&format!("{FOLDER}{{*path}}"), get(file))
}

/// Whether `path` is one of [`pages`].
pub(crate) fn is_page(path: &str) -> bool {
    ["/", openapi::PAGE, DOCUMENT].contains(&path) || path.starts_with(FOLDER)
}

/// The page, which asks for a token itself.
async fn index(State(api): State<Api>) -> Response {
    let page = include_str!("../../web/index.html").replace("@BASE@", &api.0.options.base_path);
    (headers("text/html; charset=utf-8"), page).into_response()
}

/// The page of the API.
async fn docs(State(api): State<Api>) -> Response {
    let page = include_str!("../../web/docs/index.html");
    let page = page.replace("@BASE@", &api.0.options.base_path);
    (headers("text/html; charset=utf-8"), page).into_response()
}

/// A file of the page. Browsers keep it and ask whether it is still the same.
async fn file(Path(path): Path<String>, asked: HeaderMap) -> Response {
    let Some((_, kind, content)) = FILES.iter().find(|(name, ..)| *name == path) else {
        let told = "the dashboard has no such file";
        return ApiError::new(StatusCode::NOT_FOUND, "NO_ROUTE", told).into_response();
    };
    let digest: String =
        Sha256::digest(content).iter().take(12).map(|it| format!("{it:02x}")).collect();
    let tag = format!("\"{digest}\"");
    let same = asked.get(header::IF_NONE_MATCH).is_some_and(|it| it.as_bytes() == tag.as_bytes());
    let mut headers = headers(kind);
    if let Ok(tag) = tag.parse() {
        headers.insert(header::ETAG, tag);
    }
    if same {
        (StatusCode::NOT_MODIFIED, headers).into_response()
    } else {
        (headers, *content).into_response()
    }
}

fn headers(kind: &'static str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers
}
