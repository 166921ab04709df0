#![allow(clippy::unwrap_used)]
use serde_json::json;

use super::*;
use crate::app::KinveyAndroid;
use crate::id::{AppId, ClientId, MessageId};
use crate::message::{Family, IosBlock, Kind, Message, Values};
use crate::task::Target;

const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

fn parse_to(to: To, settings: &KinveySettings, body: &str) -> Result<Send, Failure> {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", "application/json".parse().unwrap());
    Send::parse(&headers, Ok(body.as_bytes()), to, settings, NOW)
}

fn parse(body: &Value) -> Result<Send, Failure> {
    parse_to(To::Recipients, &KinveySettings::default(), &body.to_string())
}

fn refused(body: &Value) -> String {
    let failure = parse(body).unwrap_err();
    format!("{:?}: {failure}", failure.kind())
}

fn content(content: &Value) -> Result<Message, String> {
    let send =
        parse(&json!({"recipients": ["u1"], "messageContent": content})).map_err(|failure| failure.to_string())?;
    Ok(send.content.message(AppId::parse("demo").unwrap(), MessageId::parse("m1").unwrap()))
}

fn targets(send: Send) -> Vec<Target> {
    match send.whom {
        Some(Whom::Targets(targets)) => targets,
        Some(Whom::Members(_)) | None => Vec::new(),
    }
}

fn client(id: &str) -> ClientId {
    ClientId::parse(id).unwrap()
}

fn with(id: &str, values: &[(&str, &str)]) -> Target {
    let values = values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Target::With { client: client(id), values: Values::from_iter(values) }
}

#[test]
fn recipients_are_documents_objects_with_an_id_or_ids() {
    let body = json!({"recipients": [{"_id": "u1", "username": "joe", "_acl": {"creator": "u1"}}, {"_id": "u2"}, "u3"], "messageContent": "hi"});
    let send = parse(&body).unwrap();
    assert_eq!((send.accepted, &send.left_out), (Some(3), &LeftOut::default()));
    assert_eq!(targets(send), ["u1", "u2", "u3"].map(|id| Target::Fresh(client(id))));
    let alone = parse(&json!({"recipients": {"_id": "u1"}, "messageContent": "hi"})).unwrap();
    assert_eq!(targets(alone), [Target::Fresh(client("u1"))]);
}

#[test]
fn who_cannot_be_told_is_named_and_the_others_are_told() {
    let list = json!([{"_id": "u1"}, {"username": "x"}, 7, {"_id": 7}, "u1", "", "a\nb", null, {"_id": "u2"}, []]);
    let send = parse(&json!({"recipients": list, "messageContent": "hi"})).unwrap();
    let told: Vec<(usize, &str)> =
        send.left_out.skipped.iter().map(|skipped| (skipped.index, skipped.reason.as_str())).collect();
    let no_user = "is neither an id nor a document with an _id";
    let expected = [
        (1, no_user),
        (2, no_user),
        (3, "has an _id that is not a string"),
        (5, "is empty"),
        (6, "holds a character that is not allowed"),
        (7, no_user),
        (9, no_user),
    ];
    assert_eq!((told.as_slice(), send.left_out.duplicates, send.accepted), (&expected[..], 1, Some(2)));
}

#[test]
fn a_list_without_anybody_is_taken_and_one_without_anybody_usable_refused() {
    let nobody = parse(&json!({"recipients": [], "messageContent": "hi"})).unwrap();
    assert_eq!((nobody.whom, nobody.accepted), (None, Some(0)));
    let told = refused(&json!({"recipients": [7, ""], "messageContent": "hi"}));
    let rule = "recipients have none who can be told: recipients[0] is neither an id nor a document with an _id";
    assert_eq!(told, format!("ParameterValueOutOfRange: {rule}"));
}

#[test]
fn places_are_filled_from_the_document_and_what_it_lacks_is_told() {
    let list = json!([
        {"_id": "u1", "givenName": "Joe", "favoriteTeam": "Boston Red Sox", "age": 42},
        {"_id": "u2", "favoriteTeam": "Boston Red Sox"},
        {"_id": "u3"},
        {"_id": "u4", "_acl": {}, "_messaging": {"pushTokens": []}},
        {"_id": "u5", "givenName": ["Joe"], "favoriteTeam": "x"},
        {"_id": "u6", "givenName": "{{favoriteTeam}}", "favoriteTeam": null},
        {"_id": "u7", "givenName": "x".repeat(1025), "favoriteTeam": "x"},
        "u8",
    ]);
    let send =
        parse(&json!({"recipients": list, "messageContent": "{{givenName}}, the {{favoriteTeam}} just won!"})).unwrap();
    let told: Vec<(usize, &str)> =
        send.left_out.skipped.iter().map(|skipped| (skipped.index, skipped.reason.as_str())).collect();
    let expected = [
        (1, "lacks the value givenName"),
        (4, "has a value givenName that is neither a text nor a number nor a boolean"),
        (5, "lacks the value favoriteTeam"),
        (6, "has a value givenName that is longer than 1024 bytes"),
    ];
    assert_eq!(told, expected);
    let joe = with("u1", &[("givenName", "Joe"), ("favoriteTeam", "Boston Red Sox")]);
    let stored = ["u3", "u4", "u8"].map(|id| Target::Fresh(client(id)));
    assert_eq!(targets(send), [&[joe], &stored[..]].concat());
}

