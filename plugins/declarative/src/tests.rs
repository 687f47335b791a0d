use adit_plugin_api::{
    CommandStep, DriverObject, ErrorKind, Phase, StopAction, Value, json, testing,
};

use super::*;

const EXAMPLE: &str = include_str!("../../../examples/declarative/sim-written.toml");
const STATS: &str = include_str!("../../../examples/sim-driver/samples/stats.json");
const OUTPUT: &str = include_str!("../../../examples/sim-driver/samples/output.txt");

fn driver(text: &str) -> Result<DriverObject> {
    let context = Context { definition: Some(text.to_owned()), ..testing::host().context() };
    testing::through_abi::<Declared>(&context)
}

fn config(value: &Value) -> Config {
    Config(value.as_object().cloned().unwrap_or_default())
}

fn plan(driver: &DriverObject, given: &Value) -> adit_plugin_api::ProcessPlan {
    match driver.start(&config(given), &testing::launch()).unwrap() {
        StartPlan::Process(plan) => plan,
        other => panic!("{other:?}"),
    }
}

/// The smallest that works, with `more` at its end.
fn small(more: &str) -> String {
    format!(
        "[driver]\nid = \"nova\"\nversion = \"1.0.0\"\nname = \"Nova\"\nsummary = \"Mines\"\n\
         [[output]]\nmatch = '^speed (?P<rate>[0-9.]+) (?P<unit>\\S+)$'\nhashrate = \"rate\"\n{more}"
    )
}

/// What is wrong with the file, which begins with the eight lines of the small one.
fn refusal(more: &str) -> String {
    let error = driver(&small(more)).err().unwrap_or_else(|| panic!("{more} is taken"));
    assert_eq!(error.kind, ErrorKind::Invalid, "{error:?}");
    assert!(!error.message.contains('\n'), "{error:?}");
    error.message
}

#[test]
fn a_library_without_a_file_says_what_it_is_for() {
    let error = testing::through_abi::<Declared>(&testing::host().context()).err().unwrap();
    assert!(error.message.contains("serves drivers written in TOML"), "{error:?}");
}

#[test]
fn the_example_is_described() {
    let description = driver(EXAMPLE).unwrap().describe().unwrap();
    assert_eq!(description.commands, ["pause", "resume"]);
    assert_eq!(description.defaults["devices"], 2);
    let schema = &description.config_schema;
    assert_eq!(schema["properties"]["wallet"]["writeOnly"], true);
    assert_eq!(schema["properties"]["pool"]["x-adit-pool"], "url");
    assert_eq!(schema["required"], json!(["wallet"]));
    assert_eq!(schema["examples"][0]["wallet"], "YOUR-WALLET");
    assert_eq!(description.phase_limits[&Phase::Preparing].as_secs(), 660);
}

#[test]
fn the_example_is_planned_with_its_secrets_in_a_file() {
    let driver = driver(EXAMPLE).unwrap();
    let mut given = json!({
        "pool": "p.example:1", "wallet": "4\"WALLET", "algorithm": "rx/0", "devices": 3,
    });
    let least = plan(&driver, &given);
    assert_eq!(least.args, ["--config", "sim-miner.json", "--devices=3"]);
    let file: Value = least.files[0].content.parse().unwrap();
    assert_eq!((&file["wallet"], &file["password"]), (&json!("4\"WALLET"), &Value::Null));
    assert_eq!((&file["api-port"], &file["worker"]), (&json!(40001), &json!("rig-1")));
    assert!(least.secrets.contains(&"4\"WALLET".to_owned()));
    assert!(least.secrets.contains(&testing::launch().api_token));
    given["hashrate"] = json!(5000.5);
    given["quick"] = json!(true);
    let more = plan(&driver, &given);
    assert_eq!(more.args[3..6], ["--hashrate", "5000.5", "--preparing-ms"]);
    let stop = driver.stop(&testing::launch()).unwrap();
    assert_eq!(stop.steps[0].action, StopAction::Signal { signal: "TERM".to_owned() });
}

