//! The REST API of a real host.

mod access;
mod config;
mod create;
mod driver_routes;
mod existing_clients;
mod faulty;
mod files;
mod gate;
mod input;
mod openapi;
mod pools;
mod profiles;
mod reading;
mod secrets;
mod system;
mod tls;
mod wire;

use std::fs;

use serde_json::Value;

use crate::host::Host;

pub(crate) const NONE: &Value = &Value::Null;

/// The admin's token of `host`.
fn token(host: &Host) -> String {
    fs::read_to_string(host.state().join("token")).unwrap()
}

/// A host whose settings file has `text` after the usual settings.
pub(crate) fn host_with(text: &str) -> Host {
    let mut host = Host::absent();
    let usual = fs::read_to_string(host.settings()).unwrap();
    fs::write(host.settings(), format!("{usual}{text}")).unwrap();
    host.up(&[]);
    host
}

/// Whether `answer` is an error as every client knows it: a sentence and a code.
fn assert_error(what: &str, answer: &Value) {
    let fields = answer.as_object().unwrap_or_else(|| panic!("{what}: {answer}"));
    let known = ["error", "code", "details"];
    assert!(fields.keys().all(|key| known.contains(&key.as_str())), "{what}: {answer}");
    let sentence = fields["error"].as_str().unwrap_or_else(|| panic!("{what}: {answer}"));
    assert!(!sentence.is_empty() && sentence.len() < 2000, "{what}: {answer}");
    assert!(!sentence.contains(char::is_control), "{what}: {answer}");
    let code = fields["code"].as_str().unwrap_or_else(|| panic!("{what}: {answer}"));
    let is_code = |c: char| c.is_ascii_uppercase() || c == '_';
    assert!(!code.is_empty() && code.chars().all(is_code), "{what}: {answer}");
}

/// Calls the host, which must refuse with `status` and `code`; returns the sentence.
pub(crate) fn refused(
    host: &Host,
    (method, path, body): (&str, &str, &Value),
    (status, code): (u16, &str),
) -> String {
    let (given, answer) = host.call(method, path, body);
    let what = format!("{method} {path:.100} {:.200}", body.to_string());
    assert_error(&what, &answer);
    assert_eq!((given, &answer["code"]), (status, &code.into()), "{what}: {answer}");
    answer["error"].as_str().unwrap().to_owned()
}
