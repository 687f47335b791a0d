//! What the operator can set about those who are told of events.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use serde::Deserialize;

use crate::miners::{SecretPlace, WebhookSecret, WebhookSettings as Own};
use adit_model::event::Filter;

/// Receivers at most.
const MOST: usize = 32;
/// Longest name, in bytes.
const NAME_BYTES: usize = 64;

/// One receiver of events.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSettings {
    /// Its name, for lists and commands.
    pub name: String,
    /// Address that events are sent to.
    pub url: String,
    /// What deliveries are signed with: `whsec_` and Base64, or any text of 24 bytes and more.
    #[serde(default)]
    pub secret: Option<WebhookSecret>,
    /// File with that secret, in place of `secret`.
    #[serde(default)]
    pub secret_file: Option<PathBuf>,
    /// Types of events, such as `miner.stopped`, or `watchdog.*` for a whole area.
    pub types: Vec<String>,
    /// Events of these miners only; empty: of all, and those about no miner.
    #[serde(default)]
    pub miners: Vec<String>,
    /// Longest that one attempt may take, in milliseconds.
    #[serde(default = "timeout_ms")]
    pub timeout_ms: u64,
    /// Events that may wait for the receiver.
    #[serde(default = "queue")]
    pub queue: usize,
}

fn timeout_ms() -> u64 {
    10_000
}

fn queue() -> usize {
    1_000
}

/// What is wrong, and what to write instead.
pub(super) fn check(all: &[WebhookSettings]) -> Result<(), String> {
    if all.len() > MOST {
        return Err(format!("webhooks: write at most {MOST}"));
    }
    let mut names = BTreeSet::new();
    for webhook in all {
        webhook.check()?;
        if !names.insert(&webhook.name) {
            return Err(format!("webhooks: two of them are called {:?}", webhook.name));
        }
    }
    Ok(())
}

impl WebhookSettings {
    fn check(&self) -> Result<(), String> {
        let name = &self.name;
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || name.len() > NAME_BYTES || !name.chars().all(plain) {
            return Err(format!("webhooks: the name {name:?}: write letters, digits, - _ and ."));
        }
        let wrong = |what: String| Err(format!("webhooks.{name}.{what}"));
        let url = reqwest::Url::parse(&self.url).ok();
        let Some(url) = url.filter(|it| matches!(it.scheme(), "http" | "https")) else {
            return wrong("url: write it like https://example.org/hooks/adit".to_owned());
        };
        if !url.username().is_empty() || url.password().is_some() {
            return wrong("url: write no user or password into it".to_owned());
        }
        if self.secret.is_some() && self.secret_file.is_some() {
            return wrong("secret_file: write this or secret, not both".to_owned());
        }
        if let Some(Err(error)) = self.secret.as_ref().map(WebhookSecret::check) {
            return wrong(format!("secret: {error}"));
        }
        if self.secret_file.as_ref().is_some_and(|path| !path.is_absolute()) {
            return wrong("secret_file: write an absolute path".to_owned());
        }
        if self.types.is_empty() {
            return wrong(
                "types: name some, such as [\"miner.stopped\", \"watchdog.*\"]".to_owned(),
            );
        }
        if let Err(error) = self.filter() {
            return wrong(format!("types, miners: {error}"));
        }
        if !(100..=25_000).contains(&self.timeout_ms) {
            return wrong(format!("timeout_ms {}: write 100 to 25000", self.timeout_ms));
        }
        if !(1..=100_000).contains(&self.queue) {
            return wrong(format!("queue {}: write 1 to 100000", self.queue));
        }
        Ok(())
    }

    fn filter(&self) -> Result<Filter, adit_model::event::BadFilter> {
        Filter::new(self.types.clone(), self.miners.clone())
    }

    /// The same for those who send, once it is checked.
    pub fn for_miners(&self) -> Own {
        let here = self.secret.clone().map(SecretPlace::Here);
        Own {
            name: self.name.clone(),
            url: self.url.clone(),
            secret: here.or_else(|| self.secret_file.clone().map(SecretPlace::File)),
            filter: self.filter().unwrap_or_default(),
            types: self.types.clone(),
            miners: self.miners.clone(),
            timeout: Duration::from_millis(self.timeout_ms),
            queue: self.queue,
            first_pause: Duration::from_secs(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct File {
        webhooks: Vec<WebhookSettings>,
    }

    fn check_text(text: &str) -> Result<(), String> {
        let whole = format!("[[webhooks]]\n{text}");
        check(&toml::from_str::<File>(&whole).map_err(|error| error.to_string())?.webhooks)
    }

    #[test]
    fn what_cannot_work_is_refused() {
        let good = "name = 'a'\nurl = 'https://b/c'\ntypes = ['miner.*']\n";
        check_text(good).unwrap();
        check_text(&format!("{good}secret = 'a sentence that nobody guesses'")).unwrap();
        for (text, expected) in [
            ("url = 'https://b/c'\ntypes = ['miner.*']".to_owned(), "missing field `name`"),
            (good.replace("'a'", "'a b'"), "write letters"),
            (good.replace("https://b/c", "b/c"), "webhooks.a.url: write it like"),
            (good.replace("https://b/c", "ftp://b/c"), "write it like"),
            (good.replace("https://b/c", "https://u:p@b/c"), "no user or password"),
            (good.replace("'miner.*'", ""), "types: name some"),
            (good.replace("miner.*", "Miner"), "is no type of event"),
            (format!("{good}miners = ['A B']"), "is no name of a miner"),
            (format!("{good}secret = 'short'"), "at least 24"),
            (format!("{good}secret_file = 'here'"), "absolute path"),
            (format!("{good}secret = 's'\nsecret_file = '/s'"), "not both"),
            (format!("{good}timeout_ms = 1"), "write 100 to 25000"),
            (format!("{good}queue = 0"), "write 1 to 100000"),
            (format!("{good}colour = 1"), "unknown field `colour`"),
            (format!("{good}[[webhooks]]\n{good}"), "two of them"),
        ] {
            let error = check_text(&text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn a_secret_is_not_shown_with_the_settings() {
        let text = "name = 'a'\nurl = 'u'\ntypes = []\nsecret = 'a sentence that nobody guesses'";
        let settings: WebhookSettings = toml::from_str(text).unwrap();
        assert!(!format!("{settings:?}").contains("nobody"));
    }
}
