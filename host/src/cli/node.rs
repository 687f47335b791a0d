//! `adit node`: who this machine is among others, and how others join it.

use std::io::IsTerminal;

use clap::Subcommand;
use serde_json::json;

use crate::{
    cli::{Common, Error, client::Client, show},
    node::view::{IdentityView, InviteView, NodeInfo, PeerView},
};
use adit_model::peer::NodeRole;

#[derive(Subcommand)]
pub(super) enum Node {
    /// Show this node's id, role and network
    Info,
    /// Make this node's key, once
    Init {
        /// What people call the node
        name: String,
        /// controller, worker or dual
        #[arg(long, default_value = "dual")]
        role: NodeRole,
    },
    /// Make a code with which another node joins this one
    Invite {
        /// host:port under which the other node reaches this one [default: guessed]
        #[arg(long)]
        address: Option<String>,
        /// How many nodes may join with it
        #[arg(long, default_value_t = 1)]
        uses: u32,
        /// How long it is good
        #[arg(long, default_value_t = 15)]
        minutes: u32,
        /// Tag of whoever joins; may be repeated
        #[arg(long = "tag", value_name = "TAG")]
        tags: Vec<String>,
        /// Print no picture of the code
        #[arg(long)]
        no_qr: bool,
    },
    /// Join the node that made the code
    Join {
        /// The code, which begins with adit1_
        code: String,
    },
    /// Announce a new key to all peers; with --finish it takes over
    Rotate {
        /// Let the announced key take over
        #[arg(long)]
        finish: bool,
    },
}

pub(super) async fn run(common: &Common, command: Node) -> Result<(), Error> {
    let client = Client::find(common)?;
    match command {
        Node::Info => info(common, &client.get("/node/info").await?),
        Node::Init { name, role } => {
            let body = json!({ "name": name, "role": role });
            let made: IdentityView = client.post_json("/node/init", &body).await?;
            if common.json {
                show::json(&made);
            } else {
                println!("this node is {}", made.id);
                let next = match made.role {
                    NodeRole::Worker => "join a controller with: adit node join CODE",
                    _ => "invite others with: adit node invite",
                };
                println!("its role is {}; {next}", made.role);
            }
        }
        Node::Invite { address, uses, minutes, tags, no_qr } => {
            let body =
                json!({ "address": address, "uses": uses, "minutes": minutes, "tags": tags });
            let made: InviteView = client.post_json("/node/invite", &body).await?;
            if common.json {
                show::json(&made);
            } else {
                invited(&made, !no_qr && std::io::stdout().is_terminal());
            }
        }
        Node::Join { code } => {
            let body = json!({ "invite": code });
            let peer: PeerView = client.post_json("/node/join", &body).await?;
            if common.json {
                show::json(&peer);
            } else {
                let own: NodeInfo = client.get("/node/info").await?;
                let own = own.identity.map(|own| own.id.to_string()).unwrap_or_default();
                println!("joined {}", show::plain(&peer.name));
                println!("  this node   {own}");
                println!("  other node  {}", peer.id);
                println!("compare both with what the other node shows: adit peer list");
                println!("it may do here: {}; change that with: adit peer set", peer.rights);
            }
        }
        Node::Rotate { finish } => {
            let body = json!({ "finish": finish });
            info(common, &client.post_json("/node/rotate", &body).await?);
        }
    }
    Ok(())
}

fn info(common: &Common, info: &NodeInfo) {
    if common.json {
        show::json(info);
        return;
    }
    let Some(own) = &info.identity else {
        println!("this node has no key yet: adit node init NAME --role worker");
        return;
    };
    println!("id         {}", own.id);
    println!("name       {}", show::plain(&own.name));
    println!("role       {}", own.role);
    println!("listens    {}", info.listen.as_deref().unwrap_or("no"));
    println!("peers      {} of {} connected", info.connected_peers, info.registered_peers);
    if let Some(next) = &info.next_id {
        println!("next id    {next} (adit node rotate --finish lets it take over)");
    }
    if let Some(problem) = &info.problem {
        println!("problem    {}", show::plain(problem));
    }
}

fn invited(made: &InviteView, picture: bool) {
    if let (true, Ok(code)) = (picture, qrcode::QrCode::new(&made.invite)) {
        println!("{}", code.render::<qrcode::render::unicode::Dense1x2>().build());
    }
    println!("{}", made.invite);
    println!();
    println!("On the other node, before {}:", made.expires);
    println!("  adit node join CODE");
    println!(
        "It dials {}. Whoever has the code can join, so hand it over in private.",
        made.address
    );
    println!("This node is {}", made.id);
}
