//! What `adit top` knows and shows, and what keys and news make of it. No I/O.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use crate::cli::top::{
    figures::Column,
    text::{clean, cut},
};
use adit_model::{history::thin::Point, miner::MinerView, name::MinerName};

/// Lines of a log that are asked for: beside the figures, and when it has the screen.
const FEW_LINES: u32 = 60;
const MANY_LINES: u32 = 1_000;
/// Lines that a page key moves a log.
const PAGE: usize = 10;
/// Longest note, in columns.
const NOTE: usize = 500;

/// Everything that is shown.
#[derive(Debug, Default)]
pub(super) struct State {
    /// The host, once it told of itself.
    pub(super) host: Option<About>,
    /// Why the host is away, if it is.
    pub(super) away: Option<String>,
    /// The miners, in the order of the table; `None` before the first look.
    pub(super) miners: Option<Vec<MinerView>>,
    /// What the table is sorted by.
    pub(super) sort: Column,
    /// What is known of one miner besides.
    pub(super) detail: Option<Detail>,
    pub(super) screen: Screen,
    /// What came of the last command.
    pub(super) note: Option<String>,
    /// The time that uptimes are told of, in Unix milliseconds.
    pub(super) now_ms: i64,
    selected: Option<MinerName>,
}

/// What a host says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct About {
    pub(super) version: String,
    pub(super) worker: String,
    pub(super) is_demo: bool,
    /// When it began, in Unix milliseconds.
    pub(super) began_ms: i64,
}

/// A miner's last minutes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Detail {
    pub(super) miner: MinerName,
    pub(super) points: Vec<Point>,
    /// The last lines of its log, or why there are none.
    pub(super) lines: Vec<String>,
}

/// What has the screen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Screen {
    #[default]
    Miners,
    /// The log of the selected miner, so many lines before its end.
    Log {
        back: usize,
    },
    Help,
    /// Whether to stop a miner.
    Ask(MinerName),
}

/// What is to be asked of the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) miner: Option<MinerName>,
    pub(super) lines: u32,
}

/// What came from the host.
#[derive(Debug)]
pub(super) enum News {
    Look {
        about: Option<About>,
        miners: Vec<MinerView>,
        detail: Option<Detail>,
    },
    Away(String),
    /// What came of a command.
    Done(String),
}

/// What a key asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Quit,
    Tell(Verb, MinerName),
}

/// What a miner can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Pause,
    Resume,
    Restart,
    Start,
    Stop,
}

impl State {
    /// The miner that keys are about, and its place in the table.
    pub(super) fn selected(&self) -> Option<(usize, &MinerView)> {
        let miners = self.miners.as_ref()?.iter().enumerate();
        let name = self.selected.as_ref()?;
        miners.into_iter().find(|(_, it)| it.name == *name)
    }

    /// What is known of the selected miner besides its row.
    pub(super) fn detail(&self) -> Option<&Detail> {
        self.detail.as_ref().filter(|it| Some(&it.miner) == self.selected.as_ref())
    }

    pub(super) fn wanted(&self) -> Wanted {
        let lines = if matches!(self.screen, Screen::Log { .. }) { MANY_LINES } else { FEW_LINES };
        Wanted { miner: self.selected.clone(), lines }
    }

    /// Takes in what came from the host.
    pub(super) fn take(&mut self, news: News) {
        match news {
            News::Away(why) => self.away = Some(clean(&why)),
            News::Done(what) => self.note = Some(cut(&clean(&what), NOTE)),
            News::Look { about, miners, detail } => {
                self.away = None;
                self.host = about.or(self.host.take());
                let place = self.selected().map_or(0, |(place, _)| place);
                self.miners = Some(miners);
                self.sort();
                if self.selected().is_none() {
                    self.select(place);
                }
                // A log that somebody reads in does not move.
                let is_read = self.detail().is_some() && self.back() > 0;
                if let Some(detail) = detail.filter(|_| !is_read) {
                    self.detail = Some(detail);
                }
            }
        }
    }

    /// What a key does. The miner's answer may take a while; until then a note says what was asked.
    pub(super) fn press(&mut self, key: KeyEvent) -> Option<Order> {
        let order = self.order_of(key);
        if let Some(Order::Tell(verb, miner)) = &order {
            self.note = Some(format!("{miner}: {}…", verb.word()));
        }
        order
    }

