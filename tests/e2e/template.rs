//! `template.yaml` against the workspace: what is deployed is what is built, it is told what it asks for, and it may do
//! what its events need and nothing in general.

mod alarms;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use pushbell::env::Environment;
use pushbell_local::template::{Function, Part, Template};
use serde_yaml_ng::Value;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn template() -> Template {
    Template::read(&workspace().join("template.yaml")).unwrap()
}

/// `template.yaml` as it is written, with its tags.
fn document() -> Value {
    serde_yaml_ng::from_str(&std::fs::read_to_string(workspace().join("template.yaml")).unwrap()).unwrap()
}

/// What stands behind a tag, or the value itself.
fn untagged(value: &Value) -> &Value {
    match value {
        Value::Tagged(tagged) => untagged(&tagged.value),
        other => other,
    }
}

fn property<'a>(document: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(document, |value, key| untagged(value).get(*key))
}

fn resources<'a>(document: &'a Value, kind: &'a str) -> impl Iterator<Item = (&'a str, &'a Value)> {
    document["Resources"]
        .as_mapping()
        .unwrap()
        .iter()
        .filter(move |(_, resource)| resource["Type"] == kind)
        .map(|(id, resource)| (id.as_str().unwrap(), resource))
}

/// Text, or a list of texts; of a reference its target.
fn texts(value: &Value) -> Vec<String> {
    match untagged(value) {
        Value::Sequence(items) => items.iter().flat_map(texts).collect(),
        Value::String(text) => vec![text.clone()],
        other => panic!("neither text nor a list: {other:?}"),
    }
}

/// `(action, resource)` for every pair that the role allows.
fn allowed(role: &Value) -> BTreeSet<(String, String)> {
    let mut pairs = BTreeSet::new();
    for policy in property(role, &["Properties", "Policies"]).unwrap().as_sequence().unwrap() {
        for statement in property(policy, &["PolicyDocument", "Statement"]).unwrap().as_sequence().unwrap() {
            assert_eq!(statement["Effect"], "Allow");
            for action in texts(&statement["Action"]) {
                for resource in texts(&statement["Resource"]) {
                    pairs.insert((action.clone(), resource));
                }
            }
        }
    }
    pairs
}

/// The role of each function, by the function's workspace package.
fn roles(document: &Value) -> BTreeMap<String, &Value> {
    resources(document, "AWS::Serverless::Function")
        .map(|(_, function)| {
            let package = function["Properties"]["CodeUri"].as_str().unwrap().rsplit('/').next().unwrap();
            let role = texts(&function["Properties"]["Role"]).remove(0);
            let role = role.strip_suffix(".Arn").unwrap();
            (package.to_owned(), &document["Resources"][role])
        })
        .collect()
}

