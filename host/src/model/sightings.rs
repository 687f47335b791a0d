//! What the output of a run said so far, and how it completes the figures of its API.

use adit_plugin_api::{Observation, PerformanceMetrics, Phase, PoolMetrics, ShareResult};

use crate::model::watchdog::look::Signs;

/// What the output of a run said so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sightings {
    phase: Option<Phase>,
    hashrate: Option<f64>,
    algorithm: Option<String>,
    shares: Option<Shares>,
    last_share: Option<i64>,
    pool: Option<PoolMetrics>,
    error: Option<String>,
    signs: Signs,
    warning: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Shares {
    accepted: u64,
    rejected: u64,
    stale: u64,
    invalid: u64,
}

impl Sightings {
    /// Takes in what was seen at `now_s` (Unix seconds).
    pub fn see(&mut self, observation: Observation, now_s: i64) {
        self.signs.note(&observation);
        match observation {
            Observation::Phase { phase } => self.phase = Some(phase),
            Observation::Hashrate { hashrate } => {
                self.hashrate = (hashrate.is_finite() && hashrate >= 0.0).then_some(hashrate);
            }
            Observation::Algorithm { algorithm } => self.algorithm = Some(algorithm),
            Observation::Share { result } => self.count(result, now_s),
            Observation::Pool(pool) => {
                if pool.connected == Some(true) {
                    self.error = None;
                }
                self.pool = Some(pool);
            }
            Observation::Error { message } => self.error = Some(message),
            Observation::Warning { message } => self.warning = Some(message),
            _ => {}
        }
    }

    fn count(&mut self, result: ShareResult, now_s: i64) {
        let shares = self.shares.get_or_insert_default();
        match result {
            ShareResult::Accepted => {
                shares.accepted += 1;
                self.last_share = Some(now_s);
                self.error = None;
            }
            ShareResult::Rejected => shares.rejected += 1,
            ShareResult::Stale => shares.stale += 1,
            ShareResult::Invalid => shares.invalid += 1,
            _ => {}
        }
    }

    /// Takes in that so many lines were printed.
    pub fn see_lines(&mut self, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.signs.lines = self.signs.lines.saturating_add(count);
    }

    /// Signs of life in the output so far.
    pub fn signs(&self) -> Signs {
        self.signs
    }

    /// The last phase that the output told.
    pub fn phase(&self) -> Option<Phase> {
        self.phase
    }

    /// The last error in the output, unless a pool or a share showed since that it is over; else
    /// the last warning. Text from outside.
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref().or(self.warning.as_deref())
    }

    /// The figures of the program's API, completed by the output: the API is believed, the output
    /// fills in what it does not tell.
    pub fn complete(&self, api: Option<PerformanceMetrics>) -> PerformanceMetrics {
        let mut metrics = api.unwrap_or_default();
        let has_counts = metrics.shares.is_some() || metrics.rejected.is_some();
        if let Some(shares) = self.shares.filter(|_| !has_counts) {
            metrics.shares = Some(shares.accepted);
            metrics.rejected = Some(shares.rejected);
            metrics.stale = Some(shares.stale);
            metrics.invalid = Some(shares.invalid);
        }
        metrics.hashrate = metrics.hashrate.or(self.hashrate);
        metrics.algorithm = metrics.algorithm.or_else(|| self.algorithm.clone());
        metrics.last_share = metrics.last_share.or(self.last_share);
        metrics.pool = pool(metrics.pool, self.pool.as_ref());
        metrics.phase = metrics.phase.or(self.phase);
        metrics
    }
}

