//! What is remembered of one miner between two looks.

use std::time::Duration;

use adit_model::{
    run::RunId,
    watchdog,
    watchdog::{
        Cause, Excuse, Finding, Verdict,
        baseline::{Baseline, Baselines, Key},
        failback::Failback,
        history::History,
        incident::LOOKS,
        ladder::{Ladder, Remedy, Step},
        limits::{Limits, Options},
        look::Look,
    },
};
use adit_store::WatchdogRow;

/// Healthy looks in a row after which the same trouble is told again.
const CALM: u32 = 30;

/// What is to be done after a look.
pub(super) enum Next {
    Nothing,
    /// Tell somebody.
    Warn(Finding),
    /// Do something about it.
    Help(Finding),
}

/// Warnings: of which run, and why.
pub(super) type Warned = Vec<(String, Cause)>;

/// One miner.
#[derive(Default)]
pub(super) struct Ward {
    /// What the miner itself says.
    pub(super) options: Options,
    /// What its profile says.
    pub(super) of_profile: Options,
    pub(super) maintenance_until_ms: Option<i64>,
    pub(super) verdict: Option<Verdict>,
    /// How many places its list of pools is turned on.
    pool_turn: u32,
    /// The turn that is written down.
    saved_turn: u32,
    failback: Failback,
    /// Changes of the pool that were seen.
    pub(super) pool_switches: u64,
    pool: Option<String>,
    run: Option<RunId>,
    history: Option<History>,
    /// What was learned, while there is no run.
    baselines: Baselines,
    ladder: Ladder,
    /// What somebody was told of already.
    told: Vec<(Cause, Option<String>)>,
    /// Warnings that an earlier host published.
    pub(super) warned_before: Warned,
    calm: u32,
    /// Whether something is being done.
    is_busy: bool,
}

impl Ward {
    pub(super) fn new(row: WatchdogRow) -> Self {
        Self {
            options: row.options,
            maintenance_until_ms: row.maintenance_until_ms,
            pool_turn: row.pool_turn,
            saved_turn: row.pool_turn,
            baselines: Baselines::from_stored(row.baselines),
            ..Self::default()
        }
    }

    /// Takes in one look and judges the run.
    pub(super) fn see(
        &mut self,
        run: Option<RunId>,
        look: Look,
        step: Duration,
        limits: &Limits,
    ) -> Next {
        if run != self.run {
            self.baselines = self.take_baselines();
            self.run = run;
        }
        if self.run.is_none() {
            self.verdict = Some(Verdict::Excused(Excuse::NotRunning));
            return Next::Nothing;
        }
        let pool = look.metrics.pool.as_ref().map(|pool| &pool.url).filter(|url| !url.is_empty());
        if let Some(pool) = pool
            && self.pool.as_ref() != Some(pool)
        {
            self.pool_switches += u64::from(self.pool.is_some());
            self.pool = Some(pool.clone());
        }
        let (phase, now_ms) = (look.phase, look.at_ms);
        let history = self
            .history
            .get_or_insert_with(|| History::new(step, LOOKS, std::mem::take(&mut self.baselines)));
        let before = history.watched();
        history.see(look);
        let passed = history.watched().saturating_sub(before);
        let verdict = watchdog::verdict(history, phase, now_ms, limits);
        let next = self.answer(&verdict, passed, limits);
        self.verdict = Some(verdict);
        next
    }

    fn answer(&mut self, verdict: &Verdict, passed: Duration, limits: &Limits) -> Next {
        match verdict {
            Verdict::Healthy => {
                self.ladder.well(passed, limits);
                self.calm = self.calm.saturating_add(1);
                if self.calm >= CALM {
                    self.told.clear();
                    self.warned_before.clear();
                }
                Next::Nothing
            }
            Verdict::Excused(_) => Next::Nothing,
            Verdict::Warning(finding) => {
                self.unwell();
                if self.tell(finding) { Next::Warn(finding.clone()) } else { Next::Nothing }
            }
            Verdict::Sick(_) if self.is_busy => Next::Nothing,
            Verdict::Sick(finding) => {
                self.unwell();
                self.is_busy = true;
                Next::Help(finding.clone())
            }
        }
    }

