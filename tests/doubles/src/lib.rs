//! What tests talk to instead of the world, honest by default and with faults by switch: a release
//! server and a mining pool. Beside this library the program `xmrig-double` stands for XMRig.
//!
//! All of it listens on loopback only and lives in threads of its own, so that it serves tests with
//! and without an async runtime.

#![expect(clippy::unwrap_used, reason = "a double that cannot go on has failed its test")]
#![expect(clippy::missing_panics_doc, reason = "doubles panic to fail their test")]

pub mod pool;
pub mod release;
