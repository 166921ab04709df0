//! IMKIT's push callback: `ANY /hooks/{app}/{secret}/imkit` becomes a task in the queue.
//!
//! IMKIT sends a callback once and reads only the status. So 200 means that the work is in the queue, and nothing that can be worked
//! with is refused: a bad recipient is left out, a type that is not for phones is answered and passed over.

use std::sync::Arc;
use std::time::Instant;

use lambda_http::http::{HeaderValue, Method, StatusCode, header};
use lambda_http::{Body, Request, Response};
use pushbell::app::{AppError, Callers, SecretDocuments, Settings, SettingsDocuments};
use pushbell::auth::hook::{self, HookError};
use pushbell::call::{self, BodyError};
use pushbell::dialect::imkit::answer;
use pushbell::dialect::imkit::callback::{self, Callback, CallbackError, Ignored};
use pushbell::dialect::imkit::envelope::Failure;
use pushbell::dialect::recipients::LeftOut;
use pushbell::env::{EnvError, Environment};
use pushbell::id::AppId;
use pushbell::task::{Accepted, Intake, SubmitError};
use pushbell::telemetry;
use pushbell::time::Timestamp;

/// When a caller may try again after 503, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

/// What one process keeps between calls.
pub struct State {
    callers: SecretDocuments<Callers>,
    settings: SettingsDocuments,
    intake: Intake,
}

impl State {
    /// Connections are made by the first call that needs them.
    ///
    /// # Errors
    /// When `env` lacks a table or a queue.
    pub fn new(env: &Environment) -> Result<Self, EnvError> {
        Ok(Self {
            callers: SecretDocuments::callers(env),
            settings: SettingsDocuments::new(env)?,
            intake: Intake::new(env)?,
        })
    }
}

/// What became of a call that was not refused.
enum Done {
    Queued(Accepted, usize, LeftOut),
    NobodyToTell(LeftOut),
    Ignored(Ignored),
}

/// Answers one call, and writes one line about it.
pub async fn handle(state: &State, request: Request) -> Response<Body> {
    let begun = Instant::now();
    let app = AppId::parse(call::path_parameter(&request, "app")).ok();
    let done = match &app {
        _ if request.method() != Method::POST => Err(Refusal::Method),
        None => Err(Refusal::UnknownApp),
        Some(app) => take(state, app, &request, call::received_at(&request)).await,
    };
    let response = match &done {
        Ok(Done::Queued(task, accepted, left_out)) => answer::taken(Some(task.task), *accepted, left_out),
        Ok(Done::NobodyToTell(left_out)) => answer::taken(None, 0, left_out),
        Ok(Done::Ignored(why)) => answer::ignored(*why),
        Err(refusal) => refusal.response(),
    };
    log(call::route(&request), app.as_ref(), &done, response.status(), begun);
    response
}

async fn take(state: &State, app: &AppId, request: &Request, now: Timestamp) -> Result<Done, Refusal> {
    let callers = state.callers.get(app).await.map_err(Refusal::App)?.ok_or(Refusal::UnknownApp)?;
    let secret = call::path_parameter(request, "secret");
    hook::check(&callers, &secret, call::source(request), now).map_err(Refusal::Hook)?;
    let body = call::body(request).map_err(Refusal::Body)?;
    let settings: Arc<Settings> = state.settings.get(app).await.map_err(Refusal::App)?;
    let (message, recipients) = match callback::read(app, &settings.imkit, body).map_err(Refusal::Callback)? {
        Callback::Deliver(message, recipients) => (message, recipients),
        Callback::Ignored(why) => return Ok(Done::Ignored(why)),
    };
    if recipients.clients.is_empty() {
        return Ok(Done::NobodyToTell(recipients.left_out));
    }
    let accepted = recipients.clients.len();
    let task = state.intake.submit(*message, recipients.clients, settings.frugal, now).await;
    let task = task.map_err(Refusal::Submit)?;
    Ok(Done::Queued(task, accepted, recipients.left_out))
}

