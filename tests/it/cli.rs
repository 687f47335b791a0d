//! The command line of the real binary.

mod check;
mod lifecycle;
mod output;
mod profiles;
mod remote;
mod seeing;
mod top;
mod twins;

use std::process::Output;

use serde_json::Value;

use crate::host::Host;

/// Exit code, standard output and standard error.
fn run(host: &Host, args: &[&str]) -> (i32, String, String) {
    told(&host.run(args))
}

fn told(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

/// Standard output of a command that must succeed and complain of nothing.
fn said(host: &Host, args: &[&str]) -> String {
    let (code, out, error) = run(host, args);
    assert_eq!((code, error.as_str()), (0, ""), "{args:?}: {out}");
    out
}

/// The complaint of a command that must fail with `code` and print nothing else.
fn failed(host: &Host, args: &[&str], code: i32) -> String {
    let (given, out, error) = run(host, args);
    assert_eq!((given, out.as_str()), (code, ""), "{args:?}: {error}");
    assert!(!error.contains("panicked") && !error.contains("RUST_BACKTRACE"), "{args:?}: {error}");
    assert!(!error.is_empty(), "{args:?} says nothing");
    error
}

/// Rows of a table: the cells, for whoever has no blanks in them.
fn rows(table: &str) -> Vec<Vec<&str>> {
    table.lines().map(|line| line.split_whitespace().collect()).collect()
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}
