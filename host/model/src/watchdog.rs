//! Judges runs: what is sick, what only looks so, and what to do about it. No I/O and no clock.
//!
//! One rule stands above the others: two independent sources must say that a run is sick, and none
//! that it is well. Figures (the program's API), output and the processor's time are sources; so
//! are shares, which a pool answers. A source that never spoke says nothing. Whatever is in doubt
//! is a warning and nothing more.

pub mod baseline;
mod device;
pub mod failback;
pub mod history;
pub mod incident;
pub mod ladder;
pub mod limits;
pub mod look;
mod shares;
mod signals;
#[cfg(test)]
mod tests;

use std::time::Duration;

use adit_plugin_api::Phase;
use serde::{Deserialize, Serialize};

use crate::watchdog::{
    history::History,
    limits::Limits,
    signals::{Say, Signals},
};

/// What is wrong.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The program never gave a sign of life.
    NoStart,
    /// It gave signs of life and gives none any more.
    Frozen,
    /// It does not get ready.
    StuckPreparing,
    /// It lives and makes no hashes.
    NotHashing,
    /// It has no pool.
    NoPool,
    /// One of its devices makes no hashes.
    DeadDevice,
    /// It makes far fewer hashes than usual.
    Slow,
    /// The pool takes none of its shares.
    Rejected,
    /// It hashes, and no share of it was accepted for long.
    NoShares,
    /// Its API is gone, the rest is well.
    NoApi,
}

impl Cause {
    /// Every cause.
    pub const ALL: [Self; 10] = [
        Self::NoStart,
        Self::Frozen,
        Self::StuckPreparing,
        Self::NotHashing,
        Self::NoPool,
        Self::DeadDevice,
        Self::Slow,
        Self::Rejected,
        Self::NoShares,
        Self::NoApi,
    ];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoStart => "no-start",
            Self::Frozen => "frozen",
            Self::StuckPreparing => "stuck-preparing",
            Self::NotHashing => "not-hashing",
            Self::NoPool => "no-pool",
            Self::DeadDevice => "dead-device",
            Self::Slow => "slow",
            Self::Rejected => "rejected",
            Self::NoShares => "no-shares",
            Self::NoApi => "no-api",
        }
    }
}

/// Why a run is not judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Excuse {
    /// The watchdog is off for it.
    Off,
    /// The operator works on it.
    Maintenance,
    /// It rests because somebody asked it to.
    Paused,
    /// It is about to end, or there is none.
    NotRunning,
    /// The host cannot see it: its driver is missing or out of order.
    Blind,
    /// Nobody looked, or not lately.
    NoLook,
}

/// What was found, and what it was found from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// What is wrong.
    pub cause: Cause,
    /// The device, when it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// What each source says, one sentence each.
    pub signals: Vec<String>,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.cause.as_str())?;
        if let Some(device) = &self.device {
            write!(out, " ({device})")?;
        }
        write!(out, ": {}", self.signals.join("; "))
    }
}

/// The judgement of one run at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing speaks against it.
    Healthy,
    /// It is not judged.
    Excused(Excuse),
    /// Something is odd, and one source alone says so.
    Warning(Finding),
    /// It is sick: two sources say so and none speaks against it.
    Sick(Finding),
}

/// Judges a run. `phase` is what it does, `now_ms` the time in Unix milliseconds.
pub fn verdict(history: &History, phase: Phase, now_ms: i64, limits: &Limits) -> Verdict {
    if !limits.enabled {
        return Verdict::Excused(Excuse::Off);
    }
    if limits.maintenance_until_ms.is_some_and(|until| now_ms < until) {
        return Verdict::Excused(Excuse::Maintenance);
    }
    let Some(last) = history.last() else { return Verdict::Excused(Excuse::NoLook) };
    if last.phase != phase {
        return Verdict::Excused(Excuse::NoLook);
    }
    match phase {
        Phase::Paused => return Verdict::Excused(Excuse::Paused),
        Phase::Stopping | Phase::Backoff | Phase::Stopped | Phase::Failed => {
            return Verdict::Excused(Excuse::NotRunning);
        }
        _ if last.blind => return Verdict::Excused(Excuse::Blind),
        _ => {}
    }
    let case = Case { history, phase, limits, says: Signals::read(history, phase, limits) };
    let found = [case.frozen(), case.pool(), case.hashing(), case.preparing(), case.device()]
        .into_iter()
        .chain([case.slow(), case.rejected(), case.no_shares(), case.no_api()])
        .flatten();
    // The first sickness, else the first warning.
    let found = found.collect::<Vec<_>>();
    let sick = found.iter().find(|it| matches!(it, Verdict::Sick(_)));
    sick.or(found.first()).cloned().unwrap_or(Verdict::Healthy)
}

