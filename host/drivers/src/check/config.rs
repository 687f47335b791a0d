//! Configurations to ask with, made from a driver's schema.

use adit_plugin_api::{Config, Value};
use serde_json::{Map, json};

use crate::{
    check::{
        Suite,
        rules::{self, Findings},
    },
    handle::Driver,
};

/// How deep a schema is followed; one that refers to itself has no end.
const DEEPEST: usize = 8;

/// What a planted secret begins with. Nothing else in a plan has it.
const PLANTED: &str = "adit-check-secret-";

impl Suite {
    /// Looks at the schema and finds a configuration to plan with.
    pub(super) fn takes_configurations(&mut self) {
        let description = self.driver.description().clone();
        let schema = &description.config_schema;
        self.findings.judge(&rules::SCHEMA, schema_notes(schema));
        self.findings.judge(&rules::SECRETS_MARKED, unmarked(schema));
        self.findings.judge(&rules::DEFAULTS, default_notes(schema, &description.defaults));
        self.config = match self.given.take() {
            Some(given) => self.take(&given, "the configuration that was given"),
            None => self.find_example(schema),
        };
        if self.config.is_some() {
            self.findings.pass(&rules::EXAMPLE);
        }
    }

    fn take(&mut self, config: &Config, whose: &str) -> Option<Config> {
        match self.driver.complete(config) {
            Ok(config) => Some(config),
            Err(error) => {
                self.findings.fail(&rules::EXAMPLE, format!("{whose}: {error}"));
                None
            }
        }
    }

    fn find_example(&mut self, schema: &Value) -> Option<Config> {
        if let Some(example) = schema.pointer("/examples/0").and_then(Value::as_object) {
            return self.take(&Config(example.clone()), "the schema's own example");
        }
        let made = match sample(schema, schema, 0) {
            Value::Object(fields) => Config(fields),
            _ => Config::default(),
        };
        self.take(&made, "a configuration made from the schema's types")
    }
}

/// What is missing in a schema for an operator to fill in a form by it.
fn schema_notes(schema: &Value) -> Vec<String> {
    if schema.is_null() {
        return vec!["there is no schema: the host takes any object".to_owned()];
    }
    let mut notes = Vec::new();
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return vec!["the schema names no properties".to_owned()];
    };
    for (name, field) in properties {
        let text = resolve(schema, field).get("description").or_else(|| field.get("description"));
        if text.and_then(Value::as_str).is_none_or(|text| text.trim().is_empty()) {
            notes.push(format!("{name}: no description"));
        }
    }
    let closed = ["additionalProperties", "unevaluatedProperties"]
        .iter()
        .any(|word| schema.get(word) == Some(&Value::Bool(false)));
    if !closed {
        notes.push(
            "an unknown field is accepted: \"additionalProperties\": false is missing".into(),
        );
    }
    notes
}

/// Fields that sound like secrets and are not marked as such.
fn unmarked(schema: &Value) -> Vec<String> {
    let mut notes = Vec::new();
    each_text(schema, schema, "", 0, &mut |path, name, field| {
        let sounds = ["pass", "password", "secret", "token", "wallet", "apikey", "privatekey"];
        let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        let plain = plain.to_ascii_lowercase();
        let secret = sounds.iter().any(|word| plain == *word || plain.ends_with(word));
        if secret && !is_secret(field) {
            notes.push(format!("{path}: not marked with \"writeOnly\": true"));
        }
    });
    notes
}

/// Defaults that the schema does not know or would refuse.
fn default_notes(schema: &Value, defaults: &Value) -> Vec<String> {
    let mut notes = Vec::new();
    let properties = schema.get("properties").and_then(Value::as_object);
    for (name, value) in defaults.as_object().into_iter().flatten() {
        let Some(field) = properties.and_then(|properties| properties.get(name)) else {
            notes.push(format!("{name}: the schema has no such field"));
            continue;
        };
        // References inside the field are to the whole schema.
        let mut alone = Map::new();
        for place in ["$defs", "definitions"] {
            alone.extend(schema.get(place).map(|it| (place.to_owned(), it.clone())));
        }
        alone.insert("properties".to_owned(), json!({ name: field }));
        let fits = jsonschema::options().build(&Value::Object(alone));
        if !fits.is_ok_and(|fits| fits.is_valid(&json!({ name: value }))) {
            notes.push(format!("{name}: the schema refuses its default"));
        }
    }
    notes
}

