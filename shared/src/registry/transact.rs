//! Transactions on both tables, and what their refusals mean.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::error::{BuildError, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::builders::UpdateBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem, Update};

use super::rows::{self, ALONE, Owner, PK, SK, Seen, number, text};
use super::{Registry, RegistryError};
use crate::id::{AppId, ClientId, DeviceKey};
use crate::recipient::{Device, names};

/// Tries of one call, each on what it has read anew.
pub(super) const TRIES: u32 = 10;

/// Actions that DynamoDB takes in one transaction.
pub(super) const MOST_ACTIONS: usize = 100;

impl<E, R> From<SdkError<E, R>> for RegistryError
where
    aws_sdk_dynamodb::Error: From<SdkError<E, R>>,
{
    fn from(error: SdkError<E, R>) -> Self {
        Self::Unavailable(Box::new(error.into()))
    }
}

impl From<BuildError> for RegistryError {
    fn from(error: BuildError) -> Self {
        Self::Unavailable(Box::new(error.into()))
    }
}

/// What became of a conditional write.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Written {
    Done,
    /// The conditions of these actions did not hold.
    Refused(Vec<usize>),
    /// Another transaction on one of the items stood in the way, or the tables are throttled: what was read still may hold.
    Busy,
}

/// A short wait before what was read is read again; spread so that two writers do not meet again. At most a fifth of a second.
pub(super) async fn after_refusal(attempt: u32) {
    let most = 10_u64 << attempt.min(4);
    tokio::time::sleep(Duration::from_millis(fastrand::u64(most / 4..=most))).await;
}

/// What a refusal's codes mean; `None` when one of them is neither a condition nor passing trouble.
fn classify<'a>(codes: impl Iterator<Item = &'a str>) -> Option<Written> {
    let (mut refused, mut busy) = (Vec::new(), false);
    for (index, code) in codes.enumerate() {
        match code {
            "None" => {}
            "ConditionalCheckFailed" => refused.push(index),
            "TransactionConflict" => busy = true,
            code if is_throttled(code) => busy = true,
            _ => return None,
        }
    }
    match (refused.is_empty(), busy) {
        (false, _) => Some(Written::Refused(refused)),
        (true, true) => Some(Written::Busy),
        (true, false) => None,
    }
}

/// Whether a transaction's reason is that the table takes no more at the moment.
fn is_throttled(code: &str) -> bool {
    matches!(code, "ThrottlingError" | "ProvisionedThroughputExceeded" | "RequestLimitExceeded")
}

impl Registry {
    pub(super) async fn transact(&self, actions: Vec<TransactWriteItem>) -> Result<Written, RegistryError> {
        let answer = self.client.transact_write_items().set_transact_items(Some(actions)).send().await;
        let error = match answer {
            Ok(_) => return Ok(Written::Done),
            Err(error) => error,
        };
        let Some(refusal) = error.as_service_error() else { return Err(error.into()) };
        let written = if let TransactWriteItemsError::TransactionCanceledException(cancelled) = refusal {
            let reasons = cancelled.cancellation_reasons();
            let codes = || reasons.iter().map(|reason| reason.code().unwrap_or("None"));
            let written = classify(codes());
            // A throttled transaction is cancelled, and the SDK does not try it again.
            if self.tries_once && written == Some(Written::Busy) && codes().any(is_throttled) {
                return Err(RegistryError::Throttled);
            }
            written
        } else {
            refusal.is_transaction_in_progress_exception().then_some(Written::Busy)
        };
        written.ok_or_else(|| error.into())
    }

    /// An update of a client's item, with what changes beside it.
    pub(super) async fn write(&self, update: Update, beside: Vec<TransactWriteItem>) -> Result<Written, RegistryError> {
        if beside.is_empty() {
            return self.update_alone(&update).await;
        }
        let actions = [TransactWriteItem::builder().update(update).build()].into_iter().chain(beside).collect();
        self.transact(actions).await
    }

