//! From a file that passed all checks to a driver that answers.

use std::path::Path;

use adit_plugin_api::{Error, abi::DriverModule_Ref};

use crate::drivers::{
    call::{Caller, CallerOptions},
    handle::{Birth, Driver, Hosted, ServicesFactory},
    load::{self, LoadError, PrivateCopy, private_dir},
    registry::{Listed, Options, find::Rival},
    runner::Runner,
    search::cause,
};

/// Loads it and asks it what it offers. The error is a reason.
pub(super) async fn load_one(
    rival: Rival,
    options: &Options,
    services: ServicesFactory,
) -> Result<Driver, String> {
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
        make_data_dir(&own_dir).map_err(Error::failed)?;
        tracing::debug!(driver = %name, in_process, "loading");
        let failed = |error: LoadError| Error::failed(error.to_string());
        if in_process {
            return load::load(&image.bytes, &copies).map(Code::Mapped).map_err(failed);
        }
        PrivateCopy::new(&image.bytes, &copies).map(Code::Copied).map_err(failed)
    };
    let code = caller.call("load", limits.create, loading).await;
    let hosted = match (code.map_err(|error| error.to_string())?, spawner) {
        (Code::Mapped(module), _) => Hosted::InProcess(module),
        (Code::Copied(copy), Some(spawner)) => Hosted::Process(Runner::new(
            spawner,
            id.clone(),
            (copy, data_dir.clone()),
            (&options.hosting.rations, limits),
            caller.clone(),
        )),
        (Code::Copied(_), None) => return Err("nothing starts its process".to_owned()),
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
    Driver::new(birth).await
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
