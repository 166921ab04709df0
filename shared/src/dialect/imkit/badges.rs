//! IMKIT's badge service, which its server calls under the address that `BADGE` names: one number per source, and their sum.

use std::time::Duration;

use lambda_http::http::StatusCode;
use serde_json::{Map, Value};

use super::caller::client_id;
use super::envelope::Failure;
use super::subscription::{invalid, json, missing, object, text, whole};
use crate::app::BadgeFrom;
use crate::call::{self, BodyError};
use crate::id::{ClientId, RoomKey};
use crate::recipient::{MOST_COUNT, Reading, Recipient, check_source};
use crate::time::Timestamp;

/// Clients of one call: what one batch read takes.
pub const MOST_IDS: usize = 100;
/// The longest name of a room.
const MOST_ROOM_NAME: usize = 256;
/// How far a chat server's clock may be ahead of ours. A read mark in the future would silence messages that nobody wrote yet.
const CLOCK_SLACK: Duration = Duration::from_secs(60);

/// The chat server's own source.
const IMKIT: &str = "imkit";
/// Our own count of unread messages, in an answer.
const ROOMS: &str = "rooms";

/// A client's badge: `{"clientId", "total", <a number per source>}`. `total` is the number on the phone.
///
/// With [`BadgeFrom::Rooms`], `rooms` is our own count of unread messages, and `imkit`, where the chat server has stored one, is
/// shown and not in the total. With [`BadgeFrom::Imkit`], `imkit` is always there and `rooms` is not, so the total is the sum of all.
#[must_use]
pub fn object_of(client: &ClientId, recipient: &Recipient, from: BadgeFrom) -> Value {
    let mut badge = Map::new();
    badge.insert("clientId".to_owned(), client.as_str().into());
    badge.insert("total".to_owned(), recipient.badge(from).into());
    match from {
        BadgeFrom::Rooms => {
            let rooms = recipient.unread.values().copied().fold(recipient.spilled, u32::saturating_add);
            badge.insert(ROOMS.to_owned(), rooms.into());
        }
        BadgeFrom::Imkit => {
            badge.insert(IMKIT.to_owned(), 0.into());
        }
    }
    for (source, count) in &recipient.sources {
        badge.insert(source.clone(), (*count).into());
    }
    Value::Object(badge)
}

/// The `clientId`s of a raw query, in their order, each once. The raw one: API Gateway joins repeated values by commas, and an id may
/// hold commas.
///
/// # Errors
/// When one is not usable, or there are more than [`MOST_IDS`].
pub fn ids_of_query(query: &str) -> Result<Vec<ClientId>, Failure> {
    let named = query_values(query, "clientId")?;
    distinct(named.iter().enumerate().map(|(index, id)| client_id(&format!("clientId {}", index + 1), id)))
}

/// The values that a raw query gives `name`, decoded, in their order.
///
/// # Errors
/// When one is not UTF-8.
pub fn query_values(query: &str, name: &str) -> Result<Vec<String>, Failure> {
    call::query_values(query, name).map_err(|rule| invalid(format!("{name} in the query {rule}")))
}

/// The ids of a body that is a JSON array of them, in their order, each once.
///
/// # Errors
/// When it is something else, one is not usable, or there are more than [`MOST_IDS`].
pub fn ids_of_body(body: Result<&[u8], BodyError>) -> Result<Vec<ClientId>, Failure> {
    let Value::Array(ids) = json(body)? else {
        return Err(invalid("the body is not a JSON array of client ids"));
    };
    distinct(ids.iter().enumerate().map(|(index, id)| match id.as_str() {
        Some(id) => client_id(&format!("entry {index}"), id),
        None => Err(invalid(format!("entry {index} is not a string"))),
    }))
}

fn distinct(ids: impl Iterator<Item = Result<ClientId, Failure>>) -> Result<Vec<ClientId>, Failure> {
    let (mut kept, mut seen) = (Vec::new(), std::collections::HashSet::new());
    for id in ids {
        let id = id?;
        if !seen.contains(&id) {
            if kept.len() == MOST_IDS {
                return Err(Failure::new(
                    StatusCode::BAD_REQUEST,
                    "TOO_MANY_CLIENTS",
                    "more than 100 clients in one call",
                ));
            }
            seen.insert(id.clone());
            kept.push(id);
        }
    }
    Ok(kept)
}

