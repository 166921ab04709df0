//! The registry against an embedded DynamoDB: one test for each way in which registrations collide.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod adopt;
mod attributes;
mod gate;
mod members;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;

use super::rows::{self, Seen, token_row};
use super::transact::Written;
use super::{Labels, Registry, Which};
use crate::app::AttributesSettings;
use crate::delivery::Channel;
use crate::env::Environment;
use crate::id::{AppId, ClientId, DeviceKey, RoomKey, Token};
use crate::recipient::{Device, Recipients, names};
use crate::test_tables;
use crate::time::Timestamp;

struct Tables {
    env: Environment,
    registry: Arc<Registry>,
    recipients: Arc<Recipients>,
    dynamodb: aws_sdk_dynamodb::Client,
}

impl Tables {
    async fn new() -> Self {
        let (env, dynamodb) = test_tables::start().await;
        let (registry, recipients) = (Registry::new(&env).unwrap(), Recipients::new(&env).unwrap());
        Self { env, registry: Arc::new(registry), recipients: Arc::new(recipients), dynamodb }
    }

    async fn seen(&self, client: &str) -> Seen {
        self.registry.seen(&app(), &self::client(client)).await.unwrap()
    }

    async fn register(&self, client: &str, device: Device) -> super::Registered {
        self.registry.register(&app(), &self::client(client), device).await.unwrap()
    }

    /// The ids under which a client's item holds devices.
    async fn devices(&self, client: &str) -> Vec<Device> {
        let recipient = self.recipients.get(&app(), &self::client(client), true).await.unwrap();
        recipient.map(|recipient| recipient.devices).unwrap_or_default()
    }

    /// Client and device key of a token's row.
    async fn owner(&self, token: &str) -> Option<(String, DeviceKey)> {
        let row = token_row(&app(), Channel::Sns, &Token::parse(token).unwrap());
        let owner = self.registry.owner(&row).await.unwrap()?;
        Some((owner.client.as_str().to_owned(), owner.device))
    }

    async fn everything(&self, table: &str) -> Vec<HashMap<String, AttributeValue>> {
        self.dynamodb.scan().table_name(table).consistent_read(true).send().await.unwrap().items.unwrap_or_default()
    }

    /// The rows are what the items say, and the index is what the attributes say.
    async fn is_consistent(&self) {
        self.rows_are_what_the_items_say().await;
        let (mut called_for, mut there) = (BTreeSet::new(), BTreeSet::new());
        for mut item in self.everything("recipients").await {
            let Some(AttributeValue::S(pk)) = item.remove("pk") else { unreachable!("a key is a text") };
            if let Some(client) = pk.strip_suffix("\u{1}a") {
                let keys = indexed().keys(&crate::recipient::attributes::of_item(item));
                called_for.extend(keys.into_iter().map(|key| (client.to_owned(), key)));
            } else {
                there.extend(Labels::take_from(&mut item).attributes.into_iter().map(|key| (pk.clone(), key)));
            }
        }
        assert_eq!(called_for, there);
    }

    /// The registry's rows, but for when they were written, are exactly those that the items' devices and labels call for.
    async fn rows_are_what_the_items_say(&self) {
        let (mut called_for, mut there) = (BTreeSet::new(), BTreeSet::new());
        for mut item in self.everything("recipients").await {
            let Some(AttributeValue::S(pk)) = item.remove("pk") else { unreachable!("a key is a text") };
            if pk.contains('\u{1}') {
                continue;
            }
            let name = pk.strip_prefix("demo#").unwrap().to_owned();
            let labels = Labels::take_from(&mut item);
            for device in crate::recipient::Recipient::from_item(item).devices {
                let row = token_row(&app(), device.channel, &device.token);
                called_for.insert((
                    row,
                    "-".to_owned(),
                    Some(name.clone()),
                    Some(device.key.as_str().to_owned()),
                    None,
                ));
                for audience in labels.audiences() {
                    let (partition, place) = members::row(&audience, &client(&name), &device.key);
                    called_for.insert((partition, place, None, None, Some(device.channel.letter().to_owned())));
                }
            }
            if let Some(alias) = &labels.alias {
                called_for.insert((format!("demo#owner#{alias}"), "-".to_owned(), Some(name), None, None));
            }
        }
        for row in self.everything("registry").await {
            let text = |name: &str| row.get(name).map(|value| value.as_s().unwrap().clone());
            let (owner, device) = (text(rows::CLIENT), text(rows::DEVICE));
            there.insert((text("pk").unwrap(), text("sk").unwrap(), owner, device, text("ch")));
        }
        assert_eq!(called_for, there);
    }
}

