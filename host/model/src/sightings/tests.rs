use adit_plugin_api::{Observation, PerformanceMetrics, Phase, PoolMetrics, ShareResult};

use super::*;

/// How long a reply counts in these tests.
const LIFETIME: Duration = Duration::from_secs(20);

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// `seconds` after the run began at 1,000.
fn moment(seconds: u64) -> Moment {
    Moment { at: secs(seconds), unix_s: i64::try_from(1_000 + seconds).ok() }
}

/// What stood in the log already.
fn before() -> Moment {
    Moment { at: Duration::ZERO, unix_s: None }
}

fn see(sightings: &mut Sightings, observation: Observation, now: Moment) {
    sightings.see_lines(1, now);
    sightings.see(observation, now);
}

fn seen(observations: impl IntoIterator<Item = Observation>) -> Sightings {
    let mut sightings = Sightings::default();
    for observation in observations {
        see(&mut sightings, observation, moment(0));
    }
    sightings
}

fn rate(hashrate: f64) -> Observation {
    Observation::Hashrate { hashrate }
}

fn phase(phase: Phase) -> Observation {
    Observation::Phase { phase }
}

fn share(result: ShareResult) -> Observation {
    Observation::Share { result }
}

fn error() -> Observation {
    Observation::Error { message: "end of file".to_owned() }
}

fn pool(url: &str, connected: bool) -> Observation {
    let (url, connected) = (url.to_owned(), Some(connected));
    Observation::Pool(PoolMetrics { url, connected, difficulty: Some(5), ..PoolMetrics::default() })
}

/// A reply of a run that hashes at the pool `url`, in a session of `age` seconds.
fn reply(url: &str, age: u64, shares: u64) -> PerformanceMetrics {
    let pool = PoolMetrics {
        url: url.to_owned(),
        connected: Some(true),
        session_ms: Some(age * 1_000),
        ..PoolMetrics::default()
    };
    PerformanceMetrics {
        hashrate: Some(1_010.0),
        shares: Some(shares),
        phase: Some(Phase::Mining),
        algorithm: Some("rx/0".to_owned()),
        pool: Some(pool),
        ..PerformanceMetrics::default()
    }
}

fn rate_at(sightings: &Sightings, seconds: u64) -> Option<f64> {
    sightings.metrics(secs(seconds), LIFETIME).hashrate
}

#[test]
fn output_alone_makes_figures() {
    let sightings = seen([
        phase(Phase::Mining),
        rate(12.5),
        Observation::Algorithm { algorithm: "rx/0".to_owned() },
        share(ShareResult::Accepted),
        share(ShareResult::Accepted),
        share(ShareResult::Rejected),
    ]);
    let metrics = sightings.metrics(secs(1), LIFETIME);
    assert_eq!(metrics.hashrate, Some(12.5));
    assert_eq!((metrics.shares, metrics.rejected), (Some(2), Some(1)));
    assert_eq!(metrics.last_share, Some(1_000));
    assert_eq!(metrics.phase, Some(Phase::Mining));
    assert!(!sightings.is_unheard(secs(1), LIFETIME));
}

#[test]
fn a_printed_hashrate_gets_old() {
    let mut sightings = seen([phase(Phase::Mining), rate(12.5), share(ShareResult::Accepted)]);
    // Before its habit is known it has two minutes.
    assert_eq!((rate_at(&sightings, 129), rate_at(&sightings, 131)), (Some(12.5), None));
    for (at, lasts) in [(60, 130), (120, 130), (125, 70), (140, 40)] {
        see(&mut sightings, rate(12.5), moment(at));
        assert_eq!(rate_at(&sightings, at + lasts), Some(12.5), "{at}");
        assert_eq!(rate_at(&sightings, at + lasts + 1), None, "{at}");
    }
    // A program that prints once a day says how fast it was, not how fast it is.
    see(&mut sightings, rate(12.5), moment(90_000));
    assert_eq!((rate_at(&sightings, 90_600), rate_at(&sightings, 90_601)), (Some(12.5), None));
    // What it did is not what it does.
    let now = secs(91_000);
    let metrics = sightings.metrics(now, LIFETIME);
    assert_eq!((metrics.phase, metrics.shares), (Some(Phase::Degraded), Some(1)));
    assert!(sightings.is_unheard(now, LIFETIME));
}

#[test]
fn a_frozen_program_does_not_hash() {
    let mut sightings = seen([rate(1_005.0), share(ShareResult::Accepted)]);
    sightings.see_reply(reply("a:1", 60, 7), moment(10));
    assert_eq!(rate_at(&sightings, 30), Some(1_010.0));
    // Printed after its last reply, and a moment before it froze.
    see(&mut sightings, rate(1_007.0), moment(11));
    see(&mut sightings, share(ShareResult::Accepted), moment(11));
    // An answer that is overdue, and one that did not come.
    for sightings in [sightings.clone(), {
        sightings.see_no_reply(secs(12));
        assert_eq!(rate_at(&sightings, 12), None);
        sightings
    }] {
        let now = secs(31);
        assert_eq!(rate_at(&sightings, 31), None, "an older line is no better");
        assert!(sightings.is_unheard(now, LIFETIME));
        assert_eq!(sightings.metrics(now, LIFETIME).shares, Some(8), "a total stays true");
        let later = sightings.metrics(secs(132), LIFETIME);
        assert_eq!(later.phase, None, "the output has none");
        assert_eq!(later.pool, None, "only the API has it");
    }
}

