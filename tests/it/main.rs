//! Behaviour of the real `adit` binary, seen from outside, and the rules of the code base.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::disallowed_methods, reason = "tests run the real binaries")]

mod api;
mod cli;
mod compat;
mod declarative;
mod device;
mod drivers;
mod events;
mod history;
mod hiveos;
mod host;
mod lifecycle;
mod metrics;
mod newcomer;
mod node;
mod other_build;
mod services;
mod soak;
mod stores;
mod survival;
mod tidy;
mod tt_miner;
mod watchdog;
mod webhooks;
mod xmrig;
