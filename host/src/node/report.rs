//! Figures on their way: what changed between two moments. `reported` puts it together again.

use std::{collections::BTreeMap, sync::Arc};

use adit_plugin_api::PerformanceMetrics;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::node::payload::Report;
use adit_model::{figures, miner::MinerView};

/// Largest report in one message, in bytes.
const PIECE_BYTES: usize = 256 << 10;

/// All figures of a node's miners at one moment: fields by the miner's name.
pub(crate) type Moment = BTreeMap<String, Map<String, Value>>;

/// The moment that `miners` show.
pub(crate) fn moment(miners: &[MinerView]) -> Arc<Moment> {
    Arc::new(miners.iter().map(|miner| (miner.name.to_string(), fields(miner))).collect())
}

fn fields(miner: &MinerView) -> Map<String, Value> {
    let figures = serde_json::to_value(&miner.stats).unwrap_or_default();
    let mut fields = if let Value::Object(figures) = figures { figures } else { Map::new() };
    let version = miner.run.as_ref().and_then(|run| run.version.clone());
    for (name, value) in [
        ("minerType", json!(miner.miner_type)),
        ("desired", json!(miner.desired)),
        ("phase", json!(miner.phase)),
        ("running", json!(miner.running)),
        ("restarts", json!(miner.restarts)),
        ("reason", json!(miner.reason)),
        ("version", json!(version)),
    ] {
        if value.is_null() {
            fields.remove(name);
        } else {
            fields.insert(name.to_owned(), value);
        }
    }
    fields
}

/// What tells somebody who knows `old` about `new`; `None` when nothing changed.
pub(crate) fn changes(old: Option<&Moment>, new: &Moment) -> Option<Report> {
    let Some(old) = old else {
        return Some(Report { full: true, miners: new.clone(), ..Report::default() });
    };
    let removed = old.keys().filter(|name| !new.contains_key(*name)).cloned().collect();
    let mut report = Report { removed, ..Report::default() };
    for (name, fields) in new {
        let empty = Map::new();
        let before = old.get(name).unwrap_or(&empty);
        let changed: Map<String, Value> = fields
            .iter()
            .filter(|(field, value)| before.get(*field) != Some(value))
            .map(|(field, value)| (field.clone(), value.clone()))
            .collect();
        let unset: Vec<String> =
            before.keys().filter(|field| !fields.contains_key(*field)).cloned().collect();
        if !changed.is_empty() || !old.contains_key(name) {
            report.miners.insert(name.clone(), changed);
        }
        if !unset.is_empty() {
            report.unset.insert(name.clone(), unset);
        }
    }
    (report != Report::default()).then_some(report)
}

/// The report in pieces that each fit into a message.
pub(crate) fn pieces(report: Report) -> Vec<Report> {
    let mut pieces = vec![Report { miners: Moment::new(), ..report }];
    let mut bytes = 0;
    for (name, fields) in report.miners {
        let size = serde_json::to_string(&fields).map_or(0, |text| text.len());
        if bytes > 0 && bytes + size > PIECE_BYTES {
            pieces.push(Report::default());
            bytes = 0;
        }
        bytes += size;
        if let Some(last) = pieces.last_mut() {
            last.miners.insert(name, fields);
        }
    }
    pieces
}

/// Totals of many miners; sums are made within one algorithm only.
#[derive(Clone, Debug, Default, PartialEq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// Miners that run.
    pub running: u64,
    /// All miners.
    pub miners: u64,
    /// By algorithm.
    pub algorithms: BTreeMap<String, AlgorithmTotals>,
}

/// Totals of one algorithm.
#[derive(Clone, Debug, Default, PartialEq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlgorithmTotals {
    /// Miners that have it.
    pub miners: u64,
    /// Hashes per second; absent when nobody reports any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hashrate: Option<f64>,
    /// Accepted shares of the current runs; absent when nobody reports any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shares: Option<u64>,
    /// Rejected shares of the current runs; absent when nobody reports any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected: Option<u64>,
}

impl Totals {
    /// Adds the miners of one node.
    pub(crate) fn add(&mut self, moment: &Moment) {
        for fields in moment.values() {
            self.miners += 1;
            if fields.get("running") != Some(&Value::Bool(true)) {
                continue;
            }
            self.running += 1;
            let metrics = serde_json::from_value(Value::Object(fields.clone()));
            let metrics: PerformanceMetrics = metrics.unwrap_or_default();
            if metrics.algorithms.is_empty() {
                let algorithm = metrics.algorithm.as_deref().unwrap_or("unknown");
                self.count(algorithm, metrics.hashrate, metrics.shares, metrics.rejected);
            }
            for each in &metrics.algorithms {
                self.count(&each.algorithm, each.hashrate, each.shares, each.rejected);
            }
        }
    }