#[test]
fn every_function_of_the_workspace_is_deployed_and_nothing_else() {
    let built: BTreeSet<String> = std::fs::read_dir(workspace().join("functions"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().join("Cargo.toml").is_file())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    let deployed: BTreeSet<String> = template().functions.into_iter().map(|function| function.package).collect();
    assert_eq!(built, deployed);

    let document = document();
    for (id, function) in resources(&document, "AWS::Serverless::Function") {
        let code = function["Properties"]["CodeUri"].as_str().unwrap();
        let binary = &function["Metadata"]["BuildProperties"]["Binary"];
        assert_eq!(function["Metadata"]["BuildMethod"], "rust-cargolambda", "{id}");
        assert_eq!(code, format!("functions/{}", binary.as_str().unwrap()), "{id}");
    }
}

#[test]
fn every_variable_that_the_code_reads_is_set() {
    for function in template().functions {
        let asked = RefCell::new(BTreeSet::new());
        Environment::from_lookup(|name| {
            asked.borrow_mut().insert(name.to_owned());
            Some("x".to_owned())
        })
        .unwrap();
        // The AWS_ ones are Lambda's to set.
        let asked = asked.into_inner();
        let ours: BTreeSet<&str> = asked.iter().map(String::as_str).filter(|name| !name.starts_with("AWS_")).collect();
        assert!(ours.contains("STAGE") && ours.contains("TABLE_RECIPIENTS"));
        for name in ours {
            assert!(function.environment.contains_key(name), "{} is not told {name}", function.package);
        }
    }
}

#[test]
fn a_variable_refers_to_what_is_in_the_template() {
    let template = template();
    let there: BTreeSet<&str> = template
        .tables
        .iter()
        .map(|table| table.logical_id.as_str())
        .chain(template.queues.iter().map(|queue| queue.logical_id.as_str()))
        .collect();
    for Function { package, environment, .. } in &template.functions {
        for (name, parts) in environment {
            for part in parts {
                if let Part::Ref(id) | Part::Attribute(id, _) = part {
                    assert!(there.contains(id.as_str()), "{package}: {name} is {id}");
                }
            }
        }
    }
}

#[test]
fn a_queue_is_invisible_for_six_timeouts_and_reports_single_failures() {
    let template = template();
    let mut sources = 0;
    for function in &template.functions {
        for source in &function.queues {
            sources += 1;
            let queue = template.queues.iter().find(|queue| queue.logical_id == source.queue).unwrap();
            assert!(queue.visibility >= function.timeout * 6, "{}", queue.logical_id);
            assert!(source.reports_failures, "{}", function.package);
            // What costs less together comes together; all else comes as it can be had at once.
            let batch_size = if function.package == "tally" { 100 } else { 10 };
            assert_eq!(source.batch_size, batch_size, "{}", function.package);
            assert!(source.maximum_concurrency >= 2, "{}", function.package);

            let (dead_letters, receives) = queue.dead_letters.clone().unwrap();
            let dead_letters = template.queues.iter().find(|queue| queue.logical_id == dead_letters).unwrap();
            assert_eq!(receives, 5, "{}", queue.logical_id);
            assert_eq!(dead_letters.retention, Duration::from_secs(14 * 86_400), "{}", dead_letters.logical_id);
            assert!(dead_letters.maximum_message_size >= queue.maximum_message_size);
        }
    }
    assert!(sources >= 2);
}

#[test]
fn an_http_function_answers_before_api_gateway_gives_up() {
    let (document, template) = (document(), template());
    let mut keys = BTreeSet::new();
    for function in &template.functions {
        for route in &function.routes {
            assert!(function.timeout < Duration::from_secs(30), "{}", function.package);
            // The function refuses a method in its dialect's own envelope.
            assert!(route.key().starts_with("ANY /"), "{}", route.key());
            assert!(keys.insert(route.key().to_owned()), "{} is there twice", route.key());
        }
        let starts = |kind: &str, name: &str| {
            resources(&document, kind).any(|(_, source)| {
                source["Properties"].get(name).is_some_and(|of| texts(of) == [function.logical_id.as_str()])
            })
        };
        let by_source = starts("AWS::Lambda::EventSourceMapping", "FunctionName")
            || starts("AWS::Lambda::Permission", "FunctionName");
        assert!(
            !(function.routes.is_empty() && function.queues.is_empty() && function.schedules.is_empty()) || by_source,
            "nothing starts {}",
            function.package
        );
    }
}

/// Until then a task that was cancelled may still get pages, and a hook's task more chunks.
#[test]
fn fan_out_ends_when_those_who_sum_up_count_on_it() {
    let template = template();
    let fan_out = template.functions.iter().find(|function| function.package == "fan-out").unwrap();
    assert!(fan_out.timeout <= pushbell::task::FAN_OUT_LIMIT);
}

/// Lambda stops what it takes for an endless loop, after about 16 rounds: "Use Lambda recursive loop detection to prevent infinite loops"
/// in its guide. A retry or an audience page is one round.
#[test]
fn a_function_that_writes_to_its_own_queue_is_not_stopped_as_a_loop() {
    let document = document();
    let roles = roles(&document);
    let mut loops = BTreeSet::new();
    for function in template().functions {
        let sends = |queue: &str| {
            allowed(roles[&function.package]).contains(&("sqs:SendMessage".to_owned(), format!("{queue}.Arn")))
        };
        let writes_to_its_own = function.queues.iter().any(|source| sends(&source.queue));
        let setting = property(&document, &["Resources", &function.logical_id, "Properties", "RecursiveLoop"]);
        if writes_to_its_own {
            assert_eq!(setting.and_then(Value::as_str), Some("Allow"), "{}", function.package);
            loops.insert(function.package);
        } else {
            assert!(setting.is_none(), "{} writes to no queue of its own", function.package);
        }
    }
    assert_eq!(loops, ["deliver", "fan-out", "report"].map(str::to_owned).into());
}

/// SNS starts a function once per event, as many at a time as it has.
#[test]
fn a_topic_starts_functions_by_a_queue_and_nobody_else_puts_into_it() {
    let (document, template) = (document(), template());
    assert!(!template.subscriptions.is_empty());
    let worked_off =
        |queue: &str| template.functions.iter().flat_map(|f| &f.queues).find(|source| source.queue == queue);
    for subscription in &template.subscriptions {
        let source = worked_off(&subscription.queue).unwrap();
        assert_eq!(source.maximum_concurrency, 2, "{}", subscription.queue);
        let policies = resources(&document, "AWS::SQS::QueuePolicy")
            .filter(|(_, policy)| texts(&policy["Properties"]["Queues"]) == [subscription.queue.as_str()]);
        let statements: Vec<&Value> = policies
            .flat_map(|(_, policy)| {
                property(policy, &["Properties", "PolicyDocument", "Statement"]).unwrap().as_sequence().unwrap()
            })
            .collect();
        let [statement] = statements.as_slice() else { panic!("{statements:?}") };
        assert_eq!(statement["Principal"]["Service"], "sns.amazonaws.com");
        assert_eq!(texts(&statement["Action"]), ["sqs:SendMessage"]);
        assert_eq!(texts(&statement["Resource"]), [format!("{}.Arn", subscription.queue)]);
        assert_eq!(texts(&statement["Condition"]["ArnEquals"]["aws:SourceArn"]), [subscription.topic.as_str()]);
    }
    let without = ["AWS::SNS::Topic", "AWS::SNS::Subscription", "AWS::SQS::QueuePolicy"];
    for (id, resource) in without.into_iter().flat_map(|kind| resources(&document, kind)) {
        let condition = if id.starts_with("Trigger") { "HasTriggerEvents" } else { "HasSnsFeedback" };
        assert_eq!(resource["Condition"], condition, "{id}");
    }
}

/// Without a stream and a bus the function is there, and nothing starts it.
#[test]
fn sources_of_triggers_are_optional_and_what_they_give_up_is_kept() {
    let document = document();
    for (kind, id, condition) in [
        ("AWS::Lambda::EventSourceMapping", "TriggerStreamSource", "HasTriggerStream"),
        ("AWS::IAM::Policy", "TriggerStreamPolicy", "HasTriggerStream"),
        ("AWS::Events::Rule", "TriggerEventRule", "HasTriggerEvents"),
        ("AWS::Lambda::Permission", "TriggerEventPermission", "HasTriggerEvents"),
        ("AWS::SQS::QueuePolicy", "TriggerDeadLettersPolicy", "HasTriggerEvents"),
    ] {
        let resource = &document["Resources"][id];
        assert_eq!((&resource["Type"], &resource["Condition"]), (&kind.into(), &condition.into()), "{id}");
    }
    let stream = &document["Resources"]["TriggerStreamSource"]["Properties"];
    assert_eq!(texts(&stream["FunctionResponseTypes"]), ["ReportBatchItemFailures"]);
    assert_eq!(texts(&stream["DestinationConfig"]["OnFailure"]["Destination"]), ["TriggerDeadLetters.Arn"]);
    assert_eq!(stream["MaximumRecordAgeInSeconds"], 3600);
    let rule = &document["Resources"]["TriggerEventRule"]["Properties"];
    let letters = &rule["Targets"][0]["DeadLetterConfig"]["Arn"];
    assert_eq!(
        (texts(letters), texts(&rule["Targets"][0]["Arn"])),
        (vec!["TriggerDeadLetters.Arn".to_owned()], vec!["TriggerFunction.Arn".to_owned()],)
    );
    let policy = &document["Resources"]["TriggerDeadLettersPolicy"]["Properties"]["PolicyDocument"]["Statement"][0];
    assert_eq!(policy["Principal"]["Service"], "events.amazonaws.com");
    assert_eq!(texts(&policy["Condition"]["ArnEquals"]["aws:SourceArn"]), ["TriggerEventRule.Arn"]);
    let permission = &document["Resources"]["TriggerEventPermission"]["Properties"];
    assert_eq!(texts(&permission["SourceArn"]), ["TriggerEventRule.Arn"]);
    let function = template().function("trigger").unwrap().clone();
    assert_eq!(function.asynchronous.on_failure.as_deref(), Some("TriggerDeadLetters"));
    assert_eq!(function.environment["TRIGGER_APPS"], [Part::Text(String::new())]);
}

/// What a role has beside its own statements, where a parameter asks for it.
#[test]
fn a_policy_of_its_own_allows_no_more_than_reading_the_stream() {
    let document = document();
    let policies: Vec<&str> = resources(&document, "AWS::IAM::Policy").map(|(id, _)| id).collect();
    assert_eq!(policies, ["TriggerStreamPolicy"]);
    let properties = &document["Resources"]["TriggerStreamPolicy"]["Properties"];
    assert_eq!(texts(&properties["Roles"]), ["TriggerRole"]);
    let [statement] = properties["PolicyDocument"]["Statement"].as_sequence().unwrap().as_slice() else {
        panic!("one")
    };
    assert_eq!(texts(&statement["Resource"]), ["TriggerStreamArn"]);
    let actions = texts(&statement["Action"]);
    let reads = ["DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"];
    assert_eq!(actions, reads.map(|action| format!("dynamodb:{action}")));
}

#[test]
fn a_scheduled_function_says_when_it_failed() {
    let document = document();
    for function in template().functions {
        if function.schedules.is_empty() {
            continue;
        }
        assert!(function.asynchronous.on_failure.is_some(), "{}", function.package);
        let events = property(&document, &["Resources", &function.logical_id, "Properties", "Events"]).unwrap();
        for schedule in &function.schedules {
            let letters = property(events, &[&schedule.name, "Properties", "DeadLetterConfig", "Arn"]);
            assert!(letters.is_some(), "{} {}", function.package, schedule.name);
        }
    }
}

#[test]
fn no_role_allows_a_wildcard_action_and_each_function_has_its_own() {
    let document = document();
    let mut seen = BTreeSet::new();
    for (package, role) in roles(&document) {
        for (action, resource) in allowed(role) {
            assert!(!action.contains('*'), "{package}: {action}");
            // X-Ray is the one service whose actions know no resources.
            if resource == "*" {
                assert!(action.starts_with("xray:"), "{package}: {action} on everything");
            }
        }
        assert!(role["Properties"]["ManagedPolicyArns"].is_null(), "{package}");
        assert!(seen.insert(role as *const Value), "{package} shares its role");
    }
    assert_eq!(resources(&document, "AWS::IAM::Role").count(), seen.len());
}

#[test]
fn a_role_allows_what_the_functions_events_need() {
    let document = document();
    let roles = roles(&document);
    for function in template().functions {
        let allowed = allowed(roles[&function.package]);
        let may = |action: &str, resource: &str| {
            let pair = (action.to_owned(), resource.to_owned());
            assert!(allowed.contains(&pair), "{} may not {action} {resource}", function.package);
        };
        for source in &function.queues {
            for action in ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"] {
                may(action, &format!("{}.Arn", source.queue));
            }
        }
        if let Some(queue) = &function.asynchronous.on_failure {
            may("sqs:SendMessage", &format!("{queue}.Arn"));
        }
        let logs = texts(
            property(&document, &["Resources", &function.logical_id, "Properties", "LoggingConfig", "LogGroup"])
                .unwrap(),
        )
        .remove(0);
        may("logs:PutLogEvents", &format!("{logs}.Arn"));
        may("xray:PutTraceSegments", "*");
    }
}

