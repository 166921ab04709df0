//! What Lanying's calls say in their bodies and queries, field by field: a refusal names the field and the rule, never a value.

use std::fmt::Display;

use serde_json::{Map, Number, Value};

use super::envelope::{Code, Failure};
use crate::call::{self, BodyError};
use crate::id::TaskId;

/// A body's fields, or those of an object in it. Those that nobody asks for are left alone.
#[derive(Debug, Default)]
pub(super) struct Fields {
    /// How a message begins that names one of them: empty, or `message.ios.`.
    at: String,
    fields: Map<String, Value>,
}

pub(super) fn bad(message: impl Into<String>) -> Failure {
    Failure::new(Code::BadParameter, message)
}

impl Fields {
    /// # Errors
    /// When there is no body, it is too long, or no JSON object.
    pub(super) fn parse(body: Result<&[u8], BodyError>) -> Result<Self, Failure> {
        let body = body.map_err(|error| bad(error.to_string()))?;
        let value: Value = serde_json::from_slice(body).map_err(|error| {
            bad(format!("the body is not JSON at line {}, column {}", error.line(), error.column()))
        })?;
        match value {
            Value::Object(fields) => Ok(Self { at: String::new(), fields }),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                Err(bad("the body is not a JSON object"))
            }
        }
    }

    /// The fields of an object that messages call `name`.
    pub(super) fn of(name: &str, fields: Map<String, Value>) -> Self {
        Self { at: format!("{name}."), fields }
    }

    /// A field's whole name, for a message.
    pub(super) fn name(&self, name: &str) -> String {
        format!("{}{name}", self.at)
    }

    /// The refusal of a field: its name and the rule.
    pub(super) fn wrong(&self, name: &str, rule: impl Display) -> Failure {
        bad(format!("{}{name} {rule}", self.at))
    }

    /// A field's value; `None` when it is absent or null.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }

    /// A field's value; `None` when it is blank: absent, null or an empty text.
    pub(super) fn given(&self, name: &str) -> Option<&Value> {
        self.get(name).filter(|value| value.as_str() != Some(""))
    }

    /// Takes an object out; `None` when it is blank.
    pub(super) fn object(&mut self, name: &str) -> Result<Option<Map<String, Value>>, Failure> {
        if self.given(name).is_none() {
            return Ok(None);
        }
        match self.fields.remove(name) {
            Some(Value::Object(fields)) => Ok(Some(fields)),
            _ => Err(self.wrong(name, "is not an object")),
        }
    }

    /// The fields of the object `name`, none of them when it is blank.
    pub(super) fn below(&mut self, name: &str) -> Result<Self, Failure> {
        let fields = self.object(name)?.unwrap_or_default();
        Ok(Self::of(&self.name(name), fields))
    }

    /// Whether there is no field at all.
    pub(super) fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// A text; `None` when it is absent, null or empty.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, Failure> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let text = value.as_str().ok_or_else(|| self.wrong(name, "is not a text"))?;
        Ok(Some(text).filter(|text| !text.is_empty()))
    }

    /// A text that must be there.
    pub(super) fn needed(&self, name: &str) -> Result<&str, Failure> {
        self.text(name)?.ok_or_else(|| self.wrong(name, "is missing"))
    }

    /// True or false; `None` when it is blank.
    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Failure> {
        let Some(value) = self.given(name) else { return Ok(None) };
        value.as_bool().map(Some).ok_or_else(|| self.wrong(name, "is neither true nor false"))
    }

    /// A list; `None` when it is blank.
    pub(super) fn list(&self, name: &str) -> Result<Option<&[Value]>, Failure> {
        let Some(value) = self.given(name) else { return Ok(None) };
        value.as_array().map(|list| Some(list.as_slice())).ok_or_else(|| self.wrong(name, "is not a list"))
    }
}

/// A whole number, or a text of its digits: languages that round large numbers, and data that FCM hands over, have it so.
pub(super) fn whole(value: &Value) -> Option<Number> {
    match value {
        Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.clone()),
        Value::String(text) if !text.starts_with('+') => {
            let (natural, signed) = (text.parse::<u64>(), text.parse::<i64>());
            natural.map(Number::from).or(signed.map(Number::from)).ok()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The task of that number; `None` where no task can have it.
pub(super) fn task(number: &Number) -> Option<TaskId> {
    number.as_u64().and_then(TaskId::from_number)
}

/// A parameter of the raw query, by either of two names; `None` when it is absent.
pub(super) fn parameter(query: &str, names: [&str; 2]) -> Result<Option<String>, Failure> {
    for name in names {
        let values = call::query_values(query, name).map_err(|rule| bad(format!("{name} in the query {rule}")))?;
        if let Some(value) = values.into_iter().next() {
            return Ok(Some(value));
        }
    }
    Ok(None)
}
