//! The store: who counts an event, and the rows of counters.
//!
//! | key | what |
//! |---|---|
//! | `e#<app>#p<push>`, `<event>` | an event of a push: who counts it, and what it says |
//! | `e#<app>#t<task>#<shard>`, `<event>` | an event of a task: who counts it |
//! | `n#<app>#<day>`, `<slot>` | counters of a day's events, from the batches that were accepted in a slot of five seconds |
//! | `m#<app>#<task>`, `<slot>` | the same of a task |
//!
//! Each event is put where none is: the batch whose number stands in the row counts it, and no other. When all events of a batch have their
//! rows, what the batch owns is known for good, however often it is received; it is added to the rows of counters by one update each, on
//! condition that the batch's number is not in the row's set. So an event is counted once, and a batch that fails half-way is worked on again
//! without harm. Batches that are received together share the updates.
//!
//! A row of counters belongs to the slot in which its batches were accepted: it has few numbers in its set, and none need be forgotten.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConsumedCapacity, ReturnConsumedCapacity, ReturnValuesOnConditionCheckFailure,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::{StreamExt as _, stream};

use super::{About, Batch, Counts, Day, Event};
use crate::aws::{number, text};
use crate::env::{EnvError, Environment, Table};
use crate::id::{AppId, digest};
use crate::time::Timestamp;

/// How long events are known, and counters of tasks kept: longer than a record may lie in its queue and then in the dead-letter queue, four
/// days and fourteen. One that is redriven finds who counted its events meanwhile.
pub const EVENTS_KEPT: Duration = Duration::from_secs(21 * 24 * 60 * 60);
/// How long counters of days are kept.
pub const DAYS_KEPT: Duration = Duration::from_secs(92 * 24 * 60 * 60);
/// The time at an invocation's end in which no row is begun: those under way, and the counters after them, take up to a call's time each.
pub const SPARE: Duration = Duration::from_secs(2 * crate::aws::PATIENT_CALL.as_secs() + 2);
/// Rows that are put at once.
const PUTS: usize = 64;
/// The most batches that share an update, and the most attributes that they add to together: an expression has up to 4 KB and 300 operators,
/// three for each batch.
const MOST_TOGETHER: usize = 75;
const MOST_ADDITIONS: usize = 200;
/// The most sayings that an update keeps.
const MOST_SAYINGS: usize = 16;
/// A slot, in milliseconds. A longer one has more batches in its row's set, and every update costs a unit for each kilobyte of it; of a shorter
/// one more rows are read.
const SLOT: u64 = 5_000;

/// Why events could not be counted, or counts not be read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TallyError {
    /// The table did not answer. What was counted is counted.
    #[error("the tasks table did not answer")]
    Unavailable(#[source] Arc<aws_sdk_dynamodb::Error>),
    /// The invocation's time was over before all its events had their rows.
    #[error("there was no time left")]
    Late,
    /// A batch's number is none.
    #[error("the batch has no usable number")]
    Number,
}

impl TallyError {
    /// Whether the call itself is wrong: the same again would end no better.
    fn is_of_the_request(&self) -> bool {
        match self {
            Self::Unavailable(error) => error.code() == Some("ValidationException"),
            Self::Number => true,
            Self::Late => false,
        }
    }
}

impl<E, R> From<SdkError<E, R>> for TallyError
where
    aws_sdk_dynamodb::Error: From<SdkError<E, R>>,
{
    fn from(error: SdkError<E, R>) -> Self {
        Self::Unavailable(Arc::new(error.into()))
    }
}

/// The rows of events and counters.
pub struct Tallies {
    pub(super) client: Client,
    pub(super) table: String,
    units: Option<Mutex<f64>>,
}

/// A row of counters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Row {
    pk: String,
    slot: u64,
    kept: Duration,
}

/// What was counted by one update: for the first time, or it was counted before.
#[derive(Debug, Clone, Copy)]
pub(super) enum Added {
    Now,
    Before,
}

pub(super) fn push_key(app: &AppId, push: &str) -> String {
    format!("e#{app}#p{push}")
}

pub(super) fn task_key(app: &AppId, task: &str) -> String {
    format!("m#{app}#{task}")
}

