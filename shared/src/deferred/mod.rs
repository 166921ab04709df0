//! Work later: records that are due beyond SQS's 15 minutes, and those that SQS refused.
//!
//! Rows are spread over shards. Within a shard each app and queue has a [`Lane`] of its own, sorted by the time its rows are due: the
//! timer finds every app that has work by one read each, however long another app's backlog is, and reads a lane from either end. A row is
//! deleted after its record is in the queue: a crash in between repeats the record, and a repeated record finds its result row.

mod key;
mod lane;
mod lease;

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, DeleteRequest, WriteRequest};
use futures_util::stream::{self, StreamExt as _};

use crate::env::{EnvError, Environment, Queue, Table};
use crate::id::AppId;
use crate::time::Timestamp;

pub use lane::{End, Lane, Lanes, Page, Span, Waiting};
pub use lease::Lease;

/// How many shards the rows are spread over.
pub const SHARDS: u8 = 8;
/// The most bytes of a record: an item has 400 KB, and its keys and names take some of them.
pub const MOST_BYTES: usize = 390_000;
/// A row that is still there so long after it was due is not going to be handed on.
const KEPT: Duration = Duration::from_secs(14 * 24 * 60 * 60);
/// The most writes of one `BatchWriteItem` (DynamoDB quota).
const MOST_DELETES: usize = 25;
/// Batches of deletes in flight for one call of [`Deferred::remove_all`].
const DELETES_IN_FLIGHT: usize = 4;
/// How often a batch's unprocessed rest is asked for again.
const DELETE_ATTEMPTS: u32 = 6;
/// Before the first time that it is; twice as long before each further one.
const DELETE_PAUSE: Duration = Duration::from_millis(25);
/// How long one try may take for a caller who is waited for.
const HASTY_ATTEMPT: Duration = Duration::from_millis(600);
/// And all tries of a call.
const HASTY_CALL: Duration = Duration::from_secs(2);

/// Why a record is not in the table, or is still there.
#[derive(Debug, thiserror::Error)]
pub enum DeferredError {
    /// The table did not answer.
    #[error("the deferred table did not answer")]
    Unavailable(#[source] Box<aws_sdk_dynamodb::Error>),
    /// More bytes than an item has.
    #[error("the record is too long for the deferred table")]
    TooLarge,
    /// The table answered, and left so many deletes undone however often it was asked.
    #[error("the deferred table left {0} deletes undone")]
    Unprocessed(usize),
}

impl DeferredError {
    fn unavailable(error: impl Into<aws_sdk_dynamodb::Error>) -> Self {
        Self::Unavailable(Box::new(error.into()))
    }
}

/// A record that rests until it is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The record.
    pub body: String,
    /// From when on it may be received.
    pub due: Timestamp,
    pub(crate) shard: u8,
    pub(crate) sort: String,
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

    /// As [`Self::new`], for a caller who is waited for.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(crate) fn hasty(env: &Environment) -> Result<Self, EnvError> {
        let client = crate::aws::hasty_dynamodb(env, HASTY_ATTEMPT, HASTY_CALL);
        Ok(Self { client, ..Self::new(env)? })
    }

    /// Keeps a record until `due`.
    ///
    /// # Errors
    /// When it is too long, or the table does not answer.
    pub async fn put(&self, queue: Queue, app: &AppId, body: String, due: Timestamp) -> Result<(), DeferredError> {
        if body.len() > MOST_BYTES {
            return Err(DeferredError::TooLarge);
        }
        let lane = Lane { shard: fastrand::u8(..SHARDS), app: app.clone(), queue };
        let text = AttributeValue::S;
        self.client
            .put_item()
            .table_name(&self.table)
            .item(key::PK, text(key::shard(lane.shard)))
            .item(key::SK, text(key::row(&lane, due, fastrand::u64(..))))
            .item(key::BODY, text(body))
            .item(key::TTL, AttributeValue::N(due.plus(KEPT).as_secs().to_string()))
            .send()
            .await
            .map_err(DeferredError::unavailable)?;
        Ok(())
    }

    /// Takes rows away whose records are in their queue, 25 to a call.
    ///
    /// # Errors
    /// When the table does not answer, or leaves some undone again and again; what is still there is handed on again. All batches are
    /// tried before.
    pub async fn remove_all(&self, rows: &[&Row]) -> Result<(), DeferredError> {
        let batches = stream::iter(rows.chunks(MOST_DELETES)).map(|batch| self.remove_batch(batch));
        let ends: Vec<_> = batches.buffer_unordered(DELETES_IN_FLIGHT).collect().await;
        ends.into_iter().collect()
    }

    async fn remove_batch(&self, rows: &[&Row]) -> Result<(), DeferredError> {
        let mut left: Vec<WriteRequest> = rows.iter().filter_map(|row| delete(row)).collect();
        let mut pause = DELETE_PAUSE;
        for attempt in 0..DELETE_ATTEMPTS {
            if attempt > 0 {
                tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
                pause *= 2;
            }
            let call = self.client.batch_write_item().request_items(&self.table, left);
            let answer = call.send().await.map_err(DeferredError::unavailable)?;
            left = answer.unprocessed_items.unwrap_or_default().remove(&self.table).unwrap_or_default();
            if left.is_empty() {
                return Ok(());
            }
        }
        Err(DeferredError::Unprocessed(left.len()))
    }
}

fn delete(row: &Row) -> Option<WriteRequest> {
    let key = HashMap::from([
        (key::PK.to_owned(), AttributeValue::S(key::shard(row.shard))),
        (key::SK.to_owned(), AttributeValue::S(row.sort.clone())),
    ]);
    let delete = DeleteRequest::builder().set_key(Some(key)).build().ok()?;
    Some(WriteRequest::builder().delete_request(delete).build())
}

#[cfg(test)]
mod tests;
