//! `/push/why`: what happened to one push, in words. A call of ours, in Lanying's envelope.

use serde_json::{Value, json};

use super::body::{bad, parameter};
use super::envelope::Failure;
use crate::app::{FrugalSettings, Stats};
use crate::id::{ClientId, DeviceKey, MessageId};
use crate::recipient::Recipient;
use crate::task::{Counted, DeviceWhy, Kind, Outcome, Progress, Reason, TaskWhy, Try, Why};
use crate::time::Timestamp;

/// What was to be tried, and was not by the message's end.
const ENDED: &str = "ended";
/// Nothing is written of it: it waits, or it ended well and is in the hour's sums.
const UNRECORDED: &str = "unrecorded";

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// About whom.
    pub client: ClientId,
    /// About which message: its id, or a task's number.
    pub message: MessageId,
}

impl Question {
    /// The question that a raw query is.
    ///
    /// # Errors
    /// When it lacks one of the two, or one cannot be.
    pub fn parse(query: &str) -> Result<Self, Failure> {
        let of = |name: &'static str| {
            let given = parameter(query, [name, name])?.filter(|value| !value.is_empty());
            given.ok_or_else(|| bad(format!("{name} is missing in the query")))
        };
        let client = ClientId::parse(of("client")?).map_err(|rule| bad(format!("client {rule}")))?;
        let message = MessageId::parse(of("message")?).map_err(|rule| bad(format!("message {rule}")))?;
        Ok(Self { client, message })
    }
}

/// The failure of a message that is not known, in an app that does without so much. `counted`: the client has its mark.
#[must_use]
pub fn no_message(frugal: FrugalSettings, counted: bool) -> Failure {
    let without = match (frugal.claims, frugal.stats) {
        (true, Stats::Task) => "one that came while the claims could not be written is known by the number alone",
        (false, Stats::Task) => {
            "the app keeps no claims of messages to one client (frugal.claims): they are known by the number alone"
        }
        (true, Stats::Hour) => {
            "the app keeps no rows of messages to one client that end well (frugal.stats): they are known by the id alone"
        }
        (false, Stats::Hour) => {
            "the app keeps no claims of messages to one client, and no rows of those that end well (frugal): such a one is not known at all"
        }
    };
    let counted = if counted { "; the client's badge has counted it" } else { "" };
    bad(format!(
        "message is none that is known of this app's last 7 days, by its id or by its task's number; {without}{counted}"
    ))
}

/// The failure of a client whom nobody knows.
#[must_use]
pub fn no_client() -> Failure {
    bad("client is not known to this app, and was in none of the message's tasks")
}

/// Whether nothing is known of the client.
#[must_use]
pub fn is_stranger(why: &Why, recipient: Option<&Recipient>) -> bool {
    recipient.is_none() && why.left_out == 0 && why.tasks.iter().all(|task| task.progress == Progress::NotIn)
}

/// What the answer says.
#[must_use]
pub fn told(
    question: &Question,
    why: &Why,
    recipient: Option<&Recipient>,
    frugal: FrugalSettings,
    asked_at: Timestamp,
) -> Value {
    let tasks: Vec<Value> = why.tasks.iter().map(|task| task_told(task, recipient, frugal)).collect();
    json!({
        "client": question.client,
        "message": question.message,
        "asked_at": asked_at,
        "client_known": recipient.is_some(),
        "devices_now": recipient.map_or(0, |recipient| recipient.devices.len()),
        "withdrawn_at": why.withdrawn_at,
        "tasks": tasks,
        "tasks_left_out": why.left_out,
        "tasks_of_others": why.of_others,
    })
}

/// Whether a task may have ended without a row, as the app has such ends summed.
fn may_be_summed(task: &TaskWhy, frugal: FrugalSettings) -> bool {
    let is_to_one = task.kind == Kind::Callback && task.recipients == Some(1);
    let has_no_row = task.outcome.is_none() && task.tries.is_empty() && task.devices.is_empty();
    frugal.stats == Stats::Hour && is_to_one && has_no_row
}

fn task_told(task: &TaskWhy, recipient: Option<&Recipient>, frugal: FrugalSettings) -> Value {
    let may_be_summed = may_be_summed(task, frugal);
    let (is, reason) = if may_be_summed && task.counted == Counted::NotYet {
        (None, "the client has no mark of it, and there is no row that tells why")
    } else {
        counted(task)
    };
    let devices: Vec<Value> = task.devices.iter().map(|device| device_told(device, task, recipient)).collect();
    let tries: Vec<Value> = task.tries.iter().map(try_told).collect();
    json!({
        "task_id": task.task,
        "kind": match task.kind {
            Kind::Callback => "callback",
            Kind::Notice => "notice",
            Kind::Recall => "recall",
        },
        "dialect": task.dialect.map(crate::message::Dialect::as_str),
        "accepted_at": task.accepted_at,
        "due_at": task.due,
        "recipients": task.recipients,
        "cancelled_at": task.cancelled_at,
        "state": if may_be_summed { UNRECORDED } else { state(task) },
        "counted": {"is": is, "why": reason},
        "outcome": task.outcome.map(|outcome| became(outcome, task).0),
        "meaning": task.outcome.map(|outcome| became(outcome, task).1),
        "attempts": tries,
        "devices": devices,
        "pending": task.pending.map(|pending| json!({"next_try": pending.next_try, "until": pending.until})),
    })
}

