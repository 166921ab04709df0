//! What rules on words look at: every text that `content` holds, as it was sent and whether a push would show it or not. So nobody gets
//! a word past them by a form that our own words for a push leave out.
//!
//! Source: OpenIM's `apistruct/msg.go`, `sdkws`, and `MsgStruct` of its SDK, which quotes (106, 114) and gathers (107) messages.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Deserializer;

use crate::filter::Reach;

/// Fields that hold text, wherever they stand; not what a group says of itself (`notification`, `introduction`), which every notification
/// about it repeats. SDKs read names whatever their case is (Go).
const TEXTS: [&str; 13] = [
    "abstractList",
    "content",
    "defaultTips",
    "description",
    "fileName",
    "groupName",
    "groupNickname",
    "handleMsg",
    "msgTips",
    "nickname",
    "reqMsg",
    "text",
    "title",
];

/// Fields that hold an object as text: 2.3's details, and what apps make up.
const OBJECTS: [&str; 4] = ["data", "detail", "extension", "jsonDetail"];

/// How often JSON inside of a text is opened: a merged message has messages, those have `content`, and that may quote one.
const MOST_OPENED: usize = 4;

/// The texts, as far as a [`Reach`] goes. Never fails: what is no JSON is text.
pub(super) fn texts(content: &str) -> Vec<String> {
    let mut found = Found::default();
    if !found.walk(content, Field::Text, MOST_OPENED) || !content.trim_start().starts_with('{') {
        found.add(content);
    }
    found.texts
}

#[derive(Default)]
struct Found {
    texts: Vec<String>,
    reach: Reach,
}

impl Found {
    fn add(&mut self, text: &str) {
        let (seen, _) = self.reach.split(text);
        if !seen.trim().is_empty() {
            self.texts.push(seen.to_owned());
        }
    }

    /// Adds the texts in `json`, and says whether it is JSON. Go reads some that is none here: it takes half a surrogate pair, any
    /// number and any depth. So the escapes of what begins like JSON are resolved whether it is some or not.
    fn walk(&mut self, json: &str, field: Field, opened: usize) -> bool {
        if !begins_like_json(json) {
            return false;
        }
        let mut deserializer = Deserializer::from_str(json);
        let walked =
            Walk { found: self, field, opened }.deserialize(&mut deserializer).and_then(|()| deserializer.end());
        if walked.is_err()
            && let Some(text) = unescaped(json)
        {
            self.add(&text);
        }
        walked.is_ok()
    }

    fn open(&mut self, text: &str, field: Field, opened: usize) {
        let Some(opened) = opened.checked_sub(1) else { return };
        if begins_like_json(text) {
            self.walk(text, field, opened);
        } else if field == Field::Object
            && let Some(json) = STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok())
        {
            self.walk(&json, field, opened);
        }
    }
}

fn begins_like_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '[', '"'])
}

/// What a field's name says of the strings in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Text,
    Object,
    Other,
}

impl Field {
    fn named(name: &str) -> Self {
        let is_in = |names: &[&str]| names.iter().any(|own| own.eq_ignore_ascii_case(name));
        if is_in(&TEXTS) {
            Self::Text
        } else if is_in(&OBJECTS) {
            Self::Object
        } else {
            Self::Other
        }
    }
}

/// Goes through a value without keeping it: a content of megabytes is not to become a tree of hundreds.
struct Walk<'f> {
    found: &'f mut Found,
    field: Field,
    opened: usize,
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        let Self { found, field, opened } = self;
        match field {
            Field::Text => found.add(text),
            Field::Object => {}
            Field::Other => return Ok(()),
        }
        found.open(text, field, opened);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Self { found, field, opened } = self;
        while list.next_element_seed(Walk { found: &mut *found, field, opened })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        let Self { found, opened, .. } = self;
        while let Some(name) = object.next_key::<Cow<'_, str>>()? {
            object.next_value_seed(Walk { found: &mut *found, field: Field::named(&name), opened })?;
        }
        Ok(())
    }
}

/// `text` with JSON's escapes resolved; `None` when it has none.
fn unescaped(text: &str) -> Option<String> {
    text.contains('\\').then(|| {
        let mut plain = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('\\') {
            plain.push_str(before);
            let mut units = Vec::new();
            rest = &rest[before.len()..];
            while let Some((unit, after)) = utf16_unit(rest) {
                units.push(unit);
                rest = after;
            }
            if units.is_empty() {
                let mut characters = after.chars();
                match characters.next() {
                    Some('b' | 'f' | 'n' | 'r' | 't') => plain.push(' '),
                    Some(other) => plain.push(other),
                    None => {}
                }
                rest = characters.as_str();
            } else {
                plain.extend(char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)));
            }
        }
        plain.push_str(rest);
        plain
    })
}

