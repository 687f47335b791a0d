//! The configuration of one miner: what an operator writes, checked field by field.

mod checks;
mod extra;
mod file;
pub(crate) mod pool;
mod text;

use adit_plugin_api::{Config, Launch, Result, Value};
use serde::Deserialize;

use crate::config::{
    pool::{Pool, PoolDefaults},
    text::refuse,
};

/// What an operator may say. The schema has a description of each field.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct XmrigConfig {
    pools: Option<Vec<Pool>>,
    pool: Option<String>,
    wallet: Option<String>,
    password: Option<String>,
    tls: Option<bool>,
    tls_fingerprint: Option<String>,
    sni: Option<bool>,
    nicehash: Option<bool>,
    rig_id: Option<String>,
    algo: Option<String>,
    coin: Option<String>,
    keepalive: Option<Value>,
    proxy: Option<String>,
    cpu: bool,
    threads: Option<usize>,
    max_threads_hint: Option<u32>,
    affinity: Option<Vec<u32>>,
    cpu_priority: Option<u32>,
    huge_pages: bool,
    huge_pages_jit: bool,
    one_gb_pages: bool,
    msr: bool,
    randomx_mode: String,
    randomx_init_threads: Option<u32>,
    numa: bool,
    opencl: bool,
    opencl_devices: Option<Vec<u32>>,
    opencl_platform: Option<Value>,
    cuda: bool,
    cuda_devices: Option<Vec<u32>>,
    donate_level: i64,
    retries: u32,
    retry_pause: u32,
    print_time: u32,
    pause_on_battery: bool,
    pause_on_active: Value,
    pub(crate) xmrig: Value,
}

impl Default for XmrigConfig {
    fn default() -> Self {
        Self {
            pools: None,
            pool: None,
            wallet: None,
            password: None,
            tls: None,
            tls_fingerprint: None,
            sni: None,
            nicehash: None,
            rig_id: None,
            algo: None,
            coin: None,
            keepalive: None,
            proxy: None,
            cpu: true,
            threads: None,
            max_threads_hint: None,
            affinity: None,
            cpu_priority: None,
            huge_pages: true,
            huge_pages_jit: false,
            one_gb_pages: false,
            msr: false,
            randomx_mode: "auto".to_owned(),
            randomx_init_threads: None,
            numa: true,
            opencl: false,
            opencl_devices: None,
            opencl_platform: None,
            cuda: false,
            cuda_devices: None,
            donate_level: 1,
            retries: 5,
            retry_pause: 5,
            print_time: 60,
            pause_on_battery: false,
            pause_on_active: Value::Bool(false),
            xmrig: Value::Null,
        }
    }
}

impl XmrigConfig {
    /// Reads and checks a configuration for the operating system `os`, also one that no schema has
    /// seen.
    ///
    /// # Errors
    /// When a field is unknown, out of its range, or would not act.
    pub(crate) fn read(config: &Config, os: &str) -> Result<Self> {
        let read: Self = config.parse()?;
        read.check_numbers()?;
        read.check_cpu(os)?;
        read.check_gpu()?;
        read.check_pausing(os)?;
        extra::check(&read.xmrig, &read.taken_profiles())?;
        Ok(read)
    }

    /// Fields that decide how many threads there are and where, and that a thread profile in
    /// `xmrig.cpu` would overrule.
    fn taken_profiles(&self) -> extra::Taken {
        match (&self.affinity, self.threads, self.max_threads_hint) {
            (Some(_), ..) => extra::Taken::All("affinity"),
            (_, Some(_), _) => extra::Taken::All("threads"),
            (.., Some(_)) => extra::Taken::Star("maxThreadsHint"),
            _ => extra::Taken::None,
        }
    }

    fn defaults(&self, launch: &Launch) -> PoolDefaults {
        // A name that XMRig would change is none that the operator chose.
        let worker = Some(&launch.worker).filter(|name| text::check("", name, 64).is_ok());
        PoolDefaults {
            rig_id: self.rig_id.clone(),
            worker: worker.cloned(),
            algo: self.algo.clone(),
            coin: self.coin.clone(),
            keepalive: self.keepalive.clone(),
            socks5: self.proxy.clone(),
        }
    }

    /// XMRig's entries for the pools.
    ///
    /// # Errors
    /// When there are none, or one cannot be used.
    pub(crate) fn pools(&self, launch: &Launch) -> Result<Vec<Value>> {
        let defaults = self.defaults(launch);
        for (field, common) in [("rigId", &self.rig_id), ("proxy", &self.proxy)] {
            text::optional(field, common.as_ref(), 300)?;
        }
        let Some(pools) = &self.pools else { return Ok(vec![self.only_pool(&defaults)?]) };
        for (field, is_set) in [
            ("pool", self.pool.is_some()),
            ("wallet", self.wallet.is_some()),
            ("password", self.password.is_some()),
            ("tls", self.tls.is_some()),
            ("tlsFingerprint", self.tls_fingerprint.is_some()),
            ("sni", self.sni.is_some()),
            ("nicehash", self.nicehash.is_some()),
        ] {
            if is_set {
                return refuse(field, "is for a single pool: write it into each entry of pools");
            }
        }
        pool::entries(pools, &defaults)
    }

    fn only_pool(&self, defaults: &PoolDefaults) -> Result<Value> {
        let Some(url) = &self.pool else {
            return refuse("pools", "write at least one pool, or pool and wallet");
        };
        let pool = Pool {
            url: url.clone(),
            wallet: self.wallet.clone(),
            pass: self.password.clone(),
            tls: self.tls,
            tls_fingerprint: self.tls_fingerprint.clone(),
            sni: self.sni,
            nicehash: self.nicehash,
            ..Pool::default()
        };
        pool.entry("", defaults)
    }

    /// What may be shown nowhere: as it is, and as it stands in a JSON text.
    pub(crate) fn secrets(&self, launch: &Launch) -> Vec<String> {
        let pools = self.pools.iter().flatten().flat_map(Pool::secrets);
        let own = [&self.wallet, &self.password].into_iter().flatten().chain([&launch.api_token]);
        let mut secrets: Vec<String> = own.chain(pools).cloned().collect();
        extra::secrets(&self.xmrig, &mut secrets);
        as_written(secrets)
    }
}

/// Secrets as they are and as they stand in a JSON text, each once.
pub(crate) fn as_written(mut secrets: Vec<String>) -> Vec<String> {
    let escaped: Vec<_> = secrets.iter().map(|secret| escaped(secret)).collect();
    secrets.extend(escaped);
    secrets.retain(|secret| !secret.is_empty());
    secrets.sort();
    secrets.dedup();
    secrets
}

/// The text as it stands between the quotes of JSON.
fn escaped(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
