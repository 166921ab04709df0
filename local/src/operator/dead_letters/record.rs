//! What a dead letter is, without people, texts and tokens.
//!
//! Records are read as JSON: those of a newer or an older release are told of as well, as far as they are known.

use std::collections::BTreeMap;

use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use pushbell::task::Outcome;
use pushbell::time::Timestamp;
use serde_json::{Value, json};

/// What is told of a record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Record {
    /// Whose.
    pub(super) app: Option<String>,
    /// The task's number.
    pub(super) task: Option<u64>,
    /// What it is.
    pub(super) kind: &'static str,
    /// Some more of that: protocol, chunk and attempt.
    pub(super) part: Option<String>,
    /// How many it is for.
    pub(super) recipients: Option<u64>,
    /// When it was sent to the queue that gave it up.
    pub(super) sent_at: Option<Timestamp>,
    /// Why it was given up, where it says so.
    pub(super) why: String,
}

/// A system attribute of a record.
pub(super) fn system(message: &Message, name: MessageSystemAttributeName) -> Option<&str> {
    message.attributes().and_then(|all| all.get(&name)).map(String::as_str)
}

/// When a record was sent. One that SQS moved keeps the time of its first queue.
pub(super) fn sent_at(message: &Message) -> Option<Timestamp> {
    let ms = system(message, MessageSystemAttributeName::SentTimestamp)?.parse().ok()?;
    Some(Timestamp::from_millis(ms))
}

/// A whole record.
pub(super) fn raw(message: &Message) -> Value {
    let system: BTreeMap<&str, &str> =
        message.attributes().into_iter().flatten().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let attributes: BTreeMap<&str, &str> = message
        .message_attributes()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.as_str(), value.string_value().unwrap_or_default()))
        .collect();
    let body = message.body().unwrap_or_default();
    let body = serde_json::from_str(body).unwrap_or_else(|_| Value::String(body.to_owned()));
    json!({ "message_id": message.message_id(), "system": system, "attributes": attributes, "body": body })
}

impl Record {
    /// What a message of SQS's is.
    pub(super) fn read(message: &Message) -> Self {
        let body = serde_json::from_str(message.body().unwrap_or_default()).unwrap_or(Value::Null);
        let mut record = Self::of(&body);
        record.sent_at = sent_at(message);
        // Its group is its app, whatever is wrong with its body.
        let group = system(message, MessageSystemAttributeName::MessageGroupId);
        record.app = record.app.or_else(|| group.map(str::to_owned));
        record
    }

    fn of(body: &Value) -> Self {
        let origin = &body["message"]["origin"];
        if origin.is_object() {
            return Self::of_task(body, origin);
        }
        if body["excerpts"].is_array() || body["key"].is_object() {
            return Self::of_report(body);
        }
        let text = |value: &Value| value.as_str().map(str::to_owned);
        if body["events"].is_array() && body["app"].is_string() {
            return Self {
                app: text(&body["app"]),
                kind: "a callback of vendors' results",
                recipients: len(&body["events"]),
                why: "could not be counted in five tries".to_owned(),
                ..Self::default()
            };
        }
        if let Some(event) = body["EventType"].as_str() {
            return Self {
                kind: "an event of SNS",
                part: Some(
                    [Some(event), body["FailureType"].as_str()].into_iter().flatten().collect::<Vec<_>>().join(", "),
                ),
                why: "could not be worked off in five tries".to_owned(),
                ..Self::default()
            };
        }
        Self::of_lambda(body)
    }

    /// A chunk, a task that is to be cut, an audience.
    fn of_task(body: &Value, origin: &Value) -> Self {
        let recall = body["message"]["behaviour"]["kind"] == "withdraw";
        let dialect = origin["dialect"].as_str().unwrap_or("-");
        let mut record = Self {
            app: origin["app"].as_str().map(str::to_owned),
            task: body["task"].as_u64(),
            recipients: len(&body["to"]),
            ..Self::default()
        };
        if let Some(seq) = body["seq"].as_u64() {
            let attempt = body["attempt"].as_u64().unwrap_or_default();
            record.kind = if recall { "a chunk of a recall" } else { "a chunk of a push" };
            record.part = Some(format!("{dialect}, chunk {seq}, attempt {attempt}"));
            record.why = if body["given_up"] == true {
                let was = outcomes(&body["to"]);
                let was = was.iter().map(|(word, n)| format!("{word}={n}")).collect::<Vec<_>>().join(" ");
                format!("given up: {was}")
            } else {
                "failed five times".to_owned()
            };
        } else {
            record.kind = match (&body["members"], &body["shard"]) {
                (Value::Null, _) => "a task",
                (_, Value::Null) => "a task for an audience",
                (_, _) => "a part of an audience",
            };
            record.part = Some(dialect.to_owned());
            record.why = "could not be cut into chunks in five tries".to_owned();
        }
        record
    }

