//! A release server on this machine, with faults by switch.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use serde_json::json;

use crate::release::{archives::sha256, signing::Signer};

/// Time between two bytes of an answer that drips.
const DROP: Duration = Duration::from_millis(100);

/// What the server does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// The first answers with an asset end after half of what they should send.
    Truncated {
        /// How many answers.
        times: usize,
    },
    /// Answers with an asset stop after half, or give nothing more of one to be resumed, and the
    /// connection stays open.
    Stalled,
    /// The first answer ends early, and `Range` is ignored afterwards.
    ResumeIgnored,
    /// The API takes no more requests until 2100.
    RateLimit,
    /// The same by `Retry-After`, with status 429.
    RetryAfter,
    /// There is nothing.
    NotFound,
    /// The server is broken.
    Broken,
    /// Assets are elsewhere, where nobody may be sent.
    RedirectAway,
    /// Assets are elsewhere on this server.
    Redirect,
    /// The asset has more bytes than the release says.
    Longer,
    /// The API answers with something else.
    Nonsense,
    /// Answers of the API come byte by byte, without end for a test.
    DrippingApi,
    /// Lists and signatures do.
    DrippingLists,
    /// Archives do.
    DrippingArchives,
}

/// A release as the server has it.
#[derive(Default)]
pub struct Release {
    /// Its files by name.
    pub assets: BTreeMap<String, Vec<u8>>,
    /// Size that the API tells instead of the real one.
    pub size: Option<u64>,
    /// Sum that the API tells.
    pub digest: Option<String>,
}

struct State {
    fault: Fault,
    releases: BTreeMap<String, Release>,
    latest: String,
    key: String,
    requests: Vec<String>,
}

/// The server. Clones are the same one.
#[derive(Clone)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Server {
    /// A server without releases that gives out `key` wherever a key is asked for. It serves until
    /// the test ends.
    pub fn start(key: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = State {
            fault: Fault::None,
            releases: BTreeMap::new(),
            latest: String::new(),
            key,
            requests: Vec::new(),
        };
        let server = Self { address, state: Arc::new(Mutex::new(state)) };
        let serving = server.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = serving.clone();
                thread::spawn(move || server.serve(stream));
            }
        });
        server
    }

    /// Its address for settings.
    pub fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on the server does this wrong.
    pub fn fault(&self, fault: Fault) {
        self.state.lock().unwrap().fault = fault;
    }

    /// From now on the server gives out this key.
    pub fn key(&self, key: String) {
        self.state.lock().unwrap().key = key;
    }

    /// Publishes a version with this archive, its sums and their signature.
    pub fn publish(&self, version: &str, name: &str, archive: Vec<u8>, signer: &Signer) {
        let sums = format!("{}  other.zip\n{} *{name}\n", "0".repeat(64), sha256(&archive));
        self.publish_as(version, name, archive, sums.as_bytes(), signer.sign(sums.as_bytes()));
    }

    /// Publishes a version with any archive, sums and signature.
    pub fn publish_as(
        &self,
        version: &str,
        name: &str,
        archive: Vec<u8>,
        sums: &[u8],
        signature: String,
    ) {
        let assets = BTreeMap::from([
            (name.to_owned(), archive),
            ("SHA256SUMS".to_owned(), sums.to_vec()),
            ("SHA256SUMS.sig".to_owned(), signature.into_bytes()),
        ]);
        let mut state = self.state.lock().unwrap();
        state.latest = format!("v{version}");
        state.releases.insert(format!("v{version}"), Release { assets, size: None, digest: None });
    }

    /// Changes a published release.
    pub fn edit(&self, version: &str, edit: impl FnOnce(&mut Release)) {
        edit(self.state.lock().unwrap().releases.get_mut(&format!("v{version}")).unwrap());
    }

    /// Requests since the last call, as `GET /path bytes=5-`.
    pub fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().requests)
    }

    fn serve(&self, stream: TcpStream) {
        let mut stream = BufReader::new(stream);
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            match line.trim() {
                "" => break,
                line => head.push(line.to_owned()),
            }
        }
        let path = head[0].split(' ').nth(1).unwrap_or_default().to_owned();
        let range = head.iter().find_map(|line| {
            let (name, value) = line.split_once(": bytes=")?;
            name.eq_ignore_ascii_case("range").then_some(value)
        });
        let from = range.and_then(|it| it.trim_end_matches('-').parse::<usize>().ok());
        self.state.lock().unwrap().requests.push(match from {
            Some(from) => format!("{path} {from}-"),
            None => path.clone(),
        });
        let answer = self.answer(&path, from);
        let mut out = stream.into_inner();
        out.write_all(answer.head.as_bytes()).ok();
        if answer.drips {
            for byte in &answer.body {
                if out.write_all(&[*byte]).and_then(|()| out.flush()).is_err() {
                    return;
                }
                thread::sleep(DROP);
            }
        }
        out.write_all(&answer.body).ok();
        out.flush().ok();
        if answer.hang {
            // As long as the test goes on.
            loop {
                thread::park();
            }
        }
    }

    fn answer(&self, path: &str, from: Option<usize>) -> Answer {
        let mut state = self.state.lock().unwrap();
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        match state.fault {
            Fault::NotFound => return Answer::status("404 Not Found"),
            Fault::Broken => return Answer::status("502 Bad Gateway"),
            _ => {}
        }
        match parts.as_slice() {
            [.., name] if name.ends_with(".asc") => Answer::whole(state.key.clone().into_bytes()),
            ["repos", _, _, "releases", "latest"] => {
                let latest = state.latest.clone();
                state.release(&latest)
            }
            ["repos", _, _, "releases", "tags", tag] => state.release(tag),
            [_, _, "releases", "download", tag, name] => state.download(tag, name, from),
            ["storage", tag, name] => state.asset(tag, name, from),
            _ => Answer::status("404 Not Found"),
        }
    }
}

