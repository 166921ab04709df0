//! What counting a reported event costs: write units by the events of a callback and the callbacks that are received together.

use std::time::{Duration, Instant};

use aws_lambda_events::event::sqs::{SqsEvent, SqsMessage};
use pushbell::id::AppId;
use pushbell::tally::{About, Batch, Event, Stage, Vendor};
use pushbell::time::Timestamp;
use pushbell_local::stack::{Options, Stack};

use crate::{Error, population};

/// Whose events come together.
#[derive(Clone, Copy)]
enum Kind {
    /// Of as many pushes: `Push.OfflinePush`.
    Pushes,
    /// Of one task for many: `Push.AllMemberPush`.
    OneTask,
    /// Of a task each: `Push.AllMemberPush` to one account after the other.
    TaskEach,
}

/// Kind, events of a callback, callbacks of an invocation, invocations within five seconds.
const CURVE: [(Kind, u32, u32, u32); 15] = [
    (Kind::Pushes, 1, 1, 1),
    (Kind::Pushes, 1, 2, 1),
    (Kind::Pushes, 1, 5, 1),
    (Kind::Pushes, 1, 10, 1),
    (Kind::Pushes, 1, 100, 5),
    (Kind::Pushes, 10, 1, 1),
    (Kind::Pushes, 10, 10, 1),
    (Kind::Pushes, 100, 1, 1),
    (Kind::Pushes, 100, 10, 1),
    (Kind::OneTask, 1, 1, 1),
    (Kind::OneTask, 10, 1, 1),
    (Kind::OneTask, 100, 10, 1),
    (Kind::TaskEach, 1, 1, 1),
    (Kind::TaskEach, 10, 10, 1),
    (Kind::TaskEach, 100, 10, 1),
];

/// Counts about `events` events at each point of the curve, and each once more.
pub(crate) async fn run(events: u32) -> Result<(), Error> {
    let stack = Stack::start(Options::test()).await?;
    let env = population::operator(&stack)?;
    println!("tally: write units per event, the counters included");
    println!("  kind       events/callback  callbacks/invocation  invocations/5 s  new    again  events/s");
    for (point, (kind, per_callback, callbacks, at_once)) in CURVE.into_iter().enumerate() {
        let of_invocation = per_callback * callbacks;
        let invocations = (events / of_invocation).clamp(at_once, 500);
        let state = ::tally::State::new(&env)?.measured();
        let begun = Instant::now();
        for round in 0..2 {
            let before = state.tallies().written();
            for invocation in 0..invocations {
                let mut event = SqsEvent::default();
                for callback in 0..callbacks {
                    let number = (invocation * callbacks + callback) * 2 + round;
                    let slot = invocation / at_once + round * invocations;
                    let batch = batch(kind, (point, invocation * callbacks + callback), (number, slot), per_callback)?;
                    let mut record = SqsMessage::default();
                    record.message_id = Some(number.to_string());
                    record.body = Some(serde_json::to_string(&batch)?);
                    event.records.push(record);
                }
                let answer = ::tally::handle(&state, event, Instant::now() + Duration::from_secs(60)).await;
                if !answer.batch_item_failures.is_empty() {
                    return Err("a batch was not counted".into());
                }
            }
            let units = (state.tallies().written() - before) / f64::from(invocations * of_invocation);
            match round {
                0 => {
                    let word = match kind {
                        Kind::Pushes => "pushes",
                        Kind::OneTask => "one task",
                        Kind::TaskEach => "task each",
                    };
                    print!("  {word:<9}  {per_callback:>15}  {callbacks:>20}  {at_once:>15}  {units:.3}");
                }
                _ => {
                    let rate = f64::from(2 * invocations * of_invocation) / begun.elapsed().as_secs_f64();
                    println!("  {units:.3}  {rate:>8.0}");
                }
            }
        }
    }
    stack.stop().await;
    Ok(())
}

/// One push's report as a queue record carries it.
pub(crate) fn record_of_one(n: u32) -> Result<String, Error> {
    Ok(serde_json::to_string(&batch(Kind::Pushes, (0, n), (n, 0), 1)?)?)
}

/// The batch of callback `n`, under a number of its own, accepted in that slot. Each point of the curve has its own events and its own day.
fn batch(kind: Kind, (point, n): (usize, u32), (number, slot): (u32, u32), events: u32) -> Result<Batch, Error> {
    let at = Timestamp::from_millis(1_767_225_600_000 + point as u64 * 86_400_000);
    let events = (0..events).map(|index| {
        let id = u64::from(n) * 1_000 + u64::from(index);
        let about = match kind {
            Kind::Pushes => About::Push(format!("67120c46_6a4086c0_9bf5fb50_{point:02}_{id:015x}_2000005d8d46421")),
            Kind::OneTask => About::Task(format!("660d1e2a_1400000001_{point}")),
            Kind::TaskEach => About::Task(format!("660d1e2a_1400000001_{point}_{id}")),
        };
        // What most reports are: sent and delivered, by the vendors in turn, one in twenty failed.
        let vendor = [Vendor::Apns, Vendor::Fcm, Vendor::Huawei, Vendor::Xiaomi][(id % 4) as usize];
        let stage = if id.is_multiple_of(3) { Stage::Delivered } else { Stage::Sent };
        let (code, info) = if id.is_multiple_of(20) { (410, "Unregistered".to_owned()) } else { (0, "OK".to_owned()) };
        Event { key: format!("{point:02}{id:014x}"), about, vendor, stage, code, info, at }
    });
    let id = format!("{point:x}{number:07x}");
    // Of now: an event that was accepted weeks ago is not known any more, and would be new again.
    let accepted_at = Timestamp::now().plus(Duration::from_secs(u64::from(slot) * 5));
    Ok(Batch { app: AppId::parse("demo")?, id, accepted_at, events: events.collect() })
}
