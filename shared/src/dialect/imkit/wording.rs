//! What a person reads: title, body and localised text of a message, and the app's own copy for parts of the audience.
//!
//! Source of the localisation keys: IMKIT's "Push Payload Format". Its samples send one argument, its table uses two; two
//! are sent, nickname and content, so that no text of an app shows an unfilled place.

use super::chat_message::ChatMessage;
use crate::app::ImkitSettings;
use crate::id::AppId;
use crate::message::{Copy, Localised, Text};

/// The most bytes, as JSON, of a body and of an argument. FCM and APNs take 4096 bytes in all, so that nothing readable is lost,
/// and a message stays far under what a queue record may hold however often it repeats its text.
const MOST_BODY: usize = 4096;

/// The most bytes, as JSON, of one cohort's text: there are as many as the app has set.
const MOST_COPY: usize = 1024;

/// The most bytes, as JSON, of a title and of a nickname.
const MOST_TITLE: usize = 512;

/// Stands for a sender without a nickname.
const NOBODY: &str = "Someone";

/// The texts of `chat`. `alert` is the server's own body, which only the v1 callback carries.
pub(super) fn text(app: &AppId, settings: &ImkitSettings, chat: &ChatMessage, alert: Option<&str>) -> Text {
    let content = cut(&chat.content(), MOST_BODY);
    let nickname = chat.nickname().map(|name| cut(name, MOST_TITLE));
    let title = chat.room_name().or(chat.nickname()).or(chat.app_name()).unwrap_or(app.as_str());
    let title = cut(title, MOST_TITLE);

    let encrypted = chat.kind() == "encrypted";
    let pattern = chat.pattern(!content.is_empty());
    // The server's own text of an encrypted message may hold the cipher text.
    let body = match alert.filter(|_| !encrypted) {
        Some(alert) => cut(alert, MOST_BODY),
        None => cut(&fill(pattern, nickname.as_deref(), &content), MOST_BODY),
    };

    let row = chat.row();
    let said = if row.with_content == "$1: $2" && !content.is_empty() { content.as_str() } else { row.word };
    let nickname = nickname.as_deref().unwrap_or(NOBODY);
    let values = [("room", title.as_str()), ("nickname", nickname), ("text", said)];
    let render = |template: &String| Some(cut(&render(template, &values), MOST_COPY)).filter(|text| !text.is_empty());
    let cohorts: Vec<Copy> = settings
        .copies
        .iter()
        .map(|copy| Copy {
            weight: copy.weight,
            title: copy.title.as_ref().and_then(render),
            body: copy.body.as_ref().and_then(render),
            push: copy.push,
        })
        .collect();

    Text {
        experiment: settings.experiment.clone().filter(|_| !cohorts.is_empty()),
        cohorts,
        localised: localisation_key(chat.kind())
            .map(|key| Localised { key, args: vec![nickname.to_owned(), content.clone()] }),
        title: Some(title),
        body: Some(body),
        ..Text::default()
    }
}

/// `im_loc_<messageType>`; none for a type that cannot be the name of a text in an app.
fn localisation_key(kind: &str) -> Option<String> {
    let named = kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
    named.then(|| format!("im_loc_{kind}"))
}

/// Puts `nickname` for `$1` and `content` for `$2`. What somebody said stands alone when nobody is known to have said it.
fn fill(pattern: &str, nickname: Option<&str>, content: &str) -> String {
    let pattern = if nickname.is_none() { pattern.strip_prefix("$1: ").unwrap_or(pattern) } else { pattern };
    let mut filled = String::with_capacity(pattern.len() + content.len() + 32);
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('$') {
        filled.push_str(before);
        rest = after;
        if let Some(after) = rest.strip_prefix('1') {
            filled.push_str(nickname.unwrap_or(NOBODY));
            rest = after;
        } else if let Some(after) = rest.strip_prefix('2') {
            filled.push_str(content);
            rest = after;
        } else {
            filled.push('$');
        }
    }
    filled.push_str(rest);
    filled
}

/// Puts values for `{{name}}`. Values are never looked into for places; a name that is not known stays as it is written.
fn render(template: &str, values: &[(&str, &str)]) -> String {
    let mut rendered = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        rendered.push_str(before);
        let known = after.split_once("}}").and_then(|(name, after)| {
            let (_, value) = values.iter().find(|(own, _)| *own == name.trim())?;
            Some((value, after))
        });
        if let Some((value, after)) = known {
            rendered.push_str(value);
            rest = after;
        } else {
            rendered.push_str("{{");
            rest = after;
        }
    }
    rendered.push_str(rest);
    rendered
}

/// `text`, or as much of it as `most` bytes of JSON hold with an ellipsis.
fn cut(text: &str, most: usize) -> String {
    const ELLIPSIS: char = '…';
    let mut size = 0;
    let mut end = 0;
    for (index, character) in text.char_indices() {
        if size + ELLIPSIS.len_utf8() <= most {
            end = index;
        }
        size += json_size(character);
        if size > most {
            let mut short = text[..end].to_owned();
            short.push(ELLIPSIS);
            return short;
        }
    }
    text.to_owned()
}

/// The bytes of a character in a JSON string.
const fn json_size(character: char) -> usize {
    match character {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => 6,
        _ => character.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_are_never_templates() {
        let values = [("room", "{{text}}"), ("nickname", "$2 {{room}}"), ("text", "lala")];
        assert_eq!(render("{{nickname}} in {{ room }}: {{text}}", &values), "$2 {{room}} in {{text}}: lala");
        assert_eq!(fill("$1: $2", Some("$2"), "$1"), "$2: $1");
    }

    #[test]
    fn an_unknown_place_stays_as_it_is_written() {
        let values = [("text", "lala")];
        assert_eq!(render("{{who}} {{ {{text}} {{text", &values), "{{who}} {{ lala {{text");
        assert_eq!(fill("100 $ for $3", None, ""), "100 $ for $3");
    }

    #[test]
    fn a_type_that_cannot_name_a_text_has_no_localisation_key() {
        assert_eq!(localisation_key("order.paid-2").unwrap(), "im_loc_order.paid-2");
        assert_eq!(localisation_key("über"), None);
        assert_eq!(localisation_key("a b"), None);
    }

    proptest! {
        #[test]
        fn a_cut_text_fits_and_begins_as_the_whole_one(text in "[a\"\n\u{1}é部]{0,40}", most in 3_usize..90) {
            let size = |text: &str| serde_json::to_string(text).unwrap().len() - 2;
            let short = cut(&text, most);
            prop_assert!(size(&short) <= most);
            if size(&text) <= most {
                prop_assert_eq!(short, text);
            } else {
                prop_assert!(text.starts_with(short.strip_suffix('…').unwrap()));
                prop_assert!(size(&short) + 9 > most, "no more is cut than must be");
            }
        }
    }
}