impl State {
    fn release(&self, tag: &str) -> Answer {
        match self.fault {
            Fault::RateLimit => {
                return Answer::with(
                    "403 Forbidden",
                    "x-ratelimit-remaining: 0\r\nx-ratelimit-reset: 4102444800\r\n",
                );
            }
            Fault::RetryAfter => {
                return Answer::with("429 Too Many Requests", "retry-after: 60\r\n");
            }
            Fault::Nonsense => return Answer::whole(b"<html>welcome</html>".to_vec()),
            _ => {}
        }
        let Some(release) = self.releases.get(tag) else {
            return Answer::status("404 Not Found");
        };
        let assets: Vec<_> = { release.assets.iter() }
            .map(|(name, bytes)| {
                let archive = !name.starts_with("SHA256SUMS");
                let size = release.size.filter(|_| archive).unwrap_or(bytes.len() as u64);
                let digest = release.digest.clone().filter(|_| archive);
                json!({ "name": name, "size": size, "digest": digest })
            })
            .collect();
        let body = json!({ "tag_name": tag, "draft": false, "assets": assets, "more": [1] });
        let drips = self.fault == Fault::DrippingApi;
        Answer { drips, ..Answer::whole(body.to_string().into_bytes()) }
    }

    fn download(&mut self, tag: &str, name: &str, from: Option<usize>) -> Answer {
        match self.fault {
            Fault::RedirectAway => {
                Answer::with("302 Found", "location: https://evil.example/digger.tar.gz\r\n")
            }
            Fault::Redirect => {
                Answer::with("302 Found", &format!("location: /storage/{tag}/{name}\r\n"))
            }
            _ => self.asset(tag, name, from),
        }
    }

    fn asset(&mut self, tag: &str, name: &str, from: Option<usize>) -> Answer {
        let Some(bytes) = self.releases.get(tag).and_then(|it| it.assets.get(name)).cloned() else {
            return Answer::status("404 Not Found");
        };
        if name.starts_with("SHA256SUMS") {
            let drips = self.fault == Fault::DrippingLists;
            return Answer { drips, ..Answer::whole(bytes) };
        }
        let ignored = self.fault == Fault::ResumeIgnored;
        let mut answer = match from {
            Some(from) if from < bytes.len() && !ignored => Answer::rest(&bytes, from),
            _ => Answer::whole(bytes),
        };
        match &mut self.fault {
            Fault::Truncated { times } if *times > 0 => {
                *times -= 1;
                answer.halve();
            }
            Fault::ResumeIgnored if from.is_none() => answer.halve(),
            Fault::Stalled => {
                match from {
                    Some(_) => answer.body.clear(),
                    None => answer.halve(),
                }
                answer.hang = true;
            }
            Fault::DrippingArchives => answer.drips = true,
            Fault::Longer => {
                let mut longer = answer.body.clone();
                longer.extend_from_slice(b"more");
                answer = Answer {
                    head: Answer::CHUNKLESS.to_owned(),
                    body: longer,
                    hang: false,
                    drips: false,
                };
            }
            _ => {}
        }
        answer
    }
}

struct Answer {
    head: String,
    body: Vec<u8>,
    hang: bool,
    drips: bool,
}

impl Answer {
    /// No length: the end of the connection is the end of the body.
    const CHUNKLESS: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";

    fn whole(body: Vec<u8>) -> Self {
        let length = body.len();
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
        Self { head, body, hang: false, drips: false }
    }

    fn rest(bytes: &[u8], from: usize) -> Self {
        let (total, body) = (bytes.len(), bytes[from..].to_vec());
        let head = format!(
            "HTTP/1.1 206 Partial Content\r\ncontent-length: {}\r\n\
             content-range: bytes {from}-{}/{total}\r\nconnection: close\r\n\r\n",
            body.len(),
            total - 1,
        );
        Self { head, body, hang: false, drips: false }
    }

    fn status(status: &str) -> Self {
        Self::with(status, "")
    }

    fn with(status: &str, headers: &str) -> Self {
        let head =
            format!("HTTP/1.1 {status}\r\n{headers}content-length: 0\r\nconnection: close\r\n\r\n");
        Self { head, body: Vec::new(), hang: false, drips: false }
    }

    fn halve(&mut self) {
        self.body.truncate(self.body.len() / 2);
    }
}
