//! Every sample event, in both modes, whatever fails.

use super::*;

/// The longest that the queue is waited for, and a little for the answer.
const QUEUED: Duration = Duration::from_millis(4_200);
/// The same for 2.3, which waits for 2 s.
const QUEUED_2_3: Duration = Duration::from_millis(1_800);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Is {
    /// Judged with what is stored, or queued.
    Offline,
    /// Allowed without a look at anything but its content.
    Online,
    /// Nobody is named.
    ToNobody,
    /// Not a push hook.
    Other,
}

/// What each is, whether its denial is spelt for 3.7, and how many tasks it makes.
const SAMPLES: [(&str, Is, bool, usize); 18] = [
    ("page-example", Is::Offline, true, 1),
    ("v2.3-offline", Is::Offline, false, 1),
    ("v2.3-revoke", Is::Offline, false, 1),
    ("v2.3-super-group-online", Is::Online, false, 0),
    ("v3.4-offline", Is::Offline, false, 1),
    ("v3.4-offline-single", Is::Offline, false, 1),
    ("v3.6-offline", Is::Offline, false, 1),
    ("v3.8-call", Is::Offline, true, 1),
    ("v3.8-dismissed", Is::Offline, true, 1),
    ("v3.8-group-online", Is::Online, true, 0),
    // The two who are told, and the two who are removed.
    ("v3.8-kicked", Is::Offline, true, 3),
    ("v3.8-null-lists", Is::ToNobody, true, 0),
    ("v3.8-offline-group", Is::Offline, true, 1),
    ("v3.8-offline-single", Is::Offline, true, 1),
    ("v3.8-online-single", Is::Online, true, 0),
    ("v3.8-other-webhook", Is::Other, true, 0),
    ("v3.8-quit", Is::Offline, true, 2),
    ("v3.8-revoke", Is::Offline, true, 1),
];

fn settings(mode: &str, on_error: &str) -> Value {
    json!({"openim": {"mode": mode, "on_error": on_error}})
}

#[test]
fn every_event_is_the_route_s_and_has_its_row() {
    let mut files: Vec<String> = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../events/before-push"))
        .unwrap()
        .map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    files.sort();
    assert_eq!(files, EVENTS.map(|(name, _)| name));
    assert_eq!(files, SAMPLES.map(|(name, ..)| name));
    for (name, _) in EVENTS {
        let request = event(name);
        assert!(call::route(&request).starts_with("ANY /hooks/{app}/{secret}/openim"), "{name}");
        assert_eq!(call::path_parameter(&request, "app"), "demo", "{name}");
        assert_eq!(call::source(&request), Some("203.0.113.7".parse().unwrap()), "{name}");
    }
}

#[tokio::test]
async fn in_mode_filter_what_nothing_removes_goes_on() {
    for on_error in ["allow", "deny"] {
        let aws = Aws::start(settings("filter", on_error)).await;
        let state = aws.state();
        for (name, is, ..) in SAMPLES {
            aws.calls();
            let reply = ask(&state, event(name)).await;
            assert!(reply.allows() && reply.userIDList.is_none(), "{name}: {reply:?}");
            let read = aws.calls().iter().filter(|call| *call == "BatchGetItem recipients").count();
            assert_eq!(read, usize::from(is == Is::Offline), "{name}");
        }
        assert!(aws.queued().is_empty());
    }
}

#[tokio::test]
async fn in_mode_deliver_what_is_queued_is_denied_in_its_release_s_spelling() {
    for on_error in ["allow", "deny"] {
        let aws = Aws::start(settings("deliver", on_error)).await;
        let state = aws.state();
        for (name, is, before, tasks) in SAMPLES {
            let queued = aws.queued().len();
            let reply = ask(&state, event(name)).await;
            assert_eq!(aws.queued().len() - queued, tasks, "{name}");
            assert_eq!(reply.userIDList.is_none(), reply.offlinePushInfo.is_none(), "{name}");
            if is == Is::Offline {
                assert_eq!(reply.codes(), (i32::from(!before), 5001, 1), "{name}: {reply:?}");
                assert_eq!((reply.errMsg.as_str(), reply.userIDList), ("handled", None), "{name}");
            } else {
                assert!(reply.allows(), "{name}: {reply:?}");
            }
        }
    }
}

fn queued(name: &str) -> Duration {
    if name.starts_with("v2.3") { QUEUED_2_3 } else { QUEUED }
}

/// Each sample while storage fails, after the app's documents are known: what it is answered, and by when.
async fn while_storage(fault: Fault, mode: &str, on_error: &str) {
    let aws = Aws::start(settings(mode, on_error)).await;
    let state = aws.state();
    ask(&state, event("v3.8-null-lists")).await;
    aws.fail_storage(fault);
    for (name, is, before, _) in SAMPLES {
        let limit = if mode == "filter" { DEADLINE } else { queued(name) };
        let (reply, took) = timed(&state, event(name)).await;
        assert!(took <= limit, "{name} {mode} {fault:?}: {took:?}");
        if is == Is::Offline && on_error == "deny" {
            assert_eq!(reply.codes(), (i32::from(!before), 5901, 1), "{name} {mode} {fault:?}: {reply:?}");
            assert_eq!(reply.errMsg, "unavailable", "{name}");
            assert_eq!(reply.offlinePushInfo, None, "{name}");
        } else {
            assert!(reply.allows(), "{name} {mode} {fault:?} {on_error}: {reply:?}");
        }
        assert_eq!(reply.userIDList, None, "{name} {mode} {fault:?}");
    }
    assert!(aws.queued().is_empty());
    assert_eq!(aws.deferred(), 0);
}

