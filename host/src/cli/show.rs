//! How answers look on a terminal.

use serde::Serialize;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use adit_model::{doctor::Verdict, text::is_hidden};

/// Prints `value` as JSON.
pub(super) fn json(value: &impl Serialize) {
    let text = serde_json::to_string_pretty(value);
    let text = text.unwrap_or_else(|error| format!("{{\"error\": \"{error}\"}}"));
    println!("{}", escaped(&text));
}

/// JSON with escapes for what JSON itself lets stand and a terminal acts on. Only strings can have
/// such characters; line ends between fields stay.
pub(super) fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if is_hidden(c) && c != '\n' {
            let units = &mut [0; 2];
            let units = c.encode_utf16(units).iter();
            text.extend(units.map(|unit| format!("\\u{unit:04x}")));
        } else {
            text.push(c);
        }
    }
    text
}

/// Prints rows below a heading, columns aligned. On a terminal no line is longer than it is wide:
/// the last column gives way.
pub(super) fn table<const N: usize>(heading: [&str; N], rows: &[[String; N]]) {
    let rows: Vec<[String; N]> =
        rows.iter().map(|row| row.each_ref().map(|it| plain(it))).collect();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].width());
        cells.chain([heading[column].width()]).max().unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |cells: [&str; N]| {
        let mut line = String::new();
        for (cell, width) in cells.iter().zip(widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width + 2 - cell.width()));
        }
        println!("{}", fitting(line.trim_end(), terminal_width()));
    };
    line(heading);
    for row in &rows {
        line(row.each_ref().map(String::as_str));
    }
}

/// Prints one line for each fact that is there, its name before it, values aligned.
pub(super) fn facts(facts: &[(&str, Option<String>)]) {
    let there = || facts.iter().filter_map(|(name, value)| Some((*name, value.as_ref()?)));
    let width = there().map(|(name, _)| name.width()).max().unwrap_or(0);
    for (name, value) in there() {
        println!("{name:<width$}  {}", plain(value));
    }
}

/// Whether standard output is a terminal that wants colours.
pub(super) fn colours() -> bool {
    use std::io::IsTerminal;
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|it| !it.is_empty())
        || std::env::var_os("TERM").is_some_and(|it| it == "dumb");
    std::io::stdout().is_terminal() && !unwanted
}

/// A verdict as a word of eight columns, coloured where that is wanted.
pub(super) fn verdict(verdict: Verdict) -> String {
    let word = format!("{:<7}", verdict.as_str());
    let colour = match verdict {
        Verdict::Ok => 32,
        Verdict::Note => 36,
        Verdict::Warning => 33,
        Verdict::Problem => 31,
    };
    if colours() { format!("\u{1b}[{colour}m{word}\u{1b}[0m") } else { word }
}

/// Columns of the terminal that is written to, if it is one.
fn terminal_width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    (size.ws_col > 0).then_some(usize::from(size.ws_col))
}

/// `line` in so many columns; what does not fit becomes an ellipsis.
fn fitting(line: &str, columns: Option<usize>) -> String {
    let Some(columns) = columns.filter(|columns| line.width() > *columns) else {
        return line.to_owned();
    };
    let mut cut = String::new();
    for c in line.chars() {
        if cut.width() + c.width().unwrap_or(0) + 1 > columns {
            break;
        }
        cut.push(c);
    }
    cut + "…"
}

/// `text` without anything that steers a terminal or turns the text around it: it may come from a
/// miner or a pool.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if is_hidden(c) && c != '\t' { '\u{fffd}' } else { c }).collect()
}

/// Hashes per second for people, such as `12.50 kH/s`.
pub(super) fn hashrate(value: Option<f64>) -> String {
    let Some(value) = value else { return "-".to_owned() };
    let units = ["H/s", "kH/s", "MH/s", "GH/s", "TH/s", "PH/s", "EH/s"];
    let mut scaled = value;
    let mut unit = 0;
    while scaled >= 1000.0 && unit + 1 < units.len() {
        scaled /= 1000.0;
        unit += 1;
    }
    format!("{scaled:.2} {}", units[unit])
}

/// A count, or a dash when it is not known.
pub(super) fn count(value: Option<u64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// A moment in Unix milliseconds, to the second.
pub(super) fn time(at_ms: Option<i64>) -> String {
    at_ms
        .and_then(|at_ms| jiff::Timestamp::from_second(at_ms.div_euclid(1000)).ok())
        .map_or_else(|| "-".to_owned(), |at| at.to_string())
}

/// The time since a moment in Unix milliseconds, such as `2h 05m`.
pub(super) fn since(at_ms: i64) -> String {
    duration((jiff::Timestamp::now().as_millisecond() - at_ms).max(0) / 1000)
}

/// So many seconds, such as `2h 05m`.
pub(super) fn duration(seconds: i64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {:02}s", seconds % 60),
        (0, _, _) => format!("{hours}h {minutes:02}m"),
        _ => format!("{days}d {hours:02}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashrates_are_scaled() {
        for (value, expected) in [
            (None, "-"),
            (Some(0.0), "0.00 H/s"),
            (Some(999.0), "999.00 H/s"),
            (Some(12_503.4), "12.50 kH/s"),
            (Some(9.6e7), "96.00 MH/s"),
            (Some(1e30), "1000000000000.00 EH/s"),
        ] {
            assert_eq!(hashrate(value), expected);
        }
    }

    #[test]
    fn lines_fit_the_terminal() {
        for (line, columns, expected) in [
            ("abcdef", None, "abcdef"),
            ("abcdef", Some(6), "abcdef"),
            ("abcdef", Some(5), "abcd…"),
            ("ab日本", Some(6), "ab日本"),
            ("ab日本", Some(5), "ab日…"),
            ("abc", Some(1), "…"),
        ] {
            assert_eq!(fitting(line, columns), expected);
        }
    }

    #[test]
    fn json_is_printed_without_control_characters() {
        let text = serde_json::to_string("\u{1b}\u{7f}\u{9b}é\n").unwrap();
        assert_eq!(escaped(&text), r#""\u001b\u007f\u009bé\n""#);
        assert_eq!(
            serde_json::from_str::<String>(&escaped(&text)).unwrap(),
            "\u{1b}\u{7f}\u{9b}é\n"
        );
        let turned = "\u{202e}\u{202c}\u{2066}\u{e0041}a";
        let shown = escaped(&serde_json::to_string_pretty(&[turned]).unwrap());
        assert_eq!(shown, "[\n  \"\\u202e\\u202c\\u2066\\udb40\\udc41a\"\n]");
        assert_eq!(serde_json::from_str::<Vec<String>>(&shown).unwrap(), [turned]);
    }

    #[test]
    fn text_from_outside_cannot_steer_the_terminal() {
        assert_eq!(plain("a\u{1b}[2Jb\tc\r"), "a\u{fffd}[2Jb\tc\u{fffd}");
        assert_eq!(plain("a\u{202e}b\u{202c}\u{200f}c"), "a\u{fffd}b\u{fffd}\u{fffd}c");
    }
}
