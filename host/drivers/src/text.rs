//! Text for operators: one line, no control characters, bounded.

use std::{error::Error, path::Path};

use adit_model::text::is_hidden;

/// Longest reason shown in a list, in characters.
const LONGEST: usize = 400;

/// `text` on one line: white space, control characters and what turns text around become single
/// spaces, and what is beyond 400 characters is cut off.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::new();
    let words = text.split(|c: char| c.is_whitespace() || is_hidden(c));
    for word in words.filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.chars().count() > LONGEST {
            return line.chars().take(LONGEST).chain(['…']).collect();
        }
    }
    line
}

/// An error with everything that it says about its causes, outermost first.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    one_line(&text)
}

/// A path as one word of a shell command line.
pub(crate) fn shell_word(path: &Path) -> String {
    let text = path.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.into_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// What a panic carried, if it was text.
pub(crate) fn panic_message(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    one_line(text.unwrap_or("a panic without a message"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_bounded_line() {
        assert_eq!(one_line(" a\n\n b\t\u{1b}[31mc\0"), "a b [31mc");
        assert_eq!(one_line(&"x".repeat(100_000)).chars().count(), LONGEST + 1);
        assert_eq!(one_line(""), "");
    }

    #[test]
    fn a_path_survives_the_shell() {
        assert_eq!(shell_word(Path::new("/opt/a-1.so")), "/opt/a-1.so");
        assert_eq!(shell_word(Path::new("/opt/it's a.so")), r"'/opt/it'\''s a.so'");
    }
}
