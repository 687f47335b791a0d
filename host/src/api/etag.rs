//! Optimistic concurrency: `ETag` with what is read, `If-Match` with what is changed. And
//! `If-None-Match` with what is read again.
//!
//! The tag of a state that can be changed is the moment of its last change, in Unix milliseconds.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::{
    Json,
    extract::FromRequestParts,
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::{api::error::ApiError, miners::Expected};

/// A JSON body with its `ETag`.
pub(crate) struct Tagged<T> {
    pub(crate) status: StatusCode,
    pub(crate) updated_at_ms: i64,
    pub(crate) body: T,
}

impl<T: Serialize> IntoResponse for Tagged<T> {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", self.updated_at_ms)) {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response
    }
}

/// What `If-Match` asks for; nothing when it is absent.
pub(crate) struct IfMatch(pub(crate) Expected);

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        read(&parts.headers).map(Self).map_err(ApiError::bad_request)
    }
}

impl IfMatch {
    /// The same, and what the body says of the state that it was made from.
    pub(crate) fn and(self, updated_at_ms: Option<i64>) -> Expected {
        let Some(stated) = updated_at_ms else { return self.0 };
        match self.0.0 {
            Some(states) => Expected(Some(states.into_iter().filter(|it| *it == stated).collect())),
            None => Expected(Some(vec![stated])),
        }
    }
}

/// A tag that no state had before, in this host or an earlier one.
pub(crate) fn fresh() -> HeaderValue {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let now = jiff::Timestamp::now().as_nanosecond();
    // Weak: it stands for what the list says, not for its bytes.
    HeaderValue::try_from(format!("W/\"{now:x}-{number:x}\""))
        .unwrap_or(HeaderValue::from_static("W/\"0\""))
}

/// Whether `If-None-Match` names the state `tag`.
pub(crate) fn is_known(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let opaque = |it: &str| it.trim().trim_start_matches("W/").to_owned();
    let Ok(tag) = tag.to_str().map(opaque) else { return false };
    let named = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|it| it.to_str().ok());
    named.flat_map(|it| it.split(',')).map(opaque).any(|it| it == "*" || it == tag)
}

fn read(headers: &HeaderMap) -> Result<Expected, String> {
    let mut states = Vec::new();
    let mut is_there = false;
    for value in headers.get_all(header::IF_MATCH) {
        is_there = true;
        let text = value.to_str().map_err(|_| wish())?;
        for tag in text.split(',').map(str::trim) {
            if tag == "*" {
                return Ok(Expected(None));
            }
            let (is_weak, tag) = tag.strip_prefix("W/").map_or((false, tag), |tag| (true, tag));
            let inner = tag.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
            let inner = inner.filter(|it| !it.contains('"')).ok_or_else(wish)?;
            // A tag of another origin is none of ours, and a weak one proves nothing.
            states.extend(inner.parse::<i64>().ok().filter(|_| !is_weak));
        }
    }
    Ok(Expected(is_there.then_some(states)))
}

fn wish() -> String {
    "If-Match: write the ETag of the answer that you changed, with its quotes, or *".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(values: &[&str]) -> Result<Expected, String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::IF_MATCH, HeaderValue::from_str(value).unwrap());
        }
        read(&headers)
    }

    #[test]
    fn if_match_lists_states() {
        for (values, expected) in [
            (vec![], None),
            (vec!["*"], None),
            (vec!["\"5\""], Some(vec![5])),
            (vec!["\"5\", \"6\"", "\"7\""], Some(vec![5, 6, 7])),
            (vec!["W/\"5\""], Some(vec![])),
            (vec!["\"abc\""], Some(vec![])),
        ] {
            assert_eq!(given(&values), Ok(Expected(expected)), "{values:?}");
        }
        for bad in ["", "5", "\"5", "\"5\" \"6\"", "\"a\"b\""] {
            assert!(given(&[bad]).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_body_may_name_the_state_too() {
        let of = |states: Option<Vec<i64>>, stated| IfMatch(Expected(states)).and(stated).0;
        assert_eq!(of(None, None), None);
        assert_eq!(of(None, Some(5)), Some(vec![5]));
        assert_eq!(of(Some(vec![5, 6]), Some(6)), Some(vec![6]));
        assert_eq!(of(Some(vec![5]), Some(6)), Some(vec![]));
    }
}
