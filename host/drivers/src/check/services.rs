//! A host in memory for the driver under check.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use adit_plugin_api::{Error, Host, LogLevel, PeerId, PerformanceMetrics, Result, Services};

use crate::handle::ServicesFactory;

/// A host that stores in memory, has no peers and notes what is published. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct CheckServices(Arc<Shared>);

#[derive(Default)]
struct Shared {
    storage: Mutex<BTreeMap<String, Vec<u8>>>,
    published: Mutex<Vec<PerformanceMetrics>>,
}

impl CheckServices {
    pub(super) fn factory(&self) -> ServicesFactory {
        let shared = Arc::clone(&self.0);
        Arc::new(move |_, _| Arc::clone(&shared) as Arc<dyn Services>)
    }

    /// What was published since the last time.
    pub(super) fn take_published(&self) -> Vec<PerformanceMetrics> {
        std::mem::take(&mut *self.0.published.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Shared {
    fn storage(&self) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        self.storage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Services for Shared {
    fn log(&self, _: LogLevel, target: &str, message: &str) {
        tracing::debug!(target, "{message}");
    }

    fn storage_get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.storage().get(key).cloned())
    }

    fn storage_put(&self, key: &str, value: Option<&[u8]>) -> Result<()> {
        let mut storage = self.storage();
        let Some(value) = value else {
            storage.remove(key);
            return Ok(());
        };
        let others = storage.iter().filter(|(name, _)| *name != key);
        let used: usize = others.map(|(name, value)| name.len() + value.len()).sum();
        if value.len() > Host::MAX_VALUE || used + key.len() + value.len() > Host::MAX_STORAGE {
            return Err(Error::invalid("the storage of a driver has room for less than that"));
        }
        storage.insert(key.to_owned(), value.to_vec());
        Ok(())
    }

    fn storage_keys(&self, prefix: &str) -> Result<Vec<String>> {
        Ok(self.storage().keys().filter(|key| key.starts_with(prefix)).cloned().collect())
    }

    fn publish(&self, metrics: &PerformanceMetrics) -> Result<()> {
        let mut published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        published.push(metrics.clone());
        Ok(())
    }

    fn send(&self, to: &PeerId, _: &[u8]) -> Result<Vec<u8>> {
        Err(Error::unavailable(format!("there is no peer {}", to.0)))
    }
}
