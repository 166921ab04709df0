//! Item changes, as Lambda hands a DynamoDB stream's records over ("Using AWS Lambda with Amazon DynamoDB" in Lambda's guide).

use std::collections::{BTreeMap, BTreeSet};

use pushbell::trigger::Change;
use serde::Deserialize;
use serde_json::{Map, Number, Value, json};

/// The digits that a JSON reader's number keeps.
const EXACT_DIGITS: usize = 15;

/// An item change. Every part of it may be missing: what is no change is left out, and holds up no other.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Record {
    /// The record's own name.
    #[serde(rename = "eventID")]
    pub(crate) id: String,
    #[serde(rename = "eventName")]
    change: String,
    #[serde(rename = "eventSourceARN")]
    source: String,
    dynamodb: Images,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Images {
    keys: Item,
    new_image: Option<Item>,
    old_image: Option<Item>,
    sequence_number: String,
}

type Item = BTreeMap<String, Attribute>;

/// An attribute's value, with its type.
#[derive(Debug, Clone, PartialEq, Deserialize)]
enum Attribute {
    S(String),
    N(String),
    /// Base64.
    B(String),
    #[serde(rename = "BOOL")]
    Bool(bool),
    #[serde(rename = "NULL")]
    Null(bool),
    L(Vec<Attribute>),
    M(Item),
    // Sets are equal whatever order they are written in.
    #[serde(rename = "SS")]
    Texts(BTreeSet<String>),
    #[serde(rename = "NS")]
    Numbers(BTreeSet<String>),
    #[serde(rename = "BS")]
    Binaries(BTreeSet<String>),
}

/// What of a record the rules see.
pub(crate) struct ItemChange {
    pub(crate) table: String,
    pub(crate) change: Change,
    pub(crate) document: Map<String, Value>,
}

/// The sequence number of a record, whatever else of it can be read.
pub(crate) fn sequence_number(record: &Value) -> &str {
    record["dynamodb"]["SequenceNumber"].as_str().unwrap_or_default()
}

impl Record {
    /// The change; `None` when the record is none.
    pub(crate) fn read(self) -> Option<ItemChange> {
        let change = Change::from_word(&self.change)?;
        // arn:aws:dynamodb:<region>:<account>:table/<name>/stream/<when>
        let table = self.source.split_once(":table/")?.1.split('/').next()?.to_owned();
        if self.id.is_empty() || table.is_empty() || self.dynamodb.sequence_number.is_empty() {
            return None;
        }
        Some(ItemChange { table, change, document: document(change, self.dynamodb) })
    }
}

/// The item's fields as they are now, or were before it was gone; beside them what has changed.
fn document(change: Change, images: Images) -> Map<String, Value> {
    let changed = changed(change, &images).map(|names| json!(names));
    let old = fields(images.old_image.clone().unwrap_or_default());
    let mut document = fields(images.new_image.or(images.old_image).unwrap_or(images.keys));
    document.insert("_change".to_owned(), json!(change.as_str()));
    document.insert("_old".to_owned(), Value::Object(old));
    if let Some(changed) = changed {
        document.insert("_changed".to_owned(), changed);
    }
    document
}

/// The names of the fields whose values differ; `None` where the stream does not show both sides.
fn changed(change: Change, images: &Images) -> Option<Vec<&String>> {
    match change {
        Change::Insert => images.new_image.as_ref().map(|new| new.keys().collect()),
        Change::Remove => images.old_image.as_ref().map(|old| old.keys().collect()),
        Change::Modify => {
            let (new, old) = (images.new_image.as_ref()?, images.old_image.as_ref()?);
            let names: BTreeSet<&String> = new.keys().chain(old.keys()).collect();
            Some(names.into_iter().filter(|name| new.get(*name) != old.get(*name)).collect())
        }
    }
}

fn fields(item: Item) -> Map<String, Value> {
    item.into_iter().map(|(name, value)| (name, value.json())).collect()
}

impl Attribute {
    fn json(self) -> Value {
        match self {
            Self::S(text) | Self::B(text) => Value::String(text),
            Self::N(digits) => number(digits),
            Self::Bool(flag) => Value::Bool(flag),
            Self::Null(_) => Value::Null,
            Self::L(list) => list.into_iter().map(Self::json).collect(),
            Self::M(item) => Value::Object(fields(item)),
            Self::Texts(set) | Self::Binaries(set) => json!(set),
            Self::Numbers(set) => set.into_iter().map(number).collect(),
        }
    }
}

