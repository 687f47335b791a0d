//! What the host does for a driver.

use std::{fmt, sync::Arc};

use serde_json::Value;

use crate::{Error, PeerId, PerformanceMetrics, Result};

/// Importance of a log message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Something failed that the operator must know of.
    Error,
    /// Something is odd.
    Warn,
    /// Something happened.
    Info,
    /// For the driver's author.
    Debug,
    /// For the driver's author, much of it.
    Trace,
}

/// The services of the host, as a trait of std types. Authors use [`Host`]; the host and
/// [`crate::testing`] implement this.
pub trait Services: Send + Sync {
    /// Writes one message to the host's log, under the driver's id.
    fn log(&self, level: LogLevel, target: &str, message: &str);

    /// The value stored under `key`, if any.
    ///
    /// # Errors
    /// When the key is unusable or the storage cannot be reached.
    fn storage_get(&self, key: &str) -> Result<Option<Vec<u8>>>;

    /// Stores `value` under `key`, durably. `None` removes it.
    ///
    /// # Errors
    /// When the key is unusable, a limit is exceeded or the storage cannot be reached.
    fn storage_put(&self, key: &str, value: Option<&[u8]>) -> Result<()>;

    /// The stored keys that begin with `prefix`, in order.
    ///
    /// # Errors
    /// When the storage cannot be reached.
    fn storage_keys(&self, prefix: &str) -> Result<Vec<String>>;

    /// Publishes figures for the object's miner besides those the host collects.
    ///
    /// # Errors
    /// When the object is not one of a miner, or the host does not take them.
    fn publish(&self, metrics: &PerformanceMetrics) -> Result<()>;

    /// Sends a message to the same driver on a peer and waits for its answer.
    ///
    /// # Errors
    /// When the peer cannot be reached, refuses, or does not answer in time.
    fn send(&self, to: &PeerId, payload: &[u8]) -> Result<Vec<u8>>;

    /// Tells whoever listens to the host's events that something of `kind` happened.
    ///
    /// # Errors
    /// When the kind or the data are unusable, too many are told, or the host takes none.
    fn event(&self, kind: &str, data: &Value) -> Result<()> {
        let _ = data;
        Err(Error::unsupported(format!("this host takes no events, such as {kind:?}")))
    }
}

/// The host, as a driver sees it. Cheap to clone; usable from any thread.
///
/// Logging needs no handle: `log::info!` (and `tracing` with its `log` feature) in a driver reach
/// the host's log.
#[derive(Clone)]
pub struct Host(Arc<dyn Services>);

impl Host {
    /// The longest key of the storage, in bytes.
    pub const MAX_KEY: usize = 256;

    /// The largest value of the storage, in bytes.
    pub const MAX_VALUE: usize = 256 << 10;

    /// How much one driver may store, in bytes: the sum of its keys and values.
    pub const MAX_STORAGE: usize = 16 << 20;

    /// A handle on any implementation of the services.
    pub fn new(services: Arc<dyn Services>) -> Self {
        Self(services)
    }

    /// The services behind the handle.
    pub(crate) fn services(&self) -> &Arc<dyn Services> {
        &self.0
    }

    /// Writes one message to the host's log, under the driver's id.
    pub fn log(&self, level: LogLevel, message: &str) {
        self.0.log(level, "driver", message);
    }

    /// The value stored under `key`, if any. Keys are the driver's own: no other driver sees them.
    ///
    /// # Errors
    /// When the key is empty or longer than 256 bytes, or the storage cannot be reached.
    pub fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        self.0.storage_get(key)
    }

    /// Stores `value` under `key`. It is on disk when this returns.
    ///
    /// # Errors
    /// When the key is empty or longer than 256 bytes, the value is larger than 256 KiB, the
    /// driver's 16 MiB are used up, or the storage cannot be reached.
    pub fn put(&self, key: &str, value: &[u8]) -> Result<()> {
        self.0.storage_put(key, Some(value))
    }

    /// Removes what is stored under `key`; nothing happens when there is nothing.
    ///
    /// # Errors
    /// As for [`put`](Self::put).
    pub fn remove(&self, key: &str) -> Result<()> {
        self.0.storage_put(key, None)
    }

    /// The stored keys that begin with `prefix`, in order.
    ///
    /// # Errors
    /// When the storage cannot be reached.
    pub fn keys(&self, prefix: &str) -> Result<Vec<String>> {
        self.0.storage_keys(prefix)
    }

    /// Publishes figures for the miner this object was made for. They complete those that the host
    /// collects: what both tell is believed of the host's. They count for a minute.
    ///
    /// # Errors
    /// When the object was made for the driver itself, nothing runs for the miner, a value cannot
    /// be, or the host does not take them.
    pub fn publish(&self, metrics: &PerformanceMetrics) -> Result<()> {
        self.0.publish(metrics)
    }

    /// Sends a message to the same driver on a peer and waits for its answer, at most 30 s.
    ///
    /// # Errors
    /// When the peer cannot be reached, refuses, or does not answer in time.
    pub fn send(&self, to: &PeerId, payload: &[u8]) -> Result<Vec<u8>> {
        self.0.send(to, payload)
    }
}

impl Host {
    /// Tells whoever listens to the host's events that something happened: `fan_lost` of the driver
    /// `sim` is told as `driver.sim.fan_lost`. `data` is an object, or null for none. Never a
    /// secret.
    ///
    /// # Errors
    /// When the kind is not up to 32 of `a-z`, `0-9`, `-` and `_`, the data are no object of at most
    /// 16 KiB, more than 100 were told within 10 s, or the host takes none: a host older than this
    /// crate.
    pub fn event(&self, kind: &str, data: &Value) -> Result<()> {
        self.0.event(kind, data)
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Host")
    }
}

impl Default for Host {
    /// A host that is not there: every service answers with an error.
    fn default() -> Self {
        Self(Arc::new(Absent))
    }
}

struct Absent;

fn absent<T>() -> Result<T> {
    Err(Error::unavailable("there is no host"))
}

impl Services for Absent {
    fn log(&self, _: LogLevel, _: &str, _: &str) {}

    fn storage_get(&self, _: &str) -> Result<Option<Vec<u8>>> {
        absent()
    }

    fn storage_put(&self, _: &str, _: Option<&[u8]>) -> Result<()> {
        absent()
    }

    fn storage_keys(&self, _: &str) -> Result<Vec<String>> {
        absent()
    }

    fn publish(&self, _: &PerformanceMetrics) -> Result<()> {
        absent()
    }

    fn send(&self, _: &PeerId, _: &[u8]) -> Result<Vec<u8>> {
        absent()
    }
}
