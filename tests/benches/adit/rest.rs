//! How fast the API answers.

use std::{fs, time::Duration};

use crate::{
    baseline::{Baseline, Role},
    http::{self, Client, requests_per_second},
    rig,
    table::Row,
};

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(1);

pub(crate) fn rows() -> Vec<Row> {
    let mut host = rig::host();
    host.up(&[]);
    for number in 0..10 {
        rig::miner(&host, &format!("m{number}"));
    }
    let token = fs::read_to_string(host.state().join("token")).unwrap().trim().to_owned();
    let (address, base) = split(&host.base);
    let compare = |what: &str, path: &str, token: &str, least: f64| {
        let path = format!("{base}{path}");
        let reply = Client::connect(&address).get(&path, token);
        let bare = Baseline::start(Role::Bytes, &reply);
        let request = http::request(&path, token);
        let (mut ours, mut theirs) = (0.0_f64, 0.0_f64);
        // By turns, so that what else the machine does meets both.
        for _ in 0..ROUNDS {
            ours = ours.max(requests_per_second(&address, &request, ROUND));
            theirs = theirs.max(requests_per_second(&bare.address, &request, ROUND));
        }
        let size = reply.len();
        Row::new(format!("{what}, {size} B, best of {ROUNDS}"), format!("{ours:.0} /s"))
            .beside("bare TCP server, same bytes", format!("{theirs:.0} /s"))
            .ratio(ours, theirs)
            .goal(format!("≥ {least}"), ours / theirs >= least)
    };
    // What the layers of our own cost on top of hyper and axum.
    let axum = Baseline::start(Role::Axum, b"");
    let request = http::request("/health", "");
    let rounds = (0..ROUNDS).map(|_| requests_per_second(&axum.address, &request, ROUND));
    let axum = rounds.fold(0.0, f64::max);
    vec![
        Row::new("for comparison: bare axum server", format!("{axum:.0} /s")),
        compare("GET /health", "/health", "", 0.85),
        compare("GET /miners/m0, token", "/miners/m0", &token, 0.5),
        compare("GET /miners, 10 miners, token", "/miners", &token, 0.8),
    ]
}

/// Address and base path of `http://address/base`.
pub(crate) fn split(base: &str) -> (String, String) {
    let rest = base.trim_start_matches("http://");
    let (address, path) = rest.split_once('/').unwrap();
    (address.to_owned(), format!("/{path}"))
}
