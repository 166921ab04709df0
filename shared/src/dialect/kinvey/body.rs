//! A call's JSON body, and its fields.

use lambda_http::http::{HeaderMap, header};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::error::{Failure, Kind};
use crate::call::{self, BodyError};

/// Reads a JSON object.
///
/// # Errors
/// When the header `Content-Type` or the body is missing, too long, or not JSON; or when it is JSON of another shape.
pub(super) fn read<'b, T: Deserialize<'b>>(
    headers: &HeaderMap,
    body: Result<&'b [u8], BodyError>,
) -> Result<T, Failure> {
    check_content_type(headers)?;
    let body = body.map_err(|error| match error {
        BodyError::Empty => Failure::new(Kind::IncompleteRequestBody, "the request has no body"),
        BodyError::TooLarge => Failure::new(Kind::ParameterValueOutOfRange, "the body is longer than 5 MiB"),
    })?;
    serde_json::from_slice(body).map_err(|error| {
        if error.is_data() {
            return Failure::new(Kind::BadRequest, "the body is not a JSON object");
        }
        // serde's message may quote the body: only the place is told.
        let place = format!("the body is not JSON at line {}, column {}", error.line(), error.column());
        Failure::new(Kind::JsonParseError, place)
    })
}

fn check_content_type(headers: &HeaderMap) -> Result<(), Failure> {
    let given = call::header(headers, header::CONTENT_TYPE.as_str())
        .ok_or_else(|| Failure::new(Kind::MissingRequestHeader, "the header Content-Type is missing"))?;
    let media_type = given.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("application/json") {
        Ok(())
    } else {
        Err(Failure::new(Kind::BadRequest, "the header Content-Type is not application/json"))
    }
}

pub(super) fn missing(field: &str) -> Failure {
    Failure::new(Kind::MissingRequestParameter, format!("{field} is missing"))
}

/// A field that has a value which it may not have.
pub(super) fn wrong(field: &str, rule: impl std::fmt::Display) -> Failure {
    Failure::new(Kind::ParameterValueOutOfRange, format!("{field} {rule}"))
}

/// A field's text. `null` and the empty text are as good as no field.
pub(super) fn text<'a>(fields: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, Failure> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            Err(wrong(name, "is not a string"))
        }
    }
}
