//! What a driver's schema says beside its rules: which fields are secret, and where pools go.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use jsonschema::ValidationError;
use serde_json::{Map, Value};

use adit_model::{
    path::FieldPath,
    resolve::{PoolField, PoolSlots},
    secrets::sounds_secret,
};

/// The keyword that says what a field takes of a pool: `list` at an array of pools, or a
/// [`PoolField`] at one of their fields. Without a list the fields stand at the top.
const POOL: &str = "x-adit-pool";
/// The keyword next to a pattern, with the sentence for a value that it refuses.
const SENTENCE: &str = "x-adit-error";
/// Longest way through a schema: one that refers to itself has no end.
const DEEPEST: usize = 32;

/// Where the configurations of `schema` take pools.
pub(super) fn pool_slots(schema: &Value) -> PoolSlots {
    let properties = properties(schema, schema);
    let list = properties.iter().find(|(_, field)| field[POOL] == "list");
    match list {
        Some((name, field)) => {
            let items = followed(schema, &field["items"]);
            let fields = marked(&self::properties(schema, items));
            PoolSlots { list: Some((*name).clone()), fields }
        }
        None => PoolSlots { list: None, fields: marked(&properties) },
    }
}

/// What the driver says instead of the regular expression that refused a value.
pub(super) fn sentence<'s>(schema: &'s Value, error: &ValidationError<'_>) -> Option<&'s str> {
    let pattern = error.schema_path().as_str();
    schema.pointer(pattern.rsplit_once('/')?.0)?[SENTENCE].as_str()
}

fn marked(properties: &[(&String, &Value)]) -> BTreeMap<PoolField, String> {
    let mut fields = BTreeMap::new();
    for (name, field) in properties {
        // A mark that this version does not know is for a newer one.
        if let Ok(part) = serde_json::from_value::<PoolField>(field[POOL].clone()) {
            fields.entry(part).or_insert_with(|| (*name).clone());
        }
    }
    fields
}

fn properties<'s>(root: &'s Value, schema: &'s Value) -> Vec<(&'s String, &'s Value)> {
    let properties = followed(root, schema)["properties"].as_object();
    { properties.into_iter().flatten() }.map(|(name, it)| (name, followed(root, it))).collect()
}

/// The schema that `schema` refers to, or itself.
fn followed<'s>(root: &'s Value, schema: &'s Value) -> &'s Value {
    let mut schema = schema;
    for _ in 0..DEEPEST {
        let target = schema["$ref"].as_str().and_then(|to| to.strip_prefix('#'));
        match target.and_then(|pointer| root.pointer(pointer)) {
            Some(target) => schema = target,
            None => break,
        }
    }
    schema
}

/// Values of `config` that `schema` marks with `writeOnly`, or whose names sound secret.
pub(super) fn secrets(schema: &Value, config: &Map<String, Value>) -> BTreeSet<FieldPath> {
    let config = Value::Object(config.clone());
    let mut search = Search { root: schema, seen: HashSet::new(), found: BTreeSet::new() };
    search.go(schema, &config, &FieldPath::default());
    let mut found = search.found;
    by_name(&config, &FieldPath::default(), &mut found);
    found
}

struct Search<'s> {
    root: &'s Value,
    /// Which schema was held against which value: one that refers to itself would have no end.
    seen: HashSet<(*const Value, FieldPath)>,
    found: BTreeSet<FieldPath>,
}

impl<'s> Search<'s> {
    fn go(&mut self, schema: &'s Value, value: &Value, at: &FieldPath) {
        if !schema.is_object() || !self.seen.insert((schema, at.clone())) {
            return;
        }
        if schema["writeOnly"] == true {
            self.found.insert(at.clone());
            return;
        }
        self.go(followed(self.root, schema), value, at);
        for several in ["allOf", "anyOf", "oneOf"] {
            let several = schema[several].as_array();
            several.into_iter().flatten().for_each(|schema| self.go(schema, value, at));
        }
        ["if", "then", "else"].into_iter().for_each(|one| self.go(&schema[one], value, at));
        for (name, value) in value.as_object().into_iter().flatten() {
            let at = at.field(name);
            let own = schema["properties"].get(name);
            self.go(own.unwrap_or(&schema["additionalProperties"]), value, &at);
            let patterns = schema["patternProperties"].as_object();
            // Of a pattern that does not match, a secret too many is hidden.
            patterns.into_iter().flatten().for_each(|(_, schema)| self.go(schema, value, &at));
        }
        for (index, value) in value.as_array().into_iter().flatten().enumerate() {
            let own = schema["prefixItems"].get(index);
            self.go(own.unwrap_or(&schema["items"]), value, &at.index(index));
        }
    }
}

