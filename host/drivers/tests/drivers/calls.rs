//! What a driver that works answers through its handle.

use std::sync::Arc;

use adit_plugin_api::{
    Command, CommandStep, Config, ErrorKind, HttpRequest, Installed, Launch, Observation, PeerId,
    StartPlan, Target, json,
};

use adit_drivers::{call::CallError, registry::Drivers};

use crate::place::{Place, get, miner};

fn config(value: adit_plugin_api::Value) -> Config {
    serde_json::from_value(value).unwrap()
}

#[tokio::test]
async fn every_question_crosses_and_comes_back() {
    let place = Place::with_drivers();
    check_every_question(&place, &place.load().await).await;
}

#[tokio::test]
async fn every_question_crosses_to_another_process_and_comes_back() {
    let place = Place::with_drivers();
    check_every_question(&place, &place.load_with(place.process_options()).await).await;
}

async fn check_every_question(place: &Place, drivers: &Drivers) {
    let faulty = get(drivers, "faulty");
    assert_eq!(faulty.description().name, "Faulty");
    assert_eq!(faulty.manifest().version, "0.1.0");
    assert_eq!(faulty.sha256().len(), 64);

    let object = faulty.instance(Some(&miner("rig-1"))).await.unwrap();
    place.log.wait("faulty rig-1 faulty_driver: object with the fault \"rig-1\"").await;
    object.install(Target::default()).await.unwrap();
    object.uninstall(Installed::default()).await.unwrap();
    assert_eq!(object.version("sim 1.2.3".to_owned()).await.unwrap(), "1.2.3");
    let program = Installed { program: "/opt/sim".into(), ..Installed::default() };
    let launch = Launch { program: Some(program), api_port: 7, ..Launch::default() };
    let completed = faulty.complete(&config(json!({ "args": ["--fast"] }))).unwrap();
    let StartPlan::Process(plan) = object.start(completed, launch.clone()).await.unwrap() else {
        panic!("a program is planned");
    };
    assert_eq!((plan.program.to_str(), plan.args), (Some("/opt/sim"), vec!["--fast".to_owned()]));
    assert_eq!(object.stop(launch.clone()).await.unwrap().steps.len(), 1);
    assert_eq!(object.probes(launch.clone()).await.unwrap()[0].id, "api");
    let replies = vec![adit_plugin_api::Reply::default(); 2];
    assert_eq!(object.stats(launch.clone(), replies).await.unwrap().shares, Some(2));
    let lines = vec!["a".to_owned(), "b".to_owned()];
    assert_eq!(object.output(lines).await.unwrap(), vec![Observation::Progress; 2]);
    let pause = Command { name: "pause".to_owned(), ..Command::default() };
    let plan = object.command(pause, launch.clone()).await.unwrap();
    assert_eq!(plan.steps, [CommandStep::Stdin { input: "pause\n".to_owned() }]);
    let request = HttpRequest { body: vec![0, 255], ..HttpRequest::default() };
    assert_eq!(object.request(request).await.unwrap().body, [0, 255]);
    let peer = PeerId("peer".to_owned());
    assert_eq!(object.message(peer, vec![1, 2]).await.unwrap(), [1, 2]);
    assert!(object.is_healthy().await.unwrap());

    let refused = object.start(Config::default(), Launch::default()).await.unwrap_err();
    let message = "install the program first".to_owned();
    let kind = ErrorKind::Unavailable;
    assert_eq!(refused, CallError::Refused { op: "start", kind, message });
    assert_eq!(faulty.health().failures, 0);
}

#[tokio::test]
async fn a_configuration_is_completed_and_checked() {
    let place = Place::with_drivers();
    let minimal = get(&place.load().await, "minimal");
    let completed = minimal.complete(&Config::default()).unwrap();
    assert_eq!(completed, config(json!({ "seconds": 60 })));
    let error = minimal.complete(&config(json!({ "seconds": 0 }))).unwrap_err();
    assert_eq!(error.to_string(), "seconds: it is less than the minimum of 1");
}

#[tokio::test]
async fn a_miners_object_is_made_once_until_it_is_forgotten() {
    let place = Place::with_drivers();
    let faulty = get(&place.load().await, "faulty");
    let made = |faulty: &adit_drivers::handle::Driver| faulty.health().calls;
    let before = made(&faulty);
    let name = miner("rig-1");
    let together: Vec<_> = (0..10)
        .map(|_| {
            let (faulty, name) = (faulty.clone(), name.clone());
            tokio::spawn(async move { faulty.instance(Some(&name)).await.map(Arc::new) })
        })
        .collect();
    for object in together {
        object.await.unwrap().unwrap();
    }
    assert_eq!(made(&faulty), before + 1);
    faulty.forget(&name);
    faulty.instance(Some(&name)).await.unwrap();
    assert_eq!(made(&faulty), before + 2);
}

#[tokio::test]
async fn two_registries_hold_the_same_driver_side_by_side() {
    let place = Place::with_drivers();
    let one = get(&place.load().await, "faulty");
    let two = get(&place.load().await, "faulty");
    let panics = one.instance(Some(&miner("panic-output"))).await.unwrap();
    panics.output(vec!["line".to_owned()]).await.unwrap_err();
    assert_eq!((one.health().panics, two.health().panics), (1, 0));
}
