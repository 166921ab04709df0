//! `/push/certificate`: off unless the app's settings say otherwise, and every read, granted or refused, is a line of the log.

use std::sync::OnceLock;

use lambda_http::{Body, Response};
use pushbell::app::AppError;
use pushbell::call;
use pushbell::dialect::lanying::caller::{self, unavailable};
use pushbell::dialect::lanying::certificate::{Wanted, not_allowed};
use pushbell::dialect::lanying::envelope::{Failure, ok};
use pushbell::id::AppId;

use crate::{Call, State, in_time, trouble};

pub(crate) async fn read(state: &State, call: &Call<'_>) -> Result<Response<Body>, Failure> {
    let wanted = OnceLock::new();
    let answer = in_time(state, call, granted(state, call, &wanted), unavailable).await;
    let claimed = caller::app(call.request.headers()).ok();
    let wanted: Option<&Wanted> = wanted.get();
    // Not at INFO, so that who wants fewer lines still has these.
    tracing::warn!(
        audit = "certificate",
        app = claimed.as_ref().map(AppId::as_str).unwrap_or_default(),
        // A user is told from another by their id alone, which no line has: the access log has the same request.
        who = call.admin.get().map(String::as_str).unwrap_or_default(),
        request = call::request_id(call.request),
        provider = wanted.map(|wanted| wanted.provider.as_str()).unwrap_or_default(),
        environment = wanted.map(|wanted| wanted.environment.as_str()).unwrap_or_default(),
        granted = answer.is_ok(),
        code = answer.as_ref().err().map(|failure| failure.code().number()),
        "a certificate was asked for"
    );
    answer
}

async fn granted(state: &State, call: &Call<'_>, said: &OnceLock<Wanted>) -> Result<Response<Body>, Failure> {
    // Read first, so that the line names it whoever asks; what is wrong with it is told to those who may ask.
    let wanted = Wanted::parse(call.query());
    if let Ok(wanted) = &wanted {
        said.get_or_init(|| *wanted);
    }
    let app = call.authenticate(state).await?.app;
    let in_trouble = |error: AppError| trouble(&app, &error);
    if !state.settings.get(&app).await.map_err(in_trouble)?.lanying.certificates {
        return Err(not_allowed());
    }
    let wanted = wanted?;
    let vendors = state.vendors.get(&app).await.map_err(in_trouble)?;
    Ok(ok(wanted.read(vendors.as_deref())?))
}
