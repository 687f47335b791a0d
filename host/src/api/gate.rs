//! What every request passes before its handler: host, origin, content type, token, role, time.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use axum::{
    Router,
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use tower_service::Service;

use crate::api::{
    Api, Options,
    access::{Caller, Refusal},
    audit, cors,
    driver_routes::is_drivers_own,
    error::ApiError,
    web,
};
use adit_model::access::Role;

/// The longest a request may take.
const LIMIT: Duration = Duration::from_secs(30);
/// Routes that need no token: they tell nothing but that the host is there.
const PUBLIC: &[&str] = &["/health", "/ready", "/openapi.json", "/docs"];
/// A route that needs none when the operator says so.
const METRICS: &str = "/metrics";
/// Routes that a ticket opens, because browsers cannot send a token there.
const STREAMS: &[&str] = &["/events", "/ws/events"];

/// Answers a request of `client`: from `router` if it may be let in, or says why not.
pub(crate) async fn answer(
    api: Api,
    router: Router,
    client: SocketAddr,
    request: Request,
) -> Response {
    match web::is_page(request.uri().path()) {
        true => answer_page(&api, router, request).await,
        false => answer_call(api, router, client, request).await,
    }
}

async fn answer_call(
    api: Api,
    router: Router,
    client: SocketAddr,
    mut request: Request,
) -> Response {
    let options = &api.0.options;
    let route = request.uri().path().strip_prefix(options.base_path.as_str()).unwrap_or_default();
    let origin = request.headers().get(header::ORIGIN).cloned();
    let named = check_host(request.headers(), request.uri(), options, options.address.ip())
        .and_then(|()| check_origin(request.headers(), options));
    let preflight = cors::preflight(request.method(), request.headers())
        .or_else(|| cors::xmrig_options(request.method(), route));
    let let_in = named.clone().and_then(|()| {
        check_content(request.method(), request.headers(), is_drivers_own(route))?;
        identify(&api, &request, client)
    });
    let mut response = match (let_in, preflight) {
        (_, Some(preflight)) if named.is_ok() => preflight,
        (Ok(caller), _) => {
            request.extensions_mut().insert(caller);
            match audit::is_noted(request.method()) {
                true => audit::carry_out(api, client, router, request).await,
                false => reply(router, request).await,
            }
        }
        (Err(error), _) => error.into_response(),
    };
    if let Some(origin) = origin.filter(|_| named.is_ok()) {
        cors::allow(origin, &mut response);
    }
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'"));
    response
}

/// The dashboard's own files tell nothing and need no token: it is enough that the request calls this
/// host by a name of its own.
async fn answer_page(api: &Api, router: Router, request: Request) -> Response {
    let options = &api.0.options;
    let named = check_host(request.headers(), request.uri(), options, options.address.ip());
    let mut response = match named {
        Ok(()) => reply(router, request).await,
        Err(error) => error.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    response
}

/// A page of another site can point its own name at the address `own`, which this host listens on;
/// it cannot change the name that the browser then sends.
pub(crate) fn check_host(
    headers: &HeaderMap,
    uri: &Uri,
    options: &Options,
    own: IpAddr,
) -> Result<(), ApiError> {
    let wrong = || {
        ApiError::new(
            StatusCode::MISDIRECTED_REQUEST,
            "WRONG_HOST",
            "this host is not called by that name: use its address, or add the name to api.hosts",
        )
    };
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok()).ok_or_else(wrong)?;
    if hosts.next().is_some() || uri.authority().is_some_and(|it| it.as_str() != host) {
        return Err(wrong());
    }
    is_ours(host, options, own).then_some(()).ok_or_else(wrong)
}

