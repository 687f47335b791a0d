//! `adit wallet`: where the income goes, by name.

use clap::Subcommand;
use serde_json::{Value, json};

use crate::{
    cli::{
        Common, Error,
        client::{Client, segment},
        show,
    },
    miners::WalletView,
};

#[derive(Subcommand)]
pub(super) enum Wallet {
    /// List the wallets
    List,
    /// Show a wallet
    Show {
        /// Its name
        name: String,
    },
    /// Save a new wallet
    Create {
        /// Its name, such as xmr
        name: String,
        /// Its address
        address: String,
        /// Its coin, such as XMR; pools of another coin then refuse it
        #[arg(long)]
        coin: Option<String>,
    },
    /// Change a wallet; miners notice at their next start
    Edit {
        /// Its name
        name: String,
        /// The new address
        #[arg(long)]
        address: Option<String>,
        /// The new coin; empty: none
        #[arg(long)]
        coin: Option<String>,
    },
    /// Forget a wallet to which nothing refers
    Delete {
        /// Its name
        name: String,
    },
}

pub(super) async fn run(common: &Common, command: Wallet) -> Result<(), Error> {
    let client = Client::find(common)?;
    match command {
        Wallet::List => list(common, &client).await,
        Wallet::Show { name } => show_one(common, &client, &name).await,
        Wallet::Create { name, address, coin } => {
            let body = json!({ "name": name, "address": address, "coin": coin });
            let view: WalletView = client.post_json("/wallets", &body).await?;
            done(common, &view, &format!("{}: saved", view.wallet.name));
            Ok(())
        }
        Wallet::Edit { name, address, coin } => {
            let path = format!("/wallets/{}", segment(&name));
            let mut body: Value = client.get(&path).await?;
            if let Some(address) = address {
                body["address"] = address.into();
            }
            if let Some(coin) = coin {
                body["coin"] = Some(coin).filter(|coin| !coin.is_empty()).into();
            }
            let view: WalletView = client.put_json(&path, &body).await?;
            done(common, &view, &format!("{}: changed", view.wallet.name));
            Ok(())
        }
        Wallet::Delete { name } => {
            let answer: Value = client.delete(&format!("/wallets/{}", segment(&name))).await?;
            done(common, &answer, &format!("{}: deleted", show::plain(&name)));
            Ok(())
        }
    }
}

async fn list(common: &Common, client: &Client) -> Result<(), Error> {
    let wallets: Vec<WalletView> = client.get("/wallets").await?;
    if common.json {
        show::json(&wallets);
        return Ok(());
    }
    let rows: Vec<_> = wallets
        .into_iter()
        .map(|it| {
            let coin = it.wallet.coin.unwrap_or_else(|| "-".to_owned());
            [it.wallet.name.to_string(), coin, it.wallet.address]
        })
        .collect();
    show::table(["NAME", "COIN", "ADDRESS"], &rows);
    Ok(())
}

async fn show_one(common: &Common, client: &Client, name: &str) -> Result<(), Error> {
    let view: WalletView = client.get(&format!("/wallets/{}", segment(name))).await?;
    if common.json {
        show::json(&view);
        return Ok(());
    }
    show::facts(&[
        ("name", Some(view.wallet.name.to_string())),
        ("coin", view.wallet.coin),
        ("address", Some(view.wallet.address)),
        ("made", Some(show::time(Some(view.created_at_ms)))),
        ("changed", Some(show::time(Some(view.updated_at_ms)))),
    ]);
    Ok(())
}

/// Prints what was done, as JSON or as `sentence`.
pub(super) fn done(common: &Common, answer: &impl serde::Serialize, sentence: &str) {
    if common.json {
        show::json(answer);
    } else {
        println!("{}", show::plain(sentence));
    }
}
