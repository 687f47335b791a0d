//! Profiles: saved configurations from which miners are started.

use std::{collections::BTreeSet, fmt};

use adit_plugin_api::Config;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser::SerializeStruct};
use serde_json::{Map, Value};

use crate::{
    name::{DriverId, MinerName, PoolName, WalletName},
    path::FieldPath,
    pool::BadField,
    restart::RestartPolicy,
    text::is_hidden,
    watchdog::limits::Options,
};

/// Longest name of a profile, in characters.
const LONGEST_NAME: usize = 100;
/// Tags of one profile.
const MOST_TAGS: usize = 32;
/// Longest tag, in characters.
const LONGEST_TAG: usize = 64;
/// Pools of one profile.
const MOST_POOLS: usize = 64;

/// Id of a profile: a UUID.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(transparent)]
pub struct ProfileId(uuid::Uuid);

impl ProfileId {
    /// A new one.
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4())
    }

    /// Reads one; `None`: that is no id.
    pub fn parse(text: &str) -> Option<Self> {
        uuid::Uuid::parse_str(text).ok().map(Self)
    }
}

impl fmt::Display for ProfileId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// A pool of a profile, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolChoice {
    /// The pool.
    pub pool: PoolName,
    /// The wallet that `${wallet}` stands for in the pool's user name; the pool's own when absent.
    pub wallet: Option<WalletName>,
    /// Further fields of the driver's entry for this pool.
    pub options: Map<String, Value>,
}

impl schemars::JsonSchema for PoolChoice {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PoolChoice".into()
    }

    fn json_schema(schemas: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let name = schemas.subschema_for::<PoolName>();
        let fields = schemas.subschema_for::<ChoiceFields>();
        schemars::json_schema!({ "anyOf": [name, fields] })
    }
}

/// Written as the pool's name alone where that says all.
impl Serialize for PoolChoice {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if self.wallet.is_none() && self.options.is_empty() {
            return self.pool.serialize(to);
        }
        let mut fields = to.serialize_struct("PoolChoice", 3)?;
        fields.serialize_field("pool", &self.pool)?;
        match &self.wallet {
            Some(wallet) => fields.serialize_field("wallet", wallet)?,
            None => fields.skip_field("wallet")?,
        }
        match self.options.is_empty() {
            true => fields.skip_field("options")?,
            false => fields.serialize_field("options", &self.options)?,
        }
        fields.end()
    }
}

impl<'de> Deserialize<'de> for PoolChoice {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ChoiceReader)
    }
}

struct ChoiceReader;

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct ChoiceFields {
    pool: PoolName,
    wallet: Option<WalletName>,
    #[serde(default)]
    options: Map<String, Value>,
}

impl<'de> de::Visitor<'de> for ChoiceReader {
    type Value = PoolChoice;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("the name of a pool, or an object with pool and wallet")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<PoolChoice, E> {
        let pool = PoolName::new(name).map_err(E::custom)?;
        Ok(PoolChoice { pool, wallet: None, options: Map::new() })
    }

    fn visit_map<A: de::MapAccess<'de>>(self, fields: A) -> Result<PoolChoice, A::Error> {
        let fields = de::value::MapAccessDeserializer::new(fields);
        let ChoiceFields { pool, wallet, options } = ChoiceFields::deserialize(fields)?;
        Ok(PoolChoice { pool, wallet, options })
    }
}

/// What an operator decides about a profile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProfileFields {
    /// Its name, unique on the node: for people, so it may be anything printable.
    pub name: String,
    /// Id of its driver.
    pub miner_type: DriverId,
    /// The driver's configuration. Texts in it may have placeholders.
    #[serde(default)]
    pub config: Config,
    /// Pools in order of priority. They go into the configuration where the driver's schema says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pools: Vec<PoolChoice>,
    /// Words to find it by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Whether a miner of it is made at the start of the host when there is none.
    #[serde(default)]
    pub autostart: bool,
    /// What its miners do when their program ends by itself.
    #[serde(default)]
    pub restart: RestartPolicy,
    /// How its miners are watched, as far as they say nothing themselves.
    #[serde(default, skip_serializing_if = "Options::is_empty")]
    pub watchdog: Options,
}

