//! Whether nobody else could have put a file where it is or can change it.
//!
//! The code of a driver runs with the host's rights. So the file, and every folder and link on the
//! way to it, must belong to the host's user or root and be writable by nobody else.

use std::{
    collections::VecDeque,
    ffi::OsString,
    fs::{self, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::{Component, Path, PathBuf},
};

use crate::{search::cause, text::shell_word};

/// More links than this on the way to a file are a loop.
const MOST_LINKS: usize = 40;
const GROUP_WRITE: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// Who may own the files of drivers, besides root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The host's user.
    pub uid: u32,
    /// The group that has this user as its only member, if there is one. Many systems give each
    /// user such a group and let it write new files.
    pub private_gid: Option<u32>,
}

/// Why a file is not trusted, and what mends it.
#[derive(Debug, thiserror::Error)]
pub enum Distrust {
    /// The file, or something on the way to it, cannot be looked at.
    #[error("cannot look at {}: {}", .path.display(), cause(.source))]
    Unseen {
        /// What cannot be looked at.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The links on the way lead nowhere.
    #[error("{} has too many links on its way", .path.display())]
    Loop {
        /// The file.
        path: PathBuf,
    },
    /// It belongs to somebody else.
    #[error(
        "{} belongs to user {owner}, not to the host's user or root; run: chown {uid} {}",
        .path.display(), shell_word(.path)
    )]
    Foreign {
        /// What belongs to somebody else.
        path: PathBuf,
        /// Whom it belongs to.
        owner: u32,
        /// The host's user.
        uid: u32,
    },
    /// Somebody else may write to it.
    #[error(
        "{} is writable by {who} (mode {:04o}); run: chmod go-w {}",
        .path.display(), .mode & 0o7777, shell_word(.path)
    )]
    Writable {
        /// What may be written.
        path: PathBuf,
        /// `its group` or `others`.
        who: &'static str,
        /// Its mode.
        mode: u32,
    },
}

impl Owner {
    /// The user that this process runs as.
    pub fn current() -> Self {
        let uid = rustix::process::geteuid().as_raw();
        let gid = rustix::process::getegid().as_raw();
        // Without these files nothing says who else is in the group.
        let private = fs::read_to_string("/etc/passwd").is_ok_and(|users| {
            fs::read_to_string("/etc/group")
                .is_ok_and(|groups| is_private(uid, gid, &users, &groups))
        });
        Self { uid, private_gid: private.then_some(gid) }
    }
}

/// Resolves `path` and checks the file, every folder and every link on the way to it. Returns the
/// path without links.
///
/// # Errors
/// [`Distrust`] for the first thing that is not right.
pub fn check(path: &Path, owner: Owner) -> Result<PathBuf, Distrust> {
    let unseen = |path: &Path, source| Distrust::Unseen { path: path.to_path_buf(), source };
    let start = std::path::absolute(path).map_err(|error| unseen(path, error))?;
    let mut left = names(&start);
    let mut at = PathBuf::from("/");
    let mut links = 0;
    check_node(&at, &fs::metadata(&at).map_err(|error| unseen(&at, error))?, owner, true)?;
    while let Some(name) = left.pop_front() {
        if name == ".." {
            at.pop();
            continue;
        }
        let next = at.join(name);
        let meta = fs::symlink_metadata(&next).map_err(|error| unseen(&next, error))?;
        if meta.is_symlink() {
            links += 1;
            if links > MOST_LINKS {
                return Err(Distrust::Loop { path: start });
            }
            // A link has no mode of its own; who owns it can point it elsewhere.
            check_owner(&next, &meta, owner)?;
            let target = fs::read_link(&next).map_err(|error| unseen(&next, error))?;
            if target.is_absolute() {
                at = PathBuf::from("/");
            }
            let mut way = names(&target);
            way.append(&mut left);
            left = way;
            continue;
        }
        check_node(&next, &meta, owner, meta.is_dir())?;
        at = next;
    }
    // In a sticky folder others cannot replace our file but can add theirs: fine on the way to a
    // folder of drivers, not for one itself.
    if let Some(folder) = at.parent() {
        let meta = fs::metadata(folder).map_err(|error| unseen(folder, error))?;
        check_node(folder, &meta, owner, false)?;
    }
    Ok(at)
}

