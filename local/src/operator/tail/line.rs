//! A line of a function's log, for people. Nothing is told that is not in it, and lines hold no tokens, texts or people's ids.

use pushbell::id::AppId;
use pushbell::time::Timestamp;
use serde_json::{Map, Value};

/// What is no JSON is shown up to here: a panic's words.
const LONGEST: usize = 300;
/// What is told at its place in a line, or not at all.
const PLACED: [&str; 8] = ["timestamp", "level", "message", "app", "task", "outcomes", "span", "spans"];
/// What is told of an event of Lambda's own beside its status. Source: the schema reference of the Lambda Telemetry API.
const RECORDED: [&str; 3] = ["errorType", "droppedRecords", "droppedBytes"];

/// A line that is shown.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    function: String,
    fields: Map<String, Value>,
}

impl Line {
    /// The line of a function's log. None: it is a number for CloudWatch, or one about every call.
    pub(super) fn read(function: &str, text: &str) -> Option<Self> {
        let fields = match serde_json::from_str(text) {
            Ok(Value::Object(fields)) => fields,
            Ok(_) | Err(_) if text.trim().is_empty() => return None,
            Ok(_) | Err(_) => {
                let cut: String = text.trim().chars().take(LONGEST).collect();
                Map::from_iter([("level".to_owned(), "ERROR".into()), ("message".to_owned(), cut.into())])
            }
        };
        if fields.contains_key("_aws") {
            return None;
        }
        let line = Self { function: function.to_owned(), fields };
        let is_news = match line.platform() {
            // Its report tells the same once more.
            Some("runtimeDone") => false,
            Some("logsDropped") => true,
            Some(_) => line.platform_failed(),
            None => line.is_bad() || (line.word("level").is_some() && line.fields.contains_key("task")),
        };
        is_news.then_some(line)
    }

    /// Whether it is about this app; every line is about all. What went wrong in no app's name may be about any: a panic, a call that
    /// Lambda ended.
    pub(super) fn is_of(&self, app: Option<&AppId>) -> bool {
        let Some(app) = app else { return true };
        match self.word("app").filter(|of| !of.is_empty()) {
            Some(of) => of == app.as_str(),
            None => self.is_bad() || self.platform().is_some(),
        }
    }

    fn is_bad(&self) -> bool {
        matches!(self.word("level"), Some("WARN" | "ERROR"))
    }

    /// Which event of Lambda's own it is: `report`.
    fn platform(&self) -> Option<&str> {
        self.word("type")?.strip_prefix("platform.")
    }

    /// The line, with the time at which it was written.
    pub(super) fn told(&self, at: Timestamp) -> String {
        let mut told = at.to_rfc3339();
        if let Some(app) = self.word("app").filter(|app| !app.is_empty()) {
            told.push_str(&format!(" {app}"));
        }
        if let Some(task) = self.fields.get("task") {
            told.push_str(&format!(" task {}", plain(task)));
        }
        told.push_str(&format!(" {}:", self.function));
        if let Some(level) = self.word("level").filter(|level| *level != "INFO") {
            told.push_str(&format!(" {level}"));
        }
        if let Some(kind) = self.word("type") {
            told.push_str(&format!(" {kind}"));
            let record = self.fields.get("record").unwrap_or(&Value::Null);
            if let Some(status) = record["status"].as_str() {
                told.push_str(&format!(" {status}"));
            }
            for name in RECORDED.into_iter().filter(|name| is_scalar(&record[name])) {
                told.push_str(&format!(" {name}={}", plain(&record[name])));
            }
            return told;
        }
        match (self.word("message"), self.word("outcomes")) {
            // One of these for every attempt: what is in it beside the outcomes, `why` tells.
            (_, Some(outcomes)) => {
                told.push_str(&format!(" {outcomes}"));
                if let Some(attempt) = self.fields.get("attempt").and_then(Value::as_u64).filter(|n| *n > 0) {
                    told.push_str(&format!(" (attempt {attempt})"));
                }
                return told;
            }
            (Some(message), None) => told.push_str(&format!(" {message}")),
            (None, None) => {}
        }
        for (name, value) in
            self.fields.iter().filter(|(name, value)| !PLACED.contains(&name.as_str()) && is_scalar(value))
        {
            told.push_str(&format!(" {name}={}", plain(value)));
        }
        told
    }

    fn word(&self, name: &str) -> Option<&str> {
        self.fields.get(name).and_then(Value::as_str)
    }

    fn platform_failed(&self) -> bool {
        let status = self.fields.get("record").and_then(|record| record["status"].as_str());
        status.is_some_and(|status| status != "success")
    }
}

