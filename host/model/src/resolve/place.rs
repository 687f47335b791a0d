//! Puts the pools of a profile where the driver's configuration takes them.

use serde_json::{Map, Value, json};

use crate::{
    path::{FieldPath, leaves},
    pool::{BadField, STRATUM},
    profile::PoolChoice,
    resolve::{Origin, PoolField, PoolSlots, Work},
    secrets::sounds_secret,
};

impl Work<'_> {
    pub(super) fn put_pools(
        &mut self,
        fields: &mut Map<String, Value>,
        chosen: &[PoolChoice],
        slots: &PoolSlots,
    ) -> Result<(), BadField> {
        if chosen.is_empty() {
            return Ok(());
        }
        if slots.fields.is_empty() {
            return self.check_placeholders_only(chosen);
        }
        let taken: Vec<&String> = match &slots.list {
            Some(list) => vec![list],
            None => slots.fields.values().collect(),
        };
        if let Some(field) = taken.into_iter().find(|field| fields.contains_key(*field)) {
            let what = "the pools of the profile go here: leave it out, or leave pools out";
            return Err(BadField::new(format!("config.{field}"), what));
        }
        let Some(list) = &slots.list else {
            return self.put_only_pool(fields, chosen, slots);
        };
        let mut items = Vec::new();
        for (index, choice) in chosen.iter().enumerate() {
            let at = FieldPath::of(list).index(index);
            let mut item = self.entry(index, &at, slots)?;
            for (name, value) in &choice.options {
                let path = format!("pools[{index}].options.{name}");
                if item.contains_key(name) || slots.fields.values().any(|it| it == name) {
                    return Err(BadField::new(path, "the pool itself says this"));
                }
                if sounds_secret(name) {
                    return Err(BadField::new(path, "write a secret into the pool itself"));
                }
                for (below, _) in leaves(&json!({ name: value })) {
                    let full = below.below(&at);
                    self.resolved.origins.insert(full, vec![Origin::Profile]);
                }
                item.insert(name.clone(), value.clone());
            }
            items.push(Value::Object(item));
        }
        fields.insert(list.clone(), Value::Array(items));
        Ok(())
    }

    fn put_only_pool(
        &mut self,
        fields: &mut Map<String, Value>,
        chosen: &[PoolChoice],
        slots: &PoolSlots,
    ) -> Result<(), BadField> {
        if chosen.len() > 1 {
            let what = "this miner type takes one pool: leave the others out";
            return Err(BadField::new("pools[1]", what));
        }
        if chosen.first().is_some_and(|choice| !choice.options.is_empty()) {
            let what = "this miner type takes one pool: write its options into config";
            return Err(BadField::new("pools[0].options", what));
        }
        fields.extend(self.entry(0, &FieldPath::default(), slots)?);
        Ok(())
    }

    /// A driver without fields for pools can have the first one by placeholders.
    fn check_placeholders_only(&self, chosen: &[PoolChoice]) -> Result<(), BadField> {
        let wish = "this miner type takes no pools from the host: refer to the first one in config, \
                    such as ${pool.url}";
        if !self.uses_first_pool {
            return Err(BadField::new("pools", wish));
        }
        if chosen.len() > 1 {
            return Err(BadField::new("pools[1]", wish));
        }
        if chosen.first().is_some_and(|choice| !choice.options.is_empty()) {
            return Err(BadField::new("pools[0].options", wish));
        }
        Ok(())
    }

    /// The fields for the pool `index` in the driver's configuration at `at`.
    fn entry(
        &mut self,
        index: usize,
        at: &FieldPath,
        slots: &PoolSlots,
    ) -> Result<Map<String, Value>, BadField> {
        let Some(pool) = self.resolved.pools.get(index).cloned() else { return Ok(Map::new()) };
        let lacks = |field| !slots.fields.contains_key(&field);
        let lacks_raw_uri = lacks(PoolField::RawUri);
        let lacks_tls = lacks(PoolField::Tls) && lacks(PoolField::Uri) && lacks_raw_uri;
        let protocol = pool.protocol.as_deref().filter(|protocol| *protocol != STRATUM);
        let named = format!("the protocol {}", protocol.unwrap_or_default());
        for (is_set, is_missing, what) in [
            (pool.tls, lacks_tls, "TLS"),
            (protocol.is_some(), lacks_raw_uri, named.as_str()),
            (pool.tls_fingerprint.is_some(), lacks(PoolField::TlsFingerprint), "a fingerprint"),
            (pool.password.is_some(), lacks(PoolField::Password), "a password"),
        ] {
            if is_set && is_missing {
                let what =
                    format!("the pool {} has {what}, which this miner type cannot use", pool.name);
                return Err(BadField::new(format!("pools[{index}]"), what));
            }
        }
        let own = || vec![Origin::Pool(pool.name.clone())];
        let scheme = if pool.tls { "stratum+ssl" } else { "stratum+tcp" };
        let mut entry = Map::new();
        for (part, field) in &slots.fields {
            let (value, origins) = match part {
                PoolField::Url => (Value::from(pool.url.as_str()), own()),
                PoolField::Uri => (Value::from(format!("{scheme}://{}", pool.url)), own()),
                PoolField::RawUri => (Value::from(pool.raw_uri()), own()),
                PoolField::User => {
                    (Value::from(pool.user.text.as_str()), pool.user.origins.clone())
                }
                PoolField::Password => match &pool.password {
                    Some(filled) => (Value::from(filled.text.as_str()), filled.origins.clone()),
                    None => continue,
                },
                PoolField::Tls if pool.tls => (Value::Bool(true), own()),
                PoolField::Tls => continue,
                PoolField::TlsFingerprint => match &pool.tls_fingerprint {
                    Some(fingerprint) => (Value::from(fingerprint.as_str()), own()),
                    None => continue,
                },
            };
            let path = at.field(field);
            if *part == PoolField::Password {
                self.resolved.secrets.insert(path.clone());
            }
            self.resolved.origins.insert(path, origins);
            entry.insert(field.clone(), value);
        }
        Ok(entry)
    }
}
