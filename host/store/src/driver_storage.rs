//! Table `driver_storage`: what drivers store for themselves, each in its own name space.

use adit_plugin_api::Host;
use rusqlite::{OptionalExtension, params};

use crate::{Error, Failure, Store};
use adit_model::name::DriverId;

/// Longest key, in bytes.
const KEY_BYTES: usize = Host::MAX_KEY;
/// Largest value, in bytes.
const VALUE_BYTES: usize = Host::MAX_VALUE;
/// All keys and values of one driver, in bytes.
const DRIVER_BYTES: usize = Host::MAX_STORAGE;

/// A driver wants to store more than it may.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StorageLimit {
    /// The key is empty or too long.
    #[error("a key has 1 to {KEY_BYTES} bytes, this one has {0}")]
    Key(usize),
    /// The value is too large.
    #[error("a value has at most {VALUE_BYTES} bytes, this one has {0}")]
    Value(usize),
    /// Everything together is too large.
    #[error("a driver may store {DRIVER_BYTES} bytes in all; remove something first")]
    Total,
}

impl From<StorageLimit> for Failure {
    fn from(limit: StorageLimit) -> Self {
        Self::Limit(limit)
    }
}

fn check_key(key: &str) -> Result<(), StorageLimit> {
    let fits = (1..=KEY_BYTES).contains(&key.len());
    fits.then_some(()).ok_or(StorageLimit::Key(key.len()))
}

/// For the threads that drivers are called on, never for an async one.
impl Store {
    /// The value that `driver` stored under `key`.
    ///
    /// # Errors
    /// When the key is unusable or the database cannot be read.
    pub fn storage_get(&self, driver: &DriverId, key: &str) -> Result<Option<Vec<u8>>, Error> {
        check_key(key)?;
        let (driver, key) = (driver.to_string(), key.to_owned());
        self.call_blocking(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT value FROM driver_storage WHERE driver = ?1 AND key = ?2",
            )?;
            Ok(statement.query_row(params![driver, key], |row| row.get(0)).optional()?)
        })
    }

    /// Stores `value` of `driver` under `key`; `None` removes it.
    ///
    /// # Errors
    /// [`Error::Limit`], or when the database cannot be written.
    pub fn storage_put(
        &self,
        driver: &DriverId,
        key: &str,
        value: Option<&[u8]>,
    ) -> Result<(), Error> {
        check_key(key)?;
        let (driver, key) = (driver.to_string(), key.to_owned());
        let Some(value) = value.map(<[u8]>::to_vec) else {
            return self.call_blocking(move |connection| {
                connection.execute(
                    "DELETE FROM driver_storage WHERE driver = ?1 AND key = ?2",
                    params![driver, key],
                )?;
                Ok(())
            });
        };
        if value.len() > VALUE_BYTES {
            return Err(StorageLimit::Value(value.len()).into());
        }
        self.call_blocking(move |connection| {
            let others: i64 = connection.query_row(
                "SELECT coalesce(sum(length(CAST(key AS BLOB)) + length(value)), 0)
                 FROM driver_storage WHERE driver = ?1 AND key != ?2",
                params![driver, key],
                |row| row.get(0),
            )?;
            let total = usize::try_from(others).unwrap_or(usize::MAX);
            if total.saturating_add(key.len() + value.len()) > DRIVER_BYTES {
                return Err(StorageLimit::Total.into());
            }
            connection.execute(
                "INSERT INTO driver_storage (driver, key, value) VALUES (?1, ?2, ?3)
                 ON CONFLICT (driver, key) DO UPDATE SET value = excluded.value",
                params![driver, key, value],
            )?;
            Ok(())
        })
    }

    /// The keys of `driver` that begin with `prefix`, in order.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn storage_keys(&self, driver: &DriverId, prefix: &str) -> Result<Vec<String>, Error> {
        let (driver, prefix) = (driver.to_string(), prefix.to_owned());
        self.call_blocking(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT key FROM driver_storage
                 WHERE driver = ?1 AND substr(key, 1, length(?2)) = ?2 ORDER BY key",
            )?;
            let keys = statement.query_map(params![driver, prefix], |row| row.get(0))?;
            Ok(keys.collect::<Result<_, _>>()?)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (Store, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(folder.path().join("adit.db")).unwrap();
        (store, folder)
    }

    #[test]
    fn drivers_do_not_see_each_other() {
        let (store, _folder) = store();
        let (one, two) = (DriverId::new("one").unwrap(), DriverId::new("two").unwrap());
        store.storage_put(&one, "k/a", Some(b"1")).unwrap();
        store.storage_put(&one, "k/b", Some(b"2")).unwrap();
        store.storage_put(&one, "other", Some(b"")).unwrap();
        assert_eq!(store.storage_get(&one, "k/a").unwrap().unwrap(), b"1");
        assert_eq!(store.storage_get(&two, "k/a").unwrap(), None);
        assert_eq!(store.storage_keys(&one, "k/").unwrap(), ["k/a", "k/b"]);
        assert_eq!(store.storage_keys(&one, "k%").unwrap(), [""; 0]);
        store.storage_put(&one, "k/a", None).unwrap();
        assert_eq!(store.storage_keys(&one, "").unwrap(), ["k/b", "other"]);
    }

    #[test]
    fn a_driver_cannot_fill_the_disk() {
        let (store, _folder) = store();
        let driver = DriverId::new("greedy").unwrap();
        let largest = vec![0; VALUE_BYTES];
        let limit = |result: Result<(), Error>| match result {
            Err(Error::Limit(limit)) => limit,
            other => panic!("{other:?}"),
        };
        let too_large = vec![0; VALUE_BYTES + 1];
        assert_eq!(
            limit(store.storage_put(&driver, "k", Some(&too_large))),
            StorageLimit::Value(VALUE_BYTES + 1)
        );
        assert_eq!(limit(store.storage_put(&driver, "", Some(b""))), StorageLimit::Key(0));
        let long = "k".repeat(KEY_BYTES + 1);
        assert_eq!(
            limit(store.storage_put(&driver, &long, None)),
            StorageLimit::Key(KEY_BYTES + 1)
        );
        let fitting = DRIVER_BYTES / (VALUE_BYTES + 4);
        for n in 0..fitting {
            store.storage_put(&driver, &format!("{n:04}"), Some(&largest)).unwrap();
        }
        assert_eq!(limit(store.storage_put(&driver, "last", Some(&largest))), StorageLimit::Total);
        // Overwriting does not count twice.
        store.storage_put(&driver, "0000", Some(&largest)).unwrap();
    }
}
