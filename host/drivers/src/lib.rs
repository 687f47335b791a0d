//! Drivers: finding their files, judging and loading them, and calling them.
//!
//! Owns everything between a folder of files and an answer to a question: no other part of the host
//! knows that drivers are libraries. Knows nothing of miners under management, of keepers or of the
//! database; what a driver may ask of the host comes in through [`handle::ServicesFactory`].
//!
//! A file passes these steps, and the first that fails is the reason that is listed: `search` finds
//! it, `trust` checks who could have written it, `preflight` reads it once and checks it without
//! running any of it, `load` maps a private copy of what was read, and `handle` asks it what it
//! offers.

#![deny(unsafe_code)]

pub mod call;
pub mod check;
pub mod definition;
mod elf;
pub mod handle;
pub mod health;
pub mod hosting;
pub mod inspect;
pub mod known_secrets;
#[expect(unsafe_code, reason = "mapping a library and reading what it exports is unsafe")]
pub mod load;
pub mod lock;
pub mod news;
pub mod preflight;
pub mod registry;
pub mod runner;
pub mod schema;
pub mod search;
mod text;
pub mod trust;
mod watch;
