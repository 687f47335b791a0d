//! Invites: a one-time code that carries everything the other node needs to join.
//!
//! `adit1_` and base64url of: 1, expiry (u32, Unix seconds), invite id (8), secret (16), key of the
//! node that listens (32), its address, checksum (4).

use std::{fmt, str::FromStr};

use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::node::{Error, identity::random};
use adit_model::peer::PublicKey;

const PREFIX: &str = "adit1_";
const VERSION: u8 = 1;
/// Bytes before the address.
const HEAD: usize = 1 + 4 + 8 + 16 + 32;
const CHECKSUM: usize = 4;
/// Longest address: a DNS name and a port.
const ADDRESS: usize = 260;

/// Which invite; told in clear at the begin of a handshake.
pub type InviteId = [u8; 8];

/// What was handed over, by hand or as a picture.
#[derive(Clone)]
pub struct Invite {
    /// Until when it can be used, in Unix seconds by the clock of the node that made it.
    pub expires_at: u32,
    /// Which one it is.
    pub id: InviteId,
    secret: Zeroizing<[u8; 16]>,
    /// The key of the node to join.
    pub key: PublicKey,
    /// Where it listens: `host:port`.
    pub address: String,
}

impl Invite {
    /// A new invite of the node with `key`.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn new(key: PublicKey, address: String, expires_at: u32) -> Result<Self, Error> {
        let (id, secret) = (*random::<8>()?, random()?);
        Ok(Self { expires_at, id, secret, key, address })
    }

    /// What both nodes prove to know.
    pub fn psk(&self) -> Zeroizing<[u8; 32]> {
        let mut hash = Sha256::new();
        hash.update(b"adit invite v1");
        hash.update(*self.secret);
        hash.update(self.key.as_bytes());
        Zeroizing::new(hash.finalize().into())
    }

    /// The code. It is a secret.
    pub fn code(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(HEAD + self.address.len() + CHECKSUM));
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.expires_at.to_be_bytes());
        bytes.extend_from_slice(&self.id);
        bytes.extend_from_slice(&*self.secret);
        bytes.extend_from_slice(self.key.as_bytes());
        bytes.extend_from_slice(self.address.as_bytes());
        let sum = checksum(&bytes);
        bytes.extend_from_slice(&sum);
        Zeroizing::new(format!("{PREFIX}{}", BASE64URL_NOPAD.encode(&bytes)))
    }
}

impl fmt::Debug for Invite {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Invite")
            .field("secret", &"[redacted]")
            .field("key", &self.key)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// A text that is no invite.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadInvite {
    /// It does not begin like one.
    #[error("an invite begins with {PREFIX}: copy the whole code")]
    Prefix,
    /// Something is missing or wrong in it.
    #[error("the invite is damaged: copy the whole code again")]
    Damaged,
    /// It was made by a newer version.
    #[error("the invite is of version {0}, and this version of adit reads {VERSION}: update adit")]
    Version(u8),
    /// Nobody can be reached there.
    #[error(
        "the invite has no usable address: make one with `adit node invite --address HOST:PORT`"
    )]
    Address,
}

impl FromStr for Invite {
    type Err = BadInvite;

