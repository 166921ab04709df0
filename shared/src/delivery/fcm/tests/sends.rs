//! Sends against a vendor that gives out access tokens, too.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::header;

use super::*;
use crate::app::ServiceAccount;
use crate::auth::jwt;
use crate::delivery::http2::testing::{Reply, Seen, Server};

fn vendor(server: &Server) -> FcmVendor {
    let account = json!({
        "project_id": "p", "private_key_id": "k1", "private_key": jwt::tests::RSA, "client_email": "a@b.example",
        "token_uri": server.url("/token"),
    });
    let service_account: ServiceAccount = serde_json::from_value(account).unwrap();
    FcmVendor { service_account, endpoint: server.url("") }
}

/// Grants `t0`, `t1`, …; what else is asked goes to `send`, with the token that it came with.
async fn vendor_that(send: impl Fn(&Seen, &str) -> Reply + Send + Sync + 'static) -> (Server, Arc<AtomicUsize>) {
    let grants = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&grants);
    let server = Server::start(100, move |seen| {
        if seen.path == "/token" {
            let number = counted.fetch_add(1, Ordering::SeqCst);
            return Reply::json(200, &json!({"access_token": format!("t{number}"), "expires_in": 3600}));
        }
        send(seen, seen.headers[header::AUTHORIZATION].to_str().unwrap())
    })
    .await;
    (server, grants)
}

async fn send(fcm: &Fcm, server: &Server, now: Timestamp) -> Verdict {
    let prepared = Fcm::prepare(&message(imkit()), Wording::Own, &Settings::default());
    fcm.send(&vendor(server), &prepared, &Token::parse("tok").unwrap(), &patch(Some(1)), now).await
}

fn unauthenticated() -> Reply {
    Reply::json(401, &json!({"error": {"code": 401, "status": "UNAUTHENTICATED", "message": ""}}))
}

#[tokio::test]
async fn a_send_carries_an_access_token_that_is_fetched_once() {
    let (server, grants) = vendor_that(|_, _| Reply::ok()).await;
    let fcm = Fcm::new();
    let verdicts = join_all((0..50).map(|_| send(&fcm, &server, NOW))).await;
    assert!(verdicts.iter().all(|verdict| *verdict == Verdict::DELIVERED));
    assert_eq!(grants.load(Ordering::SeqCst), 1);
    let seen = server.seen();
    let asked = String::from_utf8(seen[0].body.to_vec()).unwrap();
    let assertion = asked.strip_prefix("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=");
    let claims: Value = jsonwebtoken::dangerous::insecure_decode_claims(assertion.unwrap()).unwrap();
    let expected = json!({
        "iss": "a@b.example", "scope": "https://www.googleapis.com/auth/firebase.messaging", "aud": server.url("/token"),
        "iat": NOW.as_secs(), "exp": NOW.as_secs() + 3600,
    });
    assert_eq!(claims, expected);
    assert_eq!(seen[1].path, "/v1/projects/p/messages:send");
    assert_eq!(seen[1].headers[header::AUTHORIZATION], "Bearer t0");
    assert_eq!(seen[1].headers[header::CONTENT_TYPE], "application/json");
}

#[tokio::test]
async fn a_token_is_renewed_five_minutes_before_its_end() {
    let (server, grants) = vendor_that(|_, _| Reply::ok()).await;
    let fcm = Fcm::new();
    for (minutes, fetched) in [(0, 1), (54, 1), (55, 2), (56, 2)] {
        send(&fcm, &server, NOW.plus(Duration::from_secs(minutes * 60))).await;
        assert_eq!(grants.load(Ordering::SeqCst), fetched, "minute {minutes}");
    }
}