/// What the tests over HTTP show to be enough.
#[test]
fn notify_deletes_nothing_and_fan_out_reads_nothing_of_the_registry_but_audiences() {
    let document = document();
    let roles = roles(&document);
    let deletes = |(action, _): &(String, String)| action.contains("Delete");
    assert!(!allowed(roles["notify"]).iter().any(deletes));
    let registry = allowed(roles["fan-out"]).into_iter().filter(|(_, table)| table == "RegistryTable.Arn");
    assert_eq!(registry.map(|(action, _)| action).collect::<Vec<_>>(), ["dynamodb:Query"]);
}

#[test]
fn only_deliver_and_notify_read_the_vendors_credentials() {
    let document = document();
    for (package, role) in roles(&document) {
        let secrets: Vec<String> = allowed(role)
            .into_iter()
            .filter(|(action, _)| action.starts_with("secretsmanager:"))
            .map(|(action, resource)| {
                assert_eq!(action, "secretsmanager:GetSecretValue", "{package}");
                resource
            })
            .collect();
        let reads_vendors = secrets.iter().any(|pattern| pattern.contains("/vendors"));
        assert_eq!(reads_vendors, package == "deliver" || package == "notify", "{package}");
    }
}

/// It posts to addresses that apps choose.
#[test]
fn report_reads_the_keys_it_signs_with_and_no_other_secret() {
    let document = document();
    let roles = roles(&document);
    let secrets = |package: &str| -> Vec<String> {
        let allowed = allowed(roles[package]).into_iter();
        allowed.filter(|(action, _)| action.starts_with("secretsmanager:")).map(|(_, secret)| secret).collect()
    };
    let own = secrets("report");
    assert!(matches!(own.as_slice(), [only] if only.ends_with(":secret:pushbell/${Stage}/apps/*/results*")), "{own:?}");
    for package in roles.keys().filter(|package| *package != "report") {
        assert!(!secrets(package).iter().any(|secret| secret.contains("/results")), "{package}");
    }
    let sends = |(action, _): &(String, String)| action.starts_with("sns:") || action.contains("Update");
    assert!(!allowed(roles["report"]).iter().any(sends));
}

