//! What lines of XMRig's output say: a second sign of life, and the figures while there is no API.
//!
//! A line counts only when its whole form is right: time, tag, text. Text from a pool stands in
//! quotes in the middle of a line; but XMRig prints a pool's newlines as they are, so that a pool
//! can forge whole lines. Hence nothing here is more than a hint, and shares seen here count only
//! while the API gives none.

mod line;
mod net;
mod shares;

use std::sync::{Mutex, MutexGuard, PoisonError};

use adit_plugin_api::{Observation, Phase};

use crate::output::{
    line::{Line, cut, number},
    shares::Shares,
};

/// Reads the output of one miner. A new one that begins in the middle of a run reads as well; it
/// may only tell of missing huge pages that nobody asked for.
#[derive(Default)]
pub(crate) struct Reader(Mutex<State>);

/// Huge pages in use and wanted, as the API counts them.
pub(crate) type Pages = (u64, u64);

/// What earlier lines of the same run said.
#[derive(Default)]
struct State {
    shares: Shares,
    no_huge_pages_wanted: bool,
    /// Whether the line about huge pages was read: without it, it is not known whether any are wanted.
    knows_huge_pages: bool,
    light_mode_wanted: bool,
    /// Whether missing huge pages were reported.
    has_reported_pages: bool,
    /// What the API counted, until it is reported.
    counted_pages: Option<Pages>,
    /// The pool that has just refused something; most then end the connection too.
    refused_by: Option<String>,
}

impl Reader {
    /// What `lines` say; nothing of lines that are not XMRig's own.
    pub(crate) fn observe(&self, lines: &[&str]) -> Vec<Observation> {
        let mut state = self.state();
        let mut seen: Vec<_> =
            lines.iter().flat_map(|line| state.observe(&line::plain(line))).collect();
        seen.extend(state.report_counted_pages());
        seen
    }

