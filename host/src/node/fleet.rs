//! What a controller does with its fleet.

use std::sync::{Arc, PoisonError};

use adit_plugin_api::{Error as DriverError, PeerId};
use data_encoding::BASE64;
use serde_json::Value;
use uuid::Uuid;

use crate::{
    miners::Peers,
    node::{
        Error, Node,
        act::DRIVER_BYTES,
        command::{self, Outcome, Targets, Waves},
        message::Body,
        pairing::find,
        past,
        payload::{DriverMessage, GetHistory, GetLogs, GetStats, Logs},
        report::{Moment, Totals},
        view::{FleetStats, RemoteStats},
    },
};
use adit_model::{
    history::{Kind, Metric, thin::Range},
    name::{DriverId, MinerName},
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

    /// A chart of a miner of a node: from the node itself, or from what this node recorded of it.
    ///
    /// # Errors
    /// As for [`command`](Self::command); [`Error::NoRecord`] when nothing was recorded;
    /// [`Error::Store`] when the history cannot be read.
    pub async fn remote_chart(
        &self,
        id: &str,
        miner_name: MinerName,
        what: Past,
        source: Option<Teller>,
    ) -> Result<Value, Error> {
        let net = self.net()?;
        let key = find(&net, id)?.key;
        let Past { range: Range { since_ms, until_ms }, points, metric } = what;
        if source != Some(Teller::Controller) {
            let ask = GetHistory {
                miner_name: miner_name.clone(),
                since_ms: Some(since_ms),
                until_ms: Some(until_ms),
                points: Some(points.min(past::MOST_POINTS)),
                metric: Some(metric.as_str().to_owned()),
            };
            match net.command(&key, Body::GetHistory(ask), None).await {
                // Nobody there: this node may know.
                Err(Error::Offline { .. } | Error::NoAnswer { .. }) if source.is_none() => {}
                answer => return answer.map(command::result),
            }
        }
        let history = net.miners.history();
        let name = format!("{}/{miner_name}", key.id());
        if !history.has(Kind::Remote, &name) {
            return Err(Error::NoRecord { id: key.id(), miner: miner_name });
        }
        let drawn = history.chart((Kind::Remote, &name), metric, what.range, points).await;
        let drawn = drawn.map_err(|error| Error::History(error.to_string()))?;
        Ok(serde_json::to_value(drawn).unwrap_or_default())
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

/// What to draw of a past.
#[derive(Clone, Copy, Debug)]
pub struct Past {
    /// Which time.
    pub range: Range,
    /// Points at most.
    pub points: u32,
    /// What of.
    pub metric: Metric,
}

/// Who tells about a past.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Teller {
    /// The node whose past it is.
    Worker,
    /// This one, by what it recorded.
    Controller,
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
