//! `adit pool`: pools that profiles refer to, by name.

use std::io::BufRead;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::{
    cli::{
        Common, Error,
        client::{Client, segment},
        show,
        wallet::done,
    },
    miners::PoolView,
};

#[derive(Subcommand)]
pub(super) enum Pool {
    /// List the pools
    List,
    /// Show a pool, without its password
    Show {
        /// Its name
        name: String,
    },
    /// Save a new pool
    Create {
        /// Its name
        name: String,
        /// host:port, or one with a scheme such as ssl://, stratum+ssl:// or epic+ssl://
        address: String,
        #[command(flatten)]
        fields: Fields,
    },
    /// Change a pool; miners notice at their next start
    Edit {
        /// Its name
        name: String,
        /// The new host:port
        #[arg(long)]
        address: Option<String>,
        #[command(flatten)]
        fields: Fields,
    },
    /// Forget a pool to which nothing refers
    Delete {
        /// Its name
        name: String,
    },
}

#[derive(Args)]
pub(super) struct Fields {
    /// Coin that it mines, such as XMR; wallets of another coin are then refused
    #[arg(long)]
    coin: Option<String>,
    /// Whether the connection is encrypted
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    tls: Option<bool>,
    /// SHA-256 of the pool's certificate, 64 hex digits; empty: any certificate
    #[arg(long, value_name = "HEX")]
    fingerprint: Option<String>,
    /// User name, such as ${wallet}.${worker}; empty: ${wallet}
    #[arg(long)]
    user: Option<String>,
    /// Wallet that ${wallet} stands for unless a profile says another; empty: none
    #[arg(long)]
    wallet: Option<String>,
    /// Read the password from the first line of stdin; an empty line: none
    #[arg(long)]
    password_stdin: bool,
}

impl Fields {
    /// Writes what was given into `body`; an empty text takes a field away.
    fn write(self, body: &mut Value) -> Result<(), Error> {
        for (field, given) in [
            ("coin", self.coin),
            ("tlsFingerprint", self.fingerprint),
            ("user", self.user),
            ("wallet", self.wallet),
        ] {
            if let Some(text) = given {
                body[field] = Some(text).filter(|text| !text.is_empty()).into();
            }
        }
        if let Some(tls) = self.tls {
            body["tls"] = tls.into();
        }
        if self.password_stdin {
            let mut line = String::new();
            let read = std::io::stdin().lock().read_line(&mut line);
            read.map_err(|error| Error::message(format!("cannot read the password: {error}")))?;
            let password = line.trim_end_matches(['\r', '\n']);
            body["password"] = Some(password).filter(|text| !text.is_empty()).into();
        }
        Ok(())
    }
}

pub(super) async fn run(common: &Common, command: Pool) -> Result<(), Error> {
    let client = Client::find(common)?;
    match command {
        Pool::List => list(common, &client).await,
        Pool::Show { name } => show_one(common, &client, &name).await,
        Pool::Create { name, address, fields } => {
            let mut body = json!({ "name": name, "url": address });
            fields.write(&mut body)?;
            let view: PoolView = client.post_json("/pools", &body).await?;
            done(common, &view, &format!("{}: saved", view.pool.name));
            Ok(())
        }
        Pool::Edit { name, address, fields } => {
            let path = format!("/pools/{}", segment(&name));
            let mut body: Value = client.get(&path).await?;
            if let Some(address) = address {
                body["url"] = address.into();
            }
            fields.write(&mut body)?;
            let view: PoolView = client.put_json(&path, &body).await?;
            done(common, &view, &format!("{}: changed", view.pool.name));
            Ok(())
        }
        Pool::Delete { name } => {
            let answer: Value = client.delete(&format!("/pools/{}", segment(&name))).await?;
            done(common, &answer, &format!("{}: deleted", show::plain(&name)));
            Ok(())
        }
    }
}

async fn list(common: &Common, client: &Client) -> Result<(), Error> {
    let pools: Vec<PoolView> = client.get("/pools").await?;
    if common.json {
        show::json(&pools);
        return Ok(());
    }
    let dash = || "-".to_owned();
    let yes = |is: bool| if is { "yes" } else { "-" }.to_owned();
    let rows: Vec<_> = pools
        .into_iter()
        .map(|PoolView { pool, password_set, .. }| {
            [
                pool.name.to_string(),
                pool.coin.clone().unwrap_or_else(dash),
                pool.url.clone(),
                yes(pool.tls),
                pool.user_template().to_owned(),
                pool.wallet.as_ref().map_or_else(dash, ToString::to_string),
                yes(password_set),
            ]
        })
        .collect();
    show::table(["NAME", "COIN", "URL", "TLS", "USER", "WALLET", "PASSWORD"], &rows);
    Ok(())
}

async fn show_one(common: &Common, client: &Client, name: &str) -> Result<(), Error> {
    let view: PoolView = client.get(&format!("/pools/{}", segment(name))).await?;
    if common.json {
        show::json(&view);
        return Ok(());
    }
    let PoolView { pool, password_set, created_at_ms, updated_at_ms } = view;
    let user = pool.user_template().to_owned();
    let yes = |is: bool| Some(if is { "yes" } else { "no" }.to_owned());
    show::facts(&[
        ("name", Some(pool.name.to_string())),
        ("coin", pool.coin),
        ("url", Some(pool.url)),
        ("TLS", yes(pool.tls)),
        ("protocol", pool.protocol),
        ("certificate", pool.tls_fingerprint),
        ("user", Some(user)),
        ("wallet", pool.wallet.map(|it| it.to_string())),
        ("password", yes(password_set)),
        ("made", Some(show::time(Some(created_at_ms)))),
        ("changed", Some(show::time(Some(updated_at_ms)))),
    ]);
    Ok(())
}
