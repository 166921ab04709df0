//! SIGTERM, as Lambda sends it to an environment that it retires.

use std::time::Duration;

use pushbell_local::faults::{Effect, Rule, Target};
use pushbell_local::runtime_api::Output;
use pushbell_local::stack::Options;

use crate::bell::{Bell, processes, text_message};

async fn start() -> Bell {
    Bell::start_with(Options { processes: Some(processes(1, Output::Hidden)), ..Options::test() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_function_ends_with_0_when_it_is_told_to() {
    let bell = start().await;
    bell.caller.register("aaa", "android", "fcm-aaa").await;
    let clients: Vec<String> = (0..150).map(|n| format!("c{n}")).collect();
    let names: Vec<&str> = clients.iter().map(String::as_str).collect();
    assert_eq!(bell.caller.imkit(&text_message("m1", &names)).await.status, 200);
    bell.settled().await;
    bell.stack.tick("retry").await.unwrap().unwrap();
    assert_eq!(bell.caller.post("/hooks/demo/demo-secret/openim", &[], &serde_json::json!({})).await.status, 200);
    assert_eq!(bell.caller.post("/push/notify", &[], &serde_json::json!({})).await.status, 200);
    assert_eq!(bell.caller.post("/push/task/detail", &[], &serde_json::json!({})).await.status, 200);
    let nothing = bytes::Bytes::from_static(br#"{"Records":[]}"#);
    for function in ["tally", "report", "feedback", "trigger"] {
        bell.stack.invoke(function, nothing.clone()).await.unwrap().unwrap();
    }
    // A process that has just started may not know the app in time.
    let tell = async || bell.caller.post("/hooks/demo/demo-secret/tencent", &[], &serde_json::json!({})).await.status;
    let mut told = tell().await;
    while told == 503 {
        told = tell().await;
    }
    assert_eq!(told, 403);
    for function in [
        "before-push",
        "devices",
        "generic-push",
        "notify",
        "stats",
        "fan-out",
        "deliver",
        "push-results",
        "tally",
        "report",
        "feedback",
        "trigger",
        "retry",
    ] {
        let ends = bell.stack.retire(function).await;
        assert_eq!(ends.iter().map(|end| end.code()).collect::<Vec<_>>(), [Some(0)], "{function}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_that_is_cut_short_by_sigterm_leaves_its_rest_over_and_loses_and_repeats_nothing() {
    const CLIENTS: u64 = 600;
    let bell = start().await;
    let clients: Vec<String> = (0..CLIENTS).map(|n| format!("c{n}")).collect();
    let names: Vec<&str> = clients.iter().map(String::as_str).collect();
    for client in &clients {
        bell.caller.register(client, "android", &format!("fcm-{client}")).await;
    }
    // A warm process, so that the next invocation begins with its recipients.
    bell.caller.imkit(&text_message("warm", &["nobody"])).await;
    bell.settled().await;
    // Recipients wait for their turn at the table, a hundred at a time: some are served, some under way, some not begun at SIGTERM. What is
    // under way has a second and a half, so that there is something left on a slow machine too.
    let count = |effect| Rule::new(Target::Dynamodb, effect).action("UpdateItem").table("RecipientsTable");
    bell.fault(count(Effect::Pass).times(100));
    bell.fault(count(Effect::Delay { ms: 1_500 }));
    assert_eq!(bell.caller.imkit(&text_message("m1", &names)).await.status, 200);
    bell.until(|| bell.stack.phones.accepted() >= 50).await;
    let ends = bell.stack.retire("deliver").await;
    assert_eq!(ends.iter().map(|end| end.code()).collect::<Vec<_>>(), [Some(0)], "in time, and by itself");
    let begun = bell.stack.phones.accepted();
    assert!(begun < CLIENTS, "there was something left");
    bell.stack.aws.faults.clear();
    let depth = bell.stack.aws.queues.depth("DeliverQueue").unwrap();
    bell.drained().await;
    for client in &clients {
        assert_eq!((bell.badge(client).await, bell.android(&format!("fcm-{client}")).len()), (1, 1), "{client}");
    }
    // Nothing waited for a visibility timeout: what was not sent was queued by the process that was told to end.
    assert_eq!(bell.dead_letters(), 0, "{depth:?}");
    let repeats = bell.stack.phones.accepted() - CLIENTS;
    assert!(repeats <= begun, "{repeats} sends were under way and given up");
    bell.stack.aws.queues.advance(Duration::from_secs(400)).unwrap();
    bell.drained().await;
    assert_eq!(bell.stack.phones.accepted(), repeats + CLIENTS, "no record comes again");
}
