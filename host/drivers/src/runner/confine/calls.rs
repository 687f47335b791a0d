//! The system calls that a runner and a pure driver make, and nothing else.
//!
//! An allow-list: what is not listed is refused, so a call that a later kernel adds is refused too.
//! Some calls are allowed with certain arguments only, as far as they are numbers; a filter cannot
//! look behind a pointer. Three filters are installed in this order. The strictest answer counts, and
//! of two errors that of the later filter:
//!
//! 1. [`allowed`]: the list. A refused call is handed over to the host, which refuses it there and
//!    notes its name; threads are counted that way too (see `supervise`). Without that
//!    (kernels before 5.5, some containers) it fails with `EPERM` right away.
//! 2. [`missing`]: two calls whose arguments are behind a pointer seem not to exist, so that libraries
//!    use older ones.
//! 3. [`sealed`]: what the runner itself needed to get this far.
//!
//! The table was run on x86_64. For aarch64 it is the same without the calls that do not exist there;
//! it was read and not run.

use std::collections::BTreeMap;

use linux_raw_sys::{general as nr, ioctl, net, prctl};
use rustix::io::Errno;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule,
};

/// Allowed whatever the arguments are. Files are Landlock's matter.
const ALWAYS: &[u32] = &[
    // Files that are open.
    nr::__NR_read,
    nr::__NR_write,
    nr::__NR_readv,
    nr::__NR_writev,
    nr::__NR_pread64,
    nr::__NR_pwrite64,
    nr::__NR_preadv,
    nr::__NR_pwritev,
    nr::__NR_preadv2,
    nr::__NR_pwritev2,
    nr::__NR_lseek,
    nr::__NR_close,
    nr::__NR_dup,
    nr::__NR_dup3,
    nr::__NR_fstat,
    nr::__NR_fstatfs,
    nr::__NR_ftruncate,
    nr::__NR_fsync,
    nr::__NR_fdatasync,
    nr::__NR_flock,
    nr::__NR_copy_file_range,
    nr::__NR_sendfile,
    nr::__NR_fadvise64,
    // Files by name.
    nr::__NR_newfstatat,
    nr::__NR_statx,
    nr::__NR_statfs,
    nr::__NR_faccessat,
    nr::__NR_faccessat2,
    nr::__NR_readlinkat,
    nr::__NR_getdents64,
    nr::__NR_getcwd,
    nr::__NR_chdir,
    nr::__NR_fchdir,
    nr::__NR_unlinkat,
    nr::__NR_renameat,
    nr::__NR_renameat2,
    nr::__NR_linkat,
    // Memory; what is mapped is asked below.
    nr::__NR_munmap,
    nr::__NR_mremap,
    nr::__NR_mprotect,
    nr::__NR_madvise,
    nr::__NR_brk,
    // Threads; how they are made is asked below.
    nr::__NR_exit,
    nr::__NR_exit_group,
    nr::__NR_set_tid_address,
    nr::__NR_set_robust_list,
    nr::__NR_rseq,
    nr::__NR_sched_yield,
    // What this process is.
    nr::__NR_getpid,
    nr::__NR_gettid,
    nr::__NR_getppid,
    nr::__NR_getuid,
    nr::__NR_geteuid,
    nr::__NR_getgid,
    nr::__NR_getegid,
    nr::__NR_uname,
    nr::__NR_sysinfo,
    nr::__NR_getrusage,
    nr::__NR_getrlimit,
    nr::__NR_getrandom,
    nr::__NR_getcpu,
    // Signals to this process.
    nr::__NR_rt_sigaction,
    nr::__NR_rt_sigprocmask,
    nr::__NR_rt_sigreturn,
    nr::__NR_sigaltstack,
    nr::__NR_restart_syscall,
    // Time and waiting.
    nr::__NR_nanosleep,
    nr::__NR_gettimeofday,
    nr::__NR_ppoll,
    nr::__NR_pselect6,
    nr::__NR_epoll_create1,
    nr::__NR_epoll_ctl,
    nr::__NR_epoll_pwait,
    nr::__NR_epoll_pwait2,
    nr::__NR_eventfd2,
    nr::__NR_pipe2,
    // Sockets that are open.
    nr::__NR_recvfrom,
    nr::__NR_shutdown,
];

