//! Every route of the API on one page: its method, the role it needs, its handler, what it is for.

mod network;

use serde_json::{Value, json};

use crate::api::{
    audit, compat,
    document::{Routes, delete, describe::Operation, get, patch, post, put},
    driver_routes, drivers, events, exchange, history, listing, live_pools, metrics, miners,
    openapi, pools, profiles, programs, system, tokens, wallets, watchdog, webhooks,
};
use adit_model::{access::Role, miner::MinerView};

use Role::{Admin, Operate, View};

/// All routes, below the base path.
pub(crate) fn all() -> Routes {
    general()
        .with(mining())
        .with(driving())
        .with(past())
        .with(saved())
        .with(network::nodes())
        .with(network::fleet())
        .with(dialects())
}

/// The host itself, its events and who may use it.
fn general() -> Routes {
    Routes::about("Host")
        .at("/health", [get(None, system::health, "Tell that the host is there")])
        .at(
            "/ready",
            [get(None, system::ready, "Check that every miner was adopted")
                .and(|it| it.errors(&[503]))],
        )
        .at("/openapi.json", [get(None, openapi::document, "This document")])
        .at(
            "/docs",
            [get(None, openapi::page, "Where this document is shown").and(|it| {
                it.responses.insert(308, Some(json!({ "description": "To the page" })));
            })],
        )
        .at("/info", [get(View, system::info, "Tell of the host, its machine and its programs")])
        .at("/doctor", [post(View, system::doctor, "Find what is wrong, with a fix for each")])
        .at("/update", [post(View, system::update, "Find newer releases of installed programs")])
        .at(
            "/events",
            [get(View, events::sse::stream, "Stream events as they happen (SSE)")
                .and(|it| it.content(200, "text/event-stream", &json!({ "type": "string" })))],
        )
        .at(
            "/events/recent",
            [get(View, events::recent::list, "List the last events")
                .answers::<events::recent::Recent>()],
        )
        .at(
            "/events/ticket",
            [post(View, events::ticket::issue, "Get a ticket that opens one stream of a web page")],
        )
        .at("/ws/events", [get(View, events::ws::open, "Stream events over a WebSocket")])
        .at("/webhooks", [get(View, webhooks::list, "List who is told of events")])
        .at(
            "/webhooks/{name}/test",
            [post(Admin, webhooks::test, "Send a test to a webhook, once")],
        )
        .at("/audit", [get(Admin, audit::list, "List who changed what, newest first")])
        .at(
            "/tokens",
            [
                get(Admin, tokens::list, "List the tokens, without their secrets"),
                post(Admin, tokens::create, "Make a token; only this answer has its secret")
                    .created::<tokens::Made>(),
            ],
        )
        .at("/tokens/{id}", [delete(Admin, tokens::remove, "Make a token useless, at once")])
}

