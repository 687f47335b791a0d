//! A driver that panics, hangs, or answers too much.

use std::{fs, time::Duration};

use adit_drivers::{
    call::CallError,
    handle::{Driver, Instance, Limits},
    registry::State,
};
use adit_plugin_api::{Command, Config, ErrorKind, HttpRequest, Installed, Launch, PeerId, Target};

use crate::place::{PATIENCE, Place, entry, get, miner};

/// The entry points that an object has. `create`, `describe` and `drop` are asked by the host.
const OPS: [&str; 12] = [
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
    "is_healthy",
];

/// A limit that a hanging call reaches soon.
const SOON: Duration = Duration::from_secs(2);

/// Asks an object for a miner that is named after its fault, such as `panic-start`.
async fn ask(driver: &Driver, kind: &str, op: &str) -> Result<(), CallError> {
    let name = format!("{kind}-{}", if op == "is_healthy" { "healthy" } else { op });
    let object = driver.instance(Some(&miner(&name))).await?;
    ask_object(&object, op).await
}

async fn ask_object(object: &Instance, op: &str) -> Result<(), CallError> {
    let (config, launch) = (Config::default(), launch());
    match op {
        "install" => object.install(Target::default()).await.map(drop),
        "uninstall" => object.uninstall(Installed::default()).await,
        "version" => object.version("1.2.3".to_owned()).await.map(drop),
        "start" => object.start(config, launch).await.map(drop),
        "stop" => object.stop(launch).await.map(drop),
        "probes" => object.probes(launch).await.map(drop),
        "stats" => object.stats(launch, Vec::new()).await.map(drop),
        "output" => object.output(vec!["line".to_owned()]).await.map(drop),
        "command" => object.command(Command::default(), launch).await.map(drop),
        "request" => object.request(HttpRequest::default()).await.map(drop),
        "message" => object.message(PeerId("peer".to_owned()), Vec::new()).await.map(drop),
        "is_healthy" => object.is_healthy().await.map(drop),
        other => panic!("no entry point {other}"),
    }
}

fn launch() -> Launch {
    Launch { program: Some(Installed::default()), ..Launch::default() }
}

