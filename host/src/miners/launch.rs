//! From a miner's configuration to a run: asks the driver for a plan, checks it, writes its files
//! and has a keeper or a device carry it out.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs, io,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
};

use adit_plugin_api::{
    Config, DevicePlan, ErrorKind, Installed, Launch, ProcessPlan, StartPlan, StopPlan, Value,
};
use sha2::{Digest, Sha256};

use crate::miners::{
    Error, Parts,
    device::DeviceRun,
    facts,
    hold::Hold,
    profiles::{
        apply::{Applied, apply},
        fault::Fault,
    },
    record::{self, Record},
    secrets,
};
use adit_drivers::{call::CallError, handle::Driver};
use adit_model::{
    device,
    name::MinerName,
    plan::{self, PlanView},
    run::{LogLimits, RunId, RunSpec},
};
use adit_store::MinerRow;

/// A plan that was checked and not yet carried out.
pub(crate) struct Planned {
    pub(crate) work: Work,
    pub(crate) draft: Draft,
}

/// What is to be carried out.
pub(crate) enum Work {
    /// A program, and how it is ended.
    Program(Box<ProcessPlan>, StopPlan),
    /// A device.
    Device(DevicePlan),
}

impl Work {
    /// What must not be shown.
    pub(crate) fn secrets(&self) -> &[String] {
        match self {
            Self::Program(plan, _) => &plan.secrets,
            Self::Device(plan) => &plan.secrets,
        }
    }
}

/// What a driver is asked with.
pub(crate) struct Draft {
    pub(crate) run: RunId,
    pub(crate) launch: Launch,
    /// What the miner's profile says now.
    pub(crate) applied: Applied,
    /// The configuration with the driver's defaults.
    pub(crate) config: Config,
}

impl Planned {
    pub(crate) fn run(&self) -> &RunId {
        &self.draft.run
    }

    pub(crate) fn launch(&self) -> &Launch {
        &self.draft.launch
    }

    pub(crate) fn view(&self) -> PlanView {
        match &self.work {
            Work::Program(plan, _) => plan::view(plan, self.launch()),
            Work::Device(plan) => plan::view_device(plan, self.launch()),
        }
    }
}

/// Asks the driver how `row` would be run now. Changes nothing.
pub(crate) async fn plan(parts: &Parts, row: &MinerRow) -> Result<Planned, Error> {
    let driver = parts.driver(&row.driver)?;
    let program = parts.options.programs.find(&driver).await;
    let draft = draft(parts, row, &driver, program.as_ref().ok().cloned().flatten()).await?;
    program?;
    finish(&driver, row, draft).await
}

/// What the driver of `row` would be asked with now.
pub(crate) async fn draft(
    parts: &Parts,
    row: &MinerRow,
    driver: &Driver,
    program: Option<Installed>,
) -> Result<Draft, Error> {
    let run = RunId::random();
    let launch = launch(parts, &row.name, &run, program)?;
    let applied = apply(parts, row, driver, &launch).await?;
    let mut config = driver.complete(&applied.config).map_err(|error| match applied.made_of {
        Some(_) => Error::Profile(Fault::Config(error)),
        None => error.into(),
    })?;
    turn_pools(&mut config, parts.watchdog.pool_turn(&row.name));
    Ok(Draft { run, launch, applied, config })
}

/// Asks the driver for a plan and checks it.
pub(crate) async fn finish(
    driver: &Driver,
    row: &MinerRow,
    mut draft: Draft,
) -> Result<Planned, Error> {
    let known = driver.known_secrets();
    known.add(draft.applied.secrets.iter().cloned().chain([draft.launch.api_token.clone()]));
    let instance = driver.instance(Some(&row.name)).await?;
    let secrets = draft.applied.secrets.iter().cloned();
    let work = match instance.start(draft.config.clone(), draft.launch.clone()).await? {
        StartPlan::Process(mut plan) => {
            plan::check(&plan, &draft.launch)?;
            plan.secrets.extend(secrets);
            Work::Program(Box::new(plan), instance.stop(draft.launch.clone()).await?)
        }
        StartPlan::Device(mut plan) => {
            device::check(&plan, &draft.config)?;
            plan.secrets.extend(secrets);
            draft.launch.addresses.clone_from(&plan.addresses);
            Work::Device(plan)
        }
        _ => {
            return Err(Error::Unsupported(format!(
                "the driver {} plans in a way that this version does not know: update adit",
                row.driver
            )));
        }
    };
    known.add(work.secrets().iter().cloned());
    Ok(Planned { work, draft })
}

