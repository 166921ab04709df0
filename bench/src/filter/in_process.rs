//! The handler on a thread of this process, as its own process runs it: read units, and which part of a call is the table's.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use before_push::State;
use lambda_http::Body;
use pushbell::app::{Settings, SettingsDocuments};
use pushbell::call;
use pushbell::dialect::openim::answer::Answer;
use pushbell::dialect::openim::callback::{Callback, Received};
use pushbell::dialect::openim::compose::{self, Readers};
use pushbell::env::Environment;
use pushbell::filter::{self, About, Approach, Filter, Rule, Stage, Tally};
use pushbell::id::{AppId, ClientId, RoomKey};
use pushbell::recipient::{Recipient, Recipients};
use pushbell_local::stack::Stack;
use rustix::time::{ClockId, clock_gettime};
use serde_json::Value;

use super::{event, unfiltered};
use crate::{Error, population, stats};

/// Calls that are measured, after one that opens connections.
const ROUNDS: usize = 20;

/// What something took on this thread, in microseconds.
#[derive(Default)]
struct Times {
    wall: Vec<u64>,
    cpu: Vec<u64>,
}

struct Watch {
    wall: Instant,
    cpu: Duration,
}

pub(super) async fn run(stack: &Stack, clients: &[ClientId]) -> Result<(), Error> {
    let (env, clients) = (population::environment(stack, "before-push")?, clients.to_vec());
    let on_a_thread = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(measure(&env, &clients))
    };
    tokio::task::spawn_blocking(on_a_thread).await?
}

/// An answer but for `errDlt`, which is for people.
fn without_notes(answer: &str) -> Result<Value, Error> {
    let mut answer: Value = serde_json::from_str(answer)?;
    answer["errDlt"].take();
    Ok(answer)
}

async fn measure(env: &Environment, clients: &[ClientId]) -> Result<(), Error> {
    let (app, event) = (AppId::parse("demo")?, event(clients)?.to_string());
    let state = State::new(env)?.measured();
    let recipients = Recipients::hasty(env)?;
    let settings = SettingsDocuments::new(env)?.get(&app).await?;
    let filter = Filter::new(&settings.filter)?;
    let (mut whole, mut reading, mut judging) = (Times::default(), Times::default(), Times::default());
    let mut late = 0;
    for round in 0..=ROUNDS {
        let watch = Watch::start()?;
        let response = before_push::handle(&state, lambda_http::request::from_str(&event)?).await;
        whole.add(&watch)?;
        let watch = Watch::start()?;
        let glance = recipients.glance(&app, clients, Instant::now() + Duration::from_secs(60)).await;
        reading.add(&watch)?;
        if let Some(error) = glance.error {
            return Err(error.into());
        }
        let watch = Watch::start()?;
        let judged = judge(&event, &settings, &filter, &glance.found)?;
        judging.add(&watch)?;
        let answer = text(response.body())?;
        if unfiltered(clients.len(), answer.as_bytes())?.is_some_and(|people| people > 0) {
            late += 1;
        } else if without_notes(answer)? != without_notes(&judged)? {
            return Err("the rules that were timed are not the function's".into());
        }
        if round == 0 {
            (whole, reading, judging) = (Times::default(), Times::default(), Times::default());
        }
    }
    let (_, _, reads) = state.recipients().units().ok_or("units are not measured")?.snapshot();
    #[expect(clippy::cast_precision_loss, reason = "figures to be read")]
    let per_recipient = reads / ((ROUNDS + 1) * clients.len()) as f64;
    println!("handler on one thread of this process, {ROUNDS} calls of {} recipients", clients.len());
    println!("  read units per recipient             {per_recipient:.4}{}", incomplete(late));
    println!("  p50 of                                  time      CPU time of the thread");
    for (what, times) in [
        ("a whole call", whole),
        ("reading what the recipients prefer", reading),
        ("event, rules and answer, in memory", judging),
    ] {
        println!("    {what:<36} {:>8.2} ms {:>8.2} ms", times.wall_ms(), times.cpu_ms());
    }
    Ok(())
}

fn incomplete(late: usize) -> String {
    if late == 0 { String::new() } else { format!(" ({late} calls were not read to the end)") }
}

fn text(body: &Body) -> Result<&str, Error> {
    match body {
        Body::Text(text) => Ok(text),
        Body::Empty | Body::Binary(_) => Err("the answer is no text".into()),
        _ => Err("the answer is of an unknown kind".into()),
    }
}

/// What the function does beside reading, in its order, for an app without experiments and clients without languages. Its answer is
/// compared with the function's, so it cannot become another thing.
fn judge(
    event: &str,
    settings: &Settings,
    filter: &Filter,
    found: &HashMap<ClientId, Recipient>,
) -> Result<String, Error> {
    let request = lambda_http::request::from_str(event)?;
    let now = call::received_at(&request);
    let received = Received::new(call::body(&request)?)?;
    let mut callback = Callback::read(&received, None)?;
    let refused = filter.content(&About {
        stage: Stage::Offline,
        kind: &callback.content_type.to_string(),
        sender: callback.sender.as_deref().unwrap_or_default(),
        group: callback.group.as_deref(),
        texts: &callback.texts(),
    });
    if let Some(rule) = refused {
        return Err(format!("the message itself is refused: {rule}").into());
    }
    callback.mask(|text| filter.mask(text));
    let room = callback.conversation().as_deref().map(RoomKey::of);
    let nobody = Recipient::default();
    let of = |client: &ClientId| found.get(client).unwrap_or(&nobody);
    let (mut removed, mut kept) = (Tally::default(), Vec::with_capacity(callback.clients.len()));
    for client in &callback.clients {
        let recipient = of(client);
        let approach = Approach {
            room: room.as_ref(),
            sender: callback.sender.as_deref(),
            mentioned: settings.mute_yields_to.lets(callback.names(client.as_str()), callback.mentions_all),
        };
        let quiet = || filter::is_quiet(recipient, settings.zone.as_ref(), now).then_some(Rule::QuietHours);
        match filter::refused(recipient, &approach).or_else(quiet) {
            Some(rule) => removed.add(rule),
            None => kept.push(client.clone()),
        }
    }
    let hides = kept.iter().any(|client| of(client).preferences.hide);
    let info = compose::rewrite(settings, &callback, &Readers { hides, language: None, cohort: None });
    let answer =
        Answer::allow().detail(removed.to_string()).rewrite(info).narrow(callback.session, &callback.clients, kept);
    Ok(text(answer.response().body())?.to_owned())
}

impl Watch {
    fn start() -> Result<Self, Error> {
        Ok(Self { wall: Instant::now(), cpu: thread_cpu()? })
    }
}

/// What this thread has used.
fn thread_cpu() -> Result<Duration, Error> {
    Ok(clock_gettime(ClockId::ThreadCPUTime).try_into()?)
}

impl Times {
    fn add(&mut self, watch: &Watch) -> Result<(), Error> {
        self.wall.push(u64::try_from(watch.wall.elapsed().as_micros())?);
        self.cpu.push(u64::try_from((thread_cpu()? - watch.cpu).as_micros())?);
        Ok(())
    }

    fn wall_ms(&self) -> f64 {
        median_ms(&self.wall)
    }

    fn cpu_ms(&self) -> f64 {
        median_ms(&self.cpu)
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures to be read")]
fn median_ms(micros: &[u64]) -> f64 {
    let mut sorted = micros.to_vec();
    sorted.sort_unstable();
    stats::quantile(&sorted, 0.5) as f64 / 1_000.0
}