/// Miners and their programs.
fn mining() -> Routes {
    // The first part of some of these is a miner type; the router knows one name for it.
    let programs = Routes::about("Programs")
        .at(
            "/miners/{name}/install",
            [post(Admin, programs::install, "Install the program of a miner type, verified")
                .verifies()],
        )
        .at(
            "/miners/{name}/uninstall",
            [delete(Admin, programs::uninstall, "Remove the program of a miner type")],
        )
        .at(
            "/miners/{name}/rollback",
            [post(Admin, programs::rollback, "Go back to the version that ran before")],
        )
        .at(
            "/miners/{name}/versions",
            [get(
                View,
                programs::versions,
                "List the installed versions of a miner type's program",
            )],
        );
    Routes::about("Miners")
        .at(
            "/miners",
            [
                get(View, listing::list, "List the miners that run or shall run"),
                post(Admin, miners::create, "Make a miner and start it").created::<MinerView>(),
            ],
        )
        .at("/miners/available", [get(View, miners::available, "List what can be mined with")])
        .at(
            "/miners/{name}",
            [
                get(View, listing::one, "Show a miner"),
                delete(Operate, miners::stop, "Stop a miner; with remove=true also forget it"),
            ],
        )
        .at("/miners/{name}/stats", [get(View, miners::stats, "Show a miner's figures")])
        .at("/miners/{name}/logs", [get(View, miners::logs, "Read a miner's log")])
        .at("/miners/{name}/plan", [get(View, miners::plan, "Show what runs, secrets masked")])
        .at("/miners/{name}/runs", [get(View, miners::runs, "List a miner's last runs")])
        .at("/miners/{name}/start", [post(Operate, miners::start, "Start a miner that exists")])
        .at("/miners/{name}/restart", [post(Operate, miners::restart, "Restart a miner")])
        .at(
            "/miners/{name}/pause",
            [post(Operate, miners::pause, "Have a miner pause").and(|it| it.errors(&[404]))],
        )
        .at("/miners/{name}/resume", [post(Operate, miners::resume, "Have a miner go on")])
        .at(
            "/miners/{name}/maintenance",
            [post(Operate, watchdog::maintenance, "Have the watchdog leave a miner alone")],
        )
        .at(
            "/miners/{name}/watchdog",
            [
                get(View, watchdog::options, "Show how a miner is watched"),
                put(Operate, watchdog::set_options, "Set how a miner is watched"),
            ],
        )
        // What a console takes can redirect the income, and so can pools.
        .at(
            "/miners/{name}/pools",
            [post(Admin, live_pools::set, "Give a running miner other pools").and(|it| {
                it.answer::<Value>(200);
                it.answer::<Value>(202);
            })],
        )
        .at("/miners/{name}/stdin", [post(Admin, miners::stdin, "Type into a miner's console")])
        .with(programs)
}

/// Drivers, and the routes of their own.
fn driving() -> Routes {
    let own = |it: &mut Operation<'_>| {
        it.content(200, "*/*", &json!({}));
        it.any_status();
    };
    let handler = driver_routes::pass_on;
    Routes::about("Drivers")
        .at("/drivers", [get(View, drivers::list, "List the files of drivers and their state")])
        .at("/drivers/{id}", [get(View, drivers::one, "Show a driver")])
        .at("/drivers/{id}/clear", [post(Operate, drivers::clear, "End a driver's quarantine")])
        // Code of a driver runs with the rights of the host's user.
        .at("/drivers/{id}/trust", [post(Admin, drivers::trust, "Approve a driver's file")])
        // Nobody but the driver knows what a request changes.
        .at(
            "/drivers/{id}/x/{*path}",
            [
                get(View, handler, "Ask a driver by a route of its own").and(own),
                post(Admin, handler, "Tell a driver by a route of its own").and(own),
                put(Admin, handler, "Tell a driver by a route of its own").and(own),
                patch(Admin, handler, "Tell a driver by a route of its own").and(own),
                delete(Admin, handler, "Tell a driver by a route of its own").and(own),
            ],
        )
}

/// What was: figures, events and incidents.
fn past() -> Routes {
    Routes::about("History")
        .at(
            "/miners/{name}/hashrate-history",
            [get(View, history::recent, "Chart the last five minutes of a miner")],
        )
        .at("/history/status", [get(View, history::status, "Tell how the history is kept")])
        .at("/history/miners", [get(View, history::miners, "List the miners of the history")])
        .at("/history/miners/{name}", [get(View, history::miner, "Sum a miner's history up")])
        .at("/history/miners/{name}/hashrate", [get(View, history::chart, "Chart a miner")])
        .at("/history/totals", [get(View, history::totals, "List the algorithms of the history")])
        .at(
            "/history/totals/hashrate",
            [get(View, history::total, "Chart all miners of an algorithm")
                .and(|it| it.errors(&[404]))],
        )
        .at("/history/events", [get(View, history::events, "List what happened")])
        .at(
            "/metrics",
            [get(View, metrics::metrics, "Tell all figures to Prometheus").and(|it| {
                it.content(200, "text/plain", &json!({ "type": "string" }));
            })],
        )
        .at(
            "/remote-write",
            [get(View, metrics::remote_write, "Tell how the push of figures to a store goes")],
        )
        .at("/incidents", [get(View, watchdog::all, "List what the watchdog found and did")])
        .at("/incidents/{id}", [get(View, watchdog::one, "Show an incident with its evidence")])
        .at(
            "/miners/{name}/incidents",
            [get(View, watchdog::of_miner, "List what the watchdog found at a miner")],
        )
}

