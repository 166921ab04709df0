#![allow(clippy::unwrap_used)]

use super::super::store::number;
use super::*;
use crate::test_tables;

fn ids() -> (AppId, ClientId) {
    (AppId::parse("demo").unwrap(), ClientId::parse("aaa").unwrap())
}

async fn store() -> Recipients {
    let (env, _) = test_tables::start().await;
    Recipients::new(&env).unwrap().measured()
}

fn change(say: impl FnOnce(&mut PreferencesChange)) -> PreferencesChange {
    let mut change = PreferencesChange::default();
    say(&mut change);
    change
}

fn everything() -> PreferencesChange {
    change(|change| {
        change.off(true);
        change.quiet(QuietHours::parse("22:00", "07:00").ok());
        change.zone(Zone::parse("Europe/Berlin").ok());
        change.hide(true);
        change.muted_senders(["u2", "u3"]).unwrap();
        change.blocked_senders(["u4"]).unwrap();
        change.locale(Some("de-AT")).unwrap();
        change.nickname(Some("Ana")).unwrap();
    })
}

#[tokio::test]
async fn what_is_said_changes_and_what_is_not_stays() {
    let (store, (app, client)) = (store().await, ids());
    let all = store.change_preferences(&app, &client, &everything()).await.unwrap().preferences;
    assert_eq!(all, everything().changed);
    assert_eq!(store.get(&app, &client, true).await.unwrap().unwrap().preferences, all);
    let on = store.change_preferences(&app, &client, &change(|change| change.off(false))).await.unwrap();
    assert_eq!(on.preferences, Preferences { off: false, ..all.clone() });
    let same = store.change_preferences(&app, &client, &PreferencesChange::default()).await.unwrap();
    assert_eq!(same, on);
    let defaults = change(|change| {
        change.quiet(None);
        change.zone(None);
        change.hide(false);
        change.muted_senders([]).unwrap();
        change.blocked_senders([]).unwrap();
        change.locale(None).unwrap();
        change.nickname(None).unwrap();
    });
    let none = store.change_preferences(&app, &client, &defaults).await.unwrap();
    assert_eq!(none, Recipient::default(), "nothing is left that a count would pay for");
}

#[tokio::test]
async fn the_attributes_of_preferences_are_those_that_a_judge_asks_for() {
    let (env, dynamodb) = test_tables::start().await;
    let (store, (app, client)) = (Recipients::new(&env).unwrap(), ids());
    store.change_preferences(&app, &client, &everything()).await.unwrap();
    store.mute(&app, &client, &crate::id::RoomKey::of("r")).await.unwrap();
    let item = dynamodb.get_item().table_name("recipients").key("pk", crate::recipient::store::text("demo#aaa"));
    let mut written: Vec<String> = item.send().await.unwrap().item.unwrap().into_keys().collect();
    written.retain(|name| name != names::PK);
    written.sort();
    let mut asked = names::PREFERENCES;
    asked.sort_unstable();
    assert_eq!(written, asked);
}

#[tokio::test]
async fn a_change_is_one_update() {
    let (store, (app, client)) = (store().await, ids());
    store.change_preferences(&app, &client, &everything()).await.unwrap();
    store.change_preferences(&app, &client, &change(|change| change.hide(false))).await.unwrap();
    assert_eq!(store.units().unwrap().snapshot().1, 2.0);
}

#[tokio::test]
async fn muted_and_blocked_senders_have_one_cap_of_bytes_whichever_is_written() {
    let (store, (app, client)) = (store().await, ids());
    let long = |n: usize| -> Vec<String> { (0..n).map(|i| format!("{i:0>200}")).collect() };
    let mute = |n| change(|change| change.muted_senders(long(n).iter().map(String::as_str)).unwrap());
    let block = |n| change(|change| change.blocked_senders(long(n).iter().map(String::as_str)).unwrap());
    store.change_preferences(&app, &client, &mute(5)).await.unwrap();
    store.change_preferences(&app, &client, &block(5)).await.unwrap();
    for too_much in [mute(6), block(6), mute(11)] {
        let refused = store.change_preferences(&app, &client, &too_much).await.unwrap_err();
        assert!(
            matches!(refused, StoreError::TooMany("muted and blocked senders: their ids have more than 2048 bytes")),
            "{refused}"
        );
    }
    store.change_preferences(&app, &client, &mute(0)).await.unwrap();
    store.change_preferences(&app, &client, &block(10)).await.unwrap();
    let both = change(|change| {
        change.muted_senders(long(8).iter().map(String::as_str)).unwrap();
        change.blocked_senders(["u1"]).unwrap();
    });
    let now = store.change_preferences(&app, &client, &both).await.unwrap().preferences;
    assert_eq!((now.muted_senders.len(), now.blocked_senders.len()), (8, 1));
}

#[tokio::test]
async fn two_writers_at_once_do_not_pass_the_cap_together() {
    let (store, (app, client)) = (store().await, ids());
    let long: Vec<String> = (0..6).map(|i| format!("{i:0>200}")).collect();
    let mute = change(|change| change.muted_senders(long.iter().map(String::as_str)).unwrap());
    let block = change(|change| change.blocked_senders(long.iter().map(String::as_str)).unwrap());
    let (muted, blocked) =
        tokio::join!(store.change_preferences(&app, &client, &mute), store.change_preferences(&app, &client, &block));
    assert!(muted.is_ok() != blocked.is_ok(), "one of them is too much");
}

#[tokio::test]
async fn what_another_release_wrote_in_another_form_is_the_default() {
    let mut preferences = Preferences::default();
    for name in names::PREFERENCES {
        preferences.take(name, AttributeValue::Null(true));
    }
    preferences.take(names::QUIET, number(0));
    assert_eq!(preferences, Preferences::default());
}
