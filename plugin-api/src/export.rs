//! What a driver's library exports, and the macro that exports it.
//!
//! Items here are for the macro and for hosts. They are public because the macro's text ends up in
//! the author's crate, where all `unsafe` of a driver then stands in text that comes from here.

pub use abi_stable::library::LibHeader;

use abi_stable::{
    library::{__call_root_module_loader, CheckTypeLayout, RootModuleResult},
    prefix_type::PrefixTypeTrait,
    std_types::RStr,
};

use crate::{
    Miner,
    abi::{AbiResult, DriverModule, DriverModule_Ref, HostObject, MinerObject},
    adapter, forward,
    guard::guard,
    manifest::is_id,
};

/// Makes a library a driver: exports `$driver` and the manifest that hosts read before they load
/// it.
///
/// Once per library, with the type that implements [`Miner`](crate::Miner). The manifest is filled
/// from the package's `Cargo.toml`. What is written after the type comes first:
///
/// ```text
/// export_driver!(MyDriver, { id: "my-miner", platforms: "x86_64-unknown-linux-gnu" });
/// ```
///
/// | key | without it |
/// |---|---|
/// | `id` | the package's name without a `-driver` at its end; `[a-z0-9][a-z0-9-]{0,62}` |
/// | `name` | the package's name |
/// | `version`, `description`, `authors`, `license`, `homepage`, `repository` | the package's |
/// | `platforms` | the target the library is built for; more than one with commas between |
/// | any other | left out; hosts show it |
///
/// Values are constant texts without NUL.
#[macro_export]
macro_rules! export_driver {
    ($driver:ty) => {
        $crate::export_driver!($driver, {});
    };
    ($driver:ty, { $($key:ident : $value:expr),* $(,)? }) => {
        #[cfg(panic = "abort")]
        ::core::compile_error!(
            "a driver must unwind so that its panics can be contained: remove panic = \"abort\" \
             from the profile"
        );

        const _: () = {
            const ENTRIES: &[(&str, &str)] = &[
                ("api", $crate::export::API),
                ("target", $crate::export::TARGET),
                ("rustc", $crate::export::RUSTC),
                $((::core::stringify!($key), $value),)*
                ("id", $crate::export::default_id(::core::env!("CARGO_PKG_NAME"))),
                ("name", ::core::env!("CARGO_PKG_NAME")),
                ("version", ::core::env!("CARGO_PKG_VERSION")),
                ("description", ::core::env!("CARGO_PKG_DESCRIPTION")),
                ("authors", ::core::env!("CARGO_PKG_AUTHORS")),
                ("license", ::core::env!("CARGO_PKG_LICENSE")),
                ("homepage", ::core::env!("CARGO_PKG_HOMEPAGE")),
                ("repository", ::core::env!("CARGO_PKG_REPOSITORY")),
                ("platforms", $crate::export::TARGET),
            ];

            // Exported so that the linker keeps it although no code uses it.
            #[used]
            #[unsafe(export_name = "ADIT_DRIVER_MANIFEST")]
            #[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__adit_driver"))]
            #[cfg_attr(windows, unsafe(link_section = ".aditdrv"))]
            #[cfg_attr(
                not(any(target_vendor = "apple", windows)),
                unsafe(link_section = ".adit_driver")
            )]
            static MANIFEST: [u8; $crate::export::manifest_length(ENTRIES)] =
                $crate::export::manifest_bytes(ENTRIES);

            #[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
            static HEADER: $crate::export::LibHeader = $crate::export::header::<$driver>();
        };
    };
}

/// Version of this crate.
pub const API: &str = env!("CARGO_PKG_VERSION");

/// What this crate is built for.
pub const TARGET: &str = env!("ADIT_TARGET");

/// What this crate is built by.
pub const RUSTC: &str = env!("ADIT_RUSTC");

/// What hosts look for in a library. They find it under the name that `abi_stable` gives it.
pub const fn header<M: Miner>() -> LibHeader {
    // SAFETY: the constructor returns a module of the stated type, made for this program's lifetime
    // by `leak_into_prefix`, and every call of it is the same.
    unsafe { LibHeader::from_constructor::<DriverModule_Ref>(load::<M>, CheckTypeLayout::Yes) }
}

extern "C" fn load<M: Miner>() -> RootModuleResult {
    __call_root_module_loader(module::<M>)
}

fn module<M: Miner>() -> DriverModule_Ref {
    DriverModule { create: create::<M> }.leak_into_prefix()
}

extern "C" fn create<M: Miner>(host: HostObject, context: RStr<'_>) -> AbiResult<MinerObject> {
    let hooked = guard("the driver", "load", || {
        forward::install_panic_hook();
        Ok(())
    });
    match hooked {
        Ok(()) => adapter::create::<M>(host, context.into()),
        Err(error) => AbiResult::RErr(error.into()),
    }
}

