//! A driver's own routes, guarded like the host's.

use serde_json::{Value, json};

use crate::{
    api::{NONE, host_with, refused, wire},
    host::{Host, wait_for},
};

#[test]
fn a_driver_answers_its_own_routes() {
    let host = Host::start();
    let hello = host.get("/drivers/sim/x/hello?name=Ada%20L");
    assert_eq!(hello, json!({ "hello": "Ada L", "from": "sim" }));
    assert_eq!(host.get("/drivers/sim/x/notes"), json!({ "notes": [] }));
    let bytes = [("Content-Type", "application/octet-stream")];
    let put = wire::ask(&host, "PUT", "/drivers/sim/x/notes/a%2fb", &bytes, b"\x00text");
    assert_eq!((put.status, put.json()), (200, json!({ "stored": "a/b" })));
    assert_eq!(host.get("/drivers/sim/x/notes"), json!({ "notes": ["a/b"] }));
    let read = wire::ask(&host, "GET", "/drivers/sim/x/notes/a%2fb", &[], b"");
    assert_eq!((read.status, read.body.as_str()), (200, "\0text"));
    assert_eq!(read.header("content-type"), Some("application/octet-stream"));
    assert_eq!(read.header("x-content-type-options"), Some("nosniff"));
    host.ok("DELETE", "/drivers/sim/x/notes/a%2fb", NONE);
    // What the driver itself refuses comes as the driver says it.
    assert_eq!(host.call("GET", "/drivers/sim/x/notes/a", NONE).0, 404);
    assert_eq!(host.call("POST", "/drivers/sim/x/hello", NONE).0, 405);
}

#[test]
fn what_a_driver_cannot_answer_is_an_error_like_any_other() {
    let host = host_with("[drivers]\ncall_timeout_ms = 4000\n");
    let call = |method: &'static str, path: &str, expected| {
        refused(&host, (method, path, NONE), expected);
    };
    call("GET", "/drivers/none/x/hello", (404, "DRIVER_NOT_FOUND"));
    call("GET", "/drivers/minimal/x/hello", (404, "NO_ROUTE"));
    call("GET", "/drivers/faulty/x/panic", (502, "DRIVER_PANICKED"));
    call("GET", "/drivers/faulty/x/hang", (504, "DRIVER_TIMEOUT"));
    call("GET", "/drivers/faulty/x/huge", (502, "DRIVER_FAILED"));
    call("GET", "/drivers/faulty/x/garbage", (502, "DRIVER_FAILED"));
    let large = vec![b'x'; (1 << 20) + 1];
    let bytes = [("Content-Type", "application/octet-stream")];
    wire::ask(&host, "PUT", "/drivers/sim/x/notes/a", &bytes, &large).assert(
        "large",
        413,
        "TOO_LARGE",
    );
    let form = [("Content-Type", "text/plain")];
    wire::ask(&host, "PUT", "/drivers/sim/x/notes/a", &form, b"x").assert("form", 415, "NOT_JSON");
    let other = wire::ask(&host, "POST", "/miners", &bytes, b"{}");
    other.assert("bytes elsewhere", 415, "NOT_JSON");
    assert_eq!(host.get("/drivers/sim/x/notes"), json!({ "notes": [] }));
}

#[test]
fn figures_and_events_of_a_driver_reach_those_who_look() {
    let host = Host::start();
    host.simulate("rig-1", &json!({}));
    wait_for("published figures", || {
        host.miner("rig-1")["stats"]["extraData"]["readings"].as_u64()
    });
    host.ok("POST", "/drivers/sim/x/tell?kind=rain", &json!({ "mm": 3 }));
    let told = host.get("/events/recent?types=driver.sim.*");
    let event = &told["events"][0];
    assert_eq!(
        (&event["type"], &event["data"]["data"]),
        (&json!("driver.sim.rain"), &json!({ "mm": 3 }))
    );
    let bad =
        host.call("POST", "/drivers/sim/x/tell?kind=Rain!", &Value::Object(Default::default()));
    assert_eq!((bad.0, &bad.1["code"]), (400, &json!("INVALID_INPUT")));
}
