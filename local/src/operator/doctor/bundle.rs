//! The bundle: what the template says, held against what CloudFormation lists and Cloud Control reads.

use std::collections::BTreeMap;

use aws_sdk_cloudcontrol::error::ProvideErrorMetadata as _;
use aws_sdk_sqs::types::QueueAttributeName;
use futures_util::{StreamExt as _, stream};
use serde_json::Value;

use super::super::Deployment;
use super::super::aws::reason;
use super::{Findings, Level};
use crate::template::{Listed, Template};

/// Reads of Cloud Control at once; it takes few a second.
const AT_ONCE: usize = 4;

/// A property that may have been changed by hand.
struct Expected {
    /// Where it is.
    pointer: &'static str,
    /// What the service takes where the template is silent.
    default: Value,
    /// How bad another value is.
    level: Level,
    /// What another value means.
    means: &'static str,
}

fn expected(kind: &str) -> Vec<Expected> {
    let one = |pointer, default: Value, level, means| Expected { pointer, default, level, means };
    match kind {
        "AWS::DynamoDB::Table" => vec![
            one(
                "/TimeToLiveSpecification/Enabled",
                false.into(),
                Level::Fail,
                "what is over is not deleted, and the table grows",
            ),
            one(
                "/PointInTimeRecoverySpecification/PointInTimeRecoveryEnabled",
                false.into(),
                Level::Warn,
                "there is no backup of it",
            ),
            one("/DeletionProtectionEnabled", false.into(), Level::Warn, "anybody may delete it"),
        ],
        "AWS::SQS::Queue" => vec![
            one("/VisibilityTimeout", 30.into(), Level::Fail, "a record may be worked on by two, or come again late"),
            one(
                "/RedrivePolicy/maxReceiveCount",
                Value::Null,
                Level::Fail,
                "what fails again and again is never put aside, or too soon",
            ),
            one("/MessageRetentionPeriod", 345_600.into(), Level::Warn, "records are kept for another time"),
        ],
        "AWS::Lambda::EventSourceMapping" => {
            vec![one("/Enabled", true.into(), Level::Fail, "the queue is not worked off: pushes wait")]
        }
        "AWS::Scheduler::Schedule" => vec![
            one("/State", "ENABLED".into(), Level::Fail, "the timer stands still: retries and messages for later wait"),
            one("/ScheduleExpression", Value::Null, Level::Warn, "the timer runs at other times"),
        ],
        "AWS::CloudWatch::Alarm" => {
            vec![
                one("/ActionsEnabled", true.into(), Level::Warn, "nobody hears of it"),
                one("/AlarmActions", Value::Array(Vec::new()), Level::Warn, "others hear of it, or nobody"),
            ]
        }
        "AWS::Lambda::Function" => {
            vec![one(
                "/ReservedConcurrentExecutions",
                Value::Null,
                Level::Fail,
                "the function may not run, or less than it should",
            )]
        }
        // Of the others it is enough that they are there.
        _ => Vec::new(),
    }
}

/// The kinds that are looked at, and what they are called together.
const KINDS: [(&str, &str); 10] = [
    ("AWS::DynamoDB::Table", "tables"),
    ("AWS::SQS::Queue", "queues"),
    ("AWS::Lambda::Function", "functions"),
    ("AWS::Lambda::EventSourceMapping", "event sources"),
    ("AWS::Scheduler::Schedule", "schedules"),
    ("AWS::CloudWatch::Alarm", "alarms"),
    ("AWS::SNS::Topic", "topics"),
    ("AWS::Logs::LogGroup", "log groups"),
    ("AWS::IAM::Role", "roles"),
    ("AWS::ApiGatewayV2::Api", "API"),
];

pub(super) async fn look(deployment: &Deployment, findings: &mut Findings) {
    status(deployment, findings);
    resources(deployment, findings).await;
    alarms(deployment, findings).await;
    dead_letters(deployment, findings).await;
}

