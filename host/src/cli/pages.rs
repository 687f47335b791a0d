//! `adit completions` and `adit man`: what shells and readers of manuals want, made of the commands
//! themselves.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use clap::{Args, CommandFactory};
use clap_complete::Shell;
use serde_json::json;

use crate::cli::{Cli, Common, Error, show};

#[derive(Args)]
pub(super) struct Completions {
    /// bash, zsh, fish, elvish or powershell
    shell: Shell,
}

#[derive(Args)]
pub(super) struct Man {
    /// Folder to write to; it is made if need be
    dir: PathBuf,
}

/// Prints the script that completes commands in a shell.
pub(super) fn completions(which: &Completions) -> Result<(), Error> {
    let mut script = Vec::new();
    clap_complete::generate(which.shell, &mut Cli::command(), "adit", &mut script);
    std::io::stdout()
        .write_all(&script)
        .map_err(|error| Error::message(format!("cannot write the script: {error}")))
}

/// Writes a page for every command.
pub(super) fn man(common: &Common, man: &Man) -> Result<(), Error> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let count = write(&man.dir, &command, &["adit"]).map_err(|error| {
        Error::message(format!("cannot write to {}: {error}", man.dir.display()))
    })?;
    if common.json {
        show::json(&json!({ "pages": count, "folder": man.dir }));
    } else {
        println!("{count} pages in {}", man.dir.display());
    }
    Ok(())
}

/// Writes the page of the command that `words` call and those of what is below it; returns how many.
fn write(dir: &Path, command: &clap::Command, words: &[&str]) -> std::io::Result<usize> {
    fs::create_dir_all(dir)?;
    let mut page = Vec::new();
    let name = words.join("-");
    let shown: &'static str = name.clone().leak();
    clap_mangen::Man::new(command.clone().name(shown).bin_name(words.join(" ")))
        .render(&mut page)?;
    fs::write(dir.join(format!("{name}.1")), page)?;
    let mut count = 1;
    for below in command.get_subcommands().filter(|it| !it.is_hide_set()) {
        count += write(dir, below, &[words, &[below.get_name()]].concat())?;
    }
    Ok(count)
}
