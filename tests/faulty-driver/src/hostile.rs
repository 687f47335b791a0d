//! A driver that means harm: each attempt is one that a sandbox must refuse.
//!
//! An attempt answers `done`, or `refused: ` and the system's error. Floods answer nothing of use:
//! what counts is what the host does about them.

#![cfg(target_os = "linux")]

use std::{
    ffi::{CString, c_long},
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::{
        fd::{AsRawFd, IntoRawFd},
        unix::fs::{OpenOptionsExt, PermissionsExt},
    },
    path::Path,
    thread,
    time::Duration,
};

/// Does what `attempt` says, `{what}` or `{what}/{argument}`.
pub(crate) fn attempt(attempt: &str, data_dir: &Path) -> String {
    let (what, argument) = attempt.split_once('/').unwrap_or((attempt, ""));
    let result = match what {
        "flood" => flood(argument, data_dir).map(|()| "done".to_owned()),
        "descriptors" => descriptors(),
        "privileges" => status_line("CapEff:"),
        "files" => files(argument, data_dir).map(|()| "done".to_owned()),
        _ => call(what, argument, data_dir).map(|_| "done".to_owned()),
    };
    result.unwrap_or_else(|error| format!("refused: {error}"))
}

/// The host, which started this process.
fn host_pid() -> c_long {
    c_long::from(std::os::unix::process::parent_id().cast_signed())
}

/// Makes one system call, with numbers only unless it says otherwise.
fn raw(number: c_long, arguments: [c_long; 6]) -> io::Result<c_long> {
    let [a, b, c, d, e, f] = arguments;
    // SAFETY: pointers among the arguments are null or lead to values that the caller keeps alive.
    let done = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(done) }
}

/// A pointer as an argument of a system call.
fn address<T>(value: *const T) -> c_long {
    c_long::try_from(value.expose_provenance()).unwrap_or_default()
}

fn text(text: &str) -> CString {
    CString::new(text).unwrap_or_default()
}

