//! `adit miner`: start, stop and watch miners.

mod see;

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};
use serde_json::{Map, Value, json};

use crate::{
    app::offline::{self, OfflineMiner},
    cli::{
        Common, Error,
        client::{self, Client, segment},
        input, pools, show,
    },
    miners::LogPage,
};
use adit_model::miner::{MinerView, RunView};

/// Seconds that the host may wait for new output before it answers.
const FOLLOW_S: u32 = 15;

#[derive(Subcommand)]
pub(super) enum Miner {
    /// Start a miner: a new one with --type, or one that exists
    Start(Start),
    /// Stop a miner and wait until nothing of it runs
    Stop {
        /// Its name
        name: String,
        /// Forget it too, with its configuration and its log
        #[arg(long)]
        remove: bool,
    },
    /// List the miners; works without a host too
    List,
    /// Show a miner's figures
    Stats {
        /// Its name
        name: String,
    },
    /// Show a miner
    Show {
        /// Its name
        name: String,
    },
    /// Show what a miner runs or would run, secrets masked
    Plan {
        /// Its name
        name: String,
    },
    /// List a miner's last runs and how they ended
    Runs {
        /// Its name
        name: String,
        /// How many, newest first
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// List what can be mined with
    Types,
    /// Show what a miner printed
    Logs {
        /// Its name
        name: String,
        /// Go on with what it prints
        #[arg(short, long)]
        follow: bool,
        /// Last lines to begin with
        #[arg(short = 'n', long, default_value_t = 100)]
        lines: u32,
    },
    /// Type something at a miner
    Stdin {
        /// Its name
        name: String,
        /// What to type; a newline is added
        text: String,
        /// Add no newline
        #[arg(long)]
        raw: bool,
    },
    /// End a miner's program and start it again
    Restart {
        /// Its name
        name: String,
    },
    /// Have a miner rest
    Pause {
        /// Its name
        name: String,
    },
    /// Change the pools of a miner that runs, until it is started again
    Pools(pools::Pools),
    /// Have a miner go on
    Resume {
        /// Its name
        name: String,
    },
}

#[derive(Args)]
#[command(group(
    ArgGroup::new("configured").args(["config", "set"]).multiple(true).requires("miner_type")
))]
pub(super) struct Start {
    /// Name of the miner; made from the type or the profile when left out
    #[arg(required_unless_present_any = ["miner_type", "profile"])]
    name: Option<String>,
    /// Make a new miner with this driver
    #[arg(long = "type", value_name = "DRIVER")]
    miner_type: Option<String>,
    /// Make a new miner from this profile, by name or id
    #[arg(long, conflicts_with_all = ["miner_type", "config", "set"])]
    profile: Option<String>,
    #[command(flatten)]
    config: ConfigArgs,
}

/// A configuration on the command line.
#[derive(Args)]
pub(super) struct ConfigArgs {
    /// Configuration as a JSON file; - reads it from stdin
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One field of the configuration, such as pool=host:3333; may be repeated
    #[arg(long = "set", value_name = "FIELD=VALUE")]
    set: Vec<String>,
}

impl ConfigArgs {
    /// Whether a whole configuration was given, rather than some of its fields.
    pub(super) fn is_whole(&self) -> bool {
        self.config.is_some()
    }
}

pub(super) async fn run(common: &Common, command: Miner) -> Result<(), Error> {
    match command {
        Miner::Start(start) => self::start(common, start).await,
        Miner::Stop { name, remove } => {
            let query = if remove { "?remove=true" } else { "" };
            stop(common, &name, &format!("{}{query}", path(&name, ""))).await
        }
        Miner::List => list(common).await,
        Miner::Stats { name } => stats(common, &name).await,
        Miner::Show { name } => see::show(common, &name).await,
        Miner::Plan { name } => see::plan(common, &name).await,
        Miner::Runs { name, limit } => see::runs(common, &name, limit).await,
        Miner::Types => see::types(common).await,
        Miner::Logs { name, follow, lines } => logs(common, &name, follow, lines).await,
        Miner::Stdin { name, text, raw } => {
            let input = if raw { text } else { format!("{text}\n") };
            let body = json!({ "input": input });
            told(
                common,
                &name,
                &Client::find(common)?.post_json(&path(&name, "/stdin"), &body).await?,
            );
            Ok(())
        }
        Miner::Restart { name } => simple(common, &name, "/restart").await,
        Miner::Pause { name } => simple(common, &name, "/pause").await,
        Miner::Pools(pools) => pools::run(common, pools).await,
        Miner::Resume { name } => simple(common, &name, "/resume").await,
    }
}

fn path(name: &str, what: &str) -> String {
    format!("/miners/{}{what}", segment(name))
}

async fn simple(common: &Common, name: &str, what: &str) -> Result<(), Error> {
    told(common, name, &Client::find(common)?.post(&path(name, what)).await?);
    Ok(())
}

fn told(common: &Common, name: &str, answer: &Value) {
    if common.json {
        show::json(answer);
    } else {
        println!(
            "{}: {}",
            show::plain(name),
            show::plain(answer["status"].as_str().unwrap_or("done"))
        );
    }
}

async fn start(common: &Common, start: Start) -> Result<(), Error> {
    let client = Client::find(common)?;
    let name = &start.name;
    let view: MinerView = match &start.miner_type {
        None if start.profile.is_some() => {
            client.post_json("/miners", &json!({ "name": name, "profile": start.profile })).await?
        }
        None => client.post(&path(start.name.as_deref().unwrap_or_default(), "/start")).await?,
        Some(miner_type) => {
            let config = configuration(&start.config)?;
            let body = json!({ "name": start.name, "type": miner_type, "config": config });
            client.post_json("/miners", &body).await?
        }
    };
    if common.json {
        show::json(&view);
    } else {
        let pid = view.run.as_ref().map_or_else(String::new, words);
        println!("{}: started{pid}", view.name);
    }
    Ok(())
}

