use ratatui::{Terminal, backend::TestBackend, buffer::Buffer, style::Color};
use serde_json::json;

use super::*;
use crate::cli::top::{
    samples::{NOW, fresh, look, miner, name},
    state::{About, Detail, News},
};
use adit_model::history::thin::Point;

fn drawn(state: &State, width: u16, height: u16, colours: bool) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, state, Look { colours })).unwrap();
    terminal.backend().buffer().clone()
}

/// The rows of the screen, without the blanks at their ends.
fn rows(state: &State, width: u16, height: u16) -> Vec<String> {
    let buffer = drawn(state, width, height, true);
    let row = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    (0..height).map(|y| row(y).trim_end().to_owned()).collect()
}

/// Two miners, one of which cannot run, on a host that began an hour ago.
fn rig() -> State {
    let mut state = fresh();
    let cpu = miner(
        "cpu",
        &json!({
            "hashrate": 12_500.0, "shares": 10, "rejected": 1, "algorithm": "rx/0",
            "devices": [
                { "id": "a", "temperature": 61.4, "power": 90.0 },
                { "id": "b", "temperature": 55.0, "power": 30.5 },
            ],
        }),
    );
    let mut gpu = miner("gpu", &json!({ "hashrate": 7e9, "algorithm": "kawpow" }));
    gpu.running = false;
    gpu.phase = adit_plugin_api::Phase::Failed;
    let about = About {
        version: "1.2.3".to_owned(),
        worker: "rig-1".to_owned(),
        is_demo: false,
        began_ms: NOW - 3_600_000,
    };
    let detail = Detail {
        miner: name("cpu"),
        points: (1..30).rev().map(|i| Point::of_one(NOW - i * 10_000, 12_500.0)).collect(),
        lines: (0..20).map(|i| format!("line {i}")).collect(),
    };
    let miners = vec![gpu, cpu];
    // The first look does not know yet what is selected.
    state.take(look(miners.clone()));
    state.take(News::Look { about: Some(about), miners, detail: Some(detail) });
    state
}

#[test]
fn everything_is_on_a_screen_of_80_by_24() {
    let rows = rows(&rig(), 80, 24);
    let expected = [
        "adit 1.2.3 on rig-1 · up 1h 00m",
        "rx/0 12.50 kH/s · shares 10, 1 rejected · 120 W · 1 of 2 run",
        "NAME▾         TYPE     PHASE          HASHRATE     OK/REJ   TEMP   POWER      UP",
        "cpu           sim      mining       12.50 kH/s       10/1   61°C   120 W  1m 40s",
        "gpu           sim      failed                -          -      -       -       -",
        "cpu, the last 5 minutes",
    ];
    assert_eq!(rows[..6], expected.map(|it| it.to_owned()), "{rows:#?}");
    assert!(rows[6].starts_with("    12.50 kH/s ┤") && rows[6].contains("█████"), "{rows:#?}");
    assert_eq!(rows[12], "log of cpu");
    assert_eq!((rows[13].as_str(), rows[22].as_str()), ("line 10", "line 19"), "{rows:#?}");
    assert_eq!(rows[23], KEYS);
}

#[test]
fn small_screens_keep_what_matters_and_none_is_too_small() {
    let state = rig();
    for width in (1..45).chain([100]) {
        for height in (1..14).chain([30]) {
            rows(&state, width, height);
        }
    }
    let small = rows(&state, 30, 5);
    assert!(small[0].starts_with("NAME▾") && small[0].ends_with("HASHRATE"), "{small:#?}");
    assert!(small[1].starts_with("cpu") && small[1].ends_with("12.50 kH/s"), "{small:#?}");
    assert!(small[4].starts_with("q quit  ? help"), "{small:#?}");
    assert_eq!(rows(&state, 15, 24)[0], "too small");
    assert_eq!(rows(&state, 80, 2)[0], "too small");
    let narrow = rows(&state, 39, 24);
    assert!(!narrow.iter().any(|row| row.contains('┤')), "no chart: {narrow:#?}");
    assert!(narrow.iter().any(|row| row == "line 19"), "{narrow:#?}");
}

