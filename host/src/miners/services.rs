//! What the host does for drivers, over the database and the log.

use std::sync::Arc;

use adit_plugin_api::{Error, LogLevel, PeerId, PerformanceMetrics, Result, Services};

use crate::{
    miners::PeerLink,
    model::name::{DriverId, MinerName},
    store::{self, Store},
};

/// The services of one object of a driver.
pub(crate) struct DriverServices {
    store: Store,
    peers: PeerLink,
    driver: DriverId,
    miner: Option<MinerName>,
}

impl DriverServices {
    pub(crate) fn shared(
        store: Store,
        peers: PeerLink,
        driver: &DriverId,
        miner: Option<&MinerName>,
    ) -> Arc<dyn Services> {
        Arc::new(Self { store, peers, driver: driver.clone(), miner: miner.cloned() })
    }
}

impl Services for DriverServices {
    fn log(&self, level: LogLevel, target: &str, message: &str) {
        let driver = self.driver.as_str();
        let miner = self.miner.as_ref().map(MinerName::as_str);
        match level {
            LogLevel::Error => tracing::error!(driver, miner, target, "{message}"),
            LogLevel::Warn => tracing::warn!(driver, miner, target, "{message}"),
            LogLevel::Info => tracing::info!(driver, miner, target, "{message}"),
            LogLevel::Debug => tracing::debug!(driver, miner, target, "{message}"),
            LogLevel::Trace => tracing::trace!(driver, miner, target, "{message}"),
        }
    }

    fn storage_get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        self.store.storage_get(&self.driver, key).map_err(storage)
    }

    fn storage_put(&self, key: &str, value: Option<&[u8]>) -> Result<()> {
        self.store.storage_put(&self.driver, key, value).map_err(storage)
    }

    fn storage_keys(&self, prefix: &str) -> Result<Vec<String>> {
        self.store.storage_keys(&self.driver, prefix).map_err(storage)
    }

    fn publish(&self, _: &PerformanceMetrics) -> Result<()> {
        Err(Error::unsupported("this version of the host takes no published figures"))
    }

    fn send(&self, to: &PeerId, payload: &[u8]) -> Result<Vec<u8>> {
        self.peers.send(&self.driver, to, payload)
    }
}

fn storage(error: store::Error) -> Error {
    match error {
        store::Error::Limit(limit) => Error::invalid(limit.to_string()),
        other => {
            tracing::error!(error = %other, "a driver's storage failed");
            Error::failed("the host's storage failed; its log says why")
        }
    }
}
