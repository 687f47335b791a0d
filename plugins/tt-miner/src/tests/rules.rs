//! One test for each rule that follows from what is publicly known of TT-Miner.

mod output;

use adit_plugin_api::{Ask, DeviceMetrics, Observation, Probe, Reply};

use super::*;

/// Replies that others published.
const REPLY: &str = r#"{"id":0,"jsonrpc":"2.0","result":["TT-Miner/2.2.1","0","4235681;1;0","2077789;2157892","0;0;0","off;off","71;79;59;68","mtp.hk.nicehash.com:3374","0;0;0;0"]}"#;
const REPLY_BETA: &str = r#"{"id":0,"jsonrpc":"2.0","result":["TT-Miner/2.1.11-beta","3","4003571;13;0","1959526;2044045","0;0;0","off;off","68;52;58;39","mtp.eu.nicehash.com:3374","0;0;0;0"]}"#;
/// Of another program of the family, in kH/s.
const ETHMINER: &str = r#"{"id":0,"jsonrpc":"2.0","result":["ethminer-0.16.0.dev0","48","87221;54;2","14683;72538","0;0;0","off;off","53;90;50;90","eu1.ethermine.org:4444","1;3;0;0"]}"#;

const BANNER: &str = "15:56:25.381 ********* TT-Miner - Version: 2023.4.0 (Sep  7 2023 13:13:32)";
const GPU_0: &str = "15:56:30.321 * #00 PCI 41:00.0 Zotac   NVIDIA GeForce RTX 3060  12.00 GB / \
                     2.485 GB  SM/Cores: 28/3584   {845E10CD-...}";
const GPU_1: &str = "17:08:39.630 * #01 PCI 27:00.0 nVidia     NVIDIA GeForce RTX 3060 Laptop GPU  \
                     6.000 GB / 1.039 GB  SM/Cores: 30/3840  8.6  {6748BEC1-...}";
const UNUSED: &str = "17:08:39.630   #02 PCI 28:00.0 nVidia     NVIDIA GeForce GTX 1060  6.000 GB";

fn stats_of(driver: &DriverObject, body: &str) -> Result<PerformanceMetrics> {
    driver.stats(&testing::launch(), &[testing::reply("getstat1", body)])
}

fn stats(body: &str) -> PerformanceMetrics {
    stats_of(&driver(), body).unwrap()
}

fn result(fields: &[&str]) -> String {
    json!({ "id": 0, "jsonrpc": "2.0", "result": fields }).to_string()
}

/// A reply with `at` replaced.
fn changed(at: usize, field: &str) -> String {
    let mut reply: Value = REPLY_BETA.parse().unwrap();
    reply["result"][at] = field.into();
    reply.to_string()
}

fn observe(lines: &[&str]) -> Vec<Observation> {
    driver().output(lines).unwrap()
}

fn phases(lines: &[&str]) -> Vec<Phase> {
    let phase = |seen| match seen {
        Observation::Phase { phase } => Some(phase),
        _ => None,
    };
    observe(lines).into_iter().filter_map(phase).collect()
}

#[test]
fn rule_1_the_api_is_asked_over_raw_tcp_with_one_line_on_loopback() {
    let args = plan(with(json!({}))).unwrap().args;
    assert_eq!(args[..3], ["-b", "127.0.0.1:40001", "-nocolor"].map(str::to_owned));
    let probes = driver().probes(&testing::launch()).unwrap();
    let [Probe { ask: Ask::Tcp { address, send }, timeout, .. }] = &probes[..] else {
        panic!("{probes:?}")
    };
    assert_eq!(address, "127.0.0.1:40001");
    assert_eq!(send, "{\"id\":0,\"jsonrpc\":\"2.0\",\"method\":\"miner_getstat1\"}\n");
    assert_eq!(*timeout, Duration::from_secs(2));
    // With and without a newline behind it.
    assert_eq!(stats(REPLY), stats(&format!("{REPLY}\n")));
    for bad in ["", "{}", "[]", "{\"result\":[]}", "{\"result\":[\"TT-Miner/1\",\"1\"]}", "\u{1}"] {
        let error = stats_of(&driver(), bad).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable, "{bad}: {error}");
    }
    let silent =
        Reply { id: "getstat1".to_owned(), error: Some("refused".to_owned()), ..Reply::default() };
    assert!(driver().stats(&testing::launch(), &[silent]).is_err());
}

#[test]
fn rule_2_tt_miner_counts_in_hashes_and_the_rest_of_its_family_in_thousands() {
    let metrics = stats(REPLY);
    assert_eq!(metrics.hashrate, Some(4_235_681.0));
    let rates: Vec<_> = metrics.devices.iter().map(|device| device.hashrate.unwrap()).collect();
    assert_eq!(rates, [2_077_789.0, 2_157_892.0]);
    assert_eq!(stats(REPLY_BETA).hashrate, Some(4_003_571.0));
    let other = stats(ETHMINER);
    assert_eq!(other.hashrate, Some(87_221_000.0));
    assert_eq!(other.devices[0].hashrate, Some(14_683_000.0));
    // However small the number is, the name alone decides.
    let small = result(&["TT-Miner/2024.3.2", "1", "12;1;0", "12", "0;0;0", "off", "50;40", "p:1"]);
    assert_eq!(stats(&small).hashrate, Some(12.0));
    // Parts that do not make the whole are not told.
    let wrong = stats(&changed(3, "1;2"));
    assert_eq!(wrong.hashrate, Some(4_003_571.0));
    assert!(wrong.devices.iter().all(|device| device.hashrate.is_none()));
    for nonsense in ["-5;1;0", "NaN;1;0", "inf;1;0", "x;1;0", ""] {
        let metrics = stats(&changed(2, nonsense));
        assert!(metrics.hashrate.is_none_or(|rate| rate == 4_003_571.0), "{nonsense}");
    }
}

