//! Golden cases: recorded replies and output, and the figures that they should give.
//!
//! A case is a JSON file:
//!
//! ```json
//! {
//!   "replies": [{ "id": "summary", "body": { "hashrate": 1250.5 } },
//!               { "id": "devices", "file": "devices.json" }],
//!   "lines": ["[12:00:01] accepted (1/0)"],
//!   "expect": { "hashrate": 1250.5, "shares": 1 }
//! }
//! ```
//!
//! `body` is text or JSON, `file` a file beside the case with the body as it was recorded; `status`
//! is 200 when left out. `expect` has the fields of the figures that matter; the others are free. A
//! case of `null` expects that there are no figures.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use adit_plugin_api::{PerformanceMetrics, Reply, Value};
use serde::Deserialize;

use crate::{
    check::{
        Suite,
        asked::Asked,
        figures,
        rules::{self, Findings},
    },
    handle::Instance,
    search::cause,
};
use adit_core::files;
use adit_model::sightings::{Moment, Sightings};

/// Largest file of a case, in bytes.
const LARGEST: u64 = 4 << 20;
/// Numbers that differ by less than this share are the same.
const TOLERANCE: f64 = 1e-6;
/// When recorded output was read, for the time of the last share: any moment will do.
const NOW: Moment = Moment { at: Duration::ZERO, unix_s: Some(1_790_000_000) };

/// A golden case, ready to be asked.
#[derive(Clone, Debug)]
pub(super) struct Case {
    name: String,
    replies: Vec<Reply>,
    lines: Vec<String>,
    expect: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct CaseFile {
    #[serde(default, rename = "about")]
    _about: String,
    #[serde(default)]
    replies: Vec<RecordedReply>,
    #[serde(default)]
    lines: Vec<String>,
    #[serde(default)]
    lines_file: Option<PathBuf>,
    expect: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordedReply {
    id: String,
    #[serde(default = "ok")]
    status: u16,
    #[serde(default)]
    body: Option<Value>,
    #[serde(default)]
    file: Option<PathBuf>,
    #[serde(default)]
    error: Option<String>,
}

fn ok() -> u16 {
    200
}

/// Reads all cases of a folder: every `*.json` with a field `expect`.
///
/// # Errors
/// When the folder or a case cannot be read, or there is none.
pub(super) fn read(folder: &Path) -> Result<Vec<Case>, String> {
    let entries = fs::read_dir(folder);
    let entries = entries.map_err(|it| format!("{}: {}", folder.display(), cause(&it)))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|it| it == "json"));
    files.sort();
    let mut cases = Vec::new();
    for file in files {
        let wrong = |reason: String| format!("{}: {reason}", file.display());
        let text = body(&file).map_err(wrong)?;
        let value: Value = serde_json::from_slice(&text).map_err(|it| wrong(it.to_string()))?;
        // The recorded bodies lie beside the cases.
        if value.get("expect").is_none() {
            continue;
        }
        let case = serde_path_to_error::deserialize(value).map_err(|it| wrong(it.to_string()))?;
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        cases.push(ready(name, case, folder).map_err(wrong)?);
    }
    if cases.is_empty() {
        return Err(format!("{}: there is no *.json file with \"expect\"", folder.display()));
    }
    Ok(cases)
}

fn ready(name: String, case: CaseFile, folder: &Path) -> Result<Case, String> {
    let mut replies = Vec::new();
    for RecordedReply { id, status, body: inline, file, error } in case.replies {
        let bytes = match (inline, file) {
            (Some(_), Some(_)) => return Err(format!("reply {id}: give body or file")),
            (Some(Value::String(text)), None) => text.into_bytes(),
            (Some(value), None) => value.to_string().into_bytes(),
            (None, Some(file)) => body(&folder.join(&file))
                .map_err(|reason| format!("reply {id}: {}: {reason}", file.display()))?,
            (None, None) => Vec::new(),
        };
        replies.push(Reply { id, status, error, body: bytes, ..Reply::default() });
    }
    let mut lines = case.lines;
    if let Some(file) = case.lines_file {
        let text = body(&folder.join(&file));
        let text = text.map_err(|reason| format!("{}: {reason}", file.display()))?;
        lines.extend(String::from_utf8_lossy(&text).lines().map(str::to_owned));
    }
    Ok(Case { name, replies, lines, expect: case.expect })
}

fn body(file: &Path) -> Result<Vec<u8>, String> {
    let size = fs::metadata(file).map_err(|error| cause(&error))?.len();
    if size > LARGEST {
        return Err(format!("{size} bytes are too many"));
    }
    files::read(file).map_err(|error| cause(&error))
}

impl Suite {
    pub(super) async fn reads_golden_cases(&mut self, instance: &Instance) {
        let Some(cases) = self.cases.take() else {
            for rule in [&rules::GOLDEN, &rules::UNITS, &rules::DEVICES] {
                self.findings.skip(rule, "there are no golden cases: give a folder with --golden");
            }
            return;
        };
        for case in &cases {
            let Some(metrics) = self.figures_of(instance, case).await else { continue };
            judge(&mut self.findings, case, metrics.as_ref());
        }
        for rule in [&rules::GOLDEN, &rules::UNITS, &rules::DEVICES] {
            self.findings.pass(rule);
        }
        // An answer that depends on what came before is wrong after a restart of the host.
        if let Some(case) = cases.iter().find(|case| !case.replies.is_empty()) {
            self.cases = Some(vec![case.clone()]);
        }
    }

