//! What is wrong here, and what to do about it: the machine, the state folder, drivers, programs,
//! keepers and the database.

use std::{
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use adit_plugin_api::Phase;

use crate::miners::{Miners, machine};
use adit_drivers::registry::{Listed, State};
use adit_keeper_client::{look::Observed, members::Known};
use adit_model::{
    doctor::{
        Finding, Verdict,
        machine::{judge, judge_disk},
    },
    miner::MinerView,
    name::MinerName,
    watchdog::Cause,
};
use adit_releases::{blocking, hiveos};

/// Looks at the machine and at the state folder `home`; needs no host. Blocks for small files.
pub fn examine(home: &Path) -> Vec<Finding> {
    let mut found = vec![folder(home)];
    if home.is_dir() {
        found.push(judge_disk(machine::disk(home)));
    }
    found.extend(hiveos_path(home));
    found.extend(judge(&machine::facts()));
    found
}

fn folder(home: &Path) -> Finding {
    let id = "stateFolder";
    let shown = home.display();
    let bad = |told: String, fix: String| Finding::bad(id, Verdict::Problem, told, fix);
    let run =
        |told: String, command: String| bad(told, format!("run: {command}")).with_command(command);
    let metadata = match std::fs::metadata(home) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Finding::unknown(id, format!("{shown} is not there yet; the host makes it"));
        }
        Err(error) => {
            let fix = format!("see that you may enter the folders that lead to {shown}");
            return bad(format!("{shown} cannot be read: {error}"), fix);
        }
    };
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        let command = format!("sudo chown -R \"$(id -un)\" {}", quoted(home));
        let fix = format!("run adit as its owner, or run: {command}");
        return bad(format!("{shown} belongs to another user"), fix).with_command(command);
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        let told = format!("others can look into {shown}, which holds wallets and tokens");
        return run(told, format!("chmod 700 {}", quoted(home)));
    }
    let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
    if rustix::fs::access(home, access).is_err() {
        return run(format!("{shown} cannot be written to"), format!("chmod 700 {}", quoted(home)));
    }
    Finding::ok(id, format!("{shown} is yours alone"))
}

/// Whether the scripts of HiveOS packages can run below `home`.
fn hiveos_path(home: &Path) -> Option<Finding> {
    let reason = hiveos::unusable_path(home)?;
    let fix = "put the state folder at a plain path with --state-dir if you run such packages";
    Some(Finding::bad("hiveosPath", Verdict::Note, reason, fix))
}

/// A path as one word of a shell.
pub(super) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |it: char| it.is_ascii_alphanumeric() || "/._-+".contains(it);
    if text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

impl Miners {
    /// Looks at everything that this host is made of.
    pub async fn doctor(&self) -> Vec<Finding> {
        let root = self.0.parts.options.root.clone();
        let home = root.parent().unwrap_or(&root).to_owned();
        let machine = blocking(move || Ok::<_, std::io::Error>(examine(&home))).await;
        let mut found = machine.unwrap_or_default();
        found.extend(drivers(&self.0.parts.drivers.list()));
        found.push(self.programs_found().await);
        for miner in self.list() {
            found.extend(self.keeper(&miner).await);
            found.extend(trouble(&miner));
        }
        found.extend(self.large_directories().await);
        found.extend(self.database_found().await);
        found
    }

    /// Programs that the settings name are to be there; others are installed when wanted.
    async fn programs_found(&self) -> Finding {
        let id = "programs";
        let (mut there, mut broken) = (Vec::new(), Vec::new());
        for driver in self.0.parts.drivers.loaded() {
            let programs = &self.0.parts.options.programs;
            match programs.find(&driver).await {
                Ok(Some(it)) => there.push(match it.version {
                    Some(version) => format!("{} {version}", driver.id()),
                    None => driver.id().to_string(),
                }),
                Ok(None) => {}
                Err(error) if programs.configured.contains_key(driver.id()) => {
                    broken.push(error.to_string());
                }
                Err(_) => {}
            }
        }
        if !broken.is_empty() {
            let fix = "mend the path under [programs] in the settings, or take it out and install \
                       the program with adit install TYPE";
            return Finding::bad(id, Verdict::Problem, broken.join("; "), fix);
        }
        if there.is_empty() {
            let fix = "install one, such as: adit install xmrig";
            return Finding::bad(id, Verdict::Note, "no program is installed", fix)
                .with_command("adit install xmrig");
        }
        Finding::ok(id, format!("installed: {}", there.join(", ")))
    }