fn is_scalar(value: &Value) -> bool {
    match value {
        Value::String(text) => !text.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(line: &Value) -> Option<String> {
        Line::read("deliver", &line.to_string()).map(|line| line.told(Timestamp::from_millis(1_767_225_600_000)))
    }

    #[test]
    fn an_attempt_is_told_with_its_outcomes() {
        let mut chunk = json!({
            "timestamp": "2026-01-01T00:00:00.000000Z", "level": "INFO", "message": "chunk", "app": "demo", "task": 7,
            "seq": 0, "attempt": 0, "outcomes": "delivered=2 pending=1", "counted": 3, "ms": 12,
        });
        assert_eq!(told(&chunk).as_deref(), Some("2026-01-01T00:00:00Z demo task 7 deliver: delivered=2 pending=1"));
        chunk["attempt"] = json!(2);
        assert!(told(&chunk).is_some_and(|line| line.ends_with("pending=1 (attempt 2)")));
    }

    #[test]
    fn warnings_and_errors_are_told_with_all_that_they_say() {
        let line = json!({
            "level": "WARN", "message": "not delivered", "app": "demo", "task": 7, "channel": "fcm", "class": "dead_token",
            "code": "UNREGISTERED", "span": {"name": "chunk"}, "error": "",
        });
        assert_eq!(
            told(&line).as_deref(),
            Some(
                "2026-01-01T00:00:00Z demo task 7 deliver: WARN not delivered channel=fcm class=dead_token code=UNREGISTERED"
            )
        );
        let report = json!({"type": "platform.report", "record": {"status": "timeout"}});
        assert_eq!(told(&report).as_deref(), Some("2026-01-01T00:00:00Z deliver: platform.report timeout"));
        let done = json!({"type": "platform.runtimeDone", "record": {"status": "timeout"}});
        assert_eq!(told(&done), None, "its report tells it");
        let init =
            json!({"type": "platform.initReport", "record": {"status": "error", "errorType": "Runtime.ExitError"}});
        assert_eq!(
            told(&init).as_deref(),
            Some("2026-01-01T00:00:00Z deliver: platform.initReport error errorType=Runtime.ExitError")
        );
        let dropped = json!({"type": "platform.logsDropped", "record": {"reason": "slow", "droppedRecords": 3, "droppedBytes": 9}});
        assert_eq!(
            told(&dropped).as_deref(),
            Some("2026-01-01T00:00:00Z deliver: platform.logsDropped droppedRecords=3 droppedBytes=9")
        );
        let panic = Line::read("deliver", "thread 'main' panicked\n").map(|line| line.told(Timestamp::from_millis(0)));
        assert_eq!(panic.as_deref(), Some("1970-01-01T00:00:00Z deliver: ERROR thread 'main' panicked"));
    }

    #[test]
    fn numbers_and_lines_about_every_call_are_left_out() {
        for line in [
            json!({"_aws": {}, "level": "ERROR", "sends": 1}),
            json!({"level": "INFO", "message": "call answered", "app": "demo"}),
            json!({"type": "platform.report", "record": {"status": "success"}}),
            json!({"type": "platform.start", "record": {}}),
            json!({}),
        ] {
            assert_eq!(told(&line), None, "{line}");
        }
        assert_eq!(Line::read("deliver", " \n"), None);
    }

    #[test]
    fn lines_are_chosen_by_their_app() {
        let line = Line::read("deliver", r#"{"level":"ERROR","message":"m","app":"demo"}"#);
        let is_of = |app: &str| line.as_ref().is_some_and(|line| line.is_of(AppId::parse(app).ok().as_ref()));
        assert!(is_of("demo") && !is_of("acme"));
        assert!(line.is_some_and(|line| line.is_of(None)));
    }

    #[test]
    fn what_went_wrong_in_no_app_s_name_is_of_every_app() {
        let app = AppId::parse("demo").ok();
        let is_of = |text: &str| Line::read("deliver", text).is_some_and(|line| line.is_of(app.as_ref()));
        for text in [
            "thread 'main' panicked",
            r#"{"level":"WARN","message":"m"}"#,
            r#"{"level":"ERROR","message":"m","app":""}"#,
            r#"{"type":"platform.report","record":{"status":"timeout"}}"#,
            r#"{"type":"platform.logsDropped","record":{"droppedRecords":3}}"#,
        ] {
            assert!(is_of(text), "{text}");
        }
        assert!(!is_of(r#"{"level":"INFO","message":"m","task":7}"#));
    }
}
