//! The frozen layer: what a host and a driver see of each other in memory.
//!
//! Nothing here is for authors. A host and a driver that were built years apart agree on this file
//! alone, so it changes by these rules only (`STABILITY.md` has all of them):
//!
//! - Anything that may grow crosses as JSON text, read with defaults on both sides, or as bytes.
//! - A method is only ever appended, after all others, with a body of its own: an older driver is
//!   then served by that body. Nothing is removed, renamed or reordered, no parameter changes.
//! - `last_prefix_field` stays on `call` and on `create` for as long as the version is 1.x.
//! - [`AbiError`] never gets another field, and a code of [`code`] never another meaning.
//! - Every method returns [`AbiResult`], because every method may panic on the other side.
//! - The package keeps its name and a version of 1.x: both are compared when a driver is loaded.

#![expect(
    non_camel_case_types,
    non_local_definitions,
    reason = "abi_stable's macros name the generated types and place the implementations"
)]

use abi_stable::{
    StableAbi, declare_root_module_statics,
    library::RootModule,
    package_version_strings, sabi_trait,
    sabi_types::VersionStrings,
    std_types::{RBox, ROption, RResult, RSlice, RStr, RString, RVec, Tuple2},
};

use crate::{Error, ErrorKind};

/// An [`Error`] as it crosses.
#[repr(C)]
#[derive(Clone, Debug, PartialEq, Eq, StableAbi)]
pub struct AbiError {
    /// One of [`code`]; any other number means [`code::FAILED`].
    pub kind: u32,
    /// One sentence for the operator.
    pub message: RString,
}

/// What every method of this layer returns.
pub type AbiResult<T> = RResult<T, AbiError>;

/// The numbers that stand for an [`ErrorKind`].
pub mod code {
    /// [`crate::ErrorKind::Invalid`].
    pub const INVALID: u32 = 1;
    /// [`crate::ErrorKind::Unsupported`].
    pub const UNSUPPORTED: u32 = 2;
    /// [`crate::ErrorKind::Unavailable`].
    pub const UNAVAILABLE: u32 = 3;
    /// [`crate::ErrorKind::Failed`].
    pub const FAILED: u32 = 4;
    /// [`crate::ErrorKind::Panicked`].
    pub const PANICKED: u32 = 5;
}

impl From<Error> for AbiError {
    fn from(error: Error) -> Self {
        let kind = match error.kind {
            ErrorKind::Invalid => code::INVALID,
            ErrorKind::Unsupported => code::UNSUPPORTED,
            ErrorKind::Unavailable => code::UNAVAILABLE,
            ErrorKind::Failed => code::FAILED,
            ErrorKind::Panicked => code::PANICKED,
        };
        Self { kind, message: error.message.into() }
    }
}

impl From<AbiError> for Error {
    fn from(error: AbiError) -> Self {
        let kind = match error.kind {
            code::INVALID => ErrorKind::Invalid,
            code::UNSUPPORTED => ErrorKind::Unsupported,
            code::UNAVAILABLE => ErrorKind::Unavailable,
            code::PANICKED => ErrorKind::Panicked,
            _ => ErrorKind::Failed,
        };
        Self { kind, message: error.message.into() }
    }
}

/// One object of a driver: [`crate::Miner`] with everything as text and bytes.
///
/// Text is JSON of the payload types in this crate unless a method says otherwise.
#[sabi_trait]
#[sabi(no_trait_impl)]
pub trait AbiMiner: Send + Sync {
    /// A [`crate::Description`].
    fn describe(&self) -> AbiResult<RString>;