/// Older forms of calls above, which aarch64 never had.
#[cfg(target_arch = "x86_64")]
const ALWAYS_OLDER: &[u32] = &[
    nr::__NR_stat,
    nr::__NR_lstat,
    nr::__NR_access,
    nr::__NR_readlink,
    nr::__NR_unlink,
    nr::__NR_rename,
    nr::__NR_rmdir,
    nr::__NR_link,
    nr::__NR_getdents,
    nr::__NR_dup2,
    nr::__NR_pipe,
    nr::__NR_poll,
    nr::__NR_select,
    nr::__NR_epoll_create,
    nr::__NR_epoll_wait,
    nr::__NR_eventfd,
    nr::__NR_time,
    nr::__NR_pause,
];
#[cfg(not(target_arch = "x86_64"))]
const ALWAYS_OLDER: &[u32] = &[];

/// For drivers that may use the network. What kind of socket is asked below.
const NETWORK: &[u32] = &[
    nr::__NR_connect,
    nr::__NR_bind,
    nr::__NR_listen,
    nr::__NR_accept,
    nr::__NR_accept4,
    nr::__NR_getsockname,
    nr::__NR_getpeername,
    nr::__NR_getsockopt,
    nr::__NR_setsockopt,
    nr::__NR_sendto,
    nr::__NR_sendmsg,
    nr::__NR_recvmsg,
    nr::__NR_sendmmsg,
    nr::__NR_recvmmsg,
];

/// What an argument must be. All are numbers of 32 bits, but for [`BeNull`](Self::BeNull).
#[derive(Clone, Copy)]
enum Must {
    Be(u32),
    BeAtMost(u32),
    /// Have these bits of the mask set, and no others of it.
    Have {
        mask: u32,
        bits: u32,
    },
    /// Be this process's id.
    BeOwnPid,
    /// Be no pointer.
    BeNull,
}

