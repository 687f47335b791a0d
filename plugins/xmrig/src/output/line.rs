//! The form of a line: time, tag and text.

/// What the host shows of a text from outside.
const TEXT_MAX: usize = 200;

/// A line by its form.
pub(crate) enum Line<'a> {
    /// With time and tag.
    Tagged(&'a str, &'a str),
    /// With a time only.
    Timed(&'a str),
    /// Anything else: the banner, tables, and what is printed before the log is open.
    Bare(&'a str),
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
            char if char.is_control() => {}
            char => text.push(char),
        }
    }
    text
}

/// Takes a plain line apart.
pub(crate) fn split(line: &str) -> Line<'_> {
    let timed = line.strip_prefix('[').and_then(|rest| rest.split_once("] "));
    let Some((_, rest)) = timed.filter(|(time, _)| is_time(time)) else { return Line::Bare(line) };
    match tag(rest) {
        Some((tag, text)) => Line::Tagged(tag, text),
        None => Line::Timed(rest.trim_end()),
    }
}

/// A tag is nine characters wide, with a space before it; a space follows.
fn tag(rest: &str) -> Option<(&str, &str)> {
    let (column, text) = rest.split_at_checked(9)?;
    let tag = column.strip_prefix(' ')?.trim_end();
    let is_word = !tag.is_empty() && tag.bytes().all(|byte| byte.is_ascii_lowercase());
    let text = text.strip_prefix(' ')?.trim_end();
    is_word.then_some((tag, text))
}

fn is_time(text: &str) -> bool {
    let form = b"0000-00-00 00:00:00.000";
    let is_like = |(byte, form): (u8, &u8)| match form {
        b'0' => byte.is_ascii_digit(),
        _ => byte == *form,
    };
    text.len() == form.len() && text.bytes().zip(form).all(is_like)
}

/// A whole number without a sign.
pub(crate) fn number(text: &str) -> Option<u64> {
    Some(text).filter(|text| text.starts_with(|c: char| c.is_ascii_digit()))?.parse().ok()
}

/// A difficulty, which XMRig shortens: `15`, `240K`, `18446744073G`.
pub(crate) fn difficulty(text: &str) -> Option<u64> {
    let scale = match text.as_bytes().last()? {
        b'K' => 1_000,
        b'M' => 1_000_000,
        b'G' => 1_000_000_000,
        _ => return number(text),
    };
    number(&text[..text.len() - 1])?.checked_mul(scale)
}

/// The beginning of a text from outside.
pub(crate) fn cut(text: &str) -> String {
    text.chars().take(TEXT_MAX).collect()
}
