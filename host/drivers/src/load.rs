//! Maps a driver's library into this process. One of the three files of the host with `unsafe` code,
//! next to `keepers/sys.rs` and `drivers/runner/confine/sys.rs`.
//!
//! The file that the operator put in place is never opened by the system's loader: were it written
//! to later, this process would die. The loader gets a private copy under a name that was never
//! used before (it mistakes equal names and equal inodes for the same library), which is deleted as
//! soon as it is mapped. On a full disk the copy is a sealed file in memory. A library stays mapped
//! for the life of the process, because its type descriptions are kept by others.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write},
    os::{
        fd::AsRawFd,
        unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    },
    path::{Path, PathBuf},
};

use abi_stable::{
    StableAbi,
    abi_stability::abi_checking::check_layout_compatibility,
    library::{AbiHeaderRef, LibHeader, LibraryError, ROOT_MODULE_LOADER_NAME_WITH_NUL},
};
use adit_plugin_api::abi::DriverModule_Ref;
use libloading::{
    Library,
    os::unix::{Library as UnixLibrary, RTLD_LOCAL, RTLD_NOW},
};

use crate::{
    search::cause,
    text::{chain, one_line},
};

/// Why a library that passed its preflight cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The private copy cannot be written.
    #[error("cannot copy it to {}: {}", .dir.display(), cause(.source))]
    Copy {
        /// The folder for copies.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The system's loader refused it: a symbol or a library that it needs is missing, or the
    /// folder for copies is mounted without the right to execute.
    #[error("the system cannot load it: {0}")]
    System(String),
    /// It was not built as this host expects.
    #[error("built for another driver API: {0}; build it again with a current adit-plugin-api 1.x")]
    Layout(String),
    /// Its entry point did not do its work.
    #[error("its entry point failed: {0}")]
    Entry(String),
}

/// Maps the library `bytes`, and checks that it and this host mean the same by what they share.
/// `dir` is a folder for private copies that nobody else uses; it is made when missing.
///
/// Runs code of the library. Blocks.
///
/// # Errors
/// [`LoadError`]; the library may stay mapped even so.
pub fn load(bytes: &[u8], dir: &Path) -> Result<DriverModule_Ref, LoadError> {
    let copy = PrivateCopy::new(bytes, dir)?;
    let library = open(copy.path())?;
    if copy.is_in_memory() {
        // Its name is a number that would be used again, and the loader knows it now.
        std::mem::forget(copy);
    }
    root_module(header(library)?)
}

/// Maps the private copy at `path` and checks it, as [`load`] does.
///
/// Runs code of the library. Blocks.
///
/// # Errors
/// [`LoadError`]; the library may stay mapped even so.
pub fn map(path: &Path) -> Result<DriverModule_Ref, LoadError> {
    root_module(header(open(path)?)?)
}

/// A private copy of a library. Deleted when dropped; what is mapped stays mapped.
#[derive(Debug)]
pub struct PrivateCopy {
    path: PathBuf,
    /// The copy itself, where the disk has no room for it. It exists as long as this is open.
    memory: Option<fs::File>,
}

impl PrivateCopy {
    /// Writes the library `bytes` into `dir`, a folder for private copies that nobody else uses; it
    /// is made when missing. On a full disk the copy is in memory. Blocks.
    ///
    /// # Errors
    /// [`LoadError::Copy`].
    pub fn new(bytes: &[u8], dir: &Path) -> Result<Self, LoadError> {
        let failed = |source| LoadError::Copy { dir: dir.to_path_buf(), source };
        let on_disk = || {
            private_dir(dir)?;
            let path = dir.join(format!("{}.so", uuid::Uuid::new_v4()));
            let copy = Self { path, memory: None };
            write_copy(&copy.path, bytes)?;
            Ok(copy)
        };
        match on_disk() {
            Err(error) if is_full(&error) => {
                tracing::warn!(%error, "no room for the copy of a driver: loading it from memory");
                Self::in_memory(bytes).map_err(|_| failed(error))
            }
            copy => copy.map_err(failed),
        }
    }

    #[cfg(target_os = "linux")]
    fn in_memory(bytes: &[u8]) -> io::Result<Self> {
        use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let mut file = fs::File::from(memfd_create("adit-driver", flags)?);
        file.write_all(bytes)?;
        fcntl_add_seals(
            &file,
            SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL,
        )?;
        // Not below `self`: a driver's own process reads it as well.
        let pid = rustix::process::getpid().as_raw_nonzero();
        let path = format!("/proc/{pid}/fd/{}", file.as_raw_fd()).into();
        Ok(Self { path, memory: Some(file) })
    }

    #[cfg(not(target_os = "linux"))]
    fn in_memory(_: &[u8]) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is in the memory of this process, and not a file of the disk.
    pub fn is_in_memory(&self) -> bool {
        self.memory.is_some()
    }
}

