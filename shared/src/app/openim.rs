//! How OpenIM's before-push callbacks are taken.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use crate::message::{Copy, language};

/// How OpenIM's before-push callbacks are taken.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "OpenimForm")]
pub struct OpenimSettings {
    /// Who delivers.
    pub mode: OpenimMode,
    /// What an offline hook is answered when we fail inside. Online hooks are then always allowed.
    pub on_error: OnError,
    /// How long an answer may take; what is not filtered by then is allowed unfiltered.
    pub deadline: Duration,
    /// The stage of `callbackBeforePushCommand`, whose name does not tell it.
    pub before_push: BeforePushStage,
    /// An allowed push names its recipients even where all of them are allowed. OpenIM 3.0 to 3.3 pushes to nobody in a group else.
    pub always_list: bool,
    /// Whose wish to hide content holds for a notification that is one for several people.
    pub hide_for: HideFor,
    /// The app's own texts, over the built-in ones: language, then [`TextKey`].
    pub texts: BTreeMap<String, BTreeMap<TextKey, OpenimText>>,
    /// How long a call may be announced.
    pub call_ttl: Duration,
    /// Other copy for parts of the audience, with mode `deliver`.
    pub copies: Vec<Copy>,
    /// The copies' experiment. Another name deals the clients anew.
    pub experiment: Option<String>,
}

/// Who delivers the offline pushes of an OpenIM server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OpenimMode {
    /// OpenIM's own pusher; we allow, deny, narrow and rewrite.
    #[default]
    Filter,
    /// We do, and OpenIM is told not to.
    Deliver,
}

/// What an offline hook is answered when we fail inside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnError {
    /// Everybody is notified.
    #[default]
    Allow,
    /// Nobody is.
    Deny,
}

/// The stage of `callbackBeforePushCommand`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BeforePushStage {
    /// Before a push to phones.
    #[default]
    Offline,
    /// Before live delivery over the socket.
    Online,
}

/// Whose wish to hide content holds for a notification that is one for several people.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HideFor {
    /// One of them is enough: nobody's screen shows what they want hidden.
    #[default]
    Anyone,
    /// All of them have to want it: in a large group somebody always does.
    Everyone,
}

/// What a text of the app is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub enum TextKey {
    /// A `contentType`.
    Type(i32),
    /// A message with `signalInfo`, whatever its type.
    Call,
    /// A removal from a group (1508), to who was removed.
    Removed,
}

impl TryFrom<String> for TextKey {
    type Error = &'static str;

    fn try_from(key: String) -> Result<Self, Self::Error> {
        match key.as_str() {
            "call" => Ok(Self::Call),
            "removed" => Ok(Self::Removed),
            number => number
                .parse()
                .map(Self::Type)
                .map_err(|_| "texts are for a contentType, as a number, for \"call\" or for \"removed\""),
        }
    }
}

/// A title and a body with places: `{{sender}}`, `{{text}}`, `{{group}}`, `{{member}}`. A part that is not there is the built-in one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OpenimText {
    /// First line.
    pub title: Option<String>,
    /// The text.
    pub body: Option<String>,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct OpenimForm {
    mode: OpenimMode,
    on_error: OnError,
    deadline_ms: u64,
    before_push: BeforePushStage,
    always_list: bool,
    hide_for: HideFor,
    texts: BTreeMap<String, BTreeMap<TextKey, OpenimText>>,
    call_ttl_s: u64,
    copies: Vec<Copy>,
    experiment: Option<String>,
}

impl Default for OpenimForm {
    fn default() -> Self {
        Self {
            mode: OpenimMode::default(),
            on_error: OnError::default(),
            deadline_ms: 1000,
            before_push: BeforePushStage::default(),
            always_list: false,
            hide_for: HideFor::default(),
            texts: BTreeMap::new(),
            call_ttl_s: 60,
            copies: Vec::new(),
            experiment: None,
        }
    }
}

/// The most bytes of one of the app's own texts.
const LONGEST_TEXT: usize = 1024;

/// The most languages of the app's own texts: a queued message carries its text in all of them.
const MOST_LANGUAGES: usize = 24;

