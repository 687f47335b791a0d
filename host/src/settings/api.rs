//! Settings of the REST API.

use std::{net::SocketAddr, path::PathBuf};

use serde::Deserialize;

/// The REST API.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApiSettings {
    /// Address and port to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// What every route begins with.
    pub base_path: String,
    /// Further names under which clients may call this host, such as `rig1.lan`.
    pub hosts: Vec<String>,
    /// Web pages of other origins that may call this host, such as `http://dash.lan:8080`.
    pub origins: Vec<String>,
    /// File with the certificate and those that vouch for it, in PEM; with it all connections are
    /// encrypted.
    pub tls_certificate: Option<PathBuf>,
    /// File with the certificate's key, in PEM.
    pub tls_key: Option<PathBuf>,
    /// Allow an address beyond loopback although the connection is not encrypted: whoever can
    /// listen on the network can then read tokens and wallets.
    pub plain_http_beyond_loopback: bool,
    /// Answer `GET /metrics` without a token: whoever reaches the port then sees hashrates and pools.
    pub metrics_public: bool,
}

impl Default for ApiSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 9090)),
            base_path: "/api/v1/mining".to_owned(),
            hosts: Vec::new(),
            origins: Vec::new(),
            tls_certificate: None,
            tls_key: None,
            plain_http_beyond_loopback: false,
            metrics_public: false,
        }
    }
}

impl ApiSettings {
    /// Refuses values that make no sense, with what to write instead.
    pub(super) fn check(&self) -> Result<(), String> {
        let base = &self.base_path;
        let plain = |c: char| c.is_ascii_alphanumeric() || "/-_.".contains(c);
        if !base.starts_with('/') || base.ends_with('/') || !base.chars().all(plain) {
            return Err(format!("api.base_path {base:?}: write it like /api/v1/mining"));
        }
        if self.tls_certificate.is_some() != self.tls_key.is_some() {
            return Err(
                "api.tls_certificate and api.tls_key: write both, a certificate is worth nothing \
                 without its key"
                    .to_owned(),
            );
        }
        let is_encrypted = self.tls_certificate.is_some() || self.plain_http_beyond_loopback;
        if !self.listen.ip().is_loopback() && !is_encrypted {
            return Err(format!(
                "api.listen {}: beyond loopback anybody on the network could read tokens and \
                 wallets; listen on 127.0.0.1, set api.tls_certificate and api.tls_key, or accept \
                 that with api.plain_http_beyond_loopback = true",
                self.listen
            ));
        }
        Ok(())
    }

    /// Certificate and key, when connections are to be encrypted.
    pub(crate) fn tls(&self) -> Option<(PathBuf, PathBuf)> {
        self.tls_certificate.clone().zip(self.tls_key.clone())
    }
}
