//! Characters that do something to the text around them.

/// Whether `c` steers a terminal, turns the direction of the text around it, or is not seen at
/// all. None of it belongs into what people read or compare.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_turns_text_is_hidden_and_what_is_written_is_not() {
        for c in
            "\u{0}\u{1b}\u{9b}\u{ad}\u{61c}\u{200e}\u{200f}\u{202a}\u{202e}\u{2066}\u{2069}".chars()
        {
            assert!(is_hidden(c), "{c:?}");
        }
        assert!(!"a é 日本 ä́ \u{a0}€🙂שלום".contains(is_hidden));
    }
}
