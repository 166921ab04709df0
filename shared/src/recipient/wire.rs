//! A recipient from an answer of the table as it is on the wire, without the SDK's copy of it in between.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use base64::engine::general_purpose::STANDARD as BASE64;
use base64::{DecodeSliceError, Engine as _};
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use super::{Recipient, names};
use crate::id::Mark;

/// The answer to an update that was done.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Done {
    #[serde(default)]
    pub(super) attributes: Item,
    pub(super) consumed_capacity: Option<Consumed>,
}

/// The error of an update whose condition failed.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Refused {
    #[serde(default)]
    pub(super) item: Item,
}

/// What a call used.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Consumed {
    pub(super) capacity_units: f64,
}

/// A client's item.
#[derive(Default)]
pub(super) struct Item(pub(super) Recipient);

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Attributes;
        impl<'de> Visitor<'de> for Attributes {
            type Value = Item;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an item")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Item, A::Error> {
                let mut recipient = Recipient::default();
                while let Some(Name(name)) = map.next_key()? {
                    if matches!(&*name, names::MARKS_NEW | names::MARKS_OLD) {
                        recipient.take_marks(&name, map.next_value::<Marks>()?.0);
                    } else {
                        recipient.take(&name, map.next_value::<Value>()?.0);
                    }
                }
                Ok(Item(recipient.in_order()))
            }
        }
        deserializer.deserialize_map(Attributes)
    }
}

/// A text of the answer, copied only where it is escaped there.
struct Name<'de>(Cow<'de, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// An attribute's value: a map of one entry, named by its type.
struct Value(AttributeValue);

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Typed;
        impl<'de> Visitor<'de> for Typed {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an attribute's value")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
                let Some(Name(kind)) = map.next_key()? else { return Err(A::Error::custom("a value without a type")) };
                let value = match &*kind {
                    "S" => AttributeValue::S(map.next_value()?),
                    "N" => AttributeValue::N(map.next_value()?),
                    "BOOL" => AttributeValue::Bool(map.next_value()?),
                    "B" => AttributeValue::B(map.next_value::<Binary>()?.0),
                    "SS" => AttributeValue::Ss(map.next_value()?),
                    "NS" => AttributeValue::Ns(map.next_value()?),
                    "BS" => {
                        let all: Vec<Binary> = map.next_value()?;
                        AttributeValue::Bs(all.into_iter().map(|Binary(blob)| blob).collect())
                    }
                    "L" => {
                        let all: Vec<Value> = map.next_value()?;
                        AttributeValue::L(all.into_iter().map(|Value(value)| value).collect())
                    }
                    "M" => {
                        let all: HashMap<String, Value> = map.next_value()?;
                        AttributeValue::M(all.into_iter().map(|(name, Value(value))| (name, value)).collect())
                    }
                    // A null, and what DynamoDB does not have yet: no attribute of ours.
                    _ => {
                        map.next_value::<IgnoredAny>()?;
                        AttributeValue::Null(true)
                    }
                };
                Ok(Value(value))
            }
        }
        deserializer.deserialize_map(Typed)
    }
}

/// A set of marks, read without a copy of each. Those of another length are none of ours.
struct Marks(Vec<[u8; Mark::LEN]>);

impl<'de> Deserialize<'de> for Marks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Set<'a> {
            #[serde(rename = "BS", borrow, default)]
            marks: Vec<Name<'a>>,
        }
        let set = Set::deserialize(deserializer)?;
        let mut marks = Vec::with_capacity(set.marks.len());
        for Name(text) in set.marks {
            // As many bytes as the decoder asks for, which rounds up.
            let mut bytes = [0; Mark::LEN + 3];
            match BASE64.decode_slice(text.as_bytes(), &mut bytes) {
                Ok(Mark::LEN) => {
                    let [a, b, c, d, e, f, ..] = bytes;
                    marks.push([a, b, c, d, e, f]);
                }
                Ok(_) | Err(DecodeSliceError::OutputSliceTooSmall) => {}
                Err(DecodeSliceError::DecodeError(error)) => return Err(D::Error::custom(error)),
            }
        }
        Ok(Self(marks))
    }
}

