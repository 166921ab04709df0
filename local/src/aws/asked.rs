//! What a call needs permission for: IAM's names of its actions and resources (service authorization reference).

use serde_json::Value;

use super::query::Form;
use super::{ACCOUNT, REGION, Service};
use crate::permissions::Call;

pub(super) fn asked(service: Service, action: &str, form: &Form, body: &[u8]) -> Vec<Call> {
    match service {
        Service::Dynamodb => dynamodb(action, &parsed(body)),
        Service::Sqs => sqs(action, &parsed(body)),
        Service::Secrets => {
            let body = parsed(body);
            let id = body["SecretId"].as_str().or_else(|| body["Name"].as_str()).unwrap_or_default();
            vec![(format!("secretsmanager:{action}"), secret_arn(id))]
        }
        Service::Sns => {
            let names = ["TargetArn", "EndpointArn", "PlatformApplicationArn", "TopicArn"];
            let arn = names.into_iter().find_map(|name| form.get(name));
            vec![(format!("sns:{action}"), arn.unwrap_or_default().to_owned())]
        }
        Service::CloudFormation | Service::CloudControl | Service::Logs => {
            vec![(format!("{}:{action}", service.prefix()), "*".to_owned())]
        }
    }
}

fn parsed(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_default()
}

/// A transaction needs what each of its parts does alone; `ConditionCheck` has an action of its own.
fn dynamodb(action: &str, body: &Value) -> Vec<Call> {
    let call = |action: &str, table: &str| {
        (format!("dynamodb:{action}"), format!("arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{table}"))
    };
    if let Some(parts) = body["TransactItems"].as_array() {
        let parts = parts.iter().filter_map(Value::as_object).flatten();
        return parts
            .map(|(kind, part)| call(&format!("{kind}Item"), part["TableName"].as_str().unwrap_or_default()))
            .collect();
    }
    if let Some(tables) = body["RequestItems"].as_object() {
        return tables.keys().map(|table| call(action, table)).collect();
    }
    vec![call(action, body["TableName"].as_str().unwrap_or_default())]
}

/// A batch needs the permission of its single call.
fn sqs(action: &str, body: &Value) -> Vec<Call> {
    let url = body["QueueUrl"].as_str().unwrap_or_default();
    let queue = url.rsplit('/').next().unwrap_or_default();
    let action = action.strip_suffix("Batch").unwrap_or(action);
    vec![(format!("sqs:{action}"), format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}"))]
}

/// The ARN behind a name: Secrets Manager ends it in six random characters.
fn secret_arn(id: &str) -> String {
    if id.starts_with("arn:") {
        return id.to_owned();
    }
    format!("arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{id}-aB3dEf")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use serde_json::json;

    fn calls(service: Service, action: &str, body: &Value) -> Vec<String> {
        let asked = asked(service, action, &Form::default(), body.to_string().as_bytes());
        asked.into_iter().map(|(action, arn)| format!("{action} {}", arn.rsplit(':').next().unwrap())).collect()
    }

    #[test]
    fn a_transaction_asks_for_its_parts() {
        let part = |table: &str| json!({ "TableName": table });
        let body = json!({ "TransactItems": [{ "Put": part("a") }, { "Update": part("b") }, { "ConditionCheck": part("a") }] });
        assert_eq!(
            calls(Service::Dynamodb, "TransactWriteItems", &body),
            ["dynamodb:PutItem table/a", "dynamodb:UpdateItem table/b", "dynamodb:ConditionCheckItem table/a"]
        );
    }

    #[test]
    fn a_batch_asks_for_every_table_and_for_the_single_call_of_a_queue() {
        let body = json!({ "RequestItems": { "a": {}, "b": {} } });
        assert_eq!(
            calls(Service::Dynamodb, "BatchGetItem", &body),
            ["dynamodb:BatchGetItem table/a", "dynamodb:BatchGetItem table/b"]
        );
        let body = json!({ "QueueUrl": "http://127.0.0.1:1/000000000000/q" });
        assert_eq!(calls(Service::Sqs, "SendMessageBatch", &body), ["sqs:SendMessage q"]);
    }

    #[test]
    fn a_secret_is_asked_for_by_its_arn() {
        let body = json!({ "SecretId": "pushbell/local/apps/demo/callers" });
        assert_eq!(
            calls(Service::Secrets, "GetSecretValue", &body),
            ["secretsmanager:GetSecretValue pushbell/local/apps/demo/callers-aB3dEf"]
        );
    }
}
