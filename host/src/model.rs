//! Plain data and pure rules: what the parts of the host agree on. No I/O, no clocks.

pub mod access;
pub mod event;
pub mod miner;
pub mod name;
pub mod plan;
pub mod reconcile;
pub mod restart;
pub mod run;
pub mod sample;
pub mod sightings;
pub mod watchdog;
