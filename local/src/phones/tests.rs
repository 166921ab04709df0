#![allow(clippy::unwrap_used, clippy::expect_used)]

use serde_json::json;

use super::*;

fn phones() -> Phones {
    Phones::new(Store::memory().unwrap()).unwrap()
}

fn apns(title: &str, collapse_id: Option<&str>, lifetime: Lifetime) -> Push {
    let payload = json!({"aps": {"alert": {"title": title, "body": "text"}, "badge": 3, "sound": "ding"}});
    Push::apns(Channel::Sns, "i1", "app", payload, Some("alert"), collapse_id, lifetime)
}

fn tagged(title: &str, tag: &str) -> Push {
    let message = json!({
        "notification": {"title": title, "body": "text"},
        "android": {"notification": {"tag": tag, "notification_count": 2}},
    });
    Push::fcm(Channel::Fcm, "a1", "app", message)
}

fn data(key: Option<&str>, value: usize) -> Push {
    let mut message = json!({"data": {"n": value.to_string()}});
    if let Some(key) = key {
        message["android"] = json!({"collapse_key": key});
    }
    Push::fcm(Channel::Fcm, "a1", "app", message)
}

fn values(phones: &Phones) -> Vec<String> {
    phones
        .notifications(Channel::Fcm, "a1", View::Received)
        .unwrap()
        .iter()
        .map(|found| found.payload["data"]["n"].as_str().unwrap().to_owned())
        .collect()
}

fn titles(phones: &Phones, channel: Channel, token: &str) -> Vec<String> {
    phones
        .notifications(channel, token, View::Received)
        .unwrap()
        .into_iter()
        .map(|found| found.title.unwrap())
        .collect()
}

#[test]
fn an_android_notification_replaces_the_one_with_its_tag() {
    let phones = phones();
    for push in [tagged("one", "t1"), tagged("two", "t2"), tagged("three", "t1")] {
        phones.accept(&push).unwrap();
    }
    assert_eq!(titles(&phones, Channel::Fcm, "a1"), ["three", "two"]);
    let raw = phones.notifications(Channel::Fcm, "a1", View::Raw).unwrap();
    assert_eq!(raw.len(), 3);
    assert_eq!(raw[2].state.as_deref(), Some("replaced"));
    assert_eq!(raw[2].badge, Some(2));
}

#[test]
fn an_apns_notification_replaces_the_one_with_its_collapse_id_only() {
    let phones = phones();
    for (title, collapse_id) in [("a", Some("c")), ("b", None), ("c", None), ("d", Some("c"))] {
        phones.accept(&apns(title, collapse_id, Lifetime::Unlimited)).unwrap();
    }
    assert_eq!(titles(&phones, Channel::Sns, "i1"), ["d", "c", "b"]);
}

#[test]
fn what_shows_nothing_is_silent_and_replaces_nothing() {
    let phones = phones();
    phones.accept(&apns("shown", Some("c"), Lifetime::Unlimited)).unwrap();
    let badge = json!({"aps": {"badge": 0}});
    let alert = json!({"aps": {"alert": "x", "content-available": 1}});
    for (payload, kind) in [(badge, "alert"), (alert, "background")] {
        let push = Push::apns(Channel::Sns, "i1", "app", payload, Some(kind), Some("c"), Lifetime::Unlimited);
        phones.accept(&push).unwrap();
    }
    phones.accept(&data(None, 1)).unwrap();
    let found = phones.notifications(Channel::Sns, "i1", View::Received).unwrap();
    let silent: Vec<bool> = found.iter().map(|one| one.silent).collect();
    assert_eq!(silent, [true, true, false]);
    let found = phones.notifications(Channel::Fcm, "a1", View::Received).unwrap();
    assert!(found[0].silent);
}

#[test]
fn the_text_of_an_alert_is_read_in_each_of_its_forms() {
    for (alert, title, body) in [
        (json!("plain"), None, Some("plain")),
        (json!({"title": "T", "body": "B", "loc-key": "k"}), Some("T"), Some("B")),
        (json!({"loc-key": "k", "loc-args": ["a"]}), None, None),
    ] {
        let payload = json!({"aps": {"alert": alert, "sound": {"name": "bell", "critical": 1}}});
        let push = Push::apns(Channel::Sns, "i", "app", payload, None, None, Lifetime::Unlimited);
        assert_eq!(push.title.as_deref(), title);
        assert_eq!(push.body.as_deref(), body);
        assert_eq!(push.sound.as_deref(), Some("bell"));
        assert!(!push.silent);
    }
}

