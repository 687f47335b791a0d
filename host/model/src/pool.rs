//! Wallets and pools: named once, referred to by profiles.

use serde::{Deserialize, Serialize};

use crate::{
    name::{PoolName, WalletName},
    template::{self, Part, Place, Placeholder},
};

/// Longest address, user name or password, in bytes.
const LONGEST: usize = 512;
/// Longest name of a coin, in bytes.
const LONGEST_COIN: usize = 16;
/// Longest name of a protocol, in bytes.
const LONGEST_PROTOCOL: usize = 16;

/// The protocol that every miner and every pool can be expected to know.
pub const STRATUM: &str = "stratum";

/// A field that cannot be used, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {what}")]
pub struct BadField {
    /// The field's path, such as `pools[0].wallet`.
    pub path: String,
    /// What is wrong, without the value: it may be a secret.
    pub what: String,
}

impl BadField {
    /// A problem with the field at `path`.
    pub fn new(path: impl Into<String>, what: impl Into<String>) -> Self {
        Self { path: path.into(), what: what.into() }
    }

    /// The same problem, seen from outside: `path` becomes `outer.path`.
    pub fn below(self, outer: &str) -> Self {
        Self { path: format!("{outer}.{}", self.path), ..self }
    }
}

/// Where the income goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Wallet {
    /// Its name.
    pub name: WalletName,
    /// What coin it is of, such as `XMR`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coin: Option<String>,
    /// Its address, or the name of an account at a pool.
    pub address: String,
}

impl Wallet {
    /// Refuses what cannot be an address.
    ///
    /// # Errors
    /// The field that must change.
    pub fn check(&self) -> Result<(), BadField> {
        check_coin(self.coin.as_deref())?;
        check_word("address", &self.address)?;
        if !template::is_plain(&self.address) {
            return Err(BadField::new(
                "address",
                "a wallet has no placeholders: write the address",
            ));
        }
        Ok(())
    }
}

/// A pool as every driver can be told about it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pool {
    /// Its name.
    pub name: PoolName,
    /// What coin it mines; a wallet of another coin is then refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coin: Option<String>,
    /// `host:port`. A scheme before it, such as `stratum+ssl://`, moves to [`tls`](Self::tls) and
    /// [`protocol`](Self::protocol).
    pub url: String,
    /// The protocol that the scheme demands, such as `stratum` of `stratum+ssl://` or `epic` of
    /// `epic+ssl://`. Absent for `ssl://`, `stratum+tcp://` and no scheme: the miner uses the
    /// protocol of its coin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// Whether the connection is encrypted.
    #[serde(default)]
    pub tls: bool,
    /// SHA-256 of the pool's certificate in hex: no other is accepted then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_fingerprint: Option<String>,
    /// Name to log in with; it may have placeholders. `${wallet}` without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The wallet that `${wallet}` stands for, unless a profile says another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wallet: Option<WalletName>,
    /// Password; it may have placeholders. A secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Pool")
            .field("name", &self.name)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl Pool {
    /// Brings the fields into their one form and refuses what cannot be used.
    ///
    /// # Errors
    /// The field that must change.
    pub fn tidy(mut self) -> Result<Self, BadField> {
        if template::pool_part(self.name.as_str()).is_some() {
            let what = format!("${{pool.{}}} means something else: choose another name", self.name);
            return Err(BadField::new("name", what));
        }
        check_coin(self.coin.as_deref())?;
        if let Some((scheme, address)) = self.url.split_once("://") {
            let (protocol, is_tls) = split_scheme(scheme)?;
            let address = address.to_owned();
            self.protocol = protocol;
            self.tls |= is_tls;
            self.url = address;
        }
        if let Some(address) = self.url.strip_suffix('/') {
            self.url = address.to_owned();
        }
        check_address(&self.url)?;
        if self.protocol.as_deref().is_some_and(|name| !is_protocol(name)) {
            let what = "write the word before +ssl:// in the pool's address, such as stratum";
            return Err(BadField::new("protocol", what));
        }
        if let Some(fingerprint) = &self.tls_fingerprint {
            let digits = fingerprint.replace(':', "").to_ascii_lowercase();
            if digits.len() != 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                let what = "write the SHA-256 of the pool's certificate: 64 hex digits";
                return Err(BadField::new("tlsFingerprint", what));
            }
            if !self.tls {
                let what = "does nothing without TLS: set tls to true";
                return Err(BadField::new("tlsFingerprint", what));
            }
            self.tls_fingerprint = Some(digits);
        }
        if let Some(user) = &self.user {
            check_word("user", user)?;
        }
        if let Some(password) = &self.password {
            check_text("password", password)?;
        }
        for (field, text) in
            [("user", Some(self.user_template())), ("password", self.password.as_deref())]
        {
            let parsed = text.map(|text| template::parse(text, Place::Pool)).transpose();
            parsed.map_err(|what| BadField::new(field, what))?;
        }
        if self.wallet.is_some() && !self.takes_wallet() {
            let what = "neither user nor password has ${wallet} in it: leave wallet out";
            return Err(BadField::new("wallet", what));
        }
        Ok(self)
    }

    /// The template of the user name.
    pub fn user_template(&self) -> &str {
        self.user.as_deref().unwrap_or("${wallet}")
    }

    /// Whether user name or password need a wallet to be chosen.
    pub fn takes_wallet(&self) -> bool {
        self.parts().any(|part| part == Part::Placeholder(Placeholder::ChosenWallet))
    }

    /// The wallets that this pool names.
    pub fn wallets(&self) -> Vec<(&'static str, WalletName)> {
        let mut named: Vec<_> = self.wallet.iter().map(|it| ("wallet", it.clone())).collect();
        for (field, text) in self.templates() {
            for part in template::parse(text, Place::Pool).unwrap_or_default() {
                if let Part::Placeholder(Placeholder::Wallet(name)) = part {
                    named.push((field, name));
                }
            }
        }
        named
    }

    /// Host and port.
    pub fn host_and_port(&self) -> (&str, u16) {
        split_host_and_port(&self.url).unwrap_or((&self.url, 0))
    }

    fn templates(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [("user", Some(self.user_template())), ("password", self.password.as_deref())]
            .into_iter()
            .filter_map(|(field, text)| Some((field, text?)))
    }

    fn parts(&self) -> impl Iterator<Item = Part> {
        self.templates()
            .flat_map(|(_, text)| template::parse(text, Place::Pool).unwrap_or_default())
    }
}

