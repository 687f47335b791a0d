//! Output besides what the simulation says: numbered lines, floods, a line without an end.

use std::{
    fmt::Write,
    io,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use crate::{number, output, rig::Rig, settings::Noise};

const BEAT: Duration = Duration::from_millis(10);
/// Lines written at once, so that a slow reader meets no burst without bounds.
const BATCH_MAX: u64 = 20_000;

/// Starts `noise` in a thread of its own.
///
/// # Errors
/// When no thread can be started.
pub(crate) fn start(rig: &Arc<Rig>, noise: Noise) -> io::Result<()> {
    let rig = Arc::clone(rig);
    let run = move || match noise {
        Noise::Count { interval } => count(&rig, interval),
        Noise::Flood { lines_per_second } => flood(&rig, lines_per_second),
        Noise::EndlessLine => {
            rig.output.silence();
            endless_line(&rig);
        }
    };
    thread::Builder::new().name("noise".to_owned()).spawn(run)?;
    Ok(())
}

fn count(rig: &Rig, interval: Duration) {
    loop {
        rig.stay_if_frozen();
        rig.output.count();
        thread::sleep(interval);
    }
}

fn flood(rig: &Rig, lines_per_second: u64) {
    let begin = Instant::now();
    let mut printed = 0_u64;
    let mut batch = String::new();
    loop {
        rig.stay_if_frozen();
        let due = number::whole(begin.elapsed().as_secs_f64() * number::float(lines_per_second));
        let to = due.min(printed + BATCH_MAX);
        batch.clear();
        for number in printed + 1..=to {
            // Writing to a String cannot fail.
            writeln!(batch, "flood {number:09}").ok();
        }
        rig.output.bytes(batch.as_bytes());
        printed = to;
        if printed == due {
            thread::sleep(BEAT);
        }
    }
}

fn endless_line(rig: &Rig) {
    loop {
        rig.stay_if_frozen();
        output::raw(&[b'x'; 1024]);
        thread::sleep(BEAT);
    }
}
