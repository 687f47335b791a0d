use adit_plugin_api::{PoolMetrics, ShareResult};

use super::*;

fn observe(lines: &[&str]) -> Vec<Observation> {
    Reader::default().observe(lines)
}

fn line(text: &str) -> String {
    format!("[2026-11-22 15:27:16.009]  {text}")
}

/// The sentences that lines with a time give.
fn errors(texts: &[&str]) -> Vec<String> {
    let lines: Vec<String> = texts.iter().map(|text| line(text)).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let message = |seen| match seen {
        Observation::Error { message } | Observation::Warning { message } => Some(message),
        _ => None,
    };
    observe(&lines).into_iter().filter_map(message).collect()
}

#[test]
fn missing_huge_pages_that_only_the_api_counts_are_reported_once() {
    let ready = line("cpu      READY threads 1/1 (1) huge pages 100% 1/1 memory 2048 KB (1 ms)");
    let speed = line("miner    speed 10s/60s/15m 18.0 n/a n/a H/s max 18.0 H/s");
    let warnings = |reader: &Reader, lines: &[&str]| {
        let is_warning = |seen: &Observation| matches!(seen, Observation::Warning { .. });
        reader.observe(lines).into_iter().filter(is_warning).collect::<Vec<_>>()
    };
    let banner = [" * ABOUT        XMRig/6.26.0 gcc/12.2.0", " * HUGE PAGES   permission granted"];
    // The cache of RandomX's light mode: XMRig prints nothing about it.
    let reader = Reader::default();
    assert_eq!(warnings(&reader, &banner), []);
    reader.count_pages((1, 129));
    let seen = warnings(&reader, &[&ready]);
    let [Observation::Warning { message }] = &seen[..] else { panic!("{seen:?}") };
    assert!(message.starts_with("XMRig got 1 of 129 huge pages"), "{message}");
    reader.count_pages((1, 129));
    assert_eq!(warnings(&reader, &[&speed]), []);
    // All are there, none are wanted, or it is not known whether any are.
    for (lines, pages) in [
        (&banner[..], (129, 129)),
        (&[banner[0], " * HUGE PAGES   disabled"][..], (0, 129)),
        (&[][..], (0, 129)),
    ] {
        let reader = Reader::default();
        reader.observe(lines);
        reader.count_pages(pages);
        assert_eq!(warnings(&reader, &[&speed]), [], "{lines:?}");
    }
}

#[test]
fn each_trouble_is_told_in_one_sentence() {
    for (text, wanted) in [
        (
            "net      stratum+ssl://p.example:443 DNS error: \"temporary failure\"",
            "cannot find the pool stratum+ssl://p.example:443: temporary failure",
        ),
        (
            "net      p.example:1 read error: \"end of file\"",
            "the pool p.example:1 ended the connection: end of file; if it does so each time",
        ),
        (
            "net      p.example:1 error: \"Invalid address used for login\", code: -1",
            "says: Invalid address used for login; check wallet and password",
        ),
        ("net      p.example:1 error: \"a\", code: 9\", code: -1", "says: a\", code: 9;"),
        (
            "net      p.example:1 unsupported algorithm \"foo/1\" detected, reconnect",
            "sends jobs for foo/1, which this XMRig cannot mine",
        ),
        (
            "net      p.example:1 incompatible/disabled algorithm \"rx/0\" detected, reconnect",
            "sends jobs for rx/0",
        ),
        ("net      p.example:1 login error code: 4", "cannot read (code 4)"),
        (
            "net      p.example:1 unknown algorithm, make sure you set \"algo\" or \"coin\" option",
            "write it into algo",
        ),
        ("net      p.example:1 duplicate job received, reconnect", "breaks its protocol"),
        ("net      p.example:1 JSON decode failed", "breaks its protocol"),
        (
            "msr      FAILED TO APPLY MSR MOD, HASHRATE WILL BE LOW",
            "could not tune the processor's registers",
        ),
        (
            "randomx  allocated 2336 MB (2080+256) huge pages 0% 0/1168 +JIT (0 ms)",
            "got 0 of 1168 huge pages",
        ),
        ("randomx  -- allocated 2336 MB huge pages 50% 584/1168 (3 ms)", "got 584 of 1168"),
        (
            "cpu      READY threads 2/2 (2) huge pages 0% 0/2 memory 4096 KB (1 ms)",
            "got 0 of 2 huge pages",
        ),
        (
            "randomx  failed to allocate RandomX dataset, switching to slow mode (0 ms)",
            "too little memory for RandomX's fast mode",
        ),
        ("randomx  failed to allocate RandomX memory (0 ms)", "does not mine"),
        ("randomx  #0 failed to allocate RandomX dataset using 1GB pages", "no 1 GB pages"),
        ("cpu      disabled (failed to start threads)", "does not mine on a backend: (failed"),
        ("nvidia   GPU #0 COMPUTE ERROR", "computes wrong results (GPU #0"),
    ] {
        let seen = errors(&[text]);
        assert_eq!(seen.len(), 1, "{text}: {seen:?}");
        assert!(seen[0].contains(wanted), "{text}: {}", seen[0]);
    }
}

