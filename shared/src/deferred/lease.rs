//! One run at a time hands on.
//!
//! Two runs at once do no harm: a record that is queued twice finds its result row, or its marks. But two that read the same rows send
//! everything twice, so a run takes a lease. It costs two writes a run, and ends with the time of the invocation that took it: when
//! that died, the next tick is not held up.

use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::AttributeValue;

use crate::time::Timestamp;

use super::{Deferred, DeferredError, key};

/// The right to hand on, until it ends or is given back.
#[derive(Debug)]
pub struct Lease {
    holder: String,
}

impl Deferred {
    /// Takes the right to hand on from `now` until `until`; `None` when another run has it.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn lease(&self, now: Timestamp, until: Timestamp) -> Result<Option<Lease>, DeferredError> {
        let holder = format!("{:016x}", fastrand::u64(..));
        let number = |time: Timestamp| AttributeValue::N(time.as_millis().to_string());
        let taken = self
            .client
            .put_item()
            .table_name(&self.table)
            .item(key::PK, AttributeValue::S(key::LEASE.0.to_owned()))
            .item(key::SK, AttributeValue::S(key::LEASE.1.to_owned()))
            .item(key::HOLDER, AttributeValue::S(holder.clone()))
            .item(key::ENDS, number(until))
            .item(key::TTL, AttributeValue::N(until.as_secs().saturating_add(1).to_string()))
            // The last part: the SDK repeats a call whose answer was lost.
            .condition_expression("attribute_not_exists(pk) OR e <= :now OR h = :me")
            .expression_attribute_values(":now", number(now))
            .expression_attribute_values(":me", AttributeValue::S(holder.clone()))
            .send()
            .await;
        match taken {
            Ok(_) => Ok(Some(Lease { holder })),
            Err(error) if error.as_service_error().is_some_and(PutItemError::is_conditional_check_failed_exception) => {
                Ok(None)
            }
            Err(error) => Err(DeferredError::unavailable(error)),
        }
    }

    /// Gives a lease back. One that another run has taken over stays.
    ///
    /// # Errors
    /// When the table does not answer; the lease ends by itself then.
    pub async fn release(&self, lease: Lease) -> Result<(), DeferredError> {
        let released = self
            .client
            .delete_item()
            .table_name(&self.table)
            .key(key::PK, AttributeValue::S(key::LEASE.0.to_owned()))
            .key(key::SK, AttributeValue::S(key::LEASE.1.to_owned()))
            .condition_expression("h = :me")
            .expression_attribute_values(":me", AttributeValue::S(lease.holder))
            .send()
            .await;
        match released {
            Err(error)
                if !error.as_service_error().is_some_and(DeleteItemError::is_conditional_check_failed_exception) =>
            {
                Err(DeferredError::unavailable(error))
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }
}
