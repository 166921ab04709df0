//! How long something is waited for, over an embedded DynamoDB.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::id::{AppId, MessageId};
use crate::task::{FAN_OUT_LIMIT, Fate, Leftovers, Put, Results, Split, Tally, TargetResult, TaskKey};

const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

fn after(seconds: u64) -> Timestamp {
    NOW.plus(std::time::Duration::from_secs(seconds))
}

fn client(id: &str) -> ClientId {
    ClientId::parse(id).unwrap()
}

fn key() -> TaskKey {
    TaskKey { task: TaskId::new(NOW, 7), nonce: "abcdefgh".to_owned() }
}

fn row(seq: u32, id: &str, outcome: Outcome) -> ResultRow {
    let device = DeviceKey::of("fcm", "d");
    let left = Target::Left {
        client: client(id),
        devices: vec![device.clone()],
        not_before: None,
        channels: Vec::new(),
        tries: 1,
        was: None,
        values: None,
    };
    ResultRow {
        key: key(),
        app: AppId::parse("demo").unwrap(),
        seq,
        attempt: Attempt::FIRST,
        at: after(1),
        tally: Tally { counted: 1, repeat: 0, uncounted: 0 },
        results: vec![TargetResult {
            client: client(id),
            fates: vec![Fate::of_device(device, Some(Channel::Fcm), outcome)],
            recount: None,
        }],
        leftovers: (!outcome.is_final()).then(|| Leftovers { to: vec![left], due: after(60), until: Some(after(600)) }),
        given_up: Vec::new(),
        taken_back: BTreeMap::new(),
        missing: BTreeMap::new(),
    }
}

struct Store(Results);

impl Store {
    async fn new() -> Self {
        let (env, _) = crate::test_tables::start().await;
        Self(Results::new(&env).unwrap())
    }

    async fn put(&self, row: ResultRow) {
        assert!(matches!(self.0.put(&row).await.unwrap(), Put::Stored));
    }

    /// What the task's number tells of a client.
    async fn told(&self, id: &str, now: Timestamp) -> TaskWhy {
        let (app, number) = (AppId::parse("demo").unwrap(), MessageId::parse(key().task.to_string()).unwrap());
        let why = self.0.why(&app, &client(id), &number, &|_| false, now).await.unwrap().unwrap();
        let [task] = why.tasks.as_slice() else { panic!("{why:?}") };
        task.clone()
    }
}

#[tokio::test]
async fn what_is_left_over_is_pending_until_the_message_s_end_and_not_for_ever() {
    let store = Store::new().await;
    store.put(row(0, "aaa", Outcome::Pending)).await;
    let task = store.told("aaa", after(599)).await;
    assert_eq!(task.progress, Progress::Pending);
    assert!(task.pending.is_some() && task.devices[0].pending);
    let task = store.told("aaa", after(600)).await;
    assert_eq!((task.progress, task.pending, task.devices[0].pending), (Progress::Ended, None, false));
    assert_eq!(task.counted, Counted::Yes);
    // Its record came after all.
    store.put(ResultRow { attempt: Attempt::FIRST.next(), ..row(0, "aaa", Outcome::GaveUp) }).await;
    assert_eq!(store.told("aaa", after(600)).await.progress, Progress::Done);
}

#[tokio::test]
async fn who_is_in_no_row_of_a_whole_task_is_not_in_it() {
    let store = Store::new().await;
    store.put(row(0, "aaa", Outcome::Delivered)).await;
    let settled = after(1).plus(FAN_OUT_LIMIT);
    assert_eq!(store.told("bbb", after(2)).await.progress, Progress::Waiting, "it may be the first of several");
    assert_eq!(store.told("bbb", settled).await.progress, Progress::NotIn);
    // Fan-out cut it.
    let split = |first, chunks| Split { key: key(), app: AppId::parse("demo").unwrap(), first, chunks };
    store.0.put_split(&split(2, 1), after(1)).await.unwrap();
    store.put(row(2, "ccc", Outcome::Delivered)).await;
    assert_eq!(store.told("bbb", settled).await.progress, Progress::Waiting, "the part before is not cut");
    store.0.put_split(&split(0, 2), after(1)).await.unwrap();
    let task = store.told("bbb", settled).await;
    assert_eq!((task.progress, task.counted), (Progress::Waiting, Counted::NotYet), "a chunk is not tried");
    store.put(row(1, "ddd", Outcome::Delivered)).await;
    let task = store.told("bbb", settled).await;
    assert_eq!((task.progress, task.counted), (Progress::NotIn, Counted::NotIn));
}

#[tokio::test]
async fn nobody_waits_for_a_chunk_that_was_lost_beyond_the_longest_life_of_a_hook_s_message() {
    let store = Store::new().await;
    let split = Split { key: key(), app: AppId::parse("demo").unwrap(), first: 0, chunks: 2 };
    store.0.put_split(&split, after(1)).await.unwrap();
    store.put(row(0, "aaa", Outcome::Delivered)).await;
    let day = 24 * 60 * 60;
    assert_eq!(store.told("bbb", after(day - 1)).await.progress, Progress::Waiting);
    assert_eq!(store.told("bbb", after(day)).await.progress, Progress::Ended);
    assert_eq!(store.told("aaa", after(day)).await.progress, Progress::Done);
}
