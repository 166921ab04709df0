//! Kinvey's register-device, unregister-device, and the token list.

use std::sync::Arc;

use lambda_http::http::{Method, StatusCode};
use lambda_http::{Body, RequestExt as _, Response};
use pushbell::app::{ApnsEnvironment, Settings};
use pushbell::call;
use pushbell::dialect::kinvey::credentials::{self, Caller};
use pushbell::dialect::kinvey::devices::{DeviceCall, push_tokens, user};
use pushbell::dialect::kinvey::error::{Failure, Kind, method_not_allowed};
use pushbell::dialect::kinvey::with_request_id;
use pushbell::id::AppId;
use pushbell::registry::Which;

use crate::{Call, State, endpoints, log_trouble};

pub(crate) async fn register(state: &State, call: &Call<'_>) -> Response<Body> {
    answer(call, "POST", &Method::POST, async || {
        let (app, said, settings) = read(state, call).await?;
        let device = said.device(settings.sns.environment == ApnsEnvironment::Sandbox, call.now);
        endpoints::register(state, &app, &said.user, device, &settings.sns)
            .await
            .map_err(|error| trouble(&app, &error))?;
        Ok(call::empty(StatusCode::NO_CONTENT))
    })
    .await
}

pub(crate) async fn unregister(state: &State, call: &Call<'_>) -> Response<Body> {
    answer(call, "POST", &Method::POST, async || {
        let (app, said, settings) = read(state, call).await?;
        let which = Which::Token(said.platform.channel(), &said.token);
        let gone = state.registry.unregister(&app, &said.user, which).await.map_err(|error| trouble(&app, &error))?;
        // Nothing there is as good as gone.
        if let Some(device) = gone {
            endpoints::release(state, &app, &settings.sns, &[device]).await;
        }
        Ok(call::empty(StatusCode::NO_CONTENT))
    })
    .await
}

pub(crate) async fn list(state: &State, call: &Call<'_>) -> Response<Body> {
    answer(call, "GET", &Method::GET, async || {
        let (app, caller) = authenticate(state, call).await?;
        let query = call.request.query_string_parameters();
        let user = user(query.first("userId").filter(|named| !named.is_empty()), &caller)?;
        let settings = settings(state, &app).await?;
        let found = state.recipients.get(&app, &user, true).await.map_err(|error| trouble(&app, &error))?;
        let devices = found.map(|recipient| recipient.devices).unwrap_or_default();
        Ok(call::json(StatusCode::OK, &push_tokens(&devices, |device| endpoints::arn(&settings.sns, device))))
    })
    .await
}

async fn answer(
    call: &Call<'_>,
    allowed: &'static str,
    method: &Method,
    work: impl AsyncFnOnce() -> Result<Response<Body>, Failure>,
) -> Response<Body> {
    let response = if call.request.method() == method {
        work().await.unwrap_or_else(|failure| failure.response())
    } else {
        method_not_allowed(allowed)
    };
    with_request_id(call.request, response)
}

async fn read(state: &State, call: &Call<'_>) -> Result<(AppId, DeviceCall, Arc<Settings>), Failure> {
    let (app, caller) = authenticate(state, call).await?;
    let said = DeviceCall::parse(call.request.headers(), call::body(call.request), &caller)?;
    let settings = settings(state, &app).await?;
    Ok((app, said, settings))
}

async fn authenticate(state: &State, call: &Call<'_>) -> Result<(AppId, Caller), Failure> {
    let (app, callers) = credentials::app(&state.callers, call.parameter("appKey")).await?;
    call.is_for(&app);
    let headers = call.request.headers();
    let caller = credentials::authenticate(&callers, &state.passwords, &app, headers, call.now).await?;
    Ok((app, caller))
}

async fn settings(state: &State, app: &AppId) -> Result<Arc<Settings>, Failure> {
    state.settings.get(app).await.map_err(|error| trouble(app, &error))
}

fn trouble(app: &AppId, error: &(dyn std::error::Error + 'static)) -> Failure {
    log_trouble(app, error);
    Failure::new(Kind::KinveyInternalErrorRetry, "the storage did not answer")
}
