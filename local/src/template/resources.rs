//! The resources that the local stack emulates, as SAM and CloudFormation write them, with those services' defaults.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value as Json;

use super::{
    Asynchronous, Function, Listed, Part, Permission, Queue, QueueSource, Schedule, Subscription, Table, TemplateError,
};
use crate::gateway::routes::Route;

pub(super) fn function(
    id: &str,
    properties: FunctionProperties,
    roles: &BTreeMap<&str, Vec<Permission>>,
) -> Result<Function, TemplateError> {
    let package = properties.code_uri.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned();
    let mut function = Function {
        logical_id: id.to_owned(),
        package,
        timeout: Duration::from_secs(properties.timeout),
        memory_mb: properties.memory_size,
        routes: Vec::new(),
        queues: Vec::new(),
        schedules: Vec::new(),
        asynchronous: Asynchronous {
            retries: properties.event_invoke_config.maximum_retry_attempts,
            on_failure: properties
                .event_invoke_config
                .destination_config
                .and_then(|destinations| destinations.on_failure)
                .map(|target| target.destination.logical_id()),
        },
        environment: properties.environment.variables.into_iter().map(|(name, value)| (name, value.parts())).collect(),
        permissions: properties
            .role
            .and_then(|role| roles.get(role.logical_id().as_str()).cloned())
            .unwrap_or_default(),
        log_group: properties
            .logging_config
            .and_then(|config| config.log_group)
            .map_or_else(|| format!("/aws/lambda/{id}"), Value::logical_id),
    };
    for (name, event) in properties.events {
        match event {
            Event::HttpApi(route) => function.routes.push(
                Route::parse(&route.method, &route.path)
                    .map_err(|source| TemplateError::Route { resource: id.to_owned(), source })?,
            ),
            Event::Sqs(source) => function.queues.push(QueueSource {
                queue: source.queue.logical_id(),
                batch_size: source.batch_size,
                window: Duration::from_secs(source.maximum_batching_window_in_seconds),
                maximum_concurrency: source.scaling_config.maximum_concurrency,
                reports_failures: source.function_response_types.iter().any(|kind| kind == "ReportBatchItemFailures"),
            }),
            Event::ScheduleV2(schedule) => {
                let every = rate(&schedule.schedule_expression).ok_or_else(|| TemplateError::Schedule {
                    resource: id.to_owned(),
                    expression: schedule.schedule_expression.clone(),
                })?;
                function.schedules.push(Schedule { name, every });
            }
        }
    }
    Ok(function)
}

/// `rate(5 minutes)`, as EventBridge Scheduler writes it.
pub(super) fn rate(expression: &str) -> Option<Duration> {
    let (count, unit) = expression.strip_prefix("rate(")?.strip_suffix(')')?.split_once(' ')?;
    let count: u64 = count.parse().ok().filter(|count| *count > 0)?;
    let seconds = match unit {
        "minute" | "minutes" => 60,
        "hour" | "hours" => 3_600,
        "day" | "days" => 86_400,
        _ => return None,
    };
    Some(Duration::from_secs(count * seconds))
}

pub(super) fn permissions(role: RoleProperties) -> Vec<Permission> {
    let statements = role.policies.into_iter().flat_map(|policy| policy.policy_document.statement);
    statements
        .filter(|statement| statement.effect == "Allow")
        .map(|statement| Permission {
            actions: statement.action.into_vec(),
            resources: statement.resource.into_vec().into_iter().map(Value::parts).collect(),
        })
        .collect()
}

