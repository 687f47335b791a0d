//! A finished stretch of one metric as bytes for the database.
//!
//! Version byte, check sum of the rest, flags, runs, then the values: one number when all are
//! equal, else what `pco` makes of them. A hashrate also has a summary, so that lists need not
//! unpack everything.

use pco::{
    ChunkConfig,
    standalone::{simple_compress, simple_decompress_into},
};

use crate::history::{
    Damaged, Metric,
    column::{Points, Run, TICKS},
    reading::{self, float},
    varint,
};

const VERSION: u8 = 1;
/// Bytes before the flags: version and check sum.
const HEAD: usize = 5;
const CONSTANT: u8 = 1;
const SUMMARY: u8 = 2;
/// Of 0 to 12: as small as the default 8 here, and faster.
const LEVEL: usize = 4;
/// Bits of a key that hold the number of the stretch.
const NUMBER_BITS: u32 = 24;
/// Stretches of a series are numbered below this.
pub const NUMBERS: u32 = 1 << NUMBER_BITS;

/// Which stretch of which metric of which series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Id of the series, below 2^31.
    pub series: u32,
    /// The metric.
    pub metric: Metric,
    /// Number of the stretch, below [`NUMBERS`].
    pub number: u32,
}

impl Key {
    /// The key in the database: ordered by series, metric, time.
    pub fn packed(self) -> i64 {
        let metric = i64::from(self.metric.number()) << NUMBER_BITS;
        i64::from(self.series) << 32 | metric | i64::from(self.number)
    }

    /// The number of the stretch in a packed key.
    pub fn number_of(packed: i64) -> u32 {
        u32::try_from(packed & i64::from(NUMBERS - 1)).unwrap_or_default()
    }
}

/// What a list says of a stretch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Summary {
    /// How many values.
    pub count: u32,
    /// The least code.
    pub min: i64,
    /// The largest code.
    pub max: i64,
    /// Sum of the values in their unit.
    pub sum: f64,
    /// The first tick that has a value, from the beginning of the stretch.
    pub first: u16,
    /// The last one.
    pub last: u16,
}

impl Summary {
    /// Of hashrates.
    pub fn of(points: &Points) -> Option<Self> {
        let (first, last) = (points.runs.first()?, points.runs.last()?);
        let hashrate = |code: &i64| reading::value(Metric::Hashrate, *code);
        // By value: codes of tiny and vast hashrates are negative.
        let by_value = |a: &&i64, b: &&i64| hashrate(a).total_cmp(&hashrate(b));
        Some(Self {
            count: u32::try_from(points.values.len()).ok()?,
            min: *points.values.iter().min_by(by_value)?,
            max: *points.values.iter().max_by(by_value)?,
            sum: points.values.iter().map(hashrate).sum(),
            first: first.start,
            last: last.start + (last.length - 1),
        })
    }
}

/// The bytes of a stretch of `metric`.
pub fn encode(metric: Metric, points: &Points) -> Vec<u8> {
    let mut out = vec![VERSION, 0, 0, 0, 0];
    let first = points.values.first().copied().unwrap_or_default();
    let mut flags = 0;
    if points.values.iter().all(|value| *value == first) {
        flags |= CONSTANT;
    }
    let summary = Summary::of(points).filter(|_| metric == Metric::Hashrate);
    if summary.is_some() {
        flags |= SUMMARY;
    }
    // What pco cannot do is told by its absence; it can pack any numbers.
    let packed = match flags & CONSTANT {
        0 => simple_compress(&points.values, &ChunkConfig::default().with_compression_level(LEVEL))
            .unwrap_or_default(),
        _ => Vec::new(),
    };
    out.push(flags);
    varint::put(&mut out, points.runs.len() as u64);
    let mut end = 0;
    for run in &points.runs {
        varint::put(&mut out, u64::from(run.start - end));
        varint::put(&mut out, u64::from(run.length));
        end = run.start + run.length;
    }
    if let Some(summary) = summary {
        varint::put_signed(&mut out, summary.min);
        varint::put_signed(&mut out, summary.max);
        out.extend_from_slice(&summary.sum.to_le_bytes());
    }
    if flags & CONSTANT != 0 {
        varint::put_signed(&mut out, first);
    }
    out.extend_from_slice(&packed);
    let sum = crc32fast::hash(&out[HEAD..]).to_le_bytes();
    out[1..HEAD].copy_from_slice(&sum);
    out
}

