//! Answers of the past, for the fault that reads an item as it was.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use serde_json::{Value, json};

/// Items as their last `UpdateItem` left them; clones share them.
#[derive(Clone, Default)]
pub(super) struct Past(Arc<Mutex<HashMap<String, Value>>>);

impl Past {
    /// Notes what an `UpdateItem` answered with `ReturnValues=ALL_NEW`.
    pub(super) fn note(&self, request: &[u8], answer: &[u8]) {
        let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
        if let (Some(key), Some(item)) = (key(request), answer.get("Attributes")) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, item.clone());
        }
    }

    /// The answer to a `GetItem`, where one was noted.
    pub(super) fn answer(&self, request: &[u8]) -> Option<Bytes> {
        let item = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key(request)?).cloned()?;
        Some(json!({ "Item": item }).to_string().into())
    }
}

fn key(request: &[u8]) -> Option<String> {
    let request: Value = serde_json::from_slice(request).ok()?;
    Some(json!([request.get("TableName")?, request.get("Key")?]).to_string())
}

/// The body with every `from` made `to`.
pub(in crate::aws) fn rewritten(body: &Bytes, from: &str, to: &str) -> Bytes {
    match std::str::from_utf8(body) {
        Ok(text) => text.replace(from, to).into(),
        Err(_) => body.clone(),
    }
}

/// A transaction without the token by which a repeat is known. The emulated DynamoDB looks through all tokens of the last ten minutes at each
/// transaction, so that an import would take longer with every row; and who tries each call once, as that does, repeats none.
pub(in crate::aws) fn without_token(body: &Bytes) -> Bytes {
    let Ok(serde_json::Value::Object(mut call)) = serde_json::from_slice(body) else { return body.clone() };
    call.remove("ClientRequestToken");
    serde_json::Value::Object(call).to_string().into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_transaction_loses_its_token_and_nothing_else() {
        let of = |text: &str| String::from_utf8(without_token(&Bytes::from(text.to_owned())).to_vec()).unwrap();
        assert_eq!(
            of(r#"{"ClientRequestToken":"t","TransactItems":[{"n":"1.50"}]}"#),
            r#"{"TransactItems":[{"n":"1.50"}]}"#
        );
        assert_eq!(of("no JSON"), "no JSON");
    }

    #[test]
    fn an_item_is_answered_as_its_last_update_left_it() {
        let past = Past::default();
        let get = br#"{"TableName":"t","ConsistentRead":true,"Key":{"pk":{"S":"a"}}}"#;
        assert_eq!(past.answer(get), None);
        past.note(
            br#"{"Key":{"pk":{"S":"a"}},"TableName":"t","UpdateExpression":"x"}"#,
            br#"{"Attributes":{"n":{"N":"1"}}}"#,
        );
        assert_eq!(past.answer(get).unwrap(), r#"{"Item":{"n":{"N":"1"}}}"#);
        assert_eq!(past.answer(br#"{"TableName":"t","Key":{"pk":{"S":"b"}}}"#), None);
    }

    #[test]
    fn a_clause_is_rewritten_wherever_it_stands() {
        let body = Bytes::from_static(br#"{"ConditionExpression":"a < :b AND c"}"#);
        assert_eq!(
            rewritten(&body, "a < :b", "(a < :b OR a >= :b)"),
            r#"{"ConditionExpression":"(a < :b OR a >= :b) AND c"}"#
        );
    }
}
