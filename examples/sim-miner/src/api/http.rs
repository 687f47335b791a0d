//! As much of HTTP/1.1 as the API needs.

use std::{
    io::{self, Read, Write},
    time::Duration,
};

/// What a request's head may take.
const HEAD_MAX: usize = 8 * 1024;
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// The head of a request; a body is not read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    authorization: Option<String>,
}

impl Request {
    /// Whether it carries the bearer token `token`. Takes the same time for every wrong one of the
    /// same length.
    pub(crate) fn bears(&self, token: &str) -> bool {
        let Some(value) = &self.authorization else { return false };
        let Some((scheme, given)) = value.split_once(' ') else { return false };
        let given = given.trim();
        scheme.eq_ignore_ascii_case("bearer")
            && given.len() == token.len()
            && given.bytes().zip(token.bytes()).fold(0, |wrong, (a, b)| wrong | (a ^ b)) == 0
    }

    fn parse(head: &str) -> Option<Self> {
        let mut lines = head.split("\r\n");
        let mut words = lines.next()?.split(' ');
        let (method, target, version) = (words.next()?, words.next()?, words.next()?);
        if !version.starts_with("HTTP/1.") || !target.starts_with('/') || words.next().is_some() {
            return None;
        }
        let authorization = lines
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("authorization"))
            .map(|(_, value)| value.trim().to_owned());
        let path = target.split_once('?').map_or(target, |(path, _)| path);
        Some(Self { method: method.to_owned(), path: path.to_owned(), authorization })
    }
}

/// Reads the head of a request; `None` when it is none.
pub(crate) fn read(connection: &mut std::net::TcpStream) -> io::Result<Option<Request>> {
    connection.set_read_timeout(Some(TIME_LIMIT))?;
    connection.set_write_timeout(Some(TIME_LIMIT))?;
    let mut head = Vec::new();
    let mut chunk = [0; 1024];
    loop {
        if let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") {
            return Ok(std::str::from_utf8(&head[..end]).ok().and_then(Request::parse));
        }
        let count = connection.read(&mut chunk)?;
        if count == 0 || head.len() + count > HEAD_MAX {
            return Ok(None);
        }
        head.extend_from_slice(&chunk[..count]);
    }
}

/// A reply with JSON in it.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Response {
    /// A refusal with its reason.
    pub(crate) fn error(status: u16, reason: &str) -> Self {
        Self { status, body: serde_json::json!({ "error": reason }).to_string() }
    }

    /// Sends it.
    pub(crate) fn write(&self, connection: &mut impl Write) -> io::Result<()> {
        let (status, length) = (self.status, self.body.len());
        let reason = match status {
            200 => "OK",
            400 => "Bad Request",
            401 => "Unauthorized",
            404 => "Not Found",
            _ => "Method Not Allowed",
        };
        let head = format!(
            "HTTP/1.1 {status} {reason}\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n"
        );
        connection.write_all(&[head.as_bytes(), self.body.as_bytes()].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_counts_only_as_a_whole() {
        for (header, expected) in [
            ("Authorization: Bearer secret", true),
            ("authorization:bearer secret", true),
            ("Authorization: Bearer secret2", false),
            ("Authorization: Bearer secre", false),
            ("Authorization: Bearer Secret", false),
            ("Authorization: Basic secret", false),
            ("Authorization: secret", false),
            ("Authorization: Bearer", false),
            ("X: Bearer secret", false),
        ] {
            let request = Request::parse(&format!("GET / HTTP/1.1\r\n{header}")).unwrap();
            assert_eq!(request.bears("secret"), expected, "{header}");
        }
    }

    #[test]
    fn garbage_is_no_request() {
        for head in ["", "GET", "GET /", "GET / HTTP/2", "GET x HTTP/1.1", "GET / HTTP/1.1 x", "\0"]
        {
            assert_eq!(Request::parse(head), None, "{head}");
        }
        assert_eq!(Request::parse("GET /stats?x=1 HTTP/1.1").unwrap().path, "/stats");
    }
}
