//! The dashboard in a real browser. `.ci/test` runs these tests where there is Chromium.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::disallowed_methods, reason = "tests run the real binaries")]

mod away;
mod browser;
mod doctor;
mod drivers;
mod exchange;
mod fleet;
#[path = "../it/host.rs"]
#[expect(dead_code, reason = "it serves the tests without a browser as well")]
mod host;
mod hostile;
mod keyboard;
mod operate;
mod page;
mod pages;
mod release;
mod xmrig;
