//! What a million device pushes cost by AWS's list prices, from what the local stack counts: requests, units, invocations, CPU time, log
//! bytes, bytes to the vendors.

mod prices;

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use pushbell::env::Queue;
use pushbell::id::ClientId;
use pushbell::time::Timestamp;
use pushbell_local::aws::sqs::Delayed;
use pushbell_local::runtime_api::Output;
use pushbell_local::stack::{Options, Processes, Stack};
use serde_json::{Value, json};

use crate::population::{self, Roads};
use crate::report::Report;
use crate::{Error, rig, stats};
use prices::{Bill, Used};

/// Of ten people so many have two phones, the others one: 1.3 phones each.
const WITH_TWO: usize = 3;
/// Messages of a run by their recipients.
const RUNS: [(usize, usize); 4] = [(1, 300), (5, 100), (20, 40), (1_000, 4)];
/// The functions between a chat server's callback and the vendors.
const FUNCTIONS: [&str; 3] = ["generic-push", "fan-out", "deliver"];

/// How an app is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Setting {
    Usual,
    NoClaims,
    HourlyStats,
    Both,
}

impl Setting {
    const fn name(self) -> &'static str {
        match self {
            Self::Usual => "",
            Self::NoClaims => ", without claims",
            Self::HourlyStats => ", stats by the hour",
            Self::Both => ", without claims, stats by the hour",
        }
    }

    fn document(self) -> Option<Value> {
        let frugal = match self {
            Self::Usual => return None,
            Self::NoClaims => json!({"claims": false}),
            Self::HourlyStats => json!({"stats": "hour"}),
            Self::Both => json!({"claims": false, "stats": "hour"}),
        };
        Some(json!({ "frugal": frugal }))
    }
}

/// A kind of traffic.
#[derive(Debug, Clone, Copy)]
struct Case {
    recipients: usize,
    messages: usize,
    roads: Roads,
    /// Messages come so fast that ten records are in an invocation; otherwise each is alone.
    busy: bool,
    setting: Setting,
}

impl Case {
    fn name(&self) -> String {
        let who = match self.recipients {
            1 => "one-to-one".to_owned(),
            n => format!("group of {}", crate::report::grouped(&n.to_string())),
        };
        let pace = if self.busy { "" } else { ", a message at a time" };
        format!("{who}{pace}{}", self.setting.name())
    }
}

/// `part`: of the messages of each case one in so many.
pub(crate) async fn run(part: usize) -> Result<Report, Error> {
    rig::binaries()?;
    let mut cases = Vec::new();
    for roads in [Roads::Direct, Roads::Sns] {
        for (recipients, messages) in RUNS {
            cases.push(Case { recipients, messages, roads, busy: true, setting: Setting::Usual });
        }
    }
    for (recipients, messages) in [(1, 60), (20, 20)] {
        cases.push(Case { recipients, messages, roads: Roads::Direct, busy: false, setting: Setting::Usual });
    }
    for setting in [Setting::NoClaims, Setting::HourlyStats, Setting::Both] {
        cases.push(Case { recipients: 1, messages: 300, roads: Roads::Direct, busy: true, setting });
    }
    let mut bills = Vec::new();
    for case in cases {
        let case = Case { messages: (case.messages / part).max(1), ..case };
        let used = measure(case).await?;
        eprintln!("{}, {:?}: {used:?}", case.name(), case.roads);
        bills.push((case, used));
    }
    Ok(report(&bills))
}

