//! CloudWatch Logs as its clients see it, as far as somebody reads what functions wrote: `FilterLogEvents`, without a pattern.
//! Source: the API reference of CloudWatch Logs.

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Refusal;
use crate::logs::Logs;

/// Most events of one answer.
const PAGE: usize = 1_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FilterLogEvents {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    #[serde(default)]
    start_time: i64,
    end_time: Option<i64>,
    limit: Option<usize>,
    next_token: Option<String>,
    filter_pattern: Option<String>,
}

pub(super) fn call(logs: &Logs, action: &str, body: &[u8]) -> Result<Value, Refusal> {
    if action != "FilterLogEvents" {
        return Err(Refusal::unknown_operation(action));
    }
    let asked: FilterLogEvents = serde_json::from_slice(body).map_err(|error| Refusal::unreadable(&error))?;
    if asked.filter_pattern.is_some_and(|pattern| !pattern.is_empty()) {
        return Err(refused("InvalidParameterException", "Filter patterns are not emulated."));
    }
    let name = asked.log_group_name.or(asked.log_group_identifier).unwrap_or_default();
    let group = logs.find(&name);
    let group = group.ok_or_else(|| refused("ResourceNotFoundException", "The specified log group does not exist."))?;
    let after = match asked.next_token.as_deref().map(str::parse) {
        None => None,
        Some(Ok(after)) => Some(after),
        Some(Err(_)) => return Err(refused("InvalidParameterException", "The specified nextToken is invalid.")),
    };
    let most = asked.limit.unwrap_or(PAGE).clamp(1, PAGE);
    let lines = group.between(asked.start_time, asked.end_time.unwrap_or(i64::MAX), after, most);
    let next = lines.last().filter(|_| lines.len() == most).map(|line| line.id.to_string());
    let events: Vec<Value> = lines
        .iter()
        .map(|line| {
            json!({
                "logStreamName": "local/[$LATEST]",
                "timestamp": line.at,
                "message": line.text,
                "ingestionTime": line.at,
                "eventId": format!("{:056}", line.id),
            })
        })
        .collect();
    let mut answer = json!({ "events": events, "searchedLogStreams": [] });
    if let Some(next) = next {
        answer["nextToken"] = json!(next);
    }
    Ok(answer)
}

fn refused(code: &str, message: &str) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, code.to_owned(), code, message)
}
