//! What is claimed and what is not. SQS is not there, so records rest in the deferred table.

#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);
const FRUGAL: FrugalSettings = FrugalSettings { claims: false, stats: crate::app::Stats::Task };

fn message(more: Value) -> Message {
    let origin = json!({"app": "demo", "dialect": "imkit", "message": "m1", "room": "r"});
    let mut message = json!({"origin": origin, "badge": {"add": {"n": 1, "source": "room"}}, "text": {"body": "b"}});
    message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(message).unwrap()
}

fn clients(names: &[&str]) -> Vec<ClientId> {
    names.iter().map(|name| ClientId::parse(*name).unwrap()).collect()
}

async fn rows(client: &Client, table: &str) -> Vec<HashMap<String, AttributeValue>> {
    client.scan().table_name(table).send().await.unwrap().items.unwrap_or_default()
}

#[tokio::test]
async fn without_claims_each_callback_to_one_client_is_a_task_of_its_own_and_nothing_is_written_but_its_record() {
    let (env, client) = crate::test_tables::start().await;
    let intake = Intake::new(&env).unwrap();
    for _ in 0..2 {
        let accepted = intake.submit(message(json!({})), clients(&["aaa"]), FRUGAL, NOW).await.unwrap();
        assert!(!accepted.repeated);
    }
    assert!(rows(&client, "tasks").await.is_empty());
    let records = rows(&client, "deferred").await;
    let texts = records.iter().flat_map(|row| row.values()).filter_map(|value| value.as_s().ok());
    let chunks = texts.filter(|text| text.starts_with('{')).map(|text| serde_json::from_str::<Value>(text).unwrap());
    let mut nonces: Vec<String> = chunks.map(|chunk| chunk["nonce"].as_str().unwrap().to_owned()).collect();
    assert!(nonces.iter().all(|nonce| nonce.len() == 8), "{nonces:?}");
    nonces.sort_unstable();
    nonces.dedup();
    assert_eq!(nonces.len(), 2);
}

#[tokio::test]
async fn what_no_mark_tells_apart_keeps_its_claim_and_so_does_every_message_of_other_apps() {
    let (env, client) = crate::test_tables::start().await;
    let intake = Intake::new(&env).unwrap();
    let later = NOW.plus(Duration::from_secs(60)).as_millis();
    for (more, to, frugal) in [
        (json!({}), &["aaa"][..], FrugalSettings::default()),
        (json!({}), &["aaa", "bbb"], FRUGAL),
        (json!({"badge": {"show": 7}}), &["bbb"], FRUGAL),
        (json!({"behaviour": {"not_before": later}}), &["ccc"], FRUGAL),
        (json!({"behaviour": {"kind": "withdraw"}, "badge": "keep"}), &["aaa"], FRUGAL),
    ] {
        let before = rows(&client, "tasks").await.len();
        let first = intake.submit(message(more.clone()), clients(to), frugal, NOW).await.unwrap();
        assert_eq!(rows(&client, "tasks").await.len(), before + 1, "{more}");
        let again = intake.submit(message(more), clients(to), frugal, NOW).await.unwrap();
        assert_eq!((again.task, again.repeated), (first.task, true));
    }
}
