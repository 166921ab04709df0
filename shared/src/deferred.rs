//! Work later: records that are due beyond SQS's 15 minutes, and those that SQS refused.
//!
//! Rows are spread over shards, and sorted by the time they are due within one, so that the timer reads only what is due. A row is
//! deleted after its record is in the queue: a crash in between repeats the record, and a repeated record finds its result row.

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

    /// Up to `most` rows of a shard that are due by `until`, the earliest first.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn due(&self, shard_number: u8, until: Timestamp, most: i32) -> Result<Vec<Row>, DeferredError> {
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :shard AND sk < :until")
            .expression_attribute_values(":shard", AttributeValue::S(shard(shard_number)))
            .expression_attribute_values(":until", AttributeValue::S(format!("{}$", sort_key(until))))
            .limit(most)
            .send()
            .await
            .map_err(|error| DeferredError::Unavailable(Box::new(error.into())))?;
        Ok(answer.items.unwrap_or_default().into_iter().filter_map(row).collect())
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

fn row(mut item: std::collections::HashMap<String, AttributeValue>) -> Option<Row> {
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
    use super::*;

    #[test]
    fn rows_sort_by_the_time_they_are_due() {
        let keys = [0, 999, 1_767_225_600_000, 9_999_999_999_999].map(|ms| sort_key(Timestamp::from_millis(ms)));
        assert!(keys.is_sorted());
        // `$` follows `#`: a row due in the very millisecond is included.
        assert!(format!("{}#ffff", keys[2]) < format!("{}$", keys[2]));
    }
}