/// A configuration with a recognisable text in one field that is marked as secret.
pub(super) struct Planted {
    /// The field's path.
    pub(super) path: String,
    pub(super) secret: String,
    pub(super) config: Config,
}

/// One configuration for each secret field that can be filled in, and the paths of those that
/// cannot.
pub(super) fn plant(driver: &Driver, config: &Config) -> (Vec<Planted>, Vec<String>) {
    let schema = &driver.description().config_schema;
    let mut paths = Vec::new();
    each_text(schema, schema, "", 0, &mut |path, _, field| {
        if is_secret(field) {
            paths.push(path.to_owned());
        }
    });
    let (mut planted, mut left) = (Vec::new(), Vec::new());
    for (number, path) in paths.into_iter().enumerate() {
        let secret = format!("{PLANTED}{number}");
        let mut value = Value::Object(config.0.clone());
        put(schema, schema, &mut value, &path, &secret);
        let filled = value.as_object().cloned().map(Config);
        match filled.and_then(|config| driver.complete(&config).ok()) {
            Some(config) => planted.push(Planted { path, secret, config }),
            None => left.push(path),
        }
    }
    (planted, left)
}

/// Every text field of a schema: its path, its name and what the schema says of it.
fn each_text(
    root: &Value,
    schema: &Value,
    path: &str,
    depth: usize,
    see: &mut impl FnMut(&str, &str, &Value),
) {
    if depth > DEEPEST {
        return;
    }
    let schema = resolve(root, schema);
    for (name, field) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let place = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let resolved = resolve(root, field);
        if resolved.get("type").and_then(Value::as_str) == Some("string") {
            see(&place, name, resolved);
        }
        each_text(root, field, &place, depth + 1, see);
    }
    if let Some(items) = schema.get("items") {
        each_text(root, items, &format!("{path}[0]"), depth + 1, see);
    }
}

fn is_secret(field: &Value) -> bool {
    field.get("writeOnly").and_then(Value::as_bool).unwrap_or_default()
}

/// Puts `text` at `path`, making what lies between from the schema.
fn put(root: &Value, schema: &Value, value: &mut Value, path: &str, text: &str) {
    let schema = resolve(root, schema);
    let (step, rest) = match path.find(['.', '[']) {
        Some(0) => (&path[..3], path[3..].trim_start_matches('.')),
        Some(end) => (&path[..end], path[end..].trim_start_matches('.')),
        None => (path, ""),
    };
    let (next_schema, next) = if step == "[0]" {
        let items = resolve(root, schema.get("items").unwrap_or(&Value::Null));
        if value.as_array().is_none_or(Vec::is_empty) {
            *value = json!([sample(root, items, 0)]);
        }
        (items, value.get_mut(0))
    } else {
        let field = schema.pointer(&format!("/properties/{step}")).unwrap_or(&Value::Null);
        let fields = value.as_object_mut();
        let next = fields.map(|fields| {
            fields.entry(step).or_insert_with(|| sample(root, resolve(root, field), 0))
        });
        (field, next)
    };
    let Some(next) = next else { return };
    if rest.is_empty() {
        *next = Value::from(text);
    } else {
        put(root, next_schema, next, rest, text);
    }
}

