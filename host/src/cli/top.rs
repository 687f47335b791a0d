//! `adit top`: the miners on a terminal, live.
//!
//! [`state`] is what is known, [`frame`] makes a screen of it; both are without I/O. [`feed`] asks
//! the host, [`terminal`] has the terminal.

mod feed;
mod figures;
mod frame;
mod layout;
mod look;
mod pane;
#[cfg(test)]
mod samples;
mod state;
mod terminal;
mod text;

use std::{sync::Arc, time::Duration};

use ratatui::crossterm::event::Event;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::timeout,
};

use crate::cli::{
    Common, Error,
    client::{self, Client},
    show,
    top::{
        look::Look,
        state::{News, Order, State, Wanted},
        terminal::{Endings, Terminal},
    },
};

/// News that may wait to be looked at.
const WAITING: usize = 16;
/// How long commands that are on their way may hold the end. The host carries out what reached it.
const FAREWELL: Duration = Duration::from_secs(1);

pub(super) async fn run(common: &Common) -> Result<(), Error> {
    if common.json {
        return Err(Error::message(
            "this draws on a terminal: for JSON use `adit miner list --json`",
        ));
    }
    let host = Arc::new(pinned(common));
    // Whoever has no host learns it before the screen changes.
    Client::find(&host)?;
    let (wish, wanted) = watch::channel(Wanted::default());
    let (send, news) = mpsc::channel(WAITING);
    // First, so that no signal finds the terminal taken and nobody to give it back.
    let endings = Endings::watch()?;
    let terminal = Terminal::take()?;
    tokio::select! {
        done = converse(&host, terminal, endings, &wish, send.clone(), news) => done,
        () = feed::run(&host, wanted, send.clone()) => Ok(()),
    }
}

/// The same command line, for the host that it means now: while that is away, no other one takes
/// its place.
fn pinned(common: &Common) -> Common {
    let mut pinned = common.clone();
    if pinned.url.is_none() {
        pinned.state_dir = Some(client::home(common).path().to_owned());
    }
    pinned
}

/// Draws, and obeys keys, until somebody quits.
async fn converse(
    host: &Arc<Common>,
    mut terminal: Terminal,
    mut endings: Endings,
    wish: &watch::Sender<Wanted>,
    send: mpsc::Sender<News>,
    mut news: mpsc::Receiver<News>,
) -> Result<(), Error> {
    let look = Look { colours: show::colours() };
    let mut events = terminal::events();
    let mut commands = JoinSet::new();
    let mut state = State::default();
    loop {
        state.now_ms = jiff::Timestamp::now().as_millisecond();
        terminal.draw(|frame| frame::draw(frame, &state, look))?;
        tokio::select! {
            () = endings.next() => break,
            event = events.recv() => match event {
                None => return Err(Error::message("no keys can be read from this terminal")),
                Some(Event::Key(key)) => match state.press(key) {
                    Some(Order::Quit) => break,
                    Some(Order::Tell(verb, miner)) => {
                        let (host, send) = (Arc::clone(host), send.clone());
                        commands.spawn(async move {
                            let done = feed::tell(&host, verb, &miner).await;
                            // Nobody listens any more when the screen was left.
                            drop(send.send(done).await);
                        });
                    }
                    None => {}
                },
                // A new size: the next frame has it.
                Some(_) => {}
            },
            Some(told) = news.recv() => state.take(told),
            Some(_) = commands.join_next() => {}
        }
        let wanted = state.wanted();
        wish.send_if_modified(|wish| {
            let is_new = *wish != wanted;
            *wish = wanted;
            is_new
        });
    }
    drop(terminal);
    let last = async { while commands.join_next().await.is_some() {} };
    // What is not done by then goes on at the host.
    drop(timeout(FAREWELL, last).await);
    Ok(())
}
