//! `adit api`: any route of the API, for what has no command of its own and for scripts.

use std::{io::Write, path::Path};

use clap::Args;
use hyper::http::Method;
use serde_json::Value;

use crate::cli::{Common, Error, client::Client, input, show};

#[derive(Args)]
pub(super) struct Raw {
    /// GET, POST, PUT, PATCH or DELETE
    method: String,
    /// The route with its query, below the base path, such as /miners or /history/status
    path: String,
    /// A JSON body; - reads it from standard input
    #[arg(long, value_name = "JSON")]
    data: Option<String>,
}

/// Prints what the host answers, as it is.
pub(super) async fn run(common: &Common, raw: Raw) -> Result<(), Error> {
    let Raw { method, path, data } = raw;
    let known = ["GET", "POST", "PUT", "PATCH", "DELETE"];
    let method = known
        .iter()
        .find(|it| it.eq_ignore_ascii_case(&method))
        .and_then(|it| Method::from_bytes(it.as_bytes()).ok())
        .ok_or_else(|| Error::message(format!("{method}: write one of {}", known.join(", "))))?;
    if !path.starts_with('/') {
        return Err(Error::message("the route begins with /, such as /miners"));
    }
    let body = data.map(|data| body(&data)).transpose()?;
    let answer = Client::find(common)?.answer(method, &path, body.as_ref()).await?;
    match serde_json::from_slice::<Value>(&answer) {
        Ok(value) => show::json(&value),
        // Figures for Prometheus, or what a driver says: without what steers a terminal.
        Err(_) => {
            let text = String::from_utf8_lossy(&answer);
            let lines = text.lines().map(show::plain).map(|it| it + "\n");
            let text: String = lines.collect();
            std::io::stdout()
                .write_all(text.as_bytes())
                .map_err(|error| Error::message(format!("cannot write the answer: {error}")))?;
        }
    }
    Ok(())
}

fn body(data: &str) -> Result<Value, Error> {
    let text = if data == "-" { input::read(Path::new(data))? } else { data.to_owned() };
    serde_json::from_str(&text)
        .map_err(|error| Error::message(format!("--data is no JSON: {error}")))
}
