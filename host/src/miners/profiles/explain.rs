//! What a start of a profile would do, and where each value of it comes from. Changes nothing.

use adit_plugin_api::Launch;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::miners::{
    Error, Miners,
    launch::{self, Draft, Planned, Work},
    profiles::{objects::Objects, row},
};
use adit_drivers::handle::Driver;
use adit_model::{
    name::{DriverId, MinerName, PoolName, WalletName},
    path::{FieldPath, leaves},
    plan::{MASK, PlanView, mask},
    profile::{Profile, ProfileId, miner_names},
    resolve::Origin,
};

/// Shorter texts of a configuration are not looked for in arguments: they would be found anywhere.
const SHORTEST_TRACE: usize = 4;

/// What a start of a profile would do.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Explained {
    /// The profile's id.
    pub profile_id: ProfileId,
    /// The profile's name.
    pub profile: String,
    /// The miner that would be started.
    pub miner: MinerName,
    /// Id of its driver.
    pub miner_type: DriverId,
    /// Why it would not start, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// What would run; absent when the driver cannot plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanView>,
    /// The pools in order of priority.
    pub pools: Vec<ExplainedPool>,
    /// Every value: the configuration's, and what the program gets.
    pub values: Vec<ExplainedValue>,
}

/// A pool with everything filled in.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedPool {
    /// Its name.
    pub name: PoolName,
    /// `host:port`.
    pub url: String,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// The user name; `***` where the driver says that it is a secret.
    pub user: String,
    /// Whether there is a password.
    pub password_set: bool,
    /// The wallet that was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wallet: Option<WalletName>,
}

/// A value and where it comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedValue {
    /// Its place, such as `config.pool`, `args[2]` or `env.PATH`.
    pub field: String,
    /// The value; `***` for a secret.
    pub value: Value,
    /// Where it comes from, in the order of its parts.
    pub origins: Vec<Origin>,
}

impl Miners {
    /// What a start of a profile would do now, as the miner `name` or as the one that
    /// [`start_profile`](Self::start_profile) would take. Changes nothing.
    ///
    /// # Errors
    /// [`Error::Profile`], [`Error::NoDriver`]: what is wrong with the profile itself. What the
    /// machine or the driver lacks is told in the answer.
    pub async fn explain(
        &self,
        id_or_name: &str,
        name: Option<MinerName>,
    ) -> Result<Explained, Error> {
        let parts = &self.0.parts;
        let objects = Objects::load(&parts.store).await?;
        let profile = objects.profile(id_or_name)?;
        let name = match name {
            Some(name) => name,
            None => self.next_miner(profile)?,
        };
        let driver = parts.driver(&profile.fields.miner_type)?;
        let explained = self.explain_as(profile, &driver, name.clone()).await;
        if !self.members().contains_key(&name) {
            // The object that the driver made for it would stay for nobody.
            driver.forget(&name);
        }
        explained
    }

    async fn explain_as(
        &self,
        profile: &Profile,
        driver: &Driver,
        name: MinerName,
    ) -> Result<Explained, Error> {
        let parts = &self.0.parts;
        let row = row(profile, name);
        let program = parts.options.programs.find(driver).await;
        let found = program.as_ref().ok().cloned().flatten();
        let draft = launch::draft(parts, &row, driver, found).await?;
        let secrets = draft.applied.secrets.clone();
        let pools = pools(&draft, &secrets);
        let mut values = config_values(&draft, &secrets);
        values.extend(launch_values(&draft.launch));
        let planned = match program {
            Ok(_) => launch::finish(driver, &row, draft).await,
            Err(error) => Err(error),
        };
        let (plan, problem) = match planned {
            Ok(planned) => {
                let traces = values.clone();
                let plan = planned.view();
                values.extend(plan_values(&planned, &plan, &traces));
                (Some(plan), None)
            }
            Err(error) => (None, Some(error.to_string())),
        };
        Ok(Explained {
            profile_id: profile.id,
            profile: profile.fields.name.clone(),
            miner: row.name,
            miner_type: row.driver,
            problem,
            plan,
            pools,
            values,
        })
    }

    /// The miner that a start of the profile would take.
    fn next_miner(&self, profile: &Profile) -> Result<MinerName, Error> {
        if let Some(stopped) = self.stopped_miner(profile.id) {
            return Ok(stopped);
        }
        let members = self.members();
        let free = miner_names(&profile.fields).find(|name| !members.contains_key(name));
        free.ok_or_else(|| Error::Invalid("all names are taken; give one".to_owned()))
    }
}

