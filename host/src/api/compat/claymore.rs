//! Claymore's protocol over TCP: a line of JSON asks, a line answers.

use std::time::Duration;

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::api::{Api, serve::Places};
use adit_model::{
    dialect::{Subject, claymore},
    name::MinerName,
};

/// Clients at once.
const CLIENTS: usize = 32;
/// Longest line of a client, in bytes.
const LINE_BYTES: u64 = 4 << 10;
/// How long a client may say nothing.
const SILENCE: Duration = Duration::from_secs(60);
/// Pause after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers for `miner` until `ending`.
pub(super) async fn serve(
    api: Api,
    miner: MinerName,
    listener: TcpListener,
    ending: &CancellationToken,
) {
    let places = Places::new(CLIENTS);
    loop {
        let accepted = tokio::select! {
            () = ending.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, client)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let Some(place) = places.take(client.ip()) else { continue };
        let (api, miner, ending) = (api.clone(), miner.clone(), ending.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = ending.cancelled() => {}
                () = place.evicted() => {}
                _ = talk(&api, &miner, stream) => {}
            }
        });
    }
}

async fn talk(api: &Api, miner: &MinerName, stream: TcpStream) -> std::io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    loop {
        let mut line = String::new();
        let mut limited = (&mut reader).take(LINE_BYTES);
        let Ok(read) = timeout(SILENCE, limited.read_line(&mut line)).await else { return Ok(()) };
        if read? == 0 {
            return Ok(());
        }
        // A miner that is gone has no figures.
        let subject = || api.subject(miner.as_str()).unwrap_or_else(|_| Subject::default());
        let answer = claymore::answer(&line, subject);
        timeout(SILENCE, writer.write_all(format!("{answer}\n").as_bytes())).await??;
        // A web page can send lines of HTTP here, and JSON after them: it does not get that far.
        if answer["error"]["code"] == -32_700 {
            return Ok(());
        }
    }
}
