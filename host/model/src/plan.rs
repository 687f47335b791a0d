//! What a driver's plan may and may not do, and how it is shown without its secrets.

use std::path::{Component, Path};

use adit_plugin_api::{CommandStep, DevicePlan, Launch, ProcessPlan};
use serde::Serialize;

use crate::mask::Mask;

/// Files in one plan.
const FILES: usize = 64;
/// Bytes of all files in one plan.
const FILE_BYTES: usize = 4 << 20;
/// What stands in the place of a secret.
pub const MASK: &str = "***";

/// A plan that the host refuses to carry out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPlan {
    /// The program is not the driver's own.
    #[error("the driver's plan runs {program}, which is not inside its installed folder {allowed}")]
    Program {
        /// What the plan names.
        program: String,
        /// What it may name.
        allowed: String,
    },
    /// A file would be written outside the run's folder.
    #[error("the driver's plan writes {path:?}: only paths inside the run's folder are allowed")]
    File {
        /// The path.
        path: String,
    },
    /// There are too many or too large files.
    #[error("the driver's plan writes more than {FILES} files or {FILE_BYTES} bytes")]
    Size,
    /// A variable changes how programs are loaded, or cannot be a variable.
    #[error("the driver's plan sets the environment variable {name:?}, which is not allowed")]
    Variable {
        /// Its name.
        name: String,
    },
    /// A text holds a NUL byte.
    #[error("the driver's plan has a NUL byte in its program, arguments or environment")]
    Nul,
    /// A plan for a device does something that it must not.
    #[error("the driver's plan for a device {0}")]
    Device(String),
    /// The driver has no program on this machine.
    #[error("the driver's plan runs a program, but none is installed")]
    NoProgram,
}

/// Checks a plan against the launch it was made for.
///
/// # Errors
/// What the plan does that it must not.
pub fn check(plan: &ProcessPlan, launch: &Launch) -> Result<(), BadPlan> {
    let allowed = &launch.program.as_ref().ok_or(BadPlan::NoProgram)?.dir;
    if !is_below(&plan.program, allowed) {
        return Err(BadPlan::Program {
            program: plan.program.display().to_string(),
            allowed: allowed.display().to_string(),
        });
    }
    let size: usize = plan.files.iter().map(|file| file.content.len()).sum();
    if plan.files.len() > FILES || size > FILE_BYTES {
        return Err(BadPlan::Size);
    }
    for file in &plan.files {
        let inside = file.path.components().all(|part| matches!(part, Component::Normal(_)));
        let usable = !file.path.as_os_str().is_empty() && !has_nul(&file.path.to_string_lossy());
        if !inside || !usable {
            return Err(BadPlan::File { path: file.path.display().to_string() });
        }
    }
    for name in plan.env.keys() {
        let loader = name.starts_with("LD_") || name.starts_with("DYLD_");
        if loader || name.is_empty() || name.contains('=') {
            return Err(BadPlan::Variable { name: name.clone() });
        }
    }
    let words = plan.args.iter().chain(plan.env.keys()).chain(plan.env.values());
    if words.into_iter().any(|word| has_nul(word)) || has_nul(&plan.program.to_string_lossy()) {
        return Err(BadPlan::Nul);
    }
    Ok(())
}

/// Whether `path` is `folder` or inside it, judged by its words only.
fn is_below(path: &Path, folder: &Path) -> bool {
    let plain = |it: &Component<'_>| matches!(it, Component::RootDir | Component::Normal(_));
    path.is_absolute() && path.components().all(|it| plain(&it)) && path.starts_with(folder)
}

fn has_nul(text: &str) -> bool {
    text.contains('\0')
}

/// A plan as people see it: every secret masked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanView {
    /// The program.
    pub program: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Environment on top of the host's own.
    pub env: std::collections::BTreeMap<String, String>,
    /// Files written before the start: path and content.
    pub files: std::collections::BTreeMap<String, String>,
    /// Working directory.
    pub cwd: String,
    /// `pty` or `pipes`.
    pub console: adit_plugin_api::Console,
    /// Whether it may write nowhere but in its own directories.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub confined: bool,
    /// Port of the program's own API.
    pub api_port: u16,
    /// The device that is asked, when there is no program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceView>,
}

/// A device of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeviceView {
    /// `host:port`, each.
    pub addresses: Vec<String>,
    /// What it is told at the start, as JSON.
    pub start: Vec<String>,
    /// What it is told at the end, as JSON.
    pub stop: Vec<String>,
}

