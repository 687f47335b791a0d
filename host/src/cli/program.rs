//! `adit install` and its like: the programs that drivers run.

use std::{
    io::{IsTerminal, Write},
    path::PathBuf,
    time::Duration,
};

use clap::Args;
use serde_json::{Value, json};

use crate::{
    cli::{
        Common, Error,
        client::{Client, segment},
        show,
    },
    miners::{Installation, InstalledPrograms},
};
use adit_model::version::{is_newer, newest};
use adit_releases::{Outcome, Progress, Step, Version};

/// Pause between two looks at an installation.
const LOOK: Duration = Duration::from_millis(250);
/// Characters of a full bar.
const BAR: usize = 30;

#[derive(Args)]
pub(super) struct Install {
    /// The miner type, such as xmrig
    miner_type: String,
    /// The version; the newest when left out
    #[arg(long)]
    version: Option<String>,
    /// Install this archive instead of downloading one; it lies on the host's machine
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// SHA-256 that the archive must have
    #[arg(long, value_name = "HEX", requires = "from")]
    sha256: Option<String>,
}

#[derive(Args)]
pub(super) struct Uninstall {
    /// The miner type, such as xmrig
    miner_type: String,
    /// The version; all when left out
    #[arg(long)]
    version: Option<String>,
}

#[derive(Args)]
pub(super) struct Type {
    /// The miner type, such as xmrig
    miner_type: String,
}

fn path(miner_type: &str, what: &str) -> String {
    format!("/miners/{}/{what}", segment(miner_type))
}

pub(super) async fn install(common: &Common, install: Install) -> Result<(), Error> {
    let client = Client::find(common)?;
    let file = install.from.map(|path| std::path::absolute(&path).unwrap_or(path));
    let body = json!({ "version": install.version, "file": file, "sha256": install.sha256 });
    let name = &install.miner_type;
    let url = path(name, "install");
    let before: InstalledPrograms = client.get(&path(name, "versions")).await?;
    let asking = client.post_json::<Value>(&url, &body);
    tokio::pin!(asking);
    let bar = Bar { shown: !common.json && std::io::stderr().is_terminal() };
    let mut answer = loop {
        tokio::select! {
            answer = &mut asking => break answer,
            () = tokio::time::sleep(LOOK) => {
                if let Ok(InstalledPrograms { installing: Some(progress), .. }) =
                    client.get(&path(name, "versions")).await
                {
                    bar.draw(&progress);
                }
            }
        }
    };
    if matches!(&answer, Ok(answer) if answer["status"] == "installing") {
        answer = follow(&client, name, &before, &bar).await;
    }
    bar.clear();
    let answer = answer?;
    if common.json {
        show::json(&answer);
        return Ok(());
    }
    let text = |key: &str| show::plain(answer[key].as_str().unwrap_or("-"));
    let is = |key: &str| answer[key] != json!(false);
    let done = match (is("downloaded"), is("changed")) {
        (true, _) => "installed",
        (false, true) => "was installed already and runs from the next start on",
        (false, false) => "was installed already: nothing changed",
    };
    println!("{} {} {done}: {}", show::plain(name), text("version"), text("path"));
    if !answer["downgradeFrom"].is_null() {
        let newer = text("downgradeFrom");
        println!("  this is a downgrade: {newer} was installed here before");
    }
    for removed in answer["removed"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        println!("  {} came with it and was removed", show::plain(removed));
    }
    if is("downloaded") && answer["proven"]["by"] == "firstUse" {
        println!("  its publisher signs nothing; SHA-256 {} is now recorded", text("sha256"));
    }
    Ok(())
}

