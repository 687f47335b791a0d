//! `adit profile` and `adit explain`: saved configurations.

mod exchange;
mod explain;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

pub(super) use exchange::{Export, Import};
pub(super) use explain::{Explain, explain};

use crate::cli::{
    Common, Error,
    client::{Client, segment},
    miner::{ConfigArgs, configuration},
    show,
    wallet::done,
};
use adit_model::{miner::MinerView, profile::ProfileView};

#[derive(Subcommand)]
pub(super) enum Profile {
    /// List the profiles
    List,
    /// Show a profile, secrets masked
    Show {
        /// Its name or id
        profile: String,
    },
    /// Save a new profile
    Create {
        /// Its name
        name: String,
        /// Its driver
        #[arg(long = "type", value_name = "DRIVER")]
        miner_type: String,
        #[command(flatten)]
        fields: Fields,
    },
    /// Change what is given of a profile; its miners notice at their next start
    Edit {
        /// Its name or id
        profile: String,
        /// The new name
        #[arg(long)]
        name: Option<String>,
        /// Take a field of the configuration away; may be repeated
        #[arg(long, value_name = "FIELD")]
        unset: Vec<String>,
        #[command(flatten)]
        fields: Fields,
    },
    /// Forget a profile; its miners stay as they are
    Delete {
        /// Its name or id
        profile: String,
    },
    /// Start a miner from a profile: one that is stopped, or else a new one
    Start {
        /// Its name or id
        profile: String,
        /// Name of the miner
        #[arg(long)]
        name: Option<String>,
    },
    /// Print all profiles, wallets and pools as one document, without secrets
    Export(Export),
    /// Take such a document in, all of it or nothing
    Import(Import),
}

#[derive(Args)]
pub(super) struct Fields {
    #[command(flatten)]
    config: ConfigArgs,
    /// A pool, in order of priority, as NAME or NAME:WALLET; may be repeated. Empty: none
    #[arg(long = "pool", value_name = "NAME[:WALLET]")]
    pools: Vec<String>,
    /// A word to find the profile by; may be repeated. Empty: none
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// Whether a miner of it is made at the start of the host when there is none
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    autostart: Option<bool>,
}

impl Fields {
    /// Writes what was given into `body`.
    fn write(self, body: &mut Value) -> Result<(), Error> {
        let given = configuration(&self.config)?;
        if self.config.is_whole() {
            body["config"] = Value::Object(given);
        } else if let Value::Object(config) = &mut body["config"] {
            config.extend(given);
        }
        if !self.pools.is_empty() {
            let pools = self.pools.iter().filter(|it| !it.is_empty());
            let pools = pools.map(|it| match it.split_once(':') {
                Some((pool, wallet)) => json!({ "pool": pool, "wallet": wallet }),
                None => json!(it),
            });
            body["pools"] = pools.collect();
        }
        if !self.tags.is_empty() {
            body["tags"] = self.tags.into_iter().filter(|it| !it.is_empty()).collect();
        }
        if let Some(autostart) = self.autostart {
            body["autostart"] = autostart.into();
        }
        Ok(())
    }
}

fn path(profile: &str, what: &str) -> String {
    format!("/profiles/{}{what}", segment(profile))
}

pub(super) async fn run(common: &Common, command: Profile) -> Result<(), Error> {
    let client = Client::find(common)?;
    match command {
        Profile::List => list(common, &client).await,
        Profile::Show { profile } => {
            let view: ProfileView = client.get(&path(&profile, "")).await?;
            show_one(common, &view);
            Ok(())
        }
        Profile::Create { name, miner_type, fields } => {
            let mut body = json!({ "name": name, "minerType": miner_type, "config": {} });
            fields.write(&mut body)?;
            let view: ProfileView = client.post_json("/profiles", &body).await?;
            done(common, &view, &format!("{}: saved as {}", show::plain(&view.name), view.id));
            Ok(())
        }
        Profile::Edit { profile, name, unset, fields } => {
            let path = path(&profile, "");
            let mut body: Value = client.get(&path).await?;
            if let Some(name) = name {
                body["name"] = name.into();
            }
            if let Value::Object(config) = &mut body["config"] {
                config.retain(|field, _| !unset.contains(field));
            }
            fields.write(&mut body)?;
            let view: ProfileView = client.put_json(&path, &body).await?;
            done(common, &view, &format!("{}: changed", show::plain(&view.name)));
            Ok(())
        }
        Profile::Delete { profile } => {
            let answer: Value = client.delete(&path(&profile, "")).await?;
            done(common, &answer, &format!("{}: deleted", show::plain(&profile)));
            Ok(())
        }
        Profile::Start { profile, name } => {
            let body = json!({ "name": name });
            let view: MinerView = client.post_json(&path(&profile, "/start"), &body).await?;
            let pid = view.run.as_ref().and_then(|run| run.pid).map(|pid| format!(" (pid {pid})"));
            done(common, &view, &format!("{}: started{}", view.name, pid.unwrap_or_default()));
            Ok(())
        }
        Profile::Export(export) => exchange::export(common, &client, &export).await,
        Profile::Import(import) => exchange::import(common, &client, &import).await,
    }
}

async fn list(common: &Common, client: &Client) -> Result<(), Error> {
    let profiles: Vec<ProfileView> = client.get("/profiles").await?;
    if common.json {
        show::json(&profiles);
        return Ok(());
    }
    let listed = |words: Vec<String>| match words.is_empty() {
        true => "-".to_owned(),
        false => words.join(","),
    };
    let rows: Vec<_> = profiles
        .into_iter()
        .map(|it| {
            [
                it.name,
                it.miner_type.to_string(),
                listed(it.pools.iter().map(|pool| pool.pool.to_string()).collect()),
                if it.autostart { "yes" } else { "-" }.to_owned(),
                listed(it.miners.iter().map(ToString::to_string).collect()),
                listed(it.tags),
                it.problem.unwrap_or_default(),
            ]
        })
        .collect();
    show::table(["NAME", "TYPE", "POOLS", "AUTOSTART", "MINERS", "TAGS", "NOTE"], &rows);
    Ok(())
}

fn show_one(common: &Common, view: &ProfileView) {
    if common.json {
        show::json(view);
        return;
    }
    let value = serde_json::to_value(view).unwrap_or_default();
    for (key, value) in value.as_object().into_iter().flatten() {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        println!("{:<12} {}", show::plain(key), show::plain(&text));
    }
}
