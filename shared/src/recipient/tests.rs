//! The store against an embedded DynamoDB: one test for each answer that a count can have, and for what happens around it.

#![allow(clippy::unwrap_used)]

mod attributes;
mod shown;

use std::collections::BTreeMap;
use std::time::Duration;

use super::marks::{MARKS_HARD, MARKS_SOFT, MOST_LAG, ROTATE_AFTER};
use super::*;
use crate::app::BadgeFrom;
use crate::delivery::Channel;
use crate::id::{AppId, AttributeKey, ClientId, DeviceKey, Mark, MessageId, RoomKey, Token};
use crate::test_tables;
use crate::time::{QueueClock, Timestamp};

const T: Timestamp = Timestamp::from_millis(1_767_225_600_000);

fn app() -> AppId {
    AppId::parse("demo").unwrap()
}

fn client() -> ClientId {
    ClientId::parse("aaa").unwrap()
}

fn room() -> RoomKey {
    RoomKey::of("demo-room")
}

async fn store() -> Recipients {
    let (env, _) = test_tables::start().await;
    Recipients::new(&env).unwrap().measured()
}

/// A message of `room`, written and claimed at `at`.
fn message_in(room: &RoomKey, id: &str, at: Timestamp) -> Counting {
    let message = MessageId::parse(id).unwrap();
    Counting {
        mark: Mark::counted(&app(), &message),
        withdrawn: Mark::withdrawn(&app(), &message),
        counter: names::unread(room),
        n: 1,
        room: Some(room.clone()),
        sender: Some("sss".to_owned()),
        written_at: Some(at),
        claimed_at: at,
        clock: QueueClock::standing(at),
        may_rotate: true,
    }
}

fn message(id: &str, at: Timestamp) -> Counting {
    message_in(&room(), id, at)
}

impl Recipients {
    /// The same table over another client of DynamoDB.
    pub(crate) fn over(mut self, client: aws_sdk_dynamodb::Client) -> Self {
        self.client = client;
        self
    }

    async fn counts(&self, counting: &Counting) -> Option<NotCounted> {
        self.count(&app(), &client(), counting, false).await.unwrap().not
    }

    async fn now(&self) -> Recipient {
        self.get(&app(), &client(), true).await.unwrap().unwrap_or_default()
    }

    async fn badge(&self) -> u32 {
        self.now().await.badge(BadgeFrom::Rooms)
    }
}

#[tokio::test]
async fn a_message_is_counted_and_the_answer_holds_badge_and_devices() {
    let (env, dynamodb) = test_tables::start().await;
    let store = Recipients::new(&env).unwrap();
    let device = Device {
        key: DeviceKey::of("android", "d1"),
        channel: Channel::Fcm,
        token: Token::parse("tok").unwrap(),
        endpoint: None,
        sandbox: false,
        registered_at: T,
        framework: None,
        locale: None,
    };
    let put = dynamodb.put_item().table_name("recipients").item("pk", super::store::text("demo#aaa"));
    put.item(names::device(&device.key), device.to_attribute()).send().await.unwrap();
    let counted = store.count(&app(), &client(), &message("m1", T), false).await.unwrap();
    assert_eq!(counted.not, None);
    assert_eq!(counted.recipient.badge(BadgeFrom::Rooms), 1);
    assert_eq!(counted.recipient.devices, [device]);
}

#[tokio::test]
async fn a_message_that_comes_again_is_counted_once_and_says_so() {
    let store = store().await;
    assert_eq!(store.counts(&message("m1", T)).await, None);
    assert_eq!(store.counts(&message("m1", T.plus(Duration::from_secs(9)))).await, Some(NotCounted::Repeat));
    assert_eq!(store.badge().await, 1);
}

#[tokio::test]
async fn a_muted_room_leaves_no_mark_unless_the_client_is_mentioned() {
    let store = store().await;
    store.mute(&app(), &client(), &room()).await.unwrap();
    assert_eq!(store.counts(&message("m1", T)).await, Some(NotCounted::Muted));
    assert_eq!(store.now().await.marks(), (0, 0));
    let mentioned = store.count(&app(), &client(), &message("m1", T), true).await.unwrap();
    assert_eq!(mentioned.not, None);
    store.unmute(&app(), &client(), &room()).await.unwrap();
    assert_eq!(store.counts(&message("m2", T)).await, None);
    assert_eq!(store.badge().await, 2);
}

