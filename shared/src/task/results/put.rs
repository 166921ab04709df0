//! Putting a result row: the one write that comes after the sends. Without it they are made once more, so it is tried for longer than others.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::operation::put_item::{PutItemError, PutItemOutput};
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use tokio::time::{sleep, timeout};

use super::{Put, ResultRow, Results, ResultsError, from_item, to_item};
use crate::aws::lean::{Item, Said};

/// Tries beyond the SDK's own.
const FURTHER_TRIES: u32 = 4;
/// The longest wait before the first of them; twice as long before each one after it.
const WAIT: Duration = Duration::from_millis(100);
/// How long they may take together. An invocation of `deliver` keeps more than that for its end.
const PATIENCE: Duration = Duration::from_secs(3);

type Answer = Result<PutItemOutput, SdkError<PutItemError>>;

impl Results {
    /// Puts a row where none is: one run of an attempt wins. A table that is throttled or does not answer is tried for up to 3 s longer than
    /// by other calls.
    ///
    /// # Errors
    /// When the table does not answer. The row may be there.
    pub async fn put(&self, row: &ResultRow) -> Result<Put, ResultsError> {
        let item = to_item(row);
        if self.put_leanly(&item).await {
            return Ok(Put::Stored);
        }
        let call = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression(CONDITION)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match patiently(call).await.map_err(SdkError::into_service_error) {
            Ok(_) => Ok(Put::Stored),
            Err(PutItemError::ConditionalCheckFailedException(refused)) => {
                from_item(row.key.clone(), refused.item.unwrap_or_default()).map(|row| Put::Exists(Box::new(row)))
            }
            Err(error) => Err(ResultsError::Unavailable(Box::new(error.into()))),
        }
    }

    /// Tries the put once without the SDK. `false`: it is not known to be done. If it was all the same, the row that the SDK finds is this one.
    async fn put_leanly(&self, item: &HashMap<String, AttributeValue>) -> bool {
        let body =
            serde_json::to_string(&Body { table_name: &self.table, item: Item(item), condition_expression: CONDITION });
        let Ok(body) = body else { return false };
        matches!(self.lean.call("PutItem", body).await, Some(Said::Done(_)))
    }
}

/// An attempt has one row.
const CONDITION: &str = "attribute_not_exists(pk)";

#[derive(serde::Serialize)]
#[serde(rename_all = "PascalCase")]
struct Body<'a> {
    table_name: &'a str,
    item: Item<'a>,
    condition_expression: &'static str,
}

async fn patiently(call: PutItemFluentBuilder) -> Answer {
    let mut answer = call.clone().send().await;
    let further = async {
        for n in 0..FURTHER_TRIES {
            if !answer.as_ref().is_err_and(passes) {
                return;
            }
            let most = WAIT * 2_u32.pow(n);
            sleep(most.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
            let once = aws_sdk_dynamodb::config::Builder::new().retry_config(RetryConfig::disabled());
            answer = call.clone().customize().config_override(once).send().await;
        }
    };
    // When their time is over, the latest answer counts.
    let _ = timeout(PATIENCE, further).await;
    answer
}

/// Whether a try may succeed where this one did not: the table is throttled, in trouble, or was not reached.
fn passes(error: &SdkError<PutItemError>) -> bool {
    match error {
        SdkError::ServiceError(context) => {
            let refusal = context.err();
            context.raw().status().is_server_error()
                || refusal.is_throttling_exception()
                || refusal.is_provisioned_throughput_exceeded_exception()
                || refusal.is_request_limit_exceeded()
        }
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => true,
        SdkError::ConstructionFailure(_) => false,
        // A kind that this SDK does not have yet.
        _ => false,
    }
}
