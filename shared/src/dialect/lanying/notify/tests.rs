#![allow(clippy::unwrap_used)]

mod message;

use serde_json::{Value, json};

use super::*;
use crate::delivery::Channel;
use crate::dialect::lanying::envelope::Code;
use crate::id::{ClientId, DeviceKey, MessageId};
use crate::message::{Message, Strategy};
use crate::registry::PushToken;
use crate::task::{Members, Target};

const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_500);
const NOW_S: u64 = 1_767_225_600;

fn app() -> AppId {
    AppId::parse("demo").unwrap()
}

fn client(id: &str) -> ClientId {
    ClientId::parse(id).unwrap()
}

fn parse(body: &Value) -> Result<Push, Failure> {
    Push::parse(Ok(body.to_string().as_bytes()), &app(), NOW)
}

#[track_caller]
fn refused(body: &Value) -> String {
    let failure = parse(body).unwrap_err();
    assert_eq!(failure.code(), Code::BadParameter, "{failure}");
    failure.to_string()
}

/// A push to everybody with this message.
fn saying(message: Value) -> Value {
    json!({"audience": "all", "message": message})
}

/// A push to everybody with this beside a text.
fn with(field: &str, value: Value) -> Value {
    saying(json!({"body": "b", field: value}))
}

fn set(field: &str, value: Value) -> Value {
    json!({"audience": "all", "setting": {field: value}, "message": {"body": "b"}})
}

fn to(audience: Value) -> Value {
    json!({"audience": audience, "message": {"body": "b"}})
}

#[track_caller]
fn message(body: &Value) -> Message {
    let push = parse(body).unwrap();
    push.content.message(app(), MessageId::parse("7-abcdefgh").unwrap(), push.roads)
}

#[test]
fn an_audience_is_everybody_or_one_list_of_distinct_entries() {
    let whom = |audience: Value| parse(&to(audience)).unwrap().whom;
    assert_eq!(whom(json!("all")), Whom::Members(Members::All));
    let tags = ["a", "b"].map(|tag| crate::id::Tag::parse(tag).unwrap()).to_vec();
    assert_eq!(whom(json!({"tag": ["b", "a", "b"]})), Whom::Members(Members::Tags(tags)));
    let aliases = vec![crate::id::Alias::parse("anna").unwrap()];
    assert_eq!(whom(json!({"alias": ["anna"], "tag": null, "user_id": ""})), Whom::Members(Members::Aliases(aliases)));
    let users = ["-5", "222", "u-1"].map(|id| Target::Fresh(client(id))).to_vec();
    assert_eq!(whom(json!({"user_id": [222, "u-1", "222", -5]})), Whom::Targets(users));
}

#[test]
fn push_tokens_of_one_client_are_one_target_with_these_devices() {
    let device = |name: &str| DeviceKey::of("android", name);
    let token = |id: &str, name: &str| PushToken { client: client(id), device: device(name) }.name(&app());
    let given = [token("bbb", "1"), token("aaa", "2"), token("aaa", "1"), token("aaa", "2")];
    let mut two = vec![device("1"), device("2")];
    two.sort();
    assert_eq!(
        parse(&to(json!({"push_token": given}))).unwrap().whom,
        Whom::Targets(vec![
            Target::Chosen { client: client("aaa"), only: two },
            Target::Chosen { client: client("bbb"), only: vec![device("1")] },
        ])
    );
    let others = PushToken { client: client("aaa"), device: device("1") }.name(&AppId::parse("other").unwrap());
    let told = refused(&to(json!({"push_token": [token("aaa", "1"), others]})));
    assert_eq!(told, "entry 1 of audience.push_token is no push token of this app");
}

#[test]
fn what_is_wrong_with_an_audience_is_told() {
    let long = "x".repeat(129);
    for (audience, told) in [
        (json!(null), "audience is missing"),
        (json!(""), "audience is missing"),
        (json!("everybody"), "audience is neither \"all\" nor an object"),
        (json!(["aaa"]), "audience is neither \"all\" nor an object"),
        (json!({}), "audience has none of tag, alias, user_id and push_token"),
        (json!({"users": [1]}), "audience has none of tag, alias, user_id and push_token"),
        (json!({"tag": ["a"], "alias": ["b"]}), "audience has both tag and alias"),
        (json!({"user_id": [], "push_token": []}), "audience has both user_id and push_token"),
        (json!({"tag": "a"}), "audience.tag is not a list"),
        (json!({"tag": []}), "audience.tag is empty"),
        (json!({"tag": ["a", 1]}), "entry 1 of audience.tag is not a text"),
        (json!({"tag": [""]}), "entry 0 of audience.tag is empty"),
        (json!({"alias": [long]}), "entry 0 of audience.alias is longer than 128 bytes"),
        (json!({"alias": ["a\n"]}), "entry 0 of audience.alias holds a character that is not allowed"),
        (json!({"user_id": [1, true]}), "entry 1 of audience.user_id is neither a whole number nor a text"),
        (json!({"user_id": [1.5]}), "entry 0 of audience.user_id is neither a whole number nor a text"),
        (json!({"user_id": [""]}), "entry 0 of audience.user_id is empty"),
        (json!({"push_token": [1]}), "entry 0 of audience.push_token is not a text"),
        (json!({"push_token": ["x"]}), "entry 0 of audience.push_token is no push token of this app"),
    ] {
        assert_eq!(refused(&to(audience)), told);
    }
}

