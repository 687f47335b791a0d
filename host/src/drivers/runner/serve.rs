//! What a driver in a runner asks of the host.

use adit_plugin_api::{
    Error, LogLevel, PeerId, PerformanceMetrics, Result, Services, question::Parts,
};

use crate::drivers::runner::frame::{self, Frame};

/// The longest log message that is taken, in bytes.
const LONGEST: usize = 16 << 10;

/// Writes a message to the host's log.
pub(crate) fn log(services: &dyn Services, frame: &Frame) {
    let part = |at: usize| frame.parts.get(at).map_or(&[][..], Vec::as_slice);
    let level = match part(0) {
        [0 | 1] => LogLevel::Error,
        [2] => LogLevel::Warn,
        [3] => LogLevel::Info,
        [4] => LogLevel::Debug,
        _ => LogLevel::Trace,
    };
    let text = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        text.get(..text.floor_char_boundary(LONGEST)).unwrap_or_default().to_owned()
    };
    services.log(level, &text(part(1)), &text(part(2)));
}

/// Answers a question to the host. Blocks.
pub(crate) fn answer(services: &dyn Services, code: u8, parts: Parts) -> Result<Parts> {
    let mut parts = parts.into_iter();
    let first = parts.next().unwrap_or_default();
    let text = String::from_utf8(first).map_err(|_| Error::invalid("a text is no UTF-8"))?;
    match code {
        frame::STORAGE_GET => Ok(services.storage_get(&text)?.into_iter().collect()),
        frame::STORAGE_PUT => {
            services.storage_put(&text, parts.next().as_deref()).map(|()| Vec::new())
        }
        frame::STORAGE_KEYS => {
            let keys = services.storage_keys(&text)?;
            Ok(vec![serde_json::to_vec(&keys)?])
        }
        frame::PUBLISH => {
            let metrics: PerformanceMetrics = serde_json::from_str(&text)?;
            services.publish(&metrics).map(|()| Vec::new())
        }
        frame::SEND => {
            let to = PeerId(text);
            let answer = services.send(&to, &parts.next().unwrap_or_default())?;
            Ok(vec![answer])
        }
        frame::EVENT => {
            let data = serde_json::from_slice(&parts.next().unwrap_or_default())?;
            services.event(&text, &data).map(|()| Vec::new())
        }
        other => Err(Error::unsupported(format!("this host has no service {other}"))),
    }
}
