//! The ways to misbehave.

use std::{
    fs, hint,
    io::{self, Write},
    mem::ManuallyDrop,
    net::TcpStream,
    os::{fd::FromRawFd, unix::net::UnixStream},
    path::Path,
    process, ptr, thread,
    time::{Duration, Instant},
};

/// How an answer looks when the call returns at all.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// As a well-behaved driver would answer.
    Sane,
    /// Well-formed, but larger than a host takes.
    Huge,
    /// Well-formed, but nothing that a host may act on.
    Garbage,
}

/// Large enough to be refused.
pub(crate) const HUGE: usize = 5 << 20;

/// Does what `fault` says.
pub(crate) fn act(fault: &str) -> Shape {
    match fault {
        "panic" => panic!("panic on demand"),
        "hang" => thread::sleep(Duration::from_secs(3600)),
        "exit" => exit(),
        "abort" => process::abort(),
        "segv" => segv(),
        "overflow" => drop(overflow(0)),
        "spin" => spin(),
        "bomb" => bomb(),
        "socket" => socket(),
        "fork" => fork(),
        "huge" => return Shape::Huge,
        "garbage" => return Shape::Garbage,
        _ => {}
    }
    Shape::Sane
}

#[expect(clippy::disallowed_methods, reason = "a driver that ends its process is what is wanted")]
fn exit() {
    process::exit(7);
}

/// Computes for an hour.
fn spin() {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(3600) {
        hint::spin_loop();
    }
}

/// Fills memory until there is no more of it.
fn bomb() {
    let mut full: Vec<Vec<u8>> = Vec::new();
    // More than the test machine would miss, were there no limit.
    while full.len() < 4096 {
        full.push(hint::black_box(vec![1; 1 << 20]));
    }
}

/// Writes garbage into every connection of this process.
fn socket() {
    for number in 0..64 {
        let path = format!("/proc/self/fd/{number}");
        let is_socket =
            fs::read_link(&path).is_ok_and(|it| it.to_string_lossy().starts_with("socket:"));
        if is_socket {
            // SAFETY: the number was open a moment ago; whom it belongs to is what is not cared for.
            let mut stream = ManuallyDrop::new(unsafe { UnixStream::from_raw_fd(number) });
            drop(stream.write_all(&[0xff; 4096]));
        }
    }
}

/// Makes a process that would outlive this one.
fn fork() {
    // SAFETY: the child makes only system calls.
    let child = unsafe { libc::fork() };
    match child {
        // SAFETY: a sleep harms nobody.
        0 => drop(unsafe { libc::sleep(3600) }),
        -1 => panic!("no fork: {}", io::Error::last_os_error()),
        child => panic!("forked {child}"),
    }
}

/// What this process can reach that is not the driver's: `network`, `files`, `programs`, `own`.
pub(crate) fn reach(what: &str, data_dir: &Path) -> io::Result<String> {
    match what {
        "network" => TcpStream::connect("127.0.0.1:9").map(|_| "connected".to_owned()),
        "files" => fs::read_to_string("/etc/passwd"),
        "elsewhere" => fs::write(data_dir.join("../elsewhere"), "x").map(|()| "written".to_owned()),
        "own" => {
            fs::write(data_dir.join("own"), "mine")?;
            fs::read_to_string(data_dir.join("own"))
        }
        _ => programs(),
    }
}

#[expect(clippy::disallowed_methods, reason = "a driver that runs a program is what is wanted")]
fn programs() -> io::Result<String> {
    process::Command::new("/bin/true").status().map(|status| status.to_string())
}

fn segv() {
    // Not null: debug builds turn a write to null into an abort.
    let nowhere = ptr::without_provenance_mut::<u8>(8);
    // SAFETY: none. The process is meant to die by SIGSEGV here.
    unsafe { nowhere.write_volatile(1) };
}

#[expect(unconditional_recursion, reason = "the stack is meant to overflow")]
fn overflow(depth: u64) -> [u64; 64] {
    let frame = hint::black_box([depth; 64]);
    let deeper = overflow(hint::black_box(frame[0] + 1));
    hint::black_box(deeper)
}
