//! Cold starts: from starting a process to its first poll of the Runtime API, to its first request to DynamoDB, and to its first send.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use pushbell::id::ClientId;
use pushbell_local::runtime_api::Output;
use serde_json::{Value, json};
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConnection, ServerConnection};

use crate::front::Front;
use crate::population::{self, Roads};
use crate::report::{Report, Runs};
use crate::rig::{self, ONE_TO_ONE, Process};
use crate::side_by_side::{Node, node_variables};
use crate::{Error, tls};

/// What a run may be told.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    /// Starts of each function.
    #[arg(long, default_value_t = 20)]
    pub(crate) starts: usize,
    /// Leaves the peer in Node out.
    #[arg(long)]
    pub(crate) without_node: bool,
}

/// All of them.
pub(crate) const FUNCTIONS: [&str; 13] = [
    "generic-push",
    "before-push",
    "devices",
    "notify",
    "stats",
    "push-results",
    "fan-out",
    "deliver",
    "retry",
    "tally",
    "report",
    "feedback",
    "trigger",
];

#[derive(Default)]
struct Figures {
    poll: Runs,
    dynamodb: Runs,
    vendor: Runs,
    memory: Runs,
}

pub(crate) async fn run(arguments: &Arguments) -> Result<Report, Error> {
    let handshake = handshake()?;
    let stack = rig::stack().await?;
    stack.phones.count_only(true);
    let front = Front::start(stack.aws_url(), stack.vendors_url()).await?;
    let binaries = rig::binaries()?;
    let clients = population::clients(arguments.starts * 2)?;
    population::seed_on(&stack, &clients, 5, (Roads::Direct, 10), pushbell::time::Timestamp::now()).await?;
    let mut rows: Vec<(String, Figures)> = Vec::new();
    let hello = binaries.join("hello");
    rows.push((
        "a bare lambda_http hello".to_owned(),
        starts(
            arguments,
            &front,
            |_| Process::new("hello", &hello, Vec::new(), Output::Hidden),
            |_| hook("generic-push", "v2-text"),
        )
        .await?,
    ));
    for function in FUNCTIONS {
        let mut variables = stack.variables(function)?;
        variables.insert("AWS_ENDPOINT_URL".to_owned(), front.aws.clone());
        variables.insert("SSL_CERT_FILE".to_owned(), tls::certificate_file().display().to_string());
        let (binary, variables): (_, Vec<_>) = (binaries.join(function), variables.into_iter().collect());
        let process = |_| Process::new(function, &binary, variables.clone(), Output::Hidden);
        rows.push((function.to_owned(), starts(arguments, &front, process, |n| event(function, n, &clients)).await?));
    }
    if !arguments.without_node {
        let folder = tempfile::tempdir()?;
        for (name, bootstrap) in [("Node", Node::Modules.bootstrap()?), ("Node, bundled", Node::Bundled.bootstrap()?)] {
            let variables = node_variables(&stack, folder.path(), &front.aws, &front.vendors)?;
            let process = |_| Process::new("node", &bootstrap, variables.clone(), Output::Shown);
            rows.push((name.to_owned(), starts(arguments, &front, process, |n| event("deliver", n, &clients)).await?));
        }
    }
    stack.stop().await;
    Ok(report(arguments, &rows, handshake))
}

/// Starts a process anew, gives it an event, and ends it; time after time.
async fn starts(
    arguments: &Arguments,
    front: &Front,
    process: impl Fn(usize) -> Process,
    event: impl Fn(usize) -> Result<Value, Error>,
) -> Result<Figures, Error> {
    let mut figures = Figures::default();
    for n in 0..arguments.starts {
        let process = process(n);
        front.begin(false);
        // A function may refuse its event; it has started all the same.
        let _ = process.invoke(&event(n)?).await;
        let started = process.started().ok_or("the process is gone")?;
        let millis = |at: Instant| at.saturating_duration_since(started.at).as_secs_f64() * 1e3;
        figures.poll.push(millis(started.polled.ok_or("the process has not polled")?));
        let firsts = front.firsts();
        firsts.dynamodb.into_iter().for_each(|at| figures.dynamodb.push(millis(at)));
        firsts.vendor.into_iter().for_each(|at| figures.vendor.push(millis(at)));
        figures.memory.push(process.peak_mib());
        process.end().await;
    }
    Ok(figures)
}

fn event(function: &str, n: usize, clients: &[ClientId]) -> Result<Value, Error> {
    let own = &clients[n % clients.len()..=n % clients.len()];
    Ok(match function {
        "generic-push" => hook(function, "v2-text")?,
        "before-push" => hook(function, "v3.8-offline-single")?,
        "devices" => hook(function, "kinvey-register-android")?,
        "notify" => hook(function, "user-id")?,
        "stats" => hook(function, "lanying-task-detail")?,
        "push-results" => hook(function, "page-sample")?,
        "report" => hook(function, "outcomes")?,
        "feedback" => hook(function, "endpoint-updated")?,
        "trigger" => hook(function, "stream")?,
        "retry" => json!({}),
        "deliver" => {
            let task = 2_000_000_000_000_000 + u64::try_from(n)?;
            let mut events = rig::events(ONE_TO_ONE, own, task);
            serde_json::to_value(events.pop())?
        }
        "fan-out" => {
            let to: Vec<&str> =
                std::iter::repeat_with(|| clients.iter().map(ClientId::as_str)).flatten().take(101).collect();
            let task = 3_000_000_000_000_000 + u64::try_from(n)?;
            batch(
                &json!({"task": task, "nonce": "benchmrk", "first": 0, "claimed_at": 1_767_225_600_000_u64,
                "message": rig::message(&format!("bench-{task}")), "to": to})
                .to_string(),
            )
        }
        "tally" => batch(&crate::tally::record_of_one(u32::try_from(n)?)?),
        other => return Err(format!("no event for {other}").into()),
    })
}

