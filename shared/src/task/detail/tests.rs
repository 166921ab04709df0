//! Tasks of each kind, from their first row to their last, over an embedded DynamoDB.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::delivery::Channel;
use crate::id::{ClientId, DeviceKey};
use crate::registry::Place;
use crate::task::{
    Attempt, Fate, Leftovers, Outcome, Road, RoadSums, Split, Stage, Standing, Tally, Target, TargetResult,
};

const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

fn after(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

fn app(name: &str) -> AppId {
    AppId::parse(name).unwrap()
}

fn client(id: &str) -> ClientId {
    ClientId::parse(id).unwrap()
}

fn device(name: &str) -> DeviceKey {
    DeviceKey::of("fcm", name)
}

fn key(nonce: &str) -> TaskKey {
    TaskKey { task: TaskId::new(NOW, 7), nonce: nonce.to_owned() }
}

fn head(nonce: &str, extent: Extent) -> Head {
    Head {
        key: key(nonce),
        app: app("demo"),
        created_at: after(0),
        due: after(0),
        online_only: false,
        extent,
        cancelled_at: None,
        queued: false,
    }
}

/// A row in which every client's one device had an outcome; those that are pending are left over.
fn row(nonce: &str, seq: u32, attempt: u64, outcomes: &[(&str, Outcome)]) -> ResultRow {
    let fate = |outcome| Fate::of_device(device("d"), Some(Channel::Fcm), outcome);
    let pending = outcomes.iter().filter(|(_, outcome)| !outcome.is_final());
    let to: Vec<Target> = pending.map(|(id, _)| Target::Fresh(client(id))).collect();
    ResultRow {
        key: key(nonce),
        app: app("demo"),
        seq,
        attempt: Attempt::from_number(attempt),
        at: after(u64::from(seq) + attempt + 1),
        tally: Tally::default(),
        results: outcomes
            .iter()
            .map(|(id, outcome)| TargetResult { client: client(id), fates: vec![fate(*outcome)], recount: None })
            .collect(),
        leftovers: (!to.is_empty()).then(|| Leftovers { to, due: after(60), until: None }),
        given_up: Vec::new(),
        taken_back: BTreeMap::new(),
        missing: BTreeMap::new(),
    }
}

struct Store {
    results: Results,
}

impl Store {
    async fn new() -> Self {
        let (env, _) = crate::test_tables::start().await;
        Self { results: Results::new(&env).unwrap() }
    }

    async fn put(&self, row: ResultRow) {
        assert!(matches!(self.results.put(&row).await.unwrap(), crate::task::Put::Stored));
    }

    async fn at(&self, now: Timestamp) -> Option<Detail> {
        self.results.details(&app("demo"), &[key("").task], now).await.unwrap().remove(0)
    }

    async fn told(&self) -> (State, u64, u64, Option<Timestamp>) {
        self.told_at(after(3600)).await
    }

    async fn told_at(&self, now: Timestamp) -> (State, u64, u64, Option<Timestamp>) {
        let detail = self.at(now).await.unwrap();
        (detail.state, detail.sums.target(), detail.sums.pending(), detail.done_at)
    }
}

#[tokio::test]
async fn a_list_is_queued_then_sending_then_done() {
    let store = Store::new().await;
    assert_eq!(store.at(NOW).await, None);
    store.results.put_head(&head("aaaaaaaa", Extent::Chunks(vec![client("a"), client("m")]))).await.unwrap();
    assert_eq!(store.told().await, (State::Queued, 0, 0, None));
    store.put(row("aaaaaaaa", 1, 0, &[("m", Outcome::Delivered), ("n", Outcome::DeadToken)])).await;
    assert_eq!(store.told().await, (State::Sending, 2, 0, None));
    store.put(row("aaaaaaaa", 0, 0, &[("a", Outcome::Pending), ("b", Outcome::Delivered)])).await;
    assert_eq!(store.told().await, (State::Sending, 3, 1, None));
    store.put(row("aaaaaaaa", 0, 1, &[("a", Outcome::Delivered)])).await;
    assert_eq!(store.told().await, (State::Done, 4, 0, Some(after(2))));
    let detail = store.at(after(5)).await.unwrap();
    assert_eq!((detail.created_at, detail.sums.of(Outcome::Delivered)), (after(0), 3));
    let road = RoadSums { target: 4, sent: 3, received: 0, clicked: 0 };
    assert_eq!(detail.sums.by_road(), BTreeMap::from([(Road::Channel(Channel::Fcm), road)]));
    // Its rows may be gone one by one.
    assert_eq!(store.at(NOW.plus(KEPT)).await, None);
}

#[tokio::test]
async fn an_audience_is_expanding_until_each_shard_has_its_last_page() {
    let store = Store::new().await;
    store.results.put_head(&head("aaaaaaaa", Extent::Shards(2))).await.unwrap();
    let page = |shard, after: Option<&str>, ends: &[&str], last| AudiencePage {
        shard,
        after: after.map(|id| Place::behind(&client(id))),
        first: AudiencePage::first_of(shard),
        ends: ends.iter().map(|id| Place::behind(&client(id))).collect(),
        last,
        devices: 2,
        queued: false,
    };
    let (first, second) = (AudiencePage::first_of(0), AudiencePage::first_of(1));
    assert_eq!(store.told().await.0, State::Queued);
    store.results.put_page(&key("aaaaaaaa"), &page(0, None, &["b"], true), NOW).await.unwrap();
    assert_eq!(store.told().await.0, State::Expanding);
    store.put(row("aaaaaaaa", first, 0, &[("a", Outcome::Delivered), ("b", Outcome::Delivered)])).await;
    assert_eq!(store.told().await, (State::Expanding, 2, 0, None));
    store.results.put_page(&key("aaaaaaaa"), &page(1, None, &["c", "e"], true), NOW).await.unwrap();
    assert_eq!(store.told().await.0, State::Sending);
    store.put(row("aaaaaaaa", second, 0, &[("c", Outcome::Delivered)])).await;
    store.put(row("aaaaaaaa", second + 1, 0, &[("e", Outcome::Muted)])).await;
    assert_eq!(store.told().await, (State::Done, 4, 0, Some(after(u64::from(second) + 2))));
    let head = store.results.heads(key("").task).await.unwrap().remove(0);
    let shard = |id: &str| crate::task::Members::shard_of(&client(id), 2);
    for id in ["a", "b", "c", "e"] {
        let chunk = store.results.chunk_of(&head, &client(id)).await.unwrap();
        let expected = match (shard(id), id) {
            (0, "a" | "b") => Some(first),
            (1, "a" | "b" | "c") => Some(second),
            (1, _) => Some(second + 1),
            _ => None,
        };
        assert_eq!(chunk, expected, "{id}");
    }
}

#[tokio::test]
async fn an_audience_of_nobody_is_done() {
    let store = Store::new().await;
    store.results.put_head(&head("aaaaaaaa", Extent::Shards(1))).await.unwrap();
    let page = AudiencePage { shard: 0, after: None, first: 0, ends: Vec::new(), last: true, devices: 0, queued: true };
    store.results.put_page(&key("aaaaaaaa"), &page, NOW).await.unwrap();
    assert_eq!(store.told().await, (State::Done, 0, 0, Some(after(0))));
}

#[tokio::test]
async fn a_cancelled_task_says_so_at_once_and_when_it_ended() {
    let store = Store::new().await;
    store.results.put_head(&head("aaaaaaaa", Extent::Chunks(vec![client("a")]))).await.unwrap();
    store.results.cancel(&app("demo"), key("").task, after(0)).await.unwrap();
    assert_eq!(store.told().await, (State::Cancelled, 0, 0, None));
    store.put(row("aaaaaaaa", 0, 0, &[("a", Outcome::Cancelled)])).await;
    assert_eq!(store.told().await, (State::Cancelled, 1, 0, Some(after(1))));
}

#[tokio::test]
async fn a_cancellation_that_comes_too_late_changes_nothing_that_is_told() {
    let store = Store::new().await;
    store.results.put_head(&head("aaaaaaaa", Extent::Chunks(vec![client("a")]))).await.unwrap();
    store.put(row("aaaaaaaa", 0, 0, &[("a", Outcome::GaveUp)])).await;
    let done = (State::Done, 1, 0, Some(after(1)));
    assert_eq!(store.told().await, done);
    store.results.cancel(&app("demo"), key("").task, after(9)).await.unwrap();
    assert_eq!(store.told().await, done);
    // Until somebody replays what was given up.
    let mut replay = row("aaaaaaaa", 0, 200, &[("a", Outcome::Cancelled)]);
    replay.taken_back.insert(Outcome::GaveUp, 1);
    store.put(replay).await;
    assert_eq!(store.told().await, (State::Cancelled, 1, 0, Some(after(201))));
}

#[tokio::test]
async fn an_audience_that_was_read_and_sent_to_whole_is_done_whoever_cancels_it() {
    let store = Store::new().await;
    store.results.put_head(&head("aaaaaaaa", Extent::Shards(1))).await.unwrap();
    let ends = vec![Place::behind(&client("b"))];
    let page = AudiencePage { shard: 0, after: None, first: 0, ends, last: true, devices: 1, queued: true };
    store.results.put_page(&key("aaaaaaaa"), &page, NOW).await.unwrap();
    store.results.cancel(&app("demo"), key("").task, after(9)).await.unwrap();
    assert_eq!(store.told().await, (State::Cancelled, 0, 0, None));
    store.put(row("aaaaaaaa", 0, 0, &[("b", Outcome::Delivered)])).await;
    assert_eq!(store.told_at(after(10)).await, (State::Done, 1, 0, Some(after(1))));
}

#[tokio::test]
async fn an_audience_that_is_cancelled_has_ended_when_no_run_that_saw_it_uncancelled_can_add_a_page() {
    let store = Store::new().await;
    store.results.put_head(&head("aaaaaaaa", Extent::Shards(2))).await.unwrap();
    let page = AudiencePage {
        shard: 0,
        after: None,
        first: 0,
        ends: vec![Place::behind(&client("b"))],
        last: false,
        devices: 1,
        queued: true,
    };
    store.results.put_page(&key("aaaaaaaa"), &page, NOW).await.unwrap();
    store.results.cancel(&app("demo"), key("").task, after(9)).await.unwrap();
    assert_eq!(store.told().await, (State::Cancelled, 0, 0, None));
    store.put(row("aaaaaaaa", 0, 0, &[("a", Outcome::Delivered)])).await;
    let last = after(9).plus(LAST_PAGE);
    let before = Timestamp::from_millis(last.as_millis() - 1);
    assert_eq!(store.told_at(before).await, (State::Cancelled, 1, 0, None));
    assert_eq!(store.told_at(last).await, (State::Cancelled, 1, 0, Some(after(9))));
    // A page that a run stored just before.
    let after_b = Some(Place::behind(&client("b")));
    let second = AudiencePage { after: after_b, first: 1, ends: vec![Place::behind(&client("d"))], ..page };
    store.results.put_page(&key("aaaaaaaa"), &second, NOW).await.unwrap();
    assert_eq!(store.told_at(last).await, (State::Cancelled, 1, 0, None));
    store.put(row("aaaaaaaa", 1, 20, &[("c", Outcome::Cancelled)])).await;
    assert_eq!(store.told_at(last).await, (State::Cancelled, 2, 0, None), "its first try's row is not there");
    store.put(row("aaaaaaaa", 1, 0, &[("c", Outcome::Cancelled)])).await;
    assert_eq!(store.told_at(last).await, (State::Cancelled, 3, 0, Some(after(22))), "later than the cancellation");
}

#[tokio::test]
async fn a_live_connection_s_task_counts_under_no_vendor() {
    let store = Store::new().await;
    let head = Head { online_only: true, ..head("aaaaaaaa", Extent::Chunks(vec![client("a")])) };
    store.results.put_head(&head).await.unwrap();
    store.put(row("aaaaaaaa", 0, 0, &[("a", Outcome::ChannelUnavailable)])).await;
    let roads = store.at(after(5)).await.unwrap().sums.by_road();
    assert_eq!(roads, BTreeMap::from([(Road::Online, RoadSums { target: 1, ..RoadSums::default() })]));
}

#[tokio::test]
async fn a_hook_s_task_is_done_when_all_chunks_that_it_was_cut_into_are() {
    let store = Store::new().await;
    let ids: Vec<String> = (0..100).map(|n| format!("c{n}")).collect();
    let all: Vec<(&str, Outcome)> = ids.iter().map(|id| (id.as_str(), Outcome::Delivered)).collect();
    store.put(row("aaaaaaaa", 0, 0, &all)).await;
    // Perhaps fan-out has not yet written how many there are.
    assert_eq!(store.at(after(50)).await.unwrap().state, State::Sending);
    assert_eq!(store.at(after(70)).await.unwrap().state, State::Done);
    let split = |first, chunks| Split { key: key("aaaaaaaa"), app: app("demo"), first, chunks };
    store.results.put_split(&split(2, 1), NOW).await.unwrap();
    store.put(row("aaaaaaaa", 2, 0, &all[..1])).await;
    assert_eq!(store.told().await.0, State::Sending, "the part before it is not cut yet");
    store.results.put_split(&split(0, 2), NOW).await.unwrap();
    assert_eq!(store.told().await.0, State::Sending);
    store.put(row("aaaaaaaa", 1, 0, &all)).await;
    assert_eq!(store.told().await, (State::Done, 201, 0, Some(after(3))));
    let detail = store.at(after(70)).await.unwrap();
    assert_eq!(detail.created_at, NOW);
    assert_eq!(store.at(NOW.plus(KEPT)).await, None);
}

#[tokio::test]
async fn tasks_of_other_apps_that_drew_the_number_are_not_told_of() {
    let store = Store::new().await;
    let foreign = Head { app: app("other"), ..head("mmmmmmmm", Extent::Chunks(vec![client("a")])) };
    store.results.put_head(&foreign).await.unwrap();
    for nonce in ["0aaaaaaa", "mmmmmmmm", "zzzzzzzz"] {
        store.put(ResultRow { app: app("other"), ..row(nonce, 0, 0, &[("a", Outcome::Delivered)]) }).await;
    }
    assert_eq!(store.at(NOW).await, None);
    // Two hooks' tasks of one app are told of together.
    store.put(row("bbbbbbbb", 0, 0, &[("a", Outcome::Delivered)])).await;
    store.put(row("hhhhhhhh", 0, 0, &[("a", Outcome::Pending)])).await;
    assert_eq!(store.told().await, (State::Sending, 1, 1, None));
    store.put(row("hhhhhhhh", 0, 1, &[("a", Outcome::Gone)])).await;
    assert_eq!(store.told().await, (State::Done, 2, 0, Some(after(2))));
}

#[tokio::test]
async fn rows_of_more_than_one_page_are_all_summed() {
    let store = Store::new().await;
    let chunks = 700;
    let firsts = (0..chunks).map(|n| client(&format!("{n:05}"))).collect();
    store.results.put_head(&head("aaaaaaaa", Extent::Chunks(firsts))).await.unwrap();
    let long = "x".repeat(60);
    for seq in 0..chunks {
        let ids: Vec<String> = (0..40).map(|n| format!("{seq:05}-{n}-{long}")).collect();
        let all: Vec<(&str, Outcome)> = ids.iter().map(|id| (id.as_str(), Outcome::Delivered)).collect();
        store.put(row("aaaaaaaa", seq, 0, &all)).await;
    }
    let (state, target, ..) = store.told().await;
    assert_eq!((state, target), (State::Done, u64::from(chunks) * 40));
}

#[tokio::test]
async fn a_report_is_kept_until_its_row_says_who_was_a_target() {
    let store = Store::new().await;
    let (own, key) = (device("d"), key("aaaaaaaa"));
    store.results.put_head(&head("aaaaaaaa", Extent::Chunks(vec![client("b"), client("m")]))).await.unwrap();
    let head = store.results.heads(key.task).await.unwrap().remove(0);
    for (id, chunk) in [("a", None), ("b", Some(0)), ("c", Some(0)), ("m", Some(1)), ("z", Some(1))] {
        assert_eq!(store.results.chunk_of(&head, &client(id)).await.unwrap(), chunk, "{id}");
    }
    let standing = async |id: &str, device: &DeviceKey| store.results.standing(&key, 0, &client(id), device).await;
    assert_eq!(standing("b", &own).await.unwrap(), Standing::Unknown);
    let note = async |stage, id: &str, device: &DeviceKey| {
        store.results.note(&head, 0, stage, (&client(id), device), after(1)).await.unwrap();
    };
    for _ in 0..2 {
        note(Stage::Received, "b", &own).await;
    }
    note(Stage::Clicked, "b", &own).await;
    note(Stage::Received, "b", &device("another")).await;
    note(Stage::Received, "stranger", &own).await;
    let counted = async || {
        let road = store.at(after(5)).await.unwrap().sums.by_road();
        road.get(&Road::Channel(Channel::Fcm)).map(|road| (road.target, road.received, road.clicked))
    };
    assert_eq!(counted().await, None);
    store.put(row("aaaaaaaa", 0, 0, &[("b", Outcome::Delivered), ("c", Outcome::Pending)])).await;
    assert_eq!(counted().await, Some((1, 1, 1)));
    for (id, device, expected) in [
        ("b", &own, Standing::Target),
        ("b", &device("another"), Standing::Stranger),
        ("c", &own, Standing::Target),
        ("stranger", &own, Standing::Stranger),
    ] {
        assert_eq!(standing(id, device).await.unwrap(), expected, "{id}");
    }
}

#[tokio::test]
async fn a_chunk_takes_no_more_reports_than_it_can_have_devices() {
    let store = Store::new().await;
    let head = head("aaaaaaaa", Extent::Chunks(vec![client("b")]));
    let note = async |name: &str| {
        let device = device(name);
        store.results.note(&head, 0, Stage::Received, (&client("b"), &device), after(1)).await.unwrap();
    };
    note("first").await;
    let (pk, sk) = (format!("k#{}#0", head.key.task), "aaaaaaaa#0000000000");
    let set = async || {
        let row = store.results.client.get_item().table_name(&store.results.table);
        let row = row.key("pk", text(pk.as_str())).key("sk", text(sk)).send().await.unwrap();
        Receipts::from_item(&row.item.unwrap()).of(Stage::Received).count()
    };
    assert_eq!(set().await, 1);
    let blobs = (0..1_999_u64).map(|n| aws_sdk_dynamodb::primitives::Blob::new(&n.to_be_bytes()[2..]));
    let fill = store.results.client.update_item().table_name(&store.results.table);
    let fill = fill.key("pk", text(pk.as_str())).key("sk", text(sk));
    let fill =
        fill.update_expression("ADD r :set").expression_attribute_values(":set", AttributeValue::Bs(blobs.collect()));
    fill.send().await.unwrap();
    assert_eq!(set().await, 2_000);
    note("one more").await;
    assert_eq!(set().await, 2_000);
}

#[tokio::test]
async fn receipts_are_read_from_wherever_they_are_kept() {
    let shard = |n: u8, index| AudiencePage::first_of(n) + index;
    let lists = Extent::Chunks((0..40).map(|n| client(&format!("{n:02}"))).collect());
    for (nonce, extent, seqs) in [
        ("aaaaaaaa", lists, vec![0, 1, 15, 16, 17, 39]),
        ("bbbbbbbb", Extent::Shards(16), vec![shard(0, 0), shard(0, 17), shard(3, 2), shard(15, 0), shard(15, 40)]),
    ] {
        let store = Store::new().await;
        let head = head(nonce, extent);
        store.results.put_head(&head).await.unwrap();
        for seq in &seqs {
            let id = client(&seq.to_string());
            store.put(row(nonce, *seq, 0, &[(id.as_str(), Outcome::Delivered)])).await;
            store.results.note(&head, *seq, Stage::Received, (&id, &device("d")), after(1)).await.unwrap();
        }
        let roads = store.at(after(5)).await.unwrap().sums.by_road();
        assert_eq!(roads[&Road::Channel(Channel::Fcm)].received, u64::try_from(seqs.len()).unwrap(), "{nonce}");
        // Result rows have their own partition to themselves.
        let rows = store.results.client.query().table_name(&store.results.table);
        let rows =
            rows.key_condition_expression("pk = :pk").expression_attribute_values(":pk", text(pk(head.key.task)));
        assert_eq!(rows.send().await.unwrap().count(), i32::try_from(seqs.len() + 1).unwrap(), "the rows and the head");
    }
}
