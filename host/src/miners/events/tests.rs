//! Resuming, falling behind, and what everybody shares.

use super::*;

fn bus() -> Events {
    Events::new(1_795_000_000_000)
}

fn publish(events: &Events, count: usize) {
    for n in 0..count {
        events.publish("test.happened", json!({ "n": n }));
    }
}

/// What is there for `subscription` now: numbers of events, and what was missed.
fn heard(subscription: &mut Subscription) -> (Vec<u64>, Vec<Option<u64>>) {
    let (mut numbers, mut missed) = (Vec::new(), Vec::new());
    while let Some(heard) = subscription.try_next() {
        match heard {
            Heard::Event(it) => numbers.push(it.event.data["n"].as_u64().unwrap()),
            Heard::Missed { count } => missed.push(count),
        }
    }
    (numbers, missed)
}

#[tokio::test]
async fn a_newcomer_hears_what_happens_from_now_on() {
    let events = bus();
    publish(&events, 3);
    let mut subscription = events.subscribe(None);
    assert!(subscription.try_next().is_none());
    let waiting = tokio::spawn(async move { subscription.next().await });
    tokio::task::yield_now().await;
    events.publish("test.happened", json!({ "n": 7 }));
    let Some(Heard::Event(it)) = waiting.await.unwrap() else { panic!("an event") };
    assert_eq!((it.event.id, it.event.data["n"].as_u64()), (events.newest(), Some(7)));
}

#[test]
fn one_who_comes_back_hears_what_came_after() {
    let events = bus();
    publish(&events, 5);
    let after = events.newest() - 2;
    assert_eq!(heard(&mut events.subscribe(Some(after))), (vec![3, 4], vec![]));
    assert_eq!(heard(&mut events.subscribe(Some(events.newest()))), (vec![], vec![]));
}

#[test]
fn one_who_comes_back_too_late_is_told_how_many_are_gone() {
    let events = bus();
    publish(&events, 1);
    let after = events.newest();
    publish(&events, RING + 10);
    let (numbers, missed) = heard(&mut events.subscribe(Some(after)));
    assert_eq!((numbers.len(), numbers[0], missed), (RING, 10, vec![Some(10)]));
}

#[test]
fn the_id_of_an_earlier_or_a_later_host_is_not_taken_for_ones_own() {
    let earlier = bus();
    publish(&earlier, 4);
    let events = Events::new(1_795_000_000_001);
    publish(&events, 2);
    for foreign in [earlier.newest(), 0, events.newest() + 1, u64::MAX] {
        assert_eq!(heard(&mut events.subscribe(Some(foreign))), (vec![0, 1], vec![None]));
    }
}

#[test]
fn a_slow_one_misses_and_the_others_do_not() {
    let events = bus();
    let (mut slow, mut quick) = (events.subscribe(None), events.subscribe(None));
    let mut got = 0;
    for _ in 0..4 {
        publish(&events, RING / 2);
        got += heard(&mut quick).0.len();
    }
    assert_eq!(got, RING * 2);
    let (numbers, missed) = heard(&mut slow);
    assert_eq!((numbers.len(), missed), (RING, vec![Some(RING as u64)]));
}

#[test]
fn the_ring_is_bounded_in_bytes_too() {
    let events = bus();
    let text = "x".repeat(EVENT_BYTES / 2);
    for _ in 0..100 {
        events.publish("test.happened", json!({ "text": text }));
    }
    let ring = events.ring();
    assert!(ring.bytes <= RING_BYTES && ring.kept.len() > 10, "{} bytes", ring.bytes);
    assert_eq!(ring.bytes, ring.kept.iter().map(|it| it.frame.len()).sum::<usize>());
}

#[test]
fn an_event_that_is_too_large_comes_without_its_data() {
    let events = bus();
    let mut subscription = events.subscribe(None);
    events.publish("miner.error", json!({ "name": "rig", "text": "x".repeat(EVENT_BYTES) }));
    let Some(Heard::Event(it)) = subscription.try_next() else { panic!("an event") };
    assert_eq!(it.event.miner(), Some("rig"));
    assert!(it.json().len() < 200, "{:?}", it.json());
}

#[test]
fn all_share_one_encoding_that_reads_back() {
    let events = bus();
    let (mut one, mut two) = (events.subscribe(None), events.subscribe(None));
    events.publish("miner.started", json!({ "name": "rig", "text": "line\nline\u{2028}" }));
    let (Some(Heard::Event(one)), Some(Heard::Event(two))) = (one.try_next(), two.try_next())
    else {
        panic!("both hear it")
    };
    assert_eq!(one.json().as_ptr(), two.json().as_ptr());
    let read: Event = serde_json::from_slice(&one.json()).unwrap();
    assert_eq!(read, one.event);
    let sse = String::from_utf8(one.sse().to_vec()).unwrap();
    let text = String::from_utf8(one.json().to_vec()).unwrap();
    assert_eq!(sse, format!("id: {}\ndata: {text}\n\n", read.id));
    // A line break inside would end the field.
    assert!(!text.contains('\n'));
}

#[tokio::test]
async fn the_end_comes_after_what_is_still_there() {
    let events = bus();
    let mut subscription = events.subscribe(None);
    publish(&events, 2);
    events.end();
    publish(&events, 1);
    assert_eq!(heard(&mut subscription).0, [0, 1]);
    assert!(subscription.next().await.is_none());
    let mut waiting = bus().subscribe(None);
    let events = waiting.events.clone();
    let waiting = tokio::spawn(async move { waiting.next().await.is_none() });
    tokio::task::yield_now().await;
    events.end();
    assert!(waiting.await.unwrap());
}
