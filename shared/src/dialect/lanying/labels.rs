//! Calls about what a user is called, and what their icon shows: `/user/push/alias`, `/user/push/tag`, `/user/push/badge` (its server
//! API's swagger).

use std::collections::BTreeSet;

use super::body::{Fields, bad};
use super::devices::{alias_of, own_push_token};
use super::envelope::{Code, Failure};
use crate::call::BodyError;
use crate::id::{Alias, AppId, ClientId, Tag};
use crate::recipient::MOST_TAGS;
use crate::registry::LabelError;

/// The named counter that holds what this interface counts: `/user/push/badge` sets it, and pushes of `/push/notify` add to it. One, so
/// that a phone that says 0 takes back what they added.
pub const BADGE_SOURCE: &str = "lanying";
/// The largest number of an icon.
pub(super) const MOST_BADGE: u64 = 999_999;

/// The alias of a body; `None`: the user is to have none.
///
/// # Errors
/// When it is missing or cannot be, or the body has a push token that is not one of this user's.
pub fn alias(body: Result<&[u8], BodyError>, app: &AppId, user: &ClientId) -> Result<Option<Alias>, Failure> {
    let fields = Fields::parse(body)?;
    if fields.get("alias").is_none() {
        return Err(bad("alias is missing"));
    }
    if let Some(name) = fields.text("push_token")? {
        own_push_token(app, user, name)?;
    }
    alias_of(&fields)
}

/// The tags of a body, distinct.
///
/// # Errors
/// When they are missing, none, too many for one client, or one cannot be.
pub fn tags(body: Result<&[u8], BodyError>) -> Result<BTreeSet<Tag>, Failure> {
    let fields = Fields::parse(body)?;
    let given = fields.get("tags").ok_or_else(|| bad("tags is missing"))?;
    let given = given.as_array().ok_or_else(|| bad("tags is not a list"))?;
    if given.is_empty() {
        return Err(bad("tags is empty"));
    }
    let mut tags = BTreeSet::new();
    for (index, tag) in given.iter().enumerate() {
        let tag = tag.as_str().ok_or_else(|| bad(format!("entry {index} of tags is not a text")))?;
        tags.insert(Tag::parse(tag).map_err(|rule| bad(format!("entry {index} of tags {rule}")))?);
        if tags.len() > MOST_TAGS {
            return Err(too_many());
        }
    }
    Ok(tags)
}

/// The badge of a body.
///
/// # Errors
/// When it is missing or cannot be.
pub fn badge(body: Result<&[u8], BodyError>) -> Result<u32, Failure> {
    let fields = Fields::parse(body)?;
    let badge = fields.get("badge").ok_or_else(|| bad("badge is missing"))?;
    let badge = badge.as_u64().filter(|badge| *badge <= MOST_BADGE).and_then(|badge| u32::try_from(badge).ok());
    badge.ok_or_else(|| bad("badge is not a whole number from 0 to 999999"))
}

fn too_many() -> Failure {
    bad("a user has at most 50 tags")
}

/// The failure that a refusal of the registry is; `None` when it is trouble of ours.
#[must_use]
pub fn refusal(error: &LabelError) -> Option<Failure> {
    match error {
        LabelError::Registry(_) => None,
        LabelError::TooManyTags => Some(too_many()),
        LabelError::TooLong => Some(bad("a user's tags have at most 1024 bytes together")),
        LabelError::Taken => Some(Failure::new(Code::AlreadyBound, "another user has this alias")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::{Value, json};

    fn told<T>(parsed: Result<T, Failure>) -> String {
        parsed.map(drop).unwrap_err().to_string()
    }

    #[test]
    fn tags_are_distinct_texts_and_few() {
        let parse = |body: Value| tags(Ok(body.to_string().as_bytes()));
        let given: Vec<String> =
            parse(json!({"tags": ["b", "a", "b"]})).unwrap().into_iter().map(String::from).collect();
        assert_eq!(given, ["a", "b"]);
        for (body, rule) in [
            (json!({}), "tags is missing"),
            (json!({"tags": "a"}), "tags is not a list"),
            (json!({"tags": []}), "tags is empty"),
            (json!({"tags": ["a", 1]}), "entry 1 of tags is not a text"),
            (json!({"tags": [""]}), "entry 0 of tags is empty"),
            (json!({"tags": ["a\nb"]}), "entry 0 of tags holds a character that is not allowed"),
            (json!({"tags": (0..51).map(|n| n.to_string()).collect::<Vec<_>>()}), "a user has at most 50 tags"),
        ] {
            assert_eq!(told(parse(body)), rule);
        }
    }

    #[test]
    fn an_empty_alias_is_none_and_a_missing_one_is_a_mistake() {
        let (app, user) = (AppId::parse("demo").unwrap(), ClientId::parse("u1").unwrap());
        let parse = |body: Value| alias(Ok(body.to_string().as_bytes()), &app, &user);
        assert_eq!(parse(json!({"alias": "anna"})).unwrap(), Some(Alias::parse("anna").unwrap()));
        assert_eq!(parse(json!({"alias": ""})).unwrap(), None);
        assert_eq!(told(parse(json!({"alias": null}))), "alias is missing");
        assert_eq!(told(parse(json!({"alias": "a", "push_token": "x"}))), "push_token is not one of this user's");
        assert_eq!(told(parse(json!({"alias": "a".repeat(129)}))), "alias is longer than 128 bytes");
    }

    #[test]
    fn a_badge_is_a_count() {
        let parse = |body: &str| badge(Ok(body.as_bytes()));
        assert_eq!(parse(r#"{"badge": 7}"#).unwrap(), 7);
        for wrong in [r#"{"badge": -1}"#, r#"{"badge": 1.5}"#, r#"{"badge": "7"}"#, r#"{"badge": 1000000}"#] {
            assert_eq!(told(parse(wrong)), "badge is not a whole number from 0 to 999999", "{wrong}");
        }
        assert_eq!(told(parse("{}")), "badge is missing");
    }
}
