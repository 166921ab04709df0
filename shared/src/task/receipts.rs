//! Receipts: which devices of a chunk told that a notification came, or was tapped. Two sets in a row of the chunk's, so that a device counts
//! once however often it reports, and a report costs one write.
//!
//! They have partitions of their own: all phones may report in the second in which the result rows are written, and a partition takes 1,000
//! write units a second.
//!
//! A report may come before the result row that says who was a target: it is kept, and counts only once such a row says so.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

use super::results::{KEPT, from_item, pk};
use super::{AudiencePage, Extent, Head, Members, ResultRow, Results, ResultsError, TaskKey};
use crate::aws::{number, text};
use crate::id::{ClientId, DeviceKey, TaskId, digest};
use crate::time::Timestamp;

/// The most devices of a chunk that may have reported: 100 clients with 20 devices each.
const MOST: u32 = 2_000;
/// Partitions of a list's receipts: chunk by chunk, one after the other.
const PARTITIONS: u32 = 16;

/// What a device reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The notification came.
    Received,
    /// It was tapped.
    Clicked,
}

impl Stage {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Received, Self::Clicked];

    /// The attribute of its set.
    const fn attribute(self) -> &'static str {
        match self {
            Self::Received => "r",
            Self::Clicked => "k",
        }
    }
}

/// A device of a client, in six bytes. Two of a chunk's devices share one about once in a hundred million chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Digest([u8; 6]);

impl Digest {
    pub(super) fn of(client: &ClientId, device: &DeviceKey) -> Self {
        Self(digest(&[client.as_str().as_bytes(), device.as_str().as_bytes()]))
    }
}

/// Who of a chunk has reported.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Receipts {
    received: BTreeSet<Digest>,
    clicked: BTreeSet<Digest>,
}

impl Receipts {
    pub(super) fn of(&self, stage: Stage) -> impl Iterator<Item = Digest> {
        match stage {
            Stage::Received => &self.received,
            Stage::Clicked => &self.clicked,
        }
        .iter()
        .copied()
    }

    #[cfg(test)]
    pub(super) fn note(&mut self, stage: Stage, digest: Digest) {
        match stage {
            Stage::Received => &mut self.received,
            Stage::Clicked => &mut self.clicked,
        }
        .insert(digest);
    }

    pub(super) fn from_item(item: &HashMap<String, AttributeValue>) -> Self {
        let set = |stage: Stage| {
            let blobs = item.get(stage.attribute()).and_then(|set| set.as_bs().ok()).into_iter().flatten();
            blobs.filter_map(|blob| <[u8; 6]>::try_from(blob.as_ref()).ok().map(Digest)).collect()
        };
        Self { received: set(Stage::Received), clicked: set(Stage::Clicked) }
    }
}

/// Whether a task was for a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It has an outcome, or is left over.
    Target,
    /// It has none, and will have none.
    Stranger,
    /// Nobody knows yet: its client's turn has not come, or its row was not seen.
    Unknown,
}

impl Standing {
    /// What the rows of a client's chunk say of a device.
    fn of(rows: &[ResultRow], client: &ClientId, device: &DeviceKey) -> Self {
        let results = rows.iter().flat_map(|row| &row.results).filter(|result| result.client == *client);
        let mut fates = results.flat_map(|result| &result.fates);
        if fates.clone().any(|fate| fate.device.as_ref() == Some(device)) {
            return Self::Target;
        }
        // Left over whole: which devices they have was not seen.
        if rows.is_empty() || fates.any(|fate| fate.device.is_none() && !fate.outcome.is_final()) {
            return Self::Unknown;
        }
        Self::Stranger
    }
}

impl Extent {
    /// The partition that has the receipts of a chunk.
    fn partition(&self, seq: u32) -> u32 {
        match self {
            Self::Chunks(_) => seq % PARTITIONS,
            Self::Shards(_) => AudiencePage::shard_of(seq).into(),
        }
    }

    /// The partitions that have the receipts of a range of chunks, both ends with it: no more than it has chunks.
    pub(super) fn partitions(&self, (first, last): (u32, u32)) -> Vec<u32> {
        match self {
            Self::Chunks(_) => (first..=last).take(PARTITIONS as usize).map(|seq| self.partition(seq)).collect(),
            Self::Shards(_) => (self.partition(first)..=self.partition(last)).collect(),
        }
    }
}

