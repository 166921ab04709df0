//! `tail`: what becomes of pushes, as the functions' logs tell it.
//!
//! CloudWatch Logs has a line some seconds after it was written, and streams of one group not in step. So each look begins some minutes
//! before the newest line that was seen, and lines that were shown are known by their event's id.

mod line;
mod pace;

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::error::ProvideErrorMetadata as _;
use aws_sdk_cloudwatchlogs::types::FilteredLogEvent;
use clap::Args;
use pushbell::id::AppId;
use pushbell::time::Timestamp;

use super::Deployment;
use super::aws::reason;
use line::Line;
use pace::Pace;

/// How far behind the newest line of its group a late one may come.
const LATE: Duration = Duration::from_secs(180);
/// From one look to the next, at least.
const LOOK: Duration = Duration::from_millis(500);
/// And on AWS from one call to the next: an account may call `FilterLogEvents` five times a second in a region. Source: the quotas of
/// CloudWatch Logs.
const CALL: Duration = Duration::from_millis(300);

/// What is shown.
#[derive(Debug, Args)]
pub struct Tail {
    /// Lines of this app only.
    #[arg(long, value_name = "APP", value_parser = super::app_id)]
    pub app: Option<AppId>,
    /// From when on: `30s`, `10m`, `2h`, `1d`.
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration)]
    pub since: Duration,
    /// Show what there is, and end.
    #[arg(long)]
    pub once: bool,
}

/// Why nothing can be shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TailError {
    /// The stack has none.
    #[error("the stack {0} has no log groups of functions")]
    NoGroups(String),
    /// CloudWatch Logs refuses or does not answer.
    #[error("CloudWatch Logs did not tell of {group}: {reason}")]
    Logs {
        /// The log group.
        group: String,
        /// Why not.
        reason: String,
    },
}

/// A log group, and how far it was read.
struct Group {
    /// `deliver`
    function: String,
    name: String,
    from: Timestamp,
    /// What was shown since `from`, by event id. What is not shown may be read again.
    seen: BTreeMap<String, Timestamp>,
}

/// The logs of a bundle's functions, read on and on.
pub struct Follower {
    client: Client,
    groups: Vec<Group>,
    app: Option<AppId>,
    pace: Pace,
}

impl Follower {
    /// Of the bundle's functions, from `since` on.
    pub fn new(deployment: &Deployment, app: Option<&AppId>, since: Timestamp) -> Result<Self, TailError> {
        let groups = deployment.resources.iter().filter(|(_, resource)| resource.kind == "AWS::Logs::LogGroup");
        let groups: Vec<Group> = groups
            // Access logs are the API's, and no function's.
            .filter(|(id, _)| deployment.resources.contains_key(&format!("{}Function", id.trim_end_matches("Logs"))))
            .map(|(id, resource)| Group {
                function: kebab(id.trim_end_matches("Logs")),
                name: resource.physical_id.clone(),
                from: since,
                seen: BTreeMap::new(),
            })
            .collect();
        if groups.is_empty() {
            return Err(TailError::NoGroups(deployment.stack.clone()));
        }
        let pace = Pace::new(if deployment.is_local() { Duration::ZERO } else { CALL });
        Ok(Self { client: Client::new(&deployment.config), groups, app: app.cloned(), pace })
    }

    /// The lines that were not shown yet, oldest first.
    pub async fn poll(&mut self) -> Result<Vec<String>, TailError> {
        let mut lines: Vec<(Timestamp, String)> = Vec::new();
        for group in &mut self.groups {
            group.read(&self.client, &mut self.pace, self.app.as_ref(), &mut lines).await?;
        }
        lines.sort_by_key(|(at, _)| *at);
        Ok(lines.into_iter().map(|(_, line)| line).collect())
    }
}

impl Group {
    /// Reads to the last page, and adds the lines that are shown and were not yet.
    async fn read(
        &mut self,
        client: &Client,
        pace: &mut Pace,
        app: Option<&AppId>,
        lines: &mut Vec<(Timestamp, String)>,
    ) -> Result<(), TailError> {
        // A token goes with the times that it was made for.
        let start = i64::try_from(self.from.as_millis()).unwrap_or(i64::MAX);
        let mut token = None;
        loop {
            pace.turn().await;
            let asked = client.filter_log_events().log_group_name(&self.name).start_time(start);
            let page = match asked.set_next_token(token.clone()).send().await {
                Ok(page) => page,
                Err(error) if error.code() == Some("ThrottlingException") => {
                    pace.hold();
                    continue;
                }
                Err(error) => return Err(TailError::Logs { group: self.name.clone(), reason: reason(&error) }),
            };
            self.take(page.events(), app, lines);
            token = page.next_token;
            if token.is_none() {
                return Ok(());
            }
        }
    }

    /// Takes from a page what is shown. Nothing else is kept: a page is a megabyte.
    fn take(&mut self, page: &[FilteredLogEvent], app: Option<&AppId>, lines: &mut Vec<(Timestamp, String)>) {
        for event in page {
            let (Some(id), Some(at)) = (event.event_id(), event.timestamp()) else { continue };
            let at = Timestamp::from_millis(u64::try_from(at).unwrap_or_default());
            self.from = self.from.max(at.minus(LATE));
            let line = Line::read(&self.function, event.message().unwrap_or_default());
            if let Some(line) = line.filter(|line| line.is_of(app))
                && self.seen.insert(id.to_owned(), at).is_none()
            {
                lines.push((at, line.told(at)));
            }
        }
        self.seen.retain(|_, at| *at >= self.from);
    }
}

