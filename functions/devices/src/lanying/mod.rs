//! `/user/...`: a user's devices, names and push settings, in Lanying's words.

mod devices;
mod labels;

use lambda_http::{Body, Response};
use pushbell::dialect::lanying::caller::{self, Caller, unavailable};
use pushbell::dialect::lanying::envelope::{Code, Failure, method_not_allowed, ok};
use pushbell::dialect::lanying::preferences::Setting;
use pushbell::id::AppId;
use pushbell::recipient::StoreError;

use crate::{Call, State, log_trouble};

pub(crate) use devices::{bind, list, register_push, remove, unbind};
pub(crate) use labels::{alias, all_tags, badge, tags};

/// Push off, or on.
pub(crate) async fn off(state: &State, call: &Call<'_>) -> Response<Body> {
    answer(call, "POST, PUT", change(state, call, Setting::Off)).await
}

/// The setting that the path names.
pub(crate) async fn setting(state: &State, call: &Call<'_>) -> Response<Body> {
    match Setting::below(&call.parameter("setting")) {
        Some(setting) => answer(call, "POST, PUT", change(state, call, setting)).await,
        None => Failure::new(Code::NotFound, "there is nothing at this address").response(),
    }
}

async fn change(state: &State, call: &Call<'_>, setting: Setting) -> Result<Response<Body>, Failure> {
    let caller = authenticate(state, call).await?;
    let user = caller.user()?;
    let change = setting.change(call.query())?;
    let done = state.recipients.change_preferences(&caller.app, user, &change).await;
    done.map_err(|error| of_store(&caller.app, &error))?;
    Ok(ok(true))
}

/// What `work` answers, where the address takes the call's method.
async fn answer(
    call: &Call<'_>,
    allowed: &'static str,
    work: impl Future<Output = Result<Response<Body>, Failure>>,
) -> Response<Body> {
    if !allowed.split(", ").any(|method| method == call.request.method().as_str()) {
        return method_not_allowed(allowed);
    }
    work.await.unwrap_or_else(|failure| {
        // HTTP's status says nothing of it.
        tracing::info!(code = failure.code().number(), "call refused");
        failure.response()
    })
}

async fn authenticate(state: &State, call: &Call<'_>) -> Result<Caller, Failure> {
    let headers = call.request.headers();
    let caller = caller::authenticate(&state.callers, caller::app(headers)?, headers, call.now).await?;
    call.is_for(&caller.app);
    Ok(caller)
}

fn trouble(app: &AppId, error: &(dyn std::error::Error + 'static)) -> Failure {
    log_trouble(app, error);
    unavailable()
}

fn of_store(app: &AppId, error: &StoreError) -> Failure {
    match error {
        StoreError::TooMany(_) => Failure::new(Code::BadParameter, error.to_string()),
        StoreError::Unavailable(_) | StoreError::Conflict | StoreError::Late => trouble(app, error),
    }
}
