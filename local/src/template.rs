//! What `template.yaml` deploys: functions, routes, tables, queues and schedules.
//!
//! The local stack has nothing that is not read from here, so that a route, table or variable that was forgotten in the
//! template is missing on this machine too.

mod intrinsics;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value as Json};

use crate::aws::{ACCOUNT, REGION};
use crate::gateway::routes::{Route, RouteError};
use intrinsics::Scope;

/// The stage that a local stack has; secrets are looked for under `pushbell/local/apps/`.
pub const STAGE: &str = "local";

/// Why a template could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// The file is not there or may not be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The file is not YAML.
    #[error("the template is not YAML")]
    Yaml(#[from] serde_yaml_ng::Error),
    /// An intrinsic function is used that is not emulated, or wrongly.
    #[error("{0}")]
    Intrinsic(String),
    /// A resource lacks a property that the local stack needs, or has it in another form.
    #[error("{resource} has a property that the local stack cannot read")]
    Resource {
        /// The resource's logical id.
        resource: String,
        /// What was expected.
        source: serde_json::Error,
    },
    /// The document as a whole has another form than a template.
    #[error("the template has an unexpected form")]
    Shape(#[source] serde_json::Error),
    /// A route's path is not one that API Gateway takes.
    #[error("{resource}: {source}")]
    Route {
        /// The function's logical id.
        resource: String,
        /// What is wrong.
        source: RouteError,
    },
    /// A schedule is not of the form `rate(5 minutes)`.
    #[error("{resource} has a schedule that is not emulated: {expression}")]
    Schedule {
        /// The function's logical id.
        resource: String,
        /// The expression.
        expression: String,
    },
}

/// A template, with parameters at their defaults and the stage [`STAGE`].
#[derive(Debug, Clone)]
pub struct Template {
    /// Every `AWS::Serverless::Function`, in the order of their logical ids.
    pub functions: Vec<Function>,
    /// Every `AWS::DynamoDB::Table`.
    pub tables: Vec<Table>,
    /// Every `AWS::SQS::Queue`.
    pub queues: Vec<Queue>,
}

/// One function.
#[derive(Debug, Clone)]
pub struct Function {
    /// The key under `Resources`.
    pub logical_id: String,
    /// The workspace package and binary: the last part of `CodeUri`.
    pub package: String,
    /// How long one invocation may take.
    pub timeout: Duration,
    /// Memory in megabytes.
    pub memory_mb: u32,
    /// HTTP routes that lead here.
    pub routes: Vec<Route>,
    /// Queues that this function works off.
    pub queues: Vec<QueueSource>,
    /// Timers that start it.
    pub schedules: Vec<Schedule>,
    /// What happens to an asynchronous run that fails.
    pub asynchronous: Asynchronous,
    /// Environment variables, globals included.
    pub environment: BTreeMap<String, Vec<Part>>,
}

/// A piece of an environment variable's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Text as it stands.
    Text(String),
    /// `Ref` of a resource: a table's name, a queue's URL.
    Ref(String),
    /// An attribute of a resource: `(logical id, attribute)`.
    Attribute(String, String),
}

/// An event source mapping from a queue to a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueSource {
    /// The queue's logical id.
    pub queue: String,
    /// Most records of one invocation.
    pub batch_size: u32,
    /// How long to gather a batch; zero takes what is there.
    pub window: Duration,
    /// Most invocations at once.
    pub maximum_concurrency: u32,
    /// Whether the answer names the records that failed; without it a batch fails or succeeds whole.
    pub reports_failures: bool,
}

/// A timer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// The event's name in the function.
    pub name: String,
    /// From one run to the next.
    pub every: Duration,
}

/// Retries and destination of asynchronous invocations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asynchronous {
    /// Tries after the first. AWS's default is 2.
    pub retries: u32,
    /// Logical id of the queue that hears of a run that failed for good.
    pub on_failure: Option<String>,
}

/// One table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The key under `Resources`, which is the table's local name too.
    pub logical_id: String,
    /// Attribute names and types (`S`, `N`, `B`) of the keys.
    pub attributes: Vec<(String, String)>,
    /// Name of the partition key.
    pub partition_key: String,
    /// Name of the sort key.
    pub sort_key: Option<String>,
    /// Attribute by whose value (epoch seconds) items expire.
    pub ttl_attribute: Option<String>,
}

/// One queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// The key under `Resources`, which is the queue's local name too.
    pub logical_id: String,
    /// How long a received message stays invisible.
    pub visibility: Duration,
    /// How long a message is kept.
    pub retention: Duration,
    /// Delay of every message that names none.
    pub delay: Duration,
    /// Largest message in bytes.
    pub maximum_message_size: u32,
    /// Logical id of the dead-letter queue, and the receives that a message may have before it goes there.
    pub dead_letters: Option<(String, u32)>,
}

