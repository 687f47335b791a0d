//! Releases: a server for them, archives honest and hostile, and keys that sign.

pub mod archives;
pub mod server;
pub mod signing;
