//! What was here, for peers: charts, and the samples that a controller missed.

use crate::{
    miners::Drawn,
    node::{
        message::Body,
        net::Net,
        payload::{Fault, GetHistory, GetSamples, History, OldSample, Samples},
    },
};
use adit_model::history::{Kind, Metric, reading::Reading, thin::Range};

/// Time that a chart shows when nobody says which, in milliseconds.
const RECENT_MS: i64 = 5 * 60_000;
/// Points of a chart when nobody says how many, and at most: they must fit into a message.
const POINTS: u32 = 1_000;
pub(crate) const MOST_POINTS: u32 = 2_000;
/// Samples in one message.
const SAMPLES: u32 = 1_000;

pub(crate) async fn chart(net: &Net, ask: &GetHistory) -> Result<Body, Fault> {
    let invalid = |told: String| Fault::new("INVALID_INPUT", told);
    let metric = match &ask.metric {
        Some(metric) => {
            metric.parse::<Metric>().map_err(|error| invalid(format!("metric: {error}")))?
        }
        None => Metric::Hashrate,
    };
    let points = ask.points.unwrap_or(POINTS);
    if !(1..=MOST_POINTS).contains(&points) {
        return Err(invalid(format!("points: write 1 to {MOST_POINTS}")));
    }
    let until_ms = ask.until_ms.unwrap_or_else(|| now_ms().saturating_add(1));
    let since_ms = ask.since_ms.unwrap_or_else(|| until_ms.saturating_sub(RECENT_MS));
    if since_ms >= until_ms {
        return Err(invalid("sinceMs: write a time before untilMs".to_owned()));
    }
    let name = ask.miner_name.as_str();
    known(net, name)?;
    let range = Range { since_ms, until_ms };
    let drawn = net.miners.history().chart((Kind::Miner, name), metric, range, points).await?;
    let points = match &drawn {
        Drawn::Numbers(points) => serde_json::to_value(points),
        Drawn::Phases(points) => serde_json::to_value(points),
    };
    Ok(Body::History(History { points: points.unwrap_or_default() }))
}

pub(crate) async fn samples(net: &Net, ask: &GetSamples) -> Result<Body, Fault> {
    let name = ask.miner_name.as_str();
    known(net, name)?;
    let history = net.miners.history();
    let now_ms = now_ms();
    let kept_ms = i64::from(history.days()) * 24 * 3_600_000;
    let ago_ms = i64::try_from(ask.ago_ms).unwrap_or(i64::MAX).min(kept_ms);
    let since_ms = now_ms - ago_ms;
    // However long the time is, a piece of it is read.
    let piece_ms = i64::from(history.grid().step_ms()) * i64::from(SAMPLES);
    let until_ms = since_ms.saturating_add(piece_ms).min(now_ms.saturating_add(1));
    let most = usize::try_from(SAMPLES).unwrap_or(usize::MAX);
    let found = history.samples(name, Range { since_ms, until_ms }, most).await?;
    let last = found.last_key_value().filter(|_| found.len() >= most);
    let next_ms = last.map_or(until_ms, |(at_ms, _)| at_ms.saturating_add(1));
    let ago = |at_ms: i64| u64::try_from(now_ms - at_ms).unwrap_or(0);
    Ok(Body::Samples(Samples {
        samples: found.iter().map(|(at_ms, reading)| written(ago(*at_ms), reading)).collect(),
        now_ms: Some(now_ms),
        next_ago_ms: ago(next_ms),
    }))
}

/// Refuses a name that is neither a miner's nor in the history.
fn known(net: &Net, name: &str) -> Result<(), Fault> {
    if !net.miners.history().has(Kind::Miner, name) {
        net.miners.get(name)?;
    }
    Ok(())
}

fn written(ago_ms: u64, reading: &Reading) -> OldSample {
    let phase = reading.phase().and_then(|phase| serde_json::to_value(phase).ok());
    OldSample {
        ago_ms,
        hashrate: reading.number(Metric::Hashrate),
        accepted: reading.number(Metric::Accepted),
        rejected: reading.number(Metric::Rejected),
        temperature: reading.number(Metric::Temperature),
        power: reading.number(Metric::Power),
        phase: phase.and_then(|phase| phase.as_str().map(str::to_owned)),
    }
}

/// What a sample says, as far as it can be.
pub(crate) fn reading(sample: &OldSample) -> Reading {
    let mut reading = Reading::default();
    for (metric, value) in [
        (Metric::Hashrate, sample.hashrate),
        (Metric::Accepted, sample.accepted),
        (Metric::Rejected, sample.rejected),
        (Metric::Temperature, sample.temperature),
        (Metric::Power, sample.power),
    ] {
        if let Some(value) = value {
            reading.set_number(metric, value);
        }
    }
    let phase = sample.phase.clone().map(serde_json::Value::String);
    if let Some(phase) = phase.and_then(|phase| serde_json::from_value(phase).ok()) {
        reading.set_phase(phase);
    }
    reading
}

pub(crate) fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_comes_back_and_what_cannot_be_is_left_out() {
        for codes in [
            [Some(1_250_340), Some(3), Some(0), Some(655), Some(1_200), Some(4)],
            [Some(-1 - 5e-324_f64.to_bits().cast_signed()), None, None, Some(-55), None, Some(9)],
            [None; 6],
        ] {
            let sample = written(7, &Reading(codes));
            let text = serde_json::to_string(&sample).unwrap();
            let back: OldSample = serde_json::from_str(&text).unwrap();
            assert_eq!((back.ago_ms, reading(&back)), (7, Reading(codes)), "{text}");
        }
        let bad = OldSample {
            ago_ms: u64::MAX,
            hashrate: Some(-1.0),
            accepted: Some(1e300),
            rejected: Some(-3.0),
            temperature: Some(f64::MAX),
            power: Some(f64::MIN),
            phase: Some("dancing".to_owned()),
        };
        assert!(reading(&bad).is_empty(), "{:?}", reading(&bad));
    }
}