#[tokio::test]
async fn a_message_that_was_counted_is_not_sent_again_to_a_client_who_muted_the_room_since() {
    let store = store().await;
    assert_eq!(store.counts(&message("m1", T)).await, None);
    store.mute(&app(), &client(), &room()).await.unwrap();
    assert_eq!(store.counts(&message("m1", T)).await, Some(NotCounted::Muted));
}

#[tokio::test]
async fn a_room_that_was_read_past_a_message_does_not_count_it() {
    let store = store().await;
    store.read_room(&app(), &client(), &room(), Reading::Written(T)).await.unwrap();
    assert_eq!(store.counts(&message("m1", T)).await, Some(NotCounted::Read));
    assert_eq!(store.counts(&message("m2", T.plus(Duration::from_millis(1)))).await, None);
    let other = message_in(&RoomKey::of("other"), "m3", T);
    assert_eq!(store.counts(&other).await, None);
    assert_eq!(store.badge().await, 2);
}

#[tokio::test]
async fn reading_a_room_clears_it_and_an_older_report_changes_nothing() {
    let store = store().await;
    store.counts(&message("m1", T)).await;
    store.counts(&message_in(&RoomKey::of("other"), "m2", T)).await;
    let read = store.read_room(&app(), &client(), &room(), Reading::Written(T)).await.unwrap();
    assert_eq!(read.badge(BadgeFrom::Rooms), 1);
    store.counts(&message("m3", T.plus(Duration::from_secs(2)))).await;
    let late =
        store.read_room(&app(), &client(), &room(), Reading::Written(T.minus(Duration::from_secs(1)))).await.unwrap();
    assert_eq!(late.badge(BadgeFrom::Rooms), 2);
}

#[tokio::test]
async fn a_room_that_was_read_now_holds_back_what_was_accepted_before_whatever_the_messages_times() {
    let store = store().await;
    let old = T.minus(Duration::from_secs(200_000_000));
    let accepted = |id, at| Counting { written_at: Some(old), ..message(id, at) };
    store.counts(&accepted("m1", T)).await;
    let now = T.plus(Duration::from_millis(1));
    store.read_room(&app(), &client(), &room(), Reading::Accepted(now)).await.unwrap();
    assert_eq!(store.counts(&accepted("m2", T)).await, Some(NotCounted::Read));
    assert_eq!(store.counts(&accepted("m3", now)).await, None);
    let later = T.plus(Duration::from_secs(1));
    store.read_all(&app(), &client(), Reading::Accepted(later)).await.unwrap();
    let other = Counting { room: Some(RoomKey::of("other")), ..accepted("m4", now) };
    assert_eq!(store.counts(&other).await, Some(NotCounted::Read));
    assert_eq!(store.counts(&accepted("m5", later)).await, None);
}

#[tokio::test]
async fn reading_everything_clears_every_room_and_holds_back_what_is_on_its_way() {
    let store = store().await;
    for n in 0..5 {
        store.counts(&message_in(&RoomKey::of(&n.to_string()), &n.to_string(), T)).await;
    }
    store.set_source(&app(), &client(), "orders", 4).await.unwrap();
    let read = store.read_all(&app(), &client(), Reading::Written(T)).await.unwrap();
    assert_eq!(read.badge(BadgeFrom::Rooms), 4, "orders are not messages");
    assert_eq!(store.counts(&message("late", T)).await, Some(NotCounted::Read));
    assert_eq!(store.counts(&message("new", T.plus(Duration::from_secs(1)))).await, None);
}

#[tokio::test]
async fn watermarks_do_not_pile_up() {
    let store = store().await;
    for n in 0..20 {
        let at = T.plus(Duration::from_secs(n));
        store.read_room(&app(), &client(), &RoomKey::of(&n.to_string()), Reading::Written(at)).await.unwrap();
    }
    let read = store.now().await.read;
    assert_eq!(read.written.len(), MOST_WATERMARKS);
    assert!(read.written.contains_key(&RoomKey::of("19")), "the newest stay");
}

