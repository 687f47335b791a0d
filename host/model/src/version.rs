//! Versions of programs: which one is newer, and whether two names mean the same.

use std::cmp::Ordering;

/// Words that mark a version before the one that they are attached to, as `rc` in `1.2rc1`.
const EARLY: [&str; 7] = ["alpha", "beta", "dev", "nightly", "pre", "preview", "rc"];

/// Whether version `one` comes after `other`. Numbers are compared as numbers and words as text. As
/// in semantic versioning a word after a hyphen (`1.2-rc1`) comes before the version without it, and
/// what follows a plus sign does not count. A word attached to a number comes later (`1.52a` after
/// `1.52`), unless it names a release before the final one (`1.2rc1`).
pub fn is_newer(one: &str, other: &str) -> bool {
    let (one, other) = (parts(one), parts(other));
    for at in 0..one.len().max(other.len()) {
        let (a, b) = (one.get(at).unwrap_or(&Part::End), other.get(at).unwrap_or(&Part::End));
        match a.cmp(b) {
            Ordering::Equal => {}
            order => return order == Ordering::Greater,
        }
    }
    false
}

/// A part of a version, earliest kind first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Early(String),
    End,
    Late(String),
    /// How many digits, and the digits, without leading zeros.
    Number(usize, String),
}

fn parts(version: &str) -> Vec<Part> {
    let version = version.split('+').next().unwrap_or_default().to_ascii_lowercase();
    let version = version.strip_prefix('v').unwrap_or(&version);
    let mut parts = Vec::new();
    let mut rest = version;
    while let Some(first) = rest.chars().next() {
        let alike =
            |c: char| c.is_ascii_alphanumeric() && c.is_ascii_digit() == first.is_ascii_digit();
        let length = rest.find(|c| !alike(c)).unwrap_or(rest.len()).max(first.len_utf8());
        let (part, after) = rest.split_at(length);
        let is_attached = !version[..version.len() - rest.len()].ends_with(['-', '_']);
        if first.is_ascii_digit() {
            let digits = part.trim_start_matches('0');
            parts.push(Part::Number(digits.len(), digits.to_owned()));
        } else if first.is_ascii_alphabetic() {
            let is_late = is_attached && !EARLY.contains(&part);
            parts.push(if is_late {
                Part::Late(part.to_owned())
            } else {
                Part::Early(part.to_owned())
            });
        }
        rest = after;
    }
    parts
}

/// The newest of `versions`.
pub fn newest<'a>(versions: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    versions.into_iter().reduce(|best, it| if is_newer(it, best) { it } else { best })
}

/// Whether a program that reports `reported` can be that of the release `release`. Programs may
/// leave out or add something at the end (`6.26` or `6.26.0-cuda12` of 6.26.0), and write
/// `beta.5` for `beta5`; where both say something, it must be the same.
pub fn is_same(reported: &str, release: &str) -> bool {
    let (one, other) = (words(reported), words(release));
    !one.is_empty() && one.iter().zip(&other).all(|(one, other)| one == other)
}

/// The runs of digits and those of letters, without leading zeros and a `v`.
fn words(version: &str) -> Vec<String> {
    let version = version.to_ascii_lowercase();
    let version = version.strip_prefix('v').unwrap_or(&version);
    let mut words: Vec<String> = Vec::new();
    let mut kind = None;
    for letter in version.chars() {
        let found = letter.is_ascii_alphanumeric().then(|| letter.is_ascii_digit());
        match (found, words.last_mut()) {
            (Some(_), Some(word)) if found == kind => word.push(letter),
            (Some(_), _) => words.push(letter.to_string()),
            (None, _) => {}
        }
        kind = found;
    }
    let plain = |word: String| match word.trim_start_matches('0') {
        "" => "0".to_owned(),
        word => word.to_owned(),
    };
    words.into_iter().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_number_by_number() {
        for (one, other, newer) in [
            ("6.26.0", "6.25.0", true),
            ("6.25.0", "6.26.0", false),
            ("6.26.0", "6.26.0", false),
            ("6.10.0", "6.9.0", true),
            ("10.0", "9.9.9", true),
            ("2024.3.2", "2024.2.9", true),
            ("6.26.1", "6.26", true),
            ("6.26", "6.26.1", false),
            ("6.26.0", "6.26.0-rc1", true),
            ("6.26.0-rc1", "6.26.0", false),
            ("6.26.0-rc2", "6.26.0-rc1", true),
            ("6.026.0", "6.26.0", false),
            ("6.26.0-rc10", "6.26.0-rc9", true),
            ("6.26.0-rc9", "6.26.0-rc10", false),
            ("6.26.0rc1", "6.26.0", false),
            ("2024.3.3-beta.10", "2024.3.3-beta9", true),
            ("6.26.0+build1", "6.26.0", false),
            ("6.26.0", "6.26.0+build1", false),
            ("v6.26.1", "6.26.0", true),
            ("6.25.0", "v6.26.0", false),
            ("1.52a", "1.52", true),
            ("1.52a", "1.51", true),
            ("1.52b", "1.52a", true),
            ("1.53", "1.52a", true),
            ("99999999999999999999999", "9999999999999999999999", true),
            ("6.26.0-\u{e9}", "6.26.0", false),
        ] {
            assert_eq!(is_newer(one, other), newer, "{one} after {other}");
        }
        assert_eq!(newest(["1.9", "1.10", "1.2"]), Some("1.10"));
        assert_eq!(newest([]), None);
    }

    #[test]
    fn a_reported_version_is_that_of_the_release_or_another() {
        for (reported, release, same) in [
            ("6.26.0", "6.26.0", true),
            ("v6.26.0", "6.26.0", true),
            ("6.26", "6.26.0", true),
            ("6.26.0-cuda12", "6.26.0", true),
            ("2024.3.3-beta.5", "2024.3.3-beta5", true),
            ("6.27.0", "6.28.5", false),
            ("6.2", "6.26.0", false),
            ("2024.3.3-beta.4", "2024.3.3-beta5", false),
            ("1.2.1", "1.2-rc1", false),
            ("", "6.26.0", false),
        ] {
            assert_eq!(is_same(reported, release), same, "{reported} of {release}");
        }
    }
}