#[test]
fn a_list_has_at_most_500_entries_of_each_kind() {
    for kind in ["tag", "alias", "user_id", "push_token"] {
        let most = parse(&to(json!({kind: vec!["a"; 500]})));
        assert_eq!(most.is_ok(), kind != "push_token", "{kind}");
        let failure = parse(&to(json!({kind: vec!["a"; 501]}))).unwrap_err();
        assert_eq!(failure.code(), Code::TooManyTargets);
        assert_eq!(failure.to_string(), format!("audience.{kind} has more than 500 entries"));
    }
}

#[test]
fn a_request_has_a_name_or_none() {
    let request = |value: Value| parse(&set("request_id", value)).unwrap().request;
    assert_eq!(request(json!("ord-771-2")).as_deref(), Some("ord-771-2"));
    assert_eq!((request(json!("")), request(json!(null))), (None, None));
    assert_eq!(request(json!("x".repeat(128))).map(|name| name.len()), Some(128));
    assert_eq!(refused(&set("request_id", json!(5))), "setting.request_id is not a text");
    assert_eq!(refused(&set("request_id", json!("x".repeat(129)))), "setting.request_id is longer than 128 bytes");
    let told = "setting.request_id holds a character that is not allowed";
    assert_eq!(refused(&set("request_id", json!("a\u{7}"))), told);
    assert_eq!(
        refused(&json!({"audience": "all", "setting": 5, "message": {"body": "b"}})),
        "setting is not an object"
    );
}

#[test]
fn a_strategy_is_one_of_three_in_whatever_case() {
    let strategy = |value: Value| parse(&set("distribution_strategy", value)).unwrap().roads.strategy;
    for blank in [json!(null), json!(""), json!("combined")] {
        assert_eq!(strategy(blank), Strategy::Combined);
    }
    assert_eq!(strategy(json!("Mxpush_only")), Strategy::Online);
    assert_eq!(strategy(json!("ospush_only")), Strategy::Vendors);
    let told = "setting.distribution_strategy is none of combined, mxpush_only and ospush_only";
    assert_eq!(refused(&set("distribution_strategy", json!("apns"))), told);
    assert_eq!(refused(&set("distribution_strategy", json!(1))), "setting.distribution_strategy is not a text");
}

#[test]
fn a_sequence_names_each_vendor_once_and_blank_is_all_of_them() {
    let android = |value: Value| parse(&set("ospush_sequence", value)).unwrap().roads.android;
    for blank in [json!(null), json!(""), json!([])] {
        assert_eq!(android(blank), []);
    }
    assert_eq!(android(json!(["fcm", "Huawei", "fcm"])), [Channel::Fcm, Channel::Huawei]);
    let all =
        [Channel::Oppo, Channel::Huawei, Channel::Xiaomi, Channel::Meizu, Channel::Vivo, Channel::Honor, Channel::Fcm];
    assert_eq!(android(json!(["oppo", "ups", "fcm", "vivo"])), all);
    assert_eq!(android(json!(["flyme", "meizu"])), [Channel::Meizu]);
    let told = "entry 1 of setting.ospush_sequence is none of ups, fcm, huawei, honor, xiaomi, oppo, vivo and meizu";
    assert_eq!(refused(&set("ospush_sequence", json!(["fcm", "apns"]))), told);
    assert_eq!(refused(&set("ospush_sequence", json!([1]))), "entry 0 of setting.ospush_sequence is not a text");
    assert_eq!(refused(&set("ospush_sequence", json!("fcm"))), "setting.ospush_sequence is not a list");
}

proptest::proptest! {
    #[test]
    fn no_body_breaks_anything(text in ".{0,60}", word in "[ -~]{0,12}", number in proptest::num::f64::ANY) {
        let _ = Push::parse(Ok(text.as_bytes()), &app(), NOW);
        let values = [json!(word), json!(number), json!([word]), json!({word.as_str(): word})];
        for value in values {
            for body in [
                to(value.clone()),
                to(json!({"user_id": value})),
                saying(value.clone()),
                with("badge", value.clone()),
                with("attachment_url", value.clone()),
                with("show_begin_time", value.clone()),
                with("show_end_time", value.clone()),
                with("ios", value.clone()),
                set("ospush_sequence", value.clone()),
            ] {
                let _ = parse(&body);
            }
        }
    }
}