#[tokio::test]
async fn storage_that_refuses_is_answered_as_the_app_wants_it_and_live_delivery_goes_on() {
    for mode in ["filter", "deliver"] {
        for on_error in ["allow", "deny"] {
            while_storage(Fault::Refuse, mode, on_error).await;
        }
    }
}

#[tokio::test]
async fn storage_that_is_throttled_is_answered_in_time_and_as_the_app_wants_it() {
    for mode in ["filter", "deliver"] {
        for on_error in ["allow", "deny"] {
            while_storage(Fault::Throttle, mode, on_error).await;
        }
    }
}

#[tokio::test]
async fn preferences_that_hang_are_not_waited_for_beyond_the_deadline() {
    for on_error in ["allow", "deny"] {
        while_storage(Fault::Hang, "filter", on_error).await;
    }
}

#[tokio::test]
async fn a_queue_that_hangs_is_not_waited_for_until_openim_gives_up() {
    for on_error in ["allow", "deny"] {
        while_storage(Fault::Hang, "deliver", on_error).await;
    }
}

#[tokio::test]
async fn a_deadline_is_the_app_s_own() {
    for deadline in [100, 3_000] {
        let aws = Aws::start(json!({"openim": {"deadline_ms": deadline}})).await;
        let state = aws.state();
        ask(&state, event("v3.8-null-lists")).await;
        aws.fail("BatchGetItem recipients", Fault::Hang);
        let (reply, took) = timed(&state, event(GROUP)).await;
        assert!(reply.allows());
        // Until its calls are given up, if that is sooner.
        let least = Duration::from_millis(deadline).min(Duration::from_millis(1_500)) / 2;
        assert!(took > least && took <= Duration::from_millis(deadline), "{took:?} of {deadline} ms");
    }
}

#[tokio::test]
async fn a_connection_that_is_dead_takes_a_part_of_the_deadline_only() {
    for deadline in [200, 400, 1_000, 4_000] {
        let aws = Aws::start(json!({"openim": {"deadline_ms": deadline}})).await;
        aws.put("aaa", json!({"po": {"BOOL": true}}));
        let state = aws.state();
        ask(&state, event("v3.8-null-lists")).await;
        aws.fail("BatchGetItem recipients", Fault::HangOnce);
        let (reply, took) = timed(&state, event("v2.3-offline")).await;
        assert_eq!(reply.errCode, 5201, "{deadline}");
        assert!(took <= Duration::from_millis(deadline / 2), "{took:?} of {deadline} ms");
    }
}

#[tokio::test]
async fn a_queue_that_hangs_leaves_the_task_to_the_deferred_table() {
    let aws = Aws::start(settings("deliver", "deny")).await;
    let state = aws.state();
    aws.fail("SendMessage", Fault::Hang);
    for (before, name) in ["v2.3-offline", "v2.3-revoke", GROUP].into_iter().enumerate() {
        let (reply, took) = timed(&state, event(name)).await;
        assert_eq!((reply.errCode, aws.deferred()), (5001, before + 1), "{name}");
        assert!(took < queued(name), "{name}: {took:?}");
    }
}

#[tokio::test]
async fn claims_that_hang_do_not_keep_a_task_from_the_queue() {
    let aws = Aws::start(settings("deliver", "deny")).await;
    let state = aws.state();
    for call in ["PutItem tasks", "Query tasks"] {
        aws.fail(call, Fault::Hang);
    }
    for (name, is, _, tasks) in SAMPLES {
        let before = aws.queued().len();
        let (reply, took) = timed(&state, event(name)).await;
        assert_eq!((aws.queued().len() - before, reply.errCode == 5001), (tasks, is == Is::Offline), "{name}");
        assert!(took < QUEUED_2_3, "{name}: {took:?}");
    }
}

#[tokio::test]
async fn a_task_without_a_claim_is_better_than_none() {
    let aws = Aws::start(settings("deliver", "deny")).await;
    let state = aws.state();
    aws.fail("PutItem tasks", Fault::Throttle);
    assert_eq!(ask(&state, event(GROUP)).await.codes(), (0, 5001, 1));
    assert_eq!(aws.queued().len(), 1);
}

#[tokio::test]
async fn a_nickname_that_hangs_does_not_keep_a_task_from_the_queue() {
    let aws = Aws::start(settings("deliver", "deny")).await;
    let state = aws.state();
    aws.fail("BatchGetItem recipients", Fault::Hang);
    let (reply, took) = timed(&state, event("v3.8-offline-single")).await;
    assert_eq!((reply.codes(), aws.queued().len()), ((0, 5001, 1), 1));
    assert!(took <= DEADLINE, "{took:?}");
}
