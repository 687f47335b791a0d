//! Texts with placeholders such as `${wallet.xmr}.${worker}`: read once, filled in at each start.
//!
//! `$${` stands for `${` itself; any other `$` is an ordinary character.

use crate::name::{PoolName, WalletName};

/// What a placeholder stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placeholder {
    /// `${worker}` or `${rig}`: name of this rig.
    Worker,
    /// `${miner}`: name of the miner.
    Miner,
    /// `${api.port}`: port of the program's own API.
    ApiPort,
    /// `${wallet.NAME}`: address of that wallet.
    Wallet(WalletName),
    /// `${wallet}`: address of the wallet that is chosen for the pool.
    ChosenWallet,
    /// `${pool.NAME}`: host and port of that pool.
    Pool(PoolName),
    /// `${pool.url}` and its like: something of the profile's first pool.
    FirstPool(PoolPart),
}

/// A part of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolPart {
    /// `host:port`.
    Url,
    /// The host.
    Host,
    /// The port.
    Port,
    /// The user name, with its own placeholders filled in.
    User,
    /// The password; a secret.
    Password,
}

/// Where a text stands, which decides what it may refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the configuration of a profile.
    Config,
    /// In the user name or the password of a pool. It cannot refer to pools, so nothing can refer
    /// to itself.
    Pool,
}

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// A text as it is.
    Text(String),
    /// Something to fill in.
    Placeholder(Placeholder),
}

/// Names that `${pool.…}` gives to parts of the first pool, and that no pool can have.
pub const POOL_PARTS: &[(&str, PoolPart)] = &[
    ("url", PoolPart::Url),
    ("host", PoolPart::Host),
    ("port", PoolPart::Port),
    ("user", PoolPart::User),
    ("password", PoolPart::Password),
];

/// Longest beginning of an unknown placeholder that is shown.
const SHOWN: usize = 40;

/// Reads a text. The error is a sentence about it.
///
/// # Errors
/// When a placeholder is unknown or has no end.
pub fn parse(text: &str, place: Place) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, after) = (&rest[..at], &rest[at + 2..]);
        if let Some(before) = before.strip_suffix('$') {
            plain.push_str(before);
            plain.push_str("${");
            rest = after;
            continue;
        }
        plain.push_str(before);
        let (name, behind) = after
            .split_once('}')
            .ok_or("a placeholder has no end: write } behind its name, or $${ for ${ itself")?;
        if !plain.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut plain)));
        }
        parts.push(Part::Placeholder(placeholder(name, place)?));
        rest = behind;
    }
    plain.push_str(rest);
    if !plain.is_empty() || parts.is_empty() {
        parts.push(Part::Text(plain));
    }
    Ok(parts)
}

/// Whether nothing of `text` has to be filled in.
pub fn is_plain(text: &str) -> bool {
    !text.contains("${")
}

fn placeholder(name: &str, place: Place) -> Result<Placeholder, String> {
    let found = match (name.split_once('.'), place) {
        (None, _) if name == "worker" || name == "rig" => Some(Placeholder::Worker),
        (None, _) if name == "miner" => Some(Placeholder::Miner),
        (None, Place::Pool) if name == "wallet" => Some(Placeholder::ChosenWallet),
        (Some(("wallet", name)), _) => WalletName::new(name).ok().map(Placeholder::Wallet),
        (Some(("api", "port")), Place::Config) => Some(Placeholder::ApiPort),
        (Some(("pool", part)), Place::Config) => match pool_part(part) {
            Some(part) => Some(Placeholder::FirstPool(part)),
            None => PoolName::new(part).ok().map(Placeholder::Pool),
        },
        _ => None,
    };
    found.ok_or_else(|| {
        let shown: String = name.chars().take(SHOWN).collect();
        let known = match place {
            Place::Config => {
                "${worker}, ${miner}, ${wallet.NAME}, ${pool.NAME}, ${pool.url}, ${pool.host}, \
                 ${pool.port}, ${pool.user}, ${pool.password} and ${api.port}"
            }
            Place::Pool => "${worker}, ${miner}, ${wallet} and ${wallet.NAME}",
        };
        format!("there is no placeholder ${{{shown}}} here; there are {known}")
    })
}

/// The part of the first pool that is called `name`.
pub fn pool_part(name: &str) -> Option<PoolPart> {
    POOL_PARTS.iter().find(|(known, _)| *known == name).map(|(_, part)| *part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Part {
        Part::Text(text.to_owned())
    }

    #[test]
    fn placeholders_are_found_between_plain_texts() {
        let wallet = Placeholder::Wallet(WalletName::new("xmr").unwrap());
        let pool = Placeholder::Pool(PoolName::new("main").unwrap());
        for (given, expected) in [
            ("", vec![text("")]),
            ("plain", vec![text("plain")]),
            ("$5 and $$ and }", vec![text("$5 and $$ and }")]),
            ("$${worker}", vec![text("${worker}")]),
            ("a$${b$${c", vec![text("a${b${c")]),
            ("${worker}", vec![Part::Placeholder(Placeholder::Worker)]),
            ("${rig}", vec![Part::Placeholder(Placeholder::Worker)]),
            (
                "${wallet.xmr}.${miner}é",
                vec![
                    Part::Placeholder(wallet),
                    text("."),
                    Part::Placeholder(Placeholder::Miner),
                    text("é"),
                ],
            ),
            (
                "${pool.main}${pool.port}${api.port}",
                vec![
                    Part::Placeholder(pool),
                    Part::Placeholder(Placeholder::FirstPool(PoolPart::Port)),
                    Part::Placeholder(Placeholder::ApiPort),
                ],
            ),
        ] {
            assert_eq!(parse(given, Place::Config), Ok(expected), "{given}");
        }
    }

    #[test]
    fn what_cannot_be_filled_in_is_told() {
        for given in [
            "${",
            "${worker",
            "${}",
            "${ worker}",
            "${WORKER}",
            "${wallet}",
            "${wallet.}",
            "${wallet.X}",
            "${wallet.a.b}",
            "${pool.}",
            "${pool}",
            "${env.HOME}",
            "${${worker}}",
            "$(id)${`id`}",
            "${api.token}",
        ] {
            let told = parse(given, Place::Config).unwrap_err();
            let expected = ["there is no placeholder", "a placeholder has no end"];
            assert!(expected.iter().any(|it| told.starts_with(it)), "{given}: {told}");
        }
        let told = parse(&format!("${{{}}}", "x".repeat(10_000)), Place::Config).unwrap_err();
        assert!(told.len() < 300, "{told}");
    }

    #[test]
    fn a_pool_cannot_refer_to_pools() {
        assert_eq!(
            parse("${wallet}", Place::Pool),
            Ok(vec![Part::Placeholder(Placeholder::ChosenWallet)])
        );
        for given in ["${pool.url}", "${pool.user}", "${pool.other}", "${api.port}"] {
            let told = parse(given, Place::Pool).unwrap_err();
            assert!(told.starts_with("there is no placeholder"), "{given}: {told}");
        }
    }
}