fn status(deployment: &Deployment, findings: &mut Findings) {
    let status = deployment.status.as_str();
    match status {
        "CREATE_COMPLETE" | "UPDATE_COMPLETE" | "IMPORT_COMPLETE" => findings.ok(format!("its status is {status}")),
        "UPDATE_ROLLBACK_COMPLETE" => findings.warn(
            "its last deploy failed and was rolled back (UPDATE_ROLLBACK_COMPLETE)",
            "the stack's events in CloudFormation tell why; deploy again",
        ),
        other if other.ends_with("_IN_PROGRESS") => {
            findings.warn(format!("a deploy is under way ({other})"), "look again when it is through");
        }
        other => findings.fail(
            format!("its last deploy failed ({other})"),
            match other {
                "UPDATE_ROLLBACK_FAILED" => {
                    "the stack's events in CloudFormation tell why; `aws cloudformation continue-update-rollback`, then deploy again"
                }
                _ => "the stack's events in CloudFormation tell why; a stack that was never through has to be deleted first",
            },
        ),
    }
}

async fn resources(deployment: &Deployment, findings: &mut Findings) {
    let parameters: Vec<(&str, &str)> =
        deployment.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let template = match Template::of_this_release(&parameters) {
        Ok(template) => template,
        Err(error) => return findings.fail(format!("this release's template cannot be read: {error}"), "tell us"),
    };
    let clients = Clients {
        control: aws_sdk_cloudcontrol::Client::new(&deployment.config),
        tables: aws_sdk_dynamodb::Client::new(&deployment.config),
    };
    let looked_at = |listed: &&Listed| KINDS.iter().any(|(kind, _)| *kind == listed.kind);
    let reads = template.resources.iter().filter(looked_at).map(|listed| {
        let clients = &clients;
        async move { (listed, read(deployment, clients, listed).await) }
    });
    let reads: Vec<_> = stream::iter(reads).buffered(AT_ONCE).collect().await;
    let mut well: BTreeMap<&str, usize> = BTreeMap::new();
    for (listed, read) in reads {
        let id = &listed.logical_id;
        let properties = match read {
            Read::There(properties) => properties,
            Read::NotListed => {
                findings.fail(
                    format!("it has no {id}, which this release's template has"),
                    "deploy this release, or look with the command of the release that is deployed",
                );
                continue;
            }
            Read::Gone => {
                findings.fail(
                    format!("{id} is gone: somebody deleted it behind CloudFormation's back"),
                    gone(&listed.kind),
                );
                continue;
            }
            Read::Failed(reason) => {
                let fix = if reason.contains("AccessDenied") {
                    "your own rights lack cloudformation:GetResource, or what it reads by (docs/commands.md#where)"
                } else {
                    "try again"
                };
                findings.warn(format!("{id} could not be looked at: {reason}"), fix);
                continue;
            }
        };
        let mut is_well = true;
        for expected in expected(&listed.kind) {
            let value = |of: &Value| match of.pointer(expected.pointer) {
                Some(value) if !value.is_null() => value.clone(),
                Some(_) | None => expected.default.clone(),
            };
            let (wanted, found) = (value(&listed.properties), value(&properties));
            if plain(&wanted) != plain(&found) {
                let name = expected.pointer.rsplit('/').next().unwrap_or_default();
                let seen = format!(
                    "{id}: {name} is {}, and {} in the template: {}",
                    plain(&found),
                    plain(&wanted),
                    expected.means
                );
                findings.add(
                    expected.level,
                    seen,
                    Some(format!(
                        "set it back by hand, or deploy with a change to {id}: a deploy without one leaves it"
                    )),
                );
                is_well = false;
            }
        }
        if is_well {
            *well.entry(listed.kind.as_str()).or_default() += 1;
        }
    }
    for (kind, name) in KINDS {
        if let Some(count) = well.get(kind) {
            findings.ok(format!("{name}: {count} as the template says"));
        }
    }
}

