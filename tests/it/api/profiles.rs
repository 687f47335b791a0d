//! `/profiles`: saved configurations and the miners that are started from them.

mod driver_refusals;
mod edges;
mod exchange;
mod explain;
mod gone;

use serde_json::{Value, json};

use crate::{
    api::{NONE, refused},
    host::{Host, wait_for},
};

/// Saves a profile of the simulation that hashes at once.
fn save(host: &Host, name: &str, more: &Value) -> Value {
    let config = json!({ "preparingMs": 0, "shareIntervalMs": 200, "seed": 1 });
    let mut body = json!({ "name": name, "minerType": "sim", "config": config });
    for (field, value) in more.as_object().unwrap() {
        match field.as_str() {
            "config" => {
                let config = body["config"].as_object_mut().unwrap();
                config.extend(value.as_object().unwrap().clone());
            }
            _ => body[field] = value.clone(),
        }
    }
    host.ok("POST", "/profiles", &body)
}

fn path(profile: &Value) -> String {
    format!("/profiles/{}", profile["id"].as_str().unwrap())
}

/// The file that a miner of the simulation reads, as it lies on the disk.
fn file_of(host: &Host, miner: &str) -> Value {
    let work = host.state().join("miners").join(miner).join("work");
    let file = std::fs::read_dir(work).unwrap().map(|it| it.unwrap().path());
    let file = file.into_iter().find(|it| it.extension().is_some_and(|it| it == "json")).unwrap();
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

#[test]
fn what_a_dashboard_sends_is_saved_listed_changed_and_deleted() {
    let host = Host::start();
    let sent =
        json!({ "id": "", "name": "Home CPU", "minerType": "sim", "config": { "devices": 3 } });
    let (status, made) = host.call("POST", "/profiles", &sent);
    assert_eq!((status, &made["name"], &made["config"]), (201, &sent["name"], &sent["config"]));
    assert!(made["createdAtMs"].as_i64() > Some(1_600_000_000_000));
    assert_eq!(made["createdAtMs"], made["updatedAtMs"]);
    assert_eq!(host.get("/profiles"), json!([made]));
    assert_eq!(host.get(&path(&made)), made);
    assert_eq!(host.get("/profiles/Home%20CPU"), made);

    let sent = json!({
        "id": made["id"], "name": "Home CPU 2", "minerType": "sim", "config": { "devices": 4 },
    });
    let changed = host.ok("PUT", &path(&made), &sent);
    assert_eq!((&changed["id"], &changed["config"]["devices"]), (&made["id"], &json!(4)));
    assert!(changed["updatedAtMs"].as_i64() > made["updatedAtMs"].as_i64());
    assert_eq!(changed["createdAtMs"], made["createdAtMs"]);

    assert_eq!(host.ok("DELETE", &path(&made), NONE), json!({ "status": "profile deleted" }));
    refused(&host, ("DELETE", &path(&made), NONE), (404, "PROFILE_NOT_FOUND"));
    refused(&host, ("GET", &path(&made), NONE), (404, "PROFILE_NOT_FOUND"));
    refused(&host, ("PUT", &path(&made), &sent), (404, "PROFILE_NOT_FOUND"));
    refused(&host, ("POST", &format!("{}/start", path(&made)), NONE), (404, "PROFILE_NOT_FOUND"));
    assert_eq!(host.get("/profiles"), json!([]));
}

#[test]
fn profiles_outlive_the_host_and_fields_that_are_left_out_stay() {
    let mut host = Host::start();
    let more = json!({
        "tags": ["cpu", "home"], "autostart": false, "restart": { "crashLoopExits": 7 },
        "config": { "password": "hunter2-hunter2" },
    });
    let made = save(&host, "cpu", &more);
    host.kill();
    host.up(&[]);
    assert_eq!(host.get("/profiles"), json!([made]));
    let fewer = json!({ "name": "cpu", "minerType": "sim", "config": made["config"] });
    let changed = host.ok("PUT", &path(&made), &fewer);
    for field in ["tags", "restart", "config", "autostart"] {
        assert_eq!(changed[field], made[field], "{field}");
    }
    assert_eq!(changed["restart"]["crashLoopExits"], 7);
    let back = host.ok("PUT", &path(&made), &changed);
    assert_eq!(back["config"], made["config"], "what was read can be sent back");
}

#[test]
fn a_profile_starts_miners_under_its_name() {
    let host = Host::start();
    let profile = save(&host, "Home / CPU", &json!({ "restart": { "firstPauseS": 3 } }));
    let start = format!("{}/start", path(&profile));
    let (status, first) = host.call("POST", &start, NONE);
    assert_eq!((status, &first["name"]), (200, &json!("home-cpu")), "{first}");
    assert_eq!(
        (&first["profileId"], &first["restart"]["firstPauseS"]),
        (&profile["id"], &json!(3))
    );
    assert_eq!(host.ok("POST", &start, NONE)["name"], "home-cpu-2");
    assert_eq!(host.ok("POST", &start, &json!({ "name": "third" }))["name"], "third");
    let by_create = json!({ "profile": "Home / CPU", "name": "fourth" });
    assert_eq!(host.ok("POST", "/miners", &by_create)["profileId"], profile["id"]);
    let all = json!(["fourth", "home-cpu", "home-cpu-2", "third"]);
    assert_eq!(host.get(&path(&profile))["miners"], all);
    for name in all.as_array().unwrap() {
        host.wait_for_phase(name.as_str().unwrap(), "mining");
    }
    // The name of another's miner is nobody else's; a stopped one of its own is started again.
    host.simulate("other", &json!({}));
    refused(&host, ("POST", &start, &json!({ "name": "other" })), (409, "MINER_EXISTS"));
    host.ok("DELETE", "/miners/home-cpu-2", NONE);
    assert_eq!(host.ok("POST", &start, NONE)["name"], "home-cpu-2");
    host.ok("DELETE", "/miners/third", NONE);
    assert_eq!(host.ok("POST", &start, &json!({ "name": "third" }))["running"], true);
}

#[test]
fn a_change_is_for_the_next_start_and_a_deletion_for_none() {
    let mut host = Host::start();
    let profile = save(&host, "cpu", &json!({ "config": { "devices": 2 } }));
    host.ok("POST", &format!("{}/start", path(&profile)), NONE);
    let pid = host.program("cpu");
    let body = json!({
        "name": "cpu", "minerType": "sim", "config": { "devices": 5, "preparingMs": 0 },
        "restart": { "firstPauseS": 9 },
    });
    host.ok("PUT", &path(&profile), &body);
    assert_eq!((host.program("cpu"), &file_of(&host, "cpu")["devices"]), (pid, &json!(2)));
    host.ok("POST", "/miners/cpu/restart", NONE);
    assert_eq!(file_of(&host, "cpu")["devices"], 5);
    assert_eq!(host.miner("cpu")["restart"]["firstPauseS"], 9);

    host.ok("DELETE", &path(&profile), NONE);
    host.kill();
    host.up(&[]);
    host.ok("POST", "/miners/cpu/restart", NONE);
    assert_eq!(file_of(&host, "cpu")["devices"], 5, "what it was started with last");
    assert_eq!(host.miner("cpu")["profileId"], profile["id"]);
}

#[test]
fn a_profile_with_autostart_has_a_miner_when_the_host_is_up() {
    let mut host = Host::start();
    save(&host, "auto", &json!({ "autostart": true }));
    save(&host, "by-hand", &json!({}));
    assert_eq!(host.get("/miners"), json!([]));
    host.kill();
    host.up(&[]);
    wait_for("the miner of the profile", || {
        (host.get("/miners").as_array().unwrap().len() == 1).then_some(())
    });
    host.wait_for_phase("auto", "mining");
    // A miner that the operator stopped stays stopped.
    host.ok("DELETE", "/miners/auto", NONE);
    host.kill();
    host.up(&[]);
    let profile = host.get("/profiles/auto");
    assert_eq!(profile["miners"], json!(["auto"]));
    let stopped = host.wait_for_phase("auto", "stopped");
    assert_eq!(
        (&stopped["desired"], host.get("/miners?all=true").as_array().unwrap().len()),
        (&json!("stopped"), 1)
    );
}

#[test]
fn of_two_changes_from_one_state_one_is_refused() {
    let host = Host::start();
    let profile = save(&host, "cpu", &json!({}));
    let (url, body) = (path(&profile), json!({ "name": "cpu", "minerType": "sim" }));
    let tag = |method: &str| {
        let answer = host.request(method, &url).send().unwrap();
        answer.headers()["etag"].to_str().unwrap().to_owned()
    };
    let put = |tag: &str, body: &Value| {
        let request = host.request("PUT", &url).header("If-Match", tag).json(body);
        request.send().unwrap().status().as_u16()
    };
    let seen = tag("GET");
    assert_eq!(seen, format!("\"{}\"", profile["updatedAtMs"]));
    let given: Vec<u16> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..8).map(|_| scope.spawn(|| put(&seen, &body))).collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    let count = |status| given.iter().filter(|it| **it == status).count();
    assert_eq!((count(200), count(412)), (1, 7), "{given:?}");
    for (sent, status) in
        [(seen.as_str(), 412), ("\"x\"", 412), ("W/\"1\"", 412), ("unquoted", 400), ("*", 200)]
    {
        assert_eq!(put(sent, &body), status, "{sent}");
    }
    assert_eq!(put(&tag("GET"), &body), 200);
    // The body may say the same, as one that was read does.
    let told = refused(&host, ("PUT", &url, &profile), (412, "CHANGED"));
    assert!(told.contains("was changed since you read it"), "{told}");
    let request = host.request("DELETE", &url).header("If-Match", &seen);
    assert_eq!(request.send().unwrap().status().as_u16(), 412);
    let request = host.request("DELETE", &url).header("If-Match", tag("GET"));
    assert_eq!(request.send().unwrap().status().as_u16(), 200);
}