impl ProfileFields {
    /// Brings the fields into their one form and refuses what no profile can have.
    ///
    /// # Errors
    /// The field that must change.
    pub fn tidy(mut self) -> Result<Self, BadField> {
        self.name = check_name(&self.name)?;
        if self.tags.len() > MOST_TAGS {
            return Err(BadField::new("tags", format!("write at most {MOST_TAGS} tags")));
        }
        let mut seen = BTreeSet::new();
        for (index, tag) in self.tags.iter().enumerate() {
            let usable = (1..=LONGEST_TAG).contains(&tag.chars().count())
                && !tag.contains(char::is_whitespace)
                && !tag.contains(is_hidden);
            let path = format!("tags[{index}]");
            if !usable {
                let what = format!("write one word of at most {LONGEST_TAG} characters");
                return Err(BadField::new(path, what));
            }
            if !seen.insert(tag) {
                return Err(BadField::new(path, "is there twice"));
            }
        }
        if let Err(error) = self.watchdog.check() {
            return Err(BadField::new(format!("watchdog.{}", error.name()), error.what));
        }
        if self.pools.len() > MOST_POOLS {
            return Err(BadField::new("pools", format!("write at most {MOST_POOLS} pools")));
        }
        Ok(self)
    }
}

/// A profile as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// Its id.
    pub id: ProfileId,
    /// What the operator decided.
    pub fields: ProfileFields,
    /// Where its configuration has secrets, by the schema that it was saved with: what still holds
    /// when the driver is gone.
    pub secrets: BTreeSet<FieldPath>,
    /// When it was made, in Unix milliseconds.
    pub created_at_ms: i64,
    /// When it was changed last, in Unix milliseconds; later with every change.
    pub updated_at_ms: i64,
}

/// A profile in lists and details, secrets masked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProfileView {
    /// Its id.
    pub id: ProfileId,
    /// Its name.
    pub name: String,
    /// Id of its driver.
    pub miner_type: DriverId,
    /// Its configuration; `***` stands for a secret.
    pub config: Config,
    /// Pools in order of priority.
    pub pools: Vec<PoolChoice>,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// Whether a miner of it is made at the start of the host when there is none.
    pub autostart: bool,
    /// What its miners do when their program ends by itself.
    pub restart: RestartPolicy,
    /// How its miners are watched, as far as they say nothing themselves.
    #[serde(default, skip_serializing_if = "Options::is_empty")]
    pub watchdog: Options,
    /// Miners that were made from it.
    pub miners: Vec<MinerName>,
    /// Why no miner can be started from it now, if that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// When it was made, in Unix milliseconds.
    pub created_at_ms: i64,
    /// When it was changed last, in Unix milliseconds. Its `ETag` is made of it.
    pub updated_at_ms: i64,
}

/// `name` without blanks around it.
fn check_name(name: &str) -> Result<String, BadField> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > LONGEST_NAME || name.contains(is_hidden) {
        let what = format!("write 1 to {LONGEST_NAME} printable characters");
        return Err(BadField::new("name", what));
    }
    if ProfileId::parse(name).is_some() {
        return Err(BadField::new("name", "looks like an id: choose a name for people"));
    }
    Ok(name.to_owned())
}

/// Names for the miners of a profile: `NAME`, `NAME-2`, `NAME-3` …
pub fn miner_names(profile: &ProfileFields) -> impl Iterator<Item = MinerName> {
    let base = slug(&profile.name).unwrap_or_else(|| profile.miner_type.to_string());
    // Room for the number behind it.
    let base = base.chars().take(50).collect::<String>().trim_end_matches('-').to_owned();
    let name = move |n: u32| if n == 1 { base.clone() } else { format!("{base}-{n}") };
    (1..=u32::MAX).filter_map(move |n| MinerName::new(name(n)).ok())
}