fn pools(draft: &Draft, secrets: &[String]) -> Vec<ExplainedPool> {
    let pools = draft.applied.made_of.iter().flat_map(|made_of| &made_of.pools);
    let explained = pools.map(|pool| ExplainedPool {
        name: pool.name.clone(),
        url: pool.url.clone(),
        tls: pool.tls,
        user: mask(&pool.user.text, secrets),
        password_set: pool.password.is_some(),
        wallet: pool.wallet.clone(),
    });
    explained.collect()
}

fn config_values(draft: &Draft, secrets: &[String]) -> Vec<ExplainedValue> {
    let config = Value::Object(draft.config.0.clone());
    let made_of = draft.applied.made_of.as_ref();
    let is_secret = |path: &FieldPath| {
        let mut above = (1..=path.steps().len()).map(|count| path.prefix(count));
        above.any(|path| made_of.is_some_and(|it| it.secrets.contains(&path)))
    };
    let explained = leaves(&config).into_iter().map(|(path, leaf)| ExplainedValue {
        field: format!("config.{path}"),
        value: match leaf {
            Value::String(_) | Value::Number(_) if is_secret(&path) => Value::from(MASK),
            Value::String(text) => Value::from(mask(text, secrets)),
            other => other.clone(),
        },
        origins: made_of
            .and_then(|it| it.origins.get(&path).cloned())
            .unwrap_or_else(|| vec![Origin::Default]),
    });
    explained.collect()
}

/// What the host chose for the launch.
fn launch_values(launch: &Launch) -> Vec<ExplainedValue> {
    let value = |field: &str, value: Value| host(field, value);
    let mut values = vec![
        value("apiPort", Value::from(launch.api_port)),
        value("apiToken", Value::from(MASK)),
        value("worker", Value::from(launch.worker.as_str())),
        value("cwd", Value::from(launch.run_dir.display().to_string())),
    ];
    if let Some(version) = launch.program.as_ref().and_then(|it| it.version.as_ref()) {
        values.push(value("programVersion", Value::from(version.as_str())));
    }
    values
}

fn host(field: &str, value: Value) -> ExplainedValue {
    ExplainedValue { field: field.to_owned(), value, origins: vec![Origin::Host] }
}

/// What the driver made of it, and what the host adds.
fn plan_values(
    planned: &Planned,
    plan: &PlanView,
    traces: &[ExplainedValue],
) -> Vec<ExplainedValue> {
    let by_driver = |field: String, shown: &str, text: &str| ExplainedValue {
        field,
        value: Value::from(shown),
        origins: origins_in(planned, text, traces),
    };
    let process = match &planned.work {
        Work::Program(process, _) => process,
        Work::Device(device) => {
            let address = |(index, text): (usize, &String)| {
                by_driver(format!("addresses[{index}]"), text, text)
            };
            return device.addresses.iter().enumerate().map(address).collect();
        }
    };
    let mut values = vec![host("program", Value::from(plan.program.as_str()))];
    for (index, (shown, text)) in plan.args.iter().zip(&process.args).enumerate() {
        values.push(by_driver(format!("args[{index}]"), shown, text));
    }
    for (name, text) in launch::environment(planned, process) {
        let shown = plan.env.get(&name);
        values.push(match shown {
            Some(shown) => by_driver(format!("env.{name}"), shown, &text),
            None => host(&format!("env.{name}"), Value::from(text)),
        });
    }
    for file in &process.files {
        let path = file.path.display().to_string();
        let shown = plan.files.get(&path).map_or("", String::as_str);
        values.push(by_driver(format!("files.{path}"), shown, &file.content));
    }
    values
}

/// The driver, and whatever of the configuration and the launch is in `text`.
fn origins_in(planned: &Planned, text: &str, traces: &[ExplainedValue]) -> Vec<Origin> {
    let mut origins = vec![Origin::Driver];
    let config = Value::Object(planned.draft.config.0.clone());
    let leaves = leaves(&config);
    let texts = traces.iter().map(|trace| {
        let path = trace.field.strip_prefix("config.");
        let leaf = path.and_then(|path| leaves.iter().find(|(it, _)| it.to_string() == path));
        (trace, leaf.map_or(&trace.value, |(_, leaf)| *leaf))
    });
    for (trace, value) in texts {
        let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let quoted = value.to_string();
        let quoted = quoted.trim_matches('"');
        if shown.len() < SHORTEST_TRACE || !(text.contains(&shown) || text.contains(quoted)) {
            continue;
        }
        for origin in &trace.origins {
            if !origins.contains(origin) {
                origins.push(origin.clone());
            }
        }
    }
    origins
}
