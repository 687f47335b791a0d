//! Texts that end up in XMRig's file.

use std::fmt::Display;

use adit_plugin_api::{Error, Result};

/// Refuses `field` with a wish that says what to write instead.
pub(crate) fn refuse<T>(field: &str, wish: impl Display) -> Result<T> {
    Err(Error::invalid(format!("{field}: {wish}")))
}

/// Refuses an empty, long or unprintable text, and one with a `${variable}` in it: XMRig replaces
/// those, so that a configuration could send the environment of this machine to a pool. There is
/// no way to write a `${` that XMRig leaves alone.
///
/// # Errors
/// With the reason, never with the text.
pub(crate) fn check(field: &str, text: &str, length_max: usize) -> Result<()> {
    if !(1..=length_max).contains(&text.len()) {
        return refuse(field, format!("write 1 to {length_max} bytes"));
    }
    if text.chars().any(char::is_control) {
        return refuse(field, "has a control character in it: copy it again");
    }
    if text.contains("${") {
        return refuse(field, "XMRig would put an environment variable in: write the value itself");
    }
    Ok(())
}

/// The same for a text that may be missing. An empty one means: none.
///
/// # Errors
/// As [`check`].
pub(crate) fn optional<'a>(
    field: &str,
    text: Option<&'a String>,
    length_max: usize,
) -> Result<Option<&'a str>> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    check(field, text, length_max)?;
    Ok(Some(text))
}

/// Whether `text` is a host or address and a port, with nothing before or after it.
pub(crate) fn is_host_and_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let is_name = |text: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        !text.is_empty() && text.bytes().all(allowed)
    };
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let is_host = match address {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => is_name(host) && host.len() <= 253,
    };
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
    is_host && is_port && port.parse().is_ok_and(|port: u16| port > 0)
}