/// The module of `M` inside this program, which keeps its panic hook: for an author's tests.
pub(crate) fn module_without_hook<M: Miner>() -> DriverModule_Ref {
    extern "C" fn create<M: Miner>(host: HostObject, context: RStr<'_>) -> AbiResult<MinerObject> {
        adapter::create::<M>(host, context.into())
    }

    DriverModule { create: create::<M> }.leak_into_prefix()
}

/// The id of a driver whose package is called `package`.
pub const fn default_id(package: &str) -> &str {
    let suffix = b"-driver";
    let bytes = package.as_bytes();
    if bytes.len() <= suffix.len() {
        return package;
    }
    match package.split_at_checked(bytes.len() - suffix.len()) {
        Some((stem, end)) if same(end.as_bytes(), suffix) => stem,
        _ => package,
    }
}

/// How many bytes the manifest of `entries` takes. Does not compile when an entry cannot be one.
pub const fn manifest_length(entries: &[(&str, &str)]) -> usize {
    assert!(
        is_id(value(entries, "id")),
        "the driver's id needs 1 to 63 of a-z, 0-9 and -, and begins with a letter or digit: \
         write export_driver!(MyDriver, {{ id: \"my-driver\" }})"
    );
    let mut length = 0;
    let mut at = 0;
    while at < entries.len() {
        let (key, value) = entries[at];
        if counts(entries, at) {
            assert!(!has_nul(value), "a value of export_driver! has a NUL in it");
            length += key.len() + 1 + value.len() + 1;
        }
        at += 1;
    }
    length
}

/// The manifest of `entries`: `key=value` with a NUL after each. Of entries with the same key the
/// first counts; those without a value are left out.
pub const fn manifest_bytes<const LENGTH: usize>(entries: &[(&str, &str)]) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    let mut end = 0;
    let mut at = 0;
    while at < entries.len() {
        if counts(entries, at) {
            let (key, value) = entries[at];
            end = append(&mut bytes, end, key.as_bytes());
            end = append(&mut bytes, end, b"=");
            end = append(&mut bytes, end, value.as_bytes());
            end = append(&mut bytes, end, b"\0");
        }
        at += 1;
    }
    bytes
}

const fn append(to: &mut [u8], start: usize, from: &[u8]) -> usize {
    let mut at = 0;
    while at < from.len() {
        to[start + at] = from[at];
        at += 1;
    }
    start + from.len()
}

const fn counts(entries: &[(&str, &str)], at: usize) -> bool {
    let (key, value) = entries[at];
    let mut before = 0;
    while before < at {
        if same(entries[before].0.as_bytes(), key.as_bytes()) {
            return false;
        }
        before += 1;
    }
    !value.is_empty()
}

const fn value<'a>(entries: &[(&str, &'a str)], key: &str) -> &'a str {
    let mut at = 0;
    while at < entries.len() {
        if same(entries[at].0.as_bytes(), key.as_bytes()) {
            return entries[at].1;
        }
        at += 1;
    }
    ""
}

const fn has_nul(text: &str) -> bool {
    let mut at = 0;
    while at < text.len() {
        if text.as_bytes()[at] == 0 {
            return true;
        }
        at += 1;
    }
    false
}

const fn same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let mut at = 0;
    while at < one.len() {
        if one[at] != other[at] {
            return false;
        }
        at += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use abi_stable::library::{ROOT_MODULE_LOADER_NAME, ROOT_MODULE_LOADER_NAME_WITH_NUL};

    use super::*;
    use crate::manifest::Manifest;

    #[test]
    fn the_macro_exports_the_symbol_that_hosts_look_for() {
        let exported = "_1as_0lib_1header_0root_bmodule_bloader";
        assert_eq!(ROOT_MODULE_LOADER_NAME, exported);
        assert_eq!(ROOT_MODULE_LOADER_NAME_WITH_NUL, format!("{exported}\0"));
        let macro_text = include_str!("export.rs");
        assert!(macro_text.contains(&format!("unsafe(export_name = \"{exported}\")")));
    }

    #[test]
    fn a_package_name_loses_its_driver_suffix() {
        assert_eq!(default_id("sim-driver"), "sim");
        assert_eq!(default_id("tt-miner"), "tt-miner");
        assert_eq!(default_id("driver-x"), "driver-x");
        assert_eq!(default_id("-driver"), "-driver");
        assert_eq!(default_id("é-driver"), "é");
        assert_eq!(default_id("xé-drive"), "xé-drive");
    }

    #[test]
    fn the_first_entry_of_a_key_counts_and_empty_ones_are_left_out() {
        const ENTRIES: &[(&str, &str)] = &[
            ("api", "1.0.0"),
            ("id", "own"),
            ("homepage", ""),
            ("id", "default"),
            ("version", "2.0.0"),
        ];
        const BYTES: [u8; manifest_length(ENTRIES)] = manifest_bytes(ENTRIES);
        assert_eq!(&BYTES, b"api=1.0.0\0id=own\0version=2.0.0\0");
        assert_eq!(Manifest::parse(&BYTES).unwrap().id, "own");
    }
}