    /// Whether it is unknown how the run of a miner was launched.
    fn has_no_record(&self, name: &MinerName) -> bool {
        let member = self.member(name.as_str()).ok();
        member.is_some_and(|it| {
            it.status.borrow().live.as_ref().is_some_and(|(live, _)| live.launch.is_none())
        })
    }

    /// Whether the run of a miner that should run is alive and has its keeper.
    async fn keeper(&self, miner: &MinerView) -> Option<Finding> {
        let (id, name) = ("keeper", &miner.name);
        let reason = miner.reason.clone().unwrap_or_else(|| "no reason was told".to_owned());
        if miner.phase == Phase::Failed {
            let fix = format!(
                "see adit miner logs {name} and adit miner runs {name}, mend the cause and run: \
                 adit miner start {name}"
            );
            let told = format!("the miner {name} does not run: {reason}");
            let command = format!("adit miner start {name}");
            return Some(Finding::bad(id, Verdict::Problem, told, fix).with_command(command));
        }
        let command = format!("adit miner restart {name}");
        let restart = format!("run: {command}");
        if miner.running && miner.run.is_none() {
            let problem = format!("the run of {name} cannot be reached: {reason}");
            let found = Finding::bad(id, Verdict::Problem, problem, restart);
            return Some(found.with_command(command));
        }
        // A device has no process.
        let run = miner.run.as_ref()?;
        run.keeper_pid?;
        if self.has_no_record(name) {
            let message = format!(
                "{name} runs, and miner.json in its folder is missing or damaged: there are no \
                 stats of it until its next start"
            );
            let finding = Finding::bad(id, Verdict::Warning, message, restart);
            return Some(finding.with_command(command));
        }
        Some(match self.0.parts.keepers.look(name, &Known::default()).await {
            Ok(Observed::Running(_)) => Finding::ok(id, format!("{name} runs under its keeper")),
            Ok(Observed::Silent { .. }) => Finding::bad(
                id,
                Verdict::Problem,
                format!("the keeper of {name} is alive and does not answer"),
                restart,
            )
            .with_command(command),
            Ok(Observed::Orphaned { .. }) => Finding::bad(
                id,
                Verdict::Problem,
                format!("the keeper of {name} is gone and its program runs on without it"),
                restart,
            )
            .with_command(command),
            // It ended this moment, which its supervisor sees to.
            Ok(_) => Finding::unknown(id, format!("{name} has just ended")),
            Err(error) => Finding::bad(
                id,
                Verdict::Problem,
                format!("the run of {name} cannot be looked at: {error}"),
                restart,
            )
            .with_command(command),
        })
    }
}

/// What is wrong with a miner that runs: what it complains of, and what the watchdog found.
fn trouble(miner: &MinerView) -> Option<Finding> {
    let reason = miner.reason.as_ref().filter(|_| miner.running)?;
    let name = &miner.name;
    let cause = miner.watchdog.as_ref().and_then(|it| it.finding.as_ref()).map(|it| it.cause);
    let fix = match cause {
        Some(Cause::NoPool) => "check the address of the pool and this machine's network",
        Some(Cause::Rejected) => "check wallet, algorithm and overclocking, and what the pool says",
        Some(Cause::NoShares) => {
            "see at the pool whether shares arrive, and check wallet and difficulty; for solo mining \
             set solo = true for the watchdog"
        }
        Some(Cause::NoApi) => "restart the miner, so that it gets another port for its API",
        Some(Cause::Slow | Cause::DeadDevice) => "check the device's temperature, clocks and power",
        _ => "do what the sentence says",
    };
    let fix = format!("{fix}; see adit miner logs {name} and adit incidents {name}");
    Some(Finding::bad("miners", Verdict::Warning, format!("{name}: {reason}"), fix))
}

fn drivers(listed: &[Listed]) -> Vec<Finding> {
    let id = "drivers";
    let mut found: Vec<Finding> = listed.iter().filter_map(driver).collect();
    let serving = listed.iter().filter(|it| it.state == State::Loaded).count();
    if serving == 0 {
        let fix = "put drivers into a folder of the search path, or run: adit driver add FILE.so";
        found.push(Finding::bad(id, Verdict::Problem, "no driver is loaded", fix));
    } else {
        found.push(Finding::ok(id, format!("{serving} drivers are loaded")));
    }
    found
}

