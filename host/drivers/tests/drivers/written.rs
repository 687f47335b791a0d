//! Drivers that are TOML files, and the library that serves them.

use std::fs;

use adit_drivers::{
    handle::Isolation,
    lock::Trust,
    registry::{Options, State},
};
use adit_plugin_api::{Config, Launch, StartPlan, json};

use crate::place::{Place, built, entry, get, patch};

fn text(id: &str, word: &str) -> String {
    format!(
        "[driver]\nid = \"{id}\"\nversion = \"1.0.0\"\nname = \"{id}\"\nsummary = \"Mines\"\n\
         [start]\nargs = [\"{word}\"]\n[[output]]\nmatch = 'up'\nphase = \"mining\"\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn one_library_serves_many_files_and_is_no_driver_itself() {
    for options in [Place::options, Place::process_options] {
        let place = Place::new();
        let [one, two] = ["one", "two"]
            .map(|id| place.put(&format!("{id}.toml"), text(id, &format!("--{id}")).as_bytes()));
        let drivers = place.load_with(options(&place)).await;
        let waiting = entry(&drivers, &one);
        assert_eq!(waiting.state, State::Refused);
        assert!(waiting.reason.unwrap().contains("nothing serves it"));

        let library = place.put("serves.so", &built("declarative_driver"));
        drivers.refresh().await;
        assert!(drivers.list().iter().all(|it| it.path != library), "{:?}", drivers.list());
        for (id, path) in [("one", &one), ("two", &two)] {
            let driver = get(&drivers, id);
            assert_eq!(
                (driver.path(), entry(&drivers, path).state),
                (path.as_path(), State::Loaded)
            );
            let program =
                adit_plugin_api::Installed { program: "/p/x".into(), ..Default::default() };
            let launch = Launch { program: Some(program), ..Launch::default() };
            let object = driver.instance(None).await.unwrap();
            let config: Config = serde_json::from_value(json!({})).unwrap();
            let plan = object.start(config, launch).await.unwrap();
            let StartPlan::Process(plan) = plan else { panic!("{plan:?}") };
            assert_eq!(plan.args, [format!("--{id}")]);
        }
        let is_apart = options(&place).hosting.spawner.is_some();
        let isolation = if is_apart { Isolation::Process } else { Isolation::InProcess };
        assert_eq!(get(&drivers, "one").isolation(), isolation);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_wrong_is_refused_with_its_line() {
    let place = Place::new();
    place.put("serves.so", &built("declarative_driver"));
    let wrong = place.put("wrong.toml", text("wrong", "${pool}").as_bytes());
    let none = place.put("none.toml", b"[package]\nname = \"x\"\n");
    let drivers = place.load().await;
    let reason = entry(&drivers, &wrong).reason.unwrap();
    assert!(reason.contains("line 7: start.args: there is no ${pool} here"), "{reason}");
    let reason = entry(&drivers, &none).reason.unwrap();
    assert!(reason.contains("no table [driver]"), "{reason}");
}

/// The library that serves them in another version, which is another file.
fn serving(version: &str) -> Vec<u8> {
    let built = built("declarative_driver");
    let own = format!("version={}\0", env!("CARGO_PKG_VERSION"));
    patch(&built, &own, &format!("version={version}\0"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_serves_a_file_is_written_down_and_noticed_when_it_changes() {
    let place = Place::new();
    let lock = place.path("../drivers.lock");
    let options = |trust| Options { trust, lock: Some(lock.clone()), ..place.options() };
    let library = place.put("serves.so", &serving("0.1.0"));
    let file = place.put("one.toml", text("one", "--one").as_bytes());
    let drivers = place.load_with(options(Trust::Any)).await;
    let before = get(&drivers, "one");
    let interpreter = before.interpreter().unwrap().clone();
    assert_eq!((interpreter.id.as_str(), interpreter.version.as_str()), ("declarative", "0.1.0"));
    assert_eq!(entry(&drivers, &file).interpreter.unwrap(), interpreter);
    let noted = fs::read_to_string(&lock).unwrap();
    assert!(noted.contains("id = \"declarative\""), "{noted}");
    assert!(noted.contains(&interpreter.sha256) && noted.contains(before.sha256()), "{noted}");

    // Who pins now needs to approve nothing that ran before.
    let pinned = place.load_with(options(Trust::Pinned)).await;
    assert_eq!(entry(&pinned, &file).state, State::Loaded);

    // The same file on another library is another driver: loaded anew, and written down.
    place.put("serves.so", &serving("0.1.1"));
    drivers.refresh().await;
    let after = get(&drivers, "one");
    assert!(after.loaded_at() > before.loaded_at());
    assert_eq!(after.interpreter().unwrap().version, "0.1.1");
    assert_eq!(after.sha256(), before.sha256());
    let noted = fs::read_to_string(&lock).unwrap();
    assert!(noted.contains(&after.interpreter().unwrap().sha256), "{noted}");
    drivers.refresh().await;
    assert_eq!(get(&drivers, "one").loaded_at(), after.loaded_at(), "and only once");

    // Pinned, a library that nobody approved serves nothing, and what it would serve says so.
    place.put("serves.so", &serving("0.1.2"));
    pinned.refresh().await;
    assert_eq!(entry(&pinned, &library).state, State::Untrusted);
    assert_eq!(get(&pinned, "one").interpreter().unwrap().version, "0.1.0");
    let reason = entry(&pinned, &file).reason.unwrap();
    assert!(reason.contains("not trusted") && reason.contains("serves on"), "{reason}");
    let again = place.load_with(options(Trust::Pinned)).await;
    assert_eq!(entry(&again, &file).state, State::Refused);
}