fn state(task: &TaskWhy) -> &'static str {
    match task.progress {
        Progress::NotIn => "not in the task",
        Progress::Done => "done",
        Progress::Waiting | Progress::Pending | Progress::Ended if task.cancelled_at.is_some() => "cancelled",
        Progress::Waiting => "waiting",
        Progress::Pending => "pending",
        Progress::Ended => ENDED,
    }
}

fn counted(task: &TaskWhy) -> (Option<bool>, &'static str) {
    match task.counted {
        Counted::Yes => (Some(true), "counted"),
        Counted::Before => (Some(true), "counted before: by an earlier try, or by another callback of this message"),
        Counted::Late => (Some(false), "late (uncounted): it came over 15 minutes behind newer messages"),
        Counted::Not(outcome) => (Some(false), outcome.as_str()),
        Counted::DoesNotCount => (Some(false), "not a counting message"),
        Counted::GaveUp => (Some(false), "given up before it could be counted"),
        Counted::NotYet if task.progress == Progress::Ended => (None, "not tried by the message's end"),
        Counted::NotYet => (None, "not tried yet"),
        Counted::NotIn => (Some(false), "not in the task"),
    }
}

fn device_told(device: &DeviceWhy, task: &TaskWhy, recipient: Option<&Recipient>) -> Value {
    let last = device.last();
    let now = |key: &DeviceKey| recipient?.devices.iter().find(|own| own.key == *key);
    let pending = task.pending.filter(|_| device.pending);
    let tries: Vec<Value> = device.tries.iter().map(try_told).collect();
    json!({
        "device": device.device,
        "platform": device.channel.map(|channel| if channel.is_apple() { "ios" } else { "android" }),
        "channel": device.channel.map(crate::delivery::Channel::as_str),
        "registered_at": now(&device.device).map(|own| own.registered_at),
        "outcome": last.map(|last| became(last.outcome, task).0),
        "class": last.and_then(|last| class_of(device, last)),
        "meaning": last.map(|last| became(last.outcome, task).1),
        "attempts": tries,
        "pending_until": pending.and_then(|pending| pending.until),
    })
}

/// A last outcome and its meaning, in `task`.
fn became(outcome: Outcome, task: &TaskWhy) -> (&'static str, &'static str) {
    match task.progress {
        Progress::Ended if !outcome.is_final() => (ENDED, "not tried again by the message's end"),
        Progress::Waiting | Progress::Pending | Progress::Done | Progress::Ended | Progress::NotIn => {
            (outcome.as_str(), meaning(outcome))
        }
    }
}

fn try_told(one: &Try) -> Value {
    json!({"attempt": one.attempt, "at": one.at, "outcome": one.outcome.as_str(), "class": class(one)})
}

/// Of what was given up, the vendor's last answer says more than that its time was over.
fn class_of(device: &DeviceWhy, last: &Try) -> Option<&'static str> {
    let answered = |one: &&Try| one.reason.is_some_and(Reason::is_of_the_vendor);
    let given_up = last.outcome == Outcome::GaveUp;
    let answer = device.tries.iter().rev().find(answered).filter(|_| given_up);
    class(answer.unwrap_or(last))
}

/// The class of a vendor's answer, as docs and logs call it; or why nothing was sent.
fn class(one: &Try) -> Option<&'static str> {
    match one.outcome {
        Outcome::Delivered | Outcome::DeadToken | Outcome::BadMessage => Some(one.outcome.as_str()),
        Outcome::Misconfigured
        | Outcome::GaveUp
        | Outcome::ChannelUnavailable
        | Outcome::Gone
        | Outcome::NoDevice
        | Outcome::Muted
        | Outcome::Read
        | Outcome::Withdrawn
        | Outcome::Off
        | Outcome::Blocked
        | Outcome::HeldOut
        | Outcome::Cancelled
        | Outcome::MissingValue
        | Outcome::Pending => one.reason.map(Reason::as_str),
    }
}