/// What CloudFormation lists of a resource: SAM makes a function and something for each of its events out of one of its own. Routes are
/// parts of the API.
pub(super) fn listed(id: &str, kind: &str, properties: Json) -> Vec<Listed> {
    let one =
        |logical_id: String, kind: &str, properties: Json| Listed { logical_id, kind: kind.to_owned(), properties };
    match kind {
        "AWS::Serverless::Function" => {
            let mut all = Vec::new();
            for (name, event) in properties["Events"].as_object().into_iter().flatten() {
                let made = match event["Type"].as_str() {
                    Some("SQS") => "AWS::Lambda::EventSourceMapping",
                    Some("ScheduleV2") => "AWS::Scheduler::Schedule",
                    Some(_) | None => continue,
                };
                all.push(one(format!("{id}{name}"), made, event["Properties"].clone()));
            }
            all.push(one(id.to_owned(), "AWS::Lambda::Function", properties));
            all
        }
        "AWS::Serverless::HttpApi" => vec![one(id.to_owned(), "AWS::ApiGatewayV2::Api", properties)],
        _ => vec![one(id.to_owned(), kind, properties)],
    }
}

/// The pieces of a value that may refer to resources.
pub(super) fn parts(value: Value) -> Vec<Part> {
    value.parts()
}

pub(super) fn table(id: &str, properties: TableProperties) -> Table {
    let key = |kind: &str| {
        properties.key_schema.iter().find(|key| key.key_type == kind).map(|key| key.attribute_name.clone())
    };
    Table {
        logical_id: id.to_owned(),
        partition_key: key("HASH").unwrap_or_default(),
        sort_key: key("RANGE"),
        attributes: properties
            .attribute_definitions
            .into_iter()
            .map(|attribute| (attribute.attribute_name, attribute.attribute_type))
            .collect(),
        ttl_attribute: properties.time_to_live_specification.filter(|ttl| ttl.enabled).map(|ttl| ttl.attribute_name),
    }
}

pub(super) fn queue(id: &str, properties: QueueProperties) -> Queue {
    Queue {
        logical_id: id.to_owned(),
        visibility: Duration::from_secs(properties.visibility_timeout),
        retention: Duration::from_secs(properties.message_retention_period),
        delay: Duration::from_secs(properties.delay_seconds),
        maximum_message_size: properties.maximum_message_size,
        dead_letters: properties
            .redrive_policy
            .map(|policy| (policy.dead_letter_target_arn.logical_id(), policy.max_receive_count)),
    }
}

