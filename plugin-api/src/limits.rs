//! How much one side takes from the other.

use crate::{Error, Result};

/// The largest reply of a driver that the host takes, and the largest payload that a driver may
/// hand to a service of the host, in bytes.
pub(crate) const MAX_PAYLOAD: usize = 4 << 20;

/// The longest error or log message that crosses, in bytes. What is longer is cut.
pub(crate) const MAX_MESSAGE: usize = 16 << 10;

/// Refuses what is larger than [`MAX_PAYLOAD`].
pub(crate) fn check_size(what: &str, length: usize) -> Result<()> {
    if length <= MAX_PAYLOAD {
        return Ok(());
    }
    Err(Error::failed(format!("{what} has {length} bytes, more than the {MAX_PAYLOAD} allowed")))
}

/// `text`, or its beginning when it is longer than [`MAX_MESSAGE`].
pub(crate) fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_MESSAGE)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_is_cut_between_characters() {
        assert_eq!(cut("short"), "short");
        let long = "é".repeat(MAX_MESSAGE);
        assert_eq!(cut(&format!("x{long}")).len(), MAX_MESSAGE - 1);
    }

    #[test]
    fn the_largest_payload_fits_and_one_more_byte_does_not() {
        check_size("reply", MAX_PAYLOAD).unwrap();
        let error = check_size("reply", MAX_PAYLOAD + 1).unwrap_err();
        assert_eq!(error.message, "reply has 4194305 bytes, more than the 4194304 allowed");
    }
}
