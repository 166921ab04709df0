//! A client's preferences, as `/me/preferences` tells and takes them. IMKIT has only on and off: the rest is ours, in its envelope.

use lambda_http::http::StatusCode;
use serde_json::{Map, Value, json};

use super::envelope::Failure;
use super::subscription::{invalid, object, text};
use crate::call::BodyError;
use crate::recipient::{PreferenceError, PreferencesChange, QuietHours, Recipient, Zone};

/// How many rooms are muted: shown with the preferences, and set one by one.
const MUTED_ROOMS: &str = "muted_rooms";

/// The longest name of an unknown field that is repeated to who sent it.
const MOST_FIELD: usize = 64;

/// The body of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// `clientId`, as it was given.
    pub client: Option<String>,
    /// What is to become of the preferences. A field that is left out stays as it is; `null` is its default.
    pub change: PreferencesChange,
}

impl Said {
    /// Reads the body of a `PATCH`.
    ///
    /// # Errors
    /// When a field is unknown or its value cannot be; the failure names the field and the rule.
    pub fn parse(body: Result<&[u8], BodyError>) -> Result<Self, Failure> {
        let fields = object(body)?;
        let client = text(&fields, "clientId")?.map(str::to_owned);
        let mut change = PreferencesChange::default();
        for (name, value) in &fields {
            take(&mut change, name, value)?;
        }
        Ok(Self { client, change })
    }
}

fn take(change: &mut PreferencesChange, name: &str, value: &Value) -> Result<(), Failure> {
    match name {
        "clientId" => {}
        "push" => change.off(!flag(name, value)?.unwrap_or(true)),
        "hide_content" => change.hide(flag(name, value)?.unwrap_or(false)),
        "quiet_hours" => change.quiet(quiet_hours(name, value)?),
        "zone" => {
            let zone = optional_text(name, value)?.map(Zone::parse).transpose();
            change.zone(zone.map_err(|rule| invalid(format!("{name} {rule}")))?);
        }
        "muted_senders" => change.muted_senders(texts(name, value)?).map_err(|rule| refused(name, rule))?,
        "blocked_senders" => change.blocked_senders(texts(name, value)?).map_err(|rule| refused(name, rule))?,
        "locale" => change.locale(optional_text(name, value)?).map_err(|rule| refused(name, rule))?,
        "nickname" => change.nickname(optional_text(name, value)?).map_err(|rule| refused(name, rule))?,
        _ => return Err(unknown("", name)),
    }
    Ok(())
}

fn refused(name: &str, rule: PreferenceError) -> Failure {
    let message = format!("{name} {rule}");
    match rule {
        PreferenceError::TooManySenders => Failure::new(StatusCode::BAD_REQUEST, "TOO_MANY", message),
        PreferenceError::Locale | PreferenceError::Nickname(_) | PreferenceError::Sender { .. } => invalid(message),
    }
}

/// A name is the caller's own words: repeated so that the mistake is found, within bounds.
fn unknown(within: &str, name: &str) -> Failure {
    if name.len() > MOST_FIELD || name.chars().any(char::is_control) {
        return invalid("a field of the body is no preference");
    }
    if within.is_empty() && name == MUTED_ROOMS {
        return invalid("muted_rooms cannot be set here: use /me/mute/{room}");
    }
    invalid(format!("{within}{name} is no preference"))
}

fn flag(name: &str, value: &Value) -> Result<Option<bool>, Failure> {
    match value {
        Value::Null => Ok(None),
        Value::Bool(flag) => Ok(Some(*flag)),
        Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            Err(invalid(format!("{name} is neither true nor false")))
        }
    }
}

fn optional_text<'a>(name: &str, value: &'a Value) -> Result<Option<&'a str>, Failure> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Err(invalid(format!("{name} is not a string")))
        }
    }
}

fn texts<'a>(name: &str, value: &'a Value) -> Result<Vec<&'a str>, Failure> {
    let entries = match value {
        Value::Null => return Ok(Vec::new()),
        Value::Array(entries) => entries,
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            return Err(invalid(format!("{name} is not an array of client ids")));
        }
    };
    let text = |(index, entry): (usize, &'a Value)| {
        entry.as_str().ok_or_else(|| invalid(format!("{name} entry {index} is not a string")))
    };
    entries.iter().enumerate().map(text).collect()
}

fn quiet_hours(name: &str, value: &Value) -> Result<Option<QuietHours>, Failure> {
    let fields = match value {
        Value::Null => return Ok(None),
        Value::Object(fields) => fields,
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            return Err(invalid(format!("{name} is neither {{\"from\", \"to\"}} nor null")));
        }
    };
    if let Some(field) = fields.keys().find(|field| !matches!(field.as_str(), "from" | "to")) {
        return Err(unknown("quiet_hours.", field));
    }
    let time = |field: &str| fields.get(field).and_then(Value::as_str).unwrap_or_default();
    let hours = QuietHours::parse(time("from"), time("to"));
    hours.map(Some).map_err(|rule| invalid(format!("{name}: {rule}")))
}

