//! The four tables on an embedded DynamoDB, for tests of the stores.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType};

use tokio::net::{TcpListener, TcpStream};

use crate::env::{Environment, Service};

/// Starts a database of its own for one test; it goes with the test's runtime.
pub(crate) async fn start() -> (Environment, Client) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let env = environment(&listener);
    let database = dynoxide::Database::memory().unwrap();
    tokio::spawn(dynoxide::server::serve_with_shutdown(listener, database, std::future::pending()));
    let client = crate::aws::dynamodb(&env);
    create(&client, "recipients", &["pk"]).await;
    for table in ["registry", "tasks", "deferred"] {
        create(&client, table, &["pk", "sk"]).await;
    }
    (env, client)
}

/// As [`start`], with the number of connections that were made by who has the environment.
pub(crate) async fn counted() -> (Environment, Arc<AtomicUsize>) {
    let (behind, _) = start().await;
    let address = behind.endpoint(Service::DynamoDb).unwrap().strip_prefix("http://").unwrap().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let env = environment(&listener);
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::Relaxed);
            let mut database = TcpStream::connect(&address).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut socket, &mut database).await });
        }
    });
    (env, count)
}

fn environment(listener: &TcpListener) -> Environment {
    let url = format!("http://{}", listener.local_addr().unwrap());
    let lookup = |name: &str| match name {
        "AWS_REGION" => Some("us-east-1".to_owned()),
        "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" | "STAGE" => Some("test".to_owned()),
        "AWS_ENDPOINT_URL" => Some(url.clone()),
        _ => name.strip_prefix("TABLE_").map(str::to_lowercase),
    };
    Environment::from_lookup(lookup).unwrap()
}

pub(crate) async fn create(client: &Client, table: &str, keys: &[&str]) {
    let mut call = client.create_table().table_name(table).billing_mode(BillingMode::PayPerRequest);
    for (key, kind) in keys.iter().zip([KeyType::Hash, KeyType::Range]) {
        let schema = KeySchemaElement::builder().attribute_name(*key).key_type(kind).build().unwrap();
        let definition =
            AttributeDefinition::builder().attribute_name(*key).attribute_type(ScalarAttributeType::S).build().unwrap();
        call = call.key_schema(schema).attribute_definitions(definition);
    }
    call.send().await.unwrap();
}
