//! What proves a file, strongest first: a sum that the driver knows, a signed list of sums, the
//! sum at first use.

use std::{fmt, path::Path};

use adit_plugin_api::Proof;
use serde::{Deserialize, Serialize};

use crate::{
    error::Error,
    service::{Release, Sources},
    shelf::Trust,
    signature,
    web::Web,
};
use adit_core::files;

/// Largest list of sums, in bytes.
const SUMS_BYTES: u64 = 1 << 20;
/// Largest key or signature, in bytes.
const KEY_BYTES: u64 = 1 << 18;

/// What proved an installed version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "by", rename_all = "camelCase")]
pub enum Proven {
    /// Its sum is part of the driver.
    Pinned,
    /// Its sum is in a list that was signed by the key with this fingerprint.
    Signed {
        /// 40 hex digits.
        fingerprint: String,
    },
    /// The operator gave its sum.
    Given,
    /// Nothing: the publisher signs nothing and the driver does not know it. Its sum was recorded,
    /// and another file of the same version will be refused.
    FirstUse,
}

impl fmt::Display for Proven {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pinned => out.write_str("sum known to the driver"),
            Self::Signed { fingerprint } => write!(out, "signed by {fingerprint}"),
            Self::Given => out.write_str("sum given by the operator"),
            Self::FirstUse => out.write_str("trusted at first use, sum recorded"),
        }
    }
}

/// The sum a file must have, and who says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) sha256: String,
    pub(crate) proven: Proven,
    /// Who says so, for people.
    pub(crate) by: String,
}

impl Expected {
    pub(crate) fn check(&self, asset: &str, found: &str) -> Result<(), Error> {
        compare(asset, &self.by, &self.sha256, found)
    }
}

/// What a plan's proof asks for.
pub(crate) enum Demand<'a> {
    Pinned(Expected),
    Signed { sums: &'a str, signature: &'a str, fingerprint: String },
    FirstUse,
}

/// Reads the plan's proof for the file `asset`.
///
/// # Errors
/// [`Error::BadPlan`] when it asks for something that would prove nothing.
pub(crate) fn demand<'a>(proof: &'a Proof, asset: &str) -> Result<Demand<'a>, Error> {
    let bad = |what: &str| Err(Error::BadPlan(what.to_owned()));
    if let Some(sha256) = proof.sha256.get(asset) {
        let sha256 = plain_sum(sha256)
            .ok_or_else(|| Error::BadPlan(format!("the sum of {asset} is no SHA-256")))?;
        let by = "the driver".to_owned();
        return Ok(Demand::Pinned(Expected { sha256, proven: Proven::Pinned, by }));
    }
    let Some(sums) = &proof.sums else {
        return match (&proof.signature, &proof.fingerprint) {
            (None, None) => Ok(Demand::FirstUse),
            _ => bad("it names a signature or a fingerprint but no list of sums"),
        };
    };
    // Sums without a signature come from where the file comes from and prove nothing.
    let Some(signature) = &proof.signature else {
        return bad("it names a list of sums without a signature");
    };
    let Some(fingerprint) = proof.fingerprint.as_deref().and_then(signature::plain_fingerprint)
    else {
        return bad("it names a signature without the fingerprint of its key");
    };
    if proof.key.is_none() && proof.key_url.is_none() {
        return bad("it names a signature but no key");
    }
    Ok(Demand::Signed { sums, signature, fingerprint })
}

/// What the file `asset` of a release must be; `None`: whatever it was at first use.
pub(crate) async fn of_release(
    web: &Web,
    sources: &Sources,
    proof: &Proof,
    repository: &str,
    release: &Release,
    asset: &str,
) -> Result<Option<Expected>, Error> {
    let (sums, signature, fingerprint) = match demand(proof, asset)? {
        Demand::Pinned(expected) => return Ok(Some(expected)),
        Demand::FirstUse => return Ok(None),
        Demand::Signed { sums, signature, fingerprint } => (sums, signature, fingerprint),
    };
    let any = "application/octet-stream";
    let name = release.fill(sums);
    let url = |name: &str| {
        release.asset(name).map(|asset| sources.asset(repository, &release.tag, &asset.name))
    };
    let text = web.whole(&url(&name)?, any, SUMS_BYTES).await?;
    let signature = web.whole(&url(&release.fill(signature))?, any, KEY_BYTES).await?;
    let key = match (&proof.key, &proof.key_url) {
        (Some(key), _) => key.clone().into_bytes(),
        (None, Some(url)) => web.whole(&sources.key(url), "*/*", KEY_BYTES).await?,
        (None, None) => Vec::new(),
    };
    signed(&name, &text, &signature, &key, fingerprint, asset).map(Some)
}

