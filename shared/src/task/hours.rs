//! Hours: sums of an app's messages whose ends have no result row.
//!
//! | key | what |
//! |---|---|
//! | `h#<app>#<day>`, `<hour>#<writer>` | what one environment of `deliver` added in an hour |
//!
//! | attribute | what |
//! |---|---|
//! | `m` | messages |
//! | `kc`, `kr`, `ku` | recipients that were counted, had been counted before, were sent to and not counted |
//! | `o<channel><outcome>` | devices by channel and outcome; `-` in the channel's place where it is not known, or no device was sent to |
//! | `x` | the latest addition |
//!
//! A writer makes one addition after the other, and nobody else writes its rows. So the latest addition's number is enough to tell a try whose
//! answer was lost from one that was not made.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::intake::drawn_nonce;
use super::results::{KEPT, NO_CHANNEL, text_of};
use super::{Outcome, ResultRow, Results, ResultsError};
use crate::aws::{number, text};
use crate::delivery::Channel;
use crate::id::AppId;
use crate::tally::Day;
use crate::time::Timestamp;

const LENGTH: Duration = Duration::from_secs(60 * 60);
/// Days that are read at once.
const READS: usize = 8;
/// Before channel and outcome, in an attribute's name.
const OF: char = 'o';

/// An hour, in UTC: `2026-01-01T13:00:00Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hour(u64);

impl Hour {
    /// The hour of a point in time.
    #[must_use]
    pub const fn of(at: Timestamp) -> Self {
        Self(at.as_secs() / LENGTH.as_secs())
    }

    /// When it begins.
    #[must_use]
    pub fn begins(self) -> Timestamp {
        Timestamp::from_millis(0).plus(LENGTH.saturating_mul(u32::try_from(self.0).unwrap_or(u32::MAX)))
    }
}

impl fmt::Display for Hour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.begins().to_rfc3339())
    }
}

/// What became of messages, added up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HourSums {
    /// Messages, each to one client.
    pub messages: u64,
    /// Counted now.
    pub counted: u64,
    /// Counted before: by an earlier try, or by another callback of the message.
    pub repeat: u64,
    /// Sent and not counted: they came too late.
    pub uncounted: u64,
    outcomes: BTreeMap<(Option<Channel>, Outcome), u64>,
}

impl HourSums {
    /// Adds a message's end.
    pub fn add(&mut self, row: &ResultRow) {
        self.messages += 1;
        self.counted += u64::from(row.tally.counted);
        self.repeat += u64::from(row.tally.repeat);
        self.uncounted += u64::from(row.tally.uncounted);
        for fate in row.results.iter().flat_map(|result| &result.fates) {
            *self.outcomes.entry((fate.channel, fate.outcome)).or_default() += 1;
        }
    }

    /// Adds other sums.
    pub fn merge(&mut self, other: &Self) {
        self.messages += other.messages;
        self.counted += other.counted;
        self.repeat += other.repeat;
        self.uncounted += other.uncounted;
        for (of, n) in &other.outcomes {
            *self.outcomes.entry(*of).or_default() += n;
        }
    }

    /// How many devices, or recipients without one, by channel and outcome. Without zeros.
    pub fn outcomes(&self) -> impl Iterator<Item = (Option<Channel>, Outcome, u64)> {
        self.outcomes.iter().map(|((channel, outcome), n)| (*channel, *outcome, *n))
    }

    /// Attributes to add to, with how much.
    fn additions(&self) -> impl Iterator<Item = (String, u64)> {
        let whole =
            [("m", self.messages), ("kc", self.counted), ("kr", self.repeat), ("ku", self.uncounted)].into_iter();
        let whole = whole.filter(|(_, n)| *n > 0).map(|(name, n)| (name.to_owned(), n));
        let outcomes = self.outcomes().map(|(channel, outcome, n)| {
            (format!("{OF}{}{}", channel.map_or(NO_CHANNEL, Channel::letter), outcome.letter()), n)
        });
        whole.chain(outcomes)
    }

    /// What a row says. What is no sum of ours is passed over: a newer release may have written it.
    fn from_item(item: &HashMap<String, AttributeValue>) -> Self {
        let mut sums = Self::default();
        for (name, value) in item {
            let Some(n) = value.as_n().ok().and_then(|n| n.parse().ok()) else { continue };
            match name.as_str() {
                "m" => sums.messages = n,
                "kc" => sums.counted = n,
                "kr" => sums.repeat = n,
                "ku" => sums.uncounted = n,
                other => {
                    if let Some(of) = other.strip_prefix(OF).and_then(of) {
                        sums.outcomes.insert(of, n);
                    }
                }
            }
        }
        sums
    }
}

