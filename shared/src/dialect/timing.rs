//! When a caller wants a push to be sent, and what they call their request, in the fields that are ours: `sendAt` and `requestId`.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::time::Timestamp;

/// How far ahead a push may be sent.
const MOST_AHEAD: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// The longest name of a request, in bytes.
const MOST_NAME: usize = 128;

/// Why a field is not usable. Its text follows the field's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum TimingError {
    /// Neither a time nor nothing.
    #[error("is neither a time like 2026-01-01T09:00:00Z nor milliseconds since 1970")]
    NoTime,
    /// More than 30 days from now.
    #[error("is more than 30 days ahead")]
    TooFar,
    /// Not a name.
    #[error("is not a text of 1 to 128 bytes without control characters")]
    NoName,
}

/// `sendAt`: when to send, if later than now.
///
/// # Errors
/// When it is no time, or too far ahead.
pub(super) fn send_at(fields: &Map<String, Value>, now: Timestamp) -> Result<Option<Timestamp>, TimingError> {
    let at = match fields.get("sendAt") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(ms)) => ms.as_u64().map(Timestamp::from_millis),
        Some(Value::String(text)) => Timestamp::from_rfc3339(text),
        Some(Value::Bool(_) | Value::Array(_) | Value::Object(_)) => None,
    };
    let at = at.ok_or(TimingError::NoTime)?;
    if at > now.plus(MOST_AHEAD) {
        return Err(TimingError::TooFar);
    }
    Ok(Some(at).filter(|at| *at > now))
}

/// `requestId`: the caller's name for the request.
///
/// # Errors
/// When it cannot be a name.
pub(super) fn request(fields: &Map<String, Value>) -> Result<Option<String>, TimingError> {
    match fields.get("requestId") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(name))
            if !name.is_empty() && name.len() <= MOST_NAME && !name.chars().any(char::is_control) =>
        {
            Ok(Some(name.clone()))
        }
        Some(Value::String(_) | Value::Number(_) | Value::Bool(_) | Value::Array(_) | Value::Object(_)) => {
            Err(TimingError::NoName)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

    fn at(value: Value) -> Result<Option<u64>, TimingError> {
        let fields = Map::from_iter([("sendAt".to_owned(), value)]);
        send_at(&fields, NOW).map(|at| at.map(Timestamp::as_millis))
    }

    #[test]
    fn a_time_is_a_text_or_milliseconds_and_a_past_one_is_now() {
        let minute = NOW.as_millis() + 60_000;
        assert_eq!(at(json!("2026-01-01T00:01:00Z")), Ok(Some(minute)));
        assert_eq!(at(json!("2026-01-01T00:01:00.000Z")), Ok(Some(minute)), "as JavaScript writes it");
        assert_eq!(at(json!(minute)), Ok(Some(minute)));
        for none in [json!(null), json!("2025-12-31T23:59:59Z"), json!(0)] {
            assert_eq!(at(none), Ok(None));
        }
        for wrong in [json!("tomorrow"), json!(""), json!(-1), json!(1.5), json!([]), json!(true)] {
            assert_eq!(at(wrong), Err(TimingError::NoTime));
        }
        let month = NOW.plus(MOST_AHEAD).as_millis();
        assert_eq!((at(json!(month)), at(json!(month + 1))), (Ok(Some(month)), Err(TimingError::TooFar)));
    }

    #[test]
    fn a_request_s_name_is_a_short_text() {
        let of = |value: Value| request(&Map::from_iter([("requestId".to_owned(), value)]));
        assert_eq!(of(json!("order 771")), Ok(Some("order 771".to_owned())));
        assert_eq!(of(json!(null)), Ok(None));
        for wrong in [json!(""), json!(7), json!("a\nb"), json!("x".repeat(129))] {
            assert_eq!(of(wrong), Err(TimingError::NoName));
        }
    }
}
