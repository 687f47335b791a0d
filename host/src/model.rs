//! Plain data and pure rules: what the parts of the host agree on. No I/O, no clocks.

pub mod name;
pub mod run;
