//! What an answer narrows and rewrites.

use super::*;

fn list(names: &[&str]) -> Option<Vec<String>> {
    Some(names.iter().map(|name| (*name).to_owned()).collect())
}

#[tokio::test]
async fn codes_are_numbers_on_the_wire() {
    let aws = Aws::start(json!({"filter": {"denied_types": [101]}})).await;
    let response = handle(&aws.state(), event(GROUP)).await;
    let Body::Text(text) = response.body() else { panic!("a text") };
    let denied = r#"{"actionCode":0,"errCode":5101,"errMsg":"denied_type","errDlt":"denied_type","nextCode":1}"#;
    assert_eq!(text, denied);
}

#[tokio::test]
async fn a_list_is_given_where_it_narrows_and_nowhere_else() {
    let aws = Aws::start(json!({})).await;
    aws.put("off", json!({"po": {"BOOL": true}}));
    let state = aws.state();
    let ask_for = |clients: &[&str]| ask(&state, saying(json!({"userIDList": clients})));
    let whole = ask_for(&["aaa", "bbb"]).await;
    assert!(whole.allows() && whole.userIDList.is_none() && whole.errDlt.is_empty(), "{whole:?}");
    let part = ask_for(&["bbb", "off", "aaa"]).await;
    assert!(part.allows() && part.offlinePushInfo.is_none(), "{part:?}");
    assert_eq!((part.userIDList, part.errDlt.as_str()), (list(&["bbb", "aaa"]), "push_off: 1"));
    let nobody = ask_for(&["off"]).await;
    assert_eq!((nobody.codes(), nobody.userIDList), ((0, 5201, 1), None));
    // A name that is there twice, and the sender's, narrow nothing.
    assert_eq!(ask_for(&["aaa", "aaa", "sss"]).await.userIDList, None);
}

#[tokio::test]
async fn an_app_that_wants_it_is_always_given_a_list_in_groups() {
    let aws = Aws::start(json!({"openim": {"always_list": true}})).await;
    aws.put("off", json!({"po": {"BOOL": true}}));
    let state = aws.state();
    assert_eq!(ask(&state, event(GROUP)).await.userIDList, list(&["aaa", "bbb"]));
    let part = ask(&state, saying(json!({"userIDList": ["aaa", "off"]}))).await;
    assert_eq!(part.userIDList, list(&["aaa"]));
    assert_eq!(ask(&state, saying(json!({"userIDList": ["off"]}))).await.userIDList, None, "nobody is denied");
    assert_eq!(ask(&state, event("v3.4-offline-single")).await.userIDList, None, "no list in a single chat");
    assert_eq!(ask(&state, event("v3.8-group-online")).await.userIDList, None);
}

#[tokio::test]
async fn a_list_that_the_app_wants_is_given_on_errors_too() {
    for (mode, on_error) in [("filter", "allow"), ("deliver", "allow"), ("deliver", "deny")] {
        let openim = json!({"mode": mode, "on_error": on_error, "always_list": true});
        let aws = Aws::start(json!({"openim": openim})).await;
        let state = aws.state();
        ask(&state, event("v3.8-null-lists")).await;
        aws.fail_storage(Fault::Refuse);
        let reply = ask(&state, event(GROUP)).await;
        let expected = if on_error == "allow" { list(&["aaa", "bbb"]) } else { None };
        assert_eq!((reply.allows(), reply.userIDList), (on_error == "allow", expected), "{mode}");
        assert_eq!(ask(&state, event("v3.4-offline-single")).await.userIDList, None, "no list in a single chat");
    }
}

#[tokio::test]
async fn no_recipient_s_rule_holds_before_live_delivery() {
    let nobody = json!({"po": {"BOOL": true}, "bs": {"SS": ["sss"]}, "ms": {"SS": ["sss"]}, "hc": {"BOOL": true},
        "mu": {"SS": [pushbell::id::RoomKey::of("sg_demo-group").as_str()]}});
    for mode in ["filter", "deliver"] {
        let aws = Aws::start(json!({"openim": {"mode": mode, "before_push": "online", "always_list": true},
            "filter": {"never_push_groups": ["demo-group"], "blocked_senders": ["sss"], "words": {"mask": ["gate"]}},
            "hide_content": true}))
        .await;
        for client in ["aaa", "bbb"] {
            aws.put(client, nobody.clone());
        }
        let state = aws.state();
        for command in Command::ALL.into_iter().filter(|command| !command.name().contains("Offline")) {
            let reply = ask(&state, saying(json!({"callbackCommand": command.name()}))).await;
            let plain = reply.userIDList.is_none() && reply.offlinePushInfo.is_none();
            assert!(reply.allows() && plain, "{}: {reply:?}", command.name());
        }
        assert_eq!(aws.calls(), ["GetSecretValue", "GetItem registry"], "nothing is read or queued");
    }
}