/// What reaches other processes, the whole machine, or memory that no limit counts.
#[expect(clippy::too_many_lines, reason = "one table of calls")]
fn call(what: &str, argument: &str, data_dir: &Path) -> io::Result<c_long> {
    let host = host_pid();
    let own = c_long::from(std::process::id().cast_signed());
    let path = text(&format!("/{argument}"));
    let path = address(path.as_ptr());
    let (rlimit, mask, zero) = ([0_u64, 0], [1_u64; 16], [0_u64; 16]);
    let anonymous = c_long::from(libc::MAP_ANONYMOUS);
    let map = |flags: i32| {
        let rights = c_long::from(libc::PROT_READ | libc::PROT_WRITE);
        raw(libc::SYS_mmap, [0, 1 << 20, rights, anonymous | c_long::from(flags), -1, 0])
    };
    match what {
        "limit-host" => raw(libc::SYS_prlimit64, [host, 0, address(rlimit.as_ptr()), 0, 0, 0]),
        "limit-own" => raw(libc::SYS_prlimit64, [0, 2, address(zero.as_ptr()), 0, 0, 0]),
        "affinity" => {
            raw(libc::SYS_sched_setaffinity, [host, 128, address(mask.as_ptr()), 0, 0, 0])
        }
        "ask-affinity" => {
            raw(libc::SYS_sched_getaffinity, [host, 128, address(mask.as_ptr()), 0, 0, 0])
        }
        "scheduler" => {
            raw(libc::SYS_sched_setscheduler, [host, 5, address(zero.as_ptr()), 0, 0, 0])
        }
        "priority" => raw(libc::SYS_setpriority, [0, host, 19, 0, 0, 0]),
        "io-priority" => raw(libc::SYS_ioprio_set, [1, host, 3 << 13, 0, 0, 0]),
        // Signal 0 asks whether a signal could be sent.
        "kill" => raw(libc::SYS_kill, [host, 0, 0, 0, 0, 0]),
        "kill-group" => raw(libc::SYS_kill, [0, 0, 0, 0, 0, 0]),
        "kill-all" => raw(libc::SYS_kill, [-1, 0, 0, 0, 0, 0]),
        "tkill" => raw(libc::SYS_tkill, [host, 0, 0, 0, 0, 0]),
        "tgkill" => raw(libc::SYS_tgkill, [host, host, 0, 0, 0, 0]),
        "queue" => raw(libc::SYS_rt_sigqueueinfo, [host, 0, address(zero.as_ptr()), 0, 0, 0]),
        "pidfd" => raw(libc::SYS_pidfd_open, [host, 0, 0, 0, 0, 0]),
        "lock-range" => {
            let file = File::open("/dev/null")?;
            let descriptor = c_long::from(file.as_raw_fd());
            raw(libc::SYS_fcntl, [descriptor, 6, address(zero.as_ptr()), 0, 0, 0])
        }
        "owner" => {
            let file = File::open("/dev/null")?;
            raw(libc::SYS_fcntl, [c_long::from(file.as_raw_fd()), 8, host, 0, 0, 0])
        }
        "read-memory" => raw(libc::SYS_process_vm_readv, [host, 0, 0, 0, 0, 0]),
        "move-pages" => raw(libc::SYS_move_pages, [host, 0, 0, 0, 0, 0]),
        "robust-list" => raw(
            libc::SYS_get_robust_list,
            [host, address(zero.as_ptr()), address(mask.as_ptr()), 0, 0, 0],
        ),
        "compare" => raw(libc::SYS_kcmp, [own, host, 0, 0, 0, 0]),
        "lock-priority" => raw(libc::SYS_futex, [address(zero.as_ptr()), 8, 0, 0, 0, 0]),
        "close-range" => raw(libc::SYS_close_range, [1000, 1001, 2, 0, 0, 0]),
        "clock" => raw(libc::SYS_clock_settime, [0, address(zero.as_ptr()), 0, 0, 0, 0]),
        "name" => raw(libc::SYS_sethostname, [path, 0, 0, 0, 0, 0]),
        "namespace" => raw(libc::SYS_unshare, [0x1000_0000, 0, 0, 0, 0, 0]),
        "undump" => raw(libc::SYS_prctl, [4, 0, 0, 0, 0, 0]),
        "filter" => raw(libc::SYS_seccomp, [1, 0, 0, 0, 0, 0]),
        "ring" => raw(libc::SYS_io_uring_setup, [1, address(zero.as_ptr()), 0, 0, 0, 0]),
        "splice" => raw(libc::SYS_splice, [0, 0, 0, 0, 0, 0]),
        "pair" => raw(libc::SYS_socketpair, [1, 1, 0, address(zero.as_ptr()), 0, 0]),
        "pass" => raw(libc::SYS_sendmsg, [0, 0, 0, 0, 0, 0]),
        "newer" => raw(4_000, [0; 6]),
        "segment" => raw(libc::SYS_shmget, [0, 1 << 20, 0o600, 0, 0, 0]),
        "memory-file" => raw(libc::SYS_memfd_create, [path, 0, 0, 0, 0, 0]),
        "shared" => map(libc::MAP_SHARED),
        "grows" => map(libc::MAP_PRIVATE | libc::MAP_GROWSDOWN),
        "huge-pages" => map(libc::MAP_PRIVATE | libc::MAP_HUGETLB),
        "shared-zero" => {
            let zero = OpenOptions::new().read(true).write(true).open("/dev/zero")?;
            let descriptor = c_long::from(zero.as_raw_fd());
            raw(libc::SYS_mmap, [0, 1 << 20, 3, c_long::from(libc::MAP_SHARED), descriptor, 0])
        }
        "reserve" => raw(libc::SYS_mmap, [0, 1 << 45, 1, anonymous | 2, -1, 0]),
        "device" => {
            let path = text(&data_dir.join("device").to_string_lossy());
            let path = address(path.as_ptr());
            raw(libc::SYS_mknodat, [-100, path, 0o020_666, 10 << 8 | 232, 0, 0])
        }
        other => Err(io::Error::other(format!("no such attempt: {other}"))),
    }
}