#[test]
fn the_example_reads_figures_and_output() {
    let driver = driver(EXAMPLE).unwrap();
    let metrics = driver.stats(&testing::launch(), &[testing::reply("stats", STATS)]).unwrap();
    assert_eq!((metrics.hashrate, metrics.shares), (Some(12464.52), Some(5)));
    assert_eq!((metrics.phase, metrics.avg_difficulty), (Some(Phase::Mining), Some(11250)));
    assert_eq!(metrics.hashrates["60s"], None);
    assert_eq!(metrics.pool.as_ref().unwrap().latency_ms, Some(44.0));
    let device = &metrics.devices[1];
    assert_eq!((device.id.as_str(), device.fan), ("index:1", Some(0.56)));
    assert_eq!(metrics.extra_data["version"], "0.1.0");
    for body in
        ["", "{}", "[]", "null", "{\"hashrate\":{\"10s\":-1}}", "{\"hashrate\":{\"10s\":\"x\"}}"]
    {
        let error = driver.stats(&testing::launch(), &[testing::reply("stats", body)]).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable, "{body}");
    }
    let lines: Vec<&str> = OUTPUT.lines().collect();
    let seen = driver.output(&lines).unwrap();
    let shares = seen.iter().filter(|it| matches!(it, Observation::Share { .. })).count();
    let printed = OUTPUT.matches("]  share    ").count();
    assert_eq!(shares, printed, "{seen:?}");
    assert!(seen.contains(&Observation::Hashrate { hashrate: 12497.3 }), "{seen:?}");
    assert!(seen.contains(&Observation::Phase { phase: Phase::Degraded }));
}

#[test]
fn commands_are_those_of_the_file() {
    let driver = driver(EXAMPLE).unwrap();
    let command = |name: &str| Command { name: name.to_owned(), params: Value::Null };
    let plan = driver.command(&command("pause"), &testing::launch()).unwrap();
    let CommandStep::Http(ask) = &plan.steps[0] else { panic!("{plan:?}") };
    assert_eq!((ask.url.as_str(), ask.method.as_str()), ("http://127.0.0.1:40001/pause", "POST"));
    let error = driver.command(&command("fly"), &testing::launch()).unwrap_err();
    assert!(error.message.contains("there are: pause, resume"), "{error:?}");
}

#[test]
fn units_are_turned_into_the_host_s() {
    let driver = driver(&small("")).unwrap();
    let seen =
        driver.output(&["\u{1b}[32mspeed 1.5 MH/s\u{1b}[0m", "speed 2 kH/s", "speed 3 apples"]);
    let rates = [1.5e6, 2e3].map(|hashrate| Observation::Hashrate { hashrate });
    assert_eq!(seen.unwrap(), rates);
    let text = small(
        "[[probe]]\nid = \"api\"\ntcp = \"127.0.0.1:${api.port}\"\nsend = \"stat\"\n\
         [stats]\nuptime = { pointer = \"/0\", unit = \"min\" }\n\
         shares = { regex = 'ok=(\\d+)' }\n\
         [stats.devices]\nhashrate = { pointer = \"/hs\", unit = \"kH/s\" }\nbus = \"/bus\"\n\
         fan = { pointer = \"/fan\", unit = \"%\" }\n",
    );
    let driver = self::driver(&text).unwrap();
    let body = r#"{"hs":[10.5,"20"],"bus":[1,17],"fan":[50,150],"note":"ok=7","0":2}"#;
    let metrics = driver.stats(&testing::launch(), &[testing::reply("api", body)]).unwrap();
    assert_eq!(
        (metrics.hashrate, metrics.shares, metrics.uptime),
        (Some(30500.0), Some(7), Some(120))
    );
    assert_eq!(metrics.devices[1].id, "pci:0000:11:00.0");
    assert_eq!((metrics.devices[0].fan, metrics.devices[1].fan), (Some(0.5), None));
}

#[test]
fn figures_that_are_printed_are_published() {
    let text = small(
        "[[output]]\nmatch = '^stats (\\{.*\\})$'\nfigures = \"1\"\n[stats]\nshares = \"/ar/0\"\n\
         [stats.devices]\nhashrate = { pointer = \"/hs\", unit = \"kH/s\", unit_at = \"/units\" }\n",
    );
    let host = testing::host();
    let context = Context { definition: Some(text), ..host.context() };
    let driver = testing::through_abi::<Declared>(&context).unwrap();
    let lines =
        ["stats {\"ar\":[1]}", "stats {\"ar\":[\"7\",1],\"hs\":[1,2],\"units\":\"mhs\"}", "x"];
    assert_eq!(driver.output(&lines).unwrap(), []);
    let published = host.published();
    assert_eq!((published.len(), published[0].shares), (1, Some(7)));
    assert_eq!(published[0].hashrate, Some(3e6));
    driver.output(&["stats {\"hs\":[1]}"]).unwrap();
    assert_eq!(host.published()[1].hashrate, Some(1e3), "without a unit it is that of the file");
    driver.output(&["stats {\"ar\":[1],\"hs\":[1],\"units\":\"apples\"}"]).unwrap();
    assert_eq!(host.published()[2].hashrate, None);
    driver.output(&["stats {nonsense}"]).unwrap();
    assert_eq!(host.published().len(), 3);
}

