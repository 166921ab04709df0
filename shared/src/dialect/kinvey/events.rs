//! `POST /push/{appKey}/events/{name}`: an app's server tells that something happened. Ours: on Kinvey a hook of the app's own did what rules do.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lambda_http::http::HeaderMap;
use serde_json::{Map, Value};

use super::body::{self, wrong};
use super::error::Failure;
use crate::call::{self, BodyError};
use crate::id::digest;

/// The header that names the event (IETF, "The Idempotency-Key HTTP Header Field").
const KEY: &str = "idempotency-key";
/// The longest name of an event, in bytes.
const MOST_ID: usize = 256;

/// An event as it was posted.
#[derive(Debug, Clone, PartialEq)]
pub struct Posted {
    /// Its name: what bears the same name is the same event. The header `Idempotency-Key`; or, of an event with an `_id` as Kinvey's entities have
    /// one, that and all its other fields: an entity keeps its `_id` whatever becomes of it.
    pub id: Option<String>,
    /// Its fields.
    pub document: Map<String, Value>,
}

impl Posted {
    /// Reads a call.
    ///
    /// # Errors
    /// When the body is no JSON object, or the event's name cannot be one.
    pub fn parse(headers: &HeaderMap, said: Result<&[u8], BodyError>) -> Result<Self, Failure> {
        let document: Map<String, Value> = body::read(headers, said)?;
        let id = match call::header(headers, KEY) {
            Some(key) => Some(checked("the header Idempotency-Key", key)?),
            None => body::text(&document, "_id")?.map(|id| checked("_id", id)).transpose()?.map(|id| {
                let whole = serde_json::to_vec(&document).unwrap_or_default();
                format!("{id}#{}", URL_SAFE_NO_PAD.encode(digest::<16>(&[&whole])))
            }),
        };
        Ok(Self { id, document })
    }
}

fn checked(field: &str, id: &str) -> Result<String, Failure> {
    if id.len() > MOST_ID { Err(wrong(field, "is longer than 256 bytes")) } else { Ok(id.to_owned()) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn parse(key: Option<&str>, body: &Value) -> Result<Option<String>, String> {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", "application/json".parse().unwrap());
        if let Some(key) = key {
            headers.insert(KEY, key.parse().unwrap());
        }
        let posted = Posted::parse(&headers, Ok(body.to_string().as_bytes()));
        posted.map(|posted| posted.id).map_err(|failure| failure.to_string())
    }

    #[test]
    fn an_event_is_named_by_the_header_or_by_its_own_id() {
        let event = json!({"_id": "e1", "winningTeam": "Boston Red Sox"});
        let own = parse(None, &event).unwrap().unwrap();
        assert!(own.starts_with("e1#"), "{own}");
        assert_eq!(parse(None, &json!({"winningTeam": "Boston Red Sox", "_id": "e1"})), Ok(Some(own.clone())));
        let later = parse(None, &json!({"_id": "e1", "winningTeam": "Boston Red Sox", "state": "final"}));
        assert_ne!(later, Ok(Some(own)), "an entity is saved again under its id");
        assert_eq!(parse(Some("k1"), &event), Ok(Some("k1".to_owned())));
        assert_eq!(parse(None, &json!({"winningTeam": "Boston Red Sox"})), Ok(None));
        assert_eq!(parse(None, &json!({"_id": 7})), Err("_id is not a string".to_owned()));
        let long = "x".repeat(257);
        assert_eq!(parse(None, &json!({"_id": long})), Err("_id is longer than 256 bytes".to_owned()));
        assert_eq!(parse(Some(&long), &event), Err("the header Idempotency-Key is longer than 256 bytes".to_owned()));
        assert_eq!(parse(None, &json!(["a"])), Err("the body is not a JSON object".to_owned()));
    }
}
