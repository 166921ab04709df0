//! What a person reads of a message: the server's own title and text where it gives them, else the app's texts, else the built-in ones.

use crate::app::{OpenimSettings, OpenimText, Settings, TextKey};
use crate::dialect::places::{MOST_BODY, MOST_COPY, MOST_TITLE, cut, render};
use crate::message::{Translation, language};

use super::builtin::{self, LANGUAGES, SOMEBODY, Subject, Words};
use super::callback::Callback;
use super::content::{Content, REVOKED};

/// What OpenIM titles a message with that says nothing about it (`ContentType2PushContent`, 3.x and 2.x), without brackets.
const TAGS: [&str; 15] = [
    "TEXT",
    "PICTURE",
    "VOICE",
    "VIDEO",
    "FILE",
    "@TEXT",
    "GROUPMSG",
    "SIGNALMSG",
    "SIGNALINVITE",
    "NEWMSG",
    "图片",
    "语音",
    "视频",
    "文件",
    "有人@你",
];

/// A text of the server's own that says something to people: no tag, and no placeholder of its configuration.
pub(super) fn said(text: &str) -> Option<&str> {
    let trimmed = text.trim();
    let inside = trimmed.strip_prefix('[').map(|inside| inside.trim_end_matches(']'));
    let is_tag = inside.is_some_and(|inside| TAGS.iter().any(|tag| tag.eq_ignore_ascii_case(inside)));
    (!trimmed.is_empty() && !is_tag && !is_placeholder(text)).then_some(text)
}

/// `memberQuit title`, `memberQuit desc` and the like: how the texts of `notification.yml` come with the server.
fn is_placeholder(text: &str) -> bool {
    let Some(name) = text.strip_suffix(" title").or_else(|| text.strip_suffix(" desc")) else { return false };
    let camel = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.contains(|c: char| c.is_ascii_uppercase())
        && name.bytes().all(|byte| byte.is_ascii_alphabetic());
    camel || name == "create group" || name.is_empty()
}

/// The texts of one message.
pub(super) struct Texts<'a> {
    settings: &'a Settings,
    subject: Subject,
    key: TextKey,
    values: Values,
}

/// What goes into the places, where it is known.
struct Values {
    sender: Option<String>,
    text: Option<String>,
    group: Option<String>,
    member: Option<String>,
}

const PLACES: [&str; 4] = ["{{sender}}", "{{text}}", "{{group}}", "{{member}}"];

/// A title and a body that are read together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wording {
    pub(super) title: String,
    pub(super) body: String,
}

impl Values {
    fn of(content: &Content) -> Self {
        let name = |name: &Option<String>| name.as_deref().map(|name| cut(name, MOST_TITLE));
        Self {
            sender: name(&content.sender),
            text: content.text.as_deref().map(|text| cut(text, MOST_BODY)),
            group: name(&content.group),
            member: content.member_names().map(|names| cut(&names, MOST_TITLE)),
        }
    }

    fn all(&self) -> [Option<&str>; 4] {
        [&self.sender, &self.text, &self.group, &self.member].map(|value| value.as_deref())
    }

    /// The first of `variants` all of whose places are known.
    fn fill(&self, variants: &[&str]) -> String {
        let all = self.all();
        let known =
            |variant: &str| !PLACES.iter().zip(all).any(|(place, value)| value.is_none() && variant.contains(place));
        let variant = variants.iter().find(|variant| known(variant)).copied().unwrap_or_default();
        self.render(variant, [""; 4])
    }

    /// `template` with what is known in its places, and `instead` where nothing is.
    fn render(&self, template: &str, instead: [&str; 4]) -> String {
        let [sender, text, group, member] = self.all();
        let values = [
            ("sender", sender.unwrap_or(instead[0])),
            ("text", text.unwrap_or(instead[1])),
            ("group", group.unwrap_or(instead[2])),
            ("member", member.unwrap_or(instead[3])),
        ];
        render(template, &values)
    }
}

