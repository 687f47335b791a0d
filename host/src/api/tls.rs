//! TLS of the API: certificate and key from files, taken up anew when these change.

use std::{
    fs,
    io::{self, ErrorKind},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject},
};
use tokio_rustls::TlsAcceptor;

use adit_core::files;

/// How often the files may be looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// What everybody may read, write or enter.
const FOR_ALL: u32 = 0o007;

/// Why connections cannot be encrypted.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{what} {path}: {source}")]
    Read {
        /// The setting that names it.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{what} {path}: {reason}")]
    Wrong {
        /// The setting that names it.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        reason: String,
    },
}

/// Certificate and key of the API. A renewed certificate serves the next connections; one that
/// cannot be used is complained of, and the last good one goes on.
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    current: Mutex<Current>,
}

struct Current {
    acceptor: TlsAcceptor,
    stamps: [Option<SystemTime>; 2],
    looked: Instant,
}

impl Tls {
    /// Reads both files.
    ///
    /// # Errors
    /// When one is missing, is no PEM file, or they do not belong together.
    pub fn open(certificate: PathBuf, key: PathBuf) -> Result<Self, TlsError> {
        let stamps = stamps(&certificate, &key);
        let acceptor = read(&certificate, &key)?;
        let current = Mutex::new(Current { acceptor, stamps, looked: Instant::now() });
        Ok(Self { certificate, key, current })
    }

    /// What encrypts the next connection.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.looked.elapsed() >= LOOK_INTERVAL {
            current.looked = Instant::now();
            self.renew(&mut current);
        }
        current.acceptor.clone()
    }

    fn renew(&self, current: &mut Current) {
        let stamps = stamps(&self.certificate, &self.key);
        if stamps == current.stamps {
            return;
        }
        current.stamps = stamps;
        match read(&self.certificate, &self.key) {
            Ok(acceptor) => {
                current.acceptor = acceptor;
                tracing::info!("the API's certificate was renewed");
            }
            Err(error) => tracing::warn!(%error, "the API goes on with its last certificate"),
        }
    }
}

/// When the files last changed.
fn stamps(certificate: &Path, key: &Path) -> [Option<SystemTime>; 2] {
    [certificate, key].map(|path| fs::metadata(path).and_then(|it| it.modified()).ok())
}

fn read(certificate: &Path, key: &Path) -> Result<TlsAcceptor, TlsError> {
    const CERTIFICATE: &str = "api.tls_certificate";
    const KEY: &str = "api.tls_key";
    let text = load(CERTIFICATE, certificate)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let chain = chain.map_err(|error| no_pem(CERTIFICATE, certificate, &error))?;
    let wrong = |what, path: &Path, reason: &str| TlsError::Wrong {
        what,
        path: path.to_owned(),
        reason: reason.to_owned(),
    };
    if chain.is_empty() {
        let reason = "there is no certificate in it: name a PEM file, with BEGIN CERTIFICATE";
        return Err(wrong(CERTIFICATE, certificate, reason));
    }
    let mode = fs::metadata(key).map(|it| it.permissions().mode()).unwrap_or_default();
    if mode & FOR_ALL != 0 {
        let reason = "everybody on this machine may read it: chmod o= on it, or make a new one";
        return Err(wrong(KEY, key, reason));
    }
    let text = load(KEY, key)?;
    let secret = PrivateKeyDer::from_pem_slice(&text).map_err(|error| no_pem(KEY, key, &error))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|it| it.with_no_client_auth().with_single_cert(chain, secret))
        .map_err(|error| {
            let path = certificate.display();
            wrong(KEY, key, &format!("it cannot serve the certificate {path}: {error}"))
        })?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn load(what: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    files::read(path).map_err(|source| TlsError::Read { what, path: path.to_owned(), source })
}

fn no_pem(what: &'static str, path: &Path, error: &pem::Error) -> TlsError {
    let source = io::Error::new(ErrorKind::InvalidData, format!("not a PEM file of that: {error}"));
    TlsError::Read { what, path: path.to_owned(), source }
}