#[test]
fn every_pattern_of_resources_has_its_reason_beside_it() {
    let text = std::fs::read_to_string(workspace().join("template.yaml")).unwrap();
    for statement in text.split("- Sid: ").skip(1) {
        let name = statement.lines().next().unwrap();
        // A statement ends where its lines are no longer indented as deep as its keys.
        let statement: Vec<&str> =
            statement.lines().skip(1).take_while(|line| line.starts_with("                ")).collect();
        let pattern = statement.iter().any(|line| {
            let value = line.split('#').next().unwrap_or_default();
            value.contains('*') || value.contains('?')
        });
        let reason = statement.iter().any(|line| line.trim_start().starts_with("# "));
        assert!(!pattern || reason, "{name} has a pattern and no reason");
    }
}

#[test]
fn access_logs_carry_the_route_and_never_the_path() {
    let document = document();
    let format = property(&document, &["Resources", "Api", "Properties", "AccessLogSettings", "Format"])
        .unwrap()
        .as_str()
        .unwrap();
    assert!(format.contains("$context.routeKey"));
    for secret in ["$context.path", "$context.resourcePath", "queryString", "requestOverride"] {
        assert!(!format.contains(secret), "{secret}");
    }
}

#[test]
fn tables_are_kept_encrypted_and_recoverable() {
    let document = document();
    for (id, table) in resources(&document, "AWS::DynamoDB::Table") {
        assert_eq!(table["DeletionPolicy"], "Retain", "{id}");
        assert_eq!(table["UpdateReplacePolicy"], "Retain", "{id}");
        let properties = &table["Properties"];
        assert_eq!(properties["BillingMode"], "PAY_PER_REQUEST", "{id}");
        assert_eq!(properties["SSESpecification"]["SSEEnabled"], true, "{id}");
        assert_eq!(properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"], true, "{id}");
        assert_eq!(texts(&properties["DeletionProtectionEnabled"]), ["DeletionProtection"], "{id}");
    }
    for (id, queue) in resources(&document, "AWS::SQS::Queue") {
        assert_eq!(queue["Properties"]["SqsManagedSseEnabled"], true, "{id}");
    }
}
