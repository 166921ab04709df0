//! `tail`: what becomes of pushes, as the functions' logs tell it.
//!
//! CloudWatch Logs has a line some seconds after it was written, and streams of one group not in step. So each look begins some minutes
//! before the newest line that was seen, and lines that were shown are known by their event's id.

mod line;

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::error::ProvideErrorMetadata as _;
use clap::Args;
use pushbell::id::AppId;
use pushbell::time::Timestamp;

use super::Deployment;
use super::aws::reason;
use line::Line;

/// How far behind the newest line of its group a late one may come.
const LATE: Duration = Duration::from_secs(180);
/// From one look to the next on this machine.
const LOCAL_LOOK: Duration = Duration::from_millis(500);
/// And on AWS, for each log group: an account may call `FilterLogEvents` five times a second.
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
    /// What was read since `from`, by event id.
    seen: BTreeMap<String, Timestamp>,
}

/// The logs of a bundle's functions, read on and on.
pub struct Follower {
    client: Client,
    groups: Vec<Group>,
    app: Option<AppId>,
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
        Ok(Self { client: Client::new(&deployment.config), groups, app: app.cloned() })
    }

    /// The lines that were not shown yet, oldest first.
    pub async fn poll(&mut self) -> Result<Vec<String>, TailError> {
        let mut lines: Vec<(Timestamp, String)> = Vec::new();
        for group in &mut self.groups {
            for (at, text) in group.read(&self.client).await? {
                let line = Line::read(&group.function, &text);
                if let Some(told) = line.filter(|line| line.is_of(self.app.as_ref())).map(|line| line.told(at)) {
                    lines.push((at, told));
                }
            }
        }
        lines.sort_by_key(|(at, _)| *at);
        Ok(lines.into_iter().map(|(_, line)| line).collect())
    }
}

impl Group {
    /// The events that were not read yet.
    async fn read(&mut self, client: &Client) -> Result<Vec<(Timestamp, String)>, TailError> {
        let start = i64::try_from(self.from.as_millis()).unwrap_or(i64::MAX);
        let asked = client.filter_log_events().log_group_name(&self.name).start_time(start);
        let mut pages = asked.into_paginator().send();
        let mut fresh = Vec::new();
        while let Some(page) = pages.next().await {
            let page = match page {
                Ok(page) => page,
                // Too many looks at once: what is missing now is read by the next one, as `from` stays.
                Err(error) if error.code() == Some("ThrottlingException") => return Ok(fresh),
                Err(error) => return Err(TailError::Logs { group: self.name.clone(), reason: reason(&error) }),
            };
            for event in page.events() {
                let (Some(id), Some(at)) = (event.event_id(), event.timestamp()) else { continue };
                let at = Timestamp::from_millis(u64::try_from(at).unwrap_or_default());
                if self.seen.insert(id.to_owned(), at).is_none() {
                    fresh.push((at, event.message().unwrap_or_default().to_owned()));
                }
            }
        }
        if let Some(newest) = self.seen.values().max() {
            self.from = self.from.max(newest.minus(LATE));
        }
        self.seen.retain(|_, at| *at >= self.from);
        Ok(fresh)
    }
}

/// Shows what there is, and what comes, until it is broken off, `once` is over, or `show` says that nobody reads it any more.
pub async fn run(deployment: &Deployment, asked: &Tail, mut show: impl FnMut(&str) -> bool) -> Result<(), TailError> {
    let since = Timestamp::now().minus(asked.since);
    let mut follower = Follower::new(deployment, asked.app.as_ref(), since)?;
    let groups = u32::try_from(follower.groups.len()).unwrap_or(u32::MAX);
    let pause = if deployment.is_local() { LOCAL_LOOK } else { CALL * groups };
    let mut clock = tokio::time::interval(pause);
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
    use super::*;

    #[test]
    fn a_time_has_its_unit_behind_it() {
        assert_eq!(duration("10m").unwrap(), Duration::from_secs(600));
        assert_eq!(duration("1d").unwrap(), Duration::from_secs(86_400));
        for wrong in ["", "m", "10", "-1m", "1w", "ü"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_log_group_is_told_by_its_function() {
        assert_eq!([kebab("Deliver"), kebab("FanOut"), kebab("GenericPush")], ["deliver", "fan-out", "generic-push"]);
    }
}