impl TryFrom<OpenimForm> for OpenimSettings {
    type Error = &'static str;

    fn try_from(form: OpenimForm) -> Result<Self, Self::Error> {
        // OpenIM waits for 5 s unless it is told otherwise, and the way to us takes its part.
        if !(100..=4000).contains(&form.deadline_ms) {
            return Err("deadline_ms is from 100 to 4000");
        }
        if !(1..=600).contains(&form.call_ttl_s) {
            return Err("call_ttl_s is from 1 to 600");
        }
        if form.texts.len() > MOST_LANGUAGES {
            return Err("texts are in at most 24 languages");
        }
        if form.texts.keys().any(|language| !language::is_tag(language)) {
            return Err("texts are by language, named like \"en\" or \"zh-Hant\"");
        }
        let mut texts = form.texts.values().flat_map(BTreeMap::values);
        if texts.any(|text| [&text.title, &text.body].into_iter().flatten().any(|part| part.len() > LONGEST_TEXT)) {
            return Err("a text has at most 1024 bytes");
        }
        Ok(Self {
            mode: form.mode,
            on_error: form.on_error,
            deadline: Duration::from_millis(form.deadline_ms),
            before_push: form.before_push,
            always_list: form.always_list,
            hide_for: form.hide_for,
            texts: form.texts.into_iter().map(|(language, texts)| (language.to_ascii_lowercase(), texts)).collect(),
            call_ttl: Duration::from_secs(form.call_ttl_s),
            copies: form.copies,
            experiment: form.experiment,
        })
    }
}

impl Default for OpenimSettings {
    fn default() -> Self {
        let form = OpenimForm::default();
        Self {
            mode: form.mode,
            on_error: form.on_error,
            deadline: Duration::from_millis(form.deadline_ms),
            before_push: form.before_push,
            always_list: form.always_list,
            hide_for: form.hide_for,
            texts: form.texts,
            call_ttl: Duration::from_secs(form.call_ttl_s),
            copies: form.copies,
            experiment: form.experiment,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(json: &str) -> Result<OpenimSettings, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn an_app_that_says_nothing_filters_and_allows_on_errors() {
        let settings = read("{}").unwrap();
        assert_eq!(settings, OpenimSettings::default());
        assert_eq!((settings.mode, settings.on_error), (OpenimMode::Filter, OnError::Allow));
        assert_eq!((settings.deadline, settings.call_ttl), (Duration::from_secs(1), Duration::from_secs(60)));
    }

    #[test]
    fn texts_are_by_language_and_content_type() {
        let settings =
            read(r#"{"texts": {"zh-Hant": {"101": {"body": "{{text}}"}, "call": {"title": "來電"}}}}"#).unwrap();
        let texts = settings.texts.get("zh-hant").unwrap();
        assert_eq!(texts.get(&TextKey::Type(101)).unwrap().body.as_deref(), Some("{{text}}"));
        assert_eq!(texts.get(&TextKey::Call).unwrap().title.as_deref(), Some("來電"));
    }

    #[test]
    fn what_is_out_of_bounds_is_refused() {
        let long = format!(r#"{{"texts": {{"en": {{"101": {{"body": "{}"}}}}}}}}"#, "x".repeat(1025));
        let languages: BTreeMap<String, BTreeMap<String, String>> =
            (b'a'..=b'y').map(|letter| (format!("x{}", char::from(letter)), BTreeMap::new())).collect();
        let many = serde_json::json!({"texts": languages}).to_string();
        for wrong in [
            &many,
            r#"{"deadline_ms": 99}"#,
            r#"{"deadline_ms": 4001}"#,
            r#"{"call_ttl_s": 0}"#,
            r#"{"call_ttl_s": 601}"#,
            r#"{"mode": "both"}"#,
            r#"{"on_error": "drop"}"#,
            r#"{"texts": {"e n": {}}}"#,
            r#"{"texts": {"en": {"text": {}}}}"#,
            r#"{"texts": {"en": {"101": {"subtitle": "x"}}}}"#,
            r#"{"deadline": 5}"#,
            &long,
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
