//! What an author needs to test a driver with plain `cargo test`: no host, no program, no pool.
//!
//! ```
//! # use adit_plugin_api::{*, testing};
//! # struct Sim;
//! # impl Miner for Sim {
//! #     fn create(context: Context) -> Result<Self> {
//! #         context.host.put("seen", b"yes")?;
//! #         Ok(Self)
//! #     }
//! #     fn describe(&self) -> Description { Description::default() }
//! #     fn start(&self, _: &Config, launch: &Launch) -> Result<StartPlan> {
//! #         let program = launch.program.clone().unwrap_or_default().program;
//! #         Ok(StartPlan::Process(ProcessPlan { program, ..ProcessPlan::default() }))
//! #     }
//! # }
//! let host = testing::host();
//! let driver = testing::through_abi::<Sim>(&host.context())?;
//! let plan = driver.start(&Config::default(), &testing::launch())?;
//! assert!(matches!(plan, StartPlan::Process(_)));
//! assert_eq!(host.stored("seen").as_deref(), Some(&b"yes"[..]));
//! # Ok::<(), Error>(())
//! ```
//!
//! [`golden()`] compares a plan or figures with a file beside the tests.

mod golden;

use std::{
    collections::BTreeMap,
    env, fs,
    path::PathBuf,
    process,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

pub use self::golden::golden;
use serde_json::Value;

use crate::{
    Context, DriverObject, Error, Host, Installed, Launch, LogLevel, Miner, PeerId,
    PerformanceMetrics, Reply, Result, Services, export,
};

/// A host in memory that records what a driver does with it. Clones are the same host.
#[derive(Clone)]
pub struct TestHost(Arc<Shared>);

/// A log message that a driver wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// Its importance.
    pub level: LogLevel,
    /// The module that wrote it, or `driver` from [`Host::log`].
    pub target: String,
    /// What it says.
    pub message: String,
}

type Peers = Box<dyn Fn(&PeerId, &[u8]) -> Result<Vec<u8>> + Send + Sync>;

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    // Apart from the state, so that what answers may itself use the host.
    peers: Mutex<Option<Arc<Peers>>>,
}

#[derive(Default)]
struct State {
    logs: Vec<Logged>,
    storage: BTreeMap<String, Vec<u8>>,
    published: Vec<PerformanceMetrics>,
    events: Vec<(String, Value)>,
    sent: Vec<(PeerId, Vec<u8>)>,
    data_dir: Option<PathBuf>,
}

/// A new host: nothing stored, no peers.
pub fn host() -> TestHost {
    TestHost(Arc::default())
}

impl TestHost {
    /// The handle that a driver gets.
    pub fn handle(&self) -> Host {
        Host::new(self.0.clone())
    }

    /// A context for a miner `rig-1`, with this host and a folder that exists until the host is
    /// dropped.
    ///
    /// # Panics
    /// When the folder cannot be made.
    pub fn context(&self) -> Context {
        Context {
            driver: "test".to_owned(),
            miner: Some("rig-1".to_owned()),
            data_dir: self.data_dir(),
            definition: None,
            host: self.handle(),
        }
    }

    fn data_dir(&self) -> PathBuf {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let make = || {
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            let dir = env::temp_dir().join(format!("adit-driver-test-{}-{number}", process::id()));
            fs::create_dir_all(&dir).expect("the folder for temporary files is writable");
            dir
        };
        self.state().data_dir.get_or_insert_with(make).clone()
    }

    /// What was logged so far, also with `log::info!` and the like during a call.
    pub fn logs(&self) -> Vec<Logged> {
        self.state().logs.clone()
    }

    /// What is stored under `key`.
    pub fn stored(&self, key: &str) -> Option<Vec<u8>> {
        self.state().storage.get(key).cloned()
    }

    /// The events that were told so far: kind and data.
    pub fn events(&self) -> Vec<(String, Value)> {
        self.state().events.clone()
    }

    /// What was published so far.
    pub fn published(&self) -> Vec<PerformanceMetrics> {
        self.state().published.clone()
    }

    /// The messages that were sent to peers so far.
    pub fn sent(&self) -> Vec<(PeerId, Vec<u8>)> {
        self.state().sent.clone()
    }

    /// Lets `answer` answer for all peers. Without it there are none.
    pub fn answer_with(
        &self,
        answer: impl Fn(&PeerId, &[u8]) -> Result<Vec<u8>> + Send + Sync + 'static,
    ) {
        let peers: Peers = Box::new(answer);
        *self.0.peers.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(peers));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state()
    }
}

