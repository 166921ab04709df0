//! Calls over HTTP, through the gateway.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use pushbell::id::ClientId;
use pushbell_local::stack::Stack;
use tokio::task::JoinSet;

use super::{event, unfiltered};
use crate::{Error, stats};

/// What calls of one kind came to.
pub(super) struct Row {
    recipients: usize,
    connections: usize,
    /// What each call took, in microseconds, sorted.
    took: Vec<u64>,
    /// Recipients of each call who were not filtered, where that can be told.
    unfiltered: Vec<Option<usize>>,
    /// CPU time of the function's processes, in seconds.
    cpu: f64,
    /// The most memory that one of them has had since it was started, in MiB.
    peak: f64,
}

/// The columns of [`Row::print`].
pub(super) fn head() {
    println!(
        "  {:>10} {:>11} {:>6} {:>8} {:>8} {:>8}  {:<22} {:>11} {:>19} {:>8}",
        "recipients",
        "connections",
        "calls",
        "p50 ms",
        "p99 ms",
        "max ms",
        "unfiltered",
        "CPU ms/call",
        "CPU ms/1,000 recip.",
        "peak MiB"
    );
}

/// `calls` calls with all of `clients`, over so many connections at once, after some that are not counted.
pub(super) async fn load(stack: &Stack, clients: &[ClientId], connections: usize, calls: usize) -> Result<Row, Error> {
    let event = event(clients)?;
    let field = |name: &str| event[name].as_str().map(str::to_owned).ok_or("the sample lacks a field");
    let url = format!("{}{}", stack.url(), field("rawPath")?);
    let body = Bytes::from(field("body")?);
    send(&url, &body, connections, connections * 2).await?;
    let before = cpu();
    let answers = send(&url, &body, connections, calls).await?;
    let cpu = cpu() - before;
    let mut took: Vec<u64> = answers.iter().map(|(took, _)| *took).collect();
    took.sort_unstable();
    let unfiltered: Result<_, Error> = answers.iter().map(|(_, answer)| unfiltered(clients.len(), answer)).collect();
    let peaks = stats::children("before-push").into_iter().filter_map(|pid| stats::memory(pid, "VmHWM"));
    let peak = peaks.fold(0.0, f64::max);
    Ok(Row { recipients: clients.len(), connections, took, unfiltered: unfiltered?, cpu, peak })
}

fn cpu() -> f64 {
    stats::children("before-push").iter().filter_map(|pid| stats::cpu(*pid)).sum()
}

/// Each connection calls as soon as its last call is answered. What each call took, in microseconds, and its answer.
async fn send(url: &str, body: &Bytes, connections: usize, calls: usize) -> Result<Vec<(u64, Bytes)>, Error> {
    let begun = Arc::new(AtomicUsize::new(0));
    let mut callers: JoinSet<Result<Vec<_>, Error>> = JoinSet::new();
    for _ in 0..connections {
        let (url, body, begun) = (url.to_owned(), body.clone(), Arc::clone(&begun));
        callers.spawn(async move {
            let http = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
            let mut answers = Vec::new();
            while begun.fetch_add(1, Ordering::Relaxed) < calls {
                let request = http::Request::post(&url).header("content-type", "application/json");
                let started = Instant::now();
                let response = http.request(request.body(Full::new(body.clone()))?).await?;
                let status = response.status();
                let answer = response.into_body().collect().await?.to_bytes();
                if status != 200 {
                    return Err(format!("{status}: {}", String::from_utf8_lossy(&answer)).into());
                }
                answers.push((u64::try_from(started.elapsed().as_micros())?, answer));
            }
            Ok(answers)
        });
    }
    let mut answers = Vec::with_capacity(calls);
    while let Some(done) = callers.join_next().await {
        answers.extend(done??);
    }
    Ok(answers)
}

impl Row {
    #[cfg(test)]
    pub(super) fn calls(&self) -> usize {
        self.took.len()
    }

    /// In how many calls somebody was not filtered, and how many people that were in all; `None` where it cannot be told.
    pub(super) fn unfiltered(&self) -> Option<(usize, usize)> {
        let all: Vec<usize> = self.unfiltered.iter().copied().collect::<Option<_>>()?;
        Some((all.iter().filter(|people| **people > 0).count(), all.iter().sum()))
    }

    #[expect(clippy::cast_precision_loss, reason = "figures to be read")]
    pub(super) fn print(&self) {
        let ms = |q| stats::quantile(&self.took, q) as f64 / 1_000.0;
        let unfiltered = match self.unfiltered() {
            None => "-".to_owned(),
            Some((0, _)) => "nobody".to_owned(),
            Some((calls, people)) => {
                let share = 100.0 * people as f64 / (self.recipients * self.took.len()) as f64;
                format!("in {calls} calls, {share:.1} %")
            }
        };
        let per_call = 1_000.0 * self.cpu / self.took.len() as f64;
        println!(
            "  {:>10} {:>11} {:>6} {:>8.1} {:>8.1} {:>8.1}  {unfiltered:<22} {per_call:>11.2} {:>19.2} {:>8.1}",
            self.recipients,
            self.connections,
            self.took.len(),
            ms(0.5),
            ms(0.99),
            ms(1.0),
            per_call * 1_000.0 / self.recipients as f64,
            self.peak
        );
    }
}
