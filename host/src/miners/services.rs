//! What the host does for drivers, over the database, the bus and the log.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use adit_plugin_api::{Error, LogLevel, PeerId, PerformanceMetrics, Result, Services, Value};
use serde_json::json;

use crate::miners::{PeerLink, events::Events, figures::AllFigures};
use adit_drivers::known_secrets::KnownSecrets;
use adit_model::{
    figures,
    name::{DriverId, MinerName},
    published,
};
use adit_store::Store;

/// Longest type of a driver's event, in bytes, without what the host puts before it.
const KIND_BYTES: usize = 32;
/// Largest data of a driver's event, in bytes of JSON.
const DATA_BYTES: usize = 16 << 10;
/// Events of one object of a driver within [`WINDOW`].
const EVENTS: u32 = 100;
/// Over how long events are counted.
const WINDOW: Duration = Duration::from_secs(10);

/// What the services of all drivers work with. Cheap to clone.
#[derive(Clone)]
pub struct HostServices {
    store: Store,
    peers: PeerLink,
    pub(crate) events: Events,
    pub(crate) figures: AllFigures,
    secrets: KnownSecrets,
}

impl HostServices {
    /// Services over this database and this bus; `peers` carries messages once there is a node.
    pub fn new(store: Store, events: Events, peers: PeerLink) -> Self {
        let (figures, secrets) = (AllFigures::default(), KnownSecrets::default());
        Self { store, peers, events, figures, secrets }
    }

    /// What must not be in messages of drivers.
    pub fn secrets(&self) -> &KnownSecrets {
        &self.secrets
    }

    /// The bus.
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// The services for one object of a driver.
    pub fn of_object(&self, driver: &DriverId, miner: Option<&MinerName>) -> Arc<dyn Services> {
        Arc::new(DriverServices {
            host: self.clone(),
            driver: driver.clone(),
            miner: miner.cloned(),
            told: Mutex::new((0, Instant::now())),
        })
    }
}

/// The services of one object of a driver.
struct DriverServices {
    host: HostServices,
    driver: DriverId,
    miner: Option<MinerName>,
    /// Events since a moment. Held for a count only.
    told: Mutex<(u32, Instant)>,
}

impl DriverServices {
    fn count_event(&self) -> Result<()> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.1.elapsed() >= WINDOW {
            *told = (0, Instant::now());
        }
        told.0 += 1;
        if told.0 <= EVENTS {
            return Ok(());
        }
        let window = WINDOW.as_secs();
        Err(Error::unavailable(format!("more than {EVENTS} events within {window} s; tell fewer")))
    }
}

impl Services for DriverServices {
    fn log(&self, level: LogLevel, target: &str, message: &str) {
        let driver = self.driver.as_str();
        let miner = self.miner.as_ref().map(MinerName::as_str);
        let message = self.host.secrets.mask(message);
        match level {
            LogLevel::Error => tracing::error!(driver, miner, target, "{message}"),
            LogLevel::Warn => tracing::warn!(driver, miner, target, "{message}"),
            LogLevel::Info => tracing::info!(driver, miner, target, "{message}"),
            LogLevel::Debug => tracing::debug!(driver, miner, target, "{message}"),
            LogLevel::Trace => tracing::trace!(driver, miner, target, "{message}"),
        }
    }

