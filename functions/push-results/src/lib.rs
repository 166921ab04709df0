//! Tencent's push callbacks: `ANY /hooks/{app}/{secret}/tencent` puts what became of pushes into the queue of results.
//!
//! Tencent waits for two seconds, asks once, and reads no more of an answer than its status and that it is JSON. So a callback is answered as
//! soon as it is safe in the queue, or, where that refuses, in the deferred table; counting is done from there.

mod refusal;

use std::time::Duration;

use lambda_http::http::{HeaderValue, Method, StatusCode, header};
use lambda_http::{Body, Request, Response};
use pushbell::app::{Callers, SecretDocuments, Settings, SettingsDocuments};
use pushbell::auth::{hook, tencent as sign};
use pushbell::call;
use pushbell::dialect::tencent::Command;
use pushbell::dialect::tencent::address::Address;
use pushbell::dialect::tencent::answer;
use pushbell::dialect::tencent::callback::{self, BadEvent, Callback};
use pushbell::env::{EnvError, Environment, Queue};
use pushbell::id::AppId;
use pushbell::queue::{self, Work};
use pushbell::tally::Batch;
use pushbell::telemetry;
use pushbell::time::Timestamp;
use tokio::time::{Instant, timeout_at};

use refusal::{Refusal, Whose};

/// How long a call may take: Tencent waits for two seconds, its network in them.
const ANSWER: Duration = Duration::from_millis(1_700);
/// How long the app's documents may take of that where they are not known yet.
const DOCUMENTS: Duration = Duration::from_millis(900);
/// The most events that one line tells of.
const MOST_TOLD: usize = 10;

/// What one process keeps between calls.
pub struct State {
    callers: SecretDocuments<Callers>,
    settings: SettingsDocuments,
    work: Work,
}

impl State {
    /// Connections are made by the first call that needs them.
    ///
    /// # Errors
    /// When `env` lacks a table.
    pub fn new(env: &Environment) -> Result<Self, EnvError> {
        Ok(Self {
            callers: SecretDocuments::callers(env),
            settings: SettingsDocuments::new(env)?,
            work: Work::hasty(env)?,
        })
    }
}

/// What became of a call that was not refused.
enum Done {
    Queued {
        command: Command,
        batch: String,
        events: usize,
        left_out: usize,
    },
    /// A callback that is not about pushes.
    Ignored,
}

/// Answers one call, and writes a line about it.
pub async fn handle(state: &State, request: Request) -> Response<Body> {
    let begun = Instant::now();
    let app = AppId::parse(call::path_parameter(&request, "app")).ok();
    let done = match &app {
        _ if request.method() != Method::POST => Err(Refusal::Method),
        None => Err(Refusal::UnknownApp),
        Some(app) => take(state, app, &request, begun).await,
    };
    let response = match &done {
        Ok(_) => answer::ok(),
        Err(refusal) => {
            let mut response = answer::failure(refusal.status(), &refusal.to_string());
            if matches!(refusal, Refusal::Method) {
                response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
            }
            response
        }
    };
    log(call::route(&request), app.as_ref(), &done, response.status(), begun);
    response
}

async fn take(state: &State, app: &AppId, request: &Request, begun: Instant) -> Result<Done, Refusal> {
    let now = call::received_at(request);
    let address = Address::new(request.uri().query().unwrap_or_default());
    admit(state, app, request, address, now, begun).await?;
    let Some(command) = address.command().map_err(Refusal::Address)? else { return Ok(Done::Ignored) };
    let body = call::body(request).map_err(Refusal::Body)?;
    let Callback { events, left_out } = callback::read(command, body, now).map_err(Refusal::Callback)?;
    tell(app, &left_out);
    if let (true, Some((index, bad))) = (events.is_empty(), left_out.first()) {
        return Err(Refusal::AllBad(*index, *bad));
    }
    let count = events.len();
    let batch = Batch::new(app.clone(), events, now);
    let record = queue::body(&batch).map_err(Refusal::Record)?;
    let put = state.work.put(Queue::Results, app, record, Duration::ZERO, now);
    timeout_at(begun + ANSWER, put).await.map_err(|_| Refusal::Late)?.map_err(Refusal::Queue)?;
    Ok(Done::Queued { command, batch: batch.id, events: count, left_out: left_out.len() })
}

/// Whether the caller is the app's Tencent. Nothing of what else a call says is looked at before.
async fn admit(
    state: &State,
    app: &AppId,
    request: &Request,
    address: Address<'_>,
    now: Timestamp,
    begun: Instant,
) -> Result<(), Refusal> {
    let left = DOCUMENTS.saturating_sub(begun.elapsed());
    let of_the_app = async {
        let callers = state.callers.get_within(app, left).await.map_err(Refusal::App)?.ok_or(Refusal::UnknownApp)?;
        let secret = call::path_parameter(request, "secret");
        hook::check(&callers, &secret, call::source(request), now).map_err(Refusal::Hook)?;
        Ok(callers)
    };
    // Read beside the callers, and judged behind them: where they refuse, the settings are not waited for.
    let settings = async { Ok(state.settings.get_within(app, left).await) };
    let (callers, settings) = tokio::try_join!(of_the_app, settings)?;
    is_of(&*settings.map_err(Refusal::App)?, address)?;
    let (given, time) = address.signature().map_err(Refusal::Signature)?;
    sign::check(&callers.tencent_tokens, given.as_deref(), time.as_deref(), now).map_err(Refusal::Sign)
}

/// Whether the call is of the app that the settings name.
fn is_of(settings: &Settings, address: Address<'_>) -> Result<(), Refusal> {
    let own = settings.tencent.sdk_app_id.ok_or(Refusal::NotSet)?;
    let given = address.sdk_app_id().map_err(Refusal::SdkAppId)?;
    if given == own.to_string() { Ok(()) } else { Err(Refusal::OtherApp) }
}

/// A line about what is left out of a callback, by index, field and rule.
fn tell(app: &AppId, left_out: &[(usize, BadEvent)]) {
    if left_out.is_empty() {
        return;
    }
    let told = left_out.iter().take(MOST_TOLD).map(|(index, bad)| format!("Events[{index}]: {bad}"));
    let events = told.collect::<Vec<_>>().join("; ");
    let app = app.as_str();
    tracing::warn!(metric = "bad_event", app, count = left_out.len(), events, "events are left out");
}

/// One line per call. It names no person and says nothing of a push.
fn log(route: &str, app: Option<&AppId>, done: &Result<Done, Refusal>, status: StatusCode, begun: Instant) {
    let app = app.map(AppId::as_str).unwrap_or_default();
    let status = status.as_u16();
    let ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let refusal = match done {
        Ok(Done::Queued { command, batch, events, left_out }) => {
            let command = command.name();
            tracing::info!(route, app, status, command, batch, accepted = events, left_out, ms, "callback taken");
            return;
        }
        Ok(Done::Ignored) => {
            tracing::info!(metric = "tencent_ignored", route, app, status, ms, "callback ignored");
            return;
        }
        Err(refusal) => refusal,
    };
    let cause = telemetry::cause(refusal);
    match refusal.whose() {
        Whose::Stranger => tracing::warn!(route, app, status, cause, ms, "callback refused"),
        Whose::Caller => {
            tracing::warn!(metric = "tencent_unreadable", route, app, status, cause, ms, "callback refused");
        }
        Whose::Ours => {
            tracing::error!(metric = "tencent_lost", route, app, status, cause, ms, "callback lost");
        }
    }
}

#[cfg(test)]
mod tests;