fn names(path: &Path) -> VecDeque<OsString> {
    let parts = path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    parts.collect()
}

fn check_owner(path: &Path, meta: &Metadata, owner: Owner) -> Result<(), Distrust> {
    if meta.uid() == owner.uid || meta.uid() == 0 {
        return Ok(());
    }
    Err(Distrust::Foreign { path: path.to_path_buf(), owner: meta.uid(), uid: owner.uid })
}

fn check_node(
    path: &Path,
    meta: &Metadata,
    owner: Owner,
    sticky_is_enough: bool,
) -> Result<(), Distrust> {
    check_owner(path, meta, owner)?;
    let mode = meta.mode();
    if sticky_is_enough && mode & STICKY != 0 {
        return Ok(());
    }
    let writable = |who| Err(Distrust::Writable { path: path.to_path_buf(), who, mode });
    if mode & OTHERS_WRITE != 0 {
        return writable("others");
    }
    if mode & GROUP_WRITE != 0 && owner.private_gid != Some(meta.gid()) {
        return writable("its group");
    }
    Ok(())
}

/// Whether the group `gid` has `uid` as its only member, by the lines of `/etc/passwd` and
/// `/etc/group`.
fn is_private(uid: u32, gid: u32, users: &str, groups: &str) -> bool {
    let number = |field: Option<&str>| field.and_then(|text| text.parse::<u32>().ok());
    let mut own_name = None;
    for line in users.lines() {
        let mut fields = line.split(':');
        let name = fields.next();
        let (user, group) = (number(fields.nth(1)), number(fields.next()));
        if user == Some(uid) {
            own_name = own_name.or(name);
        } else if group == Some(gid) {
            return false;
        }
    }
    let mut known = false;
    for line in groups.lines() {
        let mut fields = line.split(':');
        if number(fields.nth(2)) != Some(gid) {
            continue;
        }
        known = true;
        let members = fields.next().unwrap_or_default().split(',').filter(|name| !name.is_empty());
        if members.into_iter().any(|name| Some(name) != own_name) {
            return false;
        }
    }
    known
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// This user, in no group of its own.
    fn us() -> Owner {
        Owner { private_gid: None, ..Owner::current() }
    }

    fn reason(path: &Path, owner: Owner) -> String {
        check(path, owner).unwrap_err().to_string()
    }

    struct Place {
        _root: tempfile::TempDir,
        dir: PathBuf,
        file: PathBuf,
    }

    fn place() -> Place {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().canonicalize().unwrap().join("drivers");
        fs::create_dir(&dir).unwrap();
        mode(&dir, 0o755);
        let file = dir.join("a.so");
        fs::write(&file, "").unwrap();
        mode(&file, 0o644);
        Place { _root: root, dir, file }
    }

    #[test]
    fn a_file_of_ours_in_a_folder_of_ours_is_trusted() {
        let place = place();
        assert_eq!(check(&place.file, us()).unwrap(), place.file);
        let roundabout = place.dir.join("../drivers/./a.so");
        assert_eq!(check(&roundabout, us()).unwrap(), place.file);
    }

    #[test]
    fn a_writable_file_or_folder_is_named_with_the_command_that_mends_it() {
        let Place { dir, file, .. } = &place();
        mode(file, 0o664);
        let expected = format!(
            "{0} is writable by its group (mode 0664); run: chmod go-w {0}",
            file.display()
        );
        assert_eq!(reason(file, us()), expected);
        mode(file, 0o646);
        assert!(reason(file, us()).contains("by others (mode 0646)"));
        mode(file, 0o644);
        mode(dir, 0o775);
        let expected =
            format!("{0} is writable by its group (mode 0775); run: chmod go-w {0}", dir.display());
        assert_eq!(reason(file, us()), expected);
        // Sticky is for /tmp, on the way; others may add files to a sticky folder of drivers.
        mode(dir, 0o1777);
        assert!(reason(file, us()).contains("by others (mode 1777)"));
        let inner = dir.join("inner");
        fs::create_dir(&inner).unwrap();
        mode(&inner, 0o755);
        fs::write(inner.join("b.so"), "").unwrap();
        assert!(check(&inner.join("b.so"), us()).is_ok());
    }

    #[test]
    fn the_users_private_group_may_write() {
        let Place { dir, file, .. } = &place();
        mode(dir, 0o775);
        mode(file, 0o664);
        let gid = fs::metadata(file).unwrap().gid();
        assert!(check(file, Owner { private_gid: Some(gid), ..us() }).is_ok());
        assert!(check(file, Owner { private_gid: Some(gid + 1), ..us() }).is_err());
    }

    #[test]
    fn what_belongs_to_somebody_else_is_refused() {
        // /proc/self belongs to this process; here it plays the somebody else of another user.
        let us = us();
        let somebody = Owner { uid: us.uid + 1, private_gid: None };
        let Place { dir, file, .. } = &place();
        if us.uid == 0 {
            // Root's files are everybody's to trust, so they are given away.
            std::os::unix::fs::chown(file, Some(4_000), None).unwrap();
            let expected = format!(
                "{0} belongs to user 4000, not to the host's user or root; run: chown 0 {0}",
                file.display()
            );
            assert_eq!(reason(file, us), expected);
            std::os::unix::fs::chown(file, Some(0), None).unwrap();
            std::os::unix::fs::chown(dir, Some(4_000), None).unwrap();
            assert!(reason(file, us).contains("belongs to user 4000"));
        } else {
            assert!(reason(file, somebody).contains("belongs to user"));
        }
    }

    #[test]
    fn a_link_is_judged_by_all_it_passes() {
        let (good, bad) = (place(), place());
        let link = good.dir.join("link.so");
        symlink(&bad.file, &link).unwrap();
        assert_eq!(check(&link, us()).unwrap(), bad.file);
        mode(&bad.file, 0o666);
        assert!(reason(&link, us()).starts_with(&*bad.file.to_string_lossy()));
        mode(&bad.file, 0o644);
        // A folder that only holds the link counts as well.
        let outer = bad.dir.join("outer");
        fs::create_dir(&outer).unwrap();
        mode(&outer, 0o777);
        symlink(&good.dir, outer.join("way")).unwrap();
        assert!(reason(&outer.join("way/a.so"), us()).contains("outer is writable by others"));

        symlink(good.dir.join("gone"), good.dir.join("dangling.so")).unwrap();
        let text = reason(&good.dir.join("dangling.so"), us());
        assert!(text.ends_with("gone: no such file or directory"), "{text}");
        symlink("loop.so", good.dir.join("loop.so")).unwrap();
        assert!(reason(&good.dir.join("loop.so"), us()).contains("too many links"));
    }

    #[test]
    fn a_group_is_private_when_nobody_else_is_in_it() {
        let users =
            "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/:/bin/sh\nbob:x:1001:1001::/:/bin/sh\n";
        let check = |uid, gid, groups| is_private(uid, gid, users, groups);
        assert!(check(1000, 1000, "ann:x:1000:\n"));
        assert!(check(1000, 1000, "ann:x:1000:ann\n"));
        assert!(!check(1000, 1000, "ann:x:1000:ann,bob\n"));
        assert!(!check(1000, 1001, "bob:x:1001:\n"), "bob's primary group");
        assert!(!check(1000, 1000, "users:x:100:\n"), "an unknown group");
        assert!(!check(1000, 1000, ""), "no groups known");
        assert!(!is_private(1000, 100, "ann:x:1000:100::\nbob:x:1001:100::\n", "users:x:100:\n"));
    }
}
