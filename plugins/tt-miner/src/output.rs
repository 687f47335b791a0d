//! What lines of TT-Miner's output say: phases and reasons, the devices in use, and the figures
//! while there is no API.
//!
//! A line counts only when its whole beginning is right: perhaps a time, `HH:MM:SS` until early
//! 2023 and `HH:MM:SS.mmm` since, then a tag such as `Pool[DEF-0]:`, then text. The output's forms
//! changed often; of a version that is not among the known ones only the signs of life count.

mod line;
mod pool;

use std::{collections::BTreeMap, ops::RangeInclusive};

use adit_plugin_api::{Observation, Phase, ShareResult};

use crate::{
    output::{
        line::{Counts, after_time, counts, cut, plain, rate, tagged},
        pool::Pools,
    },
    release,
};

/// First numbers of the versions whose output is known.
const KNOWN: [RangeInclusive<u32>; 2] = [3..=6, 2021..=2024];

/// Shares that one line may tell of: after a restart of the host all of a run come at once.
const SHARES_MAX: u64 = 10_000;

/// Devices of one run.
const DEVICES_MAX: usize = 64;

/// What the output told of a run beyond its single lines.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Printed {
    /// The devices in use, in the order in which the API lists their figures.
    pub(crate) devices: Vec<Device>,
    /// The algorithm, in lower case.
    pub(crate) algorithm: Option<String>,
    /// The last figures by the program's own number of a device.
    pub(crate) gpus: BTreeMap<u32, Gpu>,
}

/// A device that the program said it uses.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Device {
    /// The program's own number.
    pub(crate) index: u32,
    /// PCI address, when the line has a whole one.
    pub(crate) pci: Option<String>,
    pub(crate) name: Option<String>,
}

/// What the last line about a GPU said.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Gpu {
    pub(crate) power: Option<f64>,
    /// Shares by selector.
    shares: BTreeMap<String, Counts>,
}

impl Gpu {
    pub(crate) fn accepted(&self) -> u64 {
        self.shares.values().map(|counts| counts.accepted).sum()
    }

    pub(crate) fn rejected(&self) -> u64 {
        self.shares.values().map(|counts| counts.rejected).sum()
    }
}

/// Reads the output of one miner. A new one that begins in the middle of a run reads as well.
#[derive(Default)]
pub(crate) struct Reader {
    printed: Printed,
    pools: Pools,
    /// Whether the forms of the running version are unknown.
    is_strange: bool,
    /// Shares told so far, by selector.
    told: BTreeMap<String, Counts>,
    /// Whether it hashed in this run.
    has_hashed: bool,
}

impl Reader {
    /// What was told so far.
    pub(crate) fn printed(&self) -> &Printed {
        &self.printed
    }

    /// Takes what an earlier reader of the same run was told.
    pub(crate) fn recall(&mut self, devices: Vec<Device>, algorithm: Option<&str>) {
        self.printed.devices = devices;
        if self.printed.algorithm.is_none() {
            self.printed.algorithm = algorithm.map(str::to_owned);
        }
    }

    /// What `lines` say.
    pub(crate) fn observe(&mut self, lines: &[&str]) -> Vec<Observation> {
        lines.iter().flat_map(|line| self.line(&plain(line))).collect()
    }

    fn line(&mut self, line: &str) -> Vec<Observation> {
        if let Some(version) = release::banner(line) {
            *self = Self::default();
            let first = version.split('.').next().and_then(|number| number.parse().ok());
            let is_known = |first: u32| KNOWN.iter().any(|range| range.contains(&first));
            self.is_strange = !first.is_some_and(is_known);
            return vec![Observation::Progress];
        }
        let text = after_time(line);
        if self.is_strange {
            // Something was printed; nobody here knows what.
            return if text.trim().is_empty() { Vec::new() } else { vec![Observation::Progress] };
        }
        match tagged(text) {
            Some(("GPU", key, rest)) => self.gpu(key, rest),
            Some(("All", key, rest)) => self.all(key, rest),
            Some(("Pool", key, rest)) => self.pools.line(key, rest),
            Some(("Dag", ..)) => vec![phase(Phase::Preparing)],
            Some(("Coin", _, rest)) if rest.starts_with("Switch to DAG") => {
                vec![phase(Phase::Preparing)]
            }
            // Some algorithms need a new kernel every few minutes, while they hash.
            Some(("Krnl", _, rest)) if rest.starts_with("Create Kernel") && !self.has_hashed => {
                vec![phase(Phase::Preparing)]
            }
            Some(_) => vec![Observation::Progress],
            None => self.bare(text),
        }
    }