/// Why the driver would refuse to start `miner` with `config`; nothing when it would not, or when
/// it cannot say now. Nothing is made for the miner: the driver's own object is asked.
pub(crate) async fn refusal(
    parts: &Parts,
    driver: &Driver,
    miner: &MinerName,
    config: Config,
) -> Option<String> {
    let program = match parts.options.programs.find(driver).await {
        Ok(program) => program,
        // The driver shall see what is wrong with the configuration, not that there is no program.
        Err(_) => Some(Installed {
            version: None,
            dir: PathBuf::from("/nonexistent"),
            program: PathBuf::from("/nonexistent/program"),
        }),
    };
    let launch = launch(parts, miner, &RunId::random(), program).ok()?;
    let planned = driver.instance(None).await.ok()?.start(config, launch).await;
    match planned {
        Err(CallError::Refused { kind: ErrorKind::Invalid, message, .. }) => Some(message),
        _ => None,
    }
}

/// The pools that a miner would be started with now, if it has a list of them.
pub(crate) async fn pools(parts: &Parts, row: &MinerRow) -> Vec<Value> {
    let Ok(driver) = parts.driver(&row.driver) else { return Vec::new() };
    let Ok(draft) = draft(parts, row, &driver, None).await else { return Vec::new() };
    let pools = draft.config.0.get("pools").and_then(Value::as_array);
    pools.cloned().unwrap_or_default()
}

/// Whether there is another pool to go to.
pub(crate) async fn has_several_pools(parts: &Parts, row: &MinerRow) -> bool {
    pools(parts, row).await.len() > 1
}

/// Brings another pool of the list `pools` to its head: drivers take the first one first.
fn turn_pools(config: &mut Config, turn: usize) {
    if let Some(Value::Array(pools)) = config.0.get_mut("pools")
        && !pools.is_empty()
    {
        let turn = turn % pools.len();
        pools.rotate_left(turn);
    }
}

fn launch(
    parts: &Parts,
    miner: &MinerName,
    run: &RunId,
    program: Option<Installed>,
) -> Result<Launch, Error> {
    let folder = parts.folder(miner);
    let port = free_port().map_err(|source| Error::Io {
        what: "find a free TCP port on loopback".to_owned(),
        source,
    })?;
    Ok(Launch {
        miner: miner.to_string(),
        run: run.to_string(),
        run_dir: folder.join("work"),
        data_dir: folder.join("data"),
        program,
        api_port: port,
        api_token: random_token(),
        worker: parts.options.worker.clone(),
        facts: facts::of_machine(),
        addresses: Vec::new(),
    })
}

