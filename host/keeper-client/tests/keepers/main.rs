//! Keepers with real processes: shell scripts as programs, the built `adit` as keeper.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod clients;
mod descriptors;
mod life;
mod orphans;
mod output;
mod question;
mod root;
mod shortage;
mod stop;
mod support;
mod survival;
mod unreachable;