pub(super) fn day_key(app: &AppId, day: Day) -> String {
    format!("n#{app}#{day}")
}

/// A big task's events are spread over 16 partitions.
fn event_key(app: &AppId, event: &Event) -> String {
    match &event.about {
        About::Push(push) => push_key(app, push),
        About::Task(task) => {
            let [shard] = digest::<1>(&[event.key.as_bytes()]);
            format!("e#{app}#t{task}#{:x}", shard & 15)
        }
    }
}

impl Tallies {
    /// The table that `env` names.
    ///
    /// # Errors
    /// When it names none.
    pub fn new(env: &Environment) -> Result<Self, EnvError> {
        Ok(Self { client: crate::aws::patient_dynamodb(env), table: env.table(Table::Tasks)?, units: None })
    }

    /// Has DynamoDB report the units of every write. A benchmark's switch.
    #[must_use]
    pub fn measured(mut self) -> Self {
        self.units = Some(Mutex::default());
        self
    }

    /// The write units that were used, when it is [`Self::measured`].
    #[must_use]
    pub fn written(&self) -> f64 {
        let units = self.units.as_ref().map(|units| units.lock().unwrap_or_else(PoisonError::into_inner));
        units.map(|units| *units).unwrap_or_default()
    }

    fn capacity(&self) -> Option<ReturnConsumedCapacity> {
        self.units.as_ref().map(|_| ReturnConsumedCapacity::Total)
    }

    fn used(&self, capacity: Option<&ConsumedCapacity>) {
        if let (Some(units), Some(capacity)) = (&self.units, capacity) {
            let used = capacity.write_capacity_units().or(capacity.capacity_units()).unwrap_or_default();
            *units.lock().unwrap_or_else(PoisonError::into_inner) += used;
        }
    }

    /// Counts the events of `batches`, each event once, as far as there is time until `deadline`, the first batches first. For each batch, in
    /// their order: what was counted now, that had not been before; or why it is not counted. The same batch again is then as good as a first
    /// time. A second copy among them ends as the first does, with nothing counted.
    pub async fn count(&self, batches: &[Batch], now: Timestamp, deadline: Instant) -> Vec<Result<Counts, TallyError>> {
        let mut first: HashMap<(&AppId, &str), usize> = HashMap::new();
        let mut distinct: Vec<&Batch> = Vec::with_capacity(batches.len());
        let places: Vec<usize> = batches
            .iter()
            .map(|batch| {
                *first.entry((&batch.app, &batch.id)).or_insert_with(|| {
                    distinct.push(batch);
                    distinct.len() - 1
                })
            })
            .collect();
        let mut ends = self.count_distinct(&distinct, now, deadline).await;
        let told = |place: usize| {
            let again = ends[place].as_ref().map(|_| Counts::default()).map_err(TallyError::clone);
            std::mem::replace(&mut ends[place], again)
        };
        places.into_iter().map(told).collect()
    }

    async fn count_distinct(
        &self,
        batches: &[&Batch],
        now: Timestamp,
        deadline: Instant,
    ) -> Vec<Result<Counts, TallyError>> {
        let mut ends: Vec<Result<Counts, TallyError>> = Vec::with_capacity(batches.len());
        let mut rows: BTreeMap<Row, Vec<(usize, Counts)>> = BTreeMap::new();
        let owned = self.own(batches, now, deadline).await;
        for (index, (batch, owned)) in batches.iter().zip(owned).enumerate() {
            match owned {
                Ok(events) => {
                    for (row, counts) in rows_of(batch, &events) {
                        rows.entry(row).or_default().push((index, counts));
                    }
                    ends.push(Ok(Counts::default()));
                }
                Err(error) => ends.push(Err(error)),
            }
        }
        let updates = rows
            .into_iter()
            .flat_map(|(row, parts)| together(parts).into_iter().map(move |parts| (row.clone(), parts)));
        let added: Vec<_> = stream::iter(updates)
            .map(|(row, parts)| async move { (self.add_all(batches, &row, &parts).await, row, parts) })
            .buffer_unordered(PUTS)
            .collect()
            .await;
        for (added, row, parts) in added {
            for ((index, counts), added) in parts.iter().zip(added) {
                match (added, &mut ends[*index]) {
                    // What a task's row has stands in a day's too.
                    (Ok(Added::Now), Ok(counted)) if row.pk.starts_with("n#") => counted.merge(counts),
                    (Ok(Added::Now | Added::Before), _) => {}
                    (Err(error), end) => *end = Err(error),
                }
            }
        }
        ends
    }

