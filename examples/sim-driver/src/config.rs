//! The configuration of one simulated miner, and the file that it becomes.

use adit_plugin_api::{Config, Console, Error, Launch, Result, Value, json};
use serde::Deserialize;

/// What an operator may say. The schema has a description of each field.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct SimConfig {
    hashrate: f64,
    algorithm: String,
    pool: String,
    pools: Option<Vec<String>>,
    wallet: Option<String>,
    password: Option<String>,
    worker: Option<String>,
    devices: u32,
    share_interval_ms: u64,
    preparing_ms: u64,
    seed: Option<u64>,
    pub(crate) console: Console,
    misbehave: Misbehave,
}

/// How the miner is to come to grief; nothing by default.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Misbehave {
    start_delay_ms: Option<u64>,
    crash_after_ms: Option<u64>,
    segfault_after_ms: Option<u64>,
    exit_after_ms: Option<u64>,
    exit_code: Option<u8>,
    hang_after_ms: Option<u64>,
    ignore_sigterm: bool,
    fork_grandchild: bool,
    grandchild_setsid: bool,
    no_output: bool,
    endless_line: bool,
    flood_lines_per_second: Option<u64>,
    count_lines: bool,
    count_interval_ms: Option<u64>,
    no_api: bool,
    slow_api_ms: Option<u64>,
    bad_json: bool,
    huge_api_bytes: Option<u64>,
    api_dies_after_ms: Option<u64>,
    zero_hashrate: bool,
    hashrate_zero_after_ms: Option<u64>,
    reject_rate: Option<f64>,
    pool_loss_after_ms: Option<u64>,
    pool_back_after_ms: Option<u64>,
}

impl Default for SimConfig {
    fn default() -> Self {
        Self {
            hashrate: 12_500.0,
            algorithm: "rx/0".to_owned(),
            pool: "pool.example:3333".to_owned(),
            pools: None,
            wallet: None,
            password: None,
            worker: None,
            devices: 2,
            share_interval_ms: 10_000,
            preparing_ms: 1_500,
            seed: None,
            console: Console::Pty,
            misbehave: Misbehave::default(),
        }
    }
}

impl SimConfig {
    /// Reads and checks a configuration, also one that no schema has seen.
    ///
    /// # Errors
    /// When a field is unknown, out of its range, or would not act.
    pub(crate) fn read(config: &Config) -> Result<Self> {
        let read: Self = config.parse()?;
        read.check()?;
        read.misbehave.check()?;
        Ok(read)
    }

    fn check(&self) -> Result<()> {
        let refuse = |field: &str, wish: &str| Err(Error::invalid(format!("{field}: {wish}")));
        if !(self.hashrate > 0.0 && self.hashrate <= 1e18) {
            return refuse("hashrate", "write hashes per second, more than 0 and at most 1e18");
        }
        if !is_word(&self.algorithm, 32) {
            return refuse("algorithm", "write one word such as rx/0, at most 32 characters");
        }
        if !is_host_and_port(&self.pool) {
            return refuse("pool", "write host:port, such as pool.example:3333");
        }
        let pools = self.pools.as_deref();
        if pools.is_some_and(|it| {
            it.is_empty() || it.len() > 8 || !it.iter().all(|it| is_host_and_port(it))
        }) {
            return refuse("pools", "write 1 to 8 of host:port, such as pool.example:3333");
        }
        if self.worker.as_ref().is_some_and(|worker| !is_word(worker, 64)) {
            return refuse("worker", "write one word, at most 64 characters");
        }
        for (field, secret) in [("wallet", &self.wallet), ("password", &self.password)] {
            if secret.as_ref().is_some_and(|text| !(1..=256).contains(&text.len())) {
                return refuse(field, "write 1 to 256 bytes, or leave the field out");
            }
        }
        let wish = self.password.as_ref().and_then(|text| text.strip_prefix("d="));
        if wish.is_some_and(|wish| !wish.parse().is_ok_and(|difficulty: u64| difficulty > 0)) {
            return refuse("password", "write a whole number above 0 after d=");
        }
        if !(1..=64).contains(&self.devices) {
            return refuse("devices", "write a number from 1 to 64");
        }
        if !(10..=3_600_000).contains(&self.share_interval_ms) {
            return refuse("shareIntervalMs", "write 10 to 3600000");
        }
        if self.preparing_ms > 600_000 {
            return refuse("preparingMs", "write at most 600000");
        }
        Ok(())
    }

    /// What may be shown nowhere.
    pub(crate) fn secrets(&self, launch: &Launch) -> Vec<String> {
        let given = [self.wallet.clone(), self.password.clone(), Some(launch.api_token.clone())];
        given.into_iter().flatten().filter(|secret| !secret.is_empty()).collect()
    }