/// Changes of files, most of them of the file that is named.
fn files(argument: &str, data_dir: &Path) -> io::Result<()> {
    let (what, path) = argument.split_once('/').unwrap_or((argument, ""));
    let path = Path::new("/").join(path);
    let name = text(&path.to_string_lossy());
    let name = address(name.as_ptr());
    match what {
        "mode" => fs::set_permissions(&path, fs::Permissions::from_mode(0o777)),
        "owner" => std::os::unix::fs::chown(&path, Some(65_534), None),
        "attribute" => {
            let key = text("user.adit");
            let key = address(key.as_ptr());
            raw(libc::SYS_setxattr, [name, key, name, 1, 0, 0]).map(drop)
        }
        "time" => raw(libc::SYS_utimensat, [-100, name, 0, 0, 0, 0]).map(drop),
        "truncate" => raw(libc::SYS_truncate, [name, 0, 0, 0, 0, 0]).map(drop),
        "open-truncated" => {
            let flags = c_long::from(libc::O_RDONLY | libc::O_TRUNC);
            raw(libc::SYS_openat, [-100, name, flags, 0, 0, 0]).map(drop)
        }
        "own-mode" => {
            let file = File::create(data_dir.join("mode"))?;
            file.set_permissions(fs::Permissions::from_mode(0o777))
        }
        "set-id" => {
            let mut options = OpenOptions::new();
            options.write(true).create(true).mode(0o4755).open(data_dir.join("set-id")).map(drop)
        }
        "link" => {
            let link = text(&data_dir.join("link").to_string_lossy());
            raw(libc::SYS_symlinkat, [name, -100, address(link.as_ptr()), 0, 0, 0]).map(drop)
        }
        "pipe" => {
            let path = text(&data_dir.join("pipe").to_string_lossy());
            let path = address(path.as_ptr());
            raw(libc::SYS_mknodat, [-100, path, 0o010_666, 0, 0, 0]).map(drop)
        }
        // What a good driver does.
        "good" => good(data_dir),
        _ => Err(io::Error::other("no such attempt")),
    }
}

/// Uses files and threads as the standard library offers them.
fn good(data_dir: &Path) -> io::Result<()> {
    let at = |name: &str| data_dir.join(name);
    fs::create_dir_all(at("a/b"))?;
    fs::write(at("a/b/one"), "one")?;
    fs::rename(at("a/b/one"), at("a/two"))?;
    fs::hard_link(at("a/two"), at("a/three"))?;
    OpenOptions::new().append(true).open(at("a/three"))?.write_all(b"!")?;
    let file = OpenOptions::new().read(true).write(true).open(at("a/three"))?;
    file.set_len(2)?;
    file.sync_all()?;
    file.lock()?;
    let mut copy = File::create(at("copy"))?;
    io::copy(&mut File::open(at("a/two"))?, &mut copy)?;
    let read = fs::read_to_string(at("copy"))?;
    let entries = fs::read_dir(at("a"))?.count();
    let canonical = fs::canonicalize(at("a"))?;
    fs::remove_dir_all(at("a"))?;
    fs::remove_file(at("copy"))?;
    fs::read_to_string("/proc/cpuinfo")?;
    fs::OpenOptions::new().write(true).open("/dev/null")?.write_all(b"x")?;
    let thread = thread::Builder::new().name("good".to_owned()).spawn(|| {
        thread::sleep(Duration::from_millis(1));
        thread::available_parallelism().map_or(0, usize::from)
    })?;
    let threads = thread.join().map_err(|_| io::Error::other("the thread panicked"))?;
    let is_right = (read.as_str(), entries) == ("on", 3) && canonical.is_absolute() && threads > 0;
    if is_right { Ok(()) } else { Err(io::Error::other(format!("{read:?}, {entries}"))) }
}

/// What is open in this process.
fn descriptors() -> io::Result<String> {
    let mut open = Vec::new();
    for entry in fs::read_dir("/proc/self/fd")? {
        let entry = entry?;
        let target = fs::read_link(entry.path()).unwrap_or_default();
        open.push(format!("{} -> {}", entry.file_name().to_string_lossy(), target.display()));
    }
    Ok(open.join("\n"))
}