/// Opens the copy that another process has in memory. Its path is valid while the file is open.
///
/// # Errors
/// When it cannot be opened.
pub fn open_memory(path: &Path) -> io::Result<(fs::File, PathBuf)> {
    let file = fs::File::open(path)?;
    let own = format!("/proc/self/fd/{}", file.as_raw_fd()).into();
    Ok((file, own))
}

/// Whether the disk, or what this user may use of it, is full.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl Drop for PrivateCopy {
    fn drop(&mut self) {
        if self.is_in_memory() {
            return;
        }
        if let Err(error) = fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            let path = self.path.display();
            tracing::warn!(%path, %error, "cannot delete a driver's private copy");
        }
    }
}

/// Makes `dir` if it is missing, and makes it this user's alone.
///
/// # Errors
/// When that cannot be done, or it belongs to somebody else.
pub fn private_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let meta = fs::symlink_metadata(dir)?;
    if !meta.is_dir() || meta.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::other("it is no folder of the host's user"));
    }
    if meta.mode() & 0o077 != 0 {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

fn write_copy(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o500).open(path)?;
    file.write_all(bytes)
}

fn open(path: &Path) -> Result<&'static Library, LoadError> {
    // NOW: a missing symbol is noticed here and not in the middle of a call.
    // SAFETY: the library's initialisers run. They are trusted as all code of a driver is: file and
    // folder were checked to be the operator's. The bytes were checked to be complete, and nobody
    // else can write to the copy while or after it is mapped.
    let library = unsafe { UnixLibrary::open(Some(path), RTLD_NOW | RTLD_LOCAL) };
    let library = library.map_err(|error| {
        // The copy's name means nothing to anybody.
        let text = chain(&error).replace(&format!("{}: ", path.display()), "");
        LoadError::System(text.trim_start_matches("dlopen failed: ").to_owned())
    })?;
    Ok(Box::leak(Box::new(library.into())))
}

