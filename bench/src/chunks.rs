//! `deliver`'s handler in this process, fed with ten records of a hundred recipients: recipients per second, and the units that DynamoDB
//! reports.

use std::time::{Duration, Instant};

use aws_lambda_events::event::sqs::{SqsEvent, SqsMessage};
use pushbell::id::ClientId;
use pushbell::time::Timestamp;
use pushbell_local::aws::sqs::Delayed;
use pushbell_local::stack::{Options, Stack};

use crate::{Error, population};

/// Recipients of one record.
const CHUNK: usize = 100;
/// Records of one invocation.
const BATCH: usize = 10;

pub(crate) async fn run(recipients: usize, rooms: usize, latency: Duration) -> Result<(), Error> {
    let stack = Stack::start(Options::test()).await?;
    let clients = population::clients(recipients)?;
    population::seed(&stack, &clients, rooms).await?;
    stack.vendors.set_latency(latency);
    stack.phones.count_only(true);
    let state = deliver::State::new(&population::environment(&stack, "deliver")?)?.measured();
    let events: Vec<SqsEvent> = events(&clients)?;

    let started = Instant::now();
    for event in events {
        let response = deliver::handle(&state, event, Instant::now() + Duration::from_secs(60)).await;
        if !response.batch_item_failures.is_empty() {
            return Err("a record failed".into());
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    let (counts, others, reads) = state.recipients().units().ok_or("units are not measured")?.snapshot();
    let counted: u64 = counts.values().sum();
    let units: u64 = counts.iter().map(|(units, times)| u64::from(*units) * times).sum();
    #[expect(clippy::cast_precision_loss, reason = "figures to be read")]
    let per = |total: f64| total / recipients as f64;
    println!(
        "handler in this process, {BATCH} records of {CHUNK} recipients an invocation (the fakes run in the same process)"
    );
    println!("  recipients/s                     {:.0}", 1.0 / per(seconds));
    println!("  pushes accepted                  {}", stack.phones.accepted());
    #[expect(clippy::cast_precision_loss, reason = "figures to be read")]
    let mean = per(units as f64 + others);
    println!("  write units per recipient, mean  {mean:.4} (rotations included)");
    println!("  counts by their units            {counts:?} of {counted}");
    println!("  units of rotations and folds     {others}");
    println!("  read units per recipient         {:.4}\n", per(reads));
    stack.idle(Delayed::Counted).await?;
    stack.stop().await;
    Ok(())
}

fn events(clients: &[ClientId]) -> Result<Vec<SqsEvent>, Error> {
    let origin = serde_json::json!({
        "app": "demo", "dialect": "imkit", "message": "bench-1", "room": "room-4412", "sender": "u-207",
        "written_at": Timestamp::now().as_millis()
    });
    let message = serde_json::json!({
        "origin": origin,
        "text": {"title": "Night shift", "body": "Mira: gate 4 is open, please come over with both keys and the list"},
        "badge": {"add": {"n": 1, "source": "room"}},
        "data": {"type": "text", "redirect": "/chat"}
    });
    let now = Timestamp::now().as_millis();
    let mut events = Vec::new();
    let chunks: Vec<_> = clients.chunks(CHUNK).enumerate().collect();
    for batch in chunks.chunks(BATCH) {
        let mut event = SqsEvent::default();
        for (seq, page) in batch {
            let mut record = SqsMessage::default();
            record.message_id = Some(seq.to_string());
            let body = serde_json::json!({
                "task": 7, "nonce": "benchmrk", "seq": seq, "claimed_at": now, "message": message,
                "to": page.iter().map(ClientId::as_str).collect::<Vec<_>>()
            });
            record.body = Some(body.to_string());
            for name in ["SentTimestamp", "ApproximateFirstReceiveTimestamp"] {
                record.attributes.insert(name.to_owned(), now.to_string());
            }
            record.attributes.insert("ApproximateReceiveCount".to_owned(), "1".to_owned());
            event.records.push(record);
        }
        events.push(event);
    }
    Ok(events)
}