const fn meaning(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Delivered => "the vendor has it",
        Outcome::DeadToken => {
            "the vendor says that the token is dead; the device is deleted, unless it was registered anew"
        }
        Outcome::BadMessage => "the vendor does not take this message",
        Outcome::Misconfigured => "the app's credentials or rights are wrong; it can be replayed once they are mended",
        Outcome::GaveUp => "tried until the message's end, or too often",
        Outcome::ChannelUnavailable => "there is no channel to this device",
        Outcome::Gone => "the device was not registered any more",
        Outcome::NoDevice => "the client has no device",
        Outcome::Muted => "the client muted the room or the sender",
        Outcome::Read => "the client had read the room by then",
        Outcome::Withdrawn => "the message was taken back",
        Outcome::Off => "the client switched push off",
        Outcome::Blocked => "the client blocked the sender",
        Outcome::HeldOut => "the client is in a group of an experiment that gets nothing",
        Outcome::Cancelled => "the task was cancelled before it was sent",
        Outcome::MissingValue => "the message is a template, and the client has no value for one of its places",
        Outcome::Pending => "to be tried again",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::id::TaskId;
    use crate::task::Attempt;

    #[test]
    fn what_was_not_tried_by_the_message_s_end_is_not_called_pending() {
        let at = Timestamp::from_millis(7);
        let one = Try { attempt: Attempt::FIRST, at, outcome: Outcome::Pending, reason: Some(Reason::Throttled) };
        let device = DeviceWhy { device: DeviceKey::of("fcm", "d"), channel: None, tries: vec![one], pending: false };
        let mut task = TaskWhy {
            task: TaskId::from_number(7).unwrap(),
            kind: Kind::Callback,
            dialect: None,
            accepted_at: at,
            due: None,
            recipients: None,
            cancelled_at: None,
            progress: Progress::Ended,
            counted: Counted::NotYet,
            outcome: Some(Outcome::Pending),
            tries: Vec::new(),
            devices: vec![device],
            pending: None,
        };
        let words = |task: &TaskWhy| {
            let told = task_told(task, None, FrugalSettings::default());
            let of = |value: &Value| value.as_str().unwrap().to_owned();
            let device = &told["devices"][0];
            [&told["state"], &told["counted"]["why"], &told["outcome"], &device["outcome"], &device["meaning"]].map(of)
        };
        let tried = "not tried again by the message's end";
        assert_eq!(words(&task), ["ended", "not tried by the message's end", "ended", "ended", tried]);
        task.devices[0].tries[0].outcome = Outcome::Delivered;
        assert_eq!(words(&task)[3..], ["delivered", "the vendor has it"], "what had its outcome keeps it");
    }

    #[test]
    fn a_message_to_one_client_without_a_row_is_unrecorded_where_ends_are_summed_by_the_hour() {
        let mut task = TaskWhy {
            task: TaskId::from_number(7).unwrap(),
            kind: Kind::Callback,
            dialect: None,
            accepted_at: Timestamp::from_millis(7),
            due: None,
            recipients: Some(1),
            cancelled_at: None,
            progress: Progress::Ended,
            counted: Counted::Yes,
            outcome: None,
            tries: Vec::new(),
            devices: Vec::new(),
            pending: None,
        };
        let hour = FrugalSettings { claims: true, stats: Stats::Hour };
        let words = |task: &TaskWhy, frugal| {
            let told = task_told(task, None, frugal);
            [&told["state"], &told["counted"]["why"]].map(|word| word.as_str().unwrap().to_owned())
        };
        assert_eq!(words(&task, hour), ["unrecorded", "counted"]);
        assert_eq!(words(&task, FrugalSettings::default())[0], "ended");
        task.counted = Counted::NotYet;
        assert_eq!(words(&task, hour)[1], "the client has no mark of it, and there is no row that tells why");
        task.recipients = Some(2);
        assert_eq!(words(&task, hour), ["ended", "not tried by the message's end"]);
        task.recipients = Some(1);
        task.outcome = Some(Outcome::Muted);
        assert_eq!(words(&task, hour)[0], "ended", "it has a row");
    }

    #[test]
    fn what_an_app_does_without_is_told_where_nothing_is_found() {
        let told = |claims, stats, counted| no_message(FrugalSettings { claims, stats }, counted).to_string();
        assert!(told(true, Stats::Task, false).ends_with("is known by the number alone"));
        assert!(told(false, Stats::Task, false).contains("no claims of messages to one client (frugal.claims)"));
        assert!(told(true, Stats::Hour, false).contains("(frugal.stats): they are known by the id alone"));
        assert!(told(false, Stats::Hour, true).ends_with("; the client's badge has counted it"));
    }

    #[test]
    fn a_question_names_client_and_message() {
        let asks = |query: &str| Question::parse(query).map_err(|failure| failure.to_string());
        let asked = asks("client=a%2Bb&message=m+1").unwrap();
        assert_eq!((asked.client.as_str(), asked.message.as_str()), ("a+b", "m 1"));
        assert_eq!(asks("message=m").unwrap_err(), "client is missing in the query");
        assert_eq!(asks("client=a&message=").unwrap_err(), "message is missing in the query");
        assert_eq!(asks("client=%01&message=m").unwrap_err(), "client holds a character that is not allowed");
        assert_eq!(asks("client=%ff&message=m").unwrap_err(), "client in the query is not UTF-8");
    }
}
