//! Cuts a stream of bytes into lines of bounded length. Pure.

/// Longest line kept in one piece, in bytes without the newline.
pub(crate) const LONGEST_LINE: usize = 8 << 10;

/// The beginning of a line whose end has not come yet.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    partial: Vec<u8>,
    // A line cut exactly at its newline must not leave an empty line behind.
    is_cut: bool,
}

impl Lines {
    /// Takes the next bytes and hands each complete line to `line`, without its line end. A line
    /// over [`LONGEST_LINE`] comes in pieces.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], mut line: impl FnMut(&[u8])) {
        while !bytes.is_empty() {
            let room = LONGEST_LINE - self.partial.len();
            let window = &bytes[..bytes.len().min(room)];
            match window.iter().position(|byte| *byte == b'\n') {
                Some(end) if self.partial.is_empty() => {
                    self.end(&window[..end], &mut line);
                    bytes = &bytes[end + 1..];
                }
                Some(end) => {
                    self.partial.extend_from_slice(&window[..end]);
                    let whole = std::mem::take(&mut self.partial);
                    self.end(&whole, &mut line);
                    bytes = &bytes[end + 1..];
                }
                None => {
                    self.partial.extend_from_slice(window);
                    bytes = &bytes[window.len()..];
                    if self.partial.len() == LONGEST_LINE {
                        line(&self.partial);
                        self.partial.clear();
                        self.is_cut = true;
                    }
                }
            }
        }
    }

    fn end(&mut self, whole: &[u8], line: &mut impl FnMut(&[u8])) {
        let text = whole.strip_suffix(b"\r").unwrap_or(whole);
        let is_rest = std::mem::take(&mut self.is_cut);
        if !(is_rest && text.is_empty()) {
            line(text);
        }
    }

    /// Hands out what is left when no more bytes will come.
    pub(crate) fn finish(&mut self, mut line: impl FnMut(&[u8])) {
        let rest = std::mem::take(&mut self.partial);
        if !rest.is_empty() {
            self.end(&rest, &mut line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pieces: &[&[u8]], expected: &[&[u8]]) {
        let (mut lines, mut found) = (Lines::default(), Vec::new());
        for piece in pieces {
            lines.feed(piece, |line| found.push(line.to_vec()));
        }
        lines.finish(|line| found.push(line.to_vec()));
        assert_eq!(found, expected);
    }

    #[test]
    fn lines_are_found_however_the_bytes_come() {
        check(&[b"a\nb\n"], &[b"a", b"b"]);
        check(&[b"a", b"b", b"\n\nc"], &[b"ab", b"", b"c"]);
        check(&[b"a\r", b"\nb\rc\n"], &[b"a", b"b\rc"]);
        check(&[b"", b"\xff\xfe\n"], &[b"\xff\xfe"]);
    }

    #[test]
    fn a_line_too_long_comes_in_pieces_and_no_empty_line_is_made_up() {
        let long = vec![b'x'; LONGEST_LINE];
        let line_end = [long.as_slice(), b"\ny\n"].concat();
        check(&[&line_end], &[&long, b"y"]);
        let more = [long.as_slice(), &long, b"z\n\n"].concat();
        check(&[&more], &[&long, &long, b"z", b""]);
        for step in [1, 7, 4096] {
            let pieces: Vec<_> = more.chunks(step).collect();
            check(&pieces, &[&long, &long, b"z", b""]);
        }
    }
}
