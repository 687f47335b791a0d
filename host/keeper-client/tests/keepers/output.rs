//! Output: complete where it fits, bounded where it does not.

use std::{fs, io::Write, os::unix::fs::symlink};

use adit_keeper_client::{error::Error, log::Cursor};
use adit_model::run::LogLimits;
use adit_plugin_api::Console;

use crate::support::{Mine, exited, until};

/// Size of all log files together.
fn log_size(mine: &Mine) -> u64 {
    let files = fs::read_dir(mine.root.join("rig-1")).unwrap().flatten();
    let logs = files.filter(|file| file.file_name().to_string_lossy().starts_with("log."));
    // One may be rotated away meanwhile.
    logs.filter_map(|file| file.metadata().ok()).map(|metadata| metadata.len()).sum()
}

/// A line of `/proc/PID/smaps_rollup`, in KiB.
fn memory(pid: i32, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn every_line_is_logged_and_the_last_one_needs_no_end() {
    for console in [Console::Pty, Console::Pipes] {
        let mine = Mine::new();
        let mut spec = mine.spec("seq 1 20000; printf 'a\\r\\n\\377\\n'; echo err >&2; printf end");
        spec.console = console;
        let record = exited(&mine.keepers.launch(&spec).await.unwrap()).await;
        assert_eq!(record.lines_dropped, 0);
        let log = mine.tail(30_000);
        let expected: Vec<_> = (1..=20_000).map(|n| n.to_string()).collect();
        assert_eq!(log[1..=20_000], expected);
        let last = ["a", "\u{fffd}", "err", "end", "[adit] exited with code 0"];
        assert_eq!(log[20_001..], last);
    }
}

#[tokio::test]
async fn the_next_run_goes_on_in_the_same_log() {
    let mine = Mine::new();
    exited(&mine.launch("echo one").await).await;
    let end = mine.keepers.log(&mine.miner).end().unwrap();
    // As a power cut may leave it.
    let file = mine.root.join(format!("rig-1/log.{:020}", 0));
    fs::OpenOptions::new().append(true).open(file).unwrap().write_all(b"half").unwrap();
    until("a free lock", async || mine.keepers.launch(&mine.spec("echo two")).await.is_ok()).await;
    mine.logged("[adit] exited with code 0").await;
    mine.logged("two").await;
    let chunk = mine.keepers.log(&mine.miner).read_from(end, 1 << 20).unwrap();
    let lines = [chunk.lines[0].as_str(), chunk.lines[2].as_str()];
    assert_eq!((lines, chunk.skipped), (["half", "two"], 0));
    assert!(mine.tail(100).contains(&"one".to_owned()));
}

#[tokio::test]
async fn a_flood_is_bounded_on_disk_and_in_memory_and_the_last_thousand_lines_are_there() {
    let mine = Mine::new();
    let mut spec = mine.spec("read line; seq 1 2000000; echo done; read line");
    let (file_bytes, files) = (96 << 10, 3);
    spec.log = LogLimits { file_bytes, files, bytes_per_second: 500, burst_bytes: 64 << 10 };
    let run = mine.keepers.launch(&spec).await.unwrap();
    let keeper = run.first_status().keeper.pid;
    let before = memory(keeper, "Anonymous:");
    run.stdin("go\n").await.unwrap();
    until("the flood", async || {
        assert!(log_size(&mine) <= file_bytes * u64::from(files));
        run.status().await.unwrap().lines == 2_000_001
    })
    .await;
    let grown = memory(keeper, "Anonymous:").saturating_sub(before);
    assert!(grown <= 512, "{grown} KiB more");
    run.flush().await.unwrap();
    let mut expected: Vec<_> = (1_999_002..=2_000_000).map(|n| n.to_string()).collect();
    expected.push("done".to_owned());
    assert_eq!(mine.tail(1000), expected);
    assert!(log_size(&mine) <= file_bytes * u64::from(files));
    run.stdin("\n").await.unwrap();
    assert!(exited(&run).await.lines_dropped > 0);
}

#[tokio::test]
async fn what_a_flood_costs_is_counted_to_the_line() {
    let mine = Mine::new();
    let mut spec = mine.spec("seq 1 300000");
    let (bytes_per_second, burst_bytes) = (10_000, 20_000);
    spec.log = LogLimits { file_bytes: 1 << 30, files: 2, bytes_per_second, burst_bytes };
    let record = exited(&mine.keepers.launch(&spec).await.unwrap()).await;
    let log = mine.tail(1_000_000);
    let told = log.iter().filter_map(|line| {
        line.strip_prefix("[adit] ")?.strip_suffix(" lines dropped here")?.parse::<u64>().ok()
    });
    let kept = log.iter().filter(|line| !line.starts_with("[adit]")).count() as u64;
    assert_eq!(told.sum::<u64>(), record.lines_dropped);
    assert_eq!(kept + record.lines_dropped, 300_000);
    let ms = u64::try_from(record.ended_at_ms - record.started_at_ms).unwrap();
    let allowed = burst_bytes + bytes_per_second * (ms + 100) / 1000 + (16 << 10);
    assert!(log_size(&mine) <= allowed, "{} of {allowed}", log_size(&mine));
}

#[tokio::test]
async fn a_reader_loses_nothing_over_rotations() {
    let mine = Mine::new();
    let mut spec = mine.spec("read line; seq 1 9000; echo done; read line");
    spec.log = LogLimits { file_bytes: 4 << 10, files: 50, ..LogLimits::default() };
    let run = mine.keepers.launch(&spec).await.unwrap();
    let log = mine.keepers.log(&mine.miner);
    let (mut cursor, mut lines) = (Cursor::default(), Vec::new());
    run.stdin("go\n").await.unwrap();
    until("all lines", async || {
        let chunk = log.read_from(cursor, 3000).unwrap();
        assert_eq!(chunk.skipped, 0);
        cursor = chunk.next;
        lines.extend(chunk.lines);
        lines.last().is_some_and(|line| line == "done")
    })
    .await;
    let expected: Vec<_> = (1..=9000).map(|n| n.to_string()).collect();
    assert_eq!(lines[1..=9000], expected);
    assert!(cursor.generation > 30_000);
}

#[tokio::test]
async fn a_reader_too_slow_is_told_to_the_byte_what_it_missed() {
    let mine = Mine::new();
    let mut spec = mine.spec("seq 1 9000");
    spec.log = LogLimits { file_bytes: 4 << 10, files: 2, ..LogLimits::default() };
    exited(&mine.keepers.launch(&spec).await.unwrap()).await;
    let log = mine.keepers.log(&mine.miner);
    let (mut cursor, mut skipped, mut read) = (Cursor::default(), 0, 0);
    loop {
        let chunk = log.read_from(cursor, 1000).unwrap();
        if chunk.lines.is_empty() {
            break;
        }
        (cursor, skipped) = (chunk.next, skipped + chunk.skipped);
        read += chunk.lines.iter().map(|line| line.len() as u64 + 1).sum::<u64>();
    }
    assert!(skipped > 30_000 && read > 4000);
    assert_eq!(skipped + read, cursor.generation + cursor.offset);
}

/// Something in the place of the log file that cannot be written to.
async fn check_disk_trouble(block: impl Fn(&std::path::Path), expected: &str) {
    let mine = Mine::new();
    let folder = mine.root.join("rig-1");
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join(format!("log.{:020}", 0));
    block(&file);
    let run = mine.launch("i=0; while read line; do i=$((i+1)); echo \"n $i\"; done").await;
    for _ in 0..2000 {
        run.stdin("\n").await.unwrap();
    }
    until("all lines", async || run.status().await.unwrap().lines == 2000).await;
    let status = run.status().await.unwrap();
    assert!(
        status.log_error.as_deref().is_some_and(|error| error.contains(expected)),
        "{status:?}"
    );
    let error = run.flush().await.unwrap_err();
    assert!(matches!(error, Error::Refused(_)), "{error:?}");
    // The trouble is over: what was kept is written, without any request.
    let moved = folder.join("moved");
    fs::rename(&file, moved).unwrap();
    until("the log", async || mine.tail(1).first().is_some_and(|line| line == "n 2000")).await;
    assert_eq!(run.status().await.unwrap().log_error, None);
    let log = mine.tail(2000);
    let expected: Vec<_> = (1001..=2000).map(|n| format!("n {n}")).collect();
    assert_eq!(log[log.len() - 1000..], expected);
    assert_eq!(log[0], "[adit] 977 lines dropped here");
    run.signal("KILL").await.unwrap();
    assert_eq!(exited(&run).await.lines_dropped, 977);
}

#[tokio::test]
async fn a_full_disk_stops_neither_program_nor_keeper() {
    check_disk_trouble(|file| symlink("/dev/full", file).unwrap(), "No space left").await;
}

#[tokio::test]
async fn a_folder_in_the_place_of_the_log_stops_neither_program_nor_keeper() {
    check_disk_trouble(|file| fs::create_dir(file).unwrap(), "directory").await;
}

#[tokio::test]
async fn a_line_without_end_is_cut_and_takes_no_memory() {
    let mine = Mine::new();
    let run =
        mine.launch("read line; head -c 3000000 /dev/zero | tr '\\0' x; echo; read line").await;
    let keeper = run.first_status().keeper.pid;
    let before = memory(keeper, "Anonymous:");
    run.stdin("go\n").await.unwrap();
    until("the line", async || run.status().await.unwrap().lines == 367).await;
    run.flush().await.unwrap();
    let grown = memory(keeper, "Anonymous:").saturating_sub(before);
    assert!(grown <= 1024, "{grown} KiB more");
    assert_eq!(mine.tail(2)[0].len(), 8 << 10);
}
