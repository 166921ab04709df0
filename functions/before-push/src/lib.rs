//! OpenIM's push hooks: `ANY /hooks/{app}/{secret}/openim[/{command}]` is answered whether, to whom and in which words a push goes on, or
//! becomes a task of ours.
//!
//! OpenIM waits for the answer, never looks at its status, and loses the push when it cannot decode the body. So every POST gets
//! 200 and a whole answer in time, whatever is wrong; and when we cannot tell, the push goes on unless the app wants it otherwise.

mod filters;
mod judge;
mod narrow;
mod take_over;
mod trouble;

use lambda_http::http::{HeaderValue, Method, StatusCode, header};
use lambda_http::{Body, Request, RequestExt as _, Response};
use pushbell::app::{Callers, SecretDocuments, SettingsDocuments};
use pushbell::call;
use pushbell::dialect::openim::answer::{Answer, Code};
use pushbell::dialect::openim::callback::{Received, operation};
use pushbell::dialect::openim::command::Command;
use pushbell::env::{EnvError, Environment};
use pushbell::id::AppId;
use pushbell::recipient::Recipients;
use pushbell::task::Intake;
use pushbell::telemetry;
use pushbell::time::Timestamp;
use tokio::time::Instant;
use tracing::Instrument as _;

use filters::Filters;
use judge::{End, Verdict};
use trouble::{Trouble, Whose};

/// OpenIM's name for a request, as a header: 3.0 and later. All have it in the body.
const OPERATION: &str = "operationid";

/// What one process keeps between calls.
pub struct State {
    callers: SecretDocuments<Callers>,
    settings: SettingsDocuments,
    recipients: Recipients,
    intake: Intake,
    filters: Filters,
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
            recipients: Recipients::hasty(env)?,
            intake: Intake::hasty(env)?,
            filters: Filters::default(),
        })
    }

    /// Has DynamoDB report the units of every read. A benchmark's switch.
    #[must_use]
    pub fn measured(mut self) -> Self {
        self.recipients = self.recipients.measured();
        self
    }

    /// The recipients table, with its units when it is [`State::measured`].
    #[must_use]
    pub const fn recipients(&self) -> &Recipients {
        &self.recipients
    }
}

/// One call, as far as it is understood before anything is looked up.
struct Call<'a> {
    request: &'a Request,
    begun: Instant,
    now: Timestamp,
    app: Option<AppId>,
    /// What the request is called, by its caller.
    operation: Option<String>,
    /// `None`: another of OpenIM's webhooks, which all have one address since 3.7.
    command: Option<Command>,
}

impl<'a> Call<'a> {
    /// Beside it the body, as far as it is JSON.
    fn new(request: &'a Request, begun: Instant) -> (Self, Result<Received<'a>, Trouble>) {
        let body = call::body(request).map_err(Trouble::Body);
        let body = body.and_then(|body| Received::new(body).map_err(Trouble::Callback));
        let known = body.as_ref().ok();
        let header = call::header(request.headers(), OPERATION);
        let named = known.and_then(Received::command);
        let path = call::path_parameter(request, "command");
        let query = request.query_string_parameters();
        let call = Self {
            request,
            begun,
            now: call::received_at(request),
            app: AppId::parse(call::path_parameter(request, "app")).ok(),
            operation: known.map_or_else(|| operation(header), |body| body.operation(header)),
            command: Command::find([
                named.as_deref(),
                Some(&path),
                query.first("command"),
                query.first("callbackCommand"),
            ]),
        };
        (call, body)
    }
}

/// Answers one call, and writes one line about it.
pub async fn handle(state: &State, request: Request) -> Response<Body> {
    let begun = Instant::now();
    if request.method() != Method::POST {
        return method_not_allowed();
    }
    let (call, body) = Call::new(&request, begun);
    // On every line that is written for this call, in whatever crate.
    let span = tracing::info_span!("hook", operation = call.operation);
    async {
        let verdict = judge::judge(state, &call, body).await;
        log(&call, &verdict);
        verdict.answer.response()
    }
    .instrument(span)
    .await
}

/// No release calls so; a browser does, and a person reads the answer.
fn method_not_allowed() -> Response<Body> {
    let mut response = Answer::allow_although(Code::BadRequest, "only POST is taken here").response();
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
    response
}

/// One line per call. It names no person and says nothing of the message.
fn log(call: &Call<'_>, verdict: &Verdict) {
    let route = call::route(call.request);
    let app = call.app.as_ref().map(AppId::as_str).unwrap_or_default();
    let command = call.command.map(Command::name);
    let ms = u64::try_from(call.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let Verdict { answer, end, trouble } = verdict;
    let (denied, details) = (answer.is_denial(), end.to_string());
    let (word, end) = (end.as_str(), end);
    let Some(trouble) = trouble else {
        match end {
            End::Ignored => {
                tracing::info!(metric = "openim_ignored", route, app, end = word, ms, "another webhook answered");
            }
            End::Unjudged | End::Allowed | End::Refused(_) | End::Filtered(_) | End::TakenOver(_) => {
                tracing::info!(route, app, command, end = word, denied, details, ms, "hook answered");
            }
        }
        return;
    };
    let (code, cause) = (trouble.code().as_str(), telemetry::cause(trouble));
    match trouble.whose() {
        Whose::Stranger => {
            tracing::warn!(route, app, command, denied, code, cause, ms, "hook answered to a stranger");
        }
        Whose::Caller => {
            let metric = "hook_unreadable";
            tracing::warn!(metric, route, app, command, denied, code, cause, ms, "hook answered as on_error says");
        }
        Whose::Ours => {
            let metric = "hook_answered_on_error";
            tracing::error!(
                metric,
                route,
                app,
                command,
                end = word,
                denied,
                code,
                cause,
                details,
                ms,
                "hook answered as on_error says"
            );
        }
    }
}

#[cfg(test)]
mod tests;
