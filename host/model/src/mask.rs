//! Hides secrets in text.
//!
//! A text is searched once for all secrets, so that thousands of them cost no more than one. Where
//! secrets overlap, all of what they cover is hidden.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use crate::plan::MASK;

/// Shorter texts are not masked inside other texts: a password `x` would hide every x.
const SHORTEST: usize = 4;

/// A set of secrets, ready for hiding them.
#[derive(Clone, Debug, Default)]
pub struct Mask {
    /// Texts that are hidden when they are all there is.
    whole: BTreeSet<String>,
    /// What is hidden inside other texts, by its first bytes, the longest first.
    inside: HashMap<[u8; SHORTEST], Vec<String>>,
}

impl Mask {
    /// Hides `secrets` as they are, as they stand in a JSON text, and as they stand in a URL. Of a
    /// secret with several lines each line is hidden.
    pub fn new<'s>(secrets: impl IntoIterator<Item = &'s str>) -> Self {
        let mut mask = Self::default();
        let mut forms = BTreeSet::new();
        for secret in secrets.into_iter().filter(|secret| !secret.is_empty()) {
            mask.whole.insert(secret.to_owned());
            forms.insert(secret.to_owned());
            forms.extend(secret.lines().map(|line| line.trim_end().to_owned()));
            let quoted = Value::from(secret).to_string();
            forms.extend(quoted.get(1..quoted.len() - 1).map(str::to_owned));
            forms.insert(percent_encoded(secret));
        }
        for form in forms {
            if let Some(start) = form.as_bytes().first_chunk() {
                mask.inside.entry(*start).or_default().push(form);
            }
        }
        for forms in mask.inside.values_mut() {
            forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
        }
        mask
    }

    /// `text` with every secret replaced by `***`.
    pub fn apply(&self, text: &str) -> String {
        if self.whole.contains(text) {
            return MASK.to_owned();
        }
        let mut shown = String::with_capacity(text.len());
        // Up to where the text is copied or hidden.
        let (mut done, mut hidden_to) = (0, 0);
        for at in 0..text.len() {
            let Some(length) = self.secret_at(&text.as_bytes()[at..]) else { continue };
            if at >= hidden_to {
                shown.push_str(text.get(done.max(hidden_to)..at).unwrap_or_default());
                shown.push_str(MASK);
                done = at;
            }
            hidden_to = hidden_to.max(at + length);
        }
        shown.push_str(text.get(done.max(hidden_to)..).unwrap_or_default());
        shown
    }

    /// Replaces every secret in the strings of a JSON value.
    pub fn apply_to(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.apply(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.apply_to(item)),
            Value::Object(fields) => fields.values_mut().for_each(|field| self.apply_to(field)),
            _ => {}
        }
    }

    /// The length of the longest secret that `bytes` begin with.
    fn secret_at(&self, bytes: &[u8]) -> Option<usize> {
        let forms = self.inside.get(bytes.first_chunk()?)?;
        forms.iter().find(|form| bytes.starts_with(form.as_bytes())).map(String::len)
    }
}

/// As in the user or password of a URL.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_hidden_in_every_form() {
        let mask =
            Mask::new(["pa\"ss w\u{f6}rd", "x", "two\nlines here", "abcdef", "cdefgh", "é€é€"]);
        for (text, shown) in [
            ("x", "***"),
            ("next exit", "next exit"),
            ("a pa\"ss w\u{f6}rd b", "a *** b"),
            (r#"{"pass":"pa\"ss wörd"}"#, r#"{"pass":"***"}"#),
            ("tcp://me:pa%22ss%20w%C3%B6rd@h", "tcp://me:***@h"),
            ("first lines here", "first ***"),
            ("1abcdefgh2", "1***2"),
            ("abcdefabcdef", "******"),
            ("abcde", "abcde"),
            ("üé€é€ü", "ü***ü"),
            ("", ""),
        ] {
            assert_eq!(mask.apply(text), shown);
        }
        assert_eq!(Mask::default().apply("abcdef"), "abcdef");
    }

    #[test]
    fn what_is_hidden_in_json_is_hidden_at_every_depth() {
        let mut value = json!({ "a": ["abcdef", { "b": "my abcdef" }], "n": 7 });
        Mask::new(["abcdef"]).apply_to(&mut value);
        assert_eq!(value, json!({ "a": ["***", { "b": "my ***" }], "n": 7 }));
    }
}
