//! One picture of a run from both of its sources.

use std::time::Duration;

use adit_plugin_api::{PerformanceMetrics, Phase, PoolMetrics};

use crate::sightings::{QUIET, QUIET_OUTPUT, Shares, Sightings, Timed};

/// A session is younger than a line by more than this before the line counts as over. Lines are read
/// up to a second after they were printed.
const READING: Duration = Duration::from_secs(2);

impl Sightings {
    /// What holds at `now`. The API completes and corrects the output while its last reply is at most
    /// `lifetime` old.
    pub fn metrics(&self, now: Duration, lifetime: Duration) -> PerformanceMetrics {
        let api = self.reply(now, lifetime);
        let mut metrics = api.map(|it| it.value.clone()).unwrap_or_default();
        let has_counts = metrics.shares.is_some() || metrics.rejected.is_some();
        if let Some(shares) = self.counted().filter(|_| !has_counts) {
            metrics.shares = Some(shares.accepted);
            metrics.rejected = Some(shares.rejected);
            metrics.stale = Some(shares.stale);
            metrics.invalid = Some(shares.invalid);
        }
        metrics.hashrate = metrics.hashrate.or(self.printed(now, lifetime));
        metrics.algorithm = newest(api, metrics.algorithm.take(), self.algorithm.as_ref());
        metrics.last_share = metrics.last_share.or(self.last_share);
        metrics.phase = newest(api, metrics.phase, self.phase.as_ref());
        metrics.pool = pool(metrics.pool.take(), self.pool.as_ref().map(|it| &it.value));
        if let Some(api) = api
            && self.has_left_pool(api)
        {
            self.leave_pool(&mut metrics);
        }
        if self.is_quiet(now, lifetime) {
            fall_silent(&mut metrics);
        }
        metrics
    }

    /// Whether nothing was heard of the run since its API fell silent, or for long. What is known of
    /// it is then no measurement of this moment.
    pub fn is_unheard(&self, now: Duration, lifetime: Duration) -> bool {
        let silent = self.silent_at(now, lifetime).filter(|_| self.replied_at.is_some());
        silent.is_some_and(|at| self.line_at.is_none_or(|line| line <= at))
            || self.is_quiet(now, lifetime)
    }

    fn reply(&self, now: Duration, lifetime: Duration) -> Option<&Timed<PerformanceMetrics>> {
        self.api.as_ref().filter(|api| now.saturating_sub(api.at) <= lifetime)
    }

    /// Since when the API is known to give no answer.
    fn silent_at(&self, now: Duration, lifetime: Duration) -> Option<Duration> {
        let overdue = self.replied_at.map(|at| at.saturating_add(lifetime));
        self.silent_at.or(overdue).filter(|at| *at <= now)
    }

    /// A printed hashrate that still counts. Where the API has hashrates, one counts only that was
    /// printed while it was silent: a program that froze may have printed one a moment before.
    fn printed(&self, now: Duration, lifetime: Duration) -> Option<f64> {
        let printed = self.hashrate.as_ref()?;
        let is_young = now.saturating_sub(printed.at) <= printed.lifetime();
        let is_news = match self.rated_at {
            None => true,
            Some(_) => self.silent_at(now, lifetime).is_some_and(|silent| printed.at > silent),
        };
        (is_young && is_news).then_some(printed.hashrate)
    }

    /// Shares of the run: those of the last reply and those printed since.
    fn counted(&self) -> Option<Shares> {
        let (Some(base), Some(more)) = (self.base, self.shares) else {
            return self.base.or(self.shares);
        };
        Some(Shares {
            accepted: base.accepted.saturating_add(more.accepted),
            rejected: base.rejected.saturating_add(more.rejected),
            stale: base.stale.saturating_add(more.stale),
            invalid: base.invalid.saturating_add(more.invalid),
        })
    }

    /// Whether a run that spoke before has given no sign of life for so long that it may be frozen.
    /// One that prints rarely has more time; one that never said how fast it is has none to lose.
    fn is_quiet(&self, now: Duration, lifetime: Duration) -> bool {
        let Some(last) = self.replied_at.max(self.line_at) else { return false };
        let spoke = self.replied_at.is_some() || self.prints_hashrates;
        let least = if self.replied_at.is_some() { QUIET } else { QUIET_OUTPUT };
        let patience = self.hashrate.map_or(least, |it| it.lifetime().max(least));
        spoke && self.reply(now, lifetime).is_none() && now.saturating_sub(last) > patience
    }

    /// Whether the output said that the run looks for a pool, after the session began that the API
    /// still shows. A share that was accepted since speaks for the session.
    fn has_left_pool(&self, api: &Timed<PerformanceMetrics>) -> bool {
        let Some(pool) = &api.value.pool else { return false };
        let Some(age) = session_age(&api.value) else { return false };
        let is_newer = |at: Duration| age > api.at.saturating_sub(at).saturating_add(READING);
        let seeks = self.phase.as_ref().is_some_and(|phase| {
            matches!(phase.value, Phase::Connecting | Phase::Degraded) && is_newer(phase.at)
        });
        let lost = self.pool.as_ref().is_some_and(|seen| {
            let is_same = seen.value.url == pool.url && seen.value.connected == Some(false);
            is_same && is_newer(seen.at)
        });
        seeks && !self.paid_since_phase || lost && !self.paid_since_pool
    }

    /// The pool is the one of the output, which the run cannot reach.
    fn leave_pool(&self, metrics: &mut PerformanceMetrics) {
        let seen = self.pool.as_ref().map(|it| &it.value);
        let seen = seen.filter(|it| it.connected == Some(false) && !it.url.is_empty()).cloned();
        let shown = metrics.pool.take().map(|pool| pool.url).unwrap_or_default();
        let pool = seen.unwrap_or_else(|| PoolMetrics { url: shown, ..PoolMetrics::default() });
        metrics.pool = Some(PoolMetrics { connected: Some(false), ..pool });
        if matches!(metrics.phase, Some(Phase::Mining | Phase::Waiting)) {
            metrics.phase = Some(Phase::Degraded);
        }
    }
}

/// How old the session is that `metrics` show. It may be older than this host.
pub(super) fn session_age(metrics: &PerformanceMetrics) -> Option<Duration> {
    let pool = metrics.pool.as_ref().filter(|pool| pool.connected == Some(true))?;
    pool.session_ms.map(Duration::from_millis)
}

/// The value of the API, unless it has none or the output showed a change since.
fn newest<T: Clone>(
    api: Option<&Timed<PerformanceMetrics>>,
    reported: Option<T>,
    seen: Option<&Timed<T>>,
) -> Option<T> {
    let replied = api.map(|it| it.at);
    match seen {
        Some(seen) if reported.is_none() || replied.is_some_and(|at| seen.at > at) => {
            Some(seen.value.clone())
        }
        _ => reported,
    }
}

/// An API that reports no more than a pool's name is completed by the output, which also shows first
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

/// Reduces the stats of a run without signs of life to what stays true: totals, and the pool it was at.
/// Whether it hashes and is connected is unknown.
fn fall_silent(metrics: &mut PerformanceMetrics) {
    metrics.hashrate = None;
    if let Some(pool) = &mut metrics.pool {
        let url = std::mem::take(&mut pool.url);
        *pool = PoolMetrics { url, error: pool.error.take(), ..PoolMetrics::default() };
    }
    if matches!(metrics.phase, Some(Phase::Mining | Phase::Waiting)) {
        metrics.phase = Some(Phase::Degraded);
    }
}
