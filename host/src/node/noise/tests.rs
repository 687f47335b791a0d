//! Handshake and channel against whoever sits between two nodes.

use super::*;

fn key(byte: u8) -> SecretKey {
    SecretKey::from_bytes(&Zeroizing::new([byte; 32]))
}

const PSK: [u8; 32] = [9; 32];
const INVITE: Mode = Mode::Pairing([1, 2, 3, 4, 5, 6, 7, 8]);

/// The two ends of a channel between a dialler and a listener.
fn channels(mode: Mode) -> (Channel, Channel) {
    let (dialler, listener) = (key(1), key(2));
    let (dialling, first) =
        Dialling::begin(&dialler, &listener.public(), mode, Some(&PSK)).unwrap();
    let (listening, who) = Listening::begin(&listener, &first, Some(&PSK)).unwrap();
    assert_eq!(who, dialler.public());
    let (theirs, answer) = listening.finish(b"welcome").unwrap();
    let (ours, payload) = dialling.finish(&answer).unwrap();
    assert_eq!(payload, b"welcome");
    (ours, theirs)
}

fn sealed(channel: &mut Channel, message: &[u8]) -> Vec<u8> {
    let mut frames = channel.sealer.seal(message).unwrap();
    assert_eq!(frames.len(), 1);
    frames.remove(0)
}

#[test]
fn messages_of_every_size_arrive_both_ways() {
    for mode in [Mode::Session, INVITE] {
        let (mut a, mut b) = channels(mode);
        for length in [1, 2, MAX_CHUNK - 1, MAX_CHUNK, MAX_CHUNK + 1, 300_000, MAX_MESSAGE] {
            let message: Vec<u8> = (0..length).map(|n| n.to_le_bytes()[0]).collect();
            let frames = a.sealer.seal(&message).unwrap();
            assert!(frames.iter().all(|frame| frame.len() <= MAX_FRAME));
            let opened: Vec<_> = frames.iter().map(|it| b.opener.open(it).unwrap()).collect();
            let (last, others) = opened.split_last().unwrap();
            assert!(others.iter().all(Option::is_none));
            assert_eq!(last.as_deref(), Some(&message[..]));
            let back = sealed(&mut b, b"x");
            assert_eq!(a.opener.open(&back).unwrap().unwrap(), b"x");
        }
        assert_eq!(a.sealer.seal(b""), Err(ChannelError::Size));
        assert_eq!(a.sealer.seal(&vec![0; MAX_MESSAGE + 1]), Err(ChannelError::Size));
    }
}

