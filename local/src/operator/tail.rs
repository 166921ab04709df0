//! `tail`: what becomes of pushes, as the functions' logs tell it.
//!
//! CloudWatch Logs has a line some seconds after it was written, and streams of one group not in step. So each look begins some minutes
//! before the newest line that was seen, and lines that were shown are known by their event's id.

mod line;
mod pace;

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::error::{ProvideErrorMetadata, SdkError};
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

/// So many lines are shown before a look is over: a day of a busy stage is more than a machine holds, and takes minutes to be read.
const PORTION: usize = 1_000;

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
    /// Of some groups nothing was told.
    #[error("of {0} log groups lines may be missing")]
    Missing(usize),
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
    /// Why the latest look was not told of it: said once, however long it lasts.
    trouble: Option<String>,
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
                trouble: None,
            })
            .collect();
        if groups.is_empty() {
            return Err(TailError::NoGroups(deployment.stack.clone()));
        }
        let pace = Pace::new(if deployment.is_local() { Duration::ZERO } else { CALL });
        Ok(Self { client: Client::new(&deployment.config), groups, app: app.cloned(), pace })
    }

    /// Shows the lines that were not shown yet: oldest first, where they are very many in portions. False when nobody reads them any more.
    /// What a group's service does not tell for the moment the next look asks for, and `trouble` is told why.
    pub async fn poll(
        &mut self,
        show: &mut impl FnMut(&str) -> bool,
        trouble: &mut impl FnMut(&TailError),
    ) -> Result<bool, TailError> {
        let (mut lines, app) = (Lines::default(), self.app.as_ref());
        for group in &mut self.groups {
            // A token goes with the times that it was made for.
            let start = i64::try_from(group.from.as_millis()).unwrap_or(i64::MAX);
            let mut token = None;
            loop {
                self.pace.turn().await;
                let asked = self.client.filter_log_events().log_group_name(&group.name).start_time(start);
                match asked.set_next_token(token.clone()).send().await {
                    Ok(page) => {
                        group.trouble = None;
                        group.take(page.events(), app, &mut lines.0);
                        if lines.0.len() >= PORTION && !lines.show(show) {
                            return Ok(false);
                        }
                        token = page.next_token;
                        if token.is_none() {
                            break;
                        }
                    }
                    Err(error) if error.code() == Some("ThrottlingException") => self.pace.hold(),
                    Err(error) => {
                        let told = TailError::Logs { group: group.name.clone(), reason: reason(&error) };
                        if !is_passing(&error) {
                            lines.show(show);
                            return Err(told);
                        }
                        let text = told.to_string();
                        if group.trouble.as_ref() != Some(&text) {
                            trouble(&told);
                            group.trouble = Some(text);
                        }
                        break;
                    }
                }
            }
        }
        Ok(lines.show(show))
    }
}

/// Lines and when they were written.
#[derive(Default)]
struct Lines(Vec<(Timestamp, String)>);

impl Lines {
    /// Shows them, oldest first; false when nobody reads them any more.
    fn show(&mut self, show: &mut impl FnMut(&str) -> bool) -> bool {
        self.0.sort_by_key(|(at, _)| *at);
        self.0.drain(..).all(|(_, line)| show(&line))
    }
}

/// Whether the next look may be told what this one was not: the service is away, or one function's group is.
fn is_passing<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> bool {
    match error {
        // Not where credentials have come to their end.
        SdkError::DispatchFailure(failure) => failure.is_io() || failure.is_timeout(),
        SdkError::TimeoutError(_) | SdkError::ResponseError(_) => true,
        SdkError::ServiceError(refused) => {
            let passing = ["ServiceUnavailableException", "InternalFailure", "ResourceNotFoundException"];
            refused.err().code().is_some_and(|code| passing.contains(&code))
        }
        SdkError::ConstructionFailure(_) => false,
        // Of a later SDK.
        _ => false,
    }
}

