//! Templates: texts with `{{name}}` places that each recipient's own values fill.
//!
//! `{{name}}` asks for a value, `{{name|there}}` has a default for who has none. Around the name spaces do not count; a name holds no braces, no
//! bar and no control character. Values are data: what stands in one is never taken for a place. `{` and `}` alone are text, and so is `}}`
//! outside of a place; a `{{` that is not closed is a mistake, and is told.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The longest name of a value, in bytes.
pub const MOST_NAME: usize = 64;
/// The longest value, in bytes. The shortest vendor takes 4 KiB with everything.
pub const MOST_VALUE: usize = 1024;
/// The most bytes, as JSON, of the values that travel with one recipient, names included: a chunk of a hundred, each with twenty devices that are
/// left over, and the longest message are a record that the deferred table takes.
pub const MOST_VALUES: usize = 2048;

/// Why a text is no template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A place that does not end.
    #[error("has a {{{{ that is not closed")]
    Open,
    /// `{{}}`, `{{|there}}`.
    #[error("has a place without a name")]
    Nameless,
    /// A name that is too long, or holds a brace or a control character.
    #[error("has a place whose name is longer than 64 bytes, or holds a brace or a control character")]
    Name,
}

/// A value that somebody should have and has not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the value {0} is missing")]
pub struct Missing(
    /// Its name, as the template spells it.
    pub String,
);

/// What fills places: texts by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Values(BTreeMap<String, String>);

/// Why a value is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// An object or a list.
    #[error("is neither a text nor a number nor a boolean")]
    Kind,
    /// Longer than [`MOST_VALUE`].
    #[error("is longer than 1024 bytes")]
    TooLong,
    /// Too many bytes with the others of one recipient: [`MOST_VALUES`].
    #[error("is too much: the values of one recipient may have 2048 bytes together, as JSON")]
    TooMuch,
}

impl Values {
    /// The value of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Puts a value in the place of an earlier one.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.insert(name.into(), value.into());
    }

    /// What of `document` the places of `names` ask for. A name is looked up as it is, then as a path (`address.city`). `null` is as good as
    /// nothing.
    ///
    /// # Errors
    /// When a value is no text, or too long; with its name.
    pub fn of(document: &Map<String, Value>, names: &Names) -> Result<Self, (String, ValueError)> {
        let mut values = Self::default();
        let mut bytes = 0;
        for name in names.iter() {
            let Some(value) = found(document, name) else { continue };
            let text = text_of(value).map_err(|error| (name.to_owned(), error))?;
            let Some(text) = text else { continue };
            bytes += as_json(name) + as_json(&text) + 2;
            if bytes > MOST_VALUES {
                return Err((name.to_owned(), ValueError::TooMuch));
            }
            values.set(name, text);
        }
        Ok(values)
    }
}

impl FromIterator<(String, String)> for Values {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

/// Whether a value may bear that name: any that a place can ask for. 1 to [`MOST_NAME`] bytes without spaces around them, braces, bars and control
/// characters.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let allowed = |c: char| !c.is_control() && !matches!(c, '{' | '}' | '|');
    (1..=MOST_NAME).contains(&name.len()) && name.trim() == name && name.chars().all(allowed)
}

pub(crate) fn found<'a>(document: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    document.get(name).or_else(|| {
        let (first, rest) = name.split_once('.')?;
        found(document.get(first)?.as_object()?, rest)
    })
}

/// How many bytes a text has as JSON.
fn as_json(text: &str) -> usize {
    serde_json::to_string(text).map_or(usize::MAX / 4, |json| json.len())
}

/// A value as the text that fills a place; `None` for `null`.
///
/// # Errors
/// When it is an object or a list, or too long.
pub fn text_of(value: &Value) -> Result<Option<String>, ValueError> {
    let text = match value {
        Value::Null => return Ok(None),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(_) | Value::Object(_) => return Err(ValueError::Kind),
    };
    if text.len() > MOST_VALUE { Err(ValueError::TooLong) } else { Ok(Some(text)) }
}

/// The names that templates ask for, and whether each is needed: asked for somewhere without a default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    all: BTreeSet<String>,
    needed: BTreeSet<String>,
}