/// What a post to a client's badge changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// `{"source", "count"}`: the source's count becomes this.
    Source {
        /// The source.
        name: String,
        /// Up to [`MOST_COUNT`].
        count: u32,
    },
    /// `{"read": "<room>", "until"}`: the room was read.
    Room {
        /// The room.
        room: RoomKey,
        /// How far.
        reading: Reading,
    },
    /// `{"read": "*", "until"}`: everything was read.
    Everything {
        /// How far.
        reading: Reading,
    },
}

impl Change {
    /// Reads a body. Without `until` everything that was accepted before `now` was read, whatever times the messages bear; an
    /// `until` that lies ahead of every clock is taken back to a minute from now.
    ///
    /// # Errors
    /// When a field is missing or not usable; the failure names it.
    pub fn parse(body: Result<&[u8], BodyError>, now: Timestamp) -> Result<Self, Failure> {
        let fields = object(body)?;
        match (text(&fields, "read")?, text(&fields, "source")?) {
            (Some(_), Some(_)) => Err(invalid("read and source are in one body: send one of them")),
            (Some(room), None) => {
                let reading = reading(&fields, now)?;
                if room == "*" {
                    Ok(Self::Everything { reading })
                } else if room.len() > MOST_ROOM_NAME {
                    Err(invalid("read is longer than 256 bytes"))
                } else {
                    Ok(Self::Room { room: RoomKey::of(room), reading })
                }
            }
            (None, Some(source)) => {
                let name = source_name(source)?;
                let count = fields.get("count").filter(|count| !count.is_null()).ok_or_else(|| missing("count"))?;
                let count =
                    whole(count).filter(|count| *count <= MOST_COUNT).and_then(|count| u32::try_from(count).ok());
                let count = count.ok_or_else(|| invalid("count is not a whole number from 0 to 999999"))?;
                Ok(Self::Source { name, count })
            }
            (None, None) => Err(missing("source (or read)")),
        }
    }
}

fn reading(fields: &Map<String, Value>, now: Timestamp) -> Result<Reading, Failure> {
    match fields.get("until") {
        None | Some(Value::Null) => Ok(Reading::Accepted(now)),
        Some(until) => {
            let ms = whole(until).ok_or_else(|| invalid("until is not a whole number of milliseconds since 1970"))?;
            Ok(Reading::Written(Timestamp::from_millis(ms).min(now.plus(CLOCK_SLACK))))
        }
    }
}

