//! What the history costs on the disk, at each tick and in a chart, beside a table with a row a
//! sample, filled with the same figures in the same run.

mod made;
mod own;
mod peer;

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use adit_model::sample::{Grid, Sample};

use crate::{
    host::Host,
    rig,
    samples::Samples,
    start,
    table::{Row, time},
};

use self::{
    made::Made,
    own::Own,
    peer::{Peer, Synchronous},
};

/// Miners, and for how many hours: as many samples as can be made in the time.
const SIZES: [(usize, i64); 4] = [(1, 30 * 24), (10, 30 * 24), (100, 30), (1_000, 4)];
/// Whose database a host is started with.
const OPENED: usize = 10;
const TICKS: usize = 40;
const CHARTS: usize = 21;
const POINTS: u32 = 1_000;
const HOUR_MS: i64 = 3_600_000;
const PEER: &str = "row a sample";

pub(crate) fn rows() -> Vec<Row> {
    SIZES.into_iter().flat_map(|(miners, hours)| rows_of(miners, hours)).collect()
}

/// A filled history and its baseline.
struct Filled {
    folder: tempfile::TempDir,
    grid: Grid,
    own: Own,
    peer: Peer,
    miners: Vec<Made>,
    /// The first tick that is not there yet.
    next: i64,
    begin_ms: i64,
    /// Samples with figures.
    count: u64,
}

impl Filled {
    fn path(folder: &Path) -> PathBuf {
        folder.join("adit.db")
    }

    fn new(miners: usize, hours: i64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let grid = Grid::new(Duration::from_secs(10));
        let mut own = Own::open(&Self::path(folder.path()), grid);
        let peer = Peer::open(&folder.path().join("peer.db"));
        let mut miners: Vec<Made> = (0..miners).map(Made::new).collect();
        let next = grid.tick_at(now_ms());
        let (begin, mut count) = (next - hours * 360, 0);
        let mut rows = Vec::new();
        for tick in begin..next {
            let (at_ms, samples) = (grid.at_ms(tick), look(&mut miners));
            count += samples.iter().filter(|it| it.metrics.is_some()).count() as u64;
            own.fill(tick, at_ms, &samples);
            rows.push((at_ms, samples));
            if rows.len() * miners.len() >= 20_000 || tick == next - 1 {
                peer.fill(&rows);
                rows.clear();
            }
        }
        own.flush();
        Self { begin_ms: grid.at_ms(begin), folder, grid, own, peer, miners, next, count }
    }

    /// One tick into both; how long each took, and what was written for it in bytes. Ours is
    /// durable. The peer's is once, and once as the Go system leaves it: at the next tick's time, so
    /// that both have rows of their own.
    fn tick(&mut self) -> [(Duration, u64); 3] {
        let (tick, at_ms) = (self.next, self.grid.at_ms(self.next));
        self.next += 1;
        let samples = look(&mut self.miners);
        let own = measured(|| self.own.tick(tick, at_ms, &samples));
        let peer = |synchronous, at_ms| {
            self.peer.wait_for(synchronous);
            measured(|| self.peer.tick(at_ms, &samples))
        };
        [own, peer(Synchronous::Full, at_ms), peer(Synchronous::Normal, at_ms + 1)]
    }

    /// Charts of some miner over the last `ms`, warm.
    fn charts(&self, ms: i64) -> [Samples; 2] {
        let until_ms = self.grid.at_ms(self.next);
        let since_ms = (until_ms - ms).max(self.begin_ms);
        let name = made::name(self.miners.len() / 2);
        let own = || assert!(self.own.chart(&name, since_ms, until_ms, POINTS) > 0);
        let peer = || assert!(self.peer.chart(&name, since_ms, until_ms, POINTS as usize) > 0);
        own();
        peer();
        [Samples::of(CHARTS, own), Samples::of(CHARTS.min(5), peer)]
    }

    /// The same after everything was opened anew and nothing of the files is in memory.
    fn cold(&self, ms: i64) -> [Duration; 2] {
        let until_ms = self.grid.at_ms(self.next);
        let (since_ms, name) = ((until_ms - ms).max(self.begin_ms), made::name(0));
        let path = Self::path(self.folder.path());
        let own = Own::open(&path, self.grid);
        forget(self.folder.path());
        let begin = Instant::now();
        own.chart(&name, since_ms, until_ms, POINTS);
        let ours = begin.elapsed();
        let peer = Peer::open(&self.folder.path().join("peer.db"));
        forget(self.folder.path());
        let begin = Instant::now();
        peer.chart(&name, since_ms, until_ms, POINTS as usize);
        [ours, begin.elapsed()]
    }
}

fn look(miners: &mut [Made]) -> Vec<Sample> {
    miners.iter_mut().map(Made::next).collect()
}

fn measured(work: impl FnOnce()) -> (Duration, u64) {
    let (before, begin) = (written(), Instant::now());
    work();
    (begin.elapsed(), written() - before)
}

