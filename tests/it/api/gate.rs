//! What every request passes first: names, origins, content types, sizes, times, methods.

use std::{io::Write, net::TcpStream};

use serde_json::json;

use crate::{
    api::{
        NONE, host_with, refused, token,
        wire::{ask, connect, place, post, receive, send},
    },
    host::Host,
};

const FORM: &str = "application/x-www-form-urlencoded";

#[test]
fn pages_of_others_cannot_call() {
    let settings = "[api]\nhosts = ['rig.lan']\norigins = ['http://dash.lan:8080']\n";
    let host = host_with(settings);
    let (address, _) = place(&host);
    let port = address.rsplit_once(':').unwrap().1;
    let own = format!("http://localhost:{port}");
    for (name, value, expected) in [
        ("Host", "evil.example", Some((421, "WRONG_HOST"))),
        ("Host", &format!("evil.example:{port}"), Some((421, "WRONG_HOST"))),
        ("Host", "127.0.0.1.evil.example", Some((421, "WRONG_HOST"))),
        ("Host", "192.0.2.1", Some((421, "WRONG_HOST"))),
        ("Host", "", Some((421, "WRONG_HOST"))),
        ("Host", "rig.lan", None),
        ("Host", "localhost", None),
        ("Host", "[::1]:9090", None),
        ("Origin", "http://evil.example", Some((403, "FOREIGN_ORIGIN"))),
        ("Origin", "null", Some((403, "FOREIGN_ORIGIN"))),
        ("Origin", "http://localhost:1", Some((403, "FOREIGN_ORIGIN"))),
        ("Origin", "http://localhost", Some((403, "FOREIGN_ORIGIN"))),
        ("Origin", "http://dash.lan", Some((403, "FOREIGN_ORIGIN"))),
        ("Origin", "http://dash.lan:8080", None),
        ("Origin", &own, None),
    ] {
        for path in ["/miners", "/health", "/no-such-route"] {
            let answer = ask(&host, "GET", path, &[(name, value)], b"");
            match expected {
                Some((status, code)) => answer.assert(&format!("{name}: {value}"), status, code),
                None => assert!([200, 404].contains(&answer.status), "{name}: {value}"),
            }
            let shown = answer.header("access-control-allow-origin");
            let may = name == "Origin" && expected.is_none();
            assert_eq!(shown, may.then_some(value), "{name}: {value}");
        }
    }
    let both = [("Host", address), ("Host", "evil.example")];
    let answer = ask(&host, "GET", "/miners", &both, b"");
    assert!([400, 421].contains(&answer.status), "two hosts: {}", answer.status);
    let base = place(&host).1;
    for request in [
        format!("GET http://evil.example{base}/health HTTP/1.1\r\nHost: {address}\r\n"),
        format!("GET {base}/health HTTP/1.0\r\n"),
    ] {
        let answer = send(&host, format!("{request}Connection: close\r\n\r\n").as_bytes());
        answer.assert(&request, 421, "WRONG_HOST");
    }
}

#[test]
fn only_json_is_taken_as_a_body() {
    let host = Host::start();
    for kind in [FORM, "text/plain", "multipart/form-data; boundary=x", "application/jsonp", ""] {
        for path in ["/miners", "/tokens", "/miners/x/start"] {
            let answer = ask(&host, "POST", path, &[("Content-Type", kind)], b"{}");
            answer.assert(kind, 415, "NOT_JSON");
        }
    }
    ask(&host, "POST", "/miners", &[], b"{}").assert("no type", 415, "NOT_JSON");
    let chunked = [("Transfer-Encoding", "chunked"), ("Content-Type", FORM)];
    ask(&host, "POST", "/miners", &chunked, b"2\r\n{}\r\n0\r\n\r\n")
        .assert("chunked", 415, "NOT_JSON");
    let with_charset = [("Content-Type", "Application/JSON; charset=utf-8")];
    ask(&host, "POST", "/miners", &with_charset, b"{}").assert("{}", 400, "INVALID_INPUT");
}

#[test]
fn a_body_has_a_limit() {
    let host = Host::start();
    let text = |bytes: usize| format!("{{\"input\":\"{}\"}}", "x".repeat(bytes - 12)).into_bytes();
    for path in ["/miners", "/tokens", "/miners/nobody/stdin"] {
        post(&host, path, &text((1 << 20) + 1)).assert("a byte too many", 413, "TOO_LARGE");
    }
    assert_eq!(post(&host, "/miners/nobody/stdin", &text(1 << 20)).status, 400, "as much as fits");
    // One that lies about its length, and one that does not tell it.
    let huge = [("Content-Type", "application/json"), ("Content-Length", "99999999999")];
    let answer = ask(&host, "POST", "/miners", &huge, &text(2 << 20));
    answer.assert("endless", 413, "TOO_LARGE");
    let chunked = [("Content-Type", "application/json"), ("Transfer-Encoding", "chunked")];
    let chunk = [b"200000\r\n", text(2 << 20).as_slice(), b"\r\n0\r\n\r\n"].concat();
    ask(&host, "POST", "/miners", &chunked, &chunk).assert("chunked", 413, "TOO_LARGE");
    assert_eq!(host.get("/miners"), json!([]));
}