fn by_name(value: &Value, at: &FieldPath, found: &mut BTreeSet<FieldPath>) {
    for (name, value) in value.as_object().into_iter().flatten() {
        let at = at.field(name);
        if sounds_secret(name) {
            found.insert(at);
        } else {
            by_name(value, &at, found);
        }
    }
    for (index, value) in value.as_array().into_iter().flatten().enumerate() {
        by_name(value, &at.index(index), found);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(schema: &Value, config: &Value) -> Vec<String> {
        let secrets = secrets(schema, config.as_object().unwrap());
        secrets.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn secrets_are_found_wherever_the_schema_marks_them() {
        let schema = json!({
            "properties": {
                "wallet": { "writeOnly": true },
                "pools": { "items": { "$ref": "#/$defs/pool" } },
                "pair": { "prefixItems": [{}, { "writeOnly": true }], "items": {} },
                "any": { "anyOf": [{ "properties": { "deep": { "writeOnly": true } } }, {}] },
                "more": { "additionalProperties": { "writeOnly": true } },
            },
            "allOf": [{ "properties": { "both": { "writeOnly": true } } }],
            "$defs": {
                "pool": {
                    "properties": {
                        "key": { "writeOnly": true },
                        "next": { "$ref": "#/$defs/pool" },
                    },
                },
            },
        });
        let config = json!({
            "wallet": "w", "both": "b", "plain": "p",
            "pools": [{ "key": "k", "url": "u" }, { "next": { "next": { "key": "k" } } }],
            "pair": ["a", "b", "c"], "any": { "deep": 1 }, "more": { "x": 1 },
        });
        assert_eq!(
            found(&schema, &config),
            [
                "any.deep",
                "both",
                "more.x",
                "pair[1]",
                "pools[0].key",
                "pools[1].next.next.key",
                "wallet"
            ]
        );
    }

    #[test]
    fn names_that_sound_secret_are_secret_without_a_schema() {
        let config = json!({ "http": { "access-token": "t" }, "list": [{ "pass": "p" }], "a": 1 });
        let round = json!({ "anyOf": [{ "$ref": "#" }, { "$ref": "#" }], "then": { "$ref": "#" } });
        for schema in [Value::Null, json!(true), json!({ "$ref": "#" }), round] {
            assert_eq!(found(&schema, &config), ["http.access-token", "list[0].pass"]);
        }
    }

    #[test]
    fn pools_go_where_the_schema_says() {
        let item = json!({
            "properties": {
                "url": { "x-adit-pool": "url" },
                "wallet": { "x-adit-pool": "user" },
                "second": { "x-adit-pool": "user" },
                "new": { "x-adit-pool": "colour" },
            },
        });
        let list = json!({
            "properties": {
                "pool": { "type": "string" },
                "pools": { "x-adit-pool": "list", "items": { "$ref": "#/$defs/item" } },
            },
            "$defs": { "item": item },
        });
        let fields = |slots: &PoolSlots| {
            let fields = slots.fields.iter().map(|(part, field)| format!("{part:?} {field}"));
            fields.collect::<Vec<_>>()
        };
        let slots = pool_slots(&list);
        assert_eq!(slots.list.as_deref(), Some("pools"));
        assert_eq!(fields(&slots), ["Url url", "User second"]);
        let slots = pool_slots(&item);
        assert_eq!((slots.list.as_deref(), fields(&slots).len()), (None, 2));
        for none in [Value::Null, json!(true), json!({}), json!({ "properties": [] })] {
            assert_eq!(pool_slots(&none), PoolSlots::default());
        }
    }
}
