//! Options made whole: defaults filled in, contradictions refused.

use std::{
    path::PathBuf,
    time::{Duration, SystemTime},
};

use crate::options::Options;

/// What the simulation needs.
#[derive(Clone, Debug)]
pub(crate) struct Mining {
    /// Hashes per second of all devices together.
    pub(crate) hashrate: f64,
    pub(crate) algorithm: String,
    pub(crate) pool: String,
    pub(crate) worker: String,
    pub(crate) has_wallet: bool,
    /// Difficulty asked for by the password; without it, the one that fits hashrate and interval.
    pub(crate) difficulty: Option<u64>,
    pub(crate) devices: u32,
    pub(crate) share_interval: Duration,
    pub(crate) preparing: Duration,
    pub(crate) reject_rate: f64,
    pub(crate) seed: u64,
    pub(crate) zero_after: Option<Duration>,
    pub(crate) pool_loss_after: Option<Duration>,
    pub(crate) pool_back_after: Option<Duration>,
}

/// What the HTTP server needs.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    pub(crate) port: u16,
    pub(crate) token: Option<String>,
    pub(crate) delay: Duration,
    pub(crate) is_broken: bool,
    pub(crate) pad_to_bytes: usize,
    pub(crate) dies_after: Option<Duration>,
}

/// Output besides what the simulation says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Noise {
    /// Numbered lines at a fixed interval.
    Count { interval: Duration },
    /// Numbered lines at a fixed rate.
    Flood { lines_per_second: u64 },
    /// One line without an end.
    EndlessLine,
}

/// How the process is to come to grief, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Abort,
    Segfault,
    Exit(u8),
    Hang,
}

/// Options made whole.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) mining: Mining,
    pub(crate) api: Option<Api>,
    pub(crate) noise: Vec<Noise>,
    pub(crate) is_silent: bool,
    pub(crate) start_delay: Duration,
    pub(crate) fates: Vec<(Duration, Fate)>,
    pub(crate) ignores_signals: bool,
    /// Whether to start a grandchild, and if so whether in its own session.
    pub(crate) grandchild: Option<bool>,
}

/// Options that cannot work.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SettingsError {
    #[error("--{option}: {problem}")]
    Value { option: &'static str, problem: &'static str },
    #[error("--{option} does nothing without --{needs}")]
    Needs { option: &'static str, needs: &'static str },
    #[error("--{option} and --{other} cannot both act")]
    Conflict { option: &'static str, other: &'static str },
    #[error("cannot read the token from {path}: {problem}")]
    Token { path: PathBuf, problem: String },
}

impl Settings {
    /// Checks `options` and fills in the defaults. Reads the token's file.
    pub(crate) fn new(options: &Options) -> Result<Self, SettingsError> {
        check_combinations(options)?;
        let ms = Duration::from_millis;
        let fates = [
            (options.crash_after, Fate::Abort),
            (options.segfault_after, Fate::Segfault),
            (options.exit_after, Fate::Exit(options.exit_code.unwrap_or(0))),
            (options.hang_after, Fate::Hang),
        ];
        Ok(Self {
            mining: mining(options)?,
            api: api(options)?,
            noise: noise(options),
            is_silent: options.no_output,
            start_delay: ms(options.start_delay.unwrap_or(0)),
            fates: fates.into_iter().filter_map(|(at, fate)| Some((ms(at?), fate))).collect(),
            ignores_signals: options.ignore_sigterm,
            grandchild: (options.fork_grandchild || options.grandchild_setsid)
                .then_some(options.grandchild_setsid),
        })
    }
}

