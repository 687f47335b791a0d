//! Reads a miner's log files, also while a keeper writes and rotates them. Blocking.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::PathBuf,
};

use serde::{Deserialize, Serialize};

use adit_keeper::files;

/// Bytes read at a time when looking for line ends from the end of a file.
const BLOCK: u64 = 32 << 10;

/// Least read at a time: more than the longest line has.
const LEAST: usize = 16 << 10;

/// The log of a miner over all its runs.
#[derive(Clone, Debug)]
pub struct Log {
    folder: PathBuf,
}

/// A place in the log, right after a line end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cursor {
    /// Number of the file: how many bytes were logged before it began.
    pub generation: u64,
    /// Bytes into the file.
    pub offset: u64,
}

impl Cursor {
    /// How many bytes were logged before this place, over all runs.
    pub fn bytes(self) -> u64 {
        self.generation.saturating_add(self.offset)
    }
}

/// What was read from a place on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    /// Whole lines without their ends; what is not UTF-8 is replaced.
    pub lines: Vec<String>,
    /// Where to go on.
    pub next: Cursor,
    /// Bytes that were rotated away before they could be read.
    pub skipped: u64,
}

/// Whether a line of a log is a keeper's own remark and not the program's.
pub fn is_remark(line: &str) -> bool {
    line.starts_with("[adit] ")
}

/// The end of a keeper's remark about the start of the program `pid`.
fn started_as(pid: i32) -> String {
    format!(" as process {pid}")
}

impl Log {
    /// The log in `folder`, which need not exist.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The newest `count` lines, oldest of them first.
    ///
    /// # Errors
    /// When a log file cannot be read.
    pub fn tail(&self, count: usize) -> io::Result<Vec<String>> {
        Ok(self.tail_and_end(count)?.0)
    }

    /// The same with the place right after the last of them: what is printed meanwhile comes after
    /// that place, and nothing comes twice.
    ///
    /// # Errors
    /// When a log file cannot be read.
    pub fn tail_and_end(&self, count: usize) -> io::Result<(Vec<String>, Cursor)> {
        let mut newest_first: Vec<String> = Vec::new();
        let mut end = None;
        for (generation, path) in self.files()?.iter().rev() {
            let missing = count - newest_first.len();
            if missing == 0 && end.is_some() {
                break;
            }
            // Rotated away since the folder was read.
            let Some(mut file) = found(File::open(path))? else { break };
            let (bytes, offset) = read_end(&mut file, missing)?;
            end.get_or_insert(Cursor { generation: *generation, offset });
            newest_first.extend(lines_of(&bytes).into_iter().rev().take(missing));
        }
        newest_first.reverse();
        Ok((newest_first, end.unwrap_or_default()))
    }

    /// The place after everything that is in the log now.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn end(&self) -> io::Result<Cursor> {
        let Some((generation, path)) = self.files()?.pop() else { return Ok(Cursor::default()) };
        let size = found(path.metadata())?.map_or(0, |metadata| metadata.len());
        Ok(Cursor { generation, offset: size })
    }

    /// Where the output of the program `pid` begins, if that is behind `from` in the same file:
    /// after the keeper's remark about its start. Otherwise `from`.
    ///
    /// # Errors
    /// When the log file cannot be read.
    pub fn start_of_run(&self, from: Cursor, pid: i32) -> io::Result<Cursor> {
        let path = self.files()?.into_iter().find(|(number, _)| *number == from.generation);
        let Some((_, path)) = path else { return Ok(from) };
        let Some(mut file) = found(File::open(path))? else { return Ok(from) };
        file.seek(SeekFrom::Start(from.offset))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let end = started_as(pid);
        let (mut place, mut start) = (from, from);
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            place.offset += line.len() as u64;
            let text = String::from_utf8_lossy(line);
            if is_remark(&text) && text.trim_end().ends_with(&end) {
                start = place;
            }
        }
        Ok(start)
    }

    /// How many bytes were logged before the oldest line that is still there.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn start(&self) -> io::Result<u64> {
        Ok(self.files()?.first().map_or(0, |(generation, _)| *generation))
    }

    /// Reads whole lines from `from` on, up to about `max_bytes` and at least one if there is
    /// one. Call it again with [`Chunk::next`] until no lines come.
    ///
    /// # Errors
    /// When a log file cannot be read.
    pub fn read_from(&self, from: Cursor, max_bytes: usize) -> io::Result<Chunk> {
        let mut chunk = Chunk { next: from, ..Chunk::default() };
        let mut room = max_bytes;
        loop {
            let files = self.files()?;
            let newest = files.last().map_or(0, |(generation, _)| *generation);
            let place = files.iter().position(|(number, _)| *number == chunk.next.generation);
            let Some(place) = place else {
                if !chunk.go_on_at_oldest(&files) {
                    return Ok(chunk);
                }
                continue;
            };
            let Some(mut file) = found(File::open(&files[place].1))? else { continue };
            // Before the file is read: if it is not the newest, nothing is added to it any more.
            let is_closed = chunk.next.generation < newest;
            let size = file.metadata()?.len();
            chunk.next.offset = chunk.next.offset.min(size);
            file.seek(SeekFrom::Start(chunk.next.offset))?;
            let mut bytes = Vec::new();
            file.take(room.max(LEAST) as u64).read_to_end(&mut bytes)?;
            let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            chunk.lines.extend(lines_of(&bytes[..whole]));
            chunk.next.offset += whole as u64;
            room -= whole.min(room);
            let is_read = chunk.next.offset >= size || whole == 0;
            if !(is_closed && is_read) || (room == 0 && whole > 0) {
                return Ok(chunk);
            }
            chunk.next = Cursor { generation: files[place + 1].0, offset: 0 };
        }
    }

    fn files(&self) -> io::Result<Vec<(u64, PathBuf)>> {
        Ok(found(files::log_files(&self.folder))?.unwrap_or_default())
    }
}