fn source_name(name: &str) -> Result<String, Failure> {
    check_source(name).map_err(|rule| invalid(format!("source {rule}")))?;
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

    fn change(body: &str) -> Result<Change, &'static str> {
        Change::parse(Ok(body.as_bytes()), NOW).map_err(|failure| failure.code())
    }

    fn recipient() -> Recipient {
        let mut recipient = Recipient::default();
        recipient.spilled = 2;
        recipient.unread.insert(RoomKey::of("a"), 3);
        recipient.sources.insert("orders".to_owned(), 2);
        recipient
    }

    #[test]
    fn total_is_the_number_on_the_phone() {
        let client = ClientId::parse("u-310").unwrap();
        let mut recipient = recipient();
        let own = object_of(&client, &recipient, BadgeFrom::Rooms);
        assert_eq!(own, json!({"clientId": "u-310", "total": 7, "rooms": 5, "orders": 2}));
        let theirs = object_of(&client, &recipient, BadgeFrom::Imkit);
        assert_eq!(theirs, json!({"clientId": "u-310", "total": 2, "imkit": 0, "orders": 2}));
        recipient.sources.insert("imkit".to_owned(), 5);
        let own = object_of(&client, &recipient, BadgeFrom::Rooms);
        assert_eq!(own, json!({"clientId": "u-310", "total": 7, "rooms": 5, "imkit": 5, "orders": 2}));
        let theirs = object_of(&client, &recipient, BadgeFrom::Imkit);
        assert_eq!(theirs, json!({"clientId": "u-310", "total": 7, "imkit": 5, "orders": 2}));
    }

    #[test]
    fn ids_come_from_the_raw_query_with_their_commas() {
        let ids =
            ids_of_query("clientId=a%2Cb&clientId=c,d&x=1&clientId=e+f&clientId=c,d&client%49d=%E5%90%8D").unwrap();
        let ids: Vec<&str> = ids.iter().map(ClientId::as_str).collect();
        assert_eq!(ids, ["a,b", "c,d", "e f", "名"]);
        assert!(ids_of_query("").unwrap().is_empty());
        assert_eq!(ids_of_query("clientId=").unwrap_err().to_string(), "clientId 1 is empty");
        assert_eq!(ids_of_query("clientId=%FF").unwrap_err().code(), "INVALID_PARAMETER");
    }

    #[test]
    fn a_whole_number_may_have_a_point() {
        for (pointed, plain) in [
            (r#"{"source": "a", "count": 48.0}"#, r#"{"source": "a", "count": 48}"#),
            (r#"{"read": "r", "until": 1.574246991222e12}"#, r#"{"read": "r", "until": 1574246991222}"#),
        ] {
            assert!(change(plain).is_ok());
            assert_eq!(change(pointed), change(plain));
        }
    }

    #[test]
    fn at_most_100_clients_are_asked_for_in_one_call() {
        let ids = |n: usize| serde_json::to_vec(&(0..n).map(|i| i.to_string()).collect::<Vec<_>>()).unwrap();
        assert_eq!(ids_of_body(Ok(&ids(100))).unwrap().len(), 100);
        assert_eq!(ids_of_body(Ok(&ids(101))).unwrap_err().code(), "TOO_MANY_CLIENTS");
        assert_eq!(ids_of_body(Ok(br#"["a", "a"]"#)).unwrap().len(), 1);
        assert_eq!(ids_of_body(Ok(br#"["a", 1]"#)).unwrap_err().to_string(), "entry 1 is not a string");
        assert_eq!(ids_of_body(Ok(br#"{"a": 1}"#)).unwrap_err().code(), "INVALID_PARAMETER");
    }

    #[test]
    fn a_source_is_set_and_a_room_is_read() {
        let orders = Change::Source { name: "orders".to_owned(), count: 2 };
        assert_eq!(change(r#"{"source": "orders", "count": 2}"#), Ok(orders));
        let room = Change::Room { room: RoomKey::of("r"), reading: Reading::Accepted(NOW) };
        assert_eq!(change(r#"{"read": "r"}"#), Ok(room));
        let earlier = Change::Everything { reading: Reading::Written(Timestamp::from_millis(5)) };
        assert_eq!(change(r#"{"read": "*", "until": 5}"#), Ok(earlier));
    }

    #[test]
    fn a_read_mark_from_the_future_silences_nothing_but_the_next_minute() {
        let ahead = Change::Everything { reading: Reading::Written(NOW.plus(CLOCK_SLACK)) };
        assert_eq!(change(r#"{"read": "*", "until": 9999999999999}"#), Ok(ahead));
    }

    #[test]
    fn each_mistake_names_its_field() {
        for (body, code) in [
            ("{}", "MISSING_PARAMETER"),
            (r#"{"source": "a"}"#, "MISSING_PARAMETER"),
            (r#"{"source": "a", "count": -1}"#, "INVALID_PARAMETER"),
            (r#"{"source": "a", "count": 1.5}"#, "INVALID_PARAMETER"),
            (r#"{"source": "a", "count": "1"}"#, "INVALID_PARAMETER"),
            (r#"{"source": "a", "count": 1000000}"#, "INVALID_PARAMETER"),
            (r#"{"source": "a b", "count": 1}"#, "INVALID_PARAMETER"),
            (r#"{"source": "total", "count": 1}"#, "INVALID_PARAMETER"),
            (r#"{"source": "rooms", "count": 1}"#, "INVALID_PARAMETER"),
            (r#"{"source": 1, "count": 1}"#, "INVALID_PARAMETER"),
            (r#"{"source": "a", "count": 1, "read": "r"}"#, "INVALID_PARAMETER"),
            (r#"{"read": "r", "until": "now"}"#, "INVALID_PARAMETER"),
            (r#"{"read": "r", "until": -1}"#, "INVALID_PARAMETER"),
            ("3", "INVALID_PARAMETER"),
        ] {
            assert_eq!(change(body), Err(code), "{body}");
        }
    }

    proptest! {
        #[test]
        fn no_query_and_no_body_breaks_anything(query in ".{0,40}", body in ".{0,40}") {
            let _ = ids_of_query(&query);
            let _ = Change::parse(Ok(body.as_bytes()), NOW);
            let _ = ids_of_body(Ok(body.as_bytes()));
        }
    }
}
