//! Whether a configuration is one that a driver understands.
//!
//! Messages name fields, never what is in them: any field may hold a wallet or a password.

mod hints;

use std::collections::BTreeSet;

use adit_plugin_api::{Config, Description};
use jsonschema::{
    PatternOptions, ValidationError, Validator, error::ValidationErrorKind, paths::LocationSegment,
};
use serde_json::{Map, Value};

use crate::text::one_line;
use adit_model::{path::FieldPath, resolve::PoolSlots};

/// How many problems are told at once.
const MOST_PROBLEMS: usize = 5;

/// Why a configuration was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .problems.join("; "))]
pub struct ConfigError {
    /// At most five sentences, each with the path of its field: `pools[0].url: …`.
    pub problems: Vec<String>,
}

/// What a driver says of its configuration, ready for use.
#[derive(Debug)]
pub(crate) struct ConfigSchema {
    /// `None`: the driver takes any object.
    validator: Option<Validator>,
    defaults: Map<String, Value>,
    schema: Value,
    pool_slots: PoolSlots,
}

impl ConfigSchema {
    /// Reads the schema and the defaults of a description. The error is one line.
    pub(crate) fn new(description: &Description) -> Result<Self, String> {
        let defaults = match &description.defaults {
            Value::Null => Map::new(),
            Value::Object(defaults) => defaults.clone(),
            _ => return Err("the defaults of its configuration are no object".to_owned()),
        };
        let schema = description.config_schema.clone();
        let pool_slots = hints::pool_slots(&schema);
        if schema.is_null() {
            return Ok(Self { validator: None, defaults, schema, pool_slots });
        }
        // The plain engine takes time in proportion to the text, whatever the pattern.
        let options = jsonschema::options().with_pattern_options(PatternOptions::regex());
        let validator = options.build(&schema).map_err(|error| {
            one_line(&format!("the schema of its configuration is unusable: {error}"))
        })?;
        Ok(Self { validator: Some(validator), defaults, schema, pool_slots })
    }

    /// Where a configuration takes pools.
    pub(crate) fn pool_slots(&self) -> &PoolSlots {
        &self.pool_slots
    }

    /// Which values of `config` are secrets.
    pub(crate) fn secrets(&self, config: &Config) -> BTreeSet<FieldPath> {
        hints::secrets(&self.schema, &config.0)
    }

    /// `config` with the defaults of the top-level fields that it leaves out.
    pub(crate) fn complete(&self, config: &Config) -> Result<Config, ConfigError> {
        let mut fields = self.defaults.clone();
        fields.extend(config.0.clone());
        let Some(validator) = &self.validator else {
            return Ok(Config(fields));
        };
        let value = Value::Object(fields);
        let mut problems = Vec::new();
        for error in validator.iter_errors(&value) {
            describe(&error, &self.schema, &mut problems);
            if problems.len() >= MOST_PROBLEMS {
                break;
            }
        }
        problems.truncate(MOST_PROBLEMS);
        match value {
            Value::Object(fields) if problems.is_empty() => Ok(Config(fields)),
            _ => Err(ConfigError { problems }),
        }
    }
}

fn describe(error: &ValidationError<'_>, schema: &Value, problems: &mut Vec<String>) {
    let path = path(error);
    let mut tell = |field: &str, what: &str| {
        let field = match (path.is_empty(), field.is_empty()) {
            (false, false) => format!("{path}.{field}"),
            (true, false) => field.to_owned(),
            (false, true) => path.clone(),
            (true, true) => "the configuration".to_owned(),
        };
        problems.push(one_line(&format!("{field}: {what}")));
    };
    match error.kind() {
        ValidationErrorKind::Required { property } => {
            tell(property.as_str().unwrap_or_default(), "missing");
        }
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            for field in unexpected.iter().take(MOST_PROBLEMS) {
                tell(field, "unknown field");
            }
        }
        ValidationErrorKind::FalseSchema => tell("", "not allowed here"),
        ValidationErrorKind::AnyOf { .. } | ValidationErrorKind::OneOfNotValid { .. } => {
            tell("", "matches none of the forms that the schema allows");
        }
        ValidationErrorKind::OneOfMultipleValid { .. } => {
            tell("", "matches more than one of the forms that exclude each other");
        }
        ValidationErrorKind::Not { .. } => tell("", "has a form that the schema excludes"),
        ValidationErrorKind::UniqueItems => tell("", "has the same item twice"),
        ValidationErrorKind::Pattern { .. } => match hints::sentence(schema, error) {
            Some(sentence) => tell("", sentence),
            None => tell("", &error.masked_with("it").to_string()),
        },
        _ => tell("", &error.masked_with("it").to_string()),
    }
}

