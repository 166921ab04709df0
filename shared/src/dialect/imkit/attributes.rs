//! A client's attributes, as `/me/attributes` tells and takes them. IMKIT has none: they are ours, in its envelope.

use serde_json::{Map, Value, json};

use super::envelope::Failure;
use super::subscription::{invalid, object, text};
use crate::call::BodyError;
use crate::message::Values;
use crate::message::template::is_name;
use crate::recipient::{AttributeError, AttributesChange};

/// The one member of what is told and taken.
const ATTRIBUTES: &str = "attributes";

/// The body of a change: a merge patch (RFC 7396) of what is told, and whom it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// `clientId`, as it was given.
    pub client: Option<String>,
    /// What is to become of the attributes.
    pub change: AttributesChange,
}

impl Said {
    /// Reads the body of a `PATCH`.
    ///
    /// # Errors
    /// When a field is unknown, or an attribute cannot be; the failure names the field and the rule.
    pub fn parse(body: Result<&[u8], BodyError>) -> Result<Self, Failure> {
        let fields = object(body)?;
        let client = text(&fields, "clientId")?.map(str::to_owned);
        if let Some(name) = fields.keys().find(|name| *name != "clientId" && *name != ATTRIBUTES) {
            let name = if is_name(name) { name.as_str() } else { "a field of the body" };
            return Err(invalid(format!("{name} is neither clientId nor attributes, in which names and values stand")));
        }
        let change = match fields.get(ATTRIBUTES) {
            None => AttributesChange::default(),
            Some(Value::Null) => AttributesChange::all_go(),
            Some(Value::Object(attributes)) => change(attributes)?,
            Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
                return Err(invalid("attributes is neither an object of names and values nor null"));
            }
        };
        Ok(Self { client, change })
    }
}

fn change(attributes: &Map<String, Value>) -> Result<AttributesChange, Failure> {
    let mut change = AttributesChange::default();
    for (name, value) in attributes {
        change.say(name, value).map_err(|error| match error {
            AttributeError::Name => invalid(format!("{ATTRIBUTES} {error}")),
            // A name that is one is repeated, so that the mistake is found.
            AttributeError::Value(rule) => invalid(format!("{ATTRIBUTES}.{name} {rule}")),
        })?;
    }
    Ok(change)
}

/// All attributes of a client.
#[must_use]
pub fn object_of(attributes: &Values) -> Value {
    json!({ATTRIBUTES: attributes})
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn said(body: &Value) -> Result<AttributesChange, String> {
        let said = Said::parse(Ok(body.to_string().as_bytes()));
        said.map(|said| said.change).map_err(|failure| {
            assert_eq!(failure.code(), "INVALID_PARAMETER");
            failure.to_string()
        })
    }

    #[test]
    fn a_change_is_a_merge_patch_of_what_is_told() {
        let mut change = AttributesChange::default();
        change.say("favoriteTeam", &json!("Boston Red Sox")).unwrap();
        change.say("clientId", &json!(7)).unwrap();
        change.say("nick", &Value::Null).unwrap();
        let body = json!({"attributes": {"favoriteTeam": "Boston Red Sox", "clientId": "7", "nick": null}});
        assert_eq!(said(&body), Ok(change));
        for nothing in [json!({}), json!({"attributes": {}}), json!({"clientId": "u1"})] {
            assert_eq!(said(&nothing), Ok(AttributesChange::default()));
        }
        assert_eq!(said(&json!({"attributes": null})), Ok(AttributesChange::all_go()));
        let named = Said::parse(Ok(br#"{"clientId": "u1", "attributes": {}}"#)).unwrap();
        assert_eq!(named.client.as_deref(), Some("u1"));
    }

    #[test]
    fn each_mistake_names_its_field_and_the_rule() {
        let name = "attributes has a name that is not 1 to 64 bytes without spaces around them, braces, bars and control characters";
        let kind = "attributes.a is neither a text nor a number nor a boolean";
        for (body, message) in [
            (json!({"attributes": {"": "v"}}), name),
            (json!({"attributes": {"n".repeat(65): "v"}}), name),
            (json!({"attributes": {"{{a}}": null}}), name),
            (json!({"attributes": {"a": {"b": "c"}}}), kind),
            (json!({"attributes": {"a": ["b"]}}), kind),
            (json!({"attributes": {"a": "v".repeat(1025)}}), "attributes.a is longer than 1024 bytes"),
            (json!({"attributes": ["a"]}), "attributes is neither an object of names and values nor null"),
            (json!({"attributes": "a"}), "attributes is neither an object of names and values nor null"),
            (
                json!({"favoriteTeam": "v"}),
                "favoriteTeam is neither clientId nor attributes, in which names and values stand",
            ),
            (
                json!({"a\u{7}": "v"}),
                "a field of the body is neither clientId nor attributes, in which names and values stand",
            ),
            (json!({"clientId": 1}), "clientId is not a string"),
            (json!([]), "the body is not a JSON object"),
        ] {
            assert_eq!(said(&body), Err(message.to_owned()), "{body}");
        }
    }

    #[test]
    fn attributes_are_told_by_name() {
        assert_eq!(object_of(&Values::default()), json!({"attributes": {}}));
        let joe = Values::from_iter([("givenName".to_owned(), "Joe".to_owned())]);
        assert_eq!(object_of(&joe), json!({"attributes": {"givenName": "Joe"}}));
    }

    proptest! {
        #[test]
        fn no_body_breaks_anything(text in ".{0,40}", name in ".{0,8}", value in prop_oneof![
            Just("null"), Just("1"), Just("1e400"), Just("true"), Just("[]"), Just("{}"), Just("\"\""), Just("\"v\""),
        ]) {
            let _ = Said::parse(Ok(text.as_bytes()));
            let name = serde_json::to_string(&name).unwrap();
            let _ = Said::parse(Ok(format!("{{\"attributes\": {{{name}: {value}}}}}").as_bytes()));
            let _ = Said::parse(Ok(format!("{{{name}: {value}, \"attributes\": {value}}}").as_bytes()));
        }
    }
}
