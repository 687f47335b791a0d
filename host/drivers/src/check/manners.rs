//! Description, commands, installation, requests, and many threads at once.

use adit_plugin_api::{
    Command, CommandPlan, CommandStep, ErrorKind, HttpRequest, InstallPlan, PeerId, Proof,
    ReleasePlan, Target, Value,
};
use tokio::task::JoinSet;

use crate::{
    check::{Suite, asked::Asked, rules},
    handle::Instance,
};

/// Threads that ask at once.
const AT_ONCE: usize = 3;
/// Questions of each.
const ROUNDS: usize = 20;
/// Longest name and summary, in characters.
const LONGEST_LINE: usize = 200;

impl Suite {
    pub(super) async fn describes(&mut self) {
        let description = self.driver.description().clone();
        let mut notes = Vec::new();
        for (field, text) in [("name", &description.name), ("summary", &description.summary)] {
            let plain = !text.trim().is_empty()
                && text.chars().count() <= LONGEST_LINE
                && !text.chars().any(char::is_control);
            if !plain {
                notes.push(format!("{field}: write one line of at most {LONGEST_LINE} characters"));
            }
        }
        for kind in &description.devices {
            if !["cpu", "gpu", "asic", "fpga"].contains(&kind.as_str()) {
                notes.push(format!("devices: {kind:?} is none of cpu, gpu, asic, fpga"));
            }
        }
        if let Asked::Given(own) = self.asked(self.driver.instance(None).await) {
            let again = own.describe().await;
            if self.asked(again).given().is_some_and(|again| again != description) {
                notes.push("the second description is another one".to_owned());
            }
        }
        self.findings.judge(&rules::DESCRIBES, notes);
    }

    pub(super) async fn obeys(&mut self, instance: &Instance) {
        let mut notes = Vec::new();
        for name in self.driver.description().commands.clone() {
            let command = Command { name: name.clone(), params: Value::Null };
            match self.asked(instance.command(command, self.launch.clone()).await) {
                Asked::Given(plan) => {
                    notes.extend(bad_steps(&plan).map(|it| format!("{name}: {it}")))
                }
                // It wants parameters that the check cannot know.
                Asked::Refused(ErrorKind::Invalid, _) | Asked::Broken => {}
                Asked::Refused(_, message) => notes.push(format!("{name}: {message}")),
            }
        }
        for name in ["adit-check-no-such-command", ""] {
            let command = Command { name: name.to_owned(), params: Value::Null };
            let answer = instance.command(command, self.launch.clone()).await;
            if let Asked::Given(_) = self.asked(answer) {
                notes.push(format!("a command {name:?} is carried out"));
            }
        }
        self.findings.judge(&rules::COMMANDS, notes);
    }

    pub(super) async fn installs(&mut self, instance: &Instance) {
        let mut notes = Vec::new();
        let mut anywhere = false;
        for (os, arch) in [("linux", "x86_64"), ("linux", "aarch64"), ("plan9", "mips")] {
            let target = Target { os: os.to_owned(), arch: arch.to_owned(), version: None };
            match self.asked(instance.install(target).await) {
                Asked::Given(InstallPlan::Release(plan)) => {
                    anywhere = true;
                    let found = release_notes(&plan).into_iter();
                    notes.extend(found.map(|it| format!("{os}-{arch}: {it}")));
                }
                Asked::Given(InstallPlan::Bundled { program }) => {
                    anywhere = true;
                    if program.is_empty() || program.contains(['/', '\0']) {
                        notes.push(format!("{os}-{arch}: {program:?} is no file name"));
                    }
                }
                Asked::Given(_) => notes.push(format!("{os}-{arch}: a plan of an unknown kind")),
                Asked::Refused(ErrorKind::Unsupported, _) | Asked::Broken => {}
                Asked::Refused(kind, message) => {
                    notes.push(format!("{os}-{arch}: {kind:?} instead of unsupported: {message}"));
                }
            }
        }
        if notes.is_empty() && !anywhere {
            let why = "it installs nothing: operators put the program in place themselves";
            self.findings.skip(&rules::INSTALL, why);
        } else {
            self.findings.judge(&rules::INSTALL, notes);
        }
    }

    pub(super) async fn answers(&mut self, instance: &Instance) {
        let mut notes = Vec::new();
        for output in ["", "no numbers here", "\u{1b}[31m\0"] {
            if let Asked::Given(version) = self.asked(instance.version(output.to_owned()).await) {
                notes.push(format!("the version in {output:?} is {version:?}"));
            }
        }
        let request = HttpRequest {
            method: "BREW".to_owned(),
            path: "/adit-check/../no-such-route\0".to_owned(),
            query: vec![(String::new(), "\0".to_owned())],
            body: vec![0xff; 1024],
        };
        if let Asked::Given(answer) = self.asked(instance.request(request).await)
            && !(400..500).contains(&answer.status)
        {
            notes.push(format!("a request that makes no sense has the status {}", answer.status));
        }
        let peer = PeerId("ADIT-CHECK".to_owned());
        // Any answer will do; it must come, and the driver must not break.
        drop(self.asked(instance.message(peer, vec![0xff; 1024]).await));
        drop(self.asked(instance.is_healthy().await));
        self.findings.judge(&rules::ANSWERS, notes);
    }