#[test]
fn a_wrong_certificate_is_told_although_its_line_has_no_tag() {
    let text = "[2026-11-22 15:27:16.009] [p.example:443] Failed to verify server certificate \
                fingerprint";
    let seen = observe(&[text, "[2026-11-22 15:27:16.009] \"ea0f\" was given"]);
    let [Observation::Error { message }] = &seen[..] else { panic!("{seen:?}") };
    assert!(message.contains("another certificate than tlsFingerprint says"), "{message}");
}

#[test]
fn phases_follow_the_lines() {
    let reader = Reader::default();
    let phase = |text: &str| {
        let seen = reader.observe(&[text]);
        seen.iter().rev().find_map(|seen| match seen {
            Observation::Phase { phase } => Some(*phase),
            _ => None,
        })
    };
    for (text, expected) in [
        (" * POOL #1      p.example:1 algo rx/0".to_owned(), Some(Phase::Connecting)),
        (line("net      use pool p.example:1 TLSv1.3 192.0.2.1"), Some(Phase::Waiting)),
        (line("randomx  init dataset algo rx/0 (1 threads) seed 00..."), Some(Phase::Preparing)),
        (line("randomx  dataset ready (525 ms)"), None),
        (
            line("cpu      READY threads 1/1 (1) huge pages 100% 1/1 memory 2048 KB (1 ms)"),
            Some(Phase::Waiting),
        ),
        (line("cpu      accepted (1/0) diff 240K (38 ms)"), Some(Phase::Mining)),
        (line("miner    paused, press  r  to resume"), Some(Phase::Paused)),
        (line("miner    resumed"), Some(Phase::Waiting)),
        (line("net      no active pools, stop mining"), Some(Phase::Degraded)),
        (line("net      dev donate started"), None),
        (line("net      dev donate finished"), None),
    ] {
        assert_eq!(phase(&text), expected, "{text}");
    }
}

#[test]
fn speeds_are_in_hashes_a_second() {
    let rate = |text: &str| {
        let seen = observe(&[&line(&format!("miner    speed 10s/60s/15m {text}"))]);
        match seen[..] {
            [Observation::Hashrate { hashrate }] => Some(hashrate),
            _ => None,
        }
    };
    assert_eq!(rate("442.8 2774.6 n/a H/s max 3468.5 H/s"), Some(442.8));
    assert_eq!(rate("1.5 1.4 n/a MH/s max 2.0 MH/s"), Some(1_500_000.0));
    assert_eq!(rate("12.5 n/a n/a H/s max 12.5 H/s avg 11.0 H/s"), Some(12.5));
    for none in [
        "n/a n/a n/a H/s max n/a H/s",
        "inf 1 1 H/s max 1 H/s",
        "-1 1 1 H/s max 1 H/s",
        "1 1 1 XH/s max 1 XH/s",
        "1",
        "",
    ] {
        assert_eq!(rate(none), None, "{none}");
    }
}

#[test]
fn a_job_tells_pool_algorithm_and_difficulty() {
    let text = line("net      new job from p.example:1 diff 240K algo rx/0 height 3 (5 tx)");
    let pool = PoolMetrics {
        url: "p.example:1".to_owned(),
        connected: Some(true),
        difficulty: Some(240_000),
        ..PoolMetrics::default()
    };
    let algorithm = "rx/0".to_owned();
    assert_eq!(observe(&[&text]), [Observation::Pool(pool), Observation::Algorithm { algorithm }]);
    let text = line("net      new job from p.example:1 diff 99999999999999999999G algo rx/0");
    assert_eq!(observe(&[&text]), []);
}

