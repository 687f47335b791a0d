//! The rules, and what was found about each.

use serde::Serialize;

/// A rule for drivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) id: &'static str,
    pub(super) what: &'static str,
    pub(super) mend: &'static str,
}

macro_rules! rules {
    ($($name:ident $id:literal $what:literal $mend:literal;)*) => {
        $(pub(super) const $name: Rule = Rule { id: $id, what: $what, mend: $mend };)*
        /// Every rule.
        #[cfg(test)]
        pub(super) const ALL: &[Rule] = &[$($name),*];
    };
}

rules! {
    LOADS "loads" "the file is a driver that a host loads"
        "build it with crate-type = [\"cdylib\"], one export_driver! and panic = \"unwind\"; in a \
         driver written in TOML, mend the line that is named";
    NO_PANIC "no-panic" "no question makes it panic"
        "return an Error instead: Error::invalid for a bad configuration, Error::unavailable for a \
         reply that holds nothing";
    NO_CRASH "no-crash" "no question ends its process"
        "avoid unsafe code, process::exit and unbounded recursion; the host starts a driver that \
         crashed again, but its miners are unattended meanwhile";
    IN_TIME "in-time" "every question is answered in time"
        "answer from what is at hand: probes, waits and downloads are the host's work, longer work \
         belongs on a thread of the driver's own";
    DESCRIBES "describes" "its description is complete and always the same"
        "fill in name and summary on one line each, and return the same description each time";
    SCHEMA "schema" "the schema of its configuration says what each field is for"
        "describe an object with properties, each with a \"description\", and set \
         \"additionalProperties\": false so that misspelt fields are refused";
    DEFAULTS "defaults" "its defaults match its own schema"
        "every default must be a field of the schema with a value that the schema takes";
    EXAMPLE "example" "there is a configuration to plan a run with"
        "put a whole configuration into \"examples\" at the top of the schema, or give one with \
         --config FILE";
    SECRETS_MARKED "secrets-marked" "fields that hold secrets are marked"
        "add \"writeOnly\": true to the schema of passwords, tokens and wallets";
    PLAN "plan" "its plan stays inside its own folders"
        "run a program inside launch.program's folder, write files with plain relative paths and \
         set no variable that changes how programs are loaded";
    SECRETS_MASKED "secrets-masked" "no secret is shown in its plan"
        "list every wallet, password and token of the configuration in the plan's secrets";
    STOP "stop" "its stop ladder ends"
        "use signals that exist (TERM, INT, HUP, QUIT, USR1, USR2, KILL) and grace times of \
         minutes at most";
    PROBES "probes" "it asks only its own miner"
        "probe 127.0.0.1 at launch.api_port, or the addresses of the device plan, with an id of its \
         own for each probe and at most 10 s of time";
    FAULTS "faults" "replies that hold nothing are no figures"
        "answer Error::unavailable, or leave a figure out: a host takes 0 H/s for a miner that does \
         not mine";
    OUTPUT "output" "hostile output makes no figures"
        "read a whole line by a strict form, take numbers that are finite and not negative, and \
         leave alone what does not fit";
    GOLDEN "golden" "recorded replies and output give the figures they should"
        "compare the field named here with the recorded reply; hashes per second need no factor";
    UNITS "units" "figures have the units of the interface"
        "give H/s, seconds, watts, degrees Celsius, bytes, a fan from 0 to 1, Unix seconds for the \
         last share, and leave out what was not reported";
    DEVICES "devices" "hashrates of devices add up"
        "the hashrates of all devices of one algorithm must be that algorithm's hashrate";
    COMMANDS "commands" "each command that it lists can be carried out, others are refused"
        "return steps for every name in Description::commands and Error::unsupported for all others";
    INSTALL "install" "its program is proven before it runs"
        "name repository, asset and program of the release, and a sum or a signature that proves \
         it; answer Error::unsupported where there is no release";
    ANSWERS "answers" "requests, messages and versions that make no sense are refused"
        "answer Error::unsupported or a status of 400 to 499";
    MANY "many-at-once" "it serves several threads at once with the same answers"
        "keep nothing between calls that another thread's call could disturb";
    SANDBOX "sandbox" "it makes no system call that a driver may not make"
        "a driver changes no modes, owners or times of files, starts no programs and maps no shared \
         memory. std::fs::copy and set_permissions change modes: read and write the file instead";
}

/// What was found about a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The rule's id.
    pub rule: &'static str,
    /// What it demands.
    pub what: &'static str,
    /// Whether it is kept.
    pub outcome: Outcome,
    /// Where and how it is not, one line each; for a skipped rule why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// How to mend it; only where something failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<&'static str>,
}

/// Whether a rule is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// It is.
    Passed,
    /// It is not.
    Failed,
    /// That could not be checked.
    Skipped,
}

/// Notes of one rule that are kept.
const MOST_NOTES: usize = 8;

/// What was found so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    pub(super) fn pass(&mut self, rule: &Rule) {
        self.entry(rule, Outcome::Passed);
    }

    pub(super) fn fail(&mut self, rule: &Rule, note: impl Into<String>) {
        let finding = self.entry(rule, Outcome::Failed);
        if finding.outcome == Outcome::Skipped {
            finding.notes.clear();
        }
        finding.outcome = Outcome::Failed;
        finding.mend = Some(rule.mend);
        let note = crate::text::one_line(&note.into());
        if finding.notes.len() < MOST_NOTES && !finding.notes.contains(&note) {
            finding.notes.push(note);
        }
    }

    pub(super) fn skip(&mut self, rule: &Rule, why: impl Into<String>) {
        let finding = self.entry(rule, Outcome::Skipped);
        if finding.outcome == Outcome::Skipped && finding.notes.is_empty() {
            finding.notes.push(why.into());
        }
    }

    /// Fails `rule` with each of the notes, or passes it when there is none.
    pub(super) fn judge(&mut self, rule: &Rule, notes: Vec<String>) {
        if notes.is_empty() {
            self.pass(rule);
        }
        for note in notes {
            self.fail(rule, note);
        }
    }

    /// Passes the rules that hold when nothing broke them.
    pub(super) fn settle(&mut self) {
        for rule in [NO_PANIC, NO_CRASH, IN_TIME] {
            self.pass(&rule);
        }
    }

    pub(super) fn passed(&self) -> bool {
        self.0.iter().all(|finding| finding.outcome != Outcome::Failed)
    }

    pub(super) fn into_list(self) -> Vec<Finding> {
        self.0
    }

    fn entry(&mut self, rule: &Rule, outcome: Outcome) -> &mut Finding {
        let place = self.0.iter().position(|finding| finding.rule == rule.id);
        let place = place.unwrap_or_else(|| {
            let (rule, what) = (rule.id, rule.what);
            self.0.push(Finding { rule, what, outcome, notes: Vec::new(), mend: None });
            self.0.len() - 1
        });
        &mut self.0[place]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_not_covered_up_by_what_comes_later() {
        let mut findings = Findings::default();
        findings.fail(&PLAN, "runs /bin/sh");
        findings.pass(&PLAN);
        findings.skip(&PLAN, "never mind");
        findings.fail(&PLAN, "runs /bin/sh");
        assert!(!findings.passed());
        let list = findings.into_list();
        assert_eq!((list.len(), list[0].outcome, list[0].notes.len()), (1, Outcome::Failed, 1));
    }

    #[test]
    fn every_rule_has_its_own_id() {
        let mut ids: Vec<_> = ALL.iter().map(|rule| rule.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), ALL.len());
    }
}