/// A number where JSON's readers keep all of its digits, of which DynamoDB has up to 38; else its text.
fn number(digits: String) -> Value {
    if let Ok(whole) = digits.parse::<i64>() {
        return json!(whole);
    }
    if let Ok(whole) = digits.parse::<u64>() {
        return json!(whole);
    }
    let significant = digits.split(['e', 'E']).next().unwrap_or_default();
    let significant = significant.chars().filter(char::is_ascii_digit).skip_while(|digit| *digit == '0').count();
    let number = digits.parse().ok().filter(|_| significant <= EXACT_DIGITS).and_then(Number::from_f64);
    number.map_or(Value::String(digits), Value::Number)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn record(change: &str, old: Option<Value>, new: Option<Value>) -> Value {
        let mut images = json!({"Keys": {"game": {"S": "g1"}}, "SequenceNumber": "1"});
        for (name, image) in [("OldImage", old), ("NewImage", new)] {
            if let Some(image) = image {
                images[name] = image;
            }
        }
        let source = "arn:aws:dynamodb:eu-west-1:123456789012:table/scores/stream/2026-01-01T00:00:00.000";
        json!({"eventID": "e1", "eventName": change, "eventSourceARN": source, "dynamodb": images})
    }

    fn read(record: Value) -> ItemChange {
        serde_json::from_value::<Record>(record).unwrap().read().unwrap()
    }

    #[test]
    fn a_change_is_the_item_as_it_is_and_what_differs() {
        let old = json!({"game": {"S": "g1"}, "runs": {"N": "1"}, "tags": {"SS": ["b", "a"]}, "gone": {"NULL": true}});
        let new = json!({"game": {"S": "g1"}, "runs": {"N": "2"}, "tags": {"SS": ["a", "b"]}});
        let change = read(record("MODIFY", Some(old), Some(new)));
        assert_eq!((change.table.as_str(), change.change), ("scores", Change::Modify));
        assert_eq!(
            Value::Object(change.document),
            json!({
                "game": "g1", "runs": 2, "tags": ["a", "b"], "_change": "modify", "_changed": ["gone", "runs"],
                "_old": {"game": "g1", "runs": 1, "tags": ["a", "b"], "gone": null},
            })
        );
    }

    #[test]
    fn what_is_new_has_no_old_side_and_what_is_gone_is_as_it_was() {
        let item = || Some(json!({"game": {"S": "g1"}, "runs": {"N": "1"}}));
        let new = read(record("INSERT", None, item())).document;
        assert_eq!(
            Value::Object(new),
            json!({"game": "g1", "runs": 1, "_change": "insert", "_changed": ["game", "runs"], "_old": {}})
        );
        let gone = read(record("REMOVE", item(), None)).document;
        assert_eq!(
            (&gone["runs"], &gone["_change"], &gone["_old"]["runs"], &gone["_changed"]),
            (&json!(1), &json!("remove"), &json!(1), &json!(["game", "runs"]))
        );
    }

    #[test]
    fn a_stream_that_shows_one_side_only_does_not_say_what_changed() {
        let new = read(record("MODIFY", None, Some(json!({"game": {"S": "g1"}, "runs": {"N": "1"}})))).document;
        assert_eq!(Value::Object(new), json!({"game": "g1", "runs": 1, "_change": "modify", "_old": {}}));
        let keys = read(record("MODIFY", None, None)).document;
        assert_eq!(Value::Object(keys), json!({"game": "g1", "_change": "modify", "_old": {}}));
    }

    #[test]
    fn every_type_of_dynamodb_has_its_json() {
        let item = json!({
            "s": {"S": ""}, "n": {"N": "-7"}, "f": {"N": "301.8"}, "e": {"N": "1E+3"}, "b": {"B": "aGk="},
            "t": {"BOOL": true}, "z": {"NULL": true}, "l": {"L": [{"N": "1"}, {"S": "x"}]}, "m": {"M": {"k": {"S": "v"}}},
            "ns": {"NS": ["2", "10"]}, "bs": {"BS": ["aGk="]}, "big": {"N": "18446744073709551615"},
            "bigger": {"N": "12345678901234567890123"}, "exact": {"N": "0.1234567890123456789"},
        });
        let item: Item = serde_json::from_value(item).unwrap();
        assert_eq!(
            Value::Object(fields(item)),
            json!({
                "s": "", "n": -7, "f": 301.8, "e": 1000.0, "b": "aGk=", "t": true, "z": null, "l": [1, "x"],
                "m": {"k": "v"}, "ns": [10, 2], "bs": ["aGk="], "big": 18_446_744_073_709_551_615_u64,
                "bigger": "12345678901234567890123", "exact": "0.1234567890123456789",
            })
        );
    }

    #[test]
    fn what_is_no_change_is_none() {
        for (name, value) in
            [("eventName", json!("UPSERT")), ("eventSourceARN", json!("arn:aws:sqs:x")), ("eventID", json!(""))]
        {
            let mut wrong = record("INSERT", None, None);
            wrong[name] = value;
            assert!(serde_json::from_value::<Record>(wrong).unwrap().read().is_none(), "{name}");
        }
        let mut wrong = record("INSERT", None, None);
        wrong["dynamodb"]["NewImage"] = json!({"a": {"X": 1}});
        assert!(serde_json::from_value::<Record>(wrong).is_err());
    }
}