#[test]
fn apns_keeps_the_newest_push_of_an_app_for_a_phone_that_is_off() {
    let phones = phones();
    phones.set_online(Channel::Sns, "i1", false).unwrap();
    for title in ["one", "two"] {
        phones.accept(&apns(title, None, Lifetime::Unlimited)).unwrap();
    }
    let now_only = apns("three", None, Lifetime::NowOrNever);
    phones.accept(&now_only).unwrap();
    assert!(titles(&phones, Channel::Sns, "i1").is_empty());
    phones.set_online(Channel::Sns, "i1", true).unwrap();
    assert_eq!(titles(&phones, Channel::Sns, "i1"), ["two"]);
}

#[test]
fn fcm_keeps_four_collapse_keys_and_the_newest_of_each() {
    let phones = phones();
    phones.set_online(Channel::Fcm, "a1", false).unwrap();
    for (value, key) in ["k1", "k2", "k1", "k3", "k4", "k5"].into_iter().enumerate() {
        phones.accept(&data(Some(key), value)).unwrap();
    }
    phones.set_online(Channel::Fcm, "a1", true).unwrap();
    assert_eq!(values(&phones), ["5", "4", "3", "2"]);
}

#[test]
fn fcm_keeps_one_notification_of_an_app_whatever_its_collapse_key() {
    let phones = phones();
    phones.set_online(Channel::Fcm, "a1", false).unwrap();
    phones.accept(&data(None, 1)).unwrap();
    for (title, key) in [("one", "k1"), ("two", "k2")] {
        let message = json!({"notification": {"title": title}, "android": {"collapse_key": key}});
        phones.accept(&Push::fcm(Channel::Fcm, "a1", "app", message)).unwrap();
    }
    phones.set_online(Channel::Fcm, "a1", true).unwrap();
    let shown = phones.notifications(Channel::Fcm, "a1", View::Shown).unwrap();
    assert_eq!(shown.iter().map(|one| one.title.as_deref()).collect::<Vec<_>>(), [Some("two")]);
    assert_eq!(phones.notifications(Channel::Fcm, "a1", View::Received).unwrap().len(), 2);
}

#[test]
fn fcm_drops_all_other_messages_with_the_hundred_and_first() {
    let phones = phones();
    phones.set_online(Channel::Fcm, "a1", false).unwrap();
    for value in 0..100 {
        phones.accept(&data(None, value)).unwrap();
    }
    phones.set_online(Channel::Fcm, "a1", true).unwrap();
    assert_eq!(values(&phones).len(), 100);
    phones.clear().unwrap();
    phones.set_online(Channel::Fcm, "a1", false).unwrap();
    phones.accept(&data(Some("kept"), 999)).unwrap();
    for value in 0..101 {
        phones.accept(&data(None, value)).unwrap();
    }
    phones.set_online(Channel::Fcm, "a1", true).unwrap();
    assert_eq!(values(&phones), ["999"]);
}

#[test]
fn a_collapse_key_replaces_nothing_on_a_phone_that_is_on() {
    let phones = phones();
    for value in 0..3 {
        phones.accept(&data(Some("k"), value)).unwrap();
    }
    assert_eq!(values(&phones), ["2", "1", "0"]);
}

#[test]
fn a_dead_phone_takes_nothing_and_is_listed_only_if_it_was_sent_to() {
    let phones = phones();
    phones.set_dead(Channel::Fcm, "a1", true).unwrap();
    assert_eq!(phones.accept(&data(None, 1)).unwrap(), Taken::Dead);
    assert!(phones.list(View::Raw, None).unwrap().is_empty());
    phones.set_dead(Channel::Fcm, "a1", false).unwrap();
    assert_eq!(phones.accept(&data(None, 1)).unwrap(), Taken::Accepted);
    assert_eq!(phones.list(View::Received, None).unwrap().len(), 1);
}

#[test]
fn phones_survive_the_end_of_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store");
    let phones = Phones::new(Store::open(&file).unwrap()).unwrap();
    phones.accept(&tagged("kept", "t")).unwrap();
    phones.set_dead(Channel::Fcm, "gone", true).unwrap();
    // A second connection, while the first is still open: nothing waits for a close.
    let again = Phones::new(Store::open(&file).unwrap()).unwrap();
    assert_eq!(titles(&again, Channel::Fcm, "a1"), ["kept"]);
    assert!(again.is_dead(Channel::Fcm, "gone").unwrap());
}

#[tokio::test]
async fn a_wait_ends_with_the_push_it_waits_for() {
    let phones = phones();
    let waiting = phones.clone();
    let wait = tokio::spawn(async move { waiting.wait_for(Channel::Fcm, "a1", 2).await.unwrap() });
    for value in 0..2 {
        tokio::task::yield_now().await;
        phones.accept(&data(None, value)).unwrap();
    }
    assert_eq!(wait.await.unwrap().len(), 2);
    phones.wait_until_accepted(2).await;
}
