//! DynamoDB: the embedded emulator, on threads of its own, and a thin proxy in front of it that knows how to fail.
//!
//! The emulator runs its SQLite calls on the worker that serves a request, so it has its own runtime: it must not
//! hold up the rest of the stack. It does not throttle, conflict or lose answers by itself; the proxy does.

mod meter;
mod stale;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use dynoxide::Database;
use dynoxide::actions::create_table::CreateTableRequest;
use dynoxide::actions::update_time_to_live::{TimeToLiveSpecification, UpdateTimeToLiveRequest};
use dynoxide::errors::DynoxideError;
use dynoxide::types::{AttributeDefinition, KeySchemaElement, KeyType, ScalarAttributeType};
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::Refusal;
use crate::connections::{Cut, Reply};

pub use meter::{Meter, TableUnits};
pub(super) use stale::{rewritten, without_token};

/// Why the tables could not be started, made or swept.
#[derive(Debug, thiserror::Error)]
pub enum DynamodbError {
    /// The emulator refused.
    #[error("the DynamoDB emulator failed")]
    Emulator(#[from] DynoxideError),
    /// Its port or thread could not be had.
    #[error("the DynamoDB emulator could not be started")]
    Start(#[from] std::io::Error),
    /// The path of the file is not UTF-8.
    #[error("the path of the tables' file is not UTF-8")]
    Path,
    /// A blocking task was lost: the runtime is going down.
    #[error("the runtime is going down")]
    Lost(#[from] tokio::task::JoinError),
}

/// The type of a key attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyAttribute {
    /// `S`
    Text,
    /// `N`
    Number,
    /// `B`
    Binary,
}

/// What a table is made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSpec {
    /// Its name.
    pub name: String,
    /// The partition key's name.
    pub partition: String,
    /// The sort key's name.
    pub sort: Option<String>,
    /// The types of all key attributes.
    pub attributes: Vec<(String, KeyAttribute)>,
    /// The attribute with the expiry, in seconds since 1970.
    pub ttl: Option<String>,
}

/// The tables of a stack; clones share them, and the last one stops the emulator.
#[derive(Clone)]
pub struct Dynamodb {
    database: Database,
    direct: SocketAddr,
    client: Client<HttpConnector, Full<Bytes>>,
    past: stale::Past,
    meter: Arc<Meter>,
    _running: Arc<Running>,
}

struct Running {
    /// Dropped with the last clone, which is the emulator's signal to stop.
    _stop: oneshot::Sender<()>,
}

impl Dynamodb {
    /// Starts with empty tables in memory.
    pub fn memory() -> Result<Self, DynamodbError> {
        Self::start(Database::memory()?)
    }

    /// Starts on this file, made if it is not there. A write that was answered survives the loss of power too.
    pub fn open(path: &Path) -> Result<Self, DynamodbError> {
        Self::start(Database::new(path.to_str().ok_or(DynamodbError::Path)?)?)
    }

