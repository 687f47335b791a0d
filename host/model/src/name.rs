//! Names that may become file names, URL parts and database keys: checked once, then trusted.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Name of a miner: `[a-z0-9][a-z0-9-]{0,62}`, unique on the node.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
pub struct MinerName(String);

/// Id of a driver, called miner type in the REST API: `[a-z0-9][a-z0-9-]{0,62}`.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
pub struct DriverId(String);

/// Name of a wallet that profiles and pools refer to: `[a-z0-9][a-z0-9-]{0,62}`.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
pub struct WalletName(String);

/// Name of a pool that profiles refer to: `[a-z0-9][a-z0-9-]{0,62}`.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
pub struct PoolName(String);

/// A text that cannot be a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{what} {shown:?} is not usable: use 1 to 63 of a-z, 0-9 and -, and begin with a letter or digit"
)]
pub struct BadName {
    what: &'static str,
    shown: String,
}

fn check(what: &'static str, text: &str) -> Result<(), BadName> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let fits = (1..=63).contains(&text.len());
    if fits && text.bytes().all(allowed) && !text.starts_with('-') {
        return Ok(());
    }
    // A hostile name can be long: show only its beginning.
    Err(BadName { what, shown: text.chars().take(80).collect() })
}

macro_rules! name {
    ($type:ident, $what:literal) => {
        impl $type {
            /// Checks `text`.
            ///
            /// # Errors
            /// When it has a character or a length that the rule above does not allow.
            pub fn new(text: impl Into<String>) -> Result<Self, BadName> {
                let text = text.into();
                check($what, &text)?;
                Ok(Self(text))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $type {
            type Error = BadName;

            fn try_from(text: String) -> Result<Self, BadName> {
                Self::new(text)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0
            }
        }

        impl std::str::FromStr for $type {
            type Err = BadName;

            fn from_str(text: &str) -> Result<Self, BadName> {
                Self::new(text)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.0)
            }
        }
    };
}

name!(MinerName, "the miner name");
name!(DriverId, "the miner type");
name!(WalletName, "the wallet's name");
name!(PoolName, "the pool's name");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_as_file_names_and_url_parts() {
        for good in ["a", "0", "rig-1", "xmrig", &"a".repeat(63)] {
            assert!(MinerName::new(good).is_ok(), "{good}");
        }
        let long = "a".repeat(10_000);
        for bad in ["", "-a", "A", "a/b", "..", "a.b", "a\0b", "é", "a b", "a_b", &long] {
            let error = MinerName::new(bad).unwrap_err().to_string();
            assert!(error.contains("is not usable") && error.len() < 300, "{error}");
        }
    }

    #[test]
    fn a_name_read_from_json_is_checked() {
        assert!(serde_json::from_str::<DriverId>("\"../etc\"").is_err());
        assert_eq!(serde_json::from_str::<DriverId>("\"xmrig\"").unwrap().as_str(), "xmrig");
    }
}