#[test]
fn what_is_wrong_is_told_with_its_line_and_what_to_write() {
    for (more, line, told) in [
        ("colour = 1\n", 9, "unknown field `colour`"),
        ("[start]\nargs = [3]\n", 10, "a word, or a table with if and args"),
        ("[start]\nargs = [\"${walet}\"]\n", 10, "start.args: there is no ${walet} here"),
        ("[start]\nargs = [{ if = \"x\", args = [] }]\n", 10, "the fields of [config] are"),
        (
            "[config.a]\ntype = \"text\"\ndescription = \"A.\"\n[start]\nargs = [\"-a\", \"${a}\"]\n",
            13,
            "write { if = \"a\", args = [\"${a}\"] }",
        ),
        ("[config.A]\ntype = \"text\"\ndescription = \"A.\"\n", 9, "begins with a small letter"),
        ("[config.a]\ntype = \"word\"\ndescription = \"A.\"\n", 10, "unknown variant `word`"),
        (
            "[config.a]\ntype = \"integer\"\ndescription = \"A.\"\ndefault = \"x\"\n",
            9,
            "is not a whole number",
        ),
        ("[[stop]]\nsignal = \"STOP\"\ngrace = 5\n", 9, "signal: write one of TERM"),
        ("[[stop]]\nsignal = \"TERM\"\ngrace = 0\n", 9, "grace: write seconds"),
        ("[[output]]\nmatch = '('\nphase = \"mining\"\n", 10, "cannot be used"),
        ("[[output]]\nmatch = 'x'\n", 10, "a line that fits says nothing"),
        ("[[output]]\nmatch = 'x'\nphase = \"resting\"\n", 11, "is no phase: write starting"),
        ("[[output]]\nmatch = 'x'\nhashrate = \"1\"\n", 11, "no group \"1\""),
        ("[[probe]]\nid = \"a\"\n", 9, "write http with an address, or tcp"),
        ("[[probe]]\nid = \"a\"\nhttp = \"http://x/${pool}\"\n", 11, "there is no ${pool} here"),
        (
            "[[probe]]\nid = \"a\"\nhttp = \"http://x\"\n[stats]\nhashrate = \"a.b\"\n",
            13,
            "write \"/a/b\"",
        ),
        (
            "[[probe]]\nid = \"a\"\nhttp = \"http://x\"\n[stats]\nhashrate = { pointer = \"/a\", unit = \"W\" }\n",
            13,
            "write H/s, kH/s",
        ),
        (
            "[[probe]]\nid = \"a\"\nhttp = \"http://x\"\n[stats]\nprobe = \"b\"\n",
            13,
            "there are: a",
        ),
        ("[limits]\nsleeping = 5\n", 10, "is no phase"),
        ("[command.pause]\nmethod = \"POST\"\n", 9, "write stdin, or http"),
        ("[program]\nversion = 'x'\n", 10, "put brackets around the version"),
    ] {
        let message = refusal(more);
        assert!(message.starts_with(&format!("line {line}: ")), "{more}: {message}");
        assert!(message.contains(told), "{more}: {message}");
    }
    assert!(refusal("[stats]\nhashrate = \"/a\"\n").contains("[stats] needs a [[probe]]"));
    let silent = small("")
        .replace("[[output]]", "[config]")
        .replace("match = ", "# ")
        .replace("hashrate = ", "# ");
    assert!(driver(&silent).err().unwrap().message.contains("it says nothing of figures"));
}

#[test]
fn programs_come_from_the_release_of_the_machine() {
    let text = small(
        "[program.release]\nrepository = \"nova/nova\"\nversion_args = [\"-V\"]\nsums = \"SHA256SUMS\"\n\
         [program.release.assets.linux-x86_64]\nasset = \"nova-{version}.tar.gz\"\nprogram = \"nova\"\n",
    );
    let driver = driver(&text).unwrap();
    let target = |os: &str| Target { os: os.to_owned(), arch: "x86_64".to_owned(), version: None };
    let InstallPlan::Release(plan) = driver.install(&target("linux")).unwrap() else { panic!() };
    assert_eq!((plan.asset.as_str(), plan.program.as_str()), ("nova-{version}.tar.gz", "nova"));
    assert_eq!(plan.proof.sums.as_deref(), Some("SHA256SUMS"));
    let error = driver.install(&target("macos")).unwrap_err();
    assert!(error.message.contains("there are: linux-x86_64"), "{error:?}");
    assert_eq!(driver.version("nova v1.2.3, built today").unwrap(), "1.2.3");
    let example = self::driver(EXAMPLE).unwrap();
    assert_eq!(example.version("sim-miner 0.1.0\n").unwrap(), "0.1.0");
    assert!(example.version("other 0.1.0").is_err());
}

#[test]
fn no_file_makes_it_panic() {
    for end in (0..EXAMPLE.len()).filter(|end| EXAMPLE.is_char_boundary(*end)).step_by(7) {
        if let Err(error) = driver(&EXAMPLE[..end]) {
            assert_eq!(error.kind, ErrorKind::Invalid, "{error:?}");
        }
    }
}