fn status_line(name: &str) -> io::Result<String> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    Ok(line.to_owned())
}

/// Uses more of something than any driver needs, without end.
fn flood(what: &str, data_dir: &Path) -> io::Result<()> {
    match what {
        "threads" => loop {
            let builder = thread::Builder::new().stack_size(16 << 10);
            builder.spawn(|| thread::sleep(Duration::from_secs(3600)))?;
        },
        "log" => loop {
            log::warn!("a line of many");
        },
        "print" => {
            let line = [b'x'; 4096];
            loop {
                io::stderr().write_all(&line)?;
            }
        }
        "disk" => fill(data_dir, "full", 64),
        "file" => fill(data_dir, "one", 1),
        "deleted" => {
            for number in 0..64 {
                let path = data_dir.join(number.to_string());
                let mut file = File::create(&path)?;
                fs::remove_file(&path)?;
                for _ in 0..4 {
                    file.write_all(&vec![1; 1 << 20])?;
                }
                // Stays open.
                let _ = file.into_raw_fd();
            }
            thread::sleep(Duration::from_secs(3600));
            Ok(())
        }
        "refused" => loop {
            raw(libc::SYS_setpriority, [0, 0, 0, 0, 0, 0]).ok();
        },
        "answers" => answers(),
        "hold" => {
            hold_other_threads()?;
            fs::write(data_dir.join("holds"), "")?;
            loop {
                thread::sleep(Duration::from_secs(3600));
            }
        }
        _ => Err(io::Error::other("no such flood")),
    }
}

/// Writes into `count` files, 4 MiB more each time.
fn fill(data_dir: &Path, name: &str, count: usize) -> io::Result<()> {
    for number in 0.. {
        let path = data_dir.join(format!("{name}-{}", number % count));
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        file.write_all(&vec![1; 4 << 20])?;
    }
    Ok(())
}

/// Asks the host for a large value again and again and never reads an answer. The frames are those
/// of the runner: the driver writes past it into its socket.
fn answers() -> io::Result<()> {
    let open = descriptors()?;
    let socket: c_long = { open.lines().filter(|line| line.contains("socket:")) }
        .find_map(|line| line.split(' ').next()?.parse().ok())
        .ok_or_else(|| io::Error::other("there is no socket"))?;
    hold_other_threads()?;
    let key = b"large";
    // Length, kind, code of STORAGE_GET, object (the driver's own is the first), id, number of parts,
    // length of the key.
    let mut ask = Vec::new();
    ask.extend(u32::try_from(15 + 4 + key.len()).unwrap_or(0).to_le_bytes());
    ask.extend([1, 121]);
    ask.extend(1_u32.to_le_bytes());
    ask.extend(u64::MAX.to_le_bytes());
    ask.push(1);
    ask.extend(u32::try_from(key.len()).unwrap_or(0).to_le_bytes());
    ask.extend(key);
    let length = c_long::try_from(ask.len()).unwrap_or_default();
    loop {
        raw(libc::SYS_write, [socket, address(ask.as_ptr()), length, 0, 0, 0])?;
    }
}

/// Stops the threads of the runner, so that nothing reads what the host sends.
fn hold_other_threads() -> io::Result<()> {
    extern "C" fn hold(_: i32) {
        loop {
            // SAFETY: a sleep has no effect on others and may be called in a handler.
            unsafe { libc::sleep(3600) };
        }
    }
    let handler = hold as extern "C" fn(i32);
    // SAFETY: the handler makes system calls only.
    unsafe { libc::signal(libc::SIGUSR1, handler as libc::sighandler_t) };
    let signal = c_long::from(libc::SIGUSR1);
    let own_process = c_long::from(std::process::id().cast_signed());
    let own = raw(libc::SYS_gettid, [0; 6])?;
    for entry in fs::read_dir("/proc/self/task")? {
        let thread = entry?.file_name().to_string_lossy().parse().unwrap_or(own);
        if thread != own {
            raw(libc::SYS_tgkill, [own_process, thread, signal, 0, 0, 0])?;
        }
    }
    Ok(())
}
