//! Fields of a record, read by name. What is wrong is told by the field and the rule, never by the value.

use std::borrow::Cow;

use pushbell::id::{ClientId, IdError, Token};
use pushbell::message::language;
use serde_json::{Map, Value};

/// Why a row is refused.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Refusal {
    pub(super) field: &'static str,
    pub(super) reason: Cow<'static, str>,
}

impl Refusal {
    pub(super) fn new(field: &'static str, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { field, reason: reason.into() }
    }

    /// The rule of an identifier that a field breaks. An empty one is as good as none.
    pub(super) fn id(field: &'static str, rule: IdError) -> Self {
        match rule {
            IdError::Empty => Self::new(field, "is missing"),
            IdError::TooLong(_) | IdError::Character => Self::new(field, rule.to_string()),
        }
    }
}

/// The fields of a record. A name with dots leads into objects; in a CSV it is the column's.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a>(pub(super) &'a Map<String, Value>);

impl<'a> Fields<'a> {
    pub(super) fn value(self, name: &str) -> Option<&'a Value> {
        let found = self.0.get(name).or_else(|| {
            let (object, rest) = name.split_once('.')?;
            rest.split('.').try_fold(self.0.get(object)?, |value, part| value.get(part))
        });
        found.filter(|value| !value.is_null())
    }

    /// A field's text. `null` and the empty text are as good as no field.
    pub(super) fn text(self, name: &'static str) -> Result<Option<&'a str>, Refusal> {
        match self.value(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                Err(Refusal::new(name, "is not a string"))
            }
        }
    }

    pub(super) fn needed(self, name: &'static str) -> Result<&'a str, Refusal> {
        self.text(name)?.ok_or_else(|| Refusal::new(name, "is missing"))
    }

    pub(super) fn client(self, name: &'static str) -> Result<ClientId, Refusal> {
        ClientId::parse(self.needed(name)?).map_err(|rule| Refusal::id(name, rule))
    }

    pub(super) fn token(self, name: &'static str) -> Result<Token, Refusal> {
        Token::parse(self.needed(name)?).map_err(|rule| Refusal::id(name, rule))
    }

    /// A text that is at most so long.
    pub(super) fn short(self, name: &'static str, most: usize) -> Result<Option<String>, Refusal> {
        match self.text(name)? {
            Some(text) if text.len() > most => Err(Refusal::id(name, IdError::TooLong(most))),
            text => Ok(text.map(str::to_owned)),
        }
    }
}

/// The BCP 47 tag of a locale as Java and Apple write one: `zh_CN_#Hans` is `zh-Hans-CN`. `None` when it is none.
pub(super) fn locale(text: &str) -> Option<String> {
    let mut parts: Vec<&str> = text.split(['_', '-']).filter(|part| !part.is_empty()).collect();
    if let Some(at) = parts.iter().position(|part| part.starts_with('#')) {
        let script = parts.remove(at).trim_start_matches('#');
        // Behind the mark may also stand extensions, which are no script.
        if script.len() == 4 {
            parts.insert(1.min(parts.len()), script);
        }
    }
    let tag = parts.join("-");
    // Longer subtags than a language's are words: `UNKNOWN`.
    let named = parts.first().is_some_and(|language| language.len() <= 3);
    (named && tag.len() <= MOST_LOCALE && language::is_tag(&tag)).then_some(tag)
}

/// The longest language tag that is kept.
const MOST_LOCALE: usize = 35;

#[cfg(test)]
mod tests {
    use super::locale;

    #[test]
    fn a_locale_is_read_as_java_and_apple_write_it() {
        for (text, tag) in [
            ("en-US", Some("en-US")),
            ("en_US", Some("en-US")),
            ("zh_CN_#Hans", Some("zh-Hans-CN")),
            ("zh-Hans-CN", Some("zh-Hans-CN")),
            ("sr__#Latn", Some("sr-Latn")),
            ("de", Some("de")),
            ("UNKNOWN", None),
            ("d e", None),
            ("", None),
            ("#Hans", None),
        ] {
            assert_eq!(locale(text).as_deref(), tag, "{text}");
        }
    }
}
