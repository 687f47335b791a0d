//! A thousand subscribers, and one among them that does not read.

use serde_json::json;

use crate::rig::{Rig, Sse};

/// Raises the limit of open files as far as it goes; a thousand connections have two ends here.
fn raise_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}

#[test]
fn a_thousand_subscribers_hear_the_same_in_the_same_order() {
    raise_limit();
    let rig = Rig::start(1_000);
    let mut crowd: Vec<Sse> = (0..1_000).map(|_| rig.listen("?types=test.happened", &[])).collect();
    rig.refused("/events", &[], 503, "TOO_MANY_SUBSCRIBERS");
    rig.publish(20);
    for stream in &mut crowd {
        for n in 0..20 {
            assert_eq!(stream.expect("test.happened")["data"]["n"], n);
        }
    }
}

#[test]
fn one_who_does_not_read_misses_events_and_holds_nobody_up() {
    let rig = Rig::start(10);
    let mut slow = rig.listen("?types=test.*,events.missed", &[]);
    let mut quick = rig.listen("?types=test.*", &[]);
    let text = "x".repeat(32 << 10);
    // Far more than the ring and the buffers of a connection hold.
    let count = 2_000;
    for n in 0..count {
        rig.events.publish("test.happened", json!({ "n": n, "text": text }));
        assert_eq!(quick.expect("test.happened")["data"]["n"], n, "the quick one misses nothing");
    }
    let (mut heard, mut missed) = (0, 0);
    loop {
        let message = slow.next().unwrap();
        if message["type"] == "events.missed" {
            missed += message["data"]["count"].as_u64().unwrap();
            continue;
        }
        // What is missing is exactly what it was told to be.
        assert_eq!(message["data"]["n"], heard + missed, "{missed} missed");
        heard += 1;
        if heard + missed == count {
            break;
        }
    }
    assert!(missed > 0, "all {count} were buffered somewhere");
}
