//! A loaded driver and its objects, as the rest of the host calls them.

use std::{
    collections::{BTreeSet, HashMap},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use adit_plugin_api::{
    Command, CommandPlan, Config, Context, Description, DriverObject, Error, Host, HttpRequest,
    HttpResponse, InstallPlan, Installed, Launch, Observation, PeerId, PerformanceMetrics, Probe,
    Reply, Services, StartPlan, StopPlan, Target, abi::DriverModule_Ref, manifest::Manifest,
};
use jiff::Timestamp;
use tokio::sync::OnceCell;

use crate::{
    drivers::{
        call::{CallError, Caller},
        health::Health,
        schema::{ConfigError, ConfigSchema},
    },
    model::{
        name::{DriverId, MinerName},
        path::FieldPath,
        resolve::PoolSlots,
    },
};

/// Makes what a driver's object gets as its host: called with the driver and the miner the object
/// is for, on any thread.
pub type ServicesFactory =
    Arc<dyn Fn(&DriverId, Option<&MinerName>) -> Arc<dyn Services> + Send + Sync>;

/// How long a driver may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For an answer.
    pub call: Duration,
    /// For loading the library, and for making an object.
    pub create: Duration,
    /// How many calls a driver may have at once; the others wait. At least 1.
    pub calls_at_once: usize,
}

impl Default for Limits {
    /// 5 s, 10 s, 3.
    fn default() -> Self {
        Self { call: Duration::from_secs(5), create: Duration::from_secs(10), calls_at_once: 3 }
    }
}

/// A loaded driver. Cheap to clone; clones are the same driver.
#[derive(Clone)]
pub struct Driver(Arc<Loaded>);

struct Loaded {
    birth: Birth,
    description: Description,
    schema: ConfigSchema,
    loaded_at: Timestamp,
    own: Instance,
    /// Locked for moments only.
    miners: Mutex<HashMap<MinerName, Arc<OnceCell<Instance>>>>,
}

/// All it takes to make objects.
pub(crate) struct Birth {
    pub(crate) id: DriverId,
    pub(crate) manifest: Manifest,
    pub(crate) path: PathBuf,
    pub(crate) sha256: String,
    /// The driver's own folder. It exists.
    pub(crate) data_dir: PathBuf,
    pub(crate) module: DriverModule_Ref,
    pub(crate) caller: Caller,
    pub(crate) limits: Limits,
    pub(crate) services: ServicesFactory,
}

impl Driver {
    /// Makes the driver's own object and asks it what it offers. The error is a reason on one line.
    pub(crate) async fn new(birth: Birth) -> Result<Self, String> {
        let own = birth.create(None).await.map_err(|error| error.to_string())?;
        let described = own.ask("describe", |object| {
            let description = object.describe()?;
            let schema = ConfigSchema::new(&description).map_err(Error::failed)?;
            Ok((description, schema))
        });
        let (description, schema) = described.await.map_err(|error| error.to_string())?;
        let loaded_at = Timestamp::now();
        let miners = Mutex::default();
        Ok(Self(Arc::new(Loaded { birth, description, schema, loaded_at, own, miners })))
    }

    /// Its id.
    pub fn id(&self) -> &DriverId {
        &self.0.birth.id
    }

    /// Its manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.0.birth.manifest
    }

    /// The file that it was loaded from.
    pub fn path(&self) -> &Path {
        &self.0.birth.path
    }

    /// SHA-256 of that file, in hex.
    pub fn sha256(&self) -> &str {
        &self.0.birth.sha256
    }

    /// When it was loaded.
    pub fn loaded_at(&self) -> Timestamp {
        self.0.loaded_at
    }

    /// What it offers. Asked once, when it was loaded.
    pub fn description(&self) -> &Description {
        &self.0.description
    }

    /// How it has done since it was loaded.
    pub fn health(&self) -> Health {
        self.0.birth.caller.health()
    }

    /// Fills in the defaults of the top-level fields that `config` leaves out, and checks the
    /// result against the driver's schema.
    ///
    /// # Errors
    /// [`ConfigError`] with the fields that the caller must change.
    pub fn complete(&self, config: &Config) -> Result<Config, ConfigError> {
        self.0.schema.complete(config)
    }

    /// Where its configurations take the pools of a profile.
    pub fn pool_slots(&self) -> &PoolSlots {
        self.0.schema.pool_slots()
    }

    /// Which values of `config` are secrets: those that the schema marks with `writeOnly`, and
    /// those whose names say so.
    pub fn secrets(&self, config: &Config) -> BTreeSet<FieldPath> {
        self.0.schema.secrets(config)
    }

    /// The object for a miner, made when there is none yet; with `None` the driver's own.
    ///
    /// # Errors
    /// [`CallError`] of making it; the next call tries again.
    pub async fn instance(&self, miner: Option<&MinerName>) -> Result<Instance, CallError> {
        let Some(miner) = miner else {
            return Ok(self.0.own.clone());
        };
        let cell = {
            let mut miners = self.0.miners.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(miners.entry(miner.clone()).or_default())
        };
        cell.get_or_try_init(|| self.0.birth.create(Some(miner))).await.cloned()
    }

    /// Gives up the object for a miner. Calls under way end undisturbed.
    pub fn forget(&self, miner: &MinerName) {
        let mut miners = self.0.miners.lock().unwrap_or_else(PoisonError::into_inner);
        miners.remove(miner);
    }
}