/// `pools[0].url`
fn path(error: &ValidationError<'_>) -> String {
    let mut path = String::new();
    for segment in error.instance_path() {
        match segment {
            LocationSegment::Index(index) => path.push_str(&format!("[{index}]")),
            LocationSegment::Property(name) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(&name);
            }
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use adit_plugin_api::json;

    use super::*;

    fn schema() -> ConfigSchema {
        let config_schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {
                "pools": {
                    "type": "array",
                    "minItems": 1,
                    "uniqueItems": true,
                    "items": {
                        "type": "object",
                        "properties": {
                            "url": { "type": "string", "pattern": "^[a-z.]+:[0-9]+$" },
                            "user": { "type": "string", "maxLength": 5, "writeOnly": true },
                            "pass": {
                                "oneOf": [{ "const": "x" }, { "type": "integer" }],
                                "writeOnly": true,
                            },
                        },
                        "required": ["url"],
                        "additionalProperties": false,
                    },
                },
                "threads": { "type": "integer", "minimum": 1, "maximum": 1024 },
                "mode": { "enum": ["light", "fast"] },
                "secret": { "not": { "type": "string" }, "writeOnly": true },
            },
            "required": ["pools"],
            "additionalProperties": false,
        });
        let defaults = json!({ "threads": 2, "mode": "light" });
        ConfigSchema::new(&Description { config_schema, defaults, ..Description::default() })
            .unwrap()
    }

    fn config(value: &Value) -> Config {
        serde_json::from_value(value.clone()).unwrap()
    }

    fn check(value: &Value, problems: &[&str]) {
        let error = schema().complete(&config(value)).unwrap_err();
        assert_eq!(error.problems, problems, "{value}");
        assert!(!error.to_string().contains("hunter2"));
    }

    #[test]
    fn what_is_left_out_is_filled_in() {
        let given = json!({ "pools": [{ "url": "a.b:1" }], "threads": 4 });
        let completed = schema().complete(&config(&given)).unwrap();
        let expected = json!({ "pools": [{ "url": "a.b:1" }], "threads": 4, "mode": "light" });
        assert_eq!(Value::Object(completed.0), expected);
    }

    #[test]
    fn a_problem_names_its_field_and_never_its_value() {
        let pool = json!([{ "url": "a.b:1" }]);
        check(&json!({}), &["pools: missing"]);
        check(&json!({ "pools": [{}] }), &["pools[0].url: missing"]);
        check(
            &json!({ "pools": [{ "url": "hunter2" }] }),
            &[r#"pools[0].url: it does not match "^[a-z.]+:[0-9]+$""#],
        );
        check(
            &json!({ "pools": [{ "url": "a.b:1" }, { "url": 7 }] }),
            &[r#"pools[1].url: it is not of type "string""#],
        );
        check(
            &json!({ "pools": [{ "url": "a.b:1", "user": "hunter2" }] }),
            &["pools[0].user: it is longer than 5 characters"],
        );
        check(
            &json!({ "pools": [{ "url": "a.b:1", "pass": "hunter2" }] }),
            &["pools[0].pass: matches none of the forms that the schema allows"],
        );
        check(
            &json!({ "pools": pool, "secret": "hunter2" }),
            &["secret: has a form that the schema excludes"],
        );
        check(
            &json!({ "pools": pool, "threads": 0 }),
            &["threads: it is less than the minimum of 1"],
        );
        check(
            &json!({ "pools": pool, "mode": "hunter2" }),
            &[r#"mode: it is not one of "light" or "fast""#],
        );
        check(
            &json!({ "pools": [{ "url": "a.b:1" }, { "url": "a.b:1" }] }),
            &["pools: has the same item twice"],
        );
    }

    #[test]
    fn a_drivers_own_sentence_replaces_its_regular_expression() {
        let config_schema = json!({
            "properties": {
                "pool": { "$ref": "#/$defs/pool" },
                "list": { "items": { "pattern": "^a$", "x-adit-error": "write the letter a" } },
            },
            "$defs": { "pool": { "pattern": "^[a-z]+:[0-9]+$", "x-adit-error": "write host:port" } },
        });
        let description = Description { config_schema, ..Description::default() };
        let schema = ConfigSchema::new(&description).unwrap();
        let given = json!({ "pool": "hunter2", "list": ["a", "hunter2"] });
        let mut problems = schema.complete(&config(&given)).unwrap_err().problems;
        problems.sort();
        assert_eq!(problems, ["list[1]: write the letter a", "pool: write host:port"]);
    }

    #[test]
    fn an_unknown_field_is_refused_by_name() {
        let given = json!({ "pools": [{ "url": "a.b:1", "pasword": "hunter2" }], "colour": 1 });
        let error = schema().complete(&config(&given)).unwrap_err();
        let mut problems = error.problems;
        problems.sort();
        assert_eq!(problems, ["colour: unknown field", "pools[0].pasword: unknown field"]);
    }

    #[test]
    fn at_most_five_problems_are_told() {
        let pools: Vec<_> = (0..50).map(|number| json!({ "no": number })).collect();
        let error = schema().complete(&config(&json!({ "pools": pools }))).unwrap_err();
        assert_eq!(error.problems.len(), MOST_PROBLEMS);
        let many: Map<_, _> = (0..50).map(|number| (format!("f{number}"), json!(1))).collect();
        assert_eq!(schema().complete(&Config(many)).unwrap_err().problems.len(), MOST_PROBLEMS);
    }

    #[test]
    fn a_schema_that_cannot_be_used_is_told_on_one_line() {
        let new = |config_schema, defaults| {
            ConfigSchema::new(&Description { config_schema, defaults, ..Description::default() })
                .map(|_| ())
        };
        assert_eq!(new(Value::Null, Value::Null), Ok(()));
        assert_eq!(new(json!(true), json!({})), Ok(()));
        let unusable = "the schema of its configuration is unusable: ";
        for bad in [
            json!({ "type": "objekt" }),
            json!({ "properties": { "a": { "pattern": "(" } } }),
            json!({ "$ref": "#/nowhere" }),
            json!({ "$ref": "file:///etc/passwd" }),
            json!({ "$ref": "http://127.0.0.1:1/schema" }),
            json!("text"),
        ] {
            let error = new(bad.clone(), Value::Null).unwrap_err();
            assert!(error.starts_with(unusable) && !error.contains('\n'), "{bad}: {error}");
        }
        let error = new(Value::Null, json!([])).unwrap_err();
        assert_eq!(error, "the defaults of its configuration are no object");
    }
}
