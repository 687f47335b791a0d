//! What fits: the heights of the parts of the screen, and the columns of the table.

use crate::cli::top::figures::Column;

/// Width below which nothing can be read.
pub(super) const NARROWEST: u16 = 16;
/// Height below which there is no room for a miner and its keys.
pub(super) const LOWEST: u16 = 3;
/// Width below which there is no chart.
const CHART_WIDTH: u16 = 40;
/// Height of a chart with its title: at least, at most.
const CHART: (u16, u16) = (7, 12);
/// Lines of a log with its title, at least.
const LOG: u16 = 4;
/// Rows of the table beside a chart, at least.
const TABLE: u16 = 4;

/// Heights of the parts, from top to bottom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Heights {
    pub(super) header: u16,
    pub(super) table: u16,
    pub(super) chart: u16,
    pub(super) log: u16,
    pub(super) footer: u16,
}

/// Shares out the screen: keys and miners come first, then the header, the chart, the log.
pub(super) fn heights(width: u16, height: u16, miners: usize) -> Heights {
    let header = match height {
        10.. => 2,
        6.. => 1,
        _ => 0,
    };
    let footer = 1;
    let body = height.saturating_sub(header + footer);
    let wanted = u16::try_from(miners).unwrap_or(u16::MAX).saturating_add(1).max(2);
    let mut chart = (body / 3).clamp(CHART.0, CHART.1);
    if width < CHART_WIDTH || body < TABLE + chart {
        chart = 0;
    }
    let rest = body - chart;
    let table = if rest >= TABLE + LOG { wanted.min(rest - LOG) } else { rest };
    Heights { header, table, chart, log: rest - table, footer }
}

/// The width of a column with the blank before it; that of names is what is left.
fn width(column: Column) -> u16 {
    match column {
        Column::Name => 13,
        Column::Type => 9,
        Column::Phase | Column::Shares => 11,
        Column::Hashrate => 13,
        Column::Temperature => 7,
        Column::Power | Column::Uptime => 8,
    }
}

/// The columns that fit, from left to right, with their widths.
pub(super) fn columns(available: u16) -> Vec<(Column, u16)> {
    // What a narrow terminal does without first comes last.
    let by_need = [
        Column::Phase,
        Column::Shares,
        Column::Temperature,
        Column::Power,
        Column::Uptime,
        Column::Type,
    ];
    let mut chosen = vec![Column::Name, Column::Hashrate];
    let mut left = available.saturating_sub(chosen.iter().map(|it| width(*it)).sum());
    for column in by_need {
        if width(column) > left {
            break;
        }
        left -= width(column);
        chosen.push(column);
    }
    let others: u16 = chosen.iter().skip(1).map(|it| width(*it)).sum();
    let with_width = |column| match column {
        Column::Name => (column, available.saturating_sub(others)),
        _ => (column, width(column)),
    };
    Column::ALL.into_iter().filter(|it| chosen.contains(it)).map(with_width).collect()
}

/// The first of `count` rows that is shown in `room`, with the row `selected` in the middle if it
/// can be.
pub(super) fn first_row(selected: usize, count: usize, room: usize) -> usize {
    selected.saturating_sub(room / 2).min(count.saturating_sub(room))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heights_fill_the_screen_and_what_matters_stays() {
        for height in LOWEST..200 {
            for width in [NARROWEST, 39, 40, 80, 300] {
                for miners in [0, 1, 5, 100, usize::MAX] {
                    let it = heights(width, height, miners);
                    let sum = it.header + it.table + it.chart + it.log + it.footer;
                    assert_eq!(sum, height, "{width}x{height}, {miners}: {it:?}");
                    assert!(it.table >= 2 && it.footer == 1, "{width}x{height}: {it:?}");
                    assert!(it.log == 0 || it.log >= LOG, "{width}x{height}: {it:?}");
                }
            }
        }
        let usual = heights(80, 24, 2);
        assert_eq!(usual, Heights { header: 2, table: 3, chart: 7, log: 11, footer: 1 });
        let many = heights(80, 24, 100);
        assert_eq!((many.table, many.chart, many.log), (10, 7, 4));
        let low = heights(80, 12, 3);
        assert_eq!((low.header, low.chart), (2, 0));
        assert_eq!(heights(39, 24, 2).chart, 0);
    }

    #[test]
    fn columns_fit_and_the_hashrate_goes_last() {
        for available in NARROWEST..200 {
            let columns = columns(available);
            let sum: u16 = columns.iter().map(|(_, width)| width).sum();
            assert_eq!(sum, available, "{columns:?}");
        }
        assert_eq!(columns(80).len(), Column::ALL.len());
        let names = |available| columns(available).into_iter().map(|it| it.0).collect::<Vec<_>>();
        assert_eq!(names(40), [Column::Name, Column::Phase, Column::Hashrate]);
        assert_eq!(names(NARROWEST), [Column::Name, Column::Hashrate]);
    }

    #[test]
    fn the_selected_row_is_always_seen() {
        for count in 1..30 {
            for room in 1..10 {
                for selected in 0..count {
                    let first = first_row(selected, count, room);
                    assert!((first..first + room).contains(&selected));
                    assert!(first + room <= count.max(room));
                }
            }
        }
    }
}
