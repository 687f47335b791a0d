//! Back to the first pool, for a miner that the watchdog sent to another one.

use std::time::Duration;

use adit_plugin_api::Value;
use tokio::{net::TcpStream, time::timeout};

use crate::miners::{Member, Miners, launch, live::Live, watchdog::now_ms};
use adit_model::{
    name::MinerName,
    resolve::PoolField,
    watchdog::{Cause, Finding, failback::CONNECTS, ladder::Remedy, limits::Limits},
};

/// Longest wait for a connection to a pool.
const PATIENCE: Duration = Duration::from_secs(10);

impl Miners {
    /// Looks whether the first pool of the operator's order can be reached, and goes back to it when
    /// it was there for long enough.
    pub(super) async fn try_first_pool(&self, name: MinerName, limits: Limits) {
        let Ok(member) = self.member(name.as_str()) else { return };
        let Some(address) = self.first_pool(&member).await else {
            // There is nothing to return to: the list has another length, or is gone.
            self.with_ward(&name, |ward| ward.turn_pools(0));
            return;
        };
        // A connection is enough: what is behind it shows when the miner is there.
        let is_reached = matches!(timeout(PATIENCE, TcpStream::connect(&address)).await, Ok(Ok(_)));
        tracing::debug!(miner = %name, address, is_reached, "tried the first pool");
        let mut is_back = false;
        let now = self.0.parts.watchdog.began.elapsed();
        self.with_ward(&name, |ward| is_back = ward.tried(is_reached, now, now_ms(), &limits));
        let live = member.status.borrow().live.clone();
        if is_back && let Some((live, false)) = live {
            let over = limits.back.unwrap_or_default();
            self.return_to_first_pool(&name, &member, &live, &address, over).await;
        }
    }

    /// `host:port` of the pool that the operator put first; `None` when there is no other one.
    async fn first_pool(&self, member: &Member) -> Option<String> {
        let parts = &self.0.parts;
        let mut pools = launch::pools(parts, &member.row).await;
        if pools.len() < 2 {
            return None;
        }
        let turn = parts.watchdog.pool_turn(&member.row.name) % pools.len();
        pools.rotate_right(turn);
        let driver = parts.driver(&member.row.driver).ok()?;
        let fields = &driver.pool_slots().fields;
        let named = [PoolField::Url, PoolField::Uri].iter().filter_map(|field| fields.get(field));
        let named = named.map(String::as_str).chain(["url"]);
        let url = match &pools[0] {
            Value::String(url) => Some(url.as_str()),
            pool => named.into_iter().find_map(|field| pool[field].as_str()),
        };
        url.map(address)
    }

    /// By a live change where the driver can, else at the next start: a restart costs shares, and the
    /// miner earns where it is.
    async fn return_to_first_pool(
        &self,
        name: &MinerName,
        member: &Member,
        live: &Live,
        address: &str,
        over: Duration,
    ) {
        let before = self.0.parts.watchdog.pool_turn(name);
        self.with_ward(name, |ward| ward.turn_pools(0));
        let reached = format!("{address} was reached {CONNECTS} times in {} s", over.as_secs());
        if !self.changes_pools(member) {
            tracing::info!(miner = %name, reached, "its first pool comes first at its next start");
            self.save_pool_turns().await;
            return;
        }
        if !self.change_pool(name).await {
            // As it was, and tried again later.
            self.with_ward(name, |ward| ward.turn_pools(u32::try_from(before).unwrap_or(0)));
            return;
        }
        let finding = Finding { cause: Cause::NoPool, device: None, signals: vec![reached] };
        let remedy = Remedy::FirstPool;
        let summary = format!("{}: {}", super::act::words(remedy), finding.signals[0]);
        let id = self.note(name, live, &finding, Some(remedy), &summary).await;
        tracing::warn!(miner = %name, summary, "the watchdog acts");
        self.tell("watchdog.action", name, live, &finding, Some(remedy), &summary, id);
        self.with_ward(name, |ward| ward.acted(Cause::NoPool, remedy, now_ms()));
        self.0.parts.watchdog.count(name, remedy, Cause::NoPool);
        self.save_pool_turns().await;
    }
}

/// `host:port` of a pool's URL.
fn address(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split_once('/').map_or(rest, |(address, _)| address).to_owned()
}
