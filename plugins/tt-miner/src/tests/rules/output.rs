//! The rules about output, and those about what is known of its faults.

use adit_plugin_api::{PoolMetrics, ShareResult};

use super::*;

#[test]
fn rule_6_phases_follow_the_output_and_nothing_before_the_first_share_is_a_fault() {
    for (line, expected) in [
        (
            "Krnl[00-RVN]:  Create Kernel (A048#2A26F-75) for NVIDIA GeForce GTX 1660 SUPER",
            Phase::Preparing,
        ),
        ("Dag[00-RVN]:   Create cache for DAG(D345-48) - 59.12 MB", Phase::Preparing),
        ("23:27:38 Coin[RVN]:     Switch to DAG for epoch 345", Phase::Preparing),
        (
            "09:52:05.668 Pool[DEF-0]:   Connecting to: stratum+tcp://stratum4.hashcryptos.com:9989",
            Phase::Connecting,
        ),
        (
            "09:52:07.288 Pool[DEF-0]:   Connected to: stratum4.hashcryptos.com:9989 - IP4/IP6: \
             51.178.179.75",
            Phase::Waiting,
        ),
    ] {
        assert_eq!(phases(&[line]), [expected], "{line}");
    }
    let zero = "09:53:12.494 All[DEF]:      0 H/s [A0:R0:S0 0.0%]  10 W  0 H/s/W  uptime: 0 \
                00:00:07  last: -";
    assert_eq!(observe(&[zero]), [Observation::Progress]);
    let hashing = "09:53:42.494 All[DEF]:   22.5 MH/s [A0:R0:S0 0.0%]  110 W  0 H/s/W";
    assert_eq!(phases(&[hashing]), [Phase::Waiting]);
    let share = "09:54:12.494 All[DEF]:   22.5 MH/s [A1:R0:S0 0.0%]  110 W  0 H/s/W";
    assert_eq!(phases(&[hashing, share]), [Phase::Waiting, Phase::Mining]);
    // A new kernel while it hashes is no preparation.
    let kernel = "Krnl[00-RVN]:  Create Kernel (A048#2A26F-75) for NVIDIA GeForce GTX 1660 SUPER";
    assert_eq!(phases(&[share, kernel]), [Phase::Mining]);
    // The API reports 0 before the first share too.
    let before = stats(&result(&[
        "TT-Miner/2023.1",
        "2",
        "0;0;0",
        "0;0",
        "0;0;0",
        "off;off",
        "40;0;41;0",
        "p:1",
    ]));
    assert_eq!((before.hashrate, before.phase), (None, None));
    assert!(before.devices.iter().all(|device| device.hashrate.is_none()));
    let after = stats(&result(&[
        "TT-Miner/2023.1",
        "2",
        "0;5;0",
        "0;0",
        "0;0;0",
        "off;off",
        "40;0;41;0",
        "p:1",
    ]));
    assert_eq!(after.hashrate, Some(0.0));
    assert_eq!(stats(REPLY).phase, Some(Phase::Mining));
}

#[test]
fn rule_7_the_output_is_the_second_source_and_unknown_versions_have_the_api_only() {
    let share = "All[DEF]:   22.5 MH/s [A2:R1:S4 0.0%]  110 W  0 H/s/W";
    let count = |lines: &[&str], result| {
        let is = |seen: &&Observation| **seen == Observation::Share { result };
        observe(lines).iter().filter(is).count()
    };
    assert_eq!(count(&[share], ShareResult::Accepted), 2);
    assert_eq!(count(&[share, share], ShareResult::Accepted), 2);
    assert_eq!(count(&[share], ShareResult::Rejected), 1);
    assert_eq!(count(&[share], ShareResult::Stale), 0, "what S counts is not known");
    assert!(observe(&[share]).contains(&Observation::Hashrate { hashrate: 22.5e6 }));
    // Another run begins with its banner, and counts from nothing.
    assert_eq!(count(&[share, BANNER, share], ShareResult::Accepted), 4);
    for known in [
        BANNER,
        "08:21:53.000 TT-Miner - Version: 2024.3.3 - Beta 5 (Jul 25 2024 08:21:53)",
        "TT-Miner - Version: 6.2.0",
    ] {
        assert_eq!(count(&[known, share], ShareResult::Accepted), 2, "{known}");
    }
    for strange in ["TT-Miner - Version: 2026.1.0", "TT-Miner - Version: 2.2.1"] {
        let seen = observe(&[strange, share, GPU_0]);
        assert!(seen.iter().all(|seen| *seen == Observation::Progress), "{strange}: {seen:?}");
    }
    // Reasons, with the pool that they are about.
    let lost = observe(&[
        "09:52:05.668 Pool[DEF-0]:   Connecting to: ssl://a.example:9989",
        "Pool[DEF-0]:   End of file [asio.misc:2 at ...] - func:3",
        "               stream truncated [asio.ssl.stream:1] - func:3",
        "Retry to connect in 15 seconds.      Disconnected from: ...",
        "Pool[DEF-1]:   Connecting to: ssl://b.example:1",
    ]);
    let pools: Vec<_> = lost
        .iter()
        .filter_map(|seen| match seen {
            Observation::Pool(pool) => {
                Some((pool.url.as_str(), pool.connected, pool.error.as_deref()))
            }
            _ => None,
        })
        .collect();
    let reason = Some("End of file [asio.misc:2 at ...]");
    assert_eq!(pools, [("a.example:9989", Some(false), reason); 3]);
    let error = Observation::Error {
        message: "pool a.example:9989: End of file [asio.misc:2 at ...]".to_owned(),
    };
    assert!(lost.contains(&error), "{lost:?}");
    assert_eq!(lost.last(), Some(&Observation::Phase { phase: Phase::Connecting }));
}

