//! The host: loads miner drivers, keeps miners running, and serves them over REST.
//!
//! `ARCHITECTURE.md` has the map. A module uses only modules of the layers below its own.

#![deny(unsafe_code)]

pub mod api;
pub mod app;
pub mod cli;
pub mod miners;
pub mod node;
pub mod settings;
