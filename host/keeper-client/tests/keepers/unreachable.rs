//! Runs whose keeper does not answer, and whose files are gone, replaced or unreadable.

use std::{fs, os::unix::net::UnixListener, time::Duration};

use adit_keeper_client::{error::Error, look::Observed, members::Known, run::Run};
use rustix::process::Signal;

use crate::support::{Mine, exited, kill, lives, plan, until};

/// Leaves the session, closes what it inherited and has a new environment: only its ancestors show
/// whose it is.
const HIDDEN: &str = "setsid env -i /bin/sh -c 'trap \"\" TERM HUP INT; exec 3<&- 4<&- 5<&- 6<&- \
                      0</dev/null >/dev/null 2>&1; echo $$ > hidden; exec sleep 600' & ";

/// Pids of keeper and program.
fn pids(run: &Run) -> [i32; 2] {
    [run.first_status().keeper.pid, run.first_status().program.pid]
}

/// Ends the run as a supervisor does, and checks that nothing of it lives.
async fn end(mine: &Mine, run: &Run, known: &Known, patience: Duration) {
    mine.keepers.end(&mine.miner, known, patience).await.unwrap();
    assert!(!pids(run).into_iter().any(lives), "{:?} live", pids(run));
    let found = mine.keepers.look(&mine.miner, known).await.unwrap();
    let is_over = matches!(found, Observed::Absent | Observed::Ended(_) | Observed::Lost { .. });
    assert!(is_over, "{found:?}");
}

/// A miner that lives although no file says so: nothing is started, and it can be ended.
async fn is_known_and_ended(mine: &Mine, run: &Run) {
    until("a look that finds the keeper", async || {
        let found = mine.look().await;
        assert!(!matches!(found, Observed::Absent | Observed::Ended(_) | Observed::Lost { .. }));
        matches!(found, Observed::Silent { keeper: Some(pid) } if pid == pids(run)[0])
    })
    .await;
    let error = mine.keepers.launch(&mine.spec("exit 1")).await.unwrap_err();
    assert!(matches!(error, Error::Busy(_)), "{error:?}");
    assert!(matches!(run.stop(None).await, Err(Error::Silent { .. })));
    end(mine, run, &Known::default(), Duration::from_mins(1)).await;
}

#[tokio::test]
async fn a_socket_that_was_deleted_or_replaced_comes_back() {
    let mine = Mine::new();
    let run = mine.launch("exec sleep 600").await;
    let socket = mine.root.join("rig-1/socket");
    fs::remove_file(&socket).unwrap();
    assert!(
        matches!(mine.look().await, Observed::Silent { keeper: Some(pid) } if pid == pids(&run)[0])
    );
    until("an answer", async || run.status().await.is_ok()).await;
    assert_eq!(mine.running().await.id(), run.id());

    // Somebody else listens there and takes every request.
    fs::remove_file(&socket).unwrap();
    let _foreign = UnixListener::bind(&socket).unwrap();
    assert!(matches!(mine.look().await, Observed::Silent { .. } | Observed::Running(_)));
    until("an answer", async || run.status().await.is_ok()).await;
    run.stop(None).await.unwrap();
    assert!(exited(&run).await.by_stop);
}

#[tokio::test]
async fn the_socket_of_another_miner_is_not_taken_for_its_own() {
    let mine = Mine::new();
    let run = mine.launch("exec sleep 600").await;
    let mut other = mine.spec("exec sleep 600");
    other.miner = adit_model::name::MinerName::new("rig-2").unwrap();
    let neighbour = mine.keepers.launch(&other).await.unwrap();
    kill(pids(&run)[0], Signal::STOP);
    let socket = mine.root.join("rig-1/socket");
    fs::remove_file(&socket).unwrap();
    std::os::unix::fs::symlink(mine.root.join("rig-2/socket"), &socket).unwrap();
    assert!(matches!(mine.look().await, Observed::Silent { .. }));
    assert!(matches!(run.stop(None).await, Err(Error::Silent { .. })));
    assert!(!neighbour.status().await.unwrap().stopping);
    end(&mine, &run, &Known::default(), Duration::from_mins(1)).await;
    assert!(pids(&neighbour).into_iter().all(lives));
    let known = Known::default();
    mine.keepers.end(&other.miner, &known, Duration::ZERO).await.unwrap();
    assert!(!pids(&neighbour).into_iter().any(lives));
}