/// Unpacks bytes from [`encode`] into `points`, whose memory is used again.
///
/// # Errors
/// [`Damaged`]; `points` then holds nothing of use.
pub fn decode(bytes: &[u8], points: &mut Points) -> Result<(), Damaged> {
    let Body { flags, summary: _, mut rest } = open(bytes, points)?;
    let count = points.runs.iter().map(|run| usize::from(run.length)).sum();
    points.values.clear();
    if flags & CONSTANT != 0 {
        let value = varint::take_signed(&mut rest).ok_or(Damaged("a value is missing"))?;
        points.values.resize(count, value);
        return Ok(());
    }
    points.values.resize(count, 0);
    let done = simple_decompress_into(rest, &mut points.values)
        .map_err(|_| Damaged("its values cannot be unpacked"))?;
    if done.n_processed != count || !done.finished {
        return Err(Damaged("it has not as many values as it says"));
    }
    Ok(())
}

/// The summary of a stretch of hashrates, without unpacking it.
///
/// # Errors
/// [`Damaged`].
pub fn summary(bytes: &[u8]) -> Result<Summary, Damaged> {
    let mut points = Points::default();
    let body = open(bytes, &mut points)?;
    let (min, max, sum) = body.summary.ok_or(Damaged("it has no summary"))?;
    let (Some(first), Some(last)) = (points.runs.first(), points.runs.last()) else {
        return Err(Damaged("it has no values"));
    };
    let count = points.runs.iter().map(|run| u32::from(run.length)).sum();
    let last = last.start + (last.length - 1);
    Ok(Summary { count, min, max, sum, first: first.start, last })
}

struct Body<'a> {
    flags: u8,
    summary: Option<(i64, i64, f64)>,
    rest: &'a [u8],
}

/// Checks everything but the values. Fills in the runs.
fn open<'a>(bytes: &'a [u8], points: &mut Points) -> Result<Body<'a>, Damaged> {
    let (head, body) = bytes.split_at_checked(HEAD).ok_or(Damaged("it is cut off"))?;
    if head[0] != VERSION {
        return Err(Damaged("it is of a version that is not known"));
    }
    if crc32fast::hash(body).to_le_bytes() != head[1..] {
        return Err(Damaged("its check sum is wrong"));
    }
    let (&flags, mut rest) = body.split_first().ok_or(Damaged("it is cut off"))?;
    let mut take = || varint::take(&mut rest).ok_or(Damaged("its runs are cut off"));
    let runs = take()?;
    if runs > u64::from(TICKS) {
        return Err(Damaged("it has too many runs"));
    }
    points.runs.clear();
    let mut end = 0_u64;
    for _ in 0..runs {
        let (gap, length) = (take()?, take()?);
        let start = end.saturating_add(gap);
        end = start.saturating_add(length);
        let is_run = length > 0 && end <= u64::from(TICKS);
        let (Ok(start), Ok(length), true) = (u16::try_from(start), u16::try_from(length), is_run)
        else {
            return Err(Damaged("its runs make no sense"));
        };
        points.runs.push(Run { start, length });
    }
    let mut summary = None;
    if flags & SUMMARY != 0 {
        let (min, max) = (varint::take_signed(&mut rest), varint::take_signed(&mut rest));
        let (Some(min), Some(max), Some((sum, after))) = (min, max, rest.split_first_chunk())
        else {
            return Err(Damaged("its summary is cut off"));
        };
        summary = Some((min, max, f64::from_le_bytes(*sum)));
        rest = after;
    }
    Ok(Body { flags, summary, rest })
}

/// The mean of `sum` over `count`.
pub fn mean(sum: f64, count: u64) -> Option<f64> {
    let count = i64::try_from(count).ok().filter(|count| *count > 0)?;
    Some(sum / float(count))
}

#[cfg(test)]
mod tests;
