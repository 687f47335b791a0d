//! What a node lets a peer do. The receiver of a command decides, by this table alone.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Something that a peer may be allowed.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Right {
    /// See figures and events.
    Stats,
    /// Read what miners print, secrets masked.
    Logs,
    /// Start and stop what this node's operator configured.
    Control,
    /// Set how something is mined: threads, intensity.
    Config,
    /// Set for whom and where something is mined: pools and wallets.
    Payout,
    /// Have programs installed.
    Deploy,
}

impl Right {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Stats, Self::Logs, Self::Control, Self::Config, Self::Payout, Self::Deploy];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stats => "stats",
            Self::Logs => "logs",
            Self::Control => "control",
            Self::Config => "config",
            Self::Payout => "payout",
            Self::Deploy => "deploy",
        }
    }

    fn bit(self) -> u8 {
        1 << (self as u8)
    }
}

/// A text that names no right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no such right: write stats, logs, control, config, payout or deploy")]
pub struct NoSuchRight;

impl FromStr for Right {
    type Err = NoSuchRight;

    fn from_str(text: &str) -> Result<Self, NoSuchRight> {
        Self::ALL.into_iter().find(|right| right.as_str() == text).ok_or(NoSuchRight)
    }
}

/// A set of rights. Empty by default.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(from = "Vec<Right>", into = "Vec<Right>")]
pub struct Rights(u8);

impl Rights {
    /// What a newly paired controller may do: look, and start and stop what is configured.
    pub fn of_new_controller() -> Self {
        [Right::Stats, Right::Logs, Right::Control].into_iter().collect()
    }

    /// Whether `right` is among them.
    pub fn has(self, right: Right) -> bool {
        self.0 & right.bit() != 0
    }

    /// Each of them, in the order of [`Right::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Right> {
        Right::ALL.into_iter().filter(move |right| self.has(*right))
    }

    /// The rights of `needed` that are not among these.
    #[must_use]
    pub fn lacking(self, needed: Self) -> Self {
        Self(needed.0 & !self.0)
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<Right> for Rights {
    fn from_iter<T: IntoIterator<Item = Right>>(rights: T) -> Self {
        Self(rights.into_iter().fold(0, |bits, right| bits | right.bit()))
    }
}

impl From<Vec<Right>> for Rights {
    fn from(rights: Vec<Right>) -> Self {
        rights.into_iter().collect()
    }
}

impl From<Rights> for Vec<Right> {
    fn from(rights: Rights) -> Self {
        rights.iter().collect()
    }
}

impl fmt::Display for Rights {
    /// `stats, logs`, or `none`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return out.write_str("none");
        }
        let names: Vec<&str> = self.iter().map(Right::as_str).collect();
        out.write_str(&names.join(", "))
    }
}

/// Configuration keys that say how something is mined and never for whom or where. Whatever is not
/// listed counts as payout: a key that nobody thought of must not redirect an income.
const HOW: &[&str] = &[
    "affinity",
    "cpu",
    "cpuPriority",
    "cuda",
    "cudaDevices",
    "devices",
    "hashrate",
    "hugePages",
    "hugePagesJit",
    "intensity",
    "maxThreadsHint",
    "numa",
    "oneGbPages",
    "opencl",
    "openclDevices",
    "openclPlatform",
    "pauseOnActive",
    "pauseOnBattery",
    "powerLimit",
    "preparingMs",
    "printTime",
    "randomxInitThreads",
    "randomxMode",
    "seed",
    "shareIntervalMs",
    "temperatureLimit",
    "threads",
];

/// The rights that a peer needs in order to set `config`.
pub fn to_set(config: &Map<String, Value>) -> Rights {
    let mut needed = vec![Right::Control];
    if !config.is_empty() {
        needed.push(Right::Config);
    }
    // A deeper structure can hold anything.
    let plain = |value: &Value| match value {
        Value::Array(items) => !items.iter().any(|item| item.is_array() || item.is_object()),
        other => !other.is_object(),
    };
    if config.iter().any(|(key, value)| !HOW.contains(&key.as_str()) || !plain(value)) {
        needed.push(Right::Payout);
    }
    needed.into_iter().collect()
}

/// The rights that a peer needs in order to put the configuration `new` in the place of `old`. What is
/// left out is taken away, which can redirect an income like anything that is written.
pub fn to_replace(old: &Map<String, Value>, new: &Map<String, Value>) -> Rights {
    let gone = old.iter().filter(|(key, value)| new.get(*key) != Some(value));
    let gone: Map<_, _> = gone.map(|(key, value)| (key.clone(), value.clone())).collect();
    to_set(new).iter().chain(to_set(&gone).iter()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rights_are_a_set() {
        let some: Rights = [Right::Deploy, Right::Stats].into_iter().collect();
        assert_eq!(some.to_string(), "stats, deploy");
        assert_eq!(serde_json::to_value(some).unwrap(), json!(["stats", "deploy"]));
        assert_eq!(serde_json::from_value::<Rights>(json!(["deploy", "stats"])).unwrap(), some);
        assert!(serde_json::from_value::<Rights>(json!(["everything"])).is_err());
        assert_eq!(Rights::default().to_string(), "none");
        assert_eq!(Rights::of_new_controller().lacking(some).to_string(), "deploy");
    }

    #[test]
    fn what_a_replacement_drops_or_changes_counts_like_what_it_sets() {
        let old = json!({ "threads": 4, "pool": "x:1", "devices": [{ "url": "y:1" }] });
        for (new, needed) in [
            (json!({ "threads": 4 }), "control, config, payout"),
            (json!({}), "control, config, payout"),
            (json!({ "threads": 5, "pool": "x:1" }), "control, config, payout"),
        ] {
            let (old, new) = (old.as_object().unwrap(), new.as_object().unwrap());
            assert_eq!(to_replace(old, new).to_string(), needed, "{new:?}");
        }
        let harmless = json!({ "threads": 4, "devices": [0] });
        for new in [json!({}), json!({ "threads": 5 }), harmless.clone()] {
            let (old, new) = (harmless.as_object().unwrap(), new.as_object().unwrap());
            assert_eq!(to_replace(old, new).to_string(), "control, config", "{new:?}");
        }
    }

    #[test]
    fn whatever_may_redirect_an_income_needs_payout() {
        let needed = |config: Value| to_set(config.as_object().unwrap()).to_string();
        assert_eq!(needed(json!({})), "control");
        assert_eq!(needed(json!({ "threads": 4, "intensity": 1 })), "control, config");
        for key in [
            "pool",
            "pools",
            "wallet",
            "user",
            "pass",
            "proxy",
            "donateLevel",
            "selfSelect",
            "url",
            "xmrig",
            "extraArgs",
            "Pool",
            "anythingNew",
            "",
        ] {
            assert_eq!(needed(json!({ key: 1 })), "control, config, payout", "{key}");
        }
        let hidden = json!({ "devices": [{ "url": "pool.example:1" }] });
        assert_eq!(needed(hidden), "control, config, payout");
        assert_eq!(needed(json!({ "devices": [0, 1] })), "control, config");
    }
}