#[test]
fn a_share_of_another_form_does_not_count() {
    for text in [
        "accepted (1/0) diff 15 (0 ms)",
        "[2026-11-22 15:27:16.009] cpu accepted (1/0) diff 15 (0 ms)",
        "[2026-11-22]  cpu      accepted (1/0) diff 15 (0 ms)",
        "[2026-11-22 15:27:16.009]  net      accepted (1/0) diff 15 (0 ms)",
        "[2026-11-22 15:27:16.009]  cpu      accepted (1/0) diff 15",
        "[2026-11-22 15:27:16.009]  cpu      accepted (-1/0) diff 15 (0 ms)",
        "[2026-11-22 15:27:16.009]  cpu      accepted (1/0) diff x (0 ms)",
        "[2026-11-22 15:27:16.009]  cpu      accepted (1) diff 15 (0 ms)",
        "[2026-11-22 15:27:16.009]  cpu      rejected (0/1) diff 15 (0 ms)",
        "x[2026-11-22 15:27:16.009]  cpu      accepted (1/0) diff 15 (0 ms)",
    ] {
        let seen = observe(&[text]);
        assert!(!seen.iter().any(|seen| matches!(seen, Observation::Share { .. })), "{text}");
    }
}

#[test]
fn a_new_run_counts_from_the_beginning() {
    let share = line("cpu      accepted (1/0) diff 15 (0 ms)");
    let later = line("cpu      accepted (500/0) diff 15 (0 ms)");
    let banner = " * ABOUT        XMRig/6.26.0 gcc/12.2.0";
    let seen = observe(&[&later, banner, &share]);
    let accepted = Observation::Share { result: ShareResult::Accepted };
    assert_eq!(seen.iter().filter(|seen| **seen == accepted).count(), 2);
}

#[test]
fn garbage_says_nothing_and_does_no_harm() {
    let long = "x".repeat(100_000);
    let long_quoted = line(&format!("net      p.example:1 error: \"{long}\", code: -1"));
    let mut lines: Vec<String> =
        ["", "[", "[]", " * ", " *", "\u{1b}[", "\u{1b}", "[é] é", "]"].map(str::to_owned).into();
    lines.extend([long.clone(), "é".repeat(50), line(""), line("é"), line("cpu      é")]);
    // Every beginning of every kind of line.
    for text in [
        line("cpu      rejected (23/1) diff 15 \"Low difficulty share\" (0 ms)"),
        line("net      p.example:1 192.0.2.1 connect error: \"connection refused\""),
        line("randomx  allocated 2336 MB (2080+256) huge pages 0% 0/1168 +JIT (0 ms)"),
        line("miner    speed 10s/60s/15m 442.8 2774.6 n/a MH/s max 3468.5 H/s"),
        " * HTTP API     127.0.0.1:18089 address already in use".to_owned(),
    ] {
        lines.extend((0..text.len()).map(|end| text[..end].to_owned()));
    }
    for text in &lines {
        for seen in observe(&[text]) {
            assert!(!matches!(seen, Observation::Share { .. }), "{text}");
        }
    }
    for seen in observe(&[&long_quoted]) {
        if let Observation::Error { message } = seen {
            assert!(message.len() < 400, "{}", message.len());
        }
    }
    let colour = line("net      p.example:1 error: \"\u{1b}[31m\u{7}red\u{1b}]0;x\", code: -1");
    for seen in observe(&[&colour]) {
        if let Observation::Error { message } = seen {
            assert!(!message.contains(char::is_control), "{message:?}");
        }
    }
}

#[test]
fn a_refusal_counts_more_than_the_end_of_the_connection_after_it() {
    let refusal = line("net      p.example:1 error: \"Invalid address\", code: -1");
    let end = |url: &str| line(&format!("net      {url} read error: \"end of file\""));
    let told = |lines: &[&str]| {
        let seen = observe(lines);
        let is_told = |it: &&Observation| matches!(it, Observation::Error { .. });
        seen.iter().filter(is_told).count()
    };
    assert_eq!(told(&[&refusal, &end("p.example:1")]), 1);
    assert_eq!(told(&[&refusal, &end("p.example:1"), &end("p.example:1")]), 2);
    assert_eq!(told(&[&refusal, &end("other.example:1")]), 2);
    // Of the two lines about an algorithm the one that names it counts.
    let algorithm =
        line("net      p.example:1 unsupported algorithm \"foo/1\" detected, reconnect");
    let code = line("net      p.example:1 login error code: 6");
    assert_eq!(told(&[&algorithm, &code]), 1);
}
