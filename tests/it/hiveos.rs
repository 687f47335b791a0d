//! Packages of HiveOS, made into drivers: nothing of one runs before its miner does.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::json;

use crate::host::{Host, built, wait_for};

/// A made-up package whose manifest would leave `trace` behind where a shell reads it.
fn package(host: &Host, trace: &Path) -> PathBuf {
    let folder = host.folder.path().join("nova");
    fs::create_dir(&folder).unwrap();
    let manifest = format!(
        "CUSTOM_NAME=nova\nCUSTOM_VERSION=1.2.0\n\
         CUSTOM_CONFIG_FILENAME=/hive/miners/custom/$CUSTOM_NAME/nova.conf\n\
         CUSTOM_LOG_BASENAME=/var/log/miner/$CUSTOM_NAME/$CUSTOM_NAME\n\
         touch {trace}\nOTHER=$(touch {trace})\ntouch manifest-was-read\n",
        trace = trace.display()
    );
    for (name, text) in [
        ("h-manifest.conf", manifest.as_str()),
        ("h-config.sh", "echo \"$CUSTOM_TEMPLATE at $CUSTOM_URL\" > $CUSTOM_CONFIG_FILENAME\n"),
        (
            "h-run.sh",
            "cd `dirname $0`\n. h-manifest.conf\necho \"nova: $(< $CUSTOM_CONFIG_FILENAME)\"\n\
             echo ready >> $CUSTOM_LOG_BASENAME.log\nexec sleep 3600\n",
        ),
        (
            "h-stats.sh",
            "[ -f $CUSTOM_LOG_BASENAME.log ] && khs=12.5\n\
             stats='{\"hs\":[7500,5000],\"hs_units\":\"hs\",\"temp\":[60,61],\n\"fan\":[50,60],\
             \"uptime\":33,\"ver\":\"1.2.0\",\"ar\":[3,1],\"algo\":\"novahash\",\"bus_numbers\":[1,2]}'\n",
        ),
    ] {
        fs::write(folder.join(name), text).unwrap();
    }
    folder
}

