//! The connection to a pool, with or without TLS.

use std::{
    io::{self, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    sync::Arc,
    time::Duration,
};

use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::ring,
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use sha2::{Digest, Sha256};

use crate::config::PoolEntry;

/// Longest wait for something of the pool before something else is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// A connection, and what the pool showed of itself.
pub(crate) struct Wire {
    stream: Stream,
    pub(crate) socket: TcpStream,
    pub(crate) ip: String,
    /// SHA-256 of the certificate in hex.
    pub(crate) fingerprint: Option<String>,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Wire {
    pub(crate) fn connect(pool: &PoolEntry) -> io::Result<Self> {
        let mut addresses = pool.address.to_socket_addrs()?;
        let address = addresses.next().ok_or(io::ErrorKind::NotFound)?;
        let socket = TcpStream::connect_timeout(&address, Duration::from_secs(20))?;
        let copy = socket.try_clone()?;
        let (stream, fingerprint) = match pool.tls {
            false => (Stream::Plain(socket), None),
            true => {
                let (stream, fingerprint) = shake_hands(socket)?;
                (Stream::Tls(Box::new(stream)), Some(fingerprint))
            }
        };
        copy.set_read_timeout(Some(LOOK))?;
        Ok(Self { stream, socket: copy, ip: address.ip().to_string(), fingerprint })
    }

    pub(crate) fn send(&mut self, line: &str) -> io::Result<()> {
        let text = format!("{line}\n");
        match &mut self.stream {
            Stream::Plain(stream) => stream.write_all(text.as_bytes()),
            Stream::Tls(stream) => stream.write_all(text.as_bytes()).and_then(|()| stream.flush()),
        }
    }

    /// What arrived; nothing when there is nothing yet, an error at the end.
    pub(crate) fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut chunk = [0; 4_096];
        let read = match &mut self.stream {
            Stream::Plain(stream) => stream.read(&mut chunk),
            Stream::Tls(stream) => stream.read(&mut chunk),
        };
        match read {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => Ok(chunk[..count].to_vec()),
            Err(error)
                if [io::ErrorKind::WouldBlock, io::ErrorKind::TimedOut].contains(&error.kind()) =>
            {
                Ok(Vec::new())
            }
            Err(error) => Err(error),
        }
    }
}

fn shake_hands(
    mut socket: TcpStream,
) -> io::Result<(StreamOwned<ClientConnection, TcpStream>, String)> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth();
    let name = ServerName::try_from("pool.example").map_err(io::Error::other)?;
    let mut connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    while connection.is_handshaking() {
        connection.complete_io(&mut socket)?;
    }
    let certificate = connection.peer_certificates().and_then(|it| it.first());
    let certificate = certificate.ok_or(io::ErrorKind::InvalidData)?;
    let fingerprint =
        Sha256::digest(certificate).iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((StreamOwned::new(connection, socket), fingerprint))
}

/// XMRig asks no authority; it compares the fingerprint, if it was given one.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