/// What is saved for later: profiles, and the wallets and pools that they refer to.
fn saved() -> Routes {
    use crate::miners::{PoolView, WalletView};
    use adit_model::profile::ProfileView;
    Routes::about("Profiles")
        .at(
            "/profiles",
            [
                get(View, profiles::list, "List the profiles"),
                post(Admin, profiles::create, "Save a profile").created::<ProfileView>(),
            ],
        )
        .at(
            "/profiles/{id}",
            [
                get(View, profiles::one, "Show a profile"),
                put(Admin, profiles::put, "Change a profile"),
                delete(Admin, profiles::remove, "Delete a profile"),
            ],
        )
        .at(
            "/profiles/export",
            [get(View, exchange::export, "Read all profiles, wallets and pools, without secrets")
                .and(|it| {
                    it.answer::<crate::miners::Document>(200);
                    it.content(200, "application/toml", &json!({ "type": "string" }));
                })],
        )
        .at("/profiles/import", [post(Admin, exchange::import, "Save what was exported")])
        .at("/profiles/{id}/plan", [get(View, profiles::plan, "Show what a start would do")])
        .at(
            "/profiles/{id}/start",
            [post(Operate, profiles::start, "Start a miner from a profile")],
        )
        .at(
            "/wallets",
            [
                get(View, wallets::list, "List the wallets"),
                post(Admin, wallets::create, "Save a wallet").created::<WalletView>(),
            ],
        )
        .at(
            "/wallets/{name}",
            [
                get(View, wallets::one, "Show a wallet"),
                put(Admin, wallets::put, "Change a wallet"),
                delete(Admin, wallets::remove, "Delete a wallet"),
            ],
        )
        .at(
            "/pools",
            [
                get(View, pools::list, "List the pools"),
                post(Admin, pools::create, "Save a pool").created::<PoolView>(),
            ],
        )
        .at(
            "/pools/{name}",
            [
                get(View, pools::one, "Show a pool"),
                put(Admin, pools::put, "Change a pool"),
                delete(Admin, pools::remove, "Delete a pool"),
            ],
        )
}

/// What other people's tools read.
fn dialects() -> Routes {
    let forbidden = |it: &mut Operation<'_>| it.errors(&[403]);
    Routes::about("Compatibility")
        .at(
            "/compat/xmrig/{name}/1/summary",
            [get(View, compat::summary_1, "Tell a miner's figures as XMRig does, first form")],
        )
        .at(
            "/compat/xmrig/{name}/api.json",
            [get(View, compat::summary_1, "Tell a miner's figures as XMRig does, first form")],
        )
        .at(
            "/compat/xmrig/{name}/2/summary",
            [get(View, compat::summary_2, "Tell a miner's figures as XMRig does")],
        )
        .at(
            "/compat/xmrig/{name}/2/backends",
            [get(View, compat::backends, "Tell a miner's devices as XMRig does")],
        )
        .at(
            "/compat/xmrig/{name}/1/config",
            [
                get(View, compat::restricted, "Refused: nothing can be changed here")
                    .and(forbidden),
                put(View, compat::restricted, "Refused: nothing can be changed here")
                    .and(forbidden),
            ],
        )
        .at(
            "/compat/xmrig/{name}/2/config",
            [
                get(View, compat::restricted, "Refused: nothing can be changed here")
                    .and(forbidden),
                put(View, compat::restricted, "Refused: nothing can be changed here")
                    .and(forbidden),
            ],
        )
        .at(
            "/compat/xmrig/{name}/json_rpc",
            [post(View, compat::restricted, "Refused: nothing can be changed here").and(forbidden)],
        )
        .at(
            "/compat/hiveos/{name}",
            [get(View, compat::hiveos, "Tell a miner's figures as HiveOS wants them")],
        )
        .at(
            "/compat/mmpos/{name}",
            [get(View, compat::mmpos, "Tell a miner's figures as mmpOS wants them")],
        )
}
