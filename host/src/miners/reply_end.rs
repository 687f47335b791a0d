//! Finds the end of a JSON reply while it arrives, looking at each byte once.
//!
//! Parsing what has arrived after each read would cost the square of the reply's length, and a miner
//! decides how long its reply is and in how many pieces it comes.

/// Reads a reply piece by piece. Objects, lists and strings end where JSON says so; whether what is
/// between is valid shows when the driver parses it.
#[derive(Debug, Default)]
pub(crate) struct ReplyEnd {
    place: Place,
    /// Lists and objects that are open.
    depth: usize,
    /// Short values without an end of their own, such as `true`.
    word: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// Nothing but white space so far.
    #[default]
    Start,
    /// Between the brackets, outside of a string.
    Inside,
    /// In a string.
    Text,
    /// In a string, after a backslash.
    Escape,
    /// In a number or a name such as `true`.
    Word,
    /// After the whole value.
    End,
    /// After something that is no JSON: it ends with a line or with the connection.
    Other,
}

/// Longer than any number or name that a miner sends alone.
const LONGEST_WORD: usize = 64;

impl ReplyEnd {
    /// Takes the next piece. Whether the reply is a whole value now.
    pub(crate) fn is_reached(&mut self, piece: &[u8]) -> bool {
        piece.iter().for_each(|byte| self.take(*byte));
        match self.place {
            Place::End => true,
            Place::Word => serde_json::from_slice::<serde::de::IgnoredAny>(&self.word).is_ok(),
            _ => false,
        }
    }

    fn take(&mut self, byte: u8) {
        let is_space = matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
        self.place = match (self.place, byte) {
            (Place::Start, _) if is_space => Place::Start,
            (Place::Start | Place::Inside, b'{' | b'[') => {
                self.depth += 1;
                Place::Inside
            }
            (Place::Start | Place::Inside, b'"') => Place::Text,
            (Place::Start, _) => self.word(byte),
            (Place::Inside, b'}' | b']') => {
                self.depth = self.depth.saturating_sub(1);
                self.after_value()
            }
            (Place::Inside, _) => Place::Inside,
            (Place::Text, b'\\') => Place::Escape,
            (Place::Text, b'"') => self.after_value(),
            (Place::Text | Place::Escape, _) => Place::Text,
            (Place::Word, _) => self.word(byte),
            (Place::End, _) if is_space => Place::End,
            (Place::End | Place::Other, _) => Place::Other,
        };
    }

    fn after_value(&self) -> Place {
        if self.depth == 0 { Place::End } else { Place::Inside }
    }

    fn word(&mut self, byte: u8) -> Place {
        self.word.push(byte);
        if self.word.len() > LONGEST_WORD { Place::Other } else { Place::Word }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the reply is whole after each of its bytes.
    fn ends(reply: &str) -> Vec<bool> {
        let mut end = ReplyEnd::default();
        reply.bytes().map(|byte| end.is_reached(&[byte])).collect()
    }

    #[test]
    fn a_reply_is_whole_with_its_last_byte() {
        for reply in [
            "{}",
            "[]",
            " {\"result\":[1,{\"a\":\"]}\\\"\"}]}",
            "\"a\\\\\"",
            "[\"\\\\\",\"[\"]",
            "true",
            "null",
        ] {
            let (last, before) = ends(reply).split_last().map(|(l, b)| (*l, b.to_vec())).unwrap();
            assert!(last && !before.contains(&true), "{reply}");
            assert!(ReplyEnd::default().is_reached(reply.as_bytes()), "{reply}");
        }
        assert!(ReplyEnd::default().is_reached(b"{} \r\n"));
    }

    #[test]
    fn what_is_no_json_has_no_end_of_its_own() {
        for reply in ["{}\0", "{}x", "text", "[1", "\"a", "{\"a\":\"}", &"9".repeat(100)] {
            assert!(!ReplyEnd::default().is_reached(reply.as_bytes()), "{reply}");
        }
    }

    #[test]
    fn each_byte_is_looked_at_once() {
        let began = std::time::Instant::now();
        let mut end = ReplyEnd::default();
        for _ in 0..(4 << 20) {
            assert!(!end.is_reached(b"["));
        }
        for _ in 0..(4 << 20) - 1 {
            assert!(!end.is_reached(b"]"));
        }
        assert!(end.is_reached(b"]"));
        // Parsing after each byte would take days.
        assert!(began.elapsed() < std::time::Duration::from_secs(60));
    }
}
