//! Nodes: public keys, the ids that people read aloud, roles and rights.

use std::{fmt, str::FromStr};

use data_encoding::{BASE32_NOPAD, BASE64};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Letters of a node id that one check letter belongs to.
const CHECKED: usize = 13;
/// Letters in a group of a node id.
const GROUP: usize = 7;
/// Letters of a node id with its check letters.
const LETTERS: usize = 56;

/// An X25519 public key: who a node is.
#[derive(
    Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// The key with these bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The id of the node with this key.
    pub fn id(&self) -> NodeId {
        let digest = Sha256::digest(self.0);
        let plain = BASE32_NOPAD.encode(&digest);
        let mut letters = Vec::with_capacity(LETTERS);
        for part in plain.as_bytes().chunks(CHECKED) {
            letters.extend_from_slice(part);
            letters.push(check_letter(part));
        }
        NodeId(grouped(&letters))
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&BASE64.encode(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "PublicKey({self})")
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        key.to_string()
    }
}

/// A text that is no public key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a public key is 32 bytes in base64")]
pub struct BadKey;

impl TryFrom<String> for PublicKey {
    type Error = BadKey;

    fn try_from(text: String) -> Result<Self, BadKey> {
        let bytes = BASE64.decode(text.as_bytes()).map_err(|_| BadKey)?;
        Ok(Self(bytes.try_into().map_err(|_| BadKey)?))
    }
}

/// A node's id: derived from its key, with check letters, in groups that can be read aloud.
///
/// For people and addresses; what is allowed depends on the key alone.
#[derive(
    Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
pub struct NodeId(String);

impl NodeId {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first group: enough for people to tell the nodes of a log apart.
    pub fn short(&self) -> &str {
        self.0.get(..GROUP).unwrap_or_default()
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl From<NodeId> for String {
    fn from(id: NodeId) -> Self {
        id.0
    }
}

impl TryFrom<String> for NodeId {
    type Error = BadId;

    fn try_from(text: String) -> Result<Self, BadId> {
        text.parse()
    }
}

/// A text that is no node id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadId {
    /// Too short, too long, or with other characters.
    #[error("a node id has 8 groups of 7 letters and digits, such as DCZIW76-…")]
    Shape,
    /// A letter is wrong.
    #[error("the node id has a typing error in its {part} fourth")]
    Check {
        /// Which part of the text.
        part: &'static str,
    },
}

impl FromStr for NodeId {
    type Err = BadId;

    /// Takes lower case, any dashes and spaces, and 0, 1, 8 for O, I, B.
    fn from_str(text: &str) -> Result<Self, BadId> {
        if text.len() > 2 * LETTERS {
            return Err(BadId::Shape);
        }
        let letters: Vec<u8> = text
            .bytes()
            .filter(|byte| !matches!(byte, b'-' | b' '))
            .map(|byte| match byte.to_ascii_uppercase() {
                b'0' => b'O',
                b'1' => b'I',
                b'8' => b'B',
                other => other,
            })
            .collect();
        if letters.len() != LETTERS || !letters.iter().all(|letter| value(*letter).is_some()) {
            return Err(BadId::Shape);
        }
        for (part, name) in letters.chunks(CHECKED + 1).zip(["first", "second", "third", "last"]) {
            if check_letter(&part[..CHECKED]) != part[CHECKED] {
                return Err(BadId::Check { part: name });
            }
        }
        Ok(Self(grouped(&letters)))
    }
}

fn grouped(letters: &[u8]) -> String {
    let mut text = String::with_capacity(LETTERS + LETTERS / GROUP);
    for group in letters.chunks(GROUP) {
        if !text.is_empty() {
            text.push('-');
        }
        text.extend(group.iter().copied().map(char::from));
    }
    text
}

/// The value of a letter in base32.
fn value(letter: u8) -> Option<u8> {
    match letter {
        b'A'..=b'Z' => Some(letter - b'A'),
        b'2'..=b'7' => Some(letter - b'2' + 26),
        _ => None,
    }
}

/// The Luhn check letter of base32 text, as Syncthing computes it: weights 1, 2, 1, 2…
fn check_letter(part: &[u8]) -> u8 {
    let mut sum = 0u32;
    for (letter, weight) in part.iter().zip([1u32, 2].into_iter().cycle()) {
        let weighted = weight * u32::from(value(*letter).unwrap_or(0));
        sum += weighted / 32 + weighted % 32;
    }
    let check = (32 - sum % 32) % 32;
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[check as usize]
}

/// What a node is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NodeRole {
    /// May command, obeys nobody.
    Controller,
    /// Obeys, commands nobody.
    Worker,
    /// Both.
    Dual,
}

