//! Hashes that earn nothing: shares that do not come, are not answered, or are all refused.
//!
//! A miner that hashes and gets no share accepted looks well to every other rule, and costs its owner
//! the most. Luck looks the same, so the miner's own habit decides. With one share every `gap` on
//! average, a time of `n × gap` passes without any with a probability of e^-n. A share takes anything
//! from a second to a day, which is why no fixed time would do; and a solo miner at a full node may
//! never find one, which its difficulty shows, or else its operator says.

use std::time::Duration;

use adit_plugin_api::Phase;

use crate::watchdog::{
    Case, Cause, Verdict, finding,
    history::{Habit, difficulty},
    signals::Say,
};

/// Gaps of the miner's own habit without a share that are no luck any more: e^-20.
const GAPS: u32 = 20;
/// The same for a first share, by difficulty and hashrate. Some algorithms count difficulty in other
/// units, by which shares take longer than this says.
const FIRST_GAPS: f64 = 10.0;
/// Rejected shares in a row that are worth a warning.
const REJECTED: u64 = 20;
/// The same when they came over a long time.
const REJECTED_SLOWLY: u64 = 5;

impl Case<'_> {
    /// Shares that the pool refuses, all of them.
    pub(super) fn rejected(&self) -> Option<Verdict> {
        let count = self.history.rejected_in_row;
        let is_slow = count >= REJECTED_SLOWLY && self.history.unpaid > self.limits.share;
        if count < REJECTED && !is_slow {
            return None;
        }
        let unpaid = self.history.unpaid.as_secs();
        let text = match self.history.is_paid {
            true => format!("the last {count} shares were rejected, for {unpaid} s of hashing"),
            false => format!("the last {count} shares were rejected, and none was accepted"),
        };
        let signals = [&Say::Dead(text), &self.usual_gap()];
        Some(Verdict::Warning(finding(Cause::Rejected, None, &signals)))
    }

    /// Hashes, and no share of them accepted.
    pub(super) fn no_shares(&self) -> Option<Verdict> {
        let earns = matches!(self.phase, Phase::Waiting | Phase::Mining);
        let has_pool = self.history.marks.no_pool.is_none();
        if self.limits.solo || !earns || !has_pool || !self.says.hashes.is_alive() {
            return None;
        }
        let last = &self.history.last()?.metrics;
        // Some programs report no shares; one that waits for its first share says so.
        if last.shares.is_none() && self.phase != Phase::Waiting {
            return None;
        }
        // While an API that counted shares is gone they are unknown, unless they are printed too.
        let counted_by_api = self.history.marks.api.is_some();
        let signs = &self.history.last()?.signs;
        if counted_by_api && !self.says.api.is_alive() && signs.shares == 0 {
            return None;
        }
        let unpaid = self.history.unpaid;
        if unpaid <= self.patience() {
            return None;
        }
        let text = match self.history.is_paid || last.shares.is_some_and(|it| it > 0) {
            true => format!("no share was accepted for {} s of hashing", unpaid.as_secs()),
            false => format!("no share was ever accepted in {} s of hashing", unpaid.as_secs()),
        };
        let rate = last.hashrate.map_or(Say::Nothing, |rate| {
            Say::Dead(format!("its hashrate is {rate:.1} H/s all the while"))
        });
        let signals = [&Say::Dead(text), &self.usual_gap(), &rate];
        Some(Verdict::Warning(finding(Cause::NoShares, None, &signals)))
    }

    /// How much hashing may bring no share.
    fn patience(&self) -> Duration {
        if let Some(habit) = self.history.habit() {
            return habit.gap.saturating_mul(GAPS).max(self.limits.share);
        }
        // The driver says how long a first share may take.
        let first = self.limits.phase(Phase::Waiting).unwrap_or(self.limits.share);
        self.expected_gap().map_or(first, |gap| gap.mul_f64(FIRST_GAPS).max(first))
    }

    /// How long a share takes by its difficulty, where that is a number of hashes.
    fn expected_gap(&self) -> Option<Duration> {
        /// Longer than any run.
        const AGES_S: f64 = 1e9;
        let metrics = &self.history.last()?.metrics;
        let rate = metrics.hashrate.filter(|rate| *rate > 0.0)?;
        Duration::try_from_secs_f64((difficulty(metrics)? / rate).min(AGES_S)).ok()
    }

    /// What is usual, as a sentence.
    fn usual_gap(&self) -> Say {
        let habit = self.history.habit();
        match (habit, self.expected_gap()) {
            (Some(Habit { gap, is_earlier }), _) => {
                let when = if is_earlier { " in earlier runs" } else { "" };
                Say::Dead(format!("one every {} is usual{when}", seconds(gap)))
            }
            (None, Some(gap)) => {
                Say::Dead(format!("one every {} is to be expected by its difficulty", seconds(gap)))
            }
            (None, None) => Say::Dead(format!(
                "one is to be expected within {}",
                seconds(self.limits.phase(Phase::Waiting).unwrap_or(self.limits.share))
            )),
        }
    }
}

fn seconds(time: Duration) -> String {
    match time.as_secs_f64() {
        short if short < 10.0 => format!("{short:.1} s"),
        long => format!("{long:.0} s"),
    }
}
