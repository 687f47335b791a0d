//! A place with drivers: folders, built libraries, C libraries and patched copies.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};

use adit_drivers::{
    handle::{Driver, Limits, ServicesFactory},
    registry::{Drivers, Listed, Options},
    runner::Spawner,
    search::Search,
    trust::Owner,
};
use adit_model::name::{DriverId, MinerName};
use adit_plugin_api::{LogLevel, PeerId, PerformanceMetrics, Result, Services};

/// Long enough for anything that is not meant to hang, on any machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Place {
    root: tempfile::TempDir,
    /// The folder that is searched.
    pub(crate) drivers: PathBuf,
    pub(crate) log: Log,
}

/// What drivers logged: `driver miner target: message`.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    /// Waits until a line that contains `text` was logged.
    pub(crate) async fn wait(&self, text: &str) {
        let waiting = async {
            while !self.0.lock().unwrap().iter().any(|line| line.contains(text)) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(waited.is_ok(), "no {text:?} in {:?}", self.0.lock().unwrap());
    }

    /// How many lines contain `text`.
    pub(crate) fn count(&self, text: &str) -> usize {
        self.0.lock().unwrap().iter().filter(|line| line.contains(text)).count()
    }

    pub(crate) fn clear(&self) {
        self.0.lock().unwrap().clear();
    }
}

impl Place {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let drivers = root.path().canonicalize().unwrap().join("drivers");
        fs::create_dir(&drivers).unwrap();
        fs::set_permissions(&drivers, fs::Permissions::from_mode(0o755)).unwrap();
        Self { root, drivers, log: Log::default() }
    }

    /// A place with the faulty and the minimal driver.
    pub(crate) fn with_drivers() -> Self {
        let place = Self::new();
        place.put("faulty.so", &built("faulty_driver"));
        place.put("minimal.so", &built("minimal_driver"));
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.drivers.join(name)
    }

    pub(crate) fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        path
    }

    /// Puts a library that is built from C. `{HEADER}` in `source` is the name of a driver's entry
    /// point.
    pub(crate) fn compile(&self, name: &str, source: &str, args: &[&str]) -> PathBuf {
        let file = self.root.path().join("fixture.c");
        fs::write(&file, source.replace("{HEADER}", "_1as_0lib_1header_0root_bmodule_bloader"))
            .unwrap();
        let path = self.path(name);
        let mut compiler = Command::new("cc");
        compiler.arg("-o").arg(&path).arg(&file).args(args);
        assert!(compiler.status().expect("cc is installed").success(), "cc cannot make {name}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        path
    }

    /// The folder that a driver has for itself.
    pub(crate) fn data_dir(&self, id: &str) -> PathBuf {
        self.root.path().join("data").join(id)
    }

    pub(crate) fn options(&self) -> Options {
        let search = Search { dirs: vec![self.drivers.clone()], ..Search::default() };
        let root = self.root.path();
        let mut options = Options::new(search, root.join("copies"), root.join("data"));
        // The same on every system: some give users a private group, some do not.
        options.owner = Owner { private_gid: None, ..options.owner };
        options.limits = Limits { call: PATIENCE, create: PATIENCE, ..Limits::default() };
        options
    }

    /// The same with every driver in a process of its own.
    pub(crate) fn process_options(&self) -> Options {
        let mut options = self.options();
        let exe = profile().join("adit");
        assert!(exe.exists(), "{} is missing: run cargo build --workspace", exe.display());
        let spawner: Spawner =
            Arc::new(move |socket| adit_keeper_client::spawn_runner(&exe, socket));
        options.hosting.spawner = Some(spawner);
        options
    }

    pub(crate) async fn load(&self) -> Drivers {
        self.load_with(self.options()).await
    }

    pub(crate) async fn load_with(&self, options: Options) -> Drivers {
        let is_in_process = options.hosting.spawner.is_none();
        let drivers = Drivers::load(options, self.services()).await;
        assert!(!is_in_process || self.copies() == 0, "no copy is left");
        drivers
    }

    /// How many private copies there are.
    pub(crate) fn copies(&self) -> usize {
        fs::read_dir(self.root.path().join("copies")).map_or(0, Iterator::count)
    }

    fn services(&self) -> ServicesFactory {
        let log = self.log.clone();
        Arc::new(move |driver, miner| {
            let name = format!("{driver} {}", miner.map_or("-", MinerName::as_str));
            Arc::new(Host { name, log: log.clone() })
        })
    }
}

pub(crate) fn id(text: &str) -> DriverId {
    DriverId::new(text).unwrap()
}

/// The folder with the binaries and drivers of this build.
fn profile() -> PathBuf {
    // target/<profile>/deps/drivers-…
    std::env::current_exe().unwrap().ancestors().nth(2).unwrap().to_owned()
}

/// The bytes of a driver of this workspace.
pub(crate) fn built(name: &str) -> Vec<u8> {
    let path = profile().join(format!("lib{name}.so"));
    fs::read(&path).unwrap_or_else(|error| {
        panic!("{}: {error}; run `cargo build --workspace` first", path.display())
    })
}

/// `bytes` with every `from` replaced by `to`, which is as long.
pub(crate) fn patch(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut patched = bytes.to_vec();
    let places: Vec<_> = bytes
        .windows(from.len())
        .enumerate()
        .filter(|(_, window)| *window == from.as_bytes())
        .map(|(place, _)| place)
        .collect();
    assert!(!places.is_empty(), "no {from:?} to replace");
    for place in places {
        patched[place..place + to.len()].copy_from_slice(to.as_bytes());
    }
    patched
}

pub(crate) fn entry(drivers: &Drivers, path: &Path) -> Listed {
    let mut found = drivers.list().into_iter().filter(|entry| entry.path == path);
    found.next().unwrap_or_else(|| panic!("{} is not listed", path.display()))
}

pub(crate) fn get(drivers: &Drivers, id: &str) -> Driver {
    let driver = drivers.get(&DriverId::new(id).unwrap());
    driver.unwrap_or_else(|| panic!("{id} is not loaded: {:#?}", drivers.list()))
}

pub(crate) fn miner(name: &str) -> MinerName {
    MinerName::new(name).unwrap()
}

struct Host {
    name: String,
    log: Log,
}

impl Services for Host {
    fn log(&self, _: LogLevel, target: &str, message: &str) {
        self.log.0.lock().unwrap().push(format!("{} {target}: {message}", self.name));
    }

    fn storage_get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        Ok((key == "large").then(|| vec![7; adit_plugin_api::Host::MAX_VALUE]))
    }

    fn storage_put(&self, _: &str, _: Option<&[u8]>) -> Result<()> {
        Ok(())
    }

    fn storage_keys(&self, _: &str) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn publish(&self, _: &PerformanceMetrics) -> Result<()> {
        Ok(())
    }

    fn send(&self, _: &PeerId, payload: &[u8]) -> Result<Vec<u8>> {
        Ok(payload.to_vec())
    }
}
