use std::time::Duration;

use serde_json::json;

use super::*;
use crate::{
    Ask, CommandPlan, CommandStep, Config, Console, Description, InstallPlan, Launch,
    PerformanceMetrics, Phase, Probe, ProcessPlan, ReleasePlan, ShareResult, StartPlan, StopPlan,
};

fn round_trip<T>(value: &T)
where
    T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let text = encode("it", value).unwrap();
    assert_eq!(&decode::<T>("it", &text).unwrap(), value, "{text}");
}

#[test]
fn payloads_come_back_as_they_were() {
    round_trip(&Description {
        name: "Sim".into(),
        config_schema: json!({ "type": "object" }),
        phase_limits: [(Phase::Preparing, Duration::from_secs(600))].into(),
        ..Description::default()
    });
    round_trip(&InstallPlan::Release(ReleasePlan { asset: "a".into(), ..ReleasePlan::default() }));
    round_trip(&InstallPlan::Bundled { program: "sim-miner".into() });
    round_trip(&StartPlan::Process(ProcessPlan {
        args: vec!["--x".into(), "a b\n\0\"é".into()],
        console: Console::Pipes,
        confined: true,
        stdin: Some("go\n".into()),
        ..ProcessPlan::default()
    }));
    round_trip(&StopPlan::default());
    round_trip(&vec![
        Probe::http("summary", "http://127.0.0.1:1/2/summary").header("Authorization", "Bearer x"),
        Probe::tcp("stats", "127.0.0.1:2", "{}\n"),
    ]);
    round_trip(&vec![
        Observation::Hashrate { hashrate: 1234.5 },
        Observation::Share { result: ShareResult::Stale },
        Observation::Phase { phase: Phase::Mining },
    ]);
    round_trip(&CommandPlan {
        steps: vec![CommandStep::Stdin { input: "p".into() }],
        secrets: vec!["4WALLET".into()],
    });
    round_trip(&CommandPlan::from(vec![CommandStep::Stdin { input: "p".into() }]));
    round_trip(&PerformanceMetrics {
        hashrate: Some(0.1 + 0.2),
        diff_current: Some(u64::MAX),
        hashrates: [("15m".to_owned(), None)].into(),
        ..PerformanceMetrics::default()
    });
    round_trip(&ContextHead {
        driver: "sim".into(),
        miner: Some("rig".into()),
        ..Default::default()
    });
}