#[test]
fn rule_7_the_pool_lines_of_2024_3_have_a_dash_and_a_scheme() {
    let banner = "12:00:00.000 ********* TT-Miner - Version: 2024.3.2 (Jul 11 2024 10:00:00)";
    let refused = "No connection could be made because the target machine actively refused it";
    let pools = |lines: &[&str]| -> Vec<PoolMetrics> {
        let seen = observe(lines).into_iter();
        let pool = |seen| match seen {
            Observation::Pool(pool) => Some(pool),
            _ => None,
        };
        seen.filter_map(pool).collect()
    };
    for connected in [
        "12:00:00.000 Pool[DEF-0]:   -Connected to stratum1+ssl://pool.example:443",
        "12:00:00.000 Pool[DEF-0]:   - Connected to: epic+ssl://pool.example:443 - IP4: 192.0.2.1",
        "12:00:00.000 Pool[DEF-0]:   Connected to pool.example:443",
    ] {
        assert_eq!(phases(&[banner, connected]), [Phase::Waiting], "{connected}");
        let pool = pools(&[banner, connected]).remove(0);
        assert_eq!((pool.url.as_str(), pool.connected), ("pool.example:443", Some(true)));
    }
    let connecting = "Pool[DEF-0]:   -Connecting to stratum1+ssl://pool.example:443";
    assert_eq!(phases(&[banner, connecting]), [Phase::Connecting]);
    for reason in [
        refused,
        "Connection refused",
        "Connection reset by peer",
        "Connection timed out",
        "No route to host",
        "Network is unreachable",
        "Host not found (authoritative)",
        "certificate verify failed",
    ] {
        let line = format!("12:00:00.000 Pool[DEF-0]:   -{reason}");
        let degraded = [Phase::Connecting, Phase::Degraded];
        assert_eq!(phases(&[banner, connecting, &line]), degraded, "{reason}");
        let pool = pools(&[banner, connecting, &line]).remove(0);
        assert_eq!((pool.connected, pool.error.as_deref()), (Some(false), Some(reason)));
        assert_eq!(pool.url, "pool.example:443");
    }
    // Without a line that names the pool, the selector does.
    let line = format!("12:00:00.000 Pool[DEF-1]:   -{refused}");
    let error = Observation::Error { message: format!("pool DEF-1: {refused}") };
    assert!(observe(&[banner, &line]).contains(&error));
    // What only looks similar is no connection.
    for other in ["-Connected tomorrow", "Connections: 2", "--Connected to a.example:1"] {
        let line = format!("Pool[DEF-0]:   {other}");
        assert_eq!(observe(&[banner, &line]), [const { Observation::Progress }; 2], "{other}");
    }
}

