//! `deliver`'s handler in this process, fed with ten records of a hundred recipients: recipients per second, and the units that DynamoDB
//! reports.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use aws_lambda_events::event::sqs::{SqsEvent, SqsMessage};
use pushbell::id::ClientId;
use pushbell::time::Timestamp;
use pushbell_local::aws::sqs::Delayed;
use pushbell_local::stack::{Options, Stack};

use crate::report::{Report, grouped};
use crate::{Error, population};

/// Recipients of one record.
const CHUNK: usize = 100;
/// Records of one invocation.
const BATCH: usize = 10;

/// What counting a message costs.
#[derive(Debug)]
pub(crate) struct Figures {
    rooms: usize,
    /// Write units per recipient, rotations included.
    pub(crate) writes: f64,
    /// Read units per recipient.
    pub(crate) reads: f64,
    /// How many counts took so many units.
    counts: BTreeMap<u32, u64>,
    /// Units of rotations and folds.
    others: f64,
}

/// Counts a message for each of `recipients` with 5 unread rooms, and with 40.
pub(crate) async fn report(recipients: usize, seed: u64) -> Result<(Report, Vec<Figures>), Error> {
    fastrand::seed(seed);
    let mut report = Report::new("Units of a count");
    report.text(&format!(
        "`cargo run --release -p bench -- units`. `deliver`'s handler, {BATCH} records of {CHUNK} recipients an invocation, {} recipients with two \
         devices with tokens of real length, marks in steady state, seed {seed}; DynamoDB's own units, as the local one reports them.",
        grouped(&recipients.to_string())
    ));
    let mut all = Vec::new();
    for rooms in [5, 40] {
        all.push(run(recipients, rooms).await?);
    }
    let rows: Vec<_> = all
        .iter()
        .map(|figures| {
            let counts = figures.counts.iter().map(|(units, times)| format!("{times} of {units}"));
            vec![
                figures.rooms.to_string(),
                format!("{:.4}", figures.writes),
                format!("{:.4}", figures.reads),
                counts.collect::<Vec<_>>().join(", "),
                format!("{:.0}", figures.others),
            ]
        })
        .collect();
    let head = [
        "unread rooms",
        "write units per recipient",
        "read units per recipient",
        "counts by their units",
        "units of rotations and folds",
    ];
    report.table(&head, &rows);
    if let Some(five) = all.first() {
        let measured = format!("{:.3} and {:.3}", five.writes, five.reads);
        report.bar("write and read units per recipient, 5 unread rooms", "1.05 and 0", measured, holds(five));
    }
    Ok((report, all))
}

/// Whether the bar holds: a breaker's row is read now and then, by all recipients of an invocation together.
pub(crate) fn holds(figures: &Figures) -> bool {
    figures.writes <= 1.05 && figures.reads < 0.005
}

async fn run(recipients: usize, rooms: usize) -> Result<Figures, Error> {
    let stack = Stack::start(Options::test()).await?;
    let clients = population::clients(recipients)?;
    population::seed(&stack, &clients, rooms).await?;
    stack.phones.count_only(true);
    let state = deliver::State::new(&population::environment(&stack, "deliver")?)?.measured();
    let events: Vec<SqsEvent> = events(&clients)?;

    for event in events {
        let response = deliver::handle(&state, event, Instant::now() + Duration::from_secs(60)).await;
        if !response.batch_item_failures.is_empty() {
            return Err("a record failed".into());
        }
    }
    let (counts, others, reads) = state.recipients().units().ok_or("units are not measured")?.snapshot();
    let units: u64 = counts.iter().map(|(units, times)| u64::from(*units) * times).sum();
    #[expect(clippy::cast_precision_loss, reason = "figures to be read")]
    let (writes, recipients) = (units as f64 + others, recipients as f64);
    stack.idle(Delayed::Counted).await?;
    stack.stop().await;
    Ok(Figures { rooms, writes: writes / recipients, reads: reads / recipients, counts, others })
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
