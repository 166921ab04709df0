//! Work later: records that are due beyond SQS's 15 minutes, and those that SQS refused.
//!
//! Rows are spread over shards, and sorted by the time they are due within one, so that the timer reads only what is due. A row is
//! deleted after its record is in the queue: a crash in between repeats the record, and a repeated record finds its result row.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;

use crate::env::{EnvError, Environment, Queue, Table};
use crate::id::AppId;
use crate::time::Timestamp;

/// How many shards the rows are spread over.
pub const SHARDS: u8 = 8;
/// The most bytes of a record: an item has 400 KB, and its keys and names take some of them.
pub const MOST_BYTES: usize = 390_000;
/// A row that is still there so long after it was due is not going to be handed on.
const KEPT: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// Why a record is not in the table.
#[derive(Debug, thiserror::Error)]
pub enum DeferredError {
    /// The table did not answer.
    #[error("the deferred table did not answer")]
    Unavailable(#[source] Box<aws_sdk_dynamodb::Error>),
    /// More bytes than an item has.
    #[error("the record is too long for the deferred table")]
    TooLarge,
}

/// A record that rests until it is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Where it goes.
    pub queue: Queue,
    /// Whose it is.
    pub app: AppId,
    /// The record.
    pub body: String,
    /// From when on it may be received.
    pub due: Timestamp,
    key: (String, String),
}

/// Where a page ended.
#[derive(Debug, Clone)]
pub struct Cursor(HashMap<String, AttributeValue>);

/// A page of due rows.
#[derive(Debug)]
pub struct Page {
    /// The rows.
    pub rows: Vec<Row>,
    /// Where the next page begins; `None` when this was the last.
    pub next: Option<Cursor>,
}

/// The deferred table.
pub struct Deferred {
    client: Client,
    table: String,
}

impl Deferred {
    /// The table that `env` names.
    ///
    /// # Errors
    /// When it names none.
    pub fn new(env: &Environment) -> Result<Self, EnvError> {
        let table = env.table(Table::Deferred)?;
        Ok(Self { client: crate::aws::dynamodb(env), table })
    }

    /// Keeps a record until `due`.
    ///
    /// # Errors
    /// When it is too long, or the table does not answer.
    pub async fn put(&self, queue: Queue, app: &AppId, body: String, due: Timestamp) -> Result<(), DeferredError> {
        if body.len() > MOST_BYTES {
            return Err(DeferredError::TooLarge);
        }
        let text = AttributeValue::S;
        self.client
            .put_item()
            .table_name(&self.table)
            .item("pk", text(shard(fastrand::u8(..SHARDS))))
            .item("sk", text(format!("{}#{:016x}", sort_key(due), fastrand::u64(..))))
            .item("q", text(queue.as_str().to_owned()))
            .item("a", text(app.as_str().to_owned()))
            .item("b", text(body))
            .item("ttl", AttributeValue::N(due.plus(KEPT).as_secs().to_string()))
            .send()
            .await
            .map_err(|error| DeferredError::Unavailable(Box::new(error.into())))?;
        Ok(())
    }

    /// A page of a shard's rows that are due by `until`, the earliest first: up to `most` of them, and up to 1 MB.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn due(
        &self,
        shard_number: u8,
        until: Timestamp,
        most: i32,
        from: Option<Cursor>,
    ) -> Result<Page, DeferredError> {
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :shard AND sk < :until")
            .expression_attribute_values(":shard", AttributeValue::S(shard(shard_number)))
            .expression_attribute_values(":until", AttributeValue::S(format!("{}$", sort_key(until))))
            .limit(most)
            .set_exclusive_start_key(from.map(|from| from.0))
            .send()
            .await
            .map_err(|error| DeferredError::Unavailable(Box::new(error.into())))?;
        let items = answer.items.unwrap_or_default();
        let found = items.len();
        let rows: Vec<Row> = items.into_iter().filter_map(row).collect();
        if rows.len() < found {
            tracing::error!(
                shard = shard_number,
                unreadable = found - rows.len(),
                metric = "deferred_unreadable",
                "rows are no records"
            );
        }
        Ok(Page { rows, next: answer.last_evaluated_key.map(Cursor) })
    }

    /// Takes a row away whose record is in its queue.
    ///
    /// # Errors
    /// When the table does not answer; the row is handed on again then.
    pub async fn remove(&self, row: &Row) -> Result<(), DeferredError> {
        self.client
            .delete_item()
            .table_name(&self.table)
            .key("pk", AttributeValue::S(row.key.0.clone()))
            .key("sk", AttributeValue::S(row.key.1.clone()))
            .send()
            .await
            .map_err(|error| DeferredError::Unavailable(Box::new(error.into())))?;
        Ok(())
    }
}

fn shard(number: u8) -> String {
    format!("s#{number}")
}

/// Sorts as text the way the number sorts.
fn sort_key(due: Timestamp) -> String {
    format!("{:015}", due.as_millis())
}

fn row(mut item: HashMap<String, AttributeValue>) -> Option<Row> {
    let mut text = |name: &str| match item.remove(name) {
        Some(AttributeValue::S(text)) => Some(text),
        _ => None,
    };
    let key = (text("pk")?, text("sk")?);
    let due = Timestamp::from_millis(key.1.split('#').next()?.parse().ok()?);
    Some(Row { queue: Queue::from_word(&text("q")?)?, app: AppId::parse(text("a")?).ok()?, body: text("b")?, due, key })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn rows_too_long_for_one_page_are_all_found() {
        let (env, _) = crate::test_tables::start().await;
        let deferred = Deferred::new(&env).unwrap();
        let (app, now) = (AppId::parse("demo").unwrap(), Timestamp::from_millis(1_767_225_600_000));
        for n in 0..20 {
            let due = now.plus(Duration::from_secs(n));
            deferred.put(Queue::Deliver, &app, "x".repeat(MOST_BYTES), due).await.unwrap();
        }
        let refused = deferred.put(Queue::Deliver, &app, "x".repeat(MOST_BYTES + 1), now).await;
        assert!(matches!(refused, Err(DeferredError::TooLarge)));
        let (mut found, mut pages) = (Vec::new(), 0);
        for shard in 0..SHARDS {
            let mut from = None;
            loop {
                let page = deferred.due(shard, now.plus(Duration::from_secs(14)), 100, from).await.unwrap();
                found.extend(page.rows.iter().map(|row| row.due));
                pages += 1;
                from = page.next;
                if from.is_none() {
                    break;
                }
            }
        }
        found.sort();
        assert_eq!(found, (0..15).map(|n| now.plus(Duration::from_secs(n))).collect::<Vec<_>>());
        assert!(pages > usize::from(SHARDS), "a megabyte is a page");
    }

    #[test]
    fn rows_sort_by_the_time_they_are_due() {
        let keys = [0, 999, 1_767_225_600_000, 9_999_999_999_999].map(|ms| sort_key(Timestamp::from_millis(ms)));
        assert!(keys.is_sorted());
        // `$` follows `#`: a row due in the very millisecond is included.
        assert!(format!("{}#ffff", keys[2]) < format!("{}$", keys[2]));
    }
}