/// Sends the messages of a case, and counts what they use.
async fn measure(case: Case) -> Result<Used, Error> {
    let folder = tempfile::tempdir()?;
    let output = Output::Folder(folder.path().to_owned());
    let processes = Processes { environments: 1, output, ..Processes::beside_this_binary()? };
    let stack = Stack::start(Options { processes: Some(processes), ..Options::test() }).await?;
    stack.phones.count_only(true);
    if let Some(document) = case.setting.document() {
        let own = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../local/apps/demo/settings.json"))?;
        let mut settings: Value = serde_json::from_str(&own)?;
        if let (Some(settings), Value::Object(document)) = (settings.as_object_mut(), document) {
            settings.extend(document);
        }
        stack.put_settings("demo", &settings).await?;
    }
    // Nobody is told twice, so that every count is a first one.
    let count = if case.recipients == 1_000 { 1_000 } else { case.recipients * (case.messages + 1) };
    let clients = population::clients(count)?;
    population::seed_on(&stack, &clients, 5, (case.roads, WITH_TWO), Timestamp::now()).await?;
    let http = Client::builder(TokioExecutor::new()).build_http();
    let to = |n: usize| {
        let first = (n * case.recipients) % clients.len();
        &clients[first..first + case.recipients]
    };
    // Documents are read, connections opened, access tokens fetched.
    call(&http, &stack, to(0), 0).await?;
    stack.idle(Delayed::Counted).await?;
    let before = Counters::of(&stack, folder.path())?;
    stack.aws.dynamodb.meter().start();
    stack.aws.calls.start();
    if case.busy {
        pause(&stack, true)?;
    }
    for n in 1..=case.messages {
        call(&http, &stack, to(n), n).await?;
        if !case.busy {
            stack.idle(Delayed::Counted).await?;
        }
    }
    pause(&stack, false)?;
    stack.idle(Delayed::Counted).await?;
    let after = Counters::of(&stack, folder.path())?;
    let calls = stack.aws.calls.made();
    let pieces = |prefix: &str| {
        calls.iter().filter(|(kind, _)| kind.starts_with(prefix)).map(|(_, count)| count.pieces).sum::<u64>()
    };
    let units = stack.aws.dynamodb.meter().used();
    let used = Used {
        messages: case.messages as u64,
        recipients: (case.messages * case.recipients) as u64,
        pushes: after.accepted - before.accepted,
        write_units: units.values().map(|units| units.write).sum(),
        read_units: units.values().map(|units| units.read).sum(),
        sends: pieces("sqs:SendMessage"),
        publishes: pieces("sns:Publish"),
        vendor_bytes: after.vendor_bytes - before.vendor_bytes,
        functions: FUNCTIONS.map(|name| after.functions[name] - before.functions[name]),
    };
    stack.stop().await;
    Ok(used)
}

fn pause(stack: &Stack, paused: bool) -> Result<(), Error> {
    let variables = population::operator(stack)?;
    for queue in [Queue::Deliver, Queue::FanOut] {
        let url = variables.queue(queue)?;
        stack.aws.queues.pause(url.rsplit('/').next().unwrap_or_default(), paused);
    }
    Ok(())
}

async fn call(
    http: &Client<HttpConnector, Full<Bytes>>,
    stack: &Stack,
    to: &[ClientId],
    n: usize,
) -> Result<(), Error> {
    let request = http::Request::post(format!("{}/hooks/demo/demo-secret/imkit", stack.url()))
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(population::callback(&format!("cost-{n}"), to).to_string())))?;
    let response = http.request(request).await?;
    let status = response.status();
    let text = response.into_body().collect().await?.to_bytes();
    if status == 200 { Ok(()) } else { Err(format!("{status}: {}", String::from_utf8_lossy(&text)).into()) }
}

/// What a function used.
#[derive(Debug, Clone, Copy, Default)]
struct Spent {
    invocations: u64,
    cpu_ms: f64,
    log_bytes: u64,
}

impl std::ops::Sub for Spent {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            invocations: self.invocations - before.invocations,
            cpu_ms: self.cpu_ms - before.cpu_ms,
            log_bytes: self.log_bytes - before.log_bytes,
        }
    }
}

struct Counters {
    accepted: u64,
    vendor_bytes: u64,
    functions: BTreeMap<&'static str, Spent>,
}

impl Counters {
    fn of(stack: &Stack, logs: &Path) -> Result<Self, Error> {
        let mut functions = BTreeMap::new();
        for name in FUNCTIONS {
            let pool = stack.processes(name).ok_or("the stack has no processes")?;
            let cpu: f64 = pool.running().iter().filter_map(|process| stats::cpu(process.pid)).sum();
            let log = logs.join(name).with_extension("log");
            let log_bytes = log.metadata().map_or(0, |file| file.len());
            functions.insert(name, Spent { invocations: pool.invocations(), cpu_ms: cpu * 1e3, log_bytes });
        }
        Ok(Self { accepted: stack.phones.accepted(), vendor_bytes: stack.vendors.bytes(), functions })
    }
}

