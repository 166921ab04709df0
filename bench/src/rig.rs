//! What the parts share: a stack whose vendors speak TLS, processes of one function on the emulated Runtime API, queue events.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use aws_lambda_events::event::sqs::{SqsEvent, SqsMessage};
use bytes::Bytes;
use pushbell::id::ClientId;
use pushbell::time::Timestamp;
use pushbell_local::closing::{Closer, closer};
use pushbell_local::runtime_api::{Output, Pool, SHUTDOWN, Spec, Started};
use pushbell_local::stack::{Options, Processes, Stack};
use serde_json::{Value, json};

use crate::{Error, stats, tls};

/// Memory of `deliver`, as the template has it, in MB. Told, not enforced.
const MEMORY: u32 = 512;

/// A stack whose fake vendors speak HTTP/2 with TLS. Its own functions are in process and get no work.
pub(crate) async fn stack() -> Result<Stack, Error> {
    Ok(Stack::start(Options { vendors_tls: Some(tls::server()?), ..Options::test() }).await?)
}

/// The folder of the release binaries, which must be built.
pub(crate) fn binaries() -> Result<PathBuf, Error> {
    let folder = Processes::beside_this_binary()?.binaries;
    if folder.join("deliver").is_file() {
        Ok(folder)
    } else {
        Err("the functions are not built: `cargo build --release --workspace` builds them".into())
    }
}

/// One process of a function. It ends when this is dropped.
pub(crate) struct Process {
    pool: Pool,
    _open: Closer,
}

impl Process {
    /// It starts with its first invocation.
    pub(crate) fn new(function: &str, binary: &Path, variables: Vec<(String, String)>, output: Output) -> Self {
        let (open, closing) = closer();
        let spec = Spec {
            function: function.to_owned(),
            binary: binary.to_owned(),
            variables,
            memory_mb: MEMORY,
            timeout: Duration::from_secs(60),
            environments: 1,
            shutdown: SHUTDOWN,
            output,
            log: None,
        };
        Self { pool: Pool::new(spec, &closing), _open: open }
    }

    pub(crate) async fn invoke(&self, event: &Value) -> Result<Bytes, Error> {
        Ok(self.pool.invoke(event.to_string().into()).await?)
    }

    /// Hands over a batch of records, all of which must be done.
    pub(crate) async fn deliver(&self, event: &SqsEvent) -> Result<(), Error> {
        let answer = self.pool.invoke(serde_json::to_vec(event)?.into()).await?;
        let answer: Value = serde_json::from_slice(&answer)?;
        match answer["batchItemFailures"].as_array().map(Vec::len) {
            Some(0) => Ok(()),
            _ => Err(format!("records failed: {answer}").into()),
        }
    }

    /// Ends it, as `kill -9` does, and waits until it is gone.
    pub(crate) async fn end(self) {
        self.pool.retire().await;
    }

    pub(crate) fn started(&self) -> Option<Started> {
        self.pool.running().pop()
    }

    /// User and system time that it has used, in milliseconds.
    pub(crate) fn cpu_ms(&self) -> f64 {
        self.started().and_then(|process| stats::cpu(process.pid)).unwrap_or_default() * 1e3
    }

    /// The most memory that it had, in MiB.
    pub(crate) fn peak_mib(&self) -> f64 {
        self.started().and_then(|process| stats::memory(process.pid, "VmHWM")).unwrap_or_default()
    }
}

/// How messages come: recipients of each record, records of each invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    pub(crate) recipients: usize,
    pub(crate) records: usize,
}

/// A message to one client; ten of them come together.
pub(crate) const ONE_TO_ONE: Shape = Shape { name: "one-to-one", recipients: 1, records: 10 };
/// As many to groups of 20.
pub(crate) const GROUP_OF_20: Shape = Shape { name: "group of 20", recipients: 20, records: 10 };
/// A group of 1,000, which travels as ten chunks of 100.
pub(crate) const GROUP_OF_1000: Shape = Shape { name: "group of 1,000", recipients: 100, records: 10 };

/// The invocations that bring a message to each of `clients`. Of tasks, and messages, that start with this number.
pub(crate) fn events(shape: Shape, clients: &[ClientId], task: u64) -> Vec<SqsEvent> {
    let records: Vec<_> = clients.chunks(shape.recipients).collect();
    let mut number = task;
    let mut events = Vec::new();
    for batch in records.chunks(shape.records) {
        let mut event = SqsEvent::default();
        for to in batch {
            event.records.push(record(number, to));
            number += 1;
        }
        events.push(event);
    }
    events
}

fn record(task: u64, to: &[ClientId]) -> SqsMessage {
    let now = Timestamp::now().as_millis();
    let body = json!({
        "task": task, "nonce": "benchmrk", "seq": 0, "claimed_at": now, "message": message(&format!("bench-{task}")),
        "to": to.iter().map(ClientId::as_str).collect::<Vec<_>>()
    });
    let mut record = SqsMessage::default();
    record.message_id = Some(task.to_string());
    record.body = Some(body.to_string());
    for name in ["SentTimestamp", "ApproximateFirstReceiveTimestamp"] {
        record.attributes.insert(name.to_owned(), now.to_string());
    }
    record.attributes.insert("ApproximateReceiveCount".to_owned(), "1".to_owned());
    record.event_source = Some("aws:sqs".to_owned());
    record
}

/// A text to a room, as IMKIT's dialect makes it.
pub(crate) fn message(id: &str) -> Value {
    json!({
        "origin": {
            "app": "demo", "dialect": "imkit", "message": id, "room": "room-4412", "sender": "u-207",
            "written_at": Timestamp::now().as_millis()
        },
        "text": {"title": "Night shift", "body": "Mira: gate 4 is open, please come over with both keys and the list"},
        "badge": {"add": {"n": 1, "source": "room"}},
        "data": {"type": "text", "redirect": "/chat"}
    })
}

/// How long something took, in seconds.
pub(crate) fn seconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64()
}
