//! As little of an HTTP client as measuring needs, so that the server is what is measured.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::host::PATIENCE;

/// Connections at once in [`requests_per_second`].
const CONNECTIONS: usize = 16;

/// Where the head of a message ends, if it is there as a whole.
pub(crate) fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|part| part == b"\r\n\r\n").map(|at| at + 4)
}

/// Length of the whole reply that `bytes` begin, if its head is there.
fn reply_length(bytes: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"content-length:";
    let head = &bytes[..head_end(bytes)?];
    let mut lines = head.split(|byte| *byte == b'\n');
    let line = lines
        .find(|line| line.get(..NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME)));
    let length = str::from_utf8(&line?[NAME.len()..]).ok()?.trim().parse::<usize>().ok()?;
    Some(head.len() + length)
}

/// The bytes of a GET request.
pub(crate) fn request(path: &str, token: &str) -> Vec<u8> {
    let auth =
        if token.is_empty() { String::new() } else { format!("authorization: Bearer {token}\r\n") };
    format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{auth}\r\n").into_bytes()
}

/// One connection that is kept.
pub(crate) struct Client(TcpStream);

impl Client {
    pub(crate) fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(stream)
    }

    /// The whole reply, head and body.
    ///
    /// # Panics
    /// When it is not a 200.
    pub(crate) fn get(&mut self, path: &str, token: &str) -> Vec<u8> {
        self.0.write_all(&request(path, token)).unwrap();
        let mut reply = Vec::new();
        let mut buffer = [0; 64 << 10];
        while reply_length(&reply).is_none_or(|length| reply.len() < length) {
            let count = self.0.read(&mut buffer).unwrap();
            assert!(count > 0, "the server hung up");
            reply.extend_from_slice(&buffer[..count]);
        }
        let text = String::from_utf8_lossy(&reply);
        assert!(text.starts_with("HTTP/1.1 200"), "{path}: {text}");
        reply
    }
}

/// The body of a whole reply.
pub(crate) fn body(reply: &[u8]) -> &[u8] {
    &reply[head_end(reply).unwrap()..]
}

/// How many times a second `address` answers `request` over 16 connections that are kept.
pub(crate) fn requests_per_second(address: &str, request: &[u8], during: Duration) -> f64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let done: u32 = runtime.block_on(async {
        let until = Instant::now() + during;
        let ask = |_| tokio::spawn(ask_until(address.to_owned(), request.to_owned(), until));
        let asking: Vec<_> = (0..CONNECTIONS).map(ask).collect();
        let mut sum = 0;
        for count in asking {
            sum += count.await.unwrap();
        }
        sum
    });
    f64::from(done) / during.as_secs_f64()
}

async fn ask_until(address: String, request: Vec<u8>, until: Instant) -> u32 {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut buffer = vec![0; 64 << 10];
    let mut count = 0;
    while Instant::now() < until {
        stream.write_all(&request).await.unwrap();
        let mut filled = 0;
        while reply_length(&buffer[..filled]).is_none_or(|length| filled < length) {
            let read = stream.read(&mut buffer[filled..]).await.unwrap();
            assert!(read > 0, "the server hung up");
            filled += read;
        }
        assert!(buffer.starts_with(b"HTTP/1.1 200"), "the server refused");
        count += 1;
    }
    count
}
