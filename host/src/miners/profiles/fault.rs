//! What can be wrong with profiles, wallets and pools.

use std::fmt;

use adit_drivers::schema::ConfigError;
use adit_model::pool::BadField;

/// A kind of thing that is kept by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A profile.
    Profile,
    /// A wallet.
    Wallet,
    /// A pool.
    Pool,
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Profile => "profile",
            Self::Wallet => "wallet",
            Self::Pool => "pool",
        })
    }
}

/// Why a profile, a wallet or a pool cannot be as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// There is none of this name or id.
    #[error("there is no {kind} {shown}; GET /{kind}s lists them")]
    Missing {
        /// What was looked for.
        kind: Kind,
        /// The beginning of what was asked for.
        shown: String,
    },
    /// The name is taken.
    #[error("there is a {kind} {name:?} already: choose another name, or change that one")]
    Taken {
        /// What was to be made.
        kind: Kind,
        /// Its name.
        name: String,
    },
    /// Somebody changed it since the client read it.
    #[error("the {kind} {name:?} was changed since you read it: read it again, then change it")]
    Changed {
        /// What was to be changed.
        kind: Kind,
        /// Its name.
        name: String,
    },
    /// Others refer to it.
    #[error("the {kind} {name:?} is used by {users}: change that first")]
    Used {
        /// What was to be changed or removed.
        kind: Kind,
        /// Its name.
        name: String,
        /// Who refers to it.
        users: String,
    },
    /// A change would break a profile that refers to it.
    #[error("the {kind} {name:?} cannot change so: the profile {user:?} could not use it ({why})")]
    Breaks {
        /// What was to be changed.
        kind: Kind,
        /// Its name.
        name: String,
        /// The profile.
        user: String,
        /// What it could not do any more.
        why: String,
    },
    /// A document has things whose names are taken by others.
    #[error(
        "these are here already and differ: {names}; say whether to skip or to replace what is here"
    )]
    InTheWay {
        /// What they are.
        names: String,
    },
    /// A field cannot be used.
    #[error(transparent)]
    Field(#[from] BadField),
    /// The configuration does not match the driver's schema.
    #[error("{}", .0.problems.iter().map(|it| format!("config.{it}")).collect::<Vec<_>>().join("; "))]
    Config(ConfigError),
}

impl Fault {
    /// The same fault of something that stands at `outer`.
    pub(crate) fn below(self, outer: &str) -> Self {
        match self {
            Self::Field(field) => Self::Field(field.below(outer)),
            Self::Config(error) => {
                let problems = error.problems.iter().map(|it| format!("config.{it}"));
                BadField::new(outer, problems.collect::<Vec<_>>().join("; ")).into()
            }
            other => other,
        }
    }

    pub(crate) fn missing(kind: Kind, shown: &str) -> Self {
        Self::Missing { kind, shown: shown.chars().take(80).collect() }
    }
}
