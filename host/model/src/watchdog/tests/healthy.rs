//! What must never be touched.

use super::*;

#[test]
fn a_miner_that_mines() {
    Play::new().mine(6 * HOUR).is_healthy();
}

#[test]
fn a_dag_that_is_built_for_ten_minutes() {
    // Some print a line now and then, some nothing; some have no API until they are ready.
    for (has_lines, has_answers) in [(true, true), (true, false), (false, true), (false, false)] {
        Play::new()
            .go(10 * MINUTE, |look, _| {
                look.phase = Phase::Preparing;
                // Many connect only when they are ready.
                pool(look, false);
                if has_lines {
                    prints(look);
                }
                if has_answers {
                    answers(look);
                    rate(look, 0.0);
                }
            })
            .mine(HOUR)
            .is_healthy();
    }
}

#[test]
fn a_new_dag_in_the_middle_of_a_run() {
    let play = Play::new().mine(HOUR).go(10 * MINUTE, |look, _| {
        look.phase = Phase::Preparing;
        answers(look);
        rate(look, 0.0);
    });
    play.mine(HOUR).is_healthy();
}

#[test]
fn a_first_share_after_an_hour_at_high_difficulty() {
    for hashrate in [Some(12_500.0), None, Some(0.0)] {
        let play = Play::new().go(HOUR, |look, _| {
            look.phase = Phase::Waiting;
            answers(look);
            prints(look);
            pool(look, true);
            // Some show no hashrate or 0 before their first share.
            match hashrate {
                Some(hashrate) => rate(look, hashrate),
                None => look.metrics.algorithm = Some("rx/0".to_owned()),
            }
        });
        play.mine(HOUR).is_healthy();
    }
}

#[test]
fn shares_that_are_an_hour_apart() {
    Play::new()
        .go(24 * HOUR, |look, passed| {
            mining(look);
            if passed % HOUR == 0 {
                share(look);
            }
        })
        .is_healthy();
}

#[test]
fn shares_that_become_a_hundred_times_as_hard() {
    let work = |play: Play, seconds, difficulty, every_s: i64| {
        play.go(seconds, |look, passed| {
            mining(look);
            look.metrics.diff_current = Some(difficulty);
            if passed % every_s == 0 {
                share(look);
            }
        })
    };
    let easy = work(Play::new(), 2 * HOUR, 750_000, 60);
    work(easy, 24 * HOUR, 75_000_000, 100 * MINUTE).is_healthy();
}

#[test]
fn a_solo_miner_that_never_finds_a_block() {
    let solo = Options { solo: Some(true), ..Options::default() };
    let play = Play::with(&solo, Baselines::default()).go(7 * 24 * HOUR, |look, _| {
        mining(look);
        look.phase = Phase::Waiting;
        look.metrics.shares = Some(0);
    });
    play.is_healthy();
}

#[test]
fn a_program_that_tells_no_shares() {
    Play::new().go(24 * HOUR, |look, _| mining(look)).is_healthy();
}

#[test]
fn shares_that_only_an_api_counts_which_is_gone() {
    let play = Play::new().mine(HOUR).go(12 * HOUR, |look, passed| {
        if passed == 0 {
            // They were never printed.
            look.signs.shares = 0;
        }
        prints(look);
        look.signs.progress += 1;
        look.signs.hashing += 1;
    });
    assert!(play.verdicts.iter().all(|it| it.finding().is_none_or(|it| it.cause == Cause::NoApi)));
}

#[test]
fn a_hashrate_of_0_with_shares_arriving() {
    Play::new()
        .go(3 * HOUR, |look, passed| {
            idle(look);
            if passed % MINUTE == 0 {
                share(look);
            }
        })
        .is_healthy();
}

