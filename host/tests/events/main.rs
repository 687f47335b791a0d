//! Streams of events over a real API on a real port, with a bus that the test publishes on.

#![expect(clippy::unwrap_used, reason = "a test says no by a panic")]

mod crowd;
mod rig;
mod sockets;
mod streams;
