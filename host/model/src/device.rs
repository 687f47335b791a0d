//! What a plan for a device may and may not do: rules without I/O.

use adit_plugin_api::{CommandStep, Config, DevicePlan, Value};

use crate::plan::BadPlan;

/// Addresses and steps of one plan.
const MOST: usize = 64;
/// Longest address, in bytes.
const ADDRESS_BYTES: usize = 300;

/// Checks a plan against the configuration it was made from: a driver talks only to hosts that the
/// operator named.
///
/// # Errors
/// What the plan does that it must not.
pub fn check(plan: &DevicePlan, config: &Config) -> Result<(), BadPlan> {
    if plan.addresses.is_empty() || plan.addresses.len() > MOST {
        return Err(BadPlan::Device(format!("names no address, or more than {MOST}")));
    }
    let named = Value::Object(config.0.clone());
    for address in &plan.addresses {
        let shown: String = address.chars().take(80).collect();
        let host = host(address)
            .ok_or_else(|| BadPlan::Device(format!("names {shown:?}, which is no host:port")))?;
        if !says(&named, host) {
            return Err(BadPlan::Device(format!(
                "talks to {shown}, which the configuration does not name"
            )));
        }
    }
    let steps: Vec<_> = plan.start.iter().chain(&plan.stop).collect();
    if steps.len() > MOST {
        return Err(BadPlan::Device(format!("has more than {MOST} steps")));
    }
    for step in steps {
        match step {
            CommandStep::Http(_) | CommandStep::Tcp { .. } => {}
            CommandStep::Stdin { .. } => {
                return Err(BadPlan::Device("writes to the stdin of a device".to_owned()));
            }
            _ => {
                let what = "has a step that this version does not know: update adit";
                return Err(BadPlan::Device(what.to_owned()));
            }
        }
    }
    Ok(())
}

/// The host of `host:port`, without the brackets of an address of IPv6.
fn host(address: &str) -> Option<&str> {
    let (host, port) = address.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(host);
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte);
    let is_host = !host.is_empty() && host.bytes().all(allowed) && address.len() <= ADDRESS_BYTES;
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
    (is_host && is_port && port.parse::<u16>().is_ok_and(|port| port > 0)).then_some(host)
}

/// Whether a text of the configuration names `host` as a whole word.
fn says(config: &Value, host: &str) -> bool {
    match config {
        Value::String(text) => text.match_indices(host).any(|(at, _)| {
            let part =
                |it: Option<char>| it.is_some_and(|it| it.is_alphanumeric() || ".-_".contains(it));
            let (before, after) = (&text[..at], &text[at + host.len()..]);
            !part(before.chars().next_back()) && !part(after.chars().next())
        }),
        Value::Array(items) => items.iter().any(|item| says(item, host)),
        Value::Object(fields) => fields.values().any(|field| says(field, host)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use adit_plugin_api::json;

    use super::*;

    fn config(value: Value) -> Config {
        let Value::Object(fields) = value else { panic!("not an object") };
        Config(fields)
    }

    fn reach(address: &str, config: Value) -> Result<(), BadPlan> {
        let plan = DevicePlan { addresses: vec![address.to_owned()], ..DevicePlan::default() };
        check(&plan, &self::config(config))
    }

    #[test]
    fn a_driver_reaches_what_the_operator_named_and_nothing_else() {
        for (address, named) in [
            ("10.0.0.5:4028", json!({ "address": "10.0.0.5" })),
            ("10.0.0.5:4028", json!({ "address": "http://10.0.0.5:80/x" })),
            ("miner.lan:1", json!({ "all": [{ "at": "miner.lan:1" }] })),
            ("[::1]:80", json!({ "address": "[::1]:80" })),
        ] {
            assert_eq!(reach(address, named.clone()), Ok(()), "{address} {named}");
        }
        for (address, named) in [
            ("10.0.0.5:4028", json!({ "address": "10.0.0.50" })),
            ("10.0.0.5:4028", json!({ "address": "110.0.0.5" })),
            ("10.0.0.5:4028", json!({})),
            ("lan:1", json!({ "address": "miner.lan" })),
            ("169.254.169.254:80", json!({ "address": "10.0.0.5" })),
            ("10.0.0.5", json!({ "address": "10.0.0.5" })),
            ("10.0.0.5:0", json!({ "address": "10.0.0.5" })),
            ("a b:1", json!({ "address": "a b" })),
            ("", json!({ "address": "" })),
        ] {
            assert!(reach(address, named.clone()).is_err(), "{address} {named}");
        }
    }

    #[test]
    fn steps_are_questions_over_the_network() {
        let with = |step: CommandStep| {
            let addresses = vec!["a.lan:1".to_owned()];
            let plan = DevicePlan { addresses, stop: vec![step], ..DevicePlan::default() };
            check(&plan, &config(json!({ "address": "a.lan" })))
        };
        let send = || ("a.lan:1".to_owned(), "x".to_owned());
        let (address, text) = send();
        assert!(with(CommandStep::Tcp { address, send: text, expect: [].into() }).is_ok());
        assert!(with(CommandStep::Stdin { input: "x".to_owned() }).is_err());
        assert!(with(CommandStep::Unknown).is_err());
        assert!(check(&DevicePlan::default(), &Config::default()).is_err());
    }
}
