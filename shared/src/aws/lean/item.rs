//! An item as the wire has it.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::ser::{Error as _, Serialize, SerializeMap as _, Serializer};

/// An item, or a map within one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Item<'a>(pub(crate) &'a HashMap<String, AttributeValue>);

/// One value.
struct Value<'a>(&'a AttributeValue);

impl Serialize for Item<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, Value(value))))
    }
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let binary = |blob: &Blob| BASE64.encode(blob.as_ref());
        let mut map = serializer.serialize_map(Some(1))?;
        match self.0 {
            AttributeValue::S(text) => map.serialize_entry("S", text)?,
            AttributeValue::N(number) => map.serialize_entry("N", number)?,
            AttributeValue::Bool(value) => map.serialize_entry("BOOL", value)?,
            AttributeValue::Null(value) => map.serialize_entry("NULL", value)?,
            AttributeValue::B(blob) => map.serialize_entry("B", &binary(blob))?,
            AttributeValue::Ss(texts) => map.serialize_entry("SS", texts)?,
            AttributeValue::Ns(numbers) => map.serialize_entry("NS", numbers)?,
            AttributeValue::Bs(blobs) => map.serialize_entry("BS", &blobs.iter().map(binary).collect::<Vec<_>>())?,
            AttributeValue::L(values) => map.serialize_entry("L", &values.iter().map(Value).collect::<Vec<_>>())?,
            AttributeValue::M(values) => map.serialize_entry("M", &Item(values))?,
            // A type that this SDK does not have yet: the SDK sends it, or refuses to.
            AttributeValue::Unknown { .. } | _ => return Err(S::Error::custom("a value of an unknown type")),
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_type_is_spelt_as_the_wire_has_it() {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let of =
            |value: AttributeValue| serde_json::to_string(&Item(&HashMap::from([("a".to_owned(), value)]))).unwrap();
        let blob = || Blob::new([0_u8, 255]);
        let map = HashMap::from([("b".to_owned(), AttributeValue::N("1".to_owned()))]);
        for (value, wire) in [
            (text("é\"\n"), r#"{"S":"é\"\n"}"#),
            (AttributeValue::N("-1.5".to_owned()), r#"{"N":"-1.5"}"#),
            (AttributeValue::Bool(false), r#"{"BOOL":false}"#),
            (AttributeValue::Null(true), r#"{"NULL":true}"#),
            (AttributeValue::B(blob()), r#"{"B":"AP8="}"#),
            (AttributeValue::Ss(vec!["x".to_owned()]), r#"{"SS":["x"]}"#),
            (AttributeValue::Ns(vec!["1".to_owned()]), r#"{"NS":["1"]}"#),
            (AttributeValue::Bs(vec![blob()]), r#"{"BS":["AP8="]}"#),
            (AttributeValue::L(vec![text("x")]), r#"{"L":[{"S":"x"}]}"#),
            (AttributeValue::M(map), r#"{"M":{"b":{"N":"1"}}}"#),
        ] {
            assert_eq!(of(value), format!("{{\"a\":{wire}}}"));
        }
    }
}
