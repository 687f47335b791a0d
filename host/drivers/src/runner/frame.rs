//! What host and runner write to each other: frames with a length in front.
//!
//! ```text
//! length u32 | kind u8 | code u8 | object u32 | id u64 | parts u8 | for each: length u32, bytes
//! ```
//! Numbers are little-endian; the first length counts what follows it.

use std::io;

use adit_plugin_api::{
    Error,
    abi::{AbiError, code},
    question::Parts,
};

/// The largest frame that the host takes, in bytes: the largest reply of a driver and then some.
pub(crate) const MOST_FROM_RUNNER: usize = 8 << 20;
/// The largest frame that a runner takes, in bytes.
pub(crate) const MOST_FROM_HOST: usize = 64 << 20;
/// More parts than any question or answer has.
const MOST_PARTS: usize = 8;
/// Bytes before the parts, without the length in front.
const HEAD: usize = 15;

/// Asks a runner to load its library; the part is a [`LoadOrder`](super::LoadOrder).
pub(crate) const LOAD: u8 = 100;
/// Asks a runner to make an object; the part is the context.
pub(crate) const CREATE: u8 = 101;
/// Tells a runner to drop an object; the runner tells that it did.
pub(crate) const DROP: u8 = 102;
/// Services of the host, asked by a runner.
pub(crate) const LOG: u8 = 120;
pub(crate) const STORAGE_GET: u8 = 121;
pub(crate) const STORAGE_PUT: u8 = 122;
pub(crate) const STORAGE_KEYS: u8 = 123;
pub(crate) const PUBLISH: u8 = 124;
pub(crate) const SEND: u8 = 125;
pub(crate) const EVENT: u8 = 126;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A question; the other side answers under the same id.
    Ask = 1,
    /// The answer to a question.
    Answer = 2,
    /// A question went wrong: the kind of error and its message.
    Failure = 3,
    /// Needs no answer.
    Note = 4,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: Kind,
    /// What is asked: an entry point, or one of the constants above.
    pub(crate) code: u8,
    /// The driver's object that it is about.
    pub(crate) object: u32,
    /// Ties an answer to its question; each side counts its own questions.
    pub(crate) id: u64,
    pub(crate) parts: Parts,
}

impl Frame {
    /// The answer to this question.
    pub(crate) fn answer(&self, result: Result<Parts, Error>) -> Self {
        let (kind, parts) = match result {
            Ok(parts) => (Kind::Answer, parts),
            Err(error) => (Kind::Failure, failure(error)),
        };
        Self { kind, code: self.code, object: self.object, id: self.id, parts }
    }

    /// What an answer says.
    pub(crate) fn outcome(self) -> Result<Parts, Error> {
        if self.kind == Kind::Answer { Ok(self.parts) } else { Err(read_failure(self.parts)) }
    }

    /// The bytes to send. A frame with more than `most` bytes becomes the failure of its question.
    pub(crate) fn encode(&self, most: usize) -> Vec<u8> {
        let parts: usize = self.parts.iter().map(|part| 4 + part.len()).sum();
        let length = HEAD + parts;
        if length > most {
            let error = Error::failed(format!("{length} bytes, more than the {most} allowed"));
            return Self { parts: failure(error), kind: Kind::Failure, ..self.clone() }
                .encode(most);
        }
        let mut bytes = Vec::with_capacity(4 + length);
        bytes.extend(number(length).to_le_bytes());
        bytes.push(self.kind as u8);
        bytes.push(self.code);
        bytes.extend(self.object.to_le_bytes());
        bytes.extend(self.id.to_le_bytes());
        bytes.push(u8::try_from(self.parts.len()).unwrap_or(u8::MAX));
        for part in &self.parts {
            bytes.extend(number(part.len()).to_le_bytes());
            bytes.extend(part);
        }
        bytes
    }

    /// Reads what follows the first length.
    pub(crate) fn decode(body: &[u8]) -> io::Result<Self> {
        let mut rest = body;
        let kind = match take(&mut rest)? {
            [1] => Kind::Ask,
            [2] => Kind::Answer,
            [3] => Kind::Failure,
            [4] => Kind::Note,
            [other] => return Err(broken(&format!("a frame of the unknown kind {other}"))),
        };
        let [code] = take(&mut rest)?;
        let object = u32::from_le_bytes(take(&mut rest)?);
        let id = u64::from_le_bytes(take(&mut rest)?);
        let [count] = take(&mut rest)?;
        if usize::from(count) > MOST_PARTS {
            return Err(broken("a frame of too many parts"));
        }
        let mut parts = Parts::with_capacity(usize::from(count));
        for _ in 0..count {
            let length = u32::from_le_bytes(take(&mut rest)?);
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            let (part, after) = rest.split_at_checked(length).ok_or_else(ends_early)?;
            parts.push(part.to_vec());
            rest = after;
        }
        if !rest.is_empty() {
            return Err(broken("a frame with bytes after its end"));
        }
        Ok(Self { kind, code, object, id, parts })
    }
}

