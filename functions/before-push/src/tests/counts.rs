//! What is counted, for whom.

use pushbell::telemetry::metrics::captured;

use super::*;

/// Each line's app, its rule, and its value of `metric`, where it has one.
async fn counted(state: &State, request: Request, metric: &str) -> Vec<(String, Option<String>, u64)> {
    let (_, lines) = captured(handle(state, request)).await;
    let text = |line: &Value, name: &str| line[name].as_str().map(str::to_owned);
    let row = |line: &Value| Some((text(line, "app")?, text(line, "rule"), line[metric].as_u64()?));
    lines.iter().filter_map(row).collect()
}

fn of_app(n: u64) -> Vec<(String, Option<String>, u64)> {
    vec![("demo".to_owned(), None, n)]
}

fn by_rule(rules: &[(&str, u64)]) -> Vec<(String, Option<String>, u64)> {
    let mut rows: Vec<_> = rules.iter().map(|(rule, n)| ("demo".to_owned(), Some((*rule).to_owned()), *n)).collect();
    rows.sort();
    rows
}

async fn removed(state: &State, request: Request) -> Vec<(String, Option<String>, u64)> {
    let mut rows = counted(state, request, "filter_removed").await;
    rows.sort();
    rows
}

#[tokio::test]
async fn who_is_removed_is_counted_by_rule() {
    let copies = json!([{"weight": 1, "push": false}]);
    let aws = Aws::start(json!({"openim": {"copies": copies, "experiment": "e"}})).await;
    let room = pushbell::id::RoomKey::of("sg_demo-group");
    for n in 0..3 {
        aws.put(&format!("off{n}"), json!({"po": {"BOOL": true}}));
    }
    aws.put("room", json!({"mu": {"SS": [room.as_str()]}}));
    aws.put("sender", json!({"ms": {"SS": ["sss"]}}));
    aws.put("blocks", json!({"bs": {"SS": ["sss"]}}));
    let state = aws.state();
    let everybody = saying(json!({"userIDList": ["off0", "off1", "off2", "room", "sender", "blocks", "aaa", "bbb"]}));
    let rows = removed(&state, everybody).await;
    let rules = [("push_off", 3), ("room_muted", 1), ("sender_muted", 1), ("sender_blocked", 1), ("held_out", 2)];
    assert_eq!(rows, by_rule(&rules));
    assert!(counted(&state, event("v3.8-online-single"), "filter_removed").await.is_empty());
}

#[tokio::test]
async fn everybody_whom_a_rule_on_content_removes_is_counted() {
    let rules = json!({"denied_types": [102], "blocked_senders": ["eve"], "never_push_groups": ["g-quiet"],
        "words": {"reject": ["forbidden"]}});
    for mode in ["filter", "deliver"] {
        let aws = Aws::start(json!({"openim": {"mode": mode}, "filter": rules})).await;
        let state = aws.state();
        for (fields, rule) in [
            (json!({"contentType": 102}), "denied_type"),
            (json!({"sendID": "eve"}), "blocked_sender"),
            (json!({"groupID": "g-quiet"}), "never_push_group"),
            (json!({"desc": "Forbidden!"}), "denied_word"),
        ] {
            assert_eq!(removed(&state, saying(fields)).await, by_rule(&[(rule, 2)]));
        }
        assert!(removed(&state, event(GROUP)).await.is_empty());
    }
}

#[tokio::test]
async fn who_is_notified_unfiltered_is_counted_one_by_one() {
    for fault in [Fault::Hang, Fault::Refuse, Fault::Throttle] {
        let aws = Aws::start(json!({})).await;
        let state = aws.state();
        assert!(counted(&state, event(GROUP), "unfiltered").await.is_empty());
        aws.fail("BatchGetItem recipients", fault);
        assert_eq!(counted(&state, event(GROUP), "unfiltered").await, of_app(2), "{fault:?}");
    }
    // Two hundred and the sender: three reads, and of each but the last one client is told of.
    let aws = Aws::start(json!({})).await;
    let state = aws.state();
    ask(&state, event("v3.8-null-lists")).await;
    aws.fail("BatchGetItem recipients", Fault::LeaveUnprocessed);
    let clients: Vec<String> = (0..200).map(|n| format!("c{n}")).collect();
    assert_eq!(counted(&state, saying(json!({"userIDList": clients})), "unfiltered").await, of_app(192));
}

