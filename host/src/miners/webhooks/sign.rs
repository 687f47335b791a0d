//! Signatures after the specification "Standard Webhooks", for which receivers find libraries in
//! every language: HMAC-SHA256 over `id.timestamp.body`, in Base64.

use std::fmt;

use data_encoding::BASE64;
use ring::hmac;
use serde::Deserialize;
use zeroize::Zeroizing;

/// What a secret in Base64 begins with.
const PREFIX: &str = "whsec_";
/// Shortest key, in bytes.
const KEY_BYTES: usize = 24;

/// A secret that the host shares with a receiver. It is never shown.
#[derive(Clone, Deserialize)]
#[serde(from = "String")]
pub struct WebhookSecret(Zeroizing<String>);

impl From<String> for WebhookSecret {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("[redacted]")
    }
}

/// Signs what is sent to one receiver.
pub(super) struct Key(hmac::Key);

impl WebhookSecret {
    /// Whether it can be used.
    ///
    /// # Errors
    /// What to write instead.
    pub fn check(&self) -> Result<(), String> {
        self.key().map(|_| ())
    }

    /// The key in it: of `whsec_` and Base64 the bytes behind it, of any other text its own bytes.
    pub(super) fn key(&self) -> Result<Key, String> {
        let text = self.0.trim();
        let bytes = match text.strip_prefix(PREFIX) {
            Some(encoded) => BASE64
                .decode(encoded.as_bytes())
                .map_err(|_| format!("what follows {PREFIX} in the secret is not Base64"))?,
            None => text.as_bytes().to_vec(),
        };
        let bytes = Zeroizing::new(bytes);
        if bytes.len() < KEY_BYTES {
            return Err(format!(
                "the secret has {} bytes, write at least {KEY_BYTES}: {PREFIX} and what \
                 `openssl rand -base64 32` prints",
                bytes.len()
            ));
        }
        Ok(Key(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }
}

impl Key {
    /// The value of `webhook-signature` for a delivery at `at_s` (Unix seconds).
    pub(super) fn sign(&self, id: &str, at_s: i64, body: &[u8]) -> String {
        let mut signing = hmac::Context::with_key(&self.0);
        signing.update(format!("{id}.{at_s}.").as_bytes());
        signing.update(body);
        format!("v1,{}", BASE64.encode(signing.sign().as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_what_other_implementations_compute() {
        let secret =
            WebhookSecret::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLw9NBySyZ/Qk0hE=".to_owned());
        let key = secret.key().unwrap();
        let signed =
            key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b"{\"test\": 2432232314}");
        assert_eq!(signed, "v1,I74jiYwPjrYSz6bZSZmJUAzZ09PZOrBa2xsSlnqP3sY=");
    }

    #[test]
    fn weak_secrets_are_refused_and_none_is_shown() {
        for (text, expected) in [
            ("short", "the secret has 5 bytes"),
            ("whsec_AAAA", "the secret has 3 bytes"),
            ("whsec_not base 64", "is not Base64"),
        ] {
            let error = WebhookSecret::from(text.to_owned()).check().unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
        let secret = WebhookSecret::from("a sentence that nobody guesses".to_owned());
        secret.check().unwrap();
        assert_eq!(format!("{secret:?}"), "[redacted]");
    }
}
