//! Which attributes of people make audiences.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::id::AttributeKey;
use crate::message::Values;
use crate::message::template::is_name;

/// The most attributes that make audiences: a device that comes or goes has a row for each.
const MOST_INDEXED: usize = 8;

/// Which attributes of people make audiences.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "AttributesForm")]
pub struct AttributesSettings {
    indexed: BTreeSet<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct AttributesForm {
    indexed: Vec<String>,
}

impl TryFrom<AttributesForm> for AttributesSettings {
    type Error = &'static str;

    fn try_from(form: AttributesForm) -> Result<Self, Self::Error> {
        let indexed: BTreeSet<String> = form.indexed.into_iter().collect();
        if indexed.len() > MOST_INDEXED {
            return Err("indexed has at most 8 names");
        }
        if !indexed.iter().all(|name| is_name(name)) {
            return Err(
                "indexed holds names of 1 to 64 bytes, without spaces around them, braces, bars and control characters",
            );
        }
        Ok(Self { indexed })
    }
}

impl AttributesSettings {
    /// The names of attributes that make audiences.
    #[must_use]
    pub const fn indexed(&self) -> &BTreeSet<String> {
        &self.indexed
    }

    /// The keys of those that are among `attributes`.
    #[must_use]
    pub fn keys(&self, attributes: &Values) -> BTreeSet<AttributeKey> {
        let key = |name: &String| attributes.get(name).map(|value| AttributeKey::of(name, value));
        self.indexed.iter().filter_map(key).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::check;
    use super::*;
    use serde_json::json;

    #[test]
    fn the_keys_of_a_client_are_those_of_the_indexed_names_that_they_have() {
        let settings: AttributesSettings =
            serde_json::from_value(json!({"indexed": ["team", "plan", "team"]})).unwrap();
        let attributes: Values = serde_json::from_value(json!({"team": "Boston Red Sox", "nick": "Joe"})).unwrap();
        assert_eq!(settings.keys(&attributes), BTreeSet::from([AttributeKey::of("team", "Boston Red Sox")]));
        assert!(AttributesSettings::default().keys(&attributes).is_empty());
    }

    #[test]
    fn names_are_eight_at_most_and_such_as_an_attribute_can_have() {
        let told = |indexed: serde_json::Value| {
            let document = json!({"attributes": {"indexed": indexed}}).to_string();
            check("settings", &document).err().map(|error| error.to_string()).unwrap_or_default()
        };
        let names = |count: usize| json!((0..count).map(|n| format!("a{n}")).collect::<Vec<_>>());
        assert_eq!(told(names(8)), "");
        assert!(told(names(9)).ends_with(": indexed has at most 8 names"), "{}", told(names(9)));
        for wrong in ["", "a|b", " a", "{a", "a\u{1}", &"n".repeat(65)] {
            let error = told(json!([wrong]));
            assert!(error.contains(": indexed holds names of 1 to 64 bytes, without spaces"), "{error}");
        }
    }
}
