//! The secure channel: Noise IK between known nodes, IKpsk1 for pairing. Values in, values out.
//!
//! The first frame begins in clear with a `Header`, which is the prologue as it was received, so
//! that nobody can change version or mode on the way. Keys come from x25519-dalek beneath `snow`:
//! wiped from memory, and low-order points refused.

use std::sync::Arc;

use snow::{
    Builder, HandshakeState, StatelessTransportState,
    params::{CipherChoice, DHChoice, HashChoice, NoiseParams},
    resolvers::{CryptoResolver, DefaultResolver, RingResolver},
    types::{Cipher, Dh, Hash, Random},
};
use x25519_dalek::StaticSecret;
use zeroize::Zeroizing;

use crate::node::{identity::SecretKey, invite::InviteId};
use adit_model::peer::PublicKey;

const SESSION: &str = "Noise_IK_25519_ChaChaPoly_BLAKE2s";
const PAIRING: &str = "Noise_IKpsk1_25519_ChaChaPoly_BLAKE2s";
/// The only version there is.
pub(crate) const VERSION: u8 = 1;
/// Largest Noise message, in bytes.
pub(crate) const MAX_FRAME: usize = 65_535;
/// Bytes that encryption adds.
const TAG: usize = 16;
/// Bytes of a message in one frame: one is taken by the mark.
pub(crate) const MAX_CHUNK: usize = MAX_FRAME - TAG - 1;
/// Largest frame before a node is authenticated.
pub(crate) const MAX_FIRST_FRAME: usize = 2 << 10;
/// Largest message, in bytes.
pub(crate) const MAX_MESSAGE: usize = 1 << 20;
const LAST: u8 = 0;
const MORE: u8 = 1;

/// Why a channel was not made or is of no use any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChannelError {
    /// The first frame is none of ours.
    #[error("it does not speak this protocol")]
    NotOurs,
    /// It speaks another version.
    #[error(
        "it speaks version {theirs} of the protocol, this node speaks {VERSION}: update the older one"
    )]
    Version {
        /// What it wants to speak.
        theirs: u8,
    },
    /// A message of the handshake is not authentic.
    #[error("the handshake failed: a wrong key, a wrong invite, or bytes that were changed")]
    Handshake,
    /// A frame is not authentic: changed, repeated, reflected or left out.
    #[error("a frame is not authentic: it was changed, repeated or left out on the way")]
    Frame,
    /// A frame or a message is too large or has no content.
    #[error("a frame or message has a forbidden size")]
    Size,
    /// The channel has sent as much as one key may.
    #[error("the channel is used up")]
    UsedUp,
}

/// Whether two nodes know each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// They do.
    Session,
    /// They are about to, by this invite.
    Pairing(InviteId),
}

/// The clear begin of the first frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) version: u8,
    pub(crate) mode: Mode,
}

impl Header {
    pub(crate) const BYTES: usize = 14;
    const MAGIC: [u8; 4] = *b"ADP1";

    pub(crate) fn encode(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..4].copy_from_slice(&Self::MAGIC);
        bytes[4] = self.version;
        if let Mode::Pairing(invite) = self.mode {
            bytes[5] = 1;
            bytes[6..].copy_from_slice(&invite);
        }
        bytes
    }

    /// The header and the rest of a first frame.
    pub(crate) fn decode(frame: &[u8]) -> Result<(Self, &[u8]), ChannelError> {
        if frame.len() > MAX_FIRST_FRAME {
            return Err(ChannelError::Size);
        }
        let (bytes, rest) =
            frame.split_first_chunk::<{ Self::BYTES }>().ok_or(ChannelError::NotOurs)?;
        let [m0, m1, m2, m3, version, mode, invite @ ..] = *bytes;
        if [m0, m1, m2, m3] != Self::MAGIC {
            return Err(ChannelError::NotOurs);
        }
        if version != VERSION {
            return Err(ChannelError::Version { theirs: version });
        }
        let mode = match mode {
            0 if invite == [0; 8] => Mode::Session,
            1 => Mode::Pairing(invite),
            _ => return Err(ChannelError::NotOurs),
        };
        Ok((Self { version, mode }, rest))
    }
}

/// What the dialling node does: one frame out, one in.
pub(crate) struct Dialling(HandshakeState);

