//! Pools: what an operator writes, checked, and the entries of XMRig's file that they become.

use adit_plugin_api::{Result, Value, json};
use serde::Deserialize;

use crate::{
    config::text::{self, refuse},
    names,
};

/// More pools than anybody fails over to.
const POOLS_MAX: usize = 64;

/// How an address is written. Zones of IPv6 addresses differ from machine to machine.
pub(crate) const ADDRESS: &str = "write host:port, such as pool.example:3333 or [2001:db8::1]:3333";

/// One pool, as an operator writes it.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Pool {
    pub(crate) url: String,
    pub(crate) wallet: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) pass: Option<String>,
    pub(crate) rig_id: Option<String>,
    pub(crate) algo: Option<String>,
    pub(crate) coin: Option<String>,
    pub(crate) tls: Option<bool>,
    pub(crate) tls_fingerprint: Option<String>,
    pub(crate) sni: Option<bool>,
    pub(crate) keepalive: Option<Value>,
    pub(crate) nicehash: Option<bool>,
    pub(crate) socks5: Option<String>,
    pub(crate) enabled: Option<bool>,
}

/// What holds for each pool that does not say otherwise.
#[derive(Clone, Default)]
pub(crate) struct PoolDefaults {
    /// Name of the rig at the pool.
    pub(crate) rig_id: Option<String>,
    /// The host's name for the rig, used where nothing else names it.
    pub(crate) worker: Option<String>,
    pub(crate) algo: Option<String>,
    pub(crate) coin: Option<String>,
    /// `true`, `false` or seconds.
    pub(crate) keepalive: Option<Value>,
    /// SOCKS5 proxy, `host:port`.
    pub(crate) socks5: Option<String>,
}

impl PoolDefaults {
    /// The rig's name at a pool with the login `user`. Where that names a worker already, as in
    /// `WALLET.rig7`, the host adds none: the pool would see two. A point in an e-mail address
    /// begins no worker.
    fn rig_id(&self, user: &str) -> Option<&String> {
        let has_own = user.contains('.') && !user.contains('@');
        self.rig_id.as_ref().or_else(|| self.worker.as_ref().filter(|_| !has_own))
    }

    /// What the pools of a file of XMRig's have in common, so that a pool that replaces them is
    /// reached in the same way: a proxy that was forgotten would tell the pool where the rig is.
    pub(crate) fn shared_by(pools: &[Value]) -> Self {
        let shared = |key: &str| {
            let first = pools.first()?.get(key)?;
            pools.iter().all(|pool| pool.get(key) == Some(first)).then_some(first)
        };
        let text = |key| shared(key).and_then(Value::as_str).map(str::to_owned);
        Self {
            rig_id: None,
            worker: text("rig-id"),
            algo: text("algo"),
            coin: text("coin"),
            keepalive: shared("keepalive").filter(|value| !value.is_null()).cloned(),
            socks5: text("socks5"),
        }
    }
}

/// XMRig's entries for `pools`, in their order.
///
/// # Errors
/// When a pool cannot be used, or none is enabled: XMRig drops such pools silently, and without any
/// it looks for another configuration.
pub(crate) fn entries(pools: &[Pool], defaults: &PoolDefaults) -> Result<Vec<Value>> {
    if pools.is_empty() || pools.len() > POOLS_MAX {
        return refuse("pools", format!("write 1 to {POOLS_MAX} pools"));
    }
    if pools.iter().all(|pool| pool.enabled == Some(false)) {
        return refuse("pools", "at least one pool must be enabled");
    }
    let entry = |(index, pool): (usize, &Pool)| pool.entry(&format!("pools[{index}]."), defaults);
    pools.iter().enumerate().map(entry).collect()
}

impl Pool {
    /// XMRig's entry for this pool. Messages begin with `at`, the path of the pool.
    pub(crate) fn entry(&self, at: &str, defaults: &PoolDefaults) -> Result<Value> {
        let field = |name: &str| format!("{at}{name}");
        let (url, is_ssl) =
            check_url(&field(if at.is_empty() { "pool" } else { "url" }), &self.url)?;
        let tls = self.tls.unwrap_or(is_ssl);
        if is_ssl && !tls {
            return refuse(
                &field("tls"),
                "the scheme of the address means TLS: leave one of the two out",
            );
        }
        let keepalive = self.keepalive.as_ref().or(defaults.keepalive.as_ref());
        let (algo, coin) = self.algo_and_coin(&field, defaults)?;
        let user = self.user(&field)?;
        let rig_id = self.rig_id.as_ref().or_else(|| defaults.rig_id(user));
        let mut entry = json!({
            "url": url,
            "user": user,
            "pass": self.pass.as_deref().unwrap_or("x"),
            "rig-id": text::optional(&field("rigId"), rig_id, 64)?,
            "algo": algo,
            "coin": coin,
            "nicehash": self.nicehash.unwrap_or_default(),
            "keepalive": check_keepalive(&field("keepalive"), keepalive)?,
            "enabled": self.enabled.unwrap_or(true),
            "tls": tls,
            "sni": self.sni.unwrap_or_default(),
            "tls-fingerprint": self.fingerprint(&field, tls)?,
            "socks5": check_proxy(
                &field("socks5"), self.socks5.as_ref().or(defaults.socks5.as_ref()),
            )?,
        });
        if let Some(pass) = &self.pass {
            text::check(&field(if at.is_empty() { "password" } else { "pass" }), pass, 512)?;
        }
        if self.sni == Some(true) && !tls {
            return refuse(&field("sni"), "does nothing without TLS: set tls to true");
        }
        if let Value::Object(entry) = &mut entry {
            entry.retain(|_, value| !value.is_null());
        }
        Ok(entry)
    }

