//! Results: one row per chunk and attempt. It says what became of every device, and what is left over: the outbox. A record that comes
//! again reads it first; if it is there, nothing is sent again and its leftovers are queued again under the same name.
//!
//! An app may do without the rows of messages to one client that end well ([`super::HourSums`]).

mod put;
mod reasons;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;

use super::{Attempt, Outcome, Reason, Recount, Target, TaskKey};
use crate::aws::{lean, number, text};
use crate::delivery::Channel;
use crate::env::{EnvError, Environment, Table};
use crate::id::{AppId, ClientId, DeviceKey, TaskId};
use crate::time::Timestamp;

/// How long claims and results are kept.
pub(super) const KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Why results could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ResultsError {
    /// The table did not answer.
    #[error("the tasks table did not answer")]
    Unavailable(#[source] Box<aws_sdk_dynamodb::Error>),
    /// A row is not of its shape.
    #[error("a result row is malformed")]
    Malformed,
}

/// What became of one recipient of a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetResult {
    /// Who.
    pub client: ClientId,
    /// Each device's fate; or one without a device, when none was sent to.
    pub fates: Vec<Fate>,
    /// How the badge was counted, where it was not plainly counted, or is not.
    pub recount: Option<Recount>,
}

/// What became of one device, or of a recipient none of whose devices was sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fate {
    /// Which device.
    pub device: Option<DeviceKey>,
    /// Its channel, where that is known.
    pub channel: Option<Channel>,
    /// What became of it.
    pub outcome: Outcome,
    /// Why, where the outcome does not say it.
    pub reason: Option<Reason>,
}

impl Fate {
    /// Of a recipient none of whose devices was sent to.
    #[must_use]
    pub const fn of_recipient(outcome: Outcome) -> Self {
        Self { device: None, channel: None, outcome, reason: None }
    }

    /// The same, for this reason.
    #[must_use]
    pub fn because(self, reason: impl Into<Option<Reason>>) -> Self {
        Self { reason: reason.into(), ..self }
    }

    /// Of a device.
    #[must_use]
    pub const fn of_device(device: DeviceKey, channel: Option<Channel>, outcome: Outcome) -> Self {
        Self { device: Some(device), channel, outcome, reason: None }
    }
}

/// How the recipients' badges were counted in one attempt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Counted now.
    pub counted: u32,
    /// Counted by an earlier try.
    pub repeat: u32,
    /// Sent and not counted: claimed too long ago.
    pub uncounted: u32,
}

/// What is left over after an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftovers {
    /// Who and which devices.
    pub to: Vec<Target>,
    /// From when on they may be tried.
    pub due: Timestamp,
    /// When the message ends: nothing is tried after it. `None` in rows of earlier releases.
    pub until: Option<Timestamp>,
}

/// What became of a chunk in one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultRow {
    /// Whose chunk.
    pub key: TaskKey,
    /// Whose task.
    pub app: AppId,
    /// Which chunk.
    pub seq: u32,
    /// Which attempt.
    pub attempt: Attempt,
    /// When the attempt ended.
    pub at: Timestamp,
    /// How badges were counted.
    pub tally: Tally,
    /// What became of whom, in the chunk's order.
    pub results: Vec<TargetResult>,
    /// What is to be tried again.
    pub leftovers: Option<Leftovers>,
    /// What is not tried any more, and goes to the dead-letter queue.
    pub given_up: Vec<Target>,
    /// A replay of what was given up takes back the outcomes that were counted for it, so that sums stay exact.
    pub taken_back: BTreeMap<Outcome, u32>,
    /// The names of values that recipients lacked, and how many of them: one name for each.
    pub missing: BTreeMap<String, u32>,
}

impl ResultRow {
    /// How many devices or recipients had each outcome, less what is taken back. Without zeros.
    #[must_use]
    pub fn counters(&self) -> BTreeMap<Outcome, i64> {
        let mut counters = BTreeMap::new();
        for fate in self.results.iter().flat_map(|result| &result.fates) {
            *counters.entry(fate.outcome).or_default() += 1;
        }
        for (outcome, n) in &self.taken_back {
            *counters.entry(*outcome).or_default() -= i64::from(*n);
        }
        counters.retain(|_, n| *n != 0);
        counters
    }
}

/// Fan-out's own row: how many chunks a part of a task was cut into. It is there once all of them are in the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Whose part.
    pub key: TaskKey,
    /// Whose task.
    pub app: AppId,
    /// The number of its first chunk.
    pub first: u32,
    /// How many chunks.
    pub chunks: u32,
}

/// What putting a row did.
#[derive(Debug)]
pub enum Put {
    /// It is there now.
    Stored,
    /// One was there: another run of the same attempt came first. This is its row.
    Exists(Box<ResultRow>),
}

