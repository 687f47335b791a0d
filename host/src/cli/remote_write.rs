//! `adit remote-write`: how the push of all series to a remote store goes.

use crate::{
    cli::{Common, Error, client::Client, show},
    miners::RemoteWriteStatus,
};

pub(super) async fn run(common: &Common) -> Result<(), Error> {
    let status: RemoteWriteStatus = Client::find(common)?.get("/remote-write").await?;
    if common.json {
        show::json(&status);
        return Ok(());
    }
    if !status.enabled {
        println!("nothing is pushed: the settings have no [remote_write] with a url");
        return Ok(());
    }
    let state = if status.last_error.is_some() { "failing" } else { "well" };
    show::facts(&[
        ("state", Some(state.to_owned())),
        ("url", status.url),
        ("sent", Some(status.sent_samples.to_string())),
        ("waiting", Some(status.pending_samples.to_string())),
        ("dropped", Some(status.dropped_samples.to_string())),
        ("refused", Some(status.refused_samples.to_string())),
        ("failures", Some(status.failures.to_string())),
        ("last taken", Some(show::time(status.last_success_ms))),
        ("last error", status.last_error),
    ]);
    Ok(())
}