/// All preferences of a client. Muted rooms are held as hashes: only their number is known.
#[must_use]
pub fn object_of(recipient: &Recipient) -> Value {
    let preferences = &recipient.preferences;
    let quiet = preferences.quiet.map(|quiet| json!({"from": quiet.from(), "to": quiet.to()}));
    let mut object = Map::new();
    for (name, value) in [
        ("push", json!(!preferences.off)),
        ("quiet_hours", json!(quiet)),
        ("zone", json!(preferences.zone)),
        ("hide_content", json!(preferences.hide)),
        ("muted_senders", json!(preferences.muted_senders)),
        ("blocked_senders", json!(preferences.blocked_senders)),
        ("locale", json!(preferences.locale)),
        ("nickname", json!(preferences.nickname)),
        (MUTED_ROOMS, json!(recipient.muted.len())),
    ] {
        object.insert(name.to_owned(), value);
    }
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn said(body: &Value) -> Result<PreferencesChange, String> {
        let said = Said::parse(Ok(body.to_string().as_bytes()));
        said.map(|said| said.change).map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_client_who_prefers_nothing_has_the_defaults() {
        let defaults = json!({
            "push": true, "quiet_hours": null, "zone": null, "hide_content": false, "muted_senders": [],
            "blocked_senders": [], "locale": null, "nickname": null, "muted_rooms": 0
        });
        assert_eq!(object_of(&Recipient::default()), defaults);
    }

    #[test]
    fn what_is_null_goes_back_to_its_default_and_what_is_left_out_is_not_said() {
        let nulls = json!({
            "push": null, "quiet_hours": null, "zone": null, "hide_content": null, "muted_senders": null,
            "blocked_senders": null, "locale": null, "nickname": null
        });
        let mut defaults = PreferencesChange::default();
        defaults.off(false);
        defaults.quiet(None);
        defaults.zone(None);
        defaults.hide(false);
        defaults.muted_senders([]).unwrap();
        defaults.blocked_senders([]).unwrap();
        defaults.locale(None).unwrap();
        defaults.nickname(None).unwrap();
        assert_eq!(said(&nulls), Ok(defaults));
        assert_eq!(said(&json!({})), Ok(PreferencesChange::default()));
        let mut off = PreferencesChange::default();
        off.off(true);
        assert_eq!(said(&json!({"push": false})), Ok(off));
    }

    #[test]
    fn each_mistake_names_its_field_and_the_rule() {
        for (body, message) in [
            (json!({"push": "no"}), "push is neither true nor false"),
            (json!({"hide_content": 1}), "hide_content is neither true nor false"),
            (json!({"quiet_hours": "22-7"}), "quiet_hours is neither {\"from\", \"to\"} nor null"),
            (json!({"quiet_hours": {"from": "22:00"}}), "quiet_hours: to is not a time like \"22:00\""),
            (json!({"quiet_hours": {"from": 22, "to": "07:00"}}), "quiet_hours: from is not a time like \"22:00\""),
            (json!({"quiet_hours": {"from": "07:00", "to": "07:00"}}), "quiet_hours: from and to are the same time"),
            (
                json!({"quiet_hours": {"from": "22:00", "to": "07:00", "zone": "UTC"}}),
                "quiet_hours.zone is no preference",
            ),
            (json!({"zone": "Mars/Olympus"}), "zone is not an IANA time zone like \"Europe/Berlin\""),
            (json!({"zone": 1}), "zone is not a string"),
            (json!({"muted_senders": "u1"}), "muted_senders is not an array of client ids"),
            (json!({"muted_senders": ["u1", 2]}), "muted_senders entry 1 is not a string"),
            (json!({"blocked_senders": [""]}), "blocked_senders entry 0 is empty"),
            (json!({"locale": "de_AT"}), "locale is not a language tag like \"de-AT\""),
            (json!({"nickname": ""}), "nickname is empty"),
            (json!({"muted_rooms": 0}), "muted_rooms cannot be set here: use /me/mute/{room}"),
            (json!({"pusch": true}), "pusch is no preference"),
            (json!({"a\u{7}": true}), "a field of the body is no preference"),
            (json!({"clientId": 1}), "clientId is not a string"),
            (json!([]), "the body is not a JSON object"),
        ] {
            assert_eq!(said(&body), Err(message.to_owned()), "{body}");
        }
        let many: Vec<String> = (0..51).map(|n| n.to_string()).collect();
        let too_many = Said::parse(Ok(json!({"muted_senders": many}).to_string().as_bytes())).unwrap_err();
        assert_eq!(
            (too_many.code(), too_many.to_string().as_str()),
            ("TOO_MANY", "muted_senders has more than 50 entries")
        );
    }

    proptest! {
        #[test]
        fn no_body_breaks_anything(
            text in ".{0,40}",
            values in proptest::collection::vec(prop_oneof![
                Just("null"), Just("1"), Just("true"), Just("[]"), Just("{}"), Just("\"\""), Just("\"de\""), Just("[\"u\"]"), Just("[null]"),
                Just(r#"{"from": "22:00", "to": "07:00"}"#), Just(r#"{"from": null}"#),
            ], 9),
        ) {
            let _ = Said::parse(Ok(text.as_bytes()));
            let fields = ["clientId", "push", "quiet_hours", "zone", "hide_content", "muted_senders", "blocked_senders", "locale", "nickname"];
            let pairs: Vec<String> = fields.iter().zip(&values).map(|(name, value)| format!("\"{name}\": {value}")).collect();
            let _ = Said::parse(Ok(format!("{{{}}}", pairs.join(", ")).as_bytes()));
            for pair in &pairs {
                let _ = Said::parse(Ok(format!("{{{pair}}}").as_bytes()));
            }
        }
    }
}