/// The tasks table's result rows.
pub struct Results {
    pub(super) client: Client,
    pub(super) table: String,
    lean: lean::Lazy,
}

pub(super) fn pk(task: TaskId) -> String {
    format!("t#{task}")
}

fn chunk_sk(key: &TaskKey, seq: u32, attempt: Attempt) -> String {
    format!("{}#c#{seq:010}#{:03}", key.nonce, attempt.get())
}

fn split_sk(key: &TaskKey, first: u32) -> String {
    format!("{}#f#{first:010}", key.nonce)
}

impl Results {
    /// The table that `env` names.
    ///
    /// # Errors
    /// When it names none.
    pub fn new(env: &Environment) -> Result<Self, EnvError> {
        let table = env.table(Table::Tasks)?;
        Ok(Self { client: crate::aws::dynamodb(env), table, lean: lean::Lazy::new(env) })
    }

    /// The row of an attempt, as it is now.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn get(&self, key: &TaskKey, seq: u32, attempt: Attempt) -> Result<Option<ResultRow>, ResultsError> {
        self.item(key, chunk_sk(key, seq, attempt)).await?.map(|item| from_item(key.clone(), item)).transpose()
    }

    /// Whether the task was surely queued: its first chunk's result is there, its first part was cut, a page of its audience was, or its
    /// head says so.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn has_begun(&self, key: &TaskKey) -> Result<bool, ResultsError> {
        Ok(self.item(key, chunk_sk(key, 0, Attempt::FIRST)).await?.is_some()
            || self.item(key, split_sk(key, 0)).await?.is_some()
            || self.has_pages(key).await?
            || self.head(key).await?.is_some_and(|head| head.queued))
    }

    pub(super) async fn item(
        &self,
        key: &TaskKey,
        sk: String,
    ) -> Result<Option<HashMap<String, AttributeValue>>, ResultsError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("pk", text(pk(key.task)))
            .key("sk", text(sk))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| ResultsError::Unavailable(Box::new(error.into())))?;
        Ok(answer.item)
    }

    /// Notes that all chunks of a part are in the queue.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn put_split(&self, split: &Split, now: Timestamp) -> Result<(), ResultsError> {
        self.client
            .put_item()
            .table_name(&self.table)
            .item("pk", text(pk(split.key.task)))
            .item("sk", text(split_sk(&split.key, split.first)))
            .item("app", text(split.app.as_str()))
            .item("at", number(now.as_millis()))
            .item("chunks", number(split.chunks))
            .item("ttl", number(now.plus(KEPT).as_secs()))
            .send()
            .await
            .map_err(|error| ResultsError::Unavailable(Box::new(error.into())))?;
        Ok(())
    }
}

/// In the place of a channel's letter: not known.
pub(super) const NO_CHANNEL: &str = "-";

/// One line a recipient: the client, a tab, and for each device its key, its channel's letter and the outcome's; without a device the
/// outcome's alone. Client ids hold no control characters.
fn results_text(results: &[TargetResult]) -> String {
    let mut out = String::new();
    for result in results {
        out.push_str(result.client.as_str());
        out.push('\t');
        for (index, fate) in result.fates.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            if let Some(device) = &fate.device {
                out.push_str(device.as_str());
                out.push_str(fate.channel.map_or(NO_CHANNEL, Channel::letter));
            }
            out.push(fate.outcome.letter());
        }
        out.push('\n');
    }
    out
}

fn results_from(text: &str) -> Option<Vec<TargetResult>> {
    text.lines()
        .map(|line| {
            let (client, fates) = line.split_once('\t')?;
            let fates = fates.split(',').filter(|part| !part.is_empty()).map(fate_from).collect::<Option<_>>()?;
            Some(TargetResult { client: ClientId::parse(client).ok()?, fates, recount: None })
        })
        .collect()
}

/// Keys and letters are ASCII.
fn fate_from(text: &str) -> Option<Fate> {
    let (before, outcome) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let outcome = Outcome::from_letter(outcome.chars().next()?)?;
    if before.is_empty() {
        return Some(Fate::of_recipient(outcome));
    }
    let (device, channel) = before.split_at_checked(before.len() - 1)?;
    let channel = if channel == NO_CHANNEL { None } else { Some(Channel::from_letter(channel)?) };
    Some(Fate::of_device(DeviceKey::from_attribute(device), channel, outcome))
}

/// Targets are strings and lists of strings: they are always JSON.
fn targets_text(targets: &[Target]) -> AttributeValue {
    text(serde_json::to_string(targets).unwrap_or_default())
}

