//! Notices to everybody, and to a tag that everybody has, while `fan-out`'s processes are killed with SIGKILL and phones come and go.

use std::time::{Duration, Instant};

use pushbell_local::runtime_api::Output;
use pushbell_local::stack::{Options, Processes, Stack};
use serde_json::json;

use super::crowd::{Crowd, Phone, Seen, counter, off_by};
use super::{Arguments, holds};
use crate::Error;
use crate::faults::{build, look};

/// A little over the queues' visibility timeout.
const TIMEOUT: Duration = Duration::from_secs(370);
/// The queues that functions work off.
const QUEUES: [&str; 2] = ["FanOutQueue", "DeliverQueue"];
/// Rounds of waiting until a drain is called endless.
const MOST_ROUNDS: usize = 50;
/// Everybody has it. Its audience has a quarter of the shards, so that each is several pages.
const TAG: &str = "everybody";
/// Phones that come, and as many that leave, during each notice.
const MOVES: usize = 60;

pub(crate) async fn run(arguments: &Arguments) -> Result<bool, Error> {
    let processes = Processes { output: Output::shown_if(arguments.output), ..Processes::beside_this_binary()? };
    build(&processes)?;
    let stack = Stack::start(Options { processes: Some(processes), ..Options::test() }).await?;
    let mut crowd = Crowd::of(&stack);
    crowd.settle(arguments.crowd).await?;
    crowd.tag(TAG, arguments.crowd).await?;
    println!("\n  everybody, {} devices at first, fan-out killed {} times", crowd.phones.len(), arguments.kills);
    let mut random = fastrand::Rng::with_seed(arguments.seed);

    let started = Instant::now();
    let task = crowd.notify(json!("all"), "undisturbed").await?;
    wait_for_pages(&crowd, task).await?;
    let window = started.elapsed();
    drain(&stack).await?;
    println!("    undisturbed, every chunk is queued after {window:.1?}: the kills come within that time");

    let mut good = true;
    for round in 0..arguments.kills {
        let after = window.mul_f64(random.f64());
        good &= one(&stack, &mut crowd, round, after).await?;
    }
    stack.stop().await;
    Ok(good)
}

async fn one(stack: &Stack, crowd: &mut Crowd, round: u32, after: Duration) -> Result<bool, Error> {
    stack.phones.clear()?;
    let leaving: Vec<Phone> = crowd.phones.iter().rev().step_by(7).take(MOVES).cloned().collect();
    let coming: Vec<Phone> =
        (0..leaving.len()).map(|n| crowd.phone((900_000 + 1_000 * round as usize + n).to_string())).collect();
    let crowd_now: &Crowd = crowd;
    let audience = if round.is_multiple_of(2) { json!("all") } else { json!({"tag": [TAG]}) };
    let task = crowd_now.notify(audience, &format!("killed {round}")).await?;
    let moves = async {
        for (come, leave) in coming.iter().zip(&leaving) {
            crowd_now.register(come).await?;
            crowd_now.call("/user/push/tag", Some(&come.client), &json!({"tags": [TAG]})).await?;
            crowd_now.unregister(leave).await?;
        }
        Ok::<_, Error>(())
    };
    let kill = async {
        tokio::time::sleep(after).await;
        Ok::<_, Error>(stack.kill("fan-out"))
    };
    let (killed, ()) = futures_util::try_join!(kill, moves)?;
    drain(stack).await?;

    crowd.phones.retain(|phone| leaving.iter().all(|left| left.token != phone.token));
    let seen = Seen::of(stack, task)?;
    let detail = crowd.detail(task).await?;
    println!(
        "    {}: {killed} processes killed after {after:.1?}; {} repeats at the vendors",
        round + 1,
        repeats(&seen)
    );
    let left = seen
        .not_once(&leaving)
        .saturating_sub(leaving.iter().filter(|phone| !seen.shown.contains_key(&phone.token)).count());
    for phone in crowd.phones.iter().filter(|phone| seen.shown.get(&phone.token) != Some(&1)).take(5) {
        println!("    {phone:?} {:?} of {}", seen.shown.get(&phone.token), detail["outcomes"]);
    }
    let (target, least) = (counter(&detail, "target"), crowd.phones.len());
    let beyond = least.saturating_sub(target) + target.saturating_sub(least + leaving.len());
    let good = [
        holds("devices there throughout that do not show it exactly once", seen.not_once(&crowd.phones)),
        holds("devices that left and show it twice", left),
        holds(
            "devices that came after it and have it",
            coming.iter().filter(|phone| seen.shown.contains_key(&phone.token)).count(),
        ),
        holds("targets fewer than those, or more than those and the ones that left", beyond),
        holds("sums that differ: channels, outcomes, delivered", off_by(&detail, &seen)),
    ]
    .iter()
    .all(|good| *good);
    crowd.phones.extend(coming);
    Ok(good)
}

fn repeats(seen: &Seen) -> usize {
    seen.sent - seen.shown.len()
}

/// Waits until the task's audience is cut to its end.
async fn wait_for_pages(crowd: &Crowd, task: u64) -> Result<(), Error> {
    loop {
        let state = crowd.detail(task).await?["state"].clone();
        if state == "sending" || state == "done" {
            return Ok(());
        }
        // Asking costs the tables as much as the work does.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Works everything off: what was in the killed processes' hands comes back when its visibility timeout is over.
async fn drain(stack: &Stack) -> Result<(), Error> {
    let queues = &stack.aws.queues;
    for _ in 0..MOST_ROUNDS {
        let mut clock = tokio::time::interval(Duration::from_millis(10));
        while QUEUES.iter().try_fold(0, |sum, queue| queues.depth(queue).map(|depth| sum + depth.visible))? > 0 {
            clock.tick().await;
        }
        QUEUES.iter().for_each(|queue| queues.pause(queue, true));
        stack.quiet().await?;
        let _ = stack.tick("retry").await;
        let mut waiting = look::deferred(stack).await?;
        for queue in QUEUES {
            let depth = queues.depth(queue)?;
            waiting += depth.visible + depth.in_flight + depth.delayed;
        }
        if waiting > 0 {
            queues.advance(TIMEOUT)?;
        }
        QUEUES.iter().for_each(|queue| queues.pause(queue, false));
        if waiting == 0 {
            return Ok(());
        }
    }
    Err("there is no end to it".into())
}