#[test]
fn rule_3_minutes_become_seconds() {
    assert_eq!(stats(REPLY).uptime, Some(0));
    assert_eq!(stats(REPLY_BETA).uptime, Some(180));
    assert_eq!(stats(&changed(1, "x")).uptime, None);
    assert_eq!(stats(&changed(1, "18446744073709551615")).uptime, None);
}

#[test]
fn rule_4_odd_lists_of_temperatures_are_dropped_and_zeros_are_unknown() {
    let sensors = |field: &str| -> Vec<_> {
        let devices = stats(&changed(6, field)).devices;
        devices.into_iter().map(|device| (device.temperature, device.fan)).collect()
    };
    assert_eq!(sensors("71;79;59;68"), [(Some(71.0), Some(0.79)), (Some(59.0), Some(0.68))]);
    for odd in ["71;79;59", "71", "", "71;79;59;68;1", "71;79;59;68;1;2"] {
        assert_eq!(sensors(odd), [(None, None), (None, None)], "{odd}");
    }
    assert_eq!(sensors("0;0;59;0"), [(None, None), (Some(59.0), Some(0.0))]);
    assert_eq!(sensors("71;300;x;68"), [(Some(71.0), None), (None, None)]);
    let mut reply: Value = REPLY_BETA.parse().unwrap();
    let power = |reply: &Value| -> Vec<_> {
        stats(&reply.to_string()).devices.into_iter().map(|device| device.power).collect()
    };
    assert_eq!(power(&reply), [None, None]);
    reply["result"].as_array_mut().unwrap().push("120;0".into());
    assert_eq!(power(&reply), [Some(120.0), None]);
    reply["result"][9] = "120".into();
    assert_eq!(power(&reply), [None, None]);
}

#[test]
fn rule_5_figures_belong_to_the_selected_devices_in_their_order() {
    assert!(args(with(json!({ "devices": ["0000:41:00.0", "27:00"] }))).contains("-d 41:00,27:00"));
    let identities = |driver: &DriverObject| -> Vec<_> {
        let devices = stats_of(driver, REPLY).unwrap().devices;
        devices.into_iter().map(|DeviceMetrics { id, index, name, .. }| (id, index, name)).collect()
    };
    // Nothing was printed: which is which is not known.
    let unknown = [("gpu:0".to_owned(), None, None), ("gpu:1".to_owned(), None, None)];
    assert_eq!(identities(&driver()), unknown);

    let host = testing::host();
    let first = testing::through_abi::<TtMiner>(&host.context()).unwrap();
    first.output(&[BANNER, UNUSED, GPU_0, GPU_1]).unwrap();
    let name = |text: &str| Some(text.to_owned());
    let known = [
        ("pci:0000:41:00.0".to_owned(), Some(0), name("NVIDIA GeForce RTX 3060")),
        ("pci:0000:27:00.0".to_owned(), Some(1), name("NVIDIA GeForce RTX 3060 Laptop GPU")),
    ];
    assert_eq!(identities(&first), known);
    // A host that begins in the middle of the run has it from the first one's notes,
    let second = testing::through_abi::<TtMiner>(&host.context()).unwrap();
    second.output(&["09:52:05.447 ********* Start mining"]).unwrap();
    assert_eq!(identities(&second), known);
    // but not for another run,
    let other = Launch { run: "rig-1-2".to_owned(), ..testing::launch() };
    let third = testing::through_abi::<TtMiner>(&host.context()).unwrap();
    let metrics = third.stats(&other, &[testing::reply("getstat1", REPLY)]).unwrap();
    assert_eq!(metrics.devices[0].id, "gpu:0");
    // and never when the numbers differ.
    let fourth = driver();
    fourth.output(&[BANNER, GPU_0]).unwrap();
    assert_eq!(identities(&fourth), unknown);
    // A processor has a number and no address.
    let fifth = driver();
    fifth
        .output(&[
            BANNER,
            GPU_0,
            "17:08:39.630 * #15                     AuthenticAMD AMD Ryzen 9 3950X 16-Core \
             Processor               CPUs/Cores: 1/32",
            "16:26:19.725                           Extensions: SSE AVX AVX2 AES",
        ])
        .unwrap();
    assert_eq!(identities(&fifth)[1].0, "index:15");
    let sixth = driver();
    sixth
        .output(&[
            GPU_0,
            "16:26:19.725 * #05 PCI ff:00.0         GenuineIntel Intel(R) Core(TM) i5-8600K CPU @ \
             3.60GHz   6 Cores, 6 Threads",
        ])
        .unwrap();
    assert_eq!(identities(&sixth)[1].0, "index:5");
}
