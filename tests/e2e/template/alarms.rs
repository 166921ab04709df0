//! Alarms, dashboard and runbook: they name only what there is, nothing that can wait is left out, and each alarm has its section.

use std::collections::{BTreeMap, BTreeSet};

use pushbell::telemetry::metrics::{Metric, NAMESPACE};
use serde_yaml_ng::Value;

use super::{document, property, resources, template, texts, untagged, workspace};

const ALARM: &str = "AWS::CloudWatch::Alarm";

/// A metric that something looks at: namespace, name, and its dimensions with their values; an empty value is any.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Seen {
    namespace: String,
    name: String,
    dimensions: BTreeMap<String, String>,
}

impl Seen {
    fn of(metric: &Value) -> Self {
        let dimensions = metric["Dimensions"].as_sequence().unwrap().iter().map(|dimension| {
            let value = texts(&dimension["Value"]).remove(0);
            let value = value.split('.').next().unwrap().to_owned();
            (dimension["Name"].as_str().unwrap().to_owned(), value)
        });
        Self {
            namespace: metric["Namespace"].as_str().unwrap().to_owned(),
            name: metric["MetricName"].as_str().unwrap().to_owned(),
            dimensions: dimensions.collect(),
        }
    }

    /// One of ours is in the list of all metrics, and is kept under just these dimensions. Whether it is ours.
    fn is_ours(&self) -> bool {
        if self.namespace != NAMESPACE {
            return false;
        }
        let metric = Metric::from_word(&self.name).unwrap_or_else(|| panic!("there is no metric {}", self.name));
        let own: BTreeSet<&str> = self.dimensions.keys().map(String::as_str).collect();
        let kept = metric.shape().dimensions().iter().any(|set| set.iter().copied().collect::<BTreeSet<_>>() == own);
        assert!(kept, "{} is not kept under {own:?}", self.name);
        assert!(own.contains("stage"), "{} is of one stage", self.name);
        true
    }
}

/// The part of `text` between the first `from` after its start and the next `to`.
fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let rest = text.split_once(from).unwrap_or_else(|| panic!("no {from} in {text}")).1;
    rest.split_once(to).unwrap_or_else(|| panic!("no {to} in {text}")).0
}

/// What a Metrics Insights query looks at.
fn of_query(query: &str) -> Seen {
    let mut schema = between(query, "SCHEMA(", ")").split(',').map(|part| part.trim().trim_matches('"').to_owned());
    let namespace = schema.next().unwrap();
    let name = between(query, "(", ")").to_owned();
    Seen { namespace, name, dimensions: schema.map(|dimension| (dimension, String::new())).collect() }
}

/// Every metric that an alarm looks at.
fn looked_at(alarm: &Value) -> Vec<Seen> {
    let properties = &alarm["Properties"];
    let Some(metrics) = properties.get("Metrics") else {
        return vec![Seen::of(properties)];
    };
    let metrics = metrics.as_sequence().unwrap().iter().filter_map(|metric| {
        if let Some(stat) = metric.get("MetricStat") {
            return Some(Seen::of(&stat["Metric"]));
        }
        let expression = untagged(&metric["Expression"]).as_str().unwrap();
        expression.starts_with("SELECT").then(|| of_query(expression))
    });
    metrics.collect()
}

fn ids<'a>(document: &'a Value, kind: &'a str) -> BTreeSet<String> {
    resources(document, kind).map(|(id, _)| id.to_owned()).collect()
}

#[test]
fn an_alarm_looks_at_metrics_that_there_are() {
    let document = document();
    let queues = ids(&document, "AWS::SQS::Queue");
    let mut ours = 0;
    for (id, alarm) in resources(&document, ALARM) {
        let metrics = looked_at(alarm);
        assert!(!metrics.is_empty() && metrics.len() <= 10, "{id}");
        for metric in metrics {
            if metric.is_ours() {
                ours += 1;
                let stage = &metric.dimensions["stage"];
                assert!(stage == "Stage" || stage.is_empty(), "{id}: {stage}");
            }
            if let Some(queue) = metric.dimensions.get("QueueName") {
                assert!(queues.contains(queue), "{id}: {queue}");
            }
        }
    }
    assert!(ours >= 5);
}

