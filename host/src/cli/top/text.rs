//! Text of miners and pools on the screen. None of it is trusted.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use adit_model::text::is_hidden;

/// Columns that a tab becomes.
const TAB: &str = "    ";

/// `text` without what steers a terminal, whole colour codes included, and without what takes no
/// column: marks that pile up, and those that turn the direction of the text.
pub(super) fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let begins_sequence = c == '\u{9b}' || (c == '\u{1b}' && chars.next_if_eq(&'[').is_some());
        if begins_sequence {
            while chars.next_if(|c| (' '..='?').contains(c)).is_some() {}
            chars.next_if(|c| ('@'..='~').contains(c));
        } else if c == '\t' {
            clean.push_str(TAB);
        } else if c.width().is_some_and(|width| width > 0) && !is_hidden(c) {
            clean.push(c);
        }
    }
    clean
}

/// `text` in exactly so many columns, at their left or right side. What does not fit becomes an
/// ellipsis.
pub(super) fn cell(text: &str, columns: usize, at_right: bool) -> String {
    let text = cut(text, columns);
    let blanks = " ".repeat(columns - text.width());
    if at_right { blanks + &text } else { text + &blanks }
}

/// `text` in at most so many columns. What does not fit becomes an ellipsis.
pub(super) fn cut(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut cut = String::new();
    let mut used = 0;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used >= columns {
            break;
        }
        cut.push(c);
    }
    // A cluster may be wider than its characters by themselves.
    while cut.width() >= columns && cut.pop().is_some() {}
    if columns > 0 {
        cut.push('…');
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_miner_steers_the_terminal() {
        for (text, expected) in [
            ("plain é 日本", "plain é 日本"),
            ("\u{1b}[1;32mgreen\u{1b}[0m", "green"),
            ("\u{9b}2Jx", "x"),
            ("\u{1b}]0;title\u{7}x", "]0;titlex"),
            ("\u{1b}[", ""),
            ("a\tb\r\n", "a    b"),
            ("a\u{202e}b\u{200b}c\u{301}\u{301}\u{ad}\u{2028}", "abc"),
            ("\u{1b}\u{1b}[31m", ""),
            ("\u{1b}[é", "é"),
        ] {
            assert_eq!(clean(text), expected, "{text:?}");
        }
        for c in '\0'..=char::MAX {
            let clean = clean(&c.to_string());
            assert!(!clean.contains(char::is_control), "{c:?}");
        }
    }

    #[test]
    fn cells_have_the_width_that_was_asked_for() {
        for (text, columns, at_right, expected) in [
            ("ab", 4, false, "ab  "),
            ("ab", 4, true, "  ab"),
            ("abcdef", 4, true, "abc…"),
            ("日本語", 4, false, "日… "),
            ("ab", 1, false, "…"),
            ("ab", 0, false, ""),
        ] {
            assert_eq!(cell(text, columns, at_right), expected);
        }
    }
}
