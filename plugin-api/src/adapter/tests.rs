//! Through both ends of the ABI, in one process.

mod panics;

use std::{
    sync::{Arc, Mutex},
    thread,
};

use super::*;
use crate::{
    CommandPlan, CommandStep, Description, DriverObject, ErrorKind, HttpRequest, HttpResponse,
    InstallPlan, LogLevel, Observation, PerformanceMetrics, Probe, Reply, Services, StartPlan,
    StopPlan, Value, json,
    testing::{self, TestHost},
};

/// What `start` shall do is in the configuration, everything else echoes.
struct Echo(Context);

impl Miner for Echo {
    fn create(context: Context) -> Result<Self> {
        log::info!("made for {:?}", context.miner);
        Ok(Self(context))
    }

    fn describe(&self) -> Description {
        let name = format!("{} {}", self.0.driver, self.0.data_dir.is_dir());
        Description { name, ..Description::default() }
    }

    fn start(&self, config: &Config, launch: &Launch) -> Result<StartPlan> {
        assert_eq!(launch, &testing::launch());
        match config.text("do")? {
            "unsupported" => Err(Error::unsupported("no")),
            "unavailable" => Err(Error::unavailable("no")),
            "failed" => Err(Error::failed("no")),
            "long" => Err(Error::failed("é".repeat(1 << 20))),
            other => Err(Error::invalid(format!("do: {other}"))),
        }
    }

    fn install(&self, target: &Target) -> Result<InstallPlan> {
        Ok(InstallPlan::Bundled { program: target.arch.clone() })
    }

    fn probes(&self, launch: &Launch) -> Vec<Probe> {
        vec![Probe::http("a", format!("http://127.0.0.1:{}/", launch.api_port))]
    }

    fn stats(&self, _: &Launch, replies: &[Reply]) -> Result<PerformanceMetrics> {
        let extra_data = [("bytes".to_owned(), json!(replies[1].body))].into_iter().collect();
        Ok(PerformanceMetrics { hashrate: Some(1.5), extra_data, ..Default::default() })
    }

    fn output(&self, lines: &[&str]) -> Vec<Observation> {
        lines.iter().map(|line| Observation::Error { message: (*line).to_owned() }).collect()
    }

    fn command(&self, command: &Command, _: &Launch) -> Result<CommandPlan> {
        let input = format!("{}{}", command.name, command.params);
        Ok(vec![CommandStep::Stdin { input }].into())
    }

    fn request(&self, request: &HttpRequest) -> Result<HttpResponse> {
        let size = match request.path.as_str() {
            "/huge" => (4 << 20) + 1,
            _ => 0,
        };
        let body = [request.body.as_slice(), &vec![0; size]].concat();
        Ok(HttpResponse { status: 201, content_type: request.method.clone(), body })
    }

    fn message(&self, from: &PeerId, payload: &[u8]) -> Result<Vec<u8>> {
        let size = if payload == b"huge" { 4 << 20 } else { 0 };
        Ok([from.0.as_bytes(), payload, &vec![0; size]].concat())
    }

    fn version(&self, output: &str) -> Result<String> {
        Ok(output.to_owned())
    }
}

fn echo() -> (DriverObject, TestHost) {
    let host = testing::host();
    (testing::through_abi::<Echo>(&host.context()).unwrap(), host)
}

fn config(value: Value) -> Config {
    serde_json::from_value(value).unwrap()
}

#[test]
fn every_question_arrives_and_its_answer_comes_back() {
    let (driver, _host) = echo();
    let launch = testing::launch();
    assert_eq!(driver.describe().unwrap().name, "test true");
    let target = Target { arch: "aarch64".into(), ..Target::default() };
    assert_eq!(driver.install(&target), Ok(InstallPlan::Bundled { program: "aarch64".into() }));
    assert_eq!(driver.uninstall(&Installed::default()), Ok(()));
    assert_eq!(driver.version("a \"b\"\n\0é").unwrap(), "a \"b\"\n\0é");
    assert_eq!(driver.stop(&launch), Ok(StopPlan::default()));
    assert_eq!(driver.probes(&launch), Ok(vec![Probe::http("a", "http://127.0.0.1:40001/")]));
    let replies = [testing::reply("a", "x"), testing::reply("b", [0, 255, 10])];
    let metrics = driver.stats(&launch, &replies).unwrap();
    assert_eq!((metrics.hashrate, &metrics.extra_data["bytes"]), (Some(1.5), &json!([0, 255, 10])));
    let command = Command { name: "pool".into(), params: json!({ "n": 1 }) };
    let step = CommandStep::Stdin { input: "pool{\"n\":1}".into() };
    assert_eq!(driver.command(&command, &launch).unwrap().steps, [step]);
    let request = HttpRequest { method: "PUT".into(), body: vec![0, 255], ..Default::default() };
    let response = driver.request(&request).unwrap();
    assert_eq!((response.status, response.body), (201, vec![0, 255]));
    assert_eq!(driver.message(&PeerId("p".into()), &[0, 255]).unwrap(), [b'p', 0, 255]);
    assert_eq!(driver.is_healthy(), Ok(true));
    let unknown = driver.call("sing", "{}").unwrap_err();
    assert_eq!(unknown.kind, ErrorKind::Unsupported);
}