/// A call, and what its arguments (by index) must be.
type If = (u32, &'static [(u8, Must)]);
type Rules = BTreeMap<i64, Vec<SeccompRule>>;

const fn bits(mask: u32, bits: u32) -> Must {
    Must::Have { mask, bits }
}

/// No file that runs with its owner's rights.
const PLAIN_MODE: Must = bits(0o6000, 0);
/// Opens a file as it is.
const AS_IT_IS: Must = bits(nr::O_TRUNC | nr::O_CREAT | nr::__O_TMPFILE, 0);
/// Truncating needs no right to write before Landlock's third generation, so it must be asked for.
const TO_WRITE: Must = bits(nr::O_ACCMODE, nr::O_WRONLY);
const TO_READ_AND_WRITE: Must = bits(nr::O_ACCMODE, nr::O_RDWR);
/// Private memory. The limit does not count what is shared (not even of `/dev/zero`) nor what grows
/// like a stack; huge pages are the miners'; locked memory cannot be swapped.
const PRIVATE: Must =
    bits(nr::MAP_TYPE | nr::MAP_GROWSDOWN | nr::MAP_HUGETLB | nr::MAP_LOCKED, nr::MAP_PRIVATE);
/// How a thread is made, by any of the C libraries. The lowest byte is the signal at its end: none.
const THREAD: Must = bits(
    !nr::CLONE_DETACHED,
    nr::CLONE_VM
        | nr::CLONE_FS
        | nr::CLONE_FILES
        | nr::CLONE_SIGHAND
        | nr::CLONE_THREAD
        | nr::CLONE_SYSVSEM
        | nr::CLONE_SETTLS
        | nr::CLONE_PARENT_SETTID
        | nr::CLONE_CHILD_CLEARTID,
);
/// Clocks by number. Those of other processes have their ids in it, which makes large numbers.
const CLOCK: Must = Must::BeAtMost(nr::CLOCK_TAI);
/// Shared between processes or private, by which clock: does not matter.
const FUTEX: u32 = !(nr::FUTEX_PRIVATE_FLAG | nr::FUTEX_CLOCK_REALTIME);

const SOMETIMES: &[If] = &[
    (nr::__NR_openat, &[(2, AS_IT_IS)]),
    (nr::__NR_openat, &[(2, TO_WRITE), (3, PLAIN_MODE)]),
    (nr::__NR_openat, &[(2, TO_READ_AND_WRITE), (3, PLAIN_MODE)]),
    (nr::__NR_mkdirat, &[(2, PLAIN_MODE)]),
    (nr::__NR_mmap, &[(3, PRIVATE)]),
    // Not F_SETOWN: it sends signals to other processes. No leases, no larger pipes, and no locks of
    // ranges, of which the kernel would keep any number: flock has one for each file.
    (nr::__NR_fcntl, &[(1, Must::Be(nr::F_DUPFD))]),
    (nr::__NR_fcntl, &[(1, Must::Be(nr::F_DUPFD_CLOEXEC))]),
    (nr::__NR_fcntl, &[(1, Must::Be(nr::F_GETFD))]),
    (nr::__NR_fcntl, &[(1, Must::Be(nr::F_SETFD))]),
    (nr::__NR_fcntl, &[(1, Must::Be(nr::F_GETFL))]),
    (nr::__NR_fcntl, &[(1, Must::Be(nr::F_SETFL))]),
    (nr::__NR_ioctl, &[(1, Must::Be(ioctl::FIONREAD))]),
    (nr::__NR_ioctl, &[(1, Must::Be(ioctl::FIONBIO))]),
    (nr::__NR_ioctl, &[(1, Must::Be(ioctl::FIOCLEX))]),
    (nr::__NR_ioctl, &[(1, Must::Be(ioctl::FIONCLEX))]),
    (nr::__NR_ioctl, &[(1, Must::Be(ioctl::TCGETS))]),
    // Not those that lend priority to the owner of a lock, which may be any process.
    (nr::__NR_futex, &[(1, bits(FUTEX, nr::FUTEX_WAIT))]),
    (nr::__NR_futex, &[(1, bits(FUTEX, nr::FUTEX_WAKE))]),
    (nr::__NR_futex, &[(1, bits(FUTEX, nr::FUTEX_REQUEUE))]),
    (nr::__NR_futex, &[(1, bits(FUTEX, nr::FUTEX_CMP_REQUEUE))]),
    (nr::__NR_futex, &[(1, bits(FUTEX, nr::FUTEX_WAKE_OP))]),
    (nr::__NR_futex, &[(1, bits(FUTEX, nr::FUTEX_WAIT_BITSET))]),
    (nr::__NR_futex, &[(1, bits(FUTEX, nr::FUTEX_WAKE_BITSET))]),
    (nr::__NR_kill, &[(0, Must::BeOwnPid)]),
    (nr::__NR_tgkill, &[(0, Must::BeOwnPid)]),
    // Limits are read and not set.
    (nr::__NR_prlimit64, &[(0, Must::Be(0)), (2, Must::BeNull)]),
    (nr::__NR_prlimit64, &[(0, Must::BeOwnPid), (2, Must::BeNull)]),
    (nr::__NR_sched_getaffinity, &[(0, Must::Be(0))]),
    (nr::__NR_prctl, &[(0, Must::Be(prctl::PR_SET_NAME))]),
    (nr::__NR_prctl, &[(0, Must::Be(prctl::PR_GET_NAME))]),
    (nr::__NR_prctl, &[(0, Must::Be(prctl::PR_SET_VMA))]),
    (nr::__NR_clock_gettime, &[(0, CLOCK)]),
    (nr::__NR_clock_getres, &[(0, CLOCK)]),
    (nr::__NR_clock_nanosleep, &[(0, CLOCK)]),
    // To the peer of a connected socket only.
    (nr::__NR_sendto, &[(4, Must::BeNull)]),
];

/// As above, for calls that aarch64 never had.
#[cfg(target_arch = "x86_64")]
const SOMETIMES_OLDER: &[If] = &[
    (nr::__NR_open, &[(1, AS_IT_IS)]),
    (nr::__NR_open, &[(1, TO_WRITE), (2, PLAIN_MODE)]),
    (nr::__NR_open, &[(1, TO_READ_AND_WRITE), (2, PLAIN_MODE)]),
    (nr::__NR_mkdir, &[(1, PLAIN_MODE)]),
];
#[cfg(not(target_arch = "x86_64"))]
const SOMETIMES_OLDER: &[If] = &[];

const INTERNET_4: (u8, Must) = (0, Must::Be(net::AF_INET));
const INTERNET_6: (u8, Must) = (0, Must::Be(net::AF_INET6));
const STREAM: (u8, Must) = (1, bits(0xf, net::SOCK_STREAM));
const DATAGRAM: (u8, Must) = (1, bits(0xf, net::SOCK_DGRAM));
const USUAL_PROTOCOL: (u8, Must) = (2, Must::Be(0));
const TCP: (u8, Must) = (2, Must::Be(6));
const UDP: (u8, Must) = (2, Must::Be(17));

/// TCP and UDP: no raw sockets, and no other protocol that a socket of the same type can have, such
/// as SCTP or ICMP.
const SOCKETS: &[If] = &[
    (nr::__NR_socket, &[INTERNET_4, STREAM, USUAL_PROTOCOL]),
    (nr::__NR_socket, &[INTERNET_4, STREAM, TCP]),
    (nr::__NR_socket, &[INTERNET_4, DATAGRAM, USUAL_PROTOCOL]),
    (nr::__NR_socket, &[INTERNET_4, DATAGRAM, UDP]),
    (nr::__NR_socket, &[INTERNET_6, STREAM, USUAL_PROTOCOL]),
    (nr::__NR_socket, &[INTERNET_6, STREAM, TCP]),
    (nr::__NR_socket, &[INTERNET_6, DATAGRAM, USUAL_PROTOCOL]),
    (nr::__NR_socket, &[INTERNET_6, DATAGRAM, UDP]),
];

/// Without a host that counts threads and knows which belong to this process.
const UNSUPERVISED: &[If] = &[(nr::__NR_clone, &[(0, THREAD)]), (nr::__NR_sched_getaffinity, &[])];

/// The statement of a filter that returns a constant.
const RETURN: u16 = 0x06;
/// `SECCOMP_RET_TRACE` and `SECCOMP_RET_USER_NOTIF`.
const TRACE: u32 = 0x7ff0_0000;
const HAND_OVER: u32 = 0x7fc0_0000;

/// What the runner does after the list is in force and before a driver's code runs: it sends the
/// listener to the host, and installs one more filter.
const RUNNER: &[u32] = &[nr::__NR_sendmsg, nr::__NR_seccomp];

/// Whether `flags` make a thread of the calling process.
pub(crate) fn makes_thread(flags: u64) -> bool {
    let Must::Have { mask, bits } = THREAD else { return false };
    flags & u64::from(mask) == u64::from(bits)
}

/// Calls that seem not to exist.
pub(crate) fn missing() -> Result<BpfProgram, String> {
    // Their arguments are behind a pointer; libraries go back to clone and openat.
    let calls = [nr::__NR_clone3, nr::__NR_openat2];
    refusing(&calls, Errno::NOSYS)
}

/// The allow-list. Refused calls are handed over to the host if it `is_supervised`.
pub(crate) fn allowed(network: bool, is_supervised: bool) -> Result<BpfProgram, String> {
    let mut rules = Rules::new();
    let network_calls = if network { NETWORK } else { &[] };
    for call in [ALWAYS, ALWAYS_OLDER, network_calls, RUNNER].concat() {
        rules.insert(i64::from(call), Vec::new());
    }
    let sockets = if network { SOCKETS } else { &[] };
    let unsupervised = if is_supervised { &[] } else { UNSUPERVISED };
    for (call, arguments) in [SOMETIMES, SOMETIMES_OLDER, sockets, unsupervised].concat() {
        add(&mut rules, call, arguments).map_err(failed)?;
    }
    // The library has no name for handing over: another action that carries no number stands for it.
    let refusal = if is_supervised {
        SeccompAction::Trace(0)
    } else {
        SeccompAction::Errno(errno(Errno::PERM))
    };
    let mut program = compile(rules, refusal, SeccompAction::Allow)?;
    for statement in &mut program {
        if is_supervised && (statement.code, statement.k) == (RETURN, TRACE) {
            statement.k = HAND_OVER;
        }
    }
    Ok(program)
}

/// What nothing needs once the driver's code runs.
pub(crate) fn sealed(network: bool) -> Result<BpfProgram, String> {
    let calls: Vec<u32> =
        RUNNER.iter().copied().filter(|call| !network || *call != nr::__NR_sendmsg).collect();
    refusing(&calls, Errno::PERM)
}

fn refusing(calls: &[u32], error: Errno) -> Result<BpfProgram, String> {
    let rules = calls.iter().map(|call| (i64::from(*call), Vec::new())).collect();
    compile(rules, SeccompAction::Allow, SeccompAction::Errno(errno(error)))
}

/// Allows `call` with these arguments too.
fn add(rules: &mut Rules, call: u32, arguments: &[(u8, Must)]) -> Result<(), BackendError> {
    let conditions: Result<Vec<_>, _> =
        arguments.iter().map(|(index, must)| condition(*index, *must)).collect();
    let conditions = conditions?;
    if conditions.is_empty() {
        // In a filter no rules mean that all arguments will do.
        rules.insert(i64::from(call), Vec::new());
    } else {
        rules.entry(i64::from(call)).or_default().push(SeccompRule::new(conditions)?);
    }
    Ok(())
}

fn condition(index: u8, must: Must) -> Result<SeccompCondition, BackendError> {
    let (length, operator, value) = match must {
        Must::Be(value) => (SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, u64::from(value)),
        Must::BeAtMost(value) => (SeccompCmpArgLen::Dword, SeccompCmpOp::Le, u64::from(value)),
        Must::Have { mask, bits } => {
            let operator = SeccompCmpOp::MaskedEq(u64::from(mask));
            (SeccompCmpArgLen::Dword, operator, u64::from(bits))
        }
        Must::BeOwnPid => {
            (SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, u64::from(std::process::id()))
        }
        Must::BeNull => (SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, 0),
    };
    SeccompCondition::new(index, length, operator, value)
}

fn compile(
    rules: Rules,
    otherwise: SeccompAction,
    listed: SeccompAction,
) -> Result<BpfProgram, String> {
    let arch = std::env::consts::ARCH.try_into().map_err(failed)?;
    SeccompFilter::new(rules, otherwise, listed, arch).and_then(TryInto::try_into).map_err(failed)
}

fn errno(error: Errno) -> u32 {
    error.raw_os_error().unsigned_abs()
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn failed(error: BackendError) -> String {
    format!("no filter of system calls: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::confine::names::name_of;

    #[test]
    fn a_filter_is_made_for_every_kind_of_runner() {
        for (network, is_supervised) in [(false, false), (false, true), (true, false), (true, true)]
        {
            let program = allowed(network, is_supervised).unwrap();
            let count =
                |action| program.iter().filter(|it| (it.code, it.k) == (RETURN, action)).count();
            assert_eq!(count(HAND_OVER) > 0, is_supervised);
            assert_eq!(count(TRACE), 0);
            // The kernel takes 4096 statements.
            assert!(program.len() < 2_000, "{}", program.len());
        }
        for program in [missing(), sealed(true), sealed(false)] {
            assert!(!program.unwrap().is_empty());
        }
    }

    #[test]
    fn nothing_is_allowed_that_reaches_beyond_the_process() {
        let listed = [ALWAYS, ALWAYS_OLDER, NETWORK].concat();
        let sometimes = [SOMETIMES, SOMETIMES_OLDER, SOCKETS].concat();
        let names: Vec<_> = listed
            .into_iter()
            .chain(sometimes.into_iter().map(|(call, _)| call))
            .map(|call| name_of(i32::try_from(call).unwrap()).expect("every call has a name"))
            .collect();
        for word in [
            "chmod",
            "chown",
            "xattr",
            "utime",
            "mknod",
            "symlink",
            "mount",
            "exec",
            "fork",
            "ptrace",
            "pidfd",
            "sigqueue",
            "shm",
            "sem",
            "msgget",
            "mq_",
            "memfd",
            "sched_set",
            "ioprio",
            "priority",
            "settime",
            "adjtime",
            "hostname",
            "domainname",
            "setuid",
            "setns",
            "unshare",
            "key",
            "bpf",
            "perf",
            "io_uring",
            "module",
            "kexec",
            "iopl",
            "ioperm",
            "swap",
            "reboot",
            "quota",
            "move_pages",
            "migrate",
            "kcmp",
            "process_",
            "landlock",
            "notify",
            "userfault",
            "capset",
            "setrlimit",
            "acct",
            "pivot",
            "chroot",
            "splice",
        ] {
            let found: Vec<_> = names.iter().filter(|it| it.contains(word)).collect();
            assert!(found.is_empty(), "{word}: {found:?}");
        }
    }

    #[test]
    fn only_the_flags_of_a_thread_make_one() {
        let glibc = 0x003d_0f00_u64;
        assert!(makes_thread(glibc) && makes_thread(glibc | 0x0040_0000));
        let fork = 17;
        for other in [fork, 0, glibc | fork, glibc & !0x0001_0000, glibc | 0x1000_0000] {
            assert!(!makes_thread(other), "{other:#x}");
        }
    }
}