fn slug(name: &str) -> Option<String> {
    let mut slug = String::new();
    for c in name.chars() {
        match c {
            c if c.is_ascii_alphanumeric() => slug.push(c.to_ascii_lowercase()),
            _ if slug.is_empty() || slug.ends_with('-') => {}
            _ => slug.push('-'),
        }
    }
    let slug = slug.trim_end_matches('-');
    (!slug.is_empty()).then(|| slug.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(value: &Value) -> Result<ProfileFields, String> {
        let mut all = json!({ "name": "cpu", "minerType": "sim" });
        all.as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
        let fields: ProfileFields =
            serde_json::from_value(all).map_err(|error| error.to_string())?;
        fields.tidy().map_err(|error| error.to_string())
    }

    #[test]
    fn names_are_for_people() {
        for (given, expected) in
            [("Home / CPU é", "Home / CPU é"), ("  x ", "x"), (&"é".repeat(100), &"é".repeat(100))]
        {
            assert_eq!(fields(&json!({ "name": given })).unwrap().name, expected);
        }
        let long = "a".repeat(10_000);
        for bad in ["", "  ", "a\nb", "a\u{0}", "\u{1b}[2J", "a\u{202e}b", "\u{200b}", &long] {
            let told = fields(&json!({ "name": bad })).unwrap_err();
            assert_eq!(told, "name: write 1 to 100 printable characters", "{bad:.20}");
        }
        let id = ProfileId::random().to_string();
        assert!(fields(&json!({ "name": id })).unwrap_err().contains("looks like an id"));
    }

    #[test]
    fn tags_are_words() {
        assert_eq!(fields(&json!({ "tags": ["a", "b/é"] })).unwrap().tags.len(), 2);
        for (tags, expected) in [
            (json!(["a", ""]), "tags[1]: write one word"),
            (json!(["a b"]), "tags[0]: write one word"),
            (json!(["x".repeat(65)]), "tags[0]: write one word"),
            (json!(["a", "a"]), "tags[1]: is there twice"),
            (json!((0..33).map(|n| n.to_string()).collect::<Vec<_>>()), "tags: write at most 32"),
        ] {
            let told = fields(&json!({ "tags": tags })).unwrap_err();
            assert!(told.starts_with(expected), "{told}");
        }
    }

    #[test]
    fn a_pool_is_chosen_by_name_or_with_more() {
        let given = json!([
            "main",
            { "pool": "backup", "wallet": "xmr" },
            { "pool": "third", "options": { "keepalive": true } },
        ]);
        let pools = fields(&json!({ "pools": given })).unwrap().pools;
        assert_eq!(serde_json::to_value(pools).unwrap(), given);
        let same = fields(&json!({ "pools": [{ "pool": "main" }] })).unwrap().pools;
        assert_eq!(serde_json::to_value(same).unwrap(), json!(["main"]));
        for bad in
            [json!([7]), json!(["A"]), json!([{ "pool": "a", "x": 1 }]), json!([{}]), json!("a")]
        {
            assert!(fields(&json!({ "pools": bad })).is_err(), "{bad}");
        }
    }

    #[test]
    fn miners_are_named_after_their_profile() {
        for (name, expected) in [
            ("Home / CPU é", ["home-cpu", "home-cpu-2", "home-cpu-3"]),
            ("--X--", ["x", "x-2", "x-3"]),
            ("日本", ["sim", "sim-2", "sim-3"]),
        ] {
            let profile = fields(&json!({ "name": name })).unwrap();
            let names: Vec<_> = miner_names(&profile).take(3).map(String::from).collect();
            assert_eq!(names, expected);
        }
        let profile = fields(&json!({ "name": "a".repeat(100) })).unwrap();
        let second = miner_names(&profile).nth(1).unwrap();
        assert_eq!(second.as_str(), format!("{}-2", "a".repeat(50)));
    }
}
