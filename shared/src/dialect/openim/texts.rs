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

/// What a message is called where it has no text: a value of its own.
const TEXT: &str = "text";

const PLACES: [&str; 4] = ["sender", TEXT, "group", "member"];

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
        let variant = variants.iter().find(|variant| self.unknown_in(variant).next().is_none()).copied();
        self.render(variant.unwrap_or_default(), [""; 4])
    }

    /// The places of `template` whose values are not known.
    fn unknown_in(&self, template: &str) -> impl Iterator<Item = &'static str> {
        let unknown = PLACES.into_iter().zip(self.all()).filter(|(_, value)| value.is_none()).map(|(place, _)| place);
        unknown.filter(move |place| render(template, &[(*place, "")]) != template)
    }

    /// `template` with what is known in its places, and `instead` where nothing is.
    fn render(&self, template: &str, instead: [&str; 4]) -> String {
        let all = self.all();
        let values: [(&str, &str); 4] =
            std::array::from_fn(|place| (PLACES[place], all[place].unwrap_or(instead[place])));
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
        self.wording(self.app_text(language), self.built_in(language), MOST_BODY)
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
            let Wording { title, body } = self.wording(text, built_in, MOST_COPY);
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

    /// `built_in`: the language's place in [`LANGUAGES`], where there are built-in texts in it. They know what to say when a name is not
    /// known, so that a body of the app's own with a stand-in for one is not read then.
    fn wording(&self, app: Option<&'a OpenimText>, built_in: Option<usize>, most: usize) -> Wording {
        let index = built_in.unwrap_or(0);
        let words = self.words(index);
        let instead = self.instead(index);
        let said = |text: &'a Option<String>| {
            let template = text.as_deref()?;
            Some(if self.values.sender.is_none() { without_sender(template) } else { template })
        };
        let filled =
            |template: &str| Some(self.values.render(template, instead)).filter(|text| !text.trim().is_empty());
        let is_worse =
            |template: &str| built_in.is_some() && self.values.unknown_in(template).any(|place| place != TEXT);
        let title = app.and_then(|app| filled(said(&app.title)?)).unwrap_or_else(|| {
            let known = self.values.group.as_deref().or(self.settings.title.as_deref());
            known.unwrap_or(words.title).to_owned()
        });
        let own = app.and_then(|app| said(&app.body)).filter(|template| !is_worse(template)).and_then(filled);
        let body = own.unwrap_or_else(|| self.values.fill(words.bodies));
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
mod tests;
