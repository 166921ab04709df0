//! Audience pages: a part of an audience's shard, and where it is cut into chunks. A page is stored before any of its chunks is queued, so
//! whoever comes to it again cuts it in the same places.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};

use super::results::{KEPT, number_of, pk, text_of};
use super::{Results, ResultsError, TaskKey};
use crate::aws::{number, text};
use crate::id::ClientId;
use crate::registry::Place;
use crate::time::Timestamp;

/// Between the places of a row. No name of a client holds it.
const BETWEEN: char = '\n';
/// Chunk numbers of one shard.
const CHUNKS_OF_SHARD: u32 = 1 << 27;

/// A part of an audience's shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudiencePage {
    /// Which shard.
    pub shard: u8,
    /// The place behind which it begins; `None`: with the shard.
    pub after: Option<Place>,
    /// The number of its first chunk.
    pub first: u32,
    /// The place with which each chunk ends, in order. A chunk begins behind the one before it, the first behind `after`.
    pub ends: Vec<Place>,
    /// The shard ends here.
    pub last: bool,
    /// How many devices were in it.
    pub devices: u32,
    /// All its chunks are in the queue.
    pub queued: bool,
}

/// What putting a page did.
#[derive(Debug, PartialEq, Eq)]
pub enum PutPage {
    /// It is there now.
    Stored,
    /// One was there: another run came first, and cut in these places.
    Exists(AudiencePage),
}

impl AudiencePage {
    /// The number of a shard's first chunk.
    #[must_use]
    pub const fn first_of(shard: u8) -> u32 {
        shard as u32 * CHUNKS_OF_SHARD
    }

    /// Whose chunk has a number.
    pub(super) fn shard_of(seq: u32) -> u8 {
        // 32 shards' numbers are all there are.
        u8::try_from(seq / CHUNKS_OF_SHARD).unwrap_or_default()
    }

    /// How many chunks it has.
    #[must_use]
    pub fn chunks(&self) -> u32 {
        u32::try_from(self.ends.len()).unwrap_or(u32::MAX)
    }

    /// The number of the chunk that has `client`, if the page has.
    #[must_use]
    pub fn chunk_of(&self, client: &ClientId) -> Option<u32> {
        let behind = Place::behind(client);
        if self.after.as_ref().is_some_and(|after| behind <= *after) {
            return None;
        }
        let index = self.ends.iter().position(|end| behind <= *end)?;
        Some(self.first + u32::try_from(index).ok()?)
    }

    /// Where the page after it begins.
    #[must_use]
    pub fn end(&self) -> Option<&Place> {
        self.ends.last().or(self.after.as_ref())
    }
}

fn prefix(key: &TaskKey, shard: u8) -> String {
    format!("{}#p#{shard:02}#", key.nonce)
}

fn sk(key: &TaskKey, shard: u8, after: Option<&Place>) -> String {
    prefix(key, shard) + after.map_or("", Place::as_str)
}

impl Results {
    /// Puts a page where none begins in its place.
    ///
    /// # Errors
    /// When the table does not answer. The page may be there.
    pub async fn put_page(&self, key: &TaskKey, page: &AudiencePage, now: Timestamp) -> Result<PutPage, ResultsError> {
        let ends: Vec<&str> = page.ends.iter().map(Place::as_str).collect();
        let mut call = self
            .client
            .put_item()
            .table_name(&self.table)
            .item("pk", text(pk(key.task)))
            .item("sk", text(sk(key, page.shard, page.after.as_ref())))
            .item("first", number(page.first))
            .item("ends", text(ends.join("\n")))
            .item("devices", number(page.devices))
            .item("at", number(now.as_millis()))
            .item("ttl", number(now.plus(KEPT).as_secs()))
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        if page.last {
            call = call.item("last", AttributeValue::Bool(true));
        }
        if page.queued {
            call = call.item("queued", AttributeValue::Bool(true));
        }
        match call.send().await.map_err(aws_sdk_dynamodb::error::SdkError::into_service_error) {
            Ok(_) => Ok(PutPage::Stored),
            Err(PutItemError::ConditionalCheckFailedException(refused)) => {
                let page = read(key, page.shard, &refused.item.unwrap_or_default());
                page.map(PutPage::Exists).ok_or(ResultsError::Malformed)
            }
            Err(error) => Err(ResultsError::Unavailable(Box::new(error.into()))),
        }
    }