/// Bytes that this process had written to disks so far.
fn written() -> u64 {
    let text = fs::read_to_string("/proc/self/io").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    line.unwrap().trim().parse().unwrap()
}

/// Has the system forget what it keeps of the files in memory.
fn forget(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let file = File::open(entry.unwrap().path()).unwrap();
        file.sync_all().unwrap();
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
fn rows_of(miners: usize, hours: i64) -> Vec<Row> {
    let mut filled = Filled::new(miners, hours);
    let span = if hours % 24 == 0 { format!("{} d", hours / 24) } else { format!("{hours} h") };
    let of = |text: &str| format!("{miners} × {span}: {text}");
    let [own, peer] =
        [filled.own.bytes(), filled.peer.bytes()].map(|bytes| bytes as f64 / filled.count as f64);
    let mut rows = vec![
        Row::new(of("bytes a sample, all figures"), format!("{own:.2} B"))
            .beside(&format!("{PEER}, hashrate alone"), format!("{peer:.1} B"))
            .ratio(own, peer)
            .goal("≤ 5 B, ≥ 54 × less", own <= 5.0 && peer / own >= 54.0),
    ];
    let ticks: Vec<_> = (0..TICKS.min(20_000 / miners)).map(|_| filled.tick()).collect();
    let middle = |place: usize| {
        let times = Samples::new(ticks.iter().map(|it| it[place].0).collect());
        let bytes: u64 = ticks.iter().map(|it| it[place].1).sum();
        (times.median(), bytes as f64 / ticks.len() as f64 / 1024.0)
    };
    let ((ours, wrote), (theirs, they_wrote), (lossy, _)) = (middle(0), middle(1), middle(2));
    let row = Row::new(of("durable tick, median"), time(ours))
        .beside(&format!("{PEER}, synchronous=FULL"), time(theirs))
        .ratio(ours.as_secs_f64(), theirs.as_secs_f64());
    rows.push(match miners {
        1_000 => row.goal("≤ 5 ms", ours <= Duration::from_millis(5)),
        _ => row,
    });
    // Slower than this for few miners, because this waits for no disk.
    rows.push(
        Row::new("  against one that a power cut can take", time(ours))
            .beside(&format!("{PEER}, NORMAL, as in Go"), time(lossy))
            .ratio(ours.as_secs_f64(), lossy.as_secs_f64()),
    );
    rows.push(
        Row::new("  written to the disk for it", format!("{wrote:.0} KiB"))
            .beside(PEER, format!("{they_wrote:.0} KiB"))
            .ratio(wrote, they_wrote)
            .goal("≤ 250 KiB", wrote <= 250.0),
    );
    rows.extend(charts(&filled, &of, hours));
    if miners == OPENED {
        rows.extend(opened(filled));
    }
    rows
}

fn charts(filled: &Filled, of: &dyn Fn(&str) -> String, hours: i64) -> Vec<Row> {
    let is_month = hours >= 30 * 24;
    let row = |what: &str, ours: Duration, theirs: Duration| {
        Row::new(of(what), time(ours))
            .beside(PEER, time(theirs))
            .ratio(ours.as_secs_f64(), theirs.as_secs_f64())
    };
    let [ours, theirs] = filled.charts(hours * HOUR_MS).map(|it| it.median());
    let warm = row("chart of all, 1,000 points, warm", ours, theirs);
    let [ours_cold, theirs_cold] = filled.cold(hours * HOUR_MS);
    let cold = row("  the same, cold", ours_cold, theirs_cold);
    let [ours_hour, theirs_hour] = filled.charts(HOUR_MS).map(|it| it.median());
    let hour = row("chart of an hour, warm", ours_hour, theirs_hour)
        .goal("≤ 0.1 ms", ours_hour <= Duration::from_micros(100));
    if !is_month {
        return vec![warm, cold, hour];
    }
    let (most, quick) = (Duration::from_millis(5), theirs >= ours * 80);
    vec![
        warm.goal("≤ 5 ms, ≥ 80 × faster", ours <= most && quick),
        cold.goal("≥ 18 × faster", theirs_cold >= ours_cold * 18),
        hour,
    ]
}

/// How soon a host is there with the database of a month.
fn opened(filled: Filled) -> Vec<Row> {
    let Filled { folder, grid, own, peer, .. } = filled;
    drop((own, peer));
    let path = Filled::path(folder.path());
    let opens = Samples::of(9, || drop(Own::open(&path, grid)));
    let mut host: Host = rig::host();
    fs::create_dir_all(host.state()).unwrap();
    fs::copy(&path, host.state().join("adit.db")).unwrap();
    let again = |_| {
        let took = start::first_reply(&mut host);
        host.kill();
        took
    };
    let replies = Samples::new((0..9).map(again).collect());
    vec![
        Row::new("10 miners × 30 d: open and take up, median", time(opens.median())),
        Row::new("start to first reply with it, median", time(replies.median()))
            .goal("≤ 50 ms", replies.median() <= Duration::from_millis(50)),
    ]
}

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}
