use adit_plugin_api::Phase;
use serde_json::json;

use super::*;
use crate::cli::top::samples::{NOW, fresh, look, miner, name};

/// Three miners, named against the order of their hashrates.
fn three() -> State {
    let mut state = fresh();
    state.take(look(vec![
        miner("c", &json!({ "hashrate": 3.0 })),
        miner("a", &json!({ "hashrate": 1.0 })),
        miner("b", &json!({})),
    ]));
    state
}

fn press(state: &mut State, code: KeyCode) -> Option<Order> {
    state.press(KeyEvent::new(code, KeyModifiers::NONE))
}

fn type_in(state: &mut State, keys: &str) -> Vec<Order> {
    keys.chars().filter_map(|key| press(state, KeyCode::Char(key))).collect()
}

fn selected(state: &State) -> &str {
    state.selected().unwrap().1.name.as_str()
}

fn order(state: &State) -> Vec<&str> {
    state.miners.as_ref().unwrap().iter().map(|it| it.name.as_str()).collect()
}

fn detail(name: &str, lines: usize) -> Detail {
    let lines = (0..lines).map(|it| it.to_string()).collect();
    Detail { miner: self::name(name), points: Vec::new(), lines }
}

#[test]
fn keys_select_within_the_table() {
    let mut state = three();
    assert_eq!((order(&state), selected(&state)), (vec!["a", "b", "c"], "a"));
    for (keys, expected) in
        [("k", "a"), ("j", "b"), ("jj", "c"), ("j", "c"), ("k", "b"), ("g", "a"), ("G", "c")]
    {
        assert_eq!(type_in(&mut state, keys), []);
        assert_eq!(selected(&state), expected, "{keys}");
    }
    press(&mut state, KeyCode::Up);
    assert_eq!(selected(&state), "b");
    assert_eq!(state.wanted(), Wanted { miner: Some(name("b")), lines: FEW_LINES });
}

#[test]
fn the_selection_stays_with_its_miner_or_with_its_place() {
    let mut state = three();
    type_in(&mut state, "j");
    let [a, b, c, d] = ["a", "b", "c", "d"].map(|it| miner(it, &json!({})));
    state.take(look(vec![c.clone(), b, a.clone()]));
    assert_eq!(selected(&state), "b");
    state.take(look(vec![c.clone(), d, a]));
    assert_eq!(selected(&state), "c", "b is gone: what has its place");
    state.take(look(Vec::new()));
    assert!(state.selected().is_none());
    // Nothing to do anything with.
    assert_eq!(type_in(&mut state, "jkGgprxlsS"), []);
    assert_eq!(state.screen, Screen::Miners);
    state.take(look(vec![c]));
    assert_eq!(selected(&state), "c");
}

#[test]
fn sorting_goes_through_the_columns_and_keeps_the_selection() {
    let mut state = three();
    for expected in [Column::Type, Column::Phase, Column::Hashrate] {
        press(&mut state, KeyCode::Tab);
        assert_eq!(state.sort, expected);
    }
    assert_eq!((order(&state), selected(&state)), (vec!["c", "a", "b"], "a"));
    state.take(look(vec![
        miner("a", &json!({ "hashrate": 9.0 })),
        miner("c", &json!({ "hashrate": 3.0 })),
    ]));
    assert_eq!(order(&state), ["a", "c"]);
    type_in(&mut state, "SSS");
    assert_eq!(state.sort, Column::Name);
    type_in(&mut state, "ssssssss");
    assert_eq!(state.sort, Column::Name, "once around");
    let mut failed = miner("z", &json!({}));
    failed.phase = Phase::Failed;
    state.take(look(vec![miner("a", &json!({})), failed]));
    type_in(&mut state, "ss");
    assert_eq!(order(&state), ["z", "a"], "who needs somebody is first");
}

#[test]
fn keys_tell_the_miner_what_fits() {
    let mut state = three();
    assert_eq!(type_in(&mut state, "p"), [Order::Tell(Verb::Pause, name("a"))]);
    assert_eq!(type_in(&mut state, "r"), [Order::Tell(Verb::Restart, name("a"))]);
    assert_eq!(state.note.as_deref(), Some("a: restart…"));
    let mut miner = miner("a", &json!({}));
    (miner.phase, miner.running) = (Phase::Paused, true);
    state.take(look(vec![miner.clone()]));
    assert_eq!(type_in(&mut state, "p"), [Order::Tell(Verb::Resume, name("a"))]);
    (miner.phase, miner.running) = (Phase::Stopped, false);
    state.take(look(vec![miner]));
    assert_eq!(type_in(&mut state, "r"), [Order::Tell(Verb::Start, name("a"))]);
}

