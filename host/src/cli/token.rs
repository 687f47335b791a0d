//! `adit token`: who may use the API.

use clap::Subcommand;
use serde_json::{Value, json};

use crate::{
    api::TokenView,
    cli::{
        Common, Error,
        client::{self, Client, segment},
        show,
    },
};
use adit_model::access::Role;

#[derive(Subcommand)]
pub(super) enum Token {
    /// Print the admin's token of this machine
    Show,
    /// List the tokens that were made
    List,
    /// Make a token and print it, this once
    Create {
        /// What it is for
        name: String,
        /// view, operate or admin
        #[arg(long, default_value = "view")]
        role: Role,
        /// Days until it expires; never when left out
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3650))]
        days: Option<u32>,
    },
    /// Make a token useless, at once
    Remove {
        /// Its name or id
        name: String,
    },
}

pub(super) async fn run(common: &Common, command: Token) -> Result<(), Error> {
    match command {
        Token::Show => {
            let token = client::home(common).read_token()?;
            if common.json {
                show::json(&json!({ "token": token }));
            } else {
                println!("{token}");
            }
        }
        Token::List => list(common).await?,
        Token::Create { name, role, days } => {
            let expires = days.map(|days| days * 86_400);
            let body = json!({ "name": name, "role": role, "expiresInS": expires });
            let made: Value = Client::find(common)?.post_json("/tokens", &body).await?;
            if common.json {
                show::json(&made);
            } else {
                println!("{}", show::plain(made["token"].as_str().unwrap_or_default()));
            }
        }
        Token::Remove { name } => {
            let path = format!("/tokens/{}", segment(&name));
            let done: Value = Client::find(common)?.delete(&path).await?;
            if common.json {
                show::json(&done);
            } else {
                println!("removed {}", show::plain(&name));
            }
        }
    }
    Ok(())
}

async fn list(common: &Common) -> Result<(), Error> {
    let tokens: Vec<TokenView> = Client::find(common)?.get("/tokens").await?;
    if common.json {
        show::json(&tokens);
        return Ok(());
    }
    let time = |at_ms: i64| {
        jiff::Timestamp::from_millisecond(at_ms)
            .map_or_else(|_| "-".to_owned(), |at| at.to_string())
    };
    let rows: Vec<_> = tokens
        .into_iter()
        .map(|it| {
            let expires = it.expires_at_ms.map_or_else(|| "never".to_owned(), time);
            [it.name, it.role.as_str().to_owned(), expires, it.id]
        })
        .collect();
    show::table(["NAME", "ROLE", "EXPIRES", "ID"], &rows);
    Ok(())
}
