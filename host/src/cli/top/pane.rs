//! What stands below the table: the chart and the log of the selected miner; and the help.

use ratatui::{Frame, layout::Rect, text::Line};

use crate::cli::{
    history::chart::{self, SCALE},
    show,
    top::{
        frame::put,
        look::Look,
        state::State,
        text::{clean, cut},
    },
};
use adit_model::history::{recent::KEPT_MS, thin::Point};

/// A figure stands for the time up to the next one, as long as that is not this many times later
/// than usual.
const GAP: i64 = 2;

/// What all keys do.
const HELP: [&str; 14] = [
    "↑ ↓  k j     select a miner; also PgUp, PgDn, Home, End",
    "s  Tab       sort by the next column; S: by the one before",
    "p            pause the miner, or have it go on",
    "r            restart the miner, or start it",
    "x            stop the miner; asks first",
    "l  Enter     its log on the whole screen; again: back",
    "?  h         this help",
    "q  Ctrl-C    quit; miners run on",
    "",
    "OK/REJ: shares that the pool accepted and rejected in this run.",
    "TEMP: the hottest device. POWER: all devices together.",
    "UP: how long the program runs.",
    "The chart has the last five minutes. Hashrates of different",
    "algorithms do not add up, so the header has one for each.",
];

/// Draws the hashrate of the selected miner.
pub(super) fn draw_chart(frame: &mut Frame<'_>, area: Rect, state: &State, look: Look) {
    let Some((_, miner)) = state.selected().filter(|_| area.height > 1) else { return };
    let width = usize::from(area.width);
    let what = miner.reason.as_deref().map(clean).filter(|it| !it.is_empty());
    let note = what.map(|what| format!(" · {what}")).unwrap_or_default();
    let title = format!("{}, the last 5 minutes{note}", miner.name);
    put(frame, area, 0, Line::styled(cut(&title, width), look.heading()));
    let points = state.detail().map(|it| it.points.as_slice()).unwrap_or_default();
    let columns = spread(points, state.now_ms, width.saturating_sub(SCALE));
    if columns.iter().all(Option::is_none) {
        put(frame, area, 1, Line::styled("no figures", look.dim()));
        return;
    }
    let height = usize::from(area.height) - 1;
    let lines = chart::lines(&columns, height, |value| show::hashrate(Some(value)));
    for (row, line) in lines.into_iter().enumerate() {
        put(frame, area, 1 + row, Line::styled(line, look.figure()));
    }
}

/// The mean of each part of the last five minutes; `None`: a gap.
fn spread(points: &[Point], now_ms: i64, width: usize) -> Vec<Option<f64>> {
    let time = |point: &Point| point.timestamp.as_millisecond();
    let steps = points.windows(2).map(|pair| time(&pair[1]) - time(&pair[0]));
    let step = steps.filter(|step| *step > 0).min().unwrap_or(KEPT_MS / 30);
    let mut later = points.iter().peekable();
    let mut last: Option<&Point> = None;
    let part = |place: usize| {
        let [place, width] = [place, width.max(1)].map(|it| i64::try_from(it).unwrap_or(i64::MAX));
        now_ms.saturating_sub(KEPT_MS).saturating_add(KEPT_MS.saturating_mul(place) / width)
    };
    let column = |place: usize| {
        let (begin, end) = (part(place), part(place + 1));
        let (mut sum, mut count) = (0.0, 0_u32);
        while let Some(point) = later.next_if(|it| time(it) < end) {
            if time(point) >= begin {
                sum += point.mean;
                count += 1;
            }
            last = Some(point);
        }
        let held = || last.filter(|it| begin.saturating_sub(time(it)) < step * GAP);
        if count > 0 { Some(sum / f64::from(count)) } else { held().map(|it| it.mean) }
    };
    (0..width).map(column).collect()
}

/// Draws the end of the selected miner's log, or what is `back` lines before it.
pub(super) fn draw_log(frame: &mut Frame<'_>, area: Rect, state: &State, look: Look, back: usize) {
    let Some((_, miner)) = state.selected().filter(|_| area.height > 1) else { return };
    let width = usize::from(area.width);
    let held =
        if back > 0 { format!(", {back} lines back; it stands still") } else { String::new() };
    let title = format!("log of {}{held}", miner.name);
    put(frame, area, 0, Line::styled(cut(&title, width), look.heading()));
    let lines = state.detail().map(|it| it.lines.as_slice()).unwrap_or_default();
    let shown = &lines[..lines.len().saturating_sub(back)];
    let room = usize::from(area.height) - 1;
    let first = shown.len().saturating_sub(room);
    for (row, line) in shown[first..].iter().enumerate() {
        put(frame, area, 1 + row, Line::raw(cut(line, width)));
    }
}

/// Draws what the keys do.
pub(super) fn draw_help(frame: &mut Frame<'_>, area: Rect) {
    for (row, line) in HELP.into_iter().enumerate() {
        put(frame, area, row, Line::raw(cut(line, usize::from(area.width))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_stand_until_the_next_and_gaps_stay_gaps() {
        // One figure every 30 s, in columns of 10 s; none for two minutes.
        let now = 1_000_000_000;
        let at = |ago_s: i64| Point::of_one(now - ago_s * 1_000, 10.0);
        let mut points: Vec<_> = [295, 265, 235].map(at).into();
        points.extend([85, 55, 25].map(at));
        let columns = spread(&points, now, 30);
        let seen: String = columns.iter().map(|it| if it.is_some() { '#' } else { '.' }).collect();
        assert_eq!(seen, "#############........#########");
        // Many figures in a column are one mean.
        let points: Vec<_> = (0..3_000_u32)
            .map(|i| Point::of_one(now - 300_000 + i64::from(i) * 100, f64::from(i % 2)))
            .collect();
        assert_eq!(spread(&points, now, 10), vec![Some(0.5); 10]);
        assert_eq!(spread(&[], now, 3), [None; 3]);
        assert!(spread(&points, now, 0).is_empty());
        // A clock that is far off is no reason to fail.
        for now in [i64::MIN, 0, i64::MAX] {
            assert_eq!(spread(&points, now, 7).len(), 7);
        }
    }
}
