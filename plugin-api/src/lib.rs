//! Write a miner driver for Adit.

mod describe;
mod error;
mod host;
mod launch;
mod millis;
mod miner;
mod stats;
mod talk;

pub use describe::{Description, InstallPlan, Installed, Proof, ReleasePlan, Target};
pub use error::{Error, ErrorKind, Result};
pub use host::{Host, LogLevel, Services};
pub use launch::{
    Config, Console, DevicePlan, Launch, PlanFile, ProcessPlan, StartPlan, StopAction, StopPlan,
    StopStep,
};
pub use miner::{Context, Miner, PeerId};
pub use serde_json::{Value, json};
pub use stats::{AlgorithmMetrics, DeviceMetrics, PerformanceMetrics, Phase, PoolMetrics};
pub use talk::{
    Ask, Command, CommandPlan, CommandStep, HttpAsk, HttpRequest, HttpResponse, Observation, Probe,
    Reply, ShareResult,
};
