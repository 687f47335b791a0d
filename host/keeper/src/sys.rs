//! The few system calls that no safe crate offers. Nothing else in the module is `unsafe`.

#![expect(unsafe_code, reason = "fork, close_range, signals and wait statistics have no safe form")]

use std::{
    io, mem,
    os::{
        fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
        unix::process::CommandExt,
    },
    process::Command,
    ptr,
};

/// Which of the two processes a [`fork`] returned in.
pub(crate) enum Fork {
    /// The one that called it, with the pid of the new one.
    Parent(i32),
    /// The new one.
    Child,
}

/// Closes every descriptor from `first` on.
///
/// Call it before this process opened anything itself: an owner would lose its descriptor.
pub(crate) fn close_from(first: u32) -> io::Result<()> {
    // SAFETY: the call takes three numbers and touches no memory of ours; at the start of the
    // keeper no object owns a descriptor above 2.
    let done = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Splits this process in two. Only for a process with a single thread.
pub(crate) fn fork() -> io::Result<Fork> {
    // SAFETY: the caller has one thread, so no lock can be held by a thread that the child lacks.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Fork::Child),
        child => Ok(Fork::Parent(child)),
    }
}

/// Has this process end without a word when it writes to a pipe that nobody reads any more, as
/// programs do that Rust did not start. Not for a host: it writes to sockets and pipes of others.
pub fn end_with_reader() {
    // SAFETY: the default action takes no handler of ours, and nothing else here changes it.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}

/// Blocks `signals` and returns a descriptor that reads them instead, 128 bytes each, the
/// signal's number in the first four.
pub(crate) fn signal_descriptor(signals: &[i32]) -> io::Result<OwnedFd> {
    // SAFETY: `sigset_t` is plain data for which all zeros is a valid value.
    let mut set: libc::sigset_t = unsafe { mem::zeroed() };
    for signal in signals {
        // SAFETY: `set` is a live, initialised signal set.
        unsafe { libc::sigaddset(&raw mut set, *signal) };
    }
    // SAFETY: `set` is a live, initialised signal set; the old mask is not asked for.
    if unsafe { libc::sigprocmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
    // SAFETY: `set` is a live, initialised signal set; -1 asks for a new descriptor.
    let fd = unsafe { libc::signalfd(-1, &raw const set, flags) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Lets every signal through again. Allocates nothing: fit for a forked child.
pub(crate) fn unblock_signals() {
    // SAFETY: `sigset_t` is plain data for which all zeros is a valid value: the empty set.
    let none: libc::sigset_t = unsafe { mem::zeroed() };
    // SAFETY: `none` is a live, initialised signal set; the old mask is not asked for.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut()) };
}

/// Gives every signal its default action again and lets it through. Allocates nothing: fit for a
/// forked child.
pub(crate) fn default_signals() {
    unblock_signals();
    for signal in 1..=64 {
        // SAFETY: `SIG_DFL` installs no code; numbers that may not be changed are refused.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// CPU time, user and system, of all children waited for and their own, in milliseconds.
pub(crate) fn children_cpu_ms() -> u64 {
    // SAFETY: `rusage` is plain data for which all zeros is a valid value.
    let mut usage: libc::rusage = unsafe { mem::zeroed() };
    // SAFETY: `usage` is a live, writable `rusage`.
    if unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage) } != 0 {
        return 0;
    }
    let ms = |time: libc::timeval| time.tv_sec * 1000 + time.tv_usec / 1000;
    u64::try_from(ms(usage.ru_utime) + ms(usage.ru_stime)).unwrap_or_default()
}

/// User id of the process at the other end of a Unix socket, as it was when it connected.
pub(crate) fn peer_uid(socket: BorrowedFd<'_>) -> io::Result<u32> {
    // SAFETY: `ucred` is plain data for which all zeros is a valid value.
    let mut peer: libc::ucred = unsafe { mem::zeroed() };
    let mut size = libc::socklen_t::try_from(size_of::<libc::ucred>())
        .expect("a structure of three numbers has a small size");
    // SAFETY: `peer` and `size` are live and writable, and `size` tells the size of `peer`.
    let done = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut peer).cast(),
            &raw mut size,
        )
    };
    if done == 0 { Ok(peer.uid) } else { Err(io::Error::last_os_error()) }
}

/// Whether the system holds its clock to be right; `None` when it does not tell.
pub fn clock_is_synchronised() -> Option<bool> {
    // SAFETY: `timex` is plain data for which all zeros is a valid value; without modes it is a
    // question that changes nothing.
    let mut clock: libc::timex = unsafe { mem::zeroed() };
    // SAFETY: `clock` is live and writable.
    match unsafe { libc::adjtimex(&raw mut clock) } {
        -1 => None,
        state => Some(state != libc::TIME_ERROR),
    }
}

/// Runs `hook` in the child between fork and exec. It must not allocate, lock or panic.
pub(crate) fn before_exec<F>(command: &mut Command, hook: F)
where
    F: FnMut() -> io::Result<()> + Send + Sync + 'static,
{
    // SAFETY: the callers pass hooks made of plain system calls, which take no lock that another
    // thread could hold at the fork and allocate nothing.
    unsafe { command.pre_exec(hook) };
}

/// Lets a program executed by this process inherit `descriptor`. Allocates nothing.
pub(crate) fn keep_over_exec(descriptor: RawFd) -> io::Result<()> {
    // SAFETY: the call takes numbers only and changes but the flags of the descriptor.
    let done = unsafe { libc::fcntl(descriptor, libc::F_SETFD, 0) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