#[test]
fn an_identical_hashrate_for_an_hour() {
    // `mine` tells the same hashrate at every look; here no counter moves either but that of shares.
    Play::new()
        .go(HOUR, |look, passed| {
            look.phase = Phase::Mining;
            answers(look);
            pool(look, true);
            look.metrics.hashrate = Some(12_500.0);
            if passed % (5 * MINUTE) == 0 {
                share(look);
            }
        })
        .is_healthy();
}

#[test]
fn output_that_is_silent_beside_a_healthy_api() {
    Play::new()
        .go(6 * HOUR, |look, passed| {
            look.phase = Phase::Mining;
            answers(look);
            rate(look, 12_500.0);
            pool(look, true);
            if passed == 0 {
                prints(look);
            }
        })
        .is_healthy();
}

#[test]
fn a_pause_of_hours() {
    let play = Play::new().mine(HOUR).go(5 * HOUR, |look, _| {
        look.phase = Phase::Paused;
        answers(look);
        rate(look, 0.0);
    });
    assert_eq!(play.verdicts.last(), Some(&Verdict::Excused(Excuse::Paused)));
    play.mine(HOUR).is_healthy();
}

#[test]
fn a_clock_that_jumps() {
    for jump_s in [6 * HOUR, -6 * HOUR, 400 * 24 * HOUR, -400 * 24 * HOUR] {
        let mut play = Play::new().mine(HOUR);
        play.look.at_ms += jump_s * 1000;
        play.mine(HOUR).is_healthy();
    }
}

#[test]
fn a_machine_that_sleeps_between_two_looks_all_day() {
    let mut play = Play::new().mine(MINUTE);
    for _ in 0..200 {
        play.look.at_ms += HOUR * 1000;
        play = play.mine(STEP_S * 3);
    }
    play.is_healthy();
}

#[test]
fn a_driver_that_is_gone_for_hours() {
    let play = Play::new().mine(HOUR).go(6 * HOUR, |look, _| look.blind = true);
    assert_eq!(play.verdicts.last(), Some(&Verdict::Excused(Excuse::Blind)));
    play.go(STEP_S, |look, _| look.blind = false).mine(HOUR).is_healthy();
}

#[test]
fn a_miner_that_is_switched_off_or_in_maintenance() {
    let hang = |play: Play| play.mine(HOUR).go(6 * HOUR, |_, _| {});
    let off = Options { enabled: Some(false), ..Options::default() };
    let play = hang(Play::with(&off, Baselines::default()));
    play.is_healthy();
    assert_eq!(play.verdicts.last(), Some(&Verdict::Excused(Excuse::Off)));
    let mut play = Play::new();
    play.limits.maintenance_until_ms = Some(play.look.at_ms + 8 * HOUR * 1000);
    let play = hang(play);
    play.is_healthy();
    assert_eq!(play.verdicts.last(), Some(&Verdict::Excused(Excuse::Maintenance)));
    // When it is over, the miner that still hangs is found.
    play.go(2 * HOUR, |_, _| {}).is_sick(Cause::Frozen);
}

#[test]
fn a_lost_pool_that_comes_back() {
    let lose = |play: Play, seconds| {
        play.go(seconds, |look, _| {
            look.phase = Phase::Degraded;
            answers(look);
            rate(look, 0.0);
            pool(look, false);
            prints(look);
        })
    };
    let mut play = Play::new().mine(HOUR);
    for _ in 0..5 {
        play = lose(play, 4 * MINUTE).mine(10 * MINUTE);
    }
    play.is_healthy();
}

#[test]
fn a_run_that_is_adopted_in_the_middle() {
    let mut play = Play::new();
    play.look.metrics.shares = Some(40_000);
    play.look.signs.lines = 1_000_000;
    play.mine(HOUR).is_healthy();
}

#[test]
fn nothing_is_known_of_a_run_that_nobody_looked_at() {
    let play = Play::new();
    let verdict = verdict(&play.history, Phase::Mining, 0, &play.limits);
    assert_eq!(verdict, Verdict::Excused(Excuse::NoLook));
}
