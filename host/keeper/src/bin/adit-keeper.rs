//! The keeper alone: what `adit keeper` does, in a binary that costs a fraction of the memory.

use std::{path::Path, process::ExitCode};

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    match (args.next(), args.next()) {
        (Some(word), Some(dir)) if word == "keeper" => adit_keeper::keeper::main(Path::new(&dir)),
        (Some(word), None) if word == "--version" => adit_keeper::keeper::tell_version(),
        _ => adit_keeper::keeper::tell_usage(),
    }
}
