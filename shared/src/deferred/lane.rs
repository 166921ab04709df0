//! The rows of one app for one queue in one shard, and how they are read.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, Select};

use crate::env::Queue;
use crate::id::AppId;
use crate::time::Timestamp;

use super::{Deferred, DeferredError, Row, key};

/// The rows of one app for one queue in one shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lane {
    /// The shard.
    pub shard: u8,
    /// Whose they are.
    pub app: AppId,
    /// Where they go.
    pub queue: Queue,
}

/// A part of a lane, by the time its rows are due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    from: String,
    /// Not included.
    to: String,
}

/// Which rows of a span come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Those that are due earliest.
    Oldest,
    /// Those that are due last.
    Newest,
}

/// A page of a span.
#[derive(Debug)]
pub struct Page {
    /// The rows, from the end that was asked for on.
    pub rows: Vec<Row>,
    /// Rows that hold no record.
    pub unreadable: usize,
    /// What is left of the span; `None` when this was all of it.
    pub rest: Option<Span>,
}

/// A lane with work in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The lane.
    pub lane: Lane,
    /// When its first row is due.
    pub oldest: Timestamp,
}

/// The lanes of a shard.
#[derive(Debug, Default)]
pub struct Lanes {
    /// Those that hold rows.
    pub waiting: Vec<Waiting>,
    /// Keys that are no row's, those with one beginning taken as one.
    pub unreadable: usize,
    /// Whether these are all.
    pub whole: bool,
}

impl Lane {
    /// The rows that are due from `from` on, and before `to`.
    #[must_use]
    pub fn span(&self, from: Timestamp, to: Timestamp) -> Span {
        Span { from: key::at(self, from), to: key::at(self, to) }
    }

    /// The rows that are due from `from` to `last`, both included.
    #[must_use]
    pub fn span_to(&self, from: Timestamp, last: Timestamp) -> Span {
        Span { from: key::at(self, from), to: key::behind(self, last) }
    }
}

impl Deferred {
    /// The lanes of a shard, each found by one read of its first row, until `go_on` says no.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn lanes(&self, shard: u8, go_on: impl Fn() -> bool) -> Result<Lanes, DeferredError> {
        let (mut found, mut from) = (Lanes::default(), "!".to_owned());
        while go_on() {
            let answer = self
                .client
                .query()
                .table_name(&self.table)
                .key_condition_expression("pk = :shard AND sk >= :from")
                .expression_attribute_values(":shard", AttributeValue::S(key::shard(shard)))
                .expression_attribute_values(":from", AttributeValue::S(from))
                .projection_expression("sk")
                .limit(1)
                .send()
                .await
                .map_err(DeferredError::unavailable)?;
            let first = answer.items.unwrap_or_default().into_iter().next();
            let Some(sort) = first.and_then(|mut item| text(&mut item, key::SK)) else {
                found.whole = true;
                break;
            };
            from = key::next_lane(&sort);
            match key::parse(&sort) {
                Some((app, queue, oldest)) => {
                    found.waiting.push(Waiting { lane: Lane { shard, app, queue }, oldest });
                }
                None => found.unreadable += 1,
            }
        }
        Ok(found)
    }

    /// A page of a span, from that end of it: up to `most` rows, and up to 1 MB.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn page(&self, lane: &Lane, span: Span, end: End, most: i32) -> Result<Page, DeferredError> {
        let query = self.query(lane, &span).scan_index_forward(end == End::Oldest).limit(most);
        let answer = query.send().await.map_err(DeferredError::unavailable)?;
        let mut page = Page { rows: Vec::new(), unreadable: 0, rest: None };
        for mut item in answer.items.unwrap_or_default() {
            let Some(sort) = text(&mut item, key::SK) else { continue };
            // `BETWEEN` includes both; the end of a span is a row that was read from the other side.
            if sort == span.to {
                continue;
            }
            match (key::parse(&sort), text(&mut item, key::BODY)) {
                (Some((_, _, due)), Some(body)) => page.rows.push(Row { body, due, shard: lane.shard, sort }),
                (Some(_) | None, _) => page.unreadable += 1,
            }
        }
        let last = answer.last_evaluated_key.and_then(|mut last| text(&mut last, key::SK));
        page.rest = last.map(|last| match end {
            End::Oldest => Span { from: key::just_behind(&last), to: span.to },
            End::Newest => Span { from: span.from, to: last },
        });
        page.rest.take_if(|rest| rest.from >= rest.to);
        Ok(page)
    }

    /// How many rows a span has at least: those of its first megabyte.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn count(&self, lane: &Lane, span: &Span) -> Result<usize, DeferredError> {
        let answer = self.query(lane, span).select(Select::Count).send().await.map_err(DeferredError::unavailable)?;
        Ok(usize::try_from(answer.count).unwrap_or_default())
    }

    fn query(&self, lane: &Lane, span: &Span) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :shard AND sk BETWEEN :from AND :to")
            .expression_attribute_values(":shard", AttributeValue::S(key::shard(lane.shard)))
            .expression_attribute_values(":from", AttributeValue::S(span.from.clone()))
            .expression_attribute_values(":to", AttributeValue::S(span.to.clone()))
    }
}

fn text(item: &mut HashMap<String, AttributeValue>, name: &str) -> Option<String> {
    match item.remove(name) {
        Some(AttributeValue::S(text)) => Some(text),
        _ => None,
    }
}