/// The key of a partition of a task's receipts.
pub(super) fn partition_key(task: TaskId, partition: u32) -> String {
    format!("k#{task}#{partition}")
}

/// Before the chunk's number, in the sort keys of a task's receipts.
pub(super) fn prefix(nonce: &str) -> String {
    format!("{nonce}#")
}

impl Results {
    /// The number of the chunk that a client's devices are in, if the task is for the client; for a list, whose chunk it would be.
    ///
    /// # Errors
    /// When the table does not answer, or a row is not of its shape.
    pub async fn chunk_of(&self, head: &Head, client: &ClientId) -> Result<Option<u32>, ResultsError> {
        match &head.extent {
            Extent::Chunks(firsts) => {
                let behind = firsts.partition_point(|first| first <= client);
                Ok(behind.checked_sub(1).and_then(|index| u32::try_from(index).ok()))
            }
            Extent::Shards(shards) => {
                let page = self.page_of(&head.key, Members::shard_of(client, *shards), client).await?;
                Ok(page.and_then(|page| page.chunk_of(client)))
            }
        }
    }

    /// Whether a task was for a device of `client`, whose chunk has the number `seq`. As the rows were within the last second.
    ///
    /// # Errors
    /// When the table does not answer, or a row is not of its shape.
    pub async fn standing(
        &self,
        key: &TaskKey,
        seq: u32,
        client: &ClientId,
        device: &DeviceKey,
    ) -> Result<Standing, ResultsError> {
        // One page: most chunks have a row or two, and a retry's are short.
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk AND begins_with(sk, :chunk)")
            .expression_attribute_values(":pk", text(pk(key.task)))
            .expression_attribute_values(":chunk", text(format!("{}#c#{seq:010}#", key.nonce)))
            .send()
            .await
            .map_err(|error| ResultsError::Unavailable(Box::new(error.into())))?;
        let rows = answer.items.unwrap_or_default().into_iter().map(|item| from_item(key.clone(), item));
        Ok(Standing::of(&rows.collect::<Result<Vec<_>, _>>()?, client, device))
    }

    /// Notes that a device reported. Once is as good as often. A chunk takes as many reports as it can have devices; what comes beyond is no
    /// device's, and is left out.
    ///
    /// # Errors
    /// When the table does not answer. The report may be noted.
    pub async fn note(
        &self,
        head: &Head,
        seq: u32,
        stage: Stage,
        (client, device): (&ClientId, &DeviceKey),
        now: Timestamp,
    ) -> Result<(), ResultsError> {
        let Digest(bytes) = Digest::of(client, device);
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("pk", text(partition_key(head.key.task, head.extent.partition(seq))))
            .key("sk", text(format!("{}{seq:010}", prefix(&head.key.nonce))))
            .update_expression("ADD #set :device SET #ttl = if_not_exists(#ttl, :ttl)")
            .condition_expression("attribute_not_exists(#set) OR size(#set) < :most")
            .expression_attribute_names("#set", stage.attribute())
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":device", AttributeValue::Bs(vec![Blob::new(bytes)]))
            .expression_attribute_values(":most", number(MOST))
            .expression_attribute_values(":ttl", number(now.plus(KEPT).as_secs()))
            .send()
            .await;
        match answer.map_err(aws_sdk_dynamodb::error::SdkError::into_service_error) {
            Ok(_) => Ok(()),
            Err(UpdateItemError::ConditionalCheckFailedException(_)) => {
                tracing::warn!(seq, "a chunk has more receipts than it can have devices");
                Ok(())
            }
            Err(error) => Err(ResultsError::Unavailable(Box::new(error.into()))),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn receipts_are_spread_and_a_small_task_s_are_read_from_few_partitions() {
        let list = Extent::Chunks(Vec::new());
        assert_eq!(list.partitions((0, 0)), [0]);
        assert_eq!(list.partitions((14, 17)), [14, 15, 0, 1]);
        assert_eq!(list.partitions((512, 1_023)), (0..16).collect::<Vec<_>>());
        let pages = Extent::Shards(16);
        for shard in [0_u8, 3, 15] {
            let first = AudiencePage::first_of(shard);
            let last = first + (AudiencePage::first_of(1) - 1);
            assert_eq!(pages.partitions((first, last)), [u32::from(shard)]);
            assert_eq!((pages.partition(first), pages.partition(last)), (shard.into(), shard.into()));
        }
    }
}
