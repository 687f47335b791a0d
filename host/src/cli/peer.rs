//! `adit peer`: the nodes that this one knows.

use clap::Subcommand;
use serde_json::{Value, json};

use crate::{
    cli::{
        Common, Error,
        client::{Client, segment},
        show,
    },
    node::view::{PeerChange, PeerView},
};
use adit_model::rights::Right;

#[derive(Subcommand)]
pub(super) enum Peer {
    /// List the nodes that this one knows
    List,
    /// Show one of them
    Show {
        /// Its id, or its name
        peer: String,
    },
    /// Change what a peer may do here, its tags or its address
    Set {
        /// Its id, or its name
        peer: String,
        /// What it may do: stats, logs, control, config, payout, deploy, with commas; or none
        #[arg(long, value_name = "RIGHTS")]
        rights: Option<String>,
        /// Its tags, with commas; empty: none
        #[arg(long, value_name = "TAGS")]
        tags: Option<String>,
        /// host:port to dial it; empty: it dials
        #[arg(long, value_name = "ADDRESS")]
        address: Option<String>,
    },
    /// Forget a peer; it is cut off at once
    Remove {
        /// Its id, or its name
        peer: String,
    },
    /// Measure the time to a peer and back
    Ping {
        /// Its id, or its name
        peer: String,
    },
    /// Connect to a peer, now and from now on
    Connect {
        /// Its id, or its name
        peer: String,
    },
    /// End the connection with a peer
    Disconnect {
        /// Its id, or its name
        peer: String,
    },
}

pub(super) async fn run(common: &Common, command: Peer) -> Result<(), Error> {
    let client = Client::find(common)?;
    let of = |peer: &str| format!("/peers/{}", segment(peer));
    match command {
        Peer::List => {
            let peers: Vec<PeerView> = client.get("/peers").await?;
            if common.json {
                show::json(&peers);
            } else {
                list(&peers);
            }
        }
        Peer::Show { peer } => one(common, &client.get(&of(&peer)).await?),
        Peer::Set { peer, rights, tags, address } => {
            let rights = rights.as_deref().map(parse_rights).transpose()?;
            let rights = rights.map(|rights| rights.into_iter().collect());
            let change = PeerChange { rights, tags: tags.as_deref().map(words), address };
            one(common, &client.put_json(&of(&peer), &change).await?);
        }
        Peer::Remove { peer } => told(common, &client.delete::<Value>(&of(&peer)).await?),
        Peer::Ping { peer } => {
            let answer: Value = client.post(&format!("{}/ping", of(&peer))).await?;
            if common.json {
                show::json(&answer);
            } else {
                println!("{:.1} ms", answer["rtt_ms"].as_f64().unwrap_or_default());
            }
        }
        Peer::Connect { peer } => {
            told(common, &client.post::<Value>(&format!("{}/connect", of(&peer))).await?);
        }
        Peer::Disconnect { peer } => {
            told(common, &client.post::<Value>(&format!("{}/disconnect", of(&peer))).await?);
        }
    }
    Ok(())
}

fn told(common: &Common, answer: &Value) {
    if common.json {
        show::json(answer);
    } else {
        println!("{}", show::plain(answer["status"].as_str().unwrap_or("done")));
    }
}

/// The parts of a list with commas.
pub(super) fn words(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|it| !it.is_empty()).map(str::to_owned).collect()
}

fn parse_rights(text: &str) -> Result<Vec<Right>, Error> {
    let named = words(text).into_iter().filter(|word| word != "none");
    named.map(|word| word.parse().map_err(|error| Error::message(format!("{error}")))).collect()
}

fn list(peers: &[PeerView]) {
    let rows: Vec<[String; 7]> = peers
        .iter()
        .map(|peer| {
            let ping = peer.ping_ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.0} ms"));
            let seen = peer.last_seen.map(|at| show::since(at.as_millisecond()));
            let state = match (peer.connected, peer.cloned) {
                (true, _) => "connected",
                (false, true) => "cloned key",
                (false, false) => "not connected",
            };
            [
                peer.name.clone(),
                peer.role.to_string(),
                state.to_owned(),
                ping,
                seen.unwrap_or_else(|| "-".to_owned()),
                peer.rights.to_string(),
                peer.id.to_string(),
            ]
        })
        .collect();
    show::table(["NAME", "ROLE", "STATE", "PING", "SEEN", "MAY DO HERE", "ID"], &rows);
}

fn one(common: &Common, peer: &PeerView) {
    if common.json {
        show::json(peer);
        return;
    }
    println!("id           {}", peer.id);
    println!("name         {}", show::plain(&peer.name));
    println!("role         {}", peer.role);
    println!("connected    {}", if peer.connected { "yes" } else { "no" });
    println!("may do here  {}", peer.rights);
    println!("tags         {}", show::plain(&peer.tags.join(", ")));
    if !peer.address.is_empty() {
        println!("address      {}", show::plain(&peer.address));
    }
    if let Some(problem) = &peer.problem {
        println!("problem      {}", show::plain(problem));
    }
}

/// Nodes that a command is for, as JSON.
pub(super) fn targets(peers: &[String], tags: Option<&str>, all: bool) -> Value {
    json!({ "peers": peers, "tags": tags.map(words).unwrap_or_default(), "all": all })
}