#[tokio::test]
async fn a_run_whose_keeper_was_stopped_by_a_signal_ends_in_good_order() {
    let mine = Mine::new();
    let run = mine.launch("trap 'exit 4' TERM; echo ready; while :; do sleep 0.01; done").await;
    mine.logged("ready").await;
    kill(pids(&run)[0], Signal::STOP);
    is_known_and_ended(&mine, &run).await;
    let Observed::Ended(record) = mine.look().await else { panic!("no record") };
    assert_eq!((record.code, record.by_stop), (Some(4), true));
}

#[tokio::test]
async fn a_run_that_stops_its_own_keeper_again_and_again_is_killed_with_all_it_started() {
    let mine = Mine::new();
    let script = format!("{HIDDEN} trap '' TERM; read line; while :; do kill -STOP $PPID; done");
    let mut spec = mine.spec(&script);
    spec.stop = plan(&[("TERM", 50)]);
    let run = mine.keepers.launch(&spec).await.unwrap();
    let hidden = mine.pid_in("hidden").await;
    // The keeper may be stopped before it has answered.
    let _answered = run.stdin("\n").await;
    until("silence", async || matches!(mine.look().await, Observed::Silent { .. })).await;
    end(&mine, &run, &Known::default(), Duration::from_millis(200)).await;
    until("the death of the hidden one", async || !lives(hidden)).await;
}

#[tokio::test]
async fn a_run_outlives_its_deleted_or_replaced_directory_and_is_still_found_and_ended() {
    for is_replaced in [false, true] {
        let mine = Mine::new();
        let run = mine.launch("exec sleep 600").await;
        let folder = mine.root.join("rig-1");
        // The keeper may be writing there.
        until("the directory to go", async || fs::remove_dir_all(&folder).is_ok()).await;
        if is_replaced {
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join("lock"), "").unwrap();
        }
        assert_eq!(mine.keepers.scan().unwrap(), std::slice::from_ref(&mine.miner));
        is_known_and_ended(&mine, &run).await;
        assert_eq!(exited(&mine.launch("exit 2").await).await.code, Some(2));
    }
}

#[tokio::test]
async fn a_directory_that_was_moved_away_or_became_a_link_hides_no_run() {
    for is_link in [false, true] {
        let mine = Mine::new();
        let run = mine.launch("exec sleep 600").await;
        let (folder, away) = (mine.root.join("rig-1"), mine.dir.path().join("away"));
        fs::rename(&folder, &away).unwrap();
        if is_link {
            // The same directory by another way: the keeper answers.
            std::os::unix::fs::symlink(&away, &folder).unwrap();
            assert_eq!(mine.running().await.id(), run.id());
            end(&mine, &run, &Known::default(), Duration::from_mins(1)).await;
            mine.keepers.remove(&mine.miner).await.unwrap();
            assert!(!folder.is_symlink() && away.is_dir(), "only the link goes");
        } else {
            is_known_and_ended(&mine, &run).await;
        }
    }
}

#[tokio::test]
async fn a_replaced_lock_and_lost_records_hide_no_run() {
    let mine = Mine::new();
    let run = mine.launch("exec sleep 600").await;
    kill(pids(&run)[0], Signal::STOP);
    let folder = mine.root.join("rig-1");
    for name in ["lock", "socket", "state.json", "spec.json"] {
        fs::remove_file(folder.join(name)).unwrap();
    }
    fs::write(folder.join("lock"), "").unwrap();
    fs::write(folder.join("state.json"), "{\"run\":").unwrap();
    is_known_and_ended(&mine, &run).await;
}

