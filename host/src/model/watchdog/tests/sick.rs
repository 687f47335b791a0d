//! What must be found, and what is only warned of.

use super::*;

#[test]
fn a_program_that_hangs() {
    let play = Play::new().mine(HOUR).go(10 * MINUTE, |_, _| {});
    let finding = play.is_sick(Cause::Frozen);
    assert!(finding.to_string().contains("it printed nothing for"), "{finding}");
    assert!(finding.to_string().contains("its API gave no answer for"), "{finding}");
}

#[test]
fn a_program_that_hangs_while_it_turns_in_circles() {
    let play = Play::new().mine(HOUR).go(10 * MINUTE, |look, _| {
        look.signs.cpu_ms = look.signs.cpu_ms.map(|it| it + 10_000);
    });
    play.is_sick(Cause::Frozen);
}

#[test]
fn a_program_without_api_hangs_when_the_processor_idles_too() {
    let mine = |look: &mut Look| {
        mining(look);
        look.signs.has_api = false;
        look.signs.api_replies = 0;
    };
    let play = Play::new().go(HOUR, |look, _| mine(look));
    play.is_healthy();
    play.go(10 * MINUTE, |_, _| {}).is_sick(Cause::Frozen);
    // One source alone is a doubt.
    Play::new()
        .go(HOUR, |look, _| mine(look))
        .go(2 * HOUR, |look, _| look.signs.cpu_ms = look.signs.cpu_ms.map(|it| it + 10_000))
        .is_only_warned(Cause::Frozen);
}

#[test]
fn a_program_that_never_says_anything() {
    let play = Play::new().go(10 * MINUTE, |_, _| {});
    play.is_sick(Cause::NoStart);
}

#[test]
fn a_program_of_which_no_source_ever_spoke_is_left_alone() {
    let play = Play::new().go(24 * HOUR, |look, _| {
        look.signs = Signs::default();
        look.phase = Phase::Mining;
    });
    assert_eq!(play.sick(), None);
}

#[test]
fn an_api_that_is_gone_beside_flowing_output() {
    Play::new()
        .mine(HOUR)
        .go(12 * HOUR, |look, _| {
            prints(look);
            look.signs.progress += 1;
            look.signs.hashing += 1;
        })
        .is_only_warned(Cause::NoApi);
}

#[test]
fn hashes_and_shares_that_stop() {
    let play = Play::new().mine(HOUR);
    play.is_healthy();
    let play = play.go(30 * MINUTE, |look, _| idle(look));
    let finding = play.is_sick(Cause::NotHashing);
    assert!(finding.to_string().contains("the hashrate has been 0 for"), "{finding}");
}

#[test]
fn hashes_that_never_begin_after_the_drivers_patience() {
    let wait = |seconds| {
        Play::new().go(seconds, |look, _| {
            idle(look);
            look.phase = Phase::Waiting;
            look.metrics.shares = Some(0);
        })
    };
    wait(115 * MINUTE).is_healthy();
    wait(125 * MINUTE).is_sick(Cause::NotHashing);
}

#[test]
fn a_hashrate_of_0_with_lines_of_progress_is_in_doubt() {
    Play::new()
        .mine(HOUR)
        .go(3 * HOUR, |look, _| {
            idle(look);
            look.signs.progress += 1;
        })
        .is_only_warned(Cause::NotHashing);
}

#[test]
fn no_share_for_long_with_a_hashrate_is_luck() {
    Play::new().mine(HOUR).go(24 * HOUR, |look, _| mining(look)).is_healthy();
}

#[test]
fn a_dag_that_is_never_ready() {
    let prepare = |seconds, has_lines: bool| {
        Play::new().go(seconds, |look, _| {
            look.phase = Phase::Preparing;
            answers(look);
            rate(look, 0.0);
            if has_lines || look.signs.lines == 0 {
                prints(look);
            }
        })
    };
    prepare(15 * MINUTE, false).is_healthy();
    prepare(30 * MINUTE, false).is_sick(Cause::StuckPreparing);
    prepare(30 * MINUTE, true).is_only_warned(Cause::StuckPreparing);
}

