//! The release API: which versions there are and which files they have.

use adit_plugin_api::ReleasePlan;
use hyper::http::Uri;
use serde::Deserialize;

use crate::{
    error::Error,
    web::{Web, is_loopback, segment},
};

/// Largest description of a release, in bytes.
const RELEASE_BYTES: u64 = 4 << 20;
/// What GitHub's API is asked for.
const JSON: &str = "application/vnd.github+json";

/// Where releases come from: addresses of GitHub, of a mirror or of a server at the site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources {
    /// The release API: `{api}/repos/{owner}/{name}/releases/latest`.
    pub api: String,
    /// The files: `{downloads}/{owner}/{name}/releases/download/{tag}/{file}`.
    pub downloads: String,
    /// Stands for `https://raw.githubusercontent.com` in the addresses of signing keys.
    pub keys: String,
    /// Further hosts that addresses of keys and redirects may name.
    pub hosts: Vec<String>,
}

/// The default of [`Sources::keys`].
const GITHUB_KEYS: &str = "https://raw.githubusercontent.com";

impl Default for Sources {
    fn default() -> Self {
        Self {
            api: "https://api.github.com".to_owned(),
            downloads: "https://github.com".to_owned(),
            keys: GITHUB_KEYS.to_owned(),
            hosts: Vec::new(),
        }
    }
}

impl Sources {
    /// The hosts that may be asked, and whether plain HTTP to this machine is among it.
    ///
    /// # Errors
    /// [`Error::BadSetting`].
    pub(crate) fn hosts(&self) -> Result<(Vec<String>, bool), Error> {
        let mut hosts = self.hosts.clone();
        let mut plain_loopback = false;
        for (name, url) in
            [("api", &self.api), ("downloads", &self.downloads), ("keys", &self.keys)]
        {
            let wrong = |reason| Error::BadSetting { name, url: url.clone(), reason };
            let uri: Uri = url.parse().map_err(|_| wrong("write it like https://host/path"))?;
            let host = uri.host().ok_or_else(|| wrong("write it like https://host/path"))?;
            match uri.scheme_str() {
                Some("https") => {}
                Some("http") if is_loopback(host) => plain_loopback = true,
                _ => return Err(wrong("use https; plain http is for this machine only")),
            }
            if uri.query().is_some() || url.contains('@') {
                return Err(wrong("leave out user, password and query"));
            }
            if host == "github.com" {
                // Where GitHub keeps the files.
                for storage in ["release-assets", "objects"] {
                    hosts.push(format!("{storage}.githubusercontent.com"));
                }
            }
            hosts.push(host.to_owned());
        }
        Ok((hosts, plain_loopback))
    }

    /// The address of a release's file.
    pub(crate) fn asset(&self, repository: &str, tag: &str, asset: &str) -> String {
        let base = self.downloads.trim_end_matches('/');
        format!("{base}/{repository}/releases/download/{}/{}", segment(tag), segment(asset))
    }

    /// The address of a key.
    pub(crate) fn key(&self, url: &str) -> String {
        match url.strip_prefix(GITHUB_KEYS) {
            Some(path) => format!("{}{path}", self.keys.trim_end_matches('/')),
            None => url.to_owned(),
        }
    }

    fn releases(&self, repository: &str) -> String {
        format!("{}/repos/{repository}/releases", self.api.trim_end_matches('/'))
    }
}

/// A published release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Release {
    pub(crate) version: String,
    pub(crate) tag: String,
    pub(crate) assets: Vec<Asset>,
}

/// A file of a release.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Asset {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) size: Option<u64>,
    #[serde(default)]
    pub(crate) updated_at: Option<String>,
    /// `sha256:…`: what arrived must match, but it proves nothing.
    #[serde(default)]
    pub(crate) digest: Option<String>,
}

#[derive(Deserialize)]
struct ReleaseBody {
    tag_name: String,
    #[serde(default)]
    draft: bool,
    #[serde(default)]
    assets: Vec<Asset>,
}

impl Release {
    /// The file with this name.
    ///
    /// # Errors
    /// [`Error::NoAsset`].
    pub(crate) fn asset(&self, name: &str) -> Result<&Asset, Error> {
        self.assets.iter().find(|it| it.name == name).ok_or_else(|| Error::NoAsset {
            asset: name.to_owned(),
            version: self.version.clone(),
            available: self.assets.iter().map(|it| it.name.clone()).take(40).collect(),
        })
    }