impl<'a> Texts<'a> {
    /// The texts of `callback`.
    pub(super) fn new(settings: &'a Settings, callback: &Callback) -> Self {
        let number = callback.content_type;
        let (subject, key) = if callback.is_call() {
            (Subject::Call, TextKey::Call)
        } else if callback.content.revoked.is_some() {
            (Subject::Type(REVOKED), TextKey::Type(number))
        } else {
            (Subject::Type(number), TextKey::Type(number))
        };
        Self { settings, subject, key, values: Values::of(&callback.content) }
    }

    /// The same for those whom the message tells that they were removed.
    pub(super) fn for_removed(mut self) -> Self {
        (self.subject, self.key) = (Subject::Removed, TextKey::Removed);
        self
    }

    /// What people read whose language is not known.
    pub(super) fn own(&self) -> Wording {
        let language = self.settings.language();
        self.wording(self.app_text(language), self.built_in(language).unwrap_or(0), MOST_BODY)
    }

    /// The same in every other language that there is a text in.
    pub(super) fn others(&self) -> Vec<Translation> {
        let own = self.settings.language();
        let app = self.openim().texts.keys().map(String::as_str);
        let languages = LANGUAGES.into_iter().chain(app.filter(|tag| !LANGUAGES.contains(tag)));
        let translation = |tag: &str| {
            let (text, built_in) = (self.app_text(tag), self.built_in(tag));
            if text.is_none() && built_in.is_none() {
                return None;
            }
            let Wording { title, body } = self.wording(text, built_in.unwrap_or(0), MOST_COPY);
            Some(Translation { language: tag.to_owned(), title: Some(title), body: Some(body) })
        };
        let read = self.own();
        languages
            .filter(|tag| !tag.eq_ignore_ascii_case(own))
            .filter_map(translation)
            .filter(|other| other.title.as_ref() != Some(&read.title) || other.body.as_ref() != Some(&read.body))
            .collect()
    }

    /// What goes into the places of the app's copies, but for what no app can know better: the text, or what the message is.
    pub(super) fn places(&self) -> [(&'static str, String); 4] {
        let index = self.built_in(self.settings.language()).unwrap_or(0);
        let [sender, text, group, member] = self.instead(index);
        let value = |known: &Option<String>, instead: &str| known.clone().unwrap_or_else(|| instead.to_owned());
        [
            ("sender", value(&self.values.sender, sender)),
            ("text", value(&self.values.text, text)),
            ("group", value(&self.values.group, group)),
            ("member", value(&self.values.member, member)),
        ]
    }

    const fn openim(&self) -> &'a OpenimSettings {
        &self.settings.openim
    }

    fn words(&self, index: usize) -> &'static Words {
        let words = builtin::of(self.subject);
        words.get(index).unwrap_or(&words[0])
    }

    fn built_in(&self, wanted: &str) -> Option<usize> {
        language::pick(LANGUAGES, wanted)
    }

    /// The app's text in the language nearest to `wanted` that it has one of this key in.
    fn app_text(&self, wanted: &str) -> Option<&'a OpenimText> {
        let having: Vec<(&str, &OpenimText)> =
            self.openim().texts.iter().filter_map(|(tag, texts)| Some((tag.as_str(), texts.get(&self.key)?))).collect();
        let index = language::pick(having.iter().map(|(tag, _)| *tag), wanted)?;
        having.get(index).map(|(_, text)| *text)
    }

    /// What stands for values that are not known.
    fn instead(&self, index: usize) -> [&str; 4] {
        let words = self.words(index);
        let somebody = SOMEBODY.get(index).copied().unwrap_or(SOMEBODY[0]);
        [somebody, words.word, self.settings.title.as_deref().unwrap_or(words.title), somebody]
    }

    fn wording(&self, app: Option<&OpenimText>, index: usize, most: usize) -> Wording {
        let words = self.words(index);
        let instead = self.instead(index);
        let render = |template: &str| {
            let template = if self.values.sender.is_none() { without_sender(template) } else { template };
            self.values.render(template, instead)
        };
        let filled = |text: &Option<String>| text.as_deref().map(render).filter(|text| !text.trim().is_empty());
        let title = app.and_then(|app| filled(&app.title)).unwrap_or_else(|| {
            let known = self.values.group.as_deref().or(self.settings.title.as_deref());
            known.unwrap_or(words.title).to_owned()
        });
        let body = app.and_then(|app| filled(&app.body)).unwrap_or_else(|| self.values.fill(words.bodies));
        Wording { title: cut(&title, MOST_TITLE), body: cut(&body, most) }
    }
}