    /// Puts a row for every event, and tells for each batch which of them it counts.
    async fn own<'b>(
        &self,
        batches: &[&'b Batch],
        now: Timestamp,
        deadline: Instant,
    ) -> Vec<Result<Vec<&'b Event>, TallyError>> {
        let latest = deadline.checked_sub(SPARE).unwrap_or(deadline);
        let failed: Vec<AtomicBool> = batches.iter().map(|_| AtomicBool::new(false)).collect();
        let failed = failed.as_slice();
        let mut owned: Vec<Result<Vec<&Event>, TallyError>> = batches.iter().map(|_| Ok(Vec::new())).collect();
        let events = batches.iter().enumerate().flat_map(|(index, batch)| {
            // A batch would take a second copy for its own.
            let mut seen = BTreeSet::new();
            let events = batch.events.iter().filter(move |event| seen.insert((&event.about, event.key.as_str())));
            events.map(move |event| (index, *batch, event))
        });
        let mut puts = stream::iter(events)
            .map(|(index, batch, event)| async move {
                // It comes again whole: what more is put now is paid for twice.
                if failed[index].load(Ordering::Relaxed) {
                    return (index, event, Ok(false));
                }
                let put =
                    if Instant::now() < latest { self.put(batch, event, now).await } else { Err(TallyError::Late) };
                failed[index].fetch_or(put.is_err(), Ordering::Relaxed);
                (index, event, put)
            })
            .buffer_unordered(PUTS);
        while let Some((index, event, put)) = puts.next().await {
            match (put, &mut owned[index]) {
                (Ok(true), Ok(events)) => events.push(event),
                (Ok(_), _) => {}
                (Err(error), end) => *end = Err(error),
            }
        }
        owned
    }

    /// Puts an event's row where none is. Whether the batch is the one that counts it.
    pub(super) async fn put(&self, batch: &Batch, event: &Event, now: Timestamp) -> Result<bool, TallyError> {
        let mut put = self
            .client
            .put_item()
            .table_name(&self.table)
            .item("pk", text(event_key(&batch.app, event)))
            .item("sk", text(&event.key))
            .item("b", text(&batch.id))
            .item("ttl", number(batch.accepted_at.plus(EVENTS_KEPT).as_secs()));
        if matches!(event.about, About::Push(_)) {
            put = put
                .item("v", number(event.vendor.number()))
                .item("s", number(event.stage.number()))
                .item("c", number(event.code))
                .item("at", number(event.at.as_millis()));
            if !event.info.is_empty() {
                put = put.item("i", text(&event.info));
            }
        }
        let answer = put
            // A row past its time may still be there for days: it counts as gone.
            .condition_expression("attribute_not_exists(pk) OR #ttl < :now")
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":now", number(now.as_secs()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .set_return_consumed_capacity(self.capacity())
            .send()
            .await;
        match answer {
            Ok(answer) => {
                self.used(answer.consumed_capacity());
                Ok(true)
            }
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(refused)) => {
                    // DynamoDB charges a refused write as one that was made, and does not say so.
                    self.used(Some(&ConsumedCapacity::builder().capacity_units(1.0).build()));
                    // Its own row from an earlier try.
                    Ok(refused.item().and_then(|item| item.get("b")?.as_s().ok()) == Some(&batch.id))
                }
                _ => Err(error.into()),
            },
        }
    }

    /// Adds what batches own to a row, all at once; where one of them is in it already, one after the other.
    async fn add_all(
        &self,
        batches: &[&Batch],
        row: &Row,
        parts: &[(usize, Counts)],
    ) -> Vec<Result<Added, TallyError>> {
        let mut sum = Counts::default();
        for (_, counts) in parts {
            sum.merge(counts);
        }
        let ids: Vec<&str> = parts.iter().map(|(index, _)| batches[*index].id.as_str()).collect();
        match self.add(row, &ids, &sum).await {
            Ok(Added::Before) if parts.len() > 1 => {}
            // What one of them has wrong is not the others'.
            Err(error) if parts.len() > 1 && error.is_of_the_request() => {}
            end => return vec![end; parts.len()],
        }
        let mut ends = Vec::with_capacity(parts.len());
        for (index, counts) in parts {
            ends.push(self.add(row, &[batches[*index].id.as_str()], counts).await);
        }
        ends
    }

    /// Adds to a row, unless one of the batches is in its set.
    pub(super) async fn add(&self, row: &Row, ids: &[&str], counts: &Counts) -> Result<Added, TallyError> {
        let mut update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("pk", text(&row.pk))
            .key("sk", text(format!("{:010}", row.slot)))
            .expression_attribute_names("#ttl", "ttl");
        let ttl = Timestamp::from_millis(row.slot.saturating_mul(SLOT)).plus(row.kept);
        update = update.expression_attribute_values(":ttl", number(ttl.as_secs()));
        let (mut adds, mut sets) = (vec!["#b :b".to_owned()], vec!["#ttl = :ttl".to_owned()]);
        for (index, (name, n)) in counts.additions().enumerate() {
            update = update
                .expression_attribute_names(format!("#a{index}"), name)
                .expression_attribute_values(format!(":a{index}"), number(n));
            adds.push(format!("#a{index} :a{index}"));
        }
        for (index, (name, said)) in counts.sayings().take(MOST_SAYINGS).enumerate() {
            update = update
                .expression_attribute_names(format!("#s{index}"), name)
                .expression_attribute_values(format!(":s{index}"), text(said));
            sets.push(format!("#s{index} = if_not_exists(#s{index}, :s{index})"));
        }
        let mut members = Vec::with_capacity(ids.len());
        let mut absent = Vec::with_capacity(ids.len());
        for (index, id) in ids.iter().enumerate() {
            let member = Blob::new(URL_SAFE_NO_PAD.decode(id).map_err(|_| TallyError::Number)?);
            update = update.expression_attribute_values(format!(":b{index}"), AttributeValue::B(member.clone()));
            absent.push(format!("NOT contains(#b, :b{index})"));
            members.push(member);
        }
        let answer = update
            .expression_attribute_names("#b", "b")
            .expression_attribute_values(":b", AttributeValue::Bs(members))
            .update_expression(format!("ADD {} SET {}", adds.join(", "), sets.join(", ")))
            .condition_expression(format!("attribute_not_exists(#b) OR ({})", absent.join(" AND ")))
            .set_return_consumed_capacity(self.capacity())
            .send()
            .await;
        match answer {
            Ok(answer) => {
                self.used(answer.consumed_capacity());
                Ok(Added::Now)
            }
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(_)) => {
                    self.used(Some(&ConsumedCapacity::builder().capacity_units(1.0).build()));
                    Ok(Added::Before)
                }
                _ => Err(error.into()),
            },
        }
    }
}

