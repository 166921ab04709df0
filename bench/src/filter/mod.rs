//! The filter of OpenIM's pushes: how long a call takes, and what it costs, by its recipients.

mod in_process;
mod over_http;

use clap::Args;
use futures_util::stream::{self, TryStreamExt as _};
use pushbell::id::{AppId, ClientId, RoomKey};
use pushbell::recipient::{PreferencesChange, QuietHours, Recipients, Zone};
use pushbell::time::Timestamp;
use pushbell_local::runtime_api::Output;
use pushbell_local::stack::{Options, Processes, Stack};
use serde_json::{Value, json};

use crate::{Error, population};

/// How the filter is measured.
#[derive(Debug, Clone, Args)]
pub(crate) struct Arguments {
    /// Recipients of the largest call, each with two devices.
    #[arg(long, default_value_t = 10_000)]
    recipients: usize,
    /// Calls of each row.
    #[arg(long, default_value_t = 200)]
    calls: usize,
    /// The app's `deadline_ms`: whom the function has not read by then it allows unfiltered.
    #[arg(long, default_value_t = 1_000)]
    deadline: u64,
    /// Seed of the population.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Shows the functions' logs.
    #[arg(long)]
    output: bool,
}

/// Unread rooms of each recipient.
const ROOMS: usize = 5;
/// Words and phrases that a message must not hold, or that are masked: half of them each.
const WORDS: usize = 1_000;
/// A call of OpenIM 3.8 on behalf of a group.
const EVENT: &str = include_str!("../../../events/before-push/v3.8-offline-group.json");
/// Its conversation, as OpenIM's SDK names it.
const ROOM: &str = "sg_demo-group";
/// The most that `deadline_ms` takes. OpenIM waits for 5 s.
const LONGEST_DEADLINE: u64 = 4_000;
/// So many clients are read by one call of DynamoDB; of every so many, ...
const PAGE: usize = 100;
/// ... these are removed by what they prefer: twelve.
const REMOVED: std::ops::Range<usize> = 40..52;

pub(crate) async fn run(arguments: &Arguments) -> Result<(), Error> {
    let Arguments { recipients, calls, deadline, seed, output } = *arguments;
    let processes = Processes { output: Output::shown_if(output), ..Processes::beside_this_binary()? };
    if !processes.binaries.join("before-push").is_file() {
        println!("the function binaries are not built: `cargo build --release --workspace` builds them");
        return Ok(());
    }
    fastrand::seed(seed);
    println!(
        "filter: {recipients} recipients x 2 devices, {ROOMS} unread rooms; 5 % push off, 5 % quiet hours, 2 % muted room, 2 % hide \
         content; {WORDS} words; seed {seed}\n"
    );
    let stack = Stack::start(Options { processes: Some(processes), ..Options::test() }).await?;
    let clients = seeded(&stack, recipients).await?;

    stack.put_settings("demo", &settings(LONGEST_DEADLINE)).await?;
    in_process::run(&stack, &clients).await?;
    // The binaries read the settings with their first call.
    stack.put_settings("demo", &settings(deadline)).await?;
    println!(
        "\nthe function's binaries on the emulated Runtime API, calls over HTTP; the answer is due after {deadline} ms"
    );
    over_http::head();
    let smaller = [1, 100, 1_000].into_iter().filter(|group| *group < recipients);
    for group in smaller.chain([recipients]) {
        for connections in [1, 4] {
            over_http::load(&stack, &clients[..group], connections, calls).await?.print();
        }
    }
    println!("  (tables, gateway and functions share this machine's cores)");
    stack.stop().await;
    Ok(())
}

