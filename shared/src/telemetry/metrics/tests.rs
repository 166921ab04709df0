#![allow(clippy::unwrap_used)]
use serde_json::{Value, json};

use super::*;

fn app(name: &str) -> AppId {
    AppId::parse(name).unwrap()
}

/// The lines of what `act` counts, without their times.
async fn lines_of(act: impl FnOnce()) -> Vec<Value> {
    let ((), mut lines) = captured(async { act() }).await;
    for line in &mut lines {
        assert!(line["_aws"]["Timestamp"].as_u64().unwrap() > 1_700_000_000_000, "milliseconds: {line}");
        line["_aws"].as_object_mut().unwrap().remove("Timestamp");
    }
    lines
}

#[tokio::test]
async fn sends_are_one_line_per_app_channel_and_class_with_their_times() {
    let (demo, ms) = (app("demo"), Duration::from_millis);
    let lines = lines_of(|| {
        sent(&demo, Channel::Fcm, Class::Delivered, Some(ms(40)));
        sent(&demo, Channel::Fcm, Class::Delivered, Some(ms(40)));
        sent(&demo, Channel::Fcm, Class::Delivered, Some(ms(250)));
        sent(&demo, Channel::Sns, Class::DeadToken, None);
    })
    .await;
    assert_eq!(lines.len(), 2);
    assert_eq!(
        lines[0],
        json!({
            "_aws": {"CloudWatchMetrics": [
                {
                    "Namespace": "Pushbell",
                    "Dimensions": [["stage", "channel", "class"], ["stage", "app", "class"]],
                    "Metrics": [{"Name": "sends", "Unit": "Count"}],
                },
                {
                    "Namespace": "Pushbell",
                    "Dimensions": [["stage"], ["stage", "channel"]],
                    "Metrics": [{"Name": "time_to_vendor", "Unit": "Milliseconds"}, {"Name": "success", "Unit": "Percent"}],
                },
            ]},
            "stage": "test", "app": "demo", "channel": "fcm", "class": "delivered",
            "sends": 3,
            "time_to_vendor": {"Values": [40, 250], "Counts": [2, 1]},
            "success": {"Values": [100], "Counts": [3]},
        })
    );
    assert_eq!((&lines[1]["class"], &lines[1]["sends"]), (&json!("dead_token"), &json!(1)));
    assert!(lines[1].get("time_to_vendor").is_none());
    assert!(lines[1].get("success").is_none(), "a dead token is no failure");
}