impl Dialling {
    /// The first frame, and the state that takes the answer. `psk` belongs to an invite.
    pub(crate) fn begin(
        own: &SecretKey,
        listener: &PublicKey,
        mode: Mode,
        psk: Option<&[u8; 32]>,
    ) -> Result<(Self, Vec<u8>), ChannelError> {
        let header = Header { version: VERSION, mode }.encode();
        let secret = own.expose();
        let builder = builder(mode, psk, &header, &secret)?
            .remote_public_key(listener.as_bytes())
            .map_err(handshake)?;
        let mut state = builder.build_initiator().map_err(handshake)?;
        let mut frame = vec![0; MAX_FIRST_FRAME];
        frame[..Header::BYTES].copy_from_slice(&header);
        // The versions that this node speaks, lowest and highest.
        let payload = [VERSION, VERSION];
        let length =
            state.write_message(&payload, &mut frame[Header::BYTES..]).map_err(handshake)?;
        frame.truncate(Header::BYTES + length);
        Ok((Self(state), frame))
    }

    /// The channel, once the listener has proven who it is. The payload is the listener's.
    pub(crate) fn finish(mut self, answer: &[u8]) -> Result<(Channel, Vec<u8>), ChannelError> {
        let payload = read(&mut self.0, answer)?;
        match payload.split_first() {
            Some((&VERSION, rest)) => Ok((channel(self.0)?, rest.to_vec())),
            Some((&theirs, _)) => Err(ChannelError::Version { theirs }),
            None => Err(ChannelError::Handshake),
        }
    }
}

/// What the listening node does: one frame in, one out.
pub(crate) struct Listening(HandshakeState);

impl Listening {
    /// Reads the first frame; the caller decides by the dialler's key whether to go on.
    pub(crate) fn begin(
        own: &SecretKey,
        frame: &[u8],
        psk: Option<&[u8; 32]>,
    ) -> Result<(Self, PublicKey), ChannelError> {
        let (header, message) = Header::decode(frame)?;
        let secret = own.expose();
        let builder = builder(header.mode, psk, &frame[..Header::BYTES], &secret)?;
        let mut state = builder.build_responder().map_err(handshake)?;
        let payload = read(&mut state, message)?;
        let [lowest, highest, ..] = payload[..] else { return Err(ChannelError::Handshake) };
        if !(lowest..=highest).contains(&VERSION) {
            return Err(ChannelError::Version { theirs: highest });
        }
        let key = state.get_remote_static().and_then(|key| <[u8; 32]>::try_from(key).ok());
        let key = key.ok_or(ChannelError::Handshake)?;
        Ok((Self(state), PublicKey::new(key)))
    }

    /// The answer and the channel. The dialler is confirmed only by its first frame on it: until
    /// then the first frame may be a recording.
    pub(crate) fn finish(mut self, payload: &[u8]) -> Result<(Channel, Vec<u8>), ChannelError> {
        let mut answer = vec![0; MAX_FIRST_FRAME];
        let payload = [&[VERSION], payload].concat();
        let length = self.0.write_message(&payload, &mut answer).map_err(handshake)?;
        answer.truncate(length);
        Ok((channel(self.0)?, answer))
    }
}

fn builder<'a>(
    mode: Mode,
    psk: Option<&'a [u8; 32]>,
    prologue: &'a [u8],
    secret: &'a Zeroizing<[u8; 32]>,
) -> Result<Builder<'a>, ChannelError> {
    let name = if mode == Mode::Session { SESSION } else { PAIRING };
    let params: NoiseParams = name.parse().map_err(handshake)?;
    let builder = Builder::with_resolver(params, Box::new(Resolver))
        .prologue(prologue)
        .and_then(|builder| builder.local_private_key(&**secret))
        .map_err(handshake)?;
    match (mode, psk) {
        (Mode::Session, _) => Ok(builder),
        (Mode::Pairing(_), Some(psk)) => builder.psk(1, psk).map_err(handshake),
        (Mode::Pairing(_), None) => Err(ChannelError::Handshake),
    }
}

fn read(state: &mut HandshakeState, message: &[u8]) -> Result<Vec<u8>, ChannelError> {
    if message.len() > MAX_FIRST_FRAME {
        return Err(ChannelError::Size);
    }
    let mut payload = vec![0; message.len()];
    let length = state.read_message(message, &mut payload).map_err(handshake)?;
    payload.truncate(length);
    Ok(payload)
}

/// Which one it was would help nobody but an attacker.
fn handshake(_: snow::Error) -> ChannelError {
    ChannelError::Handshake
}

fn channel(state: HandshakeState) -> Result<Channel, ChannelError> {
    let state = Arc::new(state.into_stateless_transport_mode().map_err(handshake)?);
    Ok(Channel {
        sealer: Sealer { state: Arc::clone(&state), nonce: 0 },
        opener: Opener { state, nonce: 0, partial: Vec::new() },
    })
}

/// Both directions of a session.
pub(crate) struct Channel {
    pub(crate) sealer: Sealer,
    pub(crate) opener: Opener,
}