/// An API that tells no more than a pool's name is completed by the output, which also knows first
/// when the pool changes.
fn pool(api: Option<PoolMetrics>, seen: Option<&PoolMetrics>) -> Option<PoolMetrics> {
    let (Some(api), Some(seen)) = (&api, seen) else { return api.or_else(|| seen.cloned()) };
    if api.connected.is_some() {
        return Some(api.clone());
    }
    if api.url != seen.url && !seen.url.is_empty() {
        return Some(seen.clone());
    }
    Some(PoolMetrics {
        url: api.url.clone(),
        connected: seen.connected,
        session_ms: api.session_ms.or(seen.session_ms),
        latency_ms: api.latency_ms.or(seen.latency_ms),
        difficulty: api.difficulty.or(seen.difficulty),
        error: api.error.clone().or_else(|| seen.error.clone()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(observations: impl IntoIterator<Item = Observation>) -> Sightings {
        let mut sightings = Sightings::default();
        for observation in observations {
            sightings.see(observation, 1000);
        }
        sightings
    }

    #[test]
    fn output_alone_makes_figures() {
        let share = |result| Observation::Share { result };
        let metrics = seen([
            Observation::Phase { phase: Phase::Mining },
            Observation::Hashrate { hashrate: 12.5 },
            Observation::Algorithm { algorithm: "rx/0".to_owned() },
            share(ShareResult::Accepted),
            share(ShareResult::Accepted),
            share(ShareResult::Rejected),
        ])
        .complete(None);
        assert_eq!(metrics.hashrate, Some(12.5));
        assert_eq!((metrics.shares, metrics.rejected), (Some(2), Some(1)));
        assert_eq!(metrics.last_share, Some(1000));
        assert_eq!(metrics.phase, Some(Phase::Mining));
    }

    #[test]
    fn a_forged_share_line_changes_no_counter_of_the_api() {
        let sightings = seen([Observation::Share { result: ShareResult::Accepted }]);
        let api = PerformanceMetrics { shares: Some(7), ..PerformanceMetrics::default() };
        let metrics = sightings.complete(Some(api));
        assert_eq!((metrics.shares, metrics.rejected), (Some(7), None));
    }

    #[test]
    fn an_error_is_over_when_shares_or_a_pool_come_again() {
        let error = || Observation::Error { message: "end of file".to_owned() };
        let pool = |connected| {
            Observation::Pool(PoolMetrics { connected: Some(connected), ..PoolMetrics::default() })
        };
        let share = |result| Observation::Share { result };
        assert_eq!(seen([error()]).error(), Some("end of file"));
        assert_eq!(seen([error(), pool(true)]).error(), None);
        assert_eq!(seen([error(), share(ShareResult::Accepted)]).error(), None);
        assert!(seen([error(), pool(false), share(ShareResult::Rejected)]).error().is_some());
    }

    #[test]
    fn the_output_tells_what_an_api_leaves_out_of_the_pool() {
        let seen = |url: &str, connected| {
            let pool = PoolMetrics {
                url: url.to_owned(),
                connected: Some(connected),
                difficulty: Some(5),
                ..PoolMetrics::default()
            };
            seen([Observation::Pool(pool)])
        };
        let api = |url: &str, connected| {
            let pool = PoolMetrics { url: url.to_owned(), connected, ..PoolMetrics::default() };
            Some(PerformanceMetrics { pool: Some(pool), ..PerformanceMetrics::default() })
        };
        let pool = seen("a:1", true).complete(api("a:1", None)).pool.unwrap();
        assert_eq!((pool.connected, pool.difficulty), (Some(true), Some(5)));
        let pool = seen("b:1", false).complete(api("a:1", None)).pool.unwrap();
        assert_eq!((pool.url.as_str(), pool.connected), ("b:1", Some(false)));
        let pool = seen("b:1", false).complete(api("a:1", Some(true))).pool.unwrap();
        assert_eq!((pool.url.as_str(), pool.difficulty), ("a:1", None));
    }

    #[test]
    fn a_warning_stays_and_gives_way_to_errors() {
        let warning = || Observation::Warning { message: "no huge pages".to_owned() };
        let error = || Observation::Error { message: "end of file".to_owned() };
        let share = || Observation::Share { result: ShareResult::Accepted };
        assert_eq!(seen([warning(), share()]).error(), Some("no huge pages"));
        assert_eq!(seen([error(), warning()]).error(), Some("end of file"));
        assert_eq!(seen([warning(), error(), share()]).error(), Some("no huge pages"));
    }

    #[test]
    fn nothing_seen_is_nothing_said() {
        assert_eq!(seen([]).complete(None), PerformanceMetrics::default());
    }

    #[test]
    fn a_hashrate_that_is_no_number_is_unknown() {
        for hashrate in [f64::NAN, f64::INFINITY, -1.0] {
            let metrics = seen([Observation::Hashrate { hashrate }]).complete(None);
            assert_eq!(metrics.hashrate, None);
        }
    }
}
