//! What the operator can set about the watchdog.

use serde::Deserialize;

use crate::miners::WatchdogSettings as Own;
use adit_model::watchdog::limits::Options;
use adit_store::IncidentLimits;

/// How all miners are watched. Times are seconds; what is absent is taken from the driver, else
/// from the defaults in [`adit_model::watchdog::limits::Limits`].
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WatchdogSettings {
    /// Whether miners are watched.
    pub enabled: bool,
    /// Whether the watchdog only warns.
    pub warn_only: bool,
    /// Until the first sign of life of a program.
    pub starting_s: Option<u32>,
    /// For a dataset, a DAG or kernels.
    pub preparing_s: Option<u32>,
    /// Without a hashrate before the first share.
    pub waiting_s: Option<u32>,
    /// Without a pool, before another one is tried.
    pub pool_s: Option<u32>,
    /// Without output.
    pub silence_s: Option<u32>,
    /// Without an answer of the API.
    pub api_s: Option<u32>,
    /// At a hashrate of 0.
    pub zero_s: Option<u32>,
    /// Without a share, at least.
    pub share_s: Option<u32>,
    /// With a device that makes no hashes.
    pub device_s: Option<u32>,
    /// At less than half of the usual hashrate.
    pub slow_s: Option<u32>,
    /// Actions on one miner within an hour.
    pub actions_per_hour: Option<u32>,
    /// Without trouble, until the ladder of actions begins at its foot again.
    pub healthy_s: Option<u32>,
    /// Until a miner that was stopped gets another try; 0: never.
    pub retry_s: Option<u32>,
    /// With the first pool reachable, until a miner returns to it that was sent to another one; 0:
    /// never.
    pub return_s: Option<u32>,
    /// Whether miners mine solo: missing shares are no reason to warn.
    pub solo: bool,
    /// Incidents kept of one miner.
    pub incidents_per_miner: u32,
    /// Days that incidents are kept.
    pub incident_days: u32,
}

impl Default for WatchdogSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            warn_only: false,
            starting_s: None,
            preparing_s: None,
            waiting_s: None,
            pool_s: None,
            silence_s: None,
            api_s: None,
            zero_s: None,
            share_s: None,
            device_s: None,
            slow_s: None,
            actions_per_hour: None,
            healthy_s: None,
            retry_s: None,
            return_s: None,
            solo: false,
            incidents_per_miner: 50,
            incident_days: 30,
        }
    }
}

impl WatchdogSettings {
    /// What is wrong, and what to write instead.
    pub(super) fn check(&self) -> Result<(), String> {
        self.options()
            .check()
            .map_err(|wrong| format!("watchdog.{}: {}", wrong.field, wrong.what))?;
        for (name, value, most) in [
            ("incidents_per_miner", self.incidents_per_miner, 1_000),
            ("incident_days", self.incident_days, 3_650),
        ] {
            if !(1..=most).contains(&value) {
                return Err(format!("watchdog.{name} {value}: write 1 to {most}"));
            }
        }
        Ok(())
    }

    fn options(&self) -> Options {
        Options {
            enabled: Some(self.enabled),
            warn_only: Some(self.warn_only),
            starting_s: self.starting_s,
            preparing_s: self.preparing_s,
            waiting_s: self.waiting_s,
            pool_s: self.pool_s,
            silence_s: self.silence_s,
            api_s: self.api_s,
            zero_s: self.zero_s,
            share_s: self.share_s,
            device_s: self.device_s,
            slow_s: self.slow_s,
            actions_per_hour: self.actions_per_hour,
            healthy_s: self.healthy_s,
            retry_s: self.retry_s,
            return_s: self.return_s,
            solo: Some(self.solo),
        }
    }

    /// The same for those who watch.
    pub fn for_miners(&self) -> Own {
        let incidents =
            IncidentLimits { per_miner: self.incidents_per_miner, days: self.incident_days };
        Own { options: self.options(), incidents }
    }
}