#[test]
fn lines_arrive_one_by_one() {
    let (driver, _host) = echo();
    for lines in [&[][..], &[""], &["", ""], &["a", "", "b\r"], &["é\0"]] {
        let seen = driver.output(lines).unwrap();
        let expected = lines.iter().map(|line| Observation::Error { message: (*line).into() });
        assert_eq!(seen, expected.collect::<Vec<_>>(), "{lines:?}");
    }
}

#[test]
fn errors_keep_their_kind_and_a_bounded_text() {
    let (driver, _host) = echo();
    let start =
        |what: &str| driver.start(&config(json!({ "do": what })), &testing::launch()).unwrap_err();
    assert_eq!(start("x"), Error::invalid("do: x"));
    assert_eq!(start("unsupported"), Error::unsupported("no"));
    assert_eq!(start("unavailable"), Error::unavailable("no"));
    assert_eq!(start("failed"), Error::failed("no"));
    assert!(start("long").message.len() <= 16 << 10);
    let unknown = crate::abi::AbiError { kind: 4711, message: "x".into() };
    assert_eq!(Error::from(unknown), Error::failed("x"));
    let panicked = Error { kind: ErrorKind::Panicked, message: "x".into() };
    assert_eq!(Error::from(crate::abi::AbiError::from(panicked.clone())), panicked);
}

#[test]
fn a_huge_reply_is_refused() {
    let (driver, _host) = echo();
    let check = |error: Error| {
        assert_eq!(error.kind, ErrorKind::Failed);
        assert!(error.message.contains("more than the 4194304 allowed"), "{error}");
    };
    let long = "x".repeat(5 << 20);
    check(driver.version(&long).unwrap_err());
    check(driver.output(&[&long]).unwrap_err());
    check(driver.message(&PeerId("p".into()), b"huge").unwrap_err());
    let request = HttpRequest { path: "/huge".into(), ..HttpRequest::default() };
    check(driver.request(&request).unwrap_err());
    let command = Command { name: long, params: Value::Null };
    check(driver.command(&command, &testing::launch()).unwrap_err());
}

#[test]
fn what_is_logged_during_a_call_reaches_the_host_of_that_object() {
    let (_first, first_host) = echo();
    let (_second, second_host) = echo();
    for host in [first_host, second_host] {
        let logs = host.logs();
        assert_eq!(logs.len(), 1, "{logs:?}");
        assert_eq!(logs[0].level, LogLevel::Info);
        assert_eq!(logs[0].message, "made for Some(\"rig-1\")");
        assert!(logs[0].target.contains("adapter"), "{logs:?}");
    }
}

#[test]
fn the_hosts_services_work_from_the_drivers_end() {
    let recorded = testing::host();
    recorded.answer_with(|from, payload| Ok([from.0.as_bytes(), payload].concat()));
    let services = recorded.handle().services().clone();
    let host = Host::new(Arc::new(DriverEnd(crate::remote::host_object(services))));

    assert_eq!(host.get("k").unwrap(), None);
    host.put("k", &[0, 255]).unwrap();
    host.put("l", b"").unwrap();
    assert_eq!(host.get("k").unwrap(), Some(vec![0, 255]));
    assert_eq!(host.get("l").unwrap(), Some(Vec::new()));
    assert_eq!(host.keys("").unwrap(), ["k", "l"]);
    host.remove("k").unwrap();
    assert_eq!(host.keys("").unwrap(), ["l"]);
    let metrics = PerformanceMetrics { shares: Some(3), ..PerformanceMetrics::default() };
    host.publish(&metrics).unwrap();
    assert_eq!(recorded.published(), [metrics]);
    host.event("fan_lost", &json!({ "fan": 2 })).unwrap();
    assert_eq!(recorded.events(), [("fan_lost".to_owned(), json!({ "fan": 2 }))]);
    assert_eq!(host.send(&PeerId("p".into()), &[0, 255]).unwrap(), [b'p', 0, 255]);
    let huge = vec![0; (4 << 20) + 1];
    assert_eq!(host.send(&PeerId("p".into()), &huge).unwrap_err().kind, ErrorKind::Failed);
    assert_eq!(recorded.sent().len(), 1);

    let levels =
        [LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug, LogLevel::Trace];
    for level in levels {
        host.log(level, &"x".repeat(1 << 20));
    }
    assert_eq!(recorded.logs().iter().map(|logged| logged.level).collect::<Vec<_>>(), levels);
    assert!(recorded.logs().iter().all(|logged| logged.message.len() == 16 << 10));
}

#[test]
fn an_object_serves_several_threads_at_once() {
    let (driver, host) = echo();
    let seen = Mutex::new(0);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..50 {
                    driver.describe().unwrap();
                    *seen.lock().unwrap() += 1;
                }
            });
        }
    });
    assert_eq!(*seen.lock().unwrap(), 400);
    drop(driver);
    drop(host);
}