#[tokio::test]
async fn what_the_host_remembers_finds_a_run_that_nothing_else_shows() {
    let mine = Mine::new();
    let run = mine.launch(&format!("{HIDDEN} exec sleep 600")).await;
    let hidden = mine.pid_in("hidden").await;
    fs::remove_dir_all(mine.root.join("rig-1")).unwrap();
    kill(pids(&run)[0], Signal::KILL);
    until("the program's death", async || !lives(pids(&run)[1])).await;
    assert!(matches!(mine.look().await, Observed::Absent));
    // A pid that was used again proves nothing.
    let stat = fs::read_to_string(format!("/proc/{hidden}/stat")).unwrap();
    let start: u64 = stat.rsplit_once(") ").unwrap().1.split(' ').nth(19).unwrap().parse().unwrap();
    let mut known = Known::of(run.first_status());
    let mut program = run.first_status().program.clone();
    (program.pid, program.start_time) = (hidden, start + 1);
    known.programs.push(program.clone());
    let found = mine.keepers.look(&mine.miner, &known).await.unwrap();
    assert!(matches!(found, Observed::Lost { run: lost } if lost == *run.id()));
    program.start_time = start;
    known.programs.push(program);
    let found = mine.keepers.look(&mine.miner, &known).await.unwrap();
    assert!(matches!(found, Observed::Orphaned { pids, .. } if pids == [hidden]));
    mine.keepers.kill_orphans(&mine.miner, &known).await.unwrap();
    assert!(!lives(hidden));
}

#[tokio::test]
async fn a_record_of_the_end_proves_nothing_while_the_keeper_lives() {
    let mine = Mine::new();
    let ended = mine.launch("exit 3").await;
    exited(&ended).await;
    mine.is_free().await;
    let record = fs::read_to_string(mine.root.join("rig-1/exit.json")).unwrap();
    let run = mine.launch("exec sleep 600").await;
    let record = record.replace(&ended.id().to_string(), &run.id().to_string());
    fs::write(mine.root.join("rig-1/exit.json"), record).unwrap();
    kill(pids(&run)[0], Signal::STOP);
    fs::remove_file(mine.root.join("rig-1/lock")).unwrap();
    assert!(matches!(mine.look().await, Observed::Silent { .. }));
    let waiting = tokio::time::timeout(Duration::from_millis(500), run.wait()).await;
    assert!(waiting.is_err(), "{waiting:?}");
    end(&mine, &run, &Known::default(), Duration::from_mins(1)).await;
}

#[tokio::test]
async fn a_miner_can_be_removed_whatever_became_of_its_directory() {
    use std::os::unix::fs::PermissionsExt;
    let mine = Mine::new();
    let folder = mine.root.join("rig-1");
    exited(&mine.launch("exit 0").await).await;
    mine.is_free().await;
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o000)).unwrap();
    until("a free lock", async || mine.keepers.remove(&mine.miner).await.is_ok()).await;
    assert!(!folder.exists());
    fs::write(&folder, "a file").unwrap();
    assert!(matches!(mine.look().await, Observed::Absent));
    assert!(mine.keepers.launch(&mine.spec("exit 0")).await.is_err());
    mine.keepers.remove(&mine.miner).await.unwrap();
    assert!(fs::symlink_metadata(&folder).is_err());
}

#[tokio::test]
async fn a_log_file_that_is_deleted_is_followed_by_the_next_one() {
    let mine = Mine::new();
    let run = mine.launch("while read line; do echo \"got $line\"; done").await;
    run.stdin("one\n").await.unwrap();
    mine.logged("got one").await;
    let (_, end) = mine.keepers.log(&mine.miner).tail_and_end(1).unwrap();
    for (_, name) in [(0, "two"), (1, "three")] {
        for entry in fs::read_dir(mine.root.join("rig-1")).unwrap().flatten() {
            if entry.file_name().to_string_lossy().starts_with("log.") {
                fs::remove_file(entry.path()).unwrap();
            }
        }
        run.stdin(&format!("{name}\n")).await.unwrap();
        mine.logged(&format!("got {name}")).await;
    }
    // A reader continues after what it had.
    let read = mine.keepers.log(&mine.miner).read_from(end, 1 << 20).unwrap();
    assert_eq!(read.lines, ["got three"]);
}