async fn assert_others_work(other: &Driver) {
    let object = other.instance(None).await.unwrap();
    assert_eq!(object.is_healthy().await, Ok(true));
    assert_eq!(other.health().failures, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_any_entry_point_is_an_error_of_that_call_alone() {
    let place = Place::with_drivers();
    let drivers = place.load().await;
    let faulty = get(&drivers, "faulty");
    for op in OPS {
        let name = if op == "is_healthy" { "is_healthy" } else { op };
        let message = format!("the driver panicked in {name}: panic on demand");
        assert_eq!(ask(&faulty, "panic", op).await, Err(CallError::Panicked { op, message }));
        assert_eq!(ask(&faulty, "sane", op).await, Ok(()), "{op} on another object");
    }
    let created = faulty.instance(Some(&miner("panic-create"))).await;
    let message = "the driver panicked in create: panic on demand".to_owned();
    assert_eq!(created.unwrap_err(), CallError::Panicked { op: "create", message });

    let health = faulty.health();
    assert_eq!((health.panics, health.failures, health.stuck), (13, 13, 0));
    let last = health.last_failure.unwrap();
    assert_eq!(last.op, "create");
    assert_eq!(last.message, "the driver panicked in create: panic on demand");
    assert_others_work(&get(&drivers, "minimal")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_of_a_destructor_or_of_a_drivers_thread_is_logged() {
    let place = Place::with_drivers();
    let drivers = place.load().await;
    let faulty = get(&drivers, "faulty");
    for name in ["panic-drop", "panic-thread"] {
        let object = faulty.instance(Some(&miner(name))).await.unwrap();
        faulty.forget(&miner(name));
        drop(object);
        place.log.wait(&format!("object with the fault \"{name}\"")).await;
        place.log.wait("panic on demand").await;
        place.log.clear();
    }
    assert_eq!(ask(&faulty, "sane", "start").await, Ok(()));
}

#[test]
fn a_hang_in_any_entry_point_ends_at_its_deadline() {
    // The threads stay in the driver for an hour; a runtime would wait for them at its end.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let place = Place::with_drivers();
        let mut options = place.options();
        options.limits = Limits { call: SOON, create: PATIENCE, calls_at_once: 64 };
        let drivers = place.load_with(options).await;
        let faulty = get(&drivers, "faulty");
        let asking = OPS.map(|op| {
            let faulty = faulty.clone();
            tokio::spawn(async move { ask(&faulty, "hang", op).await })
        });
        for (asked, op) in asking.into_iter().zip(OPS) {
            let deadline = CallError::Deadline { op, after: SOON };
            assert_eq!(asked.await.unwrap(), Err(deadline));
        }
        let health = faulty.health();
        assert_eq!((health.timeouts, health.failures, health.stuck), (12, 12, 12));

        // A destructor that hangs holds nobody up.
        let object = faulty.instance(Some(&miner("hang-drop"))).await.unwrap();
        faulty.forget(&miner("hang-drop"));
        drop(object);
        assert_eq!(get(&drivers, "minimal").health().failures, 0);
    });
    runtime.shutdown_timeout(SOON);
}

#[test]
fn a_driver_with_three_stuck_calls_is_wedged_and_no_other() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let place = Place::with_drivers();
        let mut options = place.options();
        options.limits = Limits { call: SOON, create: PATIENCE, ..Limits::default() };
        let drivers = place.load_with(options).await;
        let faulty = get(&drivers, "faulty");
        for op in ["stats", "probes", "output"] {
            let deadline = CallError::Deadline { op, after: SOON };
            assert_eq!(ask(&faulty, "hang", op).await, Err(deadline));
        }
        let own = faulty.instance(None).await.unwrap();
        for op in OPS {
            let wedged = ask_object(&own, op).await.unwrap_err();
            assert_eq!(wedged, CallError::Wedged { op, stuck: 3 });
        }
        let wedged = faulty.instance(Some(&miner("new"))).await.unwrap_err();
        assert_eq!(
            wedged.to_string(),
            "the driver is wedged: 3 calls never returned; create was not called"
        );
        let minimal = get(&drivers, "minimal");
        let object = minimal.instance(Some(&miner("new"))).await.unwrap();
        assert!(object.version("miner 1.2.3".to_owned()).await.is_ok());
    });
    // Without this the end of the runtime waits for the three calls.
    runtime.shutdown_timeout(SOON);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_huge_reply_is_refused_in_any_entry_point() {
    let place = Place::with_drivers();
    let drivers = place.load().await;
    let faulty = get(&drivers, "faulty");
    for op in OPS.into_iter().filter(|op| *op != "is_healthy") {
        let error = ask(&faulty, "huge", op).await.unwrap_err();
        let CallError::Refused { op: refused, kind, message } = error else {
            panic!("{op}: {error}");
        };
        assert_eq!((refused, kind), (op, ErrorKind::Failed));
        assert!(message.len() <= 16 << 10, "{op}: {} bytes", message.len());
        assert_eq!(ask(&faulty, "sane", op).await, Ok(()));
    }
    let error = faulty.instance(Some(&miner("huge-create"))).await.unwrap_err();
    assert!(error.to_string().len() <= 16 << 10);
    assert!(faulty.health().last_failure.unwrap().message.len() < 2000);
    assert_others_work(&get(&drivers, "minimal")).await;
}

#[test]
fn a_driver_that_cannot_make_or_describe_itself_is_listed_with_the_reason() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let place = Place::with_drivers();
        fs::create_dir_all(place.data_dir("faulty")).unwrap();
        for (fault, reason) in [
            ("panic-create", "the driver panicked in create: panic on demand"),
            ("panic-describe", "the driver panicked in describe: panic on demand"),
            ("hang-create", "the driver did not answer create within 2s"),
            ("hang-describe", "the driver did not answer describe within 2s"),
            ("huge-create", "xxx"),
            ("huge-describe", "the driver's description has "),
            ("garbage-describe", "the defaults of its configuration are no object"),
        ] {
            fs::write(place.data_dir("faulty").join("fault"), fault).unwrap();
            let mut options = place.options();
            if fault.starts_with("hang") {
                options.limits = Limits { call: SOON, create: SOON, ..options.limits };
            }
            let drivers = place.load_with(options).await;
            let listed = entry(&drivers, &place.path("faulty.so"));
            assert_eq!(listed.state, State::Refused);
            let found = listed.reason.unwrap();
            assert!(found.starts_with(reason) && found.len() < 2000, "{fault}: {found}");
            if !fault.starts_with("hang") {
                get(&drivers, "minimal");
            }
        }
    });
    runtime.shutdown_timeout(SOON);
}