impl Names {
    /// Every name, once.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.all.iter().map(String::as_str)
    }

    /// The names that somebody must have a value for.
    pub fn needed(&self) -> impl Iterator<Item = &str> {
        self.needed.iter().map(String::as_str)
    }

    /// Whether nothing is asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Takes in the names of one text.
    ///
    /// # Errors
    /// When it is no template.
    pub fn take(&mut self, text: &str) -> Result<(), TemplateError> {
        parts(text, |part| {
            if let Part::Place { name, default } = part {
                self.all.insert(name.to_owned());
                if default.is_none() {
                    self.needed.insert(name.to_owned());
                }
            }
            Ok(())
        })
    }

    /// Takes in the names of every text in `value`, however deep it stands. Members' names are no templates.
    ///
    /// # Errors
    /// When a text is no template; with the path to it, which begins with `path`.
    pub fn take_all(&mut self, value: &Value, path: &str) -> Result<(), (String, TemplateError)> {
        match value {
            Value::String(text) => self.take(text).map_err(|error| (path.to_owned(), error)),
            Value::Array(list) => {
                list.iter().enumerate().try_for_each(|(index, item)| self.take_all(item, &format!("{path}[{index}]")))
            }
            Value::Object(members) => {
                members.iter().try_for_each(|(name, member)| self.take_all(member, &format!("{path}.{name}")))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
        }
    }
}

enum Part<'a> {
    Text(&'a str),
    Place { name: &'a str, default: Option<&'a str> },
}

fn parts<'a, E: From<TemplateError>>(text: &'a str, mut each: impl FnMut(Part<'a>) -> Result<(), E>) -> Result<(), E> {
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        each(Part::Text(before))?;
        let (inside, behind) = after.split_once("}}").ok_or(TemplateError::Open)?;
        let (name, default) = match inside.split_once('|') {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        let name = name.trim();
        if name.is_empty() {
            return Err(TemplateError::Nameless.into());
        }
        if !is_name(name) {
            return Err(TemplateError::Name.into());
        }
        each(Part::Place { name, default })?;
        rest = behind;
    }
    each(Part::Text(rest))
}

