//! Files that the operator hands in; `-` is standard input.

use std::{io::Read, path::Path};

use crate::cli::Error;
use adit_core::files;

/// The text of `path`, without the byte order mark that some editors put first: JSON has none.
pub(super) fn read(path: &Path) -> Result<String, Error> {
    let read = if path.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        files::read_to_string(path)
    };
    let text =
        read.map_err(|error| Error::message(format!("cannot read {}: {error}", path.display())))?;
    Ok(text.strip_prefix('\u{feff}').map_or_else(|| text.clone(), str::to_owned))
}
