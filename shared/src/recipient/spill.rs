//! Clients who never read have many rooms with unread messages. Beyond [`MOST_ROOMS`](super::MOST_ROOMS) the coldest fold into one
//! number, `u#~`, and a spill item beside the client's holds which room had how many: the badge stays exact, and so does each room when
//! it is read.
//!
//! The two items change in one transaction, and the sum of both is the same before and after it.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem, Update};

use super::store::{StoreError, number, text};
use super::{MOST_ROOMS, Recipient, Recipients, names};
use crate::id::{AppId, ClientId, RoomKey};

/// Rooms left in the item after a fold: half, so that a fold is rare.
const LEFT: usize = MOST_ROOMS / 2;

impl Recipients {
    /// Folds the coldest rooms away: those with the fewest unread messages, as a busy room soon has more than a quiet one. A room that
    /// turns out to be warm comes back by its next message, and its folded part stays counted.
    pub(super) async fn fold(
        &self,
        app: &AppId,
        client: &ClientId,
        recipient: &Recipient,
        current: Option<&RoomKey>,
    ) -> Result<(), StoreError> {
        let mut rooms: Vec<_> = recipient.unread.iter().filter(|(room, _)| Some(*room) != current).collect();
        rooms.sort_by_key(|(room, n)| (**n, *room));
        rooms.truncate(recipient.unread.len().saturating_sub(LEFT));
        let sum: u64 = rooms.iter().map(|(_, n)| u64::from(**n)).sum();
        let (mut removed, mut condition, mut added) = (String::new(), String::new(), String::new());
        let (mut attributes, mut counts) = (HashMap::new(), HashMap::new());
        for (index, (room, n)) in rooms.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            let and = if index == 0 { "" } else { " AND " };
            removed.push_str(&format!("{comma}#x{index}"));
            condition.push_str(&format!("{and}#x{index} = :x{index}"));
            added.push_str(&format!("{comma}#x{index} :x{index}"));
            attributes.insert(format!("#x{index}"), names::unread(room));
            counts.insert(format!(":x{index}"), number(n));
        }
        let mut of_client = attributes.clone();
        of_client.insert("#s".to_owned(), names::SPILLED.to_owned());
        let mut with_sum = counts.clone();
        with_sum.insert(":sum".to_owned(), number(sum));
        let from = self.part(
            names::client(app, client),
            format!("ADD #s :sum REMOVE {removed}"),
            Some(condition),
            of_client,
            with_sum,
        )?;
        let to = self.part(names::spill(app, client), format!("ADD {added}"), None, attributes, counts)?;
        self.transact(vec![from, to]).await
    }

    /// Brings a folded room's count back into the client's item. Whether there was one.
    pub(super) async fn unfold(&self, app: &AppId, client: &ClientId, room: &RoomKey) -> Result<bool, StoreError> {
        let attribute = names::unread(room);
        let spill = self
            .client
            .get_item()
            .table_name(&self.table)
            .key(names::PK, text(names::spill(app, client)))
            .projection_expression("#u")
            .expression_attribute_names("#u", attribute.as_str())
            .consistent_read(true)
            .send()
            .await?;
        let Some(AttributeValue::N(n)) = spill.item.and_then(|mut item| item.remove(&attribute)) else {
            return Ok(false);
        };
        let count: i64 = n.parse().unwrap_or_default();
        let to = self.part(
            names::client(app, client),
            "ADD #s :less, #u :n".to_owned(),
            None,
            HashMap::from([("#s".to_owned(), names::SPILLED.to_owned()), ("#u".to_owned(), attribute.clone())]),
            HashMap::from([(":less".to_owned(), number(-count)), (":n".to_owned(), number(count))]),
        )?;
        let from = self.part(
            names::spill(app, client),
            "REMOVE #u".to_owned(),
            Some("#u = :n".to_owned()),
            HashMap::from([("#u".to_owned(), attribute)]),
            HashMap::from([(":n".to_owned(), number(count))]),
        )?;
        self.transact(vec![to, from]).await?;
        Ok(true)
    }

    fn part(
        &self,
        key: String,
        expression: String,
        condition: Option<String>,
        attributes: HashMap<String, String>,
        values: HashMap<String, AttributeValue>,
    ) -> Result<TransactWriteItem, StoreError> {
        let update = Update::builder()
            .table_name(&self.table)
            .key(names::PK, text(key))
            .update_expression(expression)
            .set_condition_expression(condition)
            .set_expression_attribute_names(Some(attributes))
            .set_expression_attribute_values(Some(values))
            .build()
            .map_err(|error| StoreError::Unavailable(Box::new(error.into())))?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    pub(super) async fn transact(&self, items: Vec<TransactWriteItem>) -> Result<(), StoreError> {
        let answer = self
            .client
            .transact_write_items()
            .set_transact_items(Some(items))
            .set_return_consumed_capacity(self.capacity())
            .send()
            .await;
        match answer {
            Ok(answer) => {
                if let Some(units) = self.units() {
                    let used = answer.consumed_capacity().iter();
                    units.write(used.filter_map(|table| table.capacity_units()).sum());
                }
                Ok(())
            }
            Err(error)
                if error.as_service_error().is_some_and(TransactWriteItemsError::is_transaction_canceled_exception) =>
            {
                Err(StoreError::Conflict)
            }
            Err(error) => Err(error.into()),
        }
    }
}