    /// The configuration file of sim-miner: its long options without their dashes.
    pub(crate) fn file(&self, launch: &Launch) -> String {
        let wrong = &self.misbehave;
        let mut options = json!({
            "hashrate": self.hashrate,
            "algorithm": self.algorithm,
            // The simulated program has one pool; the host brings another one to the head.
            "pool": self.pools.as_ref().and_then(|pools| pools.first()).unwrap_or(&self.pool),
            "wallet": self.wallet,
            "password": self.password,
            "worker": self.worker.as_ref().or(Some(&launch.worker)).filter(|name| !name.is_empty()),
            "devices": self.devices,
            "share-interval-ms": self.share_interval_ms,
            "preparing-ms": self.preparing_ms,
            "seed": self.seed,
            "api-port": launch.api_port,
            "api-token": launch.api_token,
            "start-delay": wrong.start_delay_ms,
            "crash-after": wrong.crash_after_ms,
            "segfault-after": wrong.segfault_after_ms,
            "exit-after": wrong.exit_after_ms,
            "exit-code": wrong.exit_code,
            "hang-after": wrong.hang_after_ms,
            "ignore-sigterm": wrong.ignore_sigterm,
            "fork-grandchild": wrong.fork_grandchild,
            "grandchild-setsid": wrong.grandchild_setsid,
            "no-output": wrong.no_output,
            "endless-line": wrong.endless_line,
            "flood": wrong.flood_lines_per_second,
            "count-lines": wrong.count_lines,
            "interval-ms": wrong.count_interval_ms,
            "no-api": wrong.no_api,
            "slow-api": wrong.slow_api_ms,
            "bad-json": wrong.bad_json,
            "huge-api": wrong.huge_api_bytes,
            "api-dies-after": wrong.api_dies_after_ms,
            "zero-hashrate": wrong.zero_hashrate,
            "hashrate-zero-after": wrong.hashrate_zero_after_ms,
            "reject-rate": wrong.reject_rate,
            "pool-loss-after": wrong.pool_loss_after_ms,
            "pool-back-after": wrong.pool_back_after_ms,
        });
        if let Value::Object(options) = &mut options {
            options.retain(|_, value| !value.is_null() && *value != Value::Bool(false));
        }
        options.to_string()
    }
}

impl Misbehave {
    /// Refuses what could not act, as sim-miner does, but before anything is started.
    fn check(&self) -> Result<()> {
        let has_exit = self.exit_after_ms.is_some();
        let has_loss = self.pool_loss_after_ms.is_some();
        let has_flood = self.flood_lines_per_second.is_some();
        for (field, is_set, needs, has_it) in [
            ("exitCode", self.exit_code.is_some(), "exitAfterMs", has_exit),
            ("poolBackAfterMs", self.pool_back_after_ms.is_some(), "poolLossAfterMs", has_loss),
            ("countIntervalMs", self.count_interval_ms.is_some(), "countLines", self.count_lines),
        ] {
            if is_set && !has_it {
                return Err(invalid(field, &format!("does nothing without misbehave.{needs}")));
            }
        }
        let zero_after = self.hashrate_zero_after_ms.is_some();
        for (field, is_set, other, has_other) in [
            ("noOutput", self.no_output, "countLines", self.count_lines),
            ("noOutput", self.no_output, "floodLinesPerSecond", has_flood),
            ("noOutput", self.no_output, "endlessLine", self.endless_line),
            ("endlessLine", self.endless_line, "countLines", self.count_lines),
            ("endlessLine", self.endless_line, "floodLinesPerSecond", has_flood),
            ("noApi", self.no_api, "slowApiMs", self.slow_api_ms.is_some()),
            ("noApi", self.no_api, "badJson", self.bad_json),
            ("noApi", self.no_api, "hugeApiBytes", self.huge_api_bytes.is_some()),
            ("noApi", self.no_api, "apiDiesAfterMs", self.api_dies_after_ms.is_some()),
            ("badJson", self.bad_json, "hugeApiBytes", self.huge_api_bytes.is_some()),
            ("zeroHashrate", self.zero_hashrate, "hashrateZeroAfterMs", zero_after),
        ] {
            if is_set && has_other {
                return Err(invalid(field, &format!("cannot act beside misbehave.{other}")));
            }
        }
        if self.reject_rate.is_some_and(|rate| !(0.0..=1.0).contains(&rate)) {
            return Err(invalid("rejectRate", "write a share from 0 to 1"));
        }
        if self.huge_api_bytes.is_some_and(|bytes| bytes > crate::schema::HUGE_API_MAX) {
            return Err(invalid("hugeApiBytes", "write at most 67108864"));
        }
        Ok(())
    }
}

fn invalid(field: &str, wish: &str) -> Error {
    Error::invalid(format!("misbehave.{field}: {wish}"))
}

fn is_word(text: &str, length_max: usize) -> bool {
    (1..=length_max).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Letters, digits and what addresses are written with, so that a pool's text cannot look like a
/// line of output.
fn is_host_and_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let is_name = |text: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        !text.is_empty() && text.bytes().all(allowed)
    };
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let is_host = match address {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => is_name(host) && host.len() <= 253,
    };
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
    is_host && is_port && port.parse().is_ok_and(|port: u16| port > 0)
}

#[cfg(test)]
mod tests;
