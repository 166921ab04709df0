//! Erasing a client.

use std::collections::HashMap;

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{Delete, TransactWriteItem};

use super::rows::{self, text};
use super::transact::{TRIES, Written, after_refusal};
use super::{Registry, RegistryError};
use crate::id::{AppId, ClientId};
use crate::recipient::{Device, names};

impl Registry {
    /// Erases a client: devices and their token rows, badge, preferences and the spill item, in one transaction, so that a crash
    /// leaves all or nothing. Erasing again changes nothing. Answers the devices that were there.
    ///
    /// SNS endpoints are the caller's to delete, before this call: afterwards nothing tells where they are. One that was made in
    /// between is among the answer's devices.
    ///
    /// # Errors
    /// When the tables do not answer, or others change the same client all the time.
    pub async fn erase(&self, app: &AppId, client: &ClientId) -> Result<Vec<Device>, RegistryError> {
        for attempt in 0..TRIES {
            if attempt > 0 {
                after_refusal(attempt).await;
            }
            let seen = self.seen(app, client).await?;
            let mut actions = vec![self.delete_item(names::spill(app, client), Delete::builder())?];
            if seen.exists {
                let delete = Delete::builder().expression_attribute_names("#g", rows::GENERATION);
                let delete = match &seen.generation {
                    None => delete.condition_expression("attribute_not_exists(#g)"),
                    Some(generation) => delete
                        .condition_expression("#g = :seen")
                        .expression_attribute_values(":seen", generation.clone()),
                };
                actions.push(self.delete_item(names::client(app, client), delete)?);
            }
            for (row, key) in self.own_rows(app, client, &seen.devices).await? {
                actions.push(self.delete_row(&row, client, &key, false)?);
            }
            match self.transact(actions).await? {
                Written::Done => return Ok(seen.devices),
                Written::Refused(_) | Written::Busy => {}
            }
        }
        Err(RegistryError::Contended)
    }

    fn delete_item(
        &self,
        key: String,
        delete: aws_sdk_dynamodb::types::builders::DeleteBuilder,
    ) -> Result<TransactWriteItem, BuildError> {
        let key = HashMap::from([(names::PK.to_owned(), text(key))]);
        let delete = delete.table_name(&self.recipients).set_key(Some(key)).build()?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }
}
