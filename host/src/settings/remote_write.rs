//! What the operator can set about the push to a Prometheus-compatible store.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use serde::Deserialize;

use crate::miners::RemoteWriteSettings as Own;

/// Where all series are pushed to; without an address, nowhere.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RemoteWriteSettings {
    /// Address, such as `http://127.0.0.1:8428/api/v1/write`.
    pub url: Option<String>,
    /// Time between two pushes, in milliseconds.
    pub interval_ms: u64,
    /// File with a token that is sent along.
    pub bearer_token_file: Option<PathBuf>,
    /// Labels of every series; `job` is `adit` and `host` is the name of the rig unless they say
    /// otherwise.
    pub labels: BTreeMap<String, String>,
    /// MiB that may wait in memory while the store is away.
    pub buffer_mib: usize,
}

impl Default for RemoteWriteSettings {
    fn default() -> Self {
        Self {
            url: None,
            interval_ms: 10_000,
            bearer_token_file: None,
            labels: BTreeMap::new(),
            buffer_mib: 16,
        }
    }
}

impl RemoteWriteSettings {
    /// What is wrong, and what to write instead.
    pub(super) fn check(&self) -> Result<(), String> {
        if let Some(url) = &self.url {
            self.check_url(url)?;
        } else if self.bearer_token_file.is_some() || !self.labels.is_empty() {
            return Err("remote_write: write url as well, or leave the section out".to_owned());
        }
        if !(200..=3_600_000).contains(&self.interval_ms) {
            return Err(format!(
                "remote_write.interval_ms {}: write 200 to 3600000",
                self.interval_ms
            ));
        }
        if !(1..=1024).contains(&self.buffer_mib) {
            return Err(format!("remote_write.buffer_mib {}: write 1 to 1024", self.buffer_mib));
        }
        for name in self.labels.keys() {
            let letter = |c: char| c.is_ascii_alphabetic() || c == '_';
            let is_name = name.starts_with(letter)
                && name.chars().all(|c| letter(c) || c.is_ascii_digit())
                && !name.starts_with("__");
            if !is_name {
                return Err(format!("remote_write.labels: {name:?} is no name of a label"));
            }
        }
        Ok(())
    }

    fn check_url(&self, url: &str) -> Result<(), String> {
        let wrong = || {
            format!("remote_write.url {url:?}: write it like http://127.0.0.1:8428/api/v1/write")
        };
        let parsed = reqwest::Url::parse(url).map_err(|_| wrong())?;
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err(wrong());
        }
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err("remote_write.url: put the token into bearer_token_file".to_owned());
        }
        let host = parsed.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let is_loopback =
            host == "localhost" || host.parse().is_ok_and(|it: std::net::IpAddr| it.is_loopback());
        if parsed.scheme() == "http" && self.bearer_token_file.is_some() && !is_loopback {
            return Err(format!(
                "remote_write.url {url:?}: the token could be read on the way, write https://"
            ));
        }
        Ok(())
    }

    /// The same for those who push; `None`: nothing is pushed.
    pub fn for_miners(&self, rig: &str) -> Option<Own> {
        let mut labels = BTreeMap::from([
            ("host".to_owned(), rig.to_owned()),
            ("job".to_owned(), "adit".to_owned()),
        ]);
        labels.extend(self.labels.clone());
        Some(Own {
            url: self.url.clone()?,
            interval: Duration::from_millis(self.interval_ms),
            bearer_token_file: self.bearer_token_file.clone(),
            labels: labels.into_iter().collect(),
            buffer_bytes: self.buffer_mib << 20,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_work_is_refused() {
        let check = |text: &str| toml::from_str::<RemoteWriteSettings>(text).unwrap().check();
        for (text, expected) in [
            ("url = 'there'", "write it like"),
            ("url = 'ftp://a/b'", "write it like"),
            ("url = 'http://a:b@c/d'", "bearer_token_file"),
            ("url = 'http://store.lan/w'\nbearer_token_file = '/t'", "write https://"),
            ("bearer_token_file = '/t'", "write url as well"),
            ("url = 'http://a/b'\ninterval_ms = 1", "write 200 to"),
            ("url = 'http://a/b'\nbuffer_mib = 0", "write 1 to 1024"),
            ("url = 'http://a/b'\nlabels = { '__name__' = 'x' }", "no name of a label"),
        ] {
            let error = check(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
        for text in
            ["", "url = 'http://[::1]:1/w'\nbearer_token_file = '/t'", "url = 'https://a/b'"]
        {
            check(text).unwrap();
        }
    }
}