/// A batch of one record.
fn batch(body: &str) -> Value {
    let attributes = json!({"ApproximateReceiveCount": "1", "SentTimestamp": "1767225600600", "ApproximateFirstReceiveTimestamp": "1767225600600"});
    json!({"Records": [{"messageId": "1", "receiptHandle": "1", "body": body, "attributes": attributes, "messageAttributes": {},
        "eventSource": "aws:sqs", "awsRegion": "us-east-1"}]})
}

/// A sample invocation.
fn hook(function: &str, name: &str) -> Result<Value, Error> {
    let path =
        PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../events")).join(function).join(format!("{name}.json"));
    Ok(serde_json::from_slice(&std::fs::read(path)?)?)
}

/// CPU time of a client in the first TLS handshake of this process, in milliseconds, and in the tenth: ring on both sides, as the functions
/// have it.
fn handshake() -> Result<(f64, f64), Error> {
    let (client, server) = (std::sync::Arc::new(tls::client()?), tls::server()?);
    let name = ServerName::try_from("127.0.0.1")?;
    let mut spent = Vec::new();
    for _ in 0..10 {
        let mut own = Duration::ZERO;
        let begun = cpu_time();
        let mut client = ClientConnection::new(std::sync::Arc::clone(&client), name.clone())?;
        own += cpu_time().saturating_sub(begun);
        let mut server = ServerConnection::new(std::sync::Arc::clone(&server))?;
        while client.is_handshaking() || server.is_handshaking() {
            let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
            let begun = cpu_time();
            while client.wants_write() {
                client.write_tls(&mut to_server)?;
            }
            own += cpu_time().saturating_sub(begun);
            let mut rest = to_server.as_slice();
            while !rest.is_empty() {
                server.read_tls(&mut rest)?;
                server.process_new_packets()?;
            }
            while server.wants_write() {
                server.write_tls(&mut to_client)?;
            }
            let begun = cpu_time();
            let mut rest = to_client.as_slice();
            while !rest.is_empty() {
                client.read_tls(&mut rest)?;
                client.process_new_packets()?;
            }
            own += cpu_time().saturating_sub(begun);
        }
        spent.push(own.as_secs_f64() * 1e3);
    }
    Ok((spent[0], spent[9]))
}

/// CPU time of this thread.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

fn report(arguments: &Arguments, rows: &[(String, Figures)], (first, later): (f64, f64)) -> Report {
    let mut report = Report::new("Cold starts");
    report.text(&format!(
        "`cargo run --release -p bench -- cold`. Milliseconds from just before a process is started, its binary in the page cache: to its first \
         poll of the Runtime API with its clients built, to its first request to DynamoDB, to its first send at FCM (a new TLS connection, \
         an access token before it). Median of {} starts, and the least and the most.",
        arguments.starts
    ));
    let hello = rows.first().map_or(f64::NAN, |(_, figures)| figures.poll.median());
    let node: BTreeMap<&str, f64> = rows.iter().map(|(name, figures)| (name.as_str(), figures.poll.median())).collect();
    let own = node.get("deliver").copied().unwrap_or(f64::NAN);
    let slowest = FUNCTIONS.iter().filter_map(|name| node.get(name).copied()).fold(0.0, f64::max);
    let of_node = node.get("Node, bundled").or(node.get("Node")).copied();
    let rows: Vec<_> = rows
        .iter()
        .map(|(name, figures)| {
            let some = |runs: &Runs| if runs.is_empty() { "–".to_owned() } else { runs.text(1) };
            let poll = figures.poll.median();
            vec![
                name.clone(),
                figures.poll.text(2),
                format!("{:.1}", poll / hello),
                of_node.map_or_else(|| "–".to_owned(), |node| format!("1/{:.0}", node / poll)),
                some(&figures.dynamodb),
                some(&figures.vendor),
                figures.memory.text(1),
            ]
        })
        .collect();
    report.table(
        &[
            "function",
            "first poll",
            "of the hello's",
            "of Node's, bundled",
            "first request to DynamoDB",
            "first send",
            "peak MiB after one event",
        ],
        &rows,
    );
    report.bar(
        "cold start of the slowest function, to its first poll",
        "under 5 of a bare hello's",
        format!("{:.1}", slowest / hello),
        slowest < 5.0 * hello,
    );
    if let Some(node) = of_node {
        report.bar(
            "cold start of deliver, to its first poll",
            "1/25 of Node's",
            format!("1/{:.0} (bundled)", node / own),
            own * 25.0 <= node,
        );
    }
    report.bar("CPU of the first TLS handshake", "under 1 ms", format!("{first:.2} ms"), first < 1.0);
    report.text(&format!(
        "CPU time of a client in a TLS handshake (rustls on ring, P-256): {first:.2} ms in a process's first one, {later:.2} ms in its tenth. With \
         AWS-LC's jitter entropy the first one costs some 20 ms more."
    ));
    report
}
