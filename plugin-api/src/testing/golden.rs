//! Golden files.

use std::{env, fs, path::Path};

use serde::Serialize;

/// How many lines of each side a difference shows.
const SHOWN: usize = 40;

/// How many equal lines stand before and after a difference.
const AROUND: usize = 3;

/// Compares `value` as indented JSON with the file `path`, relative to the package. With the
/// environment variable `UPDATE_GOLDEN=1` it writes the file instead.
///
/// # Panics
/// When they differ, with the difference; when the file cannot be read or written.
#[track_caller]
pub fn golden(path: impl AsRef<Path>, value: &impl Serialize) {
    let update = env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1");
    if let Err(reason) = check(path.as_ref(), value, update) {
        panic!("{reason}");
    }
}

fn check(path: &Path, value: &impl Serialize, update: bool) -> Result<(), String> {
    let shown = path.display();
    let actual = serde_json::to_string_pretty(value)
        .map_err(|error| format!("the value for {shown} cannot be written: {error}"))?;
    if update {
        let folder = path.parent().map_or(Ok(()), fs::create_dir_all);
        return folder
            .and_then(|()| fs::write(path, actual + "\n"))
            .map_err(|error| format!("cannot write {shown}: {error}"));
    }
    let expected = fs::read_to_string(path).map_err(|error| {
        format!("cannot read {shown}: {error}\nRun with UPDATE_GOLDEN=1 to write it.\n{actual}")
    })?;
    match difference(&expected, &actual) {
        None => Ok(()),
        Some(lines) => Err(format!(
            "{shown} differs: - is the file, + is the value\n{lines}\
             Run with UPDATE_GOLDEN=1 to take the value."
        )),
    }
}

/// The lines that differ between the first and the last difference, with some around them.
fn difference(expected: &str, actual: &str) -> Option<String> {
    let old: Vec<&str> = expected.lines().collect();
    let new: Vec<&str> = actual.lines().collect();
    if old == new {
        return None;
    }
    let same = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let rest = old[same..].iter().rev().zip(new[same..].iter().rev());
    let same_end = rest.take_while(|(old, new)| old == new).count();

    let mut shown = format!("line {}:\n", same + 1);
    let mut add = |mark: &str, lines: &[&str]| {
        for line in lines.iter().take(SHOWN) {
            shown.push_str(&format!("{mark} {line}\n"));
        }
        if lines.len() > SHOWN {
            shown.push_str(&format!("{mark} ... and {} lines more\n", lines.len() - SHOWN));
        }
    };
    add(" ", &old[same.saturating_sub(AROUND)..same]);
    add("-", &old[same..old.len() - same_end]);
    add("+", &new[same..new.len() - same_end]);
    let after = &old[old.len() - same_end..];
    add(" ", &after[..after.len().min(AROUND)]);
    Some(shown)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_file_is_written_once_and_compared_afterwards() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/plan.json");
        let value = json!({ "a": [1, 2], "b": "x" });

        let missing = check(&path, &value, false).unwrap_err();
        assert!(missing.contains("UPDATE_GOLDEN=1") && missing.contains("\"b\": \"x\""));
        check(&path, &value, true).unwrap();
        check(&path, &value, false).unwrap();

        let changed = check(&path, &json!({ "a": [1, 3], "b": "x" }), false).unwrap_err();
        assert!(changed.contains("\n-     2\n+     3\n    ],\n"), "{changed}");
        assert!(changed.contains("line 4:\n"), "{changed}");
    }

    #[test]
    fn differences_at_the_ends_and_of_length_are_seen() {
        assert_eq!(difference("a\n", "a"), None);
        for (old, new) in [("", "a"), ("a", ""), ("a\na", "a"), ("a", "a\na"), ("b\na", "c\na")] {
            assert!(difference(old, new).is_some(), "{old:?} {new:?}");
        }
    }

    #[test]
    fn a_long_difference_is_cut() {
        let long = "x\n".repeat(1000);
        let shown = difference("", &long).unwrap();
        assert!(shown.lines().count() < 50 && shown.contains("and 960 lines more"), "{shown}");
    }

    #[test]
    #[should_panic(expected = "cannot read no/such/file.json")]
    fn a_missing_file_panics_with_its_name() {
        golden("no/such/file.json", &1);
    }
}
