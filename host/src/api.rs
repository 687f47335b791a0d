//! The REST API: routes, who may use them, and how errors look. axum stops here.

mod access;
mod audit;
mod body;
mod driver_routes;
mod drivers;
mod error;
mod etag;
mod events;
mod exchange;
mod gate;
mod history;
mod json;
mod live_pools;
mod metrics;
mod miners;
mod node;
mod pools;
mod profiles;
mod programs;
mod remote;
mod serve;
mod system;
mod tls;
mod tokens;
mod wallets;
mod watchdog;
mod web;
mod webhooks;

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    http::StatusCode,
    middleware::{from_fn, from_fn_with_state},
    routing::{MethodRouter, delete, get, post, put},
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use access::{Access, TokenView};
pub use error::ErrorBody;
pub use tls::{Tls, TlsError};

use crate::{
    api::error::ApiError, drivers::registry::Drivers, miners::Miners, model::access::Role,
    node::Node, store::Store,
};

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
        Self(Arc::new(Inner { options, access, miners, node, drivers, store, streams, started }))
    }

    /// Serves every route until `ending`, over TLS if asked for.
    ///
    /// # Errors
    /// None at present; a failed accept is told to the log and tried again.
    pub async fn serve(
        &self,
        listener: TcpListener,
        tls: Option<Tls>,
        ending: CancellationToken,
    ) -> std::io::Result<()> {
        let options = &self.0.options;
        let serving = serve::serve(listener, tls, self.router(), options.max_subscribers, &ending);
        let closing = async {
            ending.cancelled().await;
            self.0.miners.events().end();
        };
        let (served, ()) = tokio::join!(serving, closing);
        self.0.streams.ended().await;
        served
    }

    /// Every route, with the role it needs.
    pub fn router(&self) -> Router {
        use Role::{Admin, View};
        let routes = Router::new()
            .route("/health", get(system::health))
            .route("/ready", get(system::ready))
            .route("/info", needs(View, get(system::info)))
            .route("/doctor", needs(View, post(system::doctor)))
            .route("/update", needs(View, post(system::update)))
            .route("/events", needs(View, get(events::sse::stream)))
            .route("/events/recent", needs(View, get(events::recent::list)))
            .route("/events/ticket", needs(View, post(events::ticket::issue)))
            .route("/ws/events", needs(View, get(events::ws::open)))
            .route("/webhooks", needs(View, get(webhooks::list)))
            .route("/webhooks/{name}/test", needs(Admin, post(webhooks::test)))
            .route("/audit", needs(Admin, get(audit::list)))
            .route("/tokens", needs(Admin, get(tokens::list).post(tokens::create)))
            .route("/tokens/{id}", needs(Admin, delete(tokens::remove)))
            .merge(mining())
            .merge(driving())
            .merge(past())
            .merge(saved())
            .merge(nodes())
            .fallback(no_route)
            .method_not_allowed_fallback(no_method);
        Router::new()
            .nest(&self.0.options.base_path, routes)
            .fallback(no_route)
            .layer(from_fn(gate::time_limit))
            .layer(from_fn_with_state(self.clone(), audit::note))
            .layer(from_fn_with_state(self.clone(), gate::check))
            .merge(self.dashboard())
            .with_state(self.clone())
    }
}

impl Api {
    /// The dashboard's own files, which tell nothing and need no token.
    fn dashboard(&self) -> Router<Self> {
        Router::new()
            .route("/", get(web::index))
            .route("/web/{*path}", get(web::file))
            .layer(from_fn_with_state(self.clone(), gate::check_name))
    }
}

/// Miners and their programs.
fn mining() -> Router<Api> {
    use Role::{Admin, Operate, View};
    Router::new()
        .route("/miners", needs(View, get(miners::list)).merge(needs(Admin, post(miners::create))))
        .route("/miners/available", needs(View, get(miners::available)))
        .route(
            "/miners/{name}",
            needs(View, get(miners::one)).merge(needs(Operate, delete(miners::stop))),
        )
        .route("/miners/{name}/stats", needs(View, get(miners::stats)))
        .route("/miners/{name}/logs", needs(View, get(miners::logs)))
        .route("/miners/{name}/plan", needs(View, get(miners::plan)))
        .route("/miners/{name}/runs", needs(View, get(miners::runs)))
        .route("/miners/{name}/start", needs(Operate, post(miners::start)))
        .route("/miners/{name}/restart", needs(Operate, post(miners::restart)))
        .route("/miners/{name}/pause", needs(Operate, post(miners::pause)))
        .route("/miners/{name}/resume", needs(Operate, post(miners::resume)))
        // The first part of these is a miner type; the router knows one name for it.
        .route("/miners/{name}/install", needs(Admin, post(programs::install)))
        .route("/miners/{name}/uninstall", needs(Admin, delete(programs::uninstall)))
        .route("/miners/{name}/rollback", needs(Admin, post(programs::rollback)))
        .route("/miners/{name}/versions", needs(View, get(programs::versions)))
        .route("/miners/{name}/maintenance", needs(Operate, post(watchdog::maintenance)))
        .route(
            "/miners/{name}/watchdog",
            needs(View, get(watchdog::options)).merge(needs(Operate, put(watchdog::set_options))),
        )
        // What a console takes can redirect the income, and so can pools.
        .route("/miners/{name}/pools", needs(Admin, post(live_pools::set)))
        .route("/miners/{name}/stdin", needs(Admin, post(miners::stdin)))
}

