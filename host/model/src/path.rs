//! Where a value stands in a JSON document, as people write it: `pools[0].url`.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The way from the top of a document to one of its values.
#[derive(
    Clone,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(transparent)]
pub struct FieldPath(Vec<Step>);

/// One step down.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(untagged)]
pub enum Step {
    /// Into a list.
    Index(usize),
    /// Into an object.
    Field(String),
}

impl FieldPath {
    /// The field `name` of the top object.
    pub fn of(name: &str) -> Self {
        Self::default().field(name)
    }

    /// The field `name` of the object here.
    pub fn field(&self, name: &str) -> Self {
        self.step(Step::Field(name.to_owned()))
    }

    /// The item `index` of the list here.
    pub fn index(&self, index: usize) -> Self {
        self.step(Step::Index(index))
    }

    fn step(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    /// The steps from the top.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// The first `count` steps.
    pub fn prefix(&self, count: usize) -> Self {
        Self(self.0.iter().take(count).cloned().collect())
    }

    /// All but the first `count` steps.
    pub fn suffix(&self, count: usize) -> Self {
        Self(self.0.iter().skip(count).cloned().collect())
    }

    /// This path, seen from the top of a document in which it begins at `at`.
    pub fn below(&self, at: &Self) -> Self {
        Self(at.0.iter().chain(&self.0).cloned().collect())
    }

    /// The value here, if `value` has one.
    pub fn get<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        self.0.iter().try_fold(value, |value, step| match step {
            Step::Index(index) => value.get(index),
            Step::Field(name) => value.get(name),
        })
    }

    /// The same, to be changed.
    pub fn get_mut<'v>(&self, value: &'v mut Value) -> Option<&'v mut Value> {
        self.0.iter().try_fold(value, |value, step| match step {
            Step::Index(index) => value.get_mut(index),
            Step::Field(name) => value.get_mut(name),
        })
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(out, "[{index}]")?,
                Step::Field(name) if number == 0 => out.write_str(name)?,
                Step::Field(name) => write!(out, ".{name}")?,
            }
        }
        Ok(())
    }
}

/// Every value of `value` that holds no other, with its path; empty lists and objects are such.
pub fn leaves(value: &Value) -> Vec<(FieldPath, &Value)> {
    let mut found = Vec::new();
    collect(value, &FieldPath::default(), &mut found);
    found
}

fn collect<'v>(value: &'v Value, at: &FieldPath, found: &mut Vec<(FieldPath, &'v Value)>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            fields.iter().for_each(|(name, value)| collect(value, &at.field(name), found));
        }
        Value::Array(items) if !items.is_empty() => {
            { items.iter().enumerate() }
                .for_each(|(index, value)| collect(value, &at.index(index), found));
        }
        leaf => found.push((at.clone(), leaf)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn leaves_are_told_by_their_paths() {
        let value = json!({ "a.b": [{ "c": 1 }, []], "d": { "0": null }, "e": {} });
        let found = leaves(&value);
        let shown: Vec<_> = found.iter().map(|(path, _)| path.to_string()).collect();
        assert_eq!(shown, ["a.b[0].c", "a.b[1]", "d.0", "e"]);
        for (path, leaf) in &found {
            assert_eq!(path.get(&value), Some(*leaf));
            let stored = serde_json::to_string(path).unwrap();
            assert_eq!(serde_json::from_str::<FieldPath>(&stored).unwrap(), *path, "{stored}");
        }
    }
}
