use super::*;

#[tokio::test]
async fn a_push_is_a_task_under_its_number() {
    let cloud = Cloud::new().await;
    let task = push(json!({"user_id": [310, "u-1"]})).send(&cloud).await.task();
    let [(queue, record)] = &cloud.queued()[..] else { panic!("one record") };
    assert_eq!((queue.as_str(), &record["task"], &record["headed"]), ("deliver", &json!(task), &json!(true)));
    assert_eq!(record["to"], json!(["310", "u-1"]));
    let message = &record["message"];
    assert_eq!(
        (&message["text"]["body"], &message["origin"]["dialect"], &message["behaviour"]["receipts"]),
        (&json!("hello"), &json!("lanying"), &json!(true))
    );
    let id = message["origin"]["message"].as_str().unwrap();
    assert!(id.starts_with(&format!("{task}-")), "{id}");
    let older = Call { headers: Map::new(), ..push(json!("all")) }.header("app-id", "demo");
    let older = older.header("access-token", &token("admin", "console")).header("user_id", "u2");
    let next = older.send(&cloud).await.task();
    assert!(next > 0 && next < 1 << 53 && next != task);
}

#[tokio::test]
async fn a_request_is_one_push_whatever_it_says_the_second_time() {
    let cloud = Cloud::new().await;
    let request = |id: &str, body: &str| {
        let body = json!({
            "audience": {"user_id": [1]}, "setting": {"request_id": id}, "message": {"body": body},
        });
        Call::admin("POST", NOTIFY).body(&body)
    };
    let first = request("r1", "a").send(&cloud).await.task();
    assert_eq!(request("r1", "a").send(&cloud).await.task(), first);
    assert_eq!(request("r1", "b").send(&cloud).await.task(), first);
    assert_ne!(request("r2", "a").send(&cloud).await.task(), first);
    // What is queued once more bears the first one's name, and is marked.
    for (_, record) in cloud.queued().iter().filter(|(_, record)| record["task"] == first).skip(1) {
        assert_eq!(record["repeat"], true);
    }
}

#[tokio::test]
async fn a_push_for_later_waits_and_can_be_taken_back() {
    let cloud = Cloud::new().await;
    let begin = NOW / 1000 + 3600;
    let body = json!({"audience": "all", "message": {"body": "b", "show_begin_time": begin}});
    let task = Call::admin("POST", NOTIFY).body(&body).send(&cloud).await.task();
    assert!(cloud.queued().is_empty());
    assert_eq!(cloud.rows("deferred").await.len(), 1);
    let cancel = |task: u64| Call::admin("POST", CANCEL).body(&json!({"task_id": task})).send(&cloud);
    let expected = json!({"code": 200, "message": null, "data": {"task_id": task, "cancelled_at": NOW}});
    assert_eq!(cancel(task).await.body, expected);
    assert_eq!(cancel(task).await.body, expected, "again");
    let other = cancel(task + 1).await;
    assert_eq!((other.code(), &other.body["message"]), ((200, 10002), &json!("task_id is no task of this app")));
}

