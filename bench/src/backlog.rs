//! `retry` against a backlog in the deferred table: rows per second, runs, and when the newest rows went out.

use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use futures_util::stream::{self, TryStreamExt as _};
use pushbell::deferred::{Deferred, Lane, SHARDS};
use pushbell::env::Queue;
use pushbell::id::AppId;
use pushbell::time::Timestamp;
use pushbell_local::stack::{Options, Processes, Stack};

use crate::{Error, population, stats};

/// A queue that no function works off: only `retry` and the fakes have something to do.
const QUEUE: (Queue, &str) = (Queue::DeadLetters, "DeliverDeadLetters");
/// Rows that have become due in the last minute before the first run; the others are late by up to an hour.
const NEWEST: usize = 100;
/// How often the newest rows are looked for.
const LOOK: Duration = Duration::from_millis(50);

/// Seeds `rows` rows of `bytes` bytes of one app, and runs `retry` until none is left.
pub(crate) async fn run(rows: usize, bytes: usize) -> Result<(), Error> {
    let processes = Processes { environments: 1, ..Processes::beside_this_binary()? };
    if !processes.binaries.join("retry").is_file() {
        println!("the function binaries are not built: `cargo build --release --workspace` builds them");
        return Ok(());
    }
    let stack = Stack::start(Options { processes: Some(processes), ..Options::test() }).await?;
    let deferred = Deferred::new(&population::operator(&stack)?)?;
    let (app, seeding) = (AppId::parse("demo")?, Instant::now());
    let minute = Duration::from_secs(60);
    let now = Timestamp::now().plus(minute);
    let due = |n: usize| match n {
        0..NEWEST => now.minus(minute / 2),
        _ => now.minus(minute + Duration::from_millis(fastrand::u64(..59 * 60_000))),
    };
    let body = "x".repeat(bytes);
    stream::iter((0..rows).map(Ok::<_, Error>))
        .try_for_each_concurrent(32, |n| {
            let (deferred, app, body) = (&deferred, &app, body.clone());
            async move { Ok(deferred.put(QUEUE.0, app, body, due(n)).await?) }
        })
        .await?;
    println!("backlog: {rows} rows of {bytes} bytes, seeded in {:.1?}", seeding.elapsed());

    let lanes: Vec<Lane> = (0..SHARDS).map(|shard| Lane { shard, app: app.clone(), queue: QUEUE.0 }).collect();
    let (begun, mut runs) = (Instant::now(), 0);
    let newest = async {
        let mut clock = tokio::time::interval(LOOK);
        loop {
            clock.tick().await;
            if left(&deferred, &lanes, now.minus(minute), now).await? == 0 {
                return Ok::<_, Error>(begun.elapsed());
            }
        }
    };
    let all = async {
        while left(&deferred, &lanes, Timestamp::from_millis(0), now).await? > 0 {
            let (run, cpu) = (Instant::now(), cpu());
            stack.tick("retry").await.ok_or("retry has no schedule")??;
            runs += 1;
            let queued = stack.aws.queues.depth(QUEUE.1)?;
            println!(
                "  run {runs}: {:.1?}, {} records queued so far, {:.1} s of CPU time of retry",
                run.elapsed(),
                queued.visible + queued.delayed,
                self::cpu() - cpu
            );
        }
        Ok(begun.elapsed())
    };
    let (newest, took) = tokio::try_join!(newest, all)?;
    #[expect(clippy::cast_precision_loss, reason = "figures to be read")]
    let per_second = rows as f64 / took.as_secs_f64();
    println!("  rows/s                 {per_second:.0} (tables and queues are emulated on the same cores)");
    println!("  runs                   {runs}");
    println!("  newest {NEWEST} rows out   after {newest:.1?} of {took:.1?}");
    let pids = stats::children("retry");
    let peak = pids.iter().filter_map(|pid| stats::memory(*pid, "VmHWM")).fold(0.0, f64::max);
    println!("  peak memory of retry   {peak:.1} MiB");
    stack.stop().await;
    Ok(())
}

/// Rows due in that time, at least so many.
async fn left(deferred: &Deferred, lanes: &[Lane], from: Timestamp, to: Timestamp) -> Result<usize, Error> {
    let spans: Vec<_> = lanes.iter().map(|lane| (lane, lane.span(from, to))).collect();
    let counts = try_join_all(spans.iter().map(|(lane, span)| deferred.count(lane, span))).await?;
    Ok(counts.into_iter().sum())
}

fn cpu() -> f64 {
    stats::children("retry").iter().filter_map(|pid| stats::cpu(*pid)).sum()
}