    /// Takes the huge pages that the API counts. Some that are missing have no line: those of the
    /// cache of RandomX's light mode. They are reported with the next lines.
    pub(crate) fn count_pages(&self, pages: Pages) {
        self.state().counted_pages = Some(pages);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn observe(&mut self, line: &str) -> Vec<Observation> {
        match line::split(line) {
            Line::Tagged("net", text) => self.net(text),
            Line::Tagged("miner", text) => miner(text),
            Line::Tagged("randomx", text) => self.randomx(text),
            Line::Tagged("cpu" | "opencl" | "nvidia", text) => self.backend(text),
            Line::Tagged("msr", text) => msr(text),
            Line::Tagged(..) => vec![Observation::Progress],
            Line::Timed(text) => {
                net::observe_untagged(text).or_else(|| no_config(text)).into_iter().collect()
            }
            Line::Bare(text) => self.bare(text),
        }
    }

    /// That a pool ends the connection after a refusal is no news: the refusal is what counts.
    fn net(&mut self, text: &str) -> Vec<Observation> {
        let mut seen = net::observe(text);
        let (url, what) = text.split_once(' ').unwrap_or((text, ""));
        let before = self.refused_by.take();
        if what.starts_with("error: \"") {
            self.refused_by = Some(cut(url));
        } else if what.starts_with("read error: ") && before == Some(cut(url)) {
            seen.retain(|it| !matches!(it, Observation::Error { .. }));
        }
        seen
    }

    fn bare(&mut self, text: &str) -> Vec<Observation> {
        let Some(fact) = text.strip_prefix(" * ") else {
            return no_config(text).into_iter().collect();
        };
        let Some((name, value)) = fact.split_at_checked(13) else { return Vec::new() };
        match name.trim_end() {
            "ABOUT" if value.starts_with("XMRig/") => {
                *self = Self::default();
                vec![Observation::Progress]
            }
            "HUGE PAGES" => {
                self.no_huge_pages_wanted = value.trim_end() == "disabled";
                self.knows_huge_pages = true;
                vec![Observation::Progress]
            }
            name if name.starts_with("POOL #") => {
                vec![Observation::Phase { phase: Phase::Connecting }]
            }
            "HTTP API" => match value.split_once(' ') {
                Some((_, why)) if !why.trim().is_empty() => vec![no_api(why.trim())],
                _ => vec![Observation::Progress],
            },
            _ => Vec::new(),
        }
    }

    fn randomx(&mut self, text: &str) -> Vec<Observation> {
        // Machines with several memory nodes say which one.
        let text = match text.split_once(' ') {
            Some((node, rest)) if node == "--" || node.starts_with('#') => rest.trim_start(),
            _ => text,
        };
        if text.starts_with("init dataset") {
            return vec![Observation::Phase { phase: Phase::Preparing }];
        }
        let starts = |with: &str| text.starts_with(with);
        let complaint = match text {
            "fast RandomX mode disabled by config" => {
                self.light_mode_wanted = true;
                None
            }
            _ if starts("failed to allocate RandomX dataset using 1GB pages") => Some(
                "XMRig got no 1 GB pages: reserve 3 for each memory node at boot with \
                 hugepagesz=1G hugepages=3, or set oneGbPages to false",
            ),
            _ if starts("failed to allocate RandomX memory") => Some(
                "XMRig has too little memory for RandomX and does not mine: free 300 MB for \
                 randomxMode light or 2.4 GB for fast",
            ),
            _ if starts("failed to allocate RandomX dataset") && !self.light_mode_wanted => Some(
                "XMRig has too little memory for RandomX's fast mode and mines many times slower: \
                 free 2.4 GB and restart the miner",
            ),
            _ => None,
        };
        match complaint {
            Some(message) => vec![warning(message)],
            None => self.printed_pages(text).into_iter().chain([Observation::Progress]).collect(),
        }
    }

    fn backend(&mut self, text: &str) -> Vec<Observation> {
        if text.starts_with("READY threads ") {
            let ready = Observation::Phase { phase: Phase::Waiting };
            return self.printed_pages(text).into_iter().chain([ready]).collect();
        }
        if let Some(share) = shares::share(text) {
            return match self.shares.judge(&share) {
                Some(result) => shares::observations(result),
                // A share for XMRig's authors.
                None => vec![Observation::Progress],
            };
        }
        if let Some(why) = text.strip_prefix("disabled") {
            return vec![error(&format!("XMRig does not mine on a backend:{}", cut(why)))];
        }
        if text.ends_with("COMPUTE ERROR") || text.ends_with("self-test failed") {
            return vec![error(&format!(
                "XMRig computes wrong results ({}): lower the clocks or voltage changes of that \
                 device",
                cut(text)
            ))];
        }
        vec![Observation::Progress]
    }

    /// A complaint about missing huge pages in `… huge pages 0% 0/1168 …`.
    fn printed_pages(&mut self, text: &str) -> Option<Observation> {
        let mut words = text.split_once(" huge pages ")?.1.split_whitespace();
        let (got, wanted) = words.nth(1)?.split_once('/')?;
        self.missing_pages((number(got)?, number(wanted)?))
    }

    /// The same from the API's numbers, once for a run.
    fn report_counted_pages(&mut self) -> Option<Observation> {
        if !self.knows_huge_pages || self.has_reported_pages {
            return None;
        }
        let pages = self.counted_pages.take()?;
        self.missing_pages(pages)
    }

    fn missing_pages(&mut self, (got, wanted): Pages) -> Option<Observation> {
        if got >= wanted || self.no_huge_pages_wanted {
            return None;
        }
        self.has_reported_pages = true;
        Some(warning(&format!(
            "XMRig got {got} of {wanted} huge pages and mines slower: run sysctl -w \
             vm.nr_hugepages=1280 as root and restart the miner, or set hugePages to false"
        )))
    }
}

fn error(message: &str) -> Observation {
    Observation::Error { message: message.to_owned() }
}

/// What holds until the end of the run.
fn warning(message: &str) -> Observation {
    Observation::Warning { message: message.to_owned() }
}

/// XMRig does not try again, whatever happens to the port.
fn no_api(why: &str) -> Observation {
    warning(&format!(
        "XMRig could not open its API ({}): its figures come from its output only; restart the \
         miner, which then gets another port",
        cut(why)
    ))
}

fn no_config(text: &str) -> Option<Observation> {
    text.starts_with("no valid configuration found").then(|| {
        error(
            "XMRig found no pool that it can use in its configuration and exits: check the pools \
             and that the run's folder can be read",
        )
    })
}

fn miner(text: &str) -> Vec<Observation> {
    if let Some(rates) = text.strip_prefix("speed 10s/60s/15m ") {
        let rate = hashrate(rates).map(|hashrate| Observation::Hashrate { hashrate });
        return vec![rate.unwrap_or(Observation::Progress)];
    }
    match text {
        "resumed" => vec![Observation::Phase { phase: Phase::Waiting }],
        "paused" => vec![Observation::Phase { phase: Phase::Paused }],
        _ if text.starts_with("paused, press ") => {
            vec![Observation::Phase { phase: Phase::Paused }]
        }
        _ => vec![Observation::Progress],
    }
}

/// The first window of `12.5 n/a n/a H/s max 12.5 H/s`, in H/s.
fn hashrate(rates: &str) -> Option<f64> {
    let words: Vec<&str> = rates.split_whitespace().collect();
    let [now, _, _, unit, "max", ..] = words[..] else { return None };
    let scale = match unit {
        "H/s" => 1.0,
        "kH/s" | "KH/s" => 1e3,
        "MH/s" => 1e6,
        "GH/s" => 1e9,
        _ => return None,
    };
    let rate: f64 = now.parse().ok()?;
    Some(rate * scale).filter(|rate| rate.is_finite() && *rate >= 0.0)
}

fn msr(text: &str) -> Vec<Observation> {
    if text.starts_with("FAILED TO APPLY MSR MOD") {
        return vec![warning(
            "XMRig could not tune the processor's registers and mines slower: run adit as root \
             with the kernel module msr, or set msr to false",
        )];
    }
    vec![Observation::Progress]
}

#[cfg(test)]
mod tests;
