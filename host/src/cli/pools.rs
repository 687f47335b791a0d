//! `adit miner pools`: other pools for a miner that runs.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Map, Value, json};

use crate::cli::{
    Common, Error,
    client::{Client, segment},
    input, miner, show,
};

#[derive(Args)]
pub(super) struct Pools {
    /// Name of the miner
    name: String,
    /// A JSON file with a list of pools, as in the configuration; - reads it from stdin, where no
    /// process list shows a password
    #[arg(required_unless_present_any = ["set", "pools"], conflicts_with_all = ["set", "pools"])]
    file: Option<PathBuf>,
    /// One field of a single pool, such as url=host:3333; may be repeated
    #[arg(long = "set", value_name = "FIELD=VALUE")]
    set: Vec<String>,
    /// Name of a saved pool, see adit pool list; may be repeated, first choice first
    #[arg(long = "pool", value_name = "POOL", conflicts_with = "set")]
    pools: Vec<String>,
}

pub(super) async fn run(common: &Common, pools: Pools) -> Result<(), Error> {
    let list = match &pools.file {
        Some(file) => read(file)?,
        None if !pools.pools.is_empty() => json!(pools.pools),
        None => {
            let mut pool = Map::new();
            miner::set_fields(&mut pool, &pools.set)?;
            json!([pool])
        }
    };
    let client = Client::find(common)?;
    let path = format!("/miners/{}/pools", segment(&pools.name));
    let answer: Value = client.post_json(&path, &json!({ "pools": list })).await?;
    if let Some(reason) = answer["reason"].as_str() {
        return Err(Error::message(reason));
    }
    if common.json {
        show::json(&answer);
    } else {
        let status = answer["status"].as_str().unwrap_or("done");
        println!("{}: {}", show::plain(&pools.name), show::plain(status));
    }
    Ok(())
}

fn read(file: &Path) -> Result<Value, Error> {
    let shown = file.display();
    let text = input::read(file)?;
    // Where it is wrong, and not what stands there.
    let value: Value = serde_json::from_str(&text)
        .map_err(|error| Error::message(format!("{shown} is no JSON list of pools: {error}")))?;
    match value {
        Value::Array(_) => Ok(value),
        Value::Object(mut fields) if fields.len() == 1 && fields.contains_key("pools") => {
            Ok(fields.remove("pools").unwrap_or_default())
        }
        _ => Err(Error::message(format!(
            "{shown}: write a list such as [{{\"url\": \"host:3333\", \"wallet\": \"…\"}}]"
        ))),
    }
}