#[test]
fn who_stands_in_a_list_twice_is_told_by_the_first_document_that_has_the_values() {
    let list = json!([{"_id": "u1", "age": 42}, {"_id": "u1", "name": "Joe"}, {"_id": "u1", "name": "Jo"}]);
    let send = parse(&json!({"recipients": list, "messageContent": "Hi {{name}}"})).unwrap();
    assert_eq!((send.left_out.skipped_count, send.left_out.duplicates), (1, 1));
    assert_eq!(targets(send), [with("u1", &[("name", "Joe")])]);
}

#[test]
fn a_default_stands_in_for_what_a_document_lacks() {
    let list = json!([{"_id": "u1", "name": "Joe"}]);
    let send = parse(&json!({"recipients": list, "messageContent": "Hi {{nick|there}}"})).unwrap();
    assert_eq!(targets(send), [with("u1", &[])]);
}

#[test]
fn a_text_is_a_template_unless_the_call_or_the_app_says_otherwise() {
    let text = "{{nobody has this}} {{";
    let told = refused(&json!({"recipients": ["u1"], "messageContent": text}));
    assert_eq!(told, "ParameterValueOutOfRange: messageContent has a {{ that is not closed");
    let plain = parse(&json!({"recipients": ["u1"], "messageContent": text, "template": false})).unwrap();
    let message = plain.content.message(AppId::parse("demo").unwrap(), MessageId::parse("m1").unwrap());
    assert_eq!((message.text.body.as_deref(), message.values), (Some(text), None));
    let off = KinveySettings { templates: false, ..KinveySettings::default() };
    let body = |template: &str| format!(r#"{{"recipients": ["u1"], "messageContent": "{{{{a}}}}"{template}}}"#);
    let values = |body: &str| {
        let send = parse_to(To::Recipients, &off, body).unwrap();
        send.content.message(AppId::parse("demo").unwrap(), MessageId::parse("m1").unwrap()).values
    };
    assert_eq!(values(&body("")), None);
    assert_eq!(values(&body(r#", "template": true"#)), Some(Values::default()));
    let told = refused(&json!({"recipients": ["u1"], "messageContent": "a", "template": "yes"}));
    assert_eq!(told, "ParameterValueOutOfRange: template is not a boolean");
    let deep = json!({"iOSAps": {"alert": {"loc-args": ["{{ }}"]}}});
    assert_eq!(content(&deep).unwrap_err(), "messageContent.iOSAps.alert.loc-args[0] has a place without a name");
}

#[test]
fn a_text_is_an_alert_for_apple_and_data_for_android() {
    let message = content(&json!("lala")).unwrap();
    assert_eq!(
        (message.text.body.as_deref(), message.behaviour.kind, message.values),
        (Some("lala"), Kind::Alert, None)
    );
    let android = message.vendors.android.unwrap();
    assert_eq!(android.data_only.unwrap().body, ["kinvey.message", "message"]);
    let ios = IosBlock { plain_alert: true, ..IosBlock::default() };
    assert_eq!((message.vendors.ios, message.roads.only), (Some(ios), None));

    let shown = KinveySettings { android: KinveyAndroid::Notification, ..KinveySettings::default() };
    let send = parse_to(To::Recipients, &shown, r#"{"recipients": ["u1"], "messageContent": "lala"}"#).unwrap();
    let message = send.content.message(AppId::parse("demo").unwrap(), MessageId::parse("m1").unwrap());
    assert_eq!(message.vendors.android, None);
}

#[test]
fn each_set_goes_to_its_phones_as_it_is() {
    let aps = json!({"alert": {"title": "t", "body": "b"}, "badge": 2, "sound": "default"});
    let message = content(&json!({
        "iOSAps": aps, "iOSExtras": {"orderId": "771", "list": [1, {"a": null}]},
        "androidPayload": {"message": "m", "orderId": 771},
    }))
    .unwrap();
    let (ios, android) = (message.vendors.ios.unwrap(), message.vendors.android.unwrap());
    assert_eq!(Value::Object(ios.aps.unwrap()), aps);
    assert_eq!(Value::Object(ios.data.unwrap()), json!({"orderId": "771", "list": [1, {"a": null}]}));
    // `orderId` is the first of the two by its hash: what Kinvey's SDK handed to the app before, it hands over still.
    let expected = json!({"message": "m", "orderId": 771, "kinvey.message": 771});
    assert_eq!(Value::Object(android.data.unwrap()), expected);
    assert_eq!((android.data_only.unwrap().body.len(), message.behaviour.kind), (0, Kind::Alert));
    // What has no room for it twice is sent as it is.
    let long = content(&json!({"androidPayload": {"message": "x".repeat(2300)}})).unwrap();
    assert_eq!(long.vendors.android.unwrap().data.unwrap().len(), 1);
    assert_eq!((message.badge, message.text), (crate::message::Badge::None, crate::message::Text::default()));
}

#[test]
fn a_set_that_is_not_there_leaves_its_phones_out() {
    let only = |sets: &Value| content(sets).map(|message| (message.roads.only, message.behaviour.kind));
    let aps = json!({"iOSAps": {"content-available": 1}, "iOSExtras": null, "androidPayload": {}});
    assert_eq!(only(&aps), Ok((Some(Family::Apple), Kind::Data)));
    assert_eq!(only(&json!({"iOSExtras": {"a": 1}})), Ok((Some(Family::Apple), Kind::Data)));
    assert_eq!(only(&json!({"androidPayload": {"a": 1}})), Ok((Some(Family::Android), Kind::Data)));
    let none = Err("messageContent has none of iOSAps, iOSExtras and androidPayload".to_owned());
    assert_eq!(only(&json!({"iOSAps": {}, "androidPayload": null})), none);
}

#[test]
fn content_that_cannot_be_is_refused_by_its_name() {
    let long = json!({"a": "x".repeat(4096)});
    for (wrong, told) in [
        (json!(""), "messageContent is empty"),
        (json!(7), "messageContent is neither a string nor an object of iOSAps, iOSExtras and androidPayload"),
        (json!({"iOSAps": "x"}), "messageContent.iOSAps is not an object"),
        (json!({"androidPayload": [1]}), "messageContent.androidPayload is not an object"),
        (
            json!({"iosAps": {"alert": "x"}, "iOSAps": {"alert": "x"}}),
            "messageContent has a member that is none of iOSAps, iOSExtras, androidPayload, sendAt, requestId and template",
        ),
        (
            json!({"androidPayload": {"body": "x".repeat(4096)}}),
            "messageContent has an androidPayload of more than 4096 bytes as JSON",
        ),
        (
            json!({"iOSAps": {"alert": "x"}, "iOSExtras": {"payload": "x".repeat(4096)}}),
            "messageContent has iOSAps and iOSExtras of more than 4096 bytes together as JSON",
        ),
        (json!({"androidPayload": long}), "messageContent has an androidPayload of more than 4096 bytes as JSON"),
        (
            json!({"iOSAps": {"alert": "x"}, "iOSExtras": long}),
            "messageContent has iOSAps and iOSExtras of more than 4096 bytes together as JSON",
        ),
    ] {
        assert_eq!(content(&wrong).unwrap_err(), told);
    }
    assert_eq!(refused(&json!({"recipients": ["u1"]})), "MissingRequestParameter: messageContent is missing");
    assert_eq!(refused(&json!({"messageContent": "hi"})), "MissingRequestParameter: recipients is missing");
    let told = refused(&json!({"recipients": "u1", "messageContent": "hi"}));
    assert_eq!(told, "ParameterValueOutOfRange: recipients is neither a list nor a user's document");
    assert_eq!(refused(&json!([])), "BadRequest: the body is not a JSON object");
}

#[test]
fn what_is_ours_stands_in_the_body_or_in_the_content() {
    let at = NOW.as_millis() + 60_000;
    let outside = json!({"recipients": ["u1"], "messageContent": "hi", "sendAt": at, "requestId": "r1"});
    let inside = json!({
        "recipients": ["u1"],
        "messageContent": {"iOSAps": {"alert": "hi"}, "sendAt": "2026-01-01T00:01:00.000Z", "requestId": "r1", "template": false},
    });
    for body in [outside, inside] {
        let send = parse(&body).unwrap();
        assert_eq!(
            (send.due, send.request.as_deref()),
            (Some(NOW.plus(std::time::Duration::from_secs(60))), Some("r1"))
        );
    }
    let twice =
        json!({"recipients": ["u1"], "messageContent": {"iOSAps": {"alert": "hi"}, "sendAt": at}, "sendAt": at});
    assert_eq!(refused(&twice), "ParameterValueOutOfRange: sendAt is there twice: in the body and in messageContent");
    let wrong = json!({"recipients": ["u1"], "messageContent": "hi", "sendAt": "soon"});
    let told = "sendAt is neither a time like 2026-01-01T09:00:00Z nor milliseconds since 1970";
    assert_eq!(refused(&wrong), format!("ParameterValueOutOfRange: {told}"));
}

#[test]
fn a_broadcast_is_for_every_device_and_needs_no_recipients() {
    let send = parse_to(To::Everybody, &KinveySettings::default(), r#"{"messageContent": "hi {{name}}"}"#).unwrap();
    assert_eq!((send.whom, send.accepted), (Some(Whom::Members(Members::All)), None));
}

#[test]
fn tokens_are_taken_out_of_documents_where_the_app_wants_it() {
    let arn = "arn:aws:sns:us-east-1:853461911189:endpoint/APNS/x/1";
    let tokens = json!([
        {"token": "fMx1:APA91b", "platform": "android", "arn": null, "framework": "nativescript"},
        {"token": "01C5B7", "platform": "ios", "arn": arn},
    ]);
    let body =
        json!({"recipients": [{"_id": "u1", "_messaging": {"pushTokens": tokens}}, "u2"], "messageContent": "hi"});
    assert_eq!(parse(&body).unwrap().imports, []);
    let settings = KinveySettings { import_tokens: true, ..KinveySettings::default() };
    let import = |body: &Value| parse_to(To::Recipients, &settings, &body.to_string());
    let imports = import(&body).unwrap().imports;
    let of = |import: &Import| {
        (import.device.platform.channel().as_str(), import.device.token.expose().to_owned(), import.arn.clone())
    };
    let expected = [("fcm", "fMx1:APA91b".to_owned(), None), ("sns", "01C5B7".to_owned(), Some(arn.to_owned()))];
    assert_eq!(imports.iter().map(of).collect::<Vec<_>>(), expected);
    let wrong = json!({"recipients": [{"_id": "u1", "_messaging": {"pushTokens": [{"token": "x", "platform": "web"}]}}, "u2"], "messageContent": "hi"});
    let send = import(&wrong).unwrap();
    assert_eq!(
        send.left_out.skipped[0].reason,
        "has _messaging.pushTokens with a platform that is neither \"ios\" nor \"android\""
    );
    let tokens = json!([{"token": "x", "platform": "android", "framework": "f".repeat(65)}]);
    let long =
        json!({"recipients": [{"_id": "u1", "_messaging": {"pushTokens": tokens}}, "u2"], "messageContent": "hi"});
    let reason = import(&long).unwrap().left_out.skipped[0].reason.clone();
    assert_eq!(reason, "has _messaging.pushTokens with a framework of more than 64 bytes");
    // Who lacks a value has devices all the same.
    let tokens = json!([{"token": "x", "platform": "android"}]);
    let lacking = json!({"_id": "u1", "age": 42, "_messaging": {"pushTokens": tokens}});
    let send = import(&json!({"recipients": [lacking, "u2"], "messageContent": "hi {{name}}"})).unwrap();
    assert_eq!((send.accepted, send.left_out.skipped_count, send.imports.len()), (Some(1), 1, 1));
    let many: Vec<Value> = (0..=MOST_IMPORTED)
        .map(|n| json!({"_id": format!("u{n}"), "_messaging": {"pushTokens": [{"token": format!("t{n}"), "platform": "android"}]}}))
        .collect();
    let failure = import(&json!({"recipients": many, "messageContent": "hi"})).unwrap_err().to_string();
    assert!(failure.starts_with("recipients have more than 500 push tokens to register"), "{failure}");
}

#[test]
fn an_answer_says_who_was_taken_and_who_was_not() {
    let send = parse(&json!({"recipients": ["u1", "u1", ""], "messageContent": "hi"})).unwrap();
    let taken = Taken {
        task_id: TaskId::from_number(7),
        accepted: send.accepted,
        repeated: false,
        send_at: None,
        imported: None,
        left_out: &send.left_out,
    };
    let expected = json!({
        "task_id": 7, "accepted": 1, "duplicates": 1, "skipped": [{"index": 2, "value": "", "reason": "is empty"}],
        "skipped_count": 1,
    });
    assert_eq!(serde_json::to_value(taken).unwrap(), expected);
}
