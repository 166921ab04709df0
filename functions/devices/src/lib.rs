//! Devices: registers and unregisters them in Kinvey's, IMKIT's and Lanying's words, answers for badges, keeps preferences, attributes, tags
//! and aliases, erases clients.

mod attributes;
mod badges;
mod endpoints;
mod erase;
mod kinvey;
mod lanying;
mod me;
mod preferences;
mod route;

use std::error::Error;
use std::sync::OnceLock;
use std::time::Instant;

use lambda_http::http::{HeaderValue, StatusCode, header};
use lambda_http::{Body, Request, RequestExt as _, Response};
use pushbell::app::{Callers, SecretDocuments, Settings, SettingsDocuments};
use pushbell::auth::password::Passwords;
use pushbell::call;
use pushbell::delivery::sns::Endpoints;
use pushbell::dialect::imkit::caller::unavailable;
use pushbell::dialect::imkit::envelope::{Failure, method_not_allowed};
use pushbell::env::{EnvError, Environment};
use pushbell::id::AppId;
use pushbell::recipient::{Recipients, StoreError};
use pushbell::registry::{Registry, RegistryError};
use pushbell::telemetry;
use pushbell::time::Timestamp;

use badges::Door;
use route::Route;

/// When a caller may try again after 503, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

/// What one process keeps between calls.
pub struct State {
    callers: SecretDocuments<Callers>,
    settings: SettingsDocuments,
    registry: Registry,
    recipients: Recipients,
    endpoints: Endpoints,
    passwords: Passwords,
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
            registry: Registry::new(env)?,
            recipients: Recipients::new(env)?,
            endpoints: Endpoints::new(env),
            passwords: Passwords::default(),
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
    /// A parameter of the path. An HTTP API hands it over decoded: decoding it again would turn the client `100%25` into another.
    fn parameter(&self, name: &str) -> String {
        self.request.path_parameters().first(name).unwrap_or_default().to_owned()
    }

    /// The query as it was sent.
    fn query(&self) -> &str {
        self.request.uri().query().unwrap_or_default()
    }

    /// The app that was called, for the log.
    fn is_for(&self, app: &AppId) {
        self.app.get_or_init(|| app.clone());
    }
}

/// Answers one call, and writes one line about it.
pub async fn handle(state: &State, request: Request) -> Response<Body> {
    let begun = Instant::now();
    let call = Call { request: &request, now: call::received_at(&request), app: OnceLock::new() };
    let mut response = match Route::of(call::route(&request)) {
        Some(Route::Register) => kinvey::register(state, &call).await,
        Some(Route::Unregister) => kinvey::unregister(state, &call).await,
        Some(Route::Devices) => kinvey::list(state, &call).await,
        Some(Route::HookBadges) => badges::many(state, &call, Door::Hook).await,
        Some(Route::HookBadgesOf) => badges::one(state, &call, Door::Hook).await,
        Some(Route::Badges) => badges::many(state, &call, Door::Credential).await,
        Some(Route::BadgesOf) => badges::one(state, &call, Door::Credential).await,
        Some(Route::Me) => erase::me(state, &call).await,
        Some(Route::MeBelow) => me::below(state, &call).await,
        Some(Route::Client) => erase::client(state, &call).await,
        Some(Route::UserPush) => lanying::off(state, &call).await,
        Some(Route::UserPushSetting) => lanying::setting(state, &call).await,
        Some(Route::UserAlias) => lanying::alias(state, &call).await,
        Some(Route::UserTags) => lanying::tags(state, &call).await,
        Some(Route::UserAllTags) => lanying::all_tags(state, &call).await,
        Some(Route::UserBadge) => lanying::badge(state, &call).await,
        Some(Route::UserRegister) => lanying::register_push(state, &call).await,
        Some(Route::UserBind) => lanying::bind(state, &call).await,
        Some(Route::UserUnbind) => lanying::unbind(state, &call).await,
        Some(Route::UserDevices) => lanying::list(state, &call).await,
        Some(Route::UserRemove) => lanying::remove(state, &call).await,
        None => not_found().response(),
    };
    if response.status() == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
    }
    let app = call.app.get().map(AppId::as_str).unwrap_or_default();
    let ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let status = response.status().as_u16();
    // The route, never the path: that holds secrets and names of persons.
    tracing::info!(route = call::route(&request), app, status, ms, "call answered");
    response
}

/// The app's settings, in IMKIT's words where they cannot be had.
async fn settings(state: &State, app: &AppId) -> Result<std::sync::Arc<Settings>, Failure> {
    state.settings.get(app).await.map_err(|error| trouble(app, &error))
}

fn trouble(app: &AppId, error: &(dyn Error + 'static)) -> Failure {
    log_trouble(app, error);
    unavailable()
}

fn log_trouble(app: &AppId, error: &(dyn Error + 'static)) {
    tracing::error!(app = %app, error = %error, cause = telemetry::cause(error), "a call could not be served");
}

fn of_store(app: &AppId, error: &StoreError) -> Failure {
    match error {
        StoreError::TooMany(_) => Failure::new(StatusCode::BAD_REQUEST, "TOO_MANY", error.to_string()),
        StoreError::Unavailable(_) | StoreError::Late | StoreError::Conflict => trouble(app, error),
    }
}

fn of_registry(app: &AppId, error: &RegistryError) -> Failure {
    trouble(app, error)
}

fn not_found() -> Failure {
    Failure::new(StatusCode::NOT_FOUND, "NOT_FOUND", "there is nothing at this address")
}

fn answer(result: Result<Response<Body>, Failure>) -> Response<Body> {
    result.unwrap_or_else(|failure| failure.response())
}

#[cfg(test)]
mod tests;
