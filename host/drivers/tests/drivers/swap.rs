//! Files of drivers that come, change and go while the host runs.

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use adit_drivers::{
    call::CallError,
    handle::{Condition, Isolation},
    health::Tolerance,
    lock::Trust,
    news::News,
    registry::{Drivers, Options, State},
};
use adit_plugin_api::{HttpRequest, Value};
use tokio_util::sync::CancellationToken;

use crate::place::{PATIENCE, Place, built, entry, get, id, miner, patch};

/// What was told, in order.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<(&'static str, Value)>>>);

impl Told {
    fn news(&self) -> News {
        let told = self.clone();
        News::to(Arc::new(move |kind, data| told.0.lock().unwrap().push((kind, data))))
    }

    fn take(&self) -> Vec<&'static str> {
        self.0.lock().unwrap().drain(..).map(|(kind, _)| kind).collect()
    }
}

fn version(version: &str) -> Vec<u8> {
    patch(&built("faulty_driver"), "version=0.1.0\0", &format!("version={version}\0"))
}

fn options(place: &Place, told: &Told) -> Options {
    Options { news: told.news(), ..place.options() }
}

async fn wait_for(what: &str, mut is_true: impl FnMut() -> bool) {
    let waiting = async {
        while !is_true() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "{what}");
}

