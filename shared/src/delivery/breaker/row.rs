//! An app's row: which of its channels are open, until when, and who probes.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};

use crate::aws::{number, text};
use crate::delivery::Channel;
use crate::env::{EnvError, Environment, Table};
use crate::id::AppId;
use crate::time::Timestamp;

/// A row that nobody changed for so long is of no use to anybody.
const KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// An open channel. Attributes `o`, `n` and `p`, each followed by the channel's letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Open {
    /// When it may be probed.
    pub(super) until: Timestamp,
    /// How many probes have failed since it was closed.
    pub(super) trips: u32,
    /// Until when a probe is waited for.
    pub(super) probe_until: Option<Timestamp>,
}

/// An app's row, by channel; `None` is closed.
pub(super) type Row = [Option<Open>; Channel::COUNT];

/// Why the row could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("the tasks table did not answer")]
pub(super) struct RowError(#[source] Box<aws_sdk_dynamodb::Error>);

/// The rows, in the tasks table: `pk` is `b#<app>`, `sk` is `-`.
pub(super) struct Rows {
    client: Client,
    table: String,
}

impl Rows {
    pub(super) fn new(env: &Environment) -> Result<Self, EnvError> {
        Ok(Self { client: crate::aws::dynamodb(env), table: env.table(Table::Tasks)? })
    }

    /// Half a unit: a lesson may come a second late.
    pub(super) async fn get(&self, app: &AppId) -> Result<Row, RowError> {
        let call = self.client.get_item().table_name(&self.table).key("pk", key(app)).key("sk", text("-"));
        let answer = call.send().await.map_err(|error| RowError(Box::new(error.into())))?;
        Ok(read(&answer.item.unwrap_or_default()))
    }

    /// Opens a channel, unless it is open. `Some`: the row that says it is.
    pub(super) async fn open(
        &self,
        app: &AppId,
        channel: Channel,
        open: Open,
        now: Timestamp,
    ) -> Result<Option<Row>, RowError> {
        let update = self
            .update(app, channel)
            .update_expression("SET #o = :o, #n = :n, #ttl = :ttl REMOVE #p")
            .condition_expression("attribute_not_exists(#o) OR #o <= :now")
            .expression_attribute_names("#n", attribute('n', channel))
            .expression_attribute_names("#p", attribute('p', channel))
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":o", number(open.until.as_millis()))
            .expression_attribute_values(":n", number(open.trips))
            .expression_attribute_values(":ttl", number(open.until.plus(KEPT).as_secs()))
            .expression_attribute_values(":now", number(now.as_millis()));
        unless_refused(update).await
    }

    /// Makes the caller the one who probes, until `until`. `Some`: the row that says otherwise.
    pub(super) async fn claim_probe(
        &self,
        app: &AppId,
        channel: Channel,
        seen: Open,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Row>, RowError> {
        let update = self
            .update(app, channel)
            .update_expression("SET #p = :p")
            .condition_expression("#o = :o AND (attribute_not_exists(#p) OR #p <= :now)")
            .expression_attribute_names("#p", attribute('p', channel))
            .expression_attribute_values(":p", number(until.as_millis()))
            .expression_attribute_values(":o", number(seen.until.as_millis()))
            .expression_attribute_values(":now", number(now.as_millis()));
        unless_refused(update).await
    }

    /// Closes a channel, if it is open as it was seen.
    pub(super) async fn close(&self, app: &AppId, channel: Channel, seen: Open) -> Result<(), RowError> {
        let update = self
            .update(app, channel)
            .update_expression("REMOVE #o, #n, #p")
            .condition_expression("#o = :o")
            .expression_attribute_names("#n", attribute('n', channel))
            .expression_attribute_names("#p", attribute('p', channel))
            .expression_attribute_values(":o", number(seen.until.as_millis()));
        unless_refused(update).await.map(|_| ())
    }

    fn update(&self, app: &AppId, channel: Channel) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.table)
            .key("pk", key(app))
            .key("sk", text("-"))
            .expression_attribute_names("#o", attribute('o', channel))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }
}

/// `None` when the update was made; otherwise the row as it is.
async fn unless_refused(update: UpdateItemFluentBuilder) -> Result<Option<Row>, RowError> {
    match update.send().await.map_err(aws_sdk_dynamodb::error::SdkError::into_service_error) {
        Ok(_) => Ok(None),
        Err(UpdateItemError::ConditionalCheckFailedException(refused)) => {
            Ok(Some(read(&refused.item.unwrap_or_default())))
        }
        Err(error) => Err(RowError(Box::new(error.into()))),
    }
}

fn read(item: &HashMap<String, AttributeValue>) -> Row {
    let get = |name: char, channel| item.get(&attribute(name, channel))?.as_n().ok()?.parse::<u64>().ok();
    Channel::every().map(|channel| {
        Some(Open {
            until: Timestamp::from_millis(get('o', channel)?),
            trips: get('n', channel).and_then(|n| u32::try_from(n).ok()).unwrap_or_default(),
            probe_until: get('p', channel).map(Timestamp::from_millis),
        })
    })
}

fn attribute(name: char, channel: Channel) -> String {
    format!("{name}{}", channel.letter())
}

fn key(app: &AppId) -> AttributeValue {
    text(format!("b#{app}"))
}