    /// `pattern` of a plan for this release.
    pub(crate) fn fill(&self, pattern: &str) -> String {
        pattern.replace("{version}", &self.version).replace("{tag}", &self.tag)
    }
}

/// Finds a release: the newest, or the one of `version`.
pub(crate) async fn find(
    web: &Web,
    sources: &Sources,
    plan: &ReleasePlan,
    version: Option<&str>,
) -> Result<Release, Error> {
    let repository = repository(plan)?;
    let base = sources.releases(repository);
    let candidates = match version {
        None => vec![format!("{base}/latest")],
        Some(version) => ["v", ""]
            .map(|prefix| format!("{base}/tags/{}", segment(&format!("{prefix}{version}"))))
            .to_vec(),
    };
    for url in &candidates {
        let body = match web.whole(url, JSON, RELEASE_BYTES).await {
            Err(Error::Status { status: 404, .. }) => continue,
            other => other?,
        };
        let nonsense = |reason: String| Error::Unreachable { url: url.clone(), reason };
        let body: ReleaseBody = serde_json::from_slice(&body)
            .map_err(|error| nonsense(format!("the answer describes no release ({error})")))?;
        if body.draft {
            continue;
        }
        let found = check_version(&body.tag_name).map_err(|_| {
            let tag: String = body.tag_name.chars().take(80).collect();
            nonsense(format!("its tag {tag:?} is no version"))
        })?;
        if version.is_some_and(|asked| asked != found) {
            return Err(nonsense(format!("it answers with version {found} instead")));
        }
        return Ok(Release { version: found, tag: body.tag_name, assets: body.assets });
    }
    Err(Error::NoRelease {
        repository: repository.to_owned(),
        version: version.unwrap_or("at all").to_owned(),
    })
}

fn repository(plan: &ReleasePlan) -> Result<&str, Error> {
    let plain = |part: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        (1..=100).contains(&part.len()) && part.bytes().all(allowed) && !part.starts_with('.')
    };
    match plan.repository.split_once('/') {
        Some((owner, name)) if plain(owner) && plain(name) => Ok(&plan.repository),
        _ => Err(Error::BadPlan(format!("{:?} is no owner/name", plan.repository))),
    }
}

/// A version without a leading `v`, if `text` can be the name of a folder.
///
/// # Errors
/// [`Error::BadVersion`].
pub(crate) fn check_version(text: &str) -> Result<String, Error> {
    let version = match text.strip_prefix(['v', 'V']) {
        Some(rest) if rest.starts_with(|it: char| it.is_ascii_digit()) => rest,
        _ => text,
    };
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.+".contains(&byte);
    let begins = version.starts_with(|it: char| it.is_ascii_alphanumeric());
    if begins && version.len() <= 64 && version.bytes().all(allowed) {
        return Ok(version.to_owned());
    }
    Err(Error::BadVersion(text.chars().take(80).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_safe_as_folder_names() {
        for (text, expected) in
            [("v6.26.0", "6.26.0"), ("6.26.0", "6.26.0"), ("2024.2.2-rc+1", "2024.2.2-rc+1")]
        {
            assert_eq!(check_version(text).unwrap(), expected);
        }
        for bad in ["", ".", "..", "v../x", "../1", "1/2", "1\0", "-1", &"1".repeat(65), "1 2", "é"]
        {
            assert!(check_version(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn bases_are_encrypted_or_on_this_machine() {
        let with = |api: &str| Sources { api: api.to_owned(), ..Sources::default() }.hosts();
        assert!(!with("https://mirror.lan/github").unwrap().1);
        assert!(with("http://127.0.0.1:80/x").unwrap().1);
        for bad in ["http://mirror.lan", "mirror.lan", "", "https://", "https://me:pw@mirror.lan"] {
            assert!(with(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_repository_cannot_lead_elsewhere() {
        let check = |text: &str| {
            let plan = ReleasePlan { repository: text.to_owned(), ..ReleasePlan::default() };
            repository(&plan).is_ok()
        };
        assert!(check("xmrig/xmrig"));
        for bad in ["", "x", "/x", "x/", "a/b/c", "../x", "x/..", "x/y?z", "x/y#", "x/%2e"] {
            assert!(!check(bad), "{bad}");
        }
    }
}
