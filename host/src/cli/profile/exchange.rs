//! `adit profile export` and `import`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::{
    cli::{Common, Error, client::Client, input, show},
    miners::{Document, Fates, Imported},
};

#[derive(Args)]
pub(in crate::cli) struct Export {
    /// Print TOML
    #[arg(long, conflicts_with = "json")]
    toml: bool,
}

#[derive(Args)]
pub(in crate::cli) struct Import {
    /// The document, TOML or JSON; - reads it from stdin
    file: PathBuf,
    /// What to do with what is here already and differs
    #[arg(long, value_enum, default_value_t)]
    conflicts: Choice,
    /// Only tell what would be done
    #[arg(long)]
    dry_run: bool,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum Choice {
    /// Import nothing at all
    #[default]
    Refuse,
    /// Leave what is here
    Skip,
    /// Change what is here
    Replace,
}

pub(super) async fn export(common: &Common, client: &Client, export: &Export) -> Result<(), Error> {
    let document: Document = client.get("/profiles/export").await?;
    if common.json || !export.toml {
        show::json(&document);
        return Ok(());
    }
    let text = document.to_toml().map_err(Error::Message)?;
    text.lines().for_each(|line| println!("{}", show::plain(line)));
    Ok(())
}

pub(super) async fn import(common: &Common, client: &Client, import: &Import) -> Result<(), Error> {
    let shown = import.file.display();
    let text = input::read(&import.file)?;
    let body = if text.trim_start().starts_with('{') {
        serde_json::from_str(&text)
            .map_err(|error| Error::message(format!("{shown} is no JSON: {error}")))?
    } else {
        serde_json::json!({ "toml": text })
    };
    let conflicts = import.conflicts.to_possible_value();
    let conflicts = conflicts.map(|it| it.get_name().to_owned()).unwrap_or_default();
    let path = format!("/profiles/import?conflicts={conflicts}&dryRun={}", import.dry_run);
    let body: Value = body;
    let done: Imported = client.post_json(&path, &body).await?;
    if common.json {
        show::json(&done);
        return Ok(());
    }
    if done.dry_run {
        println!("nothing was changed; this would be:");
    }
    let mut rows = Vec::new();
    for (kind, fates) in
        [("wallet", &done.wallets), ("pool", &done.pools), ("profile", &done.profiles)]
    {
        let Fates { created, replaced, skipped, unchanged } = fates;
        for (fate, names) in [
            ("created", created),
            ("replaced", replaced),
            ("skipped", skipped),
            ("unchanged", unchanged),
        ] {
            rows.extend(names.iter().map(|it| [kind.to_owned(), it.clone(), fate.to_owned()]));
        }
    }
    show::table(["KIND", "NAME", "WHAT"], &rows);
    Ok(())
}