#[test]
fn a_pool_that_stays_away() {
    for phase in [Phase::Degraded, Phase::Connecting] {
        let play = Play::new().mine(HOUR).go(6 * MINUTE, |look, _| {
            look.phase = phase;
            answers(look);
            rate(look, 0.0);
            pool(look, false);
            prints(look);
        });
        let finding = play.is_sick(Cause::NoPool);
        assert!(finding.to_string().contains("pool.example:3333"), "{finding}");
        // However long it lasts, it never becomes the miner's fault.
        let play = play.forget_verdicts().go(12 * HOUR, |look, _| {
            answers(look);
            prints(look);
        });
        assert!(
            play.verdicts.iter().all(|it| it.finding().map(|it| it.cause) == Some(Cause::NoPool))
        );
    }
}

#[test]
fn one_device_of_six_that_dies() {
    let course = |dead_s: i64| {
        let play = Play::new().go(HOUR, |look, passed| {
            mining(look);
            six(look, None, passed);
        });
        play.is_healthy();
        play.go(dead_s, |look, passed| {
            mining(look);
            six(look, Some(3), passed);
        })
    };
    course(9 * MINUTE).is_healthy();
    let play = course(12 * MINUTE);
    let finding = play.is_sick(Cause::DeadDevice);
    assert_eq!(finding.device.as_deref(), Some("pci:0000:03:00.0"));
}

#[test]
fn a_device_that_is_dead_from_the_start_is_known_from_earlier_runs() {
    let stored = (0..6).map(|n| {
        let key = Key { algorithm: "rx/0".to_owned(), device: format!("pci:0000:0{n}:00.0") };
        (key, Baseline { hashrate: 30e6, power: Some(120.0), samples: 5000 })
    });
    let play = Play::with(&Options::default(), Baselines::from_stored(stored));
    let play = play.go(HOUR, |look, passed| {
        mining(look);
        six(look, Some(5), passed);
    });
    let finding = play.is_sick(Cause::DeadDevice);
    assert!(finding.to_string().contains("it draws 15 W, 120 W are usual"), "{finding}");
    // A device of which nothing is known may not be meant to mine.
    let play = Play::new().go(HOUR, |look, passed| {
        mining(look);
        six(look, Some(5), passed);
    });
    play.is_healthy();
}

#[test]
fn a_device_without_hashes_that_still_finds_shares_is_in_doubt() {
    let play = Play::new().go(HOUR, |look, passed| {
        mining(look);
        six(look, None, passed);
    });
    play.go(HOUR, |look, passed| {
        mining(look);
        six(look, None, passed);
        look.metrics.devices[2].hashrate = Some(0.0);
    })
    .is_only_warned(Cause::DeadDevice);
}

#[test]
fn a_hashrate_far_below_what_was_learned() {
    let slow = |seconds| {
        Play::new().mine(3 * HOUR).go(seconds, |look, passed| {
            mining(look);
            rate(look, 4_000.0);
            if passed % 180 == 0 {
                share(look);
            }
        })
    };
    slow(14 * MINUTE).is_healthy();
    slow(HOUR).is_only_warned(Cause::Slow);
    // Earlier runs taught the same.
    let key = Key { algorithm: "rx/0".to_owned(), device: String::new() };
    let baseline = Baseline { hashrate: 50_000.0, power: None, samples: 1000 };
    let play = Play::with(&Options::default(), Baselines::from_stored([(key, baseline)]));
    play.mine(HOUR).is_only_warned(Cause::Slow);
}

#[test]
fn shares_of_which_the_pool_takes_none() {
    Play::new()
        .mine(HOUR)
        .go(HOUR, |look, passed| {
            mining(look);
            if passed % 60 == 0 {
                look.metrics.rejected = Some(look.metrics.rejected.unwrap_or(0) + 1);
                look.signs.shares += 1;
            }
        })
        .is_only_warned(Cause::Rejected);
}

#[test]
fn a_cure_is_noticed() {
    let play = Play::new().mine(HOUR).go(30 * MINUTE, |look, _| idle(look));
    play.is_sick(Cause::NotHashing);
    play.forget_verdicts().mine(HOUR).now().is_healthy();
}
