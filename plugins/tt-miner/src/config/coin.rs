//! One coin or algorithm of TT-Miner's command line: its pools and clocks, tied together by a
//! selector.

use adit_plugin_api::Result;
use serde::Deserialize;

use crate::config::{pool::Pool, refuse};

/// Endings that would make another option of `-P`, `-a` or `-c`: `-PRT`, `-algo`, `-cdd`.
const TAKEN: &[&str] = &["RT", "RS", "RHRI", "RGN"];

/// What is mined where, and how the GPUs are set for it.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Coin {
    pub(crate) coin: Option<String>,
    pub(crate) algo: Option<String>,
    pub(crate) selector: Option<String>,
    #[serde(default)]
    pub(crate) pools: Vec<Pool>,
    #[serde(default)]
    pub(crate) overclock: Overclock,
}

/// Clocks in MHz, a power limit, a fan in percent.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Overclock {
    core: Option<u32>,
    core_offset: Option<i32>,
    memory: Option<u32>,
    memory_offset: Option<i32>,
    power_limit_w: Option<u32>,
    power_limit_percent: Option<u32>,
    fan: Option<u32>,
}

impl Coin {
    /// Checks the fields, whose names begin with `at`. With `several` coins a selector is made when
    /// there is none.
    pub(crate) fn check(&mut self, at: &str, several: bool, benchmark: bool) -> Result<()> {
        let is_name = |text: &String| {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            (2..=32).contains(&text.len())
                && text.bytes().all(allowed)
                && text.starts_with(|it: char| it.is_ascii_alphanumeric())
        };
        for (field, name) in [("coin", &self.coin), ("algo", &self.algo)] {
            if name.as_ref().is_some_and(|name| !is_name(name)) {
                return refuse(&format!("{at}{field}"), "write one word such as RVN or KawPow");
            }
        }
        if self.coin.is_none() && self.algo.is_none() {
            return refuse(&format!("{at}coin"), "write what to mine, in coin or in algo");
        }
        if self.selector.is_none() && several {
            let name = self.coin.as_ref().or(self.algo.as_ref()).cloned().unwrap_or_default();
            let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
            self.selector = Some(name.to_ascii_uppercase());
        }
        if self.selector.as_deref().is_some_and(|text| !is_selector(text)) {
            return refuse(
                &format!("{at}selector"),
                "write 2 to 16 letters and digits, the first an upper-case letter, that make no \
                 other option of TT-Miner",
            );
        }
        if (self.pools.is_empty() && !benchmark) || self.pools.len() > 32 {
            return refuse(&format!("{at}pools"), "write 1 to 32 pools");
        }
        for (number, pool) in self.pools.iter().enumerate() {
            pool.check(&format!("{at}pools[{number}]."))?;
        }
        self.overclock.check(at)
    }

    /// Adds the options of this coin. `alone`: it is the only one.
    pub(crate) fn args(&self, worker: &str, alone: bool, args: &mut Vec<String>) -> Result<()> {
        let selector = self.selector.as_deref().unwrap_or_default();
        for (option, name) in [("-c", &self.coin), ("-a", &self.algo)] {
            if let Some(name) = name {
                args.extend([format!("{option}{selector}"), name.clone()]);
            }
        }
        match self.pools.as_slice() {
            [pool] if alone && selector.is_empty() => pool.separate(worker, args),
            pools => {
                for (at, pool) in pools.iter().enumerate() {
                    let word = pool.joined(worker, &format!("pools[{at}]."))?;
                    args.extend([format!("-P{selector}"), word]);
                }
            }
        }
        self.overclock.args(selector, args);
        Ok(())
    }
}

fn is_selector(text: &str) -> bool {
    (2..=16).contains(&text.len())
        && text.starts_with(|it: char| it.is_ascii_uppercase())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && !TAKEN.contains(&text)
}

impl Overclock {
    fn check(&self, at: &str) -> Result<()> {
        let offset = |value: Option<i32>| value.map(i32::unsigned_abs);
        for (field, value, least, most) in [
            ("core", self.core, 100, 5000),
            ("coreOffset", offset(self.core_offset), 0, 3000),
            ("memory", self.memory, 100, 20_000),
            ("memoryOffset", offset(self.memory_offset), 0, 8000),
            ("powerLimitW", self.power_limit_w, 10, 2000),
            ("powerLimitPercent", self.power_limit_percent, 10, 200),
            ("fan", self.fan, 0, 100),
        ] {
            if value.is_some_and(|value| !(least..=most).contains(&value)) {
                return refuse(
                    &format!("{at}overclock.{field}"),
                    format!("write a whole number of at least {least} and at most {most}"),
                );
            }
        }
        for (field, is_set, other, other_is_set) in [
            ("core", self.core.is_some(), "coreOffset", self.core_offset.is_some()),
            ("memory", self.memory.is_some(), "memoryOffset", self.memory_offset.is_some()),
            (
                "powerLimitW",
                self.power_limit_w.is_some(),
                "powerLimitPercent",
                self.power_limit_percent.is_some(),
            ),
        ] {
            if is_set && other_is_set {
                return refuse(
                    &format!("{at}overclock.{field}"),
                    format!("cannot act beside {other}"),
                );
            }
        }
        Ok(())
    }

    fn args(&self, selector: &str, args: &mut Vec<String>) {
        let text = |value: Option<u32>| value.map(|value| value.to_string());
        let offset = |value: Option<i32>| value.map(|value| value.to_string());
        let watts = self.power_limit_w.map(|watts| format!("{watts}W"));
        for (option, value) in [
            ("-oc-core", text(self.core)),
            ("-oc-coreoff", offset(self.core_offset)),
            ("-oc-mem", text(self.memory)),
            ("-oc-memoff", offset(self.memory_offset)),
            ("-oc-pl", watts.or(text(self.power_limit_percent))),
            ("-oc-fan", text(self.fan)),
        ] {
            args.extend(value.into_iter().flat_map(|value| [format!("{option}{selector}"), value]));
        }
    }
}