    /// What a host would show; the outer `None` when a question broke the driver.
    async fn figures_of(
        &mut self,
        instance: &Instance,
        case: &Case,
    ) -> Option<Option<PerformanceMetrics>> {
        let mut sightings = Sightings::default();
        if !case.lines.is_empty() {
            let seen = self.asked(instance.output(case.lines.clone()).await).given()?;
            for observation in seen {
                sightings.see(observation, NOW);
            }
        }
        if !case.replies.is_empty() {
            let stats = instance.stats(self.launch.clone(), case.replies.clone()).await;
            match self.asked(stats) {
                Asked::Given(metrics) => sightings.see_reply(metrics, NOW),
                Asked::Refused(_, message) if case.lines.is_empty() => {
                    if !case.expect.is_null() {
                        let note = format!("{}: stats refuses: {message}", case.name);
                        self.findings.fail(&rules::GOLDEN, note);
                    }
                    return Some(None);
                }
                Asked::Refused(..) => {}
                Asked::Broken => return None,
            }
        }
        Some(Some(sightings.metrics(NOW.at, Duration::ZERO)))
    }

    /// A golden case to ask again and again.
    pub(super) fn recorded(&self) -> Option<Vec<Reply>> {
        self.cases.as_ref()?.first().map(|case| case.replies.clone())
    }
}

fn judge(findings: &mut Findings, case: &Case, metrics: Option<&PerformanceMetrics>) {
    let Some(metrics) = metrics else { return };
    let name = &case.name;
    for (rule, notes) in [
        (&rules::UNITS, figures::unit_notes(metrics)),
        (&rules::DEVICES, figures::device_notes(metrics)),
    ] {
        for note in notes {
            findings.fail(rule, format!("{name}: {note}"));
        }
    }
    let found = serde_json::to_value(metrics).unwrap_or_default();
    if case.expect.is_null() {
        if found != Value::Object(serde_json::Map::new()) {
            findings.fail(&rules::GOLDEN, format!("{name}: no figures were expected, but {found}"));
        }
        return;
    }
    let mut notes = Vec::new();
    compare("", &case.expect, &found, &mut notes);
    for note in notes {
        findings.fail(&rules::GOLDEN, format!("{name}: {note}"));
    }
}

/// Every field of `expected` must be in `found`.
fn compare(path: &str, expected: &Value, found: &Value, notes: &mut Vec<String>) {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            for (name, value) in expected {
                let place = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                match found.get(name) {
                    Some(found) => compare(&place, value, found, notes),
                    None if value.is_null() => {}
                    None => notes.push(format!("{place}: expected {value}, there is none")),
                }
            }
        }
        (Value::Array(expected), Value::Array(found)) if expected.len() == found.len() => {
            for (index, (expected, found)) in expected.iter().zip(found).enumerate() {
                compare(&format!("{path}[{index}]"), expected, found, notes);
            }
        }
        (expected, found) if same(expected, found) => {}
        (expected, found) => notes.push(format!("{path}: expected {expected}, found {found}")),
    }
}

fn same(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => (a - b).abs() <= TOLERANCE * a.abs().max(b.abs()),
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn notes(expected: &Value, found: &Value) -> usize {
        let mut notes = Vec::new();
        compare("", expected, found, &mut notes);
        notes.len()
    }

    #[test]
    fn what_is_expected_must_be_there_and_more_may() {
        let found = json!({ "hashrate": 1250.5, "devices": [{ "id": "a", "fan": 0.5 }] });
        assert_eq!(notes(&json!({ "hashrate": 1250.5 }), &found), 0);
        assert_eq!(notes(&json!({ "hashrate": 1.2505 }), &found), 1);
        assert_eq!(notes(&json!({ "devices": [{ "id": "a" }] }), &found), 0);
        assert_eq!(notes(&json!({ "devices": [] }), &found), 1);
        assert_eq!(notes(&json!({ "shares": 1 }), &found), 1);
        assert_eq!(notes(&json!({ "shares": null }), &found), 0);
    }

    #[test]
    fn cases_are_read_with_the_bodies_beside_them() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        assert!(read(folder.path()).unwrap_err().contains("\"expect\""));
        write("body.json", r#"{"h": 1}"#);
        write("a.json", r#"{"replies": [{"id": "x", "file": "body.json"}], "expect": {}}"#);
        let cases = read(folder.path()).unwrap();
        assert_eq!((cases.len(), cases[0].replies[0].body.len()), (1, 8));
        write("b.json", r#"{"expect": {}, "repiles": []}"#);
        assert!(read(folder.path()).unwrap_err().contains("repiles"));
        write("b.json", r#"{"replies": [{"id": "x", "file": "../../../none"}], "expect": {}}"#);
        assert!(read(folder.path()).unwrap_err().contains("none"));
    }
}