/// The protocol that a scheme demands, and whether it means TLS.
fn split_scheme(scheme: &str) -> Result<(Option<String>, bool), BadField> {
    let scheme = scheme.to_ascii_lowercase();
    let (protocol, transport) = match scheme.as_str() {
        // Pool pages write stratum+tcp:// before every plain address, whatever is spoken there.
        "tcp" | "stratum" | "stratum+tcp" => return Ok((None, false)),
        "ssl" | "tls" => return Ok((None, true)),
        other => other.split_once('+').unwrap_or((other, "tcp")),
    };
    let is_tls = match transport {
        "tcp" => Some(false),
        "ssl" | "tls" => Some(true),
        _ => None,
    };
    match is_tls.filter(|_| is_protocol(protocol)) {
        Some(is_tls) => Ok((Some(protocol.to_owned()), is_tls)),
        None => Err(BadField::new(
            "url",
            "write host:port, stratum+tcp://host:port or stratum+ssl://host:port; an address that \
             only one miner understands goes into the profile's own configuration",
        )),
    }
}

/// The address of a web page or of a coin's daemon is not a pool's.
fn is_protocol(name: &str) -> bool {
    (1..=LONGEST_PROTOCOL).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        && !["http", "https", "ws", "wss", "daemon", "ssl", "tls", "tcp"].contains(&name)
}

fn check_address(url: &str) -> Result<(), BadField> {
    let what = match split_host_and_port(url) {
        Some(_) => return Ok(()),
        // Which interface it means differs from machine to machine, and miners do not take it.
        None if url.starts_with('[') && url.contains('%') => {
            "an IPv6 address with a zone (%eth0) is not supported: write a global or unique local \
             address, or a host name"
        }
        None => "write host:port, such as pool.example:3333",
    };
    Err(BadField::new("url", what))
}

/// Letters, digits and what addresses are written with.
fn split_host_and_port(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let is_host = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
            (1..=253).contains(&host.len()) && host.bytes().all(allowed)
        }
    };
    let is_number = port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|port| *port > 0)?;
    (is_host && is_number).then_some((host, port))
}

fn check_coin(coin: Option<&str>) -> Result<(), BadField> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let fits = |coin: &str| (1..=LONGEST_COIN).contains(&coin.len()) && coin.bytes().all(allowed);
    if coin.is_none_or(fits) {
        return Ok(());
    }
    let what = format!("write the coin's symbol, such as XMR: at most {LONGEST_COIN} letters");
    Err(BadField::new("coin", what))
}

fn check_word(field: &str, text: &str) -> Result<(), BadField> {
    check_text(field, text)?;
    if text.contains(char::is_whitespace) {
        return Err(BadField::new(field, "has a space in it: copy it again"));
    }
    Ok(())
}

fn check_text(field: &str, text: &str) -> Result<(), BadField> {
    if text.is_empty() || text.len() > LONGEST {
        return Err(BadField::new(field, format!("write 1 to {LONGEST} bytes")));
    }
    if text.contains(char::is_control) {
        return Err(BadField::new(field, "has a control character in it: copy it again"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
