//! Plain data and pure rules: what the parts of the host agree on. No I/O, no clocks.

#![deny(unsafe_code)]

pub mod access;
pub mod command;
pub mod device;
pub mod dialect;
pub mod doctor;
pub mod event;
pub mod figures;
pub mod history;
pub mod mask;
pub mod miner;
pub mod name;
pub mod path;
pub mod peer;
pub mod plan;
pub mod pool;
pub mod profile;
pub mod published;
pub mod reconcile;
pub mod references;
pub mod resolve;
pub mod restart;
pub mod rights;
pub mod run;
pub mod sample;
pub mod secrets;
pub mod series;
pub mod sightings;
pub mod template;
pub mod text;
pub mod version;
pub mod watchdog;