/// One run and what its sources say.
struct Case<'a> {
    history: &'a History,
    phase: Phase,
    limits: &'a Limits,
    says: Signals,
}

impl Case<'_> {
    /// How long the phase has lasted.
    fn in_phase(&self) -> Duration {
        self.history.since(Some(self.history.marks.phase))
    }

    fn is_overdue(&self) -> bool {
        self.limits.phase(self.phase).is_some_and(|limit| self.in_phase() > limit)
    }

    fn expects_hashes(&self) -> bool {
        matches!(self.phase, Phase::Waiting | Phase::Mining | Phase::Degraded)
            && self.history.marks.no_pool.is_none()
    }

    /// Nothing is printed and nothing is answered, or the processor is idle beside the silence.
    fn frozen(&self) -> Option<Verdict> {
        let is_getting_ready = matches!(self.phase, Phase::Starting | Phase::Preparing);
        if is_getting_ready && !self.is_overdue() {
            return None;
        }
        let marks = &self.history.marks;
        let never = marks.line.is_none() && marks.api.is_none();
        let cause = if never { Cause::NoStart } else { Cause::Frozen };
        // An API that never answered is no witness of a program that printed: there may be none.
        let has_word = never || marks.api.is_some();
        let api = if has_word { &self.says.api } else { &Say::Nothing };
        let says = [&self.says.output, api, &self.says.processor];
        if !self.says.output.is_dead() || self.says.shares.is_alive() || self.says.api.is_alive() {
            return None;
        }
        // A processor at work proves nothing: a program that turns in circles works too.
        judge(cause, None, &says)
    }

    /// No pool: not the miner's fault, so it is never a reason to restart the same.
    fn pool(&self) -> Option<Verdict> {
        let since = self.history.marks.no_pool?;
        let away = self.history.since(Some(since));
        if away <= self.limits.pool(self.phase) {
            return None;
        }
        let url =
            self.history.last().and_then(|it| it.metrics.pool.as_ref()).map(|it| it.url.clone());
        let signal = format!(
            "the pool{} has been away for {} s",
            url.map(|url| format!(" {url}")).unwrap_or_default(),
            away.as_secs()
        );
        Some(Verdict::Sick(Finding { cause: Cause::NoPool, device: None, signals: vec![signal] }))
    }

    fn hashing(&self) -> Option<Verdict> {
        if !self.expects_hashes() || self.says.hashes.is_alive() || self.says.shares.is_alive() {
            return None;
        }
        // Before its first share a miner may show no hashrate at all, for as long as its driver
        // says.
        if self.phase == Phase::Waiting && !self.is_overdue() {
            return None;
        }
        let Signals { hashes, shares, work, api, processor, .. } = &self.says;
        if !hashes.is_dead() && !shares.is_dead() {
            return None;
        }
        // A line of progress speaks against it, whatever the figures say.
        if work.is_alive() {
            let found = judge(Cause::NotHashing, None, &[hashes, shares]);
            return found.map(Verdict::into_warning);
        }
        // Without its API the hashrate comes from the output too, which is one source.
        let work = if api.is_alive() { work } else { &Say::Nothing };
        judge(Cause::NotHashing, None, &[hashes, shares, work, processor])
    }

    fn preparing(&self) -> Option<Verdict> {
        let is_getting_ready = matches!(self.phase, Phase::Starting | Phase::Preparing);
        if !is_getting_ready || !self.is_overdue() || self.says.shares.is_alive() {
            return None;
        }
        let Signals { hashes, output, work, api, processor, .. } = &self.says;
        if hashes.is_alive() {
            return None;
        }
        let limit = self.limits.phase(self.phase).unwrap_or_default().as_secs();
        let late = Say::Dead(format!(
            "it has been getting ready for {} s, {limit} s are usual",
            self.in_phase().as_secs()
        ));
        if output.is_alive() || work.is_alive() {
            return Some(Verdict::Warning(finding(Cause::StuckPreparing, None, &[&late])));
        }
        // An API that answers tells that there are no hashes yet; one that is gone may come later.
        let answers = Say::Dead("its API answers and tells of no hashes".to_owned());
        let api = if api.is_alive() { &answers } else { api };
        // The lateness is no source of its own: the clock would be a witness of everything.
        let found = judge(Cause::StuckPreparing, None, &[output, api, hashes, processor])?;
        Some(found.with(&late))
    }

    fn slow(&self) -> Option<Verdict> {
        let marks = &self.history.marks;
        let lasted = self.history.since(Some(marks.slow?));
        if self.phase != Phase::Mining || lasted <= self.limits.slow {
            return None;
        }
        let metrics = &self.history.last()?.metrics;
        let usual = self.history.baselines.get(metrics.algorithm.as_deref(), "")?;
        let rate = Say::Dead(format!(
            "{:.1} H/s for {} s, {:.1} H/s are usual",
            metrics.hashrate.unwrap_or_default(),
            lasted.as_secs(),
            usual.hashrate
        ));
        Some(Verdict::Warning(finding(Cause::Slow, None, &[&rate])))
    }

    fn no_api(&self) -> Option<Verdict> {
        if matches!(self.phase, Phase::Starting | Phase::Preparing) {
            return None;
        }
        let never = self.never_answered();
        let signal = if self.says.api.is_dead() { &self.says.api } else { &never };
        signal.is_dead().then(|| Verdict::Warning(finding(Cause::NoApi, None, &[signal])))
    }

    /// An API may be opened only when the program is ready. One that hashes is. This is no sign of a
    /// sick run: it may never have had an API.
    fn never_answered(&self) -> Say {
        let has_api = self.history.last().is_some_and(|it| it.signs.has_api);
        let ready = self.history.since(Some(self.history.marks.expected));
        if has_api && self.history.marks.api.is_none() && ready > self.limits.api {
            let watched = self.history.watched().as_secs();
            return Say::Dead(format!("its API has never answered in {watched} s"));
        }
        Say::Nothing
    }
}

