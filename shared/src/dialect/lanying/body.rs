//! What Lanying's calls say in their bodies and queries, field by field: a refusal names the field and the rule, never a value.

use serde_json::{Map, Value};

use super::envelope::{Code, Failure};
use crate::call::{self, BodyError};

/// A body's fields. Those that nobody asks for are left alone.
pub(super) struct Fields(Map<String, Value>);

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
            Value::Object(fields) => Ok(Self(fields)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                Err(bad("the body is not a JSON object"))
            }
        }
    }

    /// A field's value; `None` when it is absent or null.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// A text; `None` when it is absent, null or empty.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, Failure> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let text = value.as_str().ok_or_else(|| bad(format!("{name} is not a text")))?;
        Ok(Some(text).filter(|text| !text.is_empty()))
    }

    /// A text that must be there.
    pub(super) fn needed(&self, name: &str) -> Result<&str, Failure> {
        self.text(name)?.ok_or_else(|| bad(format!("{name} is missing")))
    }
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