fn mining(options: &Options) -> Result<Mining, SettingsError> {
    let ms = Duration::from_millis;
    let value = |option, problem| Err(SettingsError::Value { option, problem });
    let hashrate = options.hashrate.unwrap_or(12_500.0);
    if !(hashrate > 0.0 && hashrate <= 1e18) {
        return value("hashrate", "write hashes per second, more than 0 and at most 1e18");
    }
    let devices = options.devices.unwrap_or(2);
    if !(1..=64).contains(&devices) {
        return value("devices", "write a number from 1 to 64");
    }
    let share_interval = options.share_interval_ms.unwrap_or(10_000);
    if share_interval < 10 {
        return value("share-interval-ms", "write at least 10");
    }
    let reject_rate = options.reject_rate.unwrap_or(0.01);
    if !(0.0..=1.0).contains(&reject_rate) {
        return value("reject-rate", "write a share from 0 to 1");
    }
    let text = |option, given: &Option<String>, default: &str| {
        let text = given.clone().unwrap_or_else(|| default.to_owned());
        if text.is_empty() || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(SettingsError::Value { option, problem: "write one word" });
        }
        Ok(text)
    };
    let zero_after = if options.zero_hashrate { Some(0) } else { options.hashrate_zero_after };
    Ok(Mining {
        hashrate,
        algorithm: text("algorithm", &options.algorithm, "rx/0")?,
        pool: text("pool", &options.pool, "pool.example:3333")?,
        worker: text("worker", &options.worker, "rig")?,
        has_wallet: options.wallet.is_some(),
        difficulty: asked_difficulty(options.password.as_deref())?,
        devices,
        share_interval: ms(share_interval),
        preparing: ms(options.preparing_ms.unwrap_or(1_500)),
        reject_rate,
        seed: options.seed.unwrap_or_else(any_seed),
        zero_after: zero_after.map(ms),
        pool_loss_after: options.pool_loss_after.map(ms),
        pool_back_after: options.pool_back_after.map(ms),
    })
}

/// Reads the wish that many pools take in the password's place.
fn asked_difficulty(password: Option<&str>) -> Result<Option<u64>, SettingsError> {
    let Some(wish) = password.and_then(|text| text.strip_prefix("d=")) else { return Ok(None) };
    match wish.parse() {
        Ok(difficulty) if difficulty > 0 => Ok(Some(difficulty)),
        _ => Err(SettingsError::Value {
            option: "password",
            problem: "write a whole number above 0 after d=",
        }),
    }
}

fn any_seed() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    since.as_secs()
        ^ u64::from(since.subsec_nanos()).rotate_left(32)
        ^ u64::from(std::process::id())
}

fn api(options: &Options) -> Result<Option<Api>, SettingsError> {
    let ms = Duration::from_millis;
    let Some(port) = options.api_port.filter(|_| !options.no_api) else { return Ok(None) };
    let token = match &options.api_token_file {
        None => options.api_token.clone(),
        Some(path) => {
            let error = |problem| SettingsError::Token { path: path.clone(), problem };
            let text = std::fs::read_to_string(path).map_err(|source| error(source.to_string()))?;
            Some(text.trim().to_owned())
        }
    };
    if token.as_ref().is_some_and(String::is_empty) {
        // An empty token would look like protection and be none.
        return Err(SettingsError::Value { option: "api-token", problem: "the token is empty" });
    }
    Ok(Some(Api {
        port,
        token,
        delay: ms(options.slow_api.unwrap_or(0)),
        is_broken: options.bad_json,
        pad_to_bytes: options.huge_api.unwrap_or(0),
        dies_after: options.api_dies_after.map(ms),
    }))
}

fn noise(options: &Options) -> Vec<Noise> {
    let interval = Duration::from_millis(options.interval_ms.unwrap_or(10));
    let count = options.count_lines.then_some(Noise::Count { interval });
    let flood = options.flood.map(|lines_per_second| Noise::Flood { lines_per_second });
    let endless = options.endless_line.then_some(Noise::EndlessLine);
    count.into_iter().chain(flood).chain(endless).collect()
}

