//! A client's attributes: merged, kept within their limits, and lost by nobody's haste.

use serde_json::{Value, json};

use super::*;
use crate::message::Values;
use crate::message::template::ValueError;

fn change(said: &Value) -> AttributesChange {
    let mut change = AttributesChange::default();
    for (name, value) in said.as_object().unwrap() {
        change.say(name, value).unwrap();
    }
    change
}

fn values(expected: Value) -> Values {
    serde_json::from_value(expected).unwrap()
}

impl Recipients {
    async fn say(&self, said: &Value) -> Result<Values, StoreError> {
        self.change_attributes(&app(), &client(), &change(said)).await
    }

    async fn known(&self) -> Values {
        self.attributes(&app(), &client(), true).await.unwrap()
    }
}

#[tokio::test]
async fn attributes_are_merged_as_texts_and_null_takes_one_away() {
    let (env, dynamodb) = test_tables::start().await;
    let store = Recipients::new(&env).unwrap();
    assert_eq!(store.known().await, Values::default());
    let said =
        json!({"favoriteTeam": "Boston Red Sox", "age": 42, "vip": true, "nick": "Joe", "none": null, "empty": ""});
    let all = json!({"favoriteTeam": "Boston Red Sox", "age": "42", "vip": "true", "nick": "Joe", "empty": ""});
    assert_eq!(store.say(&said).await.unwrap(), values(all));
    let left = values(json!({"favoriteTeam": "New York Yankees", "age": "42", "vip": "true", "empty": ""}));
    let answered = store.say(&json!({"favoriteTeam": "New York Yankees", "nick": null})).await.unwrap();
    assert_eq!((&answered, &store.known().await), (&left, &left));
    assert_eq!(store.say(&json!({})).await.unwrap(), left, "nothing said, nothing changed");
    assert_eq!(store.get(&app(), &client(), true).await.unwrap(), None, "the client's own item is another");
    store.change_attributes(&app(), &client(), &AttributesChange::all_go()).await.unwrap();
    assert_eq!(store.known().await, Values::default());
    let items = dynamodb.scan().table_name("recipients").send().await.unwrap();
    assert_eq!(items.count, 0, "who has none has no item");
}

#[test]
fn what_cannot_be_an_attribute_is_told() {
    let mut change = AttributesChange::default();
    for name in ["", " a", "a|b", "{a}", "a\nb", &"n".repeat(65)] {
        assert_eq!(change.say(name, &json!("v")), Err(AttributeError::Name), "{name:?}");
        assert_eq!(change.say(name, &Value::Null), Err(AttributeError::Name), "{name:?}");
    }
    for (value, error) in [
        (json!(["v"]), ValueError::Kind),
        (json!({"a": "v"}), ValueError::Kind),
        (json!("v".repeat(1025)), ValueError::TooLong),
    ] {
        assert_eq!(change.say("a", &value), Err(AttributeError::Value(error)));
    }
    assert_eq!(change, AttributesChange::default());
    assert_eq!(change.say(&"n".repeat(64), &json!("v".repeat(1024))), Ok(()));
}

#[tokio::test]
async fn attributes_are_capped_by_number_and_bytes_and_then_nothing_changes() {
    let store = store().await;
    let many = |from: usize, to: usize| Value::Object((from..to).map(|n| (format!("a{n}"), json!(n))).collect());
    store.say(&many(0, MOST_ATTRIBUTES)).await.unwrap();
    let before = store.known().await;
    let too_many = store.say(&many(0, MOST_ATTRIBUTES + 1)).await.unwrap_err().to_string();
    assert_eq!(too_many, "the client has too many attributes: more than 64");
    let long = Value::Object((0..4).map(|n| (format!("a{n}"), json!("v".repeat(1024)))).collect());
    let too_long = store.say(&long).await.unwrap_err().to_string();
    assert!(too_long.ends_with("names, values and the client's id have more than 4096 bytes"), "{too_long}");
    assert_eq!(store.known().await, before);
    let mut instead = many(0, MOST_ATTRIBUTES);
    instead.as_object_mut().unwrap().values_mut().for_each(|value| *value = Value::Null);
    instead["another"] = json!("v");
    assert_eq!(store.say(&instead).await.unwrap(), values(json!({"another": "v"})), "what goes makes room");
}

#[tokio::test]
async fn as_many_attributes_as_there_can_be_are_read_for_half_a_unit() {
    let (env, _) = test_tables::start().await;
    let store = Recipients::new(&env).unwrap().measured();
    let person = ClientId::parse("c".repeat(ClientId::LONGEST)).unwrap();
    let fits = async |bytes: usize| {
        let mut said: serde_json::Map<String, Value> =
            (0..3).map(|n| (format!("a{n}"), json!("v".repeat(1024)))).collect();
        said.insert("last".to_owned(), json!("v".repeat(bytes)));
        store.change_attributes(&app(), &person, &change(&Value::Object(said))).await.is_ok()
    };
    let mut bytes = 0;
    while fits(bytes).await {
        bytes += 1;
        assert!(bytes < 1024, "the limit is never met");
        // Nearly there at once.
        bytes = bytes.max(700);
    }
    assert!(bytes > 700, "the limit is met too early");
    let read = async |consistent| {
        let (_, _, before) = store.units().unwrap().snapshot();
        assert!(!store.attributes(&app(), &person, consistent).await.unwrap().is_empty());
        store.units().unwrap().snapshot().2 - before
    };
    assert!((read(false).await - 0.5).abs() < f64::EPSILON);
    assert!((read(true).await - 1.0).abs() < f64::EPSILON);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_changes_at_once_none_is_lost() {
    let (env, _) = test_tables::start().await;
    let store = std::sync::Arc::new(Recipients::new(&env).unwrap());
    for round in 0..5 {
        let changing = [0, 1, 2, 3].map(|n| {
            let (store, name) = (store.clone(), format!("r{round}n{n}"));
            tokio::spawn(async move { store.say(&json!({name: "v"})).await.unwrap() })
        });
        for one in changing {
            one.await.unwrap();
        }
        assert_eq!(store.known().await.iter().count(), 4 * (round + 1));
    }
}
