//! A task by its number, in Kinvey's words and in IMKIT's.

use pushbell::telemetry::Lines;

use super::*;

const MASTER: (&str, &str) = ("authorization", "Basic ZGVtbzpkZW1vLW1hc3Rlcg==");
const API_KEY: (&str, &str) = ("im-api-key", "demo.demo-api-key");

/// The sample of this name, with other credentials, another method and another task.
async fn ask(cloud: &Cloud, name: &str, caller: Option<(&str, &str)>, method: &str, task: &str) -> Answer {
    let sample = format!("{}/../../events/stats/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let sample = std::fs::read_to_string(sample).unwrap().replace(&TASK.to_string(), task);
    let mut event: Value = serde_json::from_str(&sample).unwrap();
    let headers = event["headers"].as_object_mut().unwrap();
    headers.retain(|name, _| ![MASTER.0, API_KEY.0].contains(&name.as_str()));
    headers.extend(caller.map(|(name, value)| (name.to_owned(), json!(value))));
    event["requestContext"]["http"]["method"] = json!(method);
    cloud.answer(&event.to_string()).await
}

async fn kinvey(cloud: &Cloud, method: &str, task: &str) -> Answer {
    ask(cloud, "kinvey-task", Some(MASTER), method, task).await
}

async fn imkit(cloud: &Cloud, method: &str, task: &str) -> Answer {
    ask(cloud, "imkit-task", Some(API_KEY), method, task).await
}

#[tokio::test]
async fn a_task_is_told_alike_in_both_words_and_names_what_was_missing() {
    let cloud = Cloud::new().await;
    cloud.task().await;
    let task = TASK.to_string();
    let queued = kinvey(&cloud, "GET", &task).await.body;
    let expected = json!({
        "task_id": TASK, "state": "queued", "created_at": 1_767_225_600_000_u64, "done_at": null, "target": 0,
        "pending": 0, "outcomes": {},
    });
    assert_eq!(queued, expected);
    let fates = [("u-310", Outcome::Delivered), ("u-311", Outcome::MissingValue)];
    let result =
        |(id, outcome)| TargetResult { client: client(id), fates: vec![Fate::of_recipient(outcome)], recount: None };
    let row = ResultRow { results: fates.map(result).to_vec(), missing: [("givenName".to_owned(), 1)].into(), ..row() };
    cloud.put(&row).await;
    let told = kinvey(&cloud, "GET", &task).await.body;
    let outcomes = json!({"delivered": 1, "missing_value": 1});
    assert_eq!((&told["outcomes"], &told["missing_values"]), (&outcomes, &json!({"givenName": 1})));
    assert_eq!(imkit(&cloud, "GET", &task).await.body, json!({"RC": 0, "RM": "OK", "result": told}));
}

#[tokio::test]
async fn a_task_is_taken_back_once_in_either_word() {
    let cloud = Cloud::new().await;
    cloud.task().await;
    let task = TASK.to_string();
    let cancelled = json!({"task_id": TASK, "cancelled_at": 1_767_225_601_500_u64});
    assert_eq!(kinvey(&cloud, "DELETE", &task).await.body, cancelled);
    assert_eq!(imkit(&cloud, "DELETE", &task).await.body["result"], cancelled);
    assert_eq!(kinvey(&cloud, "GET", &task).await.body["state"], "cancelled");
}

#[tokio::test]
async fn what_is_no_task_of_the_app_is_not_found() {
    let cloud = Cloud::new().await;
    for method in ["GET", "DELETE"] {
        for task in ["7", "0", "x", "258696806400000x", "9007199254740992"] {
            let unknown = kinvey(&cloud, method, task).await;
            assert_eq!((unknown.status, &unknown.body["error"]), (404, &json!("EntityNotFound")), "{method} {task}");
            assert!(unknown.headers.contains_key("x-kinvey-request-id"));
            let unknown = imkit(&cloud, method, task).await;
            assert_eq!((unknown.status, &unknown.body["error"]["code"]), (404, &json!("NOT_FOUND")), "{method} {task}");
        }
    }
}

#[tokio::test]
async fn a_task_is_told_to_the_app_s_server_alone() {
    let cloud = Cloud::new().await;
    cloud.task().await;
    let user = token("user", "u-310");
    let session = format!("Kinvey {user}");
    for (name, caller, expected) in [
        ("kinvey-task", None, (401, "InvalidCredentials")),
        ("kinvey-task", Some(("authorization", "Basic ZGVtbzp3cm9uZw==")), (401, "InvalidCredentials")),
        ("kinvey-task", Some(("authorization", session.as_str())), (401, "InsufficientCredentials")),
        ("imkit-task", None, (401, "MISSING_CREDENTIALS")),
        ("imkit-task", Some(("im-api-key", "demo.wrong")), (401, "INVALID_API_KEY")),
        ("imkit-task", Some(("im-authorization", user.as_str())), (403, "FORBIDDEN")),
    ] {
        for method in ["GET", "DELETE"] {
            let refused = ask(&cloud, name, caller, method, &TASK.to_string()).await;
            let error = refused.body["error"].as_str().or_else(|| refused.body["error"]["code"].as_str());
            assert_eq!((refused.status, error), (expected.0, Some(expected.1)));
        }
    }
    assert_eq!(kinvey(&cloud, "GET", &TASK.to_string()).await.body["state"], "queued", "nobody cancelled it");
}

#[tokio::test]
async fn another_method_is_told_which_ones_are_taken() {
    let cloud = Cloud::new().await;
    let (ours, theirs) = (kinvey(&cloud, "POST", "7").await, imkit(&cloud, "PATCH", "7").await);
    assert_eq!((ours.status, &ours.body["error"]), (405, &json!("MethodNotAllowed")));
    assert_eq!((theirs.status, &theirs.body["error"]["code"]), (405, &json!("METHOD_NOT_ALLOWED")));
    assert!([ours, theirs].iter().all(|answer| answer.headers["allow"] == "GET, DELETE"));
}

#[tokio::test]
async fn trouble_and_tables_that_hang_may_be_asked_again() {
    Lines::collect(env!("CARGO_CRATE_NAME"));
    let mut hanging = Cloud::with_hanging_tables().await;
    hanging.state.limit = std::time::Duration::from_millis(100);
    for cloud in [Cloud::without_tables().await, hanging] {
        for method in ["GET", "DELETE"] {
            Lines::take();
            let both = async { (kinvey(&cloud, method, "7").await, imkit(&cloud, method, "7").await) };
            // Long before the SDK gives a table up.
            let (ours, theirs) = tokio::time::timeout(std::time::Duration::from_secs(3), both).await.unwrap();
            assert_eq!((ours.status, &ours.body["error"]), (503, &json!("KinveyInternalErrorRetry")));
            assert_eq!((theirs.status, &theirs.body["error"]["code"]), (503, &json!("UNAVAILABLE")));
            let lines = Lines::take();
            assert_eq!(lines.iter().filter(|line| line["level"] == "ERROR").count(), 2, "{lines:?}");
        }
    }
}
