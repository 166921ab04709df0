//! Result rows and their items.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::delivery::Channel;
use crate::id::TaskId;

#[test]
fn a_row_survives_its_item() {
    let key = TaskKey { task: TaskId::from_number(7).unwrap(), nonce: "abcdefgh".to_owned() };
    let client = |id: &str| ClientId::parse(id).unwrap();
    let device = DeviceKey::of("ios", "1");
    let row = ResultRow {
        key: key.clone(),
        app: AppId::parse("demo").unwrap(),
        seq: 12,
        attempt: Attempt::from_number(40_003),
        at: Timestamp::from_millis(1_767_225_600_000),
        tally: Tally { counted: 2, repeat: 0, uncounted: 1 },
        results: vec![
            TargetResult {
                client: client("a,b=c #名"),
                fates: vec![
                    Fate::of_device(device.clone(), Some(Channel::Sns), Outcome::Delivered),
                    Fate::of_device(DeviceKey::of("x", "2"), None, Outcome::Pending).because(Reason::Throttled),
                ],
                recount: Some(Recount::Late),
            },
            TargetResult { client: client("bbb"), fates: vec![Fate::of_recipient(Outcome::NoDevice)], recount: None },
            TargetResult { client: client("ccc"), fates: Vec::new(), recount: None },
        ],
        leftovers: Some(Leftovers {
            to: vec![Target::Left {
                client: client("a,b=c #名"),
                devices: vec![device],
                not_before: Some(Timestamp::from_millis(1_767_225_650_000)),
                channels: vec![Channel::Sns, Channel::Fcm],
                tries: 1,
                was: None,
                values: None,
            }],
            due: Timestamp::from_millis(1_767_225_660_000),
            until: Some(Timestamp::from_millis(1_767_312_000_000)),
        }),
        given_up: vec![Target::Fresh(client("bbb"))],
        taken_back: BTreeMap::from([(Outcome::GaveUp, 3), (Outcome::NoDevice, 1)]),
        missing: BTreeMap::from([("givenName".to_owned(), 2)]),
    };
    assert_eq!(from_item(key, to_item(&row)).unwrap(), row);
    assert_eq!(row.counters(), BTreeMap::from([(Outcome::Delivered, 1), (Outcome::GaveUp, -3), (Outcome::Pending, 1)]));
}

#[test]
fn a_row_in_which_all_went_well_has_nothing_more_and_one_of_an_earlier_release_is_read() {
    let key = TaskKey { task: TaskId::from_number(7).unwrap(), nonce: "abcdefgh".to_owned() };
    let fate = |outcome| Fate::of_device(DeviceKey::of("ios", "1"), Some(Channel::Sns), outcome);
    let row = |fate, recount| ResultRow {
        key: key.clone(),
        app: AppId::parse("demo").unwrap(),
        seq: 0,
        attempt: Attempt::FIRST,
        at: Timestamp::from_millis(1),
        tally: Tally { counted: 1, repeat: 0, uncounted: 0 },
        results: vec![TargetResult { client: ClientId::parse("aaa").unwrap(), fates: vec![fate], recount }],
        leftovers: None,
        given_up: Vec::new(),
        taken_back: BTreeMap::new(),
        missing: BTreeMap::new(),
    };
    let well = to_item(&row(fate(Outcome::Delivered), None));
    assert!(!well.contains_key(reasons::ATTRIBUTE) && !well.contains_key("le"));
    let mut retried = to_item(&row(fate(Outcome::Pending).because(Reason::Retry), Some(Recount::Repeat)));
    assert_eq!(text_of(&retried, reasons::ATTRIBUTE), Some("0tR"));
    retried.remove(reasons::ATTRIBUTE);
    assert_eq!(from_item(key.clone(), retried).unwrap(), row(fate(Outcome::Pending), None));
    // Of a later release.
    let mut odd = to_item(&row(fate(Outcome::Pending), None));
    odd.insert(reasons::ATTRIBUTE.to_owned(), text("0?,7t,x,"));
    assert_eq!(from_item(key.clone(), odd).unwrap(), row(fate(Outcome::Pending), None));
}

#[test]
fn a_row_that_is_not_ours_is_an_error_and_no_panic() {
    let key = TaskKey { task: TaskId::from_number(7).unwrap(), nonce: "abcdefgh".to_owned() };
    assert!(from_item(key, HashMap::from([("sk".to_owned(), text("x"))])).is_err());
}