/// Why a text was not filled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfilled {
    /// It is no template.
    #[error("the text {0}")]
    Template(#[from] TemplateError),
    /// A value is missing.
    #[error(transparent)]
    Missing(#[from] Missing),
}

/// `text` with its places filled by what `value_of` knows. Borrowed where there is no place.
///
/// # Errors
/// When it is no template, or a value without a default is missing.
pub fn fill<'a, 'v>(text: &'a str, value_of: &impl Fn(&str) -> Option<&'v str>) -> Result<Cow<'a, str>, Unfilled> {
    if !text.contains("{{") {
        return Ok(Cow::Borrowed(text));
    }
    let mut filled = String::with_capacity(text.len() + 32);
    parts(text, |part| {
        match part {
            Part::Text(text) => filled.push_str(text),
            Part::Place { name, default } => {
                let value = value_of(name).or(default).ok_or_else(|| Missing(name.to_owned()))?;
                filled.push_str(value);
            }
        }
        Ok::<(), Unfilled>(())
    })?;
    Ok(Cow::Owned(filled))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn filled(text: &str, values: &[(&str, &str)]) -> Result<String, Unfilled> {
        let value_of = |name: &str| values.iter().find(|(own, _)| *own == name).map(|(_, value)| *value);
        fill(text, &value_of).map(Cow::into_owned)
    }

    #[test]
    fn places_are_filled_by_name_and_defaults_stand_in() {
        let values = [("name", "Joe"), ("team", "Boston Red Sox")];
        assert_eq!(filled("{{name}}, the {{team}} just won!", &values).unwrap(), "Joe, the Boston Red Sox just won!");
        assert_eq!(filled("Hi {{ name }}{{nick|there}}", &values).unwrap(), "Hi Joethere");
        assert_eq!(filled("Hi {{nick|}}!", &values).unwrap(), "Hi !");
        assert_eq!(filled("{{name|there}}", &values).unwrap(), "Joe");
        assert_eq!(filled("{{a|b|c}}", &[]).unwrap(), "b|c");
    }

    #[test]
    fn a_missing_value_is_named() {
        assert_eq!(filled("Hi {{givenName}}", &[]).unwrap_err().to_string(), "the value givenName is missing");
    }

    #[test]
    fn values_are_data_and_never_templates() {
        assert_eq!(filled("{{a}} {{b}}", &[("a", "{{b}}"), ("b", "}}{{a|x}}")]).unwrap(), "{{b}} }}{{a|x}}");
    }

    #[test]
    fn braces_alone_are_text() {
        for text in ["", "{a}", "a } b }} c", "{ {a} }", "100 % {"] {
            assert_eq!(filled(text, &[]).unwrap(), text);
        }
    }

    #[test]
    fn what_is_no_template_is_told_with_its_rule() {
        let told = |text: &str| Names::default().take(text).unwrap_err().to_string();
        assert_eq!(told("Hi {{name"), "has a {{ that is not closed");
        assert_eq!(told("Hi {{name} }"), "has a {{ that is not closed");
        assert_eq!(told("Hi {{ }}"), "has a place without a name");
        assert_eq!(told("Hi {{|you}}"), "has a place without a name");
        let rule = "has a place whose name is longer than 64 bytes, or holds a brace or a control character";
        assert_eq!(told(&format!("{{{{{}}}}}", "n".repeat(65))), rule);
        assert_eq!(told("{{{name}}}"), rule);
        assert_eq!(told("{{a\nb}}"), rule);
    }

    #[test]
    fn a_name_is_what_a_place_can_ask_for() {
        let long = "n".repeat(MOST_NAME);
        for name in ["favoriteTeam", "a b", "équipe", "a.b", long.as_str()] {
            assert!(is_name(name), "{name}");
            assert_eq!(filled(&format!("{{{{ {name} }}}}"), &[(name, "v")]).unwrap(), "v");
        }
        for name in ["", " ", " a", "a ", "a|b", "{a", "a}", "a\u{1}", &format!("{long}n")] {
            assert!(!is_name(name), "{name:?}");
            assert_ne!(filled(&format!("{{{{{name}}}}}"), &[(name, "v")]), Ok("v".to_owned()), "{name:?}");
        }
    }

    #[test]
    fn names_are_taken_from_every_depth_and_a_mistake_has_its_path() {
        let content = json!({"aps": {"alert": {"title": "{{a}}", "loc-args": ["{{b|x}}", 7]}}, "{{c}}": null});
        let mut names = Names::default();
        names.take_all(&content, "messageContent").unwrap();
        assert_eq!(names.iter().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(names.needed().collect::<Vec<_>>(), ["a"]);
        names.take("{{b}}").unwrap();
        assert_eq!(names.needed().collect::<Vec<_>>(), ["a", "b"], "needed where one place has no default");
        let wrong = json!({"aps": {"alert": {"loc-args": ["ok", "{{b"]}}});
        let (path, error) = names.take_all(&wrong, "messageContent").unwrap_err();
        assert_eq!((path.as_str(), error), ("messageContent.aps.alert.loc-args[1]", TemplateError::Open));
    }

    #[test]
    fn a_document_gives_what_is_asked_for_and_no_more() {
        let document = json!({
            "givenName": "Joe", "age": 42, "vip": true, "nick": null, "address": {"city": "Boston"}, "a.b": "flat",
            "a": {"b": "deep"}, "other": "x".repeat(300_000),
        });
        let Value::Object(document) = document else { unreachable!("an object") };
        let mut names = Names::default();
        names.take("{{givenName}}{{age}}{{vip}}{{nick}}{{address.city}}{{a.b}}{{nobody}}").unwrap();
        let values = Values::of(&document, &names).unwrap();
        let expected = json!({"givenName": "Joe", "age": "42", "vip": "true", "address.city": "Boston", "a.b": "flat"});
        assert_eq!(serde_json::to_value(&values).unwrap(), expected);

        let of = |text: &str| {
            let mut names = Names::default();
            names.take(text).unwrap();
            Values::of(&document, &names).unwrap_err()
        };
        assert_eq!(of("{{address}}"), ("address".to_owned(), ValueError::Kind));
        assert_eq!(of("{{other}}"), ("other".to_owned(), ValueError::TooLong));
        let long: Map<String, Value> = (0..3).map(|n| (format!("v{n}"), json!("x".repeat(1000)))).collect();
        let mut names = Names::default();
        names.take("{{v0}}{{v1}}{{v2}}").unwrap();
        assert_eq!(Values::of(&long, &names).unwrap_err(), ("v2".to_owned(), ValueError::TooMuch));
    }

    proptest! {
        #[test]
        fn any_text_is_filled_or_refused_and_a_checked_one_is_filled(text in "[{}|a \u{1}]{0,24}") {
            let mut names = Names::default();
            let checked = names.take(&text);
            let filled = fill(&text, &|_| Some("v"));
            match checked {
                Ok(()) => prop_assert!(filled.is_ok()),
                Err(error) => prop_assert_eq!(filled.unwrap_err(), Unfilled::Template(error)),
            }
        }
    }
}