impl Chunk {
    /// The file of the cursor is gone. Returns whether there is one to go on with.
    fn go_on_at_oldest(&mut self, files: &[(u64, PathBuf)]) -> bool {
        let lost_from = self.next.generation.saturating_add(self.next.offset);
        let later = files.iter().find(|(number, _)| *number > self.next.generation);
        // No later file: somebody deleted the log and it began anew.
        let Some((generation, _)) = later.or(files.first()) else { return false };
        self.skipped += generation.saturating_sub(lost_from);
        self.next = Cursor { generation: *generation, offset: 0 };
        true
    }
}

/// The end of `file` that holds its last `count` whole lines, or all of it, and where these end.
fn read_end(file: &mut File, count: usize) -> io::Result<(Vec<u8>, u64)> {
    let size = file.metadata()?.len();
    let mut start = size;
    let mut blocks: Vec<Vec<u8>> = Vec::new();
    let mut line_ends = 0;
    // One more line end than lines: the one before the first.
    while start > 0 && line_ends <= count {
        let length = start.min(BLOCK);
        start -= length;
        file.seek(SeekFrom::Start(start))?;
        let mut block = Vec::new();
        file.take(length).read_to_end(&mut block)?;
        line_ends += block.iter().filter(|byte| **byte == b'\n').count();
        blocks.push(block);
    }
    blocks.reverse();
    let mut bytes = blocks.concat();
    if start > 0 {
        let first = bytes.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        bytes.drain(..first);
    }
    // A line that is just being written.
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let end = size - (bytes.len() - whole) as u64;
    bytes.truncate(whole);
    Ok((bytes, end))
}

fn lines_of(bytes: &[u8]) -> Vec<String> {
    let Some(bytes) = bytes.strip_suffix(b"\n") else { return Vec::new() };
    let lines = bytes.split(|byte| *byte == b'\n');
    lines.map(|line| String::from_utf8_lossy(line).into_owned()).collect()
}

fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn log(files: &[(u64, &str)]) -> (tempfile::TempDir, Log) {
        let folder = tempfile::tempdir().unwrap();
        for (start, text) in files {
            fs::write(folder.path().join(files::log_name(*start)), text).unwrap();
        }
        let log = Log::new(folder.path().to_owned());
        (folder, log)
    }

    #[test]
    fn the_tail_goes_over_files_and_leaves_out_a_line_being_written() {
        let (_folder, log) = log(&[(0, "a\nb\n"), (4, "c\nd"), (100, "e\nhalf")]);
        assert_eq!(log.tail(0).unwrap(), Vec::<String>::new());
        assert_eq!(log.tail(1).unwrap(), ["e"]);
        assert_eq!(log.tail(2).unwrap(), ["c", "e"]);
        assert_eq!(log.tail(99).unwrap(), ["a", "b", "c", "e"]);
        assert_eq!(lines_of(b"\xff\n"), ["\u{fffd}"]);
        assert_eq!(Log::new("/nowhere".into()).tail(5).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn what_comes_after_the_tail_begins_where_it_ends() {
        let (folder, log) = log(&[(0, "a\nb\n"), (4, "c\nhal")]);
        for count in [0, 1, 2, 99] {
            let (_, end) = log.tail_and_end(count).unwrap();
            assert_eq!(end, Cursor { generation: 4, offset: 2 }, "{count}");
        }
        let (lines, end) = log.tail_and_end(1).unwrap();
        assert_eq!(lines, ["c"]);
        // The line that was being written comes whole, and the one before it does not come again.
        fs::write(folder.path().join(files::log_name(4)), "c\nhalf\nd\n").unwrap();
        assert_eq!(log.read_from(end, 100).unwrap().lines, ["half", "d"]);
        let empty = Log::new("/nowhere".into()).tail_and_end(5).unwrap();
        assert_eq!(empty, (Vec::new(), Cursor::default()));
    }

    #[test]
    fn the_tail_of_a_large_file_is_exact_across_blocks() {
        let text: String = (0..20_000).map(|n| format!("line number {n}\n")).collect();
        let (_folder, log) = log(&[(0, &text)]);
        for count in [1, 1999, 5000, 20_000, 30_000] {
            let tail = log.tail(count).unwrap();
            let expected: Vec<_> = text.lines().skip(20_000 - count.min(20_000)).collect();
            assert_eq!(tail, expected, "{count}");
        }
    }

    #[test]
    fn reading_goes_on_from_file_to_file_and_counts_what_is_gone() {
        let (folder, log) = log(&[(0, "a\nb\n"), (4, "c\n"), (6, "d\nhalf")]);
        let first = log.read_from(Cursor::default(), 100).unwrap();
        assert_eq!(first.lines, ["a", "b", "c", "d"]);
        assert_eq!(first.next, Cursor { generation: 6, offset: 2 });
        assert_eq!(log.read_from(first.next, 0).unwrap().lines, Vec::<String>::new());
        fs::write(folder.path().join(files::log_name(6)), "d\nhalf\ne\n").unwrap();
        assert_eq!(log.read_from(first.next, 0).unwrap().lines, ["half", "e"]);

        fs::remove_file(folder.path().join(files::log_name(0))).unwrap();
        let late = log.read_from(Cursor { generation: 0, offset: 2 }, 0).unwrap();
        assert_eq!((late.skipped, late.lines[0].as_str()), (2, "c"));
        // Somebody deleted the log, and it began anew.
        let anew = log.read_from(Cursor { generation: 900, offset: 7 }, 0).unwrap();
        assert_eq!((anew.skipped, anew.lines[0].as_str()), (0, "c"));
        // Nobody was ever there.
        let far = Cursor { generation: u64::MAX, offset: u64::MAX };
        assert_eq!(log.read_from(far, 0).unwrap().lines[0], "c");
        // Somebody emptied the file.
        let cut = log.read_from(Cursor { generation: 6, offset: 5000 }, 0).unwrap();
        assert_eq!(cut.next.offset, 9);
    }

    #[test]
    fn the_output_of_a_run_begins_after_the_keepers_remark() {
        let text = "[adit] started /m as process 41\nshare\n[adit] exited with code 0\n\
                    [adit] started /m as process 42\nshare of 42\n";
        let (_folder, log) = log(&[(0, "old\n"), (4, text)]);
        let from = Cursor { generation: 4, offset: 2 };
        let start = |from, pid| log.start_of_run(from, pid).unwrap();
        assert_eq!(log.read_from(start(from, 42), 100).unwrap().lines, ["share of 42"]);
        let all = Cursor { generation: 4, offset: 0 };
        assert_eq!(log.read_from(start(all, 41), 9).unwrap().lines[0], "share");
        // A run that began before that place, or whose file is gone.
        assert_eq!(start(from, 4), from);
        let gone = Cursor { generation: 9, offset: 0 };
        assert_eq!(start(gone, 42), gone);
    }

    #[test]
    fn a_large_log_comes_in_portions_without_a_gap() {
        let text: String = (0..20_000).map(|n| format!("line number {n}\n")).collect();
        let (half, rest) = text.split_at(text.len() / 2);
        let cut = half.rfind('\n').unwrap() + 1;
        let start = cut as u64;
        let second = format!("{}{rest}", &half[cut..]);
        let (_folder, log) = log(&[(0, &half[..cut]), (start, &second)]);
        let (mut cursor, mut lines) = (Cursor::default(), Vec::new());
        loop {
            let chunk = log.read_from(cursor, 40_000).unwrap();
            if chunk.lines.is_empty() {
                break;
            }
            (cursor, _) = (chunk.next, lines.extend(chunk.lines));
        }
        assert_eq!(lines, text.lines().collect::<Vec<_>>());
        assert_eq!(cursor, log.end().unwrap());
    }
}
