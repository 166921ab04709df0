//! `/user/push` and what is below it: a user's push settings, in Lanying's words.

use lambda_http::http::Method;
use lambda_http::{Body, Response};
use pushbell::dialect::lanying::caller::{self, unavailable};
use pushbell::dialect::lanying::envelope::{Code, Failure, method_not_allowed, ok};
use pushbell::dialect::lanying::preferences::Setting;

use crate::{Call, State, log_trouble};

/// Push off, or on.
pub(crate) async fn off(state: &State, call: &Call<'_>) -> Response<Body> {
    answer(state, call, Setting::Off).await
}

/// The setting that the path names.
pub(crate) async fn setting(state: &State, call: &Call<'_>) -> Response<Body> {
    match Setting::below(&call.parameter("setting")) {
        Some(setting) => answer(state, call, setting).await,
        None => Failure::new(Code::NotFound, "there is nothing at this address").response(),
    }
}

async fn answer(state: &State, call: &Call<'_>, setting: Setting) -> Response<Body> {
    if call.request.method() != Method::POST && call.request.method() != Method::PUT {
        return method_not_allowed("POST, PUT");
    }
    change(state, call, setting).await.unwrap_or_else(|failure| {
        // HTTP's status says nothing of it.
        tracing::info!(code = failure.code().number(), "call refused");
        failure.response()
    })
}

async fn change(state: &State, call: &Call<'_>, setting: Setting) -> Result<Response<Body>, Failure> {
    let headers = call.request.headers();
    let caller = caller::authenticate(&state.callers, caller::app(headers)?, headers, call.now).await?;
    call.is_for(&caller.app);
    let user = caller.user()?;
    let change = setting.change(call.query())?;
    let done = state.recipients.change_preferences(&caller.app, user, &change).await;
    done.map_err(|error| {
        log_trouble(&caller.app, &error);
        unavailable()
    })?;
    Ok(ok(true))
}
