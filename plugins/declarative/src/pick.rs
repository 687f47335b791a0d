//! Single values of replies: where they are and in which unit.

use adit_plugin_api::{Reply, Value};
use regex::{Regex, RegexBuilder};

use crate::manifest::PickTable;

/// What an expression may take when it is compiled, in bytes.
const LARGEST: usize = 1 << 20;

/// Longest text that is taken from a program.
const LONGEST: usize = 300;

/// What a value is, which says what units there are.
#[derive(Clone, Copy)]
pub(crate) enum Quantity {
    Hashrate,
    Seconds,
    Milliseconds,
    /// 0 to 1.
    Share,
    Watts,
    /// It has no unit.
    Plain,
}

/// Where a value is.
pub(crate) struct Pick {
    pub(crate) probe: Option<String>,
    place: Place,
    factor: f64,
    unit_at: Option<(String, Quantity)>,
    values: Vec<(String, String)>,
}

enum Place {
    Pointer(String),
    Regex(Regex),
}

/// A reply, read as far as it can be.
pub(crate) struct Read<'a> {
    pub(crate) id: &'a str,
    pub(crate) json: Option<Value>,
    text: String,
}

impl<'a> Read<'a> {
    pub(crate) fn new(reply: &'a Reply) -> Self {
        let json = reply.json().ok();
        let is_ok = reply.is_ok();
        let text =
            if is_ok { String::from_utf8_lossy(&reply.body).into_owned() } else { String::new() };
        Self { id: &reply.id, json, text }
    }
}

impl Pick {
    /// The error says what to write.
    pub(crate) fn new(table: &PickTable, quantity: Quantity) -> Result<Self, String> {
        let PickTable { probe, pointer, regex, unit, unit_at, values } = table;
        let place = match (pointer, regex) {
            (Some(pointer), None) if pointer.is_empty() || pointer.starts_with('/') => {
                Place::Pointer(pointer.clone())
            }
            (Some(pointer), None) => {
                return Err(format!(
                    "{pointer:?} is no JSON pointer: write \"/{}\"",
                    pointer.replace('.', "/")
                ));
            }
            (None, Some(text)) => {
                let made = expression(text)?;
                if made.captures_len() == 1 {
                    return Err("the regex has no group: put brackets around the value".to_owned());
                }
                Place::Regex(made)
            }
            _ => return Err("write either pointer or regex".to_owned()),
        };
        let factor = match unit {
            None => 1.0,
            Some(unit) => factor(unit, quantity).ok_or_else(|| no_unit(unit, quantity))?,
        };
        if unit_at.as_ref().is_some_and(|it| !it.starts_with('/')) {
            return Err("unit_at: write a JSON pointer that begins with /".to_owned());
        }
        let unit_at = unit_at.as_ref().map(|it| (it.clone(), quantity));
        let values = values.iter().map(|(from, to)| (from.clone(), to.clone())).collect();
        Ok(Self { probe: probe.clone(), place, factor, unit_at, values })
    }

    /// What is there in `reply`.
    fn find<'a>(&self, reply: &'a Read<'_>) -> Option<Found<'a>> {
        match &self.place {
            Place::Pointer(pointer) => reply.json.as_ref()?.pointer(pointer).map(Found::Json),
            Place::Regex(expression) => {
                let found = expression.captures(&reply.text)?.get(1)?;
                Some(Found::Text(found.as_str()))
            }
        }
    }

    pub(crate) fn number(&self, reply: &Read<'_>) -> Option<f64> {
        self.scaled(self.find(reply)?, reply.json.as_ref())
    }

    pub(crate) fn text(&self, reply: &Read<'_>) -> Option<String> {
        self.worded(self.find(reply)?)
    }

    pub(crate) fn flag(&self, reply: &Read<'_>) -> Option<bool> {
        match self.find(reply)? {
            Found::Json(Value::Bool(flag)) => Some(*flag),
            found => match self.worded(found)?.as_str() {
                "true" | "1" | "yes" => Some(true),
                "false" | "0" | "no" => Some(false),
                _ => None,
            },
        }
    }

    /// The number that `value`, a part of `json`, is.
    pub(crate) fn number_of(&self, value: &Value, json: &Value) -> Option<f64> {
        self.scaled(Found::Json(value), Some(json))
    }

    pub(crate) fn text_of(&self, value: &Value) -> Option<String> {
        self.worded(Found::Json(value))
    }

