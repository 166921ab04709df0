//! OpenIM's push hooks: what each release is answered, and what comes of it.

use std::time::Duration;

use pushbell_local::faults::{Effect, Rule, Target};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::bell::{API_KEY, Answer, Bell};

mod delivery;

const HOOK: &str = "/hooks/demo/demo-secret/openim";
const APNS: &str = "arn:aws:sns:us-east-1:000000000000:app/APNS/demo";

const OFFLINE: &str = "callbackBeforeOfflinePushCommand";
const ONLINE: &str = "callbackBeforeOnlinePushCommand";
const GROUP_ONLINE: &str = "callbackBeforeGroupOnlinePushCommand";

/// OpenIM's reply, as strict as Go's decoder: a value of another type loses the push.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(non_snake_case)]
struct Reply {
    actionCode: i32,
    errCode: i32,
    errMsg: String,
    errDlt: String,
    nextCode: i32,
    userIDList: Option<Vec<String>>,
    offlinePushInfo: Option<Info>,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(non_snake_case)]
struct Info {
    title: String,
    desc: String,
    ex: String,
    iOSPushSound: String,
    iOSBadgeCount: bool,
    signalInfo: String,
}

impl Reply {
    #[track_caller]
    fn of(answer: &Answer) -> Self {
        assert_eq!(answer.status, 200, "{}", answer.text);
        serde_json::from_str(&answer.text).unwrap_or_else(|error| panic!("{error}: {}", answer.text))
    }

    /// What every release takes for "go on": a list or a text may come with it.
    fn allows(&self) -> bool {
        (self.actionCode, self.errCode, self.nextCode) == (0, 0, 0)
    }
}

/// A message of a group, as 3.8 sends it.
fn group(id: &str, clients: &[&str]) -> Value {
    json!({
        "callbackCommand": OFFLINE, "operationID": "1767225600123", "platformID": 2, "platform": "Android",
        "userIDList": clients, "title": "Shift team", "desc": "Ana: gate 4 is open", "ex": "{\"route\":\"chat/room-77\"}",
        "iOSPushSound": "chime.caf", "iOSBadgeCount": true, "signalInfo": "",
        "clientMsgID": id, "sendID": "u8800", "groupID": "g-77", "contentType": 101, "sessionType": 3,
        "atUserIDList": null, "content": "{\"content\":\"gate 4 is open\"}"
    })
}

/// One of a single chat that says nothing of its notification.
fn single(id: &str, client: &str, content_type: i32, content: &Value) -> Value {
    json!({
        "callbackCommand": OFFLINE, "operationID": "1767225600777", "platformID": 1, "platform": "IOS",
        "userIDList": [client], "clientMsgID": id, "sendID": "u8800", "groupID": "", "contentType": content_type,
        "sessionType": 1, "atUserIDList": null, "content": content.to_string()
    })
}

fn with(mut body: Value, changes: Value) -> Value {
    let Value::Object(changes) = changes else { panic!("an object") };
    body.as_object_mut().expect("an object").extend(changes);
    body
}

async fn ask(bell: &Bell, body: &Value) -> Reply {
    let command = body["callbackCommand"].as_str().expect("a command");
    let path = format!("{HOOK}/{command}");
    Reply::of(&bell.caller.post(&path, &[("operationID", "1767225600123")], body).await)
}

/// A stack whose app has these settings, and whose function knows them and has its connections: the first hook of a process has no time
/// for that on a slow machine. For the same reason hooks have the longest deadline.
async fn app(settings: Value) -> Bell {
    let bell = Bell::start().await;
    let mut settings = with(settings, json!({"sns": {"apns": APNS}}));
    settings["openim"]["deadline_ms"] = json!(4000);
    bell.stack.put_settings("demo", &settings).await.expect("settings");
    let warm = with(group("warm", &["nobody"]), json!({"callbackCommand": ONLINE}));
    while ask(&bell, &warm).await.errMsg == "unavailable" {}
    // What it reads of people: those whom it asks about, or the sender who is to be named.
    let picture = json!({"sourcePicture": {"url": "https://m.example.net/1.jpg"}});
    ask(&bell, &with(single("warm", "nobody", 102, &picture), json!({"sendID": "nobody-else"}))).await;
    bell.settled().await;
    bell
}

