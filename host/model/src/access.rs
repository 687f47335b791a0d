//! Who may do what over the REST API.

use serde::{Deserialize, Serialize};

/// What a token allows. Each role allows all that the ones before it allow.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Look at everything but secrets.
    View,
    /// Start, stop and talk to what is configured.
    Operate,
    /// Change what is mined and for whom; tokens; drivers.
    Admin,
}

impl Role {
    /// The role's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Operate => "operate",
            Self::Admin => "admin",
        }
    }
}

/// A text that names no role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no such role: write view, operate or admin")]
pub struct NoSuchRole;

impl std::str::FromStr for Role {
    type Err = NoSuchRole;

    fn from_str(text: &str) -> Result<Self, NoSuchRole> {
        [Self::View, Self::Operate, Self::Admin]
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or(NoSuchRole)
    }
}