#[test]
fn an_alarm_s_arithmetic_names_its_own_metrics() {
    let document = document();
    for (id, alarm) in resources(&document, ALARM) {
        let Some(metrics) = alarm["Properties"].get("Metrics") else { continue };
        let metrics = metrics.as_sequence().unwrap();
        let names: BTreeSet<&str> = metrics.iter().map(|metric| metric["Id"].as_str().unwrap()).collect();
        assert_eq!(names.len(), metrics.len(), "{id}");
        assert_eq!(metrics.iter().filter(|metric| metric["ReturnData"] == true).count(), 1, "{id}");
        let mut used = BTreeSet::new();
        for metric in metrics {
            let Some(expression) = metric.get("Expression").and_then(|text| untagged(text).as_str()) else { continue };
            if expression.starts_with("SELECT") {
                assert!(expression.contains("stage = '${Stage}'") && metric["Period"].is_number(), "{id}");
                continue;
            }
            for word in expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')) {
                if word.starts_with(|c: char| c.is_ascii_lowercase()) {
                    assert!(names.contains(word), "{id}: {word}");
                    used.insert(word);
                }
            }
        }
        for metric in metrics.iter().filter(|metric| metric["ReturnData"] == false) {
            assert!(used.contains(metric["Id"].as_str().unwrap()), "{id}: {:?} is paid for and not used", metric["Id"]);
        }
    }
}

#[test]
fn an_idle_bundle_raises_no_alarm_and_whoever_hears_of_one_hears_of_its_end() {
    let document = document();
    for (id, alarm) in resources(&document, ALARM) {
        let properties = &alarm["Properties"];
        assert_eq!(properties["TreatMissingData"], "notBreaching", "{id}");
        assert!(!properties["AlarmActions"].is_null(), "{id}");
        assert_eq!(properties["AlarmActions"], properties["OKActions"], "{id}");
        let text = serde_yaml_ng::to_string(properties).unwrap();
        for line in text.lines().filter(|line| line.contains("Period:")) {
            let period: u64 = line.rsplit(' ').next().unwrap().parse().unwrap();
            assert!(period >= 300, "{id}: a shorter period costs more and hears of blips");
        }
    }
}

#[test]
fn no_dead_letter_and_no_waiting_record_goes_unseen() {
    let document = document();
    let watched = |alarm: &str, metric: &str| -> BTreeSet<String> {
        let alarm = &document["Resources"][alarm];
        let metrics = looked_at(alarm).into_iter().filter(|seen| seen.name == metric);
        metrics.map(|seen| seen.dimensions["QueueName"].clone()).collect()
    };
    let template = template();
    let sources: BTreeSet<String> =
        template.functions.iter().flat_map(|function| &function.queues).map(|source| source.queue.clone()).collect();
    let others = ids(&document, "AWS::SQS::Queue").difference(&sources).cloned().collect();
    let dead_letters = |alarm| watched(alarm, "ApproximateNumberOfMessagesVisible");
    let (pushes, reports) = (dead_letters("DeadLettersAlarm"), dead_letters("ReportDeadLettersAlarm"));
    assert!(pushes.is_disjoint(&reports), "an app's own receiver holds up no alarm of pushes");
    assert!(reports.contains("ReportDeadLetters"));
    assert_eq!(pushes.union(&reports).cloned().collect::<BTreeSet<_>>(), others);
    for metric in ["ApproximateAgeOfOldestMessage", "ApproximateNumberOfMessagesVisible"] {
        let (pushes, results) = (watched("QueueAgeAlarm", metric), watched("ResultsLateAlarm", metric));
        assert!(pushes.is_disjoint(&results));
        assert_eq!(pushes.union(&results).cloned().collect::<BTreeSet<_>>(), sources, "{metric}");
    }
}

