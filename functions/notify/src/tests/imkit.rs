//! Pushes to clients in IMKIT's words.

use super::*;

fn push() -> Call {
    Call::imkit("POST", CLIENTS).body(&json!({"clients": ["u-310", "u-311"], "payload": {"alert": "hello"}}))
}

fn told(answer: &Answer) -> (u16, &Value) {
    assert_eq!(answer.body["RC"], answer.status, "{}", answer.body);
    (answer.status, &answer.body["error"]["code"])
}

#[tokio::test]
async fn a_push_to_clients_is_a_task_under_its_number() {
    let cloud = Cloud::new().await;
    let taken = push().send(&cloud).await;
    assert_eq!((&taken.body["RC"], &taken.body["result"]["accepted"]), (&json!(0), &json!(2)), "{}", taken.body);
    let [(queue, record)] = &cloud.queued()[..] else { panic!("one record") };
    assert_eq!((queue.as_str(), &record["to"]), ("deliver", &json!(["u-310", "u-311"])));
    assert_eq!(record["task"], taken.body["result"]["task_id"]);
}

#[tokio::test]
async fn the_app_s_server_alone_pushes_to_clients() {
    let cloud = Cloud::new().await;
    let bare = || Call { headers: Map::new(), ..push() };
    for (call, expected) in [
        (bare(), (401, "MISSING_CREDENTIALS")),
        (bare().header("im-api-key", "demo.wrong"), (401, "INVALID_API_KEY")),
        (bare().header("im-api-key", "nobody.key"), (401, "INVALID_API_KEY")),
        (bare().header("im-authorization", &token("user", "u-310")), (403, "FORBIDDEN")),
    ] {
        assert_eq!(told(&call.send(&cloud).await), (expected.0, &json!(expected.1)));
    }
    assert!(cloud.queued().is_empty());
}

#[tokio::test]
async fn another_method_is_told_which_one_is_taken() {
    let cloud = Cloud::new().await;
    for method in ["GET", "PUT", "DELETE"] {
        let refused = Call::imkit(method, CLIENTS).send(&cloud).await;
        assert_eq!(told(&refused), (405, &json!("METHOD_NOT_ALLOWED")));
        assert_eq!(refused.header("allow"), Some("POST"));
    }
}

#[tokio::test]
async fn a_push_that_sqs_refuses_is_deferred_and_one_that_the_tables_refuse_too_may_be_tried_again() {
    let cloud = Cloud::new().await;
    cloud.sqs_refuses();
    assert!(push().send(&cloud).await.body["result"]["task_id"].is_u64());
    assert_eq!(cloud.rows("deferred").await.len(), 1);
    let later = push().send(&cloud.without_tables().await).await;
    assert_eq!((told(&later), later.header("retry-after")), ((503, &json!("UNAVAILABLE")), Some("5")));
}

#[tokio::test]
async fn tables_that_hang_are_told_in_imkit_s_words_before_api_gateway_answers_in_our_place() {
    let mut cloud = Cloud::new().await.with_hanging_tables().await;
    cloud.state.limit = SHORT;
    let later = in_time(push().send(&cloud)).await;
    assert_eq!((told(&later), later.header("retry-after")), ((503, &json!("UNAVAILABLE")), Some("5")));
}