pub(super) fn configuration(given: &ConfigArgs) -> Result<Map<String, Value>, Error> {
    let mut config = match &given.config {
        None => Map::new(),
        Some(path) => {
            let shown = path.display();
            let text = input::read(path)?;
            serde_json::from_str(&text)
                .map_err(|error| Error::message(format!("{shown} is no JSON object: {error}")))?
        }
    };
    set_fields(&mut config, &given.set)?;
    Ok(config)
}

/// Stops a miner and waits until nothing of it runs, however long its stop plan is.
async fn stop(common: &Common, name: &str, path: &str) -> Result<(), Error> {
    let client = Client::find(common)?;
    loop {
        let answer: Value = client.delete(path).await?;
        if let Some(warning) = answer["warning"].as_str() {
            eprintln!("adit: {warning}");
        }
        if answer["status"] != "stopping" {
            told(common, name, &answer);
            return Ok(());
        }
        let reason = answer["reason"].as_str().unwrap_or("its stop plan takes long");
        eprintln!("adit: the miner {name} is still stopping: {reason}");
    }
}

/// Sets fields that were given as `FIELD=VALUE`.
pub(super) fn set_fields(config: &mut Map<String, Value>, set: &[String]) -> Result<(), Error> {
    for set in set {
        let (field, value) = set
            .split_once('=')
            .ok_or_else(|| Error::message(format!("--set {set}: write FIELD=VALUE")))?;
        // What is no JSON is a text: pool=host:3333 needs no quotes.
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
        config.insert(field.to_owned(), value);
    }
    Ok(())
}

async fn list(common: &Common) -> Result<(), Error> {
    let client = match Client::find(common) {
        Err(Error::NoHost(folder)) => {
            let miners = offline::list(&client::home(common)).await?;
            if !common.json {
                eprintln!("no host runs for {}; this is what runs without one", folder.display());
            }
            show_offline(common, &miners);
            return Ok(());
        }
        client => client?,
    };
    let miners: Vec<MinerView> = client.get("/miners?all=true&brief=true").await?;
    if common.json {
        show::json(&miners);
        return Ok(());
    }
    let rows: Vec<_> = miners.iter().map(row).collect();
    show::table(
        [
            "NAME",
            "TYPE",
            "PHASE",
            "HASHRATE",
            "ALGORITHM",
            "SHARES",
            "REJECTED",
            "UP",
            "PID",
            "NOTE",
        ],
        &rows,
    );
    Ok(())
}

fn row(miner: &MinerView) -> [String; 10] {
    let stats = miner.stats.clone().unwrap_or_default();
    let phase = serde_json::to_value(miner.phase).unwrap_or_default();
    let run = miner.run.as_ref();
    let dash = || "-".to_owned();
    [
        miner.name.to_string(),
        miner.miner_type.to_string(),
        phase.as_str().unwrap_or("-").to_owned(),
        show::hashrate(stats.hashrate),
        stats.algorithm.unwrap_or_else(dash),
        show::count(stats.shares),
        show::count(stats.rejected),
        run.map_or_else(dash, |run| show::since(run.started_at_ms)),
        run.and_then(|run| run.pid).map_or_else(dash, |pid| pid.to_string()),
        miner.reason.clone().unwrap_or_default(),
    ]
}

fn show_offline(common: &Common, miners: &[OfflineMiner]) {
    if common.json {
        show::json(&miners);
        return;
    }
    let dash = || "-".to_owned();
    let rows: Vec<_> = miners
        .iter()
        .map(|it| {
            [
                it.name.to_string(),
                it.miner_type.clone().unwrap_or_else(dash),
                if it.running { "running" } else { "stopped" }.to_owned(),
                it.started_at_ms.map_or_else(dash, show::since),
                it.pid.map_or_else(dash, |pid| pid.to_string()),
            ]
        })
        .collect();
    show::table(["NAME", "TYPE", "STATE", "UP", "PID"], &rows);
}

async fn stats(common: &Common, name: &str) -> Result<(), Error> {
    let stats: Value = Client::find(common)?.get(&path(name, "/stats")).await?;
    if common.json {
        show::json(&stats);
        return Ok(());
    }
    for (key, value) in stats.as_object().into_iter().flatten() {
        let key = show::plain(key);
        match value {
            Value::String(text) => println!("{key:<14} {}", show::plain(text)),
            other => println!("{key:<14} {}", show::plain(&other.to_string())),
        }
    }
    Ok(())
}

async fn logs(common: &Common, name: &str, follow: bool, lines: u32) -> Result<(), Error> {
    let client = Client::find(common)?;
    let mut page: LogPage = client.get(&path(name, &format!("/logs?lines={lines}"))).await?;
    if common.json && !follow {
        show::json(&page);
        return Ok(());
    }
    loop {
        if page.skipped_bytes > 0 {
            eprintln!("adit: {} bytes were rotated away unread", page.skipped_bytes);
        }
        for line in &page.lines {
            if common.json {
                println!("{}", show::escaped(&Value::from(line.as_str()).to_string()));
            } else {
                println!("{}", show::plain(line));
            }
        }
        if !follow {
            return Ok(());
        }
        let next = format!("/logs?after={}&wait={FOLLOW_S}", page.cursor);
        page = client.get(&path(name, &next)).await?;
    }
}

/// What runs, behind a word such as `started`.
fn words(run: &RunView) -> String {
    match run.pid {
        Some(pid) => format!(" (pid {pid})"),
        None => show::plain(&format!(" ({})", run.addresses.join(", "))),
    }
}
