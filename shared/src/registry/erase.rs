//! Erasing a client.

use std::collections::HashMap;

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{Delete, TransactWriteItem};

use super::rows::{self, Seen, text};
use super::transact::{MOST_ACTIONS, TRIES, Written, after_refusal};
use super::{Registry, RegistryError};
use crate::id::{AppId, ClientId};
use crate::recipient::{Device, names};

impl Registry {
    /// Erases a client: devices with their rows, badge, preferences, tags, alias, attributes and the spill item, in one transaction, so that a
    /// crash leaves all or nothing. Of a client with so many devices and labels that one transaction cannot take them (two with 48 tags, twenty
    /// with three), tags go first, then attributes, as many at once as it can take. Erasing again changes nothing. Answers the devices that
    /// were there.
    ///
    /// SNS endpoints are the caller's to delete, before this call: afterwards nothing tells where they are. One that was made in
    /// between is among the answer's devices.
    ///
    /// # Errors
    /// When the tables do not answer, or others change the same client all the time.
    pub async fn erase(&self, app: &AppId, client: &ClientId) -> Result<Vec<Device>, RegistryError> {
        let mut attempt = 0;
        while attempt < TRIES {
            let seen = self.seen(app, client).await?;
            let actions = self.erasure(app, client, &seen).await?;
            let whole = actions.len() <= MOST_ACTIONS;
            let written = if whole {
                self.transact(actions).await?
            } else if seen.labels.tags.is_empty() {
                self.remove_some_attributes(app, client, &seen).await?
            } else {
                self.remove_some_tags(app, client, &seen).await?
            };
            match written {
                Written::Done if whole => return Ok(seen.devices),
                Written::Done => {}
                Written::Refused(_) | Written::Busy => {
                    attempt += 1;
                    after_refusal(attempt).await;
                }
            }
        }
        Err(RegistryError::Contended)
    }

    pub(super) async fn erasure(
        &self,
        app: &AppId,
        client: &ClientId,
        seen: &Seen,
    ) -> Result<Vec<TransactWriteItem>, RegistryError> {
        let delete = Delete::builder().expression_attribute_names("#g", rows::GENERATION);
        let delete = match &seen.generation {
            // Also of somebody who has no item: attributes that are indexed meanwhile would leave one behind.
            None => delete.condition_expression("attribute_not_exists(#g)"),
            Some(generation) => {
                delete.condition_expression("#g = :seen").expression_attribute_values(":seen", generation.clone())
            }
        };
        let mut actions = vec![
            self.delete_item(names::client(app, client), delete)?,
            self.delete_item(names::spill(app, client), Delete::builder())?,
            self.delete_item(names::attributes(app, client), Delete::builder())?,
        ];
        for (row, key) in self.own_rows(app, client, &seen.devices).await? {
            actions.push(self.delete_row(&row, client, &key)?);
        }
        for device in &seen.devices {
            actions.extend(self.leave_all(app, client, seen, &device.key)?);
        }
        if let Some(alias) = &seen.labels.alias {
            actions.push(self.disown_alias(app, client, alias)?);
        }
        Ok(actions)
    }

    pub(super) fn delete_item(
        &self,
        key: String,
        delete: aws_sdk_dynamodb::types::builders::DeleteBuilder,
    ) -> Result<TransactWriteItem, BuildError> {
        let key = HashMap::from([(names::PK.to_owned(), text(key))]);
        let delete = delete.table_name(&self.recipients).set_key(Some(key)).build()?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }
}
