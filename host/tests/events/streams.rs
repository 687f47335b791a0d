//! Server-sent events: who gets which, from where on, and who gets none.

use serde_json::{Value, json};

use crate::rig::{Rig, Sse, TOKEN, wait_for};

/// Numbers of the next `count` events.
fn numbers(stream: &mut Sse, count: usize) -> Vec<u64> {
    (0..count).map(|_| stream.expect("test.happened")["data"]["n"].as_u64().unwrap()).collect()
}

#[test]
fn a_newcomer_is_told_the_state_and_then_what_happens() {
    let rig = Rig::start(10);
    rig.publish(3);
    let mut stream = rig.listen("", &[]);
    assert!(stream.head.contains("content-type: text/event-stream"), "{}", stream.head);
    let state = stream.expect("state.sync");
    assert_eq!((&state["data"]["miners"], state.get("id")), (&json!([]), None));
    rig.publish(2);
    assert_eq!(numbers(&mut stream, 2), [0, 1]);
}

#[test]
fn one_who_comes_back_hears_what_came_after_its_last_event() {
    let rig = Rig::start(10);
    let mut stream = rig.listen("", &[]);
    rig.publish(10);
    stream.expect("state.sync");
    let last = (0..4).map(|_| stream.expect("test.happened")).last().unwrap()["id"].to_string();
    drop(stream);
    let mut again = rig.listen("", &[("Last-Event-ID", &last)]);
    assert_eq!(numbers(&mut again, 6), [4, 5, 6, 7, 8, 9]);
    let mut asked = rig.listen(&format!("?after={last}"), &[]);
    assert_eq!(numbers(&mut asked, 6), [4, 5, 6, 7, 8, 9]);
}

#[test]
fn one_who_comes_back_too_late_is_told_how_much_is_gone() {
    let rig = Rig::start(10);
    rig.publish(1);
    let last = rig.events.newest().to_string();
    rig.publish(5_000);
    let mut stream = rig.listen("", &[("Last-Event-ID", &last)]);
    let count = stream.expect("events.missed")["data"]["count"].as_u64().unwrap();
    stream.expect("state.sync");
    assert_eq!(numbers(&mut stream, 1), [count]);
}

#[test]
fn the_id_of_an_earlier_host_is_known_as_such() {
    let earlier = {
        let rig = Rig::start(10);
        rig.publish(5);
        rig.events.newest().to_string()
    };
    let rig = Rig::start(10);
    rig.publish(2);
    let mut stream = rig.listen("", &[("Last-Event-ID", &earlier)]);
    let missed = stream.expect("events.missed");
    assert!(missed["data"]["reason"].as_str().unwrap().contains("anew"), "{missed}");
    stream.expect("state.sync");
    assert_eq!(numbers(&mut stream, 2), [0, 1]);
}

#[test]
fn filters_let_through_what_they_name() {
    let rig = Rig::start(10);
    let mut of_type = rig.listen("?types=driver.*,miner.started", &[]);
    let mut of_miner = rig.listen("?miner=rig-1", &[]);
    of_miner.expect("state.sync");
    rig.events.publish("miner.started", json!({ "name": "rig-2" }));
    rig.events.publish("miner.stopped", json!({ "name": "rig-1" }));
    rig.events.publish("driver.loaded", json!({ "id": "sim" }));
    rig.events.publish("miner.started", json!({ "name": "rig-1" }));
    assert_eq!(of_type.expect("miner.started")["data"]["name"], "rig-2");
    of_type.expect("driver.loaded");
    assert_eq!(of_type.expect("miner.started")["data"]["name"], "rig-1");
    of_miner.expect("miner.stopped");
    of_miner.expect("miner.started");
}

