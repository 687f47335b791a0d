//! `adit webhook`: who is told of events, and how that goes.

use clap::Subcommand;
use serde_json::Value;

use crate::{
    cli::{
        Common, Error,
        client::{Client, segment},
        show,
    },
    miners::WebhookStatus,
};

#[derive(Subcommand)]
pub(super) enum Webhook {
    /// List those who are told of events, and how that goes
    List,
    /// Send one of them an event of type webhook.test, once
    Test {
        /// Its name in the settings
        name: String,
    },
}

pub(super) async fn run(common: &Common, command: Webhook) -> Result<(), Error> {
    let client = Client::find(common)?;
    match command {
        Webhook::List => {
            let all: Vec<WebhookStatus> = client.get("/webhooks").await?;
            if common.json {
                show::json(&all);
                return Ok(());
            }
            let rows: Vec<_> = all.iter().map(row).collect();
            show::table(["NAME", "URL", "TYPES", "SENT", "WAIT", "LOST", "LAST ERROR"], &rows);
        }
        Webhook::Test { name } => {
            let path = format!("/webhooks/{}/test", segment(&name));
            let answer: Value = client.post(&path).await?;
            if common.json {
                show::json(&answer);
            } else {
                println!("{} took it in {} ms", show::plain(&name), answer["durationMs"]);
            }
        }
    }
    Ok(())
}

fn row(it: &WebhookStatus) -> [String; 7] {
    // What went well since is no news.
    let is_news = it.last_error_ms > it.last_success_ms;
    let error = it.last_error.clone().filter(|_| is_news);
    [
        it.name.clone(),
        it.url.clone(),
        it.types.join(" "),
        it.delivered.to_string(),
        it.queued.to_string(),
        (it.refused + it.dropped).to_string(),
        error.unwrap_or_else(|| "-".to_owned()),
    ]
}
