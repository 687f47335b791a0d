//! Drivers that are TOML files, and the library that serves them.

use adit::drivers::{handle::Isolation, registry::State};
use adit_plugin_api::{Config, Launch, StartPlan, json};

use crate::place::{Place, built, entry, get};

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