#[test]
fn slow_clients_hold_nobody_up_and_are_hung_up_on() {
    let host = Host::start();
    let (address, base) = place(&host);
    let mut slow: Vec<TcpStream> = (0..200).map(|_| connect(&host)).collect();
    for (number, stream) in slow.iter_mut().enumerate() {
        // Half of them do not finish their head, the others send no body.
        let head = format!(
            "POST {base}/miners HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\nX: ",
            token(&host)
        );
        let end = "x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n";
        write!(stream, "{head}{}", if number % 2 == 0 { "" } else { end }).unwrap();
    }
    assert_eq!(host.get("/miners"), json!([]));
    // The end of the connection, with or without an answer, within the patience of the test.
    let mut rest = Vec::new();
    let ended = std::io::Read::read_to_end(&mut slow[0], &mut rest);
    assert!(ended.is_ok(), "{ended:?}");
    assert_eq!(host.get("/miners"), json!([]));
}

#[test]
fn unknown_routes_and_wrong_methods_are_told() {
    let host = Host::start();
    for path in ["/", "/nothing", "/miners/", "/miners/x/y/z", "//miners", "/Miners", "/health/"] {
        ask(&host, "GET", path, &[], b"").assert(path, 404, "NO_ROUTE");
    }
    let (address, _) = place(&host);
    for (token, status, code) in [(token(&host), 404, "NO_ROUTE"), (String::new(), 401, "NO_TOKEN")]
    {
        let head = format!("GET /nowhere HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
        let who =
            if token.is_empty() { token } else { format!("Authorization: Bearer {token}\r\n") };
        let answer = send(&host, format!("{head}{who}\r\n").as_bytes());
        answer.assert("outside of the base path", status, code);
    }
    for (method, path) in [
        ("PUT", "/miners"),
        ("PATCH", "/miners/x"),
        ("POST", "/miners/available"),
        ("DELETE", "/miners/x/stats"),
        ("GET", "/miners/x/start"),
        ("POST", "/info"),
        ("TRACE", "/miners"),
        ("FROBNICATE", "/miners"),
        ("OPTIONS", "/miners"),
    ] {
        let answer = ask(&host, method, path, &[], b"");
        answer.assert(&format!("{method} {path}"), 405, "METHOD_NOT_ALLOWED");
        assert_eq!(answer.header("access-control-allow-methods"), None);
    }
    refused(&host, ("DELETE", "/miners", NONE), (405, "METHOD_NOT_ALLOWED"));
    let nobody = [("Authorization", "")];
    ask(&host, "OPTIONS", "/miners", &nobody, b"").assert("OPTIONS", 401, "NO_TOKEN");
}

#[test]
fn every_answer_has_the_headers_that_keep_browsers_safe() {
    let host = Host::start();
    for (method, path, headers) in [
        ("GET", "/health", [].as_slice()),
        ("GET", "/miners", &[]),
        ("GET", "/nothing", &[]),
        ("PUT", "/miners", &[]),
        ("GET", "/miners", &[("Authorization", "Bearer wrong")]),
        ("GET", "/miners", &[("Host", "evil.example")]),
    ] {
        let answer = ask(&host, method, path, headers, b"");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "deny"),
            ("cache-control", "no-store"),
            ("content-security-policy", "default-src 'none'"),
            ("content-type", "application/json"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{method} {path} {}", answer.head);
        }
        assert_eq!(answer.header("server"), None);
    }
}

#[test]
fn head_is_get_without_a_body() {
    let host = Host::start();
    host.simulate("rig-1", &json!({}));
    for path in ["/health", "/info", "/miners", "/miners/rig-1", "/miners/nobody", "/nothing"] {
        let (head, get) = (ask(&host, "HEAD", path, &[], b""), ask(&host, "GET", path, &[], b""));
        assert_eq!((head.status, head.body.as_str()), (get.status, ""), "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
    }
    let wrong = [("Authorization", "Bearer wrong")];
    assert_eq!(ask(&host, "HEAD", "/miners", &wrong, b"").status, 401);
}

#[test]
fn listening_beyond_loopback_needs_a_decision() {
    let mut host = Host::absent();
    for address in ["0.0.0.0:0", "[::]:0"] {
        let output = host.run(&["up", "--listen", address]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("api.plain_http_beyond_loopback = true"), "{told}");
        assert!(!host.state().exists(), "a refused start leaves nothing behind");
    }
    let text = std::fs::read_to_string(host.settings()).unwrap();
    let text = format!("{text}[api]\nplain_http_beyond_loopback = true\n");
    std::fs::write(host.settings(), text).unwrap();
    host.up(&["--listen", "0.0.0.0:0"]);
    host.base = host.base.replace("0.0.0.0", "127.0.0.1");
    assert_eq!(host.get("/miners"), json!([]));
    let answer = ask(&host, "GET", "/miners", &[("Host", "evil.example")], b"");
    answer.assert("rebinding", 421, "WRONG_HOST");
}

#[test]
fn what_is_no_http_gets_no_further() {
    let host = Host::start();
    for bytes in [
        b"\x16\x03\x01\x02\x00\x01\x00\x01".as_slice(),
        b"GET\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
        b"GET /x HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut stream = connect(&host);
        stream.write_all(bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        let _reset = std::io::Read::read_to_end(&mut stream, &mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.is_empty() || answer.contains(" 400 "), "{bytes:?}: {answer}");
    }
    // Two requests on one connection: what the first says of itself does not count for the next.
    let (address, base) = place(&host);
    let mut stream = connect(&host);
    let body = "GET /api/v1/mining/tokens HTTP/1.1";
    write!(
        stream,
        "POST {base}/miners HTTP/1.1\r\nHost: {address}\r\nContent-Length: {}\r\n\
         Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let answer = receive(&mut stream);
    assert!((400..500).contains(&answer.status), "{}", answer.head);
    assert_eq!(host.get("/miners"), json!([]));
}