    /// Notes that all chunks of a page are in the queue.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn page_is_queued(&self, key: &TaskKey, page: &AudiencePage) -> Result<(), ResultsError> {
        self.client
            .update_item()
            .table_name(&self.table)
            .key("pk", text(pk(key.task)))
            .key("sk", text(sk(key, page.shard, page.after.as_ref())))
            .update_expression("SET queued = :yes")
            .expression_attribute_values(":yes", AttributeValue::Bool(true))
            .send()
            .await
            .map_err(|error| ResultsError::Unavailable(Box::new(error.into())))?;
        Ok(())
    }

    /// Whether the audience has been begun with.
    pub(super) async fn has_pages(&self, key: &TaskKey) -> Result<bool, ResultsError> {
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk AND begins_with(sk, :pages)")
            .expression_attribute_values(":pk", text(pk(key.task)))
            .expression_attribute_values(":pages", text(format!("{}#p#", key.nonce)))
            .consistent_read(true)
            .limit(1)
            .send()
            .await
            .map_err(|error| ResultsError::Unavailable(Box::new(error.into())))?;
        Ok(!answer.items().is_empty())
    }

    /// A shard's pages, in order, as they are now.
    ///
    /// # Errors
    /// When the table does not answer, or a row is not of its shape.
    pub async fn pages(&self, key: &TaskKey, shard: u8) -> Result<Vec<AudiencePage>, ResultsError> {
        let mut pages = Vec::new();
        let mut answers = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk AND begins_with(sk, :shard)")
            .expression_attribute_values(":pk", text(pk(key.task)))
            .expression_attribute_values(":shard", text(prefix(key, shard)))
            .consistent_read(true)
            .into_paginator()
            .items()
            .send();
        while let Some(item) = answers.next().await {
            let item = item.map_err(|error| ResultsError::Unavailable(Box::new(error.into())))?;
            pages.push(read(key, shard, &item).ok_or(ResultsError::Malformed)?);
        }
        Ok(pages)
    }

    /// The page of `shard` that would have `client`, as it is now: the last that begins before them.
    ///
    /// # Errors
    /// As [`Self::pages`].
    pub async fn page_of(
        &self,
        key: &TaskKey,
        shard: u8,
        client: &ClientId,
    ) -> Result<Option<AudiencePage>, ResultsError> {
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to")
            .expression_attribute_values(":pk", text(pk(key.task)))
            .expression_attribute_values(":from", text(prefix(key, shard)))
            .expression_attribute_values(":to", text(prefix(key, shard) + client.as_str()))
            .consistent_read(true)
            .scan_index_forward(false)
            .limit(1)
            .send()
            .await
            .map_err(|error| ResultsError::Unavailable(Box::new(error.into())))?;
        answer.items().first().map(|item| read(key, shard, item).ok_or(ResultsError::Malformed)).transpose()
    }
}

fn read(key: &TaskKey, shard: u8, item: &HashMap<String, AttributeValue>) -> Option<AudiencePage> {
    let after = text_of(item, "sk")?.strip_prefix(&prefix(key, shard))?;
    let ends = text_of(item, "ends")?.split(BETWEEN).filter(|end| !end.is_empty());
    Some(AudiencePage {
        shard,
        after: (!after.is_empty()).then(|| Place::from_attribute(after)),
        first: u32::try_from(number_of(item, "first")?).ok()?,
        ends: ends.map(Place::from_attribute).collect(),
        last: item.contains_key("last"),
        devices: u32::try_from(number_of(item, "devices")?).ok()?,
        queued: item.contains_key("queued"),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::id::TaskId;

    fn client(id: &str) -> ClientId {
        ClientId::parse(id).unwrap()
    }

    fn page(after: Option<&str>, first: u32, ends: &[&str], last: bool) -> AudiencePage {
        AudiencePage {
            shard: 3,
            after: after.map(|id| Place::behind(&client(id))),
            first,
            ends: ends.iter().map(|id| Place::behind(&client(id))).collect(),
            last,
            devices: 5,
            queued: false,
        }
    }

    #[test]
    fn a_client_is_in_one_chunk_of_a_page() {
        let page = page(Some("b"), 40, &["d", "f f"], true);
        let chunks = ["a", "b", "ba", "c", "d", "d1", "f", "f f", "g"].map(|id| page.chunk_of(&client(id)));
        let expected = [None, None, Some(40), Some(40), Some(40), Some(41), Some(41), Some(41), None];
        assert_eq!(chunks, expected);
    }

    #[tokio::test]
    async fn a_page_is_cut_once_and_found_by_its_clients() {
        let (env, _client) = crate::test_tables::start().await;
        let results = Results::new(&env).unwrap();
        let key = TaskKey { task: TaskId::from_number(7).unwrap(), nonce: "abcdefgh".to_owned() };
        let now = Timestamp::from_millis(1_767_225_600_000);
        let first = page(None, AudiencePage::first_of(3), &["d", "h"], false);
        let second = page(Some("h"), first.first + 2, &["p"], true);
        for page in [&first, &second] {
            assert_eq!(results.put_page(&key, page, now).await.unwrap(), PutPage::Stored);
        }
        let other_cut = page(None, first.first, &["e"], true);
        assert_eq!(results.put_page(&key, &other_cut, now).await.unwrap(), PutPage::Exists(first.clone()));
        assert_eq!(results.pages(&key, 3).await.unwrap(), [first.clone(), second.clone()]);
        assert!(results.pages(&key, 4).await.unwrap().is_empty());

        for (id, expected) in [("a", &first), ("h", &first), ("h1", &second), ("zz", &second)] {
            assert_eq!(results.page_of(&key, 3, &client(id)).await.unwrap().as_ref(), Some(expected), "{id}");
        }
        results.page_is_queued(&key, &first).await.unwrap();
        assert!(results.pages(&key, 3).await.unwrap()[0].queued);
    }

    #[tokio::test]
    async fn an_empty_shard_is_one_page_without_chunks() {
        let (env, _client) = crate::test_tables::start().await;
        let results = Results::new(&env).unwrap();
        let key = TaskKey { task: TaskId::from_number(7).unwrap(), nonce: "abcdefgh".to_owned() };
        let empty = AudiencePage { devices: 0, queued: true, ..page(None, 0, &[], true) };
        results.put_page(&key, &empty, Timestamp::from_millis(1)).await.unwrap();
        assert_eq!(results.pages(&key, 3).await.unwrap(), [empty]);
    }
}