/// Waits for an installation that takes longer than an answer may.
async fn follow(
    client: &Client,
    name: &str,
    before: &InstalledPrograms,
    bar: &Bar,
) -> Result<Value, Error> {
    loop {
        let programs: InstalledPrograms = client.get(&path(name, "versions")).await?;
        match (programs.installing, programs.failed) {
            (Some(progress), _) => bar.draw(&progress),
            (None, Some(reason)) => return Err(Error::Message(reason)),
            (None, None) => {
                let active = programs.versions.into_iter().find(|it| it.active);
                let active = active.ok_or_else(|| Error::message("it was not installed"))?;
                return Ok(compared(before, active));
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The answer of an installation that ended with `active`, compared with the versions `before`.
fn compared(before: &InstalledPrograms, active: Version) -> Value {
    let same =
        |it: &&Version| (&it.version, it.installed_at) == (&active.version, active.installed_at);
    let was_there = before.versions.iter().find(same);
    let outcome = match was_there {
        None => Outcome::Installed,
        Some(it) if it.active => Outcome::Unchanged,
        Some(_) => Outcome::Activated,
    };
    let newest = newest(before.versions.iter().map(|it| it.version.as_str()));
    let downgrade_from = newest
        .filter(|it| outcome != Outcome::Unchanged && is_newer(it, &active.version))
        .map(str::to_owned);
    let mut report = Installation { version: active, outcome, downgrade_from }.report();
    report["status"] = json!("installed");
    report
}

pub(super) async fn uninstall(common: &Common, uninstall: Uninstall) -> Result<(), Error> {
    let name = &uninstall.miner_type;
    let query = uninstall.version.map(|it| format!("?version={}", segment(&it)));
    let url = format!("{}{}", path(name, "uninstall"), query.unwrap_or_default());
    let answer: Value = Client::find(common)?.delete(&url).await?;
    if common.json {
        show::json(&answer);
        return Ok(());
    }
    for version in answer["versions"].as_array().into_iter().flatten() {
        let version = version.as_str().unwrap_or_default();
        println!("{} {} uninstalled", show::plain(name), show::plain(version));
    }
    Ok(())
}

pub(super) async fn rollback(common: &Common, Type { miner_type }: Type) -> Result<(), Error> {
    let answer: Value = Client::find(common)?.post(&path(&miner_type, "rollback")).await?;
    if common.json {
        show::json(&answer);
    } else {
        let version = answer["version"].as_str().unwrap_or_default();
        println!(
            "{} {} runs from the next start on: adit miner restart NAME",
            show::plain(&miner_type),
            show::plain(version)
        );
    }
    Ok(())
}

pub(super) async fn versions(common: &Common, Type { miner_type }: Type) -> Result<(), Error> {
    let programs: InstalledPrograms =
        Client::find(common)?.get(&path(&miner_type, "versions")).await?;
    if common.json {
        show::json(&programs);
        return Ok(());
    }
    let mark = |it: &Version| match (it.active, it.previous) {
        (true, _) => "runs".to_owned(),
        (_, true) => "before".to_owned(),
        _ => String::new(),
    };
    let rows: Vec<_> = { programs.versions.iter() }
        .map(|it| {
            let at = it.installed_at.strftime("%Y-%m-%d %H:%M").to_string();
            [it.version.clone(), mark(it), at, it.proven.to_string(), it.path.display().to_string()]
        })
        .collect();
    show::table(["VERSION", "", "INSTALLED", "PROOF", "PROGRAM"], &rows);
    Ok(())
}

/// A line on the terminal that shows how far an installation is.
struct Bar {
    shown: bool,
}

impl Bar {
    fn draw(&self, progress: &Progress) {
        if self.shown {
            eprint!("\r\u{1b}[K{}", line(progress));
            std::io::stderr().flush().ok();
        }
    }

    fn clear(&self) {
        if self.shown {
            eprint!("\r\u{1b}[K");
        }
    }
}

fn line(progress: &Progress) -> String {
    let what = match progress.step {
        Step::Finding => "looking for the release",
        Step::Downloading => "downloading",
        Step::Verifying => "verifying",
        Step::Unpacking => "unpacking",
        Step::Trying => "trying the program",
        Step::Activating => "activating",
    };
    let version = show::plain(progress.version.as_deref().unwrap_or_default());
    let mib = |bytes: u64| format!("{}.{} MiB", bytes >> 20, (bytes >> 10) % 1024 * 10 / 1024);
    match (progress.step, progress.total) {
        (Step::Downloading, Some(total)) if total > 0 => {
            let part = usize::try_from(progress.bytes.min(total) * BAR as u64 / total);
            let done = part.unwrap_or(BAR).min(BAR);
            let (full, rest) = ("#".repeat(done), ".".repeat(BAR - done));
            format!("{what} {version} [{full}{rest}] {} of {}", mib(progress.bytes), mib(total))
        }
        (Step::Downloading, _) => format!("{what} {version} {}", mib(progress.bytes)),
        _ => format!("{what} {version}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_never_too_long() {
        for (bytes, total, expected) in [
            (0, 3 << 20, "downloading 6.26.0 [..............................] 0.0 MiB of 3.0 MiB"),
            (
                3 << 19,
                3 << 20,
                "downloading 6.26.0 [###############...............] 1.5 MiB of 3.0 MiB",
            ),
            (
                9 << 20,
                3 << 20,
                "downloading 6.26.0 [##############################] 9.0 MiB of 3.0 MiB",
            ),
            (5 << 20, 0, "downloading 6.26.0 5.0 MiB"),
        ] {
            let version = Some("6.26.0".to_owned());
            let total = Some(total);
            assert_eq!(
                line(&Progress { step: Step::Downloading, version, bytes, total }),
                expected
            );
        }
    }
}
