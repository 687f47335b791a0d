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

#[test]
fn an_attacker_with_the_listeners_key_cannot_pose_as_another_to_it() {
    // Key-compromise impersonation: message 1 can be forged, the confirmation cannot.
    let (victim, listener) = (key(1), key(2));
    let attacker = key(4);
    let (dialling, first) =
        Dialling::begin(&attacker, &listener.public(), Mode::Session, None).unwrap();
    let (listening, who) = Listening::begin(&listener, &first, None).unwrap();
    assert_ne!(who, victim.public());
    drop((dialling, listening));
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
