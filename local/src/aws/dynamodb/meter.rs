//! What calls cost, as DynamoDB reports it: the proxy asks for it in every call while it is measured.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use serde_json::Value;

/// Units that a table's calls used.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct TableUnits {
    /// Read units.
    pub read: f64,
    /// Write units.
    pub write: f64,
}

/// The units of each table's calls. Off until it is switched on.
#[derive(Debug, Default)]
pub struct Meter {
    on: AtomicBool,
    used: Mutex<BTreeMap<String, TableUnits>>,
}

impl Meter {
    /// Measures from now on, from zero.
    pub fn start(&self) {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.on.store(true, Ordering::Relaxed);
    }

    /// What was used since the start, by table.
    pub fn used(&self) -> BTreeMap<String, TableUnits> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The call with the wish to be told what it cost. Calls of other kinds stay as they are.
    pub(super) fn asking(&self, action: &str, body: Bytes) -> Bytes {
        if !self.on.load(Ordering::Relaxed) || kind(action).is_none() {
            return body;
        }
        match serde_json::from_slice(&body) {
            Ok(Value::Object(mut call)) => {
                call.insert("ReturnConsumedCapacity".to_owned(), "TOTAL".into());
                Value::Object(call).to_string().into()
            }
            Ok(_) | Err(_) => body,
        }
    }

    pub(super) fn note(&self, action: &str, answer: &[u8]) {
        let Some(kind) = kind(action).filter(|_| self.on.load(Ordering::Relaxed)) else { return };
        let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
        let told = &answer["ConsumedCapacity"];
        let one = told.is_object().then_some(told);
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        for table in told.as_array().into_iter().flatten().chain(one) {
            let (Some(name), Some(units)) = (table["TableName"].as_str(), table["CapacityUnits"].as_f64()) else {
                continue;
            };
            let sums = used.entry(name.to_owned()).or_default();
            match kind {
                Kind::Read => sums.read += units,
                Kind::Write => sums.write += units,
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Read,
    Write,
}

fn kind(action: &str) -> Option<Kind> {
    match action {
        "GetItem" | "Query" | "Scan" | "BatchGetItem" | "TransactGetItems" => Some(Kind::Read),
        "PutItem" | "UpdateItem" | "DeleteItem" | "BatchWriteItem" | "TransactWriteItems" => Some(Kind::Write),
        _ => None,
    }
}
