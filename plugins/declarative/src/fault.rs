//! What is wrong with a file, and in which line.

use adit_plugin_api::Error;
use toml::Spanned;

/// A file's text, to say in which line something is.
pub(crate) struct Lines<'a>(&'a str);

impl<'a> Lines<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self(text)
    }

    pub(crate) fn text(&self) -> &'a str {
        self.0
    }

    fn number(&self, offset: usize) -> usize {
        1 + self.0.bytes().take(offset).filter(|byte| *byte == b'\n').count()
    }

    /// That `problem` is wrong with `field`, in the line of `at`.
    pub(crate) fn fault<T>(&self, at: &Spanned<T>, field: &str, problem: &str) -> Error {
        let line = self.number(at.span().start);
        Error::invalid(format!("line {line}: {field}: {problem}"))
    }

    /// That the text is no such file.
    pub(crate) fn unreadable(&self, error: &toml::de::Error) -> Error {
        let message = error.message().replace('\n', "; ");
        let told = match error.span() {
            Some(span) => format!("line {}: {message}", self.number(span.start)),
            None => message,
        };
        Error::invalid(format!("{told}; docs/declarative-drivers.md lists all tables and fields"))
    }
}

/// The names in a sentence.
pub(crate) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().collect::<Vec<_>>().join(", ")
}
