//! `messageContent`: a text, or an object of `iOSAps`, `iOSExtras` and `androidPayload`.

use serde_json::{Map, Value};

use super::CONTENT;
use crate::app::{KinveyAndroid, KinveySettings};
use crate::delivery;
use crate::dialect::kinvey::body::wrong;
use crate::dialect::kinvey::error::Failure;
use crate::id::{AppId, MessageId};
use crate::message::template::Names;
use crate::message::{
    Badge, Behaviour, DataOnly, Dialect, Family, IosBlock, Kind, Media, Message, Origin, Roads, Text, Values,
    VendorBlock, Vendors,
};

/// The name that apps look for the text under.
const MESSAGE: &str = "message";
/// The text's other name. Kinvey's Android SDK (`KinveyFCMService`) hands its app the *first* value of FCM's data, and Android's map of them is
/// ordered by the names' `String.hashCode`. By that this name stands before our own ones (`pushbell_id`, `pushbell_task`), so that an app that
/// is built on it reads the text and not an id.
const FIRST: &str = "kinvey.message";
/// What we add to a payload takes fewer bytes.
const BESIDE: usize = 128;
const SETS: [&str; 3] = ["iOSAps", "iOSExtras", "androidPayload"];

/// What is sent, whomever it is for.
#[derive(Debug, Clone, PartialEq)]
pub struct Content {
    text: Text,
    kind: Kind,
    vendors: Vendors,
    roads: Roads,
    names: Names,
}

impl Content {
    pub(super) fn parse(content: Value, is_template: bool, settings: &KinveySettings) -> Result<Self, Failure> {
        let mut names = Names::default();
        if is_template {
            names.take_all(&content, CONTENT).map_err(|(path, error)| wrong(&path, error))?;
        }
        let (text, kind, vendors, only) = match content {
            Value::String(text) if text.is_empty() => return Err(wrong(CONTENT, "is empty")),
            Value::String(text) => {
                let text = Text { body: Some(text), ..Text::default() };
                (text, Kind::Alert, of_text(settings.android), None)
            }
            Value::Object(sets) => of_sets(sets)?,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
                return Err(wrong(
                    CONTENT,
                    "is neither a string nor an object of iOSAps, iOSExtras and androidPayload",
                ));
            }
        };
        Ok(Self { text, kind, vendors, roads: Roads { only, ..Roads::default() }, names })
    }

    /// The names that its places ask for.
    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    /// The message of a task in `app`; `id` is the task's own. The badge is the caller's: one in `iOSAps` is shown as it is, and nothing is
    /// counted.
    #[must_use]
    pub fn message(&self, app: AppId, id: MessageId) -> Message {
        Message {
            origin: Origin::of_server(app, Dialect::Kinvey, id),
            text: self.text.clone(),
            badge: Badge::None,
            behaviour: Behaviour { kind: self.kind, ..Behaviour::default() },
            media: Media::default(),
            data: Map::new(),
            vendors: self.vendors.clone(),
            roads: self.roads.clone(),
            values: (!self.names.is_empty()).then(Values::default),
        }
    }
}

fn of_text(android: KinveyAndroid) -> Vendors {
    let data_only = match android {
        KinveyAndroid::Data => Some(DataOnly { body: vec![FIRST.to_owned(), MESSAGE.to_owned()] }),
        KinveyAndroid::Notification => None,
    };
    Vendors {
        ios: Some(IosBlock { plain_alert: true, ..IosBlock::default() }),
        android: data_only.map(|own| VendorBlock { data_only: Some(own), ..VendorBlock::default() }),
        ..Vendors::default()
    }
}

type Parts = (Text, Kind, Vendors, Option<Family>);

fn of_sets(mut sets: Map<String, Value>) -> Result<Parts, Failure> {
    let mut take = |name: &str| match sets.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(members)) => Ok(Some(members).filter(|members| !members.is_empty())),
        Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
            Err(wrong(&format!("{CONTENT}.{name}"), "is not an object"))
        }
    };
    let [aps, extras, payload] = [take(SETS[0])?, take(SETS[1])?, take(SETS[2])?];
    if !sets.is_empty() {
        return Err(wrong(
            CONTENT,
            "has a member that is none of iOSAps, iOSExtras, androidPayload, sendAt, requestId and template",
        ));
    }
    let apple = aps.as_ref().or(extras.as_ref()).is_some();
    let only = match (apple, payload.is_some()) {
        (true, true) => None,
        (true, false) => Some(Family::Apple),
        (false, true) => Some(Family::Android),
        (false, false) => return Err(wrong(CONTENT, "has none of iOSAps, iOSExtras and androidPayload")),
    };
    if aps.iter().chain(&extras).map(delivery::bytes_of).sum::<usize>() > delivery::MOST_BYTES {
        return Err(wrong(CONTENT, "has iOSAps and iOSExtras of more than 4096 bytes together as JSON"));
    }
    if payload.as_ref().is_some_and(delivery::is_too_long_whole) {
        return Err(wrong(CONTENT, "has an androidPayload of more than 4096 bytes as JSON"));
    }
    let shows = aps.as_ref().is_some_and(|aps| aps.contains_key("alert"));
    let ios = apple.then(|| IosBlock { aps, data: extras.or_else(|| Some(Map::new())), ..IosBlock::default() });
    let android = payload.map(|payload| VendorBlock {
        data: Some(with_first(payload)),
        data_only: Some(DataOnly::default()),
        ..VendorBlock::default()
    });
    let kind = if shows { Kind::Alert } else { Kind::Data };
    Ok((Text::default(), kind, Vendors { ios, android, ..Vendors::default() }, only))
}

/// The payload, in which the value that Kinvey's Android SDK would have found first is found first still, before what we add; unless there is no
/// room for it twice.
fn with_first(payload: Map<String, Value>) -> Map<String, Value> {
    let first = payload.iter().filter(|(_, value)| !value.is_null()).min_by_key(|(name, _)| java_hash(name));
    if let Some((name, value)) = first
        && java_hash(name) > java_hash("pushbell_id")
    {
        let mut with_first = payload.clone();
        with_first.insert(FIRST.to_owned(), value.clone());
        if delivery::bytes_of(&with_first) + BESIDE <= delivery::MOST_BYTES {
            return with_first;
        }
    }
    payload
}

/// `java.lang.String.hashCode`.
fn java_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0, |hash: i32, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_java_s_and_the_first_name_stands_before_ours() {
        assert_eq!((java_hash("message"), java_hash("pushbell_id"), java_hash("")), (954_925_063, -1_971_873_411, 0));
        for own in ["pushbell_id", "pushbell_task", "pushbell_intent", "pushbell_withdraw", MESSAGE] {
            assert!(java_hash(FIRST) < java_hash(own), "{own}");
        }
    }
}
