//! Devices as TT-Miner selects them: by PCI address, or by its own numbers.

use adit_plugin_api::{Result, Value};

use crate::config::refuse;

/// Devices that can be selected.
const DEVICES_MAX: usize = 64;

/// The words for `-d`, all of the same kind.
///
/// # Errors
/// When one is neither a number nor an address that TT-Miner can be told, or both kinds are mixed.
pub(crate) fn words(devices: &[Value]) -> Result<Vec<String>> {
    if !(1..=DEVICES_MAX).contains(&devices.len()) {
        return refuse("devices", format!("write 1 to {DEVICES_MAX} devices, or leave it out"));
    }
    let words = devices.iter().enumerate().map(|(at, device)| match device {
        Value::Number(number) => match number.as_u64() {
            Some(number) if number < 256 => Ok(number.to_string()),
            _ => refuse(&format!("devices[{at}]"), "write a number from 0 to 255"),
        },
        Value::String(text) => pci(&format!("devices[{at}]"), text),
        _ => refuse(&format!("devices[{at}]"), "write a PCI address or a number"),
    });
    let words = words.collect::<Result<Vec<String>>>()?;
    let by_address = words.iter().filter(|word| word.contains(':')).count();
    if by_address != 0 && by_address != words.len() {
        return refuse("devices", "write PCI addresses only, or numbers only");
    }
    if let Some(twice) = words.iter().find(|word| words.iter().filter(|it| it == word).count() > 1)
    {
        return refuse("devices", format!("{twice} is there twice"));
    }
    Ok(words)
}

/// `01:00`, made of `pci:0000:01:00.0`, `0000:01:00.0`, `01:00.0` or `01:00`.
fn pci(field: &str, text: &str) -> Result<String> {
    let address = text.strip_prefix("pci:").unwrap_or(text).to_ascii_lowercase();
    let address = match address.split(':').collect::<Vec<_>>()[..] {
        ["0000", bus, device] => format!("{bus}:{device}"),
        [_, _, _] => {
            return refuse(field, "TT-Miner knows no PCI domain but 0000");
        }
        _ => address,
    };
    let address = match address.split_once('.') {
        Some((address, "0")) => address.to_owned(),
        Some(_) => return refuse(field, "TT-Miner knows no PCI function but 0"),
        None => address,
    };
    let form = b"00:00";
    let is_like = |(byte, form): (u8, &u8)| match form {
        b'0' => byte.is_ascii_hexdigit(),
        _ => byte == *form,
    };
    if address.len() == form.len() && address.bytes().zip(form).all(is_like) {
        return Ok(address);
    }
    refuse(field, "write a PCI address such as 0000:01:00.0")
}