/// Why a call is refused.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("only POST is taken here")]
    Method,
    #[error("there is no such app")]
    UnknownApp,
    #[error("the app's documents could not be read")]
    App(#[source] AppError),
    #[error(transparent)]
    Hook(HookError),
    #[error(transparent)]
    Body(BodyError),
    #[error(transparent)]
    Callback(CallbackError),
    #[error("the task was not accepted")]
    Submit(#[source] SubmitError),
}

impl Refusal {
    fn failure(&self) -> Failure {
        let plain = |status, code| Failure::new(status, code, self.to_string());
        let unavailable = || {
            Failure::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", "nothing was accepted; try again in a moment")
        };
        match self {
            Self::Method => plain(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED"),
            Self::UnknownApp => plain(StatusCode::NOT_FOUND, "APP_NOT_FOUND"),
            Self::Hook(HookError::Secret) => plain(StatusCode::UNAUTHORIZED, "INVALID_SECRET"),
            Self::Hook(HookError::Source) => plain(StatusCode::FORBIDDEN, "SOURCE_NOT_ALLOWED"),
            Self::Body(BodyError::Empty) => plain(StatusCode::BAD_REQUEST, "MISSING_BODY"),
            Self::Body(BodyError::TooLarge) => plain(StatusCode::PAYLOAD_TOO_LARGE, "BODY_TOO_LARGE"),
            Self::Callback(error) => error.failure(),
            Self::Submit(SubmitError::TooLarge) => CallbackError::TooLarge.failure(),
            Self::Submit(SubmitError::OtherRoom) => Failure::new(
                StatusCode::BAD_REQUEST,
                "INVALID_PARAMETER",
                "room is not the room of the message that is recalled",
            ),
            Self::Submit(SubmitError::TooDeep) => {
                Failure::new(StatusCode::BAD_REQUEST, "MESSAGE_TOO_DEEP", "the message is nested deeper than 64 levels")
            }
            Self::App(AppError::Malformed { .. }) => Failure::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "APP_MISCONFIGURED",
                "the app's documents cannot be read; its operator finds the place in the log",
            ),
            Self::App(AppError::Secret(_) | AppError::Settings(_) | AppError::Late { .. })
            | Self::Submit(SubmitError::Queue(_) | SubmitError::Unavailable(_) | SubmitError::OtherRequest) => {
                unavailable()
            }
        }
    }

    fn response(&self) -> Response<Body> {
        let mut response = self.failure().response();
        if matches!(self, Self::Method) {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
        }
        if response.status() == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        response
    }
}

/// One line per call. It names no person and says nothing of the message: ids of clients are in the answer only.
fn log(route: &str, app: Option<&AppId>, done: &Result<Done, Refusal>, status: StatusCode, begun: Instant) {
    let app = app.map(AppId::as_str).unwrap_or_default();
    let status = status.as_u16();
    let ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    match done {
        Ok(Done::Queued(task, accepted, left_out)) => tracing::info!(
            route,
            app,
            status,
            task = task.task.get(),
            accepted,
            skipped = left_out.skipped_count,
            duplicates = left_out.duplicates,
            repeated = task.repeated,
            ms,
            "callback taken"
        ),
        Ok(Done::NobodyToTell(left_out)) => tracing::info!(
            route,
            app,
            status,
            accepted = 0,
            skipped = left_out.skipped_count,
            duplicates = left_out.duplicates,
            ms,
            "callback with nobody to tell"
        ),
        Ok(Done::Ignored(why)) => {
            tracing::info!(
                metric = "imkit_ignored",
                route,
                app,
                status,
                ignored = why.as_str(),
                ms,
                "callback ignored"
            );
        }
        Err(refusal) => {
            let code = refusal.failure();
            let code = code.code();
            if status >= 500 {
                let cause = telemetry::cause(refusal);
                tracing::error!(route, app, status, code, cause, ms, "callback refused");
            } else {
                tracing::warn!(route, app, status, code, ms, "callback refused");
            }
        }
    }
}

#[cfg(test)]
mod tests;