fn report(bills: &[(Case, Used)]) -> Report {
    let mut report = Report::new("Cost");
    report.text(
        "`cargo run --release -p bench -- cost`. Dollars for a million notifications on phones, by AWS's list prices for us-east-1, without \
         any free tier; 1.3 phones a person, five unread rooms, tokens and marks as in steady state. IMKIT's callbacks go over HTTP through the \
         real binaries of this machine; what they use is counted: DynamoDB's own units, SQS's and SNS's requests in pieces of 64 KiB, \
         invocations, bytes of log, bytes of the requests to FCM. Where an invocation's time is billed it is computed, as this machine \
         is no Lambda: its CPU time here over the share of a CPU that the memory buys (1,769 MB are one), and its waits in the table below.",
    );
    report.text(
        "Messages come fast enough for ten records an invocation, but where it says *a message at a time*: then each is an invocation of its \
         own, as at night. Idle costs are in [operations.md](../docs/operations.md#what-that-costs).",
    );
    let head = [
        "traffic",
        "road",
        "API",
        "Lambda requests",
        "Lambda time",
        "DynamoDB",
        "SQS",
        "logs",
        "traces",
        "egress",
        "SNS",
        "**together**",
    ];
    let rows: Vec<_> = bills
        .iter()
        .map(|(case, used)| {
            let bill = Bill::of(used);
            let road = if case.roads == Roads::Sns { "SNS" } else { "FCM directly" };
            let mut row = vec![case.name(), road.to_owned()];
            row.extend(bill.lines().map(|dollars| format!("{dollars:.3}")));
            row.push(format!("**{:.2}**", bill.total()));
            row
        })
        .collect();
    report.table(&head, &rows);
    report.text("What a million pushes use:");
    let rows: Vec<_> = bills
        .iter()
        .map(|(case, used)| {
            let per = |n: f64| format!("{:.3}", n / used.pushes_f64());
            let [hook, _, deliver] = used.functions;
            vec![
                case.name(),
                if case.roads == Roads::Sns { "SNS" } else { "FCM" }.to_owned(),
                per(used.messages_f64()),
                per(used.write_units),
                per(used.read_units),
                format!("{:.1}", used.records_an_invocation()),
                format!("{:.2}", hook.cpu_ms / used.messages_f64()),
                format!("{:.0}", deliver.cpu_ms * 1e3 / used.recipients_f64()),
                format!("{:.0}", used.log_bytes() / used.pushes_f64()),
                if used.vendor_bytes == 0 {
                    "–".to_owned()
                } else {
                    format!("{:.0}", prices::bytes_out(used) / used.pushes_f64())
                },
            ]
        })
        .collect();
    report.table(
        &[
            "traffic",
            "road",
            "callbacks",
            "write units",
            "read units",
            "records an invocation",
            "CPU ms of generic-push a call",
            "CPU ms of deliver per 1,000 people",
            "log bytes a push",
            "bytes out a push",
        ],
        &rows,
    );
    prices::memory(
        &mut report,
        bills
            .iter()
            .map(|(case, used)| (case.name(), used, case.roads == Roads::Direct && case.setting == Setting::Usual)),
    );
    prices::others(&mut report, bills.iter().map(|(case, used)| (case.name(), used, case.roads == Roads::Direct)));
    prices::tables(&mut report);
    for (case, used) in bills {
        let total = Bill::of(used).total();
        let most = match (case.recipients, case.roads, case.busy, case.setting) {
            (20, Roads::Direct, true, Setting::Usual) => 0.80,
            (1, Roads::Direct, true, Setting::Usual) => 3.60,
            (1, Roads::Direct, true, Setting::Both) => 2.50,
            _ => continue,
        };
        let what = format!("a million pushes directly, {}", case.name());
        report.bar(what, &format!("${most:.2}"), format!("${total:.2}"), total <= most);
    }
    report
}