    /// One update on its own: half of what it costs in a transaction.
    pub(super) async fn update_alone(&self, action: &Update) -> Result<Written, RegistryError> {
        let answer = self
            .client
            .update_item()
            .table_name(action.table_name())
            .set_key(Some(action.key().clone()))
            .update_expression(action.update_expression())
            .set_condition_expression(action.condition_expression().map(str::to_owned))
            .set_expression_attribute_names(action.expression_attribute_names().cloned())
            .set_expression_attribute_values(action.expression_attribute_values().cloned())
            .send()
            .await;
        let error = match answer {
            Ok(_) => return Ok(Written::Done),
            Err(error) => error,
        };
        let written = error.as_service_error().and_then(|refusal| {
            if refusal.is_conditional_check_failed_exception() {
                Some(Written::Refused(vec![0]))
            } else {
                // The SDK models this one and does not retry it.
                refusal.is_transaction_conflict_exception().then_some(Written::Busy)
            }
        });
        written.ok_or_else(|| error.into())
    }

    fn row_key(row: &str) -> HashMap<String, AttributeValue> {
        HashMap::from([(PK.to_owned(), text(row)), (SK.to_owned(), text(ALONE))])
    }

    /// Makes the token's row say `client` and `device`, if it still says what was read.
    pub(super) fn put_row(
        &self,
        row: &str,
        seen: Option<&Owner>,
        client: &ClientId,
        device: &Device,
    ) -> Result<TransactWriteItem, BuildError> {
        let put = Put::builder()
            .table_name(&self.registry)
            .set_item(Some(Self::row_key(row)))
            .item(rows::CLIENT, text(client.as_str()))
            .item(rows::DEVICE, text(device.key.as_str()))
            .item(rows::SINCE, number(device.registered_at.as_millis()));
        let put = match seen {
            None => put.condition_expression("attribute_not_exists(#pk)").expression_attribute_names("#pk", PK),
            Some(owner) => put
                .condition_expression("#c = :c AND #d = :d")
                .expression_attribute_names("#c", rows::CLIENT)
                .expression_attribute_names("#d", rows::DEVICE)
                .expression_attribute_values(":c", text(owner.client.as_str()))
                .expression_attribute_values(":d", text(owner.device.as_str())),
        };
        Ok(TransactWriteItem::builder().put(put.build()?).build())
    }

    /// Deletes a token's row, if it still says `client` and `device`.
    pub(super) fn delete_row(
        &self,
        row: &str,
        client: &ClientId,
        device: &DeviceKey,
    ) -> Result<TransactWriteItem, BuildError> {
        let delete = Delete::builder()
            .table_name(&self.registry)
            .set_key(Some(Self::row_key(row)))
            .condition_expression("#c = :c AND #d = :d")
            .expression_attribute_names("#c", rows::CLIENT)
            .expression_attribute_names("#d", rows::DEVICE)
            .expression_attribute_values(":c", text(client.as_str()))
            .expression_attribute_values(":d", text(device.as_str()));
        Ok(TransactWriteItem::builder().delete(delete.build()?).build())
    }

    /// Writes `device` into the client's item and takes `leaving` out of it, if its devices are those that were read.
    pub(super) fn update_devices(
        &self,
        app: &AppId,
        client: &ClientId,
        seen: &Seen,
        device: &Device,
        leaving: &[&Device],
    ) -> Result<TransactWriteItem, BuildError> {
        let mut expression = "SET #new = :new, #g = :g".to_owned();
        let mut update = self
            .item_update_as_seen(app, client, seen)
            .expression_attribute_names("#new", names::device(&device.key))
            .expression_attribute_values(":new", device.to_attribute());
        for (index, left) in leaving.iter().enumerate() {
            expression.push_str(if index == 0 { " REMOVE " } else { ", " });
            expression.push_str(&format!("#x{index}"));
            update = update.expression_attribute_names(format!("#x{index}"), names::device(&left.key));
        }
        Ok(TransactWriteItem::builder().update(update.update_expression(expression).build()?).build())
    }