    /// `GPU[00-DEF]:   0 H/s [A0:R0:S0 0.0%]  CClk:…  41°C  0%  10 W  …`
    fn gpu(&mut self, key: &str, rest: &str) -> Vec<Observation> {
        let named = key
            .split_once('-')
            .and_then(|(number, selector)| Some((number.parse::<u32>().ok()?, selector)));
        let (Some((index, selector)), Some((_, after))) = (named, rate(rest)) else {
            return Vec::new();
        };
        let Some((shares, after)) = counts(after) else { return Vec::new() };
        if self.printed.gpus.len() < DEVICES_MAX || self.printed.gpus.contains_key(&index) {
            let gpu = self.printed.gpus.entry(index).or_default();
            gpu.power = line::watts(after);
            if gpu.shares.len() < DEVICES_MAX || gpu.shares.contains_key(selector) {
                gpu.shares.insert(selector.to_owned(), shares);
            }
        }
        vec![Observation::Progress]
    }

    /// `All[DEF]:   0 H/s [A0:R0:S0 0.0%]  10 W  …`
    fn all(&mut self, selector: &str, rest: &str) -> Vec<Observation> {
        let Some((hashrate, after)) = rate(rest) else { return Vec::new() };
        let Some((now, _)) = counts(after) else { return Vec::new() };
        if self.told.len() >= DEVICES_MAX && !self.told.contains_key(selector) {
            return Vec::new();
        }
        let before = self.told.insert(selector.to_owned(), now).unwrap_or_default();
        let new = |now: u64, before: u64| now.saturating_sub(before).min(SHARES_MAX);
        let mut seen = Vec::new();
        for (result, count) in [
            (ShareResult::Accepted, new(now.accepted, before.accepted)),
            (ShareResult::Rejected, new(now.rejected, before.rejected)),
        ] {
            seen.extend((0..count).map(|_| Observation::Share { result }));
        }
        let has_shares = self.told.values().any(|counts| counts.accepted > 0);
        if hashrate > 0.0 {
            self.has_hashed = true;
            seen.push(Observation::Hashrate { hashrate });
            seen.push(phase(if has_shares { Phase::Mining } else { Phase::Waiting }));
        } else if has_shares && self.told.len() == 1 {
            seen.push(Observation::Hashrate { hashrate });
        } else {
            // Before the first share, and for a coin that waits for its turn, 0 is no news.
            seen.push(Observation::Progress);
        }
        seen
    }

    fn bare(&mut self, text: &str) -> Vec<Observation> {
        if let Some(device) = line::device(text) {
            let known = self.printed.devices.iter().any(|known| known.index == device.index);
            if self.printed.devices.len() < DEVICES_MAX && !known {
                self.printed.devices.push(device);
            }
            return vec![Observation::Progress];
        }
        let text = text.trim_start_matches([' ', '*']);
        if let Some(rest) = text.strip_prefix("Mining fee for '") {
            let name = rest.split('\'').next().unwrap_or_default().to_ascii_lowercase();
            let is_first = self.printed.algorithm.is_none();
            if is_first && (1..=32).contains(&name.len()) && name.is_ascii() {
                self.printed.algorithm = Some(name.clone());
                return vec![Observation::Algorithm { algorithm: name }];
            }
        }
        if text.contains("test period expired") {
            return vec![error(
                "this beta of TT-Miner has expired and does not mine: install a newer version \
                 (adit install tt-miner)",
            )];
        }
        if text.strip_prefix("CUDA devices:").is_some_and(|count| count.trim() == "0") {
            return vec![error(
                "TT-Miner finds no NVIDIA GPU: it needs NVIDIA's driver 525.60.13 or newer (528.33 \
                 on Windows); nvidia-smi shows what the driver sees",
            )];
        }
        if text.contains("libcuda.so") {
            return vec![error(
                "TT-Miner does not run without NVIDIA's driver: install version 525.60.13 or newer",
            )];
        }
        self.pools.bare(text).unwrap_or_else(|| {
            if text.is_empty() { Vec::new() } else { vec![Observation::Progress] }
        })
    }
}

fn phase(phase: Phase) -> Observation {
    Observation::Phase { phase }
}

fn error(message: &str) -> Observation {
    Observation::Error { message: cut(message) }
}
