//! The host's services across the boundary: the host's end and the driver's.

use std::sync::Arc;

use abi_stable::{
    erased_types::TD_Opaque,
    std_types::{ROption, RResult, RSlice, RStr, RString, RVec},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Error, LogLevel, PeerId, PerformanceMetrics, Result, Services,
    abi::{AbiHost, AbiHost_TO, AbiResult, HostObject},
    guard::guard,
    limits::{check_size, cut},
    wire::{decode, encode},
};

/// What a driver's object is given to reach `services`. Panics of the services end here.
pub(crate) fn host_object(services: Arc<dyn Services>) -> HostObject {
    AbiHost_TO::from_value(HostEnd(Some(services)), TD_Opaque)
}

/// `Some` until dropped.
struct HostEnd(Option<Arc<dyn Services>>);

impl HostEnd {
    fn enter<T>(
        &self,
        entry: &'static str,
        work: impl FnOnce(&dyn Services) -> Result<T>,
    ) -> AbiResult<T> {
        let services = self.0.as_deref().ok_or_else(|| Error::unavailable("there is no host"));
        guard("the host", entry, || work(services?)).map_err(Into::into).into()
    }
}

impl Drop for HostEnd {
    fn drop(&mut self) {
        let services = self.0.take();
        // A panic here would end the process: the driver's side has no way to take it.
        drop(guard("the host", "drop", || {
            drop(services);
            Ok(())
        }));
    }
}

impl AbiHost for HostEnd {
    fn log(&self, level: u32, target: RStr<'_>, message: RStr<'_>) -> AbiResult<()> {
        self.enter("log", |services| {
            services.log(level_of(level), cut(target.into()), cut(message.into()));
            Ok(())
        })
    }

    fn storage_get(&self, key: RStr<'_>) -> AbiResult<ROption<RVec<u8>>> {
        self.enter("storage_get", |services| {
            let value = services.storage_get(key.into())?;
            Ok(value.map(RVec::from).into())
        })
    }

    fn storage_put(&self, key: RStr<'_>, value: ROption<RSlice<'_, u8>>) -> AbiResult<()> {
        self.enter("storage_put", |services| {
            let value = value.into_option();
            check_size("the value", value.map_or(0, |value| value.len()))?;
            services.storage_put(key.into(), value.map(Into::into))
        })
    }

    fn storage_keys(&self, prefix: RStr<'_>) -> AbiResult<RString> {
        self.enter("storage_keys", |services| {
            let keys = services.storage_keys(prefix.into())?;
            Ok(encode("the list of keys", &keys)?.into())
        })
    }

    fn publish(&self, metrics: RStr<'_>) -> AbiResult<()> {
        self.enter("publish", |services| {
            check_size("the metrics", metrics.len())?;
            services.publish(&decode("the metrics", metrics.into())?)
        })
    }

    fn send(&self, to: RStr<'_>, payload: RSlice<'_, u8>) -> AbiResult<RVec<u8>> {
        self.enter("send", |services| {
            check_size("the message", payload.len())?;
            Ok(services.send(&PeerId(to.into()), payload.as_slice())?.into())
        })
    }

    fn call(&self, method: RStr<'_>, params: RStr<'_>) -> AbiResult<RString> {
        if method == EVENT {
            return self.enter(EVENT, |services| {
                check_size("the event", params.len())?;
                let Event { kind, data } = decode("the event", params.into())?;
                services.event(&kind, &data)?;
                Ok(RString::new())
            });
        }
        let method = cut(method.into()).to_owned();
        let error = Error::unsupported(format!("this host has no service {method:?}"));
        RResult::RErr(error.into())
    }
}

/// What [`AbiHost::call`] is asked for an event.
const EVENT: &str = "event";

/// An event as it crosses.
#[derive(Serialize, Deserialize)]
struct Event {
    kind: String,
    #[serde(default)]
    data: Value,
}

/// The services of the host, in a driver.
pub(crate) struct DriverEnd(pub(crate) HostObject);

impl Services for DriverEnd {
    fn log(&self, level: LogLevel, target: &str, message: &str) {
        // There is nobody else to tell that a message was lost.
        drop(self.0.log(code_of(level), target.into(), cut(message).into()));
    }

    fn storage_get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let value = self.0.storage_get(key.into()).into_result()?;
        Ok(value.into_option().map(Into::into))
    }

    fn storage_put(&self, key: &str, value: Option<&[u8]>) -> Result<()> {
        let value = value.map(RSlice::from_slice).into();
        Ok(self.0.storage_put(key.into(), value).into_result()?)
    }

    fn storage_keys(&self, prefix: &str) -> Result<Vec<String>> {
        let keys = self.0.storage_keys(prefix.into()).into_result()?;
        decode("the list of keys", &keys)
    }

    fn publish(&self, metrics: &PerformanceMetrics) -> Result<()> {
        let metrics = encode("the metrics", metrics)?;
        Ok(self.0.publish(metrics.as_str().into()).into_result()?)
    }

    fn send(&self, to: &PeerId, payload: &[u8]) -> Result<Vec<u8>> {
        let answer = self.0.send(to.0.as_str().into(), payload.into()).into_result()?;
        Ok(answer.into())
    }

    fn event(&self, kind: &str, data: &Value) -> Result<()> {
        let event = Event { kind: kind.to_owned(), data: data.clone() };
        let event = encode("the event", &event)?;
        self.0.call(EVENT.into(), event.as_str().into()).into_result()?;
        Ok(())
    }
}

fn code_of(level: LogLevel) -> u32 {
    match level {
        LogLevel::Error => 1,
        LogLevel::Warn => 2,
        LogLevel::Info => 3,
        LogLevel::Debug => 4,
        LogLevel::Trace => 5,
    }
}

fn level_of(code: u32) -> LogLevel {
    match code {
        0 | 1 => LogLevel::Error,
        2 => LogLevel::Warn,
        3 => LogLevel::Info,
        4 => LogLevel::Debug,
        _ => LogLevel::Trace,
    }
}
