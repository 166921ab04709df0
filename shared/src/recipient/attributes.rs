//! What an app knows of a client by name ("favoriteTeam"), to fill templates with and to choose audiences by: texts in an item of their own,
//! which counts neither read nor pay for.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::Value;

use super::store::{StoreError, after_conflict, text};
use super::{MOST_ATTRIBUTE_BYTES, MOST_ATTRIBUTES, Recipients, names};
use crate::id::{AppId, ClientId};
use crate::message::Values;
use crate::message::template::{ValueError, is_name, text_of};

/// In the item: the map of texts.
pub(crate) const MAP: &str = "at";

/// Tries of a change that others' changes stand in the way of.
const TRIES: u32 = 8;

type Map = HashMap<String, AttributeValue>;

/// The texts in a client's item of attributes.
pub(crate) fn of_item(item: HashMap<String, AttributeValue>) -> Values {
    texts(map_of(item))
}

/// No item has an empty one.
fn map_of(mut item: HashMap<String, AttributeValue>) -> Map {
    match item.remove(MAP) {
        Some(AttributeValue::M(map)) => map,
        _ => Map::new(),
    }
}

/// What is no text is a newer release's.
fn texts(map: Map) -> Values {
    let text = |(name, value)| if let AttributeValue::S(text) = value { Some((name, text)) } else { None };
    map.into_iter().filter_map(text).collect()
}

/// Why something is no attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AttributeError {
    /// Not a name that a template can ask for.
    #[error("has a name that is not 1 to 64 bytes without spaces around them, braces, bars and control characters")]
    Name,
    /// No text, number or boolean, or too long.
    #[error(transparent)]
    Value(#[from] ValueError),
}

/// What is to become of a client's attributes, as a merge patch (RFC 7396) says it: what is not said stays as it is. Whatever it holds is
/// checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AttributesChange {
    all_go: bool,
    /// `None`: it goes.
    said: BTreeMap<String, Option<String>>,
}

impl AttributesChange {
    /// All of them go.
    #[must_use]
    pub const fn all_go() -> Self {
        Self { all_go: true, said: BTreeMap::new() }
    }

    /// `name` gets a value, which is kept as a text; `null`: it goes.
    ///
    /// # Errors
    /// When name or value cannot be.
    pub fn say(&mut self, name: &str, value: &Value) -> Result<(), AttributeError> {
        if !is_name(name) {
            return Err(AttributeError::Name);
        }
        self.said.insert(name.to_owned(), text_of(value)?);
        Ok(())
    }

    fn merge_into(&self, map: &mut Map) {
        if self.all_go {
            map.clear();
        }
        for (name, value) in &self.said {
            match value {
                Some(value) => map.insert(name.clone(), text(value)),
                None => map.remove(name),
            };
        }
    }
}

/// The limits are on the item as DynamoDB measures it: key and attribute names, and a byte for each entry of a map beside three for the map.
fn check(key: &str, map: &Map) -> Result<(), StoreError> {
    if map.len() > MOST_ATTRIBUTES {
        return Err(StoreError::TooMany("attributes: more than 64"));
    }
    let entry = |(name, value): (&String, &AttributeValue)| 1 + name.len() + value.as_s().map_or(0, String::len);
    let bytes = names::PK.len() + key.len() + MAP.len() + 3 + map.iter().map(entry).sum::<usize>();
    if bytes > MOST_ATTRIBUTE_BYTES {
        return Err(StoreError::TooMany("attributes: names, values and the client's id have more than 4096 bytes"));
    }
    Ok(())
}

/// Whether a write was made. If not, somebody else has changed the item or is about to.
fn made<T, E>(answer: Result<T, SdkError<E>>) -> Result<bool, StoreError>
where
    E: ProvideErrorMetadata,
    aws_sdk_dynamodb::Error: From<SdkError<E>>,
{
    match answer {
        Ok(_) => Ok(true),
        Err(error) => match error.code() {
            Some("ConditionalCheckFailedException" | "TransactionConflictException") => Ok(false),
            Some(_) | None => Err(error.into()),
        },
    }
}

impl Recipients {
    /// A client's attributes; of somebody unknown there are none. Half a read unit, a whole one if `consistent`.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn attributes(&self, app: &AppId, client: &ClientId, consistent: bool) -> Result<Values, StoreError> {
        self.attributes_item(&names::attributes(app, client), consistent).await.map(texts)
    }

    async fn attributes_item(&self, key: &str, consistent: bool) -> Result<Map, StoreError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .key(names::PK, text(key))
            .consistent_read(consistent)
            .set_return_consumed_capacity(self.capacity())
            .send()
            .await?;
        if let (Some(units), Some(used)) = (self.units(), answer.consumed_capacity()) {
            units.read(used.capacity_units().unwrap_or_default());
        }
        Ok(answer.item.map(map_of).unwrap_or_default())
    }

    /// Changes a client's attributes and answers all of them. It is written on condition that they are what was read, so of two changes at once
    /// none is lost; what changes nothing is not written. Who has none has no item.
    ///
    /// The index of attributes is the registry's, and does not follow by itself.
    ///
    /// # Errors
    /// When the client would have too many, or the table does not answer.
    pub async fn change_attributes(
        &self,
        app: &AppId,
        client: &ClientId,
        change: &AttributesChange,
    ) -> Result<Values, StoreError> {
        let key = names::attributes(app, client);
        for attempt in 0..TRIES {
            if attempt > 0 {
                after_conflict(attempt.min(4)).await;
            }
            let seen = self.attributes_item(&key, true).await?;
            let mut map = seen.clone();
            change.merge_into(&mut map);
            if map == seen {
                return Ok(texts(map));
            }
            check(&key, &map)?;
            if self.replace_attributes(&key, seen, map.clone()).await? {
                return Ok(texts(map));
            }
        }
        Err(StoreError::Conflict)
    }

    /// Puts `map` in the place of what was `seen`, if that is still there.
    async fn replace_attributes(&self, key: &str, seen: Map, map: Map) -> Result<bool, StoreError> {
        let condition = if seen.is_empty() { "attribute_not_exists(#at)" } else { "#at = :seen" };
        let seen = (!seen.is_empty()).then(|| HashMap::from([(":seen".to_owned(), AttributeValue::M(seen))]));
        let pk = text(key);
        if map.is_empty() {
            let delete = self.client.delete_item().table_name(&self.table).key(names::PK, pk);
            let delete = delete.condition_expression(condition).expression_attribute_names("#at", MAP);
            return made(delete.set_expression_attribute_values(seen).send().await);
        }
        let put = self.client.put_item().table_name(&self.table).item(names::PK, pk).item(MAP, AttributeValue::M(map));
        let put = put.condition_expression(condition).expression_attribute_names("#at", MAP);
        made(put.set_expression_attribute_values(seen).send().await)
    }
}
