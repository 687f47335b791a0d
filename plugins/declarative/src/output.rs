//! What printed lines mean.

use adit_plugin_api::{Observation, Phase, PoolMetrics, Result, ShareResult};
use regex::{Captures, Regex};

use crate::{
    fault::Lines,
    manifest::{self, Rule, Text},
    pick::{Quantity, expression, factor, no_unit, plain},
};

/// Longest line that is read, in bytes.
const LONGEST: usize = 16 << 10;

/// The rules, all of which each line is held against.
pub(crate) struct Output(Vec<(Regex, Vec<Sign>)>);

/// What a line that fits says.
enum Sign {
    Phase(Phase),
    Share(ShareResult),
    Hashrate { group: String, factor: f64 },
    Algorithm(String),
    Pool { group: Option<String>, connected: Option<bool> },
    Error(String),
    Warning(String),
    Figures(String),
    Progress,
}

impl Output {
    pub(crate) fn new(rules: &[Rule], lines: &Lines<'_>) -> Result<Self> {
        rules.iter().map(|rule| read_rule(rule, lines)).collect::<Result<_>>().map(Self)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The newest JSON with figures among `lines`.
    pub(crate) fn figures(&self, lines: &[&str]) -> Option<String> {
        let group = |signs: &Vec<Sign>| {
            signs.iter().find_map(|sign| match sign {
                Sign::Figures(group) => Some(group.clone()),
                _ => None,
            })
        };
        let rules: Vec<_> =
            self.0.iter().filter_map(|(made, signs)| Some((made, group(signs)?))).collect();
        lines.iter().rev().filter(|line| line.len() <= LONGEST).find_map(|line| {
            let line = uncoloured(line);
            rules.iter().find_map(|(made, name)| {
                let found = made.captures(line.trim_end())?;
                Some(part(&found, name)?.to_owned())
            })
        })
    }

    pub(crate) fn read(&self, line: &str) -> Vec<Observation> {
        if line.len() > LONGEST {
            return Vec::new();
        }
        let line = uncoloured(line);
        let fitting = self.0.iter().filter_map(|(expression, signs)| {
            expression.captures(line.trim_end()).map(|found| (found, signs))
        });
        let told = fitting.flat_map(|(found, signs)| {
            signs.iter().filter_map(move |sign| sign.seen(&found)).collect::<Vec<_>>()
        });
        told.collect()
    }
}

fn read_rule(rule: &Rule, lines: &Lines<'_>) -> Result<(Regex, Vec<Sign>)> {
    let fault = |at: &Text, field: &str, problem: &str| {
        lines.fault(at, &format!("output.{field}"), problem)
    };
    let made = expression(rule.matches.get_ref());
    let made = made.map_err(|problem| fault(&rule.matches, "match", &problem))?;
    let group = |text: &Text, field: &str| {
        let name = text.get_ref();
        let is_there = match name.parse::<usize>() {
            Ok(number) => number < made.captures_len(),
            Err(_) => made.capture_names().flatten().any(|it| it == name),
        };
        if is_there {
            return Ok(name.clone());
        }
        let told = format!("the expression has no group {name:?}: name one, or write its number");
        Err(fault(text, field, &told))
    };
    let mut signs = Vec::new();
    if let Some(text) = &rule.phase {
        let known = manifest::phase(text.get_ref());
        let none = || fault(text, "phase", &manifest::no_phase(text.get_ref()));
        signs.push(Sign::Phase(known.ok_or_else(none)?));
    }
    if let Some(text) = &rule.share {
        signs.push(Sign::Share(match text.get_ref().as_str() {
            "accepted" => ShareResult::Accepted,
            "rejected" => ShareResult::Rejected,
            "stale" => ShareResult::Stale,
            "invalid" => ShareResult::Invalid,
            _ => return Err(fault(text, "share", "write accepted, rejected, stale or invalid")),
        }));
    }
    if let Some(text) = &rule.hashrate {
        let factor = match &rule.unit {
            None => 1.0,
            Some(unit) => factor(unit.get_ref(), Quantity::Hashrate)
                .ok_or_else(|| fault(unit, "unit", &no_unit(unit.get_ref(), Quantity::Hashrate)))?,
        };
        signs.push(Sign::Hashrate { group: group(text, "hashrate")?, factor });
    }
    if let Some(text) = &rule.algorithm {
        signs.push(Sign::Algorithm(group(text, "algorithm")?));
    }
    if rule.pool.is_some() || rule.connected.is_some() {
        let named = rule.pool.as_ref().map(|text| group(text, "pool")).transpose()?;
        signs.push(Sign::Pool { group: named, connected: rule.connected });
    }
    if let Some(text) = &rule.error {
        signs.push(Sign::Error(group(text, "error")?));
    }
    if let Some(text) = &rule.warning {
        signs.push(Sign::Warning(group(text, "warning")?));
    }
    if let Some(text) = &rule.figures {
        signs.push(Sign::Figures(group(text, "figures")?));
    }
    if rule.progress {
        signs.push(Sign::Progress);
    }
    if signs.is_empty() {
        let told = "a line that fits says nothing: write phase, share, hashrate, algorithm, pool, \
                    connected, error, warning, figures or progress";
        return Err(fault(&rule.matches, "match", told));
    }
    Ok((made, signs))
}

impl Sign {
    fn seen(&self, found: &Captures<'_>) -> Option<Observation> {
        let text = |group: &str| part(found, group);
        Some(match self {
            Self::Phase(phase) => Observation::Phase { phase: *phase },
            Self::Share(result) => Observation::Share { result: *result },
            Self::Hashrate { group, factor: fixed } => {
                let factor = match found.name("unit") {
                    Some(unit) => factor(unit.as_str(), Quantity::Hashrate)?,
                    None => *fixed,
                };
                let hashrate = text(group)?.trim().parse::<f64>().ok()? * factor;
                let is_sane = hashrate.is_finite() && hashrate >= 0.0;
                return is_sane.then_some(Observation::Hashrate { hashrate });
            }
            Self::Algorithm(group) => Observation::Algorithm { algorithm: plain(text(group)?)? },
            Self::Pool { group, connected } => Observation::Pool(PoolMetrics {
                url: group.as_deref().and_then(text).and_then(plain).unwrap_or_default(),
                connected: *connected,
                ..PoolMetrics::default()
            }),
            Self::Error(group) => Observation::Error { message: plain(text(group)?)? },
            Self::Warning(group) => Observation::Warning { message: plain(text(group)?)? },
            // They go another way.
            Self::Figures(_) => return None,
            Self::Progress => Observation::Progress,
        })
    }
}

/// The text of a group that is named or numbered.
fn part<'a>(found: &Captures<'a>, group: &str) -> Option<&'a str> {
    let part = match group.parse() {
        Ok(number) => found.get(number),
        Err(_) => found.name(group),
    };
    part.map(|it| it.as_str())
}

/// The line without what colours it.
fn uncoloured(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        if c != '\u{1b}' {
            text.push(c);
        } else if rest.next() == Some('[') {
            // A sequence ends with its letter.
            rest.by_ref().find(char::is_ascii_alphabetic);
        }
    }
    text
}
