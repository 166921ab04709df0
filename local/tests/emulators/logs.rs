//! CloudWatch Logs, through its SDK client.

use crate::stack::{Stack, code};

#[tokio::test]
async fn the_lines_of_a_group_come_page_by_page_from_a_time_on() {
    let stack = Stack::start().await;
    let group = stack.logs.group("DeliverLogs");
    for (at, line) in [(1_000, "too early"), (2_000, "a"), (2_000, "b"), (3_000, "c"), (4_000, "too late")] {
        group.write_at(at, line);
    }
    let client = stack.logs_client();
    let asked = || client.filter_log_events().log_group_name("DeliverLogs").start_time(2_000).end_time(4_000);
    let mut pages = asked().limit(2).into_paginator().send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        assert!(page.events().len() <= 2);
        let events = page.events().iter();
        found.extend(events.map(|event| (event.timestamp().unwrap(), event.message().unwrap().to_owned())));
    }
    assert_eq!(found, [(2_000, "a".to_owned()), (2_000, "b".to_owned()), (3_000, "c".to_owned())]);
    let whole = asked().send().await.unwrap();
    let ids: std::collections::BTreeSet<_> = whole.events().iter().map(|event| event.event_id().unwrap()).collect();
    assert_eq!((ids.len(), whole.next_token()), (3, None), "each has an id of its own");
}

#[tokio::test]
async fn a_group_that_is_not_there_and_a_pattern_are_refused() {
    let stack = Stack::start().await;
    stack.logs.group("DeliverLogs");
    let client = stack.logs_client();
    let unknown = client.filter_log_events().log_group_name("OtherLogs").send().await.unwrap_err();
    assert_eq!(code(&unknown), "ResourceNotFoundException");
    let pattern = client.filter_log_events().log_group_name("DeliverLogs").filter_pattern("ERROR").send().await;
    assert_eq!(code(&pattern.unwrap_err()), "InvalidParameterException");
}
