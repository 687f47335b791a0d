//! A large file over an unsteady network: what arrived stays, and is gone on from.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use hyper::{
    StatusCode,
    body::Bytes,
    header::{self, HeaderName},
};
use sha2::{Digest, Sha256};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout_at},
};

use crate::{
    Limits, blocking,
    error::Error,
    progress::{Reporter, Step},
    signature::hex,
    web::{Answer, Web},
};

/// Chunks that may wait for the disk.
const QUEUE: usize = 32;
/// Attempts without a single new byte after which a download is given up.
const FRUITLESS: u32 = 4;
/// Attempts altogether.
const ATTEMPTS: u32 = 50;

/// A file to be fetched.
pub(crate) struct Wanted {
    /// Its address.
    pub(crate) url: String,
    /// Its name, for people.
    pub(crate) asset: String,
    /// Its size, when the release tells it.
    pub(crate) size: Option<u64>,
    /// Where it goes. What is there already is its beginning.
    pub(crate) part: PathBuf,
}

/// What arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arrived {
    /// SHA-256, in hex.
    pub(crate) sha256: String,
    /// Its size.
    pub(crate) bytes: u64,
    /// Whether its beginning comes from an earlier installation.
    pub(crate) resumed: bool,
}

/// The file on disk, and the hash of what is in it.
struct Sink {
    file: File,
    hash: Sha256,
    len: u64,
}

/// Fetches a file, going on after interruptions.
///
/// # Errors
/// [`Error::Interrupted`] leaves the part for another time; after all others it is of no use.
pub(crate) async fn download(
    web: &Web,
    wanted: &Wanted,
    limits: &Limits,
    progress: &Reporter,
) -> Result<Arrived, Error> {
    check_size(wanted, limits, wanted.size)?;
    let deadline = Instant::now() + limits.download_time;
    let part = wanted.part.clone();
    let mut sink = blocking(move || Sink::open(&part)).await.map_err(disk(wanted))?;
    if wanted.size.is_some_and(|size| sink.len > size) {
        sink.clear().map_err(disk(wanted))?;
    }
    let resumed = sink.len > 0;
    progress.send_modify(|it| {
        it.step = Step::Downloading;
        it.bytes = sink.len;
        it.total = wanted.size;
    });
    let (mut total, mut fruitless, mut reason) = (wanted.size, 0, String::new());
    for attempt in 0..ATTEMPTS {
        if total.is_some_and(|total| sink.len == total) {
            return sink.finish(resumed).await.map_err(disk(wanted));
        }
        if fruitless == FRUITLESS || Instant::now() >= deadline {
            break;
        }
        if attempt > 0 {
            sleep(limits.retry_pause * 2_u32.pow(fruitless)).await;
        }
        let (before, mut is_slow) = (sink.len, false);
        let task = Attempt { web, wanted, limits, progress };
        let (back, outcome) = task.run(sink, total, deadline).await?;
        sink = back;
        match outcome {
            Outcome::Ended(size) => {
                total = size.or(Some(sink.len));
                reason = "the connection was closed".to_owned();
            }
            Outcome::Broke(size, why) => {
                total = size.or(total);
                reason = why;
            }
            Outcome::Slow(size) => {
                total = size.or(total);
                reason = format!("less than {} bytes a second arrive", limits.least_rate);
                is_slow = true;
            }
        }
        fruitless = if sink.len > before && !is_slow { 0 } else { fruitless + 1 };
    }
    let total = total.unwrap_or(sink.len);
    Err(Error::Interrupted { asset: wanted.asset.clone(), got: sink.len, total, reason })
}

/// How one request ended, with the size of the file as far as it is known.
enum Outcome {
    Ended(Option<u64>),
    Broke(Option<u64>, String),
    Slow(Option<u64>),
}

struct Attempt<'a> {
    web: &'a Web,
    wanted: &'a Wanted,
    limits: &'a Limits,
    progress: &'a Reporter,
}