#[test]
fn what_makes_no_sense_is_refused_with_what_to_write() {
    let rig = Rig::start(10);
    for (query, told) in [
        ("?types=started", "write it like miner.started"),
        ("?types=", "is no type of event"),
        ("?miner=Rig%201", "is no name of a miner"),
        ("?after=yesterday", "write the id of an event"),
        ("?colour=red", "unknown field `colour`"),
    ] {
        let error = rig.refused(&format!("/events{query}"), &[], 400, "INVALID_INPUT");
        assert!(error["error"].as_str().unwrap().contains(told), "{query}: {error}");
    }
    rig.refused("/events", &[("Last-Event-ID", "x")], 400, "INVALID_INPUT");
    rig.refused("/events/recent?limit=-1", &[], 400, "INVALID_INPUT");
}

#[test]
fn the_moment_before_can_be_read_without_a_stream() {
    let rig = Rig::start(10);
    rig.publish(5);
    rig.events.publish("miner.started", json!({ "name": "rig-1" }));
    let read = |query: &str| -> Value {
        serde_json::from_str(&rig.ask("GET", &format!("/events/recent{query}"), &[]).rest())
            .unwrap()
    };
    let two = read("?limit=2&types=test.happened");
    let numbers: Vec<_> =
        two["events"].as_array().unwrap().iter().map(|it| &it["data"]["n"]).collect();
    assert_eq!(numbers, [&json!(3), &json!(4)]);
    assert_eq!(two["newest"], rig.events.newest());
    assert_eq!(read("?miner=rig-1")["events"][0]["type"], "miner.started");
    assert_eq!(read("?miner=rig-2")["events"], json!([]));
}

#[test]
fn nobody_listens_without_a_token_or_from_a_foreign_page() {
    let rig = Rig::start(10);
    rig.refused("/events", &[("Authorization", "")], 401, "NO_TOKEN");
    rig.refused("/events", &[("Authorization", "Bearer guess")], 401, "WRONG_TOKEN");
    rig.refused("/events?ticket=guess", &[("Authorization", "")], 401, "WRONG_TICKET");
    let page = ("Origin", "http://evil.example");
    rig.refused("/events", &[page], 403, "FOREIGN_ORIGIN");
    rig.refused("/events", &[("Host", "evil.example"), page], 421, "WRONG_HOST");
}

#[test]
fn a_ticket_opens_one_stream_once_and_nothing_else() {
    let rig = Rig::start(10);
    let issue = || {
        let issued: Value =
            serde_json::from_str(&rig.ask("POST", "/events/ticket", &[]).rest()).unwrap();
        issued["ticket"].as_str().unwrap().to_owned()
    };
    let ticket = issue();
    let bare = [("Authorization", "")];
    rig.refused(&format!("/miners?ticket={ticket}"), &bare, 401, "NO_TOKEN");
    rig.listen(&format!("?ticket={ticket}"), &bare).expect("state.sync");
    rig.refused(&format!("/events?ticket={ticket}"), &bare, 401, "WRONG_TICKET");
    // A foreign page that got hold of one is refused all the same.
    let page = [("Authorization", ""), ("Origin", "http://evil.example")];
    rig.refused(&format!("/events?ticket={}", issue()), &page, 403, "FOREIGN_ORIGIN");
    assert!(TOKEN.len() < ticket.len());
}

#[test]
fn a_place_is_free_again_when_its_subscriber_is_gone() {
    let rig = Rig::start(2);
    let (one, _two) = (rig.listen("", &[]), rig.listen("", &[]));
    let told = rig.refused("/events", &[], 503, "TOO_MANY_SUBSCRIBERS");
    assert!(told["error"].as_str().unwrap().contains("events.max_subscribers"), "{told}");
    // Other requests are served as before.
    assert_eq!(rig.ask("GET", "/events/recent", &[]).status, 200);
    drop(one);
    wait_for("a free place", || {
        rig.publish(1);
        (rig.ask("GET", "/events", &[]).status == 200).then_some(())
    });
}

#[test]
fn open_streams_end_with_the_host() {
    let mut rig = Rig::start(10);
    let mut stream = rig.listen("", &[]);
    stream.expect("state.sync");
    rig.publish(2);
    rig.end();
    assert_eq!(numbers(&mut stream, 2), [0, 1]);
    assert_eq!(stream.next(), None);
}