#[test]
fn the_selected_miner_of_many_is_seen() {
    let mut state = fresh();
    state.take(look((0..300).map(|i| miner(&format!("m{i:03}"), &json!({}))).collect()));
    for _ in 0..250 {
        state.press(ratatui::crossterm::event::KeyCode::Down.into());
    }
    let rows = rows(&state, 80, 24);
    let seen = rows.iter().position(|row| row.starts_with("m250")).unwrap();
    assert!((3..12).contains(&seen), "{rows:#?}");
    let buffer = drawn(&state, 80, 24, false);
    let reversed = |y: usize| {
        let cell = &buffer[(0, u16::try_from(y).unwrap())];
        cell.modifier.contains(ratatui::style::Modifier::REVERSED)
    };
    assert!(reversed(seen) && !reversed(seen - 1) && !reversed(seen + 1));
}

#[test]
fn a_host_that_is_away_is_told_of_on_any_screen() {
    let mut state = rig();
    state.take(News::Away("connection refused".to_owned()));
    let first = &rows(&state, 80, 24)[0];
    assert_eq!(first, "host away, retrying: connection refused");
    assert_eq!(rows(&state, 40, 4)[3], "host away, retrying: connection refused");
    assert!(rows(&state, 80, 24)[3].starts_with("cpu "), "what was known stays");
    let mut state = State::default();
    assert_eq!(rows(&state, 80, 24)[0], "asking the host…");
    state.take(look(Vec::new()));
    assert!(rows(&state, 80, 24)[3].starts_with("no miners yet: `adit miner start"));
}

#[test]
fn questions_notes_help_and_the_log_are_shown() {
    let key = |state: &mut State, key: char| {
        state.press(ratatui::crossterm::event::KeyCode::Char(key).into());
    };
    let mut state = rig();
    key(&mut state, 'x');
    assert_eq!(rows(&state, 80, 24)[23], "stop cpu? y/n");
    assert_eq!(rows(&state, 16, 3)[2], "stop cpu? y/n");
    key(&mut state, 'n');
    state.take(News::Done("cpu: paused".to_owned()));
    assert_eq!(rows(&state, 80, 24)[23], "cpu: paused");
    key(&mut state, '?');
    let help = rows(&state, 80, 24);
    assert!(help.iter().any(|row| row.contains("sort by the next column")), "{help:#?}");
    assert!(help.iter().any(|row| row.starts_with("algorithms do not add up")), "{help:#?}");
    key(&mut state, ' ');
    key(&mut state, 'l');
    let log = rows(&state, 80, 24);
    assert_eq!(
        (log[2].as_str(), log[3].as_str(), log[22].as_str()),
        ("log of cpu", "line 0", "line 19")
    );
    key(&mut state, 'k');
    let back = rows(&state, 80, 10);
    assert_eq!(back[2], "log of cpu, 1 lines back; it stands still");
    assert_eq!(back[8], "line 18", "{back:#?}");
}

#[test]
fn a_long_name_leaves_the_question_its_answer() {
    let long = "n".repeat(63);
    let mut state = fresh();
    state.take(look(vec![miner(&long, &json!({}))]));
    state.press(ratatui::crossterm::event::KeyCode::Char('x').into());
    assert_eq!(rows(&state, 20, 10)[9], "stop nnnnnnnnn…? y/n");
}

#[test]
fn colours_are_there_only_when_wanted() {
    let mut state = rig();
    state.take(News::Away("gone".to_owned()));
    let is_coloured = |colours| {
        let buffer = drawn(&state, 80, 24, colours);
        buffer.content().iter().any(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset)
    };
    assert!(is_coloured(true) && !is_coloured(false));
}

#[test]
fn hostile_text_reaches_no_cell() {
    let nasty = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}6n\u{202e}evil";
    let mut bad = miner(
        "bad",
        &json!({
            "hashrate": 1e300, "shares": u64::MAX, "rejected": u64::MAX, "algorithm": nasty,
            "devices": [{ "id": "a", "temperature": 1e300, "power": -1e300 }],
        }),
    );
    bad.reason = Some(nasty.to_owned());
    let mut state = fresh();
    state.take(look(vec![bad.clone(), miner("good", &json!({ "shares": 3 }))]));
    state.take(look(vec![bad, miner("good", &json!({ "shares": 3 }))]));
    state.take(News::Away(nasty.to_owned()));
    state.take(News::Done(nasty.to_owned()));
    for (width, height) in [(80, 24), (30, 8), (200, 60)] {
        let rows = rows(&state, width, height);
        let text = rows.concat();
        assert!(!text.contains(char::is_control) && !text.contains('\u{202e}'), "{text:?}");
        assert!(rows.iter().any(|row| row.starts_with("good ")), "{rows:#?}");
    }
}
