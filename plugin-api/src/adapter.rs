//! The driver's side: an author's [`Miner`] as the object that the host calls.

use std::sync::Arc;

use abi_stable::{
    erased_types::TD_Opaque,
    std_types::{RResult, RSlice, RStr, RString, RVec, Tuple2},
};

use crate::{
    Command, Config, Context, Error, Host, Installed, Launch, Miner, PeerId, Result, Target,
    abi::{AbiMiner, AbiMiner_TO, AbiResult, HostObject, MinerObject},
    forward,
    guard::guard,
    remote::DriverEnd,
    wire::{self, ContextHead, decode, encode},
};

const DRIVER: &str = "the driver";

/// One object of an author's type. Panics of its methods and of its drop end here.
struct Adapter<M> {
    host: Host,
    /// `Some` until dropped.
    miner: Option<M>,
}

/// Makes an object of `M` for the host behind `host`. Log messages of this library go to the host
/// from now on.
pub(crate) fn create<M: Miner>(host: HostObject, context: &str) -> AbiResult<MinerObject> {
    let host = Host::new(Arc::new(DriverEnd(host)));
    let made = guard(DRIVER, "create", || {
        forward::install_log(&host);
        let head = decode("the context", context)?;
        let ContextHead { driver, miner, data_dir, definition } = head;
        let context = Context { driver, miner, data_dir, definition, host: host.clone() };
        forward::within(&host, || M::create(context))
    });
    let object = made.map(|miner| Adapter { host, miner: Some(miner) });
    object.map(|adapter| AbiMiner_TO::from_value(adapter, TD_Opaque)).map_err(Into::into).into()
}

impl<M: Miner> Adapter<M> {
    fn enter<T>(&self, entry: &'static str, work: impl FnOnce(&M) -> Result<T>) -> AbiResult<T> {
        let miner = self.miner.as_ref().ok_or_else(|| Error::unavailable("the object is gone"));
        guard(DRIVER, entry, || forward::within(&self.host, || work(miner?)))
            .map_err(Into::into)
            .into()
    }
}

impl<M> Drop for Adapter<M> {
    fn drop(&mut self) {
        let miner = self.miner.take();
        // The panic hook has told the host; nobody waits for the result of a drop.
        drop(guard(DRIVER, "drop", || {
            forward::within(&self.host, || drop(miner));
            Ok(())
        }));
    }
}

impl<M: Miner> AbiMiner for Adapter<M> {
    fn describe(&self) -> AbiResult<RString> {
        self.enter("describe", |miner| text("the description", &miner.describe()))
    }

    fn install(&self, target: RStr<'_>) -> AbiResult<RString> {
        self.enter("install", |miner| {
            let target: Target = decode("the target", target.into())?;
            text("the install plan", &miner.install(&target)?)
        })
    }

    fn uninstall(&self, installed: RStr<'_>) -> AbiResult<()> {
        self.enter("uninstall", |miner| {
            let installed: Installed = decode("the installed program", installed.into())?;
            miner.uninstall(&installed)
        })
    }

    fn version(&self, output: RStr<'_>) -> AbiResult<RString> {
        self.enter("version", |miner| Ok(miner.version(output.into())?.into()))
    }

    fn start(&self, config: RStr<'_>, launch: RStr<'_>) -> AbiResult<RString> {
        self.enter("start", |miner| {
            let config: Config = decode("the configuration", config.into())?;
            text("the start plan", &miner.start(&config, &read_launch(launch)?)?)
        })
    }

    fn stop(&self, launch: RStr<'_>) -> AbiResult<RString> {
        self.enter("stop", |miner| text("the stop plan", &miner.stop(&read_launch(launch)?)))
    }

    fn probes(&self, launch: RStr<'_>) -> AbiResult<RString> {
        self.enter("probes", |miner| text("the probes", &miner.probes(&read_launch(launch)?)))
    }

    fn stats(
        &self,
        launch: RStr<'_>,
        replies: RStr<'_>,
        bodies: RSlice<'_, u8>,
    ) -> AbiResult<RString> {
        self.enter("stats", |miner| {
            let replies = wire::decode_replies(replies.into(), bodies.as_slice())?;
            text("the metrics", &miner.stats(&read_launch(launch)?, &replies)?)
        })
    }

    fn output(&self, lines: RStr<'_>) -> AbiResult<RString> {
        self.enter("output", |miner| {
            let lines: Vec<&str> = lines.as_str().split('\n').collect();
            text("the observations", &miner.output(&lines))
        })
    }

    fn command(&self, command: RStr<'_>, launch: RStr<'_>) -> AbiResult<RString> {
        self.enter("command", |miner| {
            let command: Command = decode("the command", command.into())?;
            text("the command plan", &miner.command(&command, &read_launch(launch)?)?)
        })
    }

    fn request(
        &self,
        head: RStr<'_>,
        body: RSlice<'_, u8>,
    ) -> AbiResult<Tuple2<RString, RVec<u8>>> {
        self.enter("request", |miner| {
            let request = wire::decode_request(head.into(), body.as_slice())?;
            let response = miner.request(&request)?;
            Ok(Tuple2(wire::encode_response(&response)?.into(), response.body.into()))
        })
    }

    fn message(&self, from: RStr<'_>, payload: RSlice<'_, u8>) -> AbiResult<RVec<u8>> {
        self.enter("message", |miner| {
            Ok(miner.message(&PeerId(from.into()), payload.as_slice())?.into())
        })
    }

    fn is_healthy(&self) -> AbiResult<bool> {
        self.enter("is_healthy", |miner| Ok(miner.is_healthy()))
    }

    fn call(&self, method: RStr<'_>, _: RStr<'_>) -> AbiResult<RString> {
        let error = Error::unsupported(format!("this driver has no method {:?}", method.as_str()));
        RResult::RErr(error.into())
    }
}

fn text<T: serde::Serialize + ?Sized>(what: &str, value: &T) -> Result<RString> {
    Ok(encode(what, value)?.into())
}

fn read_launch(launch: RStr<'_>) -> Result<Launch> {
    decode("the launch", launch.into())
}

#[cfg(test)]
mod tests;
