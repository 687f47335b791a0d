//! Commands on stdin: single bytes that need no newline, and one line command.

use std::{io::Read, process::ExitCode};

use crate::{report, rig::Rig};

/// What is kept of a line; the rest of a longer one is dropped.
const LINE_MAX: usize = 64 * 1024;

/// Something typed.
#[derive(Debug, PartialEq, Eq)]
enum Command {
    Speed,
    Pause,
    Resume,
    Results,
    Connection,
    Quit,
    Echo(Vec<u8>),
}

/// Reads commands from bytes as they come.
#[derive(Debug, Default)]
struct Reader {
    // The line that began with an `e`: only it needs its newline.
    line: Option<Vec<u8>>,
}

impl Reader {
    fn push(&mut self, byte: u8) -> Option<Command> {
        let is_line_end = matches!(byte, b'\n' | b'\r');
        if let Some(mut line) = self.line.take() {
            if is_line_end {
                return line.strip_prefix(b"echo ").map(|text| Command::Echo(text.to_vec()));
            }
            if line.len() < LINE_MAX {
                line.push(byte);
            }
            self.line = Some(line);
            return None;
        }
        match byte.to_ascii_lowercase() {
            b'h' => Some(Command::Speed),
            b'p' => Some(Command::Pause),
            b'r' => Some(Command::Resume),
            b's' => Some(Command::Results),
            b'c' => Some(Command::Connection),
            b'q' => Some(Command::Quit),
            b'e' => {
                self.line = Some(vec![b'e']);
                None
            }
            _ => None,
        }
    }
}

/// Takes commands until the end of `input`, which changes nothing else.
pub(crate) fn serve(rig: &Rig, mut input: impl Read) {
    let mut reader = Reader::default();
    let mut buffer = [0; 1024];
    loop {
        let count = match input.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            // A terminal that is gone reads as an error: the end as well.
            Err(_) => return,
        };
        for byte in &buffer[..count] {
            let Some(command) = reader.push(*byte) else { continue };
            rig.stay_if_frozen();
            obey(rig, &command);
        }
    }
}

fn obey(rig: &Rig, command: &Command) {
    match command {
        Command::Speed => rig.say("miner", report::speed),
        Command::Results => rig.say("miner", report::results),
        Command::Connection => rig.say("net", report::connection),
        Command::Pause => rig.set_paused(true),
        Command::Resume => rig.set_paused(false),
        Command::Quit => rig.end("q on stdin", ExitCode::SUCCESS),
        Command::Echo(text) => rig.output.bytes(&[text, b"\n".as_slice()].concat()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(bytes: &[u8]) -> Vec<Command> {
        let mut reader = Reader::default();
        bytes.iter().filter_map(|byte| reader.push(*byte)).collect()
    }

    #[test]
    fn commands_come_as_bytes_and_as_lines() {
        use Command::*;
        let echo = |text: &[u8]| Echo(text.to_vec());
        for (bytes, expected) in [
            (b"h".as_slice(), vec![Speed]),
            (b"hpr\nS\r\nc x\0q", vec![Speed, Pause, Resume, Results, Connection, Quit]),
            (b"echo hpq\nh", vec![echo(b"hpq"), Speed]),
            (b"echo \xff\x1b[0m\r\n", vec![echo(b"\xff\x1b[0m")]),
            (b"echoes\nq", vec![Quit]),
            (b"echo", vec![]),
            (b"", vec![]),
        ] {
            assert_eq!(typed(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn a_line_without_end_takes_bounded_memory() {
        let mut bytes = b"echo ".to_vec();
        bytes.resize(LINE_MAX * 3, b'x');
        bytes.push(b'\n');
        let Some(Command::Echo(text)) = typed(&bytes).pop() else { panic!("no echo") };
        assert_eq!(text.len(), LINE_MAX - 5);
    }
}
