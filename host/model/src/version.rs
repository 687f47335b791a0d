//! Versions of programs: which one is newer, and whether two names mean the same.

/// Whether version `one` comes after `other`: number by number, and what is no number as text.
pub fn is_newer(one: &str, other: &str) -> bool {
    let parts = |version: &str| -> Vec<(u64, String)> {
        let parts = version.split(['.', '-', '+', '_']);
        parts.map(|part| (part.parse().unwrap_or(0), part.to_owned())).collect()
    };
    let (one, other) = (parts(one), parts(other));
    for pair in one.iter().zip(&other) {
        let ((a, a_text), (b, b_text)) = pair;
        if (a, a_text.trim_start_matches('0')) != (b, b_text.trim_start_matches('0')) {
            return (a, a_text) > (b, b_text);
        }
    }
    // A part after a common beginning: a number comes later, as in 1.2.1; a word before, as in
    // 1.2-rc1.
    let numeric = |rest: &[(u64, String)]| {
        rest.first().is_some_and(|(_, text)| text.bytes().all(|it| it.is_ascii_digit()))
    };
    match one.len().cmp(&other.len()) {
        std::cmp::Ordering::Greater => numeric(&one[other.len()..]),
        std::cmp::Ordering::Less => !numeric(&other[one.len()..]),
        std::cmp::Ordering::Equal => false,
    }
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
