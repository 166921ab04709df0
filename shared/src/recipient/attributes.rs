//! What an app knows of a client by name ("favoriteTeam"), to fill templates with: texts in an item of their own, which counts neither read nor
//! pay for.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use super::store::{StoreError, text};
use super::{Recipients, names};
use crate::id::{AppId, ClientId};
use crate::message::Values;

/// In the item: the map of texts.
pub(crate) const MAP: &str = "at";

/// The texts in a client's item of attributes.
pub(crate) fn of_item(mut item: HashMap<String, AttributeValue>) -> Values {
    match item.remove(MAP) {
        Some(AttributeValue::M(map)) => {
            let texts = map.into_iter().filter_map(|(name, value)| match value {
                AttributeValue::S(text) => Some((name, text)),
                _ => None,
            });
            texts.collect()
        }
        _ => Values::default(),
    }
}

impl Recipients {
    /// A client's attributes; of somebody unknown there are none. Half a read unit, a whole one if `consistent`.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn attributes(&self, app: &AppId, client: &ClientId, consistent: bool) -> Result<Values, StoreError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .key(names::PK, text(names::attributes(app, client)))
            .consistent_read(consistent)
            .send()
            .await?;
        Ok(answer.item.map(of_item).unwrap_or_default())
    }
}