#[test]
fn a_stop_takes_a_yes() {
    let mut state = three();
    for answer in ["xn", "xq", "xpjs?rn"] {
        assert_eq!(type_in(&mut state, answer), [], "{answer}");
        assert_eq!((&state.screen, selected(&state)), (&Screen::Miners, "a"), "{answer}");
    }
    type_in(&mut state, "x");
    press(&mut state, KeyCode::Esc);
    assert_eq!(state.screen, Screen::Miners);
    type_in(&mut state, "x");
    // The question is about the miner that was asked about, whatever comes meanwhile.
    state.take(look(vec![miner("b", &json!({}))]));
    assert_eq!(type_in(&mut state, "y"), [Order::Tell(Verb::Stop, name("a"))]);
    assert_eq!(state.screen, Screen::Miners);
}

#[test]
fn there_is_a_way_out_of_everything() {
    for keys in ["", "?", "l"] {
        let mut state = three();
        type_in(&mut state, keys);
        assert_eq!(type_in(&mut state, "q"), [Order::Quit], "{keys}");
        let mut state = three();
        type_in(&mut state, keys);
        press(&mut state, KeyCode::Esc);
        assert_eq!(state.screen, Screen::Miners, "{keys}");
    }
    for keys in ["", "?", "l", "x"] {
        let mut state = three();
        type_in(&mut state, keys);
        let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(state.press(interrupt), Some(Order::Quit), "{keys}");
    }
    let mut release = KeyEvent::new(KeyCode::Char('q'), KeyModifiers::NONE);
    release.kind = KeyEventKind::Release;
    assert_eq!(three().press(release), None);
    let erase = KeyEvent::new(KeyCode::Char('x'), KeyModifiers::CONTROL);
    let mut state = three();
    assert_eq!((state.press(erase), &state.screen), (None, &Screen::Miners));
}

#[test]
fn a_log_is_scrolled_and_stands_still_meanwhile() {
    let mut state = three();
    type_in(&mut state, "l");
    assert_eq!(state.wanted().lines, MANY_LINES);
    let tell = |state: &mut State, lines| {
        let news = detail("a", lines);
        state.take(News::Look {
            about: None,
            miners: vec![miner("a", &json!({}))],
            detail: Some(news),
        });
    };
    tell(&mut state, 30);
    for (key, expected) in [
        (KeyCode::Up, 1),
        (KeyCode::PageUp, 11),
        (KeyCode::Down, 10),
        (KeyCode::Home, 29),
        (KeyCode::PageUp, 29),
        (KeyCode::PageDown, 19),
    ] {
        press(&mut state, key);
        assert_eq!(state.back(), expected, "{key:?}");
    }
    tell(&mut state, 40);
    assert_eq!(state.detail().unwrap().lines.len(), 30);
    type_in(&mut state, "G");
    tell(&mut state, 40);
    assert_eq!(state.detail().unwrap().lines.len(), 40);
    // What is known of one miner is not shown of another.
    state.take(look(vec![miner("b", &json!({}))]));
    assert!(state.detail().is_none());
}

#[test]
fn a_host_that_comes_back_is_no_longer_away() {
    let mut state = three();
    let about =
        About { version: "1".to_owned(), worker: "w".to_owned(), is_demo: false, began_ms: NOW };
    let miners = || vec![miner("a", &json!({}))];
    state.take(News::Look { about: Some(about.clone()), miners: miners(), detail: None });
    state.take(News::Away("it is\u{1b}[31m gone".to_owned()));
    assert_eq!(state.away.as_deref(), Some("it is gone"));
    assert_eq!(order(&state), ["a"], "what was known is still shown");
    state.take(look(miners()));
    assert_eq!((&state.away, &state.host), (&None, &Some(about)));
    state.take(News::Done("a: paused\u{9b}2J".to_owned()));
    assert_eq!(state.note.as_deref(), Some("a: paused"));
    type_in(&mut state, "j");
    assert_eq!(state.note, None);
}
