//! The hooks over HTTP, through the local gateway and the real binaries: how long a chat server waits for its answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use pushbell::env::Queue;
use pushbell::id::ClientId;
use pushbell_local::stack::{Options, Processes, Stack};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::report::{Report, grouped};
use crate::{Error, population, rig, stats};

/// What a run may be told.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    /// Calls at each number of connections.
    #[arg(long, default_value_t = 3_000)]
    pub(crate) calls: usize,
}

const CONNECTIONS: [usize; 3] = [1, 16, 64];
/// Calls before anything is measured, for each connection.
const WARM_UP: usize = 4;
/// Environments of each function.
const ENVIRONMENTS: usize = 4;

/// What is called: its name, its path, its body. Each call is another message.
#[derive(Clone)]
struct Hook {
    name: &'static str,
    function: &'static str,
    url: String,
    body: Arc<dyn Fn(usize) -> String + Send + Sync>,
}

pub(crate) async fn run(arguments: &Arguments) -> Result<Report, Error> {
    rig::binaries()?;
    let processes = Processes { environments: ENVIRONMENTS, ..Processes::beside_this_binary()? };
    let stack = Stack::start(Options { processes: Some(processes), ..Options::test() }).await?;
    let clients = population::clients(1_000)?;
    population::seed(&stack, &clients, 5).await?;
    // What is queued stays there: the hook is measured, and not who shares its two cores with it.
    let variables = population::operator(&stack)?;
    for queue in [Queue::Deliver, Queue::FanOut] {
        let url = variables.queue(queue)?;
        stack.aws.queues.pause(url.rsplit('/').next().unwrap_or_default(), true);
    }
    let mut report = Report::new("Callbacks");
    report.text(&format!(
        "`cargo run --release -p bench -- callback`. HTTP calls to the local gateway, which hands them to {ENVIRONMENTS} processes of the real \
         binary; {} calls at each number of connections, each of which calls again as soon as it is answered. Caller, gateway, tables and \
         functions share this machine.",
        grouped(&arguments.calls.to_string())
    ));
    let mut rows = Vec::new();
    for hook in hooks(&stack, &clients)? {
        for connections in CONNECTIONS {
            call(&hook, connections, connections * WARM_UP).await?;
            let (cpu, started) = (cpu(hook.function), Instant::now());
            let took = call(&hook, connections, arguments.calls).await?;
            let seconds = rig::seconds(started);
            let cpu = self::cpu(hook.function) - cpu;
            #[expect(clippy::cast_precision_loss, reason = "figures to be read")]
            let (ms, count) = (|q| format!("{:.2}", stats::quantile(&took, q) as f64 / 1e3), took.len() as f64);
            rows.push(vec![
                hook.name.to_owned(),
                connections.to_string(),
                ms(0.5),
                ms(0.99),
                grouped(&format!("{:.0}", count / seconds)),
                format!("{:.2}", cpu * 1e3 / count),
            ]);
        }
    }
    report.table(&["", "connections", "p50, ms", "p99, ms", "calls/s", "CPU ms of the function a call"], &rows);
    stack.stop().await;
    Ok(report)
}

fn cpu(function: &str) -> f64 {
    stats::children(function).iter().filter_map(|pid| stats::cpu(*pid)).sum()
}

fn hooks(stack: &Stack, clients: &[ClientId]) -> Result<Vec<Hook>, Error> {
    let imkit = |name, group: usize| {
        let to: Vec<ClientId> = clients[..group].to_vec();
        let body = move |n: usize| population::callback(&format!("callback-{group}-{n}"), &to).to_string();
        Hook {
            name,
            function: "generic-push",
            url: format!("{}/hooks/demo/demo-secret/imkit", stack.url()),
            body: Arc::new(body),
        }
    };
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../events/before-push/v3.8-offline-single.json");
    let sample: Value = serde_json::from_slice(&std::fs::read(sample)?)?;
    let body: Value = serde_json::from_str(sample["body"].as_str().ok_or("the sample has no body")?)?;
    let to = clients[0].as_str().to_owned();
    let openim = move |n: usize| {
        let mut body = body.clone();
        body["userIDList"] = json!([to]);
        body["clientMsgID"] = format!("callback-{n}").into();
        body.to_string()
    };
    Ok(vec![
        imkit("generic-push, one recipient", 1),
        imkit("generic-push, 20 recipients", 20),
        imkit("generic-push, 1,000 recipients", 1_000),
        Hook {
            name: "before-push, one recipient",
            function: "before-push",
            url: format!("{}{}", stack.url(), sample["rawPath"].as_str().ok_or("the sample has no path")?),
            body: Arc::new(openim),
        },
    ])
}

/// Each connection calls as soon as its last call is answered. What each call took, in microseconds, sorted.
async fn call(hook: &Hook, connections: usize, calls: usize) -> Result<Vec<u64>, Error> {
    /// So that no two calls of a run are the same message.
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    let begun = Arc::new(AtomicUsize::new(0));
    let mut callers: JoinSet<Result<Vec<u64>, Error>> = JoinSet::new();
    for _ in 0..connections {
        let (hook, begun) = (hook.clone(), Arc::clone(&begun));
        callers.spawn(async move {
            let http = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
            let mut took = Vec::new();
            while begun.fetch_add(1, Ordering::Relaxed) < calls {
                let body = (hook.body)(CALLS.fetch_add(1, Ordering::Relaxed));
                let request = http::Request::post(&hook.url)
                    .header("content-type", "application/json")
                    .body(Full::new(Bytes::from(body)))?;
                let started = Instant::now();
                let response = http.request(request).await?;
                let status = response.status();
                let answer = response.into_body().collect().await?.to_bytes();
                if status != 200 {
                    return Err(format!("{}: {status}: {}", hook.name, String::from_utf8_lossy(&answer)).into());
                }
                took.push(u64::try_from(started.elapsed().as_micros())?);
            }
            Ok(took)
        });
    }
    let mut took = Vec::with_capacity(calls);
    while let Some(done) = callers.join_next().await {
        took.extend(done??);
    }
    took.sort_unstable();
    Ok(took)
}