/// Shows what there is, and what comes, until it is broken off, `once` is over, or `show` says that nobody reads it any more.
pub async fn run(deployment: &Deployment, asked: &Tail, mut show: impl FnMut(&str) -> bool) -> Result<(), TailError> {
    let since = Timestamp::now().minus(asked.since);
    let mut follower = Follower::new(deployment, asked.app.as_ref(), since)?;
    let mut clock = tokio::time::interval(LOOK);
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        for line in follower.poll().await? {
            if !show(&line) {
                return Ok(());
            }
        }
        if asked.once {
            return Ok(());
        }
    }
}

/// `FanOut` is `fan-out`.
fn kebab(name: &str) -> String {
    let mut kebab = String::new();
    for character in name.chars() {
        if character.is_ascii_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.push(character.to_ascii_lowercase());
    }
    kebab
}

/// `10m`
fn duration(text: &str) -> Result<Duration, String> {
    let split = text.len().saturating_sub(1);
    let (number, unit) = text.split_at_checked(split).unwrap_or_default();
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err("is not a number with s, m, h or d behind it".to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| "is not a number with s, m, h or d behind it".to_owned())?;
    Ok(Duration::from_secs(number.saturating_mul(seconds)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::{Arc, Mutex};

    use aws_config::retry::RetryConfig;
    use aws_config::{BehaviorVersion, Region};
    use aws_credential_types::Credentials;
    use bytes::Bytes;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_time_has_its_unit_behind_it() {
        assert_eq!(duration("10m").unwrap(), Duration::from_secs(600));
        assert_eq!(duration("1d").unwrap(), Duration::from_secs(86_400));
        for wrong in ["", "m", "10", "-1m", "1w", "ü"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    fn group(since: u64) -> Group {
        let (function, name) = ("deliver".to_owned(), "DeliverLogs".to_owned());
        Group { function, name, from: Timestamp::from_millis(since), seen: BTreeMap::new() }
    }

    fn chunk(task: u64) -> String {
        json!({"level": "INFO", "app": "demo", "task": task, "outcomes": "delivered=1"}).to_string()
    }

    /// Three pages of one line each; the second is throttled twice. With the tokens that were asked for.
    async fn pages(asked: Arc<Mutex<Vec<Value>>>) -> Client {
        let answer = move |body: Bytes| {
            let token = serde_json::from_slice::<Value>(&body).unwrap()["nextToken"].clone();
            let mut asked = asked.lock().unwrap();
            asked.push(token.clone());
            let page = token.as_str().map_or(1, |token| token.parse().unwrap());
            let (status, answer) = if (2..=3).contains(&asked.len()) {
                (400, json!({"__type": "ThrottlingException", "message": "Rate exceeded"}))
            } else {
                let event = json!({"eventId": page.to_string(), "timestamp": 1_000, "message": chunk(page)});
                let next = (page < 3).then(|| (page + 1).to_string());
                (200, json!({"events": [event], "nextToken": next}))
            };
            let answer = http::Response::builder().status(status).body(axum::body::Body::from(answer.to_string()));
            std::future::ready(answer.unwrap())
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = axum::Router::new().fallback(answer);
        tokio::spawn(async move { axum::serve(listener, app).await });
        let config = aws_sdk_cloudwatchlogs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("local"))
            .endpoint_url(url)
            .credentials_provider(Credentials::new("operator", "local", None, None, "a test"))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .retry_config(RetryConfig::disabled());
        Client::from_conf(config.build())
    }

    #[tokio::test]
    async fn a_throttled_page_is_read_again_and_none_is_left_out() {
        let asked = Arc::default();
        let client = pages(Arc::clone(&asked)).await;
        let pace = Pace::new(Duration::ZERO);
        let mut follower = Follower { client, groups: vec![group(0)], app: None, pace };
        let lines = follower.poll().await.unwrap();
        for (line, task) in lines.iter().zip(1..) {
            assert!(line.ends_with(&format!("demo task {task} deliver: delivered=1")), "{line}");
        }
        assert_eq!(lines.len(), 3);
        assert_eq!(*asked.lock().unwrap(), [json!(null), json!("2"), json!("2"), json!("2"), json!("3")]);
    }

    #[test]
    fn nothing_is_kept_of_what_is_not_shown_or_cannot_come_again() {
        let event = |id: &str, at: i64, text: String| {
            FilteredLogEvent::builder().event_id(id).timestamp(at).message(text).build()
        };
        let late = i64::try_from(LATE.as_millis()).unwrap();
        let (mut group, app, mut lines) = (group(0), AppId::parse("demo").unwrap(), Vec::new());
        let other = chunk(2).replace("demo", "acme");
        let page = [event("a", 1, chunk(1)), event("b", 2, other), event("c", 3, "{\"_aws\":{}}".to_owned())];
        group.take(&page, Some(&app), &mut lines);
        group.take(&page, Some(&app), &mut lines);
        assert_eq!((lines.len(), group.seen.len()), (1, 1));
        group.take(&[event("d", late + 2, chunk(3))], Some(&app), &mut lines);
        assert_eq!(group.seen.keys().collect::<Vec<_>>(), ["d"]);
        assert_eq!((lines.len(), group.from), (2, Timestamp::from_millis(2)));
    }

    #[test]
    fn a_log_group_is_told_by_its_function() {
        assert_eq!([kebab("Deliver"), kebab("FanOut"), kebab("GenericPush")], ["deliver", "fan-out", "generic-push"]);
    }
}
