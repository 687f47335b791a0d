//! Colours, and what stands for them without.

use adit_plugin_api::Phase;
use ratatui::style::{Color, Modifier, Style};

/// How things are set off.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// Whether colours are wanted.
    pub(super) colours: bool,
}

impl Look {
    pub(super) fn plain(self) -> Style {
        Style::new()
    }

    pub(super) fn dim(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    pub(super) fn title(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    pub(super) fn heading(self) -> Style {
        self.coloured(Color::Cyan).add_modifier(Modifier::BOLD)
    }

    pub(super) fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// What must be seen.
    pub(super) fn alarm(self) -> Style {
        self.coloured(Color::Red).add_modifier(Modifier::REVERSED | Modifier::BOLD)
    }

    pub(super) fn figure(self) -> Style {
        self.coloured(Color::Green)
    }

    pub(super) fn phase(self, phase: Phase) -> Style {
        match phase {
            Phase::Mining | Phase::Waiting => self.coloured(Color::Green),
            Phase::Degraded | Phase::Backoff => self.coloured(Color::Yellow),
            Phase::Failed => self.coloured(Color::Red).add_modifier(Modifier::BOLD),
            Phase::Paused | Phase::Stopped | Phase::Stopping => self.dim(),
            _ => self.coloured(Color::Cyan),
        }
    }

    fn coloured(self, colour: Color) -> Style {
        if self.colours { Style::new().fg(colour) } else { Style::new() }
    }
}