/// The `\uXXXX` that `text` begins with, and what follows.
fn utf16_unit(text: &str) -> Option<(u16, &str)> {
    let (digits, after) = text.strip_prefix("\\u")?.split_at_checked(4)?;
    u16::from_str_radix(digits, 16).ok().map(|unit| (unit, after))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::filter::{MOST_IN_ALL, MOST_OF_TEXT};

    fn holds(content: &str, word: &str) -> bool {
        texts(content).iter().any(|text| text.contains(word))
    }

    #[test]
    fn a_text_is_looked_at_in_every_form_it_can_be_sent_in() {
        for content in [
            r#"forbidden"#,
            r#"{" forbidden"#,
            r#"["forbidden"#,
            r#"["forbidden"]"#,
            r#""f\u006frbidden""#,
            r#"{"content":"forbidden"}"#,
            r#"{"content":"f\u006frbidden"}"#,
            r#"{"Content":"forbidden"}"#,
            r#"{"content":"{\"forbidden"}"#,
            r#"{"content":"{\"a\":\"forbidden\"}"}"#,
            r#"{"content":["forbidden"]}"#,
            r#"{"content":"forbidden","detail":"{}"}"#,
            r#"{"content":"forbidden","jsonDetail":"{}"}"#,
            r#"{"content":"fine","detail":"{\"content\":\"f\\u006frbidden\"}"}"#,
            r#"{"content":"fine","detail":"eyJ0ZXh0IjoiZm9yYmlkZGVuIn0="}"#,
            r#"{"text":"@forbidden","atUsersInfo":[{"atUserID":"f","groupNickname":"x"}]}"#,
            r#"{"data":"{\"text\":\"forbidden\"}","description":""}"#,
            // What Go reads, and serde_json does not.
            r#"{"content":"f\u006frbidden \ud800"}"#,
            r#"{"content":"f\u006frbidden","n":1e999}"#,
        ] {
            assert!(holds(content, "forbidden"), "{content}");
        }
        let deep = format!(r#"{{"x":{}{},"content":"f\u006frbidden"}}"#, "[".repeat(200), "]".repeat(200));
        assert!(holds(&deep, "forbidden"));
    }

    #[test]
    fn quoted_and_gathered_messages_are_looked_at() {
        let quoted = json!({"contentType": 101, "textElem": {"content": "forbidden"}});
        let by_content =
            json!({"contentType": 114, "content": json!({"text": "hm", "quoteMessage": quoted}).to_string()});
        for content in [
            json!({"text": "yes", "quoteMessage": quoted}),
            json!({"text": "@u1 yes", "atUserList": ["u1"], "quoteMessage": quoted}),
            json!({"text": "yes", "quoteMessage": {"content": "forbidden"}}),
            json!({"title": "Chat", "abstractList": ["Ana: fine", "Ben: forbidden"]}),
            json!({"title": "Chat", "multiMessage": [{"textElem": {"content": "fine"}}, quoted]}),
            json!({"title": "Chat", "multiMessage": [by_content]}),
        ] {
            assert!(holds(&content.to_string(), "forbidden"), "{content}");
        }
    }

    #[test]
    fn what_is_no_text_is_passed_over() {
        for content in [
            json!({"sourceUrl": "https://x/forbidden.jpg", "forbidden": 1}),
            json!({"content": "fine", "senderID": "forbidden", "atUserList": ["forbidden"]}),
            json!({"data": "{\"key\":\"forbidden\"}"}),
        ] {
            assert!(!holds(&content.to_string(), "forbidden"), "{content}");
        }
        assert_eq!(texts(r#"{"content":" ","text":""}"#), Vec::<String>::new());
        assert_eq!(texts(""), Vec::<String>::new());
    }

    #[test]
    fn escapes_are_resolved_without_a_parser() {
        assert_eq!(unescaped(r#"a\u0062\"\\\/\n\ud83d\ude00\ud83d-\u12\"#).as_deref(), Some("ab\"\\/ 😀\u{fffd}-u12"));
        assert_eq!(unescaped("plain"), None);
    }

    #[test]
    fn a_content_of_megabytes_leaves_few_texts() {
        let megabytes = "x".repeat(5_000_000);
        let size = |content: &str| texts(content).iter().map(String::len).sum::<usize>();
        assert_eq!(size(&megabytes), MOST_OF_TEXT);
        assert_eq!(size(&json!({"content": megabytes}).to_string()), MOST_OF_TEXT);
        assert_eq!(size(&json!({"abstractList": vec![&megabytes; 6]}).to_string()), MOST_IN_ALL);
    }

    #[test]
    fn nested_json_is_opened_to_a_bounded_depth() {
        let mut content = json!({"content": "forbidden"}).to_string();
        for _ in 0..12 {
            content = json!({ "data": content }).to_string();
        }
        assert!(!holds(&content, "forbidden"));
    }
}