#[tokio::test]
async fn each_mistake_has_lanying_s_code_under_status_200() {
    let cloud = Cloud::new().await;
    let user = token("user", "u1");
    let everybody = json!({"audience": "all", "message": {"body": "b"}});
    let said = |body: Value| Call::admin("POST", NOTIFY).body(&body);
    let bare = || Call::bare("POST", NOTIFY).body(&everybody);
    let app = |app: &str| bare().header("app_id", app).header("access-token", &token("admin", "console"));
    for (call, code, told) in [
        (bare().header("access-token", &user), 10002, "app_id"),
        (bare().header("app_id", "demo"), 10003, "access-token"),
        (bare().header("app_id", "demo").header("access-token", "x"), 10008, "access token"),
        (app("nobody"), 40000, "app"),
        (app("a#b"), 40000, "app"),
        (bare().header("app_id", "demo").header("access-token", &user), 10010, "admin"),
        (Call::admin("POST", NOTIFY), 10002, "no body"),
        (said(json!([])), 10002, "not a JSON object"),
        (said(json!({"message": {"body": "b"}})), 10002, "audience is missing"),
        (said(json!({"audience": "all"})), 10002, "message is missing"),
        (said(json!({"audience": {"tag": vec!["t"; 501]}, "message": {"body": "b"}})), 12005, "audience.tag"),
        (said(json!({"audience": "all", "message": {"body": "x".repeat(65 * 1024)}})), 10002, "64 KiB"),
        (said(json!({"audience": "all", "message": {"body": "b", "ext": deep(70)}})), 10002, "64 levels"),
        (Call::admin("POST", CANCEL).body(&json!({})), 10002, "task_id is missing"),
        (Call::admin("POST", CANCEL).body(&json!({"task_id": 7})), 10002, "no task of this app"),
        (Call::bare("POST", CANCEL).header("app_id", "demo").header("access-token", &user), 10010, "admin"),
    ] {
        let answer = call.send(&cloud).await;
        assert_eq!(answer.code(), (200, code), "{}", answer.body);
        assert!(answer.body["message"].as_str().unwrap().contains(told), "{told}: {}", answer.body);
        assert!(answer.body["data"].is_null());
    }
    assert!(cloud.queued().is_empty());
    assert!(cloud.rows("tasks").await.is_empty(), "nothing is claimed by a refused call");
}

fn deep(levels: usize) -> Value {
    (0..levels).fold(json!({}), |inner, _| json!({"a": inner}))
}

#[tokio::test]
async fn an_app_may_switch_pushes_off() {
    let cloud = Cloud::with(&json!({"lanying": {"push": false}}), &json!({})).await;
    let refused = push(json!("all")).send(&cloud).await;
    assert_eq!(refused.code(), (200, 12006));
    assert!(refused.body["message"].as_str().unwrap().contains("lanying.push"));
    assert!(cloud.queued().is_empty());
}

#[tokio::test]
async fn what_http_decides_has_http_s_status() {
    let cloud = Cloud::new().await;
    for (route, allowed) in [(NOTIFY, "POST"), (CANCEL, "POST"), (CERTIFICATE, "GET")] {
        let refused = Call::admin("PATCH", route).send(&cloud).await;
        assert_eq!((refused.code(), refused.header("allow")), ((405, 405), Some(allowed)), "{route}");
    }
    assert_eq!(Call::admin("POST", "/push/nothing").send(&cloud).await.code(), (404, 404));
}

#[tokio::test]
async fn trouble_is_told_and_may_be_tried_again() {
    let cloud = Cloud::new().await;
    cloud.sqs_refuses();
    // SQS alone: the deferred table takes the task.
    assert!(push(json!({"user_id": [1]})).send(&cloud).await.task() > 0);
    let cloud = cloud.without_tables().await;
    for call in [
        push(json!({"user_id": [1]})),
        push(json!("all")),
        Call::admin("POST", CANCEL).body(&json!({"task_id": 7})),
        Call::admin("GET", CERTIFICATE).query("provider=1"),
    ] {
        let later = call.send(&cloud).await;
        assert_eq!((later.code(), later.header("retry-after")), ((503, 503), Some("5")), "{}", later.body);
        assert!(later.body["data"].is_null());
    }
}

#[tokio::test]
async fn tables_that_hang_are_told_before_api_gateway_answers_in_our_place() {
    let mut cloud = Cloud::new().await.with_hanging_tables().await;
    cloud.state.limit = SHORT;
    for call in [push(json!({"user_id": [1]})), Call::admin("POST", CANCEL).body(&json!({"task_id": 7}))] {
        let later = in_time(call.send(&cloud)).await;
        assert_eq!((later.code(), later.header("retry-after")), ((503, 503), Some("5")), "{}", later.body);
        assert!(later.body["data"].is_null());
    }
}