#[test]
fn every_alarm_has_its_section_in_the_runbook_and_points_to_it() {
    let document = document();
    let page = std::fs::read_to_string(workspace().join("docs/operations.md")).unwrap();
    let sections: BTreeSet<String> = page
        .lines()
        .filter_map(|line| line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with('#')))
        .filter(|title| title.ends_with("Alarm"))
        .map(str::to_owned)
        .collect();
    assert_eq!(sections, ids(&document, ALARM));
    for (id, alarm) in resources(&document, ALARM) {
        let description = alarm["Properties"]["AlarmDescription"].as_str().unwrap();
        let anchor = format!("docs/operations.md#{}", id.to_lowercase());
        assert!(description.trim_end().ends_with(&anchor), "{id}: {description}");
        assert!(description.len() <= 1024, "{id}");
        let section = page.split(&format!("# {id}\n")).nth(1).unwrap().split("\n## ").next().unwrap();
        for part in ["**Means.**", "**Phones.**", "**Do.**", "**Over.**"] {
            assert!(section.contains(part), "{id} lacks {part}");
        }
    }
}

#[test]
fn the_runbook_says_what_the_alarms_cost() {
    let document = document();
    let by_query = |alarm: &Value| looked_at(alarm).iter().any(|seen| seen.dimensions.values().any(String::is_empty));
    let looked_at: usize = resources(&document, ALARM)
        .filter(|(_, alarm)| !by_query(alarm))
        .map(|(_, alarm)| looked_at(alarm).len())
        .sum();
    let page = std::fs::read_to_string(workspace().join("docs/operations.md")).unwrap();
    assert!(page.contains(&format!("{looked_at} metrics of alarms")), "{looked_at}");
}

#[test]
fn the_runbook_names_metrics_and_resources_that_there_are() {
    let document = document();
    let page = std::fs::read_to_string(workspace().join("docs/operations.md")).unwrap();
    let listed: BTreeSet<&str> = between(&page, "## What is measured\n", "\n## ")
        .lines()
        .filter(|line| line.starts_with("| `"))
        .flat_map(|line| line.split('|').nth(1).unwrap().split('`').skip(1).step_by(2))
        .collect();
    assert_eq!(listed, Metric::ALL.into_iter().map(Metric::as_str).collect(), "the table of metrics");
    for rest in page.split("$(id ").skip(1) {
        let id = rest.split(')').next().unwrap();
        // `"$1"` and the like are the shell's own.
        assert!(id.starts_with('"') || document["Resources"].get(id).is_some(), "{id}");
    }
}

#[test]
fn every_function_is_told_whether_apps_have_metrics_of_their_own() {
    for function in template().functions {
        assert!(function.environment.contains_key("METRICS_BY_APP"), "{}", function.package);
    }
}

/// The dashboard, with every reference replaced by the name of what it refers to.
fn dashboard(document: &Value) -> serde_json::Value {
    let (_, dashboard) = resources(document, "AWS::CloudWatch::Dashboard").next().unwrap();
    let body = untagged(&dashboard["Properties"]["DashboardBody"]).as_str().unwrap();
    let (mut text, mut rest) = (String::new(), body);
    while let Some((before, after)) = rest.split_once("${") {
        text.push_str(before);
        let (name, after) = after.split_once('}').unwrap();
        rest = after;
        if let Some(literal) = name.strip_prefix('!') {
            text.push_str(&format!("${{{literal}}}"));
            continue;
        }
        let id = name.split('.').next().unwrap();
        let known = id.starts_with("AWS::")
            || property(document, &["Resources", id]).is_some()
            || property(document, &["Parameters", id]).is_some();
        assert!(known, "the dashboard refers to {id}");
        text.push_str(id);
    }
    text.push_str(rest);
    serde_json::from_str(&text).unwrap()
}

