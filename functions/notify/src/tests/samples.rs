use super::*;

/// The samples in the order of a life: the last push is taken back.
const SAMPLES: [&str; 16] = [
    "all",
    "tag",
    "alias",
    "user-id",
    "push-token",
    "image",
    "cmd",
    "deferred",
    "cancel",
    "certificate",
    "kinvey-message",
    "kinvey-template",
    "kinvey-payload",
    "kinvey-broadcast",
    "kinvey-event",
    "imkit-clients",
];

fn folder() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/notify")
}

/// The task's number, in whichever envelope it stands.
fn task(name: &str, answer: &Answer) -> Value {
    if name.starts_with("kinvey") {
        assert_eq!((answer.status, answer.header("x-kinvey-request-id")), (200, Some(REQUEST)), "{name}");
        let pushed = &answer.body["triggered"][0]["task"];
        return if pushed.is_null() { answer.body["task_id"].clone() } else { pushed.clone() };
    }
    if name.starts_with("imkit") {
        assert_eq!((answer.status, &answer.body["RC"]), (200, &json!(0)), "{name}: {}", answer.body);
        return answer.body["result"]["task_id"].clone();
    }
    assert_eq!((answer.code(), &answer.body["message"]), ((200, 200), &Value::Null), "{name}: {}", answer.body);
    answer.body["data"]["task_id"].clone()
}

#[tokio::test]
async fn every_sample_is_answered_as_it_should_be() {
    let settings = json!({
        "lanying": {"certificates": true},
        "triggers": [{"name": "r", "on": {"event": "winningTeam"}, "audience": {"tag": "{{winningTeam}}"}, "message": {"text": "b"}}],
    });
    let vendors = json!({"certificates": [{"provider": "huawei", "app_id": "103415", "app_secret": "s"}]});
    let cloud = Cloud::with(&settings, &vendors).await;
    let mut last = String::new();
    for name in SAMPLES {
        let event = std::fs::read_to_string(folder().join(format!("{name}.json"))).unwrap();
        let task = task(name, &answer(&cloud, &event.replace("258943057100801", &last)).await);
        assert_eq!(task.is_u64(), name != "certificate", "{name}: {task}");
        last = task.to_string();
    }
    // Lists go to deliver as they are, audiences to fan-out; what is deferred is in neither.
    let queues: Vec<String> = cloud.queued().into_iter().map(|(queue, _)| queue).collect();
    let lanying = ["fan-out", "fan-out", "fan-out", "deliver", "deliver", "deliver", "deliver"];
    assert_eq!(queues, [&lanying[..], &["deliver", "deliver", "deliver", "fan-out", "fan-out", "deliver"]].concat());
    assert_eq!(cloud.rows("deferred").await.len(), 1);
    let mut files: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    files.sort();
    let mut known = SAMPLES.to_vec();
    known.sort_unstable();
    assert_eq!(files, known);
}
