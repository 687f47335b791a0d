//! Configurations without their secrets, and back: a client that sends back what it was shown
//! changes no secret.

use std::collections::BTreeSet;

use adit_plugin_api::Config;
use serde_json::Value;

use crate::{
    path::{FieldPath, Step, leaves},
    plan::MASK,
    pool::BadField,
    template::{self, Part, Place},
};

/// Whether a field of this name holds a secret although nobody said so.
pub fn sounds_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name == "pass" || ["password", "passwd", "secret", "token"].iter().any(|it| name.contains(it))
}

/// `config` with every value at or below one of `secrets` replaced by `***`. What only refers to
/// wallets and pools is no secret by itself and stays.
pub fn mask(config: &Config, secrets: &BTreeSet<FieldPath>) -> Config {
    let mut masked = Value::Object(config.0.clone());
    hide(&mut masked, secrets);
    match masked {
        Value::Object(fields) => Config(fields),
        _ => Config::default(),
    }
}

fn hide(config: &mut Value, secrets: &BTreeSet<FieldPath>) {
    for secret in secrets {
        let Some(value) = secret.get(config) else { continue };
        let below: Vec<_> = leaves(value).into_iter().map(|(path, _)| path).collect();
        for path in below {
            let leaf = secret.get_mut(config).and_then(|value| path.get_mut(value));
            if let Some(leaf) = leaf.filter(|leaf| is_secret(leaf)) {
                *leaf = Value::from(MASK);
            }
        }
    }
}

fn is_secret(leaf: &Value) -> bool {
    match leaf {
        Value::String(text) => !only_refers(text),
        Value::Number(_) => true,
        _ => false,
    }
}

/// Whether a text is made of placeholders, with nothing but signs between them.
fn only_refers(text: &str) -> bool {
    let Ok(parts) = template::parse(text, Place::Config) else { return false };
    let refers = parts.iter().any(|part| matches!(part, Part::Placeholder(_)));
    let is_sign = |text: &str| !text.contains(char::is_alphanumeric);
    refers && parts.iter().all(|part| !matches!(part, Part::Text(text) if !is_sign(text)))
}

/// `new` with every `***` replaced by the secret that `old` has in its place.
///
/// Inside a list that is the item that was shown in the same way; an item that was changed has to
/// be written whole, so that no secret moves to a pool that it is not for.
///
/// # Errors
/// The first field whose secret is not known.
pub fn unmask(
    new: Config,
    old: Option<(&Config, &BTreeSet<FieldPath>)>,
) -> Result<Config, BadField> {
    let shown = Value::Object(new.0);
    let mut filled = shown.clone();
    let old = old.map(|(config, secrets)| {
        (Value::Object(config.0.clone()), Value::Object(mask(config, secrets).0))
    });
    for (path, leaf) in leaves(&shown) {
        if leaf.as_str() != Some(MASK) {
            continue;
        }
        let known = old.as_ref().and_then(|(old, masked)| kept(&path, &shown, old, masked));
        let Some(known) = known else {
            let what = "*** stands for a secret that is not known here: write the secret itself";
            return Err(BadField::new(path.to_string(), what));
        };
        if let Some(place) = path.get_mut(&mut filled) {
            *place = known.clone();
        }
    }
    match filled {
        Value::Object(fields) => Ok(Config(fields)),
        _ => Ok(Config::default()),
    }
}

fn kept<'v>(path: &FieldPath, shown: &Value, old: &'v Value, masked: &Value) -> Option<&'v Value> {
    let list = path.steps().iter().position(|step| matches!(step, Step::Index(_)));
    let Some(list) = list else {
        return path.get(old).filter(|_| path.get(masked) == Some(&Value::from(MASK)));
    };
    let (items, item) = (path.prefix(list), path.prefix(list + 1).get(shown)?);
    let at = items.get(masked)?.as_array()?.iter().position(|it| it == item)?;
    path.suffix(list + 1).below(&items.index(at)).get(old)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config(value: &Value) -> Config {
        serde_json::from_value(value.clone()).unwrap()
    }

    fn old() -> (Config, BTreeSet<FieldPath>) {
        let old = json!({
            "wallet": "${wallet.xmr}.${worker}",
            "token": 12345,
            "pools": [
                { "url": "a:1", "pass": "hunter2", "wallet": "W1" },
                { "url": "b:2", "pass": "hunter3", "wallet": "${wallet.xmr}hunter4" },
            ],
            "deep": { "x": ["hunter5", true, null] },
            "plain": "hello",
        });
        let pools = FieldPath::of("pools");
        let mut secrets: BTreeSet<_> =
            ["wallet", "token", "deep"].map(FieldPath::of).into_iter().collect();
        for index in 0..2 {
            secrets.insert(pools.index(index).field("pass"));
            secrets.insert(pools.index(index).field("wallet"));
        }
        secrets.insert(pools.index(7).field("pass"));
        (config(&old), secrets)
    }

    fn shown() -> Value {
        json!({
            "wallet": "${wallet.xmr}.${worker}",
            "token": "***",
            "pools": [
                { "url": "a:1", "pass": "***", "wallet": "***" },
                { "url": "b:2", "pass": "***", "wallet": "***" },
            ],
            "deep": { "x": ["***", true, null] },
            "plain": "hello",
        })
    }

    #[test]
    fn secrets_are_hidden_and_found_again() {
        let (old, secrets) = old();
        let masked = mask(&old, &secrets);
        assert_eq!(Value::Object(masked.0.clone()), shown());
        assert_eq!(unmask(masked, Some((&old, &secrets))), Ok(old));
    }

    #[test]
    fn a_secret_stays_with_the_item_that_it_is_for() {
        let (old, secrets) = old();
        let mut swapped = shown();
        swapped["pools"].as_array_mut().unwrap().swap(0, 1);
        let filled = unmask(config(&swapped), Some((&old, &secrets))).unwrap();
        assert_eq!(filled.0["pools"][0]["pass"], "hunter3");
        assert_eq!(filled.0["pools"][1]["pass"], "hunter2");
        let mut elsewhere = shown();
        elsewhere["pools"][0]["url"] = json!("evil:1");
        let told = unmask(config(&elsewhere), Some((&old, &secrets))).unwrap_err();
        assert!(told.to_string().starts_with("pools[0].pass: *** stands for"), "{told}");
    }

    #[test]
    fn a_mask_without_a_secret_behind_it_is_refused() {
        let (old, secrets) = old();
        for given in [json!({ "plain": "***" }), json!({ "new": { "x": "***" } })] {
            assert!(unmask(config(&given), Some((&old, &secrets))).is_err(), "{given}");
            assert!(unmask(config(&given), None).is_err(), "{given}");
        }
        assert!(unmask(config(&json!({ "token": "***" })), None).is_err());
        assert!(unmask(config(&json!({ "token": "***" })), Some((&old, &secrets))).is_ok());
    }

    #[test]
    fn some_names_sound_secret() {
        for name in ["pass", "Password", "poolPassword", "access-token", "apiSecret"] {
            assert!(sounds_secret(name), "{name}");
        }
        for name in ["passes", "wallet", "key", "url"] {
            assert!(!sounds_secret(name), "{name}");
        }
    }
}