/// Channel and outcome of two letters.
fn of(letters: &str) -> Option<(Option<Channel>, Outcome)> {
    let (channel, outcome) = letters.split_at_checked(1)?;
    let channel = if channel == NO_CHANNEL { None } else { Some(Channel::from_letter(channel)?) };
    let mut outcome = outcome.chars();
    let found = Outcome::from_letter(outcome.next()?)?;
    outcome.next().is_none().then_some((channel, found))
}

/// One environment that adds to sums.
pub struct HourWriter {
    name: String,
    additions: AtomicU64,
}

impl HourWriter {
    /// Another one than all others.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "no two are alike")]
    pub fn new() -> Self {
        Self { name: drawn_nonce(), additions: AtomicU64::new(0) }
    }
}

fn pk(app: &AppId, day: Day) -> String {
    format!("h#{app}#{day}")
}

impl Results {
    /// Adds `sums` to those of the app's hour at `now`: one write unit, however many messages they are of.
    ///
    /// # Errors
    /// When the table does not answer. They may have been added.
    pub async fn add_to_hour(
        &self,
        writer: &HourWriter,
        app: &AppId,
        sums: &HourSums,
        now: Timestamp,
    ) -> Result<(), ResultsError> {
        let addition = writer.additions.fetch_add(1, Ordering::Relaxed);
        let mut update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("pk", text(pk(app, Day::of(now))))
            .key("sk", text(format!("{:02}#{}", Hour::of(now).0 % 24, writer.name)))
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":ttl", number(now.plus(KEPT).as_secs()))
            .expression_attribute_values(":x", number(addition));
        let mut adds = Vec::new();
        for (index, (name, n)) in sums.additions().enumerate() {
            update = update
                .expression_attribute_names(format!("#{index}"), name)
                .expression_attribute_values(format!(":{index}"), number(n));
            adds.push(format!("#{index} :{index}"));
        }
        let answer = update
            .update_expression(format!("SET #ttl = :ttl, x = :x ADD {}", adds.join(", ")))
            .condition_expression("attribute_not_exists(x) OR x <> :x")
            .send()
            .await;
        match answer.map_err(aws_sdk_dynamodb::error::SdkError::into_service_error) {
            // Refused: an earlier try of it, whose answer was lost, added it.
            Ok(_) | Err(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(()),
            Err(error) => Err(ResultsError::Unavailable(Box::new(error.into()))),
        }
    }

    /// The sums of the hours of these days, as they were within the last second. Hours without a message are left out. Half a read unit for
    /// 4 KB: some twenty environments' hours.
    ///
    /// # Errors
    /// When the table does not answer, or a row is not of its shape.
    pub async fn hours(
        &self,
        app: &AppId,
        days: impl Iterator<Item = Day>,
        now: Timestamp,
    ) -> Result<BTreeMap<Hour, HourSums>, ResultsError> {
        let reads: Vec<_> = days.map(|day| self.hours_of(app, day, now)).collect();
        let days: Vec<BTreeMap<Hour, HourSums>> = stream::iter(reads).buffer_unordered(READS).try_collect().await?;
        Ok(days.into_iter().flatten().collect())
    }

    async fn hours_of(&self, app: &AppId, day: Day, now: Timestamp) -> Result<BTreeMap<Hour, HourSums>, ResultsError> {
        let mut pages = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk")
            .filter_expression("#ttl >= :now")
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":pk", text(pk(app, day)))
            .expression_attribute_values(":now", number(now.as_secs()))
            .into_paginator()
            .items()
            .send();
        let mut hours: BTreeMap<Hour, HourSums> = BTreeMap::new();
        while let Some(item) = pages.next().await {
            let item = item.map_err(|error| ResultsError::Unavailable(Box::new(error.into())))?;
            let of_day = text_of(&item, "sk").and_then(|sk| sk.split_once('#')?.0.parse::<u64>().ok());
            let of_day = of_day.filter(|hour| *hour < 24).ok_or(ResultsError::Malformed)?;
            let first = Hour::of(day.begins());
            hours.entry(Hour(first.0 + of_day)).or_default().merge(&HourSums::from_item(&item));
        }
        Ok(hours)
    }
}

#[cfg(test)]
mod tests;
