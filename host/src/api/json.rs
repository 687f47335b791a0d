//! JSON from clients, read strictly: an object, no key twice, and errors that name the field.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};

/// Reads a `T` from a JSON object. The error is a sentence without any value of the body: it may
/// be a secret in the wrong place.
pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    // Some editors and shells put a byte order mark first; JSON has none.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let Unambiguous(value) = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if !value.is_object() {
        return Err("send a JSON object".to_owned());
    }
    serde_path_to_error::deserialize(value).map_err(|error| {
        let (path, what) = (error.path().to_string(), expectation(&error.inner().to_string()));
        if path == "." { what } else { format!("{path}: {what}") }
    })
}

/// serde's message without the value that it found.
fn expectation(message: &str) -> String {
    let tells_value =
        message.starts_with("invalid type: ") || message.starts_with("invalid value: ");
    match message.rsplit_once(", expected ").filter(|_| tells_value) {
        Some((_, what)) if what == "a map" || what.starts_with("struct ") => {
            "write a JSON object".to_owned()
        }
        Some((_, what)) => format!("expected {what}"),
        None => message.to_owned(),
    }
}

/// Any JSON in which no object has a key twice: of two, a reader would silently take one.
struct Unambiguous(Value);

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Reader).map(Self)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(Unambiguous(item)) = items.next_element()? {
            all.push(item);
        }
        Ok(all.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some(key) = fields.next_key::<String>()? {
            if all.contains_key(&key) {
                return Err(A::Error::custom(format!("the field {key:?} is there twice")));
            }
            let Unambiguous(value) = fields.next_value()?;
            all.insert(key, value);
        }
        Ok(all.into())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        name: String,
        inner: Option<Inner>,
        any: Option<Map<String, Value>>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Inner {
        count: u8,
    }

    fn refused(text: &str) -> String {
        read::<Sample>(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn what_is_read_is_what_was_sent() {
        let text = r#"{"name":"é","any":{"a":[null,true,-1,18446744073709551615,1.5,{"b":""}]}}"#;
        let read: Sample = read(text.as_bytes()).unwrap();
        let expected = json!({ "a": [null, true, -1, u64::MAX, 1.5, { "b": "" }] });
        assert_eq!((read.name.as_str(), Value::Object(read.any.unwrap())), ("é", expected));
    }

    #[test]
    fn errors_name_the_field_and_never_its_value() {
        for (text, expected) in [
            (r#"["hunter2"]"#, "send a JSON object"),
            (r#"{"name":"a","name":"b"}"#, "the field \"name\" is there twice at line 1"),
            (r#"{"name":"a","any":{"x":[{"y":1,"y":2}]}}"#, "the field \"y\" is there twice"),
            (r#"{"name":7}"#, "name: expected a string"),
            (r#"{"name":"a","inner":{"count":256}}"#, "inner.count: expected u8"),
            (r#"{"name":"a","inner":"hunter2, expected x"}"#, "inner: write a JSON object"),
            (r#"{"name":"a","any":"hunter2"}"#, "any: write a JSON object"),
            (r#"{"inner":{"count":1}}"#, "missing field `name`"),
        ] {
            let told = refused(text);
            assert!(told.starts_with(expected) && !told.contains("hunter2"), "{text}: {told}");
        }
        assert!(refused(r#"{"name":"a","colour":1}"#).contains("colour: unknown field"));
        assert!(refused(&"[".repeat(10_000)).contains("recursion limit"));
    }
}
