//! `task`: what became of a push by its number, and that it is taken back.

use clap::{Args, Subcommand};
use http::Method;
use pushbell::time::Timestamp;
use serde_json::Value;

use super::Where;
use super::api::{Api, ApiError, As};

/// What is done with a task.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// What became of it: its state, and how many had which outcome.
    Show(Task),
    /// Takes back what is not sent yet. What is on its way to a vendor is not called back.
    Cancel(Task),
}

/// Which task.
#[derive(Debug, Args)]
pub struct Task {
    /// Its number, as the call that made it was answered.
    #[arg(value_parser = clap::value_parser!(u64).range(1..1 << 53))]
    pub task: u64,
    /// In which app's name.
    #[command(flatten)]
    pub who: As,
    /// The answer as it came.
    #[arg(long)]
    pub json: bool,
}

/// Why there is nothing to tell.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TaskError {
    /// No such task.
    #[error("the app {app} has no task {task}, or none of the last 7 days; a callback's is known once it was tried")]
    Unknown {
        /// Its number.
        task: u64,
        /// Whose.
        app: pushbell::id::AppId,
    },
    /// There is one, and it cannot be taken back.
    #[error("task {0} cannot be cancelled: it is a callback's, and only pushes can be")]
    Callback(u64),
    /// The API does not tell.
    #[error(transparent)]
    Api(#[from] ApiError),
}

/// Shows it or takes it back, and tells what came of it.
pub async fn run(place: &Where, command: &Command) -> Result<String, TaskError> {
    match command {
        Command::Show(asked) => {
            let api = Api::find(place, &asked.who).await?;
            let shown = show(&api, asked.task).await?;
            Ok(if asked.json { shown.to_string() } else { told(&shown) })
        }
        Command::Cancel(asked) => {
            let api = Api::find(place, &asked.who).await?;
            let cancelled = match call(&api, Method::DELETE, asked.task).await {
                // The same answer: there is none, or it is one that a chat server's callback made.
                Err(TaskError::Unknown { .. }) if show(&api, asked.task).await.is_ok() => {
                    return Err(TaskError::Callback(asked.task));
                }
                cancelled => cancelled?,
            };
            if asked.json {
                return Ok(cancelled.to_string());
            }
            // It is cancelled whether or not we see what it had done.
            let shown = show(&api, asked.task).await.ok();
            Ok(cancel_told(&cancelled, shown.as_ref()))
        }
    }
}

/// What became of a task, as the API answers it.
pub async fn show(api: &Api, task: u64) -> Result<Value, TaskError> {
    call(api, Method::GET, task).await
}

async fn call(api: &Api, method: Method, task: u64) -> Result<Value, TaskError> {
    match api.result(method, &format!("/push/push2clients/{task}"), None).await {
        Err(ApiError::Refused { code, .. }) if code == "NOT_FOUND" => {
            Err(TaskError::Unknown { task, app: api.app.clone() })
        }
        answer => Ok(answer?),
    }
}

fn told(shown: &Value) -> String {
    let state = shown["state"].as_str().unwrap_or("-");
    let mut lines = vec![format!("Task {}, accepted at {}: {state}", shown["task_id"], time(&shown["created_at"]))];
    if !shown["done_at"].is_null() {
        lines.push(format!("  Done at {}.", time(&shown["done_at"])));
    }
    lines.extend(counts(shown));
    lines.join("\n")
}

/// That a task is cancelled, and what it had done by then where that could be seen.
fn cancel_told(cancelled: &Value, shown: Option<&Value>) -> String {
    let mut first = format!("Task {} is cancelled since {}.", cancelled["task_id"], time(&cancelled["cancelled_at"]));
    let Some(shown) = shown else { return first };
    if shown["state"] == "done" {
        first.push_str(" It was done all the same: nothing was left to take back.");
    }
    std::iter::once(first).chain(counts(shown)).collect::<Vec<_>>().join("\n")
}

/// How many had which outcome, most first.
fn counts(shown: &Value) -> Vec<String> {
    let mut lines = vec![format!("  Targets with an outcome: {}", shown["target"])];
    let mut outcomes: Vec<(&String, u64)> = shown["outcomes"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(outcome, n)| (outcome, n.as_u64().unwrap_or_default()))
        .collect();
    outcomes.sort_by_key(|(outcome, n)| (std::cmp::Reverse(*n), *outcome));
    lines.extend(outcomes.into_iter().map(|(outcome, n)| format!("    {n} {outcome}")));
    if shown["pending"].as_u64().is_some_and(|n| n > 0) {
        lines.push(format!("  To be tried again: {}", shown["pending"]));
    }
    for (name, n) in shown["missing_values"].as_object().into_iter().flatten() {
        lines.push(format!("  Without a value for {name}: {n}"));
    }
    lines
}

fn time(value: &Value) -> String {
    value.as_u64().map_or_else(|| "-".to_owned(), |ms| Timestamp::from_millis(ms).to_rfc3339())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[test]
    fn a_task_is_told_with_its_outcomes_most_first() {
        let shown = json!({
            "task_id": 7, "state": "sending", "created_at": 1_767_225_600_000_u64, "done_at": null, "target": 12,
            "pending": 3, "outcomes": {"dead_token": 2, "delivered": 9, "gave_up": 1},
        });
        assert_eq!(
            told(&shown).lines().collect::<Vec<_>>(),
            [
                "Task 7, accepted at 2026-01-01T00:00:00Z: sending",
                "  Targets with an outcome: 12",
                "    9 delivered",
                "    2 dead_token",
                "    1 gave_up",
                "  To be tried again: 3",
            ]
        );
    }

    #[test]
    fn what_was_done_before_it_was_cancelled_is_told_as_done() {
        let cancelled = json!({"task_id": 7, "cancelled_at": 1_767_225_600_000_u64});
        let done = json!({"state": "done", "target": 1, "pending": 0, "outcomes": {"delivered": 1}});
        assert_eq!(
            cancel_told(&cancelled, Some(&done)),
            "Task 7 is cancelled since 2026-01-01T00:00:00Z. It was done all the same: nothing was left to take back.\n  \
             Targets with an outcome: 1\n    1 delivered"
        );
    }

    #[tokio::test]
    async fn what_is_cancelled_is_told_so_though_nothing_more_can_be_seen() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        // Takes the call that cancels, and none after it.
        tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            drop(listener);
            let mut read = Vec::new();
            while !read.ends_with(b"\r\n\r\n") {
                socket.read_buf(&mut read).await.unwrap();
            }
            let body = json!({"RC": 0, "result": {"task_id": 7, "cancelled_at": 1_767_225_600_000_u64}}).to_string();
            let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}", body.len());
            socket.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).await.unwrap();
        });
        let place = Where { url: Some(url), ..Where::default() };
        let who = As { app: None, api_key: Some("demo.k3y".to_owned().into()) };
        let told = run(&place, &Command::Cancel(Task { task: 7, who, json: false })).await.unwrap();
        assert_eq!(told, "Task 7 is cancelled since 2026-01-01T00:00:00Z.");
    }
}