/// Drivers, and the routes of their own.
fn driving() -> Router<Api> {
    use Role::{Admin, Operate, View};
    Router::new()
        .route("/drivers", needs(View, get(drivers::list)))
        .route("/drivers/{id}", needs(View, get(drivers::one)))
        .route("/drivers/{id}/clear", needs(Operate, post(drivers::clear)))
        // Code of a driver runs with the rights of the host's user.
        .route("/drivers/{id}/trust", needs(Admin, post(drivers::trust)))
        // Nobody but the driver knows what a request changes.
        .route(
            "/drivers/{id}/x/{*path}",
            needs(View, get(driver_routes::pass_on)).merge(needs(Admin, {
                let handler = driver_routes::pass_on;
                post(handler).put(handler).patch(handler).delete(handler)
            })),
        )
}

/// What was: figures, events and incidents.
fn past() -> Router<Api> {
    use Role::View;
    Router::new()
        .route("/miners/{name}/hashrate-history", needs(View, get(history::recent)))
        .route("/history/status", needs(View, get(history::status)))
        .route("/history/miners", needs(View, get(history::miners)))
        .route("/history/miners/{name}", needs(View, get(history::miner)))
        .route("/history/miners/{name}/hashrate", needs(View, get(history::chart)))
        .route("/history/totals", needs(View, get(history::totals)))
        .route("/history/totals/hashrate", needs(View, get(history::total)))
        .route("/history/events", needs(View, get(history::events)))
        .route("/metrics", needs(View, get(metrics::metrics)))
        .route("/remote-write", needs(View, get(metrics::remote_write)))
        .route("/incidents", needs(View, get(watchdog::all)))
        .route("/incidents/{id}", needs(View, get(watchdog::one)))
        .route("/miners/{name}/incidents", needs(View, get(watchdog::of_miner)))
}

/// What is saved for later: profiles, and the wallets and pools that they refer to.
fn saved() -> Router<Api> {
    use Role::{Admin, Operate, View};
    Router::new()
        .route(
            "/profiles",
            needs(View, get(profiles::list)).merge(needs(Admin, post(profiles::create))),
        )
        .route(
            "/profiles/{id}",
            needs(View, get(profiles::one))
                .merge(needs(Admin, put(profiles::put).delete(profiles::remove))),
        )
        .route("/profiles/export", needs(View, get(exchange::export)))
        .route("/profiles/import", needs(Admin, post(exchange::import)))
        .route("/profiles/{id}/plan", needs(View, get(profiles::plan)))
        .route("/profiles/{id}/start", needs(Operate, post(profiles::start)))
        .route(
            "/wallets",
            needs(View, get(wallets::list)).merge(needs(Admin, post(wallets::create))),
        )
        .route(
            "/wallets/{name}",
            needs(View, get(wallets::one))
                .merge(needs(Admin, put(wallets::put).delete(wallets::remove))),
        )
        .route("/pools", needs(View, get(pools::list)).merge(needs(Admin, post(pools::create))))
        .route(
            "/pools/{name}",
            needs(View, get(pools::one)).merge(needs(Admin, put(pools::put).delete(pools::remove))),
        )
}

/// The routes of the network of nodes.
fn nodes() -> Router<Api> {
    use Role::{Admin, Operate, View};
    Router::new()
        .route("/node/info", needs(View, get(node::info)))
        .route("/node/init", needs(Admin, post(node::init)))
        .route("/node/rotate", needs(Admin, post(node::rotate)))
        .route("/node/invite", needs(Admin, post(node::invite)))
        .route("/node/join", needs(Admin, post(node::join)))
        .route("/peers", needs(View, get(node::list)).merge(needs(Admin, post(node::add))))
        .route(
            "/peers/{id}",
            needs(View, get(node::one)).merge(needs(Admin, put(node::change).delete(node::remove))),
        )
        .route("/peers/{id}/ping", needs(Operate, post(node::ping)))
        .route("/peers/{id}/connect", needs(Operate, post(node::connect)))
        .route("/peers/{id}/disconnect", needs(Operate, post(node::disconnect)))
        .route("/remote/stats", needs(View, get(remote::fleet)))
        .route("/remote/start", needs(Operate, post(remote::start_many)))
        .route("/remote/stop", needs(Operate, post(remote::stop_many)))
        .route("/remote/install", needs(Admin, post(remote::install_many)))
        .route("/remote/deploy", needs(Admin, post(remote::deploy_many)))
        .route("/remote/{peer}/stats", needs(View, get(remote::stats)))
        .route("/remote/{peer}/start", needs(Operate, post(remote::start)))
        .route("/remote/{peer}/stop", needs(Operate, post(remote::stop)))
        .route("/remote/{peer}/install", needs(Admin, post(remote::install)))
        .route("/remote/{peer}/logs/{miner}", needs(View, get(remote::logs)))
}

fn needs(role: Role, methods: MethodRouter<Api>) -> MethodRouter<Api> {
    methods.route_layer(from_fn(move |request, next| gate::require(role, request, next)))
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