/// A value that the schema may take: its own example or default, else the simplest of its type.
fn sample(root: &Value, schema: &Value, depth: usize) -> Value {
    let schema = resolve(root, schema);
    let own = ["/examples/0", "/default", "/const", "/enum/0"];
    if let Some(value) = own.iter().find_map(|place| schema.pointer(place)) {
        return value.clone();
    }
    let number = |name| schema.get(name).and_then(Value::as_u64);
    match schema.get("type").and_then(Value::as_str) {
        Some("string") => {
            let least = number("minLength").and_then(|it| usize::try_from(it).ok()).unwrap_or(0);
            let text = if schema.get("format").and_then(Value::as_str) == Some("uri") {
                "http://pool.example:3333"
            } else {
                "example"
            };
            json!(format!("{text:x<least$}"))
        }
        Some("integer" | "number") => {
            let above = number("exclusiveMinimum").map(|least| least + 1);
            json!(number("minimum").or(above).unwrap_or(1))
        }
        Some("boolean") => json!(false),
        Some("array") => {
            let items = schema.get("items").filter(|_| depth < DEEPEST);
            let count = number("minItems").unwrap_or(0).min(4);
            let item = |_| items.map_or(Value::Null, |items| sample(root, items, depth + 1));
            Value::Array((0..count).map(item).collect())
        }
        _ if depth >= DEEPEST => Value::Null,
        _ => {
            let required = schema.get("required").and_then(Value::as_array);
            let names = required.into_iter().flatten().filter_map(Value::as_str);
            let fields = names.map(|name| {
                let field = schema.pointer(&format!("/properties/{name}"));
                (name.to_owned(), field.map_or(Value::Null, |it| sample(root, it, depth + 1)))
            });
            Value::Object(fields.collect())
        }
    }
}

/// Follows a reference inside the same schema.
fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let mut schema = schema;
    for _ in 0..DEEPEST {
        let target = schema.get("$ref").and_then(Value::as_str);
        match target.and_then(|it| root.pointer(it.strip_prefix('#')?)) {
            Some(next) => schema = next,
            None => break,
        }
    }
    schema
}

/// Fails the example when a plan is refused for it.
pub(super) fn refused(findings: &mut Findings, message: &str) {
    findings.fail(&rules::EXAMPLE, format!("start refuses it: {message}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> Value {
        json!({
            "additionalProperties": false,
            "required": ["pools", "threads"],
            "$defs": { "pool": {
                "properties": {
                    "url": { "type": "string", "minLength": 9 },
                    "pass": { "type": "string", "writeOnly": true }
                },
                "required": ["url"]
            } },
            "properties": {
                "pools": { "description": "d", "type": "array", "minItems": 1,
                    "items": { "$ref": "#/$defs/pool" } },
                "threads": { "description": "d", "type": "integer", "minimum": 2 },
                "apiToken": { "type": "string" }
            }
        })
    }

    #[test]
    fn a_sample_has_what_is_required() {
        let sample = sample(&schema(), &schema(), 0);
        assert_eq!(sample, json!({ "pools": [{ "url": "examplexx" }], "threads": 2 }));
    }

    #[test]
    fn a_secret_is_planted_below_arrays_and_references() {
        let mut value = json!({ "threads": 2 });
        put(&schema(), &schema(), &mut value, "pools[0].pass", "hidden");
        assert_eq!(value["pools"], json!([{ "url": "examplexx", "pass": "hidden" }]));
    }

    #[test]
    fn what_a_schema_lacks_is_named() {
        assert_eq!(schema_notes(&schema()), ["apiToken: no description"]);
        assert_eq!(unmarked(&schema()).len(), 1);
        assert!(unmarked(&schema())[0].starts_with("apiToken: "));
        let notes = default_notes(&schema(), &json!({ "threads": 1, "thraeds": 2 }));
        assert_eq!(notes.len(), 2, "{notes:?}");
        assert_eq!(default_notes(&schema(), &json!({ "threads": 3 })), Vec::<String>::new());
    }

    #[test]
    fn a_schema_that_refers_to_itself_has_an_end() {
        let schema = json!({
            "required": ["a"], "properties": { "a": { "$ref": "#" } }
        });
        assert!(sample(&schema, &schema, 0).is_object());
        each_text(&schema, &schema, "", 0, &mut |_, _, _| {});
    }
}
