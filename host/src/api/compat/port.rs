//! Ports of their own for tools that want a host and a port: XMRig's API and `GET /mmpos` at the
//! root, with the status codes that their clients know.

use std::{
    collections::BTreeMap,
    future::ready,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    extract::Request,
    http::{Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::api::{Api, access::Refusal, compat::claymore, cors, gate, serve};
use adit_model::{
    dialect::{
        mmp,
        xmrig::{self, Form},
    },
    name::MinerName,
};

/// Connections of one port at once.
const CONNECTIONS: usize = 128;

/// The addresses to listen on, by miner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    /// XMRig's API.
    pub xmrig: BTreeMap<MinerName, SocketAddr>,
    /// `GET /mmpos`.
    pub mmpos: BTreeMap<MinerName, SocketAddr>,
    /// Claymore's protocol.
    pub claymore: BTreeMap<MinerName, SocketAddr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    Xmrig,
    Mmpos,
    Claymore,
}

/// Ports that are listened on and not yet served.
#[derive(Default)]
pub struct Bound(Vec<(Dialect, MinerName, TcpListener)>);

impl Ports {
    /// Listens on all of them.
    ///
    /// # Errors
    /// Which one cannot be had, and why.
    pub async fn bind(&self) -> Result<Bound, String> {
        let mut bound = Bound::default();
        for (dialect, word, ports) in [
            (Dialect::Xmrig, "xmrig", &self.xmrig),
            (Dialect::Mmpos, "mmpos", &self.mmpos),
            (Dialect::Claymore, "claymore", &self.claymore),
        ] {
            for (miner, address) in ports {
                let listener = TcpListener::bind(address).await.map_err(|error| {
                    format!("compat.{word}.{miner}: cannot listen on {address}: {error}; choose another port")
                })?;
                bound.0.push((dialect, miner.clone(), listener));
            }
        }
        Ok(bound)
    }
}

impl Api {
    /// Serves these ports until `ending`.
    pub(in crate::api) async fn serve_ports(&self, bound: Bound, ending: &CancellationToken) {
        let mut serving = tokio::task::JoinSet::new();
        for (dialect, miner, listener) in bound.0 {
            let (api, ending) = (self.clone(), ending.clone());
            let Ok(address) = listener.local_addr() else { continue };
            tracing::info!(?dialect, %miner, %address, "the figures of a miner have a port");
            let own = address.ip();
            serving.spawn(async move {
                match dialect {
                    Dialect::Claymore => claymore::serve(api, miner, listener, &ending).await,
                    Dialect::Xmrig | Dialect::Mmpos => {
                        let answers: serve::Answers = Arc::new(move |_, request| {
                            let answer = match dialect {
                                Dialect::Mmpos => api.mmpos_port(&miner, own, &request),
                                _ => api.xmrig_port(&miner, own, &request),
                            };
                            Box::pin(ready(answer))
                        });
                        let served =
                            serve::serve(listener, None, answers, CONNECTIONS, &ending).await;
                        if let Err(error) = served {
                            tracing::error!(%address, %error, "a port for other tools is dead");
                        }
                    }
                }
            });
        }
        serving.join_all().await;
    }

    /// As XMRig answers with a token and `restricted: true`, but for pages: those of other origins
    /// are refused unless the operator allowed them, and no failure counts for the API.
    fn xmrig_port(&self, miner: &MinerName, own: IpAddr, request: &Request) -> Response {
        let (headers, options) = (request.headers(), &self.0.options);
        let named = gate::check_host(headers, request.uri(), options, own)
            .and_then(|()| gate::check_origin(headers, options));
        if named.is_err() {
            return told(Err(StatusCode::FORBIDDEN));
        }
        let mut response = match cors::preflight(request.method(), headers) {
            Some(preflight) => preflight,
            None if request.method() == Method::OPTIONS => StatusCode::OK.into_response(),
            None => told(self.xmrig_answer(miner, request)),
        };
        if let Some(origin) = headers.get(header::ORIGIN) {
            cors::allow(origin.clone(), &mut response);
        }
        response
    }

    fn xmrig_answer(&self, miner: &MinerName, request: &Request) -> Result<Value, StatusCode> {
        let token = gate::bearer(request.headers());
        let known = self.0.access.identify_uncounted(token).map(drop);
        let what = xmrig_status(request.method(), request.uri(), known)?;
        let subject = self.subject(miner.as_str()).map_err(|_| StatusCode::NOT_FOUND)?;
        Ok(match what {
            Asked::Summary(form) => xmrig::summary(&subject, form),
            Asked::Backends => xmrig::backends(&subject),
        })
    }

    /// Without a token, so that no page may ask, whatever name it has for this machine.
    fn mmpos_port(&self, miner: &MinerName, own: IpAddr, request: &Request) -> Response {
        let headers = request.headers();
        let is_page = headers.contains_key(header::ORIGIN);
        let is_named = gate::check_host(headers, request.uri(), &self.0.options, own).is_ok();
        let answer = match (request.method(), request.uri().path()) {
            _ if is_page || !is_named => Err(StatusCode::FORBIDDEN),
            (&Method::GET, "/mmpos") => self
                .subject(miner.as_str())
                .map(|subject| mmp::stats(&subject))
                .map_err(|_| StatusCode::NOT_FOUND),
            (_, "/mmpos") => Err(StatusCode::METHOD_NOT_ALLOWED),
            _ => Err(StatusCode::NOT_FOUND),
        };
        told(answer)
    }
}

fn told(answer: Result<Value, StatusCode>) -> Response {
    let (status, body) = match answer {
        Ok(value) => (StatusCode::OK, value),
        Err(status) => {
            let word = status.canonical_reason().unwrap_or_default();
            let word = word.to_ascii_uppercase().replace(' ', "_");
            (status, json!({ "status": status.as_u16(), "error": word }))
        }
    };
    (status, axum::Json(body)).into_response()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Summary(Form),
    Backends,
}

/// What a request asks for, or the status that XMRig has for it, in the order that it checks.
fn xmrig_status(
    method: &Method,
    uri: &axum::http::Uri,
    known: Result<(), Refusal>,
) -> Result<Asked, StatusCode> {
    let common = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE];
    if !common.contains(method) {
        return Err(StatusCode::METHOD_NOT_ALLOWED);
    }
    known.map_err(|refusal| match refusal {
        Refusal::NoToken => StatusCode::UNAUTHORIZED,
        Refusal::WrongToken | Refusal::TooManyFailures => StatusCode::FORBIDDEN,
    })?;
    if method != Method::GET {
        return Err(StatusCode::FORBIDDEN);
    }
    match uri.path() {
        _ if uri.query().is_some() => Err(StatusCode::NOT_FOUND),
        "/1/summary" | "/api.json" => Ok(Asked::Summary(Form::One)),
        "/2/summary" => Ok(Asked::Summary(Form::Two)),
        "/2/backends" => Ok(Asked::Backends),
        "/1/config" | "/2/config" => Err(StatusCode::FORBIDDEN),
        _ => Err(StatusCode::NOT_FOUND),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_those_of_xmrig() {
        let well = || Ok(());
        let of = |method: &str, uri: &str, known: Result<(), Refusal>| {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            xmrig_status(&method, &uri.parse().unwrap(), known).map_err(|it| it.as_u16())
        };
        assert_eq!(of("GET", "/2/summary", well()), Ok(Asked::Summary(Form::Two)));
        assert_eq!(of("GET", "/api.json", well()), Ok(Asked::Summary(Form::One)));
        assert_eq!(of("GET", "/2/backends", well()), Ok(Asked::Backends));
        for (method, uri, known, status) in [
            ("GET", "/2/summary", Err(Refusal::NoToken), 401),
            ("GET", "/2/summary", Err(Refusal::WrongToken), 403),
            ("GET", "/nowhere", Err(Refusal::NoToken), 401),
            ("GET", "/1/config", well(), 403),
            ("PUT", "/1/config", well(), 403),
            ("POST", "/json_rpc", well(), 403),
            ("POST", "/json_rpc", Err(Refusal::NoToken), 401),
            ("HEAD", "/2/summary", well(), 403),
            ("PATCH", "/1/config", Err(Refusal::NoToken), 405),
            ("GET", "/2/summary?x=1", well(), 404),
            ("GET", "/1/threads", well(), 404),
            ("GET", "/", well(), 404),
        ] {
            assert_eq!(of(method, uri, known), Err(status), "{method} {uri}");
        }
    }
}