    /// Outcomes for an app's own address.
    fn of_report(body: &Value) -> Self {
        let excerpts = body["excerpts"].as_array();
        let first = excerpts.and_then(|excerpts| excerpts.first()).map(|excerpt| &excerpt["of"]);
        let of = first.unwrap_or(body);
        let outcomes = excerpts.map(|excerpts| {
            let bound = |excerpt: &Value, end: &str| excerpt["numbers"][end].as_u64().unwrap_or_default();
            excerpts.iter().map(|excerpt| bound(excerpt, "end").saturating_sub(bound(excerpt, "start"))).sum()
        });
        Self {
            app: body["app"].as_str().map(str::to_owned),
            task: of["key"]["task"].as_u64(),
            kind: if excerpts.is_some() { "a post of outcomes" } else { "outcomes of an attempt" },
            part: excerpts.filter(|excerpts| excerpts.len() > 1).map(|_| "of several tasks or chunks".to_owned()),
            recipients: outcomes,
            why: match (excerpts, &body["since"]) {
                (Some(_), Value::Null) => "given up: not taken for three days, or not wanted".to_owned(),
                (_, _) => "failed five times".to_owned(),
            },
            ..Self::default()
        }
    }

    /// What Lambda or a bus gave up.
    fn of_lambda(body: &Value) -> Self {
        let context = &body["requestContext"];
        if body["DDBStreamBatchInfo"].is_object() {
            return Self {
                kind: "changes of a table",
                recipients: body["DDBStreamBatchInfo"]["batchSize"].as_u64(),
                why: condition(context),
                ..Self::default()
            };
        }
        if context.is_object() {
            let function = context["functionArn"].as_str().unwrap_or_default();
            let is_timer = function.to_lowercase().contains("retry");
            return Self {
                kind: if is_timer { "a failed run of the timer" } else { "an event" },
                why: condition(context),
                ..Self::default()
            };
        }
        if body["detail"].is_object() {
            return Self { kind: "an event", why: "did not reach the function".to_owned(), ..Self::default() };
        }
        if body["time"].is_string() {
            return Self {
                kind: "a failed run of the timer",
                why: "did not reach the function".to_owned(),
                ..Self::default()
            };
        }
        Self { kind: "no record that is known", why: "failed too often".to_owned(), ..Self::default() }
    }

    /// As JSON.
    pub(super) fn json(&self) -> Value {
        json!({
            "app": self.app,
            "task": self.task,
            "kind": self.kind,
            "part": self.part,
            "recipients": self.recipients,
            "sent_at": self.sent_at,
            "why": self.why,
        })
    }

    /// As a line.
    pub(super) fn told(&self) -> String {
        let mut line = self.sent_at.map_or_else(|| "-".to_owned(), Timestamp::to_rfc3339);
        if let Some(app) = &self.app {
            line.push_str(&format!(" {app}"));
        }
        if let Some(task) = self.task {
            line.push_str(&format!(" task {task}"));
        }
        line.push_str(&format!(": {}", self.kind));
        if let Some(part) = &self.part {
            line.push_str(&format!(" ({part})"));
        }
        if let Some(n) = self.recipients {
            line.push_str(&format!(" of {n}"));
        }
        format!("{line}; {}", self.why)
    }
}

fn len(list: &Value) -> Option<u64> {
    list.as_array().and_then(|list| u64::try_from(list.len()).ok())
}

/// How often which outcome was given up: a recipient's devices have the one that is told, and `gave_up` without a word.
fn outcomes(to: &Value) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for target in to.as_array().into_iter().flatten() {
        let letter = target["w"].as_str().and_then(|letter| letter.chars().next());
        let outcome = letter.and_then(Outcome::from_letter).unwrap_or(Outcome::GaveUp);
        let devices = target["d"].as_array().or_else(|| target["o"].as_array()).map_or(1, Vec::len);
        *counts.entry(outcome.as_str()).or_default() += devices;
    }
    counts
}