/// What somebody said stands alone when nobody is known to have said it.
fn without_sender(template: &str) -> &str {
    let Some(rest) = template.strip_prefix("{{sender}}") else { return template };
    match rest.trim_start().strip_prefix([':', '：']) {
        Some(rest) => rest.trim_start(),
        None => template,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::super::callback::Received;
    use super::*;

    fn callback(body: &Value) -> Callback {
        let bytes = body.to_string().into_bytes();
        Callback::read(&Received::new(&bytes).unwrap(), None).unwrap()
    }

    fn message(content_type: i32, content: &Value) -> Callback {
        callback(&json!({"contentType": content_type, "content": content.to_string()}))
    }

    fn settings(json: &Value) -> Settings {
        serde_json::from_value(json.clone()).unwrap()
    }

    fn read(settings: &Settings, callback: &Callback) -> (String, String) {
        let Wording { title, body } = Texts::new(settings, callback).own();
        (title, body)
    }

    fn pair(title: &str, body: &str) -> (String, String) {
        (title.to_owned(), body.to_owned())
    }

    #[test]
    fn openims_fixed_tags_are_no_texts() {
        for tag in [
            "[TEXT]",
            "[picture]",
            "[VOICE]",
            "[File]",
            " [NEWMSG] ",
            "[GROUPMSG]]",
            "[@TEXT]",
            "[SIGNALINVITE]",
            "[图片]",
            "",
            "  ",
        ] {
            assert_eq!(said(tag), None, "{tag}");
        }
        for text in ["Shift team", "[Ana] hello", "TEXT", "[Ana]"] {
            assert_eq!(said(text), Some(text));
        }
    }

    #[test]
    fn placeholders_of_the_servers_configuration_are_no_texts() {
        for placeholder in ["memberQuit title", "groupDismissed desc", "create group title", " desc"] {
            assert_eq!(said(placeholder), None, "{placeholder}");
        }
        for text in ["A new title", "job title", "We have become friends", "title"] {
            assert_eq!(said(text), Some(text));
        }
    }

    #[test]
    fn a_body_says_as_much_as_is_known() {
        let plain = Settings::default();
        assert_eq!(read(&plain, &message(101, &json!({"content": "hi"}))), pair("New message", "hi"));
        assert_eq!(read(&plain, &message(102, &json!({}))), pair("New message", "You received a picture"));
        assert_eq!(read(&plain, &message(105, &json!({"fileName": "a.pdf"}))), pair("New message", "File: a.pdf"));
        assert_eq!(read(&plain, &message(777, &json!({"own": 1}))), pair("New message", "You have a new message"));
        let mut named = message(101, &json!({"content": "hi"}));
        named.content.sender = Some("Ana".to_owned());
        assert_eq!(read(&plain, &named), pair("New message", "Ana: hi"));
        let kicked = |kicked: Value| {
            message(
                1508,
                &json!({"group": {"groupName": "Shift"}, "opUser": {"nickname": "Boss"}, "kickedUserList": kicked}),
            )
        };
        let member = json!([{"userID": "u1", "nickname": "Ana"}]);
        assert_eq!(read(&plain, &kicked(member)), pair("Shift", "Boss removed Ana"));
        let unnamed = json!([{"userID": "u1"}]);
        assert_eq!(read(&plain, &kicked(unnamed)), pair("Shift", "A member was removed from the group"));
    }

    #[test]
    fn the_apps_title_and_language_go_before_the_built_in_ones() {
        let acme = settings(&json!({"title": "Acme", "language": "zh-CN"}));
        assert_eq!(read(&acme, &message(102, &json!({}))), pair("Acme", "您收到一张图片"));
        let unknown = settings(&json!({"language": "fr"}));
        assert_eq!(read(&unknown, &message(102, &json!({}))), pair("New message", "You received a picture"));
    }

    #[test]
    fn the_apps_texts_go_before_the_built_in_ones_part_by_part() {
        let own = settings(&json!({"language": "de", "openim": {"texts": {
            "de": {"101": {"body": "{{sender}}: {{text}}"}, "102": {"title": "Bild von {{sender}}", "body": "{{text}} in {{group}}"}},
            "en": {"101": {"body": " "}},
        }}}));
        assert_eq!(read(&own, &message(101, &json!({"content": "hi"}))), pair("New message", "hi"));
        assert_eq!(read(&own, &message(102, &json!({}))), pair("Bild von Someone", "Picture in New message"));
        let english = settings(&json!({"openim": {"texts": {"en": {"101": {"body": " "}}}}}));
        assert_eq!(read(&english, &message(101, &json!({"content": "hi"}))).1, "hi", "a text of nothing is none");
    }

    #[test]
    fn values_are_never_templates_and_unknown_places_stay() {
        let own = settings(&json!({"openim": {"texts": {"en": {"101": {"body": "{{text}} {{who}}"}}}}}));
        let spoofing = message(101, &json!({"content": "{{group}}"}));
        assert_eq!(read(&own, &spoofing).1, "{{group}} {{who}}");
        assert_eq!(read(&Settings::default(), &spoofing).1, "{{group}}");
    }

    #[test]
    fn other_languages_are_those_that_have_a_text_for_the_type() {
        let own = settings(&json!({"openim": {"texts": {
            "de": {"101": {"body": "Neu: {{text}}"}}, "fr": {"102": {"body": "Une image"}}, "EN": {"101": {"title": "Hello"}},
        }}}));
        let others = |content_type, content: Value| -> Vec<(String, Option<String>)> {
            let callback = message(content_type, &content);
            let others = Texts::new(&own, &callback).others();
            others.into_iter().map(|other| (other.language, other.body)).collect()
        };
        let text = |language: &str, body: &str| (language.to_owned(), Some(body.to_owned()));
        assert_eq!(others(101, json!({"content": "hi"})), [text("zh", "hi"), text("de", "Neu: hi")]);
        assert_eq!(others(102, json!({})), [text("zh", "您收到一张图片"), text("fr", "Une image")]);
    }

    #[test]
    fn a_call_has_texts_of_its_own_whatever_its_type() {
        let call = callback(&json!({"contentType": 110, "signalInfo": "x"}));
        assert_eq!(read(&Settings::default(), &call), pair("Incoming call", "Someone is calling"));
        let own = settings(&json!({"openim": {"texts": {"en": {"call": {"body": "Ring"}, "110": {"body": "Poll"}}}}}));
        assert_eq!(read(&own, &call).1, "Ring");
    }

    #[test]
    fn a_message_that_is_taken_back_says_so_whatever_its_type() {
        let revoke = message(118, &json!({"revokerID": "u1", "clientMsgID": "m1"}));
        assert_eq!(read(&Settings::default(), &revoke), pair("New message", "A message was taken back"));
    }

    #[test]
    fn who_is_removed_has_a_text_of_their_own() {
        let removal = message(1508, &json!({"kickedUserList": [{"userID": "u1", "nickname": "Ana"}]}));
        let text = |own: Value| {
            let own = settings(&json!({"openim": {"texts": {"en": own}}}));
            Texts::new(&own, &removal).for_removed().own().body
        };
        assert_eq!(text(json!({"1508": {"body": "{{member}} is gone"}})), "You were removed from the group");
        assert_eq!(text(json!({"removed": {"body": "Bye"}})), "Bye");
    }

    #[test]
    fn a_text_is_cut_to_what_a_phone_takes() {
        let long = message(101, &json!({"content": "x".repeat(10_000)}));
        assert_eq!(read(&Settings::default(), &long).1.len(), MOST_BODY);
    }
}
