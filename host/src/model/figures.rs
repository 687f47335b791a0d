//! Figures as everybody can take them: nothing that is no figure, and no text that steers a terminal.

use adit_plugin_api::PerformanceMetrics;
use serde_json::Value;

/// Longest text in figures, in characters.
const LONGEST: usize = 1_000;

/// The figures without what cannot be: numbers that are negative or none become unknown, except
/// temperatures and what a driver tells under names of its own; texts lose control characters and
/// what is too long.
pub fn sound(metrics: &PerformanceMetrics) -> PerformanceMetrics {
    let mut value = serde_json::to_value(metrics).unwrap_or_default();
    clean("", &mut value);
    serde_json::from_value(value).unwrap_or_default()
}

fn clean(name: &str, value: &mut Value) {
    match value {
        Value::String(text) => {
            if text.chars().any(char::is_control) || text.len() > LONGEST {
                *text = text.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
            }
        }
        Value::Number(number) => {
            let free = name == "extraData" || name.to_ascii_lowercase().contains("temperature");
            if !free && number.as_f64().is_none_or(|it| it < 0.0) {
                *value = Value::Null;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|it| clean(name, it)),
        Value::Object(fields) => {
            for (field, it) in fields {
                clean(if name == "extraData" { name } else { field }, it);
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use adit_plugin_api::DeviceMetrics;

    use super::*;

    #[test]
    fn what_cannot_be_is_unknown() {
        let device = DeviceMetrics {
            hashrate: Some(-5.0),
            temperature: Some(-5.0),
            ..DeviceMetrics::default()
        };
        let metrics = PerformanceMetrics {
            hashrate: Some(f64::NAN),
            algorithm: Some("rx\u{1b}[2J/0".to_owned()),
            last_share: Some(i64::MIN),
            devices: vec![device],
            ..PerformanceMetrics::default()
        };
        let sound = sound(&metrics);
        assert_eq!((sound.hashrate, sound.last_share), (None, None));
        assert_eq!(sound.algorithm.as_deref(), Some("rx[2J/0"));
        assert_eq!((sound.devices[0].hashrate, sound.devices[0].temperature), (None, Some(-5.0)));
    }

    #[test]
    fn sound_figures_stay_as_they_are() {
        let metrics = PerformanceMetrics {
            hashrate: Some(1250.5),
            shares: Some(u64::MAX),
            hashrates: [("15m".to_owned(), None)].into(),
            ..PerformanceMetrics::default()
        };
        assert_eq!(sound(&metrics), metrics);
    }
}