#[test]
fn rule_8_lines_of_every_known_form_are_read() {
    let gpu = "09:53:12.494 GPU[00-DEF]:   0 H/s [A0:R0:S0 0.0%]  CClk:300.0 MHz-0%  MClk:405.0 \
               MHz-0%  41°C  0%  10 W  0 H/s/W  5.777 GB left  last: -";
    assert_eq!(observe(&[gpu]), [Observation::Progress]);
    for (number, unit, expected) in [
        ("1", "H", 1.0),
        ("2.5", "kH", 2500.0),
        ("104.9", "MH", 104.9e6),
        ("3", "GH", 3e9),
        ("1", "TH", 1e12),
    ] {
        for time in ["", "09:53:12 ", "09:53:12.494 "] {
            let line = format!("{time}All[DEF]:      {number} {unit}/s [A1:R0:S0 0.0%]  10 W");
            let seen = observe(&[&line]);
            assert!(
                seen.contains(&Observation::Hashrate { hashrate: expected }),
                "{line}: {seen:?}"
            );
        }
    }
    for bad in [
        "All[DEF]: 5 XH/s [A1:R0:S0 0.0%]",
        "All[DEF]: -5 MH/s [A1:R0:S0 0.0%]",
        "All[DEF]: 5 MH/s [A1:R0 0.0%]",
        "All[DEF]: 5 MH/s",
        "9:53 All[DEF]: 5 MH/s [A1:R0:S0]",
        "evil All[DEF]: 5 MH/s [A1:R0:S0]",
    ] {
        let seen = observe(&[bad]);
        assert!(
            !seen.iter().any(|it| matches!(it, Observation::Hashrate { .. })),
            "{bad}: {seen:?}"
        );
    }
    // What a GPU's line says completes the API.
    let driver = driver();
    let power = "GPU[01-DEF]:   11 MH/s [A3:R1:S0 0.0%]  CClk:1 MHz-0%  41°C  30%  95.5 W  0 H/s/W";
    driver.output(&[BANNER, GPU_0, GPU_1, gpu, power]).unwrap();
    let devices = stats_of(&driver, REPLY).unwrap().devices;
    assert_eq!((devices[0].power, devices[1].power), (Some(10.0), Some(95.5)));
    assert_eq!((devices[1].accepted, devices[1].rejected), (Some(3), Some(1)));
    // The difficulty, and the algorithm in lower case.
    let seen = observe(&[
        "09:52:07.288 Pool[DEF-0]:   Connected to: a.example:9989 - IP4/IP6: 51.178.179.75",
        "09:52:07.390 Pool[DEF-0]:   Difficulty changed from 0 H to 104.9 MH",
        "09:52:05.448 ********* Mining fee for 'KawPoW': 1.00%",
    ]);
    let Some(Observation::Pool(pool)) = seen.get(2) else { panic!("{seen:?}") };
    assert_eq!((pool.difficulty, pool.connected), (Some(104_900_000), Some(true)));
    assert_eq!(seen[3], Observation::Algorithm { algorithm: "kawpow".to_owned() });
    // An address that is not whole is none.
    let driver = self::driver();
    driver
        .output(&["* #3 PCI 0:3 Zotac     NVIDIA GeForce RTX 3090 (8.6) CoreClk 0 MHz   24575 MB"])
        .unwrap();
    let one = result(&["TT-Miner/6.2.0", "1", "5;1;0", "5", "0;0;0", "off", "50;40", "p:1", "0;0"]);
    let device = stats_of(&driver, &one).unwrap().devices.remove(0);
    assert_eq!((device.id.as_str(), device.pci), ("index:3", None));
}

#[test]
fn rule_9_known_hazards_are_told_in_plain_words() {
    for (line, wanted) in [
        (
            "17:08:32.504 ********* NO DEVFEE!            (beta)      Beta 4 test period expired - \
             please check for a new version of TT-Miner.",
            "has expired and does not mine",
        ),
        ("CUDA devices:       0", "finds no NVIDIA GPU"),
        (
            "./TT-Miner: error while loading shared libraries: libcuda.so.1: cannot open shared \
             object file: No such file or directory",
            "without NVIDIA's driver",
        ),
    ] {
        let seen = observe(&[line]);
        let [Observation::Error { message }] = &seen[..] else { panic!("{line}: {seen:?}") };
        assert!(message.contains(wanted), "{message}");
    }
    assert_eq!(observe(&["CUDA devices:       3"]), [Observation::Progress]);
    // Shares that make no sense are not told.
    let metrics = stats(&changed(2, "4003571;3;5"));
    assert_eq!((metrics.shares, metrics.rejected), (None, Some(5)));
    assert_eq!(metrics.extra_data["sharesField"], 3);
    let metrics = stats(&changed(2, "4003571;13;3"));
    assert_eq!((metrics.shares, metrics.rejected), (Some(10), Some(3)));
    // Text from a pool or a wallet reaches nobody.
    let metrics = stats(&changed(7, "ssl://wallet.rig:pw@pool.example:1;other:2"));
    assert_eq!(metrics.pool.unwrap().url, "pool.example:1");
}

#[test]
fn garbage_never_panics() {
    let lines = [
        BANNER,
        GPU_0,
        "All[",
        "Pool[]:",
        "GPU[9999999999-X]: 1 H/s [A1:R1:S1]",
        "é[é]:é",
        "*",
        "* #",
        "[]:",
        "\u{1b}[",
        "00:00:00 ",
        "TT-Miner - Version: ",
    ];
    for line in lines {
        for end in line.char_indices().map(|(at, _)| at) {
            observe(&[&line[..end]]);
        }
    }
    for end in 0..REPLY.len() {
        assert!(stats_of(&driver(), &REPLY[..end]).is_err());
    }
    for at in 0..9 {
        for field in ["", ";", ";;;;;;", "1e400;x", "\u{0}", "999999999999999999999;1;1"] {
            let _either_way = stats_of(&driver(), &changed(at, field));
        }
    }
}
