//! What holds of every call, whatever is in it.

#![allow(clippy::unwrap_used)]

use std::collections::HashSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::callback::{Callback, Received};
use super::compose::{self, Readers};
use super::content::{Content, QUIT};
use crate::app::Settings;
use crate::id::AppId;
use crate::message::MOST_BYTES;
use crate::time::Timestamp;

const TYPES: [i32; 26] = [
    -1, 0, 1, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111, 113, 114, 117, 118, 120, 1501, 1504, 1508, 1509,
    1511, 2001, 2101,
];

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-c{}\\[\\]\":, @]{0,12}",
        Just("{\"a\":1}".to_owned()),
        Just("[1,[2]]".to_owned()),
        Just("{{text}}".to_owned()),
        Just("[NEWMSG]".to_owned()),
        Just("x".repeat(9_000)),
        Just("\"\u{1}é".repeat(3_000)),
    ]
}

fn client() -> impl Strategy<Value = String> {
    prop_oneof!["u[0-4]", Just(String::new()), Just("u 1".to_owned())]
}

fn member() -> impl Strategy<Value = Value> {
    (client(), text()).prop_map(|(id, name)| json!({"userID": id, "nickname": name}))
}

/// The inside of `content`, with every field that any type has.
fn content() -> impl Strategy<Value = String> {
    let fields = (text(), text(), text(), text(), member(), prop::collection::vec(member(), 0..4));
    let object = fields.prop_map(|(text, name, id, wrapped, member, list)| {
        json!({
            "content": text, "text": text, "fileName": text, "description": text, "title": text, "defaultTips": text,
            "group": {"groupID": id, "groupName": name}, "opUser": member, "quitUser": member, "kickedUserList": list,
            "clientMsgID": id, "detail": wrapped, "atUsersInfo": [{"atUserID": "a", "groupNickname": name}],
        })
        .to_string()
    });
    prop_oneof![3 => object, 1 => text()]
}

prop_compose! {
    fn body()(
        clients in prop::collection::vec(client(), 0..6),
        sender in client(),
        group in client(),
        id in prop_oneof![Just(String::new()), Just("m1".to_owned())],
        content_type in prop::sample::select(TYPES.as_slice()),
        session in 0..6_i32,
        content in content(),
        offline in prop::option::of((text(), text(), text(), any::<bool>(), text())),
        mentions in prop::collection::vec(client(), 0..4),
    ) -> Value {
        let mut body = json!({
            "userIDList": clients, "sendID": sender, "groupID": group, "clientMsgID": id, "contentType": content_type,
            "sessionType": session, "content": content, "atUserIDList": mentions,
        });
        if let Some((title, desc, ex, counts, signal)) = offline {
            let offline = json!({"title": title, "desc": desc, "ex": ex, "iOSPushSound": "", "iOSBadgeCount": counts, "signalInfo": signal});
            body.as_object_mut().unwrap().extend(offline.as_object().unwrap().clone());
        }
        body
    }
}

fn read(body: &Value) -> Callback {
    let bytes = body.to_string().into_bytes();
    Callback::read(&Received::new(&bytes).unwrap(), None).unwrap()
}

proptest! {
    #[test]
    fn nothing_that_is_json_is_read_to_people(
        content_type in prop::sample::select(TYPES.as_slice()),
        content in content(),
    ) {
        let content = Content::read(content_type, &content);
        for text in [content.text, content.sender, content.group].into_iter().flatten() {
            let json: Result<Value, _> = serde_json::from_str(&text);
            prop_assert!(!json.is_ok_and(|json| json.is_object() || json.is_array()), "{text}");
        }
    }

    #[test]
    fn reading_never_panics(content_type in any::<i32>(), content in ".*", bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = Content::read(content_type, &content);
        let _ = Received::new(&bytes).map(|received| Callback::read(&received, None));
    }

    #[test]
    fn a_notification_is_rewritten_once_and_then_says_what_it_should(body in body(), hides in any::<bool>()) {
        let readers = Readers { hides, ..Readers::default() };
        let Some(info) = compose::rewrite(&Settings::default(), &read(&body), &readers) else { return Ok(()) };
        prop_assert!(!info.title.trim().is_empty() && !info.desc.trim().is_empty(), "OpenIM would show a tag");
        let mut again = body;
        again.as_object_mut().unwrap().extend(serde_json::to_value(&info).unwrap().as_object().unwrap().clone());
        prop_assert_eq!(compose::rewrite(&Settings::default(), &read(&again), &readers), None);
    }

    #[test]
    fn everybody_is_told_once_and_the_sender_never_and_a_message_fits_the_queue(body in body()) {
        let callback = read(&body);
        let app = AppId::parse("demo").unwrap();
        let Ok(tasks) = compose::tasks(&app, &Settings::default(), &callback, Timestamp::from_millis(0)) else {
            return Ok(());
        };
        let mut told = HashSet::new();
        for (message, clients) in &tasks {
            prop_assert!(!clients.is_empty());
            prop_assert!(serde_json::to_string(message).unwrap().len() <= MOST_BYTES);
            let words = message.text.title.is_some();
            for client in clients {
                prop_assert!(told.insert(client.clone()), "{client} is told twice");
                // Who has left is cleared whether they are listed or not, and reads nothing.
                prop_assert!(!words || callback.clients.contains(client));
            }
        }
        // Who has left a group reads nothing of it.
        if let [(message, clients)] = tasks.as_slice()
            && message.text.title.is_some()
            && callback.content_type != QUIT
        {
            prop_assert_eq!(clients, &callback.clients);
        }
    }
}