#[tokio::test]
async fn a_misconfigured_app_and_a_used_up_quota_are_counted_with_the_send() {
    let demo = app("demo");
    let lines = lines_of(|| {
        sent(&demo, Channel::Fcm, Class::Misconfigured, None);
        sent(&demo, Channel::Fcm, Class::Unauthorized, None);
        sent(&demo, Channel::Fcm, Class::QuotaUntil(Timestamp::from_millis(1)), None);
    })
    .await;
    let of = |name: &str| lines.iter().find(|line| line.get(name).is_some()).unwrap();
    assert_eq!(of("misconfigured")["misconfigured"], 2);
    assert_eq!(of("sends")["success"], json!({"Values": [0], "Counts": [1]}));
    assert_eq!(of("misconfigured")["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([["stage"], ["stage", "app"]]));
    assert_eq!(
        of("quota_pause")["_aws"]["CloudWatchMetrics"][0]["Dimensions"],
        json!([["stage"], ["stage", "channel"], ["stage", "app", "channel"]])
    );
}

#[tokio::test]
async fn every_metric_is_kept_under_the_dimensions_of_its_shape() {
    let demo = app("demo");
    for metric in Metric::ALL {
        let lines = lines_of(|| {
            if matches!(metric, Metric::Sends | Metric::TimeToVendor | Metric::Success) {
                sent(&demo, Channel::Fcm, Class::Delivered, Some(Duration::ZERO));
            } else if metric.shape() == Shape::Rule {
                count(metric, Of::Rule(&demo, Rule::PushOff), 3);
            } else if metric.shape() == Shape::Report {
                reported(&demo, Vendor::Fcm, Stage::Sent, tally::Class::Ok, 3);
            } else {
                count(metric, Of::Channel(&demo, Channel::Fcm), 3);
            }
        })
        .await;
        let [line] = lines.as_slice() else { panic!("{metric:?} is on {} lines", lines.len()) };
        let directives = line["_aws"]["CloudWatchMetrics"].as_array().unwrap();
        let declared =
            |own: &&Value| own["Metrics"].as_array().unwrap().iter().any(|one| one["Name"] == metric.as_str());
        let own = directives.iter().find(declared).unwrap();
        assert_eq!(own["Dimensions"], json!(metric.shape().dimensions()), "{metric:?}");
        for name in own["Dimensions"].as_array().unwrap().iter().flat_map(|set| set.as_array().unwrap()) {
            assert!(line[name.as_str().unwrap()].is_string(), "{metric:?}: no {name}");
        }
    }
}

#[tokio::test]
async fn a_dimension_that_has_no_value_is_left_out() {
    let lines = lines_of(|| count(Metric::QueueRefused, Of::Everything, 1)).await;
    assert_eq!(lines[0]["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([["stage"]]));
    let lines = lines_of(|| count(Metric::FilterRemoved, Of::Everything, 1)).await;
    assert_eq!(lines[0]["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([["stage"]]));
    let demo = app("demo");
    let lines = lines_of(|| count(Metric::BreakerOpen, Of::App(&demo), 1)).await;
    assert_eq!(lines[0]["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([["stage"], ["stage", "app"]]));
}

#[tokio::test]
async fn what_the_filter_removes_is_a_metric_of_each_rule_and_not_of_each_app() {
    let (demo, other) = (app("demo"), app("other"));
    let lines = lines_of(|| {
        count(Metric::FilterRemoved, Of::Rule(&demo, Rule::PushOff), 2);
        count(Metric::FilterRemoved, Of::Rule(&demo, Rule::RoomMuted), 1);
        count(Metric::FilterRemoved, Of::Rule(&other, Rule::PushOff), 1);
        count(Metric::FilterRemoved, Of::Rule(&demo, Rule::PushOff), 3);
    })
    .await;
    let read = |line: &Value| (line["app"].clone(), line["rule"].clone(), line["filter_removed"].clone());
    assert_eq!(
        lines.iter().map(read).collect::<Vec<_>>(),
        [
            (json!("demo"), json!("push_off"), json!(5)),
            (json!("demo"), json!("room_muted"), json!(1)),
            (json!("other"), json!("push_off"), json!(1)),
        ]
    );
    assert_eq!(lines[0]["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([["stage", "rule"]]));
}

#[tokio::test]
async fn numbers_are_added_up_and_of_an_age_the_greatest_stays() {
    let lines = lines_of(|| {
        count(Metric::RetryMoved, Of::Everything, 3);
        count(Metric::RetryMoved, Of::Everything, 4);
        count(Metric::OldestDueAge, Of::Everything, 700);
        count(Metric::OldestDueAge, Of::Everything, 20);
    })
    .await;
    assert_eq!(lines.len(), 1);
    assert_eq!((&lines[0]["retry_moved"], &lines[0]["oldest_due_age_seconds"]), (&json!(7), &json!(700)));
    let units = &lines[0]["_aws"]["CloudWatchMetrics"][0]["Metrics"];
    assert_eq!(
        units,
        &json!([{"Name": "retry_moved", "Unit": "Count"}, {"Name": "oldest_due_age_seconds", "Unit": "Seconds"}])
    );
}

#[tokio::test]
async fn nothing_is_written_of_nothing() {
    assert!(lines_of(|| count(Metric::RetryBacklog, Of::Everything, 0)).await.is_empty());
    // Nobody records: nothing happens.
    count(Metric::RetryMoved, Of::Everything, 1);
}

#[tokio::test]
async fn more_than_fifty_apps_count_together() {
    let lines = lines_of(|| {
        for n in 0..60 {
            count(Metric::GaveUp, Of::App(&app(&format!("app-{n}"))), 1);
            count(Metric::GaveUp, Of::App(&app("app-0")), 1);
        }
    })
    .await;
    assert_eq!(lines.len(), 51);
    assert_eq!(lines[0]["gave_up"], 61);
    assert_eq!((&lines[50]["app"], &lines[50]["gave_up"]), (&json!("~other"), &json!(10)));
    assert!(AppId::parse("~other").is_err(), "no app can bear the name");
}

#[tokio::test]
async fn a_log_event_with_a_metric_counts_for_its_app() {
    let demo = app("demo");
    let lines = lines_of(|| {
        tracing::warn!(app = %demo, metric = "unclaimed", "queued without a claim");
        tracing::warn!(app = "demo", count = 4_usize, metric = "queue_refused", "deferring");
        tracing::warn!(app = %demo, channel = "sns", metric = "breaker_open", "left alone");
        tracing::warn!(app = %demo, metric = "no_such_metric", "unheard");
        tracing::warn!(app = %demo, "no metric");
        tracing::error!(app = "not an app", metric = "record_failed", "the record comes again");
    })
    .await;
    let of = |name: &str| lines.iter().find(|line| line.get(name).is_some()).unwrap();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert_eq!(of("breaker_open")["channel"], "sns");
    assert_eq!((&of("unclaimed")["unclaimed"], &of("unclaimed")["app"]), (&json!(1), &json!("demo")));
    assert_eq!(of("queue_refused")["queue_refused"], 4);
    assert!(of("record_failed").get("app").is_none());
}

#[test]
fn a_line_says_a_level_that_passes_where_info_does_not() {
    let mut recorder = Recorder::default();
    recorder.add(Metric::RetryMoved, Of::Everything, 1);
    let read = |level| {
        let text =
            text(&mut Lines::new("dev".to_owned(), true, level), &recorder, Timestamp::from_millis(1_795_168_970_425));
        serde_json::from_slice::<Value>(&text).unwrap()
    };
    let line = read(Some("WARN"));
    assert_eq!(line["level"], "WARN");
    let time = Timestamp::from_rfc3339(line["timestamp"].as_str().unwrap()).unwrap();
    assert_eq!(line["_aws"]["Timestamp"], 1_795_168_970_425_u64);
    assert_eq!(time.as_secs(), 1_795_168_970);
    assert!(read(None).get("level").is_none());
}

#[test]
fn without_metrics_by_app_no_ordinary_send_is_a_metric_of_its_app() {
    let mut recorder = Recorder::default();
    recorder.sent(&app("demo"), Channel::Fcm, Class::Delivered, None);
    let text = text(&mut Lines::new("dev".to_owned(), false, None), &recorder, Timestamp::now());
    let line: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([["stage", "channel", "class"]]));
    assert_eq!(line["app"], "demo", "Logs Insights still knows");
}

#[test]
fn a_line_stays_short() {
    let mut recorder = Recorder::default();
    recorder.sent(&app("demo"), Channel::Fcm, Class::Delivered, Some(Duration::from_millis(40)));
    let text = text(&mut Lines::new("prod".to_owned(), true, None), &recorder, Timestamp::now());
    // The ordinary invocation's only line: at 50 cents a gigabyte of log, 27 cents per million invocations.
    assert!(text.len() < 540, "{}", text.len());
}

#[tokio::test]
async fn what_vendors_report_is_a_metric_of_vendor_stage_and_class_and_of_no_app() {
    let (demo, other) = (app("demo"), app("other"));
    let lines = lines_of(|| {
        reported(&demo, Vendor::Fcm, Stage::Sent, tally::Class::Ok, 2);
        reported(&demo, Vendor::Fcm, Stage::Sent, tally::Class::Ok, 3);
        reported(&demo, Vendor::Apns, Stage::Sent, tally::Class::DeadToken, 1);
        reported(&other, Vendor::Fcm, Stage::Clicked, tally::Class::Ok, 0);
    })
    .await;
    assert_eq!(lines.len(), 2);
    assert_eq!(
        lines[0],
        json!({
            "_aws": {"CloudWatchMetrics": [{
                "Namespace": "Pushbell",
                "Dimensions": [["stage", "vendor", "push_stage", "class"]],
                "Metrics": [{"Name": "push_results", "Unit": "Count"}],
            }]},
            "stage": "test", "app": "demo", "vendor": "fcm", "push_stage": "sent", "class": "ok", "push_results": 5,
        })
    );
    assert_eq!((&lines[1]["vendor"], &lines[1]["class"]), (&json!("apns"), &json!("dead_token")));
}
