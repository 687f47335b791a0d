//! A miner's output: the last lines, and what came since.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use crate::miners::{Error, Miners, secrets::Secrets};
use adit_keeper_client::log::{Cursor, Log};
use adit_model::mask::Mask;

/// Lines that are returned at most.
const LINES: usize = 10_000;
/// Bytes that are read at most when following.
const FOLLOW_BYTES: usize = 256 << 10;
/// Time between two looks for new output.
const LOOK: Duration = Duration::from_millis(200);

/// A piece of a miner's output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LogPage {
    /// Lines in order, without their newlines.
    pub lines: Vec<String>,
    /// Where the next piece begins.
    pub cursor: String,
    /// Bytes that were rotated away before they could be read.
    pub skipped_bytes: u64,
}

impl Miners {
    /// The last `count` lines of a miner's output.
    ///
    /// # Errors
    /// [`Error::NoMiner`], or when the log cannot be read.
    pub async fn tail(&self, name: &str, count: usize) -> Result<LogPage, Error> {
        let (log, secrets) = self.log(name).await?;
        let (lines, cursor) = blocking(move || log.tail_and_end(count.min(LINES))).await?;
        Ok(page(&lines, cursor, 0, &secrets))
    }

    /// What a miner printed since `cursor`; waits up to `patience` for something.
    ///
    /// # Errors
    /// [`Error::NoMiner`], [`Error::Invalid`] for a cursor that is none, or when the log cannot be
    /// read.
    pub async fn follow(
        &self,
        name: &str,
        cursor: &str,
        patience: Duration,
    ) -> Result<LogPage, Error> {
        let mut cursor = parse(cursor).ok_or_else(|| {
            Error::Invalid("after: write a cursor from an earlier answer".to_owned())
        })?;
        let (log, secrets) = self.log(name).await?;
        let until = tokio::time::Instant::now() + patience;
        let mut skipped = 0;
        loop {
            let reader = log.clone();
            let read = blocking(move || reader.read_from(cursor, FOLLOW_BYTES)).await?;
            skipped += read.skipped;
            cursor = read.next;
            if !read.lines.is_empty() || tokio::time::Instant::now() >= until {
                return Ok(page(&read.lines, cursor, skipped, &secrets));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The log of a miner, complete up to now, and the secrets that must not be shown.
    async fn log(&self, name: &str) -> Result<(Log, Arc<[String]>), Error> {
        let member = self.member(name)?;
        let live = member.status.borrow().live.clone();
        let secrets = match live {
            Some((live, _)) => {
                live.hold.flush().await;
                live.secrets.get()
            }
            // What the last runs printed is still there.
            None => {
                let folder = self.0.parts.folder(&member.row.name);
                blocking(move || Ok(Secrets::left(&folder).get())).await?
            }
        };
        Ok((self.0.parts.keepers.log(&member.row.name), secrets))
    }
}

fn page(lines: &[String], cursor: Cursor, skipped_bytes: u64, secrets: &[String]) -> LogPage {
    let mask = Mask::new(secrets.iter().map(String::as_str));
    let lines = lines.iter().map(|line| mask.apply(line)).collect();
    let cursor = format!("{}:{}", cursor.generation, cursor.offset);
    LogPage { lines, cursor, skipped_bytes }
}

fn parse(cursor: &str) -> Option<Cursor> {
    let (generation, offset) = cursor.split_once(':')?;
    Some(Cursor { generation: generation.parse().ok()?, offset: offset.parse().ok()? })
}

async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, Error> {
    let read = tokio::task::spawn_blocking(read)
        .await
        .unwrap_or_else(|error| Err(std::io::Error::other(error)));
    read.map_err(|source| Error::Io { what: "read the miner's log".to_owned(), source })
}
