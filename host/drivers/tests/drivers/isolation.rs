//! Drivers in processes of their own: whatever they do, the host and other drivers go on.

use std::{
    fs,
    time::{Duration, Instant},
};

use adit_drivers::{
    call::CallError,
    handle::{Condition, Driver, Instance, Isolation},
    registry::{Drivers, Options, State},
};
use adit_plugin_api::{HttpRequest, Launch};

use crate::place::{PATIENCE, Place, entry, get, miner};

const SOON: Duration = Duration::from_secs(2);

async fn load(place: &Place, change: impl FnOnce(&mut Options)) -> (Drivers, Driver) {
    let mut options = place.process_options();
    change(&mut options);
    let drivers = place.load_with(options).await;
    let faulty = get(&drivers, "faulty");
    assert_eq!(faulty.isolation(), Isolation::Process);
    (drivers, faulty)
}

/// Asks for a request that has the fault `kind`.
async fn request(object: &Instance, kind: &str) -> Result<String, CallError> {
    let request = HttpRequest { path: format!("/{kind}"), ..HttpRequest::default() };
    let response = object.request(request).await?;
    Ok(String::from_utf8_lossy(&response.body).into_owned())
}

/// Asks until the process is there again.
async fn wait_until_healthy(object: &Instance) {
    let waiting = async {
        while object.is_healthy().await != Ok(true) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("the driver works again");
}

async fn wait_for(what: &str, mut is_true: impl FnMut() -> bool) {
    let waiting = async {
        while !is_true() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "{what}");
}

fn is_gone(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.is_empty() || stat.rsplit(')').next().unwrap().trim().starts_with('Z')
}

/// The process ends with the call, is told so, and the next call finds another.
async fn check_crash(kind: &str, cause: &str) {
    let place = Place::with_drivers();
    let (drivers, faulty) = load(&place, |_| {}).await;
    let object = faulty.instance(Some(&miner("rig-1"))).await.unwrap();
    let first = faulty.runner().unwrap();
    let error = request(&object, kind).await.unwrap_err();
    let told = error.to_string();
    assert!(matches!(error, CallError::Ended { op: "request", .. }), "{told}");
    assert!(told.contains(cause) && !told.contains('\n'), "{kind}: {told}");
    wait_for("the end is noted", || faulty.condition().0 == Condition::Failed).await;
    let listed = entry(&drivers, &place.path("faulty.so"));
    assert_eq!(listed.state, State::Failed);
    assert!(listed.reason.unwrap().contains(cause));
    assert!(is_gone(first.pid.unwrap()));
    let other = get(&drivers, "minimal").instance(None).await.unwrap();
    assert_eq!(other.is_healthy().await, Ok(true));
    // The same object, made anew in a new process.
    place.log.clear();
    assert_eq!(object.is_healthy().await, Ok(true));
    place.log.wait("object with the fault \"rig-1\"").await;
    let second = faulty.runner().unwrap();
    assert!(second.pid != first.pid && second.starts == 2);
    assert_eq!((faulty.condition().0, faulty.health().crashes), (Condition::Well, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exit_of_the_driver_is_survived() {
    check_crash("exit", "exit status 7").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abort_of_the_driver_is_survived() {
    check_crash("abort", "signal 6 (SIGABRT)").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wild_pointer_of_the_driver_is_survived() {
    check_crash("segv", "signal 11 (SIGSEGV)").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_recursion_of_the_driver_is_survived() {
    check_crash("overflow", "stack overflow").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_to_the_host_is_survived() {
    check_crash("socket", "it broke the protocol: a frame of 4294967295 bytes").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_that_fills_the_memory_is_stopped_at_its_limit() {
    let place = Place::with_drivers();
    let (_drivers, faulty) =
        load(&place, |options| options.hosting.rations.memory_bytes = 128 << 20).await;
    let object = faulty.instance(None).await.unwrap();
    let told = request(&object, "bomb").await.unwrap_err().to_string();
    assert!(told.contains("memory allocation of 1048576 bytes failed"), "{told}");
    wait_until_healthy(&object).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_never_return_end_with_the_process() {
    for kind in ["hang", "spin"] {
        let place = Place::with_drivers();
        let (_drivers, faulty) = load(&place, |options| options.limits.call = SOON).await;
        let object = faulty.instance(None).await.unwrap();
        let pid = faulty.runner().unwrap().pid.unwrap();
        let late = request(&object, kind).await;
        assert_eq!(late, Err(CallError::Deadline { op: "request", after: SOON }));
        wait_for("the process is killed", || is_gone(pid)).await;
        wait_until_healthy(&object).await;
        let cause = faulty.runner().unwrap().last_end.unwrap().cause;
        assert!(cause.ends_with("request did not return, so its process was killed"), "{cause}");
        assert_eq!(faulty.health().stuck, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wedged_process_is_killed_at_once_and_takes_calls_again() {
    let place = Place::with_drivers();
    let (_drivers, faulty) = load(&place, |options| {
        options.limits.call = SOON;
        options.limits.calls_at_once = 2;
    })
    .await;
    let object = faulty.instance(None).await.unwrap();
    let (one, two) = tokio::join!(request(&object, "hang"), request(&object, "hang"));
    for late in [one, two] {
        assert_eq!(late, Err(CallError::Deadline { op: "request", after: SOON }));
    }
    wait_until_healthy(&object).await;
    assert_eq!((faulty.health().stuck, faulty.condition().0), (0, Condition::Well));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_keeps_ending_is_started_after_a_pause() {
    let place = Place::with_drivers();
    let (_drivers, faulty) = load(&place, |_| {}).await;
    let object = faulty.instance(None).await.unwrap();
    for _ in 0..3 {
        let began = Instant::now();
        request(&object, "abort").await.unwrap_err();
        wait_for("the end is noted", || faulty.condition().0 == Condition::Failed).await;
        match object.is_healthy().await {
            Ok(_) => {
                let pause = Duration::from_secs(faulty.health().crashes.saturating_sub(1));
                assert!(began.elapsed() >= pause, "{:?}", began.elapsed());
            }
            Err(error) => {
                let told = error.to_string();
                assert!(told.contains("it is started again in "), "{told}");
            }
        }
        wait_until_healthy(&object).await;
    }
    assert_eq!(faulty.runner().unwrap().starts, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_costs_the_call_and_not_the_process() {
    let place = Place::with_drivers();
    let (_drivers, faulty) = load(&place, |_| {}).await;
    let object = faulty.instance(Some(&miner("panic-stats"))).await.unwrap();
    let error = object.stats(Launch::default(), Vec::new()).await.unwrap_err();
    let message = "the driver panicked in stats: panic on demand".to_owned();
    assert_eq!(error, CallError::Panicked { op: "stats", message });
    place.log.wait("panic on demand").await;
    let huge = request(&object, "huge").await.unwrap_err();
    assert!(huge.to_string().contains("more than the 4194304 allowed"), "{huge}");
    assert_eq!((faulty.runner().unwrap().starts, faulty.health().panics), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_that_crashes_as_it_is_made_is_refused_with_the_cause() {
    let place = Place::with_drivers();
    fs::create_dir_all(place.data_dir("faulty")).unwrap();
    for (fault, reason) in [("segv-create", "signal 11"), ("exit-describe", "exit status 7")] {
        fs::write(place.data_dir("faulty").join("fault"), fault).unwrap();
        let drivers = place.load_with(place.process_options()).await;
        let listed = entry(&drivers, &place.path("faulty.so"));
        assert_eq!(listed.state, State::Refused);
        assert!(listed.reason.as_ref().unwrap().contains(reason), "{:?}", listed.reason);
        get(&drivers, "minimal");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_a_driver_that_nobody_holds() {
    let place = Place::with_drivers();
    let (drivers, faulty) = load(&place, |_| {}).await;
    let object = faulty.instance(None).await.unwrap();
    let pid = faulty.runner().unwrap().pid.unwrap();
    assert_eq!(place.copies(), 2);
    drop((drivers, faulty));
    assert_eq!(object.is_healthy().await, Ok(true), "who holds an object may use it");
    drop(object);
    wait_for("the process is gone", || is_gone(pid)).await;
    wait_for("the copies are gone", || place.copies() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kernel_keeps_a_driver_to_what_it_needs() {
    let place = Place::with_drivers();
    let (_drivers, faulty) = load(&place, |_| {}).await;
    let object = faulty.instance(None).await.unwrap();
    let rules = faulty.runner().unwrap().confinement.unwrap();
    assert!(rules.memory.enforced && rules.cpu.enforced, "{rules:?}");
    assert_eq!(request(&object, "reach/own").await.unwrap(), "mine");
    for (what, rule) in [
        ("network", &rules.network),
        ("files", &rules.files),
        ("elsewhere", &rules.files),
        ("programs", &rules.calls),
    ] {
        let reached = request(&object, &format!("reach/{what}")).await.unwrap();
        // A kernel without the means says so; one with them must use them.
        assert_eq!(reached.starts_with("refused: "), rule.enforced, "{what}: {reached}");
    }
    if rules.calls.enforced {
        let told = request(&object, "fork").await.unwrap_err().to_string();
        assert!(told.contains("no fork: Operation not permitted"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_uses_the_network_only_where_the_settings_say_so() {
    let place = Place::with_drivers();
    let (_drivers, faulty) = load(&place, |options| {
        let id = adit_model::name::DriverId::new("faulty").unwrap();
        options.hosting.rations.network = [id].into();
    })
    .await;
    let object = faulty.instance(None).await.unwrap();
    let reached = request(&object, "reach/network").await.unwrap();
    // Nobody listens there.
    assert!(reached.contains("refused: Connection refused"), "{reached}");
    let rules = faulty.runner().unwrap().confinement.unwrap();
    assert!(rules.network.detail.contains("drivers.network"), "{rules:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_that_computes_on_and_on_by_itself_is_stopped() {
    let place = Place::with_drivers();
    let (_drivers, faulty) = load(&place, |options| options.hosting.rations.cpu_percent = 5).await;
    let object = faulty.instance(Some(&miner("spin-thread"))).await.unwrap();
    wait_for("the process is stopped", || faulty.health().crashes == 1).await;
    let cause = faulty.runner().unwrap().last_end.unwrap().cause;
    assert!(cause.contains("SIGXCPU"), "{cause}");
    drop(object);
}
