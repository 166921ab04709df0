//! From the template to what stands in for AWS: tables, queues, variables, functions and what starts them.

use std::collections::BTreeMap;
use std::path::Path;

use pushbell::env::Environment;

use super::{Options, StackError};
use crate::apps::{self, App};
use crate::aws::dynamodb::{KeyAttribute, TableSpec};
use crate::aws::inventory::Inventory;
use crate::aws::sns::Sns;
use crate::aws::sqs::{QueueSpec, Queues, Redrive};
use crate::aws::{ACCOUNT, Aws, REGION};
use crate::closing::Closing;
use crate::functions::Thread;
use crate::gateway::routes::Router;
use crate::invocation::Invoker;
use crate::logs::Logs;
use crate::operator::vendors::ApnsCredentials;
use crate::permissions::Permissions;
use crate::runtime_api::{Pool, Spec};
use crate::schedule::Timer;
use crate::store::Store;
use crate::template::{self, Function, Part, QueueSource, Template};
use crate::vendors::{Apple, DEMO_SERVICE_ACCOUNT, ServiceAccount};

/// Names the settings' table among the variables of a function.
const REGISTRY_VARIABLE: &str = "TABLE_REGISTRY";
/// What the person who starts the stack says about logs is passed on to processes, which inherit nothing else.
const PASSED_ON: [&str; 3] = ["AWS_LAMBDA_LOG_LEVEL", "RUST_LOG", "RUST_BACKTRACE"];

/// The template's queues. Whoever had received what is in flight in a kept file ended with the process before.
pub(super) fn queues(template: &Template, store: Store) -> Result<Queues, StackError> {
    let queues = Queues::new(store)?;
    for queue in &template.queues {
        queues.ensure(&queue_spec(queue))?;
    }
    queues.release_in_flight()?;
    Ok(queues)
}

/// Has SNS put what a topic is told on the queues that are subscribed to it.
pub(super) fn subscribe(template: &Template, sns: &Sns, queues: &Queues) {
    for subscription in &template.subscriptions {
        sns.subscribe(&topic_arn(&subscription.topic), &subscription.queue, queues);
    }
}

fn queue_spec(queue: &template::Queue) -> QueueSpec {
    QueueSpec {
        visibility: queue.visibility,
        delay: queue.delay,
        retention: queue.retention,
        max_bytes: usize::try_from(queue.maximum_message_size).unwrap_or(usize::MAX),
        redrive: queue
            .dead_letters
            .as_ref()
            .map(|(queue, receives)| Redrive { queue: queue.clone(), max_receives: *receives }),
        ..QueueSpec::new(&queue.logical_id)
    }
}

pub(super) fn table_spec(table: &template::Table) -> Result<TableSpec, StackError> {
    let attributes = table
        .attributes
        .iter()
        .map(|(name, kind)| {
            let kind = match kind.as_str() {
                "S" => KeyAttribute::Text,
                "N" => KeyAttribute::Number,
                "B" => KeyAttribute::Binary,
                _ => return Err(StackError::KeyType(table.logical_id.clone())),
            };
            Ok((name.clone(), kind))
        })
        .collect::<Result<_, _>>()?;
    Ok(TableSpec {
        name: table.logical_id.clone(),
        partition: table.partition_key.clone(),
        sort: table.sort_key.clone(),
        attributes,
        ttl: table.ttl_attribute.clone(),
    })
}

/// The local name of the table that settings lie in.
pub(super) fn registry(template: &Template) -> Option<String> {
    let parts = template.functions.iter().find_map(|function| function.environment.get(REGISTRY_VARIABLE))?;
    match parts.as_slice() {
        [Part::Ref(id) | Part::Text(id)] => Some(id.clone()),
        _ => None,
    }
}

/// The service accounts that the vendors know. One whose key cannot be read is one that they do not know.
pub(super) fn accounts(apps: &[App]) -> Vec<ServiceAccount> {
    std::iter::once(DEMO_SERVICE_ACCOUNT)
        .chain(apps.iter().flat_map(|app| app.service_accounts.iter().map(String::as_str)))
        .filter_map(|key_file| ServiceAccount::read(key_file).ok())
        .collect()
}

