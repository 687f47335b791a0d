//! What a controller does with its fleet.

use std::sync::{Arc, PoisonError};

use adit_plugin_api::{Error as DriverError, PeerId};
use data_encoding::BASE64;
use serde_json::Value;
use uuid::Uuid;

use crate::{
    miners::Peers,
    model::name::{DriverId, MinerName},
    node::{
        Error, Node,
        act::DRIVER_BYTES,
        command::{self, Outcome, Targets, Waves},
        message::Body,
        pairing::find,
        payload::{DriverMessage, GetLogs, GetStats, Logs},
        report::{Moment, Totals},
        view::{FleetStats, RemoteStats},
    },
};

impl Node {
    /// The figures of all workers, as they were last pushed: nobody is asked. With `each` also
    /// those of every node.
    ///
    /// # Errors
    /// [`Error::NotInitialised`].
    pub fn fleet(&self, each: bool) -> Result<FleetStats, Error> {
        let net = self.net()?;
        // Parsed outside the lock: there may be thousands.
        let all: Vec<_> = {
            let book = net.book();
            book.all()
                .filter(|known| known.row.role.obeys())
                .map(|known| {
                    let name = known.row.name.clone();
                    (known.id.clone(), name, known.session.is_some(), Arc::clone(&known.reported))
                })
                .collect()
        };
        let mut fleet = FleetStats {
            nodes: all.len(),
            connected: 0,
            totals: Totals::default(),
            peers: std::collections::BTreeMap::new(),
        };
        for (id, name, connected, reported) in all {
            let (miners, at_ms) = {
                let reported = reported.lock().unwrap_or_else(PoisonError::into_inner);
                (reported.moment(), reported.at_ms)
            };
            if connected {
                fleet.connected += 1;
                fleet.totals.add(&miners);
            }
            if each {
                fleet.peers.insert(id, stats(name, connected, at_ms, miners));
            }
        }
        Ok(fleet)
    }

    /// The figures of one node: asked now when it is connected, else the last ones.
    ///
    /// # Errors
    /// [`Error::NoPeer`]; [`Error::Offline`] when nothing is known of it; what it refused.
    pub async fn remote_stats(&self, id: &str) -> Result<RemoteStats, Error> {
        let net = self.net()?;
        let key = find(&net, id)?.key;
        let answer = match net.command(&key, Body::GetStats(GetStats {}), None).await {
            Ok(answer) => Some(answer),
            Err(Error::Offline { .. } | Error::NoAnswer { .. }) => None,
            Err(Error::Peer { code, .. }) if code == "TOO_LARGE" => None,
            Err(error) => return Err(error),
        };
        let (name, connected, reported) = {
            let book = net.book();
            let known = book.get(&key).ok_or_else(|| Error::NoPeer(id.to_owned()))?;
            (known.row.name.clone(), known.session.is_some(), Arc::clone(&known.reported))
        };
        if let Some(Body::Stats(report)) = answer {
            // What is pushed builds on what was pushed, so this one is not mixed in.
            let miners = report.miners;
            let now_ms = jiff::Timestamp::now().as_millisecond();
            return Ok(stats(name, connected, Some(now_ms), miners));
        }
        let reported = reported.lock().unwrap_or_else(PoisonError::into_inner);
        if reported.at_ms.is_none() {
            return Err(Error::Offline { id: key.id(), reason: None });
        }
        Ok(stats(name, connected, reported.at_ms, reported.moment()))
    }

    /// Has a node carry out a command. A command that is repeated with the same `request` has one
    /// effect.
    ///
    /// # Errors
    /// [`Error::NoPeer`], [`Error::Role`], [`Error::Offline`], [`Error::NoAnswer`], and
    /// [`Error::Peer`] with what the node says.
    pub async fn command(
        &self,
        id: &str,
        body: Body,
        request: Option<Uuid>,
    ) -> Result<Value, Error> {
        let net = self.net()?;
        let key = find(&net, id)?.key;
        Ok(command::result(net.command(&key, body, request).await?))
    }

    /// Has many nodes carry out a command, each with its outcome.
    ///
    /// # Errors
    /// [`Error::NoPeer`] and [`Error::Invalid`] for targets that are none, [`Error::Role`].
    pub async fn command_many(
        &self,
        targets: &Targets,
        body: Body,
        waves: Waves,
    ) -> Result<Vec<Outcome>, Error> {
        let net = self.net()?;
        if !net.identity.role.commands() {
            let told = "this node is a worker, and workers command nobody";
            return Err(Error::Role(told.to_owned()));
        }
        let chosen = net.chosen(targets)?;
        Ok(net.command_many(chosen, &body, waves).await)
    }

    /// What a miner of a node printed.
    ///
    /// # Errors
    /// As for [`command`](Self::command).
    pub async fn remote_logs(
        &self,
        id: &str,
        miner_name: MinerName,
        lines: Option<usize>,
        after: Option<String>,
    ) -> Result<Logs, Error> {
        let net = self.net()?;
        let key = find(&net, id)?.key;
        let body = Body::GetLogs(GetLogs { miner_name, lines, after });
        match net.command(&key, body, None).await? {
            Body::Logs(logs) => Ok(logs),
            _ => Ok(Logs::default()),
        }
    }

    /// Carries messages of drivers, from the async runtime of the caller on.
    pub fn courier(&self) -> Arc<dyn Peers> {
        Arc::new(Courier { node: self.clone(), runtime: tokio::runtime::Handle::current() })
    }
}

fn stats(name: String, connected: bool, at_ms: Option<i64>, miners: Moment) -> RemoteStats {
    let mut totals = Totals::default();
    totals.add(&miners);
    let timestamp = at_ms.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    RemoteStats { name, connected, timestamp, totals, miners }
}

/// Takes messages of drivers to peers.
struct Courier {
    node: Node,
    runtime: tokio::runtime::Handle,
}

impl Peers for Courier {
    fn send(
        &self,
        driver: &DriverId,
        to: &PeerId,
        payload: &[u8],
    ) -> adit_plugin_api::Result<Vec<u8>> {
        if payload.len() > DRIVER_BYTES {
            return Err(DriverError::invalid(format!("send at most {DRIVER_BYTES} bytes")));
        }
        let message = DriverMessage { driver: driver.clone(), data: BASE64.encode(payload) };
        let asked = self.runtime.block_on(async {
            let net = self.node.net()?;
            let key = find(&net, &to.0)?.key;
            net.command(&key, Body::Driver(message), None).await
        });
        match asked {
            Ok(Body::DriverAnswer(answer)) => BASE64
                .decode(answer.data.as_bytes())
                .map_err(|_| DriverError::failed("the peer's answer cannot be read")),
            Ok(_) => Err(DriverError::failed("the peer answered something else")),
            Err(error @ (Error::Invalid(_) | Error::NoPeer(_) | Error::Role(_))) => {
                Err(DriverError::invalid(error.to_string()))
            }
            Err(error @ Error::Peer { .. }) => Err(DriverError::failed(error.to_string())),
            Err(error) => Err(DriverError::unavailable(error.to_string())),
        }
    }
}
