//! What a person reads: title, body and localised text of a message, and the app's own copy for parts of the audience.
//!
//! Source of the localisation keys: IMKIT's "Push Payload Format". Its samples send one argument, its table uses two; two
//! are sent, nickname and content, so that no text of an app shows an unfilled place.

use super::chat_message::ChatMessage;
use crate::app::ImkitSettings;
use crate::dialect::places::{MOST_BODY, MOST_TITLE, cohorts, cut};
use crate::id::AppId;
use crate::message::{Localised, Text};

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
    let cohorts = cohorts(&settings.copies, &values);

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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn values_are_never_patterns() {
        assert_eq!(fill("$1: $2", Some("$2"), "$1"), "$2: $1");
    }

    #[test]
    fn an_unknown_place_stays_as_it_is_written() {
        assert_eq!(fill("100 $ for $3", None, ""), "100 $ for $3");
    }

    #[test]
    fn a_type_that_cannot_name_a_text_has_no_localisation_key() {
        assert_eq!(localisation_key("order.paid-2").unwrap(), "im_loc_order.paid-2");
        assert_eq!(localisation_key("über"), None);
        assert_eq!(localisation_key("a b"), None);
    }
}