#[tokio::test]
async fn marks_rotate_once_they_are_many_and_old_and_are_forgotten_by_the_rotation_after_that() {
    let store = store().await;
    for n in 0..=MARKS_SOFT {
        store.counts(&message(&format!("a{n}"), T)).await;
    }
    assert_eq!(store.now().await.marks(), (MARKS_SOFT + 1, 0), "young marks stay together");
    let second = T.plus(ROTATE_AFTER);
    store.counts(&message("b", second)).await;
    assert_eq!(store.now().await.marks(), (0, MARKS_SOFT + 2));
    assert_eq!(store.now().await.trimmed, None, "nothing was forgotten yet");
    assert_eq!(store.counts(&message("a0", T)).await, Some(NotCounted::Repeat));
    for n in 0..=MARKS_SOFT {
        store.counts(&message(&format!("c{n}"), second)).await;
    }
    let third = second.plus(ROTATE_AFTER);
    store.counts(&message("d", third)).await;
    let now = store.now().await;
    assert_eq!((now.marks(), now.trimmed), ((0, MARKS_SOFT + 2), Some(second.plus(MOST_LAG))));
    // a0's mark is forgotten: it is not counted again, but said to be uncounted; c0's is still there.
    assert_eq!(store.counts(&message("a0", T)).await, Some(NotCounted::Uncounted));
    assert_eq!(store.counts(&message("c0", second)).await, Some(NotCounted::Repeat));
    assert_eq!(store.counts(&message("e", third)).await, None);
    assert_eq!(store.badge().await, u32::try_from(2 * MARKS_SOFT).unwrap() + 5);
}

#[tokio::test]
async fn very_many_marks_rotate_however_young_and_a_repeated_record_rotates_nothing() {
    let store = store().await;
    for n in 0..=MARKS_HARD {
        let mut counting = message(&format!("m{n}"), T.plus(Duration::from_millis(n as u64)));
        counting.may_rotate = false;
        store.counts(&counting).await;
    }
    assert_eq!(store.now().await.marks().0, MARKS_HARD + 1);
    store.counts(&message("last", T.plus(Duration::from_secs(1)))).await;
    assert_eq!(store.now().await.marks(), (0, MARKS_HARD + 2));
}

#[tokio::test]
async fn a_withdrawn_message_leaves_the_badge_once_and_is_not_counted_afterwards() {
    let store = store().await;
    store.counts(&message("m1", T)).await;
    store.counts(&message("m2", T)).await;
    for _ in 0..2 {
        let after = store.withdraw(&app(), &client(), &message("m1", T)).await.unwrap();
        assert_eq!(after.badge(BadgeFrom::Rooms), 1);
    }
    assert_eq!(store.counts(&message("m1", T)).await, Some(NotCounted::Withdrawn));
    // A withdrawal may overtake its message.
    store.withdraw(&app(), &client(), &message("m3", T)).await.unwrap();
    assert_eq!(store.counts(&message("m3", T)).await, Some(NotCounted::Withdrawn));
    assert_eq!(store.badge().await, 1);
}

#[tokio::test]
async fn a_message_and_its_withdrawal_at_the_same_time_leave_nothing() {
    let store = store().await;
    for n in 0..200 {
        let both = message(&format!("m{n}"), T);
        let (app, client) = (app(), client());
        // The message comes a little later each time, so that sometimes it comes between the withdrawal's two updates.
        let counted = async {
            tokio::time::sleep(Duration::from_micros(20 * n)).await;
            store.counts(&both).await
        };
        let (withdrawn, _) = tokio::join!(store.withdraw(&app, &client, &both), counted);
        withdrawn.unwrap();
        assert_eq!(store.badge().await, 0, "after {n}");
    }
}

#[tokio::test]
async fn a_withdrawal_after_reading_takes_nothing_from_newer_messages() {
    for reading in [Reading::Written(T), Reading::Accepted(T.plus(Duration::from_millis(1)))] {
        let store = store().await;
        store.counts(&message("m1", T)).await;
        store.read_room(&app(), &client(), &room(), reading).await.unwrap();
        store.counts(&message("m2", T.plus(Duration::from_secs(1)))).await;
        store.withdraw(&app(), &client(), &message("m1", T)).await.unwrap();
        assert_eq!(store.badge().await, 1, "{reading:?}");
        assert_eq!(store.counts(&message("m1", T)).await, Some(NotCounted::Withdrawn));
    }
}