/// The clients, with what they prefer.
async fn seeded(stack: &Stack, recipients: usize) -> Result<Vec<ClientId>, Error> {
    let clients = population::clients(recipients)?;
    population::seed(stack, &clients, ROOMS).await?;
    let store = Recipients::new(&population::operator(stack)?)?;
    let (app, room) = (AppId::parse("demo")?, RoomKey::of(ROOM));
    // Zones without summer time, at UTC: from six hours ago to six hours from now, so that nobody's quiet hours end during a run.
    let zones = ["Africa/Abidjan", "Africa/Accra", "Africa/Dakar", "Africa/Lome", "Africa/Nouakchott"];
    let hour = u8::try_from(Timestamp::now().as_millis() / 3_600_000 % 24)?;
    let quiet = QuietHours::from_hours((hour + 18) % 24, (hour + 6) % 24);
    stream::iter(clients.iter().enumerate().map(Ok::<_, Error>))
        .try_for_each_concurrent(8, |(number, client)| {
            let (store, app, room) = (&store, &app, &room);
            async move {
                let mut change = PreferencesChange::default();
                match number % PAGE {
                    40..45 => change.off(true),
                    number @ 45..50 => {
                        change.quiet(quiet);
                        change.zone(Some(Zone::parse(zones[number - 45])?));
                    }
                    50..52 => return Ok(store.mute(app, client, room).await.map(|_| ())?),
                    52..54 => change.hide(true),
                    _ => return Ok(()),
                }
                store.change_preferences(app, client, &change).await?;
                Ok(())
            }
        })
        .await?;
    Ok(clients)
}

fn settings(deadline: u64) -> Value {
    let mut words = (0..WORDS).map(|number| {
        // No word of the message begins so.
        let word: String = std::iter::once('q').chain((0..7).map(|_| fastrand::lowercase())).collect();
        match number % 4 {
            0 => word,
            1 => format!("{word}*"),
            2 => format!("*{word}*"),
            _ => format!("{word} {word}"),
        }
    });
    let reject: Vec<String> = words.by_ref().take(WORDS / 2).collect();
    let mask: Vec<String> = words.collect();
    json!({
        "openim": {"mode": "filter", "deadline_ms": deadline},
        "filter": {"words": {"reject": reject, "mask": mask}}
    })
}

/// What OpenIM calls with, and what API Gateway makes of it.
fn event(clients: &[ClientId]) -> Result<Value, Error> {
    let mut event: Value = serde_json::from_str(EVENT)?;
    let mut body: Value = serde_json::from_str(event["body"].as_str().ok_or("the sample has no body")?)?;
    body["userIDList"] = clients.iter().map(ClientId::as_str).collect();
    event["body"] = body.to_string().into();
    event["requestContext"]["timeEpoch"] = Timestamp::now().as_millis().into();
    Ok(event)
}

/// How many of the first `asked` recipients are allowed although they prefer otherwise, from the answer; with those beside them, who
/// were not read either. `None` where too few were asked for to tell. Pages are late as a whole, so it is exact for whole pages.
fn unfiltered(asked: usize, answer: &[u8]) -> Result<Option<usize>, Error> {
    let answer: Value = serde_json::from_slice(answer)?;
    if answer["nextCode"] != 0 {
        return Err(format!("the push is denied: {} {}", answer["errMsg"], answer["errDlt"]).into());
    }
    let kept = answer["userIDList"].as_array().map_or(asked, Vec::len);
    let to_remove = (0..asked).filter(|number| REMOVED.contains(&(number % PAGE))).count();
    let missing = to_remove.checked_sub(asked - kept).ok_or("somebody was removed who is to be notified")?;
    Ok((to_remove > 0).then(|| missing * PAGE / REMOVED.len()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn a_small_run_removes_whom_the_population_says() {
        let stack = Stack::start(Options::test()).await.unwrap();
        let clients = seeded(&stack, 200).await.unwrap();
        stack.put_settings("demo", &settings(LONGEST_DEADLINE)).await.unwrap();
        in_process::run(&stack, &clients).await.unwrap();
        let row = over_http::load(&stack, &clients, 2, 5).await.unwrap();
        assert_eq!((row.calls(), row.unfiltered()), (5, Some((0, 0))));
        stack.stop().await;
    }

    #[test]
    fn whole_pages_that_were_not_read_are_told_from_the_answer() {
        let answer = |kept: usize| json!({"nextCode": 0, "userIDList": vec!["c"; kept]}).to_string().into_bytes();
        assert_eq!(unfiltered(300, &answer(264)).unwrap(), Some(0));
        assert_eq!(unfiltered(300, &answer(276)).unwrap(), Some(100));
        assert_eq!(unfiltered(300, br#"{"nextCode":0}"#).unwrap(), Some(300));
        assert_eq!(unfiltered(1, br#"{"nextCode":0}"#).unwrap(), None);
        assert!(unfiltered(300, &answer(263)).is_err() && unfiltered(300, br#"{"nextCode":1}"#).is_err());
    }
}