/// Makes the view of a plan.
pub fn view(plan: &ProcessPlan, launch: &Launch) -> PlanView {
    let mut secrets = plan.secrets.clone();
    secrets.push(launch.api_token.clone());
    let masked = |text: &str| mask(text, &secrets);
    PlanView {
        program: plan.program.display().to_string(),
        args: plan.args.iter().map(|it| masked(it)).collect(),
        env: plan.env.iter().map(|(name, value)| (name.clone(), masked(value))).collect(),
        files: plan
            .files
            .iter()
            .map(|file| (file.path.display().to_string(), masked(&file.content)))
            .collect(),
        cwd: launch.run_dir.display().to_string(),
        console: plan.console,
        confined: plan.confined,
        api_port: launch.api_port,
        device: None,
    }
}

/// Makes the view of a plan for a device.
pub fn view_device(plan: &DevicePlan, launch: &Launch) -> PlanView {
    let shown = |steps: &[CommandStep]| {
        let text = |step| serde_json::to_string(step).unwrap_or_default();
        steps.iter().map(|step| mask(&text(step), &plan.secrets)).collect()
    };
    let (start, stop) = (shown(&plan.start), shown(&plan.stop));
    let device = DeviceView { addresses: plan.addresses.clone(), start, stop };
    PlanView {
        program: String::new(),
        api_port: 0,
        device: Some(device),
        ..view(&ProcessPlan::default(), launch)
    }
}

/// `text` with every secret masked.
pub fn mask(text: &str, secrets: &[String]) -> String {
    Mask::new(secrets.iter().map(String::as_str)).apply(text)
}

#[cfg(test)]
mod tests {
    use adit_plugin_api::{Installed, PlanFile};

    use super::*;

    fn launch() -> Launch {
        let program = Installed {
            version: None,
            dir: "/opt/programs/xmrig/6.26.0".into(),
            program: "/opt/programs/xmrig/6.26.0/xmrig".into(),
        };
        Launch { program: Some(program), run_dir: "/state/work".into(), ..Launch::default() }
    }

    fn plan() -> ProcessPlan {
        ProcessPlan { program: "/opt/programs/xmrig/6.26.0/xmrig".into(), ..ProcessPlan::default() }
    }

    #[test]
    fn a_plan_stays_inside_its_folders() {
        assert_eq!(check(&plan(), &launch()), Ok(()));
        for program in [
            "/bin/sh",
            "xmrig",
            "/opt/programs/xmrig/6.26.0/../../../../bin/sh",
            "/opt/programs/xmrig/6.26.00/xmrig",
            "",
        ] {
            let plan = ProcessPlan { program: program.into(), ..plan() };
            assert!(matches!(check(&plan, &launch()), Err(BadPlan::Program { .. })), "{program}");
        }
        for path in ["/etc/passwd", "../x", "a/../../x", "", ".", "a\0b"] {
            let file = PlanFile { path: path.into(), content: String::new() };
            let plan = ProcessPlan { files: vec![file], ..plan() };
            assert!(matches!(check(&plan, &launch()), Err(BadPlan::File { .. })), "{path:?}");
        }
        let file = PlanFile { path: "sub/config.json".into(), content: "{}".into() };
        assert_eq!(check(&ProcessPlan { files: vec![file], ..plan() }, &launch()), Ok(()));
    }

    #[test]
    fn a_plan_cannot_change_how_programs_are_loaded() {
        for name in ["LD_PRELOAD", "LD_LIBRARY_PATH", "DYLD_INSERT_LIBRARIES", "", "A=B"] {
            let env = [(name.to_owned(), "x".to_owned())].into();
            let plan = ProcessPlan { env, ..plan() };
            assert!(matches!(check(&plan, &launch()), Err(BadPlan::Variable { .. })), "{name}");
        }
        let plan = ProcessPlan { args: vec!["a\0b".to_owned()], ..plan() };
        assert_eq!(check(&plan, &launch()), Err(BadPlan::Nul));
    }

    #[test]
    fn a_plan_has_bounds() {
        let file = PlanFile { path: "x".into(), content: "x".repeat(FILE_BYTES + 1) };
        assert_eq!(
            check(&ProcessPlan { files: vec![file], ..plan() }, &launch()),
            Err(BadPlan::Size)
        );
        let files = vec![PlanFile { path: "x".into(), content: String::new() }; FILES + 1];
        assert_eq!(check(&ProcessPlan { files, ..plan() }, &launch()), Err(BadPlan::Size));
    }

    #[test]
    fn secrets_are_masked_wherever_they_stand() {
        let secrets = ["wallet-1".to_owned(), "wallet-1.rig".to_owned(), "x".to_owned()];
        for (text, expected) in [
            ("wallet-1", "***"),
            ("x", "***"),
            ("--user=wallet-1.rig", "--user=***"),
            ("next exit", "next exit"),
            ("{\"user\":\"wallet-1\"}", "{\"user\":\"***\"}"),
        ] {
            assert_eq!(mask(text, &secrets), expected);
        }
    }
}