/// Eight names of attributes make audiences in these tests.
fn indexed() -> AttributesSettings {
    serde_json::from_str(r#"{"indexed": ["a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7"]}"#).unwrap()
}

fn app() -> AppId {
    AppId::parse("demo").unwrap()
}

fn client(name: &str) -> ClientId {
    ClientId::parse(name).unwrap()
}

fn key(id: &str) -> DeviceKey {
    DeviceKey::of("ios", id)
}

fn device(id: &str, token: &str, at: u64) -> Device {
    Device {
        key: key(id),
        channel: Channel::Sns,
        token: Token::parse(token).unwrap(),
        endpoint: None,
        sandbox: false,
        registered_at: Timestamp::from_millis(at),
        framework: None,
        locale: None,
    }
}

#[tokio::test]
async fn a_token_that_another_client_registers_leaves_its_old_owner() {
    let tables = Tables::new().await;
    tables.register("u1", device("d1", "aa", 1)).await;
    tables.register("u1", device("d2", "bb", 1)).await;
    tables
        .recipients
        .set_endpoint(&app(), &client("u1"), &key("d1"), &Token::parse("aa").unwrap(), "e-1")
        .await
        .unwrap();

    let registered = tables.register("u2", device("d9", "aa", 2)).await;
    assert_eq!(registered.device.endpoint.as_deref(), Some("e-1"), "the endpoint goes with the token");
    assert!(registered.released.is_empty());
    assert_eq!(tables.devices("u1").await, [device("d2", "bb", 1)]);
    assert_eq!(tables.devices("u2").await, [registered.device]);
    assert_eq!(tables.owner("aa").await, Some(("u2".to_owned(), key("d9"))));
    tables.is_consistent().await;
}

#[tokio::test]
async fn a_token_under_another_device_of_the_same_client_moves() {
    let tables = Tables::new().await;
    tables.register("u1", device("d1", "aa", 1)).await;
    tables.register("u1", device("d2", "aa", 2)).await;
    assert_eq!(tables.devices("u1").await, [device("d2", "aa", 2)]);
    assert_eq!(tables.owner("aa").await, Some(("u1".to_owned(), key("d2"))));
    tables.is_consistent().await;
}

#[tokio::test]
async fn a_device_with_another_token_forgets_the_former_one() {
    let tables = Tables::new().await;
    tables.register("u1", device("d1", "aa", 1)).await;
    let registered = tables.register("u1", device("d1", "bb", 2)).await;
    assert_eq!(registered.released, [device("d1", "aa", 1)]);
    assert_eq!(tables.devices("u1").await, [device("d1", "bb", 2)]);
    assert_eq!(tables.owner("aa").await, None);
    tables.is_consistent().await;
}

#[tokio::test]
async fn a_token_and_a_device_that_both_belong_elsewhere_move_in_one_step() {
    let tables = Tables::new().await;
    tables.register("u1", device("d1", "aa", 1)).await;
    tables.register("u2", device("d2", "bb", 1)).await;
    // u2's phone takes u1's token: it leaves u1, and u2's own former token is gone.
    let registered = tables.register("u2", device("d2", "aa", 2)).await;
    assert_eq!(registered.released, [device("d2", "bb", 1)]);
    assert!(tables.devices("u1").await.is_empty());
    assert_eq!(tables.devices("u2").await, [device("d2", "aa", 2)]);
    assert_eq!(tables.owner("bb").await, None);
    tables.is_consistent().await;
}

#[tokio::test]
async fn the_same_device_with_the_same_token_is_one_device_with_a_newer_time_and_its_endpoint() {
    let tables = Tables::new().await;
    tables.register("u1", device("d1", "aa", 1)).await;
    let token = Token::parse("aa").unwrap();
    tables.recipients.set_endpoint(&app(), &client("u1"), &key("d1"), &token, "e-1").await.unwrap();
    let again = Device { framework: Some("nativescript".to_owned()), ..device("d1", "aa", 2) };
    let registered = tables.register("u1", again.clone()).await;
    assert_eq!(registered.device, Device { endpoint: Some("e-1".to_owned()), ..again });
    assert_eq!(tables.devices("u1").await, [registered.device]);
    tables.is_consistent().await;
}

#[tokio::test]
async fn the_oldest_of_21_devices_goes_with_its_row() {
    let tables = Tables::new().await;
    for i in 0..20 {
        tables.register("u1", device(&format!("d{i}"), &format!("token{i}"), 100 + (i + 13) % 20)).await;
    }
    let registered = tables.register("u1", device("new", "new", 200)).await;
    assert_eq!(registered.released, [device("d7", "token7", 100)]);
    let devices = tables.devices("u1").await;
    assert_eq!(devices.len(), 20);
    assert!(devices.iter().all(|device| device.key != key("d7")));
    assert_eq!(tables.owner("token7").await, None);
    tables.is_consistent().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_registrations_of_one_token_leave_exactly_one_owner() {
    let tables = Tables::new().await;
    for round in 0..5 {
        let token = format!("token{round}");
        let racing = ["u1", "u2", "u3"].map(|name| {
            let (registry, device) = (tables.registry.clone(), device("d1", &token, round));
            tokio::spawn(async move { registry.register(&app(), &client(name), device).await.unwrap() })
        });
        for race in racing {
            race.await.unwrap();
        }
        let mut owners = Vec::new();
        for name in ["u1", "u2", "u3"] {
            if tables.devices(name).await.iter().any(|device| device.token.expose() == token) {
                owners.push((name.to_owned(), key("d1")));
            }
        }
        assert_eq!(owners.len(), 1, "{owners:?}");
        assert_eq!(tables.owner(&token).await.as_ref(), owners.first());
        tables.is_consistent().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_registrations_of_one_client_never_leave_more_than_20_devices() {
    let tables = Tables::new().await;
    for i in 0..19 {
        tables.register("u1", device(&format!("d{i}"), &format!("token{i}"), i)).await;
    }
    let racing = [0, 1, 2].map(|i| {
        let registry = tables.registry.clone();
        let device = device(&format!("new{i}"), &format!("new{i}"), 100 + i);
        tokio::spawn(async move { registry.register(&app(), &client("u1"), device).await.unwrap() })
    });
    for race in racing {
        race.await.unwrap();
    }
    assert_eq!(tables.devices("u1").await.len(), 20);
    tables.is_consistent().await;
}

#[tokio::test]
async fn unregistering_takes_the_own_device_by_key_or_token_and_never_another_client_s() {
    let tables = Tables::new().await;
    tables.register("u1", device("d1", "aa", 1)).await;
    tables.register("u1", device("d2", "bb", 1)).await;
    let (aa, bb) = (Token::parse("AA").unwrap(), Token::parse("bb").unwrap());
    let (d2, d3) = (key("d2"), key("d3"));
    let unregister = |name, which| {
        let registry = tables.registry.clone();
        async move { registry.unregister(&app(), &client(name), which).await.unwrap() }
    };
    assert_eq!(unregister("u2", Which::Token(Channel::Sns, &aa)).await, None);
    assert_eq!(unregister("u1", Which::Token(Channel::Fcm, &bb)).await, None);
    assert_eq!(unregister("u1", Which::Key(&d3)).await, None);
    assert_eq!(tables.devices("u1").await.len(), 2);
    assert_eq!(unregister("u1", Which::Token(Channel::Sns, &aa)).await, Some(device("d1", "aa", 1)));
    assert_eq!(unregister("u1", Which::Key(&d2)).await, Some(device("d2", "bb", 1)));
    assert_eq!(unregister("u1", Which::Key(&d2)).await, None);
    assert!(tables.everything("registry").await.is_empty());
    tables.is_consistent().await;
}

#[tokio::test]
async fn a_dead_token_is_deleted_with_its_row() {
    let tables = Tables::new().await;
    let dead = tables.register("u1", device("d1", "aa", 10)).await.device;
    assert!(tables.registry.remove_dead(&app(), &client("u1"), &dead, Timestamp::from_millis(11)).await.unwrap());
    assert!(tables.devices("u1").await.is_empty());
    assert!(tables.everything("registry").await.is_empty());
    assert!(!tables.registry.remove_dead(&app(), &client("u1"), &dead, Timestamp::from_millis(11)).await.unwrap());
    assert!(!tables.registry.remove_dead(&app(), &client("nobody"), &dead, Timestamp::from_millis(11)).await.unwrap());
    assert_eq!(tables.everything("recipients").await.len(), 1, "nobody is made by a removal");
}

#[tokio::test]
async fn a_dead_token_survives_that_was_registered_again_since() {
    let tables = Tables::new().await;
    let sent_to = tables.register("u1", device("d1", "aa", 10)).await.device;
    tables.register("u1", device("d1", "aa", 20)).await;
    assert!(!tables.registry.remove_dead(&app(), &client("u1"), &sent_to, Timestamp::from_millis(20)).await.unwrap());
    assert_eq!(tables.devices("u1").await, [device("d1", "aa", 20)]);
    tables.is_consistent().await;
}

#[tokio::test]
async fn a_dead_token_s_device_survives_with_its_new_token() {
    let tables = Tables::new().await;
    let sent_to = tables.register("u1", device("d1", "aa", 10)).await.device;
    tables.register("u1", device("d1", "bb", 11)).await;
    assert!(!tables.registry.remove_dead(&app(), &client("u1"), &sent_to, Timestamp::from_millis(99)).await.unwrap());
    assert_eq!(tables.devices("u1").await, [device("d1", "bb", 11)]);
    tables.is_consistent().await;
}

#[tokio::test]
async fn a_dead_device_goes_and_the_row_of_the_token_s_next_owner_stays() {
    let tables = Tables::new().await;
    let dead = tables.register("u1", device("d1", "aa", 10)).await.device;
    // What a table restored from a backup may hold: u1's device, and a row that is another's.
    tables.register("u2", device("d2", "aa", 11)).await;
    let item = HashMap::from([
        ("pk".to_owned(), AttributeValue::S("demo#u1".to_owned())),
        (names::device(&dead.key), dead.to_attribute()),
    ]);
    tables.dynamodb.put_item().table_name("recipients").set_item(Some(item)).send().await.unwrap();
    assert!(tables.registry.remove_dead(&app(), &client("u1"), &dead, Timestamp::from_millis(99)).await.unwrap());
    assert_eq!(tables.owner("aa").await, Some(("u2".to_owned(), key("d2"))));
    tables.is_consistent().await;
}

#[tokio::test]
async fn erasing_a_client_leaves_nothing_and_touches_nobody_else() {
    let tables = Tables::new().await;
    tables.register("u1", device("d1", "aa", 1)).await;
    tables.register("u1", device("d2", "bb", 1)).await;
    tables.register("u2", device("d1", "cc", 1)).await;
    tables.recipients.set_source(&app(), &client("u1"), "orders", 3).await.unwrap();
    tables.recipients.mute(&app(), &client("u1"), &RoomKey::of("r")).await.unwrap();
    let spill = AttributeValue::S(names::spill(&app(), &client("u1")));
    tables.dynamodb.put_item().table_name("recipients").item("pk", spill).send().await.unwrap();

    let erased = tables.registry.erase(&app(), &client("u1")).await.unwrap();
    assert_eq!(erased.len(), 2);
    assert_eq!(tables.everything("recipients").await.len(), 1);
    assert_eq!(tables.everything("registry").await.len(), 2, "u2's token and membership");
    assert!(tables.registry.erase(&app(), &client("u1")).await.unwrap().is_empty(), "again: nothing to do");
    assert_eq!(tables.devices("u2").await, [device("d1", "cc", 1)]);
    tables.is_consistent().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registration_during_an_erasure_is_erased_or_whole() {
    let tables = Tables::new().await;
    for round in 0..5_u64 {
        tables.register("u1", device("d1", "aa", round)).await;
        let registry = tables.registry.clone();
        let racing =
            tokio::spawn(async move { registry.register(&app(), &client("u1"), device("d2", "bb", round)).await });
        tables.registry.erase(&app(), &client("u1")).await.unwrap();
        racing.await.unwrap().unwrap();
        tables.is_consistent().await;
    }
}

#[tokio::test]
async fn devices_that_were_never_registered_here_do_not_stand_in_the_way() {
    let tables = Tables::new().await;
    let stray = device("d1", "aa", 1);
    let item = HashMap::from([
        ("pk".to_owned(), AttributeValue::S("demo#u1".to_owned())),
        (names::device(&stray.key), stray.to_attribute()),
    ]);
    tables.dynamodb.put_item().table_name("recipients").set_item(Some(item)).send().await.unwrap();
    tables.register("u1", device("d1", "bb", 2)).await;
    assert_eq!(tables.devices("u1").await, [device("d1", "bb", 2)]);
    tables.is_consistent().await;
    assert!(tokio::time::timeout(Duration::from_secs(5), tables.registry.erase(&app(), &client("u1"))).await.is_ok());
}

#[tokio::test]
async fn a_refresh_that_comes_too_late_brings_nothing_back() {
    let tables = Tables::new().await;
    let seen = tables.register("u1", device("d1", "aa", 1)).await.device;
    let refresh = async |seen: &Device| {
        let update = tables.registry.refresh_device(&app(), &client("u1"), seen, &device("d1", "aa", 9)).unwrap();
        tables.registry.update_alone(&update).await.unwrap()
    };
    tables.recipients.set_endpoint(&app(), &client("u1"), &key("d1"), &seen.token, "e-1").await.unwrap();
    assert_eq!(refresh(&seen).await, Written::Refused(vec![0]), "the endpoint that was made since would be lost");
    let with_endpoint = Device { endpoint: Some("e-1".to_owned()), ..seen };
    tables.register("u2", device("d2", "aa", 2)).await;
    assert_eq!(refresh(&with_endpoint).await, Written::Refused(vec![0]), "the token has moved");
    assert!(tables.devices("u1").await.is_empty());
    tables.is_consistent().await;
}