    fn storage_get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        self.host.store.storage_get(&self.driver, key).map_err(storage)
    }

    fn storage_put(&self, key: &str, value: Option<&[u8]>) -> Result<()> {
        self.host.store.storage_put(&self.driver, key, value).map_err(storage)
    }

    fn storage_keys(&self, prefix: &str) -> Result<Vec<String>> {
        self.host.store.storage_keys(&self.driver, prefix).map_err(storage)
    }

    fn publish(&self, metrics: &PerformanceMetrics) -> Result<()> {
        let Some(miner) = &self.miner else {
            let told = "figures are a miner's: publish them from the object made for that miner";
            return Err(Error::invalid(told));
        };
        published::check(metrics).map_err(Error::invalid)?;
        let metrics = figures::sound(metrics, jiff::Timestamp::now().as_second());
        if self.host.figures.publish(miner, &self.driver, &metrics) {
            return Ok(());
        }
        Err(Error::unavailable(format!("nothing runs for {miner}; publish while it does")))
    }

    fn event(&self, kind: &str, data: &Value) -> Result<()> {
        let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-' || c == b'_';
        if kind.is_empty() || kind.len() > KIND_BYTES || !kind.bytes().all(plain) {
            return Err(Error::invalid(format!(
                "the type of event {:?}: write up to {KIND_BYTES} of a-z, 0-9, - and _",
                kind.chars().take(KIND_BYTES).collect::<String>()
            )));
        }
        if !data.is_object() && !data.is_null() {
            return Err(Error::invalid("the data of an event: write a JSON object"));
        }
        let bytes = data.to_string().len();
        if bytes > DATA_BYTES {
            let told = format!("the data have {bytes} bytes, more than the {DATA_BYTES} allowed");
            return Err(Error::invalid(told));
        }
        self.count_event()?;
        let mut data = data.clone();
        self.host.secrets.mask_json(&mut data);
        let mut told = json!({ "driver": self.driver, "data": data });
        if let Some(miner) = &self.miner {
            told["name"] = json!(miner);
            told["minerType"] = json!(self.driver);
        }
        self.host.events.publish(&format!("driver.{}.{kind}", self.driver), told);
        Ok(())
    }

    fn send(&self, to: &PeerId, payload: &[u8]) -> Result<Vec<u8>> {
        self.host.peers.send(&self.driver, to, payload)
    }
}

fn storage(error: adit_store::Error) -> Error {
    match error {
        adit_store::Error::Limit(limit) => Error::invalid(limit.to_string()),
        other => {
            tracing::error!(error = %other, "a driver's storage failed");
            Error::failed("the host's storage failed; its log says why")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::miners::events::Heard;

    fn services() -> (HostServices, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(folder.path().join("adit.db")).unwrap();
        (HostServices::new(store, Events::new(0), PeerLink::default()), folder)
    }

    #[test]
    fn events_of_a_driver_are_told_under_its_id() {
        let (host, _folder) = services();
        let mut subscription = host.events.subscribe(None);
        let (sim, rig) = (DriverId::new("sim").unwrap(), MinerName::new("rig-1").unwrap());
        let object = host.of_object(&sim, Some(&rig));
        object.event("fan_lost", &json!({ "fan": 2 })).unwrap();
        let Some(Heard::Event(it)) = subscription.try_next() else { panic!("an event") };
        assert_eq!(
            (it.event.kind.as_str(), it.event.miner()),
            ("driver.sim.fan_lost", Some("rig-1"))
        );
        assert_eq!(it.event.data["data"], json!({ "fan": 2 }));
        for (kind, data) in [
            ("", json!({})),
            ("Fan", json!({})),
            ("a.b", json!({})),
            ("x\n", json!({})),
            ("fan", json!([1])),
            ("fan", json!({ "text": "x".repeat(DATA_BYTES) })),
        ] {
            assert!(object.event(kind, &data).is_err(), "{kind:?}");
        }
        assert!(subscription.try_next().is_none());
        let many = (0..EVENTS + 5).map(|_| object.event("fan", &Value::Null));
        assert_eq!(many.filter(Result::is_err).count(), 6);
    }

    #[test]
    fn figures_need_a_miner_and_a_run() {
        let (host, _folder) = services();
        let (sim, rig) = (DriverId::new("sim").unwrap(), MinerName::new("rig-1").unwrap());
        let good = PerformanceMetrics { shares: Some(1), ..PerformanceMetrics::default() };
        let bad = PerformanceMetrics { hashrate: Some(-1.0), ..PerformanceMetrics::default() };
        let object = host.of_object(&sim, Some(&rig));
        assert!(object.publish(&good).unwrap_err().message.contains("nothing runs for rig-1"));
        let figures = host.figures.begin(&rig, &sim, std::time::Duration::from_secs(60));
        assert!(object.publish(&bad).unwrap_err().message.contains("not negative"));
        object.publish(&good).unwrap();
        assert_eq!(figures.get().metrics, Some(good.clone()));
        let driver = host.of_object(&sim, None);
        assert!(driver.publish(&good).unwrap_err().message.contains("figures are a miner's"));
    }
}
