//! What vendors reported, as it is told.

use std::time::{Duration, Instant};

use pushbell::tally::{About, Batch, Event, Stage, Tallies, Vendor};
use pushbell::task::{HourSums, HourWriter};

use super::*;

const STATS: &str = "/push/stats?from=2026-01-01&to=2026-01-02";

fn event(n: u64, about: About, stage: Stage, code: i64) -> Event {
    let info = if code == 0 { String::new() } else { "Unregistered".to_owned() };
    let at = Timestamp::from_millis(1_767_225_605_000 + n * 50_000_000);
    Event { key: n.to_string(), about, vendor: Vendor::Apns, stage, code, info, at }
}

impl Cloud {
    /// A push that came to two devices and to a third not at all, and a task that one person tapped, the day after.
    async fn reported(&self) {
        let push = || About::Push("p1".to_owned());
        let events = vec![
            event(0, push(), Stage::Sent, 0),
            event(1, push(), Stage::Sent, 987_654),
            event(2, About::Task("t1".to_owned()), Stage::Clicked, 0),
        ];
        let accepted_at = Timestamp::from_millis(1_767_225_601_500);
        let batch = Batch { app: app("demo"), id: "AAAAAAAB".to_owned(), accepted_at, events };
        let tallies = Tallies::new(&self.env).unwrap();
        tallies.count(&[batch], accepted_at, Instant::now() + Duration::from_secs(60)).await.remove(0).unwrap();
    }

    async fn stats(&self, path: &str) -> Answer {
        self.send("GET", path, &[("im-api-key", "demo.demo-api-key")], &Value::Null).await
    }
}

#[tokio::test]
async fn pushes_are_told_beside_tasks_in_the_order_in_which_they_were_asked_for() {
    let cloud = Cloud::new().await;
    cloud.reported().await;
    let token = token("admin", "console");
    let headers = [("app_id", "demo"), ("access-token", token.as_str())];
    let body = json!({"list": [TASK], "push_ids": ["t1", "none", "p1"]});
    let told = cloud.send("POST", DETAIL, &headers, &body).await.body["data"].clone();
    assert_eq!(told[0]["task_id"], TASK);
    let pushes: Vec<_> = (1..4).map(|index| (&told[index]["push_id"], &told[index]["found"])).collect();
    assert_eq!(pushes, [(&json!("t1"), &json!(true)), (&json!("none"), &json!(false)), (&json!("p1"), &json!(true))]);
    assert_eq!((&told[1]["clicked"], &told[3]["sent"], &told[3]["failed"]), (&json!(1), &json!(1), &json!(1)));
    assert_eq!(
        (&told[3]["codes"][0]["err_code"], &told[3]["codes"][0]["err_info"]),
        (&json!(987_654), &json!("Unregistered"))
    );
    for (push_ids, rule) in [
        (json!([]), "push_ids is empty"),
        (json!("p1"), "push_ids is not a list"),
        (json!(["p1", 7]), "entry 1 of push_ids is not a text"),
        (json!([""]), "entry 0 of push_ids has not 1 to 128 bytes"),
        (json!(["x".repeat(129)]), "entry 0 of push_ids has not 1 to 128 bytes"),
    ] {
        let answer = cloud.send("POST", DETAIL, &headers, &json!({"push_ids": push_ids})).await;
        assert_eq!(answer.told(), (10_002, rule));
    }
}

