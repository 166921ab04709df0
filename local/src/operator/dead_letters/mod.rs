//! `dead-letters`: what was given up and waits in the dead-letter queues, and what is to become of it.
//!
//! SQS has no call that looks without receiving. A record that is received is hidden for a while and counted as received; a dead-letter queue
//! has no redrive of its own, so that nothing follows from the count, and what was only looked at is made visible again at once.

mod queues;
mod record;
mod visit;

use std::time::Duration;

use aws_sdk_sqs::Client;
use clap::{Args, Subcommand};
use futures_util::future::try_join_all;
use pushbell::id::AppId;
use pushbell::time::Timestamp;
use serde_json::{Value, json};

use super::Deployment;
use queues::DeadLetters;
use record::Record;
use visit::Visit;

pub use queues::QueueError;

/// How long what is only looked at is hidden, should the command be broken off.
const LOOK: Duration = Duration::from_secs(60);
/// How long what is worked on is hidden, should the command be broken off.
const WORK: Duration = Duration::from_secs(300);
/// So many records are looked at to know how old the oldest is.
const SAMPLE: u64 = 100;

/// What is done with dead letters.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The dead-letter queues: how many records, how old, and where they can be replayed to.
    List(List),
    /// What records a queue holds, without people, texts and tokens.
    Show(Show),
    /// Sends records to the queue that they were given up from, and then takes them out. May be broken off and run again.
    Replay(Replay),
    /// Deletes records. Without --yes it only tells which.
    Drop(Drop),
}

