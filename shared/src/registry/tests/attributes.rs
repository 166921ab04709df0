//! The index of attributes: it says what the attributes say, whoever else is at work and wherever a call ends.

use serde_json::{Value, json};

use super::gate::{Then, Turns, gated};
use super::members::{NOW, many, one, tags};
use super::*;
use crate::id::AttributeKey;
use crate::message::Values;
use crate::recipient::{AttributesChange, MOST_TAGS};
use crate::registry::Audience;

fn change(said: &Value) -> AttributesChange {
    let mut change = AttributesChange::default();
    for (name, value) in said.as_object().unwrap() {
        change.say(name, value).unwrap();
    }
    change
}

fn having(name: &str, value: &str) -> Audience {
    Audience::Attribute(AttributeKey::of(name, value))
}

/// All eight that are indexed.
fn eight(value: &str) -> Value {
    Value::Object(indexed().indexed().iter().map(|name| (name.clone(), json!(value))).collect())
}

/// The two stores that a change of attributes goes through.
struct Stores {
    registry: Registry,
    recipients: Recipients,
}

impl Stores {
    /// Whose calls wait for the turns of `who`.
    fn gated(tables: &Tables, who: usize, turns: &Arc<Turns>) -> Self {
        let env = &tables.env;
        let client = gated(&tables.dynamodb, who, turns);
        let recipients = Recipients::new(env).unwrap().over(client.clone());
        Self { registry: Registry { client, ..Registry::new(env).unwrap() }, recipients }
    }

    async fn patch(&self, name: &str, said: &Value) {
        self.recipients.change_attributes(&app(), &client(name), &change(said)).await.unwrap();
        self.registry.index_attributes(&app(), &client(name), &indexed(), NOW).await.unwrap();
    }
}

impl Tables {
    async fn say(&self, name: &str, said: &Value) -> Values {
        self.recipients.change_attributes(&app(), &client(name), &change(said)).await.unwrap()
    }

    async fn patch(&self, name: &str, said: &Value) {
        self.say(name, said).await;
        self.index(name, &indexed()).await;
    }

    async fn index(&self, name: &str, settings: &AttributesSettings) {
        self.registry.index_attributes(&app(), &client(name), settings, NOW).await.unwrap();
    }
}

#[tokio::test]
async fn every_device_is_in_its_client_s_attributes_whenever_it_came_and_only_the_indexed_ones_count() {
    let tables = Tables::with_devices(1).await;
    tables.patch("u1", &json!({"a0": "Boston Red Sox", "a1": true, "name": "Joe"})).await;
    tables.patch("u2", &json!({"a0": "Boston Red Sox"})).await;
    tables.is_consistent().await;
    assert_eq!(tables.of(&having("a0", "Boston Red Sox")).await, one("u1", "d0"));
    assert_eq!(tables.of(&having("a1", "true")).await, one("u1", "d0"), "a boolean is its text");
    assert!(tables.of(&having("name", "Joe")).await.is_empty());
    tables.register("u2", device("d9", "zz", 1)).await;
    tables.register("u1", device("d1", "yy", 1)).await;
    assert_eq!(tables.of(&having("a0", "Boston Red Sox")).await.len(), 3);
    tables.is_consistent().await;
    tables.registry.unregister(&app(), &client("u2"), Which::Key(&key("d9"))).await.unwrap();
    tables.patch("u1", &json!({"a0": "New York Yankees", "a1": null})).await;
    assert!(tables.of(&having("a0", "Boston Red Sox")).await.is_empty());
    assert!(tables.of(&having("a1", "true")).await.is_empty());
    assert_eq!(tables.of(&having("a0", "New York Yankees")).await.len(), 2);
    tables.is_consistent().await;
}

#[tokio::test]
async fn a_name_that_is_not_indexed_any_more_leaves_with_the_next_change() {
    let tables = Tables::with_devices(1).await;
    tables.patch("u1", &json!({"a0": "x", "a1": "y"})).await;
    let fewer = serde_json::from_value(json!({"indexed": ["a1"]})).unwrap();
    tables.index("u1", &fewer).await;
    assert!(tables.of(&having("a0", "x")).await.is_empty());
    assert_eq!(tables.of(&having("a1", "y")).await, one("u1", "d0"));
    tables.index("u1", &AttributesSettings::default()).await;
    assert_eq!(tables.labels("u1").await, Labels::default());
    tables.rows_are_what_the_items_say().await;
}

#[tokio::test]
async fn a_device_with_all_that_a_client_can_have_comes_and_goes_in_one_transaction() {
    let tables = Tables::with_devices(1).await;
    tables.add_tags("u1", &many(MOST_TAGS)).await.unwrap();
    tables.set_alias("u1", Some("anna")).await.unwrap();
    tables.patch("u1", &eight("x")).await;
    let registered = tables.registry.erasure(&app(), &client("u1"), &tables.seen("u1").await).await.unwrap();
    assert_eq!(registered.len(), 65, "three items, a token, an alias' owner, and a row for each of sixty audiences");
    // Another client takes the token over: the device leaves here, and comes there.
    tables.register("u2", device("d0", "token0", 1)).await;
    tables.is_consistent().await;
    tables.register("u1", device("d0", "token0", 2)).await;
    tables.is_consistent().await;
    assert_eq!(tables.of(&having("a7", "x")).await, one("u1", "d0"));
    tables.registry.erase(&app(), &client("u1")).await.unwrap();
    tables.is_consistent().await;
    assert!(tables.everything("registry").await.is_empty());
}