    /// What the sandbox refused so far, whatever it was asked.
    pub(super) fn stays_in_its_sandbox(&mut self) {
        let refused = self.driver.runner().map(|runner| runner.refused).unwrap_or_default();
        let notes =
            refused.into_iter().map(|it| format!("{} was refused, {} times", it.call, it.count));
        self.findings.judge(&rules::SANDBOX, notes.collect());
    }

    pub(super) async fn serves_many_at_once(&mut self, instance: &Instance) {
        let Some(replies) = self.recorded() else {
            self.findings.skip(&rules::MANY, "there is no golden case with replies to ask with");
            return;
        };
        let (launch, mut tasks) = (self.launch.clone(), JoinSet::new());
        for _ in 0..AT_ONCE {
            let (instance, launch, replies) = (instance.clone(), launch.clone(), replies.clone());
            tasks.spawn(async move {
                let mut answers = Vec::new();
                for _ in 0..ROUNDS {
                    answers.push(instance.stats(launch.clone(), replies.clone()).await);
                }
                answers
            });
        }
        let mut first = None;
        let mut notes = Vec::new();
        for answer in tasks.join_all().await.into_iter().flatten() {
            let Some(metrics) = self.asked(answer).given() else { continue };
            if *first.get_or_insert_with(|| metrics.clone()) != metrics {
                notes.push("the same replies give other figures".to_owned());
                break;
            }
        }
        self.findings.judge(&rules::MANY, notes);
    }
}

fn bad_steps(plan: &CommandPlan) -> Option<&'static str> {
    if plan.steps.is_empty() {
        return Some("there are no steps");
    }
    let unknown = plan.steps.iter().any(|step| matches!(step, CommandStep::Unknown));
    unknown.then_some("a step is of an unknown kind")
}

fn release_notes(plan: &ReleasePlan) -> Vec<String> {
    let mut notes = Vec::new();
    let parts: Vec<_> = plan.repository.split('/').collect();
    let plain = |part: &&str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    if parts.len() != 2 || !parts.iter().all(plain) {
        notes.push(format!("repository: {:?} is not owner/name", plan.repository));
    }
    for (field, text) in [("asset", &plan.asset), ("program", &plan.program)] {
        let climbs = text.starts_with('/') || text.split('/').any(|part| part == "..");
        if text.is_empty() || climbs || text.chars().any(char::is_control) {
            notes.push(format!("{field}: {text:?} is no path inside the release"));
        }
    }
    for path in &plan.remove {
        if path.is_empty() || path.starts_with('/') || path.split('/').any(|part| part == "..") {
            notes.push(format!("remove: {path:?} is no path inside the archive"));
        }
    }
    notes.extend(proof_notes(&plan.proof));
    notes
}

fn proof_notes(proof: &Proof) -> Vec<String> {
    let hex =
        |text: &str, length| text.len() == length && text.chars().all(|c| c.is_ascii_hexdigit());
    let mut notes = Vec::new();
    for (asset, sum) in proof.sha256.iter().filter(|(_, sum)| !hex(sum, 64)) {
        notes.push(format!("proof.sha256[{asset}]: {sum:?} is no SHA-256 in hex"));
    }
    let Proof { sums, signature, key, key_url, fingerprint, .. } = proof;
    if signature.is_some() && sums.is_none() {
        notes.push("proof.signature: it signs the sums, which are missing".to_owned());
    }
    if sums.is_some() && signature.is_none() {
        notes.push(
            "proof.sums: without a signature anybody who changes the asset changes them".into(),
        );
    }
    if signature.is_some() && key.is_none() && key_url.is_none() {
        notes.push("proof.signature: there is no key to verify it with".to_owned());
    }
    if signature.is_some() && !fingerprint.as_deref().is_some_and(|it| hex(it, 40)) {
        notes.push("proof.fingerprint: give the key's 40 hex digits".to_owned());
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_proven() {
        let plan = |proof| ReleasePlan {
            repository: "owner/name".to_owned(),
            asset: "miner-{version}.tar.gz".to_owned(),
            program: "miner".to_owned(),
            proof,
            ..ReleasePlan::default()
        };
        assert_eq!(release_notes(&plan(Proof::default())), Vec::<String>::new());
        let signed = Proof { signature: Some("SHA256SUMS.asc".to_owned()), ..Proof::default() };
        assert_eq!(release_notes(&plan(signed)).len(), 3);
        let short =
            Proof { sha256: [("a".to_owned(), "12".to_owned())].into(), ..Proof::default() };
        assert_eq!(release_notes(&plan(short)).len(), 1);
        let climbing = ReleasePlan { program: "../../bin/sh".to_owned(), ..plan(Proof::default()) };
        assert_eq!(release_notes(&climbing).len(), 1);
    }
}