/// Makes frames of messages.
pub(crate) struct Sealer {
    state: Arc<StatelessTransportState>,
    nonce: u64,
}

impl Sealer {
    /// The frames of `message`, in order; each must be sent.
    pub(crate) fn seal(&mut self, message: &[u8]) -> Result<Vec<Vec<u8>>, ChannelError> {
        if message.is_empty() || message.len() > MAX_MESSAGE {
            return Err(ChannelError::Size);
        }
        let count = message.len().div_ceil(MAX_CHUNK);
        message
            .chunks(MAX_CHUNK)
            .enumerate()
            .map(|(at, chunk)| {
                let mark = if at + 1 == count { LAST } else { MORE };
                let plain = [&[mark], chunk].concat();
                let mut frame = vec![0; plain.len() + TAG];
                let nonce = self.nonce;
                self.nonce = nonce.checked_add(1).ok_or(ChannelError::UsedUp)?;
                let sealed = self.state.write_message(nonce, &plain, &mut frame);
                sealed.map_err(|_| ChannelError::UsedUp)?;
                Ok(frame)
            })
            .collect()
    }
}

/// Makes messages of frames.
pub(crate) struct Opener {
    state: Arc<StatelessTransportState>,
    nonce: u64,
    partial: Vec<u8>,
}

impl Opener {
    /// A message, when `frame` completes one. After an error the channel must be closed.
    pub(crate) fn open(&mut self, frame: &[u8]) -> Result<Option<Vec<u8>>, ChannelError> {
        if frame.len() <= TAG || frame.len() > MAX_FRAME {
            return Err(ChannelError::Size);
        }
        let mut plain = vec![0; frame.len()];
        let length = self.state.read_message(self.nonce, frame, &mut plain);
        plain.truncate(length.map_err(|_| ChannelError::Frame)?);
        self.nonce += 1;
        let (mark, chunk) = plain.split_first().ok_or(ChannelError::Size)?;
        if self.partial.len() + chunk.len() > MAX_MESSAGE || chunk.is_empty() {
            return Err(ChannelError::Size);
        }
        match *mark {
            LAST if self.partial.is_empty() => {
                plain.remove(0);
                Ok(Some(plain))
            }
            LAST => {
                self.partial.extend_from_slice(chunk);
                Ok(Some(std::mem::take(&mut self.partial)))
            }
            // Only full chunks go on: nobody makes many small ones of a message.
            MORE if chunk.len() == MAX_CHUNK => {
                self.partial.extend_from_slice(chunk);
                Ok(None)
            }
            _ => Err(ChannelError::Size),
        }
    }
}

/// x25519-dalek for keys, ring for the cipher, BLAKE2s from snow.
struct Resolver;

impl CryptoResolver for Resolver {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        RingResolver.resolve_rng()
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        (*choice == DHChoice::Curve25519).then(|| Box::new(Exchange::default()) as Box<dyn Dh>)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        DefaultResolver.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        RingResolver.resolve_cipher(choice)
    }
}

/// A key pair whose secret half is wiped when dropped.
#[derive(Default)]
struct Exchange {
    secret: Zeroizing<[u8; 32]>,
    public: [u8; 32],
}

impl Dh for Exchange {
    fn name(&self) -> &'static str {
        "25519"
    }

    fn pub_len(&self) -> usize {
        32
    }

    fn priv_len(&self) -> usize {
        32
    }

    fn set(&mut self, secret: &[u8]) {
        self.secret.copy_from_slice(secret);
        let secret = StaticSecret::from(*self.secret);
        self.public = x25519_dalek::PublicKey::from(&secret).to_bytes();
    }

    fn generate(&mut self, random: &mut dyn Random) -> Result<(), snow::Error> {
        let mut secret = Zeroizing::new([0; 32]);
        random.try_fill_bytes(&mut *secret)?;
        self.set(&*secret);
        Ok(())
    }

    fn pubkey(&self) -> &[u8] {
        &self.public
    }

    fn privkey(&self) -> &[u8] {
        &*self.secret
    }

    fn dh(&self, theirs: &[u8], out: &mut [u8]) -> Result<(), snow::Error> {
        // snow's buffers for keys are larger than a key of this curve.
        let theirs = theirs.first_chunk::<32>().ok_or(snow::Error::Dh)?;
        let out = out.first_chunk_mut::<32>().ok_or(snow::Error::Dh)?;
        let shared = StaticSecret::from(*self.secret)
            .diffie_hellman(&x25519_dalek::PublicKey::from(*theirs));
        if !shared.was_contributory() {
            return Err(snow::Error::Dh);
        }
        out.copy_from_slice(shared.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests;
