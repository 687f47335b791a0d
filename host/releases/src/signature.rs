//! OpenPGP: whether a text was signed by the key with a pinned fingerprint.

use pgp::{
    composed::{Deserializable, DetachedSignature, SignedPublicKey},
    crypto::hash::HashAlgorithm,
    packet::SignatureType,
    types::KeyDetails,
};

/// Checks that `signature`, armoured or binary, is a detached signature of exactly the bytes of
/// `text` by `key` or a signing subkey of it, and that `key` has `fingerprint`.
///
/// The bytes count: a text whose line ends were changed on the way is another text. How long the
/// key is valid is not judged: it is pinned by the driver, and old releases stay installable.
///
/// # Errors
/// What is wrong, for the operator.
pub(crate) fn check(
    text: &[u8],
    signature: &[u8],
    key: &[u8],
    fingerprint: &str,
) -> Result<(), String> {
    let key = pinned_key(key, fingerprint)?;
    let signatures = signatures(signature)?;
    let mut reason = "it has no signature".to_owned();
    for signature in &signatures {
        match one(text, signature, &key) {
            Ok(()) => return Ok(()),
            Err(why) => reason = why,
        }
    }
    Err(reason)
}

/// A fingerprint as people write it, as lower-case hex without spaces.
pub(crate) fn plain_fingerprint(text: &str) -> Option<String> {
    let hex: String = text.chars().filter(|it| !it.is_whitespace()).collect();
    let right = hex.len() == 40 && hex.bytes().all(|it| it.is_ascii_hexdigit());
    right.then(|| hex.to_ascii_lowercase())
}

fn pinned_key(key: &[u8], fingerprint: &str) -> Result<SignedPublicKey, String> {
    let wanted =
        plain_fingerprint(fingerprint).ok_or("the pinned fingerprint is no 40 hex digits")?;
    let (keys, _) = SignedPublicKey::from_reader_many(key)
        .map_err(|error| format!("the key cannot be read ({error})"))?;
    let mut others = Vec::new();
    // A key file may hold several keys, and damaged ones too.
    for key in keys.take(MAX_KEYS).flatten() {
        let own = hex(key.primary_key.fingerprint().as_bytes());
        if own == wanted {
            return usable(key);
        }
        others.push(own);
    }
    Err(match others.as_slice() {
        [] => "the key file holds no key".to_owned(),
        _ => format!("the key has the fingerprint {}, not the pinned {wanted}", others.join(", ")),
    })
}

/// Keys and signatures that are looked at in one file.
const MAX_KEYS: usize = 16;

fn usable(key: SignedPublicKey) -> Result<SignedPublicKey, String> {
    let revoked = |it: &pgp::packet::Signature| it.verify_key(&key.primary_key).is_ok();
    if key.details.revocation_signatures.iter().any(revoked) {
        return Err("the key was revoked by its owner".to_owned());
    }
    Ok(key)
}

fn signatures(bytes: &[u8]) -> Result<Vec<DetachedSignature>, String> {
    let (found, _) = DetachedSignature::from_reader_many(bytes)
        .map_err(|error| format!("the signature cannot be read ({error})"))?;
    found
        .take(MAX_KEYS)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("the signature cannot be read ({error})"))
}

fn one(text: &[u8], signature: &DetachedSignature, key: &SignedPublicKey) -> Result<(), String> {
    let packet = &signature.signature;
    if !matches!(packet.typ(), Some(SignatureType::Binary | SignatureType::Text)) {
        return Err("it is a signature of another kind".to_owned());
    }
    let strong = [HashAlgorithm::Sha256, HashAlgorithm::Sha384, HashAlgorithm::Sha512];
    if !packet.hash_alg().is_some_and(|it| strong.contains(&it)) {
        return Err("the signature uses a hash that is not safe".to_owned());
    }
    if signature.verify(&key.primary_key, text).is_ok() {
        return Ok(());
    }
    let mut signing = key.public_subkeys.iter().filter(|subkey| may_sign(subkey, key));
    if signing.any(|subkey| signature.verify(&subkey.key, text).is_ok()) {
        return Ok(());
    }
    let fingerprint = hex(key.primary_key.fingerprint().as_bytes());
    Err(format!("the signature is not one of this text by the key {fingerprint}"))
}

fn may_sign(subkey: &pgp::composed::SignedPublicSubKey, key: &SignedPublicKey) -> bool {
    let revoked =
        subkey.signatures.iter().any(|it| it.typ() == Some(SignatureType::SubkeyRevocation));
    !revoked
        && subkey.signatures.iter().any(|it| it.key_flags().sign())
        && subkey.verify_bindings(&key.primary_key).is_ok()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
