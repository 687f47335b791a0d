//! What a controller keeps of its workers' past.

use serde_json::json;

use super::*;
use crate::{
    miners::Drawn,
    node::payload::{OldSample, Report, Samples},
};
use adit_model::history::{Kind, Metric, thin::Range};

fn report(hashrate: f64) -> Body {
    let rig = json!({ "running": true, "phase": "mining", "hashrate": hashrate, "shares": 3 });
    let miners = serde_json::from_value(json!({ "rig": rig })).unwrap();
    Body::Stats(Report { full: true, miners, interval_ms: Some(50), ..Report::default() })
}

/// What the controller has of the miner: age in milliseconds and value, oldest first.
async fn kept(rig: &Rig, peer: &str, metric: Metric) -> Vec<(i64, f64)> {
    let now_ms = jiff::Timestamp::now().as_millisecond();
    let range = Range { since_ms: now_ms - 3_600_000, until_ms: now_ms + 1 };
    let subject = (Kind::Remote, &*format!("{peer}/rig"));
    let drawn = rig.miners.history().chart(subject, metric, range, 36_000).await.unwrap();
    let Drawn::Numbers(points) = drawn else { panic!("no phases were asked for") };
    points.iter().map(|it| (now_ms - it.timestamp.as_millisecond(), it.mean)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_worker_did_while_it_was_away_is_fetched_once() {
    let rig = Rig::up(NodeRole::Controller).await;
    let key = SecretKey::random().unwrap();
    // It was last heard ten minutes ago.
    let seen_ms = jiff::Timestamp::now().as_millisecond() - 600_000;
    let mut row = row(key.public(), NodeRole::Worker, Rights::default());
    row.last_seen_at_ms = Some(seen_ms);
    rig.net().peers.join(row).await.unwrap();
    let worker = Raw::session_as(&rig, &key, NodeRole::Worker, Uuid::new_v4());
    let mut raw = worker.await.unwrap();
    let peer = raw.own.clone();
    let mut asked = Vec::new();
    let began = Instant::now();
    loop {
        assert!(began.elapsed() < PATIENCE, "the past was never fetched: {asked:?}");
        raw.say(report(100.0)).await.unwrap();
        let heard = tokio::time::timeout(Duration::from_millis(50), raw.hear()).await;
        if let Ok(Ok(message)) = heard
            && let Body::GetSamples(ask) = &message.body
        {
            asked.push(ask.ago_ms);
            let old = |ago_ms, hashrate| OldSample {
                ago_ms,
                hashrate: Some(hashrate),
                ..OldSample::default()
            };
            // Two pieces; and what no honest node says.
            let samples = match asked.len() {
                1 => vec![old(500_000, 5.0), old(499_000, 6.0), old(u64::MAX, 7.0)],
                _ => vec![old(400_000, 8.0), OldSample::default()],
            };
            let next_ago_ms = if asked.len() == 1 { 450_000 } else { 0 };
            let answer = Body::Samples(Samples { samples, next_ago_ms, now_ms: None });
            raw.send(&message.answer(answer)).await.unwrap();
        }
        let values: Vec<f64> =
            kept(&rig, &peer, Metric::Hashrate).await.iter().map(|it| it.1).collect();
        if values.starts_with(&[5.0, 6.0, 8.0]) && values.len() > 8 {
            assert!(values[3..].iter().all(|it| *it == 100.0), "{values:?}");
            break;
        }
    }
    assert!(asked[0] >= 600_000 && (450_000..460_000).contains(&asked[1]), "{asked:?}");
    assert_eq!(asked.len(), 2);
    let all = kept(&rig, &peer, Metric::Hashrate).await;
    let slack = 30_000 + i64::try_from(began.elapsed().as_millis()).unwrap();
    for (age, expected) in all.iter().map(|it| it.0).zip([500_000, 499_000, 400_000]) {
        assert!((age - expected).abs() < slack, "{age} and not {expected}");
    }
    assert!(kept(&rig, &peer, Metric::Accepted).await.iter().any(|it| it.1 == 3.0));
    // It is no miner of this node.
    assert!(rig.miners.history().names(Kind::Miner).is_empty());
    // A new key takes the past along.
    let next = SecretKey::random().unwrap().public();
    rotate::announced(&rig.net(), &key.public(), next).await.unwrap();
    rotate::take_over(&rig.net(), key.public(), next).await.unwrap();
    assert!(kept(&rig, &peer, Metric::Hashrate).await.is_empty());
    assert!(kept(&rig, next.id().as_str(), Metric::Hashrate).await.len() >= all.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_never_gets_to_the_end_of_its_past_is_left_alone() {
    let rig = Rig::up(NodeRole::Controller).await;
    let mut raw = Raw::session(&rig, NodeRole::Worker).await;
    let reported = Arc::clone(&rig.net().book().get(&raw.key.public()).unwrap().reported);
    reported.lock().unwrap().take(Report { full: true, ..Report::default() }, 1).unwrap();
    reported.lock().unwrap().missed(1, 1);
    let mut asked = 0;
    let began = Instant::now();
    let mut last = None;
    while last.is_none_or(|at: Instant| at.elapsed() < Duration::from_secs(3)) {
        assert!(began.elapsed() < PATIENCE, "its past was never asked for");
        raw.say(report(1.0)).await.unwrap();
        let heard = tokio::time::timeout(Duration::from_millis(50), raw.hear()).await;
        if let Ok(Ok(message)) = heard
            && let Body::GetSamples(ask) = &message.body
        {
            asked += 1;
            last = Some(Instant::now());
            let samples = Samples { next_ago_ms: ask.ago_ms, ..Samples::default() };
            raw.send(&message.answer(Body::Samples(samples))).await.unwrap();
        }
    }
    assert_eq!(asked, 1);
}
