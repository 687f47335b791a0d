//! The ways to misbehave.

use std::{hint, process, ptr, thread, time::Duration};

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