#[tokio::test]
async fn an_older_report_of_reading_clears_nothing_that_is_newer() {
    let store = store().await;
    let later = T.plus(Duration::from_secs(9));
    store.read_all(&app(), &client(), Reading::Written(later)).await.unwrap();
    for n in 0..50 {
        let at = later.plus(Duration::from_secs(1));
        store.counts(&message_in(&RoomKey::of(&n.to_string()), &n.to_string(), at)).await;
    }
    assert!(store.now().await.spilled > 0);
    store.read_all(&app(), &client(), Reading::Written(T)).await.unwrap();
    assert_eq!(store.badge().await, 50);
    let known = later.plus(Duration::from_secs(2));
    store.read_room(&app(), &client(), &RoomKey::of("0"), Reading::Written(known)).await.unwrap();
    store.counts(&message_in(&RoomKey::of("0"), "new", known.plus(Duration::from_secs(1)))).await;
    store.read_room(&app(), &client(), &RoomKey::of("0"), Reading::Written(T)).await.unwrap();
    assert_eq!(store.badge().await, 50);
    assert_eq!(store.counts(&message("late", later)).await, Some(NotCounted::Read), "the watermark did not go back");
}

#[tokio::test]
async fn rooms_beyond_the_cap_fold_and_every_badge_stays_exact() {
    let store = store().await;
    let rooms: Vec<RoomKey> = (0..60).map(|n| RoomKey::of(&n.to_string())).collect();
    let mut sent = 0;
    for (n, room) in rooms.iter().enumerate() {
        for m in 0..=n % 3 {
            store.counts(&message_in(room, &format!("{n}-{m}"), T)).await;
            sent += 1;
        }
        assert_eq!(store.badge().await, sent);
    }
    let now = store.now().await;
    assert!(now.unread.len() <= MOST_ROOMS && now.spilled > 0, "{} rooms, {} spilled", now.unread.len(), now.spilled);
    // A folded room that gets another message is in both places, and reading it clears both.
    for (n, room) in rooms.iter().enumerate() {
        store.counts(&message_in(room, &format!("{n}-more"), T)).await;
        let badge = store.badge().await;
        let read = store
            .read_room(&app(), &client(), room, Reading::Written(T.plus(Duration::from_secs(n as u64))))
            .await
            .unwrap();
        assert_eq!(badge - read.badge(BadgeFrom::Rooms), u32::try_from(n % 3).unwrap() + 2, "room {n}");
    }
    assert_eq!(store.badge().await, 0);
    assert_eq!(store.now().await.spilled, 0);
}

#[tokio::test]
async fn reading_everything_takes_the_folded_rooms_along() {
    let store = store().await;
    for n in 0..50 {
        store.counts(&message_in(&RoomKey::of(&n.to_string()), &n.to_string(), T)).await;
    }
    assert_eq!(store.read_all(&app(), &client(), Reading::Written(T)).await.unwrap().badge(BadgeFrom::Rooms), 0);
    // No old count comes back when a folded room is read later.
    store.counts(&message_in(&RoomKey::of("0"), "new", T.plus(Duration::from_secs(1)))).await;
    store
        .read_room(&app(), &client(), &RoomKey::of("0"), Reading::Written(T.plus(Duration::from_secs(2))))
        .await
        .unwrap();
    assert_eq!(store.badge().await, 0);
}

#[tokio::test]
async fn sources_and_muted_rooms_are_capped() {
    let store = store().await;
    for n in 0..MOST_SOURCES {
        store.set_source(&app(), &client(), &format!("s{n}"), 1).await.unwrap();
    }
    let refused = store.set_source(&app(), &client(), "more", 1).await.unwrap_err();
    assert_eq!(refused.to_string(), "the client has too many sources");
    store.set_source(&app(), &client(), "s0", 9).await.unwrap();
    store.set_source(&app(), &client(), "s1", 0).await.unwrap();
    store.set_source(&app(), &client(), "more", 1).await.unwrap();
    for n in 0..MOST_MUTED {
        store.mute(&app(), &client(), &RoomKey::of(&n.to_string())).await.unwrap();
    }
    store.mute(&app(), &client(), &RoomKey::of("0")).await.unwrap();
    let refused = store.mute(&app(), &client(), &RoomKey::of("more")).await.unwrap_err();
    assert_eq!(refused.to_string(), "the client has too many muted rooms");
}

