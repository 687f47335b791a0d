//! A loaded driver and its objects, as the rest of the host calls them.

mod instance;

use std::{
    collections::{BTreeSet, HashMap},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use adit_plugin_api::{
    Config, Context, Description, Host, Services, abi::DriverModule_Ref, manifest::Manifest,
};
pub use instance::Instance;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use crate::{
    call::{CallError, Caller},
    definition::{Definition, Interpreter},
    handle::instance::Made,
    health::{Health, Quarantine},
    known_secrets::KnownSecrets,
    runner::{Runner, RunnerView},
    schema::{ConfigError, ConfigSchema},
};
use adit_model::{
    name::{DriverId, MinerName},
    path::FieldPath,
    resolve::PoolSlots,
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
    /// What defines it, when a library serves it that serves others too.
    pub(crate) definition: Option<Definition>,
    pub(crate) hosted: Hosted,
    pub(crate) caller: Caller,
    pub(crate) limits: Limits,
    pub(crate) services: ServicesFactory,
}

/// Where the code of a driver runs.
pub(crate) enum Hosted {
    InProcess(DriverModule_Ref),
    Process(Runner),
}

/// Where the code of a driver runs, as settings and lists say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// In the host, which a crash of the driver takes along.
    InProcess,
    /// In a process of its own.
    Process,
}

/// How a loaded driver is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Condition {
    /// It answers, as far as is known.
    Well,
    /// As many calls never returned as there may be.
    Wedged,
    /// Its process ended and is started again when it is needed.
    Failed,
    /// It failed too often and is not asked.
    Quarantined,
}

impl Driver {
    /// Makes the driver's own object and asks it what it offers. The error is a reason on one line.
    pub(crate) async fn new(birth: Birth) -> Result<Self, String> {
        let own = birth.create(None).await.map_err(|error| error.to_string())?;
        let description = own.describe().await.map_err(|error| error.to_string())?;
        // Compiling a schema takes its time, and the schema is the driver's.
        let compiling = tokio::task::spawn_blocking(move || {
            ConfigSchema::new(&description).map(|schema| (description, schema))
        });
        let compiled = compiling.await.map_err(|_| "its schema cannot be read".to_owned())?;
        let (description, schema) = compiled?;
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

    /// The library that serves it, when its file is none.
    pub fn interpreter(&self) -> Option<&Interpreter> {
        self.0.birth.definition.as_ref().map(|it| &it.interpreter)
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

    /// Where its code runs.
    pub fn isolation(&self) -> Isolation {
        match self.0.birth.hosted {
            Hosted::InProcess(_) => Isolation::InProcess,
            Hosted::Process(_) => Isolation::Process,
        }
    }

    /// Its process, if it has one of its own.
    pub fn runner(&self) -> Option<RunnerView> {
        match &self.0.birth.hosted {
            Hosted::InProcess(_) => None,
            Hosted::Process(runner) => Some(runner.view()),
        }
    }

    /// Why it is not asked any more, if so.
    pub fn quarantine(&self) -> Option<Quarantine> {
        self.0.birth.caller.quarantine()
    }

    /// How it is, and why if that is not well.
    pub fn condition(&self) -> (Condition, Option<String>) {
        let Birth { caller, hosted, .. } = &self.0.birth;
        if let Err(error) = caller.check("") {
            return (Condition::Quarantined, Some(error.to_string()));
        }
        if caller.is_wedged() {
            let reason = "as many calls as it may have at once never returned";
            return (Condition::Wedged, Some(reason.to_owned()));
        }
        match hosted {
            Hosted::Process(runner) => match runner.failure() {
                Some(end) => (Condition::Failed, Some(caller.secrets().mask(&end.cause))),
                None => (Condition::Well, None),
            },
            Hosted::InProcess(_) => (Condition::Well, None),
        }
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

    /// What must not be in its messages.
    pub fn known_secrets(&self) -> &KnownSecrets {
        self.0.birth.caller.secrets()
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
        self.caller.check("create")?;
        let services = (self.services)(&self.id, miner);
        let module = match &self.hosted {
            Hosted::InProcess(module) => *module,
            Hosted::Process(runner) => {
                let text = self.definition.as_ref().map(|it| &*it.text);
                let object = Arc::new(runner.object(miner, text, services));
                object.create().await?;
                return Ok(Instance::of_process(object));
            }
        };
        let context = Context {
            driver: self.id.to_string(),
            miner: miner.map(ToString::to_string),
            data_dir: self.data_dir.clone(),
            definition: self.definition.as_ref().map(|it| it.text.to_string()),
            host: Host::new(services),
        };
        let create = move || Made::new(module, &context);
        let object = self.caller.call("create", self.limits.create, create).await?;
        Ok(Instance::in_process(object, self.caller.clone(), self.limits.call))
    }
}
