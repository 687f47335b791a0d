//! `/drivers/{id}/x/…`: what a driver offers over REST itself.
//!
//! The host guards these routes like its own: token, role, size and time. What a driver makes of a
//! request is its own matter, what it answers is checked before it goes out.

use adit_plugin_api::{ErrorKind, HttpRequest, HttpResponse};
use axum::{
    body::Body,
    extract::{Path, Query, Request, State},
    http::{HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};

use crate::api::{Api, body, error::ApiError};
use adit_drivers::{call::CallError, handle::Driver};
use adit_model::name::DriverId;

/// What a request for one of these routes has in its path, besides the driver's id.
const PREFIX: (&str, &str) = ("/drivers/", "/x/");
/// Largest body of an answer, in bytes.
const ANSWER_BYTES: usize = 1 << 20;
/// Most parameters of a query.
const PARAMETERS: usize = 100;

/// Whether `route`, below the base path, is a driver's own.
pub(crate) fn is_drivers_own(route: &str) -> bool {
    let (begin, middle) = PREFIX;
    let id = route.strip_prefix(begin).and_then(|rest| rest.split_once(middle));
    id.is_some_and(|(id, _)| !id.contains('/'))
}

pub(crate) async fn pass_on(
    State(api): State<Api>,
    Path((id, path)): Path<(String, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    let driver = find(&api, id)?;
    let method = request.method().as_str().to_owned();
    let query = parameters(request.uri())?;
    let body = body::bytes(request).await?;
    let request = HttpRequest { method, path: format!("/{path}"), query, body: body.to_vec() };
    let instance = driver.instance(None).await.map_err(refusal)?;
    let response = instance.request(request).await.map_err(refusal)?;
    answer(&driver, response)
}

fn find(api: &Api, id: String) -> Result<Driver, ApiError> {
    let found = DriverId::new(id).ok().and_then(|id| api.0.drivers.get(&id));
    found.ok_or_else(|| {
        ApiError::not_found("DRIVER_NOT_FOUND", "there is no such driver; GET /drivers lists them")
    })
}

fn parameters(uri: &Uri) -> Result<Vec<(String, String)>, ApiError> {
    let Query(query) = Query::<Vec<(String, String)>>::try_from_uri(uri)
        .map_err(|_| ApiError::bad_request("the query cannot be used: write name=value pairs"))?;
    if query.len() > PARAMETERS {
        return Err(ApiError::bad_request(format!("send at most {PARAMETERS} parameters")));
    }
    Ok(query)
}

/// A driver that has no such route says that it does not support it.
fn refusal(error: CallError) -> ApiError {
    match &error {
        CallError::Refused { kind: ErrorKind::Unsupported, message, .. } => {
            ApiError::not_found("NO_ROUTE", message.clone())
        }
        CallError::Refused { kind: ErrorKind::Invalid, message, .. } => {
            ApiError::bad_request(message.clone())
        }
        _ => error.into(),
    }
}

fn answer(driver: &Driver, response: HttpResponse) -> Result<Response, ApiError> {
    let wrong = |what: String| {
        tracing::warn!(driver = %driver.id(), what, "a driver's answer is not usable");
        let told = format!("the driver {} answered with {what}", driver.id());
        ApiError::new(StatusCode::BAD_GATEWAY, "DRIVER_FAILED", told)
    };
    let status = StatusCode::from_u16(response.status)
        .ok()
        .filter(|status| (200..600).contains(&status.as_u16()))
        .ok_or_else(|| wrong(format!("the status {}, which is none", response.status)))?;
    let kind = HeaderValue::from_str(&response.content_type)
        .map_err(|_| wrong("a content type that is none".to_owned()))?;
    if response.body.len() > ANSWER_BYTES {
        let bytes = response.body.len();
        return Err(wrong(format!("{bytes} bytes, more than the {ANSWER_BYTES} allowed")));
    }
    Ok((status, [(header::CONTENT_TYPE, kind)], Body::from(response.body)).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_of_drivers_are_known_by_their_path() {
        for (route, own) in [
            ("/drivers/sim/x/notes/a", true),
            ("/drivers/sim/x/", true),
            ("/drivers/sim/x", false),
            ("/drivers/a/b/x/c", false),
            ("/miners/x/x/stdin", false),
        ] {
            assert_eq!(is_drivers_own(route), own, "{route}");
        }
    }
}