#[test]
fn any_flipped_bit_anywhere_ends_it() {
    for mode in [Mode::Session, INVITE] {
        let (dialler, listener) = (key(1), key(2));
        let begin = || Dialling::begin(&dialler, &listener.public(), mode, Some(&PSK)).unwrap();
        let (_, first) = begin();
        for bit in 0..first.len() * 8 {
            let mut changed = first.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(Listening::begin(&listener, &changed, Some(&PSK)).is_err(), "bit {bit}");
        }
        let (_, answer) =
            Listening::begin(&listener, &first, Some(&PSK)).unwrap().0.finish(b"hello").unwrap();
        for bit in (0..answer.len() * 8).step_by(3) {
            let (dialling, first) = begin();
            let (listening, _) = Listening::begin(&listener, &first, Some(&PSK)).unwrap();
            let (_, mut answer) = listening.finish(b"hello").unwrap();
            answer[bit / 8] ^= 1 << (bit % 8);
            assert!(dialling.finish(&answer).is_err(), "bit {bit}");
        }
    }
    let (mut a, _) = channels(Mode::Session);
    let length = sealed(&mut a, b"data").len();
    for bit in 0..length * 8 {
        let (mut a, mut b) = channels(Mode::Session);
        let mut frame = sealed(&mut a, b"data");
        frame[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(b.opener.open(&frame), Err(ChannelError::Frame), "bit {bit}");
    }
}

#[test]
fn frames_cut_at_every_byte_are_refused() {
    let (dialler, listener) = (key(1), key(2));
    let (_, first) = Dialling::begin(&dialler, &listener.public(), INVITE, Some(&PSK)).unwrap();
    for length in 0..first.len() {
        assert!(Listening::begin(&listener, &first[..length], Some(&PSK)).is_err(), "{length}");
    }
    let (mut a, _) = channels(Mode::Session);
    let whole = sealed(&mut a, b"some data").len();
    for length in 0..whole {
        let (mut a, mut b) = channels(Mode::Session);
        let frame = sealed(&mut a, b"some data");
        assert!(b.opener.open(&frame[..length]).is_err(), "{length}");
    }
}

#[test]
fn replayed_reflected_reordered_and_foreign_frames_are_refused() {
    let (mut a, mut b) = channels(Mode::Session);
    let (one, two) = (sealed(&mut a, b"one"), sealed(&mut a, b"two"));
    assert_eq!(b.opener.open(&two), Err(ChannelError::Frame), "reordered");
    assert_eq!(a.opener.open(&one), Err(ChannelError::Frame), "reflected");
    assert!(b.opener.open(&one).is_ok());
    assert_eq!(b.opener.open(&one), Err(ChannelError::Frame), "replayed");
    let (mut other, _) = channels(Mode::Session);
    let foreign = sealed(&mut other, b"two");
    assert_eq!(b.opener.open(&foreign), Err(ChannelError::Frame), "of another session");
    assert!(b.opener.open(&two).is_ok());
}

#[test]
fn a_replayed_first_frame_gives_no_channel() {
    let (dialler, listener) = (key(1), key(2));
    let (dialling, first) =
        Dialling::begin(&dialler, &listener.public(), Mode::Session, None).unwrap();
    let finish = || Listening::begin(&listener, &first, None).unwrap().0.finish(b"").unwrap();
    let (_, answer) = finish();
    let (mut ours, _) = dialling.finish(&answer).unwrap();
    let confirmation = sealed(&mut ours, b"handshake");
    // The attacker has both frames and sends them again; the answer is a fresh one.
    let (mut theirs, _) = finish();
    assert_eq!(theirs.opener.open(&confirmation), Err(ChannelError::Frame));
}

#[test]
fn wrong_keys_and_secrets_are_refused() {
    let (dialler, listener, other) = (key(1), key(2), key(3));
    let (_, first) = Dialling::begin(&dialler, &listener.public(), Mode::Session, None).unwrap();
    let refused = |result: Result<_, ChannelError>| result.err() == Some(ChannelError::Handshake);
    assert!(refused(Listening::begin(&other, &first, None)), "a fake listener");
    let (_, first) = Dialling::begin(&dialler, &listener.public(), INVITE, Some(&PSK)).unwrap();
    assert!(refused(Listening::begin(&listener, &first, Some(&[8; 32]))), "a wrong secret");
    assert!(refused(Listening::begin(&listener, &first, None)), "no secret");
    assert!(Dialling::begin(&dialler, &listener.public(), INVITE, None).is_err());
}

/// Keys of an attacker who has the secret key of `listener` and poses as `victim` towards it: of
/// the shared secrets that need the victim's secret key he can compute the one with the listener.
struct Stolen {
    listener: SecretKey,
    victim: PublicKey,
}

impl CryptoResolver for Stolen {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Resolver.resolve_rng()
    }

    fn resolve_dh(&self, _: &DHChoice) -> Option<Box<dyn Dh>> {
        let (listener, victim) = (self.listener.clone(), self.victim);
        Some(Box::new(Posing { listener, victim, own: Exchange::default(), poses: false }))
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        Resolver.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        Resolver.resolve_cipher(choice)
    }
}

struct Posing {
    listener: SecretKey,
    victim: PublicKey,
    own: Exchange,
    /// This is the static key, which only looks like the victim's.
    poses: bool,
}

impl Dh for Posing {
    fn name(&self) -> &'static str {
        self.own.name()
    }

    fn pub_len(&self) -> usize {
        32
    }

    fn priv_len(&self) -> usize {
        32
    }

    fn set(&mut self, secret: &[u8]) {
        self.poses = true;
        self.own.set(secret);
    }

    fn generate(&mut self, random: &mut dyn Random) -> Result<(), snow::Error> {
        self.own.generate(random)
    }

    fn pubkey(&self) -> &[u8] {
        if self.poses { self.victim.as_bytes() } else { self.own.pubkey() }
    }

    fn privkey(&self) -> &[u8] {
        self.own.privkey()
    }

    fn dh(&self, theirs: &[u8], out: &mut [u8]) -> Result<(), snow::Error> {
        if self.poses && theirs.starts_with(self.listener.public().as_bytes()) {
            let mut stolen = Exchange::default();
            stolen.set(&*self.listener.expose());
            return stolen.dh(self.victim.as_bytes(), out);
        }
        // With the listener's fresh key he can only guess.
        self.own.dh(theirs, out)
    }
}

