//! What the function needs of AWS: an embedded DynamoDB, and the few calls of Secrets Manager and SNS that it makes.

use std::collections::{BTreeMap, BTreeSet};
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
    /// ARNs of SNS endpoints.
    endpoints: BTreeSet<String>,
    /// SNS refuses everything.
    sns_refuses: bool,
}

/// A cloud with the app `demo` in it, and the function.
pub(super) struct Cloud {
    aws: Arc<Mutex<Aws>>,
    pub(super) state: State,
}

impl Cloud {
    pub(super) async fn new() -> Self {
        Self::with(json!({}), json!({})).await
    }

    /// A cloud whose app has more in its documents.
    pub(super) async fn with(callers: Value, settings: Value) -> Self {
        let aws = Arc::new(Mutex::new(Aws::default()));
        let document = merged(
            json!({
                "hook_secrets": ["demo-secret"],
                "master_secrets": ["demo-master"],
                "app_secrets": ["demo-app"],
                "api_keys": ["demo.demo-api-key"],
                "user_keys": [{"alg": "HS256", "key": super::USER_KEY}],
            }),
            callers,
        );
        aws.lock().unwrap().secrets.insert("pushbell/test/apps/demo/callers".to_owned(), document.to_string());
        let others = serve(aws.clone()).await;
        let dynamodb = serve_dynamodb().await;
        let env = environment(&others, &dynamodb);
        let settings = merged(
            json!({"sns": {
                "apns": "arn:aws:sns:us-east-1:000000000000:app/APNS/demo",
                "apns_sandbox": "arn:aws:sns:us-east-1:000000000000:app/APNS_SANDBOX/demo",
            }}),
            settings,
        );
        fill(&env, &settings).await;
        Self { aws, state: State::new(&env).unwrap() }
    }

    /// A cloud whose tables do not answer.
    pub(super) async fn without_tables() -> Self {
        let cloud = Self::new().await;
        let others = serve(cloud.aws.clone()).await;
        // Secrets Manager's stand-in refuses DynamoDB's calls, for good, so that nothing is tried twice.
        let env = environment(&others, &others);
        Self { state: State::new(&env).unwrap(), ..cloud }
    }

    pub(super) fn sns_refuses(&self, refuses: bool) {
        self.aws.lock().unwrap().sns_refuses = refuses;
    }

    /// The SNS endpoints that there are, without what they have in common.
    pub(super) fn endpoints(&self) -> Vec<String> {
        let aws = self.aws.lock().unwrap();
        aws.endpoints.iter().map(|arn| arn.split_once(":endpoint/").unwrap().1.to_owned()).collect()
    }
}

fn merged(mut document: Value, more: Value) -> Value {
    document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    document
}

fn environment(others: &str, dynamodb: &str) -> Environment {
    Environment::from_lookup(|name| match name {
        "AWS_REGION" => Some("us-east-1".to_owned()),
        "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" | "STAGE" => Some("test".to_owned()),
        "AWS_ENDPOINT_URL" => Some(others.to_owned()),
        "AWS_ENDPOINT_URL_DYNAMODB" => Some(dynamodb.to_owned()),
        "TABLE_RECIPIENTS" => Some("recipients".to_owned()),
        "TABLE_REGISTRY" => Some("registry".to_owned()),
        _ => None,
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

async fn fill(env: &Environment, settings: &Value) {
    let client = pushbell::aws::dynamodb(env);
    for (table, keys) in [("recipients", &["pk"][..]), ("registry", &["pk", "sk"])] {
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
        match headers.get("x-amz-target").map(|target| target.to_str().unwrap()) {
            Some("secretsmanager.GetSecretValue") => {
                let asked: Value = serde_json::from_str(body).unwrap();
                match self.secrets.get(asked["SecretId"].as_str().unwrap()) {
                    Some(text) => (StatusCode::OK, json!({"SecretString": text}).to_string()),
                    None => refused("ResourceNotFoundException"),
                }
            }
            Some(_) => refused("AccessDeniedException"),
            None => self.sns(body),
        }
    }

    fn sns(&mut self, body: &str) -> (StatusCode, String) {
        let form: BTreeMap<String, String> = body
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.replace("%3A", ":").replace("%2F", "/")))
            .collect();
        if self.sns_refuses {
            let error = "<ErrorResponse><Error><Type>Sender</Type><Code>InvalidParameter</Code><Message>no</Message></Error></ErrorResponse>";
            return (StatusCode::BAD_REQUEST, error.to_owned());
        }
        let action = form["Action"].as_str();
        let result = match action {
            "CreatePlatformEndpoint" => {
                let application = form["PlatformApplicationArn"].replace(":app/", ":endpoint/");
                let arn = format!("{application}/e-{}", form["Token"]);
                self.endpoints.insert(arn.clone());
                format!("<EndpointArn>{arn}</EndpointArn>")
            }
            "GetEndpointAttributes" => {
                let token = form["EndpointArn"].rsplit_once("/e-").unwrap().1;
                let entry = |name: &str, value: &str| format!("<entry><key>{name}</key><value>{value}</value></entry>");
                format!("<Attributes>{}{}</Attributes>", entry("Enabled", "true"), entry("Token", token))
            }
            "DeleteEndpoint" => {
                self.endpoints.remove(&form["EndpointArn"]);
                String::new()
            }
            other => unreachable!("{other}"),
        };
        let namespace = "http://sns.amazonaws.com/doc/2010-03-31/";
        let answer = format!(
            "<{action}Response xmlns=\"{namespace}\"><{action}Result>{result}</{action}Result></{action}Response>"
        );
        (StatusCode::OK, answer)
    }
}

fn refused(kind: &str) -> (StatusCode, String) {
    (StatusCode::BAD_REQUEST, json!({"__type": kind, "message": "no"}).to_string())
}