fn has(drivers: &Drivers, version: &str) -> bool {
    drivers.get(&id("faulty")).is_some_and(|driver| driver.manifest().version == version)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_is_loaded_replaced_and_removed_with_its_file() {
    let (place, told) = (Place::new(), Told::default());
    let drivers = place.load_with(options(&place, &told)).await;
    let ending = CancellationToken::new();
    let watching = tokio::spawn({
        let (drivers, ending) = (drivers.clone(), ending.clone());
        async move { drivers.watch(ending).await }
    });
    let path = place.put("faulty.so", &version("0.1.0"));
    wait_for("it is loaded", || has(&drivers, "0.1.0")).await;
    let old = get(&drivers, "faulty");
    let object = old.instance(Some(&miner("rig-1"))).await.unwrap();

    // As `cp` does it: the same file, written over, and for a while half of it.
    let next = version("0.2.0");
    place.put("faulty.so", &next[..next.len() / 2]);
    // On a slow disk it may be seen empty before.
    let refused = || entry(&drivers, &path).reason.unwrap_or_default();
    let is_half = || refused().starts_with("damaged or truncated file");
    wait_for("the half is refused", is_half).await;
    let reason = refused();
    assert_eq!(entry(&drivers, &path).state, State::Refused);
    assert!(reason.ends_with("version 0.1.0, loaded before, serves on"), "{reason}");
    assert!(has(&drivers, "0.1.0"), "the old one serves");
    place.put("faulty.so", &next);
    wait_for("it is replaced", || has(&drivers, "0.2.0")).await;
    let new = get(&drivers, "faulty").instance(Some(&miner("rig-1"))).await.unwrap();
    assert_eq!(new.version("1.2.3".to_owned()).await.as_deref(), Ok("1.2.3"));
    assert_eq!(object.is_healthy().await, Ok(true), "what holds the old one may use it");

    fs::remove_file(&path).unwrap();
    wait_for("it is removed", || drivers.get(&id("faulty")).is_none()).await;
    assert!(drivers.list().is_empty());
    ending.cancel();
    watching.await.unwrap();
    let mut kinds = told.take();
    kinds.dedup();
    let expected = ["driver.loaded", "driver.refused", "driver.replaced", "driver.removed"];
    assert_eq!(kinds, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_machine_has_no_room_for_is_loaded_by_itself_later() {
    let (place, told) = (Place::with_drivers(), Told::default());
    let data = place.data_dir("faulty").parent().unwrap().to_owned();
    fs::write(&data, "no folder can be made here").unwrap();
    let drivers = place.load_with(options(&place, &told)).await;
    assert_eq!(drivers.retried(), 2);
    let listed = entry(&drivers, &place.path("faulty.so"));
    assert_eq!((listed.state, listed.is_retried), (State::Refused, true));
    assert!(listed.reason.unwrap().starts_with("cannot make the driver's folder"));
    drivers.refresh().await;
    assert_eq!(told.take(), ["driver.refused", "driver.refused"], "it is reported once");

    let ending = CancellationToken::new();
    let watching = tokio::spawn({
        let (drivers, ending) = (drivers.clone(), ending.clone());
        async move { drivers.watch(ending).await }
    });
    fs::remove_file(&data).unwrap();
    wait_for("both are loaded", || drivers.loaded().count() == 2).await;
    assert_eq!(
        (drivers.retried(), entry(&drivers, &place.path("faulty.so")).is_retried),
        (0, false)
    );
    ending.cancel();
    watching.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_did_not_change_is_left_alone() {
    let (place, told) = (Place::with_drivers(), Told::default());
    let drivers = place.load_with(options(&place, &told)).await;
    let loaded_at = get(&drivers, "faulty").loaded_at();
    assert_eq!(told.take(), ["driver.loaded", "driver.loaded"]);
    place.put("text.so", b"text");
    drivers.refresh().await;
    assert_eq!(told.take(), ["driver.refused"]);
    drivers.refresh().await;
    assert!(told.take().is_empty());
    assert_eq!(get(&drivers, "faulty").loaded_at(), loaded_at);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_higher_version_serves_and_the_other_takes_over_when_it_goes() {
    let (place, told) = (Place::new(), Told::default());
    let low = place.put("a.so", &version("0.1.0"));
    let drivers = place.load_with(options(&place, &told)).await;
    let high = place.put("b.so", &version("0.2.0"));
    drivers.refresh().await;
    assert!(has(&drivers, "0.2.0"));
    let reason = entry(&drivers, &low).reason.unwrap();
    assert!(reason.contains("taken by") && reason.contains("higher version 0.2.0"), "{reason}");
    fs::remove_file(high).unwrap();
    drivers.refresh().await;
    assert!(has(&drivers, "0.1.0"));
    let expected = ["driver.loaded", "driver.replaced", "driver.refused", "driver.replaced"];
    assert_eq!(told.take(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_that_fails_repeatedly_is_in_quarantine_until_it_is_cleared() {
    for isolation in [Isolation::InProcess, Isolation::Process] {
        let (place, told) = (Place::with_drivers(), Told::default());
        let hosting = match isolation {
            Isolation::InProcess => place.options().hosting,
            Isolation::Process => place.process_options().hosting,
        };
        let tolerance = Tolerance { failures: 3, ..Tolerance::default() };
        let options = Options { hosting, tolerance, ..options(&place, &told) };
        let drivers = place.load_with(options).await;
        told.take();
        let faulty = get(&drivers, "faulty");
        let object = faulty.instance(Some(&miner("rig-1"))).await.unwrap();
        let panic = || HttpRequest { path: "/panic".to_owned(), ..HttpRequest::default() };
        for _ in 0..3 {
            let error = object.request(panic()).await.unwrap_err();
            assert!(matches!(error, CallError::Panicked { .. }), "{error}");
        }
        let refused = object.is_healthy().await.unwrap_err().to_string();
        assert!(refused.starts_with("the driver is in quarantine since 20"), "{refused}");
        assert!(refused.contains("after 3 failures, the last: the driver panicked"), "{refused}");
        assert!(refused.ends_with("run: adit driver clear faulty"), "{refused}");
        faulty.instance(Some(&miner("rig-2"))).await.unwrap_err();
        assert_eq!(faulty.condition().0, Condition::Quarantined);
        let listed = entry(&drivers, &place.path("faulty.so"));
        assert_eq!((listed.state, listed.reason), (State::Quarantined, Some(refused)));
        assert_eq!(get(&drivers, "minimal").condition().0, Condition::Well);

        let cleared = drivers.clear(&id("faulty")).await.unwrap();
        assert_eq!((cleared.condition().0, cleared.isolation()), (Condition::Well, isolation));
        let object = cleared.instance(Some(&miner("rig-1"))).await.unwrap();
        assert_eq!(object.is_healthy().await, Ok(true));
        let expected = ["driver.quarantined", "driver.replaced", "driver.cleared"];
        assert_eq!(told.take(), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_that_could_not_be_loaded_is_tried_again_when_it_changes_or_is_cleared() {
    let (place, told) = (Place::with_drivers(), Told::default());
    fs::create_dir_all(place.data_dir("faulty")).unwrap();
    let fault = place.data_dir("faulty").join("fault");
    fs::write(&fault, "panic-describe").unwrap();
    let drivers = place.load_with(options(&place, &told)).await;
    let path = place.path("faulty.so");
    assert_eq!(entry(&drivers, &path).state, State::Refused);
    assert!(drivers.clear(&id("faulty")).await.unwrap_err().to_string().contains("on demand"));
    fs::write(&fault, "").unwrap();
    drivers.refresh().await;
    assert_eq!(entry(&drivers, &path).state, State::Refused, "nothing of the file changed");
    drivers.clear(&id("faulty")).await.unwrap();
    assert_eq!(entry(&drivers, &path).state, State::Loaded);
    let none = drivers.clear(&id("nobody")).await.unwrap_err();
    assert_eq!(none.to_string(), "there is no driver nobody; GET /drivers lists what was found");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_approved_files_are_loaded_when_trust_is_pinned() {
    let (place, told) = (Place::with_drivers(), Told::default());
    let lock = place.data_dir("lock").with_extension("toml");
    fs::create_dir_all(lock.parent().unwrap()).unwrap();
    let pinned = |place: &Place| Options {
        trust: Trust::Pinned,
        lock: Some(lock.clone()),
        ..options(place, &told)
    };
    let drivers = place.load_with(pinned(&place)).await;
    let path = place.path("faulty.so");
    let listed = entry(&drivers, &path);
    assert_eq!(listed.state, State::Untrusted);
    let sum = listed.sha256.unwrap();
    let told_how = format!("run: adit driver trust faulty --sha256 {sum}");
    assert!(listed.reason.unwrap().ends_with(&told_how));
    assert_eq!(drivers.loaded().count(), 0);

    drivers.trust(&id("faulty"), "00").await.unwrap_err();
    drivers.trust(&id("minimal"), &sum).await.unwrap_err();
    drivers.trust(&id("faulty"), &sum).await.unwrap();
    assert_eq!(entry(&drivers, &path).state, State::Loaded);
    assert_eq!(entry(&drivers, &place.path("minimal.so")).state, State::Untrusted);

    // Another file is another thing; what was approved serves on meanwhile.
    place.put("faulty.so", &version("0.2.0"));
    drivers.refresh().await;
    assert_eq!(entry(&drivers, &path).state, State::Untrusted);
    assert!(has(&drivers, "0.1.0"));
    let again = place.load_with(pinned(&place)).await;
    assert_eq!(again.loaded().count(), 0);

    // What runs without pinning is written down, and is approved when it is pinned later.
    let any = Options { trust: Trust::Any, ..pinned(&place) };
    assert_eq!(place.load_with(any).await.loaded().count(), 2);
    assert_eq!(place.load_with(pinned(&place)).await.loaded().count(), 2);
    fs::write(&lock, "nonsense").unwrap();
    let drivers = place.load_with(pinned(&place)).await;
    assert_eq!(drivers.loaded().count(), 0, "nothing is trusted by a list that nobody can read");
    let reason = entry(&drivers, &path).reason.unwrap();
    assert!(reason.starts_with("cannot use ") && Path::new(&lock).exists(), "{reason}");
}
