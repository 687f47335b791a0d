//! The form of a line.

use crate::output::Device;

/// What the host shows of a text from outside.
const TEXT_MAX: usize = 200;

/// Shares as a line counts them. What its third number counts is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) accepted: u64,
    pub(crate) rejected: u64,
}

/// `line` without colours and other control sequences.
pub(crate) fn plain(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut rest = line.chars();
    while let Some(char) = rest.next() {
        match char {
            '\u{1b}' => {
                // A sequence ends with its letter; other escapes have one character.
                if rest.next() == Some('[') {
                    let _end = rest.find(|char| char.is_ascii_alphabetic() || *char == '~');
                }
            }
            '\t' => text.push(' '),
            char if char.is_control() => {}
            char => text.push(char),
        }
    }
    text
}

/// What follows the time `HH:MM:SS` or `HH:MM:SS.mmm`; the whole line when there is none.
pub(crate) fn after_time(line: &str) -> &str {
    let is_like = |text: &str, form: &[u8]| {
        let same = |(byte, form): (u8, &u8)| match form {
            b'0' => byte.is_ascii_digit(),
            _ => byte == *form,
        };
        text.len() == form.len() && text.bytes().zip(form).all(same)
    };
    match line.split_once(' ') {
        Some((time, rest)) if is_like(time, b"00:00:00.000") || is_like(time, b"00:00:00") => rest,
        _ => line,
    }
}

/// Takes `Pool[DEF-0]:   text` apart: word, key, text.
pub(crate) fn tagged(text: &str) -> Option<(&str, &str, &str)> {
    let (word, rest) = text.trim_start().split_once('[')?;
    let (key, rest) = rest.split_once("]:")?;
    let is_word = (2..=8).contains(&word.len()) && word.bytes().all(|it| it.is_ascii_alphabetic());
    let is_key = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let is_keyed = (1..=48).contains(&key.len()) && key.bytes().all(is_key);
    (is_word && is_keyed).then(|| (word, key, rest.trim()))
}

/// The hashrate at the beginning of `text`, in H/s, and what follows: `104.9 MH/s …`.
pub(crate) fn rate(text: &str) -> Option<(f64, &str)> {
    let (number, rest) = text.trim_start().split_once(' ')?;
    let (unit, rest) = rest.split_once("/s")?;
    Some((scaled(number, unit)?, rest))
}

/// The whole number in `104.9 MH`, a difficulty or a hashrate without its time.
pub(crate) fn hashes(text: &str) -> Option<f64> {
    let (number, unit) = text.trim().split_once(' ')?;
    scaled(number, unit)
}

fn scaled(number: &str, unit: &str) -> Option<f64> {
    let scale = match unit {
        "H" => 1.0,
        "kH" | "KH" => 1e3,
        "MH" => 1e6,
        "GH" => 1e9,
        "TH" => 1e12,
        _ => return None,
    };
    let is_plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let scaled = number.parse().ok().filter(|_| is_plain).map(|number: f64| number * scale);
    scaled.filter(|number| number.is_finite())
}

/// The counts in ` [A12:R1:S0 0.0%] …`, and what follows.
pub(crate) fn counts(text: &str) -> Option<(Counts, &str)> {
    let (counts, rest) = text.trim_start().strip_prefix('[')?.split_once(']')?;
    let counts = counts.split_once(' ').map_or(counts, |(counts, _)| counts);
    let mut parts = counts.split(':');
    let mut next = |mark: char| parts.next()?.strip_prefix(mark)?.parse::<u64>().ok();
    let (accepted, rejected) = (next('A')?, next('R')?);
    next('S')?;
    Some((Counts { accepted, rejected }, rest))
}

/// The power in `…  41°C  0%  10 W  0 H/s/W  …`; 0 is unknown.
pub(crate) fn watts(text: &str) -> Option<f64> {
    let number = text.split("  ").find_map(|part| part.trim().strip_suffix(" W"))?;
    number.parse().ok().filter(|watts: &f64| watts.is_finite() && *watts > 0.0)
}

/// The device in use of `* #00 PCI 41:00.0 Zotac   NVIDIA GeForce RTX 3060  12.00 GB / …`. Those
/// without the star are not used. A processor has no address, or one that is none: `ff:00.0`.
pub(crate) fn device(text: &str) -> Option<Device> {
    let rest = text.trim_start().strip_prefix('*')?.trim_start().strip_prefix('#')?;
    let (number, rest) = rest.split_once(' ')?;
    let index = number.parse().ok().filter(|_| number.len() <= 3)?;
    let rest = rest.trim_start();
    let (pci, rest) = match rest.strip_prefix("PCI ").map(|rest| rest.split_once(' ')) {
        Some(Some((address, rest))) => (pci(address), rest),
        Some(None) => return None,
        None => (None, rest),
    };
    Some(Device { index, pci, name: name(rest) })
}

/// `0000:41:00.0`, made of `41:00.0`; older versions print a form that is not whole.
fn pci(address: &str) -> Option<String> {
    let form = b"00:00.0";
    let is_like = |(byte, form): (u8, &u8)| match form {
        b'0' => byte.is_ascii_hexdigit(),
        _ => byte == *form,
    };
    let is_whole = address.len() == form.len() && address.bytes().zip(form).all(is_like);
    let address = address.to_ascii_lowercase();
    (is_whole && !address.starts_with("ff:")).then(|| format!("0000:{address}"))
}

/// The column that says what the device is: vendors of boards stand before it.
fn name(columns: &str) -> Option<String> {
    let mut columns = columns.split("  ").map(str::trim).filter(|column| !column.is_empty());
    let makers = ["NVIDIA", "AMD", "Intel", "AuthenticAMD", "GenuineIntel"];
    let name = columns.find(|column| makers.iter().any(|maker| column.starts_with(maker)))?;
    Some(cut(name))
}

/// The beginning of a text from outside.
pub(crate) fn cut(text: &str) -> String {
    text.chars().filter(|char| !char.is_control()).take(TEXT_MAX).collect()
}
