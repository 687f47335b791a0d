//! The terminal while `adit top` has it.

use std::io::IsTerminal;

use ratatui::{
    DefaultTerminal, Frame,
    crossterm::event::{self, Event},
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
};

use crate::cli::Error;

/// Keys and sizes that may wait to be looked at.
const WAITING: usize = 64;

/// The terminal, as it was again when this is dropped; a panic restores it before its message.
pub(super) struct Terminal(DefaultTerminal);

impl Terminal {
    /// Takes the terminal that standard output is.
    ///
    /// # Errors
    /// When it is none, or none that can be drawn on.
    pub(super) fn take() -> Result<Self, Error> {
        let is_dumb = std::env::var_os("TERM").is_some_and(|it| it == "dumb");
        if !std::io::stdout().is_terminal() || is_dumb {
            return Err(Error::message(
                "standard output is no terminal that can be drawn on: use `adit miner list`",
            ));
        }
        ratatui::try_init().map(Self).map_err(|error| {
            ratatui::restore();
            Error::message(format!("cannot draw on this terminal: {error}"))
        })
    }

    /// Draws a frame; what did not change is not written again.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> Result<(), Error> {
        let drawn = self.0.draw(draw).map(|_| ());
        drawn.map_err(|error| Error::message(format!("cannot draw on this terminal: {error}")))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // A panic has restored it already; once more would put the cursor above the message.
        if !std::thread::panicking() {
            ratatui::restore();
        }
    }
}

/// What is typed, and changes of the size. Ends with the terminal.
pub(super) fn events() -> mpsc::Receiver<Event> {
    let (send, events) = mpsc::channel(WAITING);
    std::thread::spawn(move || {
        while let Ok(event) = event::read() {
            if send.blocking_send(event).is_err() {
                break;
            }
        }
    });
    events
}

/// The signals that end a command.
pub(super) struct Endings([Signal; 4]);

impl Endings {
    /// Has these signals end nothing by themselves from now on.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) fn watch() -> Result<Self, Error> {
        let watch = |kind| {
            signal(kind).map_err(|error| Error::message(format!("cannot watch signals: {error}")))
        };
        Ok(Self([
            watch(SignalKind::interrupt())?,
            watch(SignalKind::terminate())?,
            watch(SignalKind::hangup())?,
            watch(SignalKind::quit())?,
        ]))
    }

    /// Waits for one of them. Safe to drop.
    pub(super) async fn next(&mut self) {
        let Self([interrupt, terminate, hangup, quit]) = self;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
            _ = quit.recv() => {}
        }
    }
}
