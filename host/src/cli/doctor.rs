//! `adit doctor`, `adit info`, `adit update`: how the rig is.

use serde::Deserialize;
use serde_json::Value;

use crate::{
    cli::{
        Common, Error,
        client::{self, Client},
        show,
    },
    miners::{Update, examine},
};
use adit_model::doctor::{Finding, Verdict, worst};

#[derive(Deserialize)]
struct Diagnosis {
    findings: Vec<Finding>,
}

/// Looks at the rig; without a host at the machine alone. `Err` with [`Error::Unwell`] when
/// something does not work.
pub(super) async fn doctor(common: &Common) -> Result<(), Error> {
    let (mut findings, hosted) = match Client::find(common) {
        Ok(client) => {
            let diagnosis: Diagnosis = client.post("/doctor").await?;
            (diagnosis.findings, true)
        }
        Err(Error::NoHost(home)) => (examine(&home), false),
        Err(error) => return Err(error),
    };
    if !hosted {
        let told = "no host runs here: drivers, programs and miners were not looked at";
        let host = Finding::bad("host", Verdict::Note, told, "run: adit up");
        findings.push(host.with_command("adit up"));
    }
    findings.sort_by_key(|it| std::cmp::Reverse(it.verdict));
    let verdict = worst(&findings);
    if common.json {
        show::json(&serde_json::json!({ "verdict": verdict, "findings": findings }));
    } else {
        for finding in &findings {
            tell(finding);
        }
    }
    if verdict == Verdict::Problem {
        let count = findings.iter().filter(|it| it.verdict == Verdict::Problem).count();
        return Err(Error::Unwell(count));
    }
    Ok(())
}

fn tell(finding: &Finding) {
    let word = show::verdict(finding.verdict);
    println!("{word}  {}: {}", show::plain(&finding.id), show::plain(&finding.told));
    if let Some(fix) = &finding.fix {
        println!("         {}", show::plain(fix));
    }
}

/// Shows what the host says of itself and of its machine.
pub(super) async fn info(common: &Common) -> Result<(), Error> {
    let info: Value = Client::find(common)?.get("/info").await?;
    if common.json {
        show::json(&info);
        return Ok(());
    }
    let text = |key: &str| match &info[key] {
        Value::String(text) => show::plain(text),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    };
    println!(
        "adit {} on {}, {} {}",
        text("version"),
        text("worker"),
        text("os"),
        text("architecture")
    );
    println!(
        "{} processors, {} GiB of memory",
        text("available_cpu_cores"),
        text("total_system_ram_gb")
    );
    let rows: Vec<_> = info["installed_miners_info"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|it| {
            let text = |key: &str| it[key].as_str().filter(|it| !it.is_empty()).unwrap_or("-");
            let is_installed = it["is_installed"] == true;
            let state = if is_installed { "installed" } else { "not installed" };
            let [miner_type, version, program] =
                ["miner_type", "version", "miner_binary"].map(|key| text(key).to_owned());
            [miner_type, state.to_owned(), version, program]
        })
        .collect();
    show::table(["TYPE", "STATE", "VERSION", "PROGRAM"], &rows);
    Ok(())
}

#[derive(Deserialize)]
struct Updates {
    checked: Vec<Update>,
}

/// Shows which installed programs have newer releases.
pub(super) async fn update(common: &Common) -> Result<(), Error> {
    let answer: Value = Client::find(common)?.post("/update").await?;
    if common.json {
        show::json(&answer);
        return Ok(());
    }
    let Updates { checked } =
        serde_json::from_value(answer).map_err(|error| client::not_understood(&error))?;
    if checked.is_empty() {
        println!("no program was installed from a release page");
        return Ok(());
    }
    let rows: Vec<_> = checked
        .into_iter()
        .map(|it| {
            let what = match (&it.problem, it.available) {
                (Some(problem), _) => problem.clone(),
                (None, true) => format!("adit install {}", it.miner_type),
                (None, false) => "up to date".to_owned(),
            };
            let newest = it.newest.unwrap_or_else(|| "-".to_owned());
            [it.miner_type.to_string(), it.installed, newest, what]
        })
        .collect();
    show::table(["TYPE", "INSTALLED", "NEWEST", "TO DO"], &rows);
    Ok(())
}