#[tokio::test]
async fn a_muted_sender_is_as_a_muted_room_and_a_blocked_one_comes_through_for_no_mention() {
    for (list, unmentioned, mentioned) in [
        (names::MUTED_SENDERS, Some(NotCounted::Muted), None),
        (names::BLOCKED_SENDERS, Some(NotCounted::Blocked), Some(NotCounted::Blocked)),
    ] {
        let (env, dynamodb) = test_tables::start().await;
        let store = Recipients::new(&env).unwrap();
        let senders = aws_sdk_dynamodb::types::AttributeValue::Ss(vec!["other".to_owned(), "sss".to_owned()]);
        let put = dynamodb.put_item().table_name("recipients").item("pk", super::store::text("demo#aaa"));
        put.item(list, senders).send().await.unwrap();
        assert_eq!(store.counts(&message("m1", T)).await, unmentioned);
        assert_eq!(store.now().await.marks(), (0, 0), "it may yet be counted");
        let counted = store.count(&app(), &client(), &message("m1", T), true).await.unwrap();
        assert_eq!(counted.not, mentioned);
        let other = Counting { sender: Some("ss".to_owned()), ..message("m2", T) };
        assert_eq!(store.counts(&other).await, None, "whole names are compared");
        assert_eq!(store.counts(&Counting { sender: None, ..message("m3", T) }).await, None);
    }
}

#[tokio::test]
async fn who_leaves_a_room_loses_its_count_and_who_is_not_known_stays_so() {
    let store = store().await;
    store.counts(&message("m1", T)).await;
    let left = store.leave_room(&app(), &client(), &room(), T.plus(Duration::from_secs(1))).await.unwrap();
    assert_eq!(left.badge(BadgeFrom::Rooms), 0);
    assert_eq!(store.counts(&message("m2", T)).await, Some(NotCounted::Read), "what was on its way is not counted");
    let stranger = ClientId::parse("stranger").unwrap();
    assert_eq!(store.leave_room(&app(), &stranger, &room(), T).await.unwrap(), Recipient::default());
    assert_eq!(store.get(&app(), &stranger, true).await.unwrap(), None);
}

#[tokio::test]
async fn many_clients_are_read_at_once() {
    let store = store().await;
    let clients: Vec<ClientId> = (0..130).map(|n| ClientId::parse(format!("c{n}")).unwrap()).collect();
    for client in &clients {
        store.count(&app(), client, &message("m1", T), false).await.unwrap();
    }
    let mut asked = clients.clone();
    asked.push(ClientId::parse("nobody").unwrap());
    let found = store.get_all(&app(), &asked).await.unwrap();
    assert_eq!(found.len(), 130);
    assert!(clients.iter().all(|client| found[client].badge(BadgeFrom::Rooms) == 1));
}

