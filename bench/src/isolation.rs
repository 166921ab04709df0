//! One app must not slow another: what an app waits for its pushes while the vendor of another app hangs, in one run.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use pushbell::id::ClientId;
use pushbell::time::Timestamp;
use pushbell_local::aws::sqs::Delayed;
use pushbell_local::faults::{Effect, Rule, Target};
use pushbell_local::phones::View;
use pushbell_local::stack::{Options, Processes, Stack};
use tokio::task::JoinSet;

use crate::{Error, population, stats};

/// `Basic <app>:demo-master`, of both apps.
const MASTERS: [(&str, &str); 2] =
    [("demo", "Basic ZGVtbzpkZW1vLW1hc3Rlcg=="), ("slow", "Basic c2xvdzpkZW1vLW1hc3Rlcg==")];
/// Clients of each app, with one Android phone each.
const CLIENTS: usize = 1_000;
/// The app that is watched sends to one client so often.
const EVERY: Duration = Duration::from_millis(40);
/// The other one sends to a group with every so manieth of those, ...
const GROUP_EVERY: u64 = 12;
/// ... of so many.
const GROUP: usize = 100;
/// How long the vendor takes while it hangs.
const HANG: Duration = Duration::from_secs(30);

type Http = Client<HttpConnector, Full<Bytes>>;

pub(crate) async fn run(phase: Duration) -> Result<(), Error> {
    let processes = Processes::beside_this_binary()?;
    if !processes.binaries.join("deliver").is_file() {
        println!("the function binaries are not built: `cargo build --release --workspace` builds them");
        return Ok(());
    }
    let apps = apps()?;
    // As many environments as the template allows.
    let processes = Processes { environments: 50, ..processes };
    let options = Options { processes: Some(processes), apps: apps.path().to_owned(), ..Options::test() };
    let stack = Stack::start(options).await?;
    let http = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    for (app, master) in MASTERS {
        register(&stack, &http, app, master).await?;
    }
    println!(
        "app `demo`: one client every {EVERY:?}; app `slow`: a group of {GROUP} every {:?}; {phase:?} each",
        EVERY * u32::try_from(GROUP_EVERY)?
    );
    let mut number = 0;
    load(&stack, &http, "warm", Duration::from_secs(5), &mut number).await?;
    stack.idle(Delayed::Ignored).await?;
    let quiet = load(&stack, &http, "quiet", phase, &mut number).await?;
    let hang =
        Rule::new(Target::Fcm, Effect::Delay { ms: u64::try_from(HANG.as_millis())? }).body_contains("fcm-slow-");
    let hang = stack.aws.faults.add(hang)?;
    let hanging = load(&stack, &http, "hanging", phase, &mut number).await?;
    let asked = stack.aws.faults.fired(hang);
    stack.aws.faults.clear();
    println!("  callback to vendor accepted, of `demo`   p50 / p99");
    for (name, times) in [("all is well", &quiet), ("`slow` hangs", &hanging)] {
        let (p50, p99) = (stats::quantile(times, 0.5), stats::quantile(times, 0.99));
        println!("    {name:<38} {p50} / {p99} ms ({} pushes)", times.len());
    }
    println!(
        "  sends of `slow` that were tried while its vendor hung: {asked} of {}",
        phase.as_millis() / EVERY.as_millis() / u128::from(GROUP_EVERY) * GROUP as u128
    );
    stack.stop().await;
    Ok(())
}

/// The demo app twice.
fn apps() -> Result<tempfile::TempDir, Error> {
    let folder = tempfile::tempdir()?;
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../local/apps/demo");
    for (app, _) in MASTERS {
        let own = folder.path().join(app);
        std::fs::create_dir(&own)?;
        for document in ["callers.json", "settings.json", "vendors.json"] {
            std::fs::copy(demo.join(document), own.join(document))?;
        }
    }
    Ok(folder)
}

fn clients(app: &str) -> Result<Vec<ClientId>, Error> {
    Ok((0..CLIENTS).map(|n| ClientId::parse(format!("{app}-{n:04}"))).collect::<Result<_, _>>()?)
}

async fn post(http: &Http, url: String, headers: &[(&str, &str)], body: String) -> Result<u16, Error> {
    let mut request = http::Request::post(url).header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = http.request(request.body(Full::new(Bytes::from(body)))?).await?;
    let status = response.status().as_u16();
    response.into_body().collect().await?;
    Ok(status)
}

async fn register(stack: &Stack, http: &Http, app: &str, master: &str) -> Result<(), Error> {
    for client in clients(app)? {
        let token = format!("fcm-{client}");
        let body = serde_json::json!({"platform": "android", "deviceId": token, "userId": client.as_str()}).to_string();
        let url = format!("{}/push/{app}/register-device", stack.url());
        let status = post(http, url, &[("authorization", master)], body).await?;
        if status != 204 {
            return Err(format!("a registration was answered {status}").into());
        }
    }
    Ok(())
}

/// Both apps send for so long, on time whatever becomes of it. What each push of `demo` took, in milliseconds, sorted.
async fn load(stack: &Stack, http: &Http, name: &str, phase: Duration, number: &mut u64) -> Result<Vec<u64>, Error> {
    let (watched, others) = (clients("demo")?, clients("slow")?);
    let mut calls: JoinSet<Result<(String, Timestamp), Error>> = JoinSet::new();
    let mut clock = tokio::time::interval(EVERY);
    let end = tokio::time::Instant::now() + phase;
    while clock.tick().await < end {
        *number += 1;
        let id = format!("{name}-{number}");
        let one = [watched[fastrand::usize(..watched.len())].clone()];
        calls.spawn(call(http.clone(), stack.url(), "demo", id.clone(), population::callback(&id, &one).to_string()));
        if number.is_multiple_of(GROUP_EVERY) {
            let from = fastrand::usize(..others.len() - GROUP);
            let body = population::callback(&id, &others[from..from + GROUP]).to_string();
            calls.spawn(call(http.clone(), stack.url(), "slow", id, body));
        }
    }
    let mut sent_at = HashMap::new();
    while let Some(done) = calls.join_next().await {
        let (id, at) = done??;
        sent_at.insert(id, at);
    }
    // What is under way now comes within a send's deadline.
    let watched_sent = usize::try_from(phase.as_millis() / EVERY.as_millis())?;
    let mut took = Vec::new();
    for _ in 0..100 {
        took = accepted(stack, &sent_at)?;
        if took.len() >= watched_sent {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    took.sort_unstable();
    Ok(took)
}

async fn call(http: Http, url: String, app: &str, id: String, body: String) -> Result<(String, Timestamp), Error> {
    let at = Timestamp::now();
    match post(&http, format!("{url}/hooks/{app}/demo-secret/imkit"), &[], body).await? {
        200 => Ok((id, at)),
        status => Err(format!("a callback of {app} was answered {status}").into()),
    }
}

fn accepted(stack: &Stack, sent_at: &HashMap<String, Timestamp>) -> Result<Vec<u64>, Error> {
    let mut took = Vec::new();
    for phone in stack.phones.list(View::Raw, None)? {
        if !phone.token.starts_with("fcm-demo-") {
            continue;
        }
        for push in phone.notifications {
            if let Some(at) = push.collapse_id.as_ref().and_then(|id| sent_at.get(id)) {
                took.push(u64::try_from(push.at)?.saturating_sub(at.as_millis()));
            }
        }
    }
    Ok(took)
}
