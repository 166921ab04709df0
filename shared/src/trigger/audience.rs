//! Whom a rule's pushes are for.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::rule::{Fields, FormError};
use crate::id::{Alias, AttributeKey, ClientId, IdError, Tag};
use crate::message::Values;
use crate::message::template::{self, Names, ValueError, fill, found};
use crate::task::{Members, SubmitError, Target, Whom};

/// The most ids that a field may name.
const MOST_IDS: usize = 10_000;

/// Whom a rule's pushes are for.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Audience {
    /// Every device of the app.
    All,
    /// The clients whose ids the field at this path names.
    Ids(String),
    /// Who has the tag.
    Tag(Filled),
    /// Who has the alias.
    Alias(Filled),
    /// Who has this value of the attribute.
    Attribute(String, Filled),
}

/// A text whose places the event alone fills.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Filled {
    text: String,
    names: Names,
}

/// Why a rule that matched an event makes no push of it. It would not another time either.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// The event lacks what the audience is told by.
    #[error("{0}: the value {1} is missing")]
    Missing(&'static str, String),
    /// A field is no value, or too long.
    #[error("{0}: the value {1} {2}")]
    Value(&'static str, String, ValueError),
    /// What came out is no tag, alias or id.
    #[error("{0} {1}")]
    Id(&'static str, IdError),
    /// The field has no ids.
    #[error("audience.ids: the field {0} {1}")]
    Ids(String, &'static str),
    /// The message cannot be sent.
    #[error("{0}")]
    Message(String),
}

impl RuleError {
    /// What is wrong with the message for good; the error itself, where the same call may succeed another time.
    pub(super) fn of(error: SubmitError) -> Result<Self, SubmitError> {
        match error {
            // Of the last the same event came with another audience before its first push was queued. It would stay so.
            SubmitError::TooLarge | SubmitError::TooDeep | SubmitError::OtherRoom | SubmitError::OtherRequest => {
                Ok(Self::Message(error.to_string()))
            }
            SubmitError::Queue(_) | SubmitError::Unavailable(_) => Err(error),
        }
    }
}

impl Filled {
    /// # Errors
    /// When `text` is no template.
    pub(super) fn parse(text: String, at: &str) -> Result<Self, FormError> {
        let mut names = Names::default();
        names.take(&text).map_err(|error| FormError::new(at, error))?;
        Ok(Self { text, names })
    }

    pub(super) fn fill(&self, document: &Map<String, Value>, at: &'static str) -> Result<String, RuleError> {
        let values = values(document, &self.names, at)?;
        match fill(&self.text, &|name| values.get(name)) {
            Ok(text) => Ok(text.into_owned()),
            Err(template::Unfilled::Missing(template::Missing(name))) => Err(RuleError::Missing(at, name)),
            // It was looked at when the settings were read.
            Err(template::Unfilled::Template(error)) => Err(RuleError::Message(format!("{at} {error}"))),
        }
    }
}

/// What of the event `names` ask for.
pub(super) fn values(document: &Map<String, Value>, names: &Names, at: &'static str) -> Result<Values, RuleError> {
    Values::of(document, names).map_err(|(name, error)| RuleError::Value(at, name, error))
}

impl Audience {
    /// Reads an audience, which is told by one field.
    pub(super) fn parse(mut fields: Fields) -> Result<Self, FormError> {
        let audience = match fields.only()?.as_str() {
            "all" => match fields.take("all") {
                Some(Value::Bool(true)) => Self::All,
                _ => return Err(fields.wrong("all", "is not true")),
            },
            "ids" => Self::Ids(fields.needed("ids")?),
            "tag" => Self::Tag(fields.filled("tag")?),
            "alias" => Self::Alias(fields.filled("alias")?),
            "attribute" => {
                let mut attribute = fields.below("attribute")?;
                let name = attribute.only()?;
                let value = attribute.filled(&name)?;
                Self::Attribute(name, value)
            }
            other => return Err(fields.wrong(other, "is none of all, ids, tag, alias and attribute")),
        };
        Ok(audience)
    }

    /// The attribute that it is told by.
    pub(super) fn attribute(&self) -> Option<&str> {
        match self {
            Self::Attribute(name, _) => Some(name),
            Self::All | Self::Ids(_) | Self::Tag(_) | Self::Alias(_) => None,
        }
    }

    /// Whom a push about `document` is for.
    pub(super) fn whom(&self, document: &Map<String, Value>) -> Result<Whom, RuleError> {
        Ok(match self {
            Self::All => Whom::Members(Members::All),
            Self::Ids(path) => Whom::Targets(targets(document, path)?),
            Self::Tag(tag) => {
                let at = "audience.tag";
                let tag = Tag::parse(tag.fill(document, at)?).map_err(|error| RuleError::Id(at, error))?;
                Whom::Members(Members::Tags(vec![tag]))
            }
            Self::Alias(alias) => {
                let at = "audience.alias";
                let alias = Alias::parse(alias.fill(document, at)?).map_err(|error| RuleError::Id(at, error))?;
                Whom::Members(Members::Aliases(vec![alias]))
            }
            Self::Attribute(name, value) => {
                let value = value.fill(document, "audience.attribute")?;
                Whom::Members(Members::Attributes(vec![AttributeKey::of(name, &value)]))
            }
        })
    }
}

/// A text or a number, or a list of them: each client once.
fn targets(document: &Map<String, Value>, path: &str) -> Result<Vec<Target>, RuleError> {
    let wrong = |rule| RuleError::Ids(path.to_owned(), rule);
    let field = found(document, path).ok_or_else(|| wrong("is missing"))?;
    let list = field.as_array().map_or(std::slice::from_ref(field), Vec::as_slice);
    if list.is_empty() {
        return Err(wrong("names nobody"));
    }
    if list.len() > MOST_IDS {
        return Err(wrong("names more than 10000"));
    }
    let ids: BTreeSet<ClientId> = list
        .iter()
        .map(|id| {
            let id = match id {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
                    return Err(wrong("is neither a text nor a number nor a list of them"));
                }
            };
            ClientId::parse(id).map_err(|error| RuleError::Id("audience.ids: an id", error))
        })
        .collect::<Result<_, _>>()?;
    Ok(ids.into_iter().map(Target::Fresh).collect())
}