/// Refuses what could not act, so that no option is ever silently without effect.
fn check_combinations(options: &Options) -> Result<(), SettingsError> {
    let set = [
        ("interval-ms", options.interval_ms.is_some()),
        ("count-lines", options.count_lines),
        ("no-output", options.no_output),
        ("flood", options.flood.is_some()),
        ("endless-line", options.endless_line),
        ("exit-after", options.exit_after.is_some()),
        ("exit-code", options.exit_code.is_some()),
        ("slow-api", options.slow_api.is_some()),
        ("bad-json", options.bad_json),
        ("huge-api", options.huge_api.is_some()),
        ("no-api", options.no_api),
        ("api-dies-after", options.api_dies_after.is_some()),
        ("api-port", options.api_port.is_some()),
        ("api-token", options.api_token.is_some()),
        ("api-token-file", options.api_token_file.is_some()),
        ("zero-hashrate", options.zero_hashrate),
        ("hashrate-zero-after", options.hashrate_zero_after.is_some()),
        ("pool-loss-after", options.pool_loss_after.is_some()),
        ("pool-back-after", options.pool_back_after.is_some()),
    ];
    let is_set = |name| set.iter().any(|(option, is_set)| *option == name && *is_set);
    for (option, needs) in NEEDS {
        if is_set(option) && !is_set(needs) {
            return Err(SettingsError::Needs { option, needs });
        }
    }
    for (option, other) in CONFLICTS {
        if is_set(option) && is_set(other) {
            return Err(SettingsError::Conflict { option, other });
        }
    }
    Ok(())
}

const NEEDS: [(&str, &str); 9] = [
    ("interval-ms", "count-lines"),
    ("exit-code", "exit-after"),
    ("pool-back-after", "pool-loss-after"),
    ("slow-api", "api-port"),
    ("bad-json", "api-port"),
    ("huge-api", "api-port"),
    ("api-dies-after", "api-port"),
    ("api-token", "api-port"),
    ("api-token-file", "api-port"),
];

const CONFLICTS: [(&str, &str); 12] = [
    ("no-output", "count-lines"),
    ("no-output", "flood"),
    ("no-output", "endless-line"),
    ("endless-line", "count-lines"),
    ("endless-line", "flood"),
    ("no-api", "slow-api"),
    ("no-api", "bad-json"),
    ("no-api", "huge-api"),
    ("no-api", "api-dies-after"),
    ("bad-json", "huge-api"),
    ("zero-hashrate", "hashrate-zero-after"),
    ("api-token", "api-token-file"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Result<Settings, SettingsError> {
        Settings::new(&serde_json::from_str(text).unwrap())
    }

    #[test]
    fn nothing_given_is_a_good_miner_without_an_api() {
        let settings = settings("{}").unwrap();
        assert!(settings.api.is_none() && settings.fates.is_empty() && settings.noise.is_empty());
        assert_eq!(settings.mining.devices, 2);
    }

    #[test]
    fn values_out_of_range_are_refused_by_name() {
        for (text, option) in [
            (r#"{"hashrate": 0}"#, "hashrate"),
            (r#"{"hashrate": -1}"#, "hashrate"),
            (r#"{"devices": 0}"#, "devices"),
            (r#"{"devices": 65}"#, "devices"),
            (r#"{"share-interval-ms": 9}"#, "share-interval-ms"),
            (r#"{"reject-rate": 1.1}"#, "reject-rate"),
            (r#"{"pool": "a b"}"#, "pool"),
            (r#"{"worker": ""}"#, "worker"),
            (r#"{"password": "d=0"}"#, "password"),
            (r#"{"api-port": 1, "api-token": ""}"#, "api-token"),
        ] {
            let error = settings(text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("--{option}: ")), "{text}: {error}");
        }
    }

    #[test]
    fn options_that_could_not_act_are_refused() {
        for (text, expected) in [
            (r#"{"exit-code": 3}"#, "--exit-code does nothing without --exit-after"),
            (r#"{"slow-api": 3}"#, "--slow-api does nothing without --api-port"),
            (r#"{"no-output": true, "flood": 1}"#, "--no-output and --flood cannot both act"),
        ] {
            assert_eq!(settings(text).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn every_named_combination_names_real_options() {
        for (option, other) in NEEDS.iter().chain(&CONFLICTS) {
            for name in [option, other] {
                let mut options = serde_json::to_value(Options::default()).unwrap();
                assert!(options.as_object_mut().unwrap().remove(*name).is_some(), "{name}");
            }
        }
    }
}
