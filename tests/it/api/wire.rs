//! HTTP as bytes: what no well-behaved client would send.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use serde_json::Value;

use crate::{
    api::{assert_error, token},
    host::{Host, PATIENCE},
};

/// What came back.
pub(super) struct Answer {
    pub(super) status: u16,
    /// The lines of the head, in lower case.
    pub(super) head: String,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        let parsed = serde_json::from_str(&self.body);
        parsed.unwrap_or_else(|_| panic!("no JSON: {} {:?}", self.status, self.body))
    }

    /// The value of a header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    }

    /// Checks that this is an error of `status` and `code`.
    pub(super) fn assert(&self, what: &str, status: u16, code: &str) {
        let answer = self.json();
        assert_error(what, &answer);
        assert_eq!((self.status, &answer["code"]), (status, &code.into()), "{what}: {answer}");
    }
}

/// Address and base path of the host's API.
pub(super) fn place(host: &Host) -> (&str, &str) {
    let rest = host.base.strip_prefix("http://").unwrap();
    rest.split_at(rest.find('/').unwrap())
}

pub(super) fn connect(host: &Host) -> TcpStream {
    let stream = TcpStream::connect(place(host).0).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends `bytes` as they are and reads the answer.
pub(super) fn send(host: &Host, bytes: &[u8]) -> Answer {
    let mut stream = connect(host);
    // A host that refuses early does not read on.
    let _refused_early = stream.write_all(bytes);
    receive(&mut stream)
}

/// Reads until the host closes the connection.
pub(super) fn receive(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    let ended = stream.read_to_end(&mut bytes);
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) =
        text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{ended:?}: no answer: {text:?}"));
    let status = head.split(' ').nth(1).and_then(|it| it.parse().ok()).unwrap();
    Answer { status, head: head.to_lowercase(), body: body.to_owned() }
}

/// Sends a request of the admin. `path` goes below the base path as it is; `headers` come first,
/// and one named `Host` replaces the usual one.
pub(super) fn ask(
    host: &Host,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let (address, base) = place(host);
    let mut head = format!("{method} {base}{path} HTTP/1.1\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let has = |name: &str| headers.iter().any(|(it, _)| it.eq_ignore_ascii_case(name));
    if !has("Host") {
        head.push_str(&format!("Host: {address}\r\n"));
    }
    if !has("Authorization") {
        head.push_str(&format!("Authorization: Bearer {}\r\n", token(host)));
    }
    if !body.is_empty() && !has("Transfer-Encoding") && !has("Content-Length") {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    head.push_str("Connection: close\r\n\r\n");
    send(host, &[head.as_bytes(), body].concat())
}

/// [`ask`] with a body that is called JSON, whatever it is.
pub(super) fn post(host: &Host, path: &str, body: &[u8]) -> Answer {
    ask(host, "POST", path, &[("Content-Type", "application/json")], body)
}
