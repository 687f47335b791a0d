//! The REST API: routes, who may use them, and how errors look. axum stops here.

mod access;
mod audit;
mod body;
mod compat;
mod cors;
mod document;
mod driver_routes;
mod drivers;
mod error;
mod etag;
mod events;
mod exchange;
mod gate;
mod history;
mod json;
mod listing;
mod live_pools;
mod metrics;
mod miners;
mod node;
mod openapi;
mod pools;
mod profiles;
mod programs;
mod remote;
mod routes;
mod serve;
mod system;
mod tls;
mod tokens;
mod wallets;
mod watchdog;
mod web;
mod webhooks;

use std::{net::SocketAddr, sync::Arc};

use axum::{Router, http::StatusCode};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use access::{Access, TokenView};
pub use compat::port::{Bound, Ports};
pub use error::ErrorBody;
pub use tls::{Tls, TlsError};

use crate::{api::error::ApiError, miners::Miners, node::Node};
use adit_drivers::registry::Drivers;
use adit_store::Store;

/// What the operator set about the API.
#[derive(Clone, Debug)]
pub struct Options {
    /// The address that the API listens on.
    pub address: SocketAddr,
    /// Whether it does so over TLS.
    pub encrypted: bool,
    /// What every route begins with.
    pub base_path: String,
    /// Further host names that clients may use.
    pub hosts: Vec<String>,
    /// Further origins whose pages may call.
    pub origins: Vec<String>,
    /// Whether `/metrics` needs no token.
    pub metrics_public: bool,
    /// Name of this rig.
    pub worker: String,
    /// Whether the host runs as a demonstration.
    pub demo: bool,
    /// Event streams that may be open at once.
    pub max_subscribers: usize,
}

/// What handlers use.
#[derive(Clone)]
pub struct Api(Arc<Inner>);

struct Inner {
    options: Options,
    access: Access,
    miners: Miners,
    node: Node,
    drivers: Drivers,
    store: Store,
    streams: events::Streams,
    answers: listing::Answers,
    refusals: audit::Refusals,
    started: std::time::Instant,
}

impl Api {
    /// The API over these parts.
    pub fn new(
        options: Options,
        access: Access,
        miners: Miners,
        node: Node,
        drivers: Drivers,
        store: Store,
    ) -> Self {
        let started = std::time::Instant::now();
        let streams = events::Streams::new(options.max_subscribers);
        let answers = listing::Answers::default();
        let refusals = audit::Refusals::default();
        let inner = Inner {
            options,
            access,
            miners,
            node,
            drivers,
            store,
            streams,
            answers,
            refusals,
            started,
        };
        Self(Arc::new(inner))
    }

    /// Serves every route until `ending`, over TLS if asked for, and `ports` with dialects.
    ///
    /// # Errors
    /// When the listener of the API cannot be used any more.
    pub async fn serve(
        &self,
        listener: TcpListener,
        tls: Option<Tls>,
        ports: Bound,
        ending: CancellationToken,
    ) -> std::io::Result<()> {
        let options = &self.0.options;
        let most = serve::CONNECTIONS + options.max_subscribers;
        let serving = serve::serve(listener, tls, self.answers(), most, &ending);
        let closing = async {
            ending.cancelled().await;
            self.0.miners.events().end();
        };
        let telling = self.serve_ports(ports, &ending);
        // What cannot be served any more is no reason to wait for the end.
        let serving = async {
            let served = serving.await;
            ending.cancel();
            served
        };
        let (served, (), ()) = tokio::join!(serving, closing, telling);
        self.0.streams.ended().await;
        self.write_refusals().await;
        served
    }

    /// What answers requests.
    fn answers(&self) -> serve::Answers {
        let (api, router) = (self.clone(), self.router());
        Arc::new(move |client, request| {
            Box::pin(gate::answer(api.clone(), router.clone(), client, request))
        })
    }

    /// Every route and page; [`gate`] decides who gets to them.
    fn router(&self) -> Router {
        routes::all()
            .into_router(&self.0.options.base_path)
            .merge(web::pages())
            .fallback(no_route)
            .method_not_allowed_fallback(no_method)
            .with_state(self.clone())
    }
}

async fn no_route() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "NO_ROUTE", "there is no such route")
}

async fn no_method() -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "METHOD_NOT_ALLOWED",
        "this route does not take this method",
    )
}