impl std::fmt::Debug for TestHost {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("TestHost")
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(dir) = self.state().data_dir.take() {
            // What is left in the folder for temporary files does no harm.
            drop(fs::remove_dir_all(dir));
        }
    }
}

impl Services for Shared {
    fn log(&self, level: LogLevel, target: &str, message: &str) {
        let logged = Logged { level, target: target.to_owned(), message: message.to_owned() };
        self.state().logs.push(logged);
    }

    fn storage_get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        check_key(key)?;
        Ok(self.state().storage.get(key).cloned())
    }

    fn storage_put(&self, key: &str, value: Option<&[u8]>) -> Result<()> {
        check_key(key)?;
        let storage = &mut self.state().storage;
        let Some(value) = value else {
            storage.remove(key);
            return Ok(());
        };
        let others = storage.iter().filter(|(name, _)| *name != key);
        let used: usize = others.map(|(name, value)| name.len() + value.len()).sum();
        if value.len() > Host::MAX_VALUE {
            return Err(Error::invalid(format!("the value has {} bytes", value.len())));
        }
        if used + key.len() + value.len() > Host::MAX_STORAGE {
            return Err(Error::invalid("the storage of this driver is full"));
        }
        storage.insert(key.to_owned(), value.to_vec());
        Ok(())
    }

    fn storage_keys(&self, prefix: &str) -> Result<Vec<String>> {
        let state = self.state();
        Ok(state.storage.keys().filter(|key| key.starts_with(prefix)).cloned().collect())
    }

    fn publish(&self, metrics: &PerformanceMetrics) -> Result<()> {
        self.state().published.push(metrics.clone());
        Ok(())
    }

    fn event(&self, kind: &str, data: &Value) -> Result<()> {
        self.state().events.push((kind.to_owned(), data.clone()));
        Ok(())
    }

    fn send(&self, to: &PeerId, payload: &[u8]) -> Result<Vec<u8>> {
        self.state().sent.push((to.clone(), payload.to_vec()));
        let peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        peers.ok_or_else(|| Error::unavailable(format!("there is no peer {}", to.0)))?(to, payload)
    }
}

fn check_key(key: &str) -> Result<()> {
    if (1..=Host::MAX_KEY).contains(&key.len()) {
        return Ok(());
    }
    Err(Error::invalid(format!("a key has 1 to {} bytes", Host::MAX_KEY)))
}

/// A launch as a host would make it, with the same values each time: a program of version 1.2.3 in
/// `/opt/adit/program`, run folder `/run/adit/rig-1`, API port 40001. Nothing of it exists.
pub fn launch() -> Launch {
    Launch {
        miner: "rig-1".to_owned(),
        run: "rig-1-1".to_owned(),
        run_dir: "/run/adit/rig-1".into(),
        data_dir: "/var/lib/adit/rig-1".into(),
        program: Some(Installed {
            version: Some("1.2.3".to_owned()),
            dir: "/opt/adit/program".into(),
            program: "/opt/adit/program/program".into(),
        }),
        api_port: 40001,
        api_token: "0123456789abcdef0123456789abcdef".to_owned(),
        worker: "rig-1".to_owned(),
        facts: BTreeMap::new(),
        addresses: Vec::new(),
    }
}

/// The same launch as a host would make it for `driver`: with a program only if its description
/// says that it needs one.
///
/// # Errors
/// When the driver cannot describe itself.
pub fn launch_of(driver: &DriverObject) -> Result<Launch> {
    let needs_program = driver.describe()?.needs_program;
    let launch = launch();
    Ok(Launch { program: launch.program.clone().filter(|_| needs_program), ..launch })
}

/// A good reply to the probe `id`: status 200 with `body`.
pub fn reply(id: &str, body: impl Into<Vec<u8>>) -> Reply {
    Reply { id: id.to_owned(), status: 200, body: body.into(), ..Reply::default() }
}

/// An object of `M` behind the same layers as in a host: what it returns is what a host sees, and
/// a panic is an error.
///
/// # Errors
/// What [`Miner::create`] answered, or its panic.
pub fn through_abi<M: Miner>(context: &Context) -> Result<DriverObject> {
    DriverObject::create(export::module_without_hook::<M>(), context)
}

#[cfg(test)]
mod tests;
