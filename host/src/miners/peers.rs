//! Messages between a driver here and the same driver on a peer. The node carries them; this module
//! lies below it, so it is told later who does.

use std::sync::{Arc, OnceLock};

use adit_plugin_api::{Error as DriverError, PeerId, Result as DriverResult};

use crate::miners::{Error, Miners};
use adit_model::name::DriverId;

/// Whoever carries messages to peers.
pub trait Peers: Send + Sync {
    /// Sends `payload` to `driver` on the peer `to` and waits for the answer. Never called on an
    /// async thread.
    ///
    /// # Errors
    /// When the peer cannot be reached, refuses, or does not answer in time.
    fn send(&self, driver: &DriverId, to: &PeerId, payload: &[u8]) -> DriverResult<Vec<u8>>;
}

/// Where messages of drivers go. Cheap to clone; clones are the same.
#[derive(Clone, Default)]
pub struct PeerLink(Arc<OnceLock<Arc<dyn Peers>>>);

impl PeerLink {
    /// Says who carries messages from now on. Only the first one counts.
    pub fn connect(&self, peers: Arc<dyn Peers>) {
        let _already = self.0.set(peers);
    }

    pub(crate) fn send(
        &self,
        driver: &DriverId,
        to: &PeerId,
        payload: &[u8],
    ) -> DriverResult<Vec<u8>> {
        match self.0.get() {
            Some(peers) => peers.send(driver, to, payload),
            None => Err(DriverError::unavailable("the host is not connected to peers yet")),
        }
    }
}

impl Miners {
    /// Has a driver answer a message of the same driver on the peer `from`.
    ///
    /// # Errors
    /// [`Error::NoDriver`], or why the driver does not answer.
    pub async fn driver_message(
        &self,
        driver: &DriverId,
        from: PeerId,
        payload: Vec<u8>,
    ) -> Result<Vec<u8>, Error> {
        let instance = self.0.parts.driver(driver)?.instance(None).await?;
        Ok(instance.message(from, payload).await?)
    }
}