    /// What is there inside `object`, for a pointer.
    pub(crate) fn value_in<'a>(&self, object: &'a Value) -> Option<&'a Value> {
        match &self.place {
            Place::Pointer(pointer) => object.pointer(pointer),
            Place::Regex(_) => None,
        }
    }

    pub(crate) fn is_pointer(&self) -> bool {
        matches!(self.place, Place::Pointer(_))
    }

    /// What is not negative, as figures are.
    fn scaled(&self, found: Found<'_>, json: Option<&Value>) -> Option<f64> {
        let number = match found {
            Found::Json(Value::Number(number)) => number.as_f64()?,
            Found::Json(Value::String(text)) => text.trim().parse().ok()?,
            Found::Text(text) => text.trim().parse().ok()?,
            Found::Json(_) => return None,
        };
        let told = self
            .unit_at
            .as_ref()
            .and_then(|(pointer, quantity)| Some((json?.pointer(pointer)?.as_str()?, *quantity)));
        let factor = match told {
            // A unit that is not known makes a number worthless.
            Some((unit, quantity)) => factor(unit, quantity)?,
            None => self.factor,
        };
        let number: f64 = number * factor;
        (number.is_finite() && number >= 0.0).then_some(number)
    }

    fn worded(&self, found: Found<'_>) -> Option<String> {
        let text = match found {
            Found::Json(Value::String(text)) => text.clone(),
            Found::Json(Value::Number(number)) => number.to_string(),
            Found::Json(Value::Bool(flag)) => flag.to_string(),
            Found::Json(_) => return None,
            Found::Text(text) => text.to_owned(),
        };
        if self.values.is_empty() {
            return plain(&text);
        }
        self.values.iter().find(|(from, _)| *from == text).map(|(_, to)| to.clone())
    }
}

#[derive(Clone, Copy)]
enum Found<'a> {
    Json(&'a Value),
    Text(&'a str),
}

/// A text of reasonable length without control characters.
pub(crate) fn plain(text: &str) -> Option<String> {
    let text: String = text.trim().chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    (!text.is_empty()).then_some(text)
}

/// The whole number nearest below `number`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast holds values at the limits of the type"
)]
pub(crate) fn whole(number: f64) -> u64 {
    number as u64
}

/// A regular expression of bounded size.
pub(crate) fn expression(text: &str) -> Result<Regex, String> {
    let made = RegexBuilder::new(text).size_limit(LARGEST).build();
    made.map_err(|error| {
        let told = error.to_string();
        let last = told.lines().last().unwrap_or_default().trim_start_matches("error: ");
        format!("the regex {text:?} cannot be used: {last}")
    })
}

/// What `unit` is worth in the unit of the driver API.
pub(crate) fn factor(unit: &str, quantity: Quantity) -> Option<f64> {
    let unit = unit.trim();
    Some(match quantity {
        Quantity::Hashrate => {
            let lower = unit.to_ascii_lowercase();
            let scale = ["h/s", "hs", "sol/s", "sols", "g/s"]
                .iter()
                .find_map(|it| lower.strip_suffix(it))?;
            match scale {
                "" => 1.0,
                "k" => 1e3,
                "m" => 1e6,
                "g" => 1e9,
                "t" => 1e12,
                "p" => 1e15,
                _ => return None,
            }
        }
        Quantity::Seconds => match unit {
            "ms" => 1e-3,
            "s" => 1.0,
            "min" => 60.0,
            "h" => 3600.0,
            _ => return None,
        },
        Quantity::Milliseconds => match unit {
            "us" => 1e-3,
            "ms" => 1.0,
            "s" => 1e3,
            _ => return None,
        },
        Quantity::Share => match unit {
            "%" => 0.01,
            "1" => 1.0,
            _ => return None,
        },
        Quantity::Watts => match unit {
            "mW" => 1e-3,
            "W" => 1.0,
            "kW" => 1e3,
            _ => return None,
        },
        Quantity::Plain => return None,
    })
}

pub(crate) fn no_unit(unit: &str, quantity: Quantity) -> String {
    let there = match quantity {
        Quantity::Hashrate => "write H/s, kH/s, MH/s, GH/s, TH/s or PH/s",
        Quantity::Seconds => "write ms, s, min or h",
        Quantity::Milliseconds => "write us, ms or s",
        Quantity::Share => "write % or 1",
        Quantity::Watts => "write mW, W or kW",
        Quantity::Plain => "this value has none: remove it",
    };
    format!("unit {unit:?}: {there}")
}