fn gone(kind: &str) -> &'static str {
    match kind {
        "AWS::DynamoDB::Table" => "have it back from DynamoDB's own backup, under its own name: docs/deploy.md#restore",
        _ => "make it again under its own name, or take it out of the template, deploy, put it back, and deploy again",
    }
}

/// What became of a look at a resource.
enum Read {
    There(Value),
    NotListed,
    Gone,
    Failed(String),
}

struct Clients {
    control: aws_sdk_cloudcontrol::Client,
    tables: aws_sdk_dynamodb::Client,
}

/// The tables that are used: one that was restored has another name than the stack's own resource.
const TABLES: [(&str, &str); 4] = [
    ("RecipientsTable", "RecipientsTableName"),
    ("RegistryTable", "RegistryTableName"),
    ("TasksTable", "TasksTableName"),
    ("DeferredTable", "DeferredTableName"),
];

async fn read(deployment: &Deployment, clients: &Clients, listed: &Listed) -> Read {
    let Some(resource) = deployment.resources.get(&listed.logical_id) else { return Read::NotListed };
    let output = TABLES.iter().find(|(id, _)| *id == listed.logical_id).map(|(_, output)| *output);
    let used = output.and_then(|output| deployment.outputs.get(output));
    let name = used.unwrap_or(&resource.physical_id);
    let got = clients.control.get_resource().type_name(&resource.kind).identifier(name).send().await;
    let read = match got {
        Ok(got) => {
            let text = got.resource_description().and_then(|described| described.properties()).unwrap_or_default();
            serde_json::from_str(text)
                .map_or_else(|_| Read::Failed("its properties are no JSON".to_owned()), Read::There)
        }
        Err(error) if error.code() == Some("ResourceNotFoundException") => Read::Gone,
        Err(error) => Read::Failed(reason(&error)),
    };
    match read {
        Read::There(properties) if output.is_some() => time_to_live(clients, name, properties).await,
        Read::There(mut properties) => {
            // It may be the text of an object.
            if let Some(policy) = properties["RedrivePolicy"].as_str().and_then(|text| serde_json::from_str(text).ok())
            {
                properties["RedrivePolicy"] = policy;
            }
            Read::There(properties)
        }
        Read::NotListed | Read::Gone | Read::Failed(_) => read,
    }
}

/// Adds what Cloud Control does not read of a table.
async fn time_to_live(clients: &Clients, table: &str, mut properties: Value) -> Read {
    match clients.tables.describe_time_to_live().table_name(table).send().await {
        Ok(got) => {
            let status = got.time_to_live_description().and_then(|described| described.time_to_live_status());
            let is_on = status.is_some_and(|status| matches!(status.as_str(), "ENABLED" | "ENABLING"));
            properties["TimeToLiveSpecification"] = serde_json::json!({ "Enabled": is_on });
            Read::There(properties)
        }
        Err(error) => Read::Failed(reason(&error)),
    }
}