/// Checks the length in front of a frame.
pub(crate) fn length(bytes: [u8; 4], most: usize) -> io::Result<usize> {
    let length = usize::try_from(u32::from_le_bytes(bytes)).unwrap_or(usize::MAX);
    if (HEAD..=most).contains(&length) {
        return Ok(length);
    }
    Err(broken(&format!("a frame of {length} bytes, where {HEAD} to {most} are allowed")))
}

fn take<const N: usize>(rest: &mut &[u8]) -> io::Result<[u8; N]> {
    let (head, after) = rest.split_first_chunk().ok_or_else(ends_early)?;
    *rest = after;
    Ok(*head)
}

fn ends_early() -> io::Error {
    broken("a frame that ends early")
}

pub(crate) fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Lengths are below [`MOST_FROM_HOST`].
fn number(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn failure(error: Error) -> Parts {
    let AbiError { kind, message } = error.into();
    vec![vec![u8::try_from(kind).unwrap_or_default()], String::from(message).into_bytes()]
}

fn read_failure(parts: Parts) -> Error {
    let mut parts = parts.into_iter();
    let kind = parts.next().and_then(|part| part.first().copied());
    let message = parts.next().unwrap_or_default();
    let message = String::from_utf8_lossy(&message).into_owned();
    let kind = kind.map_or(code::FAILED, u32::from);
    AbiError { kind, message: message.into() }.into()
}

#[cfg(test)]
mod tests {
    use adit_plugin_api::ErrorKind;

    use super::*;

    fn frame(parts: Parts) -> Frame {
        Frame { kind: Kind::Ask, code: LOG, object: 7, id: u64::MAX, parts }
    }

    #[test]
    fn a_frame_comes_back_as_it_was() {
        for parts in [vec![], vec![vec![]], vec![b"a".to_vec(), vec![0; 70_000], vec![]]] {
            let bytes = frame(parts.clone()).encode(MOST_FROM_HOST);
            let (head, body) = bytes.split_first_chunk().unwrap();
            assert_eq!(length(*head, MOST_FROM_HOST).unwrap(), body.len());
            assert_eq!(Frame::decode(body).unwrap(), frame(parts));
        }
    }

    #[test]
    fn an_error_keeps_its_kind_and_message() {
        let error = Error { kind: ErrorKind::Panicked, message: "the driver panicked".to_owned() };
        let answer = frame(Vec::new()).answer(Err(error.clone()));
        assert_eq!(answer.kind, Kind::Failure);
        assert_eq!(answer.outcome(), Err(error));
        let odd = Frame { kind: Kind::Failure, ..frame(vec![vec![200], vec![0xff]]) };
        assert_eq!(odd.outcome().unwrap_err().kind, ErrorKind::Failed);
    }

    #[test]
    fn what_is_too_large_becomes_the_failure_of_its_question() {
        let bytes = frame(vec![vec![0; 1000]]).encode(500);
        assert!(bytes.len() < 200);
        let error = Frame::decode(&bytes[4..]).unwrap().outcome().unwrap_err();
        assert_eq!(error.message, "1019 bytes, more than the 500 allowed");
    }

    #[test]
    fn garbage_is_refused_without_a_panic() {
        for bad in [[0, 0, 0, 0], [1, 0, 0, 0], [0xff; 4]] {
            assert!(length(bad, MOST_FROM_RUNNER).is_err());
        }
        let good = frame(vec![b"text".to_vec(), b"x".to_vec()]).encode(MOST_FROM_HOST);
        for end in 0..good.len() - 4 {
            assert!(Frame::decode(&good[4..4 + end]).is_err(), "{end}");
        }
        let mut state = 11_u64;
        for round in 0..20_000_u64 {
            let mut bytes = good[4..].to_vec();
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(round);
            let at = usize::try_from(state >> 33).unwrap() % bytes.len();
            bytes[at] ^= state.to_le_bytes()[3];
            drop(Frame::decode(&bytes));
        }
    }
}
