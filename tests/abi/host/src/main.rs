//! A host of the made-up next version of the driver API. Loads the driver in the file that is its
//! argument as the real host does and prints what it answers, as JSON.

use std::{error::Error, sync::Arc};

use abi_stable::{
    StableAbi,
    abi_stability::abi_checking::check_layout_compatibility,
    library::{AbiHeaderRef, LibraryError, ROOT_MODULE_LOADER_NAME_WITH_NUL},
};
use adit_plugin_api::{
    Context, DriverObject, Host, LogLevel, PeerId, PerformanceMetrics, Result as Answer, Services,
    abi::DriverModule_Ref, json,
};
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args_os().nth(1).ok_or("name a driver's file")?;
    let module = load(&file)?;
    let host = Host::new(Arc::new(Clock));
    let context = Context { driver: "fixture".to_owned(), host, ..Context::default() };
    let driver = DriverObject::create(module, &context)?;
    let description = driver.describe()?;
    let explained = driver.explain("shares").unwrap_or_else(|error| error.message);
    println!(
        "{}",
        json!({
            "name": description.name,
            "tags": description.tags,
            "explained": explained,
            "healthy": driver.is_healthy()?,
        })
    );
    Ok(())
}

fn load(file: &std::ffi::OsStr) -> Result<DriverModule_Ref, Box<dyn Error>> {
    // SAFETY: the test that names the file knows that it is a driver.
    let library = unsafe { Library::open(Some(file), RTLD_NOW | RTLD_LOCAL) }?;
    let library: &'static Library = Box::leak(Box::new(library));
    // SAFETY: a driver exports its header under this name.
    let symbol =
        unsafe { library.get::<AbiHeaderRef>(ROOT_MODULE_LOADER_NAME_WITH_NUL.as_bytes()) }?;
    let header = symbol.upgrade()?;
    let theirs = header.layout().ok_or("the driver does not describe its types")?;
    match header.init_root_module::<DriverModule_Ref>() {
        Err(LibraryError::AbiInstability(error)) => {
            check_layout_compatibility(theirs, <DriverModule_Ref as StableAbi>::LAYOUT)
                .map_err(|_| error.to_string())?;
            // SAFETY: the layouts were compared just above, the other way round.
            Ok(unsafe { header.init_root_module_with_unchecked_layout() }?)
        }
        other => Ok(other?),
    }
}

/// A host that has nothing but the time.
struct Clock;

impl Services for Clock {
    fn log(&self, _: LogLevel, _: &str, _: &str) {}

    fn storage_get(&self, _: &str) -> Answer<Option<Vec<u8>>> {
        Ok(None)
    }

    fn storage_put(&self, _: &str, _: Option<&[u8]>) -> Answer<()> {
        Ok(())
    }

    fn storage_keys(&self, _: &str) -> Answer<Vec<String>> {
        Ok(Vec::new())
    }

    fn publish(&self, _: &PerformanceMetrics) -> Answer<()> {
        Ok(())
    }

    fn send(&self, _: &PeerId, _: &[u8]) -> Answer<Vec<u8>> {
        Ok(Vec::new())
    }

    fn now_ms(&self) -> Answer<u64> {
        Ok(1_000)
    }
}
