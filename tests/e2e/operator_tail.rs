//! The operator's `tail`: what the functions' logs tell, each line once.

use std::time::Duration;

use pushbell::id::AppId;
use pushbell::time::Timestamp;
use pushbell_local::faults::{Effect, Rule, Target};
use pushbell_local::logs;
use pushbell_local::operator::tail::Follower;
use pushbell_local::operator::{Deployment, Where};
use pushbell_local::runtime_api::Output;
use pushbell_local::stack::Options;

use crate::bell::{Bell, processes, text_message};

/// What a look shows.
async fn lines(follower: &mut Follower) -> Vec<String> {
    let mut lines = Vec::new();
    let mut show = |line: &str| {
        lines.push(line.to_owned());
        true
    };
    assert!(follower.poll(&mut show, &mut |error| panic!("{error}")).await.unwrap());
    lines
}

async fn follow(bell: &Bell, app: Option<&str>) -> Follower {
    let place = Where { url: Some(bell.stack.url()), ..Where::default() };
    let deployment = Deployment::find(&place).await.unwrap();
    let app = app.map(|app| AppId::parse(app).unwrap());
    Follower::new(&deployment, app.as_ref(), Timestamp::now().minus(Duration::from_secs(600))).unwrap()
}

/// The lines that end so.
fn ends(lines: &[String], end: &str) -> usize {
    lines.iter().filter(|line| line.ends_with(end)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivered_push_is_shown_once_however_often_is_looked() {
    logs::collect();
    let bell = Bell::start().await;
    bell.caller.register("aaa", "android", "fcm-aaa").await;
    let mut follower = follow(&bell, Some("demo")).await;
    let mut other = follow(&bell, Some("demo-deliver")).await;
    let task = bell.caller.imkit(&text_message("m1", &["aaa"])).await.json()["task_id"].to_string();
    bell.settled().await;
    let first = lines(&mut follower).await;
    let line = format!(" demo task {task} deliver: delivered=1");
    assert_eq!(ends(&first, &line), 1, "{first:#?}");
    assert!(first.iter().any(|line| line.contains(" generic-push: callback taken")), "{first:#?}");
    assert_eq!(lines(&mut follower).await, Vec::<String>::new(), "and not again");
    bell.fault(Rule::new(Target::Fcm, Effect::Error429 { retry_after: 40 }).times(1));
    bell.caller.imkit(&text_message("m2", &["aaa"])).await;
    bell.settled().await;
    let second = lines(&mut follower).await;
    assert_eq!((ends(&second, &line), ends(&second, " deliver: pending=1")), (0, 1), "{second:#?}");
    assert!(second.iter().any(|line| line.contains("WARN not delivered") && line.contains("class=throttled")));
    assert_eq!(lines(&mut other).await, Vec::<String>::new(), "it is another app's");
    for line in first.iter().chain(&second) {
        for secret in ["aaa", "lala", "demo-secret"] {
            assert!(!line.contains(secret), "{line}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_comes_late_is_shown_too() {
    let bell = Bell::start().await;
    let group = bell.stack.aws.logs.find("DeliverLogs").unwrap();
    let now = i64::try_from(Timestamp::now().as_millis()).unwrap();
    let mut follower = follow(&bell, None).await;
    let line = |task: u64| {
        format!(r#"{{"level":"INFO","message":"chunk","app":"demo","task":{task},"outcomes":"delivered=1"}}"#)
    };
    group.write_at(now, &line(2));
    assert_eq!(ends(&lines(&mut follower).await, "task 2 deliver: delivered=1"), 1);
    group.write_at(now - 60_000, &line(1));
    let late = lines(&mut follower).await;
    assert_eq!((late.len(), ends(&late, "task 1 deliver: delivered=1")), (1, 1), "{late:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_lines_are_read_page_by_page() {
    let bell = Bell::start().await;
    let group = bell.stack.aws.logs.find("DeliverLogs").unwrap();
    for task in 1..=2_500 {
        group.write(&format!(
            r#"{{"level":"INFO","message":"chunk","app":"demo","task":{task},"outcomes":"delivered=1"}}"#
        ));
    }
    let mut follower = follow(&bell, None).await;
    assert_eq!(lines(&mut follower).await.len(), 2_500);
    assert_eq!(lines(&mut follower).await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_that_run_as_processes_are_read_too() {
    let options = Options { processes: Some(processes(1, Output::Kept)), ..Options::test() };
    let bell = Bell::start_with(options).await;
    bell.caller.register("aaa", "android", "fcm-aaa").await;
    let mut follower = follow(&bell, None).await;
    let task = bell.caller.imkit(&text_message("m1", &["aaa"])).await.json()["task_id"].to_string();
    bell.settled().await;
    // A process's end is waited for, and its last lines with it.
    bell.stack.retire("deliver").await;
    let lines = lines(&mut follower).await;
    assert_eq!(ends(&lines, &format!(" demo task {task} deliver: delivered=1")), 1, "{lines:#?}");
    assert!(!lines.iter().any(|line| line.contains("_aws")), "{lines:#?}");
}