/// What the local file `path`, named `asset`, must be by what lies beside it: the list of sums, its
/// signature, and the key unless the plan has it. `None`: nothing proves it.
pub(crate) fn of_file(
    proof: &Proof,
    path: &Path,
    asset: &str,
    fill: impl Fn(&str) -> String,
) -> Result<Option<Expected>, Error> {
    let (sums, signature, fingerprint) = match demand(proof, asset)? {
        Demand::Pinned(expected) => return Ok(Some(expected)),
        Demand::FirstUse => return Ok(None),
        Demand::Signed { sums, signature, fingerprint } => (sums, signature, fingerprint),
    };
    let beside = |name: &str, limit: u64| {
        let path = path.with_file_name(Path::new(name).file_name()?);
        files::read(&path).ok().filter(|it| it.len() as u64 <= limit)
    };
    let name = fill(sums);
    let key = || match (&proof.key, &proof.key_url) {
        (Some(key), _) => Some(key.clone().into_bytes()),
        (None, url) => beside(url.as_deref()?.rsplit('/').next()?, KEY_BYTES),
    };
    let files = (beside(&name, SUMS_BYTES), beside(&fill(signature), KEY_BYTES), key());
    let (Some(text), Some(signature), Some(key)) = files else { return Ok(None) };
    signed(&name, &text, &signature, &key, fingerprint, asset).map(Some)
}

fn signed(
    name: &str,
    text: &[u8],
    signature: &[u8],
    key: &[u8],
    fingerprint: String,
    asset: &str,
) -> Result<Expected, Error> {
    signature::check(text, signature, key, &fingerprint)
        .map_err(|reason| Error::Signature { what: name.to_owned(), reason })?;
    let sha256 = listed(text, asset)
        .ok_or_else(|| Error::NotListed { sums: name.to_owned(), asset: asset.to_owned() })?;
    Ok(Expected {
        sha256,
        proven: Proven::Signed { fingerprint },
        by: format!("the signed {name}"),
    })
}

/// Refuses a file whose sum differs from that at first use.
pub(crate) fn first_use(
    trust: &Trust,
    version: &str,
    asset: &str,
    found: &str,
) -> Result<Proven, Error> {
    match trust.get(version).and_then(|sums| sums.get(asset)) {
        Some(recorded) if recorded != found => Err(Error::Changed {
            asset: asset.to_owned(),
            version: version.to_owned(),
            recorded: recorded.clone(),
            found: found.to_owned(),
        }),
        _ => Ok(Proven::FirstUse),
    }
}

/// Refuses a file whose sum is not `expected`.
pub(crate) fn compare(asset: &str, by: &str, expected: &str, found: &str) -> Result<(), Error> {
    if expected == found {
        return Ok(());
    }
    Err(Error::Mismatch {
        asset: asset.to_owned(),
        by: by.to_owned(),
        expected: expected.to_owned(),
        found: found.to_owned(),
    })
}

/// The sum of `asset` in a list of lines `<hex> *<file>` or `<hex>  <file>`; `None` when it has
/// none, or two that differ.
fn listed(text: &[u8], asset: &str) -> Option<String> {
    let text = std::str::from_utf8(text).ok()?;
    let mut sums = text.lines().filter_map(|line| {
        let (sum, name) = line.split_once(' ')?;
        let name = name.strip_prefix([' ', '*']).unwrap_or(name);
        (name == asset).then_some(sum)
    });
    let first = sums.next()?;
    if sums.any(|other| other != first) { None } else { plain_sum(first) }
}

/// A SHA-256 as lower-case hex.
pub(crate) fn plain_sum(text: &str) -> Option<String> {
    let text = text.trim();
    let right = text.len() == 64 && text.bytes().all(|it| it.is_ascii_hexdigit());
    right.then(|| text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_sums_is_read() {
        let (a, b) = ("a".repeat(64), "b".repeat(64));
        let text = format!("{a} *x-linux.tar.gz\n{b}  y.zip\r\n{a}  twice\n{b} *twice\nzz *bad\n");
        assert_eq!(listed(text.as_bytes(), "x-linux.tar.gz"), Some(a));
        assert_eq!(listed(text.as_bytes(), "y.zip"), Some(b));
        for missing in ["linux.tar.gz", "x-linux.tar.gz.asc", "", "twice", "bad"] {
            assert_eq!(listed(text.as_bytes(), missing), None, "{missing}");
        }
        assert_eq!(listed(b"\xff\xfe", "x"), None);
    }

    #[test]
    fn a_plan_that_proves_nothing_is_refused() {
        let full = Proof {
            sums: Some("SUMS".to_owned()),
            signature: Some("SUMS.sig".to_owned()),
            key_url: Some("https://raw.githubusercontent.com/k".to_owned()),
            fingerprint: Some("9AC4 CEA8 E66E 35A5 C7CD DC1B 446A 5363 8BE9 4409".to_owned()),
            ..Proof::default()
        };
        let kind = |proof: &Proof| demand(proof, "x").map(|it| matches!(it, Demand::FirstUse)).ok();
        assert_eq!(kind(&full), Some(false));
        assert_eq!(kind(&Proof::default()), Some(true));
        assert_eq!(kind(&Proof { signature: None, ..full.clone() }), None);
        assert_eq!(kind(&Proof { fingerprint: None, ..full.clone() }), None);
        assert_eq!(kind(&Proof { fingerprint: Some("abc".to_owned()), ..full.clone() }), None);
        assert_eq!(kind(&Proof { key_url: None, ..full.clone() }), None);
        assert_eq!(kind(&Proof { sums: None, ..full }), None);
        let sha256 = [("x".to_owned(), "nonsense".to_owned())].into();
        assert_eq!(kind(&Proof { sha256, ..Proof::default() }), None);
    }
}