#[test]
fn a_package_becomes_a_driver_with_an_installed_program() {
    let mut host = Host::absent();
    let trace = host.folder.path().join("trace");
    let package = package(&host, &trace);
    let folder = host.folder.path().join("made");
    let (package, made) = (package.to_str().unwrap(), folder.to_str().unwrap());
    let answer = host.run_json(&["driver", "import-hiveos", package, "--dir", made]);
    assert_eq!(answer["id"], "nova", "{answer}");
    assert!(answer["fixedPort"].as_str().unwrap().contains("--api-port"), "{answer}");
    let [driver, archive] = [&answer["driver"], &answer["program"]["archive"]];
    let [driver, archive] = [driver, archive].map(|it| it.as_str().unwrap().to_owned());
    let report = host.run_json(&["driver", "check", &driver]);
    assert_eq!(report["passed"], true, "{report:#}");

    host.up(&[]);
    assert_eq!(host.run_json(&["driver", "add", &driver])["driver"]["state"], "loaded");
    let done = host.run(&["install", "nova", "--from", &archive]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(!trace.exists(), "nothing of the package ran so far");

    let config = json!({ "url": "pool.example:3333", "wallet": "4WALLET" });
    host.ok("POST", "/miners", &json!({ "name": "rig-1", "type": "nova", "config": config }));
    let miner = wait_for("figures of the package's own script", || {
        let miner = host.miner("rig-1");
        // The script knows no hashrate before the program has a log.
        let stats = &miner["stats"];
        (stats["shares"] == 3 && stats["hashrate"].as_f64()? > 0.0).then_some(miner)
    });
    let stats = &miner["stats"];
    assert_eq!((&stats["hashrate"], &stats["rejected"]), (&json!(12500.0), &json!(1)), "{stats}");
    assert_eq!(stats["algorithm"], "novahash");
    let device = &stats["devices"][1];
    assert_eq!((&device["id"], &device["hashrate"]), (&json!("pci:0000:02:00.0"), &json!(5000.0)));
    assert_eq!((&device["temperature"], &device["fan"]), (&json!(61.0), &json!(0.6)));
    host.wait_for_phase("rig-1", "mining");
    let copy = work(&host, "rig-1").join("hive/miners/custom/nova");
    assert!(copy.join("manifest-was-read").exists(), "the miner's own processes read the manifest");
    assert!(!trace.exists(), "and write nothing outside of the run");
    let log = host.get("/miners/rig-1/logs?lines=500").to_string();
    assert!(log.contains("nova: ") && log.contains("at pool.example:3333"), "{log}");
    assert!(!log.contains("4WALLET"), "{log}");
    host.ok("DELETE", "/miners/rig-1", &serde_json::Value::Null);
    host.wait_for_phase("rig-1", "stopped");
}

/// A package around the simulated miner, which is told the port that the package always uses.
fn package_with_api(host: &Host) -> PathBuf {
    let folder = host.folder.path().join("simhive");
    fs::create_dir(&folder).unwrap();
    for (name, text) in [
        ("h-manifest.conf", "CUSTOM_NAME=simhive\nCUSTOM_VERSION=1.0.0\nWEB_PORT=4067\n"),
        (
            "h-run.sh",
            "cd `dirname $0`\n. h-manifest.conf\nexec ./sim-miner --preparing-ms 0 \
             --hashrate $CUSTOM_USER_CONFIG --api-port $WEB_PORT\n",
        ),
        (
            "h-stats.sh",
            "exec 3<>/dev/tcp/127.0.0.1/4067\nprintf 'GET /stats HTTP/1.1\\r\\n\\r\\n' >&3\n\
             reply=$(cat <&3 | tr -d ' \\r\\n')\nhs=${reply#*\\\"10s\\\":}\nhs=${hs%%[,\\}]*}\n\
             khs=$((${hs%.*} / 1000))\nstats='{\"ar\":[1,0]}'\n",
        ),
    ] {
        fs::write(folder.join(name), text).unwrap();
    }
    fs::copy(built("sim-miner"), folder.join("sim-miner")).unwrap();
    folder
}

#[test]
fn two_miners_of_a_package_that_always_uses_one_port_have_one_each() {
    let mut host = Host::absent();
    let package = package_with_api(&host);
    let folder = host.folder.path().join("made");
    let (package, made) = (package.to_str().unwrap(), folder.to_str().unwrap());
    let answer = host.run_json(&["driver", "import-hiveos", package, "--dir", made]);
    assert_eq!((&answer["apiPort"], &answer["fixedPort"]), (&json!(4067), &json!(null)));
    host.up(&[]);
    host.run_json(&["driver", "add", answer["driver"].as_str().unwrap()]);
    let archive = answer["program"]["archive"].as_str().unwrap();
    let done = host.run(&["install", "simhive", "--from", archive]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let speeds = [("rig-1", 9_000_000), ("rig-2", 40_000)];
    for (name, speed) in speeds {
        let config =
            json!({ "url": "pool.example:3333", "wallet": "4WALLET", "extra": speed.to_string() });
        host.ok("POST", "/miners", &json!({ "name": name, "type": "simhive", "config": config }));
    }
    for (name, speed) in speeds {
        let hashrate = wait_for("its own figures", || {
            host.miner(name)["stats"]["hashrate"].as_f64().filter(|it| *it > 0.0)
        });
        let share = hashrate / f64::from(speed);
        assert!((0.5..1.5).contains(&share), "{name}: {hashrate}");
    }
}

#[test]
fn what_is_no_package_is_refused_and_leaves_nothing() {
    let host = Host::absent();
    let trace = host.folder.path().join("trace");
    let package = package(&host, &trace);
    let made = host.folder.path().join("made");
    let import = |more: &[&str]| {
        let package = package.to_str().unwrap();
        let usual = ["driver", "import-hiveos", package, "--dir", made.to_str().unwrap()];
        let output = host.run(&[&usual[..], more].concat());
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let told = import(&["--api-port", "4067"]);
    assert!(told.contains("tells the miner to listen at 4067"), "{told}");
    let told = import(&["--template", "%ZWAL%"]);
    assert!(told.contains("%ZWAL% has no meaning here"), "{told}");
    let manifest = package.join("h-manifest.conf");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace("VERSION=1.2.0", "VERSION=`cat /etc/hostname`")).unwrap();
    let told = import(&[]);
    assert!(told.contains("line 2: CUSTOM_VERSION is worked out by a shell"), "{told}");
    fs::remove_file(package.join("h-run.sh")).unwrap();
    let told = import(&[]);
    assert!(told.contains("there is no h-run.sh"), "{told}");
    assert!(!made.exists() && !trace.exists());
}

/// Writes a package with these files and has the host import, add and install it.
fn install(host: &mut Host, name: &str, files: &[(&str, &str)]) {
    let folder = host.folder.path().join(name);
    fs::create_dir(&folder).unwrap();
    for (file, text) in files {
        fs::write(folder.join(file), text).unwrap();
    }
    let made = host.folder.path().join(format!("{name}-made"));
    let (folder, made) = (folder.to_str().unwrap(), made.to_str().unwrap());
    let answer = host.run_json(&["driver", "import-hiveos", folder, "--dir", made]);
    host.up(&[]);
    host.run_json(&["driver", "add", answer["driver"].as_str().unwrap()]);
    let archive = answer["program"]["archive"].as_str().unwrap();
    let done = host.run(&["install", name, "--from", archive]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

fn start(host: &Host, name: &str, kind: &str, more: &serde_json::Value) {
    let mut config =
        json!({ "url": format!("pool-{name}.example:1"), "wallet": format!("WALLET{name}") });
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    host.ok("POST", "/miners", &json!({ "name": name, "type": kind, "config": config }));
}

fn work(host: &Host, name: &str) -> PathBuf {
    host.state().join("miners").join(name).join("work")
}

/// Stats that make a miner of a package mine.
const STATS: &str = "khs=1\nstats='{\"ar\":[1,0]}'\n";

#[test]
fn two_miners_of_a_package_share_nothing_however_it_writes_its_paths() {
    let mut host = Host::absent();
    let was_there = [Path::new("/hive").exists(), Path::new("/var/log/miner").exists()];
    // Each text names its configuration in another way, as packages do.
    let manifest = "CUSTOM_NAME=quartz\nCUSTOM_VERSION=2.1.0\nroot=/hi; root=${root}ve/miners\n\
                    CUSTOM_CONFIG_FILENAME=$root/custom/$CUSTOM_NAME/quartz.conf\n\
                    CUSTOM_LOG_BASENAME=/var/log/miner/${CUSTOM_NAME}/$CUSTOM_NAME\n";
    let config = "echo \"-o $CUSTOM_URL\" > $CUSTOM_CONFIG_FILENAME\n\
                  echo \"$CUSTOM_URL\" > \"/hive/miners/custom/${CUSTOM_NAME}/second.conf\"\n\
                  echo \"$CUSTOM_URL\" > $MINER_DIR/$CUSTOM_MINER/third.conf\n\
                  echo \"$CUSTOM_URL\" > /tmp/quartz.conf\necho \"$CUSTOM_URL\" > /run/hive/miner.1\n";
    let run = "#!/usr/bin/env bash\nsource /hive/miners/$MINER_NAME/quartz/h-manifest.conf\nsleep 3\n\
               cd /hive/miners/custom/\"$CUSTOM_NAME\" && cat quartz.conf second.conf third.conf\n\
               cat /tmp/quartz.conf /run/hive/miner.1\necho read all\n\
               echo up | tee --append $CUSTOM_LOG_BASENAME.log\nexec sleep 3600\n";
    install(
        &mut host,
        "quartz",
        &[
            ("h-manifest.conf", manifest),
            ("h-config.sh", config),
            ("h-run.sh", run),
            ("h-stats.sh", STATS),
        ],
    );
    for name in ["a", "b"] {
        start(&host, name, "quartz", &json!({}));
    }
    for (name, other) in [("a", "b"), ("b", "a")] {
        let log = wait_for("the package to read what it wrote", || {
            let log = host.get(&format!("/miners/{name}/logs?lines=500")).to_string();
            log.contains("read all").then_some(log)
        });
        assert_eq!(log.matches(&format!("pool-{name}.example:1")).count(), 5, "{log}");
        assert!(!log.contains(&format!("pool-{other}")), "{log}");
        wait_for("its log", || {
            let log = work(&host, name).join("var/log/miner/quartz/quartz.log");
            fs::read_to_string(log).ok().filter(|it| it == "up\n")
        });
        host.wait_for_phase(name, "mining");
    }
    let is_there = [Path::new("/hive").exists(), Path::new("/var/log/miner").exists()];
    assert_eq!(is_there, was_there);
}

#[test]
fn a_package_writes_nowhere_but_in_its_run() {
    let mut host = Host::absent();
    let outside = host.folder.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("there"), "as it was").unwrap();
    let run = "t=/t; t=${t}mp/adit-$WORKER_NAME-escape\nout=$CUSTOM_USER_CONFIG\n\
               echo x > $out/new; echo x >> $out/there; rm -f $out/there; mkdir $out/folder\n\
               mv $out/there $out/moved; ln $out/there linked; : > $out/there; echo x > $t\n\
               echo x > $ADIT_TREE/../data/kept && echo x > /dev/null && echo x > mine && mktemp\n\
               echo tried all\nexec sleep 3600\n";
    install(
        &mut host,
        "escape",
        &[
            ("h-manifest.conf", "CUSTOM_NAME=escape\nCUSTOM_VERSION=1\n"),
            ("h-run.sh", run),
            ("h-stats.sh", STATS),
        ],
    );
    start(&host, "a", "escape", &json!({ "extra": outside.to_str().unwrap() }));
    let log = wait_for("all attempts", || {
        let log = host.get("/miners/a/logs?lines=500").to_string();
        log.contains("tried all").then_some(log)
    });
    let left: Vec<_> = fs::read_dir(&outside).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(left, ["there"], "{log}");
    assert_eq!(fs::read_to_string(outside.join("there")).unwrap(), "as it was");
    assert!(log.contains(work(&host, "a").join("tmp/tmp.").to_str().unwrap()), "{log}");
    host.wait_for_phase("a", "mining");
    assert_eq!(host.get("/miners/a/plan")["confined"], true);
}

#[test]
fn numbers_as_bc_and_careless_scripts_write_them_are_read() {
    let mut host = Host::absent();
    let stats = "khs=$(echo \"scale=4; (500 / 1000)\" | bc)\n\
                 stats='{\"hs\":\"[ 500. ]\",\"hs_units\":\"hs\",\"temp\":[\"61\"],\"fan\":[.5],\"ar\":[10,1]}'\n";
    let stats = stats.replace("$(echo \"scale=4; (500 / 1000)\" | bc)", ".5000");
    install(
        &mut host,
        "small",
        &[
            ("h-manifest.conf", "CUSTOM_NAME=small\nCUSTOM_VERSION=1\n"),
            ("h-run.sh", "exec sleep 3600\n"),
            ("h-stats.sh", &stats),
        ],
    );
    start(&host, "a", "small", &json!({}));
    let stats = wait_for("stats of the device", || {
        let stats = host.miner("a")["stats"].clone();
        (!stats["devices"][0]["temperature"].is_null()).then_some(stats)
    });
    assert_eq!((&stats["hashrate"], &stats["shares"]), (&json!(500.0), &json!(10)), "{stats}");
    let device = &stats["devices"][0];
    assert_eq!(
        (&device["hashrate"], &device["temperature"]),
        (&json!(500.0), &json!(61.0)),
        "{stats}"
    );
}

#[test]
fn a_long_log_is_cut_and_what_h_stats_leaves_is_ended() {
    let mut host = Host::absent();
    let run = ". ./h-manifest.conf\nhead -c 20000000 /dev/zero | tr '\\0' x | tee --append \
               $CUSTOM_LOG_BASENAME.log > /dev/null\nwhile sleep 1; do echo last; done | \
               tee --append $CUSTOM_LOG_BASENAME.log > /dev/null\n";
    // Outside the group of what is waited for, deaf to TERM, and with its output open.
    let stats =
        "setsid bash -c 'trap \"\" TERM; echo $$ >> ../left; exec sleep 3600' &\nsleep 3600\n";
    install(
        &mut host,
        "flood",
        &[
            (
                "h-manifest.conf",
                "CUSTOM_NAME=flood\nCUSTOM_VERSION=1\nCUSTOM_LOG_BASENAME=/var/log/miner/flood/flood\n",
            ),
            ("h-run.sh", run),
            ("h-stats.sh", stats),
        ],
    );
    start(&host, "a", "flood", &json!({}));
    let log = work(&host, "a").join("var/log/miner/flood/flood.log");
    wait_for("the log to be cut and written on", || {
        let text = fs::read(&log).ok()?;
        (text.ends_with(b"last\n") && text.len() > 1 << 20 && text.len() < 2 << 20).then_some(())
    });
    let left = work(&host, "a").join("hive/miners/custom/left");
    let pid = wait_for("a process that h-stats.sh left", || {
        fs::read_to_string(&left).ok()?.lines().next()?.parse::<i32>().ok()
    });
    wait_for("its end", || (!Path::new(&format!("/proc/{pid}")).exists()).then_some(()));
    wait_for("the reason", || {
        let log = host.get("/miners/a/logs?lines=500").to_string();
        log.contains("did not answer within 8 s").then_some(())
    });
}

#[test]
fn a_state_folder_that_the_scripts_cannot_run_below_is_refused() {
    let host = Host::absent();
    let trace = host.folder.path().join("trace");
    let package = package(&host, &trace);
    for name in ["my rig", "it's", "a#b", "a|b", "a&b"] {
        let state = host.folder.path().join(name);
        let made = host.folder.path().join("made");
        let [package, state, dir] = [&package, &state, &made].map(|it| it.to_str().unwrap());
        let output =
            host.run(&["--state-dir", state, "driver", "import-hiveos", package, "--dir", dir]);
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && error.contains("cannot run below"), "{name}: {error}");
        assert!(!made.exists());
        let output = host.run(&["--state-dir", state, "doctor", "--json"]);
        let findings = String::from_utf8(output.stdout).unwrap();
        assert!(findings.contains("cannot run below"), "{name}: {findings}");
    }
}
