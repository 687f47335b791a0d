//! The compiled library, loaded as a host loads it: what the driver's own copies of the standard
//! library and of `log` do can be seen only here.

use std::{
    env, fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use abi_stable::library::{AbiHeaderRef, ROOT_MODULE_LOADER_NAME_WITH_NUL};
use adit_plugin_api::{
    Command, Config, Context, DriverObject, Error, ErrorKind, HttpRequest, Installed, LogLevel,
    PeerId, Result, Target,
    abi::DriverModule_Ref,
    testing::{self, Logged, TestHost},
};

fn file() -> PathBuf {
    let name = format!("{}faulty_driver{}", env::consts::DLL_PREFIX, env::consts::DLL_SUFFIX);
    env::current_exe().expect("a running test has a path").with_file_name(name)
}

fn load(path: &Path) -> DriverModule_Ref {
    // SAFETY: the library is this package's own; its constructors do nothing.
    let library = unsafe { libloading::Library::new(path) }.expect("the library loads");
    let library = Box::leak(Box::new(library));
    let symbol = ROOT_MODULE_LOADER_NAME_WITH_NUL.as_bytes();
    // SAFETY: a driver exports its header under this name.
    let header = unsafe { library.get::<AbiHeaderRef>(symbol) }.expect("the header is exported");
    let header = header.upgrade().expect("the header is of this abi_stable");
    assert!(header.layout().is_some(), "the layout is there to be checked");
    header.init_root_module().expect("the layouts agree")
}

fn object(host: &TestHost, miner: &str) -> Result<DriverObject> {
    let context = Context { miner: Some(miner.to_owned()), ..host.context() };
    DriverObject::create(load(&file()), &context)
}

/// Asks everything once and returns what failed.
fn ask_all(driver: &DriverObject) -> Vec<(&'static str, Error)> {
    let launch = testing::launch();
    let results = [
        ("describe", driver.describe().err()),
        ("install", driver.install(&Target::default()).err()),
        ("uninstall", driver.uninstall(&Installed::default()).err()),
        ("version", driver.version("sim 1.0").err()),
        ("start", driver.start(&Config::default(), &launch).err()),
        ("stop", driver.stop(&launch).err()),
        ("probes", driver.probes(&launch).err()),
        ("stats", driver.stats(&launch, &[]).err()),
        ("output", driver.output(&["a line"]).err()),
        ("command", driver.command(&Command::default(), &launch).err()),
        ("request", driver.request(&HttpRequest::default()).err()),
        ("message", driver.message(&PeerId("p".to_owned()), b"").err()),
        ("healthy", driver.is_healthy().err()),
    ];
    results.into_iter().filter_map(|(entry, error)| Some((entry, error?))).collect()
}

fn panics(host: &TestHost) -> Vec<Logged> {
    host.logs().into_iter().filter(|logged| logged.target == "panic").collect()
}

#[test]
fn without_a_fault_everything_is_answered() {
    let host = testing::host();
    let driver = object(&host, "rig-1").unwrap();
    assert_eq!(ask_all(&driver), []);
    let logs = host.logs();
    assert_eq!(logs.len(), 1, "{logs:?}");
    assert_eq!((logs[0].level, logs[0].target.as_str()), (LogLevel::Info, "faulty_driver"));
}

#[test]
fn a_panic_is_an_error_and_its_place_is_in_the_hosts_log() {
    let entries = [
        "describe",
        "install",
        "uninstall",
        "version",
        "start",
        "stop",
        "probes",
        "stats",
        "output",
        "command",
        "request",
        "message",
        "healthy",
    ];
    for entry in entries {
        let host = testing::host();
        let driver = object(&host, &format!("panic-{entry}")).unwrap();
        let errors = ask_all(&driver);
        assert_eq!(errors.len(), 1, "{entry}: {errors:?}");
        assert_eq!((errors[0].0, errors[0].1.kind), (entry, ErrorKind::Panicked));
        let panics = panics(&host);
        assert_eq!(panics.len(), 1, "{entry}: {panics:?}");
        assert!(panics[0].message.contains("fault.rs:"), "{panics:?}");
        assert!(panics[0].message.contains("panic on demand"), "{panics:?}");
    }
}

#[test]
fn a_panic_while_an_object_is_made_or_dropped_is_contained() {
    let host = testing::host();
    let error = object(&host, "panic-create").unwrap_err();
    assert_eq!(error.message, "the driver panicked in create: panic on demand");
    drop(object(&host, "panic-drop").unwrap());
    assert_eq!(panics(&host).len(), 2);
    assert_eq!(ask_all(&object(&host, "rig-1").unwrap()), []);
}

#[test]
fn a_panic_on_the_drivers_own_thread_reaches_the_first_host() {
    let host = testing::host();
    // A copy has statics of its own, so that this host is its first.
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.so");
    fs::copy(file(), &copy).unwrap();
    let context = Context { miner: Some("panic-thread".to_owned()), ..host.context() };
    let driver = DriverObject::create(load(&copy), &context).unwrap();

    let limit = Instant::now() + Duration::from_secs(60);
    while panics(&host).is_empty() && Instant::now() < limit {
        thread::yield_now();
    }
    let panics = panics(&host);
    assert_eq!(panics.len(), 1, "{panics:?}");
    assert!(panics[0].message.contains("in thread faulty: panic on demand"), "{panics:?}");
    assert_eq!(ask_all(&driver), []);
}

#[test]
fn a_reply_that_is_too_large_is_refused() {
    for entry in ["describe", "install", "version", "start", "stats", "output", "request"] {
        let driver = object(&testing::host(), &format!("huge-{entry}")).unwrap();
        let errors = ask_all(&driver);
        assert_eq!(errors.len(), 1, "{entry}: {errors:?}");
        assert!(errors[0].1.message.contains("4194304 allowed"), "{errors:?}");
    }
    let error = object(&testing::host(), "huge-create").unwrap_err();
    assert!(error.message.len() <= 16 << 10);
}

#[test]
#[ignore = "run by the test below, as the process that dies"]
fn dies_of_its_fault() {
    let fault = env::var("FAULT").unwrap();
    drop(object(&testing::host(), &fault).map(|driver| ask_all(&driver)));
}

#[cfg(unix)]
#[test]
fn a_fault_that_nothing_contains_ends_the_process_as_said() {
    use std::os::unix::process::ExitStatusExt;

    #[expect(clippy::disallowed_methods, reason = "the process is this test and is waited for")]
    let die = |fault: &str| {
        let mut command = std::process::Command::new(env::current_exe().unwrap());
        command.args(["--ignored", "--exact", "dies_of_its_fault"]).env("FAULT", fault);
        let status = command.output().unwrap().status;
        (status.code(), status.signal())
    };
    assert_eq!(die("rig-1"), (Some(0), None));
    assert_eq!(die("exit-start"), (Some(7), None));
    assert_eq!(die("abort-stats"), (None, Some(6)));
    assert_eq!(die("segv-probes"), (None, Some(11)));
    let (code, signal) = die("overflow-create");
    assert!(code.is_none() && matches!(signal, Some(6 | 11)), "{signal:?}");
}
