//! What is told to drivers of the machine. Everything comes from files that the kernel shows.

use std::{collections::BTreeMap, fs};

use adit_plugin_api::Value;

/// Where the kernel module of NVIDIA's driver tells its version.
const NVIDIA: &str = "/sys/module/nvidia/version";

/// What is known now.
pub(crate) fn of_machine() -> BTreeMap<String, Value> {
    let nvidia = fs::read_to_string(NVIDIA).ok().and_then(|text| version(&text));
    nvidia.map(|version| ("nvidiaDriver".to_owned(), version.into())).into_iter().collect()
}

fn version(text: &str) -> Option<String> {
    let text = text.trim();
    let is_version = |byte: u8| byte.is_ascii_digit() || byte == b'.';
    ((1..=32).contains(&text.len()) && text.bytes().all(is_version)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_version_is_a_version() {
        assert_eq!(version("550.54.14\n").as_deref(), Some("550.54.14"));
        for other in ["", "\n", "none", "550 beta", &"5".repeat(33)] {
            assert_eq!(version(other), None, "{other}");
        }
    }
}
