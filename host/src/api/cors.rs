//! What browsers ask before a page of an allowed origin may call, and what they want to hear after.
//! Whether an origin is allowed was decided before.

use axum::{
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};

/// How long a browser may remember the answer, in seconds.
const REMEMBER: &str = "600";
/// Methods that a page may use.
const METHODS: &str = "GET, POST, PUT, PATCH, DELETE";
/// Headers that a page may send.
const HEADERS: &str = "Authorization, Content-Type, If-Match, If-None-Match, Last-Event-ID";
/// Headers that a page may read.
const EXPOSED: &str = "ETag, Retry-After";

/// The answer to a browser that asks whether a page may call; `None`: it asks nothing of the kind.
/// It carries no token, because browsers send none with that.
pub(crate) fn preflight(method: &Method, headers: &HeaderMap) -> Option<Response> {
    let asks = headers.contains_key(header::ORIGIN)
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    (method == Method::OPTIONS && asks).then(|| {
        let told = [
            (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS),
            (header::ACCESS_CONTROL_MAX_AGE, REMEMBER),
        ];
        (StatusCode::NO_CONTENT, told).into_response()
    })
}

/// The answer of XMRig's API to OPTIONS, whatever is asked about and by whom: 200 and no body.
/// `None`: the route is not one of it.
pub(crate) fn xmrig_options(method: &Method, route: &str) -> Option<Response> {
    let is_its = *method == Method::OPTIONS && route.starts_with("/compat/xmrig/");
    is_its.then(|| StatusCode::OK.into_response())
}

/// Has browsers show `response` to a page of `origin`. Never with cookies: there are none.
pub(crate) fn allow(origin: HeaderValue, response: &mut Response) {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
}
