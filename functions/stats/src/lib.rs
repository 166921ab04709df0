//! Stats: what became of tasks, what vendors report of pushes, and the receipts of phones, in Lanying's words.

mod ack;
mod detail;
mod rates;
mod task;
mod who;
mod why;

use std::error::Error;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use lambda_http::http::{HeaderValue, Method, StatusCode, header};
use lambda_http::{Body, Request, Response};
use pushbell::app::{Callers, SecretDocuments, SettingsDocuments};
use pushbell::call;
use pushbell::dialect::lanying::caller::unavailable;
use pushbell::dialect::lanying::envelope::{Code, Failure, method_not_allowed};
use pushbell::env::{EnvError, Environment};
use pushbell::id::AppId;
use pushbell::recipient::Recipients;
use pushbell::tally::Tallies;
use pushbell::task::Results;
use pushbell::telemetry;
use pushbell::time::Timestamp;
use tokio::time::timeout;

/// When a caller may try again after 503, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");
/// How long the work of a call may take: less than the function's timeout, which is less than API Gateway's 30 s.
const LIMIT: Duration = Duration::from_secs(22);

/// What one process keeps between calls.
pub struct State {
    callers: SecretDocuments<Callers>,
    settings: SettingsDocuments,
    recipients: Recipients,
    results: Results,
    tallies: Tallies,
    limit: Duration,
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
            recipients: Recipients::new(env)?,
            results: Results::new(env)?,
            tallies: Tallies::new(env)?,
            limit: LIMIT,
        })
    }
}

/// One call, and what the log may say of it.
struct Call<'a> {
    request: &'a Request,
    now: Timestamp,
    app: OnceLock<AppId>,
}

impl Call<'_> {
    /// The app that was called, for the log.
    fn is_for(&self, app: &AppId) {
        self.app.get_or_init(|| app.clone());
    }
}

/// Answers one call, and writes one line about it.
pub async fn handle(state: &State, request: Request) -> Response<Body> {
    let begun = Instant::now();
    let call = Call { request: &request, now: call::received_at(&request), app: OnceLock::new() };
    let path = call::route(&request).split_once(' ').map(|(_, path)| path);
    let mut response = match path {
        Some("/push/task/detail") => answer(state, &call, Method::POST, detail::detail(state, &call)).await,
        Some("/push/ack") => answer(state, &call, Method::POST, ack::ack(state, &call)).await,
        Some("/push/stats/hours") => answer(state, &call, Method::GET, rates::by_hour(state, &call)).await,
        Some("/push/stats") => answer(state, &call, Method::GET, rates::rates(state, &call)).await,
        Some("/push/{appKey}/tasks/{task}") => task::of_kinvey(state, &call).await,
        Some("/push/push2clients/{task}") => task::of_imkit(state, &call).await,
        Some("/push/why") => answer(state, &call, Method::GET, why::why(state, &call)).await,
        _ => Failure::new(Code::NotFound, "there is nothing at this address").response(),
    };
    if response.status() == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
    }
    let app = call.app.get().map(AppId::as_str).unwrap_or_default();
    let ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let status = response.status().as_u16();
    tracing::info!(route = call::route(&request), app, status, ms, "call answered");
    response
}

/// What `work` answers, if it does so while the function still has time. An address takes one method.
async fn answer(
    state: &State,
    call: &Call<'_>,
    method: Method,
    work: impl Future<Output = Result<Response<Body>, Failure>>,
) -> Response<Body> {
    if call.request.method() != method {
        return method_not_allowed(if method == Method::GET { "GET" } else { "POST" });
    }
    let answered = timeout(state.limit, work).await.unwrap_or_else(|_| {
        log_late(call);
        Err(unavailable())
    });
    answered.unwrap_or_else(|failure| {
        // HTTP's status says nothing of it.
        tracing::info!(code = failure.code().number(), "call refused");
        failure.response()
    })
}

fn trouble(app: &AppId, error: &(dyn Error + 'static)) -> Failure {
    log_trouble(app, error);
    unavailable()
}

fn log_late(call: &Call<'_>) {
    let app = call.app.get().map(AppId::as_str).unwrap_or_default();
    tracing::error!(app, route = call::route(call.request), "a call was not served in time");
}

fn log_trouble(app: &AppId, error: &(dyn Error + 'static)) {
    tracing::error!(app = %app, error = %error, cause = telemetry::cause(error), "a call could not be served");
}

#[cfg(test)]
mod tests;