impl Group {
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

/// Shows what there is, and what comes, until it is broken off, `once` is over, or `show` says that nobody reads it any more. `trouble` is told
/// what may be missing for the moment; with `once` nobody asks again, so that this is a failure.
pub async fn run(
    deployment: &Deployment,
    asked: &Tail,
    mut show: impl FnMut(&str) -> bool,
    mut trouble: impl FnMut(&TailError),
) -> Result<(), TailError> {
    let since = Timestamp::now().minus(asked.since);
    let mut follower = Follower::new(deployment, asked.app.as_ref(), since)?;
    let mut clock = tokio::time::interval(LOOK);
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        let mut missing = 0;
        let mut missed = |error: &TailError| {
            missing += 1;
            trouble(error);
        };
        if !follower.poll(&mut show, &mut missed).await? {
            return Ok(());
        }
        if asked.once {
            return if missing == 0 { Ok(()) } else { Err(TailError::Missing(missing)) };
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
        Group { function, name, from: Timestamp::from_millis(since), seen: BTreeMap::new(), trouble: None }
    }

    fn chunk(task: u64) -> String {
        json!({"level": "INFO", "app": "demo", "task": task, "outcomes": "delivered=1"}).to_string()
    }

    /// A follower of these groups, whose service answers so.
    async fn follower(
        groups: Vec<Group>,
        answer: impl Fn(&Value) -> (u16, Value) + Clone + Send + Sync + 'static,
    ) -> Follower {
        let answer = move |body: Bytes| {
            let (status, answer) = answer(&serde_json::from_slice(&body).unwrap());
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
        Follower { client: Client::from_conf(config.build()), groups, app: None, pace: Pace::new(Duration::ZERO) }
    }

    fn page(task: u64, next: Option<String>) -> (u16, Value) {
        let event = json!({"eventId": task.to_string(), "timestamp": 1_000, "message": chunk(task)});
        (200, json!({"events": [event], "nextToken": next}))
    }

    /// What a look shows, and what trouble it tells of.
    async fn look(follower: &mut Follower) -> (Vec<String>, Vec<String>, Result<bool, TailError>) {
        let (mut lines, mut troubles) = (Vec::new(), Vec::new());
        let mut show = |line: &str| {
            lines.push(line.to_owned());
            true
        };
        let ended = follower.poll(&mut show, &mut |error| troubles.push(error.to_string())).await;
        (lines, troubles, ended)
    }

    #[tokio::test]
    async fn a_throttled_page_is_read_again_and_none_is_left_out() {
        let asked: Arc<Mutex<Vec<Value>>> = Arc::default();
        let log = Arc::clone(&asked);
        // Three pages of one line each; the second is throttled twice.
        let pages = move |body: &Value| {
            let token = body["nextToken"].clone();
            let mut asked = log.lock().unwrap();
            asked.push(token.clone());
            let number = token.as_str().map_or(1, |token| token.parse().unwrap());
            if (2..=3).contains(&asked.len()) {
                return (400, json!({"__type": "ThrottlingException", "message": "Rate exceeded"}));
            }
            page(number, (number < 3).then(|| (number + 1).to_string()))
        };
        let mut follower = follower(vec![group(0)], pages).await;
        let (lines, troubles, _) = look(&mut follower).await;
        for (line, task) in lines.iter().zip(1..) {
            assert!(line.ends_with(&format!("demo task {task} deliver: delivered=1")), "{line}");
        }
        assert_eq!((lines.len(), troubles.len()), (3, 0));
        assert_eq!(*asked.lock().unwrap(), [json!(null), json!("2"), json!("2"), json!("2"), json!("3")]);
    }

    #[tokio::test]
    async fn trouble_that_passes_is_told_once_and_the_other_groups_are_read() {
        let refusal: Arc<Mutex<Option<&str>>> = Arc::new(Mutex::new(Some("ServiceUnavailableException")));
        let now = Arc::clone(&refusal);
        let answer = move |body: &Value| match *now.lock().unwrap() {
            Some(code) if body["logGroupName"] == "gone" => (400, json!({"__type": code, "message": "not now"})),
            _ => page(if body["logGroupName"] == "gone" { 2 } else { 1 }, None),
        };
        let gone = Group { name: "gone".to_owned(), ..group(0) };
        let mut follower = follower(vec![gone, group(0)], answer).await;
        let (lines, troubles, _) = look(&mut follower).await;
        assert!(lines.len() == 1 && lines[0].contains("task 1"), "{lines:?}");
        assert_eq!(troubles, ["CloudWatch Logs did not tell of gone: ServiceUnavailableException: not now"]);
        assert!(look(&mut follower).await.1.is_empty(), "said already");
        *refusal.lock().unwrap() = Some("ResourceNotFoundException");
        assert_eq!(look(&mut follower).await.1.len(), 1, "another reason");
        *refusal.lock().unwrap() = None;
        assert!(look(&mut follower).await.0[0].contains("task 2"));
        // What is refused for good ends it, once all that was gathered is shown.
        *refusal.lock().unwrap() = Some("ExpiredTokenException");
        follower.groups.reverse();
        follower.groups.iter_mut().for_each(|group| group.seen.clear());
        let (lines, _, ended) = look(&mut follower).await;
        assert!(lines.len() == 1 && matches!(ended, Err(TailError::Logs { .. })), "{ended:?}");
    }

    #[tokio::test]
    async fn very_many_lines_are_shown_before_the_last_is_read() {
        let shown: Arc<Mutex<usize>> = Arc::default();
        let so_far = Arc::clone(&shown);
        let answer = move |body: &Value| {
            let Some(first) = body["nextToken"].as_str().map(|token| token.parse::<u64>().unwrap()) else {
                let event = |n: u64| json!({"eventId": n.to_string(), "timestamp": 1_000, "message": chunk(n)});
                let events: Vec<Value> = (0..PORTION as u64).map(event).collect();
                return (200, json!({"events": events, "nextToken": "7000"}));
            };
            assert_eq!(*so_far.lock().unwrap(), PORTION);
            page(first, None)
        };
        let mut follower = follower(vec![group(0)], answer).await;
        let mut show = |_: &str| {
            *shown.lock().unwrap() += 1;
            true
        };
        assert!(follower.poll(&mut show, &mut |error| panic!("{error}")).await.unwrap());
        assert_eq!(*shown.lock().unwrap(), PORTION + 1);
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