fn to_item(row: &ResultRow) -> HashMap<String, AttributeValue> {
    let counters = row.counters().into_iter().map(|(outcome, n)| (outcome.as_str().to_owned(), number(n))).collect();
    let mut item = HashMap::from([
        ("pk".to_owned(), text(pk(row.key.task))),
        ("sk".to_owned(), text(chunk_sk(&row.key, row.seq, row.attempt))),
        ("app".to_owned(), text(row.app.as_str())),
        ("at".to_owned(), number(row.at.as_millis())),
        ("n".to_owned(), AttributeValue::M(counters)),
        ("o".to_owned(), text(results_text(&row.results))),
        ("ttl".to_owned(), number(row.at.plus(KEPT).as_secs())),
    ]);
    for (name, n) in [("kc", row.tally.counted), ("kr", row.tally.repeat), ("ku", row.tally.uncounted)] {
        if n > 0 {
            item.insert(name.to_owned(), number(n));
        }
    }
    if let Some(leftovers) = &row.leftovers {
        item.insert("l".to_owned(), targets_text(&leftovers.to));
        item.insert("ld".to_owned(), number(leftovers.due.as_millis()));
        if let Some(until) = leftovers.until {
            item.insert("le".to_owned(), number(until.as_millis()));
        }
    }
    let reasons = reasons::text_of(&row.results);
    if !reasons.is_empty() {
        item.insert(reasons::ATTRIBUTE.to_owned(), text(reasons));
    }
    if !row.given_up.is_empty() {
        item.insert("gu".to_owned(), targets_text(&row.given_up));
    }
    if !row.taken_back.is_empty() {
        let counters = row.taken_back.iter().map(|(outcome, n)| (outcome.as_str().to_owned(), number(n))).collect();
        item.insert("tb".to_owned(), AttributeValue::M(counters));
    }
    if !row.missing.is_empty() {
        let counters = row.missing.iter().map(|(name, n)| (name.clone(), number(n))).collect();
        item.insert("mv".to_owned(), AttributeValue::M(counters));
    }
    item
}

pub(super) fn from_item(key: TaskKey, item: HashMap<String, AttributeValue>) -> Result<ResultRow, ResultsError> {
    read(key, &item).ok_or(ResultsError::Malformed)
}

pub(super) fn text_of<'a>(item: &'a HashMap<String, AttributeValue>, name: &str) -> Option<&'a str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

pub(super) fn number_of(item: &HashMap<String, AttributeValue>, name: &str) -> Option<u64> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

fn read(key: TaskKey, item: &HashMap<String, AttributeValue>) -> Option<ResultRow> {
    let tally = |name: &str| number_of(item, name).and_then(|n| u32::try_from(n).ok()).unwrap_or_default();
    let mut sk = text_of(item, "sk")?.rsplit('#');
    let (attempt, seq) = (Attempt::from_number(sk.next()?.parse().ok()?), sk.next()?.parse().ok()?);
    let leftovers = match text_of(item, "l") {
        None => None,
        Some(left) => Some(Leftovers {
            to: serde_json::from_str(left).ok()?,
            due: Timestamp::from_millis(number_of(item, "ld")?),
            until: number_of(item, "le").map(Timestamp::from_millis),
        }),
    };
    let given_up = match text_of(item, "gu") {
        None => Vec::new(),
        Some(given_up) => serde_json::from_str(given_up).ok()?,
    };
    let taken_back = match item.get("tb").and_then(|value| value.as_m().ok()) {
        None => BTreeMap::new(),
        Some(counters) => counters
            .iter()
            .map(|(word, n)| Some((Outcome::from_word(word)?, n.as_n().ok()?.parse().ok()?)))
            .collect::<Option<_>>()?,
    };
    let missing = match item.get("mv").and_then(|value| value.as_m().ok()) {
        None => BTreeMap::new(),
        Some(counters) => {
            let counter = |(name, n): (&String, &AttributeValue)| Some((name.clone(), n.as_n().ok()?.parse().ok()?));
            counters.iter().map(counter).collect::<Option<_>>()?
        }
    };
    let mut results = results_from(text_of(item, "o")?)?;
    if let Some(reasons) = text_of(item, reasons::ATTRIBUTE) {
        reasons::read_into(&mut results, reasons);
    }
    Some(ResultRow {
        key,
        app: AppId::parse(text_of(item, "app")?).ok()?,
        seq,
        attempt,
        at: Timestamp::from_millis(number_of(item, "at")?),
        tally: Tally { counted: tally("kc"), repeat: tally("kr"), uncounted: tally("ku") },
        results,
        leftovers,
        given_up,
        taken_back,
        missing,
    })
}

#[cfg(test)]
mod tests;