/// What a row of a widget looks at: `[namespace, name, dimension, value, ..., {options}]` or `[{"expression": "SEARCH(...)"}]`.
fn of_row(row: &serde_json::Value) -> Seen {
    let row = row.as_array().unwrap();
    if let Some(expression) = row[0]["expression"].as_str() {
        let mut schema = between(expression, "{", "}").split(',').map(str::to_owned);
        let namespace = schema.next().unwrap();
        let terms = between(expression, "} ", "', '");
        let term = |name: &str| {
            let value = terms.split_once(&format!("{name}=\"")).map(|(_, rest)| rest.split('"').next().unwrap());
            value.unwrap_or_default().to_owned()
        };
        let dimensions = schema.map(|name| (name.clone(), term(&name))).collect();
        return Seen { namespace, name: term("MetricName"), dimensions };
    }
    let words: Vec<&str> = row.iter().filter_map(serde_json::Value::as_str).collect();
    let [namespace, name, dimensions @ ..] = words.as_slice() else { panic!("{row:?}") };
    let dimensions = dimensions.chunks(2).map(|pair| (pair[0].to_owned(), pair[1].to_owned())).collect();
    Seen { namespace: (*namespace).to_owned(), name: (*name).to_owned(), dimensions }
}

#[test]
fn the_dashboard_shows_metrics_that_there_are_and_everything_that_is_deployed() {
    let document = document();
    let dashboard = dashboard(&document);
    let mut seen = Vec::new();
    for widget in dashboard["widgets"].as_array().unwrap() {
        assert!(widget["properties"]["title"].is_string());
        let Some(rows) = widget["properties"]["metrics"].as_array() else { continue };
        assert_eq!(widget["properties"]["region"], "AWS::Region", "{widget}");
        seen.extend(rows.iter().map(of_row));
    }
    assert!(seen.iter().filter(|seen| seen.is_ours()).count() >= 10);
    for seen in seen.iter().filter(|seen| seen.namespace == NAMESPACE) {
        assert_eq!(seen.dimensions["stage"], "Stage", "{seen:?}");
    }
    let shown = |metric: &str, dimension: &str| -> BTreeSet<String> {
        let of = seen.iter().filter(|seen| seen.name == metric);
        of.filter_map(|seen| seen.dimensions.get(dimension).cloned()).collect()
    };
    let functions = ids(&document, "AWS::Serverless::Function");
    for metric in ["Errors", "Throttles", "Duration", "ConcurrentExecutions"] {
        assert_eq!(shown(metric, "FunctionName"), functions, "{metric}");
    }
    let tables = ids(&document, "AWS::DynamoDB::Table");
    for metric in
        ["ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits", "ReadThrottleEvents", "WriteThrottleEvents"]
    {
        assert_eq!(shown(metric, "TableName"), tables, "{metric}");
    }
    assert_eq!(shown("ApproximateNumberOfMessagesVisible", "QueueName"), ids(&document, "AWS::SQS::Queue"));
    let alarms: BTreeSet<String> = dashboard["widgets"][0]["properties"]["alarms"]
        .as_array()
        .unwrap()
        .iter()
        .map(|alarm| alarm.as_str().unwrap().to_owned())
        .collect();
    assert_eq!(alarms, ids(&document, ALARM));
}

#[test]
fn no_widget_lies_on_another() {
    let dashboard = dashboard(&document());
    let mut taken = BTreeSet::new();
    for widget in dashboard["widgets"].as_array().unwrap() {
        let number = |name: &str| widget[name].as_u64().unwrap();
        for x in number("x")..number("x") + number("width") {
            assert!(x < 24, "{widget}");
            for y in number("y")..number("y") + number("height") {
                assert!(taken.insert((x, y)), "{widget}");
            }
        }
    }
}
