//! The conformance suite: asks a compiled driver what a host would ask it, and much that a host
//! meets only on a bad day, and tells an author what failed, where, and how to mend it.
//!
//! Nothing here knows a certain driver. What it asks with comes from the driver's own schema and
//! from the author's golden cases.

mod asked;
mod config;
mod faults;
mod figures;
mod golden;
mod manners;
mod plan;
mod rules;
mod services;

use std::path::{Path, PathBuf};

use adit_plugin_api::{Config, Launch, testing};
use serde::Serialize;

pub use rules::{Finding, Outcome};

use crate::{
    check::{asked::Asked, golden::Case, rules::Findings, services::CheckServices},
    definition,
    handle::{Driver, Instance, Limits},
    inspect::inspect,
    registry::{Drivers, Options},
    runner::Spawner,
    search::{Search, cause},
    trust::Owner,
};
use adit_model::name::{DriverId, MinerName};

/// The miner that all questions are about, as [`testing::launch`] names it.
const MINER: &str = "rig-1";

/// What to check and with what.
#[derive(Clone)]
pub struct Request {
    /// The compiled driver, or one that is written down.
    pub file: PathBuf,
    /// The library that serves drivers which are written down.
    pub interpreter: Option<PathBuf>,
    /// A folder with golden cases, if there is one.
    pub golden: Option<PathBuf>,
    /// A configuration to plan a run with; otherwise one is taken from the schema.
    pub config: Option<Config>,
    /// A folder of this check alone, on a file system that is not mounted `noexec`. It exists.
    pub folder: PathBuf,
    /// How long the driver may take.
    pub limits: Limits,
    /// Starts the process that the driver runs in, so that its end is not that of the check.
    pub spawner: Spawner,
}

/// What came out.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The file.
    pub file: PathBuf,
    /// The driver's id, when its manifest could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The driver's version, when its manifest could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Whether no rule failed.
    pub passed: bool,
    /// Every rule, in the order in which they were checked.
    pub rules: Vec<Finding>,
}

/// Checks a compiled driver. It is loaded from a copy, the way a host hosts a driver of a third
/// party.
///
/// # Errors
/// When the check itself cannot be made: golden cases that cannot be read, no room for a copy. What
/// is wrong with the driver is in the report.
pub async fn check(request: &Request) -> Result<Report, String> {
    let inspection = inspect(&request.file, Owner::current());
    let cases = request.golden.as_deref().map(golden::read).transpose()?;
    let mut findings = Findings::default();
    let driver = load(request, &inspection.problems).await?;
    let manifest = inspection.manifest;
    match driver {
        Err(problem) => findings.fail(&rules::LOADS, problem),
        Ok((driver, services)) => {
            findings.pass(&rules::LOADS);
            let suite = Suite::new(driver, services, request.config.clone(), cases, findings);
            findings = suite.run().await;
        }
    }
    Ok(Report {
        file: request.file.clone(),
        id: manifest.as_ref().map(|it| it.id.clone()),
        version: manifest.map(|it| it.version),
        passed: findings.passed(),
        rules: findings.into_list(),
    })
}

type Loaded = Result<(Driver, CheckServices), String>;

/// The outer error is the check's, the inner one the driver's.
async fn load(request: &Request, problems: &[String]) -> Result<Loaded, String> {
    if let Some(problem) = problems.first() {
        return Ok(Err(problem.clone()));
    }
    let drivers = request.folder.join("drivers");
    if definition::is_definition(&request.file) {
        let none = "nothing serves drivers written in TOML here: the library for it comes with adit, \
                    in the folder drivers/ beside it or in /usr/lib/adit/drivers";
        copy(request.interpreter.as_deref().ok_or(none)?, &drivers)?;
    }
    copy(&request.file, &drivers)?;
    let place = |name: &str| request.folder.join(name);
    let search = Search { dirs: vec![drivers], ..Search::default() };
    let mut options = Options::new(search, place("copies"), place("data"));
    options.limits = request.limits;
    options.hosting.spawner = Some(Spawner::clone(&request.spawner));
    // Every question is asked, whatever came of those before.
    options.tolerance.failures = 0;
    let services = CheckServices::default();
    let loaded = Drivers::load(options, services.factory()).await;
    let entry = loaded.list().into_iter().next();
    let id = entry.as_ref().and_then(|entry| DriverId::new(entry.id.clone()?).ok());
    match id.and_then(|id| loaded.get(&id)) {
        Some(driver) => Ok(Ok((driver, services))),
        None => {
            let reason = entry.and_then(|entry| entry.reason);
            Ok(Err(reason.unwrap_or_else(|| "it was not found to be a driver".to_owned())))
        }
    }
}

fn copy(file: &Path, folder: &Path) -> Result<(), String> {
    let wrong = |what: &str, error: &std::io::Error| {
        format!("cannot {what} {}: {}", folder.display(), cause(error))
    };
    std::fs::create_dir_all(folder).map_err(|error| wrong("make", &error))?;
    let library = if cfg!(target_os = "macos") { "driver.dylib" } else { "driver.so" };
    let name = if definition::is_definition(file) { "driver.toml" } else { library };
    std::fs::copy(file, folder.join(name)).map_err(|error| wrong("copy the driver to", &error))?;
    Ok(())
}

/// One check under way.
struct Suite {
    driver: Driver,
    services: CheckServices,
    launch: Launch,
    /// A configuration that the schema takes, defaults filled in.
    config: Option<Config>,
    /// The author's own configuration.
    given: Option<Config>,
    cases: Option<Vec<Case>>,
    findings: Findings,
}

impl Suite {
    fn new(
        driver: Driver,
        services: CheckServices,
        given: Option<Config>,
        cases: Option<Vec<Case>>,
        findings: Findings,
    ) -> Self {
        let launch = testing::launch();
        Self { driver, services, launch, config: None, given, cases, findings }
    }

    async fn run(mut self) -> Findings {
        self.describes().await;
        self.takes_configurations();
        if let Some(instance) = self.instance().await {
            self.plans(&instance).await;
            self.hides_secrets(&instance).await;
            self.stops(&instance).await;
            self.probes(&instance).await;
            self.withstands_replies(&instance).await;
            self.withstands_output(&instance).await;
            self.reads_golden_cases(&instance).await;
            self.obeys(&instance).await;
            self.installs(&instance).await;
            self.answers(&instance).await;
            self.serves_many_at_once(&instance).await;
        }
        self.stays_in_its_sandbox();
        self.findings.settle();
        self.findings
    }

    async fn instance(&mut self) -> Option<Instance> {
        let miner = MinerName::new(MINER).ok()?;
        let made = self.driver.instance(Some(&miner)).await;
        self.asked(made).given()
    }

    /// Notes what may happen at any call: a panic, a crash, a deadline.
    fn asked<T>(&mut self, answer: Result<T, crate::call::CallError>) -> Asked<T> {
        asked::judge(answer, &mut self.findings)
    }
}