#[test]
fn a_program_whose_api_is_gone_is_known_by_what_it_prints_since() {
    let mut sightings = seen([rate(1_005.0)]);
    sightings.see_reply(reply("a:1", 60, 7), moment(10));
    sightings.see_no_reply(secs(12));
    see(&mut sightings, rate(1_020.0), moment(25));
    see(&mut sightings, share(ShareResult::Accepted), moment(26));
    let metrics = sightings.metrics(secs(30), LIFETIME);
    assert_eq!((metrics.hashrate, metrics.shares), (Some(1_020.0), Some(8)));
    assert!(!sightings.is_unheard(secs(30), LIFETIME));
    // The API is back, and knows its shares itself.
    sightings.see_reply(reply("a:1", 90, 9), moment(40));
    assert_eq!(sightings.metrics(secs(40), LIFETIME).shares, Some(9));
}

#[test]
fn lines_of_before_say_what_is_but_not_how_fast() {
    let mut sightings = Sightings::default();
    for observation in
        [phase(Phase::Mining), pool("a:1", true), rate(1_005.0), share(ShareResult::Accepted)]
    {
        see(&mut sightings, observation, before());
    }
    let metrics = sightings.metrics(secs(1), LIFETIME);
    assert_eq!((metrics.hashrate, metrics.last_share), (None, None));
    assert_eq!((metrics.phase, metrics.shares), (Some(Phase::Mining), Some(1)));
    // It may be frozen.
    let later = sightings.metrics(secs(400), LIFETIME);
    assert_eq!(later.phase, Some(Phase::Degraded));
    assert_eq!(later.pool.unwrap().connected, None);
}

#[test]
fn a_forged_share_line_changes_no_counter_of_the_api() {
    let mut sightings = seen([share(ShareResult::Accepted)]);
    let api = PerformanceMetrics { shares: Some(7), ..PerformanceMetrics::default() };
    sightings.see_reply(api, moment(1));
    see(&mut sightings, share(ShareResult::Accepted), moment(2));
    let metrics = sightings.metrics(secs(2), LIFETIME);
    assert_eq!((metrics.shares, metrics.rejected), (Some(7), None));
}

#[test]
fn an_error_is_over_when_shares_or_a_pool_come_again() {
    assert_eq!(seen([error()]).error(), Some("end of file"));
    assert_eq!(seen([error(), pool("a:1", true)]).error(), None);
    assert_eq!(seen([error(), share(ShareResult::Accepted)]).error(), None);
    assert!(seen([error(), pool("a:1", false), share(ShareResult::Rejected)]).error().is_some());
}

#[test]
fn the_api_shows_that_an_error_is_over() {
    let course = |replies: &[(u64, u64, u64)]| {
        let mut sightings = Sightings::default();
        sightings.see_reply(reply("a:1", 5, 3), moment(5));
        see(&mut sightings, error(), moment(10));
        for (at, age, shares) in replies {
            sightings.see_reply(reply("a:1", *age, *shares), moment(*at));
        }
        sightings.error().is_some()
    };
    assert!(course(&[(15, 15, 3)]), "the session of before");
    assert!(course(&[(15, 15, 4)]), "the share may be from before the error");
    assert!(!course(&[(15, 15, 4), (25, 25, 5)]), "a share since");
    assert!(!course(&[(15, 2, 3)]), "a new session");
}

#[test]
fn the_output_tells_what_an_api_leaves_out_of_the_pool() {
    let api = |url: &str, connected| {
        let pool = PoolMetrics { url: url.to_owned(), connected, ..PoolMetrics::default() };
        PerformanceMetrics { pool: Some(pool), ..PerformanceMetrics::default() }
    };
    let shown = |observation, api| {
        let mut sightings = seen([observation]);
        sightings.see_reply(api, moment(1));
        sightings.metrics(secs(1), LIFETIME).pool.unwrap()
    };
    let it = shown(pool("a:1", true), api("a:1", None));
    assert_eq!((it.connected, it.difficulty), (Some(true), Some(5)));
    let it = shown(pool("b:1", false), api("a:1", None));
    assert_eq!((it.url.as_str(), it.connected), ("b:1", Some(false)));
    let it = shown(pool("b:1", false), api("a:1", Some(true)));
    assert_eq!((it.url.as_str(), it.difficulty), ("a:1", None));
}