impl Template {
    /// The template of this workspace.
    pub fn default_path() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join("template.yaml")
    }

    /// Reads and evaluates a template.
    pub fn read(path: &Path) -> Result<Self, TemplateError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| TemplateError::Read { path: path.to_owned(), source })?;
        text.parse()
    }

    /// The function of that workspace package.
    pub fn function(&self, package: &str) -> Option<&Function> {
        self.functions.iter().find(|function| function.package == package)
    }
}

impl std::str::FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        let document = intrinsics::to_json(serde_yaml_ng::from_str(text)?)?;
        let document: Document = serde_json::from_value(document).map_err(TemplateError::Shape)?;
        let scope = Scope::new(parameters(&document.parameters), &document.conditions);

        let mut template = Self { functions: Vec::new(), tables: Vec::new(), queues: Vec::new() };
        for (id, resource) in &document.resources {
            match resource.kind.as_str() {
                "AWS::Serverless::Function" => {
                    let merged = merge(document.globals.function.clone(), resource.properties.clone());
                    template.functions.push(function(id, typed(&scope, id, &merged)?)?);
                }
                "AWS::DynamoDB::Table" => template.tables.push(table(id, typed(&scope, id, &resource.properties)?)),
                "AWS::SQS::Queue" => template.queues.push(queue(id, typed(&scope, id, &resource.properties)?)),
                _ => {}
            }
        }
        Ok(template)
    }
}

fn typed<T: serde::de::DeserializeOwned>(scope: &Scope<'_>, id: &str, properties: &Json) -> Result<T, TemplateError> {
    serde_json::from_value(scope.evaluate(properties)?)
        .map_err(|source| TemplateError::Resource { resource: id.to_owned(), source })
}

fn parameters(declared: &BTreeMap<String, Parameter>) -> BTreeMap<String, String> {
    let mut values: BTreeMap<String, String> = declared
        .iter()
        .map(|(name, parameter)| {
            (name.clone(), parameter.default.as_str().map_or_else(|| parameter.default.to_string(), str::to_owned))
        })
        .collect();
    for (name, value) in [
        ("Stage", STAGE),
        ("AWS::AccountId", ACCOUNT),
        ("AWS::Region", REGION),
        ("AWS::Partition", "aws"),
        ("AWS::URLSuffix", "amazonaws.com"),
        ("AWS::StackName", "pushbell-local"),
    ] {
        values.insert(name.to_owned(), value.to_owned());
    }
    values
}

/// SAM's rule for `Globals`: maps are merged, everything else is replaced.
fn merge(globals: Json, own: Json) -> Json {
    match (globals, own) {
        (Json::Object(mut globals), Json::Object(own)) => {
            for (key, value) in own {
                let merged = match globals.remove(&key) {
                    Some(global) => merge(global, value),
                    None => value,
                };
                globals.insert(key, merged);
            }
            Json::Object(globals)
        }
        (_, own) => own,
    }
}

fn function(id: &str, properties: FunctionProperties) -> Result<Function, TemplateError> {
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
fn rate(expression: &str) -> Option<Duration> {
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

fn table(id: &str, properties: TableProperties) -> Table {
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

fn queue(id: &str, properties: QueueProperties) -> Queue {
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

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    #[serde(default)]
    parameters: BTreeMap<String, Parameter>,
    #[serde(default)]
    conditions: Map<String, Json>,
    #[serde(default)]
    globals: Globals,
    resources: BTreeMap<String, Resource>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameter {
    #[serde(default)]
    default: Json,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase")]
struct Globals {
    #[serde(default)]
    function: Json,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Resource {
    #[serde(rename = "Type")]
    kind: String,
    #[serde(default = "no_properties")]
    properties: Json,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FunctionProperties {
    code_uri: String,
    timeout: u64,
    memory_size: u32,
    #[serde(default)]
    environment: Environment,
    #[serde(default)]
    events: BTreeMap<String, Event>,
    #[serde(default)]
    event_invoke_config: EventInvokeConfig,
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
struct TableProperties {
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
struct QueueProperties {
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

/// Text, or what [`Scope::evaluate`] leaves of a reference to a resource.
#[derive(Deserialize)]
#[serde(untagged)]
enum Value {
    Text(String),
    Reference(Reference),
    Other(Json),
}

#[derive(Deserialize)]
enum Reference {
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

fn no_properties() -> Json {
    Json::Object(Map::new())
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

#[cfg(test)]
mod tests;
