//! Lines about shares.

use adit_plugin_api::{Observation, Phase, ShareResult};

use crate::output::line::{difficulty, number};

/// `accepted (23/1) diff 15 (4 ms)`: the verdict, and XMRig's own counts with it.
pub(crate) struct ShareLine {
    result: ShareResult,
    counts: (u64, u64),
}

/// Tells shares of the miner from others by XMRig's own counts, which each share raises by one.
///
/// XMRig prints shares for its authors too, and those do not raise the counts. A single forged line
/// does not go on from where the counts were.
#[derive(Default)]
pub(crate) struct Shares {
    last: Option<(u64, u64)>,
    /// Where the counts jumped to: believed when the next line goes on from there, because lines
    /// may be missing.
    jump: Option<(u64, u64)>,
}

impl Shares {
    /// The verdict, if this is a share of the miner.
    pub(crate) fn judge(&mut self, line: &ShareLine) -> Option<ShareResult> {
        let goes_on = |from: (u64, u64)| {
            let (accepted, rejected) = match line.result {
                ShareResult::Accepted => (1, 0),
                _ => (0, 1),
            };
            line.counts == (from.0.saturating_add(accepted), from.1.saturating_add(rejected))
        };
        if self.last.is_none_or(goes_on) || self.jump.is_some_and(goes_on) {
            self.last = Some(line.counts);
            self.jump = None;
            return Some(line.result);
        }
        self.jump = Some(line.counts);
        None
    }
}

/// Reads a line about a share; nothing when any part of it has another form.
pub(crate) fn share(text: &str) -> Option<ShareLine> {
    let (result, rest) = if let Some(rest) = text.strip_prefix("accepted (") {
        (ShareResult::Accepted, rest)
    } else {
        (ShareResult::Rejected, text.strip_prefix("rejected (")?)
    };
    let (counts, rest) = rest.split_once(") diff ")?;
    let (accepted, rejected) = counts.split_once('/')?;
    let (diff, rest) = rest.split_once(' ')?;
    difficulty(diff)?;
    let latency = match result {
        ShareResult::Accepted => rest,
        // What is between the quotes is the pool's.
        _ => rest.strip_prefix('"')?.rsplit_once("\" ")?.1,
    };
    number(latency.strip_prefix('(')?.strip_suffix(" ms)")?)?;
    Some(ShareLine { result, counts: (number(accepted)?, number(rejected)?) })
}

/// What a judged share says.
pub(crate) fn observations(result: ShareResult) -> Vec<Observation> {
    let share = Observation::Share { result };
    match result {
        ShareResult::Accepted => vec![share, Observation::Phase { phase: Phase::Mining }],
        _ => vec![share],
    }
}
