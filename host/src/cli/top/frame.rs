//! The screen: one frame of it, made of the state.

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
};

use crate::cli::{
    show,
    top::{
        figures::{Column, totals},
        layout::{self, Heights, LOWEST, NARROWEST},
        look::Look,
        pane,
        state::{Screen, State},
        text::{cell, cut},
    },
};
use adit_model::miner::MinerView;

/// What the keys do, as far as a line goes.
const KEYS: &str = "q quit  ? help  ↑↓ select  s sort  l log  p pause  r restart  x stop";

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, state: &State, look: Look) {
    let area = frame.area();
    if area.width < NARROWEST || area.height < LOWEST {
        put(frame, area, 0, Line::raw("too small"));
        return;
    }
    let count = state.miners.as_ref().map_or(0, Vec::len);
    let heights = layout::heights(area.width, area.height, count);
    let Heights { header, table, chart, log, footer } = heights;
    let mut top = area.y;
    let mut part = |height: u16| {
        let part = Rect { y: top, height, ..area };
        top += height;
        part
    };
    draw_header(frame, part(header), state, look);
    match state.screen {
        Screen::Log { back } => {
            pane::draw_log(frame, part(table + chart + log), state, look, back);
        }
        Screen::Help => pane::draw_help(frame, part(table + chart + log)),
        Screen::Miners | Screen::Ask(_) => {
            draw_table(frame, part(table), state, look);
            pane::draw_chart(frame, part(chart), state, look);
            pane::draw_log(frame, part(log), state, look, 0);
        }
    }
    draw_footer(frame, part(footer), state, look, header == 0);
}

/// Puts a line at a row of an area.
pub(super) fn put(frame: &mut Frame<'_>, area: Rect, row: usize, line: Line<'_>) {
    let row = u16::try_from(row).unwrap_or(u16::MAX);
    if row < area.height {
        let place = Rect { y: area.y + row, height: 1, ..area };
        frame.render_widget(line, place);
    }
}

fn draw_header(frame: &mut Frame<'_>, area: Rect, state: &State, look: Look) {
    let width = usize::from(area.width);
    let first = match (&state.away, &state.host) {
        (Some(why), _) => Line::styled(cell(&away(why), width, false), look.alarm()),
        (None, Some(host)) => {
            let up = show::duration((state.now_ms - host.began_ms).max(0) / 1_000);
            let demo = if host.is_demo { " · demonstration" } else { "" };
            let text = format!("adit {} on {} · up {up}{demo}", host.version, host.worker);
            Line::styled(cut(&text, width), look.title())
        }
        (None, None) => Line::raw("asking the host…"),
    };
    put(frame, area, 0, first);
    let text = state.miners.as_deref().map(totals).unwrap_or_default();
    let style = if state.away.is_some() { look.dim() } else { look.plain() };
    put(frame, area, 1, Line::styled(cut(&text, width), style));
}

fn away(why: &str) -> String {
    format!("host away, retrying: {why}")
}

fn draw_table(frame: &mut Frame<'_>, area: Rect, state: &State, look: Look) {
    let columns = layout::columns(area.width);
    let heading = |(column, width): &(Column, u16)| {
        let mark = if *column == state.sort { "▾" } else { "" };
        let text = padded(*column, &format!("{}{mark}", column.heading()), *width);
        Span::styled(text, look.heading())
    };
    put(frame, area, 0, columns.iter().map(heading).collect());
    let Some(miners) = &state.miners else { return };
    if miners.is_empty() {
        let text = "no miners yet: `adit miner start --type TYPE` makes one";
        put(frame, area, 1, Line::raw(cut(text, usize::from(area.width))));
        return;
    }
    let selected = state.selected().map(|(place, _)| place);
    let room = usize::from(area.height).saturating_sub(1);
    let first = layout::first_row(selected.unwrap_or(0), miners.len(), room);
    for (place, miner) in miners.iter().enumerate().skip(first).take(room) {
        let is_selected = selected == Some(place);
        let cells = columns.iter().map(|(column, width)| {
            let text = padded(*column, &column.of(miner, state.now_ms), *width);
            Span::styled(text, style(*column, miner, state, look))
        });
        let line: Line<'_> = cells.collect();
        let line = if is_selected { line.style(look.selected()) } else { line };
        put(frame, area, 1 + place - first, line);
    }
}

/// The text of a cell, with a blank between it and the one before it.
fn padded(column: Column, text: &str, width: u16) -> String {
    let width = usize::from(width);
    match column {
        Column::Name => cell(text, width, false),
        Column::Type | Column::Phase => format!(" {}", cell(text, width - 1, false)),
        _ => format!(" {}", cell(text, width - 1, true)),
    }
}

fn style(column: Column, miner: &MinerView, state: &State, look: Look) -> ratatui::style::Style {
    match column {
        _ if state.away.is_some() => look.dim(),
        Column::Phase => look.phase(miner.phase),
        Column::Hashrate if miner.running => look.figure(),
        _ => look.plain(),
    }
}

fn draw_footer(frame: &mut Frame<'_>, area: Rect, state: &State, look: Look, tells_away: bool) {
    let width = usize::from(area.width);
    let line = match (&state.screen, &state.note, &state.away) {
        (Screen::Ask(miner), _, _) => {
            let question = format!("stop {miner}? y/n");
            // The answer's keys are seen in any case.
            let name = cut(miner.as_str(), width.saturating_sub("stop ? y/n".len()).max(1));
            let short = format!("stop {name}? y/n");
            let text = if question.len() > width { short } else { question };
            Line::styled(cell(&text, width, false), look.alarm())
        }
        (_, Some(note), _) => Line::styled(cut(note, width), look.title()),
        (_, _, Some(why)) if tells_away => Line::styled(cut(&away(why), width), look.alarm()),
        (Screen::Log { .. }, ..) => {
            Line::styled(cut("q quit  l back  ↑↓ scroll  G end", width), look.dim())
        }
        (Screen::Help, ..) => Line::styled(cut("q quit  any other key: back", width), look.dim()),
        (Screen::Miners, ..) => Line::styled(cut(KEYS, width), look.dim()),
    };
    put(frame, area, 0, line);
}

#[cfg(test)]
mod tests;