#[tokio::test]
async fn days_are_told_to_the_app_s_own_server() {
    let cloud = Cloud::new().await;
    cloud.reported().await;
    let told = cloud.stats(STATS).await;
    assert_eq!(told.told(), (200, ""));
    let rows = &told.body["data"]["rows"];
    assert_eq!((&rows[0]["day"], &rows[0]["sent"], &rows[0]["failed"]), (&json!("2026-01-01"), &json!(1), &json!(1)));
    assert_eq!((&rows[1]["day"], &rows[1]["clicked"]), (&json!("2026-01-02"), &json!(1)));
    assert_eq!(told.body["data"]["total"]["sent_rate"], 0.5);

    let (user, admin) = (token("user", "u-310"), token("admin", "console"));
    let asks =
        async |headers: &[(&str, &str)]| cloud.send("GET", STATS, headers, &Value::Null).await.body["code"].clone();
    assert_eq!(asks(&[("app_id", "demo"), ("access-token", &admin)]).await, 200);
    assert_eq!(asks(&[("app_id", "demo"), ("access-token", &user)]).await, 10_010);
    assert_eq!(asks(&[("im-authorization", &user)]).await, 10_010);
    assert_eq!(asks(&[("im-api-key", "demo.wrong")]).await, 10_008);
    assert_eq!(asks(&[]).await, 10_003);
    assert_eq!(asks(&[("access-token", &admin)]).await, 10_002);
    assert_eq!(cloud.stats("/push/stats?from=2026-01-01").await.told(), (10_002, "to is missing"));
    assert_eq!(cloud.send("POST", STATS, &[], &Value::Null).await.status, 405);
}

#[tokio::test]
async fn hours_are_told_to_the_app_s_own_server_from_day_to_day() {
    const HOURS: &str = "/push/stats/hours?from=2026-01-01&to=2026-01-02";
    let cloud = Cloud::new().await;
    let (results, writer) = (Results::new(&cloud.env).unwrap(), HourWriter::new());
    let mut sums = HourSums::default();
    let at = Timestamp::from_millis(1_767_225_600_000 + 3_600_000);
    let fate = |name, outcome| Fate::of_device(DeviceKey::of("fcm", name), Some(Channel::Fcm), outcome);
    sums.add(&ResultRow {
        key: TaskKey { task: TaskId::from_number(TASK).unwrap(), nonce: "abcdefgh".to_owned() },
        app: app("demo"),
        seq: 0,
        attempt: Attempt::FIRST,
        at,
        tally: Tally { counted: 1, repeat: 0, uncounted: 0 },
        results: vec![TargetResult {
            client: client("aaa"),
            fates: vec![fate("1", Outcome::Delivered), fate("2", Outcome::DeadToken)],
            recount: None,
        }],
        leftovers: None,
        given_up: Vec::new(),
        taken_back: std::collections::BTreeMap::new(),
        missing: std::collections::BTreeMap::new(),
    });
    results.add_to_hour(&writer, &app("demo"), &sums, at).await.unwrap();
    let told = cloud.stats(HOURS).await;
    assert_eq!(told.told(), (200, ""));
    let data = &told.body["data"];
    assert_eq!(
        (data["rows"].as_array().unwrap().len(), &data["from"], &data["to"]),
        (1, &json!("2026-01-01"), &json!("2026-01-02"))
    );
    assert_eq!(data["rows"][0]["hour"], "2026-01-01T01:00:00Z");
    for sums in [&data["rows"][0], &data["total"]] {
        assert_eq!(
            (&sums["messages"], &sums["counted"], &sums["repeat"], &sums["target"]),
            (&json!(1), &json!(1), &json!(0), &json!(2))
        );
        assert_eq!(
            (&sums["outcomes"]["delivered"], &sums["outcomes"]["dead_token"], &sums["outcomes"]["muted"]),
            (&json!(1), &json!(1), &json!(0))
        );
        assert_eq!(sums["channels"], json!({"fcm": {"target": 2, "sent": 1}}));
    }
    let user = token("user", "u-310");
    let refused = cloud.send("GET", HOURS, &[("im-authorization", &user)], &Value::Null).await;
    assert_eq!(refused.body["code"], 10_010);
    assert_eq!(
        cloud.stats("/push/stats/hours?from=2026-01-02&to=2026-01-01").await.told(),
        (10_002, "to is before from")
    );
}