    fn unwell(&mut self) {
        self.ladder.unwell();
        self.calm = 0;
    }

    /// Whether this was not told yet.
    pub(super) fn tell(&mut self, finding: &Finding) -> bool {
        let key = (finding.cause, finding.device.clone());
        if self.told.contains(&key) {
            return false;
        }
        self.told.push(key);
        let run = self.run.as_ref().map(ToString::to_string).unwrap_or_default();
        let before = self.warned_before.iter().position(|it| *it == (run.clone(), finding.cause));
        before.map(|at| self.warned_before.swap_remove(at)).is_none()
    }

    pub(super) fn decide(
        &self,
        cause: Cause,
        has_next_pool: bool,
        now_ms: i64,
        limits: &Limits,
    ) -> Step {
        self.ladder.next(cause, has_next_pool, now_ms, limits)
    }

    /// Whether the run is still the one that was judged, and still sick in the same way.
    pub(super) fn is_still(&self, run: &RunId, finding: &Finding) -> bool {
        let now = match &self.verdict {
            Some(Verdict::Sick(now)) => Some(now.cause),
            _ => None,
        };
        self.run.as_ref() == Some(run) && now == Some(finding.cause)
    }

    pub(super) fn acted(&mut self, cause: Cause, remedy: Remedy, now_ms: i64) {
        self.ladder.done(cause, remedy, now_ms);
        if remedy == Remedy::NextPool {
            self.turn_pools(self.pool_turn.wrapping_add(1));
        }
    }

    pub(super) fn pool_turn(&self) -> u32 {
        self.pool_turn
    }

    /// Another pool comes first from now on. It has to be away for as long as any other before the
    /// one before is tried.
    pub(super) fn turn_pools(&mut self, turn: u32) {
        (self.pool_turn, self.failback) = (turn, Failback::default());
    }

    /// The turn, when it is not written down yet.
    pub(super) fn turn_to_save(&mut self) -> Option<u32> {
        let is_news = self.pool_turn != self.saved_turn;
        self.saved_turn = self.pool_turn;
        is_news.then_some(self.pool_turn)
    }

    /// Whether it is time to see if the first pool is there again, for a run that was sent to another
    /// one. The caller then calls [`Ward::tried`].
    pub(super) fn tries_first_pool(&mut self, now: Duration, limits: &Limits) -> bool {
        let is_watched = !matches!(self.verdict, None | Some(Verdict::Excused(_)));
        self.pool_turn != 0
            && limits.back.is_some()
            && is_watched
            && !self.is_busy
            && self.failback.begin(now)
    }

    /// Notes whether the first pool could be reached. Returns whether the miner returns to it.
    pub(super) fn tried(
        &mut self,
        is_reached: bool,
        now: Duration,
        now_ms: i64,
        limits: &Limits,
    ) -> bool {
        let Some(over) = limits.back else { return false };
        let is_back = self.failback.note(is_reached, now, over);
        is_back && !self.is_busy && self.ladder.may_return(now_ms, limits)
    }

    /// What was to be done is done or could not be. All patience begins anew.
    pub(super) fn rest(&mut self) {
        self.is_busy = false;
        if let Some(history) = &mut self.history {
            history.forgive();
        }
    }

    /// What can be said now is no answer: looks on with the same patience.
    pub(super) fn wait(&mut self) {
        self.is_busy = false;
    }

    pub(super) fn begin_anew(&mut self) {
        self.ladder = Ladder::default();
        self.turn_pools(0);
        self.told.clear();
        self.warned_before.clear();
    }

    pub(super) fn looks(&self) -> Vec<Look> {
        self.history.iter().flat_map(History::looks).cloned().collect()
    }

    fn take_baselines(&mut self) -> Baselines {
        match self.history.take() {
            Some(history) => history.into_baselines(),
            None => std::mem::take(&mut self.baselines),
        }
    }

    /// What was learned since the last call.
    pub(super) fn baselines_to_save(&mut self) -> Option<Vec<(Key, Baseline)>> {
        let baselines = match &mut self.history {
            Some(history) => history.baselines_mut(),
            None => &mut self.baselines,
        };
        baselines.take_news().then(|| baselines.iter().map(|(k, b)| (k.clone(), *b)).collect())
    }
}
