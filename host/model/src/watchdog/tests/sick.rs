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
fn hashes_of_which_no_share_is_accepted() {
    // A share a minute is usual: twenty minutes are no luck.
    let drought = |seconds| Play::new().mine(HOUR).go(seconds, |look, _| mining(look));
    drought(19 * MINUTE).is_healthy();
    let play = drought(2 * HOUR);
    play.is_only_warned(Cause::NoShares);
    let text = play.warned().unwrap().to_string();
    for part in ["no share was accepted for", "one every 60 s is usual", "12500.0 H/s"] {
        assert!(text.contains(part), "{text}");
    }
    // Rejected shares are shares too, but pay for nothing.
    let play = Play::new().mine(HOUR).go(3 * HOUR, |look, passed| {
        mining(look);
        if passed % 600 == 0 {
            look.metrics.rejected = Some(look.metrics.rejected.unwrap_or(0) + 1);
        }
    });
    assert_eq!(play.sick(), None);
    assert_eq!(play.now().warned().map(|it| it.cause), Some(Cause::Rejected));
}

#[test]
fn a_first_share_that_never_comes() {
    let wait = |seconds, difficulty: Option<u64>| {
        Play::new().go(seconds, |look, _| {
            mining(look);
            look.phase = Phase::Waiting;
            look.metrics.shares = Some(0);
            look.metrics.diff_current = difficulty;
        })
    };
    // The driver says two hours.
    wait(119 * MINUTE, None).is_healthy();
    let play = wait(3 * HOUR, None);
    play.is_only_warned(Cause::NoShares);
    let text = play.warned().unwrap().to_string();
    assert!(text.contains("no share was ever accepted"), "{text}");
    wait(3 * HOUR, Some(100_000)).is_only_warned(Cause::NoShares);
    // 12,500 H/s take 5 hours for one of these, on average; and years at a full node.
    wait(24 * HOUR, Some(225_000_000)).is_healthy();
    wait(72 * HOUR, Some(225_000_000)).is_only_warned(Cause::NoShares);
    wait(72 * HOUR, Some(400_000_000_000)).is_healthy();
}

#[test]
fn earlier_runs_say_how_often_shares_come() {
    let key = Key { algorithm: "rx/0".to_owned(), device: String::new() };
    let (share_gap_s, share_difficulty) = (Some(60.0), Some(1e6));
    let baseline =
        Baseline { hashrate: 12_500.0, samples: 1000, power: None, share_gap_s, share_difficulty };
    let wait = |difficulty, seconds| {
        let baselines = Baselines::from_stored([(key.clone(), baseline)]);
        Play::with(&Options::default(), baselines).go(seconds, |look, _| {
            mining(look);
            look.phase = Phase::Waiting;
            look.metrics.shares = Some(0);
            look.metrics.diff_current = difficulty;
        })
    };
    wait(Some(1_000_000), 19 * MINUTE).is_healthy();
    let play = wait(Some(1_000_000), 30 * MINUTE);
    play.is_only_warned(Cause::NoShares);
    let text = play.warned().unwrap().to_string();
    assert!(text.contains("one every 60 s is usual in earlier runs"), "{text}");
    // A pool with other shares, and one of which nothing is known.
    wait(Some(10_000_000), 3 * HOUR).is_healthy();
    wait(None, 115 * MINUTE).is_healthy();
}

#[test]
fn shares_that_stop_while_the_pool_comes_and_goes() {
    let mut play = Play::new().mine(HOUR);
    for _ in 0..30 {
        play = play.go(2 * MINUTE, |look, _| mining(look)).go(MINUTE, |look, _| {
            look.phase = Phase::Degraded;
            answers(look);
            rate(look, 0.0);
            pool(look, false);
        });
    }
    play.is_only_warned(Cause::NoShares);
}

#[test]
fn an_api_that_never_answers_although_the_program_hashes() {
    let hash = |seconds| {
        Play::new().go(seconds, |look, passed| {
            look.phase = Phase::Mining;
            look.signs.cpu_ms = look.signs.cpu_ms.map(|it| it + 5_000);
            look.metrics.hashrate = Some(12_500.0);
            prints(look);
            look.signs.progress += 1;
            look.signs.hashing += 1;
            if passed % 60 == 0 {
                share(look);
            }
        })
    };
    hash(3 * MINUTE).is_healthy();
    let play = hash(HOUR);
    play.is_only_warned(Cause::NoApi);
    let text = play.warned().unwrap().to_string();
    assert!(text.contains("its API has never answered"), "{text}");
    // A program that rarely prints and has no API is not frozen.
    let quiet = play.forget_verdicts().go(HOUR, |look, _| {
        look.signs.cpu_ms = look.signs.cpu_ms.map(|it| it + 5_000);
    });
    let is_frozen = |it: &Verdict| matches!(it, Verdict::Sick(it) if it.cause == Cause::Frozen);
    assert!(!quiet.verdicts.iter().any(is_frozen));
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
        (key, Baseline { hashrate: 30e6, power: Some(120.0), samples: 5000, ..Baseline::default() })
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
    let baseline = Baseline { hashrate: 50_000.0, samples: 1000, ..Baseline::default() };
    let play = Play::with(&Options::default(), Baselines::from_stored([(key, baseline)]));
    play.mine(HOUR).is_only_warned(Cause::Slow);
}

#[test]
fn shares_of_which_the_pool_takes_none() {
    let reject = |play: Play, every_s: i64| {
        play.go(3 * HOUR, |look, passed| {
            mining(look);
            if passed % every_s == 0 {
                look.metrics.rejected = Some(look.metrics.rejected.unwrap_or(0) + 1);
                look.signs.shares += 1;
            }
        })
    };
    reject(Play::new().mine(HOUR), 30).is_only_warned(Cause::Rejected);
    // Twenty would take most of a day.
    let rare = Play::new().go(24 * HOUR, |look, passed| {
        mining(look);
        if passed % (30 * MINUTE) == 0 {
            share(look);
        }
    });
    rare.is_healthy();
    reject(rare, 30 * MINUTE).is_only_warned(Cause::Rejected);
}

#[test]
fn a_cure_is_noticed() {
    let play = Play::new().mine(HOUR).go(30 * MINUTE, |look, _| idle(look));
    play.is_sick(Cause::NotHashing);
    play.forget_verdicts().mine(HOUR).now().is_healthy();
}
