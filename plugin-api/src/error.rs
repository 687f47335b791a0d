//! What a driver says when it cannot answer.

/// The result of every fallible question to a driver.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a driver could not answer, in one sentence an operator can act on.
///
/// Messages are lower case, without a full stop, and name what was wrong and what to do:
/// `pools[0].url: "pool.example" has no port; write host:port`. Never put a wallet, a password or
/// a token into one: messages reach logs and REST replies.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What kind of fault it is, so that the host can choose what to do.
    pub kind: ErrorKind,
    /// One sentence for the operator.
    pub message: String,
}

/// The kinds of fault a driver can report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The caller must change what it sent: a configuration field, a request. REST: 400.
    Invalid,
    /// The driver does not offer this. REST: 400.
    Unsupported,
    /// The program or device is missing or not ready. REST: 503.
    Unavailable,
    /// Anything else that went wrong inside the driver. REST: 500.
    Failed,
    /// The driver's code panicked. Made by the driver's own guard, never by an author.
    Panicked,
}

impl Error {
    /// The caller must change something; say which field and how.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Invalid, message: message.into() }
    }

    /// The driver does not offer what was asked.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Unsupported, message: message.into() }
    }

    /// The program or the device is missing or not ready.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Unavailable, message: message.into() }
    }

    /// Something went wrong inside the driver.
    pub fn failed(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Failed, message: message.into() }
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::invalid(hide_value(&error.to_string()))
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::failed(error.to_string())
    }
}

/// Where and why reading failed: `pools[0].url: invalid type: string, expected u16`.
pub(crate) fn at(error: &serde_path_to_error::Error<serde_json::Error>) -> String {
    let why = hide_value(&error.inner().to_string());
    match error.path().to_string().as_str() {
        "." => why,
        path => format!("{path}: {why}"),
    }
}

/// serde quotes the text that it could not use, which may be a wallet or a password.
fn hide_value(message: &str) -> String {
    let quoted = message.find("string \"").zip(message.rfind('"'));
    match quoted {
        Some((start, end)) => format!("{}string{}", &message[..start], &message[end + 1..]),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misplaced_text_is_not_repeated() {
        let error = serde_json::from_str::<u64>("\"my \\\" wallet\"").unwrap_err();
        let shown = Error::from(error).message;
        assert!(shown.starts_with("invalid type: string, expected u64"), "{shown}");
        let error = serde_json::from_str::<u64>("\"").unwrap_err();
        assert!(Error::from(error).message.starts_with("EOF while parsing a string"));
    }
}