/// A port that was free a moment ago. Somebody else may take it before the program does; a driver
/// sees that in the program's output.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// 256 random bits as 64 hex digits.
pub(crate) fn random_token() -> String {
    let mut hash = Sha256::new();
    // Each UUID has 122 random bits from the system's generator.
    for _ in 0..3 {
        hash.update(uuid::Uuid::new_v4().as_bytes());
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Carries a plan out. When this returns an error no process of the run lives, unless its keeper
/// does not answer, which shows when looking. `None`: the program has ended already, and looking
/// tells how.
pub(crate) async fn carry_out(
    parts: &Parts,
    row: &MinerRow,
    planned: &Planned,
    now_ms: i64,
) -> Result<Option<Hold>, Error> {
    let folder = parts.folder(&row.name);
    prepare(&folder, planned).map_err(|source| Error::Io {
        what: format!("prepare the folder {}", planned.launch().run_dir.display()),
        source,
    })?;
    let record = Record::new(row, planned);
    // Before the record of the last run is replaced, and before this one prints anything.
    let log = parts.keepers.log(&row.name);
    secrets::begin_run(&folder, &log, &record.launch.run, &record.secrets)
        .and_then(|()| record.write(&folder))
        .map_err(|source| Error::Io { what: format!("write {}", folder.display()), source })?;
    let program = match &planned.work {
        Work::Program(plan, _) => plan.program.display().to_string(),
        Work::Device(plan) => plan.addresses.join(", "),
    };
    let noted =
        parts.store.run_started(&row.name, &row.driver, planned.run(), program, now_ms).await;
    if let Err(error) = noted {
        // A line of history is not worth a miner that stands still.
        tracing::error!(miner = %row.name, %error, "cannot write down that a run begins");
    }
    match &planned.work {
        Work::Program(plan, stop) => {
            let run = parts.keepers.launch(&spec(row, planned, plan, stop)).await?;
            let status = run.status().await.ok();
            Ok(status.map(|status| Hold::Program(run, Box::new(status))))
        }
        Work::Device(plan) => {
            let (prober, run) = (&parts.prober, planned.run());
            let device = DeviceRun::begin(prober, &row.name, &folder, run, plan, now_ms).await?;
            Ok(Some(Hold::Device(device)))
        }
    }
}

/// An empty run folder with the plan's files, and the miner's lasting folder.
fn prepare(folder: &Path, planned: &Planned) -> io::Result<()> {
    let work = &planned.launch().run_dir;
    match fs::remove_dir_all(work) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    record::private_folder(folder)?;
    record::private_folder(work)?;
    record::private_folder(&planned.launch().data_dir)?;
    let files = match &planned.work {
        Work::Program(plan, _) => plan.files.as_slice(),
        Work::Device(_) => &[],
    };
    for file in files {
        let path = work.join(&file.path);
        record::private_folder(path.parent().unwrap_or(work))?;
        record::write_private(&path, file.content.as_bytes())?;
    }
    Ok(())
}

fn spec(row: &MinerRow, planned: &Planned, plan: &ProcessPlan, stop: &StopPlan) -> RunSpec {
    RunSpec {
        run: planned.run().clone(),
        miner: row.name.clone(),
        program: plan.program.clone(),
        args: plan.args.clone(),
        env: environment(planned, plan),
        cwd: planned.launch().run_dir.clone(),
        writable: match plan.confined {
            true => vec![planned.launch().run_dir.clone(), planned.launch().data_dir.clone()],
            false => Vec::new(),
        },
        console: plan.console,
        stdin: plan.stdin.clone(),
        stop: stop.clone(),
        log: LogLimits::default(),
    }
}

/// The host's short list, and the plan's own on top.
pub(crate) fn environment(planned: &Planned, plan: &ProcessPlan) -> BTreeMap<String, String> {
    const PASSED: &[&str] = &["PATH", "LANG", "LC_ALL", "TZ"];
    let mut env = passed(std::env::vars_os(), |name| {
        // GPU drivers are steered by these.
        let gpu = name.starts_with("CUDA_") || name.starts_with("GPU_");
        gpu || PASSED.contains(&name)
    });
    env.entry("PATH".to_owned()).or_insert_with(|| "/usr/local/bin:/usr/bin:/bin".to_owned());
    env.insert("HOME".to_owned(), planned.launch().run_dir.display().to_string());
    env.insert("TERM".to_owned(), "dumb".to_owned());
    env.extend(plan.env.clone());
    env
}

/// The variables that `is_passed` names. One that is not UTF-8 cannot be written to the spec of a run
/// and is left out: that must not keep a miner from starting.
fn passed(
    variables: impl Iterator<Item = (OsString, OsString)>,
    is_passed: impl Fn(&str) -> bool,
) -> BTreeMap<String, String> {
    let mut env = BTreeMap::new();
    for (name, value) in variables {
        let Some(name) = name.to_str().filter(|name| is_passed(name)) else { continue };
        match value.into_string() {
            Ok(value) => drop(env.insert(name.to_owned(), value)),
            Err(_) => {
                tracing::warn!(name, "an environment variable is not UTF-8 and not passed on")
            }
        }
    }
    env
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    #[test]
    fn variables_that_are_not_utf_8_are_left_out() {
        let bad = || OsString::from_vec(b"caf\xe9".to_vec());
        let variables = [
            (OsString::from("LANG"), OsString::from("C")),
            (OsString::from("TZ"), bad()),
            (bad(), OsString::from("x")),
            (OsString::from("SECRET"), OsString::from("s")),
        ];
        let env = passed(variables.into_iter(), |name| name != "SECRET");
        assert_eq!(env, BTreeMap::from([("LANG".to_owned(), "C".to_owned())]));
    }
}