/// Whether `host`, with or without port, is a name of this host, which listens on `own`.
fn is_ours(host: &str, options: &Options, own: IpAddr) -> bool {
    // A public client of XMRig's API (xmrig-api 0.2.7 on PyPI) sends its whole base URL as Host.
    let host = host.strip_prefix("http://").unwrap_or(host);
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|it| it.is_ascii_digit()) => name,
        _ => host,
    };
    let plain = name.trim_matches(['[', ']']);
    let loopback = plain.eq_ignore_ascii_case("localhost")
        || plain.parse::<IpAddr>().is_ok_and(|it| it.is_loopback());
    // A number is no name that somebody could point here.
    let address = plain.parse().is_ok_and(|it: IpAddr| it == own || own.is_unspecified());
    loopback || address || options.hosts.iter().any(|it| it.eq_ignore_ascii_case(plain))
}

pub(crate) fn check_origin(headers: &HeaderMap, options: &Options) -> Result<(), ApiError> {
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().unwrap_or("null");
    let own = origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"))
        .is_some_and(|host| {
            // A page of another port of this machine is another's page.
            let port = host.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
            port == Some(options.address.port()) && is_ours(host, options, options.address.ip())
        });
    if own || options.origins.iter().any(|it| it == origin) {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::FORBIDDEN,
        "FOREIGN_ORIGIN",
        "pages of that origin may not call this host: add it to api.origins if it is yours",
    ))
}

/// A form of another site can send neither JSON nor plain bytes, which are for drivers' own routes.
fn check_content(method: &Method, headers: &HeaderMap, bytes_too: bool) -> Result<(), ApiError> {
    let has_body = headers.get(header::CONTENT_LENGTH).is_some_and(|it| it != "0")
        || headers.contains_key(header::TRANSFER_ENCODING);
    let kind = headers.get(header::CONTENT_TYPE).map_or("", |it| it.to_str().unwrap_or("?"));
    let essence = kind.split(';').next().unwrap_or_default().trim();
    let is_bytes = essence.eq_ignore_ascii_case("application/octet-stream") && bytes_too;
    let is_json = essence.eq_ignore_ascii_case("application/json");
    if !has_body || method == Method::GET || is_json || is_bytes {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "NOT_JSON",
        "send JSON with Content-Type: application/json",
    ))
}

/// The token that a request carries.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn identify(api: &Api, request: &Request, client: SocketAddr) -> Result<Caller, ApiError> {
    let path = request.uri().path();
    let route = path.strip_prefix(api.0.options.base_path.as_str()).unwrap_or_default();
    if PUBLIC.contains(&route) || (api.0.options.metrics_public && route == METRICS) {
        return Ok(Caller::nobody());
    }
    let token = bearer(request.headers());
    if let Some(ticket) = ticket(request.uri()).filter(|_| STREAMS.contains(&route)) {
        // A ticket is worth no more than the token that it was got with.
        let caller = api.0.streams.tickets.redeem(ticket);
        return caller.filter(|it| api.0.access.knows(it)).ok_or_else(|| {
            ApiError::new(
                StatusCode::UNAUTHORIZED,
                "WRONG_TICKET",
                "this ticket was used or is too old: get one with POST /events/ticket for each \
                 connection",
            )
        });
    }
    api.0.access.identify(token, client.ip()).map_err(|refusal| match refusal {
        Refusal::NoToken => ApiError::new(
            StatusCode::UNAUTHORIZED,
            "NO_TOKEN",
            "send a token as Authorization: Bearer TOKEN; `adit token show` prints yours",
        ),
        Refusal::WrongToken => ApiError::new(
            // XMRig's clients know a wrong token by another status than none.
            match route.starts_with("/compat/xmrig/") {
                true => StatusCode::FORBIDDEN,
                false => StatusCode::UNAUTHORIZED,
            },
            "WRONG_TOKEN",
            "this token is not known or has expired; `adit token show` prints yours",
        ),
        Refusal::TooManyFailures => ApiError::new(
            StatusCode::TOO_MANY_REQUESTS,
            "TOO_MANY_FAILURES",
            "too many wrong tokens from this address; wait a minute",
        )
        .retry_after(60),
    })
}

/// The ticket in an address.
fn ticket(uri: &Uri) -> Option<&str> {
    uri.query()?.split('&').find_map(|it| it.strip_prefix("ticket="))
}

