//! The configuration: its schema, its defaults, and which of its values are secrets.

use std::collections::{BTreeMap, BTreeSet};

use adit_plugin_api::{Config, Result, Value, json};
use toml::Spanned;

use crate::{
    fault::{Lines, list},
    manifest::{Field, Kind},
};

/// What a field takes of a pool.
const OF_POOL: [(&str, &str); 7] = [
    ("url", "url"),
    ("uri", "uri"),
    ("raw_uri", "rawUri"),
    ("user", "user"),
    ("password", "password"),
    ("tls", "tls"),
    ("tls_fingerprint", "tlsFingerprint"),
];

/// The fields of the configuration.
pub(crate) struct Fields {
    schema: BTreeMap<String, Value>,
    required: BTreeSet<String>,
    defaults: BTreeMap<String, Value>,
    examples: BTreeMap<String, Value>,
    secrets: BTreeSet<String>,
    flags: BTreeSet<String>,
}

impl Fields {
    pub(crate) fn new(
        fields: &BTreeMap<String, Spanned<Field>>,
        lines: &Lines<'_>,
    ) -> Result<Self> {
        let mut all = Self {
            schema: BTreeMap::new(),
            required: BTreeSet::new(),
            defaults: BTreeMap::new(),
            examples: BTreeMap::new(),
            secrets: BTreeSet::new(),
            flags: BTreeSet::new(),
        };
        for (name, field) in fields {
            let fault = |problem: &str| lines.fault(field, &format!("config.{name}"), problem);
            all.add(name, field.get_ref()).map_err(|problem| fault(&problem))?;
        }
        Ok(all)
    }

    fn add(&mut self, name: &str, field: &Field) -> std::result::Result<(), String> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(is_name) {
            return Err(
                "write a name of letters, digits and _ that begins with a small letter".into()
            );
        }
        self.schema.insert(name.to_owned(), schema(field)?);
        if field.required {
            self.required.insert(name.to_owned());
        }
        if field.required && field.default.is_some() {
            return Err("it has a default, so nobody is required to give it: remove one".into());
        }
        for (given, to, what) in [
            (&field.default, &mut self.defaults, "default"),
            (&field.example, &mut self.examples, "example"),
        ] {
            let Some(given) = given else { continue };
            let value = value(given, field.kind)
                .ok_or_else(|| format!("its {what} is not {}", kind_name(field.kind)))?;
            if !field.choices.is_empty() && !is_choice(&value, &field.choices) {
                let choices = list(field.choices.iter().map(String::as_str));
                return Err(format!("its {what} is none of its choices: {choices}"));
            }
            to.insert(name.to_owned(), value);
        }
        match field.kind {
            Kind::Secret => drop(self.secrets.insert(name.to_owned())),
            Kind::Flag => drop(self.flags.insert(name.to_owned())),
            _ => {}
        }
        Ok(())
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.schema.keys().map(String::as_str)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.schema.contains_key(name)
    }

    /// Whether every configuration has a value for it.
    pub(crate) fn is_given(&self, name: &str) -> bool {
        self.required.contains(name)
            || self.defaults.contains_key(name)
            || self.flags.contains(name)
    }

    pub(crate) fn schema(&self) -> Value {
        let mut schema = json!({
            "type": "object",
            "properties": self.schema,
            "required": self.required,
            "additionalProperties": false,
        });
        if self.required.iter().all(|name| self.examples.contains_key(name)) {
            schema["examples"] = json!([self.examples]);
        }
        schema
    }

    pub(crate) fn defaults(&self) -> Value {
        json!(self.defaults)
    }

    /// The secret values in `config`.
    pub(crate) fn secrets(&self, config: &Config) -> Vec<String> {
        let values = self.secrets.iter().filter_map(|name| config.0.get(name)?.as_str());
        values.filter(|it| !it.is_empty()).map(str::to_owned).collect()
    }
}

/// Whether a field that is asked with `if` is there: a flag that is on, or any other value.
pub(crate) fn is_there(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(items)) => !items.is_empty(),
        Some(_) => true,
    }
}

fn schema(field: &Field) -> std::result::Result<Value, String> {
    if field.description.trim().is_empty() {
        return Err("its description is empty: say what it is for".into());
    }
    let is_text = matches!(field.kind, Kind::Text | Kind::Secret);
    let is_number = matches!(field.kind, Kind::Integer | Kind::Number);
    let mut schema = match field.kind {
        Kind::Text | Kind::Secret => json!({ "type": "string" }),
        Kind::Integer => json!({ "type": "integer" }),
        Kind::Number => json!({ "type": "number" }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::List => json!({ "type": "array", "items": { "type": "string", "minLength": 1 } }),
    };
    schema["description"] = json!(field.description);
    if field.kind == Kind::Secret {
        schema["writeOnly"] = json!(true);
    }
    if is_text {
        // A control character would act in what reads it.
        schema["pattern"] = match &field.pattern {
            None => json!("^[^\\u0000-\\u001f]*$"),
            Some(pattern) => json!(pattern.get_ref()),
        };
        schema["maxLength"] = json!(1_024);
        if field.required {
            schema["minLength"] = json!(1);
        }
    } else if field.pattern.is_some() {
        return Err("a pattern is for texts".into());
    }
    if !field.choices.is_empty() {
        if !is_text {
            return Err("choices are for texts".into());
        }
        schema["enum"] = json!(field.choices);
    }
    for (word, limit) in [("minimum", field.minimum), ("maximum", field.maximum)] {
        let Some(limit) = limit else { continue };
        if !is_number {
            return Err(format!("a {word} is for numbers"));
        }
        schema[word] = json!(limit);
    }
    if let Some(pool) = &field.pool {
        let known = OF_POOL.iter().find(|(word, _)| word == pool);
        let names = || list(OF_POOL.iter().map(|(word, _)| *word));
        let (_, hint) = known.ok_or_else(|| format!("pool = {pool:?}: write {}", names()))?;
        schema["x-adit-pool"] = json!(hint);
    }
    Ok(schema)
}

/// The value, if it is one of `kind`.
fn value(given: &toml::Value, kind: Kind) -> Option<Value> {
    match (kind, given) {
        (Kind::Text | Kind::Secret, toml::Value::String(text)) => Some(json!(text)),
        (Kind::Integer | Kind::Number, toml::Value::Integer(number)) => Some(json!(number)),
        (Kind::Number, toml::Value::Float(number)) => Some(json!(number)),
        (Kind::Flag, toml::Value::Boolean(flag)) => Some(json!(flag)),
        (Kind::List, toml::Value::Array(items)) => items
            .iter()
            .map(|it| it.as_str().map(Value::from))
            .collect::<Option<Vec<_>>>()
            .map(Value::from),
        _ => None,
    }
}

fn is_choice(value: &Value, choices: &[String]) -> bool {
    value.as_str().is_some_and(|it| choices.iter().any(|choice| choice == it))
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Text | Kind::Secret => "a text",
        Kind::Integer => "a whole number",
        Kind::Number => "a number",
        Kind::Flag => "true or false",
        Kind::List => "a list of texts",
    }
}