#[test]
fn what_a_newer_side_adds_is_passed_over() {
    let plan: StopPlan =
        decode("it", r#"{"steps":[{"do":"sing","song":1,"graceMs":5}],"x":1}"#).unwrap();
    assert_eq!(plan.steps[0].action, crate::StopAction::Unknown);
    let probes: Vec<Probe> = decode("it", r#"[{"id":"a","ask":"telepathy","to":[1]}]"#).unwrap();
    assert_eq!(probes[0].ask, Ask::Unknown);
    assert_eq!(decode::<StartPlan>("it", r#"{"kind":"cloud","n":1}"#).unwrap(), StartPlan::Unknown);
    assert_eq!(decode::<Launch>("it", r#"{"moon":1}"#).unwrap(), Launch::default());
    let limits: Description = decode("it", r#"{"phaseLimits":{"dreaming":1}}"#).unwrap();
    assert_eq!(limits.phase_limits[&Phase::Unknown], Duration::from_millis(1));
}

#[test]
fn garbage_is_an_error_that_names_what_and_where() {
    fn check<T: DeserializeOwned + std::fmt::Debug>(text: &str, expected: &str) {
        let message = decode::<T>("the plan", text).unwrap_err().message;
        assert!(message.starts_with("the plan cannot be read: "), "{message}");
        assert!(message.contains(expected), "{message}");
        assert!(!message.contains("wallet"), "{message}");
    }

    check::<StartPlan>("", "EOF");
    check::<StartPlan>("{", "EOF");
    check::<StartPlan>("null", "null");
    check::<StartPlan>(r#"{"kind":"process"} x"#, "text after its end");
    check::<StartPlan>(r#"{"kind":"process","args":"wallet"}"#, "invalid type: string");
    check::<ProcessPlan>(r#"{"args":["a",1]}"#, "args[1]: invalid type: integer");
    check::<Config>("[]", "sequence");
    check::<PerformanceMetrics>(r#"{"shares":-1}"#, "shares: ");
    check::<ContextHead>(r#"{"miner":5}"#, "miner: ");
    check::<serde_json::Value>(&"[".repeat(100_000), "recursion");
    check::<StopPlan>(r#"{"steps":[{"do":"stdin","input":"","graceMs":-1}]}"#, "");
}

#[test]
fn a_figure_that_is_no_number_is_absent() {
    let metrics = PerformanceMetrics { hashrate: Some(f64::NAN), ..PerformanceMetrics::default() };
    let text = encode("it", &metrics).unwrap();
    assert_eq!(decode::<PerformanceMetrics>("it", &text).unwrap().hashrate, None);
}

#[test]
fn one_unreadable_observation_does_not_spoil_the_others() {
    let good = Observation::Hashrate { hashrate: 5.0 };
    let bad = Observation::Hashrate { hashrate: f64::INFINITY };
    let text = encode("it", &[bad, good.clone()]).unwrap();
    let seen = decode_observations("it", &text).unwrap();
    assert_eq!(seen, [Observation::Unknown, good]);
    let newer = r#"[{"saw":"share","result":"doubted"},{"saw":"comet","tail":1},7]"#;
    assert_eq!(decode_observations("it", newer).unwrap(), [const { Observation::Unknown }; 3]);
    decode_observations("it", "{}").unwrap_err();
}

#[test]
fn replies_keep_their_bytes_and_their_order() {
    let reply = |id: &str, body: &[u8]| Reply {
        id: id.into(),
        status: 200,
        body: body.to_vec(),
        elapsed: Duration::from_millis(12),
        ..Reply::default()
    };
    let replies = vec![
        reply("a", b"\0\xff\n"),
        Reply { id: "b".into(), error: Some("refused".into()), ..Reply::default() },
        reply("c", b"{}"),
    ];
    let (heads, bodies) = encode_replies(&replies).unwrap();
    assert_eq!(decode_replies(&heads, &bodies).unwrap(), replies);
    assert_eq!(decode_replies("[]", b"").unwrap(), []);
}

#[test]
fn lengths_that_do_not_fit_the_bodies_are_refused() {
    for (heads, bodies) in [
        (r#"[{"length":3}]"#, &b"ab"[..]),
        (r#"[{"length":1}]"#, b"ab"),
        (r#"[{"length":18446744073709551615},{"length":2}]"#, b"ab"),
        ("[]", b"x"),
        (r#"[{"length":-1}]"#, b""),
        ("{}", b""),
    ] {
        let error = decode_replies(heads, bodies).unwrap_err();
        assert!(error.message.starts_with("the replies cannot be read: "), "{error}");
    }
}

#[test]
fn requests_and_responses_keep_their_bytes() {
    let request = HttpRequest {
        method: "POST".into(),
        path: "/a b/é".into(),
        query: vec![("k".into(), "1".into()), ("k".into(), "2".into())],
        body: b"\0\xff".to_vec(),
    };
    let head = encode_request(&request).unwrap();
    assert_eq!(decode_request(&head, &request.body).unwrap(), request);

    let response = HttpResponse { status: 599, content_type: "x/y".into(), body: vec![0, 255] };
    let head = encode_response(&response).unwrap();
    assert_eq!(decode_response("it", &head, response.body.clone()).unwrap(), response);
}

#[test]
fn a_response_that_cannot_be_sent_is_refused() {
    for head in ["", "{}", r#"{"status":199}"#, r#"{"status":600}"#, r#"{"status":70000}"#] {
        let error = decode_response("it", head, Vec::new()).unwrap_err();
        assert!(error.message.starts_with("it "), "{head}: {error}");
    }
}

#[cfg(unix)]
#[test]
fn a_path_that_is_no_text_is_an_error_and_no_panic() {
    use std::os::unix::ffi::OsStringExt;
    let program = std::ffi::OsString::from_vec(vec![0xff]).into();
    let plan = StartPlan::Process(ProcessPlan { program, ..ProcessPlan::default() });
    let error = encode("the start plan", &plan).unwrap_err();
    assert!(error.message.starts_with("the start plan cannot be written"), "{error}");
}