/// Which of a row's batches are added by one update.
fn together(parts: Vec<(usize, Counts)>) -> Vec<Vec<(usize, Counts)>> {
    let mut all: Vec<Vec<(usize, Counts)>> = Vec::new();
    let mut sum = Counts::default();
    for (index, counts) in parts {
        sum.merge(&counts);
        match all.last_mut() {
            Some(last) if last.len() < MOST_TOGETHER && sum.additions().count() <= MOST_ADDITIONS => {
                last.push((index, counts))
            }
            Some(_) | None => {
                sum = counts.clone();
                all.push(vec![(index, counts)]);
            }
        }
    }
    all
}

/// The rows that a batch adds to, with what: its events' days, and the tasks among them.
pub(super) fn rows_of(batch: &Batch, events: &[&Event]) -> HashMap<Row, Counts> {
    let slot = batch.accepted_at.as_millis() / SLOT;
    let mut rows: HashMap<Row, Counts> = HashMap::new();
    for event in events {
        let pk = day_key(&batch.app, Day::of(event.at));
        rows.entry(Row { pk, slot, kept: DAYS_KEPT }).or_default().add(event);
        if let About::Task(task) = &event.about {
            let pk = task_key(&batch.app, task);
            rows.entry(Row { pk, slot, kept: EVENTS_KEPT }).or_default().add(event);
        }
    }
    rows
}
