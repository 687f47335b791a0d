//! What is told of miners: one by one, and all together.

use std::collections::BTreeMap;

use adit_plugin_api::PerformanceMetrics;

use crate::cli::{show, top::text::clean};
use adit_model::miner::MinerView;

/// A column of the table, and what it is sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Column {
    #[default]
    Name,
    Type,
    Phase,
    Hashrate,
    Shares,
    Temperature,
    Power,
    Uptime,
}

impl Column {
    /// All of them, from left to right.
    pub(super) const ALL: [Self; 8] = [
        Self::Name,
        Self::Type,
        Self::Phase,
        Self::Hashrate,
        Self::Shares,
        Self::Temperature,
        Self::Power,
        Self::Uptime,
    ];

    pub(super) fn heading(self) -> &'static str {
        match self {
            Self::Name => "NAME",
            Self::Type => "TYPE",
            Self::Phase => "PHASE",
            Self::Hashrate => "HASHRATE",
            Self::Shares => "OK/REJ",
            Self::Temperature => "TEMP",
            Self::Power => "POWER",
            Self::Uptime => "UP",
        }
    }

    /// What it says of a miner.
    pub(super) fn of(self, miner: &MinerView, now_ms: i64) -> String {
        let dash = || "-".to_owned();
        let stats = stats(miner);
        match self {
            Self::Name => clean(miner.name.as_str()),
            Self::Type => clean(&miner.miner_type.to_string()),
            Self::Phase => phase(miner),
            Self::Hashrate => show::hashrate(stats.and_then(|it| it.hashrate)),
            Self::Shares => match stats.map(|it| (it.shares, it.rejected)) {
                None | Some((None, None)) => dash(),
                Some((shares, rejected)) => {
                    format!("{}/{}", show::count(shares), show::count(rejected))
                }
            },
            Self::Temperature => temperature(miner).map_or_else(dash, |it| format!("{it:.0}°C")),
            Self::Power => power(miner).map_or_else(dash, |it| format!("{it:.0} W")),
            Self::Uptime => uptime_s(miner, now_ms).map_or_else(dash, show::duration),
        }
    }

    /// Sorts by it: names from A to Z, figures from the largest down, what needs somebody first.
    pub(super) fn sort(self, miners: &mut [MinerView], now_ms: i64) {
        let figure = |miner: &MinerView| match self {
            Self::Name | Self::Type | Self::Phase => None,
            Self::Hashrate => stats(miner)?.hashrate,
            #[expect(clippy::cast_precision_loss, reason = "an order of counts, not a count")]
            Self::Shares => stats(miner)?.shares.map(|it| it as f64),
            Self::Temperature => temperature(miner),
            Self::Power => power(miner),
            #[expect(clippy::cast_precision_loss, reason = "an order of times, not a time")]
            Self::Uptime => uptime_s(miner, now_ms).map(|it| it as f64),
        };
        miners.sort_by(|a, b| {
            let by_column = match self {
                Self::Name => std::cmp::Ordering::Equal,
                Self::Type => a.miner_type.cmp(&b.miner_type),
                Self::Phase => b.phase.cmp(&a.phase),
                _ => {
                    let value = |it| figure(it).unwrap_or(f64::NEG_INFINITY);
                    value(b).total_cmp(&value(a))
                }
            };
            by_column.then_with(|| a.name.cmp(&b.name))
        });
    }
}

/// The word of what a miner does.
pub(super) fn phase(miner: &MinerView) -> String {
    let phase = serde_json::to_value(miner.phase).unwrap_or_default();
    phase.as_str().unwrap_or("-").to_owned()
}

/// Its figures while it runs; those of a run that ended say nothing of now.
fn stats(miner: &MinerView) -> Option<&PerformanceMetrics> {
    miner.stats.as_ref().filter(|_| miner.running)
}

/// The hottest device.
fn temperature(miner: &MinerView) -> Option<f64> {
    stats(miner)?.devices.iter().filter_map(|it| it.temperature).reduce(f64::max)
}

/// All devices together.
fn power(miner: &MinerView) -> Option<f64> {
    stats(miner)?.devices.iter().filter_map(|it| it.power).reduce(|sum, it| sum + it)
}

fn uptime_s(miner: &MinerView, now_ms: i64) -> Option<i64> {
    let run = miner.run.as_ref().filter(|_| miner.running)?;
    Some((now_ms - run.started_at_ms).max(0) / 1_000)
}

/// All miners in one line.
pub(super) fn totals(miners: &[MinerView]) -> String {
    let mut words: Vec<String> = by_algorithm(miners)
        .into_iter()
        .map(|(algorithm, rate)| format!("{algorithm} {}", show::hashrate(Some(rate))))
        .collect();
    let running = || miners.iter().filter_map(stats);
    let count = |of: fn(&PerformanceMetrics) -> Option<u64>| {
        running().filter_map(of).fold(0, u64::saturating_add)
    };
    let (accepted, rejected) = (count(|it| it.shares), count(|it| it.rejected));
    words.push(format!("shares {accepted}, {rejected} rejected"));
    if let Some(power) = miners.iter().filter_map(power).reduce(|sum, it| sum + it) {
        words.push(format!("{power:.0} W"));
    }
    let run = miners.iter().filter(|it| it.running).count();
    words.push(format!("{run} of {} run", miners.len()));
    words.join(" · ")
}

/// Hashrates of one algorithm add up, those of different ones do not. The largest first.
fn by_algorithm(miners: &[MinerView]) -> Vec<(String, f64)> {
    let mut totals: BTreeMap<String, f64> = BTreeMap::new();
    for stats in miners.iter().filter_map(stats) {
        let mut add = |algorithm: &str, rate: Option<f64>| {
            if let Some(rate) = rate {
                *totals.entry(clean(algorithm)).or_default() += rate;
            }
        };
        if stats.algorithms.is_empty() {
            add(stats.algorithm.as_deref().unwrap_or("unknown"), stats.hashrate);
        }
        stats.algorithms.iter().for_each(|it| add(&it.algorithm, it.hashrate));
    }
    let mut totals: Vec<_> = totals.into_iter().collect();
    totals.sort_by(|a, b| b.1.total_cmp(&a.1));
    totals
}
