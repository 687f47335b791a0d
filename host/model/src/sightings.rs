//! What a run said so far, over its API and in its output, and what of it still holds.
//!
//! # Theory of operation
//!
//! Two sources describe a run: the replies of its API and the lines of its output. Each value is kept
//! with the time at which it came, because the sources fall silent independently of each other. Two
//! rules decide what is shown:
//!
//! - **Every value has an age.** A reply counts until the next one should be there, a printed hashrate
//!   for about two of its own printing intervals. A program that is frozen must not be shown, counted
//!   or recorded as hashing, however well it hashed a minute ago.
//! - **Newer evidence wins, whichever source it comes from.** The API is the better source, and wins
//!   while both are of the same moment. But a reply can repeat what is over: XMRig shows the session
//!   with its old pool while it cannot reach a new one, which only its output shows.
//!
//! Times are durations since the host took the run in hand; this module reads no clock.

mod combine;
#[cfg(test)]
mod tests;

use std::time::Duration;

use adit_plugin_api::{Observation, PerformanceMetrics, Phase, PoolMetrics, ShareResult};

use crate::{figures, watchdog::look::Signs};

/// How long a printed hashrate counts before its printing interval is known. Programs print one at
/// least once a minute by default.
const FIRST_LIFETIME: Duration = Duration::from_secs(130);
/// Longest time that a printed hashrate counts.
const LONGEST_LIFETIME: Duration = Duration::from_secs(600);
/// Added to two printing intervals: output is read at intervals too, and machines are busy.
const SLACK: Duration = Duration::from_secs(10);
/// A run whose API answered before and that gave no sign of life for this long is not believed to do
/// what it did.
const QUIET: Duration = Duration::from_secs(120);
/// The same for a run without an API: some programs print every five minutes.
const QUIET_OUTPUT: Duration = Duration::from_secs(310);

/// When something was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Since the host took the run in hand.
    pub at: Duration,
    /// Unix seconds; absent for lines that were printed before, at an unknown time.
    pub unix_s: Option<i64>,
}

/// A value and when it came.
#[derive(Clone, Debug, PartialEq)]
struct Timed<T> {
    value: T,
    at: Duration,
}

/// A hashrate in the output.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Printed {
    hashrate: f64,
    at: Duration,
    /// Usual time between two, as far as the last ones show.
    interval: Option<Duration>,
}

impl Printed {
    fn lifetime(&self) -> Duration {
        let usual = self.interval.map(|interval| interval * 2 + SLACK);
        usual.unwrap_or(FIRST_LIFETIME).min(LONGEST_LIFETIME)
    }
}

/// What output and API of a run said so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sightings {
    phase: Option<Timed<Phase>>,
    hashrate: Option<Printed>,
    algorithm: Option<Timed<String>>,
    /// Shares in the output since the last reply with counts.
    shares: Option<Shares>,
    last_share: Option<i64>,
    /// Whether a share was accepted since the phase and the pool above were seen.
    paid_since_phase: bool,
    paid_since_pool: bool,
    pool: Option<Timed<PoolMetrics>>,
    error: Option<Timed<String>>,
    warning: Option<String>,
    signs: Signs,
    /// Whether the output has hashrates at all.
    prints_hashrates: bool,
    line_at: Option<Duration>,
    api: Option<Timed<PerformanceMetrics>>,
    /// Counts in the last reply that had some.
    base: Option<Shares>,
    replied_at: Option<Duration>,
    /// The first question without an answer since.
    silent_at: Option<Duration>,
    /// The last reply with a hashrate.
    rated_at: Option<Duration>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Shares {
    accepted: u64,
    rejected: u64,
    stale: u64,
    invalid: u64,
}

impl Sightings {
    /// Takes in what a line said.
    pub fn see(&mut self, observation: Observation, now: Moment) {
        self.signs.note(&observation);
        let at = now.at;
        match observation {
            Observation::Phase { phase } => {
                self.paid_since_phase &= !change(&mut self.phase, phase, at);
            }
            Observation::Hashrate { hashrate } => self.see_hashrate(hashrate, now),
            Observation::Algorithm { algorithm } => {
                change(&mut self.algorithm, algorithm, at);
            }
            Observation::Share { result } => self.count(result, now),
            Observation::Pool(pool) => {
                if pool.connected == Some(true) {
                    self.error = None;
                }
                self.pool = Some(Timed { value: pool, at });
                self.paid_since_pool = false;
            }
            Observation::Error { message } => self.error = Some(Timed { value: message, at }),
            Observation::Warning { message } => self.warning = Some(message),
            _ => {}
        }
    }

