//! What `template.yaml` deploys: functions, routes, tables, queues and schedules.
//!
//! The local stack has nothing that is not read from here, so that a route, table or variable that was forgotten in the
//! template is missing on this machine too.

mod intrinsics;
mod resources;

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
/// The name that a local stack has in CloudFormation.
pub const STACK: &str = "pushbell-local";

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

/// A template, with parameters at their defaults or at what the stack gives them, and the stage [`STAGE`].
#[derive(Debug, Clone)]
pub struct Template {
    /// Every `AWS::Serverless::Function`, in the order of their logical ids.
    pub functions: Vec<Function>,
    /// Every `AWS::DynamoDB::Table`.
    pub tables: Vec<Table>,
    /// Every `AWS::SQS::Queue`.
    pub queues: Vec<Queue>,
    /// The logical id of every `AWS::SNS::Topic`.
    pub topics: Vec<String>,
    /// Every `AWS::SNS::Subscription`.
    pub subscriptions: Vec<Subscription>,
    /// Everything that CloudFormation lists afterwards and somebody may break by hand, in the order of the logical ids.
    pub resources: Vec<Listed>,
    /// The names of the outputs, and what each is made of.
    pub outputs: BTreeMap<String, Vec<Part>>,
    /// The parameters' values.
    pub parameters: BTreeMap<String, String>,
}

/// A resource as CloudFormation has it once SAM has made ordinary ones of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// The key under `Resources`; of an event, as SAM makes it: the function's and the event's.
    pub logical_id: String,
    /// `AWS::DynamoDB::Table`
    pub kind: String,
    /// As the template has them, with parameters put in.
    pub properties: Json,
}

/// A queue that a topic's notifications are put on, as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The topic's logical id.
    pub topic: String,
    /// The queue's logical id.
    pub queue: String,
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
    /// What its role allows.
    pub permissions: Vec<Permission>,
    /// Where its lines go: a group of the template, or the one that Lambda makes of its name.
    pub log_group: String,
}

/// A statement of a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    /// `dynamodb:GetItem`
    pub actions: Vec<String>,
    /// ARNs and patterns of ARNs.
    pub resources: Vec<Vec<Part>>,
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
        Self::read_with(path, &[])
    }

    /// The same with these parameters instead of their defaults.
    pub fn read_with(path: &Path, given: &[(&str, &str)]) -> Result<Self, TemplateError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| TemplateError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, given)
    }

    /// The template that this release was built with, and these parameters.
    pub fn of_this_release(given: &[(&str, &str)]) -> Result<Self, TemplateError> {
        Self::parse(include_str!("../../template.yaml"), given)
    }

    /// The function of that workspace package.
    pub fn function(&self, package: &str) -> Option<&Function> {
        self.functions.iter().find(|function| function.package == package)
    }
}

impl std::str::FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        Self::parse(text, &[])
    }
}

impl Template {
    fn parse(text: &str, given: &[(&str, &str)]) -> Result<Self, TemplateError> {
        let document = intrinsics::to_json(serde_yaml_ng::from_str(text)?)?;
        let document: Document = serde_json::from_value(document).map_err(TemplateError::Shape)?;
        let scope = Scope::new(parameters(&document.parameters, given), &document.conditions);

        let mut deployed = Vec::new();
        for (id, resource) in &document.resources {
            let there = match &resource.condition {
                Some(condition) => scope.condition(condition)?,
                None => true,
            };
            if there {
                deployed.push((id, resource));
            }
        }

        let mut roles = BTreeMap::new();
        for (id, resource) in deployed.iter().filter(|(_, resource)| resource.kind == "AWS::IAM::Role") {
            roles.insert(id.as_str(), resources::permissions(typed(&scope, id, &resource.properties)?));
        }

        let mut outputs = BTreeMap::new();
        for (name, output) in &document.outputs {
            if output.condition.as_deref().map_or(Ok(true), |condition| scope.condition(condition))? {
                outputs.insert(name.clone(), resources::parts(typed(&scope, name, &output.value)?));
            }
        }
        let mut template = Self {
            resources: Vec::new(),
            outputs,
            parameters: declared(&document.parameters, given),
            functions: Vec::new(),
            tables: Vec::new(),
            queues: Vec::new(),
            topics: Vec::new(),
            subscriptions: Vec::new(),
        };
        for (id, resource) in deployed {
            template.resources.extend(resources::listed(id, &resource.kind, scope.evaluate(&resource.properties)?));
            match resource.kind.as_str() {
                "AWS::Serverless::Function" => {
                    let merged = merge(document.globals.function.clone(), resource.properties.clone());
                    template.functions.push(resources::function(id, typed(&scope, id, &merged)?, &roles)?);
                }
                "AWS::DynamoDB::Table" => {
                    template.tables.push(resources::table(id, typed(&scope, id, &resource.properties)?))
                }
                "AWS::SQS::Queue" => {
                    template.queues.push(resources::queue(id, typed(&scope, id, &resource.properties)?))
                }
                "AWS::SNS::Topic" => template.topics.push(id.clone()),
                "AWS::SNS::Subscription" => {
                    template.subscriptions.push(resources::subscription(typed(&scope, id, &resource.properties)?));
                }
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

/// The template's own parameters.
fn declared(parameters: &BTreeMap<String, Parameter>, given: &[(&str, &str)]) -> BTreeMap<String, String> {
    let mut values: BTreeMap<String, String> = parameters
        .iter()
        .map(|(name, parameter)| {
            (name.clone(), parameter.default.as_str().map_or_else(|| parameter.default.to_string(), str::to_owned))
        })
        .collect();
    for (name, value) in given.iter().copied().chain([("Stage", STAGE)]) {
        if let Some(held) = values.get_mut(name) {
            value.clone_into(held);
        }
    }
    values
}

fn parameters(parameters: &BTreeMap<String, Parameter>, given: &[(&str, &str)]) -> BTreeMap<String, String> {
    let mut values = declared(parameters, given);
    for (name, value) in [
        ("AWS::AccountId", ACCOUNT),
        ("AWS::Region", REGION),
        ("AWS::Partition", "aws"),
        ("AWS::URLSuffix", "amazonaws.com"),
        ("AWS::StackName", STACK),
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
    #[serde(default)]
    outputs: BTreeMap<String, Output>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Output {
    condition: Option<String>,
    value: Json,
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
    condition: Option<String>,
    #[serde(default = "no_properties")]
    properties: Json,
}

fn no_properties() -> Json {
    Json::Object(Map::new())
}

#[cfg(test)]
mod tests;
