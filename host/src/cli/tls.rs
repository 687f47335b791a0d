//! TLS of the command line: a host with a certificate of its own is known by that certificate.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};

use crate::cli::Error;
use adit_core::files;

/// Settings for a host whose certificate is the first one in the file `certificate`, whatever name
/// it is called by.
pub(super) fn knowing(certificate: &Path) -> Result<ClientConfig, Error> {
    let shown = certificate.display();
    let wrong = |reason: String| {
        Error::message(format!("cannot read the certificate of the host, {shown}: {reason}"))
    };
    let text = files::read(certificate).map_err(|error| wrong(error.to_string()))?;
    let known = CertificateDer::from_pem_slice(&text).map_err(|error| wrong(error.to_string()))?;
    let provider = Arc::new(ring::default_provider());
    let verifier = Known { certificate: known, provider: Arc::clone(&provider) };
    let config = begin(provider)?.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    Ok(config.with_no_client_auth())
}

/// Settings for a host whose certificate an authority of this machine vouches for. They need not be
/// read where nothing `is_encrypted`.
pub(super) fn by_authority(is_encrypted: bool) -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    if is_encrypted {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    let config = begin(Arc::new(ring::default_provider()))?.with_root_certificates(roots);
    Ok(config.with_no_client_auth())
}

type Builder = rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>;

fn begin(provider: Arc<CryptoProvider>) -> Result<Builder, Error> {
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::message(format!("cannot use TLS: {error}")))
}

/// Accepts one certificate and no other. That the other end has its key is checked as always.
#[derive(Debug)]
struct Known {
    certificate: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Known {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        if *end_entity == self.certificate {
            return Ok(ServerCertVerified::assertion());
        }
        Err(TlsError::General("the host has another certificate than the one that is known".into()))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
