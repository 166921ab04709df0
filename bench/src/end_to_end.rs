//! One callback over HTTP, through the real function binaries: the time from the callback to each vendor's acceptance, and `deliver`'s
//! own CPU time and memory.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use pushbell::time::Timestamp;
use pushbell_local::aws::sqs::Delayed;
use pushbell_local::phones::View;
use pushbell_local::stack::{Options, Processes, Stack};

use crate::{Error, population, stats};

pub(crate) async fn run(recipients: usize, rooms: usize, latency: Duration) -> Result<(), Error> {
    let processes = Processes::beside_this_binary()?;
    if !processes.binaries.join("deliver").is_file() {
        println!("the function binaries are not built: `cargo build --release --workspace` builds them");
        return Ok(());
    }
    let processes = Processes { environments: 1, ..processes };
    let stack = Stack::start(Options { processes: Some(processes), ..Options::test() }).await?;
    let clients = population::clients(recipients)?;
    population::seed(&stack, &clients, rooms).await?;
    stack.vendors.set_latency(latency);
    println!("one environment of each function's binary on the emulated Runtime API, callbacks over HTTP");
    for (group, pause) in [(1, 20), (20, 1), (recipients, 1)] {
        one_group(&stack, &clients, group, pause).await?;
    }
    stack.stop().await;
    Ok(())
}

async fn one_group(stack: &Stack, clients: &[pushbell::id::ClientId], group: usize, times: usize) -> Result<(), Error> {
    stack.phones.clear()?;
    let http = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let (mut answered, mut accepted) = (Vec::new(), Vec::new());
    let before: f64 = stats::children("deliver").iter().filter_map(|pid| stats::cpu(*pid)).sum();
    for time in 0..times {
        stack.phones.clear()?;
        let to = &clients[..group];
        let body =
            population::callback(&format!("bench-{group}-{time}-{}", Timestamp::now().as_millis()), to).to_string();
        let request = http::Request::post(format!("{}/hooks/demo/demo-secret/imkit", stack.url()))
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))?;
        let (sent_at, started) = (Timestamp::now(), Instant::now());
        let response = http.request(request).await?;
        let status = response.status();
        let text = response.into_body().collect().await?.to_bytes();
        if status != 200 {
            return Err(format!("{status}: {}", String::from_utf8_lossy(&text)).into());
        }
        answered.push(u64::try_from(started.elapsed().as_millis())?);
        stack.idle(Delayed::Counted).await?;
        for phone in stack.phones.list(View::Raw, None)? {
            for push in phone.notifications {
                accepted.push(u64::try_from(push.at)?.saturating_sub(sent_at.as_millis()));
            }
        }
    }
    answered.sort_unstable();
    accepted.sort_unstable();
    let pids = stats::children("deliver");
    let cpu: f64 = pids.iter().filter_map(|pid| stats::cpu(*pid)).sum::<f64>() - before;
    let peak = pids.iter().filter_map(|pid| stats::memory(*pid, "VmHWM")).fold(0.0, f64::max);
    #[expect(clippy::cast_precision_loss, reason = "figures to be read")]
    let per_thousand = cpu * 1e6 / (group * times) as f64;
    println!("  group of {group}, {times} callback(s)");
    println!("    answered 200 after, p50                 {} ms", stats::quantile(&answered, 0.5));
    println!(
        "    callback to vendor accepted, p50 / p99   {} / {} ms ({} pushes)",
        stats::quantile(&accepted, 0.5),
        stats::quantile(&accepted, 0.99),
        accepted.len()
    );
    println!("    CPU of deliver per 1,000 recipients      {per_thousand:.0} ms");
    println!("    peak memory of deliver                   {peak:.1} MiB");
    Ok(())
}