fn driver(listed: &Listed) -> Option<Finding> {
    let name = listed.id.clone().unwrap_or_else(|| listed.path.display().to_string());
    let reason = listed.reason.clone().unwrap_or_else(|| "no reason was told".to_owned());
    let command = |verb: &str| listed.id.as_ref().map(|id| format!("adit driver {verb} {id}"));
    let (what, verdict, fix) = match listed.state {
        State::Loaded => return None,
        State::Refused if listed.is_retried => (
            "cannot be loaded now",
            Verdict::Problem,
            "remove the cause: it is loaded by itself within 10 seconds".to_owned(),
        ),
        State::Refused => (
            "is refused",
            Verdict::Warning,
            "do what the reason says, or remove the file".to_owned(),
        ),
        State::Untrusted => {
            ("is not approved", Verdict::Warning, format!("run: adit driver trust {name}"))
        }
        State::Wedged => (
            "is stuck",
            Verdict::Problem,
            "replace it with a mended one (adit driver add FILE.so), or restart the host; miners \
             run on"
                .to_owned(),
        ),
        State::Failed => ("crashed", Verdict::Warning, "replace it with a mended one".to_owned()),
        State::Quarantined => {
            ("is in quarantine", Verdict::Problem, format!("run: adit driver clear {name}"))
        }
    };
    let told = format!("the driver {name} {what}: {reason}");
    let finding = Finding::bad("drivers", verdict, told, fix);
    let command = match listed.state {
        State::Untrusted => command("trust"),
        State::Quarantined => command("clear"),
        _ => None,
    };
    Some(match command {
        Some(command) => finding.with_command(command),
        None => finding,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_folder_that_others_can_read_is_a_problem() {
        let folder = tempfile::tempdir().unwrap();
        let of = |mode: u32| {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
            super::folder(folder.path())
        };
        assert_eq!(of(0o700).verdict, Verdict::Ok);
        let open = of(0o755);
        assert_eq!(open.verdict, Verdict::Problem);
        assert!(open.fix.unwrap().starts_with("run: chmod 700 /"), "{}", open.told);
        let command = format!("chmod 700 {}", folder.path().display());
        assert_eq!(open.command, Some(command));
        assert_eq!(quoted(Path::new("/a b/it's")), r"'/a b/it'\''s'");
        let away = super::folder(&folder.path().join("away"));
        assert_eq!((away.verdict, away.fix), (Verdict::Note, None));
    }

    #[test]
    fn a_path_that_scripts_of_hiveos_cannot_run_below_is_noted() {
        let root = tempfile::tempdir().unwrap();
        for (name, found) in [("state", false), ("my rig", true), ("it's", true), ("a#b|c", true)] {
            let home = root.path().join(name);
            fs::create_dir(&home).unwrap();
            assert_eq!(hiveos_path(&home).is_some(), found, "{name}");
        }
    }

    #[test]
    fn drivers_out_of_order_are_told_with_what_to_do() {
        let listed = |state, reason: &str| Listed {
            path: "/drivers/libx.so".into(),
            id: Some("acme".to_owned()),
            version: None,
            api: None,
            state,
            isolation: None,
            reason: Some(reason.to_owned()),
            is_retried: false,
            sha256: None,
            interpreter: None,
            loaded_at: None,
        };
        for (state, verdict, fix) in [
            (State::Refused, Verdict::Warning, "remove the file"),
            (State::Untrusted, Verdict::Warning, "adit driver trust acme"),
            (State::Wedged, Verdict::Problem, "adit driver add"),
            (State::Failed, Verdict::Warning, "replace it"),
            (State::Quarantined, Verdict::Problem, "adit driver clear acme"),
        ] {
            let found = drivers(&[listed(state, "it is broken"), listed(State::Loaded, "")]);
            assert_eq!((found.len(), found[0].verdict), (2, verdict), "{found:?}");
            assert!(found[0].told.contains("it is broken"), "{found:?}");
            assert!(found[0].fix.as_deref().unwrap().contains(fix), "{found:?}");
            assert_eq!(found[1].verdict, Verdict::Ok);
        }
        let waiting = Listed { is_retried: true, ..listed(State::Refused, "No space left") };
        let found = driver(&waiting).unwrap();
        assert_eq!(found.verdict, Verdict::Problem);
        assert!(found.fix.unwrap().contains("loaded by itself"), "{}", found.told);
        assert_eq!(drivers(&[])[0].verdict, Verdict::Problem);
    }
}