    fn start(database: Database) -> Result<Self, DynamodbError> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let direct = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("dynamodb")
            .enable_all()
            .build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let served = database.clone();
        std::thread::Builder::new().name("dynamodb-main".to_owned()).spawn(move || {
            runtime.block_on(async move {
                let Ok(listener) = TcpListener::from_std(listener) else {
                    return;
                };
                let shutdown = async move {
                    let _ = stopped.await;
                };
                let _ = dynoxide::server::serve_with_shutdown(listener, served, shutdown).await;
            });
        })?;
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector);
        Ok(Self {
            database,
            direct,
            client,
            past: stale::Past::default(),
            meter: Arc::default(),
            _running: Arc::new(Running { _stop: stop }),
        })
    }

    /// What calls cost, while that is measured.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// The emulator's own address, without the proxy and its faults: for benchmarks.
    pub fn direct(&self) -> SocketAddr {
        self.direct
    }

    /// Makes a table unless it is there, and sets its TTL attribute.
    pub fn ensure(&self, table: &TableSpec) -> Result<(), DynamodbError> {
        if self.database.get_table_metadata(&table.name)?.is_none() {
            self.database.create_table(request(table))?;
        }
        let Some(ttl) = &table.ttl else {
            return Ok(());
        };
        let describe =
            dynoxide::actions::describe_time_to_live::DescribeTimeToLiveRequest { table_name: table.name.clone() };
        let set = self.database.describe_time_to_live(describe)?;
        if set.time_to_live_description.attribute_name.is_none() {
            self.database.update_time_to_live(UpdateTimeToLiveRequest {
                table_name: table.name.clone(),
                time_to_live_specification: TimeToLiveSpecification { attribute_name: ttl.clone(), enabled: true },
            })?;
        }
        Ok(())
    }

    /// Deletes what has expired, and gives how many items that were. The emulator does not do it by itself.
    pub async fn sweep_ttl(&self) -> Result<usize, DynamodbError> {
        let database = self.database.clone();
        Ok(tokio::task::spawn_blocking(move || database.sweep_ttl()).await??)
    }

    /// Hands a request to the emulator and its answer back. The last `withheld` entries of a batch come back
    /// unprocessed.
    pub(super) async fn forward(&self, parts: &Parts, action: &str, body: Bytes, withheld: usize) -> Reply {
        if withheld == 0 {
            return self.pass(parts, body).await;
        }
        let Some(batch) = Batch::split(action, &body, withheld) else {
            return self.pass(parts, body).await;
        };
        if batch.is_empty() {
            let kind = super::Service::Dynamodb;
            return Ok(kind.json(Ok(batch.unprocessed())));
        }
        let reply = self.pass(parts, batch.request.to_string().into()).await?;
        if !reply.status().is_success() {
            return Ok(reply);
        }
        let (mut head, body) = reply.into_parts();
        let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
        let mut answer: Value = serde_json::from_slice(&body).map_err(|_| Cut)?;
        if let (Some(answer), Value::Object(left)) = (answer.as_object_mut(), batch.unprocessed()) {
            answer.extend(left);
        }
        head.headers.remove("x-amz-crc32");
        Ok(Response::from_parts(head, Full::new(answer.to_string().into())))
    }

    /// Answers a `GetItem` with the past, where [`Dynamodb::note`] saw it; hands everything else to the emulator.
    pub(super) async fn stale(&self, parts: &Parts, action: &str, body: Bytes) -> Reply {
        match self.past.answer(&body) {
            Some(item) if action == "GetItem" => {
                Ok(super::plain(StatusCode::OK, super::Service::Dynamodb.content_type(), item))
            }
            Some(_) | None => self.forward(parts, action, body, 0).await,
        }
    }

    /// Hands an `UpdateItem` to the emulator, and keeps what it answers for [`Dynamodb::stale`].
    pub(super) async fn noting(&self, parts: &Parts, body: Bytes) -> Reply {
        let reply = self.pass(parts, body.clone()).await?;
        let (head, answer) = reply.into_parts();
        let answer = answer.collect().await.map_err(|_| Cut)?.to_bytes();
        self.past.note(&body, &answer);
        Ok(Response::from_parts(head, Full::new(answer)))
    }

    async fn pass(&self, parts: &Parts, body: Bytes) -> Reply {
        let uri = Uri::builder()
            .scheme("http")
            .authority(self.direct.to_string())
            .path_and_query("/")
            .build()
            .map_err(|_| Cut)?;
        let action = parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok()?.rsplit('.').next());
        let action = action.unwrap_or_default();
        let mut request = Request::new(Full::new(self.meter.asking(action, body)));
        *request.method_mut() = parts.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = passed_on(&parts.headers);
        let reply = self.client.request(request).await.map_err(|_| Cut)?;
        let (mut head, body) = reply.into_parts();
        let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
        self.meter.note(action, &body);
        head.version = http::Version::HTTP_11;
        head.headers = passed_on(&head.headers);
        Ok(Response::from_parts(head, Full::new(body)))
    }
}

fn request(table: &TableSpec) -> CreateTableRequest {
    let key = |name: &String, key_type| KeySchemaElement { attribute_name: name.clone(), key_type };
    let mut key_schema = vec![key(&table.partition, KeyType::HASH)];
    key_schema.extend(table.sort.as_ref().map(|sort| key(sort, KeyType::RANGE)));
    let attribute_definitions = table
        .attributes
        .iter()
        .map(|(name, kind)| AttributeDefinition {
            attribute_name: name.clone(),
            attribute_type: match kind {
                KeyAttribute::Text => ScalarAttributeType::S,
                KeyAttribute::Number => ScalarAttributeType::N,
                KeyAttribute::Binary => ScalarAttributeType::B,
            },
        })
        .collect();
    CreateTableRequest {
        table_name: table.name.clone(),
        key_schema,
        attribute_definitions,
        billing_mode: Some("PAY_PER_REQUEST".to_owned()),
        ..CreateTableRequest::default()
    }
}

