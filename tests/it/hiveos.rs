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
         touch {trace}\nOTHER=$(touch {trace})\n",
        trace = trace.display()
    );
    // The name of the package is no variable in what is replaced, so the path is spelt out.
    let manifest = manifest.replace("custom/$CUSTOM_NAME", "custom/nova");
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
    assert!(trace.exists(), "the miner's own processes read the manifest");
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
