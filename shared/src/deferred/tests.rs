#![allow(clippy::unwrap_used)]

use super::*;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(1_767_225_600_000).plus(Duration::from_secs(seconds))
}

async fn table() -> (Deferred, aws_sdk_dynamodb::Client) {
    let (env, client) = crate::test_tables::start().await;
    (Deferred::new(&env).unwrap(), client)
}

fn app(name: &str) -> AppId {
    AppId::parse(name).unwrap()
}

async fn lanes(deferred: &Deferred) -> Vec<Waiting> {
    let mut all = Vec::new();
    for shard in 0..SHARDS {
        let found = deferred.lanes(shard, || true).await.unwrap();
        assert!(found.whole);
        all.extend(found.waiting);
    }
    all
}

/// Reads all of a span from one end.
async fn read(deferred: &Deferred, lane: &Lane, span: Span, end: End, most: i32) -> (Vec<Row>, usize) {
    let (mut rows, mut pages, mut span) = (Vec::new(), 0, Some(span));
    while let Some(part) = span {
        let page = deferred.page(lane, part, end, most).await.unwrap();
        rows.extend(page.rows);
        pages += 1;
        span = page.rest;
    }
    (rows, pages)
}

#[tokio::test]
async fn rows_too_long_for_one_page_are_all_found() {
    let (deferred, _) = table().await;
    for n in 0..20 {
        deferred.put(Queue::Deliver, &app("demo"), "x".repeat(MOST_BYTES), at(n)).await.unwrap();
    }
    let refused = deferred.put(Queue::Deliver, &app("demo"), "x".repeat(MOST_BYTES + 1), at(0)).await;
    assert!(matches!(refused, Err(DeferredError::TooLarge)));
    let (mut found, mut pages) = (Vec::new(), 0);
    for Waiting { lane, .. } in lanes(&deferred).await {
        let (rows, read) = read(&deferred, &lane, lane.span_to(at(0), at(14)), End::Oldest, 100).await;
        found.extend(rows.iter().map(|row| row.due));
        pages += read;
    }
    found.sort();
    assert_eq!(found, (0..15).map(at).collect::<Vec<_>>());
    assert!(pages > usize::from(SHARDS), "a megabyte is a page");
}

#[tokio::test]
async fn every_app_and_queue_that_has_work_is_found_whatever_the_others_have() {
    let (deferred, client) = table().await;
    for n in 0..300 {
        deferred.put(Queue::Deliver, &app("big"), "x".to_owned(), at(n)).await.unwrap();
    }
    deferred.put(Queue::FanOut, &app("big"), "x".to_owned(), at(7)).await.unwrap();
    deferred.put(Queue::Deliver, &app("big-2"), "x".to_owned(), at(8)).await.unwrap();
    deferred.put(Queue::DeadLetters, &app("a"), "x".to_owned(), at(9)).await.unwrap();
    for junk in ["!", "big", "big#deliver", "big#deliver#!", "no#where#1#2", "no#where#1#3", "~~~"] {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        client.put_item().table_name("deferred").item("pk", text("s#0")).item("sk", text(junk)).send().await.unwrap();
    }
    let found = lanes(&deferred).await;
    let of = |name: &str, queue: Queue| {
        found.iter().filter(|found| found.lane.app.as_str() == name && found.lane.queue == queue).collect::<Vec<_>>()
    };
    assert_eq!(of("big", Queue::Deliver).len(), usize::from(SHARDS));
    assert_eq!(of("big", Queue::Deliver).iter().map(|found| found.oldest).min(), Some(at(0)));
    assert_eq!(of("big", Queue::FanOut)[0].oldest, at(7));
    assert_eq!(of("big-2", Queue::Deliver)[0].oldest, at(8));
    assert_eq!(of("a", Queue::DeadLetters)[0].oldest, at(9));
    assert_eq!(found.len(), usize::from(SHARDS) + 3);
    let first = deferred.lanes(0, || true).await.unwrap();
    assert_eq!(first.unreadable, 6);
}

#[tokio::test]
async fn a_span_read_from_both_ends_gives_each_row_once() {
    let (deferred, _) = table().await;
    for n in 0..400 {
        deferred.put(Queue::Deliver, &app("demo"), n.to_string(), at(n)).await.unwrap();
    }
    let mut bodies = Vec::new();
    for Waiting { lane, .. } in lanes(&deferred).await {
        // The rows of the other time are not of this span.
        let (mut span, mut end) = (Some(lane.span(at(10), at(390))), End::Newest);
        while let Some(part) = span {
            let page = deferred.page(&lane, part, end, 7).await.unwrap();
            assert!(match end {
                End::Oldest => page.rows.is_sorted_by_key(|row| row.due),
                End::Newest => page.rows.is_sorted_by_key(|row| std::cmp::Reverse(row.due)),
            });
            bodies.extend(page.rows.into_iter().map(|row| row.body.parse::<u64>().unwrap()));
            span = page.rest;
            end = if end == End::Newest { End::Oldest } else { End::Newest };
        }
    }
    bodies.sort_unstable();
    assert_eq!(bodies, (10..390).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_is_removed_is_gone_and_the_rest_stays() {
    let (deferred, _) = table().await;
    for n in 0..150 {
        deferred.put(Queue::Deliver, &app("demo"), n.to_string(), at(n)).await.unwrap();
    }
    let (mut all, mut left) = (Vec::new(), Vec::new());
    for Waiting { lane, .. } in lanes(&deferred).await {
        all.extend(read(&deferred, &lane, lane.span(at(0), at(150)), End::Oldest, 100).await.0);
    }
    let gone: Vec<&Row> = all.iter().filter(|row| row.due >= at(20)).collect();
    deferred.remove_all(&gone).await.unwrap();
    for Waiting { lane, .. } in lanes(&deferred).await {
        left.extend(read(&deferred, &lane, lane.span(at(0), at(150)), End::Oldest, 100).await.0);
    }
    left.sort_by_key(|row| row.due);
    assert_eq!(left.iter().map(|row| row.due).collect::<Vec<_>>(), (0..20).map(at).collect::<Vec<_>>());
}

#[tokio::test]
async fn one_run_at_a_time_has_the_lease_until_it_gives_it_back_or_it_ends() {
    let (deferred, _) = table().await;
    let first = deferred.lease(at(0), at(120)).await.unwrap().unwrap();
    assert!(deferred.lease(at(1), at(121)).await.unwrap().is_none());
    deferred.release(first).await.unwrap();
    let second = deferred.lease(at(2), at(122)).await.unwrap().unwrap();
    assert!(deferred.lease(at(121), at(242)).await.unwrap().is_none());
    // Its holder died.
    let third = deferred.lease(at(122), at(242)).await.unwrap().unwrap();
    deferred.release(second).await.unwrap();
    assert!(deferred.lease(at(123), at(243)).await.unwrap().is_none(), "who comes too late gives back nothing");
    deferred.release(third).await.unwrap();
    assert!(deferred.lease(at(124), at(244)).await.unwrap().is_some());
}
