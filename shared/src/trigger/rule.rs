//! Rules, as an app's settings write them.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::audience::{Audience, Filled};
use super::content::Content;
use super::event::{Change, Kind};
use super::pattern::Pattern;

/// The most rules of an app.
const MOST_RULES: usize = 50;
/// The longest name of a rule, and of an event, in bytes.
const MOST_NAME: usize = 64;
/// The longest text, in bytes, that is no message: a table's name, a source, a template of an audience.
const MOST_TEXT: usize = 1024;
/// How much later than its event a push may begin.
const MOST_DELAY: u64 = 30 * 24 * 60 * 60;

/// An app's rules, each under a name of its own.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(try_from = "Vec<Value>")]
pub struct Triggers(Vec<Rule>);

/// What is pushed when something happens.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rule {
    pub(super) name: String,
    on: On,
    pattern: Pattern,
    pub(super) audience: Audience,
    pub(super) content: Content,
    pub(super) delay: Option<Duration>,
}

/// Which events a rule is about.
#[derive(Debug, Clone, PartialEq)]
enum On {
    Event(String),
    Table { name: String, changes: Vec<Change> },
    Bus { source: String, detail_type: Option<String> },
}

/// Why settings hold no rules. Names fields and rules, never a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at} {rule}")]
pub(super) struct FormError {
    at: String,
    rule: String,
}

impl FormError {
    pub(super) fn new(at: &str, rule: impl std::fmt::Display) -> Self {
        Self { at: at.to_owned(), rule: rule.to_string() }
    }
}

impl TryFrom<Vec<Value>> for Triggers {
    type Error = String;

    fn try_from(list: Vec<Value>) -> Result<Self, Self::Error> {
        if list.len() > MOST_RULES {
            return Err("triggers are at most 50".to_owned());
        }
        let mut names = BTreeSet::new();
        let mut rules = Vec::with_capacity(list.len());
        for (index, rule) in list.into_iter().enumerate() {
            let Value::Object(object) = rule else { return Err(format!("triggers[{index}] is no object")) };
            let mut fields = Fields { path: String::new(), object };
            let name = name(&mut fields, "name").map_err(|error| format!("triggers[{index}]: {error}"))?;
            if !names.insert(name.clone()) {
                return Err(format!("trigger {name} is there twice"));
            }
            rules.push(Rule::parse(name.clone(), fields).map_err(|error| format!("trigger {name}: {error}"))?);
        }
        Ok(Self(rules))
    }
}

impl Triggers {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.0.iter()
    }

    /// Whether every attribute that an audience is told by is one of `indexed`.
    ///
    /// # Errors
    /// When it is not: nobody would be found by it. The error names the rule.
    pub fn check(&self, indexed: impl Fn(&str) -> bool) -> Result<(), String> {
        for rule in &self.0 {
            if let Some(name) = rule.audience.attribute().filter(|name| !indexed(name)) {
                return Err(format!("trigger {}: audience.attribute.{name} is not in attributes.indexed", rule.name));
            }
        }
        Ok(())
    }
}

impl Rule {
    fn parse(name: String, mut fields: Fields) -> Result<Self, FormError> {
        let on = On::parse(fields.below("on")?)?;
        let pattern = match fields.object("match")? {
            Some(object) => {
                Pattern::parse(&object, "match").map_err(|error| FormError { at: error.at, rule: error.rule })?
            }
            None => Pattern::default(),
        };
        let audience = Audience::parse(fields.below("audience")?)?;
        let content = Content::parse(fields.below("message")?)?;
        let delay = fields.seconds("delay_s", 0..=MOST_DELAY)?.filter(|delay| !delay.is_zero());
        fields.end()?;
        Ok(Self { name, on, pattern, audience, content, delay })
    }

    /// Whether it is about such an event with these fields.
    pub(super) fn matches(&self, kind: Kind<'_>, document: &Map<String, Value>) -> bool {
        self.on.is(kind) && self.pattern.matches(document)
    }
}

impl On {
    fn parse(mut fields: Fields) -> Result<Self, FormError> {
        let on = if fields.has("event") {
            Self::Event(name(&mut fields, "event")?)
        } else if fields.has("table") {
            Self::Table { name: fields.needed("table")?, changes: changes(&mut fields)? }
        } else if fields.has("source") {
            Self::Bus { source: fields.needed("source")?, detail_type: fields.text("detail_type")? }
        } else {
            return Err(fields.wrong_itself("has none of event, table and source"));
        };
        fields.end()?;
        Ok(on)
    }

