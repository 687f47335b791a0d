//! What each source says about a run: it lives, it is dead, or nothing.

use std::time::Duration;

use adit_plugin_api::Phase;

use crate::watchdog::{history::History, limits::Limits};

/// What one source says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Say {
    /// The run is at work.
    Alive,
    /// It is not; in a sentence.
    Dead(String),
    /// The source never spoke, or it is too early to tell.
    Nothing,
}

impl Say {
    pub(super) fn is_alive(&self) -> bool {
        *self == Self::Alive
    }

    pub(super) fn is_dead(&self) -> bool {
        matches!(self, Self::Dead(_))
    }
}

/// What all sources say.
#[derive(Clone, Debug)]
pub(super) struct Signals {
    /// Hashes, as API or output tell.
    pub(super) hashes: Say,
    /// Shares.
    pub(super) shares: Say,
    /// Lines of output.
    pub(super) output: Say,
    /// Lines that show the program at work.
    pub(super) work: Say,
    /// Answers of the API.
    pub(super) api: Say,
    /// Time of the processor.
    pub(super) processor: Say,
}

impl Signals {
    pub(super) fn read(history: &History, phase: Phase, limits: &Limits) -> Self {
        let read = Reader { history, phase, limits };
        Self {
            hashes: read.hashes(),
            shares: read.shares(),
            output: read.output(),
            work: read.work(),
            api: read.api(),
            processor: read.processor(),
        }
    }
}

struct Reader<'a> {
    history: &'a History,
    phase: Phase,
    limits: &'a Limits,
}

impl Reader<'_> {
    fn hashes(&self) -> Say {
        let marks = &self.history.marks;
        if let Some(zero) = marks.zero {
            let lasted = self.history.since(Some(zero));
            if lasted > self.limits.zero {
                return Say::Dead(format!("the hashrate has been 0 for {} s", lasted.as_secs()));
            }
            return Say::Nothing;
        }
        let Some(hashes) = marks.hashes else { return Say::Nothing };
        let silent = self.history.since(Some(hashes.max(marks.expected)));
        match () {
            () if silent <= self.limits.zero => Say::Alive,
            () if silent > self.limits.silence.max(self.limits.zero) => {
                Say::Dead(format!("no hashrate was told for {} s", silent.as_secs()))
            }
            () => Say::Nothing,
        }
    }

    fn shares(&self) -> Say {
        let marks = &self.history.marks;
        let is_told = self.history.last().is_some_and(|it| it.metrics.shares.is_some());
        let since = self.history.since(marks.share.max(Some(marks.expected)));
        let Some(usual) = self.history.usual_share_gap() else {
            // Without a habit: the first shares may take very long.
            let limit = self.limits.phase(Phase::Waiting).unwrap_or(self.limits.share);
            return match marks.share {
                Some(_) if since <= self.limits.zero => Say::Alive,
                _ if is_told && since > limit => {
                    Say::Dead(format!("no share came for {} s", since.as_secs()))
                }
                _ => Say::Nothing,
            };
        };
        let limit = usual.max(self.limits.share);
        match () {
            () if since <= self.limits.zero => Say::Alive,
            () if since > limit => Say::Dead(format!(
                "no share came for {} s, {} s is the longest that is usual",
                since.as_secs(),
                usual.as_secs()
            )),
            () => Say::Nothing,
        }
    }

    fn output(&self) -> Say {
        let marks = &self.history.marks;
        if marks.line.is_none() {
            let waited = self.history.watched();
            let is_starting = self.phase == Phase::Starting;
            let is_late = self.limits.phase(Phase::Starting).is_some_and(|limit| waited > limit);
            let never = || Say::Dead(format!("it printed nothing in {} s", waited.as_secs()));
            // Later, a program that never prints is just quiet.
            return if is_starting && is_late { never() } else { Say::Nothing };
        }
        let silent = self.history.since(marks.line);
        let limit = self.limits.silence.max(self.history.usual_silence() * 3);
        match () {
            () if silent <= self.limits.silence => Say::Alive,
            () if silent > limit => {
                Say::Dead(format!("it printed nothing for {} s", silent.as_secs()))
            }
            () => Say::Nothing,
        }
    }

    fn work(&self) -> Say {
        let Some(progress) = self.history.marks.progress else { return Say::Nothing };
        let since = self.history.since(Some(progress));
        match () {
            () if since <= self.limits.zero => Say::Alive,
            () if since > self.limits.silence.max(self.limits.zero) => {
                Say::Dead(format!("no line showed it at work for {} s", since.as_secs()))
            }
            () => Say::Nothing,
        }
    }

    fn api(&self) -> Say {
        if !self.history.last().is_some_and(|it| it.signs.has_api) {
            return Say::Nothing;
        }
        let marks = &self.history.marks;
        let silent = self.history.since(marks.api);
        let limit = match marks.api {
            Some(_) => self.limits.api,
            // It may open its API only when it is ready.
            None => self.longest_start().max(self.limits.api),
        };
        match marks.api {
            Some(_) if silent <= limit => Say::Alive,
            _ if silent > limit => {
                Say::Dead(format!("its API gave no answer for {} s", silent.as_secs()))
            }
            _ => Say::Nothing,
        }
    }

    fn longest_start(&self) -> Duration {
        let limit = |phase| self.limits.phase(phase).unwrap_or_default();
        match self.phase {
            Phase::Starting => limit(Phase::Starting),
            _ => limit(Phase::Starting).max(limit(Phase::Preparing)),
        }
    }

    /// Only its idleness says something: a program that turns in circles is busy too.
    fn processor(&self) -> Say {
        let is_known = self.history.last().is_some_and(|it| it.signs.cpu_ms.is_some());
        let idle = self.history.since(self.history.marks.cpu);
        if is_known && idle > self.limits.silence {
            return Say::Dead(format!("it used no processor time for {} s", idle.as_secs()));
        }
        Say::Nothing
    }
}