/// The population of the design's bars: real token lengths, two devices, five rooms with unread messages, marks in steady state.
/// The first tag is the alias too; so many attributes are indexed. What 400 counts of it cost: how often how many units, the units of everything per count, the units read.
async fn units_of_the_population(
    preferences: &PreferencesChange,
    tags: &[&str],
    attributes: usize,
) -> (BTreeMap<u32, u64>, f64, f64) {
    let (env, dynamodb) = test_tables::start().await;
    let store = Recipients::new(&env).unwrap().measured();
    let person = ClientId::parse("65a1f0c2e4b0a1d2c3f40001").unwrap();
    let device = |key: &str, channel, token: String, endpoint: Option<&str>| Device {
        key: DeviceKey::of("kind", key),
        channel,
        token: Token::parse(token).unwrap(),
        endpoint: endpoint.map(str::to_owned),
        sandbox: false,
        registered_at: T,
        framework: None,
        locale: None,
    };
    let ios = device("1", Channel::Sns, "a".repeat(64), Some("5e3e9847-3183-3f18-a7e8-671c3a57d4b3"));
    let android = device("2", Channel::Fcm, "f".repeat(163), None);
    let put = dynamodb.put_item().table_name("recipients").item("pk", super::store::text(format!("demo#{person}")));
    let put = put.item(names::device(&ios.key), ios.to_attribute());
    let mut put = put.item(names::device(&android.key), android.to_attribute());
    if let Some(alias) = tags.first() {
        let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        put = put.item(names::ALIAS, super::store::text(*alias));
        put = put.item(names::TAGS, aws_sdk_dynamodb::types::AttributeValue::Ss(tags));
    }
    if attributes > 0 {
        let keys = (0..attributes).map(|n| AttributeKey::of(&n.to_string(), "v").as_str().to_owned()).collect();
        put = put.item(names::INDEXED, aws_sdk_dynamodb::types::AttributeValue::Ss(keys));
    }
    put.send().await.unwrap();
    store.change_preferences(&app(), &person, preferences).await.unwrap();
    let (_, before, read_before) = store.units().unwrap().snapshot();
    // A message every 36 s: a set of marks closes with 25 of them, 15 minutes old. Rooms are read now and then.
    let rooms: Vec<RoomKey> = (0..5).map(|n| RoomKey::of(&n.to_string())).collect();
    let total = 400_u64;
    for n in 0..total {
        let at = T.plus(Duration::from_secs(36 * n));
        let room = &rooms[usize::try_from(n % 5).unwrap()];
        store.count(&app(), &person, &message_in(room, &n.to_string(), at), false).await.unwrap();
        if n % 50 == 49 {
            store.read_room(&app(), &person, room, Reading::Written(at)).await.unwrap();
        }
    }
    let (counts, others, reads) = store.units().unwrap().snapshot();
    let units: u64 = counts.iter().map(|(units, times)| u64::from(*units) * times).sum();
    let reported = 8.0 + before;
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let mean = (units as f64 + others - reported) / total as f64;
    (counts, mean, reads - read_before)
}

#[tokio::test]
async fn a_count_costs_one_write_unit_at_the_population_of_the_bars() {
    let (counts, mean, reads) = units_of_the_population(&PreferencesChange::default(), &[], 0).await;
    assert_eq!(counts.keys().copied().collect::<Vec<_>>(), [1], "an item outgrew its unit: {counts:?}");
    assert!(mean <= 1.05, "{mean} units a count, rotations included");
    assert!(reads == 0.0, "{reads} units read");
}

#[tokio::test]
async fn a_count_costs_one_write_unit_with_quiet_hours_and_ten_muted_senders() {
    let senders: Vec<String> = (0..10).map(|n| format!("65a1f0c2e4b0a1d2c3f4{n:0>4}")).collect();
    let mut preferences = PreferencesChange::default();
    preferences.quiet(QuietHours::parse("22:00", "07:00").ok());
    preferences.zone(Zone::parse("Europe/Berlin").ok());
    preferences.locale(Some("de-AT")).unwrap();
    preferences.muted_senders(senders.iter().map(String::as_str)).unwrap();
    let (counts, ..) = units_of_the_population(&preferences, &[], 0).await;
    assert_eq!(counts.keys().copied().collect::<Vec<_>>(), [1], "an item outgrew its unit: {counts:?}");
}

#[tokio::test]
async fn a_count_costs_one_write_unit_with_an_alias_and_ten_tags() {
    let tags = [
        "android-beta",
        "berlin",
        "lang:de-AT",
        "orders",
        "premium",
        "riders",
        "shift-early",
        "team-0042",
        "v7",
        "vip",
    ];
    let (counts, ..) = units_of_the_population(&PreferencesChange::default(), &tags, 0).await;
    assert_eq!(counts.keys().copied().collect::<Vec<_>>(), [1], "an item outgrew its unit: {counts:?}");
}

#[tokio::test]
async fn a_count_costs_one_write_unit_with_eight_indexed_attributes() {
    let (counts, ..) = units_of_the_population(&PreferencesChange::default(), &[], 8).await;
    assert_eq!(counts.keys().copied().collect::<Vec<_>>(), [1], "an item outgrew its unit: {counts:?}");
}