    fn is(&self, kind: Kind<'_>) -> bool {
        match (self, kind) {
            (Self::Event(own), Kind::Posted(name)) => own == name,
            (Self::Table { name, changes }, Kind::Changed { table, change }) => {
                name == table && changes.contains(&change)
            }
            (Self::Bus { source: own, detail_type: wanted }, Kind::Bus { source, detail_type }) => {
                own == source && wanted.as_deref().is_none_or(|wanted| wanted == detail_type)
            }
            (Self::Event(_) | Self::Table { .. } | Self::Bus { .. }, _) => false,
        }
    }
}

/// All of them where none is named.
fn changes(fields: &mut Fields) -> Result<Vec<Change>, FormError> {
    const NAME: &str = "changes";
    let Some(value) = fields.take(NAME) else { return Ok(Change::ALL.to_vec()) };
    let rule = "is no list of insert, modify and remove";
    let list = value.as_array().filter(|list| !list.is_empty()).ok_or_else(|| fields.wrong(NAME, rule))?;
    let change = |word: &Value| word.as_str().and_then(|word| Change::ALL.into_iter().find(|own| own.as_str() == word));
    list.iter().map(change).collect::<Option<_>>().ok_or_else(|| fields.wrong(NAME, rule))
}

/// A name that may stand in a path, a key and a log.
fn name(fields: &mut Fields, field: &str) -> Result<String, FormError> {
    let name = fields.needed(field)?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.len() > MOST_NAME || !name.chars().all(allowed) {
        return Err(fields.wrong(field, "is not 1 to 64 letters, digits, -, _ or ."));
    }
    Ok(name)
}

/// The fields of an object that are not read yet.
pub(super) struct Fields {
    path: String,
    object: Map<String, Value>,
}

impl Fields {
    /// The path of a field.
    pub(super) fn at(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    pub(super) fn wrong(&self, name: &str, rule: impl std::fmt::Display) -> FormError {
        FormError::new(&self.at(name), rule)
    }

    pub(super) fn wrong_itself(&self, rule: &str) -> FormError {
        FormError::new(&self.path, rule)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.object.contains_key(name)
    }

    /// A field, whatever it is; `null` is as good as none.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.object.remove(name).filter(|value| !value.is_null())
    }

    /// The name of the only field.
    pub(super) fn only(&self) -> Result<String, FormError> {
        let mut names = self.object.keys();
        match (names.next(), names.next()) {
            (Some(name), None) => Ok(name.clone()),
            _ => Err(self.wrong_itself("has not one field")),
        }
    }

    /// A text that is not empty.
    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, FormError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Err(self.wrong(name, "is empty")),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong(name, "is not a text")),
        }
    }

    /// A text of 1 to 1024 bytes that must be there.
    pub(super) fn needed(&mut self, name: &str) -> Result<String, FormError> {
        let text = self.text(name)?.ok_or_else(|| self.wrong(name, "is missing"))?;
        if text.len() > MOST_TEXT { Err(self.wrong(name, "is longer than 1024 bytes")) } else { Ok(text) }
    }

    /// A text whose places the event fills.
    pub(super) fn filled(&mut self, name: &str) -> Result<Filled, FormError> {
        Filled::parse(self.needed(name)?, &self.at(name))
    }

    pub(super) fn number(&mut self, name: &str, range: RangeInclusive<u64>) -> Result<Option<u64>, FormError> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let number = value.as_u64().filter(|number| range.contains(number));
        number
            .map(Some)
            .ok_or_else(|| self.wrong(name, format!("is no number from {} to {}", range.start(), range.end())))
    }

    pub(super) fn seconds(&mut self, name: &str, range: RangeInclusive<u64>) -> Result<Option<Duration>, FormError> {
        Ok(self.number(name, range)?.map(Duration::from_secs))
    }

    pub(super) fn object(&mut self, name: &str) -> Result<Option<Map<String, Value>>, FormError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Object(object)) => Ok(Some(object)),
            Some(_) => Err(self.wrong(name, "is no object")),
        }
    }

    /// The fields of an object that must be there.
    pub(super) fn below(&mut self, name: &str) -> Result<Self, FormError> {
        let object = self.object(name)?.ok_or_else(|| self.wrong(name, "is missing"))?;
        Ok(self.inside(name, object))
    }

    /// The fields of an object that was taken.
    pub(super) fn inside(&self, name: &str, object: Map<String, Value>) -> Self {
        Self { path: self.at(name), object }
    }

    /// Whether every field was read.
    pub(super) fn end(&self) -> Result<(), FormError> {
        match self.object.keys().next() {
            Some(name) => Err(self.wrong(name, "is not known")),
            None => Ok(()),
        }
    }
}
