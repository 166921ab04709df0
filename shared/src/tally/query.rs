//! What was counted: of days, of pushes, of tasks.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::try_join;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::store::{day_key, push_key, task_key};
use super::{About, Counts, Day, Event, Stage, Tallies, TallyError, Vendor};
use crate::aws::{number, text};
use crate::id::AppId;
use crate::time::Timestamp;

/// Queries under way at once, each for up to 1 MB.
const READS: usize = 8;

/// What counts are read from.
enum From {
    /// Rows of counters.
    Counters,
    /// Rows of events.
    Events,
}

impl Tallies {
    /// What was counted of each of these days. Days without an event are left out. Half a read unit for each 4 KB: a busy day has up to 17,280
    /// rows of half a kilobyte.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn of_days(
        &self,
        app: &AppId,
        days: impl Iterator<Item = Day>,
        now: Timestamp,
    ) -> Result<BTreeMap<Day, Counts>, TallyError> {
        let reads: Vec<_> = days.map(|day| self.of_day(app, day, now)).collect();
        let days: Vec<(Day, Counts)> = stream::iter(reads).buffer_unordered(READS).try_collect().await?;
        Ok(days.into_iter().filter(|(_, counts)| !counts.is_empty()).collect())
    }

    /// What was counted of each of these pushes or tasks; `None` of one that nothing was reported of within [`super::EVENTS_KEPT`].
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn of_pushes(
        &self,
        app: &AppId,
        ids: &[&str],
        now: Timestamp,
    ) -> Result<Vec<Option<Counts>>, TallyError> {
        let reads: Vec<_> = ids.iter().map(|id| self.of_push(app, id, now)).collect();
        stream::iter(reads).buffered(READS).try_collect().await
    }

    async fn of_push(&self, app: &AppId, id: &str, now: Timestamp) -> Result<Option<Counts>, TallyError> {
        let of_push = self.sum(push_key(app, id), From::Events, now);
        let (mut counts, of_task) = try_join(of_push, self.sum(task_key(app, id), From::Counters, now)).await?;
        counts.merge(&of_task);
        Ok((!counts.is_empty()).then_some(counts))
    }

    async fn of_day(&self, app: &AppId, day: Day, now: Timestamp) -> Result<(Day, Counts), TallyError> {
        Ok((day, self.sum(day_key(app, day), From::Counters, now).await?))
    }

    async fn sum(&self, pk: String, from: From, now: Timestamp) -> Result<Counts, TallyError> {
        let mut pages = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk")
            .filter_expression("#ttl >= :now")
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":pk", text(pk))
            .expression_attribute_values(":now", number(now.as_secs()))
            .into_paginator()
            .items()
            .send();
        let mut counts = Counts::default();
        while let Some(item) = pages.next().await {
            let item = item?;
            match from {
                From::Counters => counts.merge(&Counts::from_item(&item)),
                From::Events => event(&item).iter().for_each(|event| counts.add(event)),
            }
        }
        Ok(counts)
    }
}

/// What an event's row says.
fn event(item: &HashMap<String, AttributeValue>) -> Option<Event> {
    let number = |name: &str| item.get(name)?.as_n().ok();
    Some(Event {
        key: String::new(),
        about: About::Push(String::new()),
        vendor: Vendor::from_number(number("v")?.parse().ok()?)?,
        stage: Stage::from_number(number("s")?.parse().ok()?)?,
        code: number("c")?.parse().ok()?,
        info: item.get("i").and_then(|info| info.as_s().ok()).cloned().unwrap_or_default(),
        at: Timestamp::from_millis(number("at")?.parse().ok()?),
    })
}