/// The signing keys that the fake Apple knows. One that cannot be read is one that it does not know.
pub(super) fn apple(apps: &[App]) -> Apple {
    let apple = Apple::default();
    for app in apps {
        for credentials in app.apns.all() {
            let ApnsCredentials::Key(key) = credentials else { continue };
            apple.know(&key.key_id, &key.team_id, &key.topic, key.key.expose());
        }
    }
    apple
}

/// Writes the apps' settings, and makes their platform applications, with the credentials of those that have a document of them.
pub(super) async fn seed(apps: &[App], template: &Template, aws: &Aws) -> Result<(), StackError> {
    let registry = registry(template);
    for app in apps {
        for (platform, name) in &app.applications {
            let application = aws.sns.ensure_application(platform, name)?;
            if let Some(topic) = template.topics.first() {
                aws.sns.watch_application(&application, &topic_arn(topic))?;
            }
            let credentials = match platform.as_str() {
                "APNS" => app.apns.production.as_ref(),
                "APNS_SANDBOX" => app.apns.sandbox.as_ref(),
                _ => None,
            };
            if let Some(credentials) = credentials {
                aws.sns.furnish(&application, credentials.attributes())?;
            }
        }
        if let (Some(table), Some(settings)) = (&registry, &app.settings) {
            apps::put_settings(aws.dynamodb.direct(), table, &app.name, settings).await?;
        }
    }
    Ok(())
}

