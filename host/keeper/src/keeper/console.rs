//! The program's stdin and output: a raw pseudo-terminal, or pipes.

use std::{
    collections::VecDeque,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use adit_plugin_api::Console as Kind;
use rustix::{
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    io::Errno,
    pipe::{PipeFlags, pipe_with},
    pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt},
    termios::{OptionalActions, Winsize, tcgetattr, tcsetattr, tcsetwinsize},
};

use crate::process::ProgramEnds;

/// Most bytes that wait for the program to read its stdin.
const MOST_INPUT: usize = 64 << 10;

/// The keeper's side.
pub(crate) struct Console {
    input: OwnedFd,
    output: OwnedFd,
    // The program's side of the output, kept open: the keeper goes on reading when the program
    // closes its own, because a grandchild may still write.
    held: Option<OwnedFd>,
    waiting: VecDeque<u8>,
}

impl Console {
    /// Makes one, and the ends for the program.
    pub(crate) fn open(kind: Kind) -> io::Result<(Self, ProgramEnds)> {
        let (input, output, stdin, held) = match kind {
            Kind::Pipes => {
                let (stdin, input) = pipe_with(PipeFlags::CLOEXEC)?;
                let (output, held) = pipe_with(PipeFlags::CLOEXEC)?;
                (input, output, stdin, held)
            }
            _ => {
                let (master, slave) = open_pty()?;
                (master.try_clone()?, master, slave.try_clone()?, slave)
            }
        };
        for end in [&input, &output] {
            fcntl_setfl(end, fcntl_getfl(end)? | OFlags::NONBLOCK)?;
        }
        let ends = ProgramEnds { stdin, stdout: held.try_clone()?, stderr: held.try_clone()? };
        Ok((Self { input, output, held: Some(held), waiting: VecDeque::new() }, ends))
    }

    /// Where output comes from, for polling.
    pub(crate) fn output(&self) -> BorrowedFd<'_> {
        self.output.as_fd()
    }

    /// Where input goes, for polling; `None` while nothing waits.
    pub(crate) fn input(&self) -> Option<BorrowedFd<'_>> {
        (!self.waiting.is_empty()).then(|| self.input.as_fd())
    }

    /// Reads output. `None`: there is none at the moment.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> Option<usize> {
        loop {
            match rustix::io::read(&self.output, &mut *buffer) {
                Ok(0) => return None,
                Ok(count) => return Some(count),
                Err(Errno::INTR) => {}
                // Also EIO, which a terminal gives when its other side is closed.
                Err(_) => return None,
            }
        }
    }

    /// Queues `input` for the program, all of it or nothing.
    pub(crate) fn send(&mut self, input: &[u8]) -> Result<(), &'static str> {
        if self.waiting.len() + input.len() > MOST_INPUT {
            return Err("the program does not read its stdin and too much waits for it");
        }
        self.waiting.extend(input);
        self.write()
    }

    /// Writes as much of the queue as the program takes now.
    pub(crate) fn write(&mut self) -> Result<(), &'static str> {
        while !self.waiting.is_empty() {
            match rustix::io::write(&self.input, self.waiting.as_slices().0) {
                Ok(0) | Err(Errno::AGAIN) => return Ok(()),
                Ok(count) => drop(self.waiting.drain(..count)),
                Err(Errno::INTR) => {}
                Err(_) => {
                    self.waiting.clear();
                    return Err("the program has closed its stdin");
                }
            }
        }
        self.waiting.shrink_to(0);
        Ok(())
    }

    /// Closes the program's side when nothing of it lives, so that reading finds an end.
    pub(crate) fn close_program_side(&mut self) {
        self.held = None;
    }
}

fn open_pty() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags)?;
    unlockpt(&master)?;
    let slave = ioctl_tiocgptpeer(&master, flags)?;
    let mut settings = tcgetattr(&slave)?;
    settings.make_raw();
    tcsetattr(&slave, OptionalActions::Now, &settings)?;
    // Wide enough that no known miner wraps or shortens its lines.
    tcsetwinsize(&slave, Winsize { ws_row: 50, ws_col: 250, ws_xpixel: 0, ws_ypixel: 0 })?;
    Ok((master, slave))
}
