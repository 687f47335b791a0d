//! Write a miner driver for Adit: one trait, one macro, one dependency, no `unsafe`.
//!
//! A driver knows one family of mining programs or devices. It **answers questions and the host
//! acts** on the answers: the driver says which program to run with which arguments, the host runs
//! it, keeps it running, asks it for figures and hands the replies back to the driver to be read.
//! So a driver is mostly pure functions, and a running miner needs neither its driver nor its host
//! to go on.
//!
//! # The life of a driver
//!
//! 1. **Found.** The host finds the library in a drivers folder and reads the manifest that
//!    [`export_driver!`] put into it. No code of the driver runs. A driver for another major
//!    version of this crate or another processor ends here.
//! 2. **Loaded.** The host loads a copy of the file and compares both sides of the ABI. A library
//!    is never unloaded: a new version of it is loaded beside the old one.
//! 3. **Made.** [`Miner::create`] makes an object for the driver itself and one for each miner.
//!    The [`Context`] says which, and carries the [`Host`]: storage, messages to peers, publishing.
//! 4. **Described.** [`Miner::describe`] says which algorithms and commands there are and, as JSON
//!    Schema, how a configuration looks.
//! 5. **Installed.** [`Miner::install`] says where the program comes from and what proves it; the
//!    host downloads, verifies and unpacks. [`Miner::version`] reads what the program says it is.
//! 6. **Planned.** [`Miner::start`] gets a valid configuration and a [`Launch`], and returns a
//!    [`StartPlan`]. The host writes the files, starts the program and owns it.
//! 7. **Watched.** Every few seconds the host asks the program what [`Miner::probes`] wants to
//!    know, and [`Miner::stats`] reads the replies. [`Miner::output`] reads what the program prints.
//! 8. **Commanded.** [`Miner::command`] says how to pause or resume it. [`Miner::request`] and
//!    [`Miner::message`] answer REST requests and peers.
//! 9. **Stopped.** [`Miner::stop`] says how to end it gracefully; what is left after that is
//!    killed.
//! 10. **Dropped.** The object goes when its miner is deleted or a newer driver takes over. The
//!     miner may still run: keep nothing in an object that a successor could not do without.
//!
//! The same as a whole driver:
//!
//! ```
//! use adit_plugin_api::{
//!     Config, Context, Description, Error, Launch, Miner, PerformanceMetrics, Probe, ProcessPlan,
//!     Reply, Result, StartPlan, Value, export_driver, json,
//! };
//!
//! struct Sim;
//!
//! impl Miner for Sim {
//!     fn create(_: Context) -> Result<Self> {
//!         Ok(Self)
//!     }
//!
//!     fn describe(&self) -> Description {
//!         let pool = json!({ "type": "string", "description": "host:port" });
//!         let schema = json!({ "properties": { "pool": pool }, "required": ["pool"] });
//!         Description {
//!             name: "Sim".into(),
//!             config_schema: schema,
//!             needs_program: true,
//!             ..Description::default()
//!         }
//!     }
//!
//!     fn start(&self, config: &Config, launch: &Launch) -> Result<StartPlan> {
//!         let program = launch.program.clone().ok_or(Error::unavailable("no program"))?.program;
//!         let port = format!("--api-port={}", launch.api_port);
//!         let args = vec!["--pool".into(), config.text("pool")?.into(), port];
//!         Ok(StartPlan::Process(ProcessPlan { program, args, ..ProcessPlan::default() }))
//!     }
//!
//!     fn probes(&self, launch: &Launch) -> Vec<Probe> {
//!         vec![Probe::http("all", format!("http://127.0.0.1:{}/stats", launch.api_port))]
//!     }
//!
//!     fn stats(&self, _: &Launch, replies: &[Reply]) -> Result<PerformanceMetrics> {
//!         let reply = replies.first().ok_or(Error::unavailable("no reply"))?.json()?;
//!         let hashrate = reply["hashrate"].as_f64();
//!         Ok(PerformanceMetrics { hashrate, ..PerformanceMetrics::default() })
//!     }
//! }
//!
//! export_driver!(Sim);
//!
//! // In a test:
//! use adit_plugin_api::testing;
//! let driver = testing::through_abi::<Sim>(&testing::host().context())?;
//! let Value::Object(fields) = json!({ "pool": "pool.example:3333" }) else { unreachable!() };
//! let config = Config(fields);
//! let plan = driver.start(&config, &testing::launch_of(&driver)?)?;
//! assert!(matches!(plan, StartPlan::Process(_)));
//! let reply = testing::reply("all", r#"{"hashrate": 1250.5}"#);
//! assert_eq!(driver.stats(&testing::launch(), &[reply])?.hashrate, Some(1250.5));
//! # Ok::<(), Error>(())
//! ```
//!
//! `Cargo.toml` needs this crate and a library of the kind `cdylib`:
//!
//! ```toml
//! [lib]
//! crate-type = ["cdylib"]
//!
//! [dependencies]
//! adit-plugin-api = "1"
//! ```
//!
//! # Units
//!
//! Hashes per second as `f64`; seconds, or milliseconds where a name ends in `Ms`; watts; degrees
//! Celsius; bytes; a fan from 0 to 1. A value that nobody reported is `None`, never 0: a host takes
//! 0 H/s for a miner that does not mine.
//!
//! # Threads, deadlines, sizes
//!
//! - Calls come from several threads at once, on one object too.
//! - A call should answer within milliseconds. A host gives up on one after some seconds, but the
//!   thread stays in the driver: a driver with several such calls is no longer asked. Work that
//!   takes longer belongs on a thread of the driver's own.
//! - A reply has at most 4 MiB, an error message 16 KiB.
//! - A panic is contained and reported as an error of that call. It needs unwinding, so a driver
//!   with `panic = "abort"` does not compile. Nothing contains a crash of unsafe code or an exit.
//! - A driver's library has its own statics. `log` and `tracing` (with its feature `log`) are
//!   forwarded to the host up to `debug`; an async runtime is not shared, a driver that wants one
//!   starts its own.
//!
//! # What may change
//!
//! The version stays 1.x. A driver built with any 1.x works in a host with any other: methods of
//! [`Miner`] are only added, with a default; fields of payloads are only added, and one that a side
//! does not send has its default on the other. Make payloads with `..Default::default()` and match
//! with a `_` arm, and a driver compiles with every later 1.x.

#[doc(hidden)]
pub mod abi;
mod adapter;
mod describe;
mod error;
#[doc(hidden)]
pub mod export;
mod forward;
mod guard;
mod host;
mod launch;
mod limits;
pub mod manifest;
mod millis;
mod miner;
mod object;
#[doc(hidden)]
pub mod question;
mod remote;
mod stats;
mod talk;
pub mod testing;
mod wire;

pub use describe::{Description, InstallPlan, Installed, Proof, ReleasePlan, Target};
pub use error::{Error, ErrorKind, Result};
pub use host::{Host, LogLevel, Services};
pub use launch::{
    Config, Console, DevicePlan, Launch, PlanFile, ProcessPlan, StartPlan, StopAction, StopPlan,
    StopStep,
};
pub use miner::{Context, Miner, PeerId};
pub use object::DriverObject;
pub use serde_json::{Value, json};
pub use stats::{AlgorithmMetrics, DeviceMetrics, PerformanceMetrics, Phase, PoolMetrics};
pub use talk::{
    Ask, Command, CommandPlan, CommandStep, HttpAsk, HttpRequest, HttpResponse, Observation, Probe,
    Reply, ShareResult,
};