    fn count(
        &mut self,
        algorithm: &str,
        hashrate: Option<f64>,
        shares: Option<u64>,
        rejected: Option<u64>,
    ) {
        let totals = self.algorithms.entry(algorithm.chars().take(64).collect()).or_default();
        totals.miners += 1;
        if let Some(hashrate) = hashrate.and_then(figures::hashrate) {
            totals.hashrate = Some(totals.hashrate.unwrap_or(0.0) + hashrate);
        }
        for (sum, value) in [(&mut totals.shares, shares), (&mut totals.rejected, rejected)] {
            if let Some(value) = value {
                *sum = Some(sum.unwrap_or(0).saturating_add(value));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::reported::Reported;

    fn moment(value: Value) -> Moment {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn whatever_changes_arrives() {
        let moments = [
            json!({}),
            json!({ "a": { "hashrate": 1.0, "pool": { "url": "x" }, "hashrates": { "15m": null } } }),
            json!({ "a": { "hashrate": 2.0, "hashrates": { "15m": null } }, "b": {} }),
            json!({ "b": { "hashrate": 0.0 } }),
            json!({ "a": { "x": [1, 2] }, "c": { "y": null } }),
            json!({ "c": { "y": null } }),
        ]
        .map(moment);
        for old in &moments {
            for new in &moments {
                let mut known = Reported::default();
                known.take(changes(None, old).unwrap(), 1).unwrap();
                match changes(Some(old), new) {
                    None => assert_eq!(old, new),
                    Some(report) => {
                        assert!(old != new && !report.full);
                        // As it is after the way over the wire.
                        let text = serde_json::to_string(&report).unwrap();
                        known.take(serde_json::from_str(&text).unwrap(), 2).unwrap();
                    }
                }
                assert_eq!(&known.moment(), new);
            }
        }
    }

    #[test]
    fn only_what_changed_is_sent() {
        let old = moment(json!({ "a": { "hashrate": 1.0, "algorithm": "rx/0" }, "b": { "x": 1 } }));
        let new = moment(json!({ "a": { "hashrate": 2.0, "algorithm": "rx/0" }, "b": { "x": 1 } }));
        let report = serde_json::to_value(changes(Some(&old), &new)).unwrap();
        assert_eq!(report, json!({ "full": false, "miners": { "a": { "hashrate": 2.0 } } }));
    }

    #[test]
    fn many_miners_go_in_pieces_and_arrive_whole() {
        let miner = |n: usize| (format!("m{n}"), json!({ "extraData": "x".repeat(4_000) }));
        let new = moment((0..200).map(miner).collect());
        let pieces = pieces(changes(None, &new).unwrap());
        assert!(pieces.len() > 2 && pieces[0].full && pieces[1..].iter().all(|it| !it.full));
        let mut known = Reported::default();
        for piece in pieces {
            assert!(serde_json::to_vec(&piece).unwrap().len() < 2 * PIECE_BYTES);
            known.take(piece, 1).unwrap();
        }
        assert_eq!(known.moment(), new);
        assert_eq!(super::pieces(Report::default()), [Report::default()]);
    }

    #[test]
    fn sums_are_made_within_one_algorithm() {
        let mut totals = Totals::default();
        totals.add(&moment(json!({
            "a": { "running": true, "algorithm": "rx/0", "hashrate": 10.0, "shares": 1 },
            "b": { "running": true, "algorithm": "rx/0", "hashrate": 5.5 },
            "c": { "running": true, "algorithm": "kawpow" },
            "d": { "running": false, "algorithm": "rx/0", "hashrate": 99.0 },
            "e": { "running": true, "algorithms": [{ "algorithm": "kawpow", "hashrate": 1.0 },
                                                   { "algorithm": "zil", "hashrate": 2.0 }] },
            "f": { "running": true, "algorithm": "rx/0", "hashrate": -1.0, "shares": u64::MAX },
        })));
        let told = serde_json::to_value(&totals).unwrap();
        assert_eq!(
            told,
            json!({ "running": 5, "miners": 6, "algorithms": {
                "rx/0": { "miners": 3, "hashrate": 15.5, "shares": u64::MAX },
                "kawpow": { "miners": 2, "hashrate": 1.0 },
                "zil": { "miners": 1, "hashrate": 2.0 },
            }})
        );
    }
}
