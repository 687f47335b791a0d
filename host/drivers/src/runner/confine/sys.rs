//! The system calls of the sandbox that no safe crate offers: closing descriptors that nothing here
//! owns, installing a filter whose refusals go to the host, and answering them there.
//!
//! The only file of the runner with `unsafe` code.

#![expect(unsafe_code, reason = "close_range, seccomp and its notifications have no safe form")]

use std::{
    fs, io,
    os::fd::{BorrowedFd, FromRawFd, OwnedFd},
};

use linux_raw_sys::ptrace::{seccomp_data, seccomp_notif, seccomp_notif_resp};
use rustix::ioctl::{self, Updater, opcode};
use seccompiler::{BpfProgram, sock_filter};
use tokio::io::{Interest, unix::AsyncFd};

const RECEIVE: ioctl::Opcode = opcode::read_write::<seccomp_notif>(b'!', 0);
const SEND: ioctl::Opcode = opcode::read_write::<seccomp_notif_resp>(b'!', 1);

/// Closes every descriptor but stdin, stdout and stderr: the host may have inherited some that are
/// open for everyone it starts, and no filter looks at a file that is open already.
///
/// Call it before this process opened anything itself: an owner would lose its descriptor.
pub(crate) fn close_inherited() -> io::Result<()> {
    // SAFETY: the call takes three numbers and touches no memory of ours; at the start of the runner
    // no object owns a descriptor above 2.
    let done = unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0) };
    if done == 0 {
        return Ok(());
    }
    // Kernels before 5.9 have no such call.
    let listed = fs::read_dir("/proc/self/fd")?;
    let numbers: Vec<i32> =
        listed.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for number in numbers.into_iter().filter(|number| *number > 2) {
        // SAFETY: the call takes a number; as above, no object owns it. The number of the listing
        // itself, which is closed by now, is refused.
        unsafe { libc::close(number) };
    }
    Ok(())
}

/// Installs a filter for this thread and those that it starts. Privileges must have been given up
/// before (`no_new_privs`).
pub(crate) fn install(program: &BpfProgram) -> io::Result<()> {
    set_filter(program, 0).map(drop)
}

/// Installs a filter, and returns the descriptor at which the calls that it hands over are answered.
pub(crate) fn install_with_listener(program: &BpfProgram) -> io::Result<OwnedFd> {
    let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    let number = i32::try_from(set_filter(program, flags)?).map_err(io::Error::other)?;
    // SAFETY: the kernel has just made this descriptor; nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

fn set_filter(program: &BpfProgram, flags: libc::c_ulong) -> io::Result<libc::c_long> {
    /// `struct sock_fprog` of the kernel.
    #[repr(C)]
    struct Program {
        length: u16,
        statements: *const sock_filter,
    }
    let length = u16::try_from(program.len()).map_err(io::Error::other)?;
    let program = Program { length, statements: program.as_ptr() };
    let operation = libc::SECCOMP_SET_MODE_FILTER;
    // SAFETY: `program` is a live `struct sock_fprog` whose statements outlive the call; the kernel
    // copies them.
    let done = unsafe { libc::syscall(libc::SYS_seccomp, operation, flags, &raw const program) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(done) }
}

/// A listener that can be waited for in a task.
pub(crate) fn register(listener: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` stays open and the same until it is dropped, and nothing here takes it out.
    let registered = unsafe { AsyncFd::register_with_interest(listener, Interest::READABLE) };
    Ok(registered?)
}

/// A system call that waits for its answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    id: u64,
    /// The call's number.
    pub(crate) number: i32,
    /// Its arguments.
    pub(crate) args: [u64; 6],
}

/// The next call that waits at `listener`. Blocks when none does.
pub(crate) fn receive(listener: BorrowedFd<'_>) -> io::Result<Held> {
    // The kernel takes nothing but zeros.
    let data = seccomp_data { nr: 0, arch: 0, instruction_pointer: 0, args: [0; 6] };
    let mut held = seccomp_notif { id: 0, pid: 0, flags: 0, data };
    // SAFETY: for this code the kernel writes a `seccomp_notif`.
    let update = unsafe { Updater::<RECEIVE, seccomp_notif>::new(&mut held) };
    // SAFETY: the descriptor is borrowed and the value lives; a descriptor of another kind refuses
    // the code.
    unsafe { ioctl::ioctl(listener, update) }?;
    Ok(Held { id: held.id, number: held.data.nr, args: held.data.args })
}

/// How a call that waits is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The kernel makes the call. Only for calls that are judged by numbers: what a pointer leads to
    /// may have changed since.
    Continue,
    /// The call fails with this error.
    Refuse(rustix::io::Errno),
}

/// Answers a call. It fails when the caller is gone or was interrupted, which needs no action.
pub(crate) fn answer(listener: BorrowedFd<'_>, held: &Held, verdict: Verdict) -> io::Result<()> {
    let (error, flags) = match verdict {
        Verdict::Continue => (0, 1),
        Verdict::Refuse(errno) => (-errno.raw_os_error(), 0),
    };
    let mut response = seccomp_notif_resp { id: held.id, val: 0, error, flags };
    // SAFETY: for this code the kernel reads a `seccomp_notif_resp`.
    let update = unsafe { Updater::<SEND, seccomp_notif_resp>::new(&mut response) };
    // SAFETY: the descriptor is borrowed and the value lives; a descriptor of another kind refuses
    // the code.
    unsafe { ioctl::ioctl(listener, update) }?;
    Ok(())
}
