//! What peers may have done here, once it is decided that they may.

use adit_plugin_api::{Config, PeerId};
use data_encoding::BASE64;
use serde_json::{Map, Value, json};

use crate::{
    miners::{self, NewMiner, ProfileChange},
    node::{
        message::Body,
        net::Net,
        obey::{done, forbidden},
        payload::{Deploy, DriverAnswer, DriverMessage, Fault, GetLogs, Install, Logs, StartMiner},
    },
};
use adit_model::{peer::PublicKey, restart::RestartPolicy, watchdog::limits::Options};

/// Lines of a log that are sent when nobody says how many.
const LINES: usize = 100;
/// Most bytes of a log in one answer.
const LOG_BYTES: usize = 256 << 10;
/// Largest message between drivers, in bytes.
pub(crate) const DRIVER_BYTES: usize = 256 << 10;

pub(crate) async fn read_logs(net: &Net, ask: &GetLogs) -> Result<Body, Fault> {
    let name = ask.miner_name.as_str();
    let mut page = match &ask.after {
        Some(cursor) => net.miners.follow(name, cursor, std::time::Duration::ZERO).await?,
        None => net.miners.tail(name, ask.lines.unwrap_or(LINES)).await?,
    };
    // The last lines are the ones that matter.
    let mut bytes = 0;
    let fitting = page.lines.iter().rev().take_while(|line| {
        bytes += line.len() + 8;
        bytes <= LOG_BYTES
    });
    let first = page.lines.len() - fitting.count();
    let lines = page.lines.split_off(first);
    Ok(Body::Logs(Logs { lines, cursor: page.cursor, skipped_bytes: page.skipped_bytes }))
}

pub(crate) async fn start_miner(
    net: &Net,
    key: &PublicKey,
    start: &StartMiner,
) -> Result<Body, Fault> {
    let StartMiner { miner_name, profile_id, miner_type, config } = start;
    let invalid = |told: &str| Err(Fault::new("INVALID_INPUT", told));
    let view = match (profile_id, miner_type, miner_name) {
        (Some(_), Some(_), _) => return invalid("write profileId or minerType, not both"),
        (Some(_), None, _) if config.is_some() => {
            return invalid("config: a profile has its own; write minerType for a new miner");
        }
        (Some(profile), None, name) => net.miners.start_profile(profile, name.clone()).await?,
        (None, Some(driver), name) => {
            let config: Map<String, Value> = config.clone().unwrap_or_default();
            let config: Config = serde_json::from_value(Value::Object(config))
                .map_err(|error| Fault::new("INVALID_CONFIG", error.to_string()))?;
            // By what the driver says of its fields, which the message alone does not tell.
            let needed = net.miners.rights_to_create(driver, &config)?;
            let lacking = net.rights(key).lacking(needed);
            if !lacking.is_empty() {
                return Err(forbidden(net, lacking));
            }
            let new = NewMiner {
                name: name.clone(),
                driver: driver.clone(),
                config,
                restart: RestartPolicy::default(),
                watchdog: Options::default(),
            };
            net.miners.create(new).await?
        }
        (None, None, Some(_)) if config.is_some() => {
            return invalid("config: write minerType for a new miner");
        }
        (None, None, Some(name)) => net.miners.start(name.as_str()).await?,
        (None, None, None) => return invalid("write minerName, profileId or minerType"),
    };
    Ok(done(json!({ "status": "miner started", "minerName": view.name, "phase": view.phase })))
}

/// Saves a profile, over the one of the same name if there is one.
pub(crate) async fn deploy(net: &Net, key: &PublicKey, ask: &Deploy) -> Result<Body, Fault> {
    let Deploy { name, miner_type, config, pools, start } = ask;
    if name.starts_with('.') || name.contains(['/', '\\']) {
        return Err(Fault::new("INVALID_INPUT", "name: a profile has a name, not a path"));
    }
    let invalid = |error: serde_json::Error| Fault::new("INVALID_CONFIG", error.to_string());
    let config = serde_json::from_value(Value::Object(config.clone())).map_err(invalid)?;
    let pools = pools.clone().map(|pools| serde_json::from_value(Value::Array(pools)));
    let change = ProfileChange {
        name: name.clone(),
        miner_type: miner_type.clone(),
        config,
        pools: pools.transpose().map_err(invalid)?,
        tags: None,
        autostart: None,
        restart: None,
        watchdog: None,
    };
    let granted = || net.rights(key);
    let profile = net.miners.deploy_profile(change, &granted).await;
    let profile = profile.map_err(|error| match error {
        miners::Error::Forbidden(lacking) => forbidden(net, lacking),
        error => error.into(),
    })?;
    let id = profile.id.to_string();
    if let Some(miner) = start {
        net.miners.start_profile(&id, Some(miner.clone())).await?;
    }
    Ok(done(json!({ "status": "deployed", "profileId": id, "minerName": start })))
}

pub(crate) async fn install_program(net: &Net, ask: &Install) -> Result<Body, Fault> {
    let install = miners::Install { version: ask.version.clone(), ..miners::Install::default() };
    let installed = net.miners.install(&ask.miner_type, install).await?;
    let mut answer = json!({ "status": "installed", "version": installed.version.version });
    if let Some(newer) = installed.downgrade_from {
        answer["downgradeFrom"] = json!(newer);
    }
    Ok(done(answer))
}

pub(crate) async fn to_driver(
    net: &Net,
    key: &PublicKey,
    message: &DriverMessage,
) -> Result<Body, Fault> {
    let data = BASE64
        .decode(message.data.as_bytes())
        .map_err(|_| Fault::new("INVALID_INPUT", "data: write base64"))?;
    if data.len() > DRIVER_BYTES {
        return Err(Fault::new("INVALID_INPUT", format!("data: at most {DRIVER_BYTES} bytes")));
    }
    let from = PeerId(key.id().to_string());
    let answer = net.miners.driver_message(&message.driver, from, data).await?;
    if answer.len() > DRIVER_BYTES {
        return Err(Fault::new("DRIVER_FAILED", "the driver's answer is too large"));
    }
    Ok(Body::DriverAnswer(DriverAnswer { data: BASE64.encode(&answer) }))
}

impl From<miners::Error> for Fault {
    fn from(error: miners::Error) -> Self {
        use miners::Error as E;
        let code = match &error {
            E::NoMiner(_) => "MINER_NOT_FOUND",
            E::Taken(_) => "MINER_EXISTS",
            E::NoDriver { .. } => "UNSUPPORTED_MINER",
            E::Profile(miners::Fault::Missing { .. }) => "PROFILE_NOT_FOUND",
            E::Profile(_) => "INVALID_CONFIG",
            E::NotRunning(_) | E::UnknownLaunch(_) => "NOT_RUNNING",
            E::NoProgram(_) => "NOT_INSTALLED",
            E::Config(_) => "INVALID_CONFIG",
            E::Invalid(_) => "INVALID_INPUT",
            E::Unsupported(_) => "UNSUPPORTED",
            E::Driver(_) => "DRIVER_FAILED",
            E::Release(_) => "INSTALL_FAILED",
            E::ShuttingDown => "SHUTTING_DOWN",
            _ => "FAILED",
        };
        Self::new(code, error.to_string())
    }
}
