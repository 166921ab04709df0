//! Notify: an app's server pushes to an audience in Lanying's words, to users in Kinvey's, to clients in IMKIT's; takes a push back, and reads
//! the app's certificates.

mod certificate;
mod events;
mod imkit;
mod kinvey;
mod push;
mod route;

use std::error::Error;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use lambda_http::http::{HeaderValue, StatusCode, header};
use lambda_http::{Body, Request, Response};
use pushbell::app::{Callers, SecretDocuments, SettingsDocuments, Vendors};
use pushbell::call;
use pushbell::dialect::kinvey::send::To;
use pushbell::dialect::lanying::caller::{self, Caller, unavailable};
use pushbell::dialect::lanying::envelope::{Code, Failure, method_not_allowed};
use pushbell::env::{EnvError, Environment};
use pushbell::id::{AppId, TaskId};
use pushbell::registry::Registry;
use pushbell::task::{Intake, Members, Results, Whom};
use pushbell::telemetry;
use pushbell::time::Timestamp;
use tokio::time::timeout;

use route::Route;

/// When a caller may try again after 503, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");
/// How long the work of a call may take: less than the function's timeout, or API Gateway would answer, in words of its own. A push that is
/// given up may be in the queue all the same; a caller who named it makes the call again and gets its number.
const LIMIT: Duration = Duration::from_secs(12);

/// What one process keeps between calls.
pub struct State {
    callers: SecretDocuments<Callers>,
    vendors: SecretDocuments<Vendors>,
    settings: SettingsDocuments,
    intake: Intake,
    results: Results,
    registry: Registry,
    limit: Duration,
}

impl State {
    /// Connections are made by the first call that needs them.
    ///
    /// # Errors
    /// When `env` lacks a table or a queue.
    pub fn new(env: &Environment) -> Result<Self, EnvError> {
        Ok(Self {
            callers: SecretDocuments::callers(env),
            vendors: SecretDocuments::vendors(env),
            settings: SettingsDocuments::new(env)?,
            intake: Intake::new(env)?,
            results: Results::new(env)?,
            registry: Registry::new(env)?,
            limit: LIMIT,
        })
    }
}

/// One call, and what the log may say of it.
struct Call<'a> {
    request: &'a Request,
    now: Timestamp,
    app: OnceLock<AppId>,
    /// The `sub` of the app's own server.
    admin: OnceLock<String>,
    taken: OnceLock<Taken>,
}

/// What became of a call, in numbers and words of ours.
struct Taken {
    task: TaskId,
    push: Option<Pushed>,
}

/// What was pushed.
struct Pushed {
    /// The audience's kind, and how many entries it has.
    audience: &'static str,
    named: usize,
    deferred: bool,
    repeated: bool,
}

impl Call<'_> {
    /// The query as it was sent.
    fn query(&self) -> &str {
        self.request.uri().query().unwrap_or_default()
    }

    /// What became of the call, for the log.
    fn became(&self, task: TaskId, push: Option<Pushed>) {
        self.taken.get_or_init(|| Taken { task, push });
    }

    /// The app's own server, which alone may call here.
    async fn authenticate(&self, state: &State) -> Result<Caller, Failure> {
        let headers = self.request.headers();
        let caller = caller::authenticate(&state.callers, caller::app(headers)?, headers, self.now).await?;
        self.app.get_or_init(|| caller.app.clone());
        let sub = caller.admin()?;
        self.admin.get_or_init(|| sub.to_owned());
        Ok(caller)
    }
}

/// Answers one call, and writes one line about it.
pub async fn handle(state: &State, request: Request) -> Response<Body> {
    let begun = Instant::now();
    let (app, admin, taken) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
    let call = Call { request: &request, now: call::received_at(&request), app, admin, taken };
    let mut response = match Route::of(call::route(&request)) {
        Some(Route::Notify) => {
            answer(&call, "POST", in_time(state, &call, push::notify(state, &call), unavailable)).await
        }
        Some(Route::Cancel) => {
            answer(&call, "POST", in_time(state, &call, push::cancel(state, &call), unavailable)).await
        }
        Some(Route::SendMessage) => kinvey::send(state, &call, To::Recipients).await,
        Some(Route::SendBroadcast) => kinvey::send(state, &call, To::Everybody).await,
        Some(Route::Event) => events::post(state, &call).await,
        Some(Route::PushToClients) => imkit::push(state, &call).await,
        Some(Route::Certificate) => answer(&call, "GET", certificate::read(state, &call)).await,
        None => Failure::new(Code::NotFound, "there is nothing at this address").response(),
    };
    if response.status() == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
    }
    log(&call, response.status(), begun);
    response
}

fn log(call: &Call<'_>, status: StatusCode, begun: Instant) {
    let app = call.app.get().map(AppId::as_str).unwrap_or_default();
    let taken = call.taken.get();
    let push = taken.and_then(|taken| taken.push.as_ref());
    tracing::info!(
        route = call::route(call.request),
        app,
        status = status.as_u16(),
        task = taken.map(|taken| taken.task.get()),
        audience = push.map(|push| push.audience),
        named = push.map(|push| push.named),
        deferred = push.map(|push| push.deferred),
        repeated = push.map(|push| push.repeated),
        ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        "call answered"
    );
}

/// What `work` answers, where the address takes the call's method.
async fn answer(
    call: &Call<'_>,
    allowed: &'static str,
    work: impl Future<Output = Result<Response<Body>, Failure>>,
) -> Response<Body> {
    if call.request.method().as_str() != allowed {
        return method_not_allowed(allowed);
    }
    work.await.unwrap_or_else(|failure| {
        // HTTP's status says nothing of it.
        tracing::info!(code = failure.code().number(), "call refused");
        failure.response()
    })
}

/// What `work` answers, if it does so while the function still has time.
async fn in_time<T, E>(
    state: &State,
    call: &Call<'_>,
    work: impl Future<Output = Result<T, E>>,
    late: impl FnOnce() -> E,
) -> Result<T, E> {
    timeout(state.limit, work).await.unwrap_or_else(|_| {
        let app = call.app.get().map(AppId::as_str).unwrap_or_default();
        tracing::error!(app, route = call::route(call.request), "a call was not served in time");
        Err(late())
    })
}

fn trouble(app: &AppId, error: &(dyn Error + 'static)) -> Failure {
    log_trouble(app, error);
    unavailable()
}

fn log_trouble(app: &AppId, error: &(dyn Error + 'static)) {
    tracing::error!(app = %app, error = %error, cause = telemetry::cause(error), "a call could not be served");
}

/// An audience's kind, and how many entries it has; both may be logged.
fn told(whom: &Whom) -> (&'static str, usize) {
    match whom {
        Whom::Targets(targets) => ("clients", targets.len()),
        Whom::Members(Members::All) => ("all", 0),
        Whom::Members(Members::Tags(tags)) => ("tags", tags.len()),
        Whom::Members(Members::Aliases(aliases)) => ("aliases", aliases.len()),
        Whom::Members(Members::Attributes(attributes)) => ("attributes", attributes.len()),
    }
}

#[cfg(test)]
mod tests;