async fn prefer(bell: &Bell, client: &str, preferences: Value) {
    let body = with(preferences, json!({"clientId": client}));
    let headers = [API_KEY, ("content-type", "application/json")];
    let answer = bell.caller.send("PATCH", "/me/preferences", &headers, body.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

async fn mute(bell: &Bell, client: &str, room: &str) {
    let answer = bell.caller.post(&format!("/me/mute/{room}?clientId={client}"), &[API_KEY], &json!({})).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

/// Every preference that keeps a push away, for one client.
async fn prefers_nothing(bell: &Bell, client: &str) {
    let preferences = json!({
        "push": false, "quiet_hours": {"from": "00:00", "to": "23:59"}, "zone": "Europe/Berlin", "hide_content": true,
        "muted_senders": ["u8800"], "blocked_senders": ["u8800"], "locale": "de", "nickname": "Nobody"
    });
    prefer(bell, client, preferences).await;
    mute(bell, client, "sg_g-77").await;
}

/// From the hour before now to the one after it, in UTC.
fn quiet_now() -> Value {
    let now = pushbell::time::Timestamp::now().as_secs() / 60 % 1440;
    let at = |minute: u64| format!("{:02}:{:02}", minute / 60 % 24, minute % 60);
    json!({"from": at(now + 1440 - 60), "to": at(now + 60)})
}

#[tokio::test(flavor = "multi_thread")]
async fn before_live_delivery_no_preference_holds_nobody_is_counted_and_no_task_is_made() {
    let bell = app(json!({"openim": {"mode": "deliver", "on_error": "deny", "before_push": "online"},
        "filter": {"never_push_groups": ["g-77"], "blocked_senders": ["u8800"]}, "hide_content": true}))
    .await;
    for client in ["u8801", "u8802"] {
        bell.caller.register(client, "android", &format!("fcm-{client}")).await;
    }
    prefers_nothing(&bell, "u8801").await;
    let page = "callbackBeforePushCommand";
    for command in [ONLINE, GROUP_ONLINE, "callbackOnlinePushCommand", "callbackSuperGroupOnlinePushCommand", page] {
        let body = with(group("m1", &["u8801", "u8802"]), json!({"callbackCommand": command}));
        let reply = ask(&bell, &body).await;
        assert!(
            reply.allows() && reply.userIDList.is_none() && reply.offlinePushInfo.is_none(),
            "{command}: {reply:?}"
        );
        // The group's hook names nobody.
        let nobody = with(body, json!({"userIDList": null, "seq": 42}));
        assert!(ask(&bell, &nobody).await.allows(), "{command}");
    }
    bell.drained().await;
    // Whom no preference keeps from anything has got nothing either.
    assert_eq!((bell.badge("u8801").await, bell.badge("u8802").await, bell.stack.phones.accepted()), (0, 0, 0));
    // An error of ours lets live delivery go on, whatever `on_error` says.
    let wrong = with(group("m1", &["u8801"]), json!({"callbackCommand": ONLINE, "contentType": "text"}));
    let reply = ask(&bell, &wrong).await;
    assert!(reply.allows() && reply.errDlt.contains("contentType"), "{reply:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn before_live_delivery_rules_on_content_hold() {
    let rules = json!({"denied_types": [110], "words": {"reject": ["forbidden"]}, "blocked_senders": ["eve"]});
    let bell = app(json!({"filter": rules})).await;
    for (command, action) in [(ONLINE, 0), (GROUP_ONLINE, 0), ("callbackOnlinePushCommand", 1)] {
        let says = |text: &str| {
            let content = json!({"content": text}).to_string();
            with(
                group("m1", &["u8801"]),
                json!({"callbackCommand": command, "content": content, "title": null, "desc": null}),
            )
        };
        assert!(ask(&bell, &says("hello")).await.allows());
        let word = ask(&bell, &says("this is Ｆｏｒｂｉｄｄｅｎ!")).await;
        assert_eq!(
            (word.actionCode, word.errCode, word.nextCode, word.errDlt.as_str()),
            (action, 5102, 1, "denied_word")
        );
        let kind = ask(&bell, &with(says("hello"), json!({"contentType": 110}))).await;
        assert_eq!((kind.actionCode, kind.errCode, kind.nextCode), (action, 5101, 1));
        assert!(ask(&bell, &with(says("hello"), json!({"sendID": "eve"}))).await.allows(), "only if the app says so");
    }
    let bell = app(json!({"filter": {"blocked_senders": ["eve"], "block_senders_online": true}})).await;
    let from_eve = with(group("m1", &["u8801"]), json!({"callbackCommand": ONLINE, "sendID": "eve"}));
    assert_eq!(ask(&bell, &from_eve).await.errCode, 5103);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_rule_on_content_denies_an_offline_push_for_every_release() {
    let rules = json!({"denied_types": [110], "words": {"reject": ["forbidden"]}, "blocked_senders": ["eve"],
        "never_push_groups": ["g-quiet"]});
    let bell = app(json!({"filter": rules})).await;
    let cases = [
        (json!({"contentType": 110}), 5101, "denied_type"),
        (json!({"desc": "Ana: FORBIDDEN"}), 5102, "denied_word"),
        (json!({"content": "{\"content\":\"forbidden\"}"}), 5102, "denied_word"),
        (json!({"sendID": "eve"}), 5103, "blocked_sender"),
        (json!({"groupID": "g-quiet"}), 5104, "never_push_group"),
    ];
    for (changes, code, rule) in cases {
        for (command, action) in [(OFFLINE, 0), ("callbackBeforePushCommand", 0), ("callbackOfflinePushCommand", 1)] {
            let body = with(with(group("m1", &["u8801"]), changes.clone()), json!({"callbackCommand": command}));
            let reply = ask(&bell, &body).await;
            assert_eq!((reply.actionCode, reply.errCode, reply.nextCode), (action, code, 1), "{rule} {command}");
            assert_eq!((reply.errMsg.as_str(), reply.errDlt.as_str()), (rule, rule));
            assert!(reply.userIDList.is_none() && reply.offlinePushInfo.is_none());
        }
    }
    assert_eq!(ask(&bell, &group("m1", &["u8801"])).await.errCode, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_rule_of_a_recipients_denies_alone_narrows_in_a_group_and_together_they_say_so() {
    let bell = app(json!({"openim": {"experiment": "e", "copies": [{"weight": 1}]}})).await;
    prefer(&bell, "off", json!({"push": false})).await;
    mute(&bell, "room", "sg_g-77").await;
    prefer(&bell, "sender", json!({"muted_senders": ["u8800"]})).await;
    prefer(&bell, "blocks", json!({"blocked_senders": ["u8800"]})).await;
    prefer(&bell, "asleep", json!({"quiet_hours": quiet_now()})).await;
    let rules = [
        ("off", 5201, "push_off"),
        ("room", 5202, "room_muted"),
        ("sender", 5203, "sender_muted"),
        ("blocks", 5204, "sender_blocked"),
        ("asleep", 5205, "quiet_hours"),
    ];
    for (client, code, rule) in rules {
        let alone = ask(&bell, &group("m1", &[client])).await;
        assert_eq!((alone.actionCode, alone.errCode, alone.nextCode), (0, code, 1), "{client}: {alone:?}");
        assert_eq!((alone.errMsg.as_str(), alone.errDlt.as_str()), (rule, rule));
        let among = ask(&bell, &group("m1", &["awake", client, "nobody-knows"])).await;
        assert!(among.allows(), "{among:?}");
        assert_eq!(among.userIDList.as_deref(), Some(&["awake".to_owned(), "nobody-knows".to_owned()][..]));
        assert_eq!((among.errDlt.as_str(), among.offlinePushInfo), (format!("{rule}: 1").as_str(), None));
    }
    let all: Vec<&str> = rules.iter().map(|(client, ..)| *client).collect();
    let nobody = ask(&bell, &group("m1", &all)).await;
    assert_eq!((nobody.errCode, nobody.nextCode, nobody.userIDList), (5002, 1, None));
    assert_eq!(nobody.errDlt, "sender_blocked: 1, push_off: 1, room_muted: 1, sender_muted: 1, quiet_hours: 1");
    // With nobody removed no list is given: an empty or equal one would say nothing.
    let whole = ask(&bell, &group("m1", &["awake", "nobody-knows"])).await;
    assert!(whole.allows() && whole.userIDList.is_none() && whole.errDlt.is_empty(), "{whole:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_mentioned_is_told_past_a_mute_as_far_as_the_app_lets_it() {
    for (setting, by_name, by_all) in
        [("mention_and_all", true, true), ("mention", true, false), ("nobody", false, false)]
    {
        let bell = app(json!({"mute_yields_to": setting})).await;
        mute(&bell, "room", "sg_g-77").await;
        prefer(&bell, "sender", json!({"muted_senders": ["u8800"]})).await;
        prefer(&bell, "blocks", json!({"blocked_senders": ["u8800"]})).await;
        for (list, told) in [(json!(["room", "sender", "blocks"]), by_name), (json!(["AtAllTag"]), by_all)] {
            for client in ["room", "sender"] {
                let body = with(group("m1", &[client]), json!({"atUserIDList": list}));
                assert_eq!(ask(&bell, &body).await.allows(), told, "{setting} {list} {client}");
            }
            let body = with(group("m1", &["blocks"]), json!({"atUserIDList": list}));
            assert_eq!(ask(&bell, &body).await.errCode, 5204, "nothing goes past a block");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cohort_without_push_is_held_out_and_the_others_read_their_copy() {
    let copies = json!([{"weight": 1, "push": false}, {"weight": 1, "body": "{{text}} 👋"}]);
    let bell = app(json!({"openim": {"experiment": "hold", "copies": copies}})).await;
    let clients: Vec<String> = (0..40).map(|n| format!("c{n}")).collect();
    let names: Vec<&str> = clients.iter().map(String::as_str).collect();
    let reply = ask(&bell, &group("m1", &names)).await;
    let kept = reply.userIDList.as_ref().expect("a part of them").len();
    assert!((5..=35).contains(&kept), "{kept}");
    assert_eq!(reply.errDlt, format!("held_out: {}", 40 - kept));
    assert_eq!(reply.offlinePushInfo.expect("the copy of all who are left").desc, "gate 4 is open 👋");
    let again = ask(&bell, &group("m2", &names)).await;
    assert_eq!(again.userIDList, reply.userIDList, "a client stays in their cohort");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_reads_a_fixed_tag_and_what_is_said_already_is_left_alone() {
    let bell =
        app(json!({"title": "Acme", "openim": {"texts": {"de": {"102": {"body": "{{sender}} schickt ein Bild"}}}}}))
            .await;
    prefer(&bell, "u8800", json!({"nickname": "Ana"})).await;
    let picture = json!({"sourcePicture": {"url": "https://m.example.net/1.jpg", "width": 800, "height": 600}});
    let bare = ask(&bell, &single("m1", "u8801", 102, &picture)).await;
    assert!(bare.allows() && bare.userIDList.is_none(), "{bare:?}");
    let info = bare.offlinePushInfo.expect("a text");
    assert!(info.desc.starts_with("Ana") && !info.desc.contains("m.example.net"), "{info:?}");
    assert_eq!((info.title.as_str(), info.iOSBadgeCount), ("Acme", false));
    // Whoever reads German is told in German, as long as nobody else is told with them.
    prefer(&bell, "u8801", json!({"locale": "de-AT"})).await;
    let german = ask(&bell, &single("m1", "u8801", 102, &picture)).await;
    assert_eq!(german.offlinePushInfo.expect("a text").desc, "Ana schickt ein Bild");
    let tagged = with(group("m1", &["u8801", "u8802"]), json!({"title": "[NEWMSG]", "desc": ""}));
    let info = ask(&bell, &tagged).await.offlinePushInfo.expect("a text");
    assert_eq!((info.title.as_str(), info.desc.as_str()), ("Acme", "Ana: gate 4 is open"));
    assert_eq!(info.ex, "{\"route\":\"chat/room-77\"}", "the whole object goes back");
    assert_eq!((info.iOSPushSound.as_str(), info.iOSBadgeCount), ("chime.caf", true));
    assert_eq!(ask(&bell, &group("m1", &["u8801"])).await.offlinePushInfo, None, "nothing is to be changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn words_are_masked_and_content_is_hidden_from_who_wants_it_so() {
    let bell = app(json!({"filter": {"words": {"mask": ["gate", "Ana"]}}})).await;
    let info = ask(&bell, &group("m1", &["u8801", "u8802"])).await.offlinePushInfo.expect("masked");
    assert_eq!((info.title.as_str(), info.desc.as_str()), ("Shift team", "***: **** 4 is open"));
    prefer(&bell, "u8802", json!({"hide_content": true})).await;
    let info = ask(&bell, &group("m1", &["u8801", "u8802"])).await.offlinePushInfo.expect("hidden");
    assert_eq!(info.desc, "You have a new message", "one text is for all of them");
    assert!(!info.title.contains("Shift"), "{info:?}");
    assert_eq!(ask(&bell, &group("m1", &["u8801", "u8802"])).await.errDlt, "content_hidden: 1");
    prefer(&bell, "u8802", json!({"locale": "zh-TW"})).await;
    let info = ask(&bell, &group("m1", &["u8802"])).await.offlinePushInfo.expect("hidden");
    assert_eq!(info.desc, "您有一条新消息");

    let bell = app(json!({"hide_content": true, "title": "Acme", "hidden_texts": {"en": "New message"}})).await;
    let info = ask(&bell, &group("m1", &["u8801"])).await.offlinePushInfo.expect("hidden");
    assert_eq!((info.title.as_str(), info.desc.as_str()), ("Acme", "New message"));

    let bell = app(json!({"openim": {"hide_for": "everyone"}})).await;
    prefer(&bell, "u8802", json!({"hide_content": true})).await;
    assert_eq!(ask(&bell, &group("m1", &["u8801", "u8802"])).await.offlinePushInfo, None, "one is not everyone");
    assert!(ask(&bell, &group("m1", &["u8802"])).await.offlinePushInfo.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nickname_says_no_word_that_is_rejected() {
    let bell = app(json!({"filter": {"words": {"reject": ["free coins"], "mask": ["damn"]}}})).await;
    let picture = json!({"sourcePicture": {"url": "https://m.example.net/1.jpg"}});
    prefer(&bell, "u8800", json!({"nickname": "Free Coins"})).await;
    let info = ask(&bell, &single("m1", "u8801", 102, &picture)).await.offlinePushInfo.expect("a text");
    assert!(!info.desc.to_lowercase().contains("coins"), "{info:?}");
    prefer(&bell, "u8800", json!({"nickname": "Damn Ana"})).await;
    let info = ask(&bell, &single("m1", "u8801", 102, &picture)).await.offlinePushInfo.expect("a text");
    assert!(info.desc.starts_with("**** Ana"), "{info:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttled_table_is_answered_as_the_app_wants_it() {
    let throttled = || Rule::new(Target::Dynamodb, Effect::Throttle).action("BatchGetItem");
    let bell = app(json!({})).await;
    prefer(&bell, "off", json!({"push": false})).await;
    assert_eq!(ask(&bell, &group("m0", &["off"])).await.errCode, 5201);
    bell.fault(throttled());
    let reply = ask(&bell, &group("m1", &["off", "u8801"])).await;
    assert!(reply.allows() && reply.userIDList.is_none() && reply.errDlt == "unfiltered: 2", "{reply:?}");

    let bell = app(json!({"openim": {"on_error": "deny"}})).await;
    assert!(ask(&bell, &group("m0", &["u8801"])).await.allows());
    bell.fault(throttled());
    let reply = ask(&bell, &group("m1", &["u8801"])).await;
    assert_eq!((reply.actionCode, reply.errCode, reply.nextCode), (0, 5901, 1), "{reply:?}");
    let older = with(group("m1", &["u8801"]), json!({"callbackCommand": "callbackOfflinePushCommand"}));
    assert_eq!(ask(&bell, &older).await.actionCode, 1);
    let online = with(group("m1", &["u8801"]), json!({"callbackCommand": ONLINE}));
    assert!(ask(&bell, &online).await.allows(), "live delivery always goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_read_in_time_is_notified_unfiltered() {
    let bell = app(json!({"openim": {"on_error": "deny"}})).await;
    let clients: Vec<String> = (0..150).map(|n| format!("c{n:03}")).collect();
    let names: Vec<&str> = clients.iter().map(String::as_str).collect();
    for off in ["c000", "c149"] {
        prefer(&bell, off, json!({"push": false})).await;
    }
    assert_eq!(ask(&bell, &group("m0", &names)).await.errDlt, "push_off: 2");
    // The second page of the list.
    let slow = Rule::new(Target::Dynamodb, Effect::Delay { ms: 60_000 }).action("BatchGetItem");
    bell.fault(slow.body_contains("demo#c149"));
    let reply = ask(&bell, &group("m1", &names)).await;
    assert!(reply.allows(), "late is not failed: {reply:?}");
    assert_eq!(
        (reply.userIDList.map(|list| list.len()), reply.errDlt.as_str()),
        (Some(149), "push_off: 1, unfiltered: 50")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_cannot_be_read_is_answered_as_the_app_wants_it_and_says_why() {
    let path = format!("{HOOK}/{OFFLINE}");
    for (on_error, action, code, next) in [("allow", 0, 0, 0), ("deny", 0, 5902, 1)] {
        let bell = app(json!({"openim": {"on_error": on_error}})).await;
        for (body, says) in [
            ("", "body"),
            ("{", "line 1"),
            ("[]", "JSON object"),
            (r#"{"userIDList": "u1"}"#, "userIDList"),
            (r#"{"contentType": "101"}"#, "contentType"),
            (r#"{"iOSBadgeCount": "true"}"#, "iOSBadgeCount"),
        ] {
            let reply = Reply::of(&bell.caller.send("POST", &path, &[], body).await);
            assert_eq!((reply.actionCode, reply.errCode, reply.nextCode), (action, code, next), "{body}: {reply:?}");
            assert!(reply.errDlt.contains(says), "{body}: {reply:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_and_other_webhooks_are_answered_without_a_judgement() {
    let bell = app(json!({"openim": {"on_error": "deny"}})).await;
    prefer(&bell, "off", json!({"push": false})).await;
    let body = group("m1", &["off"]);
    for path in ["/hooks/demo/wrong/openim", "/hooks/nobody/demo-secret/openim"] {
        let reply = Reply::of(&bell.caller.post(path, &[], &body).await);
        assert!(reply.allows() && reply.errMsg == "bad_request" && !reply.errDlt.is_empty(), "{path}: {reply:?}");
    }
    let other = with(body.clone(), json!({"callbackCommand": "callbackBeforeSendSingleMsgCommand"}));
    let reply = ask(&bell, &other).await;
    assert!(reply.allows() && reply.errDlt.contains("none of OpenIM's push hooks"), "{reply:?}");
    let bad = with(group("m1", &[]), json!({"userIDList": ["", 7]}));
    assert_eq!(ask(&bell, &bad).await.errDlt, "left out: 2 of userIDList");
    let get = bell.caller.get(HOOK, &[]).await;
    assert_eq!((get.status, get.headers["allow"].to_str().expect("a method")), (405, "POST"));
    assert_eq!(get.json()["nextCode"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_is_found_wherever_a_release_puts_it() {
    let bell = app(json!({})).await;
    prefer(&bell, "off", json!({"push": false})).await;
    let body = group("m1", &["off"]);
    let mut unnamed = body.clone();
    unnamed.as_object_mut().expect("an object").remove("callbackCommand");
    for path in [
        format!("{HOOK}/{OFFLINE}"),
        format!("{HOOK}?command={OFFLINE}&contenttype=json"),
        format!("{HOOK}?callbackCommand={OFFLINE}"),
    ] {
        assert_eq!(Reply::of(&bell.caller.post(&path, &[], &unnamed).await).errCode, 5201, "{path}");
    }
    assert_eq!(Reply::of(&bell.caller.post(HOOK, &[], &body).await).errCode, 5201, "by the body alone");
    assert!(Reply::of(&bell.caller.post(HOOK, &[], &unnamed).await).allows(), "no command: nothing is known");
}