    /// Writes a device again that has the same token, if nobody changed it.
    pub(super) fn refresh_device(
        &self,
        app: &AppId,
        client: &ClientId,
        seen: &Device,
        device: &Device,
    ) -> Result<Update, BuildError> {
        let mut update = self
            .item_update(app, client)
            .update_expression("SET #d = :new, #g = :g")
            .expression_attribute_names("#d", names::device(&device.key))
            .expression_attribute_names("#t", rows::DEVICE_TOKEN)
            .expression_attribute_names("#e", rows::DEVICE_ENDPOINT)
            .expression_attribute_values(":new", device.to_attribute())
            .expression_attribute_values(":t", text(seen.token.expose()));
        update = match &seen.endpoint {
            None => update.condition_expression("#d.#t = :t AND attribute_not_exists(#d.#e)"),
            Some(endpoint) => update
                .condition_expression("#d.#t = :t AND #d.#e = :e")
                .expression_attribute_values(":e", text(endpoint)),
        };
        update.build()
    }

    /// Takes a device out of a client's item, if nobody changed the item since.
    pub(super) fn remove_device(
        &self,
        app: &AppId,
        client: &ClientId,
        seen: &Seen,
        device: &DeviceKey,
    ) -> Result<Update, BuildError> {
        self.item_update_as_seen(app, client, seen)
            .update_expression("SET #g = :g REMOVE #d")
            .expression_attribute_names("#d", names::device(device))
            .build()
    }

    /// Takes a device out of its audiences.
    pub(super) fn leave_all(
        &self,
        app: &AppId,
        client: &ClientId,
        seen: &Seen,
        device: &DeviceKey,
    ) -> Result<Vec<TransactWriteItem>, BuildError> {
        seen.labels.audiences().iter().map(|audience| self.leave(app, audience, client, device)).collect()
    }

    /// Takes one device out, with everything that says that it is there: in one transaction, which always has room for it.
    pub(super) async fn take_out(
        &self,
        app: &AppId,
        client: &ClientId,
        seen: &Seen,
        device: &Device,
    ) -> Result<Written, RegistryError> {
        let mut beside = self.leave_all(app, client, seen, &device.key)?;
        for (row, key) in self.own_rows(app, client, std::slice::from_ref(device)).await? {
            beside.push(self.delete_row(&row, client, &key)?);
        }
        self.write(self.remove_device(app, client, seen, &device.key)?, beside).await
    }

    /// An update on condition that nobody has changed the client's devices and labels since.
    pub(super) fn item_update_as_seen(&self, app: &AppId, client: &ClientId, seen: &Seen) -> UpdateBuilder {
        let update = self.item_update(app, client);
        match &seen.generation {
            None => update.condition_expression("attribute_not_exists(#g)"),
            Some(generation) => {
                update.condition_expression("#g = :seen").expression_attribute_values(":seen", generation.clone())
            }
        }
    }

    fn item_update(&self, app: &AppId, client: &ClientId) -> UpdateBuilder {
        Update::builder()
            .table_name(&self.recipients)
            .key(names::PK, text(names::client(app, client)))
            .expression_attribute_names("#g", rows::GENERATION)
            .expression_attribute_values(":g", rows::new_generation())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_condition_outweighs_passing_trouble_and_anything_else_is_an_error() {
        let of = |codes: &[&str]| classify(codes.iter().copied());
        assert_eq!(of(&["None", "ConditionalCheckFailed", "TransactionConflict"]), Some(Written::Refused(vec![1])));
        assert_eq!(of(&["TransactionConflict", "None"]), Some(Written::Busy));
        assert_eq!(of(&["None", "ThrottlingError"]), Some(Written::Busy));
        assert_eq!(of(&["ProvisionedThroughputExceeded"]), Some(Written::Busy));
        assert!(is_throttled("ThrottlingError") && !is_throttled("TransactionConflict") && !is_throttled("None"));
        assert_eq!(of(&["None", "ValidationError"]), None);
        assert_eq!(of(&["ConditionalCheckFailed", "ItemCollectionSizeLimitExceeded"]), None);
        assert_eq!(of(&["None", "None"]), None);
    }
}
