//! What the function needs of AWS: an embedded DynamoDB, and the few calls of Secrets Manager and SQS that it makes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use lambda_http::http::{HeaderMap, StatusCode};
use pushbell::env::Environment;
use serde_json::{Value, json};

use crate::State;

#[derive(Default)]
struct Aws {
    /// By name.
    secrets: BTreeMap<String, String>,
    /// The queue's last segment, and the record.
    queued: Vec<(String, Value)>,
    /// SQS refuses everything.
    sqs_refuses: bool,
}

/// A cloud with the app `demo` in it, and the function.
pub(super) struct Cloud {
    aws: Arc<Mutex<Aws>>,
    dynamodb: aws_sdk_dynamodb::Client,
    pub(super) state: State,
}

impl Cloud {
    pub(super) async fn new() -> Self {
        Self::with(&json!({}), &json!({})).await
    }

    /// A cloud whose app has these documents.
    pub(super) async fn with(settings: &Value, vendors: &Value) -> Self {
        pushbell::telemetry::Lines::collect(env!("CARGO_CRATE_NAME"));
        let aws = Arc::new(Mutex::new(Aws::default()));
        let callers = json!({
            "master_secrets": ["demo-master"],
            "app_secrets": ["demo-app-secret"],
            "api_keys": [super::API_KEY],
            "user_keys": [{"alg": "HS256", "key": super::USER_KEY}],
        });
        for (document, text) in [("callers", callers.to_string()), ("vendors", vendors.to_string())] {
            aws.lock().unwrap().secrets.insert(format!("pushbell/test/apps/demo/{document}"), text);
        }
        let others = serve(aws.clone()).await;
        let env = environment(&others, &serve_dynamodb().await);
        let dynamodb = pushbell::aws::dynamodb(&env);
        fill(&dynamodb, settings).await;
        Self { aws, dynamodb, state: State::new(&env).unwrap() }
    }

    /// The same cloud, whose tables do not answer.
    pub(super) async fn without_tables(self) -> Self {
        let others = serve(self.aws.clone()).await;
        // Secrets Manager's stand-in refuses DynamoDB's calls, for good, so that nothing is tried twice.
        let env = environment(&others, &others);
        Self { state: State::new(&env).unwrap(), ..self }
    }

    /// The same cloud, whose tables take calls and answer none.
    pub(super) async fn with_hanging_tables(self) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tables = format!("http://{}", listener.local_addr().unwrap());
        let router = axum::Router::new().fallback(std::future::pending::<StatusCode>);
        tokio::spawn(async move { axum::serve(listener, router).await });
        let env = environment(&serve(self.aws.clone()).await, &tables);
        Self { state: State::new(&env).unwrap(), ..self }
    }

    pub(super) fn sqs_refuses(&self) {
        self.aws.lock().unwrap().sqs_refuses = true;
    }

    /// What is in the queues: the queue's name and the record.
    pub(super) fn queued(&self) -> Vec<(String, Value)> {
        self.aws.lock().unwrap().queued.clone()
    }

    /// The rows of a table.
    pub(super) async fn rows(&self, table: &str) -> Vec<std::collections::HashMap<String, AttributeValue>> {
        self.dynamodb.scan().table_name(table).send().await.unwrap().items.unwrap_or_default()
    }
}

fn environment(others: &str, dynamodb: &str) -> Environment {
    Environment::from_lookup(|name| match name {
        "AWS_REGION" => Some("us-east-1".to_owned()),
        "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" | "STAGE" => Some("test".to_owned()),
        "AWS_ENDPOINT_URL" => Some(others.to_owned()),
        "AWS_ENDPOINT_URL_DYNAMODB" => Some(dynamodb.to_owned()),
        "QUEUE_FAN_OUT" => Some(format!("{others}/fan-out")),
        "QUEUE_DELIVER" => Some(format!("{others}/deliver")),
        _ => name.strip_prefix("TABLE_").map(str::to_lowercase),
    })
    .unwrap()
}

async fn serve_dynamodb() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let database = dynoxide::Database::memory().unwrap();
    tokio::spawn(dynoxide::server::serve_with_shutdown(listener, database, std::future::pending()));
    url
}

async fn fill(client: &aws_sdk_dynamodb::Client, settings: &Value) {
    let two = &["pk", "sk"][..];
    for (table, keys) in [("recipients", &two[..1]), ("registry", two), ("tasks", two), ("deferred", two)] {
        let mut call = client.create_table().table_name(table).billing_mode(BillingMode::PayPerRequest);
        for (key, kind) in keys.iter().zip([KeyType::Hash, KeyType::Range]) {
            let attribute = AttributeDefinition::builder().attribute_name(*key).attribute_type(ScalarAttributeType::S);
            call = call
                .key_schema(KeySchemaElement::builder().attribute_name(*key).key_type(kind).build().unwrap())
                .attribute_definitions(attribute.build().unwrap());
        }
        call.send().await.unwrap();
    }
    let text = |value: &str| AttributeValue::S(value.to_owned());
    let put = client.put_item().table_name("registry").item("pk", text("demo#settings")).item("sk", text("-"));
    put.item("doc", text(&settings.to_string())).send().await.unwrap();
}

async fn serve(aws: Arc<Mutex<Aws>>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = move |headers: HeaderMap, body: String| {
        let aws = aws.clone();
        async move { aws.lock().unwrap().answer(&headers, &body) }
    };
    let router = axum::Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

impl Aws {
    fn answer(&mut self, headers: &HeaderMap, body: &str) -> (StatusCode, String) {
        let asked: Value = serde_json::from_str(body).unwrap();
        match headers["x-amz-target"].to_str().unwrap() {
            "secretsmanager.GetSecretValue" => match self.secrets.get(asked["SecretId"].as_str().unwrap()) {
                Some(text) => (StatusCode::OK, json!({"SecretString": text}).to_string()),
                None => refused("ResourceNotFoundException"),
            },
            "AmazonSQS.SendMessage" if !self.sqs_refuses => {
                let queue = asked["QueueUrl"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
                let record = serde_json::from_str(asked["MessageBody"].as_str().unwrap()).unwrap();
                self.queued.push((queue, record));
                (StatusCode::OK, json!({"MessageId": "1"}).to_string())
            }
            _ => refused("AccessDeniedException"),
        }
    }
}

fn refused(kind: &str) -> (StatusCode, String) {
    (StatusCode::BAD_REQUEST, json!({"__type": kind, "message": "no"}).to_string())
}
