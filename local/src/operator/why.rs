//! `why`: what happened to one push, asked of the API and told for people.

use std::fmt::Write as _;

use clap::Args;
use pushbell::time::Timestamp;
use serde_json::Value;

use super::Where;
use super::api::{Api, ApiError, As, escaped};

/// Which push is asked about.
#[derive(Debug, Args)]
pub struct Why {
    /// The client that it was for.
    pub client: String,
    /// The message's id, or a task's number.
    pub message: String,
    /// In which app's name.
    #[command(flatten)]
    pub who: As,
    /// The answer as it came.
    #[arg(long)]
    pub json: bool,
}

/// Asks what happened to one push, and tells it.
pub async fn run(place: &Where, asked: &Why) -> Result<String, ApiError> {
    let api = Api::find(place, &asked.who).await?;
    let data = ask(&api, &asked.client, &asked.message).await?;
    Ok(if asked.json { data.to_string() } else { told(&data).trim_end().to_owned() })
}

/// What became of a message for a client: the answer's `data`.
pub async fn ask(api: &Api, client: &str, message: &str) -> Result<Value, ApiError> {
    api.data(&format!("/push/why?client={}&message={}", escaped(client), escaped(message))).await
}

/// An answer's `data`, for people.
pub fn told(data: &Value) -> String {
    let mut out = String::new();
    // Writing into a text does not fail.
    let _ = tell(&mut out, data);
    out
}

fn tell(out: &mut String, data: &Value) -> std::fmt::Result {
    writeln!(out, "Message {} for {}", word(&data["message"]), word(&data["client"]))?;
    if data["client_known"] == false {
        writeln!(out, "The app knows nothing of this client.")?;
    } else {
        writeln!(out, "The client has {} now.", count(&data["devices_now"], "device"))?;
    }
    if !data["withdrawn_at"].is_null() {
        writeln!(out, "The message was taken back at {}.", time(&data["withdrawn_at"]))?;
    }
    let tasks = data["tasks"].as_array().map(Vec::as_slice).unwrap_or_default();
    for task in tasks {
        tell_task(out, task)?;
    }
    for (name, rest) in [("tasks_of_others", "for one other client each"), ("tasks_left_out", "not looked into")] {
        if data[name] != 0 {
            writeln!(out, "\nAnd {} {rest}.", count(&data[name], "task"))?;
        }
    }
    Ok(())
}

fn tell_task(out: &mut String, task: &Value) -> std::fmt::Result {
    write!(out, "\nTask {}, a {}", task["task_id"], word(&task["kind"]))?;
    if let Some(dialect) = task["dialect"].as_str() {
        write!(out, " ({dialect})")?;
    }
    if !task["recipients"].is_null() {
        write!(out, " for {}", count(&task["recipients"], "client"))?;
    }
    writeln!(out, ", accepted at {}: {}", time(&task["accepted_at"]), word(&task["state"]))?;
    for (name, words) in [("due_at", "It begins at"), ("cancelled_at", "It was cancelled at")] {
        if !task[name].is_null() {
            writeln!(out, "  {words} {}.", time(&task[name]))?;
        }
    }
    let counted = &task["counted"];
    match (counted["is"].as_bool(), word(&counted["why"])) {
        (Some(true), "counted") => writeln!(out, "  Counted: yes")?,
        (is, why) => {
            let is = is.map_or("not known", |is| if is { "yes" } else { "no" });
            writeln!(out, "  Counted: {is}, {why}")?;
        }
    }
    if let Some(outcome) = task["outcome"].as_str() {
        writeln!(out, "  Not sent: {outcome}, {}", word(&task["meaning"]))?;
    }
    tell_attempts(out, &task["attempts"])?;
    for device in task["devices"].as_array().map(Vec::as_slice).unwrap_or_default() {
        let platform = device["platform"].as_str().unwrap_or("device");
        write!(out, "  {platform} {}", word(&device["device"]))?;
        if let Some(channel) = device["channel"].as_str() {
            write!(out, " over {channel}")?;
        }
        writeln!(out, ": {}, {}", word(&device["outcome"]), word(&device["meaning"]))?;
        if device["registered_at"].is_null() {
            writeln!(
                out,
                "    It is not registered any more: unregistered, replaced, or its token was told to be dead since."
            )?;
        }
        tell_attempts(out, &device["attempts"])?;
    }
    if let Some(pending) = task["pending"].as_object() {
        write!(out, "  Next try: not before {}", time(&pending["next_try"]))?;
        if !pending["until"].is_null() {
            write!(out, ", given up at {}", time(&pending["until"]))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn tell_attempts(out: &mut String, attempts: &Value) -> std::fmt::Result {
    for attempt in attempts.as_array().map(Vec::as_slice).unwrap_or_default() {
        let outcome = word(&attempt["outcome"]);
        write!(out, "    {} attempt {}: {outcome}", time(&attempt["at"]), attempt["attempt"])?;
        match attempt["class"].as_str() {
            Some(class) if class != outcome => writeln!(out, " ({class})")?,
            Some(_) | None => writeln!(out)?,
        }
    }
    Ok(())
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}

fn count(value: &Value, thing: &str) -> String {
    format!("{value} {thing}{}", if *value == 1 { "" } else { "s" })
}

fn time(value: &Value) -> String {
    value.as_u64().map_or_else(|| "-".to_owned(), |ms| Timestamp::from_millis(ms).to_rfc3339())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_answer_is_told_in_sentences() {
        let task = json!({
            "task_id": 7, "kind": "callback", "dialect": "imkit", "recipients": 2, "accepted_at": 1_767_225_600_000_u64,
            "due_at": null, "cancelled_at": null, "state": "pending", "counted": {"is": true, "why": "counted"},
            "outcome": null, "meaning": null, "attempts": [],
            "devices": [{
                "device": "AAAAAAAA", "platform": "android", "channel": "fcm", "outcome": "pending",
                "meaning": "to be tried again", "registered_at": 1_767_225_000_000_u64,
                "attempts": [{"attempt": 0, "at": 1_767_225_601_000_u64, "outcome": "pending", "class": "throttled"}],
            }, {
                "device": "BBBBBBBB", "platform": "ios", "channel": "sns", "outcome": "delivered",
                "meaning": "the vendor has it", "registered_at": null, "attempts": [],
            }],
            "pending": {"next_try": 1_767_225_641_000_u64, "until": 1_767_312_000_000_u64},
        });
        let data = json!({
            "client": "aaa", "message": "m1", "client_known": true, "devices_now": 1, "withdrawn_at": null,
            "tasks": [task], "tasks_left_out": 0, "tasks_of_others": 1,
        });
        let told = told(&data);
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(
            lines,
            [
                "Message m1 for aaa",
                "The client has 1 device now.",
                "",
                "Task 7, a callback (imkit) for 2 clients, accepted at 2026-01-01T00:00:00Z: pending",
                "  Counted: yes",
                "  android AAAAAAAA over fcm: pending, to be tried again",
                "    2026-01-01T00:00:01Z attempt 0: pending (throttled)",
                "  ios BBBBBBBB over sns: delivered, the vendor has it",
                "    It is not registered any more: unregistered, replaced, or its token was told to be dead since.",
                "  Next try: not before 2026-01-01T00:00:41Z, given up at 2026-01-02T00:00:00Z",
                "",
                "And 1 task for one other client each.",
            ]
        );
    }
}
