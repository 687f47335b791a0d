//! The host's drivers module with real libraries: `cargo build --workspace` makes them.

#![expect(clippy::unwrap_used, reason = "a test says no by a panic")]
#![expect(clippy::disallowed_methods, reason = "fixtures are made by a C compiler")]

mod abi;
mod calls;
mod faults;
mod files;
mod hostile;
mod isolation;
mod place;
mod swap;
mod written;
