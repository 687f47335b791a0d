//! The configuration of one miner: what an operator writes, checked field by field, and the command
//! line that it becomes.

mod coin;
mod device;
pub(crate) mod pool;

use adit_plugin_api::{Config, Error, Launch, Result, Value};
use serde::Deserialize;

use crate::config::{
    coin::{Coin, Overclock},
    pool::Pool,
};

/// What an operator may say. The schema has a description of each field.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct TtConfig {
    coin: Option<String>,
    algo: Option<String>,
    selector: Option<String>,
    pools: Option<Vec<Pool>>,
    pool: Option<String>,
    wallet: Option<String>,
    password: Option<String>,
    worker: Option<String>,
    overclock: Overclock,
    alternate: Vec<Coin>,
    devices: Option<Vec<Value>>,
    cuda_order: bool,
    cpu: Option<u32>,
    threads: Option<u32>,
    igpu: bool,
    dag_to_memory: bool,
    dag_to_disk: bool,
    dag_swap: bool,
    dag_info: bool,
    cuda_compute: Option<Vec<u32>>,
    cuda_version: Option<String>,
    cuda_grid: Option<u32>,
    cuda_block: Option<u32>,
    stop_temperature: Option<u32>,
    start_temperature: Option<u32>,
    report_interval: u32,
    report_shares: Option<u32>,
    active_only: bool,
    luck: bool,
    benchmark: bool,
    crash_dump: bool,
}

impl Default for TtConfig {
    fn default() -> Self {
        Self {
            coin: None,
            algo: None,
            selector: None,
            pools: None,
            pool: None,
            wallet: None,
            password: None,
            worker: None,
            overclock: Overclock::default(),
            alternate: Vec::new(),
            devices: None,
            cuda_order: false,
            cpu: None,
            threads: None,
            igpu: false,
            dag_to_memory: false,
            dag_to_disk: false,
            dag_swap: false,
            dag_info: false,
            cuda_compute: None,
            cuda_version: None,
            cuda_grid: None,
            cuda_block: None,
            stop_temperature: None,
            start_temperature: None,
            report_interval: 30,
            report_shares: None,
            active_only: false,
            luck: false,
            benchmark: false,
            crash_dump: false,
        }
    }
}

/// The refusal of one field.
pub(crate) fn refuse<T>(field: &str, wish: impl std::fmt::Display) -> Result<T> {
    Err(Error::invalid(format!("{field}: {wish}")))
}

impl TtConfig {
    /// Reads and checks a configuration, also one that no schema has seen.
    ///
    /// # Errors
    /// When a field is unknown, out of its range, or would not act.
    pub(crate) fn read(config: &Config) -> Result<Self> {
        let read: Self = config.parse()?;
        read.coins()?;
        read.check()?;
        Ok(read)
    }

    fn check(&self) -> Result<()> {
        for (field, value, most) in [
            ("cpu", self.cpu, 1024),
            ("threads", self.threads, 1024),
            ("cudaGrid", self.cuda_grid, 1 << 24),
            ("cudaBlock", self.cuda_block, 1024),
            ("stopTemperature", self.stop_temperature, 120),
            ("startTemperature", self.start_temperature, 119),
            ("reportShares", self.report_shares, 100_000),
        ] {
            if value.is_some_and(|value| !(1..=most).contains(&value)) {
                return refuse(field, format!("write a whole number from 1 to {most}"));
            }
        }
        if self.report_interval > 3600 {
            return refuse("reportInterval", "write at most 3600 seconds; 0 prints none");
        }
        if self.cuda_block.is_some_and(|block| block % 32 != 0) {
            return refuse("cudaBlock", "write a multiple of 32");
        }
        match (self.stop_temperature, self.start_temperature) {
            (None, Some(_)) => {
                return refuse("startTemperature", "does nothing without stopTemperature");
            }
            (Some(stop), Some(start)) if start >= stop => {
                return refuse("startTemperature", "write less than stopTemperature");
            }
            _ => {}
        }
        let is_version = |text: &String| {
            text.split_once('.').is_some_and(|(major, minor)| {
                [major, minor].iter().all(|part| part.parse::<u8>().is_ok())
            })
        };
        if self.cuda_version.as_ref().is_some_and(|text| !is_version(text)) {
            return refuse("cudaVersion", "write a version such as 11.4");
        }
        let is_compute = |list: &Vec<u32>| {
            (1..=64).contains(&list.len())
                && list.iter().all(|it| *it == 0 || (30..200).contains(it))
        };
        if self.cuda_compute.as_ref().is_some_and(|list| !is_compute(list)) {
            return refuse("cudaCompute", "write one number for each GPU, such as 86; 0: its own");
        }
        if let Some(devices) = &self.devices {
            device::words(devices)?;
        }
        Ok(())
    }