impl NodeRole {
    /// The role's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Controller => "controller",
            Self::Worker => "worker",
            Self::Dual => "dual",
        }
    }

    /// Whether a node of this role may send commands at all.
    pub fn commands(self) -> bool {
        self != Self::Worker
    }

    /// Whether a node of this role carries out commands at all.
    pub fn obeys(self) -> bool {
        self != Self::Controller
    }
}

impl fmt::Display for NodeRole {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// A text that names no role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no such role: write controller, worker or dual")]
pub struct NoSuchNodeRole;

impl FromStr for NodeRole {
    type Err = NoSuchNodeRole;

    fn from_str(text: &str) -> Result<Self, NoSuchNodeRole> {
        [Self::Controller, Self::Worker, Self::Dual]
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or(NoSuchNodeRole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the tests of Syncthing, whose ids have this form.
    const KNOWN: &str = "P56IOI7-MZJNU2Y-IQGDREY-DM2MGTI-MGL3BXN-PQ6W5BM-TBBZ4TJ-XZWICQ2";

    #[test]
    fn ids_are_read_as_people_write_them() {
        for text in [
            KNOWN.to_owned(),
            KNOWN.to_lowercase(),
            KNOWN.replace('-', ""),
            KNOWN.replace('-', " "),
            KNOWN.replace('O', "0").replace('I', "1").replace('B', "8"),
        ] {
            assert_eq!(text.parse::<NodeId>().unwrap().as_str(), KNOWN, "{text}");
        }
    }

    #[test]
    fn every_single_wrong_letter_is_noticed() {
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        let mut tried = 0;
        for at in 0..KNOWN.len() {
            if KNOWN.as_bytes()[at] == b'-' {
                continue;
            }
            for letter in alphabet.iter().filter(|it| **it != KNOWN.as_bytes()[at]) {
                let mut text = KNOWN.as_bytes().to_vec();
                text[at] = *letter;
                let text = String::from_utf8(text).unwrap();
                assert!(matches!(text.parse::<NodeId>(), Err(BadId::Check { .. })), "{text}");
                tried += 1;
            }
        }
        assert_eq!(tried, 1_736);
    }

    #[test]
    fn other_texts_are_no_ids() {
        let long = "A".repeat(10_000);
        for text in ["", "A", &KNOWN[1..], &format!("{KNOWN}A"), "é", &long, "../../etc/passwd"] {
            assert_eq!(text.parse::<NodeId>(), Err(BadId::Shape), "{text}");
        }
    }

    #[test]
    fn an_id_comes_from_the_key_and_reads_back() {
        for byte in 0..=255 {
            let key = PublicKey::new([byte; 32]);
            assert_eq!(key.id().as_str().parse::<NodeId>().unwrap(), key.id());
            assert_eq!(PublicKey::try_from(key.to_string()).unwrap(), key);
        }
        assert_ne!(PublicKey::new([0; 32]).id(), PublicKey::new([1; 32]).id());
        assert_eq!(PublicKey::try_from("AAAA".to_owned()), Err(BadKey));
        assert_eq!(PublicKey::try_from("?".to_owned()), Err(BadKey));
    }
}
