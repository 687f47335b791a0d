//! What the parts of this module share.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
};

use crate::miners::{
    Error, Events, Options, figures::AllFigures, install::Installations, outgoing::Outgoing,
    probe::Prober, remote_write::RemoteWrite, tick::Ticker, watchdog::Watchdog, webhooks::Webhooks,
};
use adit_drivers::{handle::Driver, registry::Drivers};
use adit_keeper_client::Keepers;
use adit_model::name::{DriverId, MinerName};
use adit_store::Store;

/// What every part of this module uses.
pub(crate) struct Parts {
    pub(super) options: Options,
    pub(super) store: Store,
    pub(super) keepers: Keepers,
    pub(super) drivers: Drivers,
    pub(super) prober: Prober,
    pub(super) ticker: Ticker,
    pub(super) watchdog: Watchdog,
    pub(super) remote_write: RemoteWrite,
    pub(super) webhooks: Webhooks,
    pub(super) outgoing: Outgoing,
    pub(super) installations: Installations,
    /// Held while profiles, wallets or pools change: each change is checked against all of them.
    pub(super) changing: tokio::sync::Mutex<()>,
    pub(super) events: Events,
    pub(super) figures: AllFigures,
    /// Counts what operators see at once: starts, stops, and other changes of a miner's state.
    pub(super) revision: AtomicU64,
    /// Miners of the database and the folders that nobody has looked at yet.
    pub(super) adopting: AtomicUsize,
}

impl Parts {
    /// What is shown of some miner is another from now on.
    pub(super) fn changed(&self) {
        self.revision.fetch_add(1, Ordering::Release);
    }

    pub(super) fn folder(&self, miner: &MinerName) -> PathBuf {
        self.options.root.join(miner.as_str())
    }

    pub(super) fn driver(&self, id: &DriverId) -> Result<Driver, Error> {
        self.drivers.get(id).ok_or_else(|| Error::NoDriver {
            id: id.clone(),
            known: self.drivers.loaded().map(|driver| driver.id().to_string()).collect(),
        })
    }
}