    /// A [`crate::Target`] in, a [`crate::InstallPlan`] out.
    fn install(&self, target: RStr<'_>) -> AbiResult<RString>;

    /// An [`crate::Installed`] in.
    fn uninstall(&self, installed: RStr<'_>) -> AbiResult<()>;

    /// The program's output in, its version out, both as they are.
    fn version(&self, output: RStr<'_>) -> AbiResult<RString>;

    /// A [`crate::Config`] and a [`crate::Launch`] in, a [`crate::StartPlan`] out.
    fn start(&self, config: RStr<'_>, launch: RStr<'_>) -> AbiResult<RString>;

    /// A [`crate::Launch`] in, a [`crate::StopPlan`] out.
    fn stop(&self, launch: RStr<'_>) -> AbiResult<RString>;

    /// A [`crate::Launch`] in, a list of [`crate::Probe`] out.
    fn probes(&self, launch: RStr<'_>) -> AbiResult<RString>;

    /// A [`crate::Launch`], a list of `{id, status, error, elapsedMs, length}` and the bodies of
    /// those lengths one after the other in, [`crate::PerformanceMetrics`] out.
    fn stats(
        &self,
        launch: RStr<'_>,
        replies: RStr<'_>,
        bodies: RSlice<'_, u8>,
    ) -> AbiResult<RString>;

    /// Lines with `\n` between them in, a list of [`crate::Observation`] out.
    fn output(&self, lines: RStr<'_>) -> AbiResult<RString>;

    /// A [`crate::Command`] and a [`crate::Launch`] in, a [`crate::CommandPlan`] out.
    fn command(&self, command: RStr<'_>, launch: RStr<'_>) -> AbiResult<RString>;

    /// `{method, path, query}` and a body in, `{status, contentType}` and a body out.
    fn request(&self, head: RStr<'_>, body: RSlice<'_, u8>)
    -> AbiResult<Tuple2<RString, RVec<u8>>>;

    /// A peer's id and its message in, the answer out, all as they are.
    fn message(&self, from: RStr<'_>, payload: RSlice<'_, u8>) -> AbiResult<RVec<u8>>;

    /// Whether the driver can do its work now.
    fn is_healthy(&self) -> AbiResult<bool>;

    /// Whatever 1.0 did not foresee. A driver answers [`code::UNSUPPORTED`] for a method that it
    /// does not know.
    #[sabi(last_prefix_field)]
    fn call(&self, method: RStr<'_>, params: RStr<'_>) -> AbiResult<RString>;
}

/// The host as one object of a driver sees it: [`crate::Services`] as text and bytes.
#[sabi_trait]
#[sabi(no_trait_impl)]
pub trait AbiHost: Send + Sync {
    /// Level 1 (error) to 5 (trace); any larger number counts as 5.
    fn log(&self, level: u32, target: RStr<'_>, message: RStr<'_>) -> AbiResult<()>;

    /// The bytes under a key.
    fn storage_get(&self, key: RStr<'_>) -> AbiResult<ROption<RVec<u8>>>;

    /// Stores bytes under a key, or removes the key.
    fn storage_put(&self, key: RStr<'_>, value: ROption<RSlice<'_, u8>>) -> AbiResult<()>;

    /// A JSON list of the keys with a prefix.
    fn storage_keys(&self, prefix: RStr<'_>) -> AbiResult<RString>;

    /// [`crate::PerformanceMetrics`] in.
    fn publish(&self, metrics: RStr<'_>) -> AbiResult<()>;

    /// A peer's id and a message in, its answer out, all as they are.
    fn send(&self, to: RStr<'_>, payload: RSlice<'_, u8>) -> AbiResult<RVec<u8>>;

    /// Whatever 1.0 did not foresee. A host answers [`code::UNSUPPORTED`] for a method that it does
    /// not know.
    #[sabi(last_prefix_field)]
    fn call(&self, method: RStr<'_>, params: RStr<'_>) -> AbiResult<RString>;
}

/// An object of a driver, as the host holds it.
pub type MinerObject = AbiMiner_TO<'static, RBox<()>>;

/// A handle on the host, as a driver holds it.
pub type HostObject = AbiHost_TO<'static, RBox<()>>;

/// What a driver's library exports.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = DriverModule_Ref, prefix_fields = DriverModule_Prefix)))]
pub struct DriverModule {
    /// Makes an object. The context is `{driver, miner?, dataDir, definition?}`.
    #[sabi(last_prefix_field)]
    pub create: extern "C" fn(host: HostObject, context: RStr<'_>) -> AbiResult<MinerObject>,
}

impl RootModule for DriverModule_Ref {
    // Never used to load: it holds one library for the whole process, a host has many.
    declare_root_module_statics! {DriverModule_Ref}

    const BASE_NAME: &'static str = "adit_driver";
    const NAME: &'static str = "adit_driver";
    const VERSION_STRINGS: VersionStrings = package_version_strings!();
}

#[cfg(test)]
mod tests;
