//! Replies and output as they are on a bad day.

use adit_plugin_api::{Observation, PerformanceMetrics, Probe, Reply};

use crate::{
    check::{Suite, asked::Asked, figures, rules},
    handle::Instance,
};

/// Size of a large reply and of a long line, in bytes.
const LARGE: usize = 1 << 20;

/// What a program's API may answer on a bad day.
fn bad_replies() -> Vec<(&'static str, Reply)> {
    let failed = |error: &str| Reply { error: Some(error.to_owned()), ..Reply::default() };
    let body = |body: &[u8]| Reply { status: 200, body: body.to_vec(), ..Reply::default() };
    let with_status = |status| Reply { status, ..body(b"{\"error\": \"no\"}") };
    let deep = [b"[".repeat(5_000), b"]".repeat(5_000)].concat();
    vec![
        ("a refused connection", failed("connection refused")),
        ("no answer in time", failed("timed out")),
        ("a reply that is too large", failed("the reply has more than 1 MiB")),
        ("an empty reply", body(b"")),
        ("half a reply", body(b"{\"hashrate\": {\"total\": [12")),
        ("a web page", body(b"<html><body>502 Bad Gateway</body></html>")),
        ("null", body(b"null")),
        ("an empty object", body(b"{}")),
        ("an empty list", body(b"[]")),
        ("a number", body(b"17")),
        ("text", body(b"\"hashrate\"")),
        ("bytes that are no text", body(&[0xff, 0xfe, 0x00, 0x80])),
        ("nested lists", body(&deep)),
        ("a megabyte of spaces", body(&b" ".repeat(LARGE))),
        ("status 401", with_status(401)),
        ("status 404", with_status(404)),
        ("status 500", with_status(500)),
    ]
}

/// Output that a hostile pool or a broken program may cause.
fn bad_lines() -> Vec<(&'static str, Vec<String>)> {
    let one = |line: &str| vec![line.to_owned()];
    vec![
        ("an empty line", one("")),
        ("white space", one(" \t ")),
        ("control characters", one("\u{1b}[2J\u{7}\0\u{9b}31m")),
        ("a line of a megabyte", one(&"9".repeat(LARGE))),
        ("brackets", one("[[[[((((%s%n{{{{")),
        ("letters of many alphabets", one("хэшрейт: ١٢٣ H/s — 算力 🦀")),
        ("a replacement character", one("hashrate: \u{fffd} H/s")),
        ("a number that is none", one("hashrate: NaN H/s")),
        ("an endless number", one("hashrate: inf H/s")),
        ("a negative number", one("hashrate: -17.5 H/s")),
        ("a number that is too large", one("hashrate: 1e999 H/s")),
        ("many lines", vec!["x".to_owned(); 5_000]),
    ]
}

impl Suite {
    pub(super) async fn withstands_replies(&mut self, instance: &Instance) {
        let launch = self.launch.clone();
        let probes = self.asked(instance.probes(launch).await).given().unwrap_or_default();
        let mut notes = Vec::new();
        for (what, reply) in bad_replies() {
            let all =
                probes.iter().map(|Probe { id, .. }| Reply { id: id.clone(), ..reply.clone() });
            notes.extend(self.figures_for(instance, what, all.collect()).await);
        }
        notes.extend(self.figures_for(instance, "no reply at all", Vec::new()).await);
        let stray = Reply { id: "adit-check-stray".to_owned(), status: 200, ..Reply::default() };
        notes.extend(self.figures_for(instance, "a reply to another question", vec![stray]).await);
        self.findings.judge(&rules::FAULTS, notes);
    }

    /// What is wrong with the figures that the driver made of replies that hold nothing.
    async fn figures_for(
        &mut self,
        instance: &Instance,
        what: &str,
        replies: Vec<Reply>,
    ) -> Option<String> {
        let stats = instance.stats(self.launch.clone(), replies).await;
        let Asked::Given(metrics) = self.asked(stats) else { return None };
        let PerformanceMetrics { hashrate, shares, rejected, .. } = metrics;
        let invented = hashrate.is_some() || shares.is_some() || rejected.is_some();
        invented.then(|| {
            format!("{what}: figures of {hashrate:?} H/s, {shares:?} shares, {rejected:?} rejected")
        })
    }

    pub(super) async fn withstands_output(&mut self, instance: &Instance) {
        let mut notes = Vec::new();
        for (what, lines) in bad_lines() {
            let output = instance.output(lines).await;
            let Some(seen) = self.asked(output).given() else { continue };
            notes.extend(invented(&seen).map(|it| format!("{what}: {it}")));
        }
        self.findings.judge(&rules::OUTPUT, notes);
        for metrics in self.services.take_published() {
            for note in figures::unit_notes(&metrics) {
                self.findings.fail(&rules::UNITS, format!("published: {note}"));
            }
        }
    }
}

/// A figure that no line told.
fn invented(seen: &[Observation]) -> Option<String> {
    seen.iter().find_map(|observation| match observation {
        Observation::Hashrate { hashrate } => Some(format!("a hashrate of {hashrate} H/s")),
        Observation::Share { result } => Some(format!("a share that was {result:?}")),
        _ => None,
    })
}
