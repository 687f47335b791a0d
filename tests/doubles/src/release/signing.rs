//! A key made for one test, and what is signed with it.

use std::sync::LazyLock;

use pgp::{
    composed::{
        ArmorOptions, DetachedSignature, EncryptionCaps, KeyType, SecretKeyParamsBuilder,
        SignedPublicKey, SignedSecretKey, SubkeyParamsBuilder,
    },
    crypto::hash::HashAlgorithm,
    types::{KeyDetails, Password},
};
use rand_08::rngs::OsRng;

/// A key that signs.
pub struct Signer {
    key: SignedSecretKey,
    hash: HashAlgorithm,
    by_subkey: bool,
}

/// The publisher.
pub static PUBLISHER: LazyLock<Signer> = LazyLock::new(|| Signer::new(KeyType::Ed25519Legacy));
/// Somebody else.
pub static STRANGER: LazyLock<Signer> = LazyLock::new(|| Signer::new(KeyType::Ed25519Legacy));
/// Signs over a hash that is broken, which only old kinds of key can.
pub static OLD: LazyLock<Signer> =
    LazyLock::new(|| Signer { hash: HashAlgorithm::Sha1, ..Signer::new(KeyType::Rsa(2048)) });

impl Signer {
    fn new(kind: KeyType) -> Self {
        let subkey = SubkeyParamsBuilder::default()
            .key_type(KeyType::Ed25519Legacy)
            .can_sign(true)
            .can_encrypt(EncryptionCaps::None)
            .build()
            .unwrap();
        let key = SecretKeyParamsBuilder::default()
            .key_type(kind)
            .can_certify(true)
            .can_sign(true)
            .can_encrypt(EncryptionCaps::None)
            .primary_user_id("Publisher <publisher@example.com>".to_owned())
            .subkeys(vec![subkey])
            .build()
            .unwrap()
            .generate(OsRng)
            .unwrap();
        Self { key, hash: HashAlgorithm::Sha256, by_subkey: false }
    }

    /// The same key, signing with its subkey.
    pub fn subkey(&self) -> Self {
        Self { key: self.key.clone(), hash: self.hash, by_subkey: true }
    }

    /// Fingerprint of the key, 40 hex digits.
    pub fn fingerprint(&self) -> String {
        self.key.fingerprint().to_string()
    }

    /// The public key, armoured.
    pub fn public(&self) -> String {
        let public = SignedPublicKey::from(self.key.clone());
        public.to_armored_string(ArmorOptions::default()).unwrap()
    }

    /// An armoured detached signature of `text`.
    pub fn sign(&self, text: &[u8]) -> String {
        let password = Password::empty();
        let signature = if self.by_subkey {
            let key = &self.key.secret_subkeys[0].key;
            DetachedSignature::sign_binary_data(OsRng, key, &password, self.hash, text)
        } else {
            let key = &self.key.primary_key;
            DetachedSignature::sign_binary_data(OsRng, key, &password, self.hash, text)
        };
        signature.unwrap().to_armored_string(ArmorOptions::default()).unwrap()
    }
}