impl Verdict {
    /// What was found, if anything.
    pub fn finding(&self) -> Option<&Finding> {
        match self {
            Self::Warning(finding) | Self::Sick(finding) => Some(finding),
            Self::Healthy | Self::Excused(_) => None,
        }
    }

    fn into_warning(self) -> Self {
        match self {
            Self::Sick(finding) => Self::Warning(finding),
            other => other,
        }
    }

    fn with(mut self, say: &Say) -> Self {
        if let (Self::Warning(finding) | Self::Sick(finding), Say::Dead(text)) = (&mut self, say) {
            finding.signals.insert(0, text.clone());
        }
        self
    }
}

/// Two sources make a sickness, one a warning, and one that speaks against it nothing at all.
fn judge(cause: Cause, device: Option<&str>, says: &[&Say]) -> Option<Verdict> {
    let found = finding(cause, device, says);
    match found.signals.len() {
        0 => None,
        1 => Some(Verdict::Warning(found)),
        _ if says[..2].iter().any(|it| it.is_alive()) => Some(Verdict::Warning(found)),
        _ => Some(Verdict::Sick(found)),
    }
}

fn finding(cause: Cause, device: Option<&str>, says: &[&Say]) -> Finding {
    let signals = says
        .iter()
        .filter_map(|it| match it {
            Say::Dead(text) => Some(text.clone()),
            Say::Alive | Say::Nothing => None,
        })
        .collect();
    Finding { cause, device: device.map(str::to_owned), signals }
}