#[tokio::test]
async fn a_refused_token_is_renewed_once_for_everybody() {
    let (server, grants) =
        vendor_that(|_, token| if token == "Bearer t0" { unauthenticated() } else { Reply::ok() }).await;
    let fcm = Fcm::new();
    let verdicts = join_all((0..20).map(|_| send(&fcm, &server, NOW))).await;
    assert!(verdicts.iter().all(|verdict| *verdict == Verdict::DELIVERED));
    assert_eq!(grants.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn an_account_whose_fresh_tokens_are_refused_is_misconfigured_and_not_asked_again_at_once() {
    let (server, grants) = vendor_that(|_, _| unauthenticated()).await;
    let fcm = Fcm::new();
    let verdict = send(&fcm, &server, NOW).await;
    assert_eq!((verdict.class, &*verdict.code), (Class::Misconfigured, "UNAUTHENTICATED"));
    assert_eq!(send(&fcm, &server, NOW).await.class, Class::Misconfigured);
    assert_eq!((grants.load(Ordering::SeqCst), server.seen().len()), (2, 4), "two tokens, two refusals");
    send(&fcm, &server, NOW.plus(Duration::from_secs(31))).await;
    assert!(grants.load(Ordering::SeqCst) > 2, "later it is tried again");
}

#[tokio::test]
async fn a_refused_account_is_misconfigured_and_asked_once() {
    let server = Server::start(100, |_| Reply::json(400, &json!({"error": "invalid_grant"}))).await;
    let fcm = Fcm::new();
    for verdict in join_all((0..20).map(|_| send(&fcm, &server, NOW))).await {
        assert_eq!((verdict.class, &*verdict.code), (Class::Misconfigured, "invalid_grant"));
    }
    assert_eq!(server.seen().len(), 1, "a failure is everybody's who waited");
}

#[tokio::test]
async fn a_busy_token_service_is_tried_again_after_its_delay() {
    let server = Server::start(100, |_| Reply::Answer(503, vec![("retry-after", "60".to_owned())], Bytes::new())).await;
    let fcm = Fcm::new();
    let verdict = send(&fcm, &server, NOW).await;
    assert_eq!(verdict.class, Class::Retry { after: Some(Duration::from_secs(60)) });
    send(&fcm, &server, NOW.plus(Duration::from_secs(59))).await;
    assert_eq!(server.seen().len(), 1);
    send(&fcm, &server, NOW.plus(Duration::from_secs(60))).await;
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn the_old_token_serves_while_the_renewal_fails() {
    let server = Server::start(100, |seen| match (seen.path.as_str(), seen.number) {
        ("/token", 0) => Reply::json(200, &json!({"access_token": "t0", "expires_in": 3600})),
        ("/token", _) => Reply::Answer(503, Vec::new(), Bytes::new()),
        _ => Reply::ok(),
    })
    .await;
    let fcm = Fcm::new();
    for (minutes, class) in
        [(0, Class::Delivered), (56, Class::Delivered), (59, Class::Delivered), (60, Class::Retry { after: None })]
    {
        assert_eq!(send(&fcm, &server, NOW.plus(Duration::from_secs(minutes * 60))).await.class, class, "{minutes}");
    }
}

#[tokio::test]
async fn another_key_is_another_account() {
    let (server, grants) = vendor_that(|_, _| Reply::ok()).await;
    let fcm = Fcm::new();
    send(&fcm, &server, NOW).await;
    let mut changed = vendor(&server);
    changed.service_account.project_id = "q".to_owned();
    let prepared = Fcm::prepare(&message(imkit()), Wording::Own, &Settings::default());
    fcm.send(&changed, &prepared, &Token::parse("tok").unwrap(), &patch(None), NOW).await;
    assert_eq!(grants.load(Ordering::SeqCst), 2);
    assert_eq!(server.seen().last().unwrap().path, "/v1/projects/q/messages:send");
}

#[tokio::test]
async fn what_a_vendor_answers_reaches_the_verdict() {
    let server = Server::start(100, |seen| match seen.path.as_str() {
        "/token" => Reply::json(200, &json!({"access_token": "t"})),
        _ => Reply::Answer(429, vec![("retry-after", "30".to_owned())], Bytes::new()),
    })
    .await;
    let fcm = Fcm::new();
    let verdict = send(&fcm, &server, NOW).await;
    assert_eq!(verdict.class, Class::Throttled { after: Some(Duration::from_secs(30)) });
    let mut nowhere = vendor(&server);
    nowhere.endpoint = "nonsense".to_owned();
    let prepared = Fcm::prepare(&message(imkit()), Wording::Own, &Settings::default());
    let verdict = fcm.send(&nowhere, &prepared, &Token::parse("tok").unwrap(), &patch(None), NOW).await;
    assert_eq!((verdict.class, &*verdict.code), (Class::Misconfigured, "endpoint"));
}

#[tokio::test]
async fn another_project_s_account_kills_no_token() {
    static WRONG: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(true);
    let (server, _) = vendor_that(|_, _| {
        if !WRONG.load(Ordering::SeqCst) {
            return Reply::ok();
        }
        let details = [
            json!({"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": "SENDER_ID_MISMATCH"}),
        ];
        Reply::json(
            403,
            &json!({"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "", "details": details}}),
        )
    })
    .await;
    let fcm = Fcm::new();
    let verdict = send(&fcm, &server, NOW).await;
    assert_eq!((verdict.class, &*verdict.code), (Class::Misconfigured, "SENDER_ID_MISMATCH"));
    WRONG.store(false, Ordering::SeqCst);
    assert_eq!(send(&fcm, &server, NOW).await, Verdict::DELIVERED);
    WRONG.store(true, Ordering::SeqCst);
    assert_eq!(send(&fcm, &server, NOW).await.class, Class::DeadToken, "the account is this app's: the token is not");
}

#[tokio::test]
async fn a_refusal_ten_minutes_away_is_not_the_second_in_half_a_minute_whichever_way_the_clock_went() {
    let (server, grants) = vendor_that(|seen, bearer| match (bearer, seen.path.as_str()) {
        ("Bearer t0", _) => unauthenticated(),
        // Good for one send.
        ("Bearer t1", _) if FIRST.swap(false, Ordering::SeqCst) => Reply::ok(),
        ("Bearer t1", _) => unauthenticated(),
        _ => Reply::ok(),
    })
    .await;
    static FIRST: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(true);
    let fcm = Fcm::new();
    assert_eq!(send(&fcm, &server, NOW.plus(Duration::from_secs(600))).await, Verdict::DELIVERED);
    // A record that was received before bears an earlier time.
    assert_eq!(send(&fcm, &server, NOW).await, Verdict::DELIVERED);
    assert_eq!(grants.load(Ordering::SeqCst), 3);
}
