//! From a file that passed all checks to a driver that answers.

use std::path::Path;

use adit_plugin_api::{Error, abi::DriverModule_Ref};

use crate::{
    call::{Caller, CallerOptions},
    handle::{Birth, Driver, Hosted, ServicesFactory},
    load::{self, LoadError, PrivateCopy, private_dir},
    registry::{Listed, Options, find::Rival},
    runner::Runner,
    search::cause,
};

/// Why a file does not serve as a driver.
pub(super) struct Refusal {
    pub(super) reason: String,
    /// Whether the machine lacked what it takes, such as space on the disk: the same file may be
    /// loaded later.
    pub(super) is_passing: bool,
}

impl Refusal {
    fn of_driver(reason: &impl ToString) -> Self {
        Self { reason: reason.to_string(), is_passing: false }
    }

    fn passing(reason: &impl ToString) -> Self {
        Self { reason: reason.to_string(), is_passing: true }
    }
}

/// Loads it and asks it what it offers.
pub(super) async fn load_one(
    rival: Rival,
    options: &Options,
    services: ServicesFactory,
) -> Result<Driver, Refusal> {
    let Rival { entry, image, id, manifest, definition, is_bundled, .. } = rival;
    let limits = options.limits;
    let spawner = options.hosting.spawner(&id, is_bundled).cloned();
    let calling = CallerOptions {
        id: id.to_string(),
        tolerance: options.tolerance,
        is_killable: spawner.is_some(),
        news: options.news.clone(),
        secrets: options.secrets.clone(),
    };
    let caller = Caller::new(limits.calls_at_once, calling);
    let copies = options.private_dir.clone();
    let data_dir = options.data_dir.join(id.as_str());
    let (own_dir, name, in_process) = (data_dir.clone(), id.clone(), spawner.is_none());
    let loading = move || {
        if let Err(reason) = make_data_dir(&own_dir) {
            return Ok(Err(Refusal::passing(&reason)));
        }
        tracing::debug!(driver = %name, in_process, "loading");
        let code = if in_process {
            load::load(&image.bytes, &copies).map(Code::Mapped)
        } else {
            PrivateCopy::new(&image.bytes, &copies).map(Code::Copied)
        };
        match code {
            Err(error @ LoadError::Copy { .. }) => Ok(Err(Refusal::passing(&error))),
            code => code.map(Ok).map_err(|error| Error::failed(error.to_string())),
        }
    };
    let code = caller.call("load", limits.create, loading).await;
    let (hosted, runner) = match (code.map_err(|error| Refusal::of_driver(&error))??, spawner) {
        (Code::Mapped(module), _) => (Hosted::InProcess(module), None),
        (Code::Copied(copy), Some(spawner)) => {
            let runner = Runner::new(
                spawner,
                id.clone(),
                (copy, data_dir.clone()),
                (&options.hosting.rations, limits),
                caller.clone(),
            );
            (Hosted::Process(runner.clone()), Some(runner))
        }
        (Code::Copied(_), None) => return Err(Refusal::of_driver(&"nothing starts its process")),
    };
    let Listed { path, sha256, .. } = entry;
    let sha256 = sha256.unwrap_or_default();
    let birth = Birth {
        id,
        manifest,
        path,
        sha256,
        data_dir,
        definition,
        hosted,
        caller,
        limits,
        services,
    };
    Driver::new(birth).await.map_err(|reason| Refusal {
        reason,
        is_passing: runner.is_some_and(|runner| runner.never_started()),
    })
}

/// A driver's library on its way.
enum Code {
    Mapped(DriverModule_Ref),
    Copied(PrivateCopy),
}

fn make_data_dir(dir: &Path) -> Result<(), String> {
    private_dir(dir).map_err(|error| {
        format!("cannot make the driver's folder {}: {}", dir.display(), cause(&error))
    })
}