#[tokio::test]
async fn what_cannot_be_read_goes_on_before_live_delivery_and_else_as_the_app_wants_it() {
    let aws = Aws::start(json!({"openim": {"on_error": "deny"}})).await;
    let state = aws.state();
    for command in Command::ALL {
        let reply = ask(&state, saying(json!({"callbackCommand": command.name(), "contentType": "101"}))).await;
        let offline = !command.stage(pushbell::app::BeforePushStage::Offline).is_online();
        let denied = (i32::from(!command.has_before()), 5902, 1);
        assert_eq!(reply.codes(), if offline { denied } else { (0, 0, 0) }, "{}", command.name());
        assert!(reply.errDlt.contains("contentType"), "{reply:?}");
    }
}

#[tokio::test]
async fn words_are_masked_for_openim_and_in_our_own_task() {
    let mask = json!({"words": {"mask": ["gate", "sss"]}});
    let aws = Aws::start(json!({"filter": mask})).await;
    let info = ask(&aws.state(), event(GROUP)).await.offlinePushInfo.unwrap();
    let (title, desc) = ("Demo Group".to_owned(), "***: **** 4 is open".to_owned());
    let expected = Info {
        title,
        desc,
        ex: "{\"route\":\"chat/demo-group\"}".to_owned(),
        iOSPushSound: "chime.caf".to_owned(),
        iOSBadgeCount: true,
        signalInfo: String::new(),
    };
    assert_eq!(info, expected, "the whole object goes back");
    drop(aws);
    let aws = Aws::start(json!({"openim": {"mode": "deliver"}, "filter": mask})).await;
    assert_eq!(ask(&aws.state(), event(GROUP)).await.errCode, 5001);
    let queued = aws.queued().concat();
    assert!(queued.contains("***: **** 4 is open") && !queued.contains("gate 4"), "{queued}");
}

#[tokio::test]
async fn a_nickname_is_masked_as_well() {
    let aws = Aws::start(json!({"filter": {"words": {"mask": ["rude"]}}})).await;
    aws.put("sss", json!({"ni": {"S": "rude"}}));
    let info = ask(&aws.state(), event("v3.8-offline-single")).await.offlinePushInfo.unwrap();
    assert_eq!(info.desc, "**** sent a picture");
}

/// The nickname is read beside the recipients, and is none of them: whether it comes removes nobody and notifies nobody.
#[tokio::test]
async fn a_sender_is_no_recipient_however_the_read_ends() {
    for fault in [None, Some(Fault::Hang), Some(Fault::Refuse), Some(Fault::LeaveUnprocessed)] {
        for on_error in ["allow", "deny"] {
            let aws = Aws::start(json!({"openim": {"on_error": on_error, "always_list": true}})).await;
            aws.put("sss", json!({"po": {"BOOL": true}, "ni": {"S": "Ana"}}));
            let state = aws.state();
            ask(&state, event("v3.8-null-lists")).await;
            if let Some(fault) = fault {
                aws.fail("BatchGetItem recipients", fault);
            }
            let (_, lines) = pushbell::telemetry::metrics::captured(async {
                let reply = ask(&state, event("v3.6-offline")).await;
                assert!(!format!("{:?} {}", reply.userIDList, reply.errDlt).contains("sss"), "{reply:?}");
                if matches!(fault, Some(Fault::Refuse | Fault::Hang)) && on_error == "deny" {
                    assert_eq!((reply.codes(), reply.errDlt.as_str()), ((1, 5901, 1), "unavailable: 2"));
                } else {
                    assert!(reply.allows(), "{fault:?} {reply:?}");
                }
            })
            .await;
            let unfiltered: u64 = lines.iter().filter_map(|line| line["unfiltered"].as_u64()).sum();
            // Of three keys the table tells of one at each of four tries.
            let expected = match (fault, on_error) {
                (Some(Fault::Hang | Fault::Refuse), "allow") => 2,
                _ => 0,
            };
            assert_eq!(unfiltered, expected, "{fault:?} {on_error}");
        }
    }
}

#[tokio::test]
async fn a_nickname_is_read_where_a_text_may_say_it_and_nowhere_else() {
    let copies = json!([{"weight": 1, "body": "{{sender}} wrote"}]);
    for mode in ["filter", "deliver"] {
        for (openim, fields, is_read) in [
            (json!({"mode": mode}), json!({}), false),
            (json!({"mode": mode}), json!({"desc": ""}), true),
            (json!({"mode": mode, "copies": copies, "experiment": "e"}), json!({}), true),
        ] {
            let aws = Aws::start(json!({"openim": openim})).await;
            let state = aws.state();
            ask(&state, saying(fields.clone())).await;
            assert_eq!(aws.read().contains(&"demo#sss".to_owned()), is_read, "{mode} {fields}");
        }
    }
}

#[tokio::test]
async fn one_text_for_several_readers_hides_when_one_of_them_hides() {
    let aws = Aws::start(json!({"title": "Acme"})).await;
    aws.put("bbb", json!({"hc": {"BOOL": true}}));
    let state = aws.state();
    let info = ask(&state, event(GROUP)).await.offlinePushInfo.unwrap();
    assert_eq!((info.title.as_str(), info.desc.as_str()), ("Acme", "You have a new message"));
    let alone = ask(&state, saying(json!({"userIDList": ["aaa"]}))).await;
    assert_eq!(alone.offlinePushInfo, None);
}
