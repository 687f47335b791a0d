use adit_plugin_api::{ErrorKind, testing};

use super::*;

fn command(name: &str, params: Value, launch: &Launch) -> Result<CommandPlan> {
    plan(&Command { name: name.to_owned(), params }, launch)
}

fn pools() -> Value {
    json!({ "pools": [{ "url": "b.example:2", "wallet": "4B" }] })
}

#[test]
fn unknown_commands_and_parameters_are_refused() {
    let launch = testing::launch();
    for name in ["", "stop", "quit", "PAUSE"] {
        assert_eq!(command(name, Value::Null, &launch).unwrap_err().kind, ErrorKind::Unsupported);
    }
    for name in ["pause", "resume"] {
        let error = command(name, json!({}), &launch).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid);
    }
}

#[test]
fn wrong_pools_are_refused_by_field_before_the_file_is_read() {
    let launch = testing::launch();
    for (field, params) in [
        ("params", Value::Null),
        ("params", json!([])),
        ("missing field `pools`", json!({})),
        ("url: unknown field", json!({ "pools": [], "url": "x" })),
        ("pools[0].port: unknown field", json!({ "pools": [{ "port": 1 }] })),
    ] {
        let error = command("set-pools", params, &launch).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid, "{error}");
        assert!(error.message.starts_with(field), "{field}: {error}");
    }
}

#[test]
fn without_a_usable_configuration_of_this_run_pools_stay_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let launch = Launch { run_dir: folder.path().to_owned(), ..testing::launch() };
    let ours = json!({
        "http": {
            "enabled": true, "port": launch.api_port, "access-token": launch.api_token,
            "restricted": false,
        },
        "pools": [],
    });
    let ask = || command("set-pools", pools(), &launch);
    assert_eq!(ask().unwrap_err().kind, ErrorKind::Unavailable, "there is no file");
    let write = |text: &str| fs::write(folder.path().join(FILE), text).unwrap();
    write(&ours.to_string());
    ask().unwrap();
    for (key, value) in [
        ("enabled", json!(false)),
        ("port", json!(1)),
        ("access-token", json!("other")),
        ("restricted", json!(true)),
    ] {
        let mut other = ours.clone();
        other["http"][key] = value;
        write(&other.to_string());
        let error = ask().unwrap_err();
        assert!(error.message.contains("it is not of this run"), "{key}: {error}");
    }
    for text in ["", "[]", "null", "{ broken", "\"x\"", "{\"http\": []}"] {
        write(text);
        assert_eq!(ask().unwrap_err().kind, ErrorKind::Unavailable, "{text}");
    }
    write(&" ".repeat(usize::try_from(FILE_MAX).unwrap() + 1));
    assert!(ask().unwrap_err().message.contains("too large"));
    fs::remove_file(folder.path().join(FILE)).unwrap();
    fs::create_dir(folder.path().join(FILE)).unwrap();
    assert_eq!(ask().unwrap_err().kind, ErrorKind::Unavailable);
}

#[test]
fn wrong_pools_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let launch = Launch { run_dir: folder.path().to_owned(), ..testing::launch() };
    let http = json!({ "enabled": true, "port": launch.api_port,
                       "access-token": launch.api_token, "restricted": false });
    fs::write(folder.path().join(FILE), json!({ "http": http }).to_string()).unwrap();
    for (field, params) in [
        ("pools: ", json!({ "pools": [] })),
        (
            "pools[1].wallet: ",
            json!({ "pools": [
            { "url": "a.example:1", "wallet": "4W" }, { "url": "b.example:1" },
        ] }),
        ),
        ("pools[0].url: ", json!({ "pools": [{ "url": "a.example", "wallet": "4W" }] })),
        (
            "pools: at least one",
            json!({ "pools": [
            { "url": "a.example:1", "wallet": "4W", "enabled": false },
        ] }),
        ),
    ] {
        let error = command("set-pools", params, &launch).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid);
        assert!(error.message.starts_with(field), "{field}: {error}");
    }
}