struct Binary(Blob);

impl<'de> Deserialize<'de> for Binary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Name(text) = Name::deserialize(deserializer)?;
        BASE64.decode(&*text).map(|bytes| Self(Blob::new(bytes))).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const ANSWER: &str = r#"{"Attributes":{"pk":{"S":"demo#aaa"},"u#7N0aDhxj":{"N":"3"},"m0":{"BS":["RfZPwJ8I","BMeMtWvu","AA==","AAAAAAAAAAAAAAAAAAAA"]},
        "m1":{"BS":["KISjaJZt"]},"g":{"N":"1767225600123"},"trimmed":{"N":"1767225500123"},"mu":{"SS":["hzgpahT4"]},"off":{"BOOL":true},
        "d#Ro0CYyUA":{"M":{"t":{"S":"to\u006ben:1"},"a":{"N":"1767225600000"},"c":{"S":"f"},"s":{"BOOL":true}}},
        "new":{"L":[{"NULL":true},{"NS":["1"]},{"B":"AA=="},{"ZZ":{"deep":[1]}}]}},
        "ConsumedCapacity":{"TableName":"t","CapacityUnits":1.0}}"#;

    /// The same item as the SDK gives it.
    fn item() -> HashMap<String, AttributeValue> {
        let (text, n) = (|s: &str| AttributeValue::S(s.to_owned()), |n: &str| AttributeValue::N(n.to_owned()));
        let marks =
            |all: &[&str]| AttributeValue::Bs(all.iter().map(|m| Blob::new(BASE64.decode(m).unwrap())).collect());
        let device =
            [("t", text("token:1")), ("a", n("1767225600000")), ("c", text("f")), ("s", AttributeValue::Bool(true))];
        let device = AttributeValue::M(device.map(|(name, value)| (name.to_owned(), value)).into());
        [
            ("pk", text("demo#aaa")),
            ("u#7N0aDhxj", n("3")),
            ("m0", marks(&["RfZPwJ8I", "BMeMtWvu", "AA==", "AAAAAAAAAAAAAAAAAAAA"])),
            ("m1", marks(&["KISjaJZt"])),
            ("g", n("1767225600123")),
            ("trimmed", n("1767225500123")),
            ("mu", AttributeValue::Ss(vec!["hzgpahT4".to_owned()])),
            ("off", AttributeValue::Bool(true)),
            ("d#Ro0CYyUA", device),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    #[test]
    fn an_answer_reads_as_it_does_by_the_sdk() {
        let done: Done = serde_json::from_str(ANSWER).unwrap();
        assert_eq!(done.attributes.0, Recipient::from_item(item()));
        assert_eq!(done.attributes.0.devices.len(), 1);
        assert_eq!(done.consumed_capacity.unwrap().capacity_units.to_bits(), 1.0_f64.to_bits());
        let refused =
            ANSWER.replace("\"Attributes\"", r#""__type":"x#ConditionalCheckFailedException","message":"m","Item""#);
        assert_eq!(serde_json::from_str::<Refused>(&refused).unwrap().item.0, Recipient::from_item(item()));
    }

    #[test]
    fn nothing_is_read_from_what_is_no_answer() {
        assert_eq!(serde_json::from_str::<Refused>("{}").unwrap().item.0, Recipient::default());
        for wrong in
            [r#"{"Item":[]}"#, r#"{"Item":{"g":{}}}"#, r#"{"Item":{"m0":{"BS":["?"]}}}"#, r#"{"Item":{"g":"1"}}"#]
        {
            assert!(serde_json::from_str::<Refused>(wrong).is_err(), "{wrong}");
        }
    }
}