    fn user(&self, field: &dyn Fn(&str) -> String) -> Result<&str> {
        let (name, user) = match (&self.wallet, &self.user) {
            (Some(_), Some(_)) => {
                return refuse(&field("user"), "is another name for wallet: write one of them");
            }
            (None, Some(user)) => ("user", user),
            (Some(user), None) => ("wallet", user),
            (None, None) => {
                return refuse(
                    &field("wallet"),
                    "write the wallet or user name that the pool asks for",
                );
            }
        };
        text::check(&field(name), user, 512)?;
        if user.contains(char::is_whitespace) {
            return refuse(&field(name), "has a space in it: copy it again");
        }
        Ok(user)
    }

    /// Coin and algorithm: the pool's own, or else the miner's.
    fn algo_and_coin(
        &self,
        field: &dyn Fn(&str) -> String,
        defaults: &PoolDefaults,
    ) -> Result<(Option<String>, Option<String>)> {
        let has_own = self.algo.is_some() || self.coin.is_some();
        let (algo, coin) = match has_own {
            true => (&self.algo, &self.coin),
            false => (&defaults.algo, &defaults.coin),
        };
        if algo.is_some() && coin.is_some() {
            return refuse(&field("coin"), "a coin says its algorithm: leave algo or coin out");
        }
        let algo = algo.as_ref().map(|name| names::algorithm(&field("algo"), name)).transpose()?;
        let coin = coin.as_ref().map(|name| names::coin(&field("coin"), name)).transpose()?;
        Ok((algo, coin))
    }

    fn fingerprint(&self, field: &dyn Fn(&str) -> String, tls: bool) -> Result<Option<String>> {
        let Some(fingerprint) = &self.tls_fingerprint else { return Ok(None) };
        let digits = fingerprint.replace(':', "").to_ascii_lowercase();
        if digits.len() != 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return refuse(
                &field("tlsFingerprint"),
                "write the SHA-256 of the pool's certificate: 64 hex digits",
            );
        }
        if !tls {
            return refuse(&field("tlsFingerprint"), "does nothing without TLS: set tls to true");
        }
        Ok(Some(digits))
    }

    /// What may be shown nowhere.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &String> {
        [&self.wallet, &self.user, &self.pass].into_iter().flatten()
    }
}

/// The URL as XMRig takes it, and whether it means TLS.
fn check_url<'a>(field: &str, url: &'a str) -> Result<(&'a str, bool)> {
    let url = url.strip_suffix('/').unwrap_or(url);
    let (shown, is_ssl, address) = match url.split_once("://") {
        None => (url, false, url),
        Some((scheme, rest)) => match scheme.to_ascii_lowercase().as_str() {
            "stratum+tcp" => (url, false, rest),
            "stratum+ssl" => (url, true, rest),
            // XMRig would drop a pool with one of these.
            "tcp" | "stratum" => (rest, false, rest),
            "ssl" | "tls" | "stratum+tls" => (rest, true, rest),
            "daemon+http" | "daemon+https" => {
                return refuse(field, "solo mining at a daemon is not offered: write a pool");
            }
            _ => {
                return refuse(
                    field,
                    "XMRig would drop this pool: write host:port, stratum+tcp://host:port or \
                     stratum+ssl://host:port",
                );
            }
        },
    };
    if !text::is_host_and_port(address) {
        return refuse(field, ADDRESS);
    }
    Ok((shown, is_ssl))
}

fn check_keepalive(field: &str, keepalive: Option<&Value>) -> Result<Value> {
    match keepalive {
        None => Ok(Value::Bool(false)),
        Some(Value::Bool(on)) => Ok(Value::Bool(*on)),
        Some(value) if value.as_u64().is_some_and(|seconds| (1..=3600).contains(&seconds)) => {
            Ok(value.clone())
        }
        Some(_) => refuse(field, "write true, false or a number of seconds from 1 to 3600"),
    }
}

/// An empty text means: no proxy.
fn check_proxy<'a>(field: &str, proxy: Option<&'a String>) -> Result<Option<&'a str>> {
    let Some(proxy) = proxy.filter(|proxy| !proxy.is_empty()) else { return Ok(None) };
    let address = proxy.strip_prefix("socks5://").unwrap_or(proxy);
    if !text::is_host_and_port(address) {
        // XMRig would connect without any proxy.
        return refuse(field, "write the host:port of a SOCKS5 proxy");
    }
    Ok(Some(proxy))
}

#[cfg(test)]
mod tests;
