//! `adit driver add` and `remove`: files in the host's own folder of drivers.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::cli::{
    Common, Error,
    client::{Client, home},
    show,
};
use adit_core::files;
use adit_drivers::{definition::is_definition, inspect::inspect, trust::Owner};
use adit_model::name::DriverId;

/// How long a running host may take to list what was added.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(200);

/// What files of drivers are called after their last dot.
const LIBRARY: &str = "so";
const DEFINITION: &str = "toml";

/// Copies `file` into the folder under the driver's id, if it could be loaded.
pub(super) async fn add(common: &Common, file: &Path) -> Result<(), Error> {
    let folder = own_folder(common)?;
    let extension = if is_definition(file) { DEFINITION } else { LIBRARY };
    let part = folder.join(format!(".{}.{extension}", std::process::id()));
    let added = copy(file, &part).and_then(|()| put_in_place(file, &part, &folder));
    if added.is_err() {
        // There may be nothing.
        fs::remove_file(&part).ok();
    }
    let (path, sha256) = added?;
    let listed = match Client::find(common) {
        Ok(client) => Some(wait(&client, &path, &sha256).await?),
        Err(Error::NoHost(_)) => None,
        Err(error) => return Err(error),
    };
    if common.json {
        show::json(&json!({ "path": path, "sha256": sha256, "driver": listed }));
        return Ok(());
    }
    println!("{}", show::plain(&path.display().to_string()));
    match listed {
        None => println!("no host runs; the next one finds it"),
        Some(entry) => {
            let state = entry["state"].as_str().unwrap_or("-");
            let reason = entry["reason"].as_str().map(|it| format!(": {it}")).unwrap_or_default();
            println!("{}", show::plain(&format!("{state}{reason}")));
        }
    }
    Ok(())
}

/// Deletes the files of an added driver: the library and the definition, where both were added.
pub(super) async fn remove(common: &Common, id: &str) -> Result<(), Error> {
    let folder = own_folder(common)?;
    let id = DriverId::new(id).map_err(|error| Error::message(error.to_string()))?;
    let mut deleted = Vec::new();
    for extension in [LIBRARY, DEFINITION] {
        let path = folder.join(format!("{id}.{extension}"));
        match fs::remove_file(&path) {
            Ok(()) => deleted.push(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed("delete", &path, &error)),
        }
    }
    if deleted.is_empty() {
        return Err(Error::message(elsewhere(common, &id, &folder).await));
    }
    if common.json {
        show::json(&json!({ "paths": deleted, "status": "removed" }));
    } else {
        println!("{id} is removed; its miners run on without a driver");
    }
    Ok(())
}

fn own_folder(common: &Common) -> Result<PathBuf, Error> {
    if common.url.is_some() {
        let told = "files of drivers are added and removed on the machine of their host only";
        return Err(Error::message(told));
    }
    Ok(home(common).drivers())
}

fn failed(what: &str, path: &Path, error: &io::Error) -> Error {
    Error::message(format!("cannot {what} {}: {error}", path.display()))
}

/// A name that begins with a dot is no driver for the host yet.
fn copy(file: &Path, part: &Path) -> Result<(), Error> {
    let mut source = files::open(file).map_err(|error| failed("read", file, &error))?;
    let cannot = |error: io::Error| failed("write", part, &error);
    if let Some(folder) = part.parent() {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|error| failed("make", folder, &error))?;
    }
    let mut options = fs::OpenOptions::new();
    let opened = options.write(true).create(true).truncate(true).mode(0o600).open(part);
    let mut copy = opened.map_err(cannot)?;
    io::copy(&mut source, &mut copy).map_err(cannot)?;
    copy.sync_all().map_err(cannot)
}

fn put_in_place(file: &Path, part: &Path, folder: &Path) -> Result<(PathBuf, String), Error> {
    let report = inspect(part, Owner::current());
    if let Some(problem) = report.problems.first() {
        return Err(Error::message(format!("{} is not added: {problem}", file.display())));
    }
    let id = report.manifest.map(|manifest| manifest.id).unwrap_or_default();
    let path = folder.join(id).with_extension(part.extension().unwrap_or_default());
    fs::rename(part, &path).map_err(|error| failed("write", &path, &error))?;
    Ok((path, report.sha256.unwrap_or_default()))
}

/// What the running host makes of the file.
async fn wait(client: &Client, path: &Path, sha256: &str) -> Result<Value, Error> {
    let began = Instant::now();
    loop {
        let listed: Vec<Value> = client.get("/drivers").await?;
        let is_it = |it: &Value| it["path"] == json!(path) && it["sha256"] == sha256;
        if let Some(entry) = listed.into_iter().find(is_it) {
            return Ok(entry);
        }
        if began.elapsed() > PATIENCE {
            let path = path.display();
            return Err(Error::message(format!("{path} is there, but the host does not list it")));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Where the driver's file is instead.
async fn elsewhere(common: &Common, id: &DriverId, folder: &Path) -> String {
    let listed = match Client::find(common) {
        Ok(client) => client.get::<Vec<Value>>("/drivers").await.unwrap_or_default(),
        Err(_) => Vec::new(),
    };
    let other = listed.iter().find(|it| it["id"] == id.as_str()).and_then(|it| it["path"].as_str());
    match other {
        Some(other) => format!(
            "{id} was not added with `adit driver add`: its file is {other}; delete that one \
             yourself if it is yours"
        ),
        None => {
            format!("there is no {id}.{LIBRARY} and no {id}.{DEFINITION} in {}", folder.display())
        }
    }
}
