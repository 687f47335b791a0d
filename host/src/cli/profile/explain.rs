//! `adit explain`: what a start would do, and where each value comes from.

use clap::Args;

use crate::{
    cli::{
        Common, Error,
        client::{Client, segment},
        profile::path,
        show,
    },
    miners::Explained,
};
use adit_model::resolve::Origin;

#[derive(Args)]
pub(in crate::cli) struct Explain {
    /// Name or id of a profile
    profile: String,
    /// The miner that would be started; the one that a start would take when left out
    #[arg(long)]
    miner: Option<String>,
}

pub(in crate::cli) async fn explain(common: &Common, which: Explain) -> Result<(), Error> {
    let client = Client::find(common)?;
    let query = which.miner.map(|it| format!("?miner={}", segment(&it))).unwrap_or_default();
    let explained: Explained = client.get(&path(&which.profile, &format!("/plan{query}"))).await?;
    if common.json {
        show::json(&explained);
        return Ok(());
    }
    println!("profile  {}", show::plain(&explained.profile));
    println!("miner    {} ({})", explained.miner, explained.miner_type);
    if let Some(problem) = &explained.problem {
        println!("problem  {}", show::plain(problem));
    }
    println!();
    let rows: Vec<_> = explained
        .values
        .iter()
        .map(|it| {
            let value = it.value.as_str().map_or_else(|| it.value.to_string(), str::to_owned);
            let origins: Vec<_> = it.origins.iter().map(origin).collect();
            [it.field.clone(), short(&value), origins.join(", ")]
        })
        .collect();
    show::table(["FIELD", "VALUE", "FROM"], &rows);
    // Files have many lines, so they come whole below the table.
    for (path, content) in explained.plan.iter().flat_map(|plan| &plan.files) {
        println!("\n{}:", show::plain(path));
        content.lines().for_each(|line| println!("{}", show::plain(line)));
    }
    Ok(())
}

fn origin(origin: &Origin) -> String {
    match origin {
        Origin::Default => "default".to_owned(),
        Origin::Profile => "profile".to_owned(),
        Origin::Wallet(name) => format!("wallet {name}"),
        Origin::Pool(name) => format!("pool {name}"),
        Origin::Placeholder(name) => format!("${{{name}}}"),
        Origin::Host => "host".to_owned(),
        Origin::Driver => "driver".to_owned(),
    }
}

/// One line of a table.
fn short(value: &str) -> String {
    const LONGEST: usize = 60;
    let line = value.lines().next().unwrap_or_default();
    let shown: String = line.chars().take(LONGEST).collect();
    if shown.len() < value.len() { format!("{shown}…") } else { shown }
}
