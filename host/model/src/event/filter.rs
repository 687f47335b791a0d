//! Which events somebody wants to hear of.

use crate::{event::Event, name::MinerName};

/// Most entries of one list.
const ENTRIES: usize = 100;
/// Longest type, in bytes.
const TYPE_BYTES: usize = 64;

/// Which events somebody wants to hear of. The default is all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Types such as `miner.started`, or with a star at the end `miner.*`; empty: all.
    types: Vec<String>,
    /// Miners by name; empty: all events, also those about no miner.
    miners: Vec<String>,
}

/// A filter that no event can pass, or that is no filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadFilter {
    /// No type of event looks like that.
    #[error("{0:?} is no type of event: write it like miner.started, or miner.* for all of miners")]
    Type(String),
    /// No miner can have that name.
    #[error("{0:?} is no name of a miner")]
    Miner(String),
    /// A list is too long.
    #[error("name at most {ENTRIES} types and {ENTRIES} miners")]
    TooMany,
}

impl Filter {
    /// A filter for these types and miners; a `*` among either means all of them.
    ///
    /// # Errors
    /// [`BadFilter`] with the entry that makes no sense.
    pub fn new(
        types: impl IntoIterator<Item = String>,
        miners: impl IntoIterator<Item = String>,
    ) -> Result<Self, BadFilter> {
        let types = list(types, is_type, BadFilter::Type)?;
        let miners = list(miners, |name| MinerName::new(name).is_ok(), BadFilter::Miner)?;
        Ok(Self { types, miners })
    }

    /// Whether `event` is among those that are wanted.
    pub fn matches(&self, event: &Event) -> bool {
        let miner = self.miners.is_empty()
            || event.miner().is_some_and(|name| self.miners.iter().any(|it| it == name));
        miner && self.wants_type(&event.kind)
    }

    /// Whether events of type `kind` are among those that are wanted.
    pub fn wants_type(&self, kind: &str) -> bool {
        let fits = |wanted: &String| match wanted.strip_suffix('*') {
            Some(area) => kind.starts_with(area),
            None => kind == wanted,
        };
        self.types.is_empty() || self.types.iter().any(fits)
    }

    /// Whether the miner `name` is among those that are wanted.
    pub fn wants_miner(&self, name: &str) -> bool {
        self.miners.is_empty() || self.miners.iter().any(|it| it == name)
    }
}

/// The entries; none when one of them is a star.
fn list(
    entries: impl IntoIterator<Item = String>,
    is_good: impl Fn(&str) -> bool,
    bad: impl Fn(String) -> BadFilter,
) -> Result<Vec<String>, BadFilter> {
    let (mut list, mut all) = (Vec::new(), false);
    for entry in entries {
        if list.len() == ENTRIES {
            return Err(BadFilter::TooMany);
        }
        if entry == "*" {
            all = true;
        } else if is_good(&entry) {
            list.push(entry);
        } else {
            return Err(bad(entry.chars().take(TYPE_BYTES).collect()));
        }
    }
    if all {
        list.clear();
    }
    Ok(list)
}

/// `area.verb` or `area.*`.
fn is_type(text: &str) -> bool {
    let word = |it: &str| {
        let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-' || c == b'_';
        !it.is_empty() && it.bytes().all(plain)
    };
    let Some((area, verb)) = text.rsplit_once('.') else { return false };
    text.len() <= TYPE_BYTES && area.split('.').all(word) && (verb == "*" || word(verb))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn filter(types: &[&str], miners: &[&str]) -> Result<Filter, BadFilter> {
        let owned = |list: &[&str]| list.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        Filter::new(owned(types), owned(miners))
    }

    fn event(kind: &str, name: Option<&str>) -> Event {
        let data = json!({ "name": name });
        Event { id: 1, at: jiff::Timestamp::UNIX_EPOCH, kind: kind.to_owned(), data }
    }

    #[test]
    fn events_pass_by_type_and_by_miner() {
        let started = event("miner.started", Some("rig-1"));
        let driver = event("driver.loaded", None);
        for (types, miners, passes) in [
            (&[][..], &[][..], (true, true)),
            (&["*"], &["*"], (true, true)),
            (&["miner.started"], &[], (true, false)),
            (&["miner.stopped", "miner.*"], &[], (true, false)),
            (&["miner.start"], &[], (false, false)),
            (&["driver.*"], &[], (false, true)),
            (&["miner.started", "*"], &[], (true, true)),
            (&[], &["rig-1"], (true, false)),
            (&[], &["rig-2"], (false, false)),
            (&["driver.*"], &["rig-1"], (false, false)),
        ] {
            let filter = filter(types, miners).unwrap();
            let given = (filter.matches(&started), filter.matches(&driver));
            assert_eq!(given, passes, "{types:?} {miners:?}");
        }
    }

    #[test]
    fn what_no_event_can_match_is_refused() {
        for bad in ["", "miner", "Miner.started", "miner.", ".x", "m*.x", "miner.st*", "a b.c"] {
            assert_eq!(filter(&[bad], &[]), Err(BadFilter::Type(bad.to_owned())));
        }
        assert!(filter(&[&"a.".repeat(40)], &[]).is_err());
        assert_eq!(filter(&[], &["Rig 1"]), Err(BadFilter::Miner("Rig 1".to_owned())));
        assert_eq!(filter(&vec!["a.b"; ENTRIES + 1], &[]), Err(BadFilter::TooMany));
    }
}