/// A scalar as text: parameters are texts in the template, and numbers or booleans at the service.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Whether somebody hears. On this machine nobody does.
async fn alarms(deployment: &Deployment, findings: &mut Findings) {
    let topic = match deployment.parameters.get("AlarmTopicArn").map(String::as_str) {
        Some("") | None if deployment.is_local() => return,
        Some("") | None => {
            return findings.warn(
                "alarms tell nobody: AlarmTopicArn is empty",
                "deploy with the ARN of an SNS topic that somebody subscribes to: docs/deploy.md",
            );
        }
        Some(topic) => topic,
    };
    let sns = aws_sdk_sns::Client::new(&deployment.config);
    let mut subscriptions = sns.list_subscriptions_by_topic().topic_arn(topic).into_paginator().items().send();
    let (mut confirmed, mut pending) = (0, 0);
    while let Some(subscription) = subscriptions.next().await {
        match subscription.as_ref().map(|subscription| subscription.subscription_arn().unwrap_or_default()) {
            // There is an ARN once it is confirmed.
            Ok(arn) if arn.starts_with("arn:") => confirmed += 1,
            Ok("PendingConfirmation") => pending += 1,
            Ok(_) => {}
            Err(error) if matches!(error.code(), Some("NotFound" | "InvalidParameter")) => {
                return findings.fail(
                    format!("alarms tell nobody: the topic {topic} is not there"),
                    "make it again under its own name and subscribe to it, or deploy with the ARN of another one of the stack's region: docs/deploy.md",
                );
            }
            Err(error) => {
                return findings.warn(
                    format!(
                        "alarms are told to {topic}; whether anybody hears of them could not be looked at: {}",
                        reason(error)
                    ),
                    "your own rights lack sns:ListSubscriptionsByTopic, or the topic is another account's: look there",
                );
            }
        }
    }
    match (confirmed, pending) {
        (0, 0) => findings.warn(
            format!("alarms tell nobody: nobody is subscribed to {topic}"),
            format!(
                "`aws sns subscribe --topic-arn {topic} --protocol email --notification-endpoint you@example.com`, and confirm the mail that comes"
            ),
        ),
        (0, _) => findings.warn(
            format!("alarms tell nobody: no subscription of {topic} was confirmed ({pending} wait)"),
            "confirm the mail that came; after three days subscribe again",
        ),
        (_, _) => findings.ok(format!(
            "alarms are told to {topic} (subscriptions: {confirmed}); which of them ring now is not looked at here: `aws cloudwatch describe-alarms --state-value ALARM --alarm-name-prefix {}-`",
            deployment.stack
        )),
    }
}

async fn dead_letters(deployment: &Deployment, findings: &mut Findings) {
    let sqs = aws_sdk_sqs::Client::new(&deployment.config);
    let mut is_empty = true;
    for (id, resource) in &deployment.resources {
        if resource.kind != "AWS::SQS::Queue" || !id.ends_with("DeadLetters") {
            continue;
        }
        let asked = sqs.get_queue_attributes().queue_url(&resource.physical_id);
        let asked = asked.attribute_names(QueueAttributeName::ApproximateNumberOfMessages).send().await;
        let held = match &asked {
            Ok(got) => got.attributes().and_then(|all| all.get(&QueueAttributeName::ApproximateNumberOfMessages)),
            Err(error) => {
                findings.warn(format!("{id} could not be counted: {}", reason(error)), "try again");
                is_empty = false;
                continue;
            }
        };
        let count: u64 = held.and_then(|count| count.parse().ok()).unwrap_or_default();
        if count > 0 {
            let records = if count == 1 { "1 record waits".to_owned() } else { format!("{count} records wait") };
            findings.warn(format!("{records} in {id}: work that was given up"), worked_off(id, &deployment.place));
            is_empty = false;
        }
    }
    if is_empty {
        findings.ok("no dead letters");
    }
}

/// What is done with the records of a dead-letter queue: what is no queue's cannot be replayed.
fn worked_off(queue: &str, place: &str) -> String {
    let show = format!("`dead-letters show {queue}{place}` tells why");
    match queue {
        "TimerDeadLetters" => format!(
            "{show}; the next run did their work: `dead-letters drop {queue} --all --yes{place}` once the timer runs again: docs/operations.md#deadlettersalarm"
        ),
        "TriggerDeadLetters" => format!(
            "{show}; hand them to the function again, within a week, as docs/operations.md#deadlettersalarm says"
        ),
        _ => {
            let section = if queue == "ReportDeadLetters" { "reportdeadlettersalarm" } else { "deadlettersalarm" };
            format!("{show}, `dead-letters replay {queue} --all{place}` does it again: docs/operations.md#{section}")
        }
    }
}