    fn see_hashrate(&mut self, hashrate: f64, now: Moment) {
        self.prints_hashrates = true;
        if now.unix_s.is_none() {
            // It may be hours old.
            return;
        }
        let before = self.hashrate.take();
        let interval = before.and_then(|it| {
            let passed = now.at.saturating_sub(it.at);
            // Several in one reading are one. Programs that print at uneven intervals keep half of
            // the longest.
            let is_same = passed.is_zero();
            if is_same {
                it.interval
            } else {
                Some(passed.max(it.interval.unwrap_or_default() / 2))
            }
        });
        self.hashrate =
            figures::hashrate(hashrate).map(|hashrate| Printed { hashrate, at: now.at, interval });
    }

    fn count(&mut self, result: ShareResult, now: Moment) {
        let shares = self.shares.get_or_insert_default();
        match result {
            ShareResult::Accepted => {
                shares.accepted += 1;
                self.last_share = now.unix_s.or(self.last_share);
                (self.paid_since_phase, self.paid_since_pool) = (true, true);
                self.error = None;
            }
            ShareResult::Rejected => shares.rejected += 1,
            ShareResult::Stale => shares.stale += 1,
            ShareResult::Invalid => shares.invalid += 1,
            _ => {}
        }
    }

    /// Takes in that so many lines were printed.
    pub fn see_lines(&mut self, count: usize, now: Moment) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.signs.lines = self.signs.lines.saturating_add(count);
        if count > 0 {
            self.line_at = Some(now.at);
        }
    }

    /// Takes in a reply of the API.
    pub fn see_reply(&mut self, metrics: PerformanceMetrics, now: Moment) {
        let accepted = metrics.shares.unwrap_or(0);
        let before = self.base.map_or(accepted, |base| base.accepted);
        // Shares between two replies: what happened after the first of them is over by now, if a
        // share was accepted since.
        if accepted > before
            && let Some(since) = self.replied_at
        {
            self.paid_since_phase |= self.phase.as_ref().is_some_and(|it| it.at <= since);
            self.paid_since_pool |= self.pool.as_ref().is_some_and(|it| it.at <= since);
            self.error.take_if(|error| error.at <= since);
        }
        if metrics.shares.is_some() || metrics.rejected.is_some() {
            self.base = Some(Shares {
                accepted,
                rejected: metrics.rejected.unwrap_or(0),
                stale: metrics.stale.unwrap_or(0),
                invalid: metrics.invalid.unwrap_or(0),
            });
            self.shares = None;
        }
        self.signs.api_replies += 1;
        (self.replied_at, self.silent_at) = (Some(now.at), None);
        if metrics.hashrate.is_some() {
            self.rated_at = Some(now.at);
        }
        if let Some(age) = combine::session_age(&metrics) {
            self.error.take_if(|error| now.at.saturating_sub(error.at) > age);
        }
        self.api = Some(Timed { value: metrics, at: now.at });
    }

    /// Takes in that the API gave no answer at `at`: what it said before is no news.
    pub fn see_no_reply(&mut self, at: Duration) {
        self.api = None;
        self.silent_at.get_or_insert(at);
    }

    /// Signs of life so far.
    pub fn signs(&self) -> Signs {
        self.signs
    }

    /// The last phase that the output told.
    pub fn phase(&self) -> Option<Phase> {
        self.phase.as_ref().map(|phase| phase.value)
    }

    /// The last error in the output, unless a pool or a share showed since that it is over; else
    /// the last warning. Text from outside.
    pub fn error(&self) -> Option<&str> {
        let error = self.error.as_ref().map(|error| error.value.as_str());
        error.or(self.warning.as_deref())
    }
}

/// A repeated value keeps its age: only a change is news. Returns whether it is one.
fn change<T: PartialEq>(known: &mut Option<Timed<T>>, value: T, at: Duration) -> bool {
    let is_news = known.as_ref().is_none_or(|known| known.value != value);
    if is_news {
        *known = Some(Timed { value, at });
    }
    is_news
}