impl std::fmt::Debug for Driver {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Birth { id, path, .. } = &self.0.birth;
        out.debug_struct("Driver").field("id", id).field("path", path).finish_non_exhaustive()
    }
}

impl Birth {
    async fn create(&self, miner: Option<&MinerName>) -> Result<Instance, CallError> {
        let context = Context {
            driver: self.id.to_string(),
            miner: miner.map(ToString::to_string),
            data_dir: self.data_dir.clone(),
            host: Host::new((self.services)(&self.id, miner)),
        };
        let module = self.module;
        let create = move || DriverObject::create(module, &context).map(|made| Object(Some(made)));
        let object = self.caller.call("create", self.limits.create, create).await?;
        let caller = self.caller.clone();
        Ok(Instance { object: Arc::new(object), caller, limit: self.limits.call })
    }
}

/// An object of a driver: for one miner, or for the driver itself.
///
/// The methods are those of [`adit_plugin_api::Miner`], asked off the async threads and with a
/// deadline. When a returned future is dropped the call still runs to its end.
#[derive(Clone)]
pub struct Instance {
    object: Arc<Object>,
    caller: Caller,
    limit: Duration,
}

/// `Some` until dropped.
struct Object(Option<DriverObject>);

impl Drop for Object {
    fn drop(&mut self) {
        let Some(object) = self.0.take() else { return };
        // The driver's destructor runs: it may take its time, or not return. A thread of its own
        // holds nobody up, the end of the runtime included. Without a thread the object is lost
        // along with the closure, which drops it here.
        let thread = thread::Builder::new().name("driver-drop".to_owned());
        if let Err(error) = thread.spawn(move || drop(object)) {
            tracing::warn!(%error, "cannot drop a driver's object on a thread of its own");
        }
    }
}

impl Instance {
    async fn ask<T: Send + 'static>(
        &self,
        op: &'static str,
        question: impl FnOnce(&DriverObject) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, CallError> {
        let object = Arc::clone(&self.object);
        let work = move || match &object.0 {
            Some(object) => question(object),
            None => Err(Error::unavailable("the driver's object is gone")),
        };
        self.caller.call(op, self.limit, work).await
    }

    /// Where the driver's program comes from and what proves it.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn install(&self, target: Target) -> Result<InstallPlan, CallError> {
        self.ask("install", move |object| object.install(&target)).await
    }

    /// Cleans up beyond the files that the host removes.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn uninstall(&self, installed: Installed) -> Result<(), CallError> {
        self.ask("uninstall", move |object| object.uninstall(&installed)).await
    }

    /// The program's version, from what it prints for its version option.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn version(&self, output: String) -> Result<String, CallError> {
        self.ask("version", move |object| object.version(&output)).await
    }

    /// Plans a run from a configuration that [`Driver::complete`] made.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn start(&self, config: Config, launch: Launch) -> Result<StartPlan, CallError> {
        self.ask("start", move |object| object.start(&config, &launch)).await
    }

    /// How to end a run.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn stop(&self, launch: Launch) -> Result<StopPlan, CallError> {
        self.ask("stop", move |object| object.stop(&launch)).await
    }

    /// How to ask a running miner for its figures.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn probes(&self, launch: Launch) -> Result<Vec<Probe>, CallError> {
        self.ask("probes", move |object| object.probes(&launch)).await
    }

    /// Makes figures from the replies to [`probes`](Self::probes), in the probes' order.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn stats(
        &self,
        launch: Launch,
        replies: Vec<Reply>,
    ) -> Result<PerformanceMetrics, CallError> {
        self.ask("stats", move |object| object.stats(&launch, &replies)).await
    }

    /// What lines of the program's output say.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn output(&self, lines: Vec<String>) -> Result<Vec<Observation>, CallError> {
        self.ask("output", move |object| {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            object.output(&lines)
        })
        .await
    }

    /// How to carry out a command on a running miner.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn command(
        &self,
        command: Command,
        launch: Launch,
    ) -> Result<CommandPlan, CallError> {
        self.ask("command", move |object| object.command(&command, &launch)).await
    }

    /// Answers a REST request to the driver's own routes.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn request(&self, request: HttpRequest) -> Result<HttpResponse, CallError> {
        self.ask("request", move |object| object.request(&request)).await
    }

    /// Answers a message from the same driver on a peer.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn message(&self, from: PeerId, payload: Vec<u8>) -> Result<Vec<u8>, CallError> {
        self.ask("message", move |object| object.message(&from, &payload)).await
    }

    /// Whether the driver can do its work now.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn is_healthy(&self) -> Result<bool, CallError> {
        self.ask("is_healthy", DriverObject::is_healthy).await
    }
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Instance")
    }
}