/// `dead-letters list`
#[derive(Debug, Args)]
pub struct List {
    /// The answer as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `dead-letters show`
#[derive(Debug, Args)]
pub struct Show {
    /// The queue, as `list` names it.
    pub queue: String,
    /// Most records.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub limit: u64,
    /// Whole records, as JSON: with the messages' texts and the people whom they are for.
    #[arg(long, conflicts_with = "json")]
    pub raw: bool,
    /// The answer as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Which records.
#[derive(Debug, Clone, Default, Args)]
#[group(required = true, multiple = false)]
pub struct Which {
    /// Those of this task.
    #[arg(long, value_name = "NUMBER")]
    pub task: Option<u64>,
    /// Those of this app.
    #[arg(long, value_name = "APP", value_parser = super::app_id)]
    pub app: Option<AppId>,
    /// All of them.
    #[arg(long)]
    pub all: bool,
}

impl Which {
    fn is(&self, record: &Record) -> bool {
        match (self.task, &self.app) {
            (Some(task), _) => record.task == Some(task),
            (None, Some(app)) => record.app.as_deref() == Some(app.as_str()),
            (None, None) => self.all,
        }
    }
}

/// `dead-letters replay`
#[derive(Debug, Args)]
pub struct Replay {
    /// The queue, as `list` names it.
    pub queue: String,
    /// Which records.
    #[command(flatten)]
    pub which: Which,
}

/// `dead-letters drop`
#[derive(Debug, Args)]
pub struct Drop {
    /// The queue, as `list` names it.
    pub queue: String,
    /// Which records.
    #[command(flatten)]
    pub which: Which,
    /// Without it nothing is deleted, and what would be is told.
    #[arg(long)]
    pub yes: bool,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// For people, or as JSON.
    pub text: String,
    /// Nothing is left of what was to be replayed or dropped.
    pub is_complete: bool,
}

impl Told {
    fn all(text: String) -> Self {
        Self { text, is_complete: true }
    }
}

/// Does it, and tells what was done.
pub async fn run(deployment: &Deployment, command: &Command) -> Result<Told, QueueError> {
    // Not the functions' client: theirs gives a call up within seconds, and a batch of large records may take longer from here.
    let sqs = Client::new(&deployment.config);
    let queues = queues::all(deployment, &sqs).await?;
    let now = deployment.now();
    match command {
        Command::List(asked) => list(&sqs, &queues, asked, now).await.map(Told::all),
        Command::Show(asked) => show(&sqs, queues::named(&queues, &asked.queue)?, asked, now).await.map(Told::all),
        Command::Replay(asked) => replay(&sqs, queues::named(&queues, &asked.queue)?, &asked.which, now).await,
        Command::Drop(asked) => drop(&sqs, queues::named(&queues, &asked.queue)?, asked, now).await,
    }
}

async fn list(sqs: &Client, queues: &[DeadLetters], asked: &List, now: Timestamp) -> Result<String, QueueError> {
    let ages = try_join_all(queues.iter().map(async |queue| {
        // Only to tell how old: a queue that SQS takes for empty is not waited for.
        let most = SAMPLE.min(queue.visible);
        let looked = Visit::new(sqs, queue, LOOK, now).look(most).await?;
        let oldest = looked.iter().filter_map(record::sent_at).min();
        Ok::<_, QueueError>((looked.len(), oldest))
    }))
    .await?;
    let rows = queues.iter().zip(ages).map(|(queue, (looked, oldest))| {
        json!({
            "queue": queue.name,
            "records": queue.visible,
            "hidden": queue.hidden,
            "oldest_at": oldest,
            // More than were looked at: there may be an older one.
            "oldest_at_least": u64::try_from(looked).is_ok_and(|looked| looked < queue.visible),
            "replayed_to": queue.source.as_ref().map(|source| &source.name),
            "holds": queue.holds(),
            "section": queue.section(),
        })
    });
    let rows: Vec<Value> = rows.collect();
    if asked.json {
        return Ok(Value::Array(rows).to_string());
    }
    Ok(rows.iter().map(|row| row_told(row, now)).collect::<Vec<_>>().join("\n"))
}

fn row_told(row: &Value, now: Timestamp) -> String {
    let word = |name: &str| row[name].as_str().unwrap_or_default();
    let records = row["records"].as_u64().unwrap_or_default();
    let mut line = match (records, row["oldest_at"].as_u64()) {
        (0, _) => format!("{}: empty", word("queue")),
        (n, None) => format!("{}: {n}", word("queue")),
        (n, Some(oldest)) => {
            let at_least = if row["oldest_at_least"] == true { "at least " } else { "" };
            format!(
                "{}: {n}, the oldest {at_least}{} old",
                word("queue"),
                age(now.since(Timestamp::from_millis(oldest)))
            )
        }
    };
    if let Some(hidden) = row["hidden"].as_u64().filter(|hidden| *hidden > 0) {
        line.push_str(&format!(", {hidden} more hidden, as somebody works on them"));
    }
    let to = match row["replayed_to"].as_str() {
        Some(source) => format!("`replay` sends them to {source}"),
        None => "not replayed".to_owned(),
    };
    format!("{line}\n  {}; {to}; {}", word("holds"), word("section"))
}

/// `3 d 4 h`, `12 min`: what is shorter than a minute is told in seconds.
fn age(age: Duration) -> String {
    let seconds = age.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

async fn show(sqs: &Client, queue: &DeadLetters, asked: &Show, now: Timestamp) -> Result<String, QueueError> {
    let mut looked = Visit::new(sqs, queue, LOOK, now).look(asked.limit).await?;
    looked.sort_by_key(record::sent_at);
    if asked.raw {
        let whole: Vec<String> = looked.iter().map(|message| record::raw(message).to_string()).collect();
        return Ok(whole.join("\n"));
    }
    let records: Vec<Record> = looked.iter().map(Record::read).collect();
    if asked.json {
        return Ok(Value::Array(records.iter().map(Record::json).collect()).to_string());
    }
    let mut lines: Vec<String> = records.iter().map(Record::told).collect();
    let rest = queue.visible.saturating_sub(u64::try_from(records.len()).unwrap_or(u64::MAX));
    match (records.is_empty(), rest) {
        (true, _) if queue.hidden > 0 => lines.push(format!("{} has none to be seen.", queue.name)),
        (true, _) => lines.push(format!("{} is empty.", queue.name)),
        (false, 0) => {}
        (false, rest) => lines.push(format!("And {rest} more.")),
    }
    if queue.hidden > 0 {
        lines.push(visit::hidden_told(queue.hidden).trim_start().to_owned());
    }
    Ok(lines.join("\n"))
}

async fn replay(sqs: &Client, queue: &DeadLetters, which: &Which, now: Timestamp) -> Result<Told, QueueError> {
    let source = queue.source.as_ref().ok_or_else(|| QueueError::NotReplayed(queue.name.clone(), queue.by_hand()))?;
    let mut visit = Visit::new(sqs, queue, WORK, now);
    let done = visit.work_off(which, async |visit, batch| visit.move_to(&source.url, batch).await).await?;
    let mut told = format!("{} of {} went back to {}.", counted(done.worked), queue.name, source.name);
    told.push_str(&done.left());
    Ok(Told { text: told, is_complete: done.is_complete() })
}

async fn drop(sqs: &Client, queue: &DeadLetters, asked: &Drop, now: Timestamp) -> Result<Told, QueueError> {
    let mut visit = Visit::new(sqs, queue, WORK, now);
    if !asked.yes {
        let done = visit.work_off(&asked.which, async |_, _| Ok(visit::Worked::Left)).await?;
        let hidden = visit::hidden_told(done.hidden);
        let matching = counted(done.left_matching);
        return Ok(Told::all(format!("Would delete {matching} of {}.{hidden} Pass --yes to do it.", queue.name)));
    }
    let done = visit.work_off(&asked.which, async |visit, batch| visit.delete(batch).await).await?;
    let mut told = format!("Deleted {} of {}.", counted(done.worked), queue.name);
    told.push_str(&done.left());
    Ok(Told { text: told, is_complete: done.is_complete() })
}

fn counted(n: u64) -> String {
    format!("{n} record{}", if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_told_in_its_two_largest_units() {
        let told = |seconds| age(Duration::from_secs(seconds));
        assert_eq!(
            ["59 s", "1 min", "1 h 1 min", "13 d 23 h"],
            [told(59), told(119), told(3_660), told(1_209_599)].map(|told| told)
        );
    }

    #[test]
    fn a_queue_is_told_with_what_it_holds_and_where_its_records_go() {
        let now = Timestamp::from_millis(7_200_000);
        let mut row = json!({
            "queue": "DeliverDeadLetters", "records": 3, "hidden": 0, "oldest_at": 3_600_000, "oldest_at_least": false,
            "replayed_to": "DeliverQueue", "holds": "chunks", "section": "docs/operations.md#deadlettersalarm",
        });
        assert_eq!(
            row_told(&row, now),
            "DeliverDeadLetters: 3, the oldest 1 h 0 min old\n  chunks; `replay` sends them to DeliverQueue; docs/operations.md#deadlettersalarm"
        );
        row["records"] = json!(0);
        row["hidden"] = json!(2);
        row["replayed_to"] = Value::Null;
        let told = row_told(&row, now);
        assert!(told.starts_with("DeliverDeadLetters: empty, 2 more hidden"), "{told}");
        assert!(told.contains("; not replayed; "), "{told}");
    }

    #[test]
    fn a_record_is_chosen_by_its_task_or_by_its_app() {
        let record = Record { app: Some("demo".to_owned()), task: Some(7), ..Record::default() };
        let which = |task, app: Option<&str>, all| Which { task, app: app.and_then(|app| AppId::parse(app).ok()), all };
        assert!(which(Some(7), None, false).is(&record) && which(None, Some("demo"), false).is(&record));
        assert!(which(None, None, true).is(&record));
        assert!(!which(Some(8), None, false).is(&record) && !which(None, Some("acme"), false).is(&record));
        assert!(!which(None, None, false).is(&record));
    }
}