/// Why Lambda gave up.
fn condition(context: &Value) -> String {
    match (context["condition"].as_str(), context["approximateInvokeCount"].as_u64()) {
        (Some("RetriesExhausted"), Some(tries)) => format!("failed {tries} times"),
        (Some(condition), _) => condition.to_owned(),
        (None, _) => "failed too often".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(body: &Value) -> String {
        Record::of(body).told()
    }

    #[test]
    fn a_chunk_is_told_without_its_people_and_texts() {
        let mut chunk = json!({
            "task": 7, "nonce": "abcdefgh", "seq": 3, "attempt": 200, "given_up": true, "claimed_at": 1,
            "message": {"origin": {"app": "demo", "dialect": "imkit", "message": "m1"}, "text": {"body": "secret"}},
            "to": [{"c": "person", "d": ["k1", "k2"], "w": "c"}, "other person", {"c": "third", "d": ["k3"]}],
        });
        assert_eq!(
            told(&chunk),
            "- demo task 7: a chunk of a push (imkit, chunk 3, attempt 200) of 3; given up: gave_up=2 misconfigured=2"
        );
        chunk["given_up"] = json!(false);
        chunk["message"]["behaviour"] = json!({"kind": "withdraw"});
        let told = told(&chunk);
        assert!(told.contains("a chunk of a recall") && told.ends_with("; failed five times"), "{told}");
        assert!(!told.contains("person") && !told.contains("secret"), "{told}");
    }

    #[test]
    fn a_task_and_an_audience_are_told_apart() {
        let message = json!({"origin": {"app": "demo", "dialect": "lanying", "message": "m1"}});
        let part = json!({"task": 7, "first": 0, "message": message, "to": ["a", "b"]});
        assert_eq!(told(&part), "- demo task 7: a task (lanying) of 2; could not be cut into chunks in five tries");
        let mut walk = json!({"task": 7, "members": "all", "message": message});
        assert!(told(&walk).contains("a task for an audience"));
        walk["shard"] = json!(3);
        assert!(told(&walk).contains("a part of an audience"));
    }

    #[test]
    fn outcomes_for_an_address_are_counted_and_say_whether_they_were_given_up() {
        let of = json!({"app": "demo", "key": {"task": 7, "nonce": "n"}, "seq": 0, "attempt": 0, "message": "m1"});
        let mut post = json!({"app": "demo", "excerpts": [{"of": of, "numbers": {"start": 100, "end": 150}}]});
        assert_eq!(
            told(&post),
            "- demo task 7: a post of outcomes of 50; given up: not taken for three days, or not wanted"
        );
        post["since"] = json!(5);
        assert!(told(&post).ends_with("; failed five times"));
        assert_eq!(told(&of), "- demo task 7: outcomes of an attempt; failed five times");
    }

    #[test]
    fn what_lambda_sns_and_vendors_left_is_told_and_what_nobody_knows_as_well() {
        let failed = |arn: &str| json!({"requestContext": {"functionArn": arn, "condition": "RetriesExhausted", "approximateInvokeCount": 2}});
        let timer = failed("arn:aws:lambda:eu-west-1:1:function:pushbell-prod-RetryFunction-abc:$LATEST");
        assert_eq!(told(&timer), "-: a failed run of the timer; failed 2 times");
        let event = failed("arn:aws:lambda:eu-west-1:1:function:pushbell-prod-TriggerFunction-abc:$LATEST");
        assert_eq!(told(&event), "-: an event; failed 2 times");
        let mut stream = event;
        stream["DDBStreamBatchInfo"] = json!({"batchSize": 9});
        assert_eq!(told(&stream), "-: changes of a table of 9; failed 2 times");
        let sns = json!({"EventType": "DeliveryFailure", "FailureType": "EndpointDisabled", "EndpointArn": "arn"});
        assert_eq!(
            told(&sns),
            "-: an event of SNS (DeliveryFailure, EndpointDisabled); could not be worked off in five tries"
        );
        let batch = json!({"app": "demo", "id": "b", "events": [1, 2]});
        assert_eq!(told(&batch), "- demo: a callback of vendors' results of 2; could not be counted in five tries");
        assert_eq!(told(&Value::Null), "-: no record that is known; failed too often");
    }
}