impl Attempt<'_> {
    async fn run(
        &self,
        mut sink: Sink,
        total: Option<u64>,
        deadline: Instant,
    ) -> Result<(Sink, Outcome), Error> {
        let headers = headers(sink.len);
        let answer = match timeout_at(deadline, self.web.get(&self.wanted.url, &headers)).await {
            Err(_) => return Ok((sink, Outcome::Broke(total, "it takes too long".to_owned()))),
            Ok(answer) => answer,
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(Error::Unreachable { reason, .. }) => {
                return Ok((sink, Outcome::Broke(total, reason)));
            }
            Err(error) => return Err(error),
        };
        let start = match answer.status {
            StatusCode::PARTIAL_CONTENT if range_start(&answer) == Some(sink.len) => sink.len,
            StatusCode::OK => 0,
            // The part is not the beginning of what is there now.
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE if sink.len > 0 => {
                sink.clear().map_err(disk(self.wanted))?;
                return Ok((sink, Outcome::Broke(total, "it cannot be resumed".to_owned())));
            }
            status if status.is_server_error() => {
                return Ok((sink, Outcome::Broke(total, format!("the server said {status}"))));
            }
            _ => return Err(answer.refusal()),
        };
        if start < sink.len {
            sink.clear().map_err(disk(self.wanted))?;
        }
        let announced = answer.number("content-length").map(|length| start.saturating_add(length));
        let total = self.wanted.size.or(announced);
        check_size(self.wanted, self.limits, total)?;
        self.receive(answer, sink, total, deadline).await
    }

    async fn receive(
        &self,
        mut answer: Answer,
        sink: Sink,
        total: Option<u64>,
        deadline: Instant,
    ) -> Result<(Sink, Outcome), Error> {
        let most = total.unwrap_or(self.limits.download_bytes);
        let mut len = sink.len;
        let mut pace = Pace::new(self.limits, len);
        let (chunks, queue) = mpsc::channel(QUEUE);
        let writer = tokio::task::spawn_blocking(move || sink.take_all(queue));
        let outcome = loop {
            match timeout_at(deadline, answer.chunk()).await {
                Err(_) => break Ok(Outcome::Broke(total, "it takes too long".to_owned())),
                Ok(Ok(None)) => break Ok(Outcome::Ended(total)),
                Ok(Err(Error::Unreachable { reason, .. })) => {
                    break Ok(Outcome::Broke(total, reason));
                }
                Ok(Err(error)) => break Err(error),
                Ok(Ok(Some(chunk))) => {
                    len += chunk.len() as u64;
                    if len > most {
                        let what = self.wanted.asset.clone();
                        break Err(Error::TooLarge { what, limit: most });
                    }
                    // A writer that is gone tells why below.
                    if chunks.send(chunk).await.is_err() {
                        break Ok(Outcome::Broke(total, String::new()));
                    }
                    self.progress.send_modify(|it| (it.bytes, it.total) = (len, total));
                    if pace.is_too_slow(len) {
                        break Ok(Outcome::Slow(total));
                    }
                }
            }
        };
        drop(chunks);
        let sink = writer.await.map_err(|error| io::Error::other(error.to_string()));
        let sink = sink.flatten().map_err(disk(self.wanted))?;
        Ok((sink, outcome?))
    }
}

/// Whether enough arrives, period by period.
struct Pace {
    every: Duration,
    least: u64,
    since: Instant,
    len: u64,
}

impl Pace {
    fn new(limits: &Limits, len: u64) -> Self {
        let ms = u64::try_from(limits.stall.as_millis()).unwrap_or(u64::MAX);
        let least = limits.least_rate.saturating_mul(ms) / 1000;
        Self { every: limits.stall, least, since: Instant::now(), len }
    }

    fn is_too_slow(&mut self, len: u64) -> bool {
        if self.since.elapsed() < self.every {
            return false;
        }
        let arrived = len - self.len;
        (self.since, self.len) = (Instant::now(), len);
        arrived < self.least
    }
}

impl Sink {
    fn open(path: &Path) -> io::Result<Self> {
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut hash = Sha256::new();
        let len = feed(&mut file, &mut hash)?;
        Ok(Self { file, hash, len })
    }

    fn clear(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.hash = Sha256::new();
        self.len = 0;
        Ok(())
    }

    fn take_all(mut self, mut queue: mpsc::Receiver<Bytes>) -> io::Result<Self> {
        while let Some(chunk) = queue.blocking_recv() {
            self.file.write_all(&chunk)?;
            self.hash.update(&chunk);
            self.len += chunk.len() as u64;
        }
        Ok(self)
    }

    async fn finish(self, resumed: bool) -> io::Result<Arrived> {
        let Self { file, hash, len } = self;
        blocking(move || file.sync_all()).await?;
        Ok(Arrived { sha256: hex(&hash.finalize()), bytes: len, resumed })
    }
}

/// SHA-256 and size of a file.
pub(crate) fn hash_file(path: &Path) -> io::Result<Arrived> {
    let mut hash = Sha256::new();
    let bytes = feed(&mut File::open(path)?, &mut hash)?;
    Ok(Arrived { sha256: hex(&hash.finalize()), bytes, resumed: false })
}

fn feed(file: &mut File, hash: &mut Sha256) -> io::Result<u64> {
    let mut buffer = vec![0; 1 << 16];
    let mut len = 0;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(len),
            read => {
                hash.update(&buffer[..read]);
                len += read as u64;
            }
        }
    }
}

fn headers(from: u64) -> Vec<(HeaderName, String)> {
    let mut headers = vec![
        (header::ACCEPT, "application/octet-stream".to_owned()),
        (header::ACCEPT_ENCODING, "identity".to_owned()),
    ];
    if from > 0 {
        headers.push((header::RANGE, format!("bytes={from}-")));
    }
    headers
}

/// Where a partial answer begins: the 5 of `bytes 5-9/10`.
fn range_start(answer: &Answer) -> Option<u64> {
    let range = answer.headers.get(header::CONTENT_RANGE)?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split('-').next()?.trim().parse().ok()
}

fn check_size(wanted: &Wanted, limits: &Limits, size: Option<u64>) -> Result<(), Error> {
    match size {
        Some(size) if size > limits.download_bytes => {
            Err(Error::TooLarge { what: wanted.asset.clone(), limit: limits.download_bytes })
        }
        _ => Ok(()),
    }
}

fn disk(wanted: &Wanted) -> impl FnOnce(io::Error) -> Error {
    Error::io("write", wanted.part.clone())
}