/// The first frame of somebody who has the key of `listener` and poses as `victim`, and the state
/// that would take the answer.
pub(crate) fn posing(listener: &SecretKey, victim: PublicKey) -> (Vec<u8>, HandshakeState) {
    let header = Header { version: VERSION, mode: Mode::Session }.encode();
    let known = listener.public();
    let stolen = Stolen { listener: listener.clone(), victim };
    let mut state = Builder::with_resolver(SESSION.parse().unwrap(), Box::new(stolen))
        .prologue(&header)
        .and_then(|builder| builder.local_private_key(&[7; 32]))
        .and_then(|builder| builder.remote_public_key(known.as_bytes()))
        .and_then(Builder::build_initiator)
        .unwrap();
    let mut frame = vec![0; MAX_FIRST_FRAME];
    frame[..Header::BYTES].copy_from_slice(&header);
    let length = state.write_message(&[VERSION, VERSION], &mut frame[Header::BYTES..]).unwrap();
    frame.truncate(Header::BYTES + length);
    (frame, state)
}

#[test]
fn an_attacker_with_the_listeners_key_cannot_pose_as_another_to_it() {
    // Key-compromise impersonation: message 1 can be forged, the confirmation cannot.
    let (victim, listener) = (key(1), key(2));
    let (first, mut state) = posing(&listener, victim.public());
    let (listening, who) = Listening::begin(&listener, &first, None).unwrap();
    assert_eq!(who, victim.public(), "the first frame alone looks like the victim's");
    let (mut theirs, answer) = listening.finish(b"welcome").unwrap();
    let mut payload = vec![0; answer.len()];
    assert!(state.read_message(&answer, &mut payload).is_err(), "the answer can be read");
    // Whatever he sends instead of the confirmation is noticed.
    let (mut ours, _) = channels(Mode::Session);
    let confirmation = sealed(&mut ours, b"handshake");
    assert_eq!(theirs.opener.open(&confirmation), Err(ChannelError::Frame));
}

#[test]
fn low_order_points_are_refused() {
    let zero = PublicKey::new([0; 32]);
    assert!(Dialling::begin(&key(1), &zero, Mode::Session, None).is_err());
    let mut one = [0; 32];
    one[0] = 1;
    assert!(Dialling::begin(&key(1), &PublicKey::new(one), Mode::Session, None).is_err());
}

#[test]
fn headers_are_read_strictly() {
    for mode in [Mode::Session, INVITE] {
        let header = Header { version: VERSION, mode };
        assert_eq!(Header::decode(&header.encode()).unwrap(), (header, &[][..]));
    }
    let mut newer = Header { version: 2, mode: Mode::Session }.encode();
    assert_eq!(Header::decode(&newer), Err(ChannelError::Version { theirs: 2 }));
    newer[0] = b'X';
    assert_eq!(Header::decode(&newer), Err(ChannelError::NotOurs));
    assert_eq!(Header::decode(b""), Err(ChannelError::NotOurs));
    assert_eq!(Header::decode(&[0; MAX_FIRST_FRAME + 1]), Err(ChannelError::Size));
    let mut odd = Header { version: VERSION, mode: Mode::Session }.encode();
    odd[13] = 1;
    assert_eq!(Header::decode(&odd), Err(ChannelError::NotOurs));
}

#[test]
fn a_message_cannot_be_made_of_endless_or_empty_pieces() {
    let raw = |channel: &mut Channel, plain: &[u8]| {
        let mut frame = vec![0; plain.len() + TAG];
        let nonce = channel.sealer.nonce;
        channel.sealer.nonce += 1;
        channel.sealer.state.write_message(nonce, plain, &mut frame).unwrap();
        frame
    };
    for plain in [&b"\x00"[..], b"\x01small", b"\x02x", b"\x01"] {
        let (mut a, mut b) = channels(Mode::Session);
        let frame = raw(&mut a, plain);
        assert_eq!(b.opener.open(&frame), Err(ChannelError::Size), "{plain:?}");
    }
    let (mut a, mut b) = channels(Mode::Session);
    let mut more = vec![0; MAX_CHUNK + 1];
    more[0] = MORE;
    let refused = (0..100).find(|_| {
        let frame = raw(&mut a, &more);
        b.opener.open(&frame) == Err(ChannelError::Size)
    });
    assert_eq!(refused, Some(MAX_MESSAGE / MAX_CHUNK));
    assert!(b.opener.partial.len() <= MAX_MESSAGE);
    assert_eq!(b.opener.open(&[0; MAX_FRAME + 1]), Err(ChannelError::Size));
}
