//! The demonstration: two simulated miners, so that a newcomer sees live figures in a minute.

use adit_plugin_api::{Config, json};

use crate::{
    app::Error,
    miners::{Miners, NewMiner},
};
use adit_drivers::registry::{Drivers, State};
use adit_model::{
    name::{DriverId, MinerName},
    restart::RestartPolicy,
    watchdog::limits::Options,
};

/// Starts the two miners of the demonstration; those that run already are left alone.
///
/// # Errors
/// [`Error::NoDemo`] without the simulated driver, or when a miner cannot be started.
pub async fn start(miners: &Miners, drivers: &Drivers) -> Result<(), Error> {
    let driver = DriverId::new("sim").map_err(|_| Error::NoDemo(String::new()))?;
    if drivers.get(&driver).is_none() {
        let refused = drivers.list().into_iter().find(|it| {
            it.state == State::Refused && it.path.to_string_lossy().contains("sim_driver")
        });
        let reason = refused.and_then(|it| it.reason).map(|reason| format!(" ({reason})"));
        return Err(Error::NoDemo(reason.unwrap_or_default()));
    }
    for (name, config) in [
        (
            "demo-cpu",
            json!({ "algorithm": "rx/0", "hashrate": 12_500.0, "pool": "pool.example:3333",
                    "wallet": "demo-wallet-of-nobody", "shareIntervalMs": 4000, "seed": 1 }),
        ),
        (
            "demo-gpu",
            json!({ "algorithm": "kawpow", "hashrate": 96_000_000.0, "devices": 4,
                    "pool": "pool.example:4444", "wallet": "demo-wallet-of-nobody",
                    "shareIntervalMs": 9000, "preparingMs": 5000, "seed": 2 }),
        ),
    ] {
        let name = MinerName::new(name).map_err(|_| Error::NoDemo(String::new()))?;
        if miners.get(name.as_str()).is_ok() {
            miners.start(name.as_str()).await?;
            continue;
        }
        let config = Config(config.as_object().cloned().unwrap_or_default());
        let (driver, restart) = (driver.clone(), RestartPolicy::default());
        let watchdog = Options::default();
        miners.create(NewMiner { name: Some(name), driver, config, restart, watchdog }).await?;
    }
    Ok(())
}