    fn from_str(text: &str) -> Result<Self, BadInvite> {
        let encoded = text.trim().strip_prefix(PREFIX).ok_or(BadInvite::Prefix)?;
        if encoded.len() > 2 * (HEAD + ADDRESS + CHECKSUM) {
            return Err(BadInvite::Damaged);
        }
        let bytes = BASE64URL_NOPAD.decode(encoded.as_bytes()).map_err(|_| BadInvite::Damaged)?;
        let bytes = Zeroizing::new(bytes);
        let (body, sum) = bytes.split_last_chunk::<CHECKSUM>().ok_or(BadInvite::Damaged)?;
        if checksum(body) != *sum {
            return Err(BadInvite::Damaged);
        }
        let mut rest = body;
        let [version] = take(&mut rest)?;
        if version != VERSION {
            return Err(BadInvite::Version(version));
        }
        let expires_at = u32::from_be_bytes(take(&mut rest)?);
        let id = take(&mut rest)?;
        let secret = Zeroizing::new(take(&mut rest)?);
        let key = PublicKey::new(take(&mut rest)?);
        let address = std::str::from_utf8(rest).map_err(|_| BadInvite::Address)?;
        check_address(address).map_err(|_| BadInvite::Address)?;
        Ok(Self { expires_at, id, secret, key, address: address.to_owned() })
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], BadInvite> {
    let (first, rest) = bytes.split_first_chunk::<N>().ok_or(BadInvite::Damaged)?;
    *bytes = rest;
    Ok(*first)
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM] {
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    [digest[0], digest[1], digest[2], digest[3]]
}

/// Refuses what is not `host:port` with a name, an IPv4 or a bracketed IPv6 address.
///
/// # Errors
/// [`Error::Invalid`] with what to write.
pub(crate) fn check_address(address: &str) -> Result<(), Error> {
    let wrong = || {
        Error::Invalid(
            "address: write host:port, such as farm.example:9091, 192.0.2.7:9091 or \
             [2001:db8::7]:9091"
                .to_owned(),
        )
    };
    if address.len() > ADDRESS {
        return Err(wrong());
    }
    if let Ok(socket) = address.parse::<std::net::SocketAddr>() {
        return if socket.port() == 0 { Err(wrong()) } else { Ok(()) };
    }
    let (host, port) = address.rsplit_once(':').ok_or_else(wrong)?;
    let name = |part: &str| {
        (1..=63).contains(&part.len())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let is_port = port.parse::<u16>().is_ok_and(|port| port != 0);
    if is_port && host.len() <= 253 && host.split('.').all(name) { Ok(()) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invite() -> Invite {
        Invite::new(PublicKey::new([7; 32]), "192.0.2.7:9091".to_owned(), 1_800_000_000).unwrap()
    }

    #[test]
    fn a_code_carries_everything() {
        let made = invite();
        let code = made.code();
        assert_eq!(code.len(), 112);
        let read: Invite = format!(" {}\n", *code).parse().unwrap();
        assert_eq!((read.id, read.key, read.expires_at), (made.id, made.key, made.expires_at));
        assert_eq!((read.address.as_str(), *read.psk()), ("192.0.2.7:9091", *made.psk()));
        assert_ne!(*invite().psk(), *made.psk());
    }

    #[test]
    fn damaged_codes_are_noticed() {
        let code = invite().code();
        for at in 0..code.len() {
            let mut text = code.as_bytes().to_vec();
            text[at] = if text[at] == b'A' { b'B' } else { b'A' };
            let text = String::from_utf8(text).unwrap();
            assert!(text.parse::<Invite>().is_err(), "{at}");
            assert!(code[..at].parse::<Invite>().is_err(), "{at}");
        }
        let long = format!("{PREFIX}{}", "A".repeat(1 << 20));
        for text in ["", "adit1_", "adit2_AAAA", "é", &long] {
            assert!(text.parse::<Invite>().is_err());
        }
    }

    #[test]
    fn a_secret_is_never_printed() {
        let made = invite();
        let shown = format!("{made:?}");
        assert!(shown.contains("[redacted]") && !shown.contains(&format!("{:?}", made.secret)));
    }

    #[test]
    fn addresses_are_host_and_port() {
        for good in ["a:1", "farm.example:9091", "1.2.3.4:9091", "[::1]:9091", "[2001:db8::7]:1"] {
            assert!(check_address(good).is_ok(), "{good}");
        }
        let long = format!("{}:1", "a.".repeat(200));
        for bad in ["", "a", ":1", "a:0", "a:70000", "::1:9091x", "a b:1", "a/b:1", "a:1/x", &long]
        {
            assert!(check_address(bad).is_err(), "{bad}");
        }
    }
}
