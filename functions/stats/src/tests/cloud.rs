//! What the function needs of AWS: an embedded DynamoDB, and the one call of Secrets Manager that it makes.

use aws_sdk_dynamodb::types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType};
use lambda_http::http::StatusCode;
use pushbell::env::Environment;
use serde_json::{Value, json};

use crate::State;

/// A cloud with the app `demo` in it, and the function.
pub(super) struct Cloud {
    pub(super) env: Environment,
    pub(super) state: State,
}

impl Cloud {
    pub(super) async fn new() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dynamodb = format!("http://{}", listener.local_addr().unwrap());
        let database = dynoxide::Database::memory().unwrap();
        tokio::spawn(dynoxide::server::serve_with_shutdown(listener, database, std::future::pending()));
        let env = environment(&secrets().await, &dynamodb);
        let client = pushbell::aws::dynamodb(&env);
        for (table, keys) in [("recipients", &["pk"][..]), ("registry", &["pk", "sk"]), ("tasks", &["pk", "sk"])] {
            let mut call = client.create_table().table_name(table).billing_mode(BillingMode::PayPerRequest);
            for (key, kind) in keys.iter().zip([KeyType::Hash, KeyType::Range]) {
                let attribute =
                    AttributeDefinition::builder().attribute_name(*key).attribute_type(ScalarAttributeType::S);
                call = call
                    .key_schema(KeySchemaElement::builder().attribute_name(*key).key_type(kind).build().unwrap())
                    .attribute_definitions(attribute.build().unwrap());
            }
            call.send().await.unwrap();
        }
        Self { state: State::new(&env).unwrap(), env }
    }

    /// A cloud whose tables do not answer.
    pub(super) async fn without_tables() -> Self {
        // The stand-in of Secrets Manager refuses DynamoDB's calls, for good, so that nothing is tried twice.
        let secrets = secrets().await;
        let env = environment(&secrets, &secrets);
        Self { state: State::new(&env).unwrap(), env }
    }

    /// A cloud whose tables take calls and answer none.
    pub(super) async fn with_hanging_tables() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tables = format!("http://{}", listener.local_addr().unwrap());
        let router = axum::Router::new().fallback(std::future::pending::<StatusCode>);
        tokio::spawn(async move { axum::serve(listener, router).await });
        let env = environment(&secrets().await, &tables);
        Self { state: State::new(&env).unwrap(), env }
    }
}

fn environment(secrets: &str, dynamodb: &str) -> Environment {
    Environment::from_lookup(|name| match name {
        "AWS_REGION" => Some("us-east-1".to_owned()),
        "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" | "STAGE" => Some("test".to_owned()),
        "AWS_ENDPOINT_URL" => Some(secrets.to_owned()),
        "AWS_ENDPOINT_URL_DYNAMODB" => Some(dynamodb.to_owned()),
        _ => name.strip_prefix("TABLE_").map(str::to_lowercase),
    })
    .unwrap()
}

async fn secrets() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = axum::Router::new().fallback(async |body: String| answer(&body));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

fn answer(body: &str) -> (StatusCode, String) {
    let asked: Value = serde_json::from_str(body).unwrap_or_default();
    let refused = |kind: &str| (StatusCode::BAD_REQUEST, json!({"__type": kind, "message": "no"}).to_string());
    match asked["SecretId"].as_str() {
        Some("pushbell/test/apps/demo/callers") => {
            let callers = json!({
                "master_secrets": ["demo-master"],
                "api_keys": ["demo.demo-api-key"],
                "user_keys": [{"alg": "HS256", "key": super::USER_KEY}],
            });
            (StatusCode::OK, json!({"SecretString": callers.to_string()}).to_string())
        }
        Some(_) => refused("ResourceNotFoundException"),
        None => refused("AccessDeniedException"),
    }
}