pub(super) fn subscription(properties: SubscriptionProperties) -> Subscription {
    let SubscriptionProperties { protocol: Protocol::Sqs, raw_message_delivery: Raw, topic_arn, endpoint } = properties;
    Subscription { topic: topic_arn.logical_id(), queue: endpoint.logical_id() }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SubscriptionProperties {
    protocol: Protocol,
    raw_message_delivery: Raw,
    topic_arn: Value,
    endpoint: Value,
}

/// What is emulated of SNS's protocols.
#[derive(Deserialize)]
enum Protocol {
    #[serde(rename = "sqs")]
    Sqs,
}

/// `true`: a queue's record is the message, without SNS's envelope.
#[derive(Deserialize)]
#[serde(try_from = "bool")]
struct Raw;

impl TryFrom<bool> for Raw {
    type Error = &'static str;

    fn try_from(raw: bool) -> Result<Self, Self::Error> {
        if raw { Ok(Self) } else { Err("SNS's envelope is not emulated") }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct FunctionProperties {
    code_uri: String,
    role: Option<Value>,
    timeout: u64,
    memory_size: u32,
    #[serde(default)]
    environment: Environment,
    #[serde(default)]
    events: BTreeMap<String, Event>,
    #[serde(default)]
    event_invoke_config: EventInvokeConfig,
    logging_config: Option<LoggingConfig>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct LoggingConfig {
    log_group: Option<Value>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase")]
struct Environment {
    variables: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct EventInvokeConfig {
    #[serde(default = "two")]
    maximum_retry_attempts: u32,
    destination_config: Option<DestinationConfig>,
}

impl Default for EventInvokeConfig {
    fn default() -> Self {
        Self { maximum_retry_attempts: two(), destination_config: None }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DestinationConfig {
    on_failure: Option<Target>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Target {
    destination: Value,
}

#[derive(Deserialize)]
#[serde(tag = "Type", content = "Properties")]
enum Event {
    HttpApi(HttpApiEvent),
    #[serde(rename = "SQS")]
    Sqs(SqsEvent),
    ScheduleV2(ScheduleEvent),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HttpApiEvent {
    method: String,
    path: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SqsEvent {
    queue: Value,
    #[serde(default = "ten")]
    batch_size: u32,
    #[serde(default)]
    maximum_batching_window_in_seconds: u64,
    #[serde(default)]
    function_response_types: Vec<String>,
    #[serde(default)]
    scaling_config: ScalingConfig,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ScalingConfig {
    #[serde(deserialize_with = "number_or_text")]
    maximum_concurrency: u32,
}

impl Default for ScalingConfig {
    /// Without a limit of its own a mapping grows to the account's: 1000 by default.
    fn default() -> Self {
        Self { maximum_concurrency: 1_000 }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ScheduleEvent {
    schedule_expression: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TableProperties {
    attribute_definitions: Vec<AttributeDefinition>,
    key_schema: Vec<KeySchema>,
    time_to_live_specification: Option<TimeToLive>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AttributeDefinition {
    attribute_name: String,
    attribute_type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct KeySchema {
    attribute_name: String,
    key_type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TimeToLive {
    attribute_name: String,
    enabled: bool,
}

/// Defaults: the SQS API's own.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct QueueProperties {
    #[serde(default = "half_a_minute")]
    visibility_timeout: u64,
    #[serde(default = "four_days")]
    message_retention_period: u64,
    #[serde(default)]
    delay_seconds: u64,
    #[serde(default = "one_mebibyte")]
    maximum_message_size: u32,
    redrive_policy: Option<RedrivePolicy>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RedrivePolicy {
    dead_letter_target_arn: Value,
    max_receive_count: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RoleProperties {
    #[serde(default)]
    policies: Vec<Policy>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Policy {
    policy_document: PolicyDocument,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PolicyDocument {
    statement: Vec<Statement>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Statement {
    effect: String,
    action: OneOrMore<String>,
    resource: OneOrMore<Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore<T> {
    More(Vec<T>),
    One(T),
}

impl<T> OneOrMore<T> {
    fn into_vec(self) -> Vec<T> {
        match self {
            Self::More(items) => items,
            Self::One(item) => vec![item],
        }
    }
}

/// Text, or what [`Scope::evaluate`] leaves of a reference to a resource.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Value {
    Text(String),
    Reference(Reference),
    Other(Json),
}

#[derive(Deserialize)]
pub(super) enum Reference {
    Ref(String),
    #[serde(rename = "Fn::GetAtt")]
    Attribute(String, String),
    #[serde(rename = "Fn::Join")]
    Join(serde::de::IgnoredAny, Vec<Value>),
}

impl Value {
    fn parts(self) -> Vec<Part> {
        match self {
            Self::Text(text) => vec![Part::Text(text)],
            Self::Reference(Reference::Ref(id)) => vec![Part::Ref(id)],
            Self::Reference(Reference::Attribute(id, attribute)) => vec![Part::Attribute(id, attribute)],
            Self::Reference(Reference::Join(_, values)) => values.into_iter().flat_map(Self::parts).collect(),
            Self::Other(other) => vec![Part::Text(other.to_string())],
        }
    }

    /// The resource that is meant; text stands for itself.
    fn logical_id(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Reference(Reference::Ref(id) | Reference::Attribute(id, _)) => id,
            Self::Reference(Reference::Join(..)) => String::new(),
            Self::Other(other) => other.to_string(),
        }
    }
}

/// A number parameter comes out of `Ref` as text.
fn number_or_text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let value = Json::deserialize(deserializer)?;
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    text.parse().map_err(serde::de::Error::custom)
}

const fn two() -> u32 {
    2
}
const fn ten() -> u32 {
    10
}
const fn half_a_minute() -> u64 {
    30
}
const fn four_days() -> u64 {
    345_600
}
const fn one_mebibyte() -> u32 {
    1_048_576
}