#[tokio::test]
async fn who_is_lost_to_on_error_is_not_counted_as_unfiltered() {
    let aws = Aws::start(json!({"openim": {"on_error": "deny"}})).await;
    let state = aws.state();
    ask(&state, event("v3.8-null-lists")).await;
    for fault in [Fault::Refuse, Fault::Hang] {
        aws.fail("BatchGetItem recipients", fault);
        assert!(counted(&state, event(GROUP), "unfiltered").await.is_empty(), "{fault:?}");
    }
}

#[tokio::test]
async fn who_is_merely_late_is_notified_and_counted_as_unfiltered() {
    let aws = Aws::start(json!({"openim": {"on_error": "deny"}})).await;
    aws.put("c0", json!({"po": {"BOOL": true}}));
    let state = aws.state();
    ask(&state, event("v3.8-null-lists")).await;
    // A page that hangs, and one that does not.
    aws.hang_reading("c150");
    let clients: Vec<String> = (0..200).map(|n| format!("c{n}")).collect();
    let request = || saying(json!({"userIDList": clients}));
    assert_eq!(counted(&state, request(), "unfiltered").await, of_app(100));
    let reply = ask(&state, request()).await;
    assert_eq!((reply.allows(), reply.userIDList.map(|list| list.len())), (true, Some(199)));
}

#[tokio::test]
async fn an_answer_that_is_on_error_s_is_counted_and_a_stranger_s_is_not() {
    let metric = "hook_answered_on_error";
    for (mode, call) in [("filter", "BatchGetItem recipients"), ("deliver", "SendMessage")] {
        for on_error in ["allow", "deny"] {
            let aws = Aws::start(json!({"openim": {"mode": mode, "on_error": on_error}})).await;
            let state = aws.state();
            for metric in [metric, "hook_unreadable"] {
                assert!(counted(&state, event(GROUP), metric).await.is_empty());
            }
            for call in [call, "PutItem deferred"] {
                aws.fail(call, Fault::Refuse);
            }
            assert_eq!(counted(&state, event(GROUP), metric).await, of_app(1), "{mode} {on_error}");
            assert!(counted(&state, event("v3.8-online-single"), metric).await.is_empty());
            let unreadable = || saying(json!({"contentType": "101"}));
            assert_eq!(counted(&state, unreadable(), "hook_unreadable").await, of_app(1));
            assert!(counted(&state, unreadable(), metric).await.is_empty(), "nobody is woken for it");
            let stranger = changed(GROUP, &[("/pathParameters/secret", json!("wrong"))]);
            assert!(counted(&state, stranger, metric).await.is_empty());
            let nobody = changed(GROUP, &[("/pathParameters/app", json!("nobody"))]);
            assert!(counted(&state, nobody, metric).await.is_empty());
            // Documents that cannot be read.
            aws.fail("GetItem registry", Fault::Refuse);
            assert_eq!(counted(&aws.state(), event(GROUP), metric).await, of_app(1));
        }
    }
}

#[tokio::test]
async fn a_sender_who_is_not_read_is_no_error_of_the_answer_s() {
    let aws = Aws::start(json!({"openim": {"on_error": "deny"}})).await;
    let state = aws.state();
    // A page of recipients, and one with the sender alone, which comes last.
    let clients: Vec<String> = (0..100).map(|n| format!("c{n}")).collect();
    let request = || saying(json!({"userIDList": clients, "title": "", "desc": ""}));
    assert!(ask(&state, request()).await.allows());
    aws.refuse_reading("sss");
    for metric in ["hook_answered_on_error", "unfiltered"] {
        assert!(counted(&state, request(), metric).await.is_empty(), "{metric}");
    }
    let reply = ask(&state, request()).await;
    assert!(reply.allows() && reply.userIDList.is_none(), "{reply:?}");
}

#[tokio::test]
async fn another_webhook_is_counted_as_one() {
    let aws = Aws::start(json!({})).await;
    let state = aws.state();
    assert_eq!(counted(&state, event("v3.8-other-webhook"), "openim_ignored").await, of_app(1));
    assert!(counted(&state, event(GROUP), "openim_ignored").await.is_empty());
}