pub(super) fn variables(
    function: &Function,
    template: &Template,
    aws_url: &str,
) -> Result<BTreeMap<String, String>, StackError> {
    let mut variables = BTreeMap::from(
        [
            ("AWS_REGION", REGION),
            ("AWS_DEFAULT_REGION", REGION),
            // The role is known by it.
            ("AWS_ACCESS_KEY_ID", function.package.as_str()),
            ("AWS_SECRET_ACCESS_KEY", "local"),
            ("AWS_ENDPOINT_URL", aws_url),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    for (name, parts) in &function.environment {
        let mut value = String::new();
        for part in parts {
            let resolved = resolve(part, template, aws_url).ok_or_else(|| StackError::Reference {
                package: function.package.clone(),
                variable: name.clone(),
                reference: match part {
                    Part::Text(text) | Part::Ref(text) => text.clone(),
                    Part::Attribute(id, attribute) => format!("{id}.{attribute}"),
                },
            })?;
            value.push_str(&resolved);
        }
        // A file of Lambda's own system, which this machine need not have.
        if name == "SSL_CERT_FILE" && !Path::new(&value).exists() {
            continue;
        }
        variables.insert(name.clone(), value);
    }
    Ok(variables)
}

/// What each function's role allows of the services that are emulated.
pub(super) fn permissions(template: &Template, aws_url: &str) -> Permissions {
    let mut all = BTreeMap::new();
    for function in &template.functions {
        let mut statements = Vec::new();
        for permission in &function.permissions {
            let patterns = permission
                .resources
                .iter()
                // What cannot be resolved is of a service that is not emulated, such as a log group.
                .filter_map(|parts| {
                    parts.iter().map(|part| resolve(part, template, aws_url)).collect::<Option<String>>()
                })
                .collect();
            statements.push((permission.actions.clone(), patterns));
        }
        all.insert(function.package.clone(), statements);
    }
    Permissions::new(all)
}

/// The log groups that the template has, empty.
pub(super) fn logs(template: &Template) -> Logs {
    let logs = Logs::default();
    for group in template.resources.iter().filter(|listed| listed.kind == "AWS::Logs::LogGroup") {
        logs.group(&group.logical_id);
    }
    logs
}

/// What CloudFormation tells of the stack. The API is where it listens, and not at an address of AWS.
pub(super) fn inventory(template: &Template, aws_url: &str, url: &str) -> Inventory {
    let imkit = format!("{url}/hooks/<app>/<secret>/imkit");
    let outputs = [("ApiUrl", url), ("ImkitCallbackUrl", imkit.as_str())];
    Inventory::new(template, aws_url, &outputs, |part| resolve(part, template, aws_url))
}

fn resolve(part: &Part, template: &Template, aws_url: &str) -> Option<String> {
    let is_table = |id: &str| template.tables.iter().any(|table| table.logical_id == id);
    let is_queue = |id: &str| template.queues.iter().any(|queue| queue.logical_id == id);
    match part {
        Part::Text(text) => Some(text.clone()),
        Part::Ref(id) if is_table(id) => Some(id.clone()),
        Part::Ref(id) if is_queue(id) => Some(format!("{aws_url}/{ACCOUNT}/{id}")),
        Part::Ref(id) if template.topics.contains(id) => Some(topic_arn(id)),
        Part::Ref(_) => None,
        Part::Attribute(id, attribute) => match attribute.as_str() {
            "Arn" if is_table(id) => Some(format!("arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{id}")),
            "Arn" if is_queue(id) => Some(format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{id}")),
            "QueueName" if is_queue(id) => Some(id.clone()),
            _ => None,
        },
    }
}

/// One way to run each function, by its workspace package.
pub(super) fn invokers(
    options: &Options,
    template: &Template,
    aws: &Aws,
    aws_url: &str,
    closing: &Closing,
) -> Result<BTreeMap<String, Invoker>, StackError> {
    let mut invokers = BTreeMap::new();
    for function in &template.functions {
        let variables = variables(function, template, aws_url)?;
        let log = aws.logs.group(&function.log_group);
        let invoker = match &options.processes {
            None => {
                let environment = Environment::from_lookup(|name| variables.get(name).cloned())?;
                let closing = closing.clone();
                Invoker::in_process(Thread::start(&function.package, &environment, function.timeout, log, closing)?)
            }
            Some(processes) => {
                let binary = processes.binaries.join(&function.package);
                if !binary.is_file() {
                    return Err(StackError::Binary(binary));
                }
                let most = function.queues.iter().map(|source| source.maximum_concurrency).max().unwrap_or(u32::MAX);
                let spec = Spec {
                    function: function.package.clone(),
                    binary,
                    variables: variables.into_iter().chain(passed_on()).collect(),
                    memory_mb: function.memory_mb,
                    timeout: function.timeout,
                    environments: processes.environments.min(usize::try_from(most).unwrap_or(usize::MAX)),
                    shutdown: processes.shutdown,
                    output: processes.output.clone(),
                    log: processes.output.is_kept().then_some(log),
                };
                Invoker::processes(Pool::new(spec, closing))
            }
        };
        invokers.insert(function.package.clone(), invoker);
    }
    Ok(invokers)
}

/// Every queue that is worked off. With fewer processes than the template allows no more is received than they can do.
pub(super) fn sources(
    options: &Options,
    template: &Template,
    invokers: &BTreeMap<String, Invoker>,
) -> Vec<(QueueSource, Invoker)> {
    let most = options.processes.as_ref().map_or(usize::MAX, |processes| processes.environments.max(1));
    let most = u32::try_from(most).unwrap_or(u32::MAX);
    let mut sources = Vec::new();
    for function in &template.functions {
        let Some(invoker) = invokers.get(&function.package) else { continue };
        for source in &function.queues {
            let maximum_concurrency = source.maximum_concurrency.min(most);
            sources.push((QueueSource { maximum_concurrency, ..source.clone() }, invoker.clone()));
        }
    }
    sources
}

fn passed_on() -> impl Iterator<Item = (String, String)> {
    PASSED_ON.into_iter().filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)))
}

pub(super) fn router(template: &Template, invokers: &BTreeMap<String, Invoker>) -> Router<Invoker> {
    let mut routes = Vec::new();
    for function in &template.functions {
        if let Some(invoker) = invokers.get(&function.package) {
            routes.extend(function.routes.iter().map(|route| (route.clone(), invoker.clone())));
        }
    }
    Router::new(routes)
}

pub(super) fn timers(
    options: &Options,
    template: &Template,
    invokers: &BTreeMap<String, Invoker>,
    queues: &Queues,
) -> Vec<Timer> {
    let mut timers = Vec::new();
    for function in &template.functions {
        let Some(invoker) = invokers.get(&function.package) else { continue };
        for schedule in &function.schedules {
            timers.push(Timer::new(
                &function.package,
                schedule.clone(),
                function.asynchronous.clone(),
                options.retry_after,
                invoker.clone(),
                queues.clone(),
            ));
        }
    }
    timers
}

fn topic_arn(id: &str) -> String {
    format!("arn:aws:sns:{REGION}:{ACCOUNT}:{id}")
}