fn header(library: &'static Library) -> Result<&'static LibHeader, LoadError> {
    // SAFETY: the symbol is the address of a `LibHeader`, which begins with an `AbiHeader`: the
    // preflight found it defined and large enough, and the manifest says that `export_driver!` made
    // it. An `AbiHeaderRef` is such an address.
    let symbol =
        unsafe { library.get::<AbiHeaderRef>(ROOT_MODULE_LOADER_NAME_WITH_NUL.as_bytes()) };
    let header = *symbol.map_err(|error| LoadError::System(chain(&error)))?;
    if !header.is_valid() {
        return Err(LoadError::Layout("its entry point is not one of abi_stable 0.11".to_owned()));
    }
    header.upgrade().map_err(|error| layout_error(&error))
}

fn root_module(header: &'static LibHeader) -> Result<DriverModule_Ref, LoadError> {
    let Some(theirs) = header.layout() else {
        // Without it nothing could be checked, and every difference would be undefined behaviour.
        return Err(LoadError::Layout("it does not describe its types".to_owned()));
    };
    match header.init_root_module::<DriverModule_Ref>() {
        Ok(module) => Ok(module),
        // The library of an older API has fewer methods than this host knows, which the check reads
        // as a difference. The other way round there is none: the host's types hold all of its.
        Err(LibraryError::AbiInstability(error)) => {
            let ours = <DriverModule_Ref as StableAbi>::LAYOUT;
            if check_layout_compatibility(theirs, ours).is_err() {
                return Err(layout_error(&LibraryError::AbiInstability(error)));
            }
            // SAFETY: the layouts were compared just above. What the older library lacks is at the
            // end, where each access asks first whether it is there.
            let module = unsafe { header.init_root_module_with_unchecked_layout() };
            module.map_err(|error| layout_error(&error))
        }
        Err(error) => Err(layout_error(&error)),
    }
}

fn layout_error(error: &LibraryError) -> LoadError {
    let text = error.to_string();
    tracing::debug!(%text, "a driver's library is refused");
    match error {
        LibraryError::IncompatibleVersionNumber { expected_version, actual_version, .. } => {
            LoadError::Layout(format!(
                "its own is {actual_version}, this host's {expected_version}"
            ))
        }
        LibraryError::RootModule { err, .. } => LoadError::Entry(one_line(&err.to_string())),
        _ => LoadError::Layout(summary(&text)),
    }
}

/// The gist of abi_stable's report, which may have a thousand lines. The differences stand in it as
/// `Error:` with what was expected and what was found in the lines below.
fn summary(report: &str) -> String {
    let mut gist = Vec::new();
    for part in report.split("\nError:").skip(1) {
        let mut lines = part.lines().map(str::trim).filter(|line| !line.is_empty());
        let what = lines.next().unwrap_or_default();
        let mut after = |label| lines.by_ref().find(|line| *line == label).and(lines.next());
        let text = match (after("Expected:"), after("Found:")) {
            (Some(expected), Some(found)) => format!("{what} (expected {expected}, found {found})"),
            _ => what.to_owned(),
        };
        if !gist.contains(&text) {
            gist.push(text);
        }
    }
    if gist.is_empty() { one_line(report) } else { one_line(&gist.join("; ")) }
}

#[cfg(test)]
mod tests {
    #![expect(non_camel_case_types, reason = "abi_stable's macro names the generated types")]
    #![expect(dead_code, reason = "only the types' descriptions are used")]

    use abi_stable::{
        StableAbi, declare_root_module_statics,
        library::{__call_root_module_loader, CheckTypeLayout, RootModule, RootModuleResult},
        package_version_strings,
        prefix_type::PrefixTypeTrait,
        sabi_types::VersionStrings,
    };

    use super::*;

    /// The root module of some other program's plugins.
    #[repr(C)]
    #[derive(StableAbi)]
    #[sabi(kind(Prefix(prefix_ref = Other_Ref, prefix_fields = Other_Prefix)))]
    struct Other {
        #[sabi(last_prefix_field)]
        make: extern "C" fn(u32) -> u32,
    }

    impl RootModule for Other_Ref {
        declare_root_module_statics! {Other_Ref}

        const BASE_NAME: &'static str = "other";
        const NAME: &'static str = "other";
        // Of this crate: 0.1. The API is at 1.x.
        const VERSION_STRINGS: VersionStrings = package_version_strings!();
    }

    /// The same under the API's own version, so that only the types differ.
    #[repr(C)]
    #[derive(StableAbi)]
    #[sabi(kind(Prefix(prefix_ref = Twin_Ref, prefix_fields = Twin_Prefix)))]
    struct Twin {
        #[sabi(last_prefix_field)]
        make: extern "C" fn(u32) -> u32,
    }

    impl RootModule for Twin_Ref {
        declare_root_module_statics! {Twin_Ref}

        const BASE_NAME: &'static str = "adit_driver";
        const NAME: &'static str = "adit_driver";
        const VERSION_STRINGS: VersionStrings = DriverModule_Ref::VERSION_STRINGS;
    }

    extern "C" fn twice(number: u32) -> u32 {
        number * 2
    }

    extern "C" fn other() -> RootModuleResult {
        __call_root_module_loader(|| Other { make: twice }.leak_into_prefix())
    }

    extern "C" fn twin() -> RootModuleResult {
        __call_root_module_loader(|| Twin { make: twice }.leak_into_prefix())
    }

    extern "C" fn panics() -> RootModuleResult {
        __call_root_module_loader(|| -> DriverModule_Ref { panic!("no module today") })
    }

    fn reason<M: RootModule>(
        loader: extern "C" fn() -> RootModuleResult,
        check: CheckTypeLayout,
    ) -> String {
        // SAFETY: each loader above returns a module of the type that it is used with here.
        let header = unsafe { LibHeader::from_constructor::<M>(loader, check) };
        root_module(Box::leak(Box::new(header))).err().unwrap().to_string()
    }

    #[test]
    fn a_module_of_other_types_is_refused_on_one_line() {
        let text = reason::<Other_Ref>(other, CheckTypeLayout::Yes);
        assert!(text.contains("API: its own is 0.1.0, this host's 1.0.0; build it"), "{text}");
        let text = reason::<Twin_Ref>(twin, CheckTypeLayout::Yes);
        assert_eq!(
            text,
            "built for another driver API: mismatched type (expected DriverModule, found Twin); \
             build it again with a current adit-plugin-api 1.x"
        );
        let text = reason::<Twin_Ref>(twin, CheckTypeLayout::No);
        assert!(text.contains("it does not describe its types"), "{text}");
        let text = reason::<DriverModule_Ref>(panics, CheckTypeLayout::Yes);
        assert_eq!(text, "its entry point failed: the root module loader panicked");
    }

    #[test]
    fn the_folder_for_copies_is_nobody_elses() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("a/b");
        private_dir(&dir).unwrap();
        assert_eq!(fs::metadata(&dir).unwrap().mode() & 0o777, 0o700);
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
        private_dir(&dir).unwrap();
        assert_eq!(fs::metadata(&dir).unwrap().mode() & 0o777, 0o700);
        std::os::unix::fs::symlink(&dir, root.path().join("link")).unwrap();
        assert!(private_dir(&root.path().join("link")).is_err());
    }

    #[test]
    fn what_the_system_refuses_is_told_without_the_copys_name_and_leaves_no_copy() {
        let root = tempfile::tempdir().unwrap();
        let error = load(b"\x7fELFnonsense", root.path()).err().unwrap().to_string();
        assert!(error.starts_with("the system cannot load it: "), "{error}");
        assert!(!error.contains(".so") && !error.contains('\n'), "{error}");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }
}