/// Lets only callers with at least `role` through.
pub(crate) fn require(role: Role, request: &Request) -> Result<(), ApiError> {
    let held = request.extensions().get::<Caller>().map(|caller| caller.role);
    if held >= Some(role) {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::FORBIDDEN,
        "ROLE_TOO_LOW",
        format!("this needs a token with the role {}", role.as_str()),
    ))
}

/// What `router` answers, unless that takes too long.
pub(crate) async fn reply(mut router: Router, request: Request) -> Response {
    match tokio::time::timeout(LIMIT, router.call(request)).await {
        Ok(Ok(response)) => response,
        Ok(Err(never)) => match never {},
        Err(_) => ApiError::new(
            StatusCode::GATEWAY_TIMEOUT,
            "TIMEOUT",
            format!("this took more than {} s; it may still be done", LIMIT.as_secs()),
        )
        .into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn options() -> Options {
        Options {
            address: SocketAddr::from(([127, 0, 0, 1], 9090)),
            encrypted: false,
            base_path: "/api/v1/mining".to_owned(),
            hosts: vec!["rig.lan".to_owned()],
            origins: vec!["http://dash.lan:8080".to_owned()],
            metrics_public: false,
            worker: "rig".to_owned(),
            demo: false,
            max_subscribers: 1,
        }
    }

    fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
        [(name, value.parse().unwrap())].into_iter().collect()
    }

    #[test]
    fn only_our_names_are_answered() {
        for (host, ours) in [
            ("127.0.0.1:9090", true),
            ("localhost:9090", true),
            ("localhost", true),
            ("[::1]:9090", true),
            ("rig.lan:9090", true),
            ("http://127.0.0.1:9090", true),
            ("http://evil.example", false),
            ("evil.example:9090", false),
            ("127.0.0.1.evil.example:9090", false),
            ("localhost.evil.example", false),
            ("", false),
            ("192.168.1.1", false),
        ] {
            let given = headers(header::HOST, host);
            let let_in = check_host(&given, &Uri::from_static("/x"), &options(), OWN).is_ok();
            assert_eq!(let_in, ours, "{host}");
        }
        let mut two = headers(header::HOST, "localhost");
        two.append(header::HOST, "evil.example".parse().unwrap());
        assert!(check_host(&two, &Uri::from_static("/x"), &options(), OWN).is_err());
        let one = headers(header::HOST, "localhost");
        assert!(
            check_host(&one, &Uri::from_static("http://evil.example/x"), &options(), OWN).is_err()
        );
        assert!(check_host(&HeaderMap::new(), &Uri::from_static("/x"), &options(), OWN).is_err());
    }

    #[test]
    fn pages_of_other_origins_are_refused() {
        for (origin, ours) in [
            ("http://localhost:9090", true),
            ("http://127.0.0.1:9090", true),
            ("http://dash.lan:8080", true),
            ("http://localhost:8080", false),
            ("http://localhost", false),
            ("https://evil.example", false),
            ("null", false),
        ] {
            let let_in = check_origin(&headers(header::ORIGIN, origin), &options()).is_ok();
            assert_eq!(let_in, ours, "{origin}");
        }
        assert!(check_origin(&HeaderMap::new(), &options()).is_ok());
    }

    #[test]
    fn only_json_is_taken() {
        let given = |kind: &str| {
            let mut given = headers(header::CONTENT_LENGTH, "5");
            given.insert(header::CONTENT_TYPE, kind.parse().unwrap());
            check_content(&Method::POST, &given, false).is_ok()
        };
        assert!(given("application/json"));
        assert!(given("application/json; charset=utf-8"));
        assert!(!given("application/x-www-form-urlencoded"));
        assert!(!given("text/plain"));
        assert!(check_content(&Method::POST, &HeaderMap::new(), false).is_ok());
        assert!(check_content(&Method::POST, &headers(header::CONTENT_LENGTH, "5"), true).is_err());
    }
}
