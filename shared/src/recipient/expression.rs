//! The expression of an update: said once, and sent by either road to the table.

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::ser::{Serialize, SerializeMap as _, Serializer};

use super::names;
use super::store::Counting;
use crate::id::{Mark, RoomKey};
use crate::time::Timestamp;

/// What an update does, on what condition, and what its names and values stand for.
#[derive(Debug)]
pub(super) struct Expression {
    update: &'static str,
    condition: String,
    names: Pairs<String>,
    values: Pairs<Operand>,
}

/// A value. As JSON it is as the wire has it.
#[derive(Debug, Clone)]
pub(super) enum Operand {
    Number(i64),
    Text(String),
    Mark(Mark),
    /// A set of one.
    Marks(Mark),
}

/// What placeholders stand for.
#[derive(Debug)]
struct Pairs<T>(Vec<(&'static str, T)>);

impl Expression {
    pub(super) fn new(update: &'static str, condition: &str) -> Self {
        Self { update, condition: condition.to_owned(), names: Pairs(Vec::new()), values: Pairs(Vec::new()) }
    }

    /// Adds to the condition.
    pub(super) fn and(&mut self, condition: &str) {
        self.condition.push_str(" AND ");
        self.condition.push_str(condition);
    }

    pub(super) fn name(&mut self, placeholder: &'static str, name: impl Into<String>) {
        self.names.0.push((placeholder, name.into()));
    }

    pub(super) fn value(&mut self, placeholder: &'static str, value: Operand) {
        self.values.0.push((placeholder, value));
    }

    /// Counts a message, once: see [`super::Recipients::count`].
    pub(super) fn of_count(counting: &Counting, mentioned: bool) -> Self {
        let mut count = Self::new(
            "SET g = if_not_exists(g, :now) ADD #u :n, m0 :ms",
            "NOT contains(m0, :m) AND NOT contains(m1, :m) AND NOT contains(m0, :w) AND NOT contains(m1, :w) \
             AND (attribute_not_exists(trimmed) OR trimmed < :c)",
        );
        count.name("#u", counting.counter.as_str());
        count.value(":n", Operand::Number(counting.n.into()));
        count.value(":m", Operand::Mark(counting.mark));
        count.value(":w", Operand::Mark(counting.withdrawn));
        count.value(":ms", Operand::Marks(counting.mark));
        count.value(":c", Operand::time(counting.claimed_at));
        count.value(":now", Operand::time(counting.clock.now()));
        if let Some(room) = &counting.room {
            if !mentioned {
                count.and("NOT contains(mu, :room)");
                count.value(":room", Operand::Text(room.as_str().to_owned()));
            }
            count.unread_still(room, counting);
        }
        if let Some(sender) = &counting.sender {
            count.and("NOT contains(bs, :from)");
            if !mentioned {
                count.and("NOT contains(ms, :from)");
            }
            count.value(":from", Operand::Text(sender.clone()));
        }
        count
    }

    /// On condition that `room` was not read past the message, by either of the two clocks. `:c`, when it was claimed, has its value
    /// already.
    pub(super) fn unread_still(&mut self, room: &RoomKey, counting: &Counting) {
        self.and("(attribute_not_exists(#q) OR #q <= :c) AND (attribute_not_exists(#qa) OR #qa <= :c)");
        self.name("#q", names::read(names::READ_ACCEPTED, room.as_str()));
        self.name("#qa", names::read(names::READ_ACCEPTED, names::EVERY_ROOM));
        let Some(written_at) = counting.written_at else { return };
        self.and("(attribute_not_exists(#r) OR #r < :wr) AND (attribute_not_exists(#ra) OR #ra < :wr)");
        self.name("#r", names::read(names::READ_WRITTEN, room.as_str()));
        self.name("#ra", names::read(names::READ_WRITTEN, names::EVERY_ROOM));
        self.value(":wr", Operand::time(written_at));
    }

    /// The update by the SDK.
    pub(super) fn apply(&self, update: UpdateItemFluentBuilder) -> UpdateItemFluentBuilder {
        let names = self.names.0.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let values = self.values.0.iter().map(|(name, value)| ((*name).to_owned(), value.to_attribute())).collect();
        update
            .update_expression(self.update)
            .condition_expression(self.condition.as_str())
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(Some(values))
    }

    /// The body of the same call, with the same wishes: the item as it is afterwards, or as it is when the condition fails.
    pub(super) fn to_body(&self, table: &str, pk: &str, measured: bool) -> Option<String> {
        serde_json::to_string(&Body {
            table_name: table,
            key: Key { pk: Text { text: pk } },
            update_expression: self.update,
            condition_expression: &self.condition,
            expression_attribute_names: &self.names,
            expression_attribute_values: &self.values,
            return_values: "ALL_NEW",
            return_values_on_condition_check_failure: "ALL_OLD",
            return_consumed_capacity: measured.then_some("TOTAL"),
        })
        .ok()
    }
}

#[derive(serde::Serialize)]
#[serde(rename_all = "PascalCase")]
struct Body<'a> {
    table_name: &'a str,
    key: Key<'a>,
    update_expression: &'a str,
    condition_expression: &'a str,
    expression_attribute_names: &'a Pairs<String>,
    expression_attribute_values: &'a Pairs<Operand>,
    return_values: &'static str,
    return_values_on_condition_check_failure: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    return_consumed_capacity: Option<&'static str>,
}

#[derive(serde::Serialize)]
struct Key<'a> {
    pk: Text<'a>,
}

#[derive(serde::Serialize)]
struct Text<'a> {
    #[serde(rename = "S")]
    text: &'a str,
}

impl Operand {
    /// Milliseconds since 1970.
    pub(super) fn time(time: Timestamp) -> Self {
        Self::Number(i64::try_from(time.as_millis()).unwrap_or(i64::MAX))
    }

    fn to_attribute(&self) -> AttributeValue {
        match self {
            Self::Number(n) => AttributeValue::N(n.to_string()),
            Self::Text(text) => AttributeValue::S(text.clone()),
            Self::Mark(mark) => AttributeValue::B(Blob::new(mark.as_bytes())),
            Self::Marks(mark) => AttributeValue::Bs(vec![Blob::new(mark.as_bytes())]),
        }
    }
}

impl Serialize for Operand {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        match self {
            Self::Number(n) => map.serialize_entry("N", &n.to_string())?,
            Self::Text(text) => map.serialize_entry("S", text)?,
            Self::Mark(mark) => map.serialize_entry("B", &BASE64.encode(mark.as_bytes()))?,
            Self::Marks(mark) => map.serialize_entry("BS", &[BASE64.encode(mark.as_bytes())])?,
        }
        map.end()
    }
}

impl<T: Serialize> Serialize for Pairs<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}