#[tokio::test]
async fn twenty_devices_with_eight_attributes_change_step_by_step_and_erasing_leaves_nothing() {
    let tables = Tables::with_devices(20).await;
    tables.set_alias("u1", Some("anna")).await.unwrap();
    tables.add_tags("u1", &tags(&["vip"])).await.unwrap();
    tables.patch("u1", &eight("x")).await;
    tables.is_consistent().await;
    tables.patch("u1", &eight("y")).await;
    tables.is_consistent().await;
    assert_eq!(tables.of(&having("a3", "y")).await.len(), 20);
    let erased = tables.registry.erase(&app(), &client("u1")).await.unwrap();
    assert_eq!(erased.len(), 20);
    for table in ["recipients", "registry"] {
        assert!(tables.everything(table).await.is_empty(), "{table}");
    }
}

#[tokio::test]
async fn attributes_of_somebody_without_an_item_of_their_own_are_erased_too() {
    let tables = Tables::new().await;
    tables.say("u1", &json!({"name": "Joe"})).await;
    tables.say("u2", &json!({"name": "Ann"})).await;
    tables.registry.erase(&app(), &client("u1")).await.unwrap();
    assert_eq!(tables.everything("recipients").await.len(), 1);
}

/// One changes an attribute while another changes it, or puts back what was there: in every order of their calls with up to three changes of
/// turns.
#[tokio::test]
async fn of_two_changes_at_once_the_index_says_what_the_attributes_say_in_every_order() {
    let tables = Tables::new().await;
    let mut orders = 0;
    for (first, second, third) in
        (0..7).flat_map(|a| (1..8).flat_map(move |b| (1..8).step_by(2).map(move |c| (a, b, c))))
    {
        for other in ["was", "other"] {
            let name = format!("u{orders}");
            tables.register(&name, device("d", &name, 1)).await;
            tables.patch(&name, &json!({"a0": "was"})).await;
            let order = [(0, first), (1, second), (0, third), (1, 20)];
            let turns = Turns::new(order.into_iter().flat_map(|(who, times)| vec![who; times]), Then::Free);
            let patch = async |who: usize, value: &str| {
                Stores::gated(&tables, who, &turns).patch(&name, &json!({"a0": value})).await;
                turns.is_done(who);
            };
            tokio::join!(patch(0, "one"), patch(1, other));
            let attributes = tables.recipients.attributes(&app(), &client(&name), true).await.unwrap();
            assert_eq!(tables.labels(&name).await.attributes, indexed().keys(&attributes), "{order:?} {other}");
            orders += 1;
        }
    }
    tables.is_consistent().await;
}

/// A change and an erasure, as above.
#[tokio::test]
async fn attributes_that_are_changed_during_an_erasure_are_erased_or_whole() {
    let tables = Tables::new().await;
    let mut orders = 0;
    for (first, second, third) in
        (0..7).flat_map(|a| (1..4).flat_map(move |b| (1..8).step_by(2).map(move |c| (a, b, c))))
    {
        for known in [false, true] {
            let name = format!("u{orders}");
            if known {
                tables.register(&name, device("d", &name, 1)).await;
                tables.patch(&name, &json!({"a0": "was"})).await;
            }
            let order = [(0, first), (1, second), (0, third), (1, 20)];
            let turns = Turns::new(order.into_iter().flat_map(|(who, times)| vec![who; times]), Then::Free);
            let patch = async {
                Stores::gated(&tables, 0, &turns).patch(&name, &json!({"a0": "one"})).await;
                turns.is_done(0);
            };
            let erase = async {
                Stores::gated(&tables, 1, &turns).registry.erase(&app(), &client(&name)).await.unwrap();
                turns.is_done(1);
            };
            tokio::join!(patch, erase);
            orders += 1;
        }
    }
    tables.is_consistent().await;
}

/// Before whichever of its calls a change ends, rows and items agree, and the same change again makes the index say what the attributes say.
#[tokio::test]
async fn a_change_that_is_repeated_after_a_crash_heals_the_index() {
    let tables = Tables::with_devices(20).await;
    tables.patch("u1", &eight("x")).await;
    let (mut value, mut crashes) = (0, 0);
    loop {
        value += 1;
        let said = eight(&value.to_string());
        let turns = Turns::new(vec![0; crashes], Then::Crash);
        let stores = Stores::gated(&tables, 0, &turns);
        let ended = tokio::select! {
            () = stores.patch("u1", &said) => true,
            () = turns.crashed() => false,
        };
        tables.rows_are_what_the_items_say().await;
        tables.patch("u1", &said).await;
        tables.is_consistent().await;
        assert_eq!(tables.of(&having("a7", &value.to_string())).await.len(), 20);
        if ended {
            break;
        }
        crashes += 1;
    }
    assert!(crashes >= 2 + 3 * 4, "two calls for the attributes, three for each of four steps: {crashes}");
}