#[test]
fn a_session_that_was_left_is_no_session() {
    // At 100 s the run, 90 s in its session with a:1, says something; at 110 s its API repeats itself.
    for (lines, age, shares, expected) in [
        // Another pool, which cannot be reached.
        (vec![phase(Phase::Connecting), pool("b:1", false)], 100, 3, ("b:1", Some(false))),
        // Another pool, which does not answer.
        (vec![phase(Phase::Connecting)], 100, 3, ("a:1", Some(false))),
        // The same pool is lost.
        (vec![pool("a:1", false)], 100, 3, ("a:1", Some(false))),
        // It is back, by its own words and by the API's.
        (vec![pool("a:1", false), pool("a:1", true)], 100, 3, ("a:1", Some(true))),
        (vec![pool("a:1", false)], 5, 3, ("a:1", Some(true))),
        (vec![phase(Phase::Connecting)], 5, 3, ("a:1", Some(true))),
        // It mines at its second pool and tries the first one now and then.
        (vec![pool("b:1", false)], 100, 3, ("a:1", Some(true))),
        (vec![phase(Phase::Waiting), pool("b:1", false)], 100, 3, ("a:1", Some(true))),
        // A share in the output.
        (
            vec![phase(Phase::Connecting), share(ShareResult::Accepted), phase(Phase::Mining)],
            100,
            3,
            ("a:1", Some(true)),
        ),
        // Shares by the API's count.
        (vec![phase(Phase::Connecting)], 100, 4, ("a:1", Some(true))),
    ] {
        let case = format!("{lines:?} {age} {shares}");
        let mut sightings = Sightings::default();
        sightings.see_reply(reply("a:1", 90, 3), moment(99));
        for line in lines {
            see(&mut sightings, line, moment(100));
        }
        sightings.see_reply(reply("a:1", age.min(91), 3), moment(101));
        sightings.see_reply(reply("a:1", age, shares), moment(110));
        let metrics = sightings.metrics(secs(110), LIFETIME);
        let pool = metrics.pool.unwrap();
        assert_eq!((pool.url.as_str(), pool.connected), expected, "{case}");
        let is_mining = metrics.phase == Some(Phase::Mining);
        assert_eq!(is_mining, pool.connected == Some(true), "{case}: {:?}", metrics.phase);
    }
}

#[test]
fn the_last_word_of_old_lines_is_newer_than_a_session_that_is_older_than_the_host() {
    let left = |lines: Vec<Observation>| {
        let mut sightings = Sightings::default();
        lines.into_iter().for_each(|line| see(&mut sightings, line, before()));
        sightings.see_reply(reply("a:1", 900, 3), moment(1));
        let metrics = sightings.metrics(secs(1), LIFETIME);
        metrics.pool.unwrap().connected == Some(false)
    };
    let accepted = || share(ShareResult::Accepted);
    let leave = || vec![phase(Phase::Mining), accepted(), phase(Phase::Connecting)];
    assert!(left([leave(), vec![pool("b:1", false)]].concat()));
    assert!(!left([leave(), vec![pool("a:1", true), phase(Phase::Waiting)]].concat()));
    assert!(!left([leave(), vec![accepted()]].concat()));
}

#[test]
fn a_change_that_was_printed_since_the_last_reply_is_newer() {
    let mut sightings = seen([phase(Phase::Mining)]);
    sightings.see_reply(reply("a:1", 5, 3), moment(10));
    see(&mut sightings, phase(Phase::Paused), moment(12));
    see(&mut sightings, Observation::Algorithm { algorithm: "rx/wow".to_owned() }, moment(12));
    let metrics = sightings.metrics(secs(12), LIFETIME);
    assert_eq!(metrics.phase, Some(Phase::Paused));
    assert_eq!(metrics.algorithm.as_deref(), Some("rx/wow"));
    sightings.see_reply(reply("a:1", 15, 3), moment(20));
    // A repetition is no change.
    see(&mut sightings, phase(Phase::Paused), moment(22));
    let metrics = sightings.metrics(secs(22), LIFETIME);
    assert_eq!(metrics.phase, Some(Phase::Mining));
    assert_eq!(metrics.algorithm.as_deref(), Some("rx/0"));
}

#[test]
fn a_warning_stays_and_gives_way_to_errors() {
    let warning = || Observation::Warning { message: "no huge pages".to_owned() };
    let share = || share(ShareResult::Accepted);
    assert_eq!(seen([warning(), share()]).error(), Some("no huge pages"));
    assert_eq!(seen([error(), warning()]).error(), Some("end of file"));
    assert_eq!(seen([warning(), error(), share()]).error(), Some("no huge pages"));
}

#[test]
fn nothing_seen_is_nothing_said() {
    assert_eq!(seen([]).metrics(secs(1_000), LIFETIME), PerformanceMetrics::default());
}

#[test]
fn a_hashrate_that_is_no_number_is_unknown() {
    for hashrate in [f64::NAN, f64::INFINITY, -1.0, 1e25] {
        assert_eq!(rate_at(&seen([rate(hashrate)]), 0), None);
    }
}