    /// The coins: the main one first. Each of several has a selector.
    fn coins(&self) -> Result<Vec<Coin>> {
        let single = [self.pool.is_some(), self.wallet.is_some(), self.password.is_some()];
        let pools = match (&self.pools, &self.pool) {
            (Some(_), _) if single.contains(&true) => {
                return refuse(
                    "pools",
                    "leave out pool, wallet and password: each pool has its own",
                );
            }
            (Some(pools), _) => pools.clone(),
            (None, Some(url)) => vec![Pool {
                url: url.clone(),
                wallet: self.wallet.clone(),
                password: self.password.clone(),
                worker: None,
            }],
            (None, None) if self.benchmark && !single.contains(&true) => Vec::new(),
            (None, None) => return refuse("pool", "write where to mine, in pool or in pools"),
        };
        let main = Coin {
            coin: self.coin.clone(),
            algo: self.algo.clone(),
            selector: self.selector.clone(),
            pools,
            overclock: self.overclock.clone(),
        };
        let mut coins = vec![main];
        coins.extend(self.alternate.iter().cloned());
        if coins.len() > 8 {
            return refuse("alternate", "write at most 7 further coins");
        }
        let several = coins.len() > 1;
        for (at, coin) in coins.iter_mut().enumerate() {
            let at = at.checked_sub(1).map_or(String::new(), |at| format!("alternate[{at}]."));
            coin.check(&at, several, self.benchmark)?;
        }
        for (at, coin) in coins.iter().enumerate() {
            let same = coins.iter().take(at).any(|it| it.selector == coin.selector);
            if several && same {
                return refuse(
                    &format!("alternate[{}].selector", at - 1),
                    "write another: each coin of several needs its own",
                );
            }
        }
        Ok(coins)
    }

    /// TT-Miner's command line. Its API listens on loopback only and knows no password.
    pub(crate) fn args(&self, launch: &Launch) -> Result<Vec<String>> {
        let mut args = vec!["-b".to_owned(), format!("127.0.0.1:{}", launch.api_port)];
        args.push("-nocolor".to_owned());
        let mut coins = self.coins()?;
        for pool in coins.iter_mut().flat_map(|coin| &mut coin.pools) {
            pool.worker = pool.worker.take().or_else(|| self.worker.clone());
        }
        let alone = coins.len() == 1;
        for coin in &coins {
            coin.args(&launch.worker, alone, &mut args)?;
        }
        if let Some(devices) = &self.devices {
            args.extend(["-d".to_owned(), device::words(devices)?.join(",")]);
        }
        for (option, is_set) in [
            ("-cuda-order", self.cuda_order),
            ("-igpu", self.igpu),
            ("-dag-2mem", self.dag_to_memory),
            ("-dag-2disk", self.dag_to_disk),
            ("-dag-swap", self.dag_swap),
            ("-daginfo", self.dag_info),
            ("-raao", self.active_only),
            ("-luck", self.luck),
            ("-bm", self.benchmark),
            ("-cdd", self.crash_dump),
        ] {
            args.extend(is_set.then(|| option.to_owned()));
        }
        if self.dag_to_disk {
            let folder = launch.data_dir.to_str().ok_or_else(|| {
                Error::failed("the path of the miner's folder is no UTF-8: move the state folder")
            })?;
            args.extend(["-dag-path".to_owned(), folder.to_owned()]);
        }
        for (option, value) in [
            ("-cpu", self.cpu),
            ("-t", self.threads),
            ("-cuda-grid", self.cuda_grid),
            ("-cuda-block", self.cuda_block),
            ("-tstop", self.stop_temperature),
            ("-tstart", self.start_temperature),
            ("-rep-i", Some(self.report_interval)),
            ("-rep-s", self.report_shares),
        ] {
            args.extend(value.into_iter().flat_map(|value| [option.to_owned(), value.to_string()]));
        }
        if let Some(version) = &self.cuda_version {
            args.extend(["-cuda-ver".to_owned(), version.clone()]);
        }
        if let Some(compute) = &self.cuda_compute {
            // One word for each GPU.
            args.push("-cuda-compute".to_owned());
            args.extend(compute.iter().map(u32::to_string));
        }
        Ok(args)
    }

    /// What may be shown nowhere.
    pub(crate) fn secrets(&self, launch: &Launch) -> Vec<String> {
        let coins = self.coins().unwrap_or_default();
        let pools = coins.iter().flat_map(|coin| &coin.pools);
        let mut secrets = vec![launch.api_token.clone()];
        for pool in pools {
            secrets.extend([&pool.wallet, &pool.password].into_iter().flatten().cloned());
        }
        secrets.retain(|secret| !secret.is_empty());
        secrets
    }
}

#[cfg(test)]
mod tests;
