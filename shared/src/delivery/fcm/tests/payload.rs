//! What FCM is sent.

use proptest::prelude::*;

use super::*;

fn body(message: &Message, patch: &Patch) -> Value {
    read(message, Wording::Own, patch)
}

fn read(message: &Message, wording: Wording, patch: &Patch) -> Value {
    let token = Token::parse("to\"ken").unwrap();
    let text = Fcm::prepare(message, wording, &Settings::default()).body(&token, patch, NOW).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn an_imkit_message_becomes_a_notification_with_its_data_as_texts() {
    let expected = json!({"message": {
        "token": "to\"ken",
        "notification": {"title": "Demo Room", "body": "SSS: lala"},
        "data": {
            "pushbell_id": "m1", "title": "Demo Room", "body": "SSS: lala", "loc-key": "im_loc_text",
            "loc-args": "[\"SSS\",\"lala\"]", "badge": "3", "type": "text", "redirect": "/chat",
            "payload": "{\"_id\":\"m1\",\"n\":1}",
        },
        "android": {
            "priority": "HIGH", "ttl": "86400s",
            "notification": {"tag": "m1", "sound": "default", "notification_count": 3},
        },
        "apns": {
            "headers": {
                "apns-priority": "10", "apns-collapse-id": "m1", "apns-expiration": "1767312000", "apns-push-type": "alert",
            },
            "payload": {"aps": {
                "mutable-content": 1,
                "alert": {
                    "title": "Demo Room", "body": "SSS: lala", "loc-key": "im_loc_text", "loc-args": ["SSS", "lala"],
                },
                "badge": 3, "sound": "default", "thread-id": "demo-room",
            }},
        },
    }});
    assert_eq!(body(&message(imkit()), &patch(Some(3))), expected);
}

#[test]
fn a_recipient_without_a_badge_is_told_none_and_a_silent_one_hears_nothing() {
    let quiet = Patch { badge: None, silent: true };
    let sent = body(&message(imkit()), &quiet)["message"].take();
    assert_eq!(sent["android"]["notification"], json!({"tag": "m1"}));
    assert_eq!(sent["data"].get("badge"), None);
    let aps = &sent["apns"]["payload"]["aps"];
    assert_eq!((aps.get("badge"), aps.get("sound")), (None, None));
}

#[test]
fn a_silent_message_shows_without_sound() {
    let mut parts = imkit();
    parts["behaviour"]["kind"] = json!("silent");
    let sent = body(&message(parts), &patch(Some(1)))["message"].take();
    let shown = json!({"tag": "m1", "notification_priority": "PRIORITY_LOW", "notification_count": 1});
    assert_eq!(sent["android"]["notification"], shown);
    let aps = &sent["apns"]["payload"]["aps"];
    assert_eq!((aps.get("sound"), &aps["interruption-level"]), (None, &json!("passive")));
    assert_eq!(aps["alert"]["title"], "Demo Room");
}

#[test]
fn a_data_message_shows_nothing_and_wakes_the_app() {
    let parts =
        json!({"behaviour": {"kind": "data"}, "text": {"title": "t"}, "data": {"a": [1, null], "b": null, "c": true}});
    let sent = body(&message(parts.clone()), &patch(None))["message"].take();
    assert_eq!(sent.get("notification"), None);
    assert_eq!(sent["android"], json!({"priority": "HIGH", "ttl": "86400s"}));
    assert_eq!(sent["data"], json!({"pushbell_id": "m1", "title": "t", "a": "[1,null]", "c": "true"}));
    assert_eq!(sent["apns"]["payload"], json!({"aps": {"content-available": 1}}));
    let headers = &sent["apns"]["headers"];
    assert_eq!((&headers["apns-push-type"], &headers["apns-priority"]), (&json!("background"), &json!("5")));
    let counted = body(&message(parts), &patch(Some(4)))["message"].take();
    assert_eq!(counted["apns"]["payload"]["aps"], json!({"content-available": 1, "badge": 4}));
    assert_eq!(counted["apns"]["headers"]["apns-push-type"], "alert", "a badge is seen");
    assert_eq!(counted["data"]["badge"], "4");
}

#[test]
fn an_alert_without_any_text_is_data() {
    let sent = body(&message(json!({"data": {"a": 1}})), &patch(None))["message"].take();
    assert_eq!(sent.get("notification"), None);
    assert_eq!(sent["apns"]["headers"]["apns-push-type"], "background");
}

#[test]
fn a_badge_message_carries_the_number_only() {
    let parts = json!({"behaviour": {"kind": "badge"}});
    let sent = body(&message(parts.clone()), &patch(Some(7)))["message"].take();
    assert_eq!(sent["data"], json!({"pushbell_id": "m1", "badge": "7"}));
    assert_eq!(sent["apns"]["payload"], json!({"aps": {"badge": 7}}));
    let none = body(&message(parts), &patch(None))["message"].take();
    assert_eq!(none["apns"]["payload"], json!({"aps": {"content-available": 1}}));
}

#[test]
fn a_withdrawal_names_the_message_and_is_no_repeat_of_it() {
    let parts = json!({"behaviour": {"kind": "withdraw"}, "data": {"type": "recall"}});
    let sent = body(&message(parts), &patch(Some(2)))["message"].take();
    let data = json!({"pushbell_id": "withdraw:m1", "pushbell_withdraw": "m1", "badge": "2", "type": "recall"});
    assert_eq!(sent["data"], data);
    assert_eq!((sent.get("notification"), sent["android"].get("notification")), (None, None));
    assert_eq!(sent["apns"]["payload"]["aps"], json!({"content-available": 1, "badge": 2}));
    assert_eq!(
        sent["apns"]["headers"]["apns-collapse-id"], "m1",
        "a phone that was away gets the later of the two only"
    );
}

#[test]
fn a_cohort_reads_its_own_copy_everywhere() {
    let mut parts = imkit();
    parts["text"]["cohorts"] = json!([{"weight": 1}, {"weight": 1, "title": "T2", "body": "B2"}]);
    let message = message(parts);
    let own = read(&message, Wording::Cohort(0), &Patch::default());
    assert_eq!(own["message"]["notification"]["body"], "SSS: lala");
    let other = read(&message, Wording::Cohort(1), &Patch::default())["message"].take();
    assert_eq!(other["notification"], json!({"title": "T2", "body": "B2"}));
    assert_eq!((&other["data"]["title"], &other["data"]["body"]), (&json!("T2"), &json!("B2")));
    assert_eq!(other["data"].get("loc-key"), None);
    let aps = other["apns"]["payload"]["aps"].as_object().unwrap();
    assert!(!aps.contains_key("alert"), "FCM makes it from the notification");
}

#[test]
fn a_translation_is_read_everywhere_and_leaves_the_key_out_only_with_a_body_of_its_own() {
    let mut parts = imkit();
    parts["text"]["languages"] =
        json!([{"language": "de", "title": "Raum", "body": "schrieb"}, {"language": "fr", "title": "Salle"}]);
    let message = message(parts);
    let german = read(&message, Wording::Translation(0), &Patch::default())["message"].take();
    assert_eq!(german["notification"], json!({"title": "Raum", "body": "schrieb"}));
    assert_eq!((&german["data"]["title"], german["data"].get("loc-key")), (&json!("Raum"), None));
    let french = read(&message, Wording::Translation(1), &Patch::default())["message"].take();
    assert_eq!(
        (&french["notification"]["title"], &french["data"]["loc-key"]),
        (&json!("Salle"), &json!("im_loc_text"))
    );
}

#[test]
fn what_is_silent_goes_to_the_channel_that_does_not_sound() {
    let quiet = Settings { android_quiet_channel: Some("quiet".to_owned()), ..Settings::default() };
    let both = Settings { android_channel: Some("chat".to_owned()), ..quiet.clone() };
    let token = Token::parse("token").unwrap();
    let channel = |parts: &Value, settings: &Settings, silent| {
        let patch = Patch { silent, ..Patch::default() };
        let text = Fcm::prepare(&message(parts.clone()), Wording::Own, settings).body(&token, &patch, NOW).unwrap();
        serde_json::from_str::<Value>(&text).unwrap()["message"]["android"]["notification"]["channel_id"].take()
    };
    let mut parts = imkit();
    assert_eq!([false, true].map(|silent| channel(&parts, &both, silent)), ["chat", "quiet"]);
    assert_eq!([false, true].map(|silent| channel(&parts, &quiet, silent)), [Value::Null, json!("quiet")]);
    assert_eq!([false, true].map(|silent| channel(&parts, &Settings::default(), silent)), [Value::Null, Value::Null]);
    parts["behaviour"]["kind"] = json!("silent");
    assert_eq!(channel(&parts, &both, false), "quiet");
}

#[test]
fn hidden_content_shows_nowhere() {
    let mut parts = imkit();
    parts["media"] = json!({"image": "https://i.example/lala.png", "attachment": "https://i.example/lala.bin"});
    parts["vendors"] = json!({"ios": {"subtitle": "lala", "aps": {"alert": "lala"}}});
    let message = message(parts);
    let settings = Settings { title: Some("Acme".to_owned()), ..Settings::default() };
    let token = Token::parse("token").unwrap();
    let text = Fcm::prepare(&message, Wording::Hidden(0), &settings).body(&token, &patch(Some(3)), NOW).unwrap();
    assert!(!text.contains("lala") && !text.contains("SSS"), "{text}");
    let sent: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(sent["message"]["notification"], json!({"title": "Acme", "body": "You have a new message"}));
    assert_eq!(sent["message"]["data"]["pushbell_id"], "m1", "the app finds the message by it");
    assert_eq!(sent["message"]["apns"]["payload"]["aps"]["badge"], 3);
}

#[test]
fn fcm_s_block_wins_over_android_s_and_that_over_the_message() {
    let parts = json!({
        "text": {"body": "b"},
        "behaviour": {"sound": "s0", "priority": "normal"},
        "media": {"channel": "c0", "click_action": "a0", "image": "https://i.example/1.png"},
        "vendors": {"android": {"sound": "s1", "channel_id": "c1"}, "fcm": {"sound": "s2"}},
    });
    let sent = body(&message(parts.clone()), &patch(None))["message"].take();
    assert_eq!(sent["android"]["priority"], "NORMAL");
    let shown = json!({"tag": "m1", "channel_id": "c1", "click_action": "a0", "sound": "s2"});
    assert_eq!(sent["android"]["notification"], shown);
    assert_eq!(sent["notification"]["image"], "https://i.example/1.png");
    assert_eq!(sent["apns"]["payload"]["aps"], json!({"mutable-content": 1, "sound": "s0"}));
    assert_eq!(sent["apns"]["fcm_options"]["image"], "https://i.example/1.png");

    let click = |block: Value| {
        let mut parts = parts.clone();
        parts["vendors"]["fcm"] = block;
        body(&message(parts), &patch(None))["message"]["android"]["notification"]["click_action"].take()
    };
    assert_eq!(click(json!({"click_action": "open_app"})), Value::Null);
    assert_eq!(click(json!({"click_action": "intent", "intent": "OPEN"})), "OPEN");
    assert_eq!(click(json!({"click_action": "intent", "intent": "intent://x#Intent;scheme=s;action=a.B;end"})), "a.B");
    assert_eq!(click(json!({"click_action": "intent", "intent": "intent://x#Intent;scheme=s;end"})), Value::Null);
}

#[test]
fn the_page_that_a_tap_opens_is_in_the_data_where_a_notification_has_no_place_for_it() {
    let uri = "intent:#Intent;component=com.test/.Page;S.parm1=value1;end";
    let data = |vendors: Value| {
        let sent = body(&message(json!({"text": {"body": "b"}, "vendors": vendors})), &patch(None));
        sent["message"]["data"]["pushbell_intent"].clone()
    };
    assert_eq!(data(json!({"android": {"click_action": "intent", "intent": uri}})), uri);
    assert_eq!(data(json!({"android": {"intent": uri}, "fcm": {"click_action": "intent"}})), uri);
    assert_eq!(
        data(json!({"android": {"click_action": "intent", "intent": uri}, "fcm": {"click_action": "open_app"}})),
        Value::Null
    );
    assert_eq!(
        data(json!({"fcm": {"click_action": "intent", "intent": "OPEN"}})),
        Value::Null,
        "it is the click_action"
    );
    assert_eq!(data(json!({"fcm": {"intent": uri}})), Value::Null);
}

#[test]
fn a_big_text_is_read_on_android_and_the_body_elsewhere() {
    let big = "big ".repeat(300);
    let parts =
        json!({"text": {"title": "t", "body": "b", "big": big, "languages": [{"language": "de", "body": "d"}]}});
    let text = message(parts.clone());
    let sent = body(&text, &patch(None))["message"].take();
    assert_eq!(sent["notification"], json!({"title": "t", "body": "b"}));
    assert_eq!(sent["android"]["notification"]["body"], big);
    for wording in [Wording::Translation(0), Wording::Hidden(0)] {
        let other = read(&text, wording, &patch(None))["message"].take();
        assert_eq!(other["android"]["notification"].get("body"), None, "{wording:?} has a text of its own");
        assert!(!other.to_string().contains("big "), "{wording:?}");
    }
    let mut large = parts;
    large["text"]["big"] = json!("big ".repeat(1024));
    large["data"]["payload"] = json!("p".repeat(3000));
    let sent = body(&message(large), &patch(None))["message"].take();
    assert_eq!(sent["android"]["notification"].get("body"), None);
    assert_eq!(
        (&sent["notification"]["body"], sent["data"]["payload"].as_str().map(str::len)),
        (&json!("b"), Some(3000))
    );
    let only = body(&message(json!({"text": {"big": "big"}})), &patch(None))["message"].take();
    assert_eq!((&only["notification"], only["android"]["notification"].get("body")), (&json!({"body": "big"}), None));
}

#[test]
fn what_a_notification_has_no_place_for_is_in_the_data() {
    let media = json!({"image": "https://i.example/1.png", "attachment": "https://i.example/1.mp3"});
    let sent = body(&message(json!({"text": {"body": "b"}, "media": media})), &patch(None))["message"].take();
    assert_eq!(sent["data"], json!({"pushbell_id": "m1", "attachment": "https://i.example/1.mp3"}));
    let data = json!({"attachment": "own"});
    let parts = json!({"behaviour": {"kind": "data"}, "media": media, "data": data});
    let sent = body(&message(parts), &patch(None))["message"].take();
    let expected = json!({"pushbell_id": "m1", "image": "https://i.example/1.png", "attachment": "own"});
    assert_eq!(sent["data"], expected);
}

#[test]
fn reserved_keys_are_renamed() {
    let data =
        json!({"from": "f", "message_type": 1, "google.x": 2, "gcm": 3, "collapse_key": 4, "x_from": 5, "fromage": 6});
    let sent = body(&message(json!({"data": data})), &patch(None));
    let expected = json!({
        "pushbell_id": "m1", "x_x_from": "f", "x_message_type": "1", "x_google.x": "2", "x_gcm": "3", "x_collapse_key": "4",
        "x_from": "5", "fromage": "6",
    });
    assert_eq!(sent["message"]["data"], expected);
}

#[test]
fn a_caller_s_own_aps_goes_as_it_is() {
    let aps = json!({"alert": "hi", "badge": 1, "custom": {"a": []}});
    let parts = json!({"text": {"body": "b"}, "vendors": {"ios": {"aps": aps, "apns_collapse_id": "c"}}});
    let sent = body(&message(parts), &patch(Some(9)))["message"].take();
    assert_eq!(sent["apns"]["payload"]["aps"], aps);
    assert_eq!(sent["apns"]["headers"]["apns-collapse-id"], "c");
}

#[test]
fn a_collapse_id_that_is_no_header_is_a_digest_of_it() {
    let id = |own: &str| {
        let parts = json!({"text": {"body": "b"}, "vendors": {"ios": {"apns_collapse_id": own}}});
        body(&message(parts), &patch(None))["message"]["apns"]["headers"]["apns-collapse-id"].clone()
    };
    assert_eq!((id("ord 771"), id("")), (json!("ord 771"), json!("m1")));
    for own in ["订单-771", "ord\n771", &"x".repeat(65)] {
        assert_eq!(id(own).as_str().map(str::len), Some(32), "{own}");
        assert_eq!(id(own), id(own));
    }
    assert_ne!(id("订单-771"), id("订单-772"));
}

#[test]
fn a_message_is_kept_until_it_expires() {
    let at = |expires: u64| {
        let message = message(json!({"text": {"body": "b"}, "behaviour": {"expires_at": expires}}));
        let sent = body(&message, &patch(None))["message"].take();
        (sent["android"]["ttl"].clone(), sent["apns"]["headers"]["apns-expiration"].clone())
    };
    let now = NOW.as_millis();
    assert_eq!(at(now + 90_500), (json!("90s"), json!("1767225690")));
    assert_eq!(at(now - 1), (json!("0s"), json!("1767225600")));
    assert_eq!(at(now + 100 * 86_400_000).0, "2419200s");
}

#[test]
fn never_a_collapse_key() {
    let mut parts = imkit();
    parts["behaviour"]["collapse"] = json!("room");
    let text = body(&message(parts), &patch(Some(1))).to_string();
    assert!(!text.contains("collapse_key") && text.contains("\"tag\":\"room\""), "{text}");
}

#[test]
fn what_can_not_be_made_to_fit_is_not_sent() {
    let message = message(json!({"data": {"blob": "x".repeat(4096)}}));
    let prepared = Fcm::prepare(&message, Wording::Own, &Settings::default());
    assert!(prepared.body(&Token::parse("t").unwrap(), &patch(None), NOW).is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn notification_and_data_fit_and_so_does_apple_s_part(
        title in "\\PC{0,100}", text in "(\\PC|[\"\\\\\n]){0,3000}", payload in 0_usize..6000, badge in any::<Option<u32>>(),
        big in proptest::option::of(0_usize..5000),
    ) {
        let mut parts = imkit();
        parts["text"]["title"] = json!(title);
        parts["text"]["big"] = json!(big.map(|big| "b".repeat(big)));
        parts["text"]["body"] = json!(format!("SSS: {text}"));
        parts["text"]["localised"]["args"] = json!(["SSS", text]);
        parts["data"]["payload"] = json!({"message": "p".repeat(payload)});
        let sent = body(&message(parts), &patch(badge))["message"].take();
        let size = |value: &Value| if value.is_null() { 0 } else { value.to_string().len() };
        let shown = size(&sent["android"]["notification"]);
        prop_assert!(size(&sent["notification"]) + size(&sent["data"]) + shown <= 4096);
        prop_assert!(size(&sent["apns"]["payload"]) + size(&sent["data"]) <= 4096 + 8);
    }
}

/// What an app that shows messages itself is handed.
fn data_only() -> Value {
    json!({"data_only": {"body": ["first", "message"]}, "data": {"order": "771", "message": "not this one"}})
}

#[test]
fn what_the_app_shows_itself_has_the_body_in_the_data_under_its_names() {
    let parts = json!({"text": {"body": "b"}, "data": {"general": 1}, "vendors": {"android": data_only()}});
    let sent = body(&message(parts), &patch(None))["message"].take();
    assert_eq!((sent.get("notification"), sent["android"].get("notification")), (None, None));
    assert_eq!(sent["data"], json!({"pushbell_id": "m1", "first": "b", "message": "b", "order": "771"}));
    assert_eq!(sent["android"]["priority"], "HIGH");
    // Behind FCM there may be a phone of Apple's, which shows it.
    assert_eq!(sent["apns"]["payload"]["aps"]["alert"], json!({"body": "b"}));
}

#[test]
fn fcm_s_own_data_goes_before_that_of_all_android_vendors() {
    let parts = json!({"vendors": {"android": {"data": {"a": 1}}, "fcm": {"data": {"f": 1}}}, "data": {"general": 1}});
    let sent = body(&message(parts), &patch(None))["message"].take();
    assert_eq!(sent["data"], json!({"pushbell_id": "m1", "f": "1"}));
}

#[test]
fn a_body_that_the_app_shows_is_cut_where_it_is_too_long() {
    let parts = json!({"text": {"body": "b".repeat(5000)}, "vendors": {"android": data_only()}});
    let sent = body(&message(parts), &patch(None))["message"].take();
    let (first, message) = (sent["data"]["first"].as_str().unwrap(), sent["data"]["message"].as_str().unwrap());
    assert!(first == message && first.ends_with('…') && (1000..2048).contains(&first.len()), "{}", first.len());
}

#[test]
fn who_hides_content_is_shown_a_notification_and_handed_nothing() {
    let vendors = json!({"android": {"data_only": {"body": ["message"]}, "data": {"order": "lala"}}});
    let sent = read(&message(json!({"text": {"body": "lala"}, "vendors": vendors})), Wording::Hidden(1), &patch(None));
    assert!(!sent.to_string().contains("lala") && sent["message"].get("notification").is_some(), "{sent}");
}

#[test]
fn a_vendor_s_own_data_is_sent_whole_whatever_its_members_are_called() {
    let names =
        ["badge", "title", "body", "image", "loc-key", "loc-args", "payload", "attachment", "message", "orderId"];
    let own: serde_json::Map<String, Value> = names.iter().map(|name| ((*name).to_owned(), json!("mine"))).collect();
    let parts = json!({
        "text": {"title": "t", "body": "b", "localised": {"key": "k"}},
        "vendors": {"android": {"data": own, "data_only": {}}},
    });
    for parts in [parts, json!({"vendors": {"android": {"data": own, "data_only": {}}}})] {
        let sent = body(&message(parts), &patch(Some(3)))["message"].take();
        let mut expected = json!({"pushbell_id": "m1"});
        expected.as_object_mut().unwrap().extend(own.clone());
        assert_eq!(sent["data"], expected);
    }
    let long = json!({"vendors": {"android": {"data": {"payload": "p".repeat(5000), "keep": 1}, "data_only": {}}}});
    let token = Token::parse("t").unwrap();
    let prepared = Fcm::prepare(&message(long), Wording::Own, &Settings::default());
    assert!(prepared.body(&token, &patch(None), NOW).is_none(), "a part of it is of no use");
}