    fn order_of(&mut self, key: KeyEvent) -> Option<Order> {
        if key.kind == KeyEventKind::Release {
            return None;
        }
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        if is_control {
            return (key.code == KeyCode::Char('c')).then_some(Order::Quit);
        }
        self.note = None;
        match std::mem::take(&mut self.screen) {
            Screen::Miners => self.press_in_table(key.code),
            Screen::Log { back } => self.press_in_log(key.code, back),
            Screen::Help => (key.code == KeyCode::Char('q')).then_some(Order::Quit),
            Screen::Ask(miner) => match key.code {
                KeyCode::Char('y' | 'Y') => Some(Order::Tell(Verb::Stop, miner)),
                KeyCode::Char('n' | 'N' | 'q') | KeyCode::Esc => None,
                // It takes an answer.
                _ => {
                    self.screen = Screen::Ask(miner);
                    None
                }
            },
        }
    }

    fn press_in_table(&mut self, key: KeyCode) -> Option<Order> {
        let place = self.selected().map_or(0, |(place, _)| place);
        let miner = self.selected().map(|(_, it)| it.name.clone());
        match key {
            KeyCode::Char('q') => return Some(Order::Quit),
            KeyCode::Up | KeyCode::Char('k') => self.select(place.saturating_sub(1)),
            KeyCode::Down | KeyCode::Char('j') => self.select(place + 1),
            KeyCode::Home | KeyCode::Char('g') => self.select(0),
            KeyCode::End | KeyCode::Char('G') => self.select(usize::MAX),
            KeyCode::PageUp => self.select(place.saturating_sub(PAGE)),
            KeyCode::PageDown => self.select(place + PAGE),
            KeyCode::Tab | KeyCode::Char('s') => self.sort_by_next(1),
            KeyCode::BackTab | KeyCode::Char('S') => self.sort_by_next(Column::ALL.len() - 1),
            KeyCode::Char('p') => return Some(Order::Tell(self.pause_or_resume()?, miner?)),
            KeyCode::Char('r') => return Some(Order::Tell(self.start_or_restart()?, miner?)),
            KeyCode::Char('x') => self.screen = Screen::Ask(miner?),
            KeyCode::Char('l') | KeyCode::Enter if miner.is_some() => {
                self.screen = Screen::Log { back: 0 };
            }
            KeyCode::Char('?' | 'h') => self.screen = Screen::Help,
            _ => {}
        }
        None
    }

    fn press_in_log(&mut self, key: KeyCode, back: usize) -> Option<Order> {
        let most = self.detail().map_or(0, |it| it.lines.len().saturating_sub(1));
        let back = match key {
            KeyCode::Char('q') => return Some(Order::Quit),
            KeyCode::Char('l') | KeyCode::Esc | KeyCode::Enter => return None,
            KeyCode::Up | KeyCode::Char('k') => back + 1,
            KeyCode::Down | KeyCode::Char('j') => back.saturating_sub(1),
            KeyCode::PageUp => back + PAGE,
            KeyCode::PageDown => back.saturating_sub(PAGE),
            KeyCode::Home | KeyCode::Char('g') => most,
            KeyCode::End | KeyCode::Char('G') => 0,
            _ => back,
        };
        self.screen = Screen::Log { back: back.min(most) };
        None
    }

    fn back(&self) -> usize {
        if let Screen::Log { back } = self.screen { back } else { 0 }
    }

    fn pause_or_resume(&self) -> Option<Verb> {
        let (_, miner) = self.selected()?;
        let is_paused = miner.phase == adit_plugin_api::Phase::Paused;
        Some(if is_paused { Verb::Resume } else { Verb::Pause })
    }

    fn start_or_restart(&self) -> Option<Verb> {
        let (_, miner) = self.selected()?;
        Some(if miner.running { Verb::Restart } else { Verb::Start })
    }

    /// Selects the miner at `place`, or the last one.
    fn select(&mut self, place: usize) {
        let miners = self.miners.as_deref().unwrap_or_default();
        let last = miners.len().saturating_sub(1);
        self.selected = miners.get(place.min(last)).map(|it| it.name.clone());
    }

    fn sort_by_next(&mut self, step: usize) {
        let place = Column::ALL.iter().position(|it| *it == self.sort).unwrap_or(0);
        self.sort = Column::ALL[(place + step) % Column::ALL.len()];
        self.sort();
    }

    fn sort(&mut self) {
        if let Some(miners) = &mut self.miners {
            self.sort.sort(miners, self.now_ms);
        }
    }
}

impl Verb {
    fn word(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Restart => "restart",
            Self::Start => "start",
            Self::Stop => "stop",
        }
    }

    /// What is asked of the host, below the miner's route.
    pub(super) fn route(self) -> &'static str {
        match self {
            Self::Pause => "/pause",
            Self::Resume => "/resume",
            Self::Restart => "/restart",
            Self::Start => "/start",
            Self::Stop => "",
        }
    }
}

#[cfg(test)]
mod tests;