/// The headers without those that belong to one connection.
fn passed_on(headers: &HeaderMap) -> HeaderMap {
    let mut passed = headers.clone();
    for name in [HOST, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
        passed.remove(name);
    }
    passed
}

/// A batch call of which some entries are kept back.
struct Batch {
    request: Value,
    kept: Map<String, Value>,
    /// The member of the answer that names what was not processed.
    member: &'static str,
}

impl Batch {
    fn split(action: &str, body: &[u8], count: usize) -> Option<Self> {
        let member = match action {
            "BatchWriteItem" => "UnprocessedItems",
            "BatchGetItem" => "UnprocessedKeys",
            _ => return None,
        };
        let mut request: Value = serde_json::from_slice(body).ok()?;
        let tables = request.get_mut("RequestItems")?.as_object_mut()?;
        let mut kept = Map::new();
        let mut left = count;
        for (table, wanted) in tables.iter_mut() {
            let mut back = wanted.clone();
            let entries = entries(wanted)?;
            let from = entries.len().saturating_sub(left);
            let taken = entries.split_off(from);
            left -= taken.len();
            if !taken.is_empty() {
                *self::entries(&mut back)? = taken;
                kept.insert(table.clone(), back);
            }
        }
        tables.retain(|_, wanted| entries(wanted).is_some_and(|entries| !entries.is_empty()));
        Some(Self { request, kept, member })
    }

    fn is_empty(&self) -> bool {
        self.request["RequestItems"].as_object().is_none_or(Map::is_empty)
    }

    fn unprocessed(&self) -> Value {
        json!({ self.member: self.kept })
    }
}

/// The entries of one table: a list of writes, or the keys of a read.
fn entries(table: &mut Value) -> Option<&mut Vec<Value>> {
    if table.is_object() {
        return table.get_mut("Keys")?.as_array_mut();
    }
    table.as_array_mut()
}

/// The tables that a request names, for the faults.
pub(super) fn tables(body: &[u8]) -> Vec<String> {
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    let mut tables: Vec<String> = request["TableName"].as_str().map(str::to_owned).into_iter().collect();
    if let Some(batch) = request["RequestItems"].as_object() {
        tables.extend(batch.keys().cloned());
    }
    for step in request["TransactItems"].as_array().into_iter().flatten() {
        let names = step.as_object().into_iter().flat_map(Map::values);
        tables.extend(names.filter_map(|call| call["TableName"].as_str().map(str::to_owned)));
    }
    tables
}

/// `TransactionConflictException` of a single write; of a transaction, its cancellation with that reason for the
/// first item.
pub(super) fn conflict(action: &str, body: &[u8]) -> Refusal {
    let kind = |name: &str| format!("com.amazonaws.dynamodb.v20120810#{name}");
    if !matches!(action, "TransactWriteItems" | "TransactGetItems") {
        return Refusal::new(
            StatusCode::BAD_REQUEST,
            kind("TransactionConflictException"),
            "TransactionConflictException",
            "Transaction is ongoing for the item",
        );
    }
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    let steps = request["TransactItems"].as_array().map_or(1, Vec::len);
    let mut reasons = vec![json!({ "Code": "None" }); steps.max(1)];
    reasons[0] = json!({
        "Code": "TransactionConflict",
        "Message": "Transaction is ongoing for the item",
    });
    let codes: Vec<&str> = reasons.iter().filter_map(|reason| reason["Code"].as_str()).collect();
    let message =
        format!("Transaction cancelled, please refer cancellation reasons for specific reasons [{}]", codes.join(", "));
    let mut refusal = Refusal::new(
        StatusCode::BAD_REQUEST,
        kind("TransactionCanceledException"),
        "TransactionCanceledException",
        &message,
    );
    refusal.reasons = Some(Value::Array(reasons));
    refusal
}
