//! `adit driver check`: the conformance suite for authors.

use std::{fs, path::PathBuf, time::Duration};

use adit_plugin_api::Config;
use clap::Args;

use crate::cli::{Common, Error, client::home, input, show};
use adit_drivers::{
    check::{Finding, Outcome, Report, Request, check},
    definition,
    handle::Limits,
    search::Search,
    trust::Owner,
};

#[derive(Args)]
pub(in crate::cli) struct Check {
    /// The compiled driver, or one written in TOML
    file: PathBuf,
    /// A folder with golden cases: recorded replies and output with the figures to expect
    #[arg(long, value_name = "FOLDER")]
    golden: Option<PathBuf>,
    /// A configuration in JSON to plan a run with; otherwise the schema's own example is used
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How long the driver may take for an answer, in milliseconds
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(50..=60_000))]
    deadline_ms: u64,
}

pub(super) async fn run(common: &Common, command: Check) -> Result<(), Error> {
    let Check { file, golden, config, deadline_ms } = command;
    let config = config.map(|path| read_config(&path)).transpose()?;
    let folder = Scratch::new()?;
    let call = Duration::from_millis(deadline_ms);
    let limits = Limits { call, create: call.max(Limits::default().create), ..Limits::default() };
    let spawner = crate::app::runner_spawner();
    let interpreter = if definition::is_definition(&file) { interpreter(common)? } else { None };
    let folder = folder.0.clone();
    let request = Request { file, interpreter, golden, config, folder, limits, spawner };
    let report = check(&request).await.map_err(Error::message)?;
    if common.json {
        show::json(&report);
    } else {
        print(&report);
    }
    if report.passed {
        return Ok(());
    }
    Err(Error::message(format!("{} breaks rules for drivers", report.file.display())))
}

/// What serves drivers written in TOML, where a host would find it.
fn interpreter(common: &Common) -> Result<Option<PathBuf>, Error> {
    let exe = std::env::current_exe().map_err(|error| Error::message(error.to_string()))?;
    let search = Search::standard(Vec::new(), &exe, home(common).path());
    Ok(definition::interpreter(&search, Owner::current()))
}

fn read_config(path: &std::path::Path) -> Result<Config, Error> {
    let wrong = |reason: String| Error::message(format!("{}: {reason}", path.display()));
    let text = input::read(path)?;
    serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))
}

fn print(report: &Report) {
    let id = report.id.as_deref().unwrap_or("no driver");
    let version = report.version.as_deref().unwrap_or_default();
    println!("{} {}", show::plain(id), show::plain(version));
    for Finding { rule, what, outcome, notes, mend } in &report.rules {
        let mark = match outcome {
            Outcome::Passed => "passed ",
            Outcome::Failed => "FAILED ",
            Outcome::Skipped => "skipped",
        };
        println!("{mark}  {rule:<15}  {}", show::plain(what));
        for note in notes {
            println!("           {}", show::plain(note));
        }
        if let Some(mend) = mend {
            println!("           to mend it: {}", show::plain(mend));
        }
    }
    let count = |wanted| report.rules.iter().filter(|it| it.outcome == wanted).count();
    let [passed, failed, skipped] = [Outcome::Passed, Outcome::Failed, Outcome::Skipped].map(count);
    println!("{passed} rules passed, {failed} failed, {skipped} skipped");
}

/// A folder of this command alone, removed when dropped.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn new() -> Result<Self, Error> {
        // Not the folder for temporary files: it may be mounted so that nothing in it runs.
        let base = crate::settings::default_state_dir().join("check");
        let folder = base.join(uuid::Uuid::new_v4().to_string());
        let made = adit_drivers::load::private_dir(&folder);
        made.map_err(|error| Error::message(format!("cannot make {}: {error}", folder.display())))?;
        Ok(Self(folder))
    }

    pub(super) fn path(&self) -> &std::path::Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays does no harm.
        fs::remove_dir_all(&self.0).ok();
    }
}
