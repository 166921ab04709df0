//! The app's documents: who is asked for them, and what is done without them.

use super::*;

/// Until an app's documents are asked for, where they are not known.
const DOCUMENTS: Duration = Duration::from_secs(1);
/// Beyond this they are asked for anew.
const STALE: Duration = Duration::from_secs(301);

const DOCUMENT_CALLS: [&str; 2] = ["GetSecretValue", "GetItem registry"];

#[tokio::test]
async fn documents_that_hang_are_not_waited_for_and_the_push_goes_on() {
    for hangs in DOCUMENT_CALLS {
        let aws = Aws::start(json!({"openim": {"on_error": "deny"}})).await;
        aws.fail(hangs, Fault::Hang);
        let (reply, took) = timed(&aws.state(), event(GROUP)).await;
        // Whether the app would have it denied stands in the document.
        assert!(reply.allows() && reply.errMsg == "unavailable" && !reply.errDlt.is_empty(), "{reply:?}");
        assert!(took <= DOCUMENTS, "{took:?}");
    }
}

#[tokio::test]
async fn documents_that_hang_serve_as_they_were() {
    for hangs in DOCUMENT_CALLS {
        let aws = Aws::start(json!({"filter": {"denied_types": [101]}})).await;
        let state = aws.state();
        assert_eq!(ask(&state, event(GROUP)).await.errCode, 5101);
        tokio::time::advance(STALE).await;
        aws.fail(hangs, Fault::Hang);
        aws.calls();
        let (reply, took) = timed(&state, event(GROUP)).await;
        assert_eq!(reply.errCode, 5101);
        assert!(aws.calls().iter().any(|call| call == hangs), "it was asked for");
        assert!(took <= DOCUMENTS, "{took:?}");
        let stranger = changed(GROUP, &[("/pathParameters/secret", json!("wrong"))]);
        assert_eq!(ask(&state, stranger).await.errMsg, "bad_request");
    }
}

#[tokio::test]
async fn documents_that_hang_leave_time_for_preferences_and_are_waited_for_once_in_a_while() {
    for hang in [&DOCUMENT_CALLS[..1], &DOCUMENT_CALLS[1..], &DOCUMENT_CALLS] {
        let aws = Aws::start(json!({})).await;
        aws.put("aaa", json!({"po": {"BOOL": true}}));
        let state = aws.state();
        ask(&state, event("v3.8-null-lists")).await;
        tokio::time::advance(STALE).await;
        for call in hang {
            aws.fail(call, Fault::Hang);
        }
        aws.calls();
        for (asked, limit) in [(hang.len(), 180), (0, 80)] {
            let (reply, took) = timed(&state, event("v2.3-offline")).await;
            assert_eq!(reply.errCode, 5201, "{hang:?}");
            assert!(took < Duration::from_millis(limit), "{hang:?}: {took:?}");
            assert_eq!(aws.calls().iter().filter(|call| hang.contains(&call.as_str())).count(), asked, "{hang:?}");
        }
    }
}

#[tokio::test]
async fn documents_that_are_late_serve_the_next_call() {
    let aws = Aws::start(json!({})).await;
    let state = aws.state();
    assert!(ask(&state, event(GROUP)).await.allows());
    tokio::time::advance(STALE).await;
    aws.set(json!({"filter": {"denied_types": [101]}}));
    aws.fail("GetItem registry", Fault::Slow(Duration::from_millis(200)));
    // Long enough for the documents to come meanwhile.
    aws.fail("BatchGetItem recipients", Fault::Hang);
    assert!(ask(&state, event(GROUP)).await.allows());
    assert_eq!(ask(&state, event(GROUP)).await.errCode, 5101);
}

#[tokio::test]
async fn documents_that_are_refused_serve_as_they_were_and_anew_when_they_can_be_read() {
    let aws = Aws::start(json!({"filter": {"denied_types": [101]}})).await;
    let state = aws.state();
    assert_eq!(ask(&state, event(GROUP)).await.errCode, 5101);
    tokio::time::advance(STALE).await;
    for call in DOCUMENT_CALLS {
        aws.fail(call, Fault::Refuse);
    }
    assert_eq!(ask(&state, event(GROUP)).await.errCode, 5101);
    for call in DOCUMENT_CALLS {
        aws.mend(call);
    }
    // The rules are compiled once, and anew for other settings.
    aws.set(json!({"filter": {"blocked_senders": ["sss"]}}));
    tokio::time::advance(STALE).await;
    assert_eq!(ask(&state, event(GROUP)).await.errCode, 5103);
}

#[tokio::test]
async fn known_documents_are_not_asked_for() {
    let aws = Aws::start(json!({})).await;
    let state = aws.state();
    ask(&state, event("v3.8-online-single")).await;
    assert_eq!(aws.calls(), DOCUMENT_CALLS);
    ask(&state, event("v3.8-online-single")).await;
    assert!(aws.calls().is_empty());
}

#[tokio::test]
async fn a_stranger_makes_no_call_but_the_one_that_tells_that_they_are_one() {
    let aws = Aws::start(json!({"openim": {"mode": "deliver", "on_error": "deny"}})).await;
    let state = aws.state();
    let strangers = [
        ("/pathParameters/secret", "wrong"),
        ("/pathParameters/secret", ""),
        ("/pathParameters/app", "nobody"),
        ("/requestContext/http/sourceIp", "198.51.100.1"),
    ];
    let mut expected = vec![1, 0, 1, 0].into_iter();
    for (pointer, value) in strangers {
        let request = || changed(GROUP, &[(pointer, json!(value))]);
        let reply = ask(&state, request()).await;
        assert!(reply.allows() && reply.errMsg == "bad_request" && !reply.errDlt.is_empty(), "{reply:?}");
        assert_eq!(aws.calls(), vec!["GetSecretValue"; expected.next().unwrap()], "{pointer} {value}");
        // An app that is not there is known as well as one that is.
        ask(&state, request()).await;
        assert!(aws.calls().is_empty(), "{pointer} {value}");
    }
    // No name of an app at all.
    assert!(ask(&state, changed(GROUP, &[("/pathParameters/app", json!("no#body"))])).await.allows());
    assert!(aws.calls().is_empty() && aws.queued().is_empty());
}

#[tokio::test]
async fn a_method_that_is_not_post_is_looked_at_no_further() {
    let aws = Aws::start(json!({})).await;
    let response = handle(&aws.state(), changed(GROUP, &[("/requestContext/http/method", json!("GET"))])).await;
    assert_eq!(
        (response.status(), response.headers()["allow"].to_str().unwrap()),
        (StatusCode::METHOD_NOT_ALLOWED, "POST")
    );
    assert!(aws.calls().is_empty());
}
