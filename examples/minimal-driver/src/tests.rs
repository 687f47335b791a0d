use adit_plugin_api::testing;

use super::*;

fn config(value: &Value) -> Config {
    Config(value.as_object().unwrap().clone())
}

#[test]
fn the_plan_for_the_defaults_is_the_golden_one() {
    let driver = testing::through_abi::<Minimal>(&testing::host().context()).unwrap();
    let config = config(&driver.describe().unwrap().defaults);
    testing::golden("golden/start.json", &driver.start(&config, &testing::launch()).unwrap());
}

#[test]
fn without_seconds_or_a_program_there_is_no_plan() {
    let driver = testing::through_abi::<Minimal>(&testing::host().context()).unwrap();
    let error = driver.start(&config(&json!({})), &testing::launch()).unwrap_err();
    assert_eq!((error.kind, &error.message[..8]), (ErrorKind::Invalid, "seconds:"));
    let launch = Launch { program: None, ..testing::launch() };
    let error = driver.start(&config(&json!({ "seconds": 5 })), &launch).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
}

#[test]
fn hashrates_are_read_from_whole_lines_only() {
    let driver = testing::through_abi::<Minimal>(&testing::host().context()).unwrap();
    let lines = ["hello", "hashrate: 12.5 H/s", "hashrate: fast H/s", "hashrate: 1 H/s!", ""];
    assert_eq!(driver.output(&lines).unwrap(), [Observation::Hashrate { hashrate: 12.5 }]);
}
